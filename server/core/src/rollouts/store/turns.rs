//! Whose turn it is: what is open of a device, what it had before, what may come next, and what is tried again.

use super::{
    CANCELLED_BY_HAND, courses,
    offers::RETIRE,
    updates::{Update, shift, timing},
};
use crate::{
    db::{Conn, Error, Sql, Tx, exec, row, rows},
    devices::DeviceNo,
    rollouts::{
        admission::{Doors, Had, Rank},
        plan::Cancelled,
        state::{Class, begun},
        timing::Timing,
    },
};
use wire::{
    Timestamp,
    ids::{OrgId, RolloutId, UpdateId},
    rollouts::Counts,
    states::{RolloutState, UpdateState},
};

pub(super) const OPEN_OF: Sql = Sql::same(
    "SELECT u.id, u.rollout_id, u.org_id, u.state, u.deadline, u.stage, x.release_id, x.version, x.name, x.sequence, x.priority, x.spec, x.timeout_ms, u.detail, u.updated_at,
     u.owes_proof, (x.confirm_at_device AND NOT EXISTS (SELECT 1 FROM console_confirmations k WHERE k.rollout_id = x.id AND k.device = u.device)) AS asks
     FROM updates u JOIN rollouts x ON x.id = u.rollout_id
     WHERE u.device = $1 AND u.open = TRUE",
);
pub(super) const STATE_OF: Sql = Sql::same("SELECT state FROM updates WHERE id = $1 AND device = $2");
/// Rollouts a device of this type and sequence may be offered now, the most urgent first, and of these the newest release.
pub(super) const CANDIDATES: Sql = Sql::same(
    "SELECT id, stage, cut, doors_until, sequence, priority FROM rollouts
     WHERE org_id = $1 AND device_type = $2 AND state = 'running' AND sequence > $3 AND doors_until > $4 ORDER BY priority DESC, sequence DESC, id",
);
pub(super) const LAST_IN: Sql = Sql::same(
    "SELECT id, stage, again, retry_at, attempts, state, code, detail, passed FROM updates WHERE rollout_id = $1 AND device = $2 AND latest = TRUE",
);
/// An update that its device has not begun to download ends, because a newer rollout has something for the device.
pub(super) const SUPERSEDE: Sql = Sql::same(
    "UPDATE updates SET state = 'superseded', open = FALSE, ended_at = $2, updated_at = $2
     WHERE id = $1 AND open = TRUE AND state IN ('offered', 'awaiting_window', 'awaiting_confirmation')",
);
/// An update that its device has not begun to download is taken back from this one alone, and may be offered to it once more.
pub(super) const WITHDRAW_ONE: Sql = Sql::same(
    "UPDATE updates SET state = 'cancelled', open = FALSE, again = TRUE, ended_at = $2, updated_at = $2
     WHERE id = $1 AND open = TRUE AND state IN ('offered', 'awaiting_window', 'awaiting_confirmation')",
);
/// An update that its device has not begun to install is cancelled by a person: it is not offered again by itself.
pub(super) const CANCEL_ONE: Sql = Sql::same(concat!(
    "UPDATE updates SET state = 'cancelled', open = FALSE, again = FALSE, retry_at = NULL, code = '",
    cancelled_by_hand!(),
    "', detail = $3, ended_at = $2, updated_at = $2
     WHERE id = $1 AND open = TRUE AND state IN ('offered', 'awaiting_window', 'awaiting_confirmation', 'downloading', 'downloaded')",
));
/// An attempt that is cancelled by a person before it is offered, after this one.
pub(super) const CANCEL_UNOFFERED: Sql = Sql::same(concat!(
    "INSERT INTO updates (id, org_id, rollout_id, device, stage, state, open, latest, again, code, detail, from_version, attempts, deadline,
         created_at, updated_at, ended_at, passed)
     SELECT CAST($2 AS TEXT), u.org_id, u.rollout_id, u.device, u.stage, 'cancelled', FALSE, TRUE, FALSE, '",
    cancelled_by_hand!(),
    "', CAST($4 AS TEXT), u.from_version, u.attempts + 1, u.deadline, CAST($3 AS BIGINT), CAST($3 AS BIGINT), CAST($3 AS BIGINT), 0
     FROM updates u WHERE u.id = $1",
));
/// How many of a rollout's updates people have cancelled, and nobody has had tried again, and when the last of them.
pub(super) const CANCELLED: Sql = Sql::same(concat!(
    "SELECT COUNT(*), MAX(ended_at) FROM updates WHERE rollout_id = $1 AND latest = TRUE AND again = FALSE AND state = 'cancelled' AND code = '",
    cancelled_by_hand!(),
    "'",
));
/// Which they are, of those that were offered: of others no device has heard.
pub(super) const CANCELLED_OF: Sql = Sql::same(concat!(
    "SELECT device, id FROM updates WHERE rollout_id = $1 AND latest = TRUE AND again = FALSE AND passed <> 0 AND state = 'cancelled' AND code = '",
    cancelled_by_hand!(),
    "'",
));
/// When the first device of a rollout that did not make it is offered it again.
pub(super) const TO_RETRY: Sql =
    Sql::same("SELECT MIN(retry_at) FROM updates WHERE rollout_id = $1 AND latest = TRUE AND retry_at IS NOT NULL");

