//! Who has which part in what: updates as lists, by device and by rollout.

use super::{CANCELLED_BY_HAND, dark::went_dark, these, updates::bit};
use crate::{
    db::{Conn, Error, Sql, many, row, rows},
    devices::DeviceNo,
    rollouts::{
        admission::Rank,
        gate::{DARK_GRACE_MS, DARK_WATCH_MS},
        state::Class,
    },
};
use std::collections::{HashMap, HashSet};
use wire::{
    Timestamp,
    activity::Happening,
    ids::{DeviceId, OrgId, RolloutId, UpdateId},
    page::Page,
    rollouts::{Counts, Failures, UpdateRow},
    states::UpdateState,
    updates::{DeviceUpdate, UpdateFailure},
};

/// `dark` as [`DARK`](super::dark::DARK) counts it: $5 milliseconds after a success that was before $4 nothing was heard.
pub(super) const OF_DEVICE: Sql = Sql::same(concat!(
    "SELECT u.id, u.rollout_id, x.name, u.from_version, x.version, u.state, u.progress, u.code, u.detail, u.attempts, u.created_at, u.updated_at,
            u.ended_at, u.passed,
            CASE WHEN u.latest = TRUE AND u.again = FALSE AND u.state = 'succeeded' AND u.ended_at <= $4
                  AND d.state = 'active' AND ",
    went_dark!("u", "$5"),
    " THEN TRUE ELSE FALSE END AS dark
     FROM updates u JOIN rollouts x ON x.id = u.rollout_id JOIN devices d ON d.number = u.device
     WHERE u.device = $1 AND u.id < $2 ORDER BY u.id DESC LIMIT $3"
));
pub(super) const COUNT_OF_DEVICE: Sql = Sql::same("SELECT COUNT(*) FROM updates WHERE device = $1");
/// Without those that were cancelled before they were offered. What is older than `passed` has none, and stays.
pub(super) const OFFERED: Sql = Sql::same(concat!(
    "SELECT u.rollout_id, x.name, x.version, u.created_at FROM updates u JOIN rollouts x ON x.id = u.rollout_id
     WHERE u.device = $1 AND u.created_at < $2 AND (u.passed <> 0 OR u.code <> '",
    cancelled_by_hand!(),
    "') ORDER BY u.created_at DESC, u.id DESC LIMIT $3",
));
pub(super) const ENDED: Sql = Sql::same(
    "SELECT u.rollout_id, x.name, x.version, u.ended_at, u.state, u.detail FROM updates u JOIN rollouts x ON x.id = u.rollout_id
     WHERE u.device = $1 AND u.ended_at IS NOT NULL AND u.ended_at < $2 ORDER BY u.ended_at DESC, u.id DESC LIMIT $3",
);
pub(super) const LAST_ENDED: Sql = many!(
    "SELECT w.device, MAX(u.ended_at) FROM (SELECT ",
    [int device],
    ") AS w JOIN updates u ON u.device = w.device WHERE u.ended_at IS NOT NULL GROUP BY w.device"
);
/// The rollouts that these devices have an open update of, and how many of them.
pub(super) const HOLDING: Sql = many!(
    "SELECT x.id, x.name, x.sequence, COUNT(*) FROM (SELECT ",
    [int device],
    ") AS w JOIN updates u ON u.device = w.device JOIN rollouts x ON x.id = u.rollout_id
     WHERE u.open = TRUE AND u.rollout_id <> $2 GROUP BY x.id, x.name, x.sequence"
);
/// Without those that this rollout takes over: not begun, older, and not more urgent.
pub(super) const BUSY_ELSEWHERE: Sql = Sql::same(
    "SELECT u.device FROM updates u JOIN rollouts x ON x.id = u.rollout_id WHERE u.org_id = $1 AND u.rollout_id <> $2 AND u.open = TRUE
     AND NOT (x.sequence < $3 AND x.priority <= $4 AND u.state IN ('offered', 'awaiting_window', 'awaiting_confirmation'))",
);
/// Those: which [`BUSY_ELSEWHERE`] leaves out.
pub(super) const TAKEN_OVER: Sql = Sql::same(
    "SELECT u.device FROM updates u JOIN rollouts x ON x.id = u.rollout_id WHERE u.org_id = $1 AND u.rollout_id <> $2 AND u.open = TRUE
     AND x.sequence < $3 AND x.priority <= $4 AND u.state IN ('offered', 'awaiting_window', 'awaiting_confirmation')",
);
pub(super) const SETTLED: Sql = Sql::same(
    "SELECT device FROM updates WHERE rollout_id = $1 AND latest = TRUE AND again = FALSE AND device > $2 ORDER BY device LIMIT $3",
);
/// Devices that one statement gives.
const PAGE: i64 = 2000;

/// Devices of a stage that run the release since an instant.
pub(super) const UPDATED: Sql = Sql::same(
    "SELECT device FROM updates WHERE rollout_id = $1 AND stage = $2 AND latest = TRUE AND again = FALSE AND state = 'succeeded' AND ended_at <= $3",
);
/// Devices that had a turn in a rollout, however it went.
pub(super) const TOUCHED: Sql = Sql::same("SELECT DISTINCT device FROM updates WHERE rollout_id = $1");

/// The columns of [`ListedRow`].
macro_rules! columns_listed {
    ($($rest:expr),+) => {
        concat!(
            "SELECT u.device, u.id, d.device_id, u.stage, u.state, u.again, u.progress, u.from_version, u.attempts, ",
            "u.code, u.detail, d.online, u.created_at, u.updated_at, u.ended_at, u.passed ",
            "FROM updates u JOIN devices d ON d.number = u.device WHERE u.rollout_id = $1 AND u.latest = TRUE AND u.device > $2 ",
            $($rest),+
        )
    };
}
pub(super) use columns_listed;
/// Those of a stage (0: all) that fare like this.
pub(super) const LISTED: Sql = Sql::same(columns_listed!(
    "AND ($3 = 0 OR u.stage = $3) AND (CASE WHEN u.again = TRUE THEN 'waiting' WHEN u.open = TRUE THEN 'updating'
     WHEN u.state = 'succeeded' THEN 'succeeded' WHEN u.state IN ('failed', 'reverted', 'timed_out', 'rejected') THEN 'failed' ELSE 'left_out' END) = $4
     AND d.state <> 'decommissioned'
     ORDER BY u.device LIMIT $5"
));
/// Those of a stage (0: all) that ended badly in this state. The states are said as the index of such updates has them: a few among a million are found by it.
pub(super) const LISTED_BADLY: Sql = Sql::same(columns_listed!(
    "AND ($3 = 0 OR u.stage = $3) AND u.again = FALSE AND u.state IN ('failed', 'reverted', 'timed_out', 'rejected') AND u.state = $4
     AND d.state <> 'decommissioned' ORDER BY u.device LIMIT $5"
));
/// Those of a stage (0: all) whose update was cancelled, and is not tried again.
pub(super) const LISTED_CANCELLED: Sql = Sql::same(columns_listed!(
    "AND ($3 = 0 OR u.stage = $3) AND u.again = FALSE AND u.state = 'cancelled' AND d.state <> 'decommissioned' ORDER BY u.device LIMIT $4"
));
/// How many those are.
pub(super) const COUNT_CANCELLED: Sql = Sql::same(
    "SELECT COUNT(*) FROM updates u JOIN devices d ON d.number = u.device WHERE u.rollout_id = $1 AND ($2 = 0 OR u.stage = $2) AND u.latest = TRUE
     AND u.again = FALSE AND u.state = 'cancelled' AND d.state <> 'decommissioned'",
);
/// How those of a stage (0: all) fared that have left the fleet since. What is to be tried again counts as waiting, and who waits is counted anew.
pub(super) const GONE: Sql = Sql::same(
    "SELECT u.state, COUNT(*) FROM devices d JOIN updates u ON u.device = d.number AND u.rollout_id = $2
     WHERE d.org_id = $1 AND d.state = 'decommissioned' AND u.latest = TRUE AND u.again = FALSE AND ($3 = 0 OR u.stage = $3) GROUP BY u.state",
);
/// Those of a stage (0: all) that did not make it, by why.
pub(super) const FAILURES: Sql = Sql::same(
    "SELECT u.state, u.code, MAX(u.detail), COUNT(*) FROM updates u
     WHERE u.rollout_id = $1 AND ($2 = 0 OR u.stage = $2) AND u.latest = TRUE AND u.again = FALSE
     AND u.state IN ('failed', 'reverted', 'timed_out', 'rejected') GROUP BY u.state, u.code ORDER BY COUNT(*) DESC, u.state, u.code LIMIT 12",
);
pub(super) const LISTED_BETWEEN: Sql = Sql::same(columns_listed!("AND u.device <= $3 ORDER BY u.device"));

