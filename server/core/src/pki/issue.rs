//! Certificates for devices, in the caller's transaction (E-2): whose key and whose names may be whose, for many at once as for one. Which CSRs
//! pass is `csr.rs`'s business, the signature `sign.rs`'s, what is handed out `given.rs`'s.

use super::{
    Csr, Error, Pki,
    authorities::{self, Authorities, Authority},
    blocked::{BLOCKED_BY_HAND, BLOCKED_FOR_GOOD},
    csr::CsrError,
    peer::{DevicePeer, Fingerprint},
    profile::{self, Kind, Subject, Validity},
    profiles::{self, Asked},
    sign::Order,
    store,
};
use crate::{
    access::audit::Deed,
    asked::Origin,
    db::{Bytes, Tx},
    refused::Refused,
};
use rcgen::SubjectPublicKeyInfo;
use std::sync::Arc;
use wire::ids::{AuthorityId, CertificateId, DeviceId, OrgId};

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
    /// The organization's profile that it is of; empty for none.
    pub profile: &'a str,
    /// From where it is asked for, and by which request (K-8).
    pub origin: Origin<'a>,
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
    /// Whose organization it is for.
    pub const fn org(&self) -> &OrgId {
        &self.org
    }

    /// Its device's number.
    pub(super) const fn device(&self) -> i64 {
        self.device
    }

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

impl From<crate::db::Error> for Refused<Error> {
    fn from(e: crate::db::Error) -> Self {
        Self::All(e.into())
    }
}

/// No device's number.
const NOBODY: i64 = -1;

/// What a device's certificate is made of beside its CSR.
struct Ready {
    issuer: Arc<Authority>,
    uri: String,
    subject: Subject,
    key: SubjectPublicKeyInfo,
    life: Option<i64>,
}

/// A key that another device, an authority or a past compromise owns, or an issuer that has ended, by what the database says.
fn refusal(who: &str, issuer: &Authority) -> Error {
    match who {
        "ended" => Error::NoAuthority(issuer.kind.as_str()),
        "authority" => Error::KeyInUse("by an authority"),
        "blocked" => Error::KeyInUse(BLOCKED_FOR_GOOD),
        "blocked_by_hand" => Error::KeyInUse(BLOCKED_BY_HAND),
        _ => Error::KeyInUse("by another device"),
    }
}

impl Pki {
    /// Signs certificates for devices, whose keys and names differ, inside the caller's transaction: all of them, or it says who may not have one. Refuses a key
    /// that another device, an authority or a past compromise owns, names other than the device's own, and an authority that is about to end. What they are
    /// given for goes into the books behind the certificates, in the same trips: `deeds` says it, with their serials in hex. After [`Error::ToSign`] the
    /// transaction is undone and done anew: `signed_ahead!` is the way.
    pub(crate) async fn issue_devices<'d>(
        &self,
        tx: &mut Tx,
        new: &[NewLeaf<'_>],
        deeds: impl FnOnce(&[String]) -> Vec<Deed<'d>> + Send,
    ) -> Result<Vec<Issued>, Refused<Error>> {
        self.issue_all(tx, new, None, deeds).await
    }

