//! A device that is ordered to renew its certificate now. Which certificate that is and who is told is the `pki` room's.

use super::{Away, Devices, Error, store};
use crate::{
    access::{Act, Actor, audit, may},
    db::row,
};
use serde_json::json;
use wire::{ids::DeviceId, pki::RenewalOrder, states::DeviceState};

impl Devices {
    /// Orders that a device renews, whatever the age of its certificate: it may keep its key, where the rules let it. One that is on its channel is told
    /// at once, also by another instance; every other one when its channel opens, until it has used a new certificate. May be said again. A suspended
    /// device is refused: nothing of it is renewed until it is resumed.
    pub async fn order_renewal(&self, actor: &Actor, device_id: &DeviceId) -> Result<RenewalOrder, Error> {
        may(actor, Act::EditDevices)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let device = store::number(&mut tx, &actor.org, device_id).await?.ok_or(Error::NotFound("device"))?;
        let lower = device_id.as_str().to_lowercase();
        let held = row!(&mut tx, (i64, String, String), store::BY_ID, actor.org.as_str(), lower)?;
        if let Some((_, known, _)) = held.filter(|(_, _, state)| state == DeviceState::Suspended.as_str()) {
            return Err(Error::NotActive(Away::Suspended(known)));
        }
        let certificates = self.pki.order_renewal(&mut tx, device, now).await?;
        audit::append(&mut tx, actor, now, "device.renew", device_id.as_str(), &json!({ "certificates": certificates })).await?;
        tx.commit().await?;
        self.pki.reload().await?;
        Ok(RenewalOrder { device_id: device_id.clone(), ordered_at: now, certificates })
    }
}
