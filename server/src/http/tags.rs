//! Pure: strong entity tags (RFC 9110 §8.8.3), and whether a client holds what would be sent.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, HeaderValue, header};

/// The strong tag of a representation, with its quotes: another one as soon as a byte of it is another.
pub fn of(representation: &[u8]) -> String {
    format!("\"{}\"", hex::encode(&digest(&SHA256, representation).as_ref()[..16]))
}

/// Whether the request says that its sender holds what has this tag. `If-None-Match` compares weakly (RFC 9110 §13.1.2).
pub fn held(headers: &HeaderMap, tag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|held| matches(held, tag))
}

/// Whether the request is only for another representation than the one that has this tag. `If-Match` compares strongly (RFC 9110 §13.1.1).
pub fn unwanted(headers: &HeaderMap, tag: &str) -> bool {
    let wants = |line: &HeaderValue| line.to_str().is_ok_and(|line| line.split(',').map(str::trim).any(|one| one == "*" || one == tag));
    headers.contains_key(header::IF_MATCH) && !headers.get_all(header::IF_MATCH).iter().any(wants)
}

fn matches(held: &HeaderValue, tag: &str) -> bool {
    held.to_str().is_ok_and(|held| held.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_of_exactly_these_bytes() {
        assert_eq!(of(b"a"), of(b"a"));
        assert_ne!(of(b"a"), of(b"b"));
        assert!(of(b"").starts_with('"') && of(b"").ends_with('"') && of(b"").len() == 34);
    }

    #[test]
    fn what_is_held_is_compared_weakly_and_in_lists() {
        let tag = of(b"x");
        let cases =
            [(tag.clone(), true), (format!("W/{tag}"), true), (format!("\"y\", {tag}"), true), ("*".into(), true), ("\"y\"".into(), false)];
        for (line, expected) in cases {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(&line).unwrap())]);
            assert_eq!(held(&headers, &tag), expected, "{line}");
        }
        assert!(!held(&HeaderMap::new(), &tag));
    }

    #[test]
    fn what_is_wanted_is_compared_strongly() {
        let tag = of(b"x");
        let cases = [
            (tag.clone(), false),
            (format!("\"y\", {tag}"), false),
            ("*".into(), false),
            (format!("W/{tag}"), true),
            ("\"y\"".into(), true),
        ];
        for (line, expected) in cases {
            let headers = HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_str(&line).unwrap())]);
            assert_eq!(unwanted(&headers, &tag), expected, "{line}");
        }
        assert!(!unwanted(&HeaderMap::new(), &tag));
    }
}
