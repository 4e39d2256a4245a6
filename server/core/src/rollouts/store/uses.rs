//! Which rollouts use a release, and how many devices are to get it from them. Refuses to know what else a release is.

use crate::db::{Conn, Error, Sql, list, row, rows};
use std::collections::HashMap;
use wire::{
    ids::{OrgId, ReleaseId, RolloutId},
    releases::ReleaseUse,
    rollouts::Counts,
};

/// With the counts that its stages keep.
pub(super) const OF: Sql = Sql::same(
    "SELECT x.id, x.name, x.state, x.stage, COUNT(s.number), CAST(COALESCE(SUM(s.total), 0) AS BIGINT), CAST(COALESCE(SUM(s.waiting), 0) AS BIGINT), \
     CAST(COALESCE(SUM(s.updating), 0) AS BIGINT), CAST(COALESCE(SUM(s.succeeded), 0) AS BIGINT), CAST(COALESCE(SUM(s.failed), 0) AS BIGINT), \
     CAST(COALESCE(SUM(s.reverted), 0) AS BIGINT), CAST(COALESCE(SUM(s.timed_out), 0) AS BIGINT), CAST(COALESCE(SUM(s.rejected), 0) AS BIGINT), \
     CAST(COALESCE(SUM(s.left_out), 0) AS BIGINT) \
     FROM (SELECT id, name, state, stage FROM rollouts WHERE org_id = $1 AND release_id = $2 ORDER BY id DESC LIMIT 50) AS x \
     LEFT JOIN rollout_stages s ON s.rollout_id = x.id GROUP BY x.id, x.name, x.state, x.stage ORDER BY x.id DESC",
);
/// Those that were sent for approval and have none that holds: they wait, or are drafts again.
pub(super) const ASKED_FOR: Sql = Sql::same(
    "SELECT id FROM rollouts WHERE org_id = $1 AND release_id = $2 AND state IN ('waiting_for_approval', 'draft') AND asked_at IS NOT NULL \
     ORDER BY id DESC LIMIT 50",
);
/// Devices that are to get it: who waits while a rollout stops gets nothing any more.
pub(super) const ASSIGNED: Sql = Sql::same(
    "SELECT CAST(COALESCE(SUM(s.updating + CASE WHEN x.state = 'stopping' THEN 0 ELSE s.waiting END), 0) AS BIGINT) \
     FROM rollouts x JOIN rollout_stages s ON s.rollout_id = x.id \
     WHERE x.org_id = $1 AND x.release_id = $2 AND x.state IN ('running', 'paused', 'halted', 'stopping')",
);
/// How many use each of some releases, of those that any uses.
pub(super) const COUNTED: Sql = Sql::split(
    "SELECT release_id, COUNT(*) FROM rollouts WHERE org_id = $1 \
     AND release_id IN (SELECT n.value FROM json_each($2) n) GROUP BY release_id",
    "SELECT release_id, COUNT(*) FROM rollouts WHERE org_id = $1 \
     AND release_id IN (SELECT n.value FROM json_array_elements_text(CAST($2 AS JSON)) n) GROUP BY release_id",
);

/// The rollouts that use a release, newest first; at most 50.
pub(in crate::rollouts) async fn of(on: &mut impl Conn, org: &OrgId, release: &ReleaseId) -> Result<Vec<ReleaseUse>, Error> {
    type Row = (String, String, String, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64);
    let read = |row: Row| {
        let (id, name, state, stage, stages, total, waiting, updating, succeeded, failed, reverted, timed_out, rejected, left_out) = row;
        Ok(ReleaseUse {
            id: id.parse().map_err(Error::corrupt)?,
            name,
            state: state.parse().map_err(Error::corrupt)?,
            stage: u32::try_from(stage).map_err(Error::corrupt)?,
            stages: u32::try_from(stages).map_err(Error::corrupt)?,
            counts: Counts { total, waiting, updating, succeeded, failed, reverted, timed_out, rejected, left_out },
        })
    };
    rows!(on, Row, OF, org.as_str(), release.as_str())?.into_iter().map(read).collect()
}

/// The rollouts of a release that were sent for approval and wait for it, or are drafts again, newest first; at most 50.
pub(in crate::rollouts) async fn asked_for(on: &mut impl Conn, org: &OrgId, release: &ReleaseId) -> Result<Vec<RolloutId>, Error> {
    let found = rows!(on, (String,), ASKED_FOR, org.as_str(), release.as_str())?;
    found.into_iter().map(|(id,)| id.parse().map_err(Error::corrupt)).collect()
}

/// How many devices are to get it from rollouts that are under way.
pub(in crate::rollouts) async fn assigned(on: &mut impl Conn, org: &OrgId, release: &ReleaseId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), ASSIGNED, org.as_str(), release.as_str())?.map_or(0, |r| r.0))
}

/// How many rollouts use each of these releases, whatever became of them, by the release's id; those that none uses are left out.
pub(in crate::rollouts) async fn counted(on: &mut impl Conn, org: &OrgId, releases: &[&str]) -> Result<HashMap<String, i64>, Error> {
    Ok(rows!(on, (String, i64), COUNTED, org.as_str(), list(releases)?)?.into_iter().collect())
}
