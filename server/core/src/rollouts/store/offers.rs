//! How an update begins: what an offer holds meanwhile, what a plan's limits are counted over, and the row that is written.

use super::{
    courses::CLAMP_SEEN,
    records::Record,
    turns::Last,
    updates::{shift, take_waiting},
};
use crate::{
    db::{Conn, Error, Sql, Tx, exec, row, rows},
    devices::DeviceNo,
    rollouts::{
        admission::Doors,
        holding::Place,
        state::Class,
        throttle::{Crowd, Full, throttled},
    },
};
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    device::{TIMEZONE, WAITS_FOR_WINDOW},
    ids::{OrgId, RolloutId, UpdateId},
    rollouts::Counts,
};

/// Reads the rollout and keeps it as it is until the transaction ends: nobody pauses it between the look and the offer.
pub(super) const HOLD: Sql = Sql::split(
    "SELECT state, stage, cut, doors_until, last_device, timeout_ms FROM rollouts WHERE id = $1",
    "SELECT state, stage, cut, doors_until, last_device, timeout_ms FROM rollouts WHERE id = $1 FOR SHARE",
);
/// The same, for offers of a rollout that come one after the other because its plan limits how many there are at once.
pub(super) const HOLD_ALONE: Sql = Sql::split(
    "SELECT state, stage, cut, doors_until, last_device, timeout_ms FROM rollouts WHERE id = $1",
    "SELECT state, stage, cut, doors_until, last_device, timeout_ms FROM rollouts WHERE id = $1 FOR NO KEY UPDATE",
);
/// Offers within a budget come one after the other in the whole organization: other rollouts count as well.
pub(super) const HOLD_ORG: Sql =
    Sql::split("SELECT id FROM organizations WHERE id = $1", "SELECT id FROM organizations WHERE id = $1 FOR NO KEY UPDATE");
