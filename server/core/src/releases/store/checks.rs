//! The SQL of what is known about stored content: when it was read last, and what is wrong with it.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{Digest, OrgId, ReleaseId},
    releases::Damage,
};

pub(super) const CHECK: Sql = Sql::same("SELECT checked_at, damage, damaged_at FROM artifact_checks WHERE sha256 = $1");
// What is damaged may have been put right and waits for that; then what was never read, then what was read longest ago.
pub(super) const DUE: Sql = Sql::same(
    "SELECT f.sha256, MAX(f.size) FROM (SELECT sha256, size FROM release_files UNION ALL SELECT sha256, size FROM deltas WHERE state = 'ready') f \
     LEFT JOIN artifact_checks c ON c.sha256 = f.sha256 WHERE c.sha256 IS NULL OR (c.damaged_at IS NULL AND c.checked_at <= $1) OR (c.damaged_at IS NOT NULL AND c.checked_at <= $2) \
     GROUP BY f.sha256, c.checked_at, c.damaged_at \
     ORDER BY CASE WHEN c.damaged_at IS NULL THEN 1 ELSE 0 END, COALESCE(c.checked_at, 0), f.sha256 LIMIT 1",
);
pub(super) const SET_CHECK: Sql = Sql::same(
    "INSERT INTO artifact_checks (sha256, checked_at, damage, damaged_at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (sha256) DO UPDATE SET checked_at = excluded.checked_at, damage = excluded.damage, damaged_at = excluded.damaged_at",
);
pub(super) const FORGET_CHECK: Sql = Sql::same("DELETE FROM artifact_checks WHERE sha256 = $1");
pub(super) const CONTENT_SIZE: Sql = Sql::same(
    "SELECT MAX(f.size) FROM (SELECT size FROM release_files WHERE sha256 = $1 UNION ALL SELECT size FROM deltas WHERE sha256 = $1 AND state = 'ready') f",
);
pub(super) const OWN_CONTENT: Sql = Sql::same("SELECT size FROM release_files WHERE sha256 = $2 AND org_id = $1 LIMIT 1");
pub(super) const CONTENT_USERS: Sql =
    Sql::same("SELECT DISTINCT org_id, release_id FROM release_files WHERE sha256 = $1 ORDER BY org_id, release_id");
pub(super) const COUNT_DAMAGED: Sql = Sql::same(
    "SELECT COUNT(DISTINCT c.sha256) FROM artifact_checks c JOIN release_files f ON f.sha256 = c.sha256 WHERE c.damaged_at IS NOT NULL",
);
pub(super) const DAMAGED_IN: Sql = Sql::same(
    "SELECT COUNT(*) FROM release_files f JOIN artifact_checks c ON c.sha256 = f.sha256 WHERE f.release_id = $1 AND c.damaged_at IS NOT NULL",
);
pub(super) const DAMAGED: Sql = Sql::same(
    "SELECT r.id, r.device_type, r.version, f.name, c.damage, c.damaged_at FROM artifact_checks c \
     JOIN release_files f ON f.sha256 = c.sha256 JOIN releases r ON r.id = f.release_id \
     WHERE f.org_id = $1 AND c.damaged_at IS NOT NULL AND r.state <> 'recalled' ORDER BY c.damaged_at DESC, r.id, f.position LIMIT $2",
);

/// What is known of one content.
pub(in crate::releases) struct Check {
    pub checked_at: Timestamp,
    /// What is wrong with it, and since when that is known.
    pub damage: Option<(Damage, Timestamp)>,
}

/// A file of a release whose content is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedFile {
    /// The release.
    pub release: ReleaseId,
    /// Its type.
    pub device_type: String,
    /// Its version.
    pub version: String,
    /// The file's label.
    pub name: String,
    /// What is wrong.
    pub damage: Damage,
    /// Since when that is known.
    pub since: Timestamp,
}

