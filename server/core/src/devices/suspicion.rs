//! What is done about signs of clones: noted once on the device, written into the books, and the device suspended where the organization
//! wants that. Owns the note and its end; what a sign is, the `pki` room knows.

use super::{Devices, Error, store};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{exec, row, rows},
    pki::{DevicePeer, Sign, Suspicion},
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{DeviceId, OrgId},
    states::{ClonePolicy, DeviceStep},
};

impl Devices {
    /// Acts on signs of clones until it is dropped. One that can't be written down is logged; its device gives the next with its next connection.
    pub async fn watch_clones(&self) {
        while let Some(suspicion) = self.pki.next_suspicion().await {
            if let Err(error) = self.suspect(&suspicion).await {
                self.pki.trust().not_told(&suspicion.peer);
                tracing::error!(device = %suspicion.peer.device_id, sign = %suspicion.sign, %error, "a possible clone could not be noted");
            }
        }
    }

    /// Notes a sign and does what the organization wants done about it. An old certificate is one only while a successor of it is in use.
    pub(super) async fn suspect(&self, suspicion: &Suspicion) -> Result<(), Error> {
        let Suspicion { peer, sign } = suspicion;
        if matches!(sign, Sign::OldCertificate { .. })
            && !self.pki.has_successor_in_use(&mut self.db.read().await?, &peer.certificate).await?
        {
            // Its successor was revoked since: this one is the device's only way back. The next connection asks again.
            self.pki.trust().not_told(peer);
            return Ok(());
        }
        let system = Actor::system(peer.org.clone());
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let new = exec!(&mut tx, store::SUSPECT, peer.device, now.0, sign.to_string())? > 0;
        let policy = self.pki.rules_of(&mut tx, &peer.org).await?.clones;
        if !new {
            // Noted before, and nobody has looked at it yet; what was to follow may not have.
            drop(tx);
            return self.follow_policy(peer, policy).await;
        }
        let detail = json!({ "sign": sign.as_str(), "seen": sign.to_string(), "certificate": peer.certificate, "policy": policy });
        audit::append(&mut tx, &system, now, "device.possible_clone", peer.device_id.as_str(), &detail).await?;
        tx.commit().await?;
        tracing::warn!(device = %peer.device_id, certificate = %peer.certificate, %sign, "possible clone");
        self.bus.tell(Event::Device { org: peer.org.clone(), device: peer.device });
        self.follow_policy(peer, policy).await
    }

    async fn follow_policy(&self, peer: &DevicePeer, policy: ClonePolicy) -> Result<(), Error> {
        if policy != ClonePolicy::Suspend {
            return Ok(());
        }
        match self.change(&Actor::system(peer.org.clone()), &peer.device_id, DeviceStep::Suspend).await {
            // It has left the fleet meanwhile.
            Ok(()) | Err(Error::Illegal { .. } | Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Says that a person has looked at the sign. The next one is noted again; a suspended device stays so until it is resumed.
    pub async fn clear_suspicion(&self, actor: &Actor, device_id: &DeviceId) -> Result<(), Error> {
        may(actor, Act::Suspend)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let device = store::number(&mut tx, &actor.org, device_id).await?.ok_or(Error::NotFound("device"))?;
        let sign = row!(&mut tx, (String,), store::SUSPICION, device)?.map(|(sign,)| sign).unwrap_or_default();
        if exec!(&mut tx, store::UNSUSPECT, device)? == 0 {
            return Ok(());
        }
        // Read again by every instance, which makes their memory ready for the next sign.
        self.pki.device_changed(&mut tx, device).await?;
        audit::append(&mut tx, actor, now, "device.cleared", device_id.as_str(), &json!({ "seen": sign })).await?;
        tx.commit().await?;
        self.pki.reload().await?;
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Device { org: actor.org.clone(), device });
        Ok(())
    }

    /// Devices of which a clone is possible and that nobody has looked at, newest sign first.
    pub(crate) async fn suspected(&self, org: &OrgId, limit: i64) -> Result<Vec<(DeviceId, String, Timestamp)>, Error> {
        rows!(&mut self.db.read().await?, (String, String, i64), store::SUSPECTED, org.as_str(), limit)?
            .into_iter()
            .map(|(id, sign, at)| Ok((id.parse().map_err(crate::db::Error::corrupt)?, sign, Timestamp(at))))
            .collect()
    }
}
