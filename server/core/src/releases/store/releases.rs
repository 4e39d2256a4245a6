//! The SQL of releases and their files.

use super::super::acceptance::{File, Newest};
use crate::db::{Conn, Error, Sql, Tx, containing, exec, row, rows};
use wire::{
    Timestamp,
    ids::{OrgId, ReleaseId},
    releases::{ArtifactRow, Container, ReleaseCheck, ReleaseChoice, ReleaseQuery, ReleaseRow},
    states::ReleaseState,
};

/// How many devices run a version: of those that are in the fleet, along the index of these.
macro_rules! installed {
    ($org:literal, $device_type:literal, $version:literal) => {
        concat!(
            "SELECT COUNT(*) FROM devices d WHERE d.org_id = ",
            $org,
            " AND d.device_type = ",
            $device_type,
            " AND d.version = ",
            $version,
            " AND d.deleted_at IS NULL AND d.state <> 'decommissioned'"
        )
    };
}

/// The columns of [`StoredRow`], in one place for every statement that reads it.
macro_rules! select {
    ($($counts:expr),+; $rest:expr) => {
        concat!(
            "SELECT r.id, r.device_type, r.version, r.sequence, r.state, r.quarantine, r.size, r.signed_by, r.created_at, r.created_by, ",
            $($counts),+,
            " FROM releases r WHERE r.org_id = $1 ",
            $rest
        )
    };
}

/// With how many devices run it and how many of its files are damaged, for people: the first takes the longer the more there are.
macro_rules! select_rows {
    ($rest:expr) => {
        select!(
            "CASE WHEN r.state = 'draft' THEN 0 ELSE (",
            installed!("r.org_id", "r.device_type", "r.version"),
            ") END AS installed, ",
            "(SELECT COUNT(*) FROM release_files f JOIN artifact_checks c ON c.sha256 = f.sha256 ",
            "WHERE f.release_id = r.id AND c.damaged_at IS NOT NULL) AS damaged";
            $rest
        )
    };
}

/// What a list is narrowed by: state $2, device type $3, how they stand $4, and what is in their words $5; empty is everything. An organization has some
/// thousand releases at most, which are walked along the index of their ids.
macro_rules! narrowed {
    () => {
        "AND ($2 = '' OR r.state = $2) AND ($3 = '' OR r.device_type = $3) \
         AND ($4 = '' OR CASE $4 WHEN 'signed' THEN r.signed_by <> '[]' WHEN 'unsigned' THEN r.signed_by = '[]' \
         ELSE EXISTS (SELECT 1 FROM release_files f JOIN artifact_checks c ON c.sha256 = f.sha256 WHERE f.release_id = r.id AND c.damaged_at IS NOT NULL) END) \
         AND ($5 = '' OR LOWER(r.version) LIKE $5 ESCAPE '\\' OR LOWER(r.device_type) LIKE $5 ESCAPE '\\' OR LOWER(r.notes) LIKE $5 ESCAPE '\\') "
    };
}

pub(super) const ROW: Sql = Sql::same(select_rows!("AND r.id = $2"));
/// Nobody is counted: devices wait for it.
pub(super) const ROW_ALONE: Sql = Sql::same(select!("CAST(0 AS BIGINT) AS installed, CAST(0 AS BIGINT) AS damaged"; "AND r.id = $2"));
pub(super) const INSTALLED: Sql = Sql::same(installed!("$1", "$2", "$3"));
pub(super) const PAGE: Sql = Sql::same(select_rows!(concat!(narrowed!(), "AND r.id < $6 ORDER BY r.id DESC LIMIT $7")));
pub(super) const PUBLISHED: Sql = Sql::same(select_rows!("AND r.state = 'published' ORDER BY r.id DESC LIMIT 200"));
/// One that was verified under this name, the one that may be rolled out first.
pub(super) const NAMED: Sql = Sql::same(select_rows!(
    "AND r.device_type = $2 AND r.version = $3 AND r.state <> 'draft' ORDER BY CASE r.state WHEN 'published' THEN 0 ELSE 1 END, r.id DESC LIMIT 1"
));
pub(super) const QUARANTINED: Sql = Sql::same(select_rows!("AND r.state = 'draft' AND r.quarantine <> '' ORDER BY r.id DESC LIMIT $2"));
pub(super) const COUNT: Sql = Sql::same("SELECT COUNT(*) FROM releases WHERE org_id = $1");
pub(super) const COUNT_IN: Sql = Sql::same(concat!("SELECT COUNT(*) FROM releases r WHERE r.org_id = $1 ", narrowed!()));
pub(super) const TYPES: Sql =
    Sql::same("SELECT DISTINCT device_type FROM releases WHERE org_id = $1 AND device_type <> '' ORDER BY device_type LIMIT 100");