#[derive(sqlx::FromRow)]
struct DeviceUpdateRow {
    id: String,
    rollout_id: String,
    name: String,
    from_version: String,
    version: String,
    state: String,
    progress: Option<i64>,
    code: String,
    detail: String,
    attempts: i64,
    created_at: i64,
    updated_at: i64,
    ended_at: Option<i64>,
    passed: i64,
    dark: bool,
}

/// When an update was offered that was made then: none of one that was cancelled before, as in what [`OFFERED`] reads.
fn offered_at(passed: i64, code: &str, made: i64) -> Option<Timestamp> {
    (passed != 0 || code != CANCELLED_BY_HAND).then_some(Timestamp(made))
}

/// A page of a device's updates, newest first, from behind this one on.
pub(in crate::rollouts) async fn of_device(
    on: &mut impl Conn,
    device: DeviceNo,
    (behind, rows): (Option<&UpdateId>, u32),
    now: Timestamp,
) -> Result<Page<DeviceUpdate>, Error> {
    let read = |r: DeviceUpdateRow| {
        let state = r.state.parse().map_err(Error::corrupt)?;
        let offered_at = offered_at(r.passed, &r.code, r.created_at);
        Ok(DeviceUpdate {
            id: r.id.parse().map_err(Error::corrupt)?,
            rollout: r.rollout_id.parse().map_err(Error::corrupt)?,
            rollout_name: r.name,
            from_version: r.from_version,
            to_version: r.version,
            state,
            progress: r.progress,
            code: r.code,
            detail: r.detail,
            failure: UpdateFailure::of(state, r.dark),
            attempt: r.attempts,
            offered_at,
            updated_at: Timestamp(r.updated_at),
            ended_at: r.ended_at.map(Timestamp),
            passed: UpdateState::ALL.iter().copied().filter(|passed| *passed != state && r.passed & bit(*passed) != 0).collect(),
        })
    };
    // Ids sort by their creation.
    let behind = behind.map_or(UpdateId::BEHIND, UpdateId::as_str);
    let (by, limit) = (now.plus(-DARK_WATCH_MS).0, i64::from(rows) + 1);
    let found = rows!(on, DeviceUpdateRow, OF_DEVICE, device, behind, limit, by, DARK_GRACE_MS)?;
    let total = row!(on, (i64,), COUNT_OF_DEVICE, device)?.map_or(0, |(n,)| n);
    let Page { items, next, total } = Page::cut(found, rows, total, |last| last.id.clone());
    Ok(Page { items: items.into_iter().map(read).collect::<Result<_, Error>>()?, next, total })
}

