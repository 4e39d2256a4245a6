//! Renewal and the end of predecessors: the old certificate lives on until its successor was used, and a day longer, unless another renewal
//! comes first: two are usable at most.

use super::{
    Csr, Error, Pki,
    ahead::signed_ahead,
    csr::{self, CsrError},
    exchange::AGAIN,
    issue::{Issued, NewLeaf},
    peer::{DevicePeer, Refusal},
    profile::{self, Validity},
    store,
};
use crate::{
    access::{Actor, audit::Deed},
    bus::Event,
    db::{Conn, Tx},
};
use serde_json::Map;
use std::collections::VecDeque;
use wire::{
    Timestamp,
    enrolment::Enrolled,
    ids::{AuthorityId, CertificateId},
    states::RekeyPolicy,
};
use x509_parser::{certificate::X509Certificate, oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME, prelude::FromDer as _};

/// How long a certificate stays usable after its successor was first used.
pub(super) const OVERLAP: i64 = 24 * 3_600_000;

/// So many renewals a device has in [`WINDOW`]; each is a row, entries in the books and one in a list of revoked certificates later. An answer that is
/// given again is none.
const BURST: i64 = 6;

/// What [`BURST`] holds for, in milliseconds.
const WINDOW: i64 = 30 * 60 * 1000;

/// First uses that are written down in one transaction at most.
const TOGETHER: usize = 128;

impl Pki {
    /// Renews the certificate a device is connected with. The name stays; the key may change, and then it may be early, or an operator has ordered it.
    pub async fn renew(&self, actor: &Actor, peer: &DevicePeer, csr: &[u8], device_url: &str) -> Result<Enrolled, Error> {
        let csr = csr::gate(csr, Some(&peer.device_id))?;
        self.renew_with(actor, peer, &csr, device_url).await
    }

    /// The same by EST (RFC 7030 §4.2.2), where the CSR says whose certificate is renewed: its common name must be there and be the device's
    /// own, any alternative name one that the certificate has; where the installation is strict, its names are the certificate's octet by octet
    /// (E-16). `channel` as in [`csr::gate_over`].
    pub async fn reenrol(
        &self,
        actor: &Actor,
        peer: &DevicePeer,
        csr: &[u8],
        channel: Option<csr::Channel<'_>>,
        device_url: &str,
    ) -> Result<Enrolled, Error> {
        let csr = csr::gate_over(csr, Some(&peer.device_id), channel)?;
        if csr.common_name.is_none() {
            return Err(CsrError::Identity("nobody, but a renewal names the device whose certificate it renews").into());
        }
        if self.strict_reenrol {
            let current = store::issued(&mut self.db.read().await?, &peer.certificate, &peer.org).await?;
            repeats(&csr, &current.ok_or(Error::NotUsable(Refusal::Unknown))?.der)?;
        }
        self.renew_with(actor, peer, &csr, device_url).await
    }

    async fn renew_with(&self, actor: &Actor, peer: &DevicePeer, csr: &Csr, device_url: &str) -> Result<Enrolled, Error> {
        signed_ahead!(self, Box::pin(self.renew_at_once(actor, peer, csr, device_url)).await)
    }

