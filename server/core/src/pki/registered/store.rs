//! The SQL of registered authorities. Refuses to decide anything.

use super::gate::{AuthorityCertificate, DeviceCertificate};
use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId, DeviceId, OrgId},
    registered::{JustInTime, JustInTimePolicy, RegisteredAuthority, RegisteredState},
};

/// The columns of a row, counts as the first says, of which rows the second says.
macro_rules! registered {
    ($counts:literal, $which:literal) => {
        concat!(
            "SELECT r.id, r.org_id, r.label, r.subject, r.key_alg, r.spki_sha256, r.fingerprint, r.der, r.not_before, r.not_after, r.state, r.code, \
             r.code_until, r.just_in_time, r.device_type, r.tags, r.template, r.pattern, r.max_devices, r.per_day, r.admitted, r.day_at, \
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
const ONE: Sql = counted!("WHERE r.org_id = $1 AND r.id = $2");
/// Without the counts, and the row stays as it is until the transaction ends. SQLite's writer is alone anyway.
const HELD: Sql = Sql::split(
    registered!("CAST(0 AS BIGINT) AS devices, CAST(NULL AS BIGINT) AS last_seen_at", "WHERE r.id = $1"),
    registered!("CAST(0 AS BIGINT) AS devices, CAST(NULL AS BIGINT) AS last_seen_at", "WHERE r.id = $1 FOR NO KEY UPDATE"),
);
const ANCHORS: Sql =
    Sql::same("SELECT id, org_id, der, state, not_before, not_after FROM registered_authorities WHERE state <> 'unverified' ORDER BY id");
const INSERT: Sql = Sql::same(
    "INSERT INTO registered_authorities (id, org_id, label, subject, key_alg, spki_sha256, fingerprint, der, not_before, not_after, state, code, \
     code_until, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'unverified', $11, $12, $13, $14) \
     ON CONFLICT (org_id, spki_sha256) DO NOTHING",
);
const COUNT: Sql = Sql::same("SELECT COUNT(*) FROM registered_authorities WHERE org_id = $1");
/// Whose key it is: an authority's of its kind and organization, or one that was blocked.
const KEY: Sql = Sql::same(
    "SELECT kind, org_id FROM authorities WHERE spki_sha256 = $1 \
     UNION ALL SELECT 'blocked', org_id FROM blocked_keys WHERE spki_sha256 = $1 LIMIT 1",
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
    "UPDATE registered_authorities SET just_in_time = $2, device_type = $3, tags = $4, template = $5, pattern = $6, max_devices = $7, per_day = $8 \
     WHERE id = $1",
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
const BY_FINGERPRINT: Sql = Sql::same("SELECT id FROM certificates WHERE fingerprint = $1");
/// The device's certificates of this authority, a usable one for this key first. What an old key is shown for again, a person decides.
const OF_DEVICE: Sql = Sql::same(
    "SELECT id, CAST(CASE WHEN spki_sha256 = $3 AND state = 'active' THEN 1 ELSE 0 END AS BIGINT) AS same_key FROM certificates \
     WHERE device = $1 AND issuer_id = $2 AND state IN ('active', 'superseded', 'expired') ORDER BY 2 DESC, issued_at DESC, id DESC LIMIT 1",
);
const LEAF: Sql = Sql::same(
    "INSERT INTO certificates (id, org_id, issuer_id, serial, profile, profile_version, device, subject, key_alg, sig_alg, spki_sha256, csr_sha256, \
     fingerprint, der, not_before, not_after, usable_until, state, issued_at, enrolled_by, replaces_id, trust_seq) \
     VALUES ($1, $2, $3, $4, 'registered', 0, $5, $6, $7, '', $8, $9, $9, $10, $11, $12, $12, 'active', $13, $14, $15, $16) \
     ON CONFLICT DO NOTHING",
);

pub(crate) const ALL: &[&Sql] = &[
    &LIST,
    &ONE,
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
    &BY_FINGERPRINT,
    &OF_DEVICE,
    &LEAF,
];

/// A registered authority's row.
#[derive(sqlx::FromRow)]
pub(crate) struct RegisteredRow {
    pub id: String,
    pub org_id: String,
    pub label: String,
    pub subject: String,
    pub key_alg: String,
    pub spki_sha256: Vec<u8>,
    pub fingerprint: Vec<u8>,
    pub der: Vec<u8>,
    pub not_before: i64,
    pub not_after: i64,
    pub state: String,
    pub code: String,
    pub code_until: i64,
    pub just_in_time: String,
    pub device_type: String,
    pub tags: String,
    pub template: String,
    pub pattern: String,
    pub max_devices: i64,
    pub per_day: i64,
    pub admitted: i64,
    pub day_at: i64,
    pub day_admitted: i64,
    pub last_admitted_at: Option<i64>,
    pub refused: i64,
    pub created_at: i64,
    pub created_by: String,
    pub verified_at: Option<i64>,
    pub devices: i64,
    pub last_seen_at: Option<i64>,
}

impl RegisteredRow {
    pub fn state(&self) -> Result<RegisteredState, Error> {
        self.state.parse().map_err(Error::corrupt)
    }

    pub fn just_in_time(&self) -> Result<JustInTime, Error> {
        self.just_in_time.parse().map_err(Error::corrupt)
    }

    pub fn shown(self, now: Timestamp) -> Result<RegisteredAuthority, Error> {
        let asks = !self.code.is_empty() && self.code_until > now.0;
        // A policy that was never set is what a person is offered first.
        let unset = self.max_devices == 0;
        let offered = JustInTimePolicy::default();
        Ok(RegisteredAuthority {
            id: self.id.parse().map_err(Error::corrupt)?,
            state: self.state()?,
            code_until: asks.then_some(Timestamp(self.code_until)),
            policy: JustInTimePolicy {
                just_in_time: self.just_in_time()?,
                device_type: self.device_type,
                tags: wire::devices::words(&self.tags),
                template: self.template,
                pattern: self.pattern,
                max_devices: if unset { offered.max_devices } else { self.max_devices },
                per_day: if unset { offered.per_day } else { self.per_day },
            },
            label: self.label,
            subject: self.subject,
            key_alg: self.key_alg,
            spki_sha256: hex::encode(&self.spki_sha256),
            fingerprint: hex::encode(&self.fingerprint),
            not_before: Timestamp(self.not_before),
            not_after: Timestamp(self.not_after),
            code: asks.then_some(self.code),
            devices: self.devices,
            admitted: self.admitted,
            last_admitted_at: self.last_admitted_at.map(Timestamp),
            last_seen_at: self.last_seen_at.map(Timestamp),
            refused: self.refused,
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            verified_at: self.verified_at.map(Timestamp),
            pem: crate::pem::encode("CERTIFICATE", &self.der),
        })
    }
}

/// The organization's, newest first.
pub(super) async fn list(on: &mut impl Conn, org: &OrgId) -> Result<Vec<RegisteredRow>, Error> {
    rows!(on, RegisteredRow, LIST, org.as_str())
}

pub(super) async fn one(on: &mut impl Conn, org: &OrgId, id: &AuthorityId) -> Result<Option<RegisteredRow>, Error> {
    row!(on, RegisteredRow, ONE, org.as_str(), id.as_str())
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
}

/// Those whose possession was proved, of every organization.
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

/// Kind and organization of whoever has this key already.
pub(super) async fn key(on: &mut impl Conn, spki_sha256: &[u8]) -> Result<Option<(String, String)>, Error> {
    row!(on, (String, String), KEY, spki_sha256)
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
    exec!(tx, SET_POLICY, id.as_str(), kind, p.device_type.as_str(), p.tags.join(" "), template, pattern, p.max_devices, p.per_day)?;
    Ok(())
}

/// Whether any certificate of it is in the books.
pub(super) async fn used(on: &mut impl Conn, id: &AuthorityId) -> Result<bool, Error> {
    Ok(row!(on, (i64,), USED, id.as_str())?.is_some_and(|(n,)| n > 0))
}

pub(super) async fn delete(tx: &mut Tx, id: &AuthorityId) -> Result<(), Error> {
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

/// Whether this very certificate is in the books.
pub(crate) async fn known(on: &mut impl Conn, fingerprint: &[u8]) -> Result<bool, Error> {
    Ok(row!(on, (String,), BY_FINGERPRINT, fingerprint)?.is_some())
}

/// The device's certificate of this authority, one for this key before others, and whether it is for this key. A revoked one counts for nothing.
pub(crate) async fn of_device(
    on: &mut impl Conn,
    device: i64,
    authority: &AuthorityId,
    spki_sha256: &[u8],
) -> Result<Option<(CertificateId, bool)>, Error> {
    row!(on, (String, i64), OF_DEVICE, device, authority.as_str(), spki_sha256)?
        .map(|(id, same)| Ok((id.parse().map_err(Error::corrupt)?, same != 0)))
        .transpose()
}

/// A device's certificate as it is written down.
pub(super) struct Leaf<'a> {
    pub id: &'a CertificateId,
    pub org: &'a OrgId,
    pub authority: &'a AuthorityId,
    pub device: i64,
    pub device_id: &'a DeviceId,
    pub certificate: &'a DeviceCertificate,
    pub serial: &'a [u8],
    pub der: &'a [u8],
    pub fingerprint: &'a [u8],
    pub enrolled_by: &'a str,
    pub replaces: Option<&'a CertificateId>,
    pub now: Timestamp,
    pub trust_seq: i64,
}

/// Writes it down; `false` when serial number or fingerprint are taken.
pub(super) async fn insert_leaf(tx: &mut Tx, l: &Leaf<'_>) -> Result<bool, Error> {
    let c = l.certificate;
    let inserted = exec!(
        tx,
        LEAF,
        l.id.as_str(),
        l.org.as_str(),
        l.authority.as_str(),
        l.serial,
        l.device,
        l.device_id.as_str(),
        c.key_alg.to_string(),
        c.spki_sha256.as_slice(),
        l.fingerprint,
        l.der,
        c.not_before.0,
        c.not_after.0,
        l.now.0,
        l.enrolled_by,
        l.replaces.map(CertificateId::as_str),
        l.trust_seq
    )?;
    Ok(inserted == 1)
}
