//! Lists of revoked certificates, and how each serial number stands.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

pub(super) const CRL_NUMBER: Sql = Sql::same(
    "INSERT INTO crls (authority_id, org_id, number, this_update, next_update, trust_seq, der) VALUES ($1, $2, $3, 0, 0, 0, $4) \
     ON CONFLICT (authority_id) DO UPDATE SET number = CASE WHEN crls.number >= excluded.number THEN crls.number + 1 ELSE excluded.number END \
     RETURNING number, this_update, trust_seq",
);
pub(super) const REVOKED: Sql = Sql::same(
    "SELECT serial, CASE WHEN state = 'revoked' THEN reason ELSE 'superseded' END AS reason, \
     CASE WHEN state = 'revoked' THEN revoked_at WHEN usable_until < not_after THEN usable_until ELSE issued_at END AS revoked_at \
     FROM certificates WHERE issuer_id = $1 AND state IN ('revoked', 'superseded') AND not_after >= $2 AND fingerprint IS NOT NULL \
     ORDER BY not_after, serial",
);
pub(super) const ENDED_UNDER: Sql = Sql::same(
    "SELECT serial, state, ended_at FROM authorities WHERE issuer_id = $1 AND ended_at IS NOT NULL AND not_after >= $2 ORDER BY serial",
);
pub(super) const SET_CRL: Sql =
    Sql::same("UPDATE crls SET this_update = $2, next_update = $3, trust_seq = $4, der = $5 WHERE authority_id = $1");
pub(super) const CRLS: Sql = Sql::same("SELECT authority_id, number FROM crls WHERE this_update > 0 ORDER BY authority_id");
pub(super) const CRL: Sql =
    Sql::same("SELECT number, this_update, next_update, trust_seq, der FROM crls WHERE authority_id = $1 AND this_update > 0");
pub(super) const STANDINGS: Sql = Sql::same(
    "SELECT issuer_id, serial, state, not_after, trust_seq, CASE WHEN state = 'revoked' THEN reason ELSE 'superseded' END AS reason, \
     CASE WHEN state = 'revoked' THEN revoked_at WHEN usable_until < not_after THEN usable_until ELSE issued_at END AS revoked_at \
     FROM certificates WHERE trust_seq > $1 AND not_after > $2 AND fingerprint IS NOT NULL ORDER BY trust_seq",
);

/// Takes the next number of the authority's list, at least `floor`, until the transaction ends; gives it with the instant and the trust clock of
/// the list before, both 0 when this is the first.
pub(in crate::pki) async fn next_crl(tx: &mut Tx, authority: &AuthorityId, org: &OrgId, floor: i64) -> Result<(i64, i64, i64), Error> {
    let nothing: &[u8] = &[];
    row!(tx, (i64, i64, i64), CRL_NUMBER, authority.as_str(), org.as_str(), floor, nothing)?
        .ok_or_else(|| Error::corrupt("an upsert gave no row"))
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct RevokedRecord {
    pub serial: Vec<u8>,
    pub reason: String,
    pub revoked_at: Option<i64>,
}

/// The authority's revoked and superseded certificates that had not ended at `since`.
pub(in crate::pki) async fn revoked(on: &mut impl Conn, issuer: &AuthorityId, since: i64) -> Result<Vec<RevokedRecord>, Error> {
    rows!(on, RevokedRecord, REVOKED, issuer.as_str(), since)
}

/// Serial, state and end of the authorities that this one has signed, that have ended before their time and whose certificates had not ended at
/// `since`.
pub(in crate::pki) async fn ended_under(
    on: &mut impl Conn,
    issuer: &AuthorityId,
    since: i64,
) -> Result<Vec<(Vec<u8>, String, i64)>, Error> {
    rows!(on, (Vec<u8>, String, i64), ENDED_UNDER, issuer.as_str(), since)
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct CrlRecord {
    pub number: i64,
    pub this_update: i64,
    pub next_update: i64,
    pub trust_seq: i64,
    pub der: Vec<u8>,
}

pub(in crate::pki) async fn set_crl(
    tx: &mut Tx,
    authority: &AuthorityId,
    from: Timestamp,
    until: Timestamp,
    seq: i64,
    der: &[u8],
) -> Result<(), Error> {
    exec!(tx, SET_CRL, authority.as_str(), from.0, until.0, seq, der)?;
    Ok(())
}

/// The number of every authority's newest list.
pub(in crate::pki) async fn crls(on: &mut impl Conn) -> Result<Vec<(String, i64)>, Error> {
    rows!(on, (String, i64), CRLS)
}

/// The authority's newest list.
pub(in crate::pki) async fn crl(on: &mut impl Conn, authority: &AuthorityId) -> Result<Option<CrlRecord>, Error> {
    row!(on, CrlRecord, CRL, authority.as_str())
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct StandingRecord {
    pub issuer_id: String,
    pub serial: Vec<u8>,
    pub state: String,
    pub not_after: i64,
    pub trust_seq: i64,
    pub reason: String,
    pub revoked_at: Option<i64>,
}

/// How certificates of every kind stand that changed after `seq` and had not ended at `since`.
pub(in crate::pki) async fn standings(on: &mut impl Conn, seq: i64, since: Timestamp) -> Result<Vec<StandingRecord>, Error> {
    rows!(on, StandingRecord, STANDINGS, seq, since.0)
}
