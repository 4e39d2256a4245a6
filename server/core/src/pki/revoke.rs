//! Revocation: committed, then taken into memory, then told; the listeners cut live connections on the way (H-5, H-6).

use super::{
    Error, Pki,
    journal::{Entry, LeakedKey},
    profile::second,
    store,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::Tx,
    text::readable_text,
};
use serde_json::json;
use std::collections::BTreeSet;
use wire::{
    Timestamp,
    ids::CertificateId,
    pki::{MAX_REVOCATION_NOTE, Revocation, RevocationReason, RevokedCertificate},
};

impl Pki {
    /// Revokes a certificate for good. When this returns no handshake with it passes on this instance, and its connections are being cut.
    /// Idempotent: the first reason, date and note stand and are the answer, and another reason is refused with that ([`Error::AlreadyRevoked`]).
    /// One that its successor has superseded was revoked for that: its reason and its date are published, and stay.
    /// One reason may follow every other: that its key is compromised. When it was revoked, and by whom, stays; who raised it and when is kept beside it, and
    /// lists and responders say the new reason. A compromised key is blocked forever, and the organization's other certificates for it are revoked with this
    /// one.
    pub async fn revoke(&self, actor: &Actor, id: &CertificateId, how: impl Into<Revocation>) -> Result<RevokedCertificate, Error> {
        may(actor, Act::Revoke)?;
        let how = checked(&how.into(), self.clock.now())?;
        let mut told = Vec::new();
        let mut tx = self.db.write().await?;
        let Revoked { device, before } = self.revoke_one(&mut tx, actor, id, &how, &mut told).await?;
        if let Some((at, reason)) = before.filter(|(_, reason)| reason != how.reason.as_str()) {
            return Err(Error::AlreadyRevoked { at, reason });
        }
        let record = store::for_revocation(&mut tx, id, &actor.org).await?.ok_or(Error::NotFound)?;
        self.journal_all(&told).await;
        tx.commit().await?;
        self.reload().await?;
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Device { org: actor.org.clone(), device });
        Ok(RevokedCertificate {
            id: id.clone(),
            revoked_at: Timestamp(record.revoked_at.unwrap_or_default()),
            revoked_by: record.revoked_by,
            reason: record.reason,
            invalidity_date: record.invalidity_date.map(Timestamp),
            note: record.revocation_note,
            raised_at: record.raised_at.map(Timestamp),
            raised_by: record.raised_by,
        })
    }

    /// Revokes these certificates in one transaction. The caller has asked whether the actor may.
    pub(crate) async fn revoke_these(&self, actor: &Actor, ids: &[CertificateId], reason: RevocationReason) -> Result<(), Error> {
        let (mut devices, mut told, how) = (BTreeSet::new(), Vec::new(), Revocation::from(reason));
        let mut tx = self.db.write().await?;
        for id in ids {
            devices.insert(self.revoke_one(&mut tx, actor, id, &how, &mut told).await?.device);
        }
        self.journal_all(&told).await;
        tx.commit().await?;
        self.reload().await?;
        self.bus.tell(Event::Trust);
        for device in devices {
            self.bus.tell(Event::Device { org: actor.org.clone(), device });
        }
        Ok(())
    }

    /// Revokes every usable certificate of a device inside the caller's transaction. After the commit call [`Pki::reload`] and tell
    /// [`Event::Trust`]. The device's own state counts as well: it is read again with its certificates.
    pub async fn revoke_all_of(&self, tx: &mut Tx, actor: &Actor, device: i64, reason: RevocationReason) -> Result<(), Error> {
        // First, because it takes the trust clock: a renewal under way is either among the certificates below or finds its own revoked.
        self.device_changed(tx, device).await?;
        let mut told = Vec::new();
        for (id,) in store::usable_of(tx, device, &actor.org).await? {
            let id: CertificateId = id.parse().map_err(crate::db::Error::corrupt)?;
            self.revoke_one(tx, actor, &id, &Revocation::from(reason), &mut told).await?;
        }
        self.journal_all(&told).await;
        Ok(())
    }

    /// Says inside the caller's transaction that a device's standing (active, suspended, …) has changed.
    pub async fn device_changed(&self, tx: &mut Tx, device: i64) -> Result<(), Error> {
        let seq = store::next_trust(tx).await?;
        store::touch_device(tx, device, seq).await?;
        Ok(())
    }

    /// The same of many devices: a list for `many!`, each with its number as `device`.
    pub(crate) async fn devices_changed(&self, tx: &mut Tx, devices: &str) -> Result<(), Error> {
        let seq = store::next_trust(tx).await?;
        store::touch_devices(tx, devices, seq).await?;
        Ok(())
    }

    /// Revokes a certificate and, when its key is compromised, the others for the same key: a device may keep its key when it renews, and whoever has the
    /// key can use each of them. A key is one device's, so all of them are. Said again it finds those that were left, by a version before this one for example.
    ///
    /// What the journal has to know before the commit comes behind `told`: one write of it for many certificates, because each waits for the disk while
    /// the transaction keeps other writers away.
    async fn revoke_one(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        id: &CertificateId,
        how: &Revocation,
        told: &mut Vec<Entry>,
    ) -> Result<Revoked, Error> {
        let now = self.clock.now();
        let revoked = self.revoke_alone(tx, actor, id, how, (now, None), told).await?;
        if how.reason == RevocationReason::KeyCompromise {
            for (other,) in store::for_same_key(tx, id, &actor.org, now).await? {
                let other: CertificateId = other.parse().map_err(crate::db::Error::corrupt)?;
                self.revoke_alone(tx, actor, &other, how, (now, Some(id)), told).await?;
            }
        }
        Ok(revoked)
    }

    /// The same of this certificate alone; `follows` is the one for the same key that it is revoked with.
    async fn revoke_alone(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        id: &CertificateId,
        how: &Revocation,
        (now, follows): (Timestamp, Option<&CertificateId>),
        told: &mut Vec<Entry>,
    ) -> Result<Revoked, Error> {
        let seq = store::next_trust(tx).await?;
        let record = store::for_revocation(tx, id, &actor.org).await?.ok_or(Error::NotFound)?;
        // Listeners' certificates are replaced, not revoked by hand: nobody would know where the connection went.
        let device = record.device.ok_or(Error::NotFound)?;
        let compromised = how.reason == RevocationReason::KeyCompromise;
        // Lists and responders say already why, and since when. That it is final is new: a backup from before brings it back no more.
        let superseded = store::keep_superseded(tx, id, &actor.org, seq).await?;
        let reason_was = if superseded { SUPERSEDED.to_owned() } else { record.reason };
        let before = !store::revoke(tx, id, &actor.org, now, &actor.label(), how, seq).await?;
        let raised = before && compromised && store::compromise(tx, id, &actor.org, how, seq, (now, &actor.label())).await?;
        let stays = (before && !raised).then(|| (record.revoked_at.map_or(now, Timestamp), reason_was.clone()));
        if stays.is_some() && !superseded {
            return Ok(Revoked { device, before: stays });
        }
        let leaked = compromised.then(|| LeakedKey {
            spki_sha256: record.spki_sha256.clone(),
            org_id: actor.org.as_str().to_owned(),
            reason: how.reason.as_str().to_owned(),
            blocked_at: now.0,
            blocked_by: actor.label(),
            certificate_id: id.as_str().to_owned(),
            note: String::new(),
        });
        match self.for_journal(tx, id).await? {
            Some(entry) => told.push(entry),
            // It was never signed; its key is blocked all the same.
            None => told.extend(leaked.clone().map(Entry::Blocked)),
        }
        let mut detail = json!({ "reason": if stays.is_some() { SUPERSEDED } else { how.reason.as_str() }, "was": record.state });
        if raised {
            detail["reason_was"] = json!(reason_was);
        }
        if let Some(first) = follows {
            detail["follows"] = json!(first);
        }
        if let Some(since) = how.invalidity_date.filter(|_| stays.is_none()) {
            detail["invalid_since"] = json!(since);
        }
        if !how.note.is_empty() && stays.is_none() {
            detail["note"] = json!(how.note);
        }
        audit::append(tx, actor, now, "certificate.revoke", id.as_str(), &detail).await?;
        if let Some(key) = &leaked {
            store::block_key(tx, key).await?;
        }
        Ok(Revoked { device, before: stays })
    }
}

/// Why one is not believed any more that its successor has replaced.
const SUPERSEDED: &str = RevocationReason::Superseded.as_str();

/// What became of one that is to be revoked.
struct Revoked {
    device: i64,
    /// When and for what it was revoked before, where that stays.
    before: Option<(Timestamp, String)>,
}

/// A revocation as it is written down: whole seconds, as the list has them, and a note without blanks around it.
fn checked(how: &Revocation, now: Timestamp) -> Result<Revocation, Error> {
    let note = how.note.trim().to_owned();
    if note.chars().count() > MAX_REVOCATION_NOTE as usize || !readable_text(&note) {
        return Err(Error::RevocationNote);
    }
    // A list tells of what was; GeneralizedTime knows no instant before our clocks' zero that a person would mean.
    if how.invalidity_date.is_some_and(|since| since > now || since.0 < 0) {
        return Err(Error::InvalidityDate);
    }
    Ok(Revocation { invalidity_date: how.invalidity_date.map(second), note, reason: how.reason })
}
