//! Registered authorities (E-10): somebody else's authority, whose devices are believed once possession of its key was proved and an admin has
//! said what becomes of new ones. Owns their life and what handshakes ask; refuses to know devices: who is let in is decided by the `devices` room.
//!
//! An authority that nobody has proved to hold is no claim to its key: the first organization that proves it has it, for all. Two with the same
//! name are told apart by their keys. Nothing that a certificate points to is ever fetched; its list of revoked certificates is where an admin
//! has said.

mod address_store;
mod admitted;
pub(crate) mod anchors;
mod arrivals;
mod authority_row;
mod awaited;
mod fetching;
mod figures;
pub(crate) mod gate;
pub(crate) mod leaves;
mod list_address;
mod list_gate;
mod list_store;
mod lists;
mod marked;
pub mod reachable;
mod refused;
mod renewed;
mod state;
pub(crate) mod store;
pub(crate) mod template;
mod validators;

pub(crate) use admitted::{NewRegisteredLeaf, may_have};
pub use anchors::{Between, RegisteredAnchor};
pub use arrivals::Arrival;
pub(super) use arrivals::{Arrivals, Waiting};
pub use fetching::{DueList, ListAnswer};
pub use figures::FetchFigures;
pub use gate::{Link, has_signed, link};
pub use list_gate::MAX_BYTES as MAX_LIST_BYTES;
pub(super) use list_gate::{ListMark, Signed, signed};
pub use refused::Refused;
pub use validators::Validators;

use super::{Error, Pki, consent::ConsentError, consents::Alone, csr::sha256, names, recognise};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::Tx,
};
use serde_json::json;
use wire::{
    Timestamp,
    consents::Deed,
    ids::{AuthorityId, OrgId},
    registered::{JustInTimePolicy, RegisteredAuthority, RegisteredState, RegisteredStep},
};

/// Most of one organization.
pub const MOST: i64 = 20;
/// How long a verification code is taken.
const CODE_MS: i64 = 24 * 3_600_000;

/// The word of its row among the authorities, which is what certificates of its devices are judged by in the database.
const fn mirror(state: RegisteredState) -> &'static str {
    match state {
        RegisteredState::Unverified | RegisteredState::Verified => "staged",
        RegisteredState::Active => "active",
        RegisteredState::Disabled => "retired",
    }
}

impl Pki {
    /// The organization's registered authorities, newest first.
    pub async fn registered_authorities(&self, actor: &Actor) -> Result<Vec<RegisteredAuthority>, Error> {
        may(actor, Act::Read)?;
        let now = self.clock.now();
        let mut on = self.db.read().await?;
        let mut lists = list_store::lists(&mut on, &actor.org).await?;
        let mut addresses = address_store::addresses(&mut on, &actor.org).await?;
        let awaited = list_store::all_awaited(&mut on, &actor.org).await?;
        let found = store::list(&mut on, &actor.org).await?;
        let shown = |row: store::RegisteredRow| {
            let (list, list_address) = (lists.remove(&row.id), addresses.remove(&row.id));
            let list_awaited = awaited.iter().find(|a| a.authority_id == row.id).map(|a| Timestamp(a.this_update));
            row.shown(now).map(|shown| RegisteredAuthority { list, list_address, list_awaited, ..shown })
        };
        Ok(found.into_iter().map(shown).collect::<Result<_, _>>()?)
    }

    /// One of them.
    pub async fn registered_authority(&self, actor: &Actor, id: &AuthorityId) -> Result<RegisteredAuthority, Error> {
        may(actor, Act::Read)?;
        let all = self.registered_authorities(actor).await?;
        Ok(all.into_iter().find(|a| a.id == *id).ok_or(Refused::NotFound)?)
    }

