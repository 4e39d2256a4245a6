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

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn what_is_neither_unreserved_nor_readable_is_encoded() {
        assert_eq!(encoded("a-B_1.~/x?y=é z", b"/"), "a-B_1.~/x%3Fy%3D%C3%A9%20z");
        assert_eq!(encoded("tag:a,b/c", b":,"), "tag:a,b%2Fc");
    }
}