/// A device's open update.
#[derive(Debug, Clone)]
pub(in crate::rollouts) struct Open {
    pub id: UpdateId,
    pub rollout: RolloutId,
    pub org: OrgId,
    pub state: UpdateState,
    pub deadline: Timestamp,
    pub stage: i64,
    pub release: wire::ids::ReleaseId,
    pub version: String,
    pub name: String,
    pub sequence: i64,
    pub priority: u32,
    pub timing: Timing,
    pub timeout_ms: i64,
    /// What the device said last, and when.
    pub said: (String, Timestamp),
    /// The device says that it succeeded, and has to prove it.
    pub owes_proof: bool,
    /// Somebody at the device has to agree.
    pub asks: bool,
}

impl Open {
    /// Whether its device has begun.
    pub const fn begun(&self) -> bool {
        begun(self.state)
    }

    const fn rank(&self) -> Rank {
        Rank { priority: self.priority, sequence: self.sequence }
    }
}

#[derive(sqlx::FromRow)]
struct OpenRecord {
    id: String,
    rollout_id: String,
    org_id: String,
    state: String,
    deadline: i64,
    stage: i64,
    release_id: String,
    version: String,
    name: String,
    sequence: i64,
    priority: i64,
    spec: String,
    timeout_ms: i64,
    detail: String,
    updated_at: i64,
    owes_proof: bool,
    asks: bool,
}

pub(in crate::rollouts) async fn open_of(on: &mut impl Conn, device: DeviceNo) -> Result<Option<Open>, Error> {
    row!(on, OpenRecord, OPEN_OF, device)?
        .map(|u| {
            Ok(Open {
                id: u.id.parse().map_err(Error::corrupt)?,
                rollout: u.rollout_id.parse().map_err(Error::corrupt)?,
                org: u.org_id.parse().map_err(Error::corrupt)?,
                state: u.state.parse().map_err(Error::corrupt)?,
                deadline: Timestamp(u.deadline),
                stage: u.stage,
                release: u.release_id.parse().map_err(Error::corrupt)?,
                version: u.version,
                name: u.name,
                sequence: u.sequence,
                priority: u32::try_from(u.priority).map_err(Error::corrupt)?,
                timing: timing(&u.spec)?,
                timeout_ms: u.timeout_ms,
                said: (u.detail, Timestamp(u.updated_at)),
                owes_proof: u.owes_proof,
                asks: u.asks,
            })
        })
        .transpose()
}

