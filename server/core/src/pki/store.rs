//! The room's SQL. Refuses to decide anything.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId, OrgId},
};

const SLUG: Sql = Sql::same("SELECT slug FROM organizations WHERE id = $1");
const NEXT_TRUST: Sql = Sql::same("UPDATE trust_clock SET seq = seq + 1 WHERE id = 1 RETURNING seq");

const AUTHORITY: Sql = Sql::same(
    "INSERT INTO authorities (id, org_id, kind, generation, issuer_id, serial, subject, key_alg, sig_alg, profile_version, ski, spki_sha256, fingerprint, der, \
     sealed_key, base_url, not_before, not_after, state, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
);
const AUTHORITIES: Sql = Sql::same(
    "SELECT a.id, a.org_id, o.slug, a.kind, a.issuer_id, a.subject, a.spki_sha256, a.fingerprint, a.der, a.sealed_key, a.base_url, a.not_before, a.not_after, a.state \
     FROM authorities a JOIN organizations o ON o.id = a.org_id ORDER BY o.created_at, o.id, a.created_at, a.id",
);

const KEY_USERS: Sql = Sql::same(
    "SELECT 'authority' FROM authorities WHERE spki_sha256 = $1 \
     UNION ALL SELECT 'blocked' FROM blocked_keys WHERE spki_sha256 = $1 \
     UNION ALL SELECT 'device' FROM certificates WHERE spki_sha256 = $1 AND (device IS NULL OR device <> $2) LIMIT 1",
);
const RESERVE: Sql = Sql::same(
    "INSERT INTO certificates (id, org_id, issuer_id, serial, profile, profile_version, device, subject, key_alg, sig_alg, spki_sha256, csr_sha256, \
     not_before, not_after, usable_until, state, issued_at, enrolled_by, replaces_id, trust_seq) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, 'issuing', $15, $16, $17, $18) \
     ON CONFLICT (issuer_id, serial) DO NOTHING",
);
const SIGNED: Sql = Sql::same("UPDATE certificates SET der = $2, fingerprint = $3, state = 'active' WHERE id = $1 AND state = 'issuing'");
const ISSUED: Sql = Sql::same(
    "SELECT c.issuer_id, d.device_id, c.der, c.not_before, c.not_after FROM certificates c JOIN devices d ON d.number = c.device \
     WHERE c.id = $1 AND c.org_id = $2 AND c.der IS NOT NULL",
);
const HAS_KEY: Sql = Sql::same("SELECT id FROM certificates WHERE id = $1 AND spki_sha256 = $2");
const IS_ACTIVE: Sql = Sql::same(
    "SELECT c.id FROM certificates c JOIN devices d ON d.number = c.device WHERE c.id = $1 AND c.state = 'active' AND d.state = 'active'",
);
const IS_UNUSED: Sql = Sql::same("SELECT first_used_at FROM certificates WHERE id = $1 AND state = 'active'");

const LEAVES: Sql = Sql::same(
    "SELECT c.id, c.org_id, c.device, d.device_id, d.state AS device_state, o.slug, c.issuer_id, c.fingerprint, c.state, c.not_before, c.usable_until, \
     CAST(CASE WHEN c.first_used_at IS NULL THEN 0 ELSE 1 END AS BIGINT) AS used \
     FROM certificates c JOIN devices d ON d.number = c.device JOIN organizations o ON o.id = c.org_id \
     WHERE c.trust_seq > $1 AND c.fingerprint IS NOT NULL AND c.not_after > $2 ORDER BY c.trust_seq",
);
const TRUST_SEQ: Sql = Sql::same("SELECT seq FROM trust_clock WHERE id = 1");
const TOUCH_DEVICE: Sql = Sql::same("UPDATE certificates SET trust_seq = $2 WHERE device = $1");

const FIRST_USE: Sql =
    Sql::same("UPDATE certificates SET first_used_at = $2 WHERE id = $1 AND first_used_at IS NULL RETURNING device, issued_at");
