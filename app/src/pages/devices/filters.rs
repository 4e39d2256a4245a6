//! Pure: the list's address, and filters as terms of the selector in it. Terms are separated by blanks; `"…"` keeps blanks inside of one.

use std::fmt::Write;
use wire::devices::{DeviceQuery, DeviceSort};

/// The words of a selector, quotes kept.
pub fn terms(q: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut term = String::new();
    let mut quoted = false;
    for c in q.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                term.push(c);
            }
            c if c.is_whitespace() && !quoted => {
                if !term.is_empty() {
                    out.push(std::mem::take(&mut term));
                }
            }
            c => term.push(c),
        }
    }
    if !term.is_empty() {
        out.push(term);
    }
    out
}

/// Whether a selector is more than terms side by side, so that its terms can't be taken one by one.
pub fn composed(q: &str) -> bool {
    q.contains('(') || terms(q).iter().any(|t| t == "or")
}

/// The value of `key:` in a selector.
pub fn value_of(q: &str, key: &str) -> Option<String> {
    terms(q).into_iter().find_map(|t| t.strip_prefix(key)?.strip_prefix(':').map(|v| v.trim_matches('"').to_owned()))
}

/// The selector with `key:value` in place of what it said about `key`; an empty value only takes it out.
pub fn with(q: &str, key: &str, value: &str) -> String {
    if composed(q) {
        return if value.is_empty() { q.to_owned() } else { format!("({q}) {}", term(key, value)) };
    }
    let mut kept: Vec<String> = terms(q).into_iter().filter(|t| t.strip_prefix(key).is_none_or(|rest| !rest.starts_with(':'))).collect();
    if !value.is_empty() {
        kept.push(term(key, value));
    }
    kept.join(" ")
}

fn term(key: &str, value: &str) -> String {
    let bare = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:/+".contains(&b));
    if bare { format!("{key}:{value}") } else { format!("{key}:\"{}\"", value.replace('"', "")) }
}

/// The selector without its `n`th term.
pub fn without(q: &str, n: usize) -> String {
    terms(q).into_iter().enumerate().filter(|(i, _)| *i != n).map(|(_, t)| t).collect::<Vec<_>>().join(" ")
}

/// The word of a sort order in the address.
pub const fn sort_word(sort: DeviceSort) -> &'static str {
    match sort {
        DeviceSort::DeviceId => "device_id",
        DeviceSort::DeviceIdDesc => "-device_id",
        DeviceSort::LastSeen => "last_seen",
        DeviceSort::LastSeenDesc => "-last_seen",
        DeviceSort::Version => "version",
        DeviceSort::VersionDesc => "-version",
    }
}

/// The sort order of a word in the address; an unknown one is the default.
pub fn sort_of(word: &str) -> DeviceSort {
    use DeviceSort as S;
    [S::DeviceIdDesc, S::LastSeen, S::LastSeenDesc, S::Version, S::VersionDesc]
        .into_iter()
        .find(|s| sort_word(*s) == word)
        .unwrap_or(S::DeviceId)
}

/// The address of a list; what is default is left out. `before` is how many rows lie in front of the page.
pub fn href(query: &DeviceQuery, before: i64) -> String {
    let mut out = String::from("/devices");
    let mut push = |key: &str, value: &str| {
        out.push(if out.contains('?') { '&' } else { '?' });
        // Writing to a string can't fail.
        let _ = write!(out, "{key}={}", encoded(value));
    };
    if !query.q.is_empty() {
        push("q", &query.q);
    }
    if query.sort != DeviceSort::DeviceId {
        push("sort", sort_word(query.sort));
    }
    if let Some(cursor) = &query.cursor {
        push("cursor", cursor);
        push("before", &before.to_string());
    }
    out
}

/// A value for a query string: what is not unreserved (RFC 3986 §2.3), a colon or a comma is percent-encoded.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~:,*".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_replaces_what_was_said_about_its_key() {
        assert_eq!(with("type:a eu-1 tag:x", "type", "b"), "eu-1 tag:x type:b");
        assert_eq!(with("type:a", "type", ""), "");
        assert_eq!(with("", "tag", "north sea"), "tag:\"north sea\"");
        assert_eq!(value_of("tag:\"north sea\" online:yes", "tag").unwrap(), "north sea");
        assert_eq!(with("type:a or type:b", "online", "yes"), "(type:a or type:b) online:yes");
        assert_eq!(without("a b c", 1), "a c");
        assert_eq!(terms("  a  \"b c\" "), ["a", "\"b c\""]);
    }

    #[test]
    fn the_address_says_only_what_is_not_default() {
        assert_eq!(href(&DeviceQuery::default(), 0), "/devices");
        let query = DeviceQuery { q: "tag:a&b".into(), sort: sort_of("-last_seen"), cursor: Some("x=".into()), rows: None };
        assert_eq!(href(&query, 50), "/devices?q=tag:a%26b&sort=-last_seen&cursor=x%3D&before=50");
        assert_eq!(sort_of("nonsense"), DeviceSort::DeviceId);
    }
}
