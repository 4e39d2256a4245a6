//! Transfers: how fast files go to devices, and how many bytes. Owns the limits of an organization, the turns of downloads that share one, and what
//! each device was sent; refuses to know whether a device may have a file (rollouts) and where its bytes come from (releases, the listeners).
//!
//! Turns are this process's own: of several servers each keeps a limit by itself.

pub(crate) mod budget;
mod flow;
mod governor;
pub(crate) mod store;
#[cfg(test)]
mod tests;

pub use flow::Flow;

use crate::{
    Result,
    access::{Act, Actor, allowed, audit, may},
    clock::Clock,
    db::{self, Conn, Db},
    devices::DeviceNo,
    text::unseen,
};
use governor::{Governor, Share};
use parking_lot::Mutex;
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use wire::{
    Fault, FaultKind, Timestamp,
    ids::OrgId,
    transfers::{DataUse, TransferLimits, TransfersPage},
};

/// Limits that can't be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value out of its bounds.
    #[error("{message}")]
    Value {
        /// The input field.
        field: &'static str,
        /// What to do about it.
        message: &'static str,
    },
}

impl Error {
    /// What the other side gets to see.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Value { field, message } => Fault::new(FaultKind::Invalid, "bad_value", *message).at(*field),
        }
    }
}

/// The room's façade.
pub struct Transfers {
    db: Db,
    clock: Arc<dyn Clock>,
    under_way: Arc<UnderWay>,
}

/// What downloads under way share.
pub(crate) struct UnderWay {
    clock: Arc<dyn Clock>,
    governor: Mutex<Governor>,
    /// Bytes that were sent and are not written down yet.
    sent: Mutex<HashMap<DeviceNo, u64>>,
}

/// What a device was sent, as of now. For those who offer and those who explain.
pub(crate) async fn used(on: &mut impl Conn, org: &OrgId, device: DeviceNo, now: Timestamp) -> Result<DataUse, db::Error> {
    let budget = store::budget(on, org).await?;
    Ok(budget::used(&store::days(on, device, budget::gone(now)).await?, budget, now))
}

/// The attribute whose value says at which site a device is; empty where the organization names none.
pub(crate) async fn site_attribute(on: &mut impl Conn, org: &OrgId) -> Result<String, db::Error> {
    Ok(store::kept(on, org).await?.site_attribute)
}

/// What the organization allows. For those who say what a plan would do.
pub(crate) async fn allowed_by(on: &mut impl Conn, org: &OrgId) -> Result<TransferLimits, db::Error> {
    store::kept(on, org).await
}

/// The devices of an organization that were sent so many bytes or more in the time that counts for a budget, with what they were sent.
pub(crate) async fn spent(on: &mut impl Conn, org: &OrgId, least: i64, now: Timestamp) -> Result<HashMap<DeviceNo, i64>, db::Error> {
    store::spent(on, org, budget::gone(now), least).await
}

/// When the last of these devices, some of which have used up this budget (bytes), is below it again when nothing more is sent to them. For those who say
/// what a plan would do.
pub(crate) async fn all_below(
    on: &mut impl Conn,
    org: &OrgId,
    of: &HashSet<DeviceNo>,
    budget: i64,
    now: Timestamp,
) -> Result<Timestamp, db::Error> {
    // Whoever is below stays below, so the days can be halved. At the end of the window all that counts now is gone.
    let (mut over, mut below) = (0, budget::WINDOW);
    while below - over > 1 {
        let middle = i64::midpoint(over, below);
        let still = spent(on, org, budget, budget::midnight(now, middle)).await?;
        if still.keys().any(|device| of.contains(device)) {
            over = middle;
        } else {
            below = middle;
        }
    }
    Ok(budget::midnight(now, below))
}

/// Why a device gets nothing whose turn it is: it has used up its budget. Does not even count where there is none.
pub(crate) async fn over_budget(on: &mut impl Conn, org: &OrgId, device: DeviceNo, now: Timestamp) -> Result<Option<String>, db::Error> {
    let Some(budget) = store::budget(on, org).await? else { return Ok(None) };
    Ok(budget::words(&budget::used(&store::days(on, device, budget::gone(now)).await?, Some(budget), now)))
}