/// When the last update of each of these devices ended; those that ended none are left out.
pub(in crate::rollouts) async fn last_ended(on: &mut impl Conn, devices: &[DeviceNo]) -> Result<HashMap<DeviceNo, Timestamp>, Error> {
    let found = rows!(on, (DeviceNo, i64), LAST_ENDED, these(devices)?)?;
    Ok(found.into_iter().map(|(device, at)| (device, Timestamp(at))).collect())
}

/// When updates were offered to a device and how they ended, before an instant: at most so many of each.
pub(in crate::rollouts) async fn turns_of(
    on: &mut impl Conn,
    device: DeviceNo,
    before: Timestamp,
    most: i64,
) -> Result<Vec<Happening>, Error> {
    let mut found = Vec::new();
    for (rollout, name, version, at) in rows!(on, (String, String, String, i64), OFFERED, device, before.0, most)? {
        found.push(Happening::Offered { at: Timestamp(at), rollout: rollout.parse().map_err(Error::corrupt)?, name, version });
    }
    for (rollout, name, version, at, state, detail) in
        rows!(on, (String, String, String, i64, String, String), ENDED, device, before.0, most)?
    {
        let (rollout, state) = (rollout.parse().map_err(Error::corrupt)?, state.parse().map_err(Error::corrupt)?);
        found.push(Happening::Ended { at: Timestamp(at), rollout, name, version, state, detail });
    }
    Ok(found)
}

