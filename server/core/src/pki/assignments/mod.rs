//! Assignments (U-2): what the server signs for one device, one update and a few hours, with keys of its own that are always at hand. They can
//! install nothing that was not signed offline; they keep what was meant for one device, or for last month, from another one and from today.
//!
//! Owns these keys, made here, sealed like those of authorities (K-1), told to devices with the trust bundle, and the counter of each device. Refuses
//! to know what is offered to whom.

pub(crate) mod store;
#[cfg(test)]
mod tests;

use super::{Error, KeyError, Pki, bundle, csr::sha256, store as trust};
use crate::{
    access::{Act, Actor, audit, may},
    db::Tx,
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use store::{Kept, Row};
use wire::{
    Timestamp,
    device::Offer,
    ids::{AssignmentKeyId, DeviceId, Digest, OrgId},
    manifest::{Envelope, Signature, pre_authentication},
    signing::{ASSIGNMENT_TYPE, Assignment, AssignmentKey, SCHEMA},
};
use zeroize::Zeroizing;

/// For how long an assignment holds, in milliseconds (6 h): less than U-2's 24 h, and more than a slow download takes between two polls.
pub const LIFE: i64 = 6 * 3600 * 1000;
/// Past this part of its life a device gets another one.
const RENEW: i64 = LIFE / 2;
/// Most keys at once: one in use, and those that it follows on.
const MOST_KEYS: usize = 4;

/// An offer with its assignment.
#[derive(Debug, Clone, PartialEq)]
pub struct Assigned {
    /// What the device is sent.
    pub offer: Offer,
    /// When it should be sent again with a newer assignment.
    pub renew_at: Timestamp,
}

impl Pki {
    /// The offer as it is for this device and for a few hours. Asked again it gives the same assignment until half of its life is over, another
    /// update or manifest is offered, or a key was made or retired.
    pub async fn assign(&self, org: &OrgId, (device, device_id): (i64, &DeviceId), offer: Offer) -> Result<Assigned, Error> {
        let now = self.clock.now();
        let payload = STANDARD.decode(&offer.envelope.payload).map_err(crate::db::Error::corrupt)?;
        let manifest = Digest::from_bytes(&sha256(&payload));
        let mut on = self.db.read().await?;
        let mut keys = store::active(&mut on, org).await?;
        if keys.is_empty() {
            drop(on);
            // An organization that is younger than this start; its devices hear of the key with the bundle.
            self.ensure_assignment_key(org).await?;
            self.ensure_bundle(org).await?;
            self.reload().await?;
            on = self.db.read().await?;
            keys = store::active(&mut on, org).await?;
        }
        let signers = keys.iter().map(|k| k.id.as_str()).collect::<Vec<_>>().join(" ");
        let kept = store::of_device(&mut on, device).await?;
        drop(on);
        if let Some(Kept { envelope, issued_at, .. }) = kept.filter(|k| {
            let same = k.update_id == offer.update_id.as_str() && k.manifest_sha256 == manifest.as_str() && k.signers == signers;
            // A clock that was put back would keep one for ever.
            same && (k.issued_at..k.issued_at.plus(RENEW)).contains(&now)
        }) {
            let assignment = Some(serde_json::from_str(&envelope).map_err(crate::db::Error::corrupt)?);
            return Ok(Assigned { offer: Offer { assignment, ..offer }, renew_at: issued_at.plus(RENEW) });
        }
        let mut tx = self.db.write().await?;
        // Times as counters go on where a database that was put back, or a device that was deleted, would begin anew.
        let counter = store::next_counter(&mut tx, device, now.millis().max(1)).await?;
        let assignment = Assignment {
            schema: SCHEMA,
            device_id: device_id.clone(),
            rollout_id: offer.rollout_id.clone(),
            update_id: offer.update_id.clone(),
            manifest_sha256: manifest.clone(),
            issued: now,
            expires: now.plus(LIFE),
            counter: counter.unsigned_abs(),
        };
        let envelope = self.sign_assignment(&keys, &assignment)?;
        let text = serde_json::to_string(&envelope).map_err(crate::db::Error::corrupt)?;
        let row = Row { update: &offer.update_id, manifest: &manifest, signers: &signers, issued: now, expires: assignment.expires };
        store::keep(&mut tx, device, &row, &text).await?;
        tx.commit().await?;
        Ok(Assigned { offer: Offer { assignment: Some(envelope), ..offer }, renew_at: now.plus(RENEW) })
    }

    /// By every key: a device that has not heard of the newest believes the one before.
    fn sign_assignment(&self, keys: &[store::SealedKey], assignment: &Assignment) -> Result<Envelope, Error> {
        let payload = serde_json::to_vec(assignment).map_err(crate::db::Error::corrupt)?;
        let message = pre_authentication(ASSIGNMENT_TYPE, &payload);
        let mut signatures = Vec::with_capacity(keys.len());
        for key in keys {
            let private = self.kek.open(&aad(&key.id), &key.sealed)?;
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&private).map_err(|_| KeyError::Tampered)?;
            if pair.public_key().as_ref() != key.public.as_slice() {
                return Err(KeyError::Mismatch(key.id.to_string()).into());
            }
            let sig = pair.try_sign(&message).map_err(|_| KeyError::Cipher)?;
            signatures.push(Signature { keyid: hex::encode(sha256(&key.public)), sig: STANDARD.encode(sig.as_ref()) });
        }
        Ok(Envelope { payload_type: ASSIGNMENT_TYPE.to_owned(), payload: STANDARD.encode(&payload), signatures })
    }

    /// The keys of an organization, newest first.
    pub async fn assignment_keys(&self, actor: &Actor) -> Result<Vec<AssignmentKey>, Error> {
        may(actor, Act::Read)?;
        Ok(store::keys(&mut self.db.read().await?, &actor.org).await?)
    }

    /// Makes another key. Assignments are signed with it and with those before from now on; devices learn of it with the next trust bundle.
    pub async fn make_assignment_key(&self, actor: &Actor) -> Result<AssignmentKey, Error> {
        may(actor, Act::Keys)?;
        let mut tx = self.db.write().await?;
        trust::next_trust(&mut tx).await?;
        if store::active(&mut tx, &actor.org).await?.len() >= MOST_KEYS {
            return Err(Error::AssignmentKeys("There are four keys already. Retire the oldest before you make another one."));
        }
        let made = self.insert_assignment_key(&mut tx, actor).await?;
        bundle::raise(&mut tx, actor, self.clock.now()).await?;
        tx.commit().await?;
        self.reload().await?;
        Ok(made)
    }

    /// Retires a key: nothing is signed with it any more, and devices stop to believe it when they have the next trust bundle, which they fetch as soon
    /// as they connect. The last one stays. Idempotent.
    pub async fn retire_assignment_key(&self, actor: &Actor, id: &AssignmentKeyId) -> Result<(), Error> {
        may(actor, Act::Keys)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        trust::next_trust(&mut tx).await?;
        let keys = store::keys(&mut tx, &actor.org).await?;
        let Some(key) = keys.iter().find(|k| k.id == *id) else { return Err(Error::NoAssignmentKey) };
        if key.retired_at.is_some() {
            return Ok(());
        }
        if keys.iter().filter(|k| k.retired_at.is_none()).count() < 2 {
            return Err(Error::AssignmentKeys("It is the only one. Make another one first; devices take both meanwhile."));
        }
        store::retire(&mut tx, &actor.org, id, now).await?;
        audit::append(&mut tx, actor, now, "assignment_key.retire", id.as_str(), &json!({ "keyid": key.keyid })).await?;
        bundle::raise(&mut tx, actor, now).await?;
        tx.commit().await?;
        self.reload().await
    }

    /// Makes an organization's first key. Idempotent, also on several instances at once. Devices learn of it with the bundle that is raised next.
    pub(super) async fn ensure_assignment_key(&self, org: &OrgId) -> Result<(), Error> {
        if !store::active(&mut self.db.read().await?, org).await?.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.write().await?;
        trust::next_trust(&mut tx).await?;
        if store::active(&mut tx, org).await?.is_empty() {
            self.insert_assignment_key(&mut tx, &Actor::system(org.clone())).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Makes a key in the caller's transaction, behind [`trust::next_trust`].
    pub(super) async fn insert_assignment_key(&self, tx: &mut Tx, actor: &Actor) -> Result<AssignmentKey, Error> {
        let now = self.clock.now();
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Cipher)?;
        let private = Zeroizing::new(pair.to_pkcs8().map_err(|_| KeyError::Cipher)?.as_ref().to_vec());
        let keyid = hex::encode(sha256(pair.public_key().as_ref()));
        // Named by its key, which is as good as drawn.
        let id: AssignmentKeyId = format!("ask_{}", &keyid[..32]).parse().map_err(crate::db::Error::corrupt)?;
        let sealed = self.kek.seal(&aad(&id), &private)?;
        let key = AssignmentKey { id, keyid, created_at: now, created_by: actor.label(), retired_at: None };
        store::insert(tx, &actor.org, &key, pair.public_key().as_ref(), &sealed).await?;
        audit::append(tx, actor, now, "assignment_key.add", key.id.as_str(), &json!({ "keyid": key.keyid })).await?;
        Ok(key)
    }

    /// Wraps these keys for another key-encryption key inside the caller's transaction (K-6); says how many.
    pub(super) async fn rewrap_assignment_keys(&self, tx: &mut Tx, to: &super::Kek) -> Result<usize, Error> {
        let sealed = store::sealed(tx).await?;
        for key in &sealed {
            let again = self.kek.rewrap(to, &aad(&key.id), &key.sealed)?;
            to.open(&aad(&key.id), &again)?;
            store::set_sealed(tx, &key.id, &again).await?;
        }
        Ok(sealed.len())
    }
}

fn aad(id: &AssignmentKeyId) -> Vec<u8> {
    [b"assignment-key/v1".as_slice(), id.as_str().as_bytes()].concat()
}
