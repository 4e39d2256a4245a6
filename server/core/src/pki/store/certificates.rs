//! Certificates: reserved, signed, revoked, listed; and the keys that nobody may have.

use crate::db::{Bytes, Conn, Error, Sql, Tx, exec, list, many, row, rows};
use serde::Serialize;
use wire::{
    Timestamp,
    ids::{CertificateId, DeviceId, OrgId},
    pki::{CertificateSort, Revocation},
};

pub(super) const KEY_USERS: Sql = many!(
    "WITH want AS (SELECT ",
    [bytes spki, int device, text issuer],
    ") SELECT w.spki, 'authority' FROM want w JOIN authorities a ON a.spki_sha256 = w.spki \
     UNION ALL SELECT w.spki, 'authority' FROM want w JOIN authority_requests q ON q.spki_sha256 = w.spki \
     UNION ALL SELECT w.spki, 'blocked' FROM want w JOIN blocked_keys b ON b.spki_sha256 = w.spki \
     UNION ALL SELECT w.spki, 'device' FROM want w JOIN certificates c ON c.spki_sha256 = w.spki WHERE c.device IS NULL OR c.device <> w.device \
     UNION ALL SELECT w.spki, 'ended' FROM want w JOIN authorities i ON i.id = w.issuer AND i.state IN ('retired', 'compromised')"
);
pub(super) const HOLDER: Sql = Sql::same(
    "SELECT d.device_id FROM certificates c JOIN devices d ON d.number = c.device WHERE c.org_id = $1 AND c.spki_sha256 = $2 ORDER BY c.issued_at DESC LIMIT 1",
);
pub(super) const RESERVE: Sql = many!(
    "INSERT INTO certificates (id, org_id, issuer_id, serial, profile, profile_version, device, subject, key_alg, sig_alg, spki_sha256, csr_sha256, \
     not_before, not_after, usable_until, state, issued_at, enrolled_by, replaces_id, trust_seq, key_origin, validity_profile) \
     SELECT r.id, r.org, r.issuer, r.serial, r.profile, r.profile_version, r.device, r.subject, r.key_alg, r.sig_alg, r.spki_sha256, r.csr_sha256, \
     r.not_before, r.not_after, r.not_after, 'issuing', r.issued_at, r.enrolled_by, r.replaces, r.trust_seq, r.key_origin, r.validity_profile FROM (SELECT ",
    [text id, text org, text issuer, bytes serial, text profile, int profile_version, int device, text subject, text key_alg, text sig_alg,
     bytes spki_sha256, bytes csr_sha256, int not_before, int not_after, int issued_at, text enrolled_by, text replaces, int trust_seq, text key_origin, text validity_profile],
    ") AS r WHERE TRUE ON CONFLICT (issuer_id, serial) DO NOTHING RETURNING id"
);
pub(super) const SIGNED: Sql = many!(
    "UPDATE certificates SET der = s.der, fingerprint = s.fingerprint, state = 'active' FROM (SELECT ",
    [text id, bytes der, bytes fingerprint],
    ") AS s WHERE certificates.id = s.id AND certificates.state = 'issuing'"
);
pub(super) const ISSUED: Sql = Sql::same(
    "SELECT c.issuer_id, d.device_id, c.der, c.not_before, c.not_after, c.validity_profile FROM certificates c JOIN devices d ON d.number = c.device \
     WHERE c.id = $1 AND c.org_id = $2 AND c.der IS NOT NULL",
);
pub(super) const LEAF_FILES: Sql = many!(
    "SELECT c.id, c.issuer_id, c.serial, c.der, c.not_after FROM (SELECT ",
    [text id, text org],
    ") AS w JOIN certificates c ON c.id = w.id WHERE c.org_id = w.org AND c.device IS NOT NULL AND c.der IS NOT NULL"
);
pub(super) const SIGNED_OF: Sql = Sql::same("SELECT issuer_id, der FROM certificates WHERE id = $1 AND org_id = $2 AND der IS NOT NULL");
pub(super) const HAS_KEY: Sql = Sql::same("SELECT id FROM certificates WHERE id = $1 AND spki_sha256 = $2");
pub(super) const IS_ACTIVE: Sql = Sql::same(
    "SELECT c.id FROM certificates c JOIN devices d ON d.number = c.device JOIN authorities a ON a.id = c.issuer_id \
     WHERE c.id = $1 AND c.state = 'active' AND d.state = 'active' AND a.state IN ('active', 'retiring')",
);
pub(super) const IS_UNUSED: Sql = Sql::same(
    "SELECT c.first_used_at FROM certificates c JOIN devices d ON d.number = c.device JOIN authorities a ON a.id = c.issuer_id \
     WHERE c.id = $1 AND c.state = 'active' AND d.state = 'active' AND a.state IN ('active', 'retiring')",
);
/// `has_successor`: a certificate of the device that was issued later and is no unused answer to this very one.
pub(super) const TO_RECOVER: Sql = Sql::same(
    "SELECT c.id, c.org_id, c.device, d.device_id, d.state AS device_state, c.state, c.not_after, c.validity_profile, a.state IN ('retired', 'compromised') AS ended_issuer, \
     a.way_back, a.way_back_until, EXISTS (SELECT 1 FROM certificates s WHERE s.device = c.device AND s.state = 'active' AND s.id <> c.id AND s.issued_at >= c.issued_at \
     AND (s.replaces_id IS NULL OR s.replaces_id <> c.id OR s.first_used_at IS NOT NULL)) AS has_successor \
     FROM certificates c JOIN devices d ON d.number = c.device JOIN authorities a ON a.id = c.issuer_id \
     WHERE c.fingerprint = $1 AND a.kind <> 'registered'",
);
pub(super) const GIVEN_FOR: Sql = Sql::same(
    "SELECT id FROM certificates WHERE replaces_id = $1 AND spki_sha256 = $2 AND state = 'active' ORDER BY issued_at DESC LIMIT 1",
);
/// The certificate that this one was renewed to by this very request, after $4.
pub(super) const RENEWED_FOR: Sql = Sql::same(
    "SELECT id FROM certificates WHERE replaces_id = $1 AND spki_sha256 = $2 AND csr_sha256 = $3 AND issued_at > $4 AND state = 'active' \
     ORDER BY issued_at DESC LIMIT 1",
);
/// Whether a certificate of the device that followed this one has been used and may still be.
pub(super) const SUCCESSOR_IN_USE: Sql = Sql::same(
    "SELECT s.id FROM certificates c JOIN certificates s ON s.device = c.device AND s.id <> c.id AND s.state = 'active' \
     AND s.first_used_at IS NOT NULL AND (s.replaces_id = c.id OR s.issued_at > c.issued_at) WHERE c.id = $1 LIMIT 1",
);
/// How many certificates the device was given in the place of others after $2, and when the first of these was.
pub(super) const RENEWED_LATELY: Sql = Sql::same(
    "SELECT COUNT(*), COALESCE(MIN(issued_at), 0) FROM certificates WHERE device = $1 AND issued_at > $2 AND replaces_id IS NOT NULL",
);
pub(super) const GIVEN_TO: Sql = Sql::same(
    "SELECT c.id FROM certificates c JOIN devices d ON d.number = c.device \
     WHERE d.org_id = $1 AND d.device_id_lower = LOWER($2) AND d.device_id = $2 AND c.csr_sha256 = $3 AND c.state = 'active' AND d.state = 'active' AND c.first_used_at IS NULL AND c.key_origin = 'device' \
     ORDER BY c.issued_at DESC LIMIT 1",
);
pub(super) const FOR_REVOCATION: Sql = Sql::same("SELECT device, state, spki_sha256 FROM certificates WHERE id = $1 AND org_id = $2");
pub(super) const USABLE_OF: Sql =
    Sql::same("SELECT id FROM certificates WHERE device = $1 AND org_id = $2 AND state IN ('active', 'superseded') ORDER BY issued_at, id");
