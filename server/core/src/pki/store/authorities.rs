//! Authorities and their sealed keys.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    states::AuthorityState,
};

pub(super) const SLUG: Sql = Sql::same("SELECT slug FROM organizations WHERE id = $1");
pub(super) const AUTHORITY: Sql = Sql::same(
    "INSERT INTO authorities (id, org_id, kind, generation, issuer_id, serial, subject, key_alg, sig_alg, profile_version, ski, spki_sha256, fingerprint, der, \
     sealed_key, base_url, not_before, not_after, state, created_at, imported) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
);
/// In the order in which they were made; those of one moment from the root on, and by their generations.
pub(super) const AUTHORITIES: Sql = Sql::same(
    "SELECT a.id, a.org_id, o.slug, a.kind, a.generation, a.issuer_id, a.subject, a.spki_sha256, a.fingerprint, a.der, a.sealed_key, a.base_url, a.not_before, a.not_after, a.state, a.ended_at, a.ended_seq, a.bundle, a.exported_at, a.offline_at, a.imported, a.frozen_at, a.way_back, a.way_back_until \
     FROM authorities a JOIN organizations o ON o.id = a.org_id WHERE a.kind <> 'registered' ORDER BY o.created_at, o.id, a.created_at, \
     CASE a.kind WHEN 'root' THEN 0 ELSE 1 END, a.kind, a.generation, a.id",
);
pub(super) const SEALED_KEYS: Sql =
    Sql::same("SELECT id, spki_sha256, sealed_key FROM authorities WHERE sealed_key IS NOT NULL ORDER BY id");
pub(super) const SET_SEALED_KEY: Sql = Sql::same("UPDATE authorities SET sealed_key = $2 WHERE id = $1");

/// Also of those that wait for their certificate, came to nothing, or are known from the journal alone: a name is never used twice.
pub(super) const GENERATION: Sql = Sql::same(
    "SELECT CAST(COALESCE(MAX(g.generation), 0) AS BIGINT) FROM (SELECT generation FROM authorities WHERE org_id = $1 AND kind = $2 \
     UNION ALL SELECT generation FROM authority_requests WHERE org_id = $1 AND kind = $2 \
     UNION ALL SELECT n.generation FROM authority_names n JOIN organizations o ON o.slug = n.organization WHERE o.id = $1 AND n.kind = $2) g",
);
pub(super) const IN_STATE: Sql = Sql::same("SELECT COUNT(*) FROM authorities WHERE org_id = $1 AND kind = $2 AND state = $3");
pub(super) const AUTHORITY_STATE: Sql =
    Sql::same("SELECT kind, state FROM authorities WHERE id = $1 AND org_id = $2 AND kind <> 'registered'");
pub(super) const SET_STATE: Sql =
    Sql::same("UPDATE authorities SET state = $4, ended_at = $5, ended_seq = $6 WHERE id = $1 AND org_id = $2 AND state = $3");
pub(super) const RETIRE_ACTIVE: Sql =
    Sql::same("UPDATE authorities SET state = 'retiring' WHERE org_id = $1 AND kind = $2 AND state = 'active'");
pub(super) const UNEXPIRED: Sql = Sql::same(
    "SELECT COUNT(*) FROM certificates WHERE issuer_id = $1 AND (device IS NOT NULL OR profile = 'claim') AND state = 'active' AND not_after > $2",
);

pub(super) const BUNDLE_OF: Sql = Sql::same("SELECT bundle FROM authorities WHERE id = $1");
pub(super) const ISSUER_STATE: Sql =
    Sql::same("SELECT i.state FROM authorities a JOIN authorities i ON i.id = a.issuer_id WHERE a.id = $1");
pub(super) const LIVE_UNDER: Sql =
    Sql::same("SELECT COUNT(*) FROM authorities WHERE issuer_id = $1 AND id <> issuer_id AND state IN ('staged', 'active', 'retiring')");
pub(super) const BELIEVED_UNDER: Sql = Sql::same(
    "SELECT id, state FROM authorities WHERE issuer_id = $1 AND id <> issuer_id AND state IN ('staged', 'active', 'retiring') ORDER BY id",
);
pub(super) const STAGED_UNDER: Sql =
    Sql::same("SELECT id, kind FROM authorities WHERE issuer_id = $1 AND id <> issuer_id AND state = 'staged' ORDER BY id");
