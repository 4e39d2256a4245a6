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

fn array(digest: &digest::Digest) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}