pub(super) const REVOKE: Sql = Sql::same(
    "UPDATE certificates SET state = 'revoked', revoked_at = $3, revoked_by = $4, reason = $5, trust_seq = $6, \
     invalidity_date = $7, revocation_note = $8 WHERE id = $1 AND org_id = $2 AND state <> 'revoked'",
);
pub(super) const BLOCK: Sql = Sql::same(
    "INSERT INTO blocked_keys (spki_sha256, org_id, reason, blocked_at) VALUES ($1, $2, $3, $4) ON CONFLICT (spki_sha256) DO NOTHING",
);
/// A certificate `c` of an authority `a` as it is shown: one whose authority is not believed, or that is on its owner's
/// list (E-10), is not called active, and the reason says why.
macro_rules! shown_columns {
    () => {
        "SELECT c.id, c.subject, c.serial, c.fingerprint, a.subject AS issuer, c.key_alg, c.not_before, c.not_after, \
         CASE WHEN c.state = 'active' AND a.state NOT IN ('staged', 'active', 'retiring') THEN 'untrusted' \
         WHEN c.state = 'active' AND c.owner_listed_at IS NOT NULL THEN 'revoked' ELSE c.state END AS state, \
         CASE WHEN c.state = 'active' AND a.state NOT IN ('staged', 'active', 'retiring') THEN 'authority_' || a.state \
         WHEN c.state = 'active' AND c.owner_listed_at IS NOT NULL THEN 'owners_list' ELSE c.reason END AS reason, \
         c.first_used_at, c.key_origin, c.revoked_at, c.owner_listed_at"
    };
}
macro_rules! joined {
    () => {
        " FROM certificates c JOIN authorities a ON a.id = c.issuer_id "
    };
}
/// What a list may be narrowed by: state ($2), a window of ends ($3, $4], in which only what has no successor in use counts ($5), a part of the
/// device's id ($6), the beginning of serial number or fingerprint ([$7, $8)). Whose organization and which end it looks at is said by the list, because
/// that decides which index an engine takes: a column with a `+` in front has none.
macro_rules! narrowed {
    () => {
        narrowed!("c.org_id", "c.not_after")
    };
    ($org:literal, $end:literal) => {
        concat!(
            "WHERE ",
            $org,
            " = $1 AND c.device IS NOT NULL AND c.fingerprint IS NOT NULL \
             AND ($2 = '' OR CASE WHEN c.state = 'active' AND c.issuer_id IN ",
            unbelieved!(),
            " THEN 'untrusted' WHEN c.state = 'active' AND c.owner_listed_at IS NOT NULL THEN 'revoked' ELSE c.state END = $2) AND ",
            $end,
            " > $3 AND ",
            $end,
            " <= $4 AND ($5 = 0 OR (c.state = 'active' AND c.owner_listed_at IS NULL AND c.usable_until = c.not_after AND c.issuer_id NOT IN ",
            unbelieved!(),
            ")) AND ($6 = '' OR LOWER(c.subject) LIKE $6 ESCAPE '\\' OR (c.serial >= $7 AND c.serial < $8) \
             OR (c.fingerprint >= $7 AND c.fingerprint < $8))"
        )
    };
}
pub(super) const PAGE: Sql = Sql::same(concat!(
    shown_columns!(),
    joined!(),
    narrowed!(),
    " AND (c.not_after > $9 OR (c.not_after = $9 AND c.id > $10)) ORDER BY c.not_after, c.id LIMIT $11"
));
pub(super) const PAGE_DESC: Sql = Sql::same(concat!(
    shown_columns!(),
    joined!(),
    narrowed!(),
    " AND (c.not_after < $9 OR (c.not_after = $9 AND c.id < $10)) ORDER BY c.not_after DESC, c.id DESC LIMIT $11"
));
/// In the order of devices, which lead (`CROSS JOIN`: SQLite keeps that order): each one's certificates by when they were issued.
macro_rules! by_device {
    ($than:literal, $direction:literal) => {
        Sql::same(concat!(
            shown_columns!(),
            ", d.device_id_lower AS place, c.issued_at \
             FROM devices d CROSS JOIN certificates c JOIN authorities a ON a.id = c.issuer_id ",
            narrowed!("d.org_id", "+c.not_after"),
            " AND c.device = d.number AND d.device_id_lower ",
            $than,
            "= $9 AND (d.device_id_lower ",
            $than,
            " $9 OR c.issued_at ",
            $than,
            " $10 OR (c.issued_at = $10 AND c.id ",
            $than,
            " $11)) ORDER BY d.device_id_lower ",
            $direction,
            ", c.issued_at ",
            $direction,
            ", c.id ",
            $direction,
            " LIMIT $12"
        ))
    };
}
pub(super) const PAGE_BY_DEVICE: Sql = by_device!(">", "");
pub(super) const PAGE_BY_DEVICE_DESC: Sql = by_device!("<", "DESC");
/// In the order of their revocation. The conditions without parameters are those of the index.
macro_rules! by_revocation {
    ($than:literal, $direction:literal) => {
        Sql::same(concat!(
            shown_columns!(),
            joined!(),
            narrowed!("c.org_id", "+c.not_after"),
            " AND c.state <> 'superseded' AND COALESCE(c.revoked_at, c.owner_listed_at) IS NOT NULL AND COALESCE(c.revoked_at, c.owner_listed_at) ",
            $than,
            "= $9 AND (COALESCE(c.revoked_at, c.owner_listed_at) ",
            $than,
            " $9 OR c.id ",
            $than,
            " $10) ORDER BY COALESCE(c.revoked_at, c.owner_listed_at) ",
            $direction,
            ", c.id ",
            $direction,
            " LIMIT $11"
        ))
    };
}
pub(super) const PAGE_BY_REVOCATION: Sql = by_revocation!(">", "");
pub(super) const PAGE_BY_REVOCATION_DESC: Sql = by_revocation!("<", "DESC");
pub(super) const COUNT: Sql = Sql::same(concat!("SELECT COUNT(*) FROM certificates c ", narrowed!()));
/// In use, and without a successor in use: their ends are what matters.
macro_rules! ending {
    ($head:literal, $tail:literal) => {
        Sql::same(concat!(
            $head,
            " FROM certificates WHERE org_id = $1 AND device IS NOT NULL AND state = 'active' AND owner_listed_at IS NULL AND usable_until = not_after AND issuer_id NOT IN ",
            unbelieved!(),
            $tail
        ))
    };
}
pub(super) const ENDS_BY_WEEK: Sql =
    ending!("SELECT (not_after - $2) / 604800000 AS week, COUNT(*)", " AND not_after >= $2 AND not_after < $3 GROUP BY 1 ORDER BY 1");
