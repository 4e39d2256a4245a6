//! The SQL of registered authorities; their devices' certificates are in `leaves.rs`. Refuses to decide anything.

pub(crate) use super::authority_row::RegisteredRow;

use super::{address_store, gate::AuthorityCertificate, leaves, list_store, marked};
use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    registered::{JustInTimePolicy, RegisteredState},
};

/// The columns of a row, counts as the first says, of which rows the second says.
macro_rules! registered {
    ($counts:literal, $which:literal) => {
        concat!(
            "SELECT r.id, r.org_id, r.label, r.subject, r.key_alg, r.spki_sha256, r.fingerprint, r.der, r.not_before, r.not_after, r.state, r.code, \
             r.code_until, r.just_in_time, r.device_type, r.tags, r.group_ids, r.template, r.pattern, r.max_devices, r.per_day, r.ended_list, r.exchange, r.admitted, r.day_at, \
             r.day_admitted, r.last_admitted_at, r.refused, r.created_at, r.created_by, r.verified_at, ",
            $counts,
            " FROM registered_authorities r ",
            $which
        )
    };
}
macro_rules! counted {
    ($which:literal) => {
        Sql::same(registered!(
            "(SELECT COUNT(DISTINCT c.device) FROM certificates c WHERE c.issuer_id = r.id AND c.state = 'active') AS devices, \
             (SELECT MAX(d.last_seen_at) FROM devices d WHERE d.last_seen_at > 0 AND d.number IN \
             (SELECT c.device FROM certificates c WHERE c.issuer_id = r.id)) AS last_seen_at",
            $which
        ))
    };
}
const LIST: Sql = counted!("WHERE r.org_id = $1 ORDER BY r.created_at DESC, r.id DESC");
/// Without the counts, and the row stays as it is until the transaction ends. SQLite's writer is alone anyway.
const HELD: Sql = Sql::split(
    registered!("CAST(0 AS BIGINT) AS devices, CAST(NULL AS BIGINT) AS last_seen_at", "WHERE r.id = $1"),
    registered!("CAST(0 AS BIGINT) AS devices, CAST(NULL AS BIGINT) AS last_seen_at", "WHERE r.id = $1 FOR NO KEY UPDATE"),
);
const ANCHORS: Sql = Sql::same(
    "SELECT r.id, r.org_id, r.der, r.state, r.not_before, r.not_after, r.ended_list, l.sha256 AS list_sha256, w.since AS awaits_since \
     FROM registered_authorities r LEFT JOIN registered_lists l ON l.authority_id = r.id LEFT JOIN awaited_lists w ON w.authority_id = r.id WHERE r.state IN ('active', 'disabled') ORDER BY r.id",
);
const INSERT: Sql = Sql::same(
    "INSERT INTO registered_authorities (id, org_id, label, subject, key_alg, spki_sha256, fingerprint, der, not_before, not_after, state, code, \
     code_until, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'unverified', $11, $12, $13, $14) \
     ON CONFLICT (org_id, spki_sha256) DO NOTHING",
);
const COUNT: Sql = Sql::same("SELECT COUNT(*) FROM registered_authorities WHERE org_id = $1");
/// Whose key it is: an authority's of its kind and organization, or one that was blocked, which comes first of all kinds; by hand in this organization alone.
const KEY: Sql = Sql::same(
    "SELECT kind, org_id FROM authorities WHERE spki_sha256 = $1 \
     UNION ALL SELECT CASE WHEN reason = 'by_hand' THEN 'blocked_by_hand' ELSE 'blocked' END, org_id FROM blocked_keys \
     WHERE spki_sha256 = $1 AND (reason <> 'by_hand' OR org_id = $2) ORDER BY 1 LIMIT 1",
);
const OF_KEY: Sql = Sql::same("SELECT id FROM registered_authorities WHERE org_id = $1 AND spki_sha256 = $2");
/// Another certificate for the key it has; only for one that ends later, so of two at once the later end stays.
const REPLACE: Sql = Sql::same(
    "UPDATE registered_authorities SET fingerprint = $2, der = $3, not_before = $4, not_after = $5 WHERE id = $1 AND not_after < $5",
);
const REPLACE_KEY: Sql = Sql::same(
    "UPDATE authorities SET serial = $2, ski = $3, fingerprint = $4, der = $5, not_before = $6, not_after = $7 WHERE id = $1 AND kind = 'registered'",
);
const SET_CODE: Sql = Sql::same("UPDATE registered_authorities SET code = $2, code_until = $3 WHERE id = $1 AND state = 'unverified'");
const VERIFIED: Sql = Sql::same(
    "UPDATE registered_authorities SET state = 'verified', code = '', code_until = 0, verified_at = $3 \
     WHERE id = $1 AND state = 'unverified' AND code = $2 AND code <> ''",
);
/// Its row among the authorities: the key is its own from here on, for every organization.
const CLAIM_KEY: Sql = Sql::same(
    "INSERT INTO authorities (id, org_id, kind, generation, issuer_id, serial, subject, key_alg, sig_alg, profile_version, ski, spki_sha256, fingerprint, \
     der, sealed_key, base_url, not_before, not_after, state, created_at) \
     SELECT $1, $2, 'registered', CAST(COALESCE(MAX(generation), 0) + 1 AS BIGINT), $1, $3, $4, $5, '', 0, $6, $7, $8, $9, NULL, '', $10, $11, 'staged', $12 \
     FROM authorities WHERE org_id = $2 AND kind = 'registered'",
);
const DISABLED: Sql = Sql::same("SELECT org_id, id FROM registered_authorities WHERE state = 'disabled'");
const SET_STATE: Sql = Sql::same("UPDATE registered_authorities SET state = $3 WHERE id = $1 AND state = $2");
const MIRROR: Sql = Sql::same("UPDATE authorities SET state = $2 WHERE id = $1 AND kind = 'registered'");
const SET_POLICY: Sql = Sql::same(
    "UPDATE registered_authorities SET just_in_time = $2, device_type = $3, tags = $4, template = $5, pattern = $6, max_devices = $7, per_day = $8, \
     ended_list = $9, exchange = $10, group_ids = $11 WHERE id = $1",
);
const USED: Sql = Sql::same("SELECT COUNT(*) FROM (SELECT id FROM certificates WHERE issuer_id = $1 LIMIT 1) AS one");
const DELETE: Sql = Sql::same("DELETE FROM registered_authorities WHERE id = $1");
const DELETE_KEY: Sql = Sql::same("DELETE FROM authorities WHERE id = $1 AND kind = 'registered'");
const REFUSED: Sql = Sql::same("UPDATE registered_authorities SET refused = refused + $2 WHERE id = $1");
/// $3 is the beginning of the day before $2.
const ADMITTED: Sql = Sql::same(
    "UPDATE registered_authorities SET admitted = admitted + 1, last_admitted_at = $2, \
     day_admitted = CASE WHEN day_at <= $3 THEN 1 ELSE day_admitted + 1 END, day_at = CASE WHEN day_at <= $3 THEN $2 ELSE day_at END WHERE id = $1",
);

