//! Certificates of registered authorities' devices as they come into the books (E-10). Refuses to decide whether a device may have one: that is the
//! `devices` room's, which is asked first.

use super::{
    super::{Error, Pki, csr::sha256, store as pki},
    gate, leaves,
};
use crate::{
    access::{Actor, audit},
    db::{Bytes, Conn, Tx},
};
use serde_json::json;
use wire::ids::{AuthorityId, CertificateId, DeviceId};

/// Whether no authority, other device or past compromise owns the key. A look that holds nothing.
pub(crate) async fn may_have(on: &mut impl Conn, spki_sha256: &[u8], device: i64, authority: &AuthorityId) -> Result<bool, Error> {
    let wanted = pki::Wanted { spki: Bytes(spki_sha256), device, issuer: authority.as_str() };
    Ok(pki::key_users(on, &[wanted]).await?.is_empty())
}

impl Pki {
    /// Refuses a key that an authority, another device or a past compromise owns. Takes the trust clock: of two with one key the second waits.
    pub(crate) async fn registered_key_is_free(&self, tx: &mut Tx, new: &NewRegisteredLeaf<'_>) -> Result<bool, Error> {
        let _ = pki::next_trust(tx).await?;
        may_have(tx, &new.certificate.spki_sha256, new.device, new.authority).await
    }

    /// Writes a device's certificate down inside the caller's transaction; none when it is there already. After the commit call
    /// [`Pki::reload`].
    pub(crate) async fn add_registered_leaf(&self, tx: &mut Tx, new: &NewRegisteredLeaf<'_>) -> Result<Option<CertificateId>, Error> {
        let now = self.clock.now();
        let id: CertificateId = self.entropy.id(now);
        let fingerprint = sha256(new.der);
        let trust_seq = pki::next_trust(tx).await?;
        // Numbers are unique under each signer alone (RFC 5280 §4.1.2.2): there may be several under one registered authority, and some makers give one
        // twice for one key. A number that is taken gets the beginning of the certificate's hash behind it; identity is the hash anyway (P-3).
        let serial = &new.certificate.serial;
        let longer = [serial.as_slice(), fingerprint.get(..8).unwrap_or_default()].concat();
        let leaf = |serial| leaves::Leaf {
            id: &id,
            org: &new.actor.org,
            authority: new.authority,
            device: new.device,
            device_id: new.device_id,
            certificate: new.certificate,
            serial,
            der: new.der,
            fingerprint: &fingerprint,
            enrolled_by: new.enrolled_by,
            replaces: new.replaces,
            now,
            trust_seq,
        };
        if !leaves::insert_leaf(tx, &leaf(serial)).await? && !leaves::insert_leaf(tx, &leaf(&longer)).await? {
            return Ok(None);
        }
        if let Some(replaced) = new.replaces {
            // Two usable ones at most, as where we renew. The device has shown the new one, so it has got it.
            pki::leave_two(tx, new.device, replaced, &id, now, trust_seq).await?;
        }
        let detail = json!({
            "subject": new.device_id,
            "serial": hex::encode(&new.certificate.serial),
            "issuer": new.authority,
            "spki_sha256": hex::encode(new.certificate.spki_sha256),
            "fingerprint": hex::encode(fingerprint),
            "by": new.enrolled_by,
        });
        audit::append(tx, new.actor, now, "certificate.register", id.as_str(), &detail).await?;
        Ok(Some(id))
    }
}

/// A device's certificate by its own authority, to be written down. The caller has decided that the device may have it.
pub(crate) struct NewRegisteredLeaf<'a> {
    /// Who does it.
    pub actor: &'a Actor,
    /// The registered authority.
    pub authority: &'a AuthorityId,
    /// The device's number.
    pub device: i64,
    /// The device's name.
    pub device_id: &'a DeviceId,
    /// What was read from it.
    pub certificate: &'a gate::DeviceCertificate,
    /// Its bytes.
    pub der: &'a [u8],
    /// By what it was admitted, for the books.
    pub enrolled_by: &'a str,
    /// The certificate it succeeds.
    pub replaces: Option<&'a CertificateId>,
}
