//! What a device is given: its certificate with what stands above it and the roots to trust, and whether it may be given again (E-3).
//! Refuses to issue anything.

use super::{
    Csr, Error, Pki, authorities,
    csr::sha256,
    issue::Issued,
    peer::{DevicePeer, Refusal},
    profile::{self, Kind, Validity},
    store,
};
use crate::db::{Conn, Tx};
use std::collections::{BTreeSet, HashMap};
use wire::{
    Timestamp,
    enrolment::Enrolled,
    ids::{AuthorityId, CertificateId, DeviceId, OrgId},
};

impl Pki {
    /// The certificate that a device got for exactly this request and has not used, so that it may be handed out again (E-3).
    pub(crate) async fn given_to(
        &self,
        on: &mut impl Conn,
        org: &OrgId,
        device_id: &DeviceId,
        csr: &Csr,
    ) -> Result<Option<CertificateId>, Error> {
        let given = store::given_to(on, org, device_id, &csr.csr_sha256).await?;
        Ok(given.map(|id| id.parse().map_err(crate::db::Error::corrupt)).transpose()?)
    }

    /// Whether the certificate is active and was never used, so that it may be handed out again (E-3).
    pub async fn unused(&self, on: &mut impl Conn, id: &CertificateId) -> Result<bool, Error> {
        Ok(store::is_unused(on, id).await?)
    }

    /// Whether certificate and device are both active.
    pub async fn active(&self, on: &mut impl Conn, id: &CertificateId) -> Result<bool, Error> {
        Ok(store::is_active(on, id).await?)
    }

    /// Refuses a certificate that is not believed any more. Asked inside the transaction that gives its device another: a revocation that was committed since
    /// the handshake wins.
    pub(super) async fn still_active(&self, tx: &mut Tx, peer: &DevicePeer) -> Result<(), Error> {
        if store::is_active(tx, &peer.certificate).await? { Ok(()) } else { Err(self.not_believed(peer)) }
    }

    /// That this certificate is not believed any more, and why.
    pub(super) fn not_believed(&self, peer: &DevicePeer) -> Error {
        Error::NotUsable(self.trust.still(&peer.fingerprint).err().unwrap_or(Refusal::Revoked))
    }

    /// Whether the certificate is active and was never used, not even a moment ago.
    pub(crate) async fn untouched(&self, on: &mut impl Conn, org: &OrgId, id: &CertificateId) -> Result<bool, Error> {
        let Some((_, der)) = store::signed_of(on, id, org).await? else { return Ok(false) };
        Ok(!self.trust.was_used(&sha256(&der)) && self.unused(on, id).await?)
    }

    /// Whether the certificate is for this key: one that was made here is for another than the request's.
    pub(crate) async fn is_for(&self, on: &mut impl Conn, id: &CertificateId, csr: &Csr) -> Result<bool, Error> {
        Ok(store::has_key(on, id, &csr.spki_sha256).await?)
    }

    /// Supersedes unused certificates of a device whose keys were made here and are lost, inside the caller's transaction, now that it has `issued`; with
    /// `lost` only that one. Says how many there were. After the commit call [`Pki::reload`].
    pub(crate) async fn forsake(&self, tx: &mut Tx, issued: &Issued, lost: Option<&CertificateId>) -> Result<u64, Error> {
        let seq = store::next_trust(tx).await?;
        Ok(store::forsake(tx, issued.device(), &issued.id, lost, self.clock.now(), seq).await?)
    }

    /// What a device gets for its CSR: the certificate, its chain, and the root to trust.
    pub async fn enrolled(&self, org: &OrgId, id: &CertificateId, device_url: &str, now: Timestamp) -> Result<Enrolled, Error> {
        let record = store::issued(&mut self.db.read().await?, id, org).await?.ok_or(Error::NotFound)?;
        let device_id: DeviceId = record.device_id.parse().map_err(crate::db::Error::corrupt)?;
        let issuer: AuthorityId = record.issuer_id.parse().map_err(crate::db::Error::corrupt)?;
        let validity = Validity { from: Timestamp(record.not_before), until: Timestamp(record.not_after) };
        Ok(self.package(org, (&record.der, &issuer, validity), device_id, device_url, now))
    }

    /// The same of what has just been issued, without asking the database.
    pub(crate) fn just_enrolled(&self, issued: &Issued, device_url: &str, now: Timestamp) -> Enrolled {
        let peer = issued.peer();
        self.package(&peer.org, (&issued.der, &issued.issuer, issued.validity), peer.device_id, device_url, now)
    }

    fn package(
        &self,
        org: &OrgId,
        (der, issuer, validity): (&[u8], &AuthorityId, Validity),
        device_id: DeviceId,
        device_url: &str,
        now: Timestamp,
    ) -> Enrolled {
        let all = self.authorities.load();
        let mut chain: Vec<String> = authorities::chain(&all, issuer).iter().map(|c| crate::pem::encode("CERTIFICATE", c)).collect();
        // The root travels apart: it is what the device trusts, not what it proves.
        chain.pop();
        let bundle = self.trust_bundle(org);
        Enrolled {
            certificate: crate::pem::encode("CERTIFICATE", der),
            chain,
            trust_bundle: bundle.roots.clone(),
            trust_bundle_version: bundle.version,
            assignment_keys: bundle.assignment_keys.clone(),
            not_before: validity.from,
            not_after: validity.until,
            renew_after: profile::renew_after(validity, &device_id),
            server_time: now,
            device_url: device_url.to_owned(),
            device_id,
        }
    }

    /// Devices' certificates as files tell of them, those of these that are there.
    pub(crate) async fn leaves(
        &self,
        on: &mut impl Conn,
        org: &OrgId,
        ids: &[CertificateId],
    ) -> Result<HashMap<CertificateId, LeafFile>, Error> {
        let found = store::leaf_files(on, org, ids).await?.into_iter().map(|(id, issuer, serial, der, not_after)| {
            let file = LeafFile {
                pem: crate::pem::encode("CERTIFICATE", &der),
                serial: hex::encode(serial),
                fingerprint: hex::encode(sha256(&der)),
                not_after: Timestamp(not_after),
                issuer: issuer.parse().map_err(crate::db::Error::corrupt)?,
            };
            Ok((id.parse().map_err(crate::db::Error::corrupt)?, file))
        });
        found.collect()
    }

    /// The authorities above these issuers and themselves, without the root, PEM; each once.
    pub(crate) fn chains(&self, issuers: &BTreeSet<AuthorityId>) -> String {
        let all = self.authorities.load();
        let mut seen = BTreeSet::new();
        let mut pem = String::new();
        for authority in issuers.iter().flat_map(|id| authorities::up(&all, id)) {
            if authority.kind != Kind::Root && seen.insert(&authority.id) {
                pem.push_str(&crate::pem::encode("CERTIFICATE", &authority.der));
            }
        }
        pem
    }
}

/// A device's certificate with what manifests say of it.
pub(crate) struct LeafFile {
    /// PEM.
    pub pem: String,
    /// Serial number in hex.
    pub serial: String,
    /// SHA-256 of the DER in hex.
    pub fingerprint: String,
    /// End of validity.
    pub not_after: Timestamp,
    /// Who issued it.
    pub issuer: AuthorityId,
}