    async fn renew_at_once(&self, actor: &Actor, peer: &DevicePeer, csr: &Csr, device_url: &str) -> Result<Enrolled, Error> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Holds off every other change of trust, so that what is asked below stays true until the commit.
        let seq = store::next_trust(&mut tx).await?;
        let current = store::issued(&mut tx, &peer.certificate, &peer.org).await?.ok_or(Error::NotUsable(Refusal::Unknown))?;
        let validity = Validity { from: Timestamp(current.not_before), until: Timestamp(current.not_after) };
        let due = profile::renew_after(validity, &peer.device_id);
        let issuer: AuthorityId = current.issuer_id.parse().map_err(crate::db::Error::corrupt)?;
        if self.trust.registered(&issuer) {
            // Its owner's authority renews it (E-10); one of ours beside it would end it with its first use.
            return Err(Error::NotOurs);
        }
        // The server asked for it when the authority is retiring, or an operator has ordered it.
        let early = now < due && !self.trust.retiring(&issuer) && current.renew_ordered_at.is_none();
        let (held, blocked) = self.proof(&mut tx, &peer.certificate).await?;
        let same_key = held == csr.spki_sha256;
        match store::rekey(&mut tx, &peer.org, &current.validity_profile).await? {
            RekeyPolicy::Required if same_key => return Err(Error::RekeyRequired),
            RekeyPolicy::Forbidden if !same_key => return Err(Error::RekeyForbidden),
            RekeyPolicy::Required | RekeyPolicy::Allowed | RekeyPolicy::Forbidden => {}
        }
        if early && same_key {
            return Err(Error::RenewTooEarly(due));
        }
        if !current.stands {
            return Err(self.not_believed(peer));
        }
        // A CSR for the blocked key itself is refused where it is issued, as for everybody.
        if !same_key && let Some(proof) = blocked {
            drop(tx);
            self.tell_blocked_proof(&peer.org, &actor.address, &peer.device_id, csr, &proof).await;
            return Err(Error::ProofBlocked);
        }
        // A lost answer: the same request gets the same certificate (E-3).
        let again = store::renewed_for(&mut tx, &peer.certificate, &csr.spki_sha256, &csr.csr_sha256, now.plus(-AGAIN)).await?;
        if let Some(given) = again {
            drop(tx);
            return self.enrolled(&peer.org, &given.parse().map_err(crate::db::Error::corrupt)?, device_url, now).await;
        }
        if store::successor_in_use(&mut tx, &peer.certificate).await? {
            return Err(Error::SuccessorInUse);
        }
        not_too_often(&mut tx, peer.device, now).await?;
        let enrolled_by = format!("renewal from {}", if actor.address.is_empty() { "here" } else { &actor.address });
        let new = NewLeaf {
            org: &peer.org,
            device: peer.device,
            device_id: &peer.device_id,
            csr,
            enrolled_by: &enrolled_by,
            replaces: Some(&peer.certificate),
            profile: &current.validity_profile,
            origin: actor.origin(),
        };
        let (mut tx, issued) = self.issue_to(tx, peer, &actor.address, (new, seq), |_| Vec::new()).await?;
        store::leave_two(&mut tx, peer.device, &peer.certificate, &issued.id, now, seq).await?;
        tx.commit().await?;
        self.admit(&issued);
        self.reload().await?;
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Device { org: peer.org.clone(), device: peer.device });
        Ok(self.just_enrolled(&issued, device_url, now))
    }

    /// Signs what takes the place of a device's certificate, with the transaction's number of the trust clock, and writes `deeds` into the books with it.
    /// Whoever wants it for a key that may not be its own, `from` where, is told of as a sign of attack.
    pub(super) async fn issue_to<'d>(
        &self,
        mut tx: Tx,
        peer: &DevicePeer,
        from: &str,
        (new, seq): (NewLeaf<'_>, i64),
        deeds: impl FnOnce(&[String]) -> Vec<Deed<'d>> + Send,
    ) -> Result<(Tx, Issued), Error> {
        match self.issue_at(&mut tx, new, seq, deeds).await {
            Err(Error::KeyInUse(whose)) => {
                drop(tx);
                let object = peer.device_id.to_string();
                self.tell_key_in_use(Some(peer.org.clone()), from, object, Some(new.csr), whose, Map::new()).await;
                Err(Error::KeyInUse(whose))
            }
            outcome => Ok((tx, outcome?)),
        }
    }

    /// Writes first uses down and gives the predecessors a day.
    pub(super) async fn first_use(&self, certificates: &[CertificateId]) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // The trust clock before any certificate's row, as everywhere: two orders would wait for each other on PostgreSQL.
        let seq = store::next_trust(&mut tx).await?;
        for certificate in certificates {
            if let Some((device, issued_at)) = store::first_use(&mut tx, certificate, now).await? {
                store::retire_older(&mut tx, device, certificate, issued_at, now.plus(OVERLAP), seq).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether a certificate that followed this one is in use and still good.
    pub(crate) async fn has_successor_in_use(&self, on: &mut impl Conn, certificate: &CertificateId) -> Result<bool, Error> {
        Ok(store::successor_in_use(on, certificate).await?)
    }

    /// [`Pki::first_use`] for tests of other rooms.
    #[cfg(test)]
    pub(crate) async fn note_first_use(&self, certificate: &CertificateId) -> Result<(), Error> {
        self.first_use(std::slice::from_ref(certificate)).await?;
        self.reload().await
    }

    /// Writes these first uses down, many in one transaction; where that fails each by itself. The one that fails then goes to the end, and all that
    /// are left are for the next time: nobody says them again, because memory already knows them as used.
    pub(super) async fn first_uses(&self, owed: &mut VecDeque<CertificateId>) -> Result<(), Error> {
        while !owed.is_empty() {
            let many: Vec<CertificateId> = owed.iter().take(TOGETHER).cloned().collect();
            if many.len() > 1 {
                match self.first_use(&many).await {
                    Ok(()) => {
                        owed.drain(..many.len());
                        continue;
                    }
                    Err(error) => tracing::debug!(%error, "first uses are written down one by one"),
                }
            }
            for certificate in many {
                let done = self.first_use(std::slice::from_ref(&certificate)).await;
                owed.pop_front();
                if let Err(error) = done {
                    owed.push_back(certificate);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Gives certificates that have ended the state they are in.
    pub(super) async fn settle(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let due = store::due(&mut self.db.read().await?, now).await?;
        if due > 0 {
            let mut tx = self.db.write().await?;
            let seq = store::next_trust(&mut tx).await?;
            store::settle(&mut tx, now, seq).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// Whether the device has not been given more certificates in the place of others than it may; every instance sees the same rows.
pub(super) async fn not_too_often(tx: &mut Tx, device: i64, now: Timestamp) -> Result<(), Error> {
    let (count, first) = store::renewed_lately(tx, device, now.plus(-WINDOW)).await?;
    if count < BURST {
        return Ok(());
    }
    let wait = (first.plus(WINDOW).since(now) + 999) / 1000;
    Err(Error::RenewedTooOften(u32::try_from(wait.max(1)).unwrap_or(u32::MAX)))
}

/// Whether a request has the subject of the certificate it renews, and its alternative names if it has any, octet by octet (RFC 7030 §4.2.2). Many
/// clients leave the alternative names out; what a certificate says is the profile's business either way.
fn repeats(csr: &Csr, current: &[u8]) -> Result<(), Error> {
    let (_, leaf) = X509Certificate::from_der(current).map_err(crate::db::Error::corrupt)?;
    if csr.subject != leaf.subject().as_raw() {
        return Err(CsrError::Renamed("subject").into());
    }
    let names = leaf.extensions().iter().find(|e| e.oid == OID_X509_EXT_SUBJECT_ALT_NAME).map(|e| e.value);
    if csr.alternatives.as_deref().is_some_and(|asked| Some(asked) != names) {
        return Err(CsrError::Renamed("alternative names").into());
    }
    Ok(())
}