pub(super) const BODY: Sql =
    Sql::same("SELECT hardware, notes, min_sequence, envelope, envelope_sha256 FROM releases WHERE org_id = $1 AND id = $2");
pub(super) const FILES: Sql =
    Sql::same("SELECT name, size, sha256 FROM release_files WHERE org_id = $1 AND release_id = $2 ORDER BY position");
pub(super) const ARTIFACTS: Sql = Sql::same(
    "SELECT f.name, f.size, f.sha256, c.checked_at, COALESCE(c.damage, ''), f.container FROM release_files f \
     LEFT JOIN artifact_checks c ON c.sha256 = f.sha256 WHERE f.org_id = $1 AND f.release_id = $2 ORDER BY f.position",
);
/// Releases of a type by their versions, the newest first.
pub(super) const OF_TYPE: Sql = Sql::same(
    "SELECT version, id FROM releases WHERE org_id = $1 AND device_type = $2 AND state <> 'draft' ORDER BY sequence DESC LIMIT 500",
);
pub(super) const CHOICES: Sql =
    Sql::same("SELECT id, device_type, version, state FROM releases WHERE org_id = $1 ORDER BY id DESC LIMIT $2");
pub(super) const NEWEST: Sql = Sql::same(
    "SELECT version, sequence FROM releases WHERE org_id = $1 AND device_type = $2 \
     AND state IN ('published', 'deprecated', 'recalled') ORDER BY sequence DESC LIMIT 1",
);
pub(super) const LAST_SEQUENCE: Sql =
    Sql::same("SELECT COALESCE(MAX(sequence), 0) FROM releases WHERE org_id = $1 AND device_type = $2 AND state <> 'draft'");
pub(super) const DRAFTS: Sql =
    Sql::same("SELECT id FROM releases WHERE org_id = $1 AND state = 'draft' AND envelope IS NOT NULL ORDER BY id LIMIT 500");
pub(super) const INSERT: Sql = Sql::same(
    "INSERT INTO releases (id, org_id, device_type, version, sequence, min_sequence, hardware, notes, state, quarantine, size, envelope, \
     envelope_sha256, signed_by, created_at, created_by, changed_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $15)",
);
pub(super) const INSERT_FILE: Sql = Sql::same(
    "INSERT INTO release_files (org_id, release_id, position, name, size, sha256, container) VALUES ($1, $2, $3, $4, $5, $6, $7)",
);
pub(super) const JUDGE: Sql = Sql::same(
    "UPDATE releases SET device_type = $3, version = $4, sequence = $5, min_sequence = $6, hardware = $7, notes = $8, state = $9, \
     quarantine = $10, signed_by = $11, changed_at = $12 WHERE org_id = $1 AND id = $2 AND state = 'draft'",
);
pub(super) const MOVE: Sql = Sql::same("UPDATE releases SET state = $4, changed_at = $5 WHERE org_id = $1 AND id = $2 AND state = $3");
pub(super) const DELETE_FILES: Sql = Sql::same("DELETE FROM release_files WHERE org_id = $1 AND release_id = $2");
pub(super) const DELETE: Sql = Sql::same("DELETE FROM releases WHERE org_id = $1 AND id = $2 AND state IN ('draft', 'verified')");

