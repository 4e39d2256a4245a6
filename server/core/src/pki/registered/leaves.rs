//! The SQL of certificates that registered authorities gave their devices. Refuses to decide anything.

use super::gate::DeviceCertificate;
use crate::db::{Conn, Error, Sql, Tx, exec, row};
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId, DeviceId, OrgId},
};

pub(super) const BY_FINGERPRINT: Sql = Sql::same("SELECT id FROM certificates WHERE fingerprint = $1");
/// The device's certificates of this authority: a usable one for this key first, revoked ones last. One for this key may be another believed
/// authority's of the organization: of two where one stands below the other, either may have been the nearest when it came in.
pub(super) const OF_DEVICE: Sql = Sql::same(
    "SELECT c.id, CASE WHEN c.spki_sha256 = $3 AND c.state = 'active' THEN 'same' WHEN c.state = 'revoked' THEN 'gone' ELSE 'other' END AS has \
     FROM certificates c JOIN authorities a ON a.id = c.issuer_id \
     WHERE c.device = $1 AND c.state IN ('active', 'superseded', 'expired', 'revoked') \
     AND (c.issuer_id = $2 OR (c.spki_sha256 = $3 AND c.state <> 'revoked' AND a.kind = 'registered' AND a.state = 'active')) \
     ORDER BY 2 DESC, c.issued_at DESC, c.id DESC LIMIT 1",
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

/// What a device has of its authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    /// A usable certificate for the key that is asked about.
    SameKey,
    /// One for another key, or one that has ended.
    OtherKey,
    /// Nothing that was not revoked.
    Revoked,
}

/// The device's certificate of this authority that says most for this key, and what that is.
pub(crate) async fn of_device(
    on: &mut impl Conn,
    device: i64,
    authority: &AuthorityId,
    spki_sha256: &[u8],
) -> Result<Option<(CertificateId, Has)>, Error> {
    row!(on, (String, String), OF_DEVICE, device, authority.as_str(), spki_sha256)?
        .map(|(id, has)| {
            let has = match has.as_str() {
                "same" => Has::SameKey,
                "gone" => Has::Revoked,
                _ => Has::OtherKey,
            };
            Ok((id.parse().map_err(Error::corrupt)?, has))
        })
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
