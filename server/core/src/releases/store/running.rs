//! The SQL of which releases devices run, and of what was recalled. Refuses to know what follows from it.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{OrgId, ReleaseId},
};

/// Releases of a type before a sequence that devices may install, or run although they were recalled, with how many devices run each: most first, of as many
/// the newest first.
pub(super) const RUN_BEFORE: Sql = Sql::same(concat!(
    "SELECT id, version, installed FROM (SELECT r.id, r.version, r.sequence, r.state, (",
    installed!("r.org_id", "r.device_type", "r.version"),
    ") AS installed FROM releases r WHERE r.org_id = $1 AND r.device_type = $2 AND r.sequence < $3 AND r.state IN ('published', 'deprecated', 'recalled')) AS x ",
    "WHERE state <> 'recalled' OR installed > 0 ORDER BY installed DESC, sequence DESC LIMIT $4"
));
/// Recalled releases that devices run all the same, those that most run first.
pub(super) const RECALLED: Sql = Sql::same(concat!(
    "SELECT id, device_type, version, recalled_at, installed FROM (SELECT r.id, r.device_type, r.version, COALESCE(r.recalled_at, r.changed_at) AS recalled_at, (",
    installed!("r.org_id", "r.device_type", "r.version"),
    ") AS installed FROM releases r WHERE r.org_id = $1 AND r.state = 'recalled') AS x WHERE installed > 0 ORDER BY installed DESC, id DESC LIMIT $2"
));
pub(super) const RECALL: Sql = Sql::same(
    "UPDATE releases SET recalled_at = $3, recalled_by = $4, recall_reason = $5 WHERE org_id = $1 AND id = $2 AND state = 'recalled'",
);
pub(super) const RECALL_OF: Sql = Sql::same(
    "SELECT COALESCE(recalled_at, changed_at), recalled_by, recall_reason FROM releases WHERE org_id = $1 AND id = $2 AND state = 'recalled'",
);
/// What devices can be brought to that run a sequence: the newest that is published, or the last good one before it.
pub(super) const GOOD: Sql = Sql::same(
    "SELECT id, version, sequence FROM releases WHERE org_id = $1 AND device_type = $2 \
     AND (state = 'published' OR (state = 'deprecated' AND sequence < $3)) ORDER BY sequence DESC LIMIT 1",
);

/// Of the releases of a type that devices may run, the one that has this version.
pub(super) const SEQUENCE_OF: Sql = Sql::same(
    "SELECT sequence FROM releases WHERE org_id = $1 AND device_type = $2 AND version = $3 AND state IN ('published', 'deprecated', 'recalled') \
     ORDER BY sequence DESC LIMIT 1",
);

/// The sequence of the release of a type that has this version, whatever became of it since it was published; none where there is no such release.
pub(crate) async fn sequence_of(on: &mut impl Conn, org: &OrgId, device_type: &str, version: &str) -> Result<Option<i64>, Error> {
    Ok(row!(on, (i64,), SEQUENCE_OF, org.as_str(), device_type, version)?.map(|r| r.0))
}

/// The `most` releases of a type before this sequence that devices run most, with their versions and how many devices run each; behind them those that nobody
/// runs, the newest first; recalled ones are not among these. Takes the longer the more devices there are.
pub(in crate::releases) async fn run_before(
    on: &mut impl Conn,
    org: &OrgId,
    (device_type, sequence): (&str, i64),
    most: i64,
) -> Result<Vec<(ReleaseId, String, i64)>, Error> {
    let found = rows!(on, (String, String, i64), RUN_BEFORE, org.as_str(), device_type, sequence, most)?;
    found.into_iter().map(|(id, version, devices)| Ok((id.parse().map_err(Error::corrupt)?, version, devices))).collect()
}

/// A recalled release that devices run all the same.
#[derive(Debug, Clone)]
pub(crate) struct StillRun {
    pub id: ReleaseId,
    pub device_type: String,
    pub version: String,
    pub since: Timestamp,
    pub devices: i64,
}

/// Recalled releases that devices run all the same, those that most run first. Takes the longer the more devices there are.
pub(in crate::releases) async fn still_run(on: &mut impl Conn, org: &OrgId, most: i64) -> Result<Vec<StillRun>, Error> {
    let read = |(id, device_type, version, since, devices): (String, String, String, i64, i64)| {
        Ok(StillRun { id: id.parse().map_err(Error::corrupt)?, device_type, version, since: Timestamp(since), devices })
    };
    rows!(on, (String, String, String, i64, i64), RECALLED, org.as_str(), most)?.into_iter().map(read).collect()
}

/// Keeps by whom and why a release was recalled.
pub(in crate::releases) async fn keep_recall(
    tx: &mut Tx,
    org: &OrgId,
    id: &ReleaseId,
    (by, reason): (&str, &str),
    now: Timestamp,
) -> Result<(), Error> {
    exec!(tx, RECALL, org.as_str(), id.as_str(), now.0, by, reason).map(drop)
}

/// When, by whom and why a release was recalled; none where it was not.
pub(in crate::releases) async fn recall_of(
    on: &mut impl Conn,
    org: &OrgId,
    id: &ReleaseId,
) -> Result<Option<(Timestamp, String, String)>, Error> {
    let found = row!(on, (i64, String, String), RECALL_OF, org.as_str(), id.as_str())?;
    Ok(found.map(|(at, by, reason)| (Timestamp(at), by, reason)))
}

/// What devices can be brought to that run this sequence, with its version and sequence: the newest published one, or the last good one before it.
pub(in crate::releases) async fn good(
    on: &mut impl Conn,
    org: &OrgId,
    (device_type, sequence): (&str, i64),
) -> Result<Option<(ReleaseId, String, i64)>, Error> {
    let found = row!(on, (String, String, i64), GOOD, org.as_str(), device_type, sequence)?;
    found.map(|(id, version, sequence)| Ok((id.parse().map_err(Error::corrupt)?, version, sequence))).transpose()
}