impl Transfers {
    /// The room over an open store.
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        let under_way = UnderWay { clock: clock.clone(), governor: Mutex::default(), sent: Mutex::default() };
        Self { db, clock, under_way: Arc::new(under_way) }
    }

    /// What the organization allows.
    pub async fn limits(&self, actor: &Actor) -> Result<TransferLimits> {
        may(actor, Act::Read)?;
        Ok(store::kept(&mut self.db.read().await?, &actor.org).await?)
    }

    /// What the organization allows, for the firmware page.
    pub async fn page(&self, actor: &Actor) -> Result<TransfersPage> {
        Ok(TransfersPage { limits: self.limits(actor).await?, may_edit: allowed(actor, Act::TransferLimits) })
    }

    /// Allows something else. Speeds hold at once for what is under way here too, and with the next download elsewhere.
    pub async fn set_limits(&self, actor: &Actor, limits: TransferLimits) -> Result<TransferLimits> {
        may(actor, Act::TransferLimits)?;
        let limits = TransferLimits { site_attribute: limits.site_attribute.trim().to_owned(), ..limits };
        if let Some((field, message)) = limits.problem() {
            return Err(Error::Value { field, message }.into());
        }
        if limits.site_attribute.chars().any(unseen) {
            let message = "No device has an attribute of this name. Use no control characters.";
            return Err(Error::Value { field: "site_attribute", message }.into());
        }
        let mut tx = self.db.write().await?;
        // Of two who ask at once the second sees what the first has asked. The organization's row before the audit log's head, as everybody takes them.
        let before = store::held(&mut tx, &actor.org).await?;
        if before == limits {
            return Ok(limits);
        }
        store::keep(&mut tx, &actor.org, &limits).await?;
        let detail = json!({ "before": before, "after": limits });
        audit::append(&mut tx, actor, self.clock.now(), "transfer.limits", actor.org.as_str(), &detail).await?;
        tx.commit().await?;
        let own = |org: &OrgId| *org == actor.org;
        let mut governor = self.under_way.governor.lock();
        governor.change(|share| matches!(share, Share::Organization(org) if own(org)), limits.bandwidth);
        // Sites of another attribute are nobody's any more.
        let site = limits.site_bandwidth.filter(|_| before.site_attribute == limits.site_attribute);
        governor.change(|share| matches!(share, Share::Site(org, _) if own(org)), site);
        drop(governor);
        Ok(limits)
    }

    /// What a device was sent in the last 30 days, for its page.
    pub async fn data_use(&self, actor: &Actor, device: DeviceNo) -> Result<DataUse> {
        may(actor, Act::Read)?;
        Ok(used(&mut self.db.read().await?, &actor.org, device, self.clock.now()).await?)
    }

    /// A download to a device begins: how it is paced, and what counts its bytes.
    pub async fn begin(&self, device: DeviceNo) -> Result<Flow> {
        let shared = store::shared(&mut self.db.read().await?, device).await?;
        Ok(Flow::new(self.under_way.clone(), device, shared))
    }

    /// Writes down what was sent since the last time. For a worker, every few seconds; what is lost when the server dies is not counted.
    pub async fn write_down(&self) -> Result<()> {
        let sent = std::mem::take(&mut *self.under_way.sent.lock());
        if sent.is_empty() {
            return Ok(());
        }
        let written = self.written(&sent).await;
        if written.is_err() {
            // It counts with the next time.
            let mut held = self.under_way.sent.lock();
            for (device, bytes) in sent {
                *held.entry(device).or_default() += bytes;
            }
        }
        written
    }

    async fn written(&self, sent: &HashMap<DeviceNo, u64>) -> Result<()> {
        let day = budget::day(self.clock.now());
        let mut tx = self.db.write().await?;
        for (device, bytes) in sent {
            store::add(&mut tx, *device, day, i64::try_from(*bytes).unwrap_or(i64::MAX)).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Forgets what was sent too long ago to count. For a worker, every hour.
    pub async fn forget(&self) -> Result<()> {
        let mut tx = self.db.write().await?;
        store::forget(&mut tx, budget::gone(self.clock.now())).await?;
        Ok(tx.commit().await?)
    }
}
