//! Roots' keys on their way out, and lists that were signed where those keys are.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

pub(super) const SEALED_KEY: Sql =
    Sql::same("SELECT spki_sha256, sealed_key, exported_at, export_sha256 FROM authorities WHERE id = $1 AND org_id = $2");
pub(super) const EXPORTED: Sql = Sql::same("UPDATE authorities SET exported_at = $2, export_sha256 = $3 WHERE id = $1");
pub(super) const TAKE_OFFLINE: Sql = Sql::same(
    "UPDATE authorities SET sealed_key = NULL, offline_at = $3 WHERE id = $1 AND org_id = $2 AND kind = 'root' AND sealed_key IS NOT NULL",
);
pub(super) const OFFLINE: Sql = Sql::same("SELECT org_id, id, offline_at FROM authorities WHERE offline_at IS NOT NULL ORDER BY id");
/// Lists of roots whose key is not sealed here.
pub(super) const BROUGHT_LISTS: Sql = Sql::same(
    "SELECT c.org_id, c.authority_id, c.number, c.this_update, c.next_update, c.der FROM crls c JOIN authorities a ON a.id = c.authority_id \
     WHERE a.kind = 'root' AND a.sealed_key IS NULL ORDER BY c.authority_id",
);
#[derive(sqlx::FromRow)]
pub(in crate::pki) struct SealedRecord {
    pub spki_sha256: Vec<u8>,
    pub sealed_key: Option<Vec<u8>>,
    pub exported_at: Option<i64>,
    pub export_sha256: Option<Vec<u8>>,
}

/// An authority's sealed key, and what is known of its last export.
pub(in crate::pki) async fn sealed_key(on: &mut impl Conn, id: &AuthorityId, org: &OrgId) -> Result<Option<SealedRecord>, Error> {
    row!(on, SealedRecord, SEALED_KEY, id.as_str(), org.as_str())
}

/// Notes that the key was written into a file with this digest.
pub(in crate::pki) async fn exported(tx: &mut Tx, id: &AuthorityId, at: Timestamp, sha256: &[u8]) -> Result<(), Error> {
    exec!(tx, EXPORTED, id.as_str(), at.0, sha256)?;
    Ok(())
}

/// Removes a root's sealed key; `false` when there is none.
pub(in crate::pki) async fn take_offline(tx: &mut Tx, id: &AuthorityId, org: &OrgId, at: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, TAKE_OFFLINE, id.as_str(), org.as_str(), at.0)? == 1)
}

/// Roots whose key was removed: organization, id, and when.
pub(in crate::pki) async fn offline(on: &mut impl Conn) -> Result<Vec<(String, String, i64)>, Error> {
    rows!(on, (String, String, i64), OFFLINE)
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct BroughtList {
    pub org_id: String,
    pub authority_id: String,
    pub number: i64,
    pub this_update: i64,
    pub next_update: i64,
    pub der: Vec<u8>,
}

/// The newest list of every root whose key is not sealed here.
pub(in crate::pki) async fn brought_lists(on: &mut impl Conn) -> Result<Vec<BroughtList>, Error> {
    rows!(on, BroughtList, BROUGHT_LISTS)
}