pub(super) const DETAIL: Sql = Sql::same(concat!(
    shown_columns!(),
    ", c.issuer_id, c.der, c.issued_at, c.enrolled_by, c.usable_until, c.replaces_id, c.revoked_by, \
     c.invalidity_date, c.revocation_note, c.validity_profile, c.owner_list, \
     (SELECT s.id FROM certificates s WHERE s.device = c.device AND s.replaces_id = c.id AND s.fingerprint IS NOT NULL \
     ORDER BY s.issued_at DESC, s.id DESC LIMIT 1) AS replaced_by",
    joined!(),
    "WHERE c.id = $1 AND c.org_id = $2 AND c.device IS NOT NULL AND c.der IS NOT NULL"
));
pub(super) const OF_DEVICE: Sql = Sql::same(concat!(
    shown_columns!(),
    joined!(),
    "WHERE c.device = $1 AND c.fingerprint IS NOT NULL ORDER BY c.issued_at DESC, c.id DESC LIMIT 50"
));
pub(super) const EXPIRING: Sql = ending!("SELECT COUNT(*)", " AND not_after > $2 AND not_after <= $3");

/// A key that a device is to have from an issuer.
#[derive(Serialize)]
pub(in crate::pki) struct Wanted<'a> {
    pub spki: Bytes<'a>,
    pub device: i64,
    pub issuer: &'a str,
}

