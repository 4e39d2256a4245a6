//! Certificates: reserved, signed, revoked; and the keys that nobody may have. What lists and pages show of them is beside (`listing`).

use crate::db::{Bytes, Conn, Error, Sql, Tx, exec, list, many, row, rows};
use serde::Serialize;
use wire::{
    Timestamp,
    ids::{CertificateId, DeviceId, OrgId},
    pki::Revocation,
};

pub(super) const KEY_USERS: Sql = many!(
    "WITH want AS (SELECT ",
    [bytes spki, int device, text issuer],
    ") SELECT w.spki, 'authority' FROM want w JOIN authorities a ON a.spki_sha256 = w.spki \
     UNION ALL SELECT w.spki, 'authority' FROM want w JOIN authority_requests q ON q.spki_sha256 = w.spki \
     UNION ALL SELECT w.spki, CASE WHEN b.reason = 'by_hand' THEN 'blocked_by_hand' ELSE 'blocked' END \
     FROM want w JOIN authorities i ON i.id = w.issuer JOIN blocked_keys b ON b.spki_sha256 = w.spki \
     AND (b.reason <> 'by_hand' OR b.org_id = i.org_id) \
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
    "SELECT c.issuer_id, d.device_id, c.der, c.not_before, c.not_after, c.validity_profile, c.renew_ordered_at, \
     c.state = 'active' AND d.state = 'active' \
     AND EXISTS (SELECT 1 FROM authorities a WHERE a.id = c.issuer_id AND a.state IN ('active', 'retiring')) AS stands \
     FROM certificates c JOIN devices d ON d.number = c.device WHERE c.id = $1 AND c.org_id = $2 AND c.der IS NOT NULL",
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
pub(super) const FOR_REVOCATION: Sql = Sql::same(
    "SELECT device, state, spki_sha256, reason, revoked_at, revoked_by, invalidity_date, revocation_note, raised_at, raised_by FROM certificates WHERE id = $1 AND org_id = $2",
);
pub(super) const USABLE_OF: Sql =
    Sql::same("SELECT id FROM certificates WHERE device = $1 AND org_id = $2 AND state IN ('active', 'superseded') ORDER BY issued_at, id");
pub(super) const REVOKE: Sql = Sql::same(
    "UPDATE certificates SET state = 'revoked', revoked_at = $3, revoked_by = $4, reason = $5, trust_seq = $6, \
     invalidity_date = $7, revocation_note = $8 WHERE id = $1 AND org_id = $2 AND state <> 'revoked'",
);
/// Makes it final that one was superseded: its reason and its date are on lists already, and stay.
pub(super) const KEEP_SUPERSEDED: Sql = Sql::same(
    "UPDATE certificates SET state = 'revoked', reason = 'superseded', trust_seq = $3, \
     revoked_at = COALESCE(revoked_at, CASE WHEN usable_until < not_after THEN usable_until ELSE issued_at END), \
     revoked_by = CASE WHEN revoked_by = '' THEN 'automatic' ELSE revoked_by END WHERE id = $1 AND org_id = $2 AND state = 'superseded'",
);
/// Those that may still be used come first; what is superseded is refused already, and only the lists and responders have a worse reason to tell.
pub(super) const FOR_SAME_KEY: Sql = Sql::same(
    "SELECT c.id FROM certificates k JOIN certificates c ON c.spki_sha256 = k.spki_sha256 AND c.org_id = k.org_id AND c.id <> k.id \
     WHERE k.id = $1 AND k.org_id = $2 AND c.device IS NOT NULL AND c.fingerprint IS NOT NULL AND c.state <> 'revoked' AND c.not_after > $3 \
     ORDER BY CASE WHEN c.state = 'superseded' THEN 1 ELSE 0 END, c.issued_at DESC, c.id LIMIT 1000",
);
/// How many those are, and how many of them may be used. $3 is now.
pub(super) const SAME_KEY: Sql = Sql::same(
    "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN c.state = 'active' THEN 1 ELSE 0 END), 0) AS BIGINT) \
     FROM certificates k JOIN certificates c ON c.spki_sha256 = k.spki_sha256 AND c.org_id = k.org_id AND c.id <> k.id \
     WHERE k.id = $1 AND k.org_id = $2 AND c.device IS NOT NULL AND c.fingerprint IS NOT NULL AND c.state <> 'revoked' AND c.not_after > $3",
);
/// The date and who said it first stay; what is known now is added to what was, and who said that, and when.
pub(super) const COMPROMISE: Sql = Sql::same(
    "UPDATE certificates SET reason = 'key_compromise', raised_at = $6, raised_by = $7, trust_seq = $3, invalidity_date = COALESCE($4, invalidity_date), \
     revocation_note = CASE WHEN $5 = '' THEN revocation_note ELSE $5 END \
     WHERE id = $1 AND org_id = $2 AND state = 'revoked' AND reason <> 'key_compromise'",
);
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

/// Why devices may not have keys: `authority`, `blocked` after a compromise, `blocked_by_hand` in the issuer's organization, `device`, or `ended` when it is the issuer that may not.
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
    pub renew_ordered_at: Option<i64>,
    /// Whether certificate and device are both active, and the issuer is believed.
    pub stands: bool,
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
    pub reason: String,
    pub revoked_at: Option<i64>,
    pub revoked_by: String,
    pub invalidity_date: Option<i64>,
    pub revocation_note: String,
    pub raised_at: Option<i64>,
    pub raised_by: String,
}

