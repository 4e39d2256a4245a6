//! A device of a registered authority trades its certificate for one of ours (E-10; IEEE 802.1AR: an `LDevID` for its `IDevID`), where the authority's
//! policy lets it. The device stays the same; its own certificate ends a day after the first use of ours.

use super::{
    Csr, Error, Pki,
    ahead::signed_ahead,
    csr,
    issue::NewLeaf,
    peer::{DevicePeer, Refusal},
    registered::{self, Refused},
    renew, store,
};
use crate::{
    access::{Actor, audit},
    bus::Event,
    db::Tx,
};
use serde_json::json;
use wire::{
    Timestamp,
    enrolment::Enrolled,
    ids::{AuthorityId, CertificateId},
    registered::RegisteredState,
};

/// A lost answer can be asked for again this long (E-3).
pub(super) const AGAIN: i64 = 15 * 60 * 1000;

impl Pki {
    /// Whether the certificate is a registered authority's, which we did not issue.
    pub fn is_foreign(&self, peer: &DevicePeer) -> bool {
        self.trust.of_registered(&peer.fingerprint)
    }

    /// Gives the device behind a registered authority's certificate one of ours for this CSR. The same CSR within 15 minutes, or the same key before its
    /// certificate was first used, gets the same one again (E-3). `channel` as in [`csr::gate_over`].
    pub async fn exchange(
        &self,
        actor: &Actor,
        peer: &DevicePeer,
        csr: &[u8],
        channel: Option<csr::Channel<'_>>,
        device_url: &str,
    ) -> Result<Enrolled, Error> {
        let csr = csr::gate_over(csr, Some(&peer.device_id), channel)?;
        signed_ahead!(self, Box::pin(self.exchange_at_once(actor, peer, &csr, device_url)).await)
    }

    async fn exchange_at_once(&self, actor: &Actor, peer: &DevicePeer, csr: &Csr, device_url: &str) -> Result<Enrolled, Error> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let (issuer, _) = store::signed_of(&mut tx, &peer.certificate, &peer.org).await?.ok_or(Error::NotUsable(Refusal::Unknown))?;
        let authority: AuthorityId = issuer.parse().map_err(crate::db::Error::corrupt)?;
        // The authority's row before the trust clock, as new devices of it take them.
        let row = registered::store::held(&mut tx, &authority).await?.filter(|row| row.org_id == peer.org.as_str());
        let row = row.ok_or(Refused::NotFound)?;
        if !row.exchange || row.state()? != RegisteredState::Active {
            return Err(Refused::NoExchange.into());
        }
        let seq = store::next_trust(&mut tx).await?;
        // Its owner's list of revoked certificates is in memory only.
        self.trust.still(&peer.fingerprint).map_err(Error::NotUsable)?;
        self.still_active(&mut tx, peer).await?;
        if let Some(proof) = self.blocked_proof(&mut tx, &peer.certificate).await? {
            drop(tx);
            self.tell_blocked_proof(&peer.org, &actor.address, &peer.device_id, csr, &proof).await;
            return Err(Error::ProofBlocked);
        }
        if let Some(given) = self.given_again(&mut tx, peer, csr, now).await? {
            drop(tx);
            return self.enrolled(&peer.org, &given, device_url, now).await;
        }
        renew::not_too_often(&mut tx, peer.device, now).await?;
        let enrolled_by = format!("exchange for a certificate of authority {}", row.label);
        let new = NewLeaf {
            org: &peer.org,
            device: peer.device,
            device_id: &peer.device_id,
            csr,
            enrolled_by: &enrolled_by,
            replaces: Some(&peer.certificate),
            profile: "",
            origin: actor.origin(),
        };
        let deeds = |serials: &[String]| {
            let detail = json!({
                "by": enrolled_by, "authority": authority, "serial": serials.first(), "replaces": peer.certificate,
                "csr_sha256": hex::encode(csr.csr_sha256),
            });
            vec![audit::Deed { actor, action: "device.exchange", object: peer.device_id.as_str(), detail }]
        };
        let (mut tx, issued) = self.issue_to(tx, peer, &actor.address, (new, seq), deeds).await?;
        store::leave_two(&mut tx, peer.device, &peer.certificate, &issued.id, now, seq).await?;
        tx.commit().await?;
        self.admit(&issued);
        self.reload().await?;
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Device { org: peer.org.clone(), device: peer.device });
        Ok(self.just_enrolled(&issued, device_url, now))
    }

    /// The certificate that this one was traded for before, if it may be given again.
    async fn given_again(&self, tx: &mut Tx, peer: &DevicePeer, csr: &Csr, now: Timestamp) -> Result<Option<CertificateId>, Error> {
        let (spki, since) = (csr.spki_sha256.as_slice(), now.plus(-AGAIN));
        let id = |text: String| text.parse::<CertificateId>().map_err(crate::db::Error::corrupt);
        if let Some(same) = store::renewed_for(tx, &peer.certificate, spki, &csr.csr_sha256, since).await? {
            return Ok(Some(id(same)?));
        }
        let Some(same_key) = store::given_for(tx, &peer.certificate, spki).await? else { return Ok(None) };
        let same_key = id(same_key)?;
        Ok(store::is_unused(tx, &same_key).await?.then_some(same_key))
    }
}
