//! How long updates took before and how they ended, for what is expected of the next ones and what may be asked of them.

use super::dark::went_dark;
use crate::{
    db::{Conn, Error, Sql, row, rows},
    rollouts::gate::{DARK_GRACE_MS, DARK_WATCH_MS},
};
use wire::{
    Timestamp,
    ids::OrgId,
    rollouts::{Counts, PastUpdates},
    time::DAY_MS,
};

/// Rollouts of a device type that have begun, the newest first. Not by their ids: that of a draft may be as old as its preview.
pub(super) const BEGUN: Sql =
    Sql::same("SELECT id FROM rollouts WHERE org_id = $1 AND device_type = $2 AND stage > 0 ORDER BY created_at DESC, id DESC LIMIT 20");
/// From the offer to the success, the newest first.
pub(super) const TOOK: Sql = Sql::same(
    "SELECT ended_at - created_at FROM updates WHERE rollout_id = $1 AND state = 'succeeded' AND ended_at IS NOT NULL
     ORDER BY ended_at DESC LIMIT $2",
);

/// How devices of stages that began since then ended, as the gates of these stages count them: a row a rollout and stage, however large the fleet.
pub(super) const LATELY: Sql = Sql::same(
    "SELECT CAST(COALESCE(SUM(s.succeeded), 0) AS BIGINT), CAST(COALESCE(SUM(s.failed), 0) AS BIGINT), CAST(COALESCE(SUM(s.reverted), 0) AS BIGINT),
     CAST(COALESCE(SUM(s.timed_out), 0) AS BIGINT), CAST(COALESCE(SUM(s.rejected), 0) AS BIGINT)
     FROM rollouts x JOIN rollout_stages s ON s.rollout_id = x.id WHERE x.org_id = $1 AND x.device_type = $2 AND s.started_at >= $3",
);
/// Of the newest $4 devices of a rollout that succeeded from $2 to $3 those that are still there, and how many of these went dark: nothing was heard
/// of them from $5 milliseconds after that on.
pub(super) const DARK_LATELY: Sql = Sql::same(concat!(
    "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN ",
    went_dark!("done", "$5"),
    " THEN 1 ELSE 0 END), 0) AS BIGINT)
     FROM (SELECT device, ended_at FROM updates WHERE rollout_id = $1 AND latest = TRUE AND again = FALSE AND state = 'succeeded'
         AND ended_at >= $2 AND ended_at <= $3 ORDER BY ended_at DESC LIMIT $4) AS done
     JOIN devices d ON d.number = done.device WHERE d.state = 'active'"
));

/// How far back updates say how they end, in days.
const DAYS: u32 = 30;
/// Most devices whose silence is looked for.
const LISTENED: i64 = 2000;

/// Milliseconds of the newest `most` successful updates of this type, out of the newest rollouts that have begun; in no order.
pub(in crate::rollouts) async fn took(on: &mut impl Conn, org: &OrgId, device_type: &str, most: usize) -> Result<Vec<i64>, Error> {
    let mut found = Vec::new();
    for (rollout,) in rows!(on, (String,), BEGUN, org.as_str(), device_type)? {
        let missing = i64::try_from(most.saturating_sub(found.len())).map_err(Error::corrupt)?;
        if missing == 0 {
            break;
        }
        found.extend(rows!(on, (i64,), TOOK, rollout.as_str(), missing)?.into_iter().map(|r| r.0.max(0)));
    }
    Ok(found)
}

/// How updates of this type ended within the last 30 days: by the counts of the stages that began in that time, and by what was heard since of the
/// newest devices that succeeded, out of the newest rollouts that have begun.
pub(in crate::rollouts) async fn lately(on: &mut impl Conn, org: &OrgId, device_type: &str, now: Timestamp) -> Result<PastUpdates, Error> {
    let since = now.plus(-i64::from(DAYS) * DAY_MS);
    let (succeeded, failed, reverted, timed_out, rejected) =
        row!(on, (i64, i64, i64, i64, i64), LATELY, org.as_str(), device_type, since.0)?.unwrap_or_default();
    let ended = Counts { succeeded, failed, reverted, timed_out, rejected, ..Counts::default() };
    let by = now.plus(-DARK_WATCH_MS);
    let (mut listened, mut dark) = (0, 0);
    for (rollout,) in rows!(on, (String,), BEGUN, org.as_str(), device_type)? {
        let most = LISTENED - listened;
        if most <= 0 {
            break;
        }
        let found = row!(on, (i64, i64), DARK_LATELY, rollout.as_str(), since.0, by.0, most, DARK_GRACE_MS)?;
        let (heard_for, silent) = found.unwrap_or_default();
        (listened, dark) = (listened + heard_for, dark + silent);
    }
    let ended = Counts { total: ended.finished(), ..ended };
    Ok(PastUpdates { device_type: device_type.to_owned(), days: DAYS, ended, listened, dark })
}
