//! The SQL of older checksums, by content.

use crate::db::{Conn, Error, Sql, Tx, exec, row};
use wire::ids::Digest;

pub(super) const CHECKSUMS: Sql = Sql::same("SELECT sha1, md5 FROM artifact_checksums WHERE sha256 = $1");
pub(super) const INSERT_CHECKSUMS: Sql =
    Sql::same("INSERT INTO artifact_checksums (sha256, sha1, md5) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");

/// SHA-1 and MD5 of this content, in hex.
pub(in crate::releases) async fn checksums(on: &mut impl Conn, digest: &Digest) -> Result<Option<(String, String)>, Error> {
    row!(on, (String, String), CHECKSUMS, digest.as_str())
}

pub(in crate::releases) async fn insert_checksums(tx: &mut Tx, digest: &Digest, sha1: &str, md5: &str) -> Result<(), Error> {
    exec!(tx, INSERT_CHECKSUMS, digest.as_str(), sha1, md5).map(drop)
}
