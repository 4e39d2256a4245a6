//! Pure: the enrolment token in an `Authorization` header: the password of HTTP Basic, whatever the user name (RFC 7617), or a bearer (RFC 6750).

use axum::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The secret; none when there is no header that holds one.
pub(super) fn secret(headers: &HeaderMap) -> Option<String> {
    let (scheme, value) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_password_or_a_bearer_is_the_secret() {
        let basic = |pair: &str| format!("bAsIc {}", STANDARD.encode(pair));
        let cases = [
            (basic("any:fet_1_a:b"), Some("fet_1_a:b")),
            (basic(":fet_1_a"), Some("fet_1_a")),
            (basic("fet_1_a"), None),
            ("Basic !".to_owned(), None),
            ("Bearer fet_1_a".to_owned(), Some("fet_1_a")),
            ("bearer  fet_1_a".to_owned(), Some("fet_1_a")),
            ("Digest x".to_owned(), None),
            ("Bearer".to_owned(), None),
        ];
        for (header, secret) in cases {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&header).unwrap())]);
            assert_eq!(super::secret(&headers).as_deref(), secret, "{header}");
        }
        assert_eq!(secret(&HeaderMap::new()), None);
    }
}
