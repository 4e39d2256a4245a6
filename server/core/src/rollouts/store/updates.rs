//! Updates, one row an attempt, and the counts of the stage each belongs to.

use super::{courses::CLAMP_SEEN, records::Record, turns::Last};
use crate::{
    db::{Conn, Error, Sql, Tx, exec, row},
    devices::DeviceNo,
    rollouts::{
        hearing::UNPROVEN,
        sending::Fetching,
        state::Class,
        steps::Steps,
        throttle::{Crowd, throttled},
        timing::Timing,
    },
};
use wire::{
    Timestamp,
    ids::{Digest, OrgId, RolloutId, UpdateId},
    rollouts::Counts,
    states::{RolloutState, UpdateState},
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
/// How many active devices have the same value of attribute $3 as device $2.
pub(super) const KIN: Sql = Sql::same(
    "SELECT COUNT(*) FROM device_attributes own JOIN device_attributes a ON a.org_id = own.org_id AND a.name = own.name AND a.value = own.value
     JOIN devices d ON d.number = a.device WHERE own.device = $2 AND own.name = $3 AND own.org_id = $1 AND d.state = 'active'",
);
/// How many offers of a rollout were made after then.
pub(super) const BEGUN: Sql = Sql::same("SELECT COUNT(*) FROM updates WHERE rollout_id = $1 AND created_at > $2");
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
/// A waiting device stops waiting; when none was counted as waiting, it joins.
pub(super) const TAKE_WAITING: Sql = Sql::same(
    "UPDATE rollout_stages SET total = CASE WHEN waiting > 0 THEN total ELSE total + 1 END,
     waiting = CASE WHEN waiting > 0 THEN waiting - 1 ELSE 0 END WHERE rollout_id = $1 AND number = $2",
);
pub(super) const SHIFT: Sql = Sql::same(
    "UPDATE rollout_stages SET total = total + $3, waiting = waiting + $4, updating = updating + $5, succeeded = succeeded + $6, failed = failed + $7,
     reverted = reverted + $8, timed_out = timed_out + $9, rejected = rejected + $10, left_out = left_out + $11, tally = tally + 1
     WHERE rollout_id = $1 AND number = $2",
);
pub(super) const UPDATE: Sql = Sql::split(
    "SELECT u.id, u.org_id, u.rollout_id, u.device, u.stage, u.state, u.code, u.open, u.latest, u.again, u.attempts, x.stage AS current, x.version, x.sequence, x.timeout_ms, x.spec
     FROM updates u JOIN rollouts x ON x.id = u.rollout_id WHERE u.id = $1",
    "SELECT u.id, u.org_id, u.rollout_id, u.device, u.stage, u.state, u.code, u.open, u.latest, u.again, u.attempts, x.stage AS current, x.version, x.sequence, x.timeout_ms, x.spec
     FROM updates u JOIN rollouts x ON x.id = u.rollout_id WHERE u.id = $1 FOR UPDATE OF u",
);
/// A word moves the deadline, but never behind that of the step.
pub(super) const PROGRESS: Sql = Sql::same(
    "UPDATE updates SET progress = $2, detail = $3, updated_at = $5,
     deadline = CASE WHEN step_deadline < $4 THEN step_deadline ELSE $4 END WHERE id = $1",
);
/// Nothing moves the deadline of a success that has to be proven: see [`UNPROVEN`].
pub(super) const ALIVE: Sql = Sql::same(
    "UPDATE updates SET deadline = CASE WHEN step_deadline < $2 THEN step_deadline ELSE $2 END
     WHERE id = $1 AND open = TRUE AND code <> 'says_success' AND deadline < $2 AND (step_deadline IS NULL OR deadline < step_deadline)",
);
pub(super) const DOWNLOADS_ON: Sql = Sql::same(
    "UPDATE updates SET deadline = CASE
         WHEN step_deadline < CAST($2 AS BIGINT) + (SELECT x.timeout_ms FROM rollouts x WHERE x.id = updates.rollout_id) THEN step_deadline
         ELSE CAST($2 AS BIGINT) + (SELECT x.timeout_ms FROM rollouts x WHERE x.id = updates.rollout_id) END
     WHERE device = $1 AND open = TRUE AND code <> 'says_success' AND deadline < CAST($2 AS BIGINT) + (SELECT x.timeout_ms FROM rollouts x WHERE x.id = updates.rollout_id)
       AND (step_deadline IS NULL OR deadline < step_deadline)",
);
pub(super) const MOVE: Sql = Sql::same(
    "UPDATE updates SET state = $2, open = $3, again = FALSE, stage = $4, progress = $5, code = $6, detail = $7, deadline = $8, updated_at = $9,
     ended_at = $10, retry_at = $11, passed = (passed | $12), step_deadline = $13 WHERE id = $1",
);
/// The open update that a file is a part of, or a delta to a part.
pub(super) const FETCHING: Sql = Sql::same(
    "SELECT u.id, u.org_id, x.timeout_ms, x.spec FROM updates u JOIN rollouts x ON x.id = u.rollout_id JOIN releases r ON r.id = x.release_id
     WHERE u.device = $1 AND u.open = TRUE AND r.state IN ('published', 'deprecated')
     AND EXISTS (SELECT 1 FROM release_files f WHERE f.release_id = r.id AND (f.sha256 = $2
         OR EXISTS (SELECT 1 FROM deltas d WHERE d.sha256 = $2 AND d.target_sha256 = f.sha256 AND d.state = 'ready')))",
);
pub(super) const OVERDUE: Sql = Sql::same("SELECT COUNT(*) FROM updates WHERE rollout_id = $1 AND open = TRUE AND deadline <= $2");

/// Open updates that a recall takes back.
pub(super) const RETRACTABLE: Sql = Sql::same(
    "SELECT COUNT(*) FROM updates
     WHERE rollout_id = $1 AND open = TRUE AND state IN ('offered', 'awaiting_window', 'awaiting_confirmation', 'downloading', 'downloaded') AND deadline > 0",
);

/// The rollout as it stands while its row is held.
#[derive(Debug, Clone, Copy)]
pub(in crate::rollouts) struct Held {
    pub state: RolloutState,
    pub stage: i64,
    pub cut: i64,
    pub doors_until: Timestamp,
    pub last_device: DeviceNo,
    pub timeout_ms: i64,
}

/// What a rate is counted over.
const MINUTE_MS: i64 = 60_000;

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
                state: state.parse().map_err(Error::corrupt)?,
                stage,
                cut,
                doors_until: Timestamp(doors_until),
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

/// What a plan says of time; the rest of it is not read.
pub(in crate::rollouts) fn timing(spec: &str) -> Result<Timing, Error> {
    serde_json::from_str(spec).map_err(Error::corrupt)
}

/// What a plan says of steps.
fn steps(spec: &str) -> Result<Steps, Error> {
    serde_json::from_str(spec).map_err(Error::corrupt)
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

/// A device of this stage stops waiting.
pub(in crate::rollouts) async fn take_waiting(tx: &mut Tx, rollout: &RolloutId, stage: i64) -> Result<(), Error> {
    exec!(tx, TAKE_WAITING, rollout.as_str(), stage).map(drop)
}

/// Adds to a stage's counts.
pub(in crate::rollouts) async fn shift(tx: &mut Tx, rollout: &RolloutId, stage: i64, d: &Counts) -> Result<(), Error> {
    exec!(
        tx,
        SHIFT,
        rollout.as_str(),
        stage,
        d.total,
        d.waiting,
        d.updating,
        d.succeeded,
        d.failed,
        d.reverted,
        d.timed_out,
        d.rejected,
        d.left_out
    )
    .map(drop)
}

/// An update, held until the transaction ends.
#[derive(Debug, Clone)]
pub(in crate::rollouts) struct Update {
    pub id: UpdateId,
    pub org: OrgId,
    pub rollout: RolloutId,
    pub device: DeviceNo,
    pub stage: i64,
    pub state: UpdateState,
    /// Its device says that it succeeded, and has to prove it: no word moves its deadline.
    pub unproven: bool,
    pub latest: bool,
    pub again: bool,
    pub attempts: i64,
    /// The rollout's current stage.
    pub current: i64,
    /// What the release brings.
    pub version: String,
    pub sequence: i64,
    pub timeout_ms: i64,
    pub timing: Timing,
    pub steps: Steps,
}

#[derive(sqlx::FromRow)]
struct UpdateRecord {
    id: String,
    org_id: String,
    rollout_id: String,
    device: i64,
    stage: i64,
    state: String,
    code: String,
    latest: bool,
    again: bool,
    attempts: i64,
    current: i64,
    version: String,
    sequence: i64,
    timeout_ms: i64,
    spec: String,
}

pub(in crate::rollouts) async fn update(tx: &mut Tx, id: &UpdateId) -> Result<Option<Update>, Error> {
    row!(tx, UpdateRecord, UPDATE, id.as_str())?
        .map(|u| {
            Ok(Update {
                id: u.id.parse().map_err(Error::corrupt)?,
                org: u.org_id.parse().map_err(Error::corrupt)?,
                rollout: u.rollout_id.parse().map_err(Error::corrupt)?,
                device: u.device,
                stage: u.stage,
                unproven: u.code == UNPROVEN && u.state == UpdateState::Verifying.as_str(),
                state: u.state.parse().map_err(Error::corrupt)?,
                latest: u.latest,
                again: u.again,
                attempts: u.attempts,
                current: u.current,
                version: u.version,
                sequence: u.sequence,
                timeout_ms: u.timeout_ms,
                timing: timing(&u.spec)?,
                steps: steps(&u.spec)?,
            })
        })
        .transpose()
}

/// Notes progress; the device has been heard, so the deadline moves.
pub(in crate::rollouts) async fn progress(
    tx: &mut Tx,
    id: &UpdateId,
    progress: Option<i64>,
    detail: &str,
    deadline: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    exec!(tx, PROGRESS, id.as_str(), progress, detail, deadline.0, now.0).map(drop)
}

/// The device is there, though it says nothing: the deadline moves, if the update goes on.
pub(in crate::rollouts) async fn alive(tx: &mut Tx, id: &UpdateId, deadline: Timestamp) -> Result<(), Error> {
    exec!(tx, ALIVE, id.as_str(), deadline.0).map(drop)
}

/// The device downloads what its open update is made of: the deadline moves.
pub(in crate::rollouts) async fn downloads_on(tx: &mut Tx, device: DeviceNo, now: Timestamp) -> Result<(), Error> {
    exec!(tx, DOWNLOADS_ON, device, now.0).map(drop)
}

/// What is written when an update changes its state.
pub(in crate::rollouts) struct Moved<'a> {
    pub to: UpdateState,
    pub stage: i64,
    pub progress: Option<i64>,
    pub code: &'a str,
    pub detail: &'a str,
    pub deadline: Timestamp,
    /// When it is offered again by itself.
    pub retry_at: Option<Timestamp>,
    /// When it has been too long in this step.
    pub step_deadline: Option<Timestamp>,
}

/// The bit of a state among those that an update has been in; [`INSERT`] writes that of `offered`. What the server ends stays without one: that is the last.
pub(super) const fn bit(state: UpdateState) -> i64 {
    1 << state as u8
}

pub(in crate::rollouts) async fn move_to(tx: &mut Tx, id: &UpdateId, moved: &Moved<'_>, now: Timestamp) -> Result<(), Error> {
    let ended = moved.to.finished().then_some(now.0);
    exec!(
        tx,
        MOVE,
        id.as_str(),
        moved.to.as_str(),
        !moved.to.finished(),
        moved.stage,
        moved.progress,
        moved.code,
        moved.detail,
        moved.step_deadline.map_or(moved.deadline, |step| moved.deadline.min(step)).0,
        now.0,
        ended,
        moved.retry_at.map(Timestamp::millis),
        bit(moved.to),
        moved.step_deadline.map(Timestamp::millis)
    )
    .map(drop)
}

/// For which open update a device may fetch a file; none where it may not.
pub(in crate::rollouts) async fn fetching(on: &mut impl Conn, device: DeviceNo, digest: &Digest) -> Result<Option<Fetching>, Error> {
    row!(on, (String, String, i64, String), FETCHING, device, digest.as_str())?
        .map(|(update, org, timeout_ms, spec)| {
            Ok(Fetching {
                org: org.parse().map_err(Error::corrupt)?,
                device,
                update: update.parse().map_err(Error::corrupt)?,
                timeout_ms,
                counted: timing(&spec)?.download_only,
            })
        })
        .transpose()
}

/// Whether an update's deadline has passed.
pub(in crate::rollouts) async fn overdue(on: &mut impl Conn, rollout: &RolloutId, now: Timestamp) -> Result<bool, Error> {
    Ok(row!(on, (i64,), OVERDUE, rollout.as_str(), now.0)?.is_some_and(|r| r.0 > 0))
}

/// Whether an update is open that a recall takes back.
pub(in crate::rollouts) async fn retractable(on: &mut impl Conn, rollout: &RolloutId) -> Result<bool, Error> {
    Ok(row!(on, (i64,), RETRACTABLE, rollout.as_str())?.is_some_and(|r| r.0 > 0))
}
