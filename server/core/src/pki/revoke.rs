//! Revocation (pki.md R-5): committed, then taken into memory, then told; the listeners cut live connections on the way (H-5, H-6).

use super::{Error, Pki, store};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::Tx,
};
use serde_json::json;
use std::collections::BTreeSet;
use wire::{ids::CertificateId, pki::RevocationReason};

impl Pki {
    /// Revokes a certificate for good. When this returns no handshake with it passes on this instance, and its connections are being cut.
    /// Idempotent: the first reason stands. A compromised key is blocked forever.
    pub async fn revoke(&self, actor: &Actor, id: &CertificateId, reason: RevocationReason) -> Result<(), Error> {
        may(actor, Act::Revoke)?;
        let mut tx = self.db.write().await?;
        let device = self.revoke_one(&mut tx, actor, id, reason).await?;
        tx.commit().await?;
        self.reload().await?;
        self.bus.tell(Event::Trust);
        if let Some(device) = device {
            self.bus.tell(Event::Device { org: actor.org.clone(), device });
        }
        Ok(())
    }

    /// Revokes these certificates in one transaction. The caller has asked whether the actor may.
    pub(crate) async fn revoke_these(&self, actor: &Actor, ids: &[CertificateId], reason: RevocationReason) -> Result<(), Error> {
        let mut devices = BTreeSet::new();
        let mut tx = self.db.write().await?;
        for id in ids {
            devices.extend(self.revoke_one(&mut tx, actor, id, reason).await?);
        }
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
        for (id,) in store::usable_of(tx, device, &actor.org).await? {
            let id: CertificateId = id.parse().map_err(crate::db::Error::corrupt)?;
            self.revoke_one(tx, actor, &id, reason).await?;
        }
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

    async fn revoke_one(&self, tx: &mut Tx, actor: &Actor, id: &CertificateId, reason: RevocationReason) -> Result<Option<i64>, Error> {
        let now = self.clock.now();
        let seq = store::next_trust(tx).await?;
        let record = store::for_revocation(tx, id, &actor.org).await?.ok_or(Error::NotFound)?;
        // Listeners' certificates are replaced, not revoked by hand: nobody would know where the connection went.
        let device = record.device.ok_or(Error::NotFound)?;
        if store::revoke(tx, id, &actor.org, now, &actor.label(), reason.as_str(), seq).await? {
            self.journal_revoked(tx, id).await?;
            let detail = json!({ "reason": reason.as_str(), "was": record.state });
            audit::append(tx, actor, now, "certificate.revoke", id.as_str(), &detail).await?;
            if reason == RevocationReason::KeyCompromise {
                store::block_key(tx, &record.spki_sha256, &actor.org, reason.as_str(), now).await?;
            }
        }
        Ok(Some(device))
    }
}
