//! Issuing: a serial under its unique index, then the signature, in the caller's transaction (pki.md E-2, P-2, P-6). What a certificate looks like
//! is `profile.rs`'s business; which CSRs pass is `csr.rs`'s.

use super::{
    Csr, Error, Pki, authorities,
    authorities::Authority,
    csr::{CsrError, KeyAlg, sha256},
    peer::{DevicePeer, Fingerprint},
    profile::{self, Kind, Subject, Validity},
    store,
};
use crate::{
    access::{Actor, audit},
    db::{Conn, Tx},
};
use rcgen::{PublicKeyData, SubjectPublicKeyInfo};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use wire::{
    Timestamp,
    enrolment::Enrolled,
    ids::{AuthorityId, CertificateId, DeviceId, OrgId},
};

/// How often a serial is drawn before giving up: with 158 random bits a second time means a broken generator.
const DRAWS: usize = 16;

/// A certificate wanted for a device. The caller has decided that it may have one.
#[derive(Debug, Clone, Copy)]
pub struct NewLeaf<'a> {
    /// The device's organization.
    pub org: &'a OrgId,
    /// The device's number.
    pub device: i64,
    /// The device's name: what the certificate will say.
    pub device_id: &'a DeviceId,
    /// The CSR that passed the gate.
    pub csr: &'a Csr,
    /// By what it was admitted, for the books.
    pub enrolled_by: &'a str,
    /// The certificate it succeeds.
    pub replaces: Option<&'a CertificateId>,
}

/// A signed certificate. It counts from the commit of the transaction it was made in; hand it to [`Pki::admit`] then.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Its id.
    pub id: CertificateId,
    /// Serial number in hex.
    pub serial: String,
    /// DER.
    pub der: Vec<u8>,
    /// From when to when.
    pub validity: Validity,
    /// SHA-256 of the DER.
    pub fingerprint: Fingerprint,
    pub(super) issuer: AuthorityId,
    pub(super) uri: String,
    org: OrgId,
    device: i64,
    device_id: DeviceId,
}

impl Issued {
    pub(super) fn peer(&self) -> DevicePeer {
        DevicePeer {
            org: self.org.clone(),
            device: self.device,
            device_id: self.device_id.clone(),
            certificate: self.id.clone(),
            fingerprint: self.fingerprint,
            not_after: self.validity.until,
        }
    }
}

/// What is signed, whoever it is for.
pub(super) struct Order<'a> {
    pub kind: Kind,
    pub device: Option<i64>,
    pub subject: &'a Subject,
    pub shown: &'a str,
    pub key_alg: &'a str,
    pub csr_sha256: &'a [u8],
    pub enrolled_by: &'a str,
    pub replaces: Option<&'a CertificateId>,
    pub trust_seq: i64,
    /// An end before that of its kind.
    pub until: Option<Timestamp>,
}

/// A signed leaf.
pub(super) struct Leaf {
    pub id: CertificateId,
    pub serial: [u8; 20],
    pub der: Vec<u8>,
    pub validity: Validity,
    pub fingerprint: Fingerprint,
}

/// No device's number.
const NOBODY: i64 = -1;

/// Refuses a key that another device, an authority or a past compromise owns, and an issuer that has ended.
async fn key_is_free(tx: &mut Tx, csr: &Csr, device: i64, issuer: &Authority) -> Result<(), Error> {
    Err(match store::key_user(tx, &csr.spki_sha256, device, &issuer.id).await?.as_deref() {
        None => return Ok(()),
        Some("ended") => Error::NoAuthority(issuer.kind.as_str()),
        Some("authority") => Error::KeyInUse("by an authority"),
        Some("blocked") => Error::KeyInUse("blocked after a compromise"),
        Some(_) => Error::KeyInUse("by another device"),
    })
}

