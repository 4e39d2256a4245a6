//! A shared secret and a name become the device that is spoken for, or a refusal.

use super::{MINUTE_MS, Refusal, gateways, store, targets};
use crate::{
    access::{Actor, audit},
    bearer,
    bus::Event,
    db::{exec, row},
    devices::{
        DeviceNo, Devices, Error,
        entry::{self, NewDevice},
    },
    source::Source,
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{DeviceId, GatewayTokenId, OrgId},
    states::DeviceState,
};

/// Most devices that wait for a person in one organization.
const MOST_WAITING: i64 = 1000;

/// A secret as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// `Authorization: TargetToken …`.
    Target(&'a str),
    /// `Authorization: GatewayToken …`.
    Gateway(&'a str),
}

/// Who is spoken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// Its organization.
    pub org: OrgId,
    /// Its number.
    pub device: DeviceNo,
    /// Its name.
    pub device_id: DeviceId,
    /// A person has not let it in yet: it may say what it is, and gets nothing.
    pub waits: bool,
}

/// A secret that was right.
struct Right {
    org: OrgId,
    /// Since when it counts; a gateway's counts for no device whose certificate was revoked, so it has none.
    since: Option<Timestamp>,
    /// For the books: the kind and the name.
    kind: &'static str,
    label: String,
    device_type: String,
    newcomers: bool,
}

/// A device's target token.
#[derive(sqlx::FromRow)]
struct Target {
    device_id: String,
    id: String,
    secret_hash: Vec<u8>,
    created_at: i64,
    last_used_at: Option<i64>,
}

impl Devices {
    /// The device of this name in hawkBit's tenant, by a secret that may speak for it. A right secret always passes; after ten wrong ones a minute an
    /// address is told to wait.
    pub async fn spoken_for(&self, tenant: &str, device_id: &str, said: Said<'_>, address: &str) -> Result<Spoken, Error> {
        let now = self.clock.now();
        let spoken = self.speak(tenant, device_id, said, address, now).await;
        match spoken {
            Err(Error::Shared(Refusal::Wrong)) if !self.shared.wrong.take(&Source::of(address), now) => Err(Refusal::TooMany.into()),
            other => other,
        }
    }

    async fn speak(&self, tenant: &str, device_id: &str, said: Said<'_>, address: &str, now: Timestamp) -> Result<Spoken, Error> {
        // Both come out of an address as they were sent: no database is asked for what no name can be, such as PostgreSQL for a NUL.
        if tenant.contains('\0') || device_id.parse::<DeviceId>().is_err() {
            return Err(Refusal::Wrong.into());
        }
        let (org, tokens, newcomers) = store::tenant(&mut self.db.read().await?, tenant).await?.ok_or(Refusal::Wrong)?;
        if !tokens {
            return Err(Refusal::Off.into());
        }
        let right = match said {
            Said::Target(secret) => self.target(org, device_id, secret, now).await?,
            Said::Gateway(secret) => self.gateway(org, secret, newcomers, now).await?,
        };
        let spoken = self.standing(&right, device_id, address, now).await;
        if let Err(Error::Shared(refusal)) = &spoken {
            self.book(&right, device_id, refusal, address, now).await?;
        }
        spoken
    }

    async fn target(&self, org: OrgId, device_id: &str, secret: &str, now: Timestamp) -> Result<Right, Error> {
        let lower = device_id.to_lowercase();
        let found = row!(&mut self.db.read().await?, Target, store::TARGET, org.as_str(), lower.as_str())?;
        let Target { device_id: of, id, secret_hash, created_at, last_used_at: used } = found.ok_or(Refusal::Wrong)?;
        if !bearer::fits(targets::hashed(secret, &id), &secret_hash) || of != device_id {
            return Err(Refusal::Wrong.into());
        }
        if due(used, now) {
            let mut tx = self.db.write().await?;
            exec!(&mut tx, store::TARGET_USED, id.as_str(), now.0)?;
            tx.commit().await?;
        }
        Ok(Right { org, since: Some(Timestamp(created_at)), kind: "target_token", label: id, device_type: String::new(), newcomers: false })
    }

    async fn gateway(&self, org: OrgId, secret: &str, newcomers: bool, now: Timestamp) -> Result<Right, Error> {
        let (id, secret) = bearer::read::<GatewayTokenId>(gateways::PREFIX, secret).ok_or(Refusal::Wrong)?;
        let found = row!(&mut self.db.read().await?, (String, String, Vec<u8>, Option<i64>), store::GATEWAY, org.as_str(), id.as_str())?;
        let (label, device_type, kept, used) = found.ok_or(Refusal::Wrong)?;
        if !bearer::fits(secret, &kept) {
            return Err(Refusal::Wrong.into());
        }
        if due(used, now) {
            let mut tx = self.db.write().await?;
            exec!(&mut tx, store::GATEWAY_USED, id.as_str(), now.0)?;
            tx.commit().await?;
        }
        Ok(Right { org, since: None, kind: "gateway_token", label, device_type, newcomers })
    }

