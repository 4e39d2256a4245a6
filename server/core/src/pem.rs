//! Pure: DER as text (RFC 7468), for certificates and keys alike.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// The PEM block of this label, wrapped at 64 columns.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(wrapped(der));
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", *body)
}

/// Base64 in lines of 64 columns, each ended: what PEM and EST have between their frames.
pub(crate) fn wrapped(der: &[u8]) -> String {
    // Keys are among what is written: no copy of one stays behind.
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut out = String::with_capacity(text.len() + text.len() / 64 + 1);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out
}
