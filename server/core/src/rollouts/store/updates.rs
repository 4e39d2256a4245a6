//! Updates, one row an attempt, as they go on, and the counts of the stage each belongs to. How one begins is in [`offers`](super::offers).

use crate::{
    db::{Conn, Error, Sql, Tx, exec, row},
    devices::DeviceNo,
    rollouts::{sending::Fetching, steps::Steps, timing::Timing},
};
use wire::{
    Timestamp,
    ids::{Digest, OrgId, RolloutId, UpdateId},
    rollouts::Counts,
    states::UpdateState,
};

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
    "SELECT u.id, u.org_id, u.rollout_id, u.device, u.stage, u.state, u.owes_proof, u.latest, u.again, u.attempts, u.passed, x.stage AS current, x.version, x.sequence, x.timeout_ms, x.spec
     FROM updates u JOIN rollouts x ON x.id = u.rollout_id WHERE u.id = $1",
    "SELECT u.id, u.org_id, u.rollout_id, u.device, u.stage, u.state, u.owes_proof, u.latest, u.again, u.attempts, u.passed, x.stage AS current, x.version, x.sequence, x.timeout_ms, x.spec
     FROM updates u JOIN rollouts x ON x.id = u.rollout_id WHERE u.id = $1 FOR UPDATE OF u",
);
/// A word moves the deadline, but never behind that of the step.
pub(super) const PROGRESS: Sql = Sql::same(
    "UPDATE updates SET progress = $2, detail = $3, updated_at = $5,
     deadline = CASE WHEN step_deadline < $4 THEN step_deadline ELSE $4 END WHERE id = $1",
);
/// Nothing moves the deadline of a success that has to be proven.
pub(super) const ALIVE: Sql = Sql::same(
    "UPDATE updates SET deadline = CASE WHEN step_deadline < $2 THEN step_deadline ELSE $2 END
     WHERE id = $1 AND open = TRUE AND owes_proof = FALSE AND deadline < $2 AND (step_deadline IS NULL OR deadline < step_deadline)",
);
pub(super) const DOWNLOADS_ON: Sql = Sql::same(
    "UPDATE updates SET deadline = CASE
         WHEN step_deadline < CAST($2 AS BIGINT) + (SELECT x.timeout_ms FROM rollouts x WHERE x.id = updates.rollout_id) THEN step_deadline
         ELSE CAST($2 AS BIGINT) + (SELECT x.timeout_ms FROM rollouts x WHERE x.id = updates.rollout_id) END
     WHERE device = $1 AND open = TRUE AND owes_proof = FALSE AND deadline < CAST($2 AS BIGINT) + (SELECT x.timeout_ms FROM rollouts x WHERE x.id = updates.rollout_id)
       AND (step_deadline IS NULL OR deadline < step_deadline)",
);
pub(super) const MOVE: Sql = Sql::same(
    "UPDATE updates SET state = $2, open = $3, again = FALSE, stage = $4, progress = $5, code = $6, detail = $7, deadline = $8, updated_at = $9,
     ended_at = $10, retry_at = $11, passed = (passed | $12), step_deadline = $13, owes_proof = $14 WHERE id = $1",
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

/// Takes the row of a rollout one of whose updates goes on that was taken back, and makes every plan stale that does not know of it. Not of one that has
/// ended, nor where the device has another update, and of a recalled release only when the device has begun to install.
pub(super) const RESUME: Sql = Sql::same(
    "UPDATE rollouts SET generation = generation + 1
     WHERE id = (SELECT u.rollout_id FROM updates u WHERE u.id = $1 AND u.latest = TRUE) AND state NOT IN ('completed', 'stopped', 'rolled_back')
     AND ($2 = TRUE OR EXISTS (SELECT 1 FROM releases r WHERE r.id = rollouts.release_id AND r.state IN ('published', 'deprecated')))
     AND NOT EXISTS (SELECT 1 FROM updates u JOIN updates o ON o.device = u.device AND o.open = TRUE WHERE u.id = $1)
     RETURNING stage",
);

/// What a plan says of time; the rest of it is not read.
pub(in crate::rollouts) fn timing(spec: &str) -> Result<Timing, Error> {
    serde_json::from_str(spec).map_err(Error::corrupt)
}

/// What a plan says of steps.
fn steps(spec: &str) -> Result<Steps, Error> {
    serde_json::from_str(spec).map_err(Error::corrupt)
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
    /// The states that it has been in, as bits.
    passed: i64,
    /// The rollout's current stage.
    pub current: i64,
    /// What the release brings.
    pub version: String,
    pub sequence: i64,
    pub timeout_ms: i64,
    pub timing: Timing,
    pub steps: Steps,
}

impl Update {
    /// How far its device was with it, by what it has said.
    pub fn furthest(&self) -> UpdateState {
        let been = UpdateState::ALL.iter().copied().filter(|state| !state.finished() && self.passed & bit(*state) != 0);
        been.max().unwrap_or(UpdateState::Offered)
    }

    /// Whether it was taken back for good, also where its device goes on with it since: it is not offered again by itself, however it ends.
    pub fn set_aside(&self) -> bool {
        self.state == UpdateState::Cancelled && !self.again || self.passed & SET_ASIDE != 0
    }
}

#[derive(sqlx::FromRow)]
struct UpdateRecord {
    id: String,
    org_id: String,
    rollout_id: String,
    device: i64,
    stage: i64,
    state: String,
    owes_proof: bool,
    latest: bool,
    again: bool,
    attempts: i64,
    passed: i64,
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
                unproven: u.owes_proof,
                state: u.state.parse().map_err(Error::corrupt)?,
                latest: u.latest,
                again: u.again,
                attempts: u.attempts,
                passed: u.passed,
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

/// Whether an update that was taken back may be under way again: the rollout's row is held then. `begun` when its device has begun to install.
pub(in crate::rollouts) async fn resumes(tx: &mut Tx, id: &UpdateId, begun: bool) -> Result<bool, Error> {
    Ok(row!(tx, (i64,), RESUME, id.as_str(), begun)?.is_some())
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
    /// Its device says that it succeeded, and has to prove it.
    pub unproven: bool,
    /// Its device goes on with it, though it was taken back for good.
    pub set_aside: bool,
}

/// The bit of a state among those that an update has been in; [`INSERT`](super::offers::INSERT) writes that of `offered`. What the server ends stays without one: that
/// is the last, but for [`SET_ASIDE`].
pub(super) const fn bit(state: UpdateState) -> i64 {
    1 << state as u8
}

/// The bit of an update that was taken back for good, and that its device went on with.
pub(super) const SET_ASIDE: i64 = bit(UpdateState::Cancelled);

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
        bit(moved.to) | if moved.set_aside { SET_ASIDE } else { 0 },
        moved.step_deadline.map(Timestamp::millis),
        moved.unproven
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