pub(crate) const ALL: &[&Sql] = &[
    &LIST,
    &HELD,
    &ANCHORS,
    &INSERT,
    &COUNT,
    &KEY,
    &SET_CODE,
    &VERIFIED,
    &CLAIM_KEY,
    &DISABLED,
    &SET_STATE,
    &MIRROR,
    &SET_POLICY,
    &USED,
    &DELETE,
    &DELETE_KEY,
    &REFUSED,
    &ADMITTED,
    &OF_KEY,
    &REPLACE,
    &REPLACE_KEY,
    &list_store::LISTS,
    &marked::MARKED,
    &marked::MARK,
    &marked::UNMARK,
    &list_store::HELD_LIST,
    &list_store::LIST_DER,
    &list_store::PUT_LIST,
    &list_store::DELETE_LIST,
    &list_store::MARKS,
    &list_store::AWAITED,
    &list_store::ALL_AWAITED,
    &list_store::PUT_AWAITED,
    &list_store::DELETE_AWAITED,
    &address_store::ADDRESSES,
    &address_store::ADDRESS,
    &address_store::PUT_ADDRESS,
    &address_store::DELETE_ADDRESS,
    &address_store::DUE,
    &address_store::TAKE,
    &address_store::ASK_NOW,
    &address_store::ASK_ANEW,
    &address_store::OLDEST,
    &address_store::GAVE,
    &address_store::GAVE_SAME,
    &address_store::GAVE_NONE,
    &address_store::TROUBLED,
    &leaves::BY_FINGERPRINT,
    &leaves::OF_DEVICE,
    &leaves::REVOKED,
    &leaves::LEAF,
];