#[derive(sqlx::FromRow)]
struct StoredRow {
    id: String,
    device_type: String,
    version: String,
    sequence: i64,
    state: String,
    quarantine: String,
    size: i64,
    signed_by: String,
    created_at: i64,
    created_by: String,
    installed: i64,
    damaged: i64,
}

impl StoredRow {
    fn read(self) -> Result<ReleaseRow, Error> {
        Ok(ReleaseRow {
            id: self.id.parse().map_err(Error::corrupt)?,
            device_type: self.device_type,
            version: self.version,
            sequence: self.sequence,
            state: self.state.parse().map_err(Error::corrupt)?,
            quarantine: self.quarantine,
            size: self.size,
            signed_by: list(&self.signed_by)?,
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            installed: self.installed,
            // Whose room they are counts them.
            rollouts: 0,
            damaged: self.damaged,
        })
    }
}

/// What a release's page shows beside its row.
#[derive(sqlx::FromRow)]
pub(in crate::releases) struct Body {
    hardware: String,
    pub notes: String,
    pub min_sequence: i64,
    pub envelope: Option<Vec<u8>>,
    pub envelope_sha256: String,
}

impl Body {
    pub fn hardware(&self) -> Result<Vec<String>, Error> {
        list(&self.hardware)
    }
}

/// What is written of a release that was judged.
pub(in crate::releases) struct Judged<'a> {
    pub device_type: &'a str,
    pub version: &'a str,
    pub sequence: i64,
    pub min_sequence: i64,
    pub hardware: &'a [String],
    pub notes: &'a str,
    pub state: ReleaseState,
    pub quarantine: &'a str,
    pub signed_by: &'a [String],
}

/// What is written of a release when it is made, beside how it was judged.
pub(in crate::releases) struct NewRow<'a> {
    pub id: &'a ReleaseId,
    pub size: i64,
    pub envelope: Option<&'a [u8]>,
    pub envelope_sha256: &'a str,
    pub created_by: &'a str,
}

fn list(json: &str) -> Result<Vec<String>, Error> {
    serde_json::from_str(json).map_err(Error::corrupt)
}

