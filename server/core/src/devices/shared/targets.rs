//! Target tokens: a secret for one device, made by operators. Its device need not have been seen.

use super::{Refusal, store};
use crate::{
    access::{Act, Actor, audit, may},
    bearer,
    bus::Event,
    db::{Bytes, Conn, Tx, exec, list, row},
    devices::{
        DeviceNo, Devices, Error,
        entry::{self, NewDevice},
        words,
    },
};
use serde::Serialize;
use serde_json::json;
use wire::{
    Timestamp,
    enrolment::{CreatedTargetToken, NewTargetToken, TargetToken},
    ids::{DeviceId, TargetTokenId},
    states::DeviceState,
};

/// What secrets of devices begin with.
const PREFIX: &str = "ftt";

/// A target token that a device gets.
#[derive(Serialize)]
pub(in crate::devices) struct Given<'a> {
    pub device: DeviceNo,
    pub id: &'a str,
    pub org: &'a str,
    /// SHA-256 of the secret; of one that was not made here, of all of its text.
    pub secret_hash: Bytes<'a>,
    pub created_at: i64,
    pub created_by: &'a str,
}

/// Gives devices target tokens, each in the place of the one it has. Whether a device may have one is decided before.
pub(in crate::devices) async fn give(tx: &mut Tx, given: &[Given<'_>]) -> Result<(), crate::db::Error> {
    if !given.is_empty() {
        exec!(tx, store::TARGETS_SET, list(given)?)?;
    }
    Ok(())
}

/// The part of a secret that its hash is of: behind the id of one that was made here, all of one that another server has made.
pub(super) fn hashed<'a>(secret: &'a str, id: &str) -> &'a str {
    let own = bearer::read::<TargetTokenId>(PREFIX, secret).filter(|(said, _)| said.as_str() == id);
    own.map_or(secret, |(_, behind)| behind)
}

impl Devices {
    /// Makes a device's target token in the place of the one it has. A device that is not there is preregistered, and active with its first word. The
    /// secret is in the answer and nowhere else. Refused for a device that has a certificate. One whose certificate was revoked, for whatever reason, is let
    /// back in by it, which the audit log has as `device.readmit`: the secret is new, so whoever has the key of that certificate has nothing by it.
    pub async fn create_target_token(&self, actor: &Actor, id: &DeviceId, new: &NewTargetToken) -> Result<CreatedTargetToken, Error> {
        may(actor, Act::Enrol)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let found = store::standing(&mut tx, &actor.org, &id.as_str().to_lowercase(), now).await?;
        let revoked_at = found.as_ref().and_then(|found| found.revoked_at);
        let (device, named) = match found {
            Some(found) if found.certified => return Err(Refusal::Certified(found.device_id).into()),
            Some(found) if ended(&found.state) => return Err(Refusal::NotActive(found.device_id).into()),
            Some(found) => (found.number, found.device_id.parse().map_err(crate::db::Error::corrupt)?),
            None => (preregister(&mut tx, actor, id, new, now).await?, id.clone()),
        };
        let token: TargetTokenId = self.entropy.id(now);
        let (secret, kept) = bearer::mint(PREFIX, &token, &*self.entropy);
        let (org, by) = (actor.org.as_str(), actor.label());
        // A token from after the revocation has let it back in already.
        if let Some(at) = revoked_at
            && token_of(&mut tx, device).await?.is_none_or(|before| before.created_at.0 <= at)
        {
            let reason = store::revoked_for(&mut tx, device).await?;
            let detail = json!({ "by": "target_token", "token": token, "revoked_at": Timestamp(at), "reason": reason });
            audit::append(&mut tx, actor, now, "device.readmit", named.as_str(), &detail).await?;
        }
        let given = Given { device, id: token.as_str(), org, secret_hash: Bytes(&kept), created_at: now.0, created_by: &by };
        give(&mut tx, &[given]).await?;
        audit::append(&mut tx, actor, now, "target_token.create", named.as_str(), &json!({ "id": token })).await?;
        tx.commit().await?;
        self.bus.tell(Event::Device { org: actor.org.clone(), device });
        Ok(CreatedTargetToken { device_id: named, secret })
    }

    /// Takes a device's target token away at once.
    pub async fn drop_target_token(&self, actor: &Actor, id: &DeviceId) -> Result<(), Error> {
        may(actor, Act::Enrol)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let device = crate::devices::store::number(&mut tx, &actor.org, id).await?.ok_or(Error::NotFound("device"))?;
        if exec!(&mut tx, store::TARGET_CLEAR, device)? == 0 {
            return Err(Error::NotFound("target token"));
        }
        audit::append(&mut tx, actor, now, "target_token.revoke", id.as_str(), &json!(null)).await?;
        tx.commit().await?;
        self.bus.tell(Event::Device { org: actor.org.clone(), device });
        Ok(())
    }
}

fn ended(state: &str) -> bool {
    [DeviceState::Suspended.as_str(), DeviceState::Decommissioned.as_str()].contains(&state)
}

/// A row for a device that nobody has seen.
async fn preregister(tx: &mut Tx, actor: &Actor, id: &DeviceId, new: &NewTargetToken, now: Timestamp) -> Result<DeviceNo, Error> {
    let (device_type, hardware) = (words::device_type(&new.device_type)?, words::word("hardware", &new.hardware, 64)?);
    let lower = id.as_str().to_lowercase();
    let row = NewDevice {
        org: actor.org.as_str(),
        device_id: id.as_str(),
        lower: &lower,
        device_type: &device_type,
        hardware: &hardware,
        state: DeviceState::Preregistered.as_str(),
        enrolled_at: now.0,
        enrolled_by: "target token",
    };
    let made = entry::insert(tx, &[row]).await?;
    // The name of a deleted device is still reserved.
    let device = made.into_values().next().ok_or_else(|| Error::Exists(id.to_string()))?;
    let detail = json!({ "device_type": device_type, "hardware": hardware });
    audit::append(tx, actor, now, "device.preregister", id.as_str(), &detail).await?;
    Ok(device)
}

/// A device's target token, if it has one.
pub(in crate::devices) async fn token_of(on: &mut impl Conn, device: DeviceNo) -> Result<Option<TargetToken>, crate::db::Error> {
    Ok(row!(on, (i64, String, Option<i64>), store::TARGET_OF, device)?.map(|(created_at, created_by, last_used_at)| TargetToken {
        created_at: Timestamp(created_at),
        created_by,
        last_used_at: last_used_at.map(Timestamp),
    }))
}
