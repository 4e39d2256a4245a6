//! Lists of revoked certificates, and how each serial number stands.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

/// Columns and since when and why others may not believe a certificate. A superseded one says the same as a revoked one; when it was
/// superseded before that was written down, its end of use tells.
macro_rules! standing {
    ($columns:literal, $which:literal) => {
        Sql::same(concat!(
            "SELECT ",
            $columns,
            ", CASE WHEN state = 'revoked' THEN reason ELSE 'superseded' END AS reason, \
             COALESCE(revoked_at, CASE WHEN usable_until < not_after THEN usable_until ELSE issued_at END) AS revoked_at \
             FROM certificates WHERE ",
            $which
        ))
    };
}

pub(super) const REVOKED: Sql = standing!(
    "serial, invalidity_date",
    "issuer_id = $1 AND state IN ('revoked', 'superseded') AND not_after >= $2 AND fingerprint IS NOT NULL ORDER BY not_after, serial"
);
pub(super) const ENDED_UNDER: Sql = Sql::same(
    "SELECT serial, state, ended_at FROM authorities WHERE issuer_id = $1 AND id <> issuer_id AND ended_at IS NOT NULL AND not_after >= $2 \
     UNION ALL SELECT x.serial, a.state, a.ended_at FROM cross_certificates x JOIN authorities a ON a.id = x.subject_id \
     WHERE x.issuer_id = $1 AND a.ended_at IS NOT NULL AND x.not_after >= $2 ORDER BY 1",
);
pub(super) const CRL_BEFORE: Sql = Sql::same("SELECT number, this_update FROM crls WHERE authority_id = $1");
/// In place of the list with the number $8 only; 0 stands for none.
pub(super) const PUT_CRL: Sql = Sql::same(
    "INSERT INTO crls (authority_id, org_id, number, this_update, next_update, trust_seq, der) VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (authority_id) DO UPDATE SET number = excluded.number, this_update = excluded.this_update, next_update = excluded.next_update, \
     trust_seq = excluded.trust_seq, der = excluded.der WHERE crls.number = $8",
);
pub(super) const CRLS: Sql = Sql::same("SELECT authority_id, number FROM crls ORDER BY authority_id");
pub(super) const CRL: Sql = Sql::same("SELECT number, this_update, next_update, trust_seq, der FROM crls WHERE authority_id = $1");
pub(super) const STANDINGS: Sql = standing!(
    "issuer_id, serial, state, not_after, trust_seq",
    "trust_seq > $1 AND not_after > $2 AND fingerprint IS NOT NULL ORDER BY trust_seq"
);

/// Number and instant of the authority's newest list; both 0 before the first.
pub(in crate::pki) async fn crl_before(on: &mut impl Conn, authority: &AuthorityId) -> Result<(i64, i64), Error> {
    Ok(row!(on, (i64, i64), CRL_BEFORE, authority.as_str())?.unwrap_or_default())
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct RevokedRecord {
    pub serial: Vec<u8>,
    pub invalidity_date: Option<i64>,
    pub reason: String,
    pub revoked_at: Option<i64>,
}

/// The authority's revoked and superseded certificates that had not ended at `since`.
pub(in crate::pki) async fn revoked(on: &mut impl Conn, issuer: &AuthorityId, since: i64) -> Result<Vec<RevokedRecord>, Error> {
    rows!(on, RevokedRecord, REVOKED, issuer.as_str(), since)
}

/// Serial, state and end of the authorities that this one has signed, other roots among them, that have ended before their time and whose
/// certificates had not ended at `since`.
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

/// Puts a list in the place of the one with the number `before`; `false` when somebody else's is there.
pub(in crate::pki) async fn put_crl(
    tx: &mut Tx,
    authority: &AuthorityId,
    org: &OrgId,
    list: &CrlRecord,
    before: i64,
) -> Result<bool, Error> {
    let (authority, org) = (authority.as_str(), org.as_str());
    let der = list.der.as_slice();
    Ok(exec!(tx, PUT_CRL, authority, org, list.number, list.this_update, list.next_update, list.trust_seq, der, before)? == 1)
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