const RETIRE_OLDER: Sql = Sql::same(
    "UPDATE certificates SET usable_until = $4, trust_seq = $5 \
     WHERE device = $1 AND id <> $2 AND issued_at <= $3 AND state = 'active' AND usable_until > $4",
);
const SUPERSEDE: Sql = Sql::same(
    "UPDATE certificates SET state = 'superseded', trust_seq = $2 WHERE state = 'active' AND usable_until <= $1 AND usable_until < not_after",
);
const EXPIRE: Sql = Sql::same("UPDATE certificates SET state = 'expired', trust_seq = $2 WHERE state = 'active' AND not_after <= $1");
const DUE: Sql = Sql::same("SELECT COUNT(*) FROM certificates WHERE state = 'active' AND usable_until <= $1");
const UNUSED: Sql = Sql::same(
    "UPDATE certificates SET state = 'superseded', trust_seq = $4 WHERE device = $1 AND replaces_id = $2 AND first_used_at IS NULL AND state = 'active' AND id <> $3",
);

const FOR_REVOCATION: Sql = Sql::same("SELECT device, state, spki_sha256 FROM certificates WHERE id = $1 AND org_id = $2");
const USABLE_OF: Sql =
    Sql::same("SELECT id FROM certificates WHERE device = $1 AND org_id = $2 AND state IN ('active', 'superseded') ORDER BY issued_at, id");
const REVOKE: Sql = Sql::same(
    "UPDATE certificates SET state = 'revoked', revoked_at = $3, revoked_by = $4, reason = $5, trust_seq = $6 \
     WHERE id = $1 AND org_id = $2 AND state <> 'revoked'",
);
const BLOCK: Sql = Sql::same(
    "INSERT INTO blocked_keys (spki_sha256, org_id, reason, blocked_at) VALUES ($1, $2, $3, $4) ON CONFLICT (spki_sha256) DO NOTHING",
);

const PAGE: Sql = Sql::same(
    "SELECT c.id, c.subject, c.serial, c.fingerprint, a.subject AS issuer, c.key_alg, c.not_before, c.not_after, c.state, c.reason, c.first_used_at \
     FROM certificates c JOIN authorities a ON a.id = c.issuer_id \
     WHERE c.org_id = $1 AND c.device IS NOT NULL AND c.fingerprint IS NOT NULL AND ($2 = '' OR c.state = $2) \
     AND (c.not_after > $3 OR (c.not_after = $3 AND c.id > $4)) ORDER BY c.not_after, c.id LIMIT $5",
);
const COUNT: Sql = Sql::same(
    "SELECT COUNT(*) FROM certificates WHERE org_id = $1 AND device IS NOT NULL AND fingerprint IS NOT NULL AND ($2 = '' OR state = $2)",
);
const OF_DEVICE: Sql = Sql::same(
    "SELECT c.id, c.subject, c.serial, c.fingerprint, a.subject AS issuer, c.key_alg, c.not_before, c.not_after, c.state, c.reason, c.first_used_at \
     FROM certificates c JOIN authorities a ON a.id = c.issuer_id \
     WHERE c.device = $1 AND c.fingerprint IS NOT NULL ORDER BY c.issued_at DESC, c.id DESC LIMIT 50",
);
const EXPIRING: Sql = Sql::same(
    "SELECT COUNT(*) FROM certificates WHERE org_id = $1 AND device IS NOT NULL AND state = 'active' AND usable_until = not_after \
     AND not_after > $2 AND not_after <= $3",
);