/// How many updates of a rollout are under way. Every deadline is after 1970: it is said so that those are read by their own index, and not all that ever were.
pub(super) const OPEN_IN: Sql = Sql::same("SELECT COUNT(*) FROM updates WHERE rollout_id = $1 AND open = TRUE AND deadline > 0");
/// How many devices are updating that have the same value of attribute $3 as device $2.
pub(super) const ALIKE: Sql = Sql::same(
    "SELECT COUNT(*) FROM device_attributes own JOIN device_attributes a ON a.org_id = own.org_id AND a.name = own.name AND a.value = own.value
     JOIN updates u ON u.device = a.device WHERE own.device = $2 AND own.name = $3 AND own.org_id = $1 AND u.open = TRUE",
);
/// What an open update says of what its device waits for; these parameters are the names of the attributes that the device reports of its zone, and of waiting by itself.
macro_rules! select_holders {
    ($zone:literal, $waits:literal, $from:literal) => {
        concat!(
            "SELECT u.rollout_id, d.device_id, u.state, u.created_at, u.deadline, x.timeout_ms,
             (SELECT z.value FROM device_attributes z WHERE z.device = u.device AND z.name = ",
            $zone,
            "), (SELECT w.value FROM device_attributes w WHERE w.device = u.device AND w.name = ",
            $waits,
            ") FROM ",
            $from
        )
    };
}
/// The updates that [`OPEN_IN`] counts, those that are waited for the longest first.
pub(super) const HOLDERS_IN: Sql = Sql::same(select_holders!(
    "$2",
    "$3",
    "updates u JOIN devices d ON d.number = u.device JOIN rollouts x ON x.id = u.rollout_id
     WHERE u.rollout_id = $1 AND u.open = TRUE AND u.deadline > 0 ORDER BY u.deadline DESC LIMIT $4"
));
/// The updates that [`ALIKE`] counts, those that are waited for the longest first.
pub(super) const HOLDERS_ALIKE: Sql = Sql::same(select_holders!(
    "$4",
    "$5",
    "device_attributes own JOIN device_attributes a ON a.org_id = own.org_id AND a.name = own.name AND a.value = own.value
     JOIN updates u ON u.device = a.device JOIN devices d ON d.number = u.device JOIN rollouts x ON x.id = u.rollout_id
     WHERE own.device = $2 AND own.name = $3 AND own.org_id = $1 AND u.open = TRUE ORDER BY u.deadline DESC LIMIT $6"
));
/// How many active devices have the same value of attribute $3 as device $2.
pub(super) const KIN: Sql = Sql::same(
    "SELECT COUNT(*) FROM device_attributes own JOIN device_attributes a ON a.org_id = own.org_id AND a.name = own.name AND a.value = own.value
     JOIN devices d ON d.number = a.device WHERE own.device = $2 AND own.name = $3 AND own.org_id = $1 AND d.state = 'active'",
);
/// How many offers of a rollout were made after then. What was cancelled before it was offered is none, until it is tried again; those few are found by their
/// own index, so that the offers are counted by theirs alone.
pub(super) const BEGUN: Sql = Sql::same(concat!(
    "SELECT COUNT(*) - (SELECT COUNT(*) FROM updates WHERE rollout_id = $1 AND latest = TRUE AND again = FALSE AND state = 'cancelled' AND code = '",
    cancelled_by_hand!(),
    "' AND passed = 0 AND ended_at > $2) FROM updates WHERE rollout_id = $1 AND created_at > $2"
));
pub(super) const SUCCEEDED: Sql = Sql::same("SELECT CAST(COALESCE(SUM(succeeded), 0) AS BIGINT) FROM rollout_stages WHERE rollout_id = $1");
pub(super) const RETIRE: Sql = Sql::same(
    "UPDATE updates SET latest = FALSE, again = FALSE, retry_at = NULL
         WHERE id = $1 AND latest = TRUE AND state = $3 AND (again = TRUE OR retry_at <= $2)",
);
/// The unique indexes decide: a device that has an open update, or a part in this rollout, gets no other.
pub(super) const INSERT: Sql = Sql::same(
    "INSERT INTO updates (id, org_id, rollout_id, device, stage, state, open, latest, again, from_version, attempts, deadline, created_at, updated_at, passed)
     VALUES ($1, $2, $3, $4, $5, 'offered', TRUE, TRUE, FALSE, $6, $7, $8, $9, $9, 2) ON CONFLICT DO NOTHING",
);

/// The rollout as it stands while its row is held.
#[derive(Debug, Clone, Copy)]
pub(in crate::rollouts) struct Held {
    pub doors: Doors,
    pub last_device: DeviceNo,
    pub timeout_ms: i64,
}

/// What a rate is counted over.
const MINUTE_MS: i64 = 60_000;
/// Most devices that hold places and are looked at, one by one.
const LOOKED_AT: i64 = 1000;
/// A row of [`HOLDERS_IN`] or [`HOLDERS_ALIKE`].
type HolderRecord = (String, String, String, i64, i64, i64, Option<String>, Option<String>);

/// Holds the rollout for an offer; where its plan limits how many there are at once, no other offer is made meanwhile that would count.
pub(in crate::rollouts) async fn hold_rollout(tx: &mut Tx, record: &Record) -> Result<Option<Held>, Error> {
    let id = record.id.as_str();
    let found = if throttled(&record.spec) {
        row!(tx, (String, i64, i64, i64, i64, i64), HOLD_ALONE, id)?
    } else {
        row!(tx, (String, i64, i64, i64, i64, i64), HOLD, id)?
    };
    if record.spec.budget.is_some() {
        row!(tx, (String,), HOLD_ORG, record.org.as_str())?;
    }
    found
        .map(|(state, stage, cut, doors_until, last_device, timeout_ms)| {
            Ok(Held {
                doors: Doors {
                    state: state.parse().map_err(Error::corrupt)?,
                    stage: u32::try_from(stage).map_err(Error::corrupt)?,
                    cut,
                    until: Timestamp(doors_until),
                },
                last_device,
                timeout_ms,
            })
        })
        .transpose()
}

/// What is under way now where the plan has limits; not counted where it has none.
pub(in crate::rollouts) async fn crowd(on: &mut impl Conn, record: &Record, device: DeviceNo, now: Timestamp) -> Result<Crowd, Error> {
    let mut crowd = Crowd::default();
    if record.spec.at_once.is_some() {
        crowd.open = row!(on, (i64,), OPEN_IN, record.id.as_str())?.map_or(0, |r| r.0);
    }
    if let Some(budget) = &record.spec.budget {
        crowd.alike = row!(on, (i64,), ALIKE, record.org.as_str(), device, budget.attribute.as_str())?.map_or(0, |r| r.0);
        if budget.at_most_percent.is_some() {
            crowd.kin = row!(on, (i64,), KIN, record.org.as_str(), device, budget.attribute.as_str())?.map_or(0, |r| r.0);
        }
    }
    if let Some(rate) = &record.spec.rate {
        crowd.begun = row!(on, (i64,), BEGUN, record.id.as_str(), now.plus(-MINUTE_MS).0)?.map_or(0, |r| r.0);
        if rate.growth.is_some() {
            crowd.succeeded = row!(on, (i64,), SUCCEEDED, record.id.as_str())?.map_or(0, |r| r.0);
        }
    }
    Ok(crowd)
}

/// A device that holds a place in a limit.
#[derive(Debug, Clone)]
pub(in crate::rollouts) struct Holds {
    /// By which rollout.
    pub rollout: RolloutId,
    pub device_id: String,
    pub place: Place,
    /// What it reports of its zone, and of waiting for its window by itself.
    pub attributes: BTreeMap<String, String>,
}

/// Who holds the places in a limit that leaves no room for this device: of more than are looked at, those that are waited for the longest. Nobody holds a place
/// in a rate.
pub(in crate::rollouts) async fn holders(
    on: &mut impl Conn,
    record: &Record,
    device: DeviceNo,
    full: &Full<'_>,
) -> Result<Vec<Holds>, Error> {
    let found = match full {
        Full::Rate(_) => Vec::new(),
        Full::AtOnce(_) => rows!(on, HolderRecord, HOLDERS_IN, record.id.as_str(), TIMEZONE, WAITS_FOR_WINDOW, LOOKED_AT)?,
        Full::Budget(budget, _) => {
            let (org, attribute) = (record.org.as_str(), budget.attribute.as_str());
            rows!(on, HolderRecord, HOLDERS_ALIKE, org, device, attribute, TIMEZONE, WAITS_FOR_WINDOW, LOOKED_AT)?
        }
    };
    found
        .into_iter()
        .map(|(rollout, device_id, state, offered_at, deadline, timeout_ms, zone, waits)| {
            let attributes = [(TIMEZONE, zone), (WAITS_FOR_WINDOW, waits)];
            Ok(Holds {
                rollout: rollout.parse().map_err(Error::corrupt)?,
                device_id,
                place: Place {
                    state: state.parse().map_err(Error::corrupt)?,
                    offered_at: Timestamp(offered_at),
                    deadline: Timestamp(deadline),
                    timeout_ms,
                },
                attributes: attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
            })
        })
        .collect()
}

/// What is written of an offer.
pub(in crate::rollouts) struct NewUpdate<'a> {
    pub id: &'a UpdateId,
    pub org: &'a OrgId,
    pub rollout: &'a RolloutId,
    pub device: DeviceNo,
    pub stage: i64,
    pub from_version: &'a str,
    pub attempts: i64,
    pub deadline: Timestamp,
    /// The attempt that this one takes over from.
    pub after: Option<&'a Last>,
    /// Whether the device joined after the last count.
    pub newcomer: bool,
}