    /// Registers an authority by its certificate, PEM or DER. It is unverified, and says the code that a verification certificate has to name. `label`
    /// was checked by the caller. For a key that the organization has registered before, the certificate takes the place of the one that is there.
    pub(crate) async fn register_authority(&self, actor: &Actor, label: &str, certificate: &[u8]) -> Result<RegisteredAuthority, Error> {
        may(actor, Act::Authorities)?;
        let now = self.clock.now();
        let certificate = gate::authority(certificate, now)?;
        let id: AuthorityId = self.entropy.id(now);
        let mut tx = self.db.write().await?;
        if let Some(id) = store::of_key(&mut tx, &actor.org, &certificate.spki_sha256).await? {
            return self.replace_certificate(tx, actor, &id, &certificate, now).await;
        }
        // As whoever chooses the name of an authority of ours does: of two at once the second sees what the first has taken.
        super::store::next_trust(&mut tx).await?;
        self.key_is_free(&mut tx, actor, &certificate).await?;
        // Here alone: what is registered keeps its name, and ours go around it.
        if names::is_ours(&mut tx, &certificate.subject).await? {
            return Err(Refused::OurName.into());
        }
        if store::count(&mut tx, &actor.org).await? >= MOST {
            return Err(Refused::TooMany.into());
        }
        let (code, fingerprint, by) = (self.code(), sha256(&certificate.der), actor.label());
        let new = store::New {
            id: &id,
            org: &actor.org,
            label,
            certificate: &certificate,
            fingerprint: &fingerprint,
            code: &code,
            code_until: now.plus(CODE_MS),
            now,
            by: &by,
        };
        if !store::insert(&mut tx, &new).await? {
            return Err(Refused::Known.into());
        }
        let detail = json!({
            "label": label,
            "subject": certificate.subject,
            "spki_sha256": hex::encode(certificate.spki_sha256),
            "fingerprint": hex::encode(fingerprint),
        });
        audit::append(&mut tx, actor, now, "registered_authority.register", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        self.registered_authority(actor, &id).await
    }

    /// Makes another verification code; the one before is good for nothing any more.
    pub async fn renew_verification_code(&self, actor: &Actor, id: &AuthorityId) -> Result<RegisteredAuthority, Error> {
        may(actor, Act::Authorities)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let row = self.registered_held(&mut tx, actor, id).await?;
        if !store::set_code(&mut tx, id, &self.code(), now.plus(CODE_MS)).await? {
            return Err(Refused::State(row.state()?).into());
        }
        audit::append(&mut tx, actor, now, "registered_authority.code", id.as_str(), &json!({ "label": row.label })).await?;
        tx.commit().await?;
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        self.registered_authority(actor, id).await
    }

    /// Takes a verification certificate, PEM or DER, as proof that the organization holds the authority's key. The code is used up by that.
    pub async fn verify_authority(&self, actor: &Actor, id: &AuthorityId, proof: &[u8]) -> Result<RegisteredAuthority, Error> {
        may(actor, Act::Authorities)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let row = self.registered_held(&mut tx, actor, id).await?;
        let from = row.state()?;
        let to = state::step(from, RegisteredStep::Verify).ok_or(Refused::State(from))?;
        if row.code.is_empty() || row.code_until <= now.0 {
            return Err(Refused::NoCode.into());
        }
        if let Err(refused) = gate::proof(proof, &row.der, &row.code, now) {
            // Somebody who tries with what the key has not signed may be no owner of it.
            let detail = json!({ "label": row.label, "code": refused.fault().code, "why": refused.to_string() });
            audit::append(&mut tx, actor, now, "registered_authority.refuse_proof", id.as_str(), &detail).await?;
            tx.commit().await?;
            return Err(refused.into());
        }
        let certificate = gate::authority(&row.der, now)?;
        self.key_is_free(&mut tx, actor, &certificate).await?;
        if !store::verified(&mut tx, id, &row.code, now).await? {
            return Err(Refused::NoCode.into());
        }
        match store::claim_key(&mut tx, id, &actor.org, &certificate, &sha256(&certificate.der), now).await {
            // Another organization was faster.
            Err(e) if e.is_unique() => return Err(Refused::Taken.into()),
            other => other?,
        }
        let detail = json!({ "label": row.label, "was": from, "is": to, "spki_sha256": hex::encode(certificate.spki_sha256) });
        self.changed((tx, Alone::default()), actor, "registered_authority.verify", id, &detail, now).await
    }

    /// Believes the authority's devices from now on, new ones as the policy says; for one that is active, another policy. The policy's words were checked
    /// by the caller.
    pub(crate) async fn enable_authority(
        &self,
        actor: &Actor,
        id: &AuthorityId,
        policy: &JustInTimePolicy,
    ) -> Result<RegisteredAuthority, Error> {
        may(actor, Act::Authorities)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let row = self.registered_held(&mut tx, actor, id).await?;
        let from = row.state()?;
        let to = state::step(from, RegisteredStep::Enable).ok_or(Refused::State(from))?;
        // Whoever enables one decides whose devices are believed (K-6).
        let alone = match self.alone(&mut tx, actor, &Deed::Activate { authority: id.clone(), force: false }).await {
            Err(Error::Consent(ConsentError::Needed)) => return Err(ConsentError::AtServer.into()),
            other => other?,
        };
        if now.0 > row.not_after {
            return Err(Refused::Ended.into());
        }
        self.journal_enabled(&actor.org, id, now).await?;
        store::set_policy(&mut tx, id, policy).await?;
        store::set_state(&mut tx, id, from, to, mirror(to)).await?;
        let detail = json!({ "label": row.label, "was": from, "is": to, "policy": policy });
        self.changed((tx, alone), actor, "registered_authority.enable", id, &detail, now).await
    }

    /// Believes the authority's devices no longer: their connections are closed within a second. It can be enabled again.
    pub async fn disable_authority(&self, actor: &Actor, id: &AuthorityId) -> Result<RegisteredAuthority, Error> {
        may(actor, Act::Authorities)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let row = self.registered_held(&mut tx, actor, id).await?;
        let from = row.state()?;
        if from == RegisteredState::Disabled {
            drop(tx);
            return self.registered_authority(actor, id).await;
        }
        let to = state::step(from, RegisteredStep::Disable).ok_or(Refused::State(from))?;
        self.journal_disabled(&actor.org, id, now).await;
        store::set_state(&mut tx, id, from, to, mirror(to)).await?;
        let detail = json!({ "label": row.label, "was": from, "is": to });
        self.changed((tx, Alone::default()), actor, "registered_authority.disable", id, &detail, now).await
    }

    /// Disables it as the journal says, in a database that was set back; `false` when it is not believed anyway.
    pub(super) async fn disable_again(&self, org: &OrgId, id: &AuthorityId) -> Result<bool, Error> {
        let mut tx = self.db.write().await?;
        let held = store::held(&mut tx, id).await?.filter(|row| row.org_id == org.as_str());
        let (from, to) = (RegisteredState::Active, RegisteredState::Disabled);
        let Some(row) = held.filter(|row| row.state == from.as_str()) else { return Ok(false) };
        store::set_state(&mut tx, id, from, to, mirror(to)).await?;
        let detail = json!({ "label": row.label, "was": from, "is": to, "from": "journal" });
        let system = Actor::system(org.clone());
        audit::append(&mut tx, &system, self.clock.now(), "registered_authority.disable", id.as_str(), &detail).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes an authority of which no device has ever had a certificate here, and gives its key free.
    pub async fn remove_authority(&self, actor: &Actor, id: &AuthorityId) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let row = self.registered_held(&mut tx, actor, id).await?;
        if row.state()? == RegisteredState::Active {
            return Err(Refused::State(RegisteredState::Active).into());
        }
        if store::used(&mut tx, id).await? {
            return Err(Refused::InUse.into());
        }
        store::delete(&mut tx, id).await?;
        let detail = json!({ "label": row.label, "subject": row.subject, "spki_sha256": hex::encode(&row.spki_sha256) });
        audit::append(&mut tx, actor, now, "registered_authority.remove", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.reload().await?;
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        Ok(())
    }

    /// The row in this transaction, of this organization.
    async fn registered_held(&self, tx: &mut Tx, actor: &Actor, id: &AuthorityId) -> Result<store::RegisteredRow, Error> {
        let found = store::held(tx, id).await?.filter(|row| row.org_id == actor.org.as_str());
        Ok(found.ok_or(Refused::NotFound)?)
    }

    /// Books it, makes it true here and tells the others.
    async fn changed(
        &self,
        (mut tx, alone): (Tx, Alone),
        actor: &Actor,
        action: &'static str,
        id: &AuthorityId,
        detail: &serde_json::Value,
        now: Timestamp,
    ) -> Result<RegisteredAuthority, Error> {
        // Other processes look when the trust clock has moved.
        super::store::next_trust(&mut tx).await?;
        audit::append(&mut tx, actor, now, action, id.as_str(), detail).await?;
        tx.commit().await?;
        alone.done();
        self.trust.forget_arrivals();
        self.reload().await?;
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        self.registered_authority(actor, id).await
    }

    /// Thirty-two bytes of the generator, in hex: as long as a common name may be (X.520).
    fn code(&self) -> String {
        hex::encode(self.entropy.bytes::<32>())
    }

    /// Refuses a key of our own, one that was blocked, one that another organization has proved to hold, and our own authorities' names (P-7).
    async fn key_is_free(&self, tx: &mut Tx, actor: &Actor, certificate: &gate::AuthorityCertificate) -> Result<(), Error> {
        if let Some((kind, org)) = store::key(tx, &actor.org, &certificate.spki_sha256).await? {
            return Err(match kind.as_str() {
                "blocked" => Refused::Blocked,
                "blocked_by_hand" => Refused::BlockedByHand,
                "registered" if org == actor.org.as_str() => Refused::Known,
                "registered" => Refused::Taken,
                _ => Refused::Ours,
            }
            .into());
        }
        let ours = self.authorities.load();
        if ours.iter().any(|a| recognise::authority(&a.der).is_some_and(|(name, ..)| name == certificate.name)) {
            return Err(Refused::OurName.into());
        }
        Ok(())
    }

    /// The next device of a registered authority that nobody knows; none when the process ends. One listens at a time.
    pub(crate) async fn next_arrival(&self) -> Option<Arrival> {
        self.arrivals.lock().await.recv().await
    }

    /// One that waits now, for those who don't want to wait themselves.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) async fn waiting_arrival(&self) -> Option<Arrival> {
        self.arrivals.lock().await.try_recv().ok()
    }
}