pub(in crate::pki) async fn for_revocation(on: &mut impl Conn, id: &CertificateId, org: &OrgId) -> Result<Option<RevocationRecord>, Error> {
    row!(on, RevocationRecord, FOR_REVOCATION, id.as_str(), org.as_str())
}

pub(in crate::pki) async fn usable_of(on: &mut impl Conn, device: i64, org: &OrgId) -> Result<Vec<(String,)>, Error> {
    rows!(on, (String,), USABLE_OF, device, org.as_str())
}

/// The organization's other certificates for this one's key that have not ended and are not revoked: a thousand at most, the usable ones first.
pub(in crate::pki) async fn for_same_key(
    on: &mut impl Conn,
    id: &CertificateId,
    org: &OrgId,
    now: Timestamp,
) -> Result<Vec<(String,)>, Error> {
    rows!(on, (String,), FOR_SAME_KEY, id.as_str(), org.as_str(), now.0)
}

/// How many others there are for this one's key that a compromise would revoke with it, and how many of them may be used.
pub(in crate::pki) async fn same_key(on: &mut impl Conn, id: &CertificateId, org: &OrgId, now: Timestamp) -> Result<(i64, i64), Error> {
    Ok(row!(on, (i64, i64), SAME_KEY, id.as_str(), org.as_str(), now.0)?.unwrap_or_default())
}

/// Has one that was superseded count as revoked for that, since then; `false` when it was not superseded.
pub(in crate::pki) async fn keep_superseded(tx: &mut Tx, id: &CertificateId, org: &OrgId, seq: i64) -> Result<bool, Error> {
    Ok(exec!(tx, KEEP_SUPERSEDED, id.as_str(), org.as_str(), seq)? == 1)
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

/// Says of one that was revoked for another reason that its key is compromised; `false` when that was said before, or it is not revoked.
pub(in crate::pki) async fn compromise(
    tx: &mut Tx,
    id: &CertificateId,
    org: &OrgId,
    how: &Revocation,
    seq: i64,
    (now, by): (Timestamp, &str),
) -> Result<bool, Error> {
    let since = how.invalidity_date.map(|at| at.0);
    Ok(exec!(tx, COMPROMISE, id.as_str(), org.as_str(), seq, since, how.note.as_str(), now.0, by)? == 1)
}