/// Offers; false, and nothing is changed but what the transaction must undo, when the device already has an open update.
pub(in crate::rollouts) async fn offer(tx: &mut Tx, new: &NewUpdate<'_>, now: Timestamp) -> Result<bool, Error> {
    if let Some(after) = new.after
        && exec!(tx, RETIRE, after.id.as_str(), now.0, after.state.as_str())? != 1
    {
        return Ok(false);
    }
    let inserted = exec!(
        tx,
        INSERT,
        new.id.as_str(),
        new.org.as_str(),
        new.rollout.as_str(),
        new.device,
        new.stage,
        new.from_version,
        new.attempts,
        new.deadline.0,
        now.0
    )?;
    if inserted != 1 {
        return Ok(false);
    }
    let mut delta = Counts { updating: 1, ..Counts::default() };
    match new.after.filter(|after| !after.again) {
        // It counted as it ended until now, in the stage it was offered in.
        Some(after) => {
            let mut ended = Counts::default();
            Class::of(after.state).add(&mut ended, -1);
            shift(tx, new.rollout, after.stage, &ended).await?;
            exec!(tx, CLAMP_SEEN, new.rollout.as_str())?;
            delta.total = 1;
        }
        None if new.newcomer => delta.total = 1,
        None => take_waiting(tx, new.rollout, new.stage).await?,
    }
    shift(tx, new.rollout, new.stage, &delta).await?;
    Ok(true)
}