/// The organization's, newest first.
pub(super) async fn list(on: &mut impl Conn, org: &OrgId) -> Result<Vec<RegisteredRow>, Error> {
    rows!(on, RegisteredRow, LIST, org.as_str())
}

/// The row, which nobody else changes until the transaction ends.
pub(crate) async fn held(tx: &mut Tx, id: &AuthorityId) -> Result<Option<RegisteredRow>, Error> {
    row!(tx, RegisteredRow, HELD, id.as_str())
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct AnchorRecord {
    pub id: String,
    pub org_id: String,
    pub der: Vec<u8>,
    pub state: String,
    pub not_before: i64,
    pub not_after: i64,
    pub ended_list: String,
    pub list_sha256: Option<Vec<u8>>,
    pub awaits_since: Option<i64>,
}

/// Those that were enabled, of every organization.
pub(in crate::pki) async fn anchors(on: &mut impl Conn) -> Result<Vec<AnchorRecord>, Error> {
    rows!(on, AnchorRecord, ANCHORS)
}

/// A new one and its code.
pub(super) struct New<'a> {
    pub id: &'a AuthorityId,
    pub org: &'a OrgId,
    pub label: &'a str,
    pub certificate: &'a AuthorityCertificate,
    pub fingerprint: &'a [u8],
    pub code: &'a str,
    pub code_until: Timestamp,
    pub now: Timestamp,
    pub by: &'a str,
}

/// Writes it down; `false` when the organization has registered this key before.
pub(super) async fn insert(tx: &mut Tx, n: &New<'_>) -> Result<bool, Error> {
    let c = n.certificate;
    let inserted = exec!(
        tx,
        INSERT,
        n.id.as_str(),
        n.org.as_str(),
        n.label,
        c.subject.as_str(),
        c.key_alg.to_string(),
        c.spki_sha256.as_slice(),
        n.fingerprint,
        c.der.as_slice(),
        c.not_before.0,
        c.not_after.0,
        n.code,
        n.code_until.0,
        n.now.0,
        n.by
    )?;
    Ok(inserted == 1)
}

pub(super) async fn count(on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), COUNT, org.as_str())?.map_or(0, |(n,)| n))
}

/// Kind and organization of whoever has this key already, or that it is `blocked`, or `blocked_by_hand` in this organization.
pub(in crate::pki) async fn key(on: &mut impl Conn, org: &OrgId, spki_sha256: &[u8]) -> Result<Option<(String, String)>, Error> {
    row!(on, (String, String), KEY, spki_sha256, org.as_str())
}

/// The organization's authority with this key.
pub(super) async fn of_key(on: &mut impl Conn, org: &OrgId, spki_sha256: &[u8]) -> Result<Option<AuthorityId>, Error> {
    let found = row!(on, (String,), OF_KEY, org.as_str(), spki_sha256)?;
    found.map(|(id,)| id.parse().map_err(Error::corrupt)).transpose()
}

/// Puts another certificate for the same key and name in the place of the one there is; `false` when that one does not end sooner.
pub(super) async fn replace(tx: &mut Tx, id: &AuthorityId, c: &AuthorityCertificate, fingerprint: &[u8]) -> Result<bool, Error> {
    let (der, from, until) = (c.der.as_slice(), c.not_before.0, c.not_after.0);
    if exec!(tx, REPLACE, id.as_str(), fingerprint, der, from, until)? == 0 {
        return Ok(false);
    }
    // It has a row there once its possession was proved.
    exec!(tx, REPLACE_KEY, id.as_str(), c.serial.as_slice(), c.ski.as_slice(), fingerprint, der, from, until)?;
    Ok(true)
}