    /// The device, if this secret may speak for it now. The first word of one that a person has named lets it in; one that a gateway names waits.
    async fn standing(&self, right: &Right, device_id: &str, address: &str, now: Timestamp) -> Result<Spoken, Error> {
        use DeviceState as S;
        let device_id: DeviceId = device_id.parse().map_err(|_| Refusal::Wrong)?;
        let lower = device_id.as_str().to_lowercase();
        let Some(found) = store::standing(&mut self.db.read().await?, &right.org, &lower, now).await? else {
            return self.announce(right, &device_id, address, now).await;
        };
        let name = || found.device_id.clone();
        if found.device_id != device_id.as_str() {
            return Err(Refusal::Unknown(device_id.to_string()).into());
        }
        if found.certified {
            return Err(Refusal::Certified(name()).into());
        }
        if found.revoked_at.is_some_and(|at| right.since.is_none_or(|since| since.0 <= at)) {
            return Err(Refusal::Revoked(name()).into());
        }
        let was: S = found.state.parse().map_err(crate::db::Error::corrupt)?;
        let named = right.since.is_some();
        let (is, device) = (if named { S::Active } else { S::Pending }, found.number);
        match was {
            S::Suspended | S::Decommissioned => return Err(Refusal::NotActive(name()).into()),
            S::Preregistered => self.step(right, (device, &device_id), (was, is), address, now).await?,
            S::Pending if named => self.step(right, (device, &device_id), (was, is), address, now).await?,
            S::Pending | S::Active => {}
        }
        let waits = was != S::Active && !named;
        Ok(Spoken { org: right.org.clone(), device, device_id, waits })
    }

    /// Takes a device a step on by its first word.
    async fn step(
        &self,
        right: &Right,
        (device, device_id): (DeviceNo, &DeviceId),
        (was, is): (DeviceState, DeviceState),
        address: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.db.write().await?;
        if exec!(&mut tx, store::MOVE, device, was.as_str(), is.as_str())? == 0 {
            // Another of its words was faster; what it led to is seen with the next one.
            return Ok(());
        }
        self.pki.device_changed(&mut tx, device).await?;
        let action = if is == DeviceState::Active { "device.admit" } else { "device.announce" };
        let detail = json!({ "was": was, "by": right.kind, "token": right.label });
        audit::append(&mut tx, &spoken_by(right, device, device_id, address), now, action, device_id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Device { org: right.org.clone(), device });
        Ok(())
    }

    /// A device that nobody knows, by a gateway: it waits for a person.
    async fn announce(&self, right: &Right, device_id: &DeviceId, address: &str, now: Timestamp) -> Result<Spoken, Error> {
        if !right.newcomers {
            return Err(Refusal::Unknown(device_id.to_string()).into());
        }
        let lower = device_id.as_str().to_lowercase();
        let by = format!("gateway {}", right.label);
        let mut tx = self.db.write().await?;
        if row!(&mut tx, (i64,), store::WAITING, right.org.as_str())?.is_some_and(|(waiting,)| waiting >= MOST_WAITING) {
            return Err(Refusal::Crowded.into());
        }
        let new = NewDevice {
            org: right.org.as_str(),
            device_id: device_id.as_str(),
            lower: &lower,
            device_type: &right.device_type,
            hardware: "",
            state: DeviceState::Pending.as_str(),
            enrolled_at: now.0,
            enrolled_by: &by,
        };
        let made = entry::insert(&mut tx, &[new]).await?;
        // The id of a deleted device is reserved, or another word of the same device was faster and the next one finds it.
        let device = made.into_values().next().ok_or_else(|| Refusal::NotActive(device_id.to_string()))?;
        let detail = json!({ "by": right.kind, "token": right.label, "device_type": right.device_type });
        let actor = spoken_by(right, device, device_id, address);
        audit::append(&mut tx, &actor, now, "device.announce", device_id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Device { org: right.org.clone(), device });
        self.bus.tell(Event::Enrolment { org: right.org.clone() });
        Ok(Spoken { org: right.org.clone(), device, device_id: device_id.clone(), waits: true })
    }

    /// A right secret for a device that it may not speak for: a wrong configuration, or somebody who tries.
    async fn book(&self, right: &Right, device_id: &str, refusal: &Refusal, address: &str, now: Timestamp) -> Result<(), Error> {
        tracing::info!(address, device = device_id, error = %refusal, "shared secret refused");
        if !refusal.knew_the_secret() || !self.shared.booked.take(&format!("{} {device_id}", right.org), now) {
            return Ok(());
        }
        let actor = Actor::stranger(right.org.clone(), address);
        let detail = json!({ "token": right.label, "code": refusal.fault().code });
        let mut tx = self.db.write().await?;
        audit::append(&mut tx, &actor, now, &format!("{}.refuse", right.kind), device_id, &detail).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Whether a use is written down: once a minute.
fn due(used: Option<i64>, now: Timestamp) -> bool {
    used.is_none_or(|at| now.since(Timestamp(at)) > MINUTE_MS)
}

fn spoken_by(right: &Right, device: DeviceNo, device_id: &DeviceId, address: &str) -> Actor {
    Actor::device(&right.org, device, device_id, address)
}