fn json(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

pub(in crate::releases) async fn release(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Option<ReleaseRow>, Error> {
    row!(on, StoredRow, ROW, org.as_str(), id.as_str())?.map(StoredRow::read).transpose()
}

/// The same without how many devices run it, rollouts use it and files of it are damaged.
pub(in crate::releases) async fn release_alone(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Option<ReleaseRow>, Error> {
    row!(on, StoredRow, ROW_ALONE, org.as_str(), id.as_str())?.map(StoredRow::read).transpose()
}

/// How many devices of this type run this version.
pub(in crate::releases) async fn installed(on: &mut impl Conn, org: &OrgId, device_type: &str, version: &str) -> Result<i64, Error> {
    Ok(row!(on, (i64,), INSTALLED, org.as_str(), device_type, version)?.map_or(0, |r| r.0))
}

pub(in crate::releases) async fn named(
    on: &mut impl Conn,
    org: &OrgId,
    device_type: &str,
    version: &str,
) -> Result<Option<ReleaseRow>, Error> {
    row!(on, StoredRow, NAMED, org.as_str(), device_type, version)?.map(StoredRow::read).transpose()
}

/// What statements are given of a query: the words of its state, its type and its check, and the pattern of its text.
fn asked(query: &ReleaseQuery) -> (&'static str, &str, &'static str, String) {
    let state = query.state.map_or("", ReleaseState::as_str);
    (state, query.device_type.as_deref().unwrap_or_default(), query.check.map_or("", ReleaseCheck::as_str), containing(&query.q))
}

/// Releases that the query asks for, newest first, behind this id.
pub(in crate::releases) async fn page(
    on: &mut impl Conn,
    org: &OrgId,
    query: &ReleaseQuery,
    (before, limit): (&str, i64),
) -> Result<Vec<ReleaseRow>, Error> {
    let (state, of_type, check, text) = asked(query);
    rows!(on, StoredRow, PAGE, org.as_str(), state, of_type, check, text, before, limit)?.into_iter().map(StoredRow::read).collect()
}

/// How many releases the query asks for.
pub(in crate::releases) async fn count_in(on: &mut impl Conn, org: &OrgId, query: &ReleaseQuery) -> Result<i64, Error> {
    let (state, of_type, check, text) = asked(query);
    Ok(row!(on, (i64,), COUNT_IN, org.as_str(), state, of_type, check, text)?.map_or(0, |r| r.0))
}

/// The device types that there are releases for, in the order of letters; at most 100.
pub(in crate::releases) async fn types(on: &mut impl Conn, org: &OrgId) -> Result<Vec<String>, Error> {
    Ok(rows!(on, (String,), TYPES, org.as_str())?.into_iter().map(|r| r.0).collect())
}

pub(in crate::releases) async fn published(on: &mut impl Conn, org: &OrgId) -> Result<Vec<ReleaseRow>, Error> {
    rows!(on, StoredRow, PUBLISHED, org.as_str())?.into_iter().map(StoredRow::read).collect()
}

pub(in crate::releases) async fn quarantined(on: &mut impl Conn, org: &OrgId, limit: i64) -> Result<Vec<ReleaseRow>, Error> {
    rows!(on, StoredRow, QUARANTINED, org.as_str(), limit)?.into_iter().map(StoredRow::read).collect()
}

pub(in crate::releases) async fn count(on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), COUNT, org.as_str())?.map_or(0, |r| r.0))
}