/// Devices that other rollouts are updating, and that one of this rank does not take over.
pub(in crate::rollouts) async fn busy_elsewhere(
    on: &mut impl Conn,
    org: &OrgId,
    rollout: &str,
    rank: Rank,
) -> Result<HashSet<DeviceNo>, Error> {
    let found = rows!(on, (i64,), BUSY_ELSEWHERE, org.as_str(), rollout, rank.sequence, i64::from(rank.priority))?;
    Ok(found.into_iter().map(|r| r.0).collect())
}

/// Devices that other rollouts have offered something that they have not begun, and that one of this rank takes over.
pub(in crate::rollouts) async fn taken_over(
    on: &mut impl Conn,
    org: &OrgId,
    rollout: &RolloutId,
    rank: Rank,
) -> Result<HashSet<DeviceNo>, Error> {
    let found = rows!(on, (i64,), TAKEN_OVER, org.as_str(), rollout.as_str(), rank.sequence, i64::from(rank.priority))?;
    Ok(found.into_iter().map(|r| r.0).collect())
}

/// The rollouts other than this one that these devices have an open update of: the id, the name, the sequence that it brings, and how many of them.
pub(in crate::rollouts) async fn holding(
    on: &mut impl Conn,
    rollout: &RolloutId,
    devices: &[DeviceNo],
) -> Result<Vec<(String, String, i64, i64)>, Error> {
    rows!(on, (String, String, i64, i64), HOLDING, these(devices)?, rollout.as_str())
}

/// Devices that have had their turn in this rollout and don't come again.
pub(in crate::rollouts) async fn settled(on: &mut impl Conn, rollout: &RolloutId) -> Result<HashSet<DeviceNo>, Error> {
    let (mut all, mut after) = (HashSet::new(), 0);
    loop {
        let some = rows!(on, (i64,), SETTLED, rollout.as_str(), after, PAGE)?;
        let Some((last,)) = some.last() else { return Ok(all) };
        after = *last;
        all.extend(some.into_iter().map(|r| r.0));
    }
}

/// Devices of a stage that had succeeded by then and run the release since.
pub(in crate::rollouts) async fn updated(
    on: &mut impl Conn,
    rollout: &RolloutId,
    stage: u32,
    by: Timestamp,
) -> Result<Vec<DeviceNo>, Error> {
    Ok(rows!(on, (i64,), UPDATED, rollout.as_str(), i64::from(stage), by.0)?.into_iter().map(|r| r.0).collect())
}

/// Devices that were ever offered something by this rollout.
pub(in crate::rollouts) async fn touched(on: &mut impl Conn, rollout: &RolloutId) -> Result<Vec<DeviceNo>, Error> {
    Ok(rows!(on, (i64,), TOUCHED, rollout.as_str())?.into_iter().map(|r| r.0).collect())
}

/// Devices with their part in a rollout.
pub(in crate::rollouts) type Rows = Vec<(DeviceNo, UpdateRow)>;

#[derive(sqlx::FromRow)]
pub(super) struct ListedRow {
    device: i64,
    id: String,
    device_id: String,
    stage: i64,
    state: String,
    again: bool,
    progress: Option<i64>,
    from_version: String,
    attempts: i64,
    code: String,
    detail: String,
    online: bool,
    created_at: i64,
    updated_at: i64,
    ended_at: Option<i64>,
    passed: i64,
}

