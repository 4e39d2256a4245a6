//! Keys that wait for a certificate made elsewhere.

use super::KeyRecord;
use crate::db::{Conn, Error, Sql, Tx, exec, rows};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

pub(super) const REQUEST: Sql = Sql::same(
    "INSERT INTO authority_requests (id, org_id, kind, generation, subject, spki_sha256, sealed_key, token, csr, state, created_by, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', $10, $11)",
);
pub(super) const REQUESTS: Sql = Sql::same(
    "SELECT id, kind, generation, subject, spki_sha256, sealed_key, token, csr, created_by, created_at FROM authority_requests \
     WHERE org_id = $1 AND state = 'open' ORDER BY created_at, id",
);
/// The key goes where the certificate goes, or nowhere.
pub(super) const END_REQUEST: Sql =
    Sql::same("UPDATE authority_requests SET state = $3, sealed_key = NULL WHERE id = $1 AND org_id = $2 AND state = 'open'");
pub(super) const REQUEST_KEYS: Sql =
    Sql::same("SELECT id, spki_sha256, sealed_key FROM authority_requests WHERE sealed_key IS NOT NULL ORDER BY id");
pub(super) const SET_REQUEST_KEY: Sql = Sql::same("UPDATE authority_requests SET sealed_key = $2 WHERE id = $1");

/// A new request's row.
pub(in crate::pki) struct NewRequest<'a> {
    pub id: &'a AuthorityId,
    pub org: &'a OrgId,
    pub kind: &'a str,
    pub generation: i64,
    pub subject: &'a str,
    pub spki_sha256: &'a [u8],
    pub sealed_key: Option<&'a [u8]>,
    /// The label of the token that has the key; empty when none has.
    pub token: &'a str,
    pub csr: &'a [u8],
    pub by: &'a str,
    pub now: Timestamp,
}

pub(in crate::pki) async fn insert_request(tx: &mut Tx, r: &NewRequest<'_>) -> Result<(), Error> {
    let (id, org) = (r.id.as_str(), r.org.as_str());
    exec!(tx, REQUEST, id, org, r.kind, r.generation, r.subject, r.spki_sha256, r.sealed_key, r.token, r.csr, r.by, r.now.0)?;
    Ok(())
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct RequestRecord {
    pub id: String,
    pub kind: String,
    pub generation: i64,
    pub subject: String,
    pub spki_sha256: Vec<u8>,
    pub sealed_key: Option<Vec<u8>>,
    pub token: String,
    pub csr: Vec<u8>,
    pub created_by: String,
    pub created_at: i64,
}

/// The organization's open requests, oldest first; at most one a kind.
pub(in crate::pki) async fn requests(on: &mut impl Conn, org: &OrgId) -> Result<Vec<RequestRecord>, Error> {
    rows!(on, RequestRecord, REQUESTS, org.as_str())
}

/// Ends an open request in this state and forgets its key; `false` when there is none.
pub(in crate::pki) async fn end_request(tx: &mut Tx, id: &AuthorityId, org: &OrgId, state: &str) -> Result<bool, Error> {
    Ok(exec!(tx, END_REQUEST, id.as_str(), org.as_str(), state)? == 1)
}

/// Every sealed key of a request.
pub(in crate::pki) async fn request_keys(on: &mut impl Conn) -> Result<Vec<KeyRecord>, Error> {
    rows!(on, KeyRecord, REQUEST_KEYS)
}

pub(in crate::pki) async fn set_request_key(tx: &mut Tx, id: &AuthorityId, sealed: &[u8]) -> Result<(), Error> {
    exec!(tx, SET_REQUEST_KEY, id.as_str(), sealed)?;
    Ok(())
}