pub(crate) const ALL: &[&Sql] = &[
    &SLUG,
    &NEXT_TRUST,
    &AUTHORITY,
    &AUTHORITIES,
    &KEY_USERS,
    &RESERVE,
    &SIGNED,
    &ISSUED,
    &HAS_KEY,
    &IS_ACTIVE,
    &IS_UNUSED,
    &LEAVES,
    &TRUST_SEQ,
    &TOUCH_DEVICE,
    &FIRST_USE,
    &RETIRE_OLDER,
    &SUPERSEDE,
    &EXPIRE,
    &DUE,
    &UNUSED,
    &FOR_REVOCATION,
    &USABLE_OF,
    &REVOKE,
    &BLOCK,
    &PAGE,
    &COUNT,
    &OF_DEVICE,
    &EXPIRING,
];

/// The organization's slug.
pub(super) async fn slug(on: &mut impl Conn, org: &OrgId) -> Result<Option<String>, Error> {
    Ok(row!(on, (String,), SLUG, org.as_str())?.map(|(slug,)| slug))
}

/// The number of this change of trust. Other changes wait until this transaction ends.
pub(super) async fn next_trust(tx: &mut Tx) -> Result<i64, Error> {
    let (seq,) = row!(tx, (i64,), NEXT_TRUST)?.ok_or_else(|| Error::corrupt("trust_clock has no row"))?;
    Ok(seq)
}

/// A new authority's row.
pub(super) struct NewAuthority<'a> {
    pub id: &'a AuthorityId,
    pub org: &'a OrgId,
    pub kind: &'a str,
    pub generation: i64,
    pub issuer: &'a AuthorityId,
    pub serial: &'a [u8],
    pub subject: &'a str,
    pub profile_version: i64,
    pub ski: &'a [u8],
    pub spki_sha256: &'a [u8],
    pub fingerprint: &'a [u8],
    pub der: &'a [u8],
    pub sealed_key: &'a [u8],
    pub base_url: &'a str,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub now: Timestamp,
}

pub(super) async fn insert_authority(tx: &mut Tx, a: &NewAuthority<'_>) -> Result<(), Error> {
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
        "P-256",
        SIG_ALG,
        a.profile_version,
        a.ski,
        a.spki_sha256,
        a.fingerprint,
        a.der,
        a.sealed_key,
        a.base_url,
        a.not_before.0,
        a.not_after.0,
        "active",
        a.now.0
    )?;
    Ok(())
}

/// How every authority of profile version 1 signs.
pub(super) const SIG_ALG: &str = "ecdsa-with-SHA256";

#[derive(sqlx::FromRow)]
pub(super) struct AuthorityRecord {
    pub id: String,
    pub org_id: String,
    pub slug: String,
    pub kind: String,
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
}

/// Every authority of the instance, the oldest organization's first.
pub(super) async fn authorities(on: &mut impl Conn) -> Result<Vec<AuthorityRecord>, Error> {
    rows!(on, AuthorityRecord, AUTHORITIES)
}

/// Why a device may not have this key: `authority`, `blocked` or `device`.
pub(super) async fn key_user(on: &mut impl Conn, spki_sha256: &[u8], device: i64) -> Result<Option<String>, Error> {
    Ok(row!(on, (String,), KEY_USERS, spki_sha256, device)?.map(|(who,)| who))
}

/// A certificate about to be signed.
pub(super) struct Reservation<'a> {
    pub id: &'a CertificateId,
    pub org: &'a OrgId,
    pub issuer: &'a AuthorityId,
    pub profile: &'a str,
    pub profile_version: i64,
    pub device: Option<i64>,
    pub subject: &'a str,
    pub key_alg: &'a str,
    pub spki_sha256: &'a [u8],
    pub csr_sha256: &'a [u8],
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub now: Timestamp,
    pub enrolled_by: &'a str,
    pub replaces: Option<&'a CertificateId>,
    pub trust_seq: i64,
}

