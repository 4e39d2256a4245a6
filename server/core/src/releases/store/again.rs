//! The SQL of what may be sent again.

use crate::db::{Conn, Error, Sql, rows};
use wire::{
    ids::{OrgId, ReleaseId},
    states::ReleaseState,
};

/// Those that stand for one version and sequence: what was signed first, then drafts as they came.
pub(super) const OF_VERSION: Sql = Sql::same(
    "SELECT id, state, envelope FROM releases WHERE org_id = $1 AND device_type = $2 AND version = $3 AND sequence = $4 AND envelope IS NOT NULL \
     ORDER BY CASE state WHEN 'draft' THEN 1 ELSE 0 END, id LIMIT 20",
);

/// The releases of a version and sequence that have a manifest, with their states and envelopes: what was signed first, then drafts; at most 20.
pub(in crate::releases) async fn of_version(
    on: &mut impl Conn,
    org: &OrgId,
    (device_type, version, sequence): (&str, &str, i64),
) -> Result<Vec<(ReleaseId, ReleaseState, Vec<u8>)>, Error> {
    let found = rows!(on, (String, String, Vec<u8>), OF_VERSION, org.as_str(), device_type, version, sequence)?;
    let read = |(id, state, envelope): (String, String, Vec<u8>)| {
        Ok((id.parse().map_err(Error::corrupt)?, state.parse().map_err(Error::corrupt)?, envelope))
    };
    found.into_iter().map(read).collect()
}
