//! How long updates took before, for what is expected of the next ones.

use crate::db::{Conn, Error, Sql, rows};
use wire::ids::OrgId;

/// Rollouts of a device type that have begun, the newest first. Not by their ids: that of a draft may be as old as its preview.
pub(super) const BEGUN: Sql =
    Sql::same("SELECT id FROM rollouts WHERE org_id = $1 AND device_type = $2 AND stage > 0 ORDER BY created_at DESC, id DESC LIMIT 20");
/// From the offer to the success, the newest first.
pub(super) const TOOK: Sql = Sql::same(
    "SELECT ended_at - created_at FROM updates WHERE rollout_id = $1 AND state = 'succeeded' AND ended_at IS NOT NULL
     ORDER BY ended_at DESC LIMIT $2",
);

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