/// The organization's device that has, or had, a certificate for this key.
pub(in crate::pki) async fn holder(on: &mut impl Conn, org: &OrgId, spki_sha256: &[u8]) -> Result<Option<String>, Error> {
    Ok(row!(on, (String,), HOLDER, org.as_str(), spki_sha256)?.map(|(id,)| id))
}

/// Why devices may not have keys: `authority`, `blocked`, `device`, or `ended` when it is the issuer that may not.
pub(in crate::pki) async fn key_users(on: &mut impl Conn, wanted: &[Wanted<'_>]) -> Result<Vec<(Vec<u8>, String)>, Error> {
    rows!(on, (Vec<u8>, String), KEY_USERS, list(wanted)?)
}

/// A certificate about to be signed.
#[derive(Serialize)]
pub(in crate::pki) struct Reservation<'a> {
    pub id: &'a str,
    pub org: &'a str,
    pub issuer: &'a str,
    pub serial: Bytes<'a>,
    pub profile: &'a str,
    pub profile_version: i64,
    pub device: Option<i64>,
    pub subject: &'a str,
    pub key_alg: &'a str,
    pub sig_alg: &'a str,
    pub spki_sha256: Bytes<'a>,
    pub csr_sha256: Bytes<'a>,
    pub not_before: i64,
    pub not_after: i64,
    pub issued_at: i64,
    pub enrolled_by: &'a str,
    pub replaces: Option<&'a str>,
    pub trust_seq: i64,
    pub key_origin: &'a str,
    pub validity_profile: &'a str,
}

