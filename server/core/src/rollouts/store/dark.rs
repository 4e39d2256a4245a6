//! Which devices succeeded and went dark: how many of a stage, and which of a rollout. What dark means is the gate's.

use super::parts::{ListedRow, Rows, columns_listed, listed_row};
use crate::{
    db::{Conn, Error, Sql, row, rows},
    devices::DeviceNo,
    rollouts::gate::{DARK_GRACE_MS, DARK_WATCH_MS},
};
use wire::{Timestamp, ids::RolloutId};

/// Whether nothing was heard of the device `d` from so many milliseconds after the success of this update on: what gates mean by dark. A channel that was
/// still open then, or that a restart of the server closed later, is a word too.
macro_rules! went_dark {
    ($update:literal, $grace:literal) => {
        concat!(
            "d.online = FALSE AND d.last_seen_at < ",
            $update,
            ".ended_at + ",
            $grace,
            " AND NOT EXISTS (SELECT 1 FROM connections c WHERE c.device = ",
            $update,
            ".device AND (c.ended_at IS NULL OR c.ended_at >= ",
            $update,
            ".ended_at + ",
            $grace,
            "))"
        )
    };
}
pub(super) use went_dark;

/// Devices of a stage that succeeded by $3 and went dark: nothing was heard of them from $4 milliseconds after that on.
pub(super) const DARK: Sql = Sql::same(concat!(
    "SELECT COUNT(*) FROM updates u JOIN devices d ON d.number = u.device
     WHERE u.rollout_id = $1 AND u.stage = $2 AND u.latest = TRUE AND u.again = FALSE AND u.state = 'succeeded' AND u.ended_at <= $3
     AND d.state = 'active' AND ",
    went_dark!("u", "$4")
));

/// Those of a stage (0: all) among these devices that have gone [dark](DARK).
macro_rules! listed_dark {
    ($among:literal) => {
        columns_listed!(
            $among,
            " AND ($4 = 0 OR u.stage = $4) AND u.again = FALSE AND u.state = 'succeeded' AND u.ended_at <= $5 AND d.state = 'active' AND ",
            went_dark!("u", "$6"),
            " ORDER BY u.device"
        )
    };
}
pub(super) const LISTED_DARK: Sql = Sql::same(listed_dark!("AND u.device <= $3"));
pub(super) const LISTED_DARK_AMONG: Sql = Sql::split(
    listed_dark!("AND u.device IN (SELECT n.value FROM json_each($3) n)"),
    listed_dark!("AND u.device IN (SELECT CAST(n.value AS BIGINT) FROM json_array_elements_text(CAST($3 AS JSON)) n)"),
);

/// The last of so many devices that had a turn, and how many there are.
pub(super) const NEXT_TURNS: Sql = Sql::same(
    "SELECT MAX(b.device), COUNT(*) FROM (SELECT device FROM updates WHERE rollout_id = $1 AND latest = TRUE AND device > $2 ORDER BY device LIMIT $3) b",
);

/// How many of a stage's devices succeeded and went dark, as [`gate`](crate::rollouts::gate) means it.
pub(in crate::rollouts) async fn dark(on: &mut impl Conn, rollout: &RolloutId, stage: u32, now: Timestamp) -> Result<i64, Error> {
    let by = now.plus(-DARK_WATCH_MS);
    Ok(row!(on, (i64,), DARK, rollout.as_str(), i64::from(stage), by.0, DARK_GRACE_MS)?.map_or(0, |r| r.0))
}

/// Those of the next `many` devices behind `after` that succeeded and went dark, as [`dark`] counts them, and the last device that was looked at; none
/// where these are the last ones of the rollout.
pub(in crate::rollouts) async fn gone_dark(
    on: &mut impl Conn,
    rollout: &RolloutId,
    (after, many): (DeviceNo, i64),
    stage: u32,
    now: Timestamp,
) -> Result<(Rows, Option<DeviceNo>), Error> {
    let Some((Some(last), turns)) = row!(on, (Option<DeviceNo>, i64), NEXT_TURNS, rollout.as_str(), after, many)? else {
        return Ok((Vec::new(), None));
    };
    let by = now.plus(-DARK_WATCH_MS);
    let found = rows!(on, ListedRow, LISTED_DARK, rollout.as_str(), after, last, i64::from(stage), by.0, DARK_GRACE_MS)?;
    Ok((found.into_iter().map(listed_row).collect::<Result<_, Error>>()?, (turns >= many).then_some(last)))
}

/// Those of these devices that succeeded and went dark, as [`dark`] counts them.
pub(in crate::rollouts) async fn dark_among(
    on: &mut impl Conn,
    rollout: &RolloutId,
    devices: &[DeviceNo],
    stage: u32,
    now: Timestamp,
) -> Result<Rows, Error> {
    let (these, by) = (serde_json::to_string(devices).map_err(Error::corrupt)?, now.plus(-DARK_WATCH_MS));
    let found = rows!(on, ListedRow, LISTED_DARK_AMONG, rollout.as_str(), 0_i64, these, i64::from(stage), by.0, DARK_GRACE_MS)?;
    found.into_iter().map(listed_row).collect()
}