/// Takes the serial under its unique index; `false` when it is taken.
pub(super) async fn reserve(tx: &mut Tx, r: &Reservation<'_>, serial: &[u8]) -> Result<bool, Error> {
    let inserted = exec!(
        tx,
        RESERVE,
        r.id.as_str(),
        r.org.as_str(),
        r.issuer.as_str(),
        serial,
        r.profile,
        r.profile_version,
        r.device,
        r.subject,
        r.key_alg,
        SIG_ALG,
        r.spki_sha256,
        r.csr_sha256,
        r.not_before.0,
        r.not_after.0,
        r.now.0,
        r.enrolled_by,
        r.replaces.map(CertificateId::as_str),
        r.trust_seq
    )?;
    Ok(inserted == 1)
}

pub(super) async fn signed(tx: &mut Tx, id: &CertificateId, der: &[u8], fingerprint: &[u8]) -> Result<(), Error> {
    match exec!(tx, SIGNED, id.as_str(), der, fingerprint)? {
        1 => Ok(()),
        _ => Err(Error::corrupt("a reserved certificate is gone")),
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct IssuedRecord {
    pub issuer_id: String,
    pub device_id: String,
    pub der: Vec<u8>,
    pub not_before: i64,
    pub not_after: i64,
}

/// A device's certificate with its bytes.
pub(super) async fn issued(on: &mut impl Conn, id: &CertificateId, org: &OrgId) -> Result<Option<IssuedRecord>, Error> {
    row!(on, IssuedRecord, ISSUED, id.as_str(), org.as_str())
}

/// Whether the certificate is for this key.
pub(super) async fn has_key(on: &mut impl Conn, id: &CertificateId, spki_sha256: &[u8]) -> Result<bool, Error> {
    Ok(row!(on, (String,), HAS_KEY, id.as_str(), spki_sha256)?.is_some())
}

/// Whether certificate and device are both active.
pub(super) async fn is_active(on: &mut impl Conn, id: &CertificateId) -> Result<bool, Error> {
    Ok(row!(on, (String,), IS_ACTIVE, id.as_str())?.is_some())
}

/// Whether the certificate is active and no connection was ever made with it.
pub(super) async fn is_unused(on: &mut impl Conn, id: &CertificateId) -> Result<bool, Error> {
    Ok(row!(on, (Option<i64>,), IS_UNUSED, id.as_str())?.is_some_and(|(used,)| used.is_none()))
}

#[derive(sqlx::FromRow)]
pub(super) struct LeafRecord {
    pub id: String,
    pub org_id: String,
    pub device: i64,
    pub device_id: String,
    pub device_state: String,
    pub slug: String,
    pub issuer_id: String,
    pub fingerprint: Vec<u8>,
    pub state: String,
    pub not_before: i64,
    pub usable_until: i64,
    pub used: i64,
}

/// Device leaves that changed after `seq` and had not ended at `since`.
pub(super) async fn leaves(on: &mut impl Conn, seq: i64, since: Timestamp) -> Result<Vec<LeafRecord>, Error> {
    rows!(on, LeafRecord, LEAVES, seq, since.0)
}

pub(super) async fn trust_seq(on: &mut impl Conn) -> Result<i64, Error> {
    Ok(row!(on, (i64,), TRUST_SEQ)?.map_or(0, |(seq,)| seq))
}

pub(super) async fn touch_device(tx: &mut Tx, device: i64, seq: i64) -> Result<(), Error> {
    exec!(tx, TOUCH_DEVICE, device, seq)?;
    Ok(())
}

/// Notes the first use; gives the device and the time of issue when it was the first.
pub(super) async fn first_use(tx: &mut Tx, id: &CertificateId, now: Timestamp) -> Result<Option<(i64, i64)>, Error> {
    row!(tx, (i64, i64), FIRST_USE, id.as_str(), now.0)
}

/// Ends the device's certificates issued before this one at `end`.
pub(super) async fn retire_older(
    tx: &mut Tx,
    device: i64,
    id: &CertificateId,
    issued_at: i64,
    end: Timestamp,
    seq: i64,
) -> Result<u64, Error> {
    exec!(tx, RETIRE_OLDER, device, id.as_str(), issued_at, end.0, seq)
}

/// How many certificates have ended and don't say so.
pub(super) async fn due(on: &mut impl Conn, now: Timestamp) -> Result<i64, Error> {
    Ok(row!(on, (i64,), DUE, now.0)?.map_or(0, |(n,)| n))
}

/// Gives ended certificates the state they are in.
pub(super) async fn settle(tx: &mut Tx, now: Timestamp, seq: i64) -> Result<(), Error> {
    exec!(tx, SUPERSEDE, now.0, seq)?;
    exec!(tx, EXPIRE, now.0, seq)?;
    Ok(())
}

/// Supersedes unused successors of `replaced`, all but `keep` (pki.md R-2: two usable certificates at most).
pub(super) async fn drop_unused(tx: &mut Tx, device: i64, replaced: &CertificateId, keep: &CertificateId, seq: i64) -> Result<(), Error> {
    exec!(tx, UNUSED, device, replaced.as_str(), keep.as_str(), seq)?;
    Ok(())
}

#[derive(sqlx::FromRow)]
pub(super) struct RevocationRecord {
    pub device: Option<i64>,
    pub state: String,
    pub spki_sha256: Vec<u8>,
}

pub(super) async fn for_revocation(on: &mut impl Conn, id: &CertificateId, org: &OrgId) -> Result<Option<RevocationRecord>, Error> {
    row!(on, RevocationRecord, FOR_REVOCATION, id.as_str(), org.as_str())
}

pub(super) async fn usable_of(on: &mut impl Conn, device: i64, org: &OrgId) -> Result<Vec<(String,)>, Error> {
    rows!(on, (String,), USABLE_OF, device, org.as_str())
}

/// Revokes; `false` when it was revoked before.
pub(super) async fn revoke(
    tx: &mut Tx,
    id: &CertificateId,
    org: &OrgId,
    now: Timestamp,
    by: &str,
    reason: &str,
    seq: i64,
) -> Result<bool, Error> {
    Ok(exec!(tx, REVOKE, id.as_str(), org.as_str(), now.0, by, reason, seq)? == 1)
}

pub(super) async fn block_key(tx: &mut Tx, spki_sha256: &[u8], org: &OrgId, reason: &str, now: Timestamp) -> Result<(), Error> {
    exec!(tx, BLOCK, spki_sha256, org.as_str(), reason, now.0)?;
    Ok(())
}

#[derive(sqlx::FromRow)]
pub(super) struct ListRecord {
    pub id: String,
    pub subject: String,
    pub serial: Vec<u8>,
    pub fingerprint: Vec<u8>,
    pub issuer: String,
    pub key_alg: String,
    pub not_before: i64,
    pub not_after: i64,
    pub state: String,
    pub reason: String,
    pub first_used_at: Option<i64>,
}

/// Device certificates after `(not_after, id)`, those that end first in front.
pub(super) async fn page(on: &mut impl Conn, org: &OrgId, state: &str, after: (i64, &str), limit: i64) -> Result<Vec<ListRecord>, Error> {
    rows!(on, ListRecord, PAGE, org.as_str(), state, after.0, after.1, limit)
}

pub(super) async fn count(on: &mut impl Conn, org: &OrgId, state: &str) -> Result<i64, Error> {
    Ok(row!(on, (i64,), COUNT, org.as_str(), state)?.map_or(0, |(n,)| n))
}

/// A device's certificates, newest first.
pub(super) async fn of_device(on: &mut impl Conn, device: i64) -> Result<Vec<ListRecord>, Error> {
    rows!(on, ListRecord, OF_DEVICE, device)
}

/// Active certificates without a used successor that end between the two instants.
pub(super) async fn expiring(on: &mut impl Conn, org: &OrgId, from: Timestamp, until: Timestamp) -> Result<i64, Error> {
    Ok(row!(on, (i64,), EXPIRING, org.as_str(), from.0, until.0)?.map_or(0, |(n,)| n))
}