pub(super) const HANGING: Sql = Sql::same(concat!(
    "SELECT issuer_id, COUNT(*), CAST(COALESCE(SUM(CASE WHEN usable_until = not_after THEN 1 ELSE 0 END), 0) AS BIGINT) FROM certificates \
     WHERE org_id = $1 AND (device IS NOT NULL OR profile = 'claim') AND state = 'active' AND not_after > $2 AND issuer_id NOT IN ",
    unbelieved!(),
    " GROUP BY issuer_id"
));
/// What was handed out so far, where this one was what it would have led to.
pub(super) const FREEZE: Sql = Sql::same("UPDATE authorities SET frozen_at = $3 WHERE id = $1 AND org_id = $2 AND kind = 'device'");
pub(super) const THAW: Sql = Sql::same("UPDATE authorities SET frozen_at = NULL WHERE id = $1 AND org_id = $2 AND frozen_at IS NOT NULL");
pub(super) const WAY_BACK: Sql = Sql::same(
    "UPDATE authorities SET way_back = $3, way_back_until = $4 WHERE id = $1 AND org_id = $2 AND kind = 'device' AND state IN ('retired', 'compromised')",
);
/// Active devices that have a certificate of it, and none by which they get in.
pub(super) const LEFT_BEHIND: Sql = Sql::same(concat!(
    "SELECT COUNT(DISTINCT c.device) FROM certificates c JOIN devices d ON d.number = c.device \
     WHERE c.issuer_id = $1 AND c.state IN ('active', 'expired') AND d.state = 'active' AND d.deleted_at IS NULL \
     AND NOT EXISTS (SELECT 1 FROM certificates s WHERE s.device = c.device AND s.state = 'active' AND s.not_after > $2 AND s.issuer_id NOT IN ",
    unbelieved!(),
    ")"
));

pub(super) const ISSUED_AS: Sql = Sql::same("SELECT der FROM certificates WHERE issuer_id = $1 AND serial = $2 AND der IS NOT NULL");
/// The first sign stays until a person has looked at it.
pub(super) const ALARM: Sql = Sql::same("UPDATE authorities SET alarmed_at = $2, alarm = $3 WHERE id = $1 AND alarmed_at IS NULL");
pub(super) const ALARM_OF: Sql =
    Sql::same("SELECT alarm, alarmed_at FROM authorities WHERE id = $1 AND org_id = $2 AND alarmed_at IS NOT NULL");
pub(super) const ALARM_CLEAR: Sql =
    Sql::same("UPDATE authorities SET alarmed_at = NULL, alarm = '' WHERE id = $1 AND org_id = $2 AND alarmed_at IS NOT NULL");
/// One that is believed no more can do no harm.
pub(super) const ALARMED: Sql = Sql::same(
    "SELECT id, subject, alarm, alarmed_at FROM authorities WHERE org_id = $1 AND alarmed_at IS NOT NULL AND state IN ('staged', 'active', 'retiring') \
     ORDER BY alarmed_at DESC, id LIMIT $2",
);

/// The organization's slug.
pub(in crate::pki) async fn slug(on: &mut impl Conn, org: &OrgId) -> Result<Option<String>, Error> {
    Ok(row!(on, (String,), SLUG, org.as_str())?.map(|(slug,)| slug))
}

/// A new authority's row.
pub(in crate::pki) struct NewAuthority<'a> {
    pub id: &'a AuthorityId,
    pub org: &'a OrgId,
    pub kind: &'a str,
    pub generation: i64,
    pub issuer: &'a AuthorityId,
    pub serial: &'a [u8],
    pub subject: &'a str,
    pub profile_version: i64,
    pub ski: &'a [u8],
    pub key_alg: &'a str,
    pub sig_alg: &'a str,
    pub spki_sha256: &'a [u8],
    pub fingerprint: &'a [u8],
    pub der: &'a [u8],
    pub sealed_key: Option<&'a [u8]>,
    pub base_url: &'a str,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub state: AuthorityState,
    pub now: Timestamp,
    pub imported: bool,
}

pub(in crate::pki) async fn insert_authority(tx: &mut Tx, a: &NewAuthority<'_>) -> Result<(), Error> {
    exec!(
        tx,
        AUTHORITY,
        a.id.as_str(),
        a.org.as_str(),
        a.kind,
        a.generation,
        a.issuer.as_str(),
        a.serial,
        a.subject,
        a.key_alg,
        a.sig_alg,
        a.profile_version,
        a.ski,
        a.spki_sha256,
        a.fingerprint,
        a.der,
        a.sealed_key,
        a.base_url,
        a.not_before.0,
        a.not_after.0,
        a.state.as_str(),
        a.now.0,
        i64::from(a.imported)
    )?;
    Ok(())
}