pub(in crate::releases) async fn check(on: &mut impl Conn, sha256: &Digest) -> Result<Option<Check>, Error> {
    let Some((at, damage, since)) = row!(on, (i64, String, Option<i64>), CHECK, sha256.as_str())? else { return Ok(None) };
    let damage = since.map(|since| Ok::<_, Error>((damage.parse().map_err(Error::corrupt)?, Timestamp(since)))).transpose()?;
    Ok(Some(Check { checked_at: Timestamp(at), damage }))
}

/// The content that is to be read next, with its size: not read since the first of these times, or damaged and not looked at since the second.
pub(in crate::releases) async fn due(on: &mut impl Conn, right: Timestamp, damaged: Timestamp) -> Result<Option<(Digest, i64)>, Error> {
    let found = row!(on, (String, i64), DUE, right.0, damaged.0)?;
    found.map(|(sha256, size)| Ok((sha256.parse().map_err(Error::corrupt)?, size))).transpose()
}

pub(in crate::releases) async fn set_check(tx: &mut Tx, sha256: &Digest, check: &Check) -> Result<(), Error> {
    let (damage, since) = check.damage.map_or(("", None), |(damage, since)| (damage.as_str(), Some(since.0)));
    exec!(tx, SET_CHECK, sha256.as_str(), check.checked_at.0, damage, since).map(drop)
}

pub(in crate::releases) async fn forget_check(tx: &mut Tx, sha256: &Digest) -> Result<(), Error> {
    exec!(tx, FORGET_CHECK, sha256.as_str()).map(drop)
}

/// The size of what releases or deltas are made of; none for content that is neither.
pub(in crate::releases) async fn content_size(on: &mut impl Conn, sha256: &Digest) -> Result<Option<i64>, Error> {
    Ok(row!(on, (Option<i64>,), CONTENT_SIZE, sha256.as_str())?.and_then(|r| r.0))
}

/// The size of this content, if a release of this organization has it.
pub(in crate::releases) async fn own_content(on: &mut impl Conn, org: &OrgId, sha256: &Digest) -> Result<Option<i64>, Error> {
    Ok(row!(on, (i64,), OWN_CONTENT, org.as_str(), sha256.as_str())?.map(|r| r.0))
}

/// The releases of every organization that this content belongs to.
pub(in crate::releases) async fn content_users(on: &mut impl Conn, sha256: &Digest) -> Result<Vec<(OrgId, ReleaseId)>, Error> {
    let found = rows!(on, (String, String), CONTENT_USERS, sha256.as_str())?;
    found.into_iter().map(|(org, id)| Ok((org.parse().map_err(Error::corrupt)?, id.parse().map_err(Error::corrupt)?))).collect()
}

/// Whether a file of this release is damaged.
pub(crate) async fn has_damage(on: &mut impl Conn, id: &ReleaseId) -> Result<bool, Error> {
    Ok(damaged_in(on, id).await? > 0)
}

/// How many files of this release are damaged.
pub(crate) async fn damaged_in(on: &mut impl Conn, id: &ReleaseId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), DAMAGED_IN, id.as_str())?.map_or(0, |r| r.0))
}

/// How much content of releases is damaged, of every organization.
pub(in crate::releases) async fn count_damaged(on: &mut impl Conn) -> Result<i64, Error> {
    Ok(row!(on, (i64,), COUNT_DAMAGED)?.map_or(0, |r| r.0))
}

/// Damaged files of releases that were not recalled, found last first.
pub(in crate::releases) async fn damaged(on: &mut impl Conn, org: &OrgId, limit: i64) -> Result<Vec<DamagedFile>, Error> {
    let found = rows!(on, (String, String, String, String, String, i64), DAMAGED, org.as_str(), limit)?;
    let read = |(id, device_type, version, name, damage, since): (String, String, String, String, String, i64)| {
        Ok(DamagedFile {
            release: id.parse().map_err(Error::corrupt)?,
            device_type,
            version,
            name,
            damage: damage.parse().map_err(Error::corrupt)?,
            since: Timestamp(since),
        })
    };
    found.into_iter().map(read).collect()
}