impl Pki {
    /// Signs a certificate for a device inside the caller's transaction. Refuses a key that another device, an authority or a past compromise
    /// owns, names other than the device's own, and an authority that is about to end.
    pub async fn issue_device(&self, tx: &mut Tx, new: NewLeaf<'_>) -> Result<Issued, Error> {
        let all = self.authorities.load_full();
        let issuer = authorities::active(&all, new.org, Kind::DeviceAuthority)?;
        let uri = profile::device_uri(&self.trust_domain, &issuer.slug, new.device_id);
        if new.csr.uris.iter().any(|asked| *asked != uri) {
            return Err(CsrError::Identity("another URI than its own").into());
        }
        if new.csr.common_name.as_ref().is_some_and(|cn| cn != new.device_id) {
            return Err(CsrError::Identity("another device").into());
        }
        // Two enrolments with one key ask one after the other.
        let trust_seq = store::next_trust(tx).await?;
        let key = SubjectPublicKeyInfo::from_der(&new.csr.spki).map_err(|_| CsrError::WeakKey("its encoding is not supported"))?;
        // The issuer is from memory; what another process did to it meanwhile is asked together with the key.
        key_is_free(tx, new.csr, new.device, issuer).await?;
        let order = Order {
            kind: Kind::Device,
            device: Some(new.device),
            subject: &Subject::device(&self.trust_domain, &issuer.slug, new.device_id)?,
            shown: new.device_id.as_str(),
            key_alg: &new.csr.key_alg.to_string(),
            csr_sha256: &new.csr.csr_sha256,
            enrolled_by: new.enrolled_by,
            replaces: new.replaces,
            trust_seq,
            until: None,
        };
        let leaf = self.issue(tx, issuer, &key, &order).await?;
        Ok(Issued {
            id: leaf.id,
            serial: hex::encode(leaf.serial),
            der: leaf.der,
            validity: leaf.validity,
            fingerprint: leaf.fingerprint,
            issuer: issuer.id.clone(),
            uri,
            org: new.org.clone(),
            device: new.device,
            device_id: new.device_id.clone(),
        })
    }

    /// Whether a key may become that of a device that is not in the fleet yet. Asked before a person is asked.
    pub(crate) async fn may_have_key(&self, tx: &mut Tx, org: &OrgId, csr: &Csr) -> Result<(), Error> {
        let all = self.authorities.load_full();
        key_is_free(tx, csr, NOBODY, authorities::active(&all, org, Kind::DeviceAuthority)?).await
    }

    /// A leaf of our own for a key that stays in memory: in a transaction by itself, with the instant from which a new one should be made.
    pub(super) async fn own_leaf(
        &self,
        issuer: &Arc<Authority>,
        kind: Kind,
        key: &impl PublicKeyData,
        subject: &Subject,
        purpose: &str,
    ) -> Result<(Leaf, Timestamp), Error> {
        let mut tx = self.db.write().await?;
        let order = Order {
            kind,
            device: None,
            subject,
            shown: &subject.common_name,
            key_alg: &KeyAlg::P256.to_string(),
            csr_sha256: &[],
            enrolled_by: purpose,
            replaces: None,
            trust_seq: store::next_trust(&mut tx).await?,
            until: None,
        };
        let leaf = self.issue(&mut tx, issuer, key, &order).await?;
        tx.commit().await?;
        let life = leaf.validity.until.since(leaf.validity.from);
        let renew_at = leaf.validity.from.plus(life / 3 * 2);
        Ok((leaf, renew_at))
    }

    /// Serial, row, signature, row again, audit.
    pub(super) async fn issue(
        &self,
        tx: &mut Tx,
        issuer: &Arc<Authority>,
        key: &impl PublicKeyData,
        order: &Order<'_>,
    ) -> Result<Leaf, Error> {
        self.time_is_right()?;
        let now = self.clock.now();
        let validity = profile::validity(order.kind, now, Some(order.until.map_or(issuer.not_after, |end| end.min(issuer.not_after))))
            .ok_or(Error::AuthorityExpiring)?;
        let id: CertificateId = self.entropy.id(now);
        let spki_sha256 = sha256(&key.subject_public_key_info());
        let reservation = store::Reservation {
            id: &id,
            org: &issuer.org,
            issuer: &issuer.id,
            profile: order.kind.as_str(),
            profile_version: profile::VERSION,
            device: order.device,
            subject: order.shown,
            key_alg: order.key_alg,
            spki_sha256: &spki_sha256,
            csr_sha256: order.csr_sha256,
            not_before: validity.from,
            not_after: validity.until,
            now,
            enrolled_by: order.enrolled_by,
            replaces: order.replaces,
            trust_seq: order.trust_seq,
        };
        let serial = self.reserve(tx, &reservation).await?;
        let params = profile::parameters(order.kind, order.subject, serial, validity, issuer.publication())?;
        // 22 µs for P-256: not worth another thread.
        let der = params.signed_by(key, issuer.signer()?)?.der().to_vec();
        let fingerprint = sha256(&der);
        store::signed(tx, &id, &der, &fingerprint).await?;
        let detail = json!({
            "subject": order.shown,
            "serial": hex::encode(serial),
            "issuer": issuer.id,
            "spki_sha256": hex::encode(spki_sha256),
            "fingerprint": hex::encode(fingerprint),
            "profile_version": profile::VERSION,
            "by": order.enrolled_by,
        });
        audit::append(tx, &Actor::system(issuer.org.clone()), now, "certificate.issue", id.as_str(), &detail).await?;
        Ok(Leaf { id, serial, der, validity, fingerprint })
    }

