//! Which metrics an organization's devices report.

use crate::db::{Conn, Error, Sql, rows};
use wire::ids::OrgId;

/// From one name to the next along the index, so that it takes as many steps as there are names, however many devices; with what the device that came last sent last.
pub(in crate::telemetry) const NAMES_OF: Sql = Sql::same(
    "WITH RECURSIVE names (metric, n) AS (
         SELECT MIN(metric), CAST(1 AS BIGINT) FROM series WHERE org_id = $1
         UNION ALL
         SELECT (SELECT MIN(x.metric) FROM series x WHERE x.org_id = $1 AND x.metric > names.metric), n + 1 FROM names
         WHERE names.metric IS NOT NULL AND n < $2)
     SELECT names.metric, s.last_t, s.last_v FROM names LEFT JOIN series s ON s.org_id = $1 AND s.metric = names.metric
         AND s.device = (SELECT MAX(y.device) FROM series y WHERE y.org_id = $1 AND y.metric = names.metric)
     WHERE names.metric IS NOT NULL ORDER BY names.metric",
);

/// The first names of metrics that devices of an organization ever sent, each with the newest folded sample of one of them.
pub(in crate::telemetry) async fn names_of(
    on: &mut impl Conn,
    org: &OrgId,
    most: i64,
) -> Result<Vec<(String, Option<i64>, Option<f64>)>, Error> {
    rows!(on, (String, Option<i64>, Option<f64>), NAMES_OF, org.as_str(), most)
}