/// The state of a device's update; none when it has no such update.
pub(in crate::rollouts) async fn state_of(on: &mut impl Conn, device: DeviceNo, id: &UpdateId) -> Result<Option<UpdateState>, Error> {
    row!(on, (String,), STATE_OF, id.as_str(), device)?.map(|(state,)| state.parse().map_err(Error::corrupt)).transpose()
}

/// A rollout that may have something for a device.
#[derive(Debug, Clone)]
pub(in crate::rollouts) struct Candidate {
    pub id: RolloutId,
    pub doors: Doors,
    rank: Rank,
}

impl Candidate {
    /// Whether it takes a device over from this update.
    pub const fn takes_over(&self, open: &Open) -> bool {
        self.rank.takes_over(open.rank(), open.state)
    }
}

pub(in crate::rollouts) async fn candidates(
    on: &mut impl Conn,
    org: &OrgId,
    device_type: &str,
    sequence: i64,
    now: Timestamp,
) -> Result<Vec<Candidate>, Error> {
    let found = rows!(on, (String, i64, i64, i64, i64, i64), CANDIDATES, org.as_str(), device_type, sequence, now.0)?;
    let read = |(id, stage, cut, until, sequence, priority): (String, i64, i64, i64, i64, i64)| {
        let (stage, until) = (u32::try_from(stage).map_err(Error::corrupt)?, Timestamp(until));
        let doors = Doors { state: RolloutState::Running, stage, cut, until };
        let rank = Rank { priority: u32::try_from(priority).map_err(Error::corrupt)?, sequence };
        Ok(Candidate { id: id.parse().map_err(Error::corrupt)?, doors, rank })
    };
    found.into_iter().map(read).collect()
}

/// A device's newest attempt in a rollout.
#[derive(Debug, Clone)]
pub(in crate::rollouts) struct Last {
    pub id: String,
    pub stage: i64,
    pub again: bool,
    /// When it is offered again by itself; until then it counts as it ended.
    pub retry_at: Option<Timestamp>,
    pub attempts: i64,
    pub state: UpdateState,
    pub code: String,
    pub detail: String,
    /// The states that it has been in, one bit each; none when it was cancelled before it was offered.
    passed: i64,
}

impl Last {
    /// How it stands.
    pub const fn had(&self) -> Had {
        if self.again { Had::Again } else { Had::Turn(self.retry_at) }
    }

    /// Whether the device may be offered the release once more.
    pub fn may_come(&self, now: Timestamp) -> bool {
        self.had().may_come(now)
    }

    /// Whether a person has cancelled it.
    pub fn is_cancelled_by_hand(&self) -> bool {
        self.state == UpdateState::Cancelled && self.code == CANCELLED_BY_HAND
    }

    /// How often its device has tried it. An offer that was taken back before the device began was no attempt, and what a person cancelled before it was offered
    /// was none; what else a person cancelled the device may have fetched, as what failed.
    pub fn tried(&self) -> i64 {
        let untried = self.state == UpdateState::Cancelled && (self.code != CANCELLED_BY_HAND || self.passed == 0);
        if untried { self.attempts - 1 } else { self.attempts }
    }
}

pub(in crate::rollouts) async fn last_in(on: &mut impl Conn, rollout: &RolloutId, device: DeviceNo) -> Result<Option<Last>, Error> {
    row!(on, (String, i64, bool, Option<i64>, i64, String, String, String, i64), LAST_IN, rollout.as_str(), device)?
        .map(|(id, stage, again, retry_at, attempts, state, code, detail, passed)| {
            Ok(Last {
                id,
                stage,
                again,
                retry_at: retry_at.map(Timestamp),
                attempts,
                state: state.parse().map_err(Error::corrupt)?,
                code,
                detail,
                passed,
            })
        })
        .transpose()
}