    async fn reserve(&self, tx: &mut Tx, reservation: &store::Reservation<'_>) -> Result<[u8; 20], Error> {
        for _ in 0..DRAWS {
            let serial = profile::serial(self.entropy.bytes());
            if store::reserve(tx, reservation, &serial).await? {
                return Ok(serial);
            }
        }
        Err(Error::Serial)
    }

    /// Lets the device in at once on this instance; call it after the commit, then tell [`Event::Trust`](crate::bus::Event::Trust) for the others.
    pub fn admit(&self, issued: &Issued) {
        self.trust.admit(issued);
    }

    /// The certificate that a device got for exactly this request and has not used, so that it may be handed out again (pki.md E-3).
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

    /// Whether the certificate is active and was never used, so that it may be handed out again (pki.md E-3).
    pub async fn unused(&self, on: &mut impl Conn, id: &CertificateId) -> Result<bool, Error> {
        Ok(store::is_unused(on, id).await?)
    }

    /// Whether certificate and device are both active.
    pub async fn active(&self, on: &mut impl Conn, id: &CertificateId) -> Result<bool, Error> {
        Ok(store::is_active(on, id).await?)
    }

    /// What a device gets for its CSR: the certificate, its chain, and the root to trust.
    pub async fn enrolled(&self, org: &OrgId, id: &CertificateId, device_url: &str, now: Timestamp) -> Result<Enrolled, Error> {
        let record = store::issued(&mut self.db.read().await?, id, org).await?.ok_or(Error::NotFound)?;

        let device_id: DeviceId = record.device_id.parse().map_err(crate::db::Error::corrupt)?;
        let issuer: AuthorityId = record.issuer_id.parse().map_err(crate::db::Error::corrupt)?;
        let validity = Validity { from: Timestamp(record.not_before), until: Timestamp(record.not_after) };
        let all = self.authorities.load();
        let mut chain: Vec<String> = authorities::chain(&all, &issuer).iter().map(|c| crate::pem::encode("CERTIFICATE", c)).collect();
        // The root travels apart: it is what the device trusts, not what it proves.
        chain.pop();
        let bundle = self.trust_bundle(org);
        Ok(Enrolled {
            certificate: crate::pem::encode("CERTIFICATE", &record.der),
            chain,
            trust_bundle: bundle.roots.clone(),
            trust_bundle_version: bundle.version,
            not_before: validity.from,
            not_after: validity.until,
            renew_after: profile::renew_after(validity, &device_id),
            server_time: now,
            device_url: device_url.to_owned(),
            device_id,
        })
    }

    /// A device's certificate as files tell of it.
    pub(crate) async fn leaf(&self, on: &mut impl Conn, org: &OrgId, id: &CertificateId) -> Result<LeafFile, Error> {
        let record = store::issued(on, id, org).await?.ok_or(Error::NotFound)?;
        Ok(LeafFile {
            pem: crate::pem::encode("CERTIFICATE", &record.der),
            serial: hex::encode(&record.serial),
            fingerprint: hex::encode(sha256(&record.der)),
            not_after: Timestamp(record.not_after),
            issuer: record.issuer_id.parse().map_err(crate::db::Error::corrupt)?,
        })
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