pub(in crate::releases) async fn body(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Option<Body>, Error> {
    row!(on, Body, BODY, org.as_str(), id.as_str())
}

pub(in crate::releases) async fn files(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Vec<File>, Error> {
    let found = rows!(on, (String, i64, String), FILES, org.as_str(), id.as_str())?;
    found.into_iter().map(|(name, size, sha256)| Ok(File { name, size, sha256: sha256.parse().map_err(Error::corrupt)? })).collect()
}

/// The files as a release's page shows them.
pub(in crate::releases) async fn artifacts(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Vec<ArtifactRow>, Error> {
    type Row = (String, i64, String, Option<i64>, String, String);
    let found = rows!(on, Row, ARTIFACTS, org.as_str(), id.as_str())?;
    let read = |(name, size, sha256, checked_at, damage, container): Row| {
        Ok(ArtifactRow {
            name,
            size,
            sha256: sha256.parse().map_err(Error::corrupt)?,
            checked_at: checked_at.map(Timestamp),
            damage: (!damage.is_empty()).then(|| damage.parse().map_err(Error::corrupt)).transpose()?,
            container: (!container.is_empty()).then(|| serde_json::from_str(&container).map_err(Error::corrupt)).transpose()?,
            signature: None,
        })
    };
    found.into_iter().map(read).collect()
}

/// The versions of a type with their releases, the newest first; at most 500.
pub(in crate::releases) async fn of_type(on: &mut impl Conn, org: &OrgId, device_type: &str) -> Result<Vec<(String, ReleaseId)>, Error> {
    let found = rows!(on, (String, String), OF_TYPE, org.as_str(), device_type)?;
    found.into_iter().map(|(version, id)| Ok((version, id.parse().map_err(Error::corrupt)?))).collect()
}

/// Releases that can be chosen, newest first.
pub(in crate::releases) async fn choices(on: &mut impl Conn, org: &OrgId, most: i64) -> Result<Vec<ReleaseChoice>, Error> {
    let read = |(id, device_type, version, state): (String, String, String, String)| {
        Ok(ReleaseChoice { id: id.parse().map_err(Error::corrupt)?, device_type, version, state: state.parse().map_err(Error::corrupt)? })
    };
    rows!(on, (String, String, String, String), CHOICES, org.as_str(), most)?.into_iter().map(read).collect()
}

pub(in crate::releases) async fn newest(on: &mut impl Conn, org: &OrgId, device_type: &str) -> Result<Option<Newest>, Error> {
    let found = row!(on, (String, i64), NEWEST, org.as_str(), device_type)?;
    Ok(found.map(|(version, sequence)| Newest { version, sequence }))
}

/// The highest sequence that a release of this type owns; 0 when there is none.
pub(in crate::releases) async fn last_sequence(on: &mut impl Conn, org: &OrgId, device_type: &str) -> Result<i64, Error> {
    Ok(row!(on, (i64,), LAST_SEQUENCE, org.as_str(), device_type)?.map_or(0, |r| r.0))
}

pub(in crate::releases) async fn drafts(on: &mut impl Conn, org: &OrgId) -> Result<Vec<ReleaseId>, Error> {
    rows!(on, (String,), DRAFTS, org.as_str())?.into_iter().map(|r| r.0.parse().map_err(Error::corrupt)).collect()
}

pub(in crate::releases) async fn insert(
    tx: &mut Tx,
    org: &OrgId,
    new: &NewRow<'_>,
    judged: &Judged<'_>,
    files: &[(File, Option<Container>)],
    now: Timestamp,
) -> Result<(), Error> {
    exec!(
        tx,
        INSERT,
        new.id.as_str(),
        org.as_str(),
        judged.device_type,
        judged.version,
        judged.sequence,
        judged.min_sequence,
        json(judged.hardware),
        judged.notes,
        judged.state.as_str(),
        judged.quarantine,
        new.size,
        new.envelope,
        new.envelope_sha256,
        json(judged.signed_by),
        now.0,
        new.created_by
    )?;
    for (position, (file, container)) in (0_i64..).zip(files) {
        let container = container.as_ref().map(serde_json::to_string).transpose().map_err(Error::corrupt)?.unwrap_or_default();
        let (name, sha256) = (file.name.as_str(), file.sha256.as_str());
        exec!(tx, INSERT_FILE, org.as_str(), new.id.as_str(), position, name, file.size, sha256, container)?;
    }
    Ok(())
}

/// False when the release is no draft any more.
pub(in crate::releases) async fn judge(
    tx: &mut Tx,
    org: &OrgId,
    id: &ReleaseId,
    judged: &Judged<'_>,
    now: Timestamp,
) -> Result<bool, Error> {
    let changed = exec!(
        tx,
        JUDGE,
        org.as_str(),
        id.as_str(),
        judged.device_type,
        judged.version,
        judged.sequence,
        judged.min_sequence,
        json(judged.hardware),
        judged.notes,
        judged.state.as_str(),
        judged.quarantine,
        json(judged.signed_by),
        now.0
    )?;
    Ok(changed == 1)
}

/// False when the release is not where it was thought to be.
pub(in crate::releases) async fn advance(
    tx: &mut Tx,
    org: &OrgId,
    id: &ReleaseId,
    from: ReleaseState,
    to: ReleaseState,
    now: Timestamp,
) -> Result<bool, Error> {
    Ok(exec!(tx, MOVE, org.as_str(), id.as_str(), from.as_str(), to.as_str(), now.0)? == 1)
}

/// False when the release was published; an error where something [refers to it](Error::is_referenced).
pub(in crate::releases) async fn delete(tx: &mut Tx, org: &OrgId, id: &ReleaseId) -> Result<bool, Error> {
    exec!(tx, DELETE_FILES, org.as_str(), id.as_str())?;
    exec!(tx, super::signatures::DELETE_ADDED, org.as_str(), id.as_str())?;
    Ok(exec!(tx, DELETE, org.as_str(), id.as_str())? == 1)
}