/// Ends an update that has not begun, for a newer one; false, and nothing is changed, when its device has begun by now.
pub(in crate::rollouts) async fn supersede(tx: &mut Tx, open: &Open, now: Timestamp) -> Result<bool, Error> {
    if exec!(tx, SUPERSEDE, open.id.as_str(), now.0)? != 1 {
        return Ok(false);
    }
    shift(tx, &open.rollout, open.stage, &Counts { updating: -1, left_out: 1, ..Counts::default() }).await?;
    Ok(true)
}

/// Takes an update back that its device has not begun: it counts as waiting in the stage that runs, and is offered again when it may be. False, and
/// nothing is changed, when its device has begun by now.
pub(in crate::rollouts) async fn withdraw(tx: &mut Tx, update: &Update, now: Timestamp) -> Result<bool, Error> {
    if exec!(tx, WITHDRAW_ONE, update.id.as_str(), now.0)? != 1 {
        return Ok(false);
    }
    for (stage, class, devices) in [(update.stage, Class::Updating, -1), (update.current, Class::Waiting, 1)] {
        let mut delta = Counts::default();
        class.add(&mut delta, devices);
        shift(tx, &update.rollout, stage, &delta).await?;
    }
    Ok(true)
}

/// Cancels an update by a person's order, with this line: its device is left out. False, and nothing is changed, when it has begun to install by now.
pub(in crate::rollouts) async fn cancel(tx: &mut Tx, update: &Update, detail: &str, now: Timestamp) -> Result<bool, Error> {
    if exec!(tx, CANCEL_ONE, update.id.as_str(), now.0, detail)? != 1 {
        return Ok(false);
    }
    shift(tx, &update.rollout, update.stage, &Counts { updating: -1, left_out: 1, ..Counts::default() }).await?;
    Ok(true)
}

/// Takes a device out that waits to be tried again by itself, by a person's order. Its attempt stays as it ended; another one that is never offered is cancelled
/// in its place, with this line, and its device is left out where it counted as ended. False, and nothing is changed, when it does not wait any more.
pub(in crate::rollouts) async fn cancel_unoffered(
    tx: &mut Tx,
    ended: &Update,
    id: &UpdateId,
    detail: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    // Whenever that would be.
    if exec!(tx, RETIRE, ended.id.as_str(), i64::MAX, ended.state.as_str())? != 1 {
        return Ok(false);
    }
    exec!(tx, CANCEL_UNOFFERED, ended.id.as_str(), id.as_str(), now.0, detail)?;
    let mut delta = Counts::default();
    Class::of(ended.state).add(&mut delta, -1);
    Class::LeftOut.add(&mut delta, 1);
    shift(tx, &ended.rollout, ended.stage, &delta).await?;
    courses::clamp_seen(tx, &ended.rollout).await?;
    Ok(true)
}

/// A rollout's updates that people have cancelled, and nobody has had tried again.
pub(in crate::rollouts) async fn cancelled(on: &mut impl Conn, rollout: &RolloutId) -> Result<Cancelled, Error> {
    let found = row!(on, (i64, Option<i64>), CANCELLED, rollout.as_str())?;
    Ok(found.map_or_else(Cancelled::default, |(devices, last)| Cancelled { devices, last: last.map(Timestamp) }))
}

/// Which of a rollout's updates those are that were offered, with their devices.
pub(in crate::rollouts) async fn cancelled_of(on: &mut impl Conn, rollout: &RolloutId) -> Result<Vec<(DeviceNo, UpdateId)>, Error> {
    rows!(on, (i64, String), CANCELLED_OF, rollout.as_str())?
        .into_iter()
        .map(|(device, id)| Ok((device, id.parse().map_err(Error::corrupt)?)))
        .collect()
}

/// When the first of those that did not make it is to be offered it again; none when nobody is.
pub(in crate::rollouts) async fn to_retry(on: &mut impl Conn, rollout: &RolloutId) -> Result<Option<Timestamp>, Error> {
    Ok(row!(on, (Option<i64>,), TO_RETRY, rollout.as_str())?.and_then(|r| r.0).map(Timestamp))
}