pub(super) fn listed_row(r: ListedRow) -> Result<(DeviceNo, UpdateRow), Error> {
    let offered_at = offered_at(r.passed, &r.code, r.created_at);
    let state = if r.again { UpdateState::Queued } else { r.state.parse().map_err(Error::corrupt)? };
    let row = UpdateRow {
        id: Some(r.id.parse().map_err(Error::corrupt)?),
        device_id: r.device_id.parse::<DeviceId>().map_err(Error::corrupt)?,
        stage: u32::try_from(r.stage).map_err(Error::corrupt)?,
        state,
        progress: r.progress,
        from_version: r.from_version,
        attempts: r.attempts,
        code: r.code,
        detail: r.detail,
        online: r.online,
        offered_at,
        updated_at: Some(Timestamp(r.updated_at)),
        ended_at: r.ended_at.map(Timestamp),
    };
    Ok((r.device, row))
}

/// Updates of a rollout that fare like this, by device number after `after`; stage 0 is every stage.
pub(in crate::rollouts) async fn listed(
    on: &mut impl Conn,
    rollout: &RolloutId,
    after: DeviceNo,
    stage: u32,
    fares: &str,
    limit: i64,
) -> Result<Vec<(DeviceNo, UpdateRow)>, Error> {
    let found = rows!(on, ListedRow, LISTED, rollout.as_str(), after, i64::from(stage), fares, limit)?;
    found.into_iter().map(listed_row).collect()
}

/// Updates of a rollout that ended badly in this state, by device number after `after`; stage 0 is every stage.
pub(in crate::rollouts) async fn ended_badly(
    on: &mut impl Conn,
    rollout: &RolloutId,
    after: DeviceNo,
    stage: u32,
    state: UpdateState,
    limit: i64,
) -> Result<Vec<(DeviceNo, UpdateRow)>, Error> {
    let found = rows!(on, ListedRow, LISTED_BADLY, rollout.as_str(), after, i64::from(stage), state.as_str(), limit)?;
    found.into_iter().map(listed_row).collect()
}

/// Updates of a rollout that were cancelled and are not tried again, by device number after `after`; stage 0 is every stage.
pub(in crate::rollouts) async fn cancelled(
    on: &mut impl Conn,
    rollout: &RolloutId,
    after: DeviceNo,
    stage: u32,
    limit: i64,
) -> Result<Vec<(DeviceNo, UpdateRow)>, Error> {
    let found = rows!(on, ListedRow, LISTED_CANCELLED, rollout.as_str(), after, i64::from(stage), limit)?;
    found.into_iter().map(listed_row).collect()
}

/// How many updates of a rollout were cancelled and are not tried again; stage 0 is every stage.
pub(in crate::rollouts) async fn count_cancelled(on: &mut impl Conn, rollout: &RolloutId, stage: u32) -> Result<i64, Error> {
    Ok(row!(on, (i64,), COUNT_CANCELLED, rollout.as_str(), i64::from(stage))?.map_or(0, |(n,)| n))
}

/// Devices of a stage, 0 for all, that did not make it, by why; the most frequent first, at most 12.
pub(in crate::rollouts) async fn failures(on: &mut impl Conn, rollout: &RolloutId, stage: u32) -> Result<Vec<Failures>, Error> {
    let read = |(state, code, detail, devices): (String, String, String, i64)| {
        Ok(Failures { state: state.parse().map_err(Error::corrupt)?, code, detail, devices })
    };
    rows!(on, (String, String, String, i64), FAILURES, rollout.as_str(), i64::from(stage))?.into_iter().map(read).collect()
}

/// Devices of a stage, 0 for all, that have left the fleet since they had their turn, by how that went.
pub(in crate::rollouts) async fn gone(on: &mut impl Conn, org: &OrgId, rollout: &RolloutId, stage: u32) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    for (state, devices) in rows!(on, (String, i64), GONE, org.as_str(), rollout.as_str(), i64::from(stage))? {
        Class::of(state.parse().map_err(Error::corrupt)?).add(&mut counts, devices);
    }
    Ok(counts)
}

/// Updates of a rollout for device numbers after `after` up to `until`.
pub(in crate::rollouts) async fn listed_between(
    on: &mut impl Conn,
    rollout: &RolloutId,
    after: DeviceNo,
    until: DeviceNo,
) -> Result<Vec<(DeviceNo, UpdateRow)>, Error> {
    let found = rows!(on, ListedRow, LISTED_BETWEEN, rollout.as_str(), after, until)?;
    found.into_iter().map(listed_row).collect()
}
