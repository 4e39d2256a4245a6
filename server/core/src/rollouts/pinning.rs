//! A person pins a device to what it runs, so that no rollout moves it, and lets it go. Owns what becomes of an offer that the device has not begun; who
//! is pinned is the devices' room's, and that a pinned device is in no draw is [`super::survey`]'s.

use super::{
    Error, Rollouts,
    store::{turns, updates},
};
use crate::{
    Result,
    access::{Act, Actor, audit, may},
    bus::Event,
    db::Tx,
    devices::{DeviceNo, pins, store as devices},
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{DeviceId, RolloutId, UpdateId},
    states::{DeviceState, UpdateState},
    updates::Pin,
};

impl Rollouts {
    /// Pins a device to what it runs: it is offered nothing, and counts for no stage, until it is unpinned. What it has begun goes on; an offer that it
    /// has not begun is taken back, and it is offered that rollout again afterwards. May be repeated: the last who, when and why stand.
    pub async fn pin(&self, actor: &Actor, device_id: &DeviceId, reason: &str) -> Result<Pin> {
        may(actor, Act::EditDevices)?;
        let reason = pins::reason(reason)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let device = devices::number(&mut tx, &actor.org, device_id).await?.ok_or(Error::NotFound("device"))?;
        let facts = devices::facts(&mut tx, device, now).await?.ok_or(Error::NotFound("device"))?;
        if facts.state == DeviceState::Decommissioned.as_str() {
            return Err(Error::NotNow("A decommissioned device gets no updates.".to_owned()).into());
        }
        let pin = Pin { at: now, by: actor.label(), reason };
        let taken_back = withdrawn(&mut tx, device, now).await?;
        pins::pin(&mut tx, &actor.org, device, &pin).await?;
        // One that was made between the two.
        let taken_back = withdrawn(&mut tx, device, now).await?.or(taken_back);
        let detail =
            json!({ "reason": pin.reason, "version": facts.version, "taken_back": taken_back.as_ref().map(|(_, rollout)| rollout) });
        audit::append(&mut tx, actor, now, "device.pin", facts.device_id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Device { org: actor.org.clone(), device });
        if let Some((update, rollout)) = taken_back {
            self.bus.tell(Event::Rollout { org: actor.org.clone(), id: rollout });
            self.bus.tell(Event::Cancelled { org: actor.org.clone(), device, update });
        }
        Ok(pin)
    }

    /// Lets a device go: rollouts that go out may move it again from now on. May be repeated.
    pub async fn unpin(&self, actor: &Actor, device_id: &DeviceId) -> Result<()> {
        may(actor, Act::EditDevices)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let device = devices::number(&mut tx, &actor.org, device_id).await?.ok_or(Error::NotFound("device"))?;
        let (_, known) = devices::name(&mut tx, device).await?.ok_or(Error::NotFound("device"))?;
        let Some(pin) = pins::of(&mut tx, device).await? else { return Ok(()) };
        if pins::unpin(&mut tx, device).await? {
            audit::append(&mut tx, actor, now, "device.unpin", known.as_str(), &json!({ "reason": pin.reason, "by": pin.by })).await?;
        }
        tx.commit().await?;
        self.bus.tell(Event::Device { org: actor.org.clone(), device });
        Ok(())
    }
}

/// Takes back what a device was offered and has not begun; none where there is no such offer. The update's row is taken before the device's, as a report does.
async fn withdrawn(tx: &mut Tx, device: DeviceNo, now: Timestamp) -> Result<Option<(UpdateId, RolloutId)>> {
    let Some(open) = turns::open_of(tx, device).await?.filter(|open| !open.begun()) else { return Ok(None) };
    let Some(update) = updates::update(tx, &open.id).await? else { return Ok(None) };
    if !turns::withdraw(tx, &update, now).await? {
        return Ok(None);
    }
    devices::set_update(tx, device, UpdateState::Cancelled.as_str()).await?;
    Ok(Some((update.id, update.rollout)))
}