    /// The same for one device, in a transaction that has its number of the trust clock already.
    pub(super) async fn issue_at<'d>(
        &self,
        tx: &mut Tx,
        new: NewLeaf<'_>,
        trust_seq: i64,
        deeds: impl FnOnce(&[String]) -> Vec<Deed<'d>> + Send,
    ) -> Result<Issued, Error> {
        alone(self.issue_all(tx, &[new], Some(trust_seq), deeds).await)
    }

    /// [`Pki::issue_devices`] for one device and no more words, for tests.
    #[cfg(test)]
    pub(crate) async fn issue_device(&self, tx: &mut Tx, new: NewLeaf<'_>) -> Result<Issued, Error> {
        alone(self.issue_devices(tx, &[new], |_| Vec::new()).await)
    }

    async fn issue_all<'d>(
        &self,
        tx: &mut Tx,
        new: &[NewLeaf<'_>],
        trust_seq: Option<i64>,
        deeds: impl FnOnce(&[String]) -> Vec<Deed<'d>> + Send,
    ) -> Result<Vec<Issued>, Refused<Error>> {
        let all = self.authorities.load_full();
        let profiles = self.profiles_of(tx, new).await?;
        let mut refused = Vec::new();
        let mut ready = Vec::with_capacity(new.len());
        for (place, leaf) in new.iter().enumerate() {
            match self.ready(&all, &profiles, leaf) {
                Ok(one) => ready.push(one),
                Err(e) => refused.push((place, e)),
            }
        }
        Refused::none(refused)?;
        // Two enrolments with one key ask one after the other.
        let trust_seq = match trust_seq {
            Some(seq) => seq,
            None => store::next_trust(tx).await?,
        };
        // The issuer is from memory; what another process did to it meanwhile is asked together with the key.
        let wanted = new.iter().zip(&ready).map(|(leaf, ready)| wanted(leaf.csr, leaf.device, &ready.issuer)).collect::<Vec<_>>();
        let mut refused = Vec::new();
        for (spki, who) in store::key_users(tx, &wanted).await? {
            for (place, _) in new.iter().enumerate().filter(|(_, leaf)| leaf.csr.spki_sha256.as_slice() == spki) {
                if !refused.iter().any(|(known, _)| *known == place) {
                    refused.push((place, refusal(&who, &ready[place].issuer)));
                }
            }
        }
        Refused::none(refused)?;
        let orders: Vec<Order<'_>> = new
            .iter()
            .zip(&ready)
            .map(|(leaf, ready)| Order {
                issuer: &ready.issuer,
                key: ready.key.clone(),
                kind: Kind::Device,
                key_origin: leaf.csr.key_origin,
                device: Some(leaf.device),
                subject: &ready.subject,
                shown: leaf.device_id.as_str(),
                key_alg: leaf.csr.key_alg.to_string(),
                csr_sha256: &leaf.csr.csr_sha256,
                enrolled_by: leaf.enrolled_by,
                replaces: leaf.replaces,
                trust_seq,
                life: ready.life,
                until: None,
                profile: leaf.profile,
                origin: leaf.origin,
            })
            .collect();
        let leaves = self.issue_for(tx, &orders, deeds).await?;
        drop(orders);
        let issued = leaves.into_iter().zip(new.iter().zip(ready)).map(|(leaf, (new, ready))| Issued {
            serial: leaf.serial_hex(),
            id: leaf.id,
            der: leaf.der,
            validity: leaf.validity,
            fingerprint: leaf.fingerprint,
            issuer: ready.issuer.id.clone(),
            uri: ready.uri,
            org: new.org.clone(),
            device: new.device,
            device_id: new.device_id.clone(),
        });
        Ok(issued.collect())
    }

    fn ready(&self, all: &Authorities, profiles: &Asked, new: &NewLeaf<'_>) -> Result<Ready, Error> {
        let issuer = authorities::active(all, new.org, Kind::DeviceAuthority)?;
        let rules = if new.profile.is_empty() { None } else { profiles.get(&(new.org.clone(), new.profile.to_owned())) };
        match rules {
            Some(rules) => profiles::takes(rules, new.csr)?,
            None if !new.profile.is_empty() && new.replaces.is_none() => return Err(Error::NoProfile),
            None => {}
        }
        let life = rules.map(profiles::life);
        if profile::validity_for(life.unwrap_or(Kind::Device.life()), self.clock.now(), Some(issuer.not_after)).is_none() {
            return Err(Error::AuthorityExpiring);
        }
        let uri = profile::device_uri(&self.trust_domain, &issuer.slug, new.device_id);
        if new.csr.uris.iter().any(|asked| *asked != uri) {
            return Err(CsrError::Identity("another URI than its own").into());
        }
        if new.csr.common_name.as_ref().is_some_and(|cn| cn != new.device_id) {
            return Err(CsrError::Identity("another device").into());
        }
        let key = SubjectPublicKeyInfo::from_der(&new.csr.spki).map_err(|_| CsrError::WeakKey("its encoding is not supported"))?;
        let subject = Subject::device(&self.trust_domain, &issuer.slug, new.device_id)?;
        Ok(Ready { issuer: Arc::clone(issuer), uri, subject, key, life })
    }

    /// Whether a key may become that of a device that is not in the fleet yet. Asked before a person is asked.
    pub(crate) async fn may_have_key(&self, tx: &mut Tx, org: &OrgId, csr: &Csr) -> Result<(), Error> {
        let all = self.authorities.load_full();
        let issuer = authorities::active(&all, org, Kind::DeviceAuthority)?;
        let users = store::key_users(tx, &[wanted(csr, NOBODY, issuer)]).await?;
        users.first().map_or(Ok(()), |(_, who)| Err(refusal(who, issuer)))
    }

    /// Lets the device in at once on this instance; call it after the commit, then tell [`Event::Trust`](crate::bus::Event::Trust) for the others.
    pub fn admit(&self, issued: &Issued) {
        self.ahead.forget(&issued.id);
        self.trust.admit(issued);
    }
}

/// What came of one.
fn alone(outcome: Result<Vec<Issued>, Refused<Error>>) -> Result<Issued, Error> {
    let nothing = || Error::from(crate::db::Error::corrupt("nothing was issued"));
    match outcome {
        Ok(mut issued) => issued.pop().ok_or_else(nothing),
        Err(refused) => Err(refused.alone().unwrap_or_else(nothing)),
    }
}

fn wanted<'a>(csr: &'a Csr, device: i64, issuer: &'a Authority) -> store::Wanted<'a> {
    store::Wanted { spki: Bytes(&csr.spki_sha256), device, issuer: issuer.id.as_str() }
}