/// The number of the organization's newest authority of this kind; 0 before the first.
pub(in crate::pki) async fn generation(on: &mut impl Conn, org: &OrgId, kind: &str) -> Result<i64, Error> {
    Ok(row!(on, (i64,), GENERATION, org.as_str(), kind)?.map_or(0, |(n,)| n))
}

/// How many of the organization's authorities of this kind are in this state.
pub(in crate::pki) async fn in_state(on: &mut impl Conn, org: &OrgId, kind: &str, state: AuthorityState) -> Result<i64, Error> {
    Ok(row!(on, (i64,), IN_STATE, org.as_str(), kind, state.as_str())?.map_or(0, |(n,)| n))
}

/// Kind and state.
pub(in crate::pki) async fn authority_state(on: &mut impl Conn, id: &AuthorityId, org: &OrgId) -> Result<Option<(String, String)>, Error> {
    row!(on, (String, String), AUTHORITY_STATE, id.as_str(), org.as_str())
}

/// Moves an authority on, with the instant and the trust clock when that ends it; `false` when it is not in the state it should come from.
pub(in crate::pki) async fn set_state(
    tx: &mut Tx,
    id: &AuthorityId,
    org: &OrgId,
    from: AuthorityState,
    to: AuthorityState,
    ended: Option<(Timestamp, i64)>,
) -> Result<bool, Error> {
    Ok(exec!(tx, SET_STATE, id.as_str(), org.as_str(), from.as_str(), to.as_str(), ended.map(|(at, _)| at.0), ended.map(|(_, seq)| seq))?
        == 1)
}

/// Lets the authority that issues now retire.
pub(in crate::pki) async fn retire_active(tx: &mut Tx, org: &OrgId, kind: &str) -> Result<(), Error> {
    exec!(tx, RETIRE_ACTIVE, org.as_str(), kind)?;
    Ok(())
}

/// How many leaves of the authority are in use and have not ended.
pub(in crate::pki) async fn unexpired(on: &mut impl Conn, id: &AuthorityId, now: Timestamp) -> Result<i64, Error> {
    Ok(row!(on, (i64,), UNEXPIRED, id.as_str(), now.0)?.map_or(0, |(n,)| n))
}

/// The first version of the trust bundle that the authority is in.
pub(in crate::pki) async fn bundle_of(on: &mut impl Conn, id: &AuthorityId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), BUNDLE_OF, id.as_str())?.map_or(0, |(version,)| version))
}

/// The state of the root above an issuing authority.
pub(in crate::pki) async fn issuer_state(on: &mut impl Conn, id: &AuthorityId) -> Result<Option<String>, Error> {
    Ok(row!(on, (String,), ISSUER_STATE, id.as_str())?.map(|(state,)| state))
}

/// How many authorities that this one has signed are believed.
pub(in crate::pki) async fn live_under(on: &mut impl Conn, id: &AuthorityId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), LIVE_UNDER, id.as_str())?.map_or(0, |(n,)| n))
}

/// Id and state of those authorities that this one has signed and that are still believed.
pub(in crate::pki) async fn believed_under(on: &mut impl Conn, id: &AuthorityId) -> Result<Vec<(String, String)>, Error> {
    rows!(on, (String, String), BELIEVED_UNDER, id.as_str())
}

/// The staged authorities that this one has signed.
pub(in crate::pki) async fn staged_under(on: &mut impl Conn, id: &AuthorityId) -> Result<Vec<(String, String)>, Error> {
    rows!(on, (String, String), STAGED_UNDER, id.as_str())
}

/// By issuer: the organization's device certificates that are in use, and those among them that have no successor in use.
pub(in crate::pki) async fn hanging(on: &mut impl Conn, org: &OrgId, now: Timestamp) -> Result<Vec<(String, i64, i64)>, Error> {
    rows!(on, (String, i64, i64), HANGING, org.as_str(), now.0)
}

/// Freezes tokens and claims made until now, where the authority issues to devices.
pub(in crate::pki) async fn freeze(tx: &mut Tx, id: &AuthorityId, org: &OrgId, now: Timestamp) -> Result<(), Error> {
    exec!(tx, FREEZE, id.as_str(), org.as_str(), now.0)?;
    Ok(())
}

