//! The SQL of uploads, and of what content is needed by whom.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{Digest, OrgId, ReleaseId, UploadId},
};

pub(super) const UPLOAD: Sql =
    Sql::same("SELECT id, org_id, name, size, expected, received, sha256, stored_at, healed FROM uploads WHERE org_id = $1 AND id = $2");
pub(super) const OPEN_UPLOADS: Sql = Sql::same("SELECT COUNT(*) FROM uploads WHERE org_id = $1");
pub(super) const INSERT_UPLOAD: Sql = Sql::same(
    "INSERT INTO uploads (id, org_id, name, size, expected, received, created_at, created_by, touched_at) \
     VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $6)",
);
pub(super) const RECEIVED: Sql = Sql::same("UPDATE uploads SET received = $2, touched_at = $3 WHERE id = $1");
pub(super) const WHOLE: Sql = Sql::same("UPDATE uploads SET size = $2, received = $2, sha256 = $3, touched_at = $4 WHERE id = $1");
/// What was healed stays said when this is done again.
pub(super) const STORED: Sql = Sql::same("UPDATE uploads SET stored_at = $2, touched_at = $2, healed = COALESCE($3, healed) WHERE id = $1");
pub(super) const DELETE_UPLOAD: Sql = Sql::same("DELETE FROM uploads WHERE id = $1");
pub(super) const DELETE_OLD: Sql = Sql::same("DELETE FROM uploads WHERE id = $1 AND touched_at < $2");
pub(super) const OLD_UPLOADS: Sql = Sql::same("SELECT id, sha256 FROM uploads WHERE touched_at < $1 ORDER BY touched_at LIMIT 500");
pub(super) const UPLOAD_EXISTS: Sql = Sql::same("SELECT COUNT(*) FROM uploads WHERE id = $1");
pub(super) const CONTENT_USES: Sql = Sql::same(
    "SELECT (SELECT COUNT(*) FROM release_files WHERE sha256 = $1) + (SELECT COUNT(*) FROM uploads WHERE sha256 = $1) \
     + (SELECT COUNT(*) FROM deltas WHERE sha256 = $1)",
);

/// An upload as it is kept.
pub(in crate::releases) struct StoredUpload {
    pub id: UploadId,
    pub org: OrgId,
    pub name: String,
    pub size: i64,
    pub expected: Option<Digest>,
    pub received: i64,
    pub sha256: Option<Digest>,
    pub stored: bool,
    /// The release of which it was a damaged file that is whole again by it.
    pub healed: Option<ReleaseId>,
}

#[derive(sqlx::FromRow)]
struct UploadColumns {
    id: String,
    org_id: String,
    name: String,
    size: i64,
    expected: Option<String>,
    received: i64,
    sha256: Option<String>,
    stored_at: Option<i64>,
    healed: Option<String>,
}

pub(in crate::releases) async fn upload(on: &mut impl Conn, org: &OrgId, id: &UploadId) -> Result<Option<StoredUpload>, Error> {
    let Some(found) = row!(on, UploadColumns, UPLOAD, org.as_str(), id.as_str())? else { return Ok(None) };
    let digest = |text: Option<String>| text.map(|d| d.parse::<Digest>()).transpose().map_err(Error::corrupt);
    Ok(Some(StoredUpload {
        id: found.id.parse().map_err(Error::corrupt)?,
        org: found.org_id.parse().map_err(Error::corrupt)?,
        name: found.name,
        size: found.size,
        expected: digest(found.expected)?,
        received: found.received,
        sha256: digest(found.sha256)?,
        stored: found.stored_at.is_some(),
        healed: found.healed.map(|id| id.parse()).transpose().map_err(Error::corrupt)?,
    }))
}

pub(in crate::releases) async fn open_uploads(on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), OPEN_UPLOADS, org.as_str())?.map_or(0, |r| r.0))
}

pub(in crate::releases) async fn insert_upload(tx: &mut Tx, upload: &StoredUpload, by: &str, now: Timestamp) -> Result<(), Error> {
    let expected = upload.expected.as_ref().map(Digest::as_str);
    exec!(tx, INSERT_UPLOAD, upload.id.as_str(), upload.org.as_str(), upload.name.as_str(), upload.size, expected, now.0, by)?;
    Ok(())
}

pub(in crate::releases) async fn set_received(tx: &mut Tx, id: &UploadId, received: i64, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, RECEIVED, id.as_str(), received, now.0)? == 1)
}

pub(in crate::releases) async fn set_whole(tx: &mut Tx, id: &UploadId, size: i64, sha256: &Digest, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, WHOLE, id.as_str(), size, sha256.as_str(), now.0)? == 1)
}

pub(in crate::releases) async fn set_stored(tx: &mut Tx, id: &UploadId, healed: Option<&ReleaseId>, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, STORED, id.as_str(), now.0, healed.map(ReleaseId::as_str))? == 1)
}

pub(in crate::releases) async fn delete_upload(tx: &mut Tx, id: &UploadId) -> Result<bool, Error> {
    Ok(exec!(tx, DELETE_UPLOAD, id.as_str())? == 1)
}

/// False when it is gone, or was touched since then.
pub(in crate::releases) async fn delete_old(tx: &mut Tx, id: &UploadId, before: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, DELETE_OLD, id.as_str(), before.0)? == 1)
}

pub(in crate::releases) async fn upload_exists(on: &mut impl Conn, id: &UploadId) -> Result<bool, Error> {
    Ok(row!(on, (i64,), UPLOAD_EXISTS, id.as_str())?.is_some_and(|r| r.0 > 0))
}

/// Uploads nobody touched since then, of every organization, with their content's digest if they were whole.
pub(in crate::releases) async fn old_uploads(on: &mut impl Conn, before: Timestamp) -> Result<Vec<(UploadId, Option<Digest>)>, Error> {
    let found = rows!(on, (String, Option<String>), OLD_UPLOADS, before.0)?;
    let read = |(id, sha256): (String, Option<String>)| {
        Ok((id.parse().map_err(Error::corrupt)?, sha256.map(|d| d.parse()).transpose().map_err(Error::corrupt)?))
    };
    found.into_iter().map(read).collect()
}

/// Whether a release or an upload of any organization needs this content, or it is a delta between what they have.
pub(in crate::releases) async fn content_used(on: &mut impl Conn, sha256: &Digest) -> Result<bool, Error> {
    Ok(row!(on, (i64,), CONTENT_USES, sha256.as_str())?.is_some_and(|r| r.0 > 0))
}
