//! The SQL of which releases devices run. Refuses to know what follows from it.

use crate::db::{Conn, Error, Sql, rows};
use wire::ids::{OrgId, ReleaseId};

/// Releases of a type before a sequence that devices may install, with how many devices run each: most first, of as many the newest first.
pub(super) const RUN_BEFORE: Sql = Sql::same(concat!(
    "SELECT r.id, r.version, (",
    installed!("r.org_id", "r.device_type", "r.version"),
    ") AS installed FROM releases r WHERE r.org_id = $1 AND r.device_type = $2 AND r.sequence < $3 AND r.state IN ('published', 'deprecated') ",
    "ORDER BY installed DESC, r.sequence DESC LIMIT $4"
));

/// The `most` releases of a type before this sequence that devices run most, with their versions and how many devices run each; behind them those that nobody
/// runs, the newest first. Recalled ones are not among them. Takes the longer the more devices there are.
pub(in crate::releases) async fn run_before(
    on: &mut impl Conn,
    org: &OrgId,
    (device_type, sequence): (&str, i64),
    most: i64,
) -> Result<Vec<(ReleaseId, String, i64)>, Error> {
    let found = rows!(on, (String, String, i64), RUN_BEFORE, org.as_str(), device_type, sequence, most)?;
    found.into_iter().map(|(id, version, devices)| Ok((id.parse().map_err(Error::corrupt)?, version, devices))).collect()
}