/// Lifts that; `false` when nothing was frozen.
pub(in crate::pki) async fn thaw(tx: &mut Tx, id: &AuthorityId, org: &OrgId) -> Result<bool, Error> {
    Ok(exec!(tx, THAW, id.as_str(), org.as_str())? == 1)
}

/// How devices of an authority that has ended may come back, and until when; `false` when it is none that has.
pub(in crate::pki) async fn set_way_back(tx: &mut Tx, id: &AuthorityId, org: &OrgId, how: &str, until: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, WAY_BACK, id.as_str(), org.as_str(), how, until.0)? == 1)
}

/// How many active devices have a certificate of it and none that is believed.
pub(in crate::pki) async fn left_behind(on: &mut impl Conn, id: &AuthorityId, now: Timestamp) -> Result<i64, Error> {
    Ok(row!(on, (i64,), LEFT_BEHIND, id.as_str(), now.0)?.map_or(0, |(n,)| n))
}

/// How every authority of profile version 1 signs.
pub(in crate::pki) const SIG_ALG: &str = "ecdsa-with-SHA256";

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct AuthorityRecord {
    pub id: String,
    pub org_id: String,
    pub slug: String,
    pub kind: String,
    pub generation: i64,
    pub issuer_id: String,
    pub subject: String,
    pub spki_sha256: Vec<u8>,
    pub fingerprint: Vec<u8>,
    pub der: Vec<u8>,
    pub sealed_key: Option<Vec<u8>>,
    pub base_url: String,
    pub not_before: i64,
    pub not_after: i64,
    pub state: String,
    pub ended_at: Option<i64>,
    pub ended_seq: Option<i64>,
    pub bundle: i64,
    pub exported_at: Option<i64>,
    pub offline_at: Option<i64>,
    pub imported: i64,
    pub frozen_at: Option<i64>,
    pub way_back: String,
    pub way_back_until: i64,
}

/// Every authority of the instance, the oldest organization's first.
pub(in crate::pki) async fn authorities(on: &mut impl Conn) -> Result<Vec<AuthorityRecord>, Error> {
    rows!(on, AuthorityRecord, AUTHORITIES)
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct KeyRecord {
    pub id: String,
    pub spki_sha256: Vec<u8>,
    pub sealed_key: Vec<u8>,
}

/// Every authority's key that is on this machine.
pub(in crate::pki) async fn sealed_keys(on: &mut impl Conn) -> Result<Vec<KeyRecord>, Error> {
    rows!(on, KeyRecord, SEALED_KEYS)
}

pub(in crate::pki) async fn set_sealed_key(tx: &mut Tx, id: &AuthorityId, sealed: &[u8]) -> Result<(), Error> {
    exec!(tx, SET_SEALED_KEY, id.as_str(), sealed)?;
    Ok(())
}

/// The certificate, DER, that an authority has issued with this serial number.
pub(in crate::pki) async fn issued_as(on: &mut impl Conn, issuer: &AuthorityId, serial: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    Ok(row!(on, (Vec<u8>,), ISSUED_AS, issuer.as_str(), serial)?.map(|(der,)| der))
}

/// Notes that the authority's key may be in other hands, unless that was noted before.
pub(in crate::pki) async fn alarm(tx: &mut Tx, id: &AuthorityId, now: Timestamp, sign: &str) -> Result<bool, Error> {
    Ok(exec!(tx, ALARM, id.as_str(), now.0, sign)? == 1)
}

/// What was noted of it.
pub(in crate::pki) async fn alarm_of(on: &mut impl Conn, id: &AuthorityId, org: &OrgId) -> Result<Option<(String, i64)>, Error> {
    row!(on, (String, i64), ALARM_OF, id.as_str(), org.as_str())
}

pub(in crate::pki) async fn clear_alarm(tx: &mut Tx, id: &AuthorityId, org: &OrgId) -> Result<bool, Error> {
    Ok(exec!(tx, ALARM_CLEAR, id.as_str(), org.as_str())? == 1)
}

/// Authorities that are believed and of which something was noted, the newest first: id, subject, what, when.
pub(in crate::pki) async fn alarmed(on: &mut impl Conn, org: &OrgId, limit: i64) -> Result<Vec<(String, String, String, i64)>, Error> {
    rows!(on, (String, String, String, i64), ALARMED, org.as_str(), limit)
}
