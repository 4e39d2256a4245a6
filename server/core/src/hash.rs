//! Pure: SHA-256 (FIPS 180-4), the one hash of digests, fingerprints and kept secrets.

use aws_lc_rs::digest::{self, Context, SHA256};

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    array(&digest::digest(&SHA256, bytes))
}

/// SHA-256 of everything that a context (of [`SHA256`]) was given.
pub(crate) fn finished(context: Context) -> [u8; 32] {
    array(&context.finish())
}

/// A SHA-256 as tools print it: 64 hex digits, with colons and blanks or without.
pub(crate) fn printed(text: &str) -> Option<[u8; 32]> {
    let bare: String = text.chars().filter(|c| *c != ':' && !c.is_whitespace()).collect();
    hex::decode(bare).ok()?.try_into().ok()
}

fn array(digest: &digest::Digest) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}
