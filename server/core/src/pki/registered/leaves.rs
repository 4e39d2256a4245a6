//! The SQL of certificates that registered authorities gave their devices. Refuses to decide anything.

use super::gate::DeviceCertificate;
use crate::db::{Conn, Error, Sql, Tx, exec, row};
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId, DeviceId, OrgId},
};

pub(super) const BY_FINGERPRINT: Sql = Sql::same("SELECT id FROM certificates WHERE fingerprint = $1");
/// The device's certificate of this authority that says most for this key, with a number as [`Has::read`] knows it. One for this key may be another believed
/// authority's of the organization: of two where one stands below the other, either may have been the nearest when it came in.
pub(super) const OF_DEVICE: Sql = Sql::same(
    "SELECT c.id, CAST(CASE WHEN c.spki_sha256 = $3 AND c.state = 'active' THEN 3 WHEN c.spki_sha256 = $3 AND c.state = 'revoked' THEN 2 \
     WHEN c.state = 'revoked' THEN 0 ELSE 1 END AS BIGINT) AS has \
     FROM certificates c JOIN authorities a ON a.id = c.issuer_id \
     WHERE c.device = $1 AND c.state IN ('active', 'superseded', 'expired', 'revoked') \
     AND (c.issuer_id = $2 OR (c.spki_sha256 = $3 AND c.state <> 'revoked' AND a.kind = 'registered' AND a.state = 'active')) \
     ORDER BY 2 DESC, c.issued_at DESC, c.id DESC LIMIT 1",
);
/// A revoked certificate of the authority for this key and these times. An ECDSA signature can be written in two ways, so the same certificate may come
/// back with another fingerprint; makers repeat serial numbers, so those tell nothing.
pub(super) const REVOKED: Sql = Sql::same(
    "SELECT id FROM certificates WHERE issuer_id = $1 AND spki_sha256 = $2 AND not_before = $3 AND not_after = $4 AND state = 'revoked' LIMIT 1",
);
pub(super) const LEAF: Sql = Sql::same(
    "INSERT INTO certificates (id, org_id, issuer_id, serial, profile, profile_version, device, subject, key_alg, sig_alg, spki_sha256, csr_sha256, \
     fingerprint, der, not_before, not_after, usable_until, state, issued_at, enrolled_by, replaces_id, trust_seq) \
     VALUES ($1, $2, $3, $4, 'registered', 0, $5, $6, $7, '', $8, $9, $9, $10, $11, $12, $12, 'active', $13, $14, $15, $16) \
     ON CONFLICT DO NOTHING",
);

/// Whether this very certificate is in the books.
pub(crate) async fn known(on: &mut impl Conn, fingerprint: &[u8]) -> Result<bool, Error> {
    Ok(row!(on, (String,), BY_FINGERPRINT, fingerprint)?.is_some())
}

/// Whether it is one that was revoked, maybe with its signature written otherwise.
pub(crate) async fn is_revoked(on: &mut impl Conn, authority: &AuthorityId, c: &DeviceCertificate) -> Result<bool, Error> {
    Ok(row!(on, (String,), REVOKED, authority.as_str(), c.spki_sha256.as_slice(), c.not_before.0, c.not_after.0)?.is_some())
}

/// What a device has of its authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    /// A usable certificate for the key that is asked about.
    SameKey,
    /// One for another key, or one that has ended.
    OtherKey,
    /// Nothing that was not revoked, or a revoked one for this very key.
    Revoked,
}

impl Has {
    const fn read(number: i64) -> Self {
        match number {
            3 => Self::SameKey,
            1 => Self::OtherKey,
            _ => Self::Revoked,
        }
    }
}

/// The device's certificate of this authority that says most for this key, and what that is.
pub(crate) async fn of_device(
    on: &mut impl Conn,
    device: i64,
    authority: &AuthorityId,
    spki_sha256: &[u8],
) -> Result<Option<(CertificateId, Has)>, Error> {
    let found = row!(on, (String, i64), OF_DEVICE, device, authority.as_str(), spki_sha256)?;
    found.map(|(id, has)| Ok((id.parse().map_err(Error::corrupt)?, Has::read(has)))).transpose()
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