/// Takes serials under their unique index; gives the ids of those that were free.
pub(in crate::pki) async fn reserve(tx: &mut Tx, reservations: &[Reservation<'_>]) -> Result<Vec<(String,)>, Error> {
    rows!(tx, (String,), RESERVE, list(reservations)?)
}

/// A reserved certificate with its signature.
#[derive(Serialize)]
pub(in crate::pki) struct Signed<'a> {
    pub id: &'a str,
    pub der: Bytes<'a>,
    pub fingerprint: Bytes<'a>,
}

pub(in crate::pki) async fn signed(tx: &mut Tx, signed: &[Signed<'_>]) -> Result<(), Error> {
    if usize::try_from(exec!(tx, SIGNED, list(signed)?)?).is_ok_and(|changed| changed == signed.len()) {
        return Ok(());
    }
    Err(Error::corrupt("a reserved certificate is gone"))
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct IssuedRecord {
    pub issuer_id: String,
    pub device_id: String,
    pub der: Vec<u8>,
    pub not_before: i64,
    pub not_after: i64,
    pub validity_profile: String,
}

/// A device's certificate with its bytes.
pub(in crate::pki) async fn issued(on: &mut impl Conn, id: &CertificateId, org: &OrgId) -> Result<Option<IssuedRecord>, Error> {
    row!(on, IssuedRecord, ISSUED, id.as_str(), org.as_str())
}

/// A certificate asked for by its id.
#[derive(Serialize)]
struct Called<'a> {
    id: &'a str,
    org: &'a str,
}

/// Id, issuer, serial, bytes and end of a device's certificate.
type LeafRow = (String, String, Vec<u8>, Vec<u8>, i64);

/// Those of these that are devices', with their bytes.
pub(in crate::pki) async fn leaf_files(on: &mut impl Conn, org: &OrgId, ids: &[CertificateId]) -> Result<Vec<LeafRow>, Error> {
    let called = list(&ids.iter().map(|id| Called { id: id.as_str(), org: org.as_str() }).collect::<Vec<_>>())?;
    rows!(on, LeafRow, LEAF_FILES, called.as_str())
}

/// Issuer and bytes of any certificate.
pub(in crate::pki) async fn signed_of(on: &mut impl Conn, id: &CertificateId, org: &OrgId) -> Result<Option<(String, Vec<u8>)>, Error> {
    row!(on, (String, Vec<u8>), SIGNED_OF, id.as_str(), org.as_str())
}

/// Whether the certificate is for this key.
pub(in crate::pki) async fn has_key(on: &mut impl Conn, id: &CertificateId, spki_sha256: &[u8]) -> Result<bool, Error> {
    Ok(row!(on, (String,), HAS_KEY, id.as_str(), spki_sha256)?.is_some())
}

/// Whether certificate and device are both active.
pub(in crate::pki) async fn is_active(on: &mut impl Conn, id: &CertificateId) -> Result<bool, Error> {
    Ok(row!(on, (String,), IS_ACTIVE, id.as_str())?.is_some())
}

/// Whether certificate and device are both active, the issuer is believed, and no connection was ever made with it.
pub(in crate::pki) async fn is_unused(on: &mut impl Conn, id: &CertificateId) -> Result<bool, Error> {
    Ok(row!(on, (Option<i64>,), IS_UNUSED, id.as_str())?.is_some_and(|(used,)| used.is_none()))
}

/// A device's certificate as whoever wants to replace it after its end has to know it.
#[derive(sqlx::FromRow)]
pub(in crate::pki) struct RecoveryRecord {
    pub id: String,
    pub org_id: String,
    pub device: i64,
    pub device_id: String,
    pub device_state: String,
    pub state: String,
    pub not_after: i64,
    pub validity_profile: String,
    pub ended_issuer: bool,
    pub way_back: String,
    pub way_back_until: i64,
    pub has_successor: bool,
}

pub(in crate::pki) async fn to_recover(on: &mut impl Conn, fingerprint: &[u8]) -> Result<Option<RecoveryRecord>, Error> {
    row!(on, RecoveryRecord, TO_RECOVER, fingerprint)
}

/// The active certificate for this key that replaces this one.
pub(in crate::pki) async fn given_for(on: &mut impl Conn, replaced: &CertificateId, spki_sha256: &[u8]) -> Result<Option<String>, Error> {
    Ok(row!(on, (String,), GIVEN_FOR, replaced.as_str(), spki_sha256)?.map(|(id,)| id))
}

/// The active certificate that this one was renewed to by this very request, after `since`.
pub(in crate::pki) async fn renewed_for(
    on: &mut impl Conn,
    replaced: &CertificateId,
    spki_sha256: &[u8],
    csr_sha256: &[u8],
    since: Timestamp,
) -> Result<Option<String>, Error> {
    Ok(row!(on, (String,), RENEWED_FOR, replaced.as_str(), spki_sha256, csr_sha256, since.0)?.map(|(id,)| id))
}

/// Whether a certificate that followed this one is in use.
pub(in crate::pki) async fn successor_in_use(on: &mut impl Conn, id: &CertificateId) -> Result<bool, Error> {
    Ok(row!(on, (String,), SUCCESSOR_IN_USE, id.as_str())?.is_some())
}

/// How many certificates the device was given in the place of others after `since`, and when the first of these was.
pub(in crate::pki) async fn renewed_lately(on: &mut impl Conn, device: i64, since: Timestamp) -> Result<(i64, Timestamp), Error> {
    Ok(row!(on, (i64, i64), RENEWED_LATELY, device, since.0)?.map_or((0, since), |(count, first)| (count, Timestamp(first))))
}

/// The device's unused certificate for this request.
pub(in crate::pki) async fn given_to(
    on: &mut impl Conn,
    org: &OrgId,
    device_id: &DeviceId,
    csr_sha256: &[u8],
) -> Result<Option<String>, Error> {
    Ok(row!(on, (String,), GIVEN_TO, org.as_str(), device_id.as_str(), csr_sha256)?.map(|(id,)| id))
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct RevocationRecord {
    pub device: Option<i64>,
    pub state: String,
    pub spki_sha256: Vec<u8>,
}

pub(in crate::pki) async fn for_revocation(on: &mut impl Conn, id: &CertificateId, org: &OrgId) -> Result<Option<RevocationRecord>, Error> {
    row!(on, RevocationRecord, FOR_REVOCATION, id.as_str(), org.as_str())
}

pub(in crate::pki) async fn usable_of(on: &mut impl Conn, device: i64, org: &OrgId) -> Result<Vec<(String,)>, Error> {
    rows!(on, (String,), USABLE_OF, device, org.as_str())
}

/// Revokes; `false` when it was revoked before.
pub(in crate::pki) async fn revoke(
    tx: &mut Tx,
    id: &CertificateId,
    org: &OrgId,
    now: Timestamp,
    by: &str,
    how: &Revocation,
    seq: i64,
) -> Result<bool, Error> {
    let (reason, since, note) = (how.reason.as_str(), how.invalidity_date.map(|at| at.0), how.note.as_str());
    Ok(exec!(tx, REVOKE, id.as_str(), org.as_str(), now.0, by, reason, seq, since, note)? == 1)
}

pub(in crate::pki) async fn block_key(tx: &mut Tx, spki_sha256: &[u8], org: &OrgId, reason: &str, now: Timestamp) -> Result<(), Error> {
    exec!(tx, BLOCK, spki_sha256, org.as_str(), reason, now.0)?;
    Ok(())
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct ListRecord {
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
    pub key_origin: String,
    pub revoked_at: Option<i64>,
    pub owner_listed_at: Option<i64>,
}

/// The same where devices lead, with its place among them.
#[derive(sqlx::FromRow)]
struct ByDevice {
    #[sqlx(flatten)]
    listed: ListRecord,
    place: String,
    issued_at: i64,
}

/// A row's place in a list that is in some order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pki) struct Place {
    /// When it ends, was revoked or was issued: what the order looks at, behind the device where that comes first.
    pub at: i64,
    pub id: String,
    /// The device's place; empty where devices do not lead.
    pub device: String,
}

impl Place {
    /// In front of every row in this order.
    pub const fn start(sort: CertificateSort) -> Self {
        Self { at: if descends(sort) { i64::MAX } else { i64::MIN }, id: String::new(), device: String::new() }
    }
}

const fn descends(sort: CertificateSort) -> bool {
    matches!(sort, CertificateSort::EndDesc | CertificateSort::DeviceDesc | CertificateSort::RevokedDesc)
}

/// Behind every device id there can be.
const LAST_DEVICE: &str = "\u{10ffff}";

/// What a list is narrowed by; see [`PAGE`].
pub(in crate::pki) struct Narrowed<'a> {
    pub org: &'a OrgId,
    pub state: &'a str,
    /// After the first, up to the second; and whether only what has no successor in use.
    pub ends: (i64, i64, bool),
    /// A pattern of device ids, empty for all.
    pub like: &'a str,
    /// From the first up to the second, both empty for none.
    pub hex: (&'a [u8], &'a [u8]),
}

/// Device certificates behind a place in this order, each with its own place.
pub(in crate::pki) async fn page(
    on: &mut impl Conn,
    by: &Narrowed<'_>,
    sort: CertificateSort,
    after: &Place,
    limit: i64,
) -> Result<Vec<(ListRecord, Place)>, Error> {
    use CertificateSort as Sort;
    let (from, until, alone) = by.ends;
    let (org, alone, hex) = (by.org.as_str(), i64::from(alone), by.hex);
    let statement = match sort {
        Sort::Device => PAGE_BY_DEVICE,
        Sort::DeviceDesc => PAGE_BY_DEVICE_DESC,
        Sort::End => PAGE,
        Sort::EndDesc => PAGE_DESC,
        Sort::Revoked => PAGE_BY_REVOCATION,
        Sort::RevokedDesc => PAGE_BY_REVOCATION_DESC,
    };
    if matches!(sort, Sort::Device | Sort::DeviceDesc) {
        let device = if after.device.is_empty() && descends(sort) { LAST_DEVICE } else { after.device.as_str() };
        let (at, id) = (after.at, after.id.as_str());
        let found = rows!(on, ByDevice, statement, org, by.state, from, until, alone, by.like, hex.0, hex.1, device, at, id, limit)?;
        let placed = |r: ByDevice| {
            let place = Place { at: r.issued_at, id: r.listed.id.clone(), device: r.place };
            (r.listed, place)
        };
        return Ok(found.into_iter().map(placed).collect());
    }
    let (at, id) = (after.at, after.id.as_str());
    let found = rows!(on, ListRecord, statement, org, by.state, from, until, alone, by.like, hex.0, hex.1, at, id, limit)?;
    let placed = |r: ListRecord| {
        let at = if sort.of_revoked() { r.revoked_at.or(r.owner_listed_at).unwrap_or(i64::MIN) } else { r.not_after };
        let place = Place { at, id: r.id.clone(), device: String::new() };
        (r, place)
    };
    Ok(found.into_iter().map(placed).collect())
}

/// How many there are in all.
pub(in crate::pki) async fn count(on: &mut impl Conn, by: &Narrowed<'_>) -> Result<i64, Error> {
    let (from, until, alone) = by.ends;
    let (org, alone) = (by.org.as_str(), i64::from(alone));
    Ok(row!(on, (i64,), COUNT, org, by.state, from, until, alone, by.like, by.hex.0, by.hex.1)?.map_or(0, |(n,)| n))
}

/// Weeks from `from` on in which certificates end, and how many.
pub(in crate::pki) async fn ends_by_week(
    on: &mut impl Conn,
    org: &OrgId,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<(i64, i64)>, Error> {
    rows!(on, (i64, i64), ENDS_BY_WEEK, org.as_str(), from.0, until.0)
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct DetailRecord {
    #[sqlx(flatten)]
    pub listed: ListRecord,
    pub issuer_id: String,
    pub der: Vec<u8>,
    pub issued_at: i64,
    pub enrolled_by: String,
    pub usable_until: i64,
    pub replaces_id: Option<String>,
    pub replaced_by: Option<String>,
    pub revoked_by: String,
    pub invalidity_date: Option<i64>,
    pub revocation_note: String,
    pub validity_profile: String,
    pub owner_list: String,
}

/// One device certificate with all that is kept of it.
pub(in crate::pki) async fn detail(on: &mut impl Conn, id: &CertificateId, org: &OrgId) -> Result<Option<DetailRecord>, Error> {
    row!(on, DetailRecord, DETAIL, id.as_str(), org.as_str())
}

/// A device's certificates, newest first.
pub(in crate::pki) async fn of_device(on: &mut impl Conn, device: i64) -> Result<Vec<ListRecord>, Error> {
    rows!(on, ListRecord, OF_DEVICE, device)
}

/// Active certificates without a used successor that end between the two instants.
pub(in crate::pki) async fn expiring(on: &mut impl Conn, org: &OrgId, from: Timestamp, until: Timestamp) -> Result<i64, Error> {
    Ok(row!(on, (i64,), EXPIRING, org.as_str(), from.0, until.0)?.map_or(0, |(n,)| n))
}