pub(super) async fn set_code(tx: &mut Tx, id: &AuthorityId, code: &str, until: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, SET_CODE, id.as_str(), code, until.0)? == 1)
}

/// Takes the code, once; `false` when it was taken.
pub(super) async fn verified(tx: &mut Tx, id: &AuthorityId, code: &str, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, VERIFIED, id.as_str(), code, now.0)? == 1)
}

/// Makes the key this authority's own; a unique violation when it is somebody else's by now.
pub(super) async fn claim_key(
    tx: &mut Tx,
    id: &AuthorityId,
    org: &OrgId,
    c: &AuthorityCertificate,
    fingerprint: &[u8],
    now: Timestamp,
) -> Result<(), Error> {
    exec!(
        tx,
        CLAIM_KEY,
        id.as_str(),
        org.as_str(),
        c.serial.as_slice(),
        c.subject.as_str(),
        c.key_alg.to_string(),
        c.ski.as_slice(),
        c.spki_sha256.as_slice(),
        fingerprint,
        c.der.as_slice(),
        c.not_before.0,
        c.not_after.0,
        now.0
    )?;
    Ok(())
}

/// Those that are not believed any more, of every organization.
pub(in crate::pki) async fn disabled(on: &mut impl Conn) -> Result<Vec<(OrgId, AuthorityId)>, Error> {
    let found = rows!(on, (String, String), DISABLED)?;
    found.into_iter().map(|(org, id)| Ok((org.parse().map_err(Error::corrupt)?, id.parse().map_err(Error::corrupt)?))).collect()
}

/// Moves it on; `false` when it is not where it should come from. `mirror` is the word of its row among the authorities.
pub(super) async fn set_state(
    tx: &mut Tx,
    id: &AuthorityId,
    from: RegisteredState,
    to: RegisteredState,
    mirror: &str,
) -> Result<bool, Error> {
    let moved = exec!(tx, SET_STATE, id.as_str(), from.as_str(), to.as_str())? == 1;
    exec!(tx, MIRROR, id.as_str(), mirror)?;
    Ok(moved)
}

pub(super) async fn set_policy(tx: &mut Tx, id: &AuthorityId, p: &JustInTimePolicy) -> Result<(), Error> {
    let (kind, template, pattern) = (p.just_in_time.as_str(), p.template.as_str(), p.pattern.as_str());
    let (tags, groups, most, ended) = (p.tags.join(" "), p.groups.join(" "), p.max_devices, p.ended_list.as_str());
    exec!(tx, SET_POLICY, id.as_str(), kind, p.device_type.as_str(), tags, template, pattern, most, p.per_day, ended, p.exchange, groups)?;
    Ok(())
}

/// Whether any certificate of it is in the books.
pub(super) async fn used(on: &mut impl Conn, id: &AuthorityId) -> Result<bool, Error> {
    Ok(row!(on, (i64,), USED, id.as_str())?.is_some_and(|(n,)| n > 0))
}

pub(super) async fn delete(tx: &mut Tx, id: &AuthorityId) -> Result<(), Error> {
    list_store::delete_list(tx, id).await?;
    list_store::delete_awaited(tx, id).await?;
    address_store::delete_address(tx, id).await?;
    exec!(tx, DELETE_KEY, id.as_str())?;
    exec!(tx, DELETE, id.as_str())?;
    Ok(())
}

pub(crate) async fn count_refused(tx: &mut Tx, id: &AuthorityId, refused: i64) -> Result<(), Error> {
    exec!(tx, REFUSED, id.as_str(), refused)?;
    Ok(())
}

pub(crate) async fn count_admitted(tx: &mut Tx, id: &AuthorityId, now: Timestamp, day: Timestamp) -> Result<(), Error> {
    exec!(tx, ADMITTED, id.as_str(), now.0, day.0)?;
    Ok(())
}
