//! The way back: which rollout takes back which, who had a part in what is taken back, and who still runs it.

use super::records::Record;
use crate::{
    db::{Conn, Error, Sql, Tx, exec, row, rows},
    devices::DeviceNo,
    rollouts::way_back::{Back, Going},
};
use std::collections::HashSet;
use wire::{Timestamp, ids::RolloutId, rollouts::RolloutLink};

/// The release that devices go back to, and the newest rollout that takes them there.
pub(super) const WAY: Sql = Sql::same(
    "SELECT r.state, b.state, b.summary FROM releases r LEFT JOIN rollouts b ON b.back_of = $3
     WHERE r.org_id = $1 AND r.id = $2 ORDER BY b.id DESC LIMIT 1",
);
pub(super) const LINK: Sql = Sql::same("SELECT id, name, state FROM rollouts WHERE org_id = $1 AND id = $2");
pub(super) const BACKWARDS: Sql =
    Sql::same("SELECT id, name, state FROM rollouts WHERE org_id = $1 AND back_of = $2 ORDER BY id DESC LIMIT 1");
pub(super) const MEMBERS: Sql = Sql::same("SELECT device FROM updates WHERE rollout_id = $1 AND latest = TRUE");
pub(super) const MEMBERS_BETWEEN: Sql =
    Sql::same("SELECT device FROM updates WHERE rollout_id = $1 AND latest = TRUE AND device BETWEEN $2 AND $3");
pub(super) const RUNS: Sql = Sql::same(
    "SELECT COUNT(*) FROM updates u JOIN devices d ON d.number = u.device
     WHERE u.rollout_id = $1 AND u.latest = TRUE AND d.sequence = $2 AND d.state = 'active'",
);
/// A plan that was just written becomes the approved way back of $2.
pub(super) const SET_OUT: Sql = Sql::same(
    "UPDATE rollouts SET state = 'approved', back_of = $2, summary = $3, approvals_needed = $4, updated_at = $5
     WHERE id = $1 AND state = 'draft'",
);

/// What is known of the way back of a rollout; none where its plan has none.
pub(in crate::rollouts) async fn way(on: &mut impl Conn, record: &Record) -> Result<Option<Back>, Error> {
    let Some(release) = &record.spec.way_back else { return Ok(None) };
    let found = row!(on, (String, Option<String>, Option<String>), WAY, record.org.as_str(), release.as_str(), record.id.as_str())?;
    let read = |(release, state, summary): (String, Option<String>, Option<String>)| {
        let going = match (state, summary) {
            (Some(state), Some(summary)) => Some(Going { state: state.parse().map_err(Error::corrupt)?, summary }),
            _ => None,
        };
        Ok(Back { release: release.parse().map_err(Error::corrupt)?, going })
    };
    found.map(read).transpose()
}

type LinkRow = (String, String, String);

fn read_link((id, name, state): LinkRow) -> Result<RolloutLink, Error> {
    Ok(RolloutLink { id: id.parse().map_err(Error::corrupt)?, name, state: state.parse().map_err(Error::corrupt)? })
}

/// The rollout that this one takes devices back from.
pub(in crate::rollouts) async fn back_of(on: &mut impl Conn, record: &Record) -> Result<Option<RolloutLink>, Error> {
    let Some(of) = &record.back_of else { return Ok(None) };
    row!(on, LinkRow, LINK, record.org.as_str(), of.as_str())?.map(read_link).transpose()
}

/// The newest rollout that takes devices back from this one.
pub(in crate::rollouts) async fn backwards(on: &mut impl Conn, record: &Record) -> Result<Option<RolloutLink>, Error> {
    row!(on, LinkRow, BACKWARDS, record.org.as_str(), record.id.as_str())?.map(read_link).transpose()
}

/// Who may be in a rollout at all: of a way back those that had a part in what it takes back; none for everybody.
pub(in crate::rollouts) async fn members(on: &mut impl Conn, of: Option<&RolloutId>) -> Result<Option<HashSet<DeviceNo>>, Error> {
    let Some(of) = of else { return Ok(None) };
    Ok(Some(rows!(on, (i64,), MEMBERS, of.as_str())?.into_iter().map(|r| r.0).collect()))
}

/// The same, of devices from one number to another.
pub(in crate::rollouts) async fn members_between(
    on: &mut impl Conn,
    of: Option<&RolloutId>,
    (first, last): (DeviceNo, DeviceNo),
) -> Result<Option<HashSet<DeviceNo>>, Error> {
    let Some(of) = of else { return Ok(None) };
    Ok(Some(rows!(on, (i64,), MEMBERS_BETWEEN, of.as_str(), first, last)?.into_iter().map(|r| r.0).collect()))
}

/// How many devices that had a part in the rollout run its release by their own account.
pub(in crate::rollouts) async fn runs(on: &mut impl Conn, record: &Record) -> Result<i64, Error> {
    Ok(row!(on, (i64,), RUNS, record.id.as_str(), record.sequence)?.map_or(0, |r| r.0))
}

/// Makes a rollout that was just drafted the way back of another one.
pub(in crate::rollouts) async fn set_out(tx: &mut Tx, id: &RolloutId, of: &Record, summary: &str, now: Timestamp) -> Result<(), Error> {
    exec!(tx, SET_OUT, id.as_str(), of.id.as_str(), summary, i64::from(of.needed), now.0).map(drop)
}
