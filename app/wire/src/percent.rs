//! Pure: text as a part of an address (RFC 3986).

use std::fmt::Write as _;

/// Percent-encodes what is not unreserved (§2.3), but for these bytes: where a query may have them as they are (§3.4) they keep an address readable.
pub fn encoded(text: &str, readable: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || readable.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Octets decoded once; none when one is cut off or not hexadecimal.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet == b'%' {
            let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|d| u8::try_from(d).ok());
            out.push((digit(octets.next()?)? << 4) | digit(octets.next()?)?);
        } else {
            out.push(octet);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::{decoded, encoded};

    #[test]
    fn what_is_neither_unreserved_nor_readable_is_encoded() {
        assert_eq!(encoded("a-B_1.~/x?y=é z", b"/"), "a-B_1.~/x%3Fy%3D%C3%A9%20z");
        assert_eq!(encoded("tag:a,b/c", b":,"), "tag:a,b%2Fc");
    }

    #[test]
    fn octets_are_decoded_once() {
        assert_eq!(decoded("a%2Fb%252f+").unwrap(), b"a/b%2f+");
        assert_eq!(decoded("%ff%00").unwrap(), [0xff, 0]);
        for cut in ["%", "%2", "a%zz", "%+1", "%\u{e9}"] {
            assert_eq!(decoded(cut), None, "{cut}");
        }
    }
}
