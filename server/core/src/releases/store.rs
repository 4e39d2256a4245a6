//! The room's SQL: releases and their files, uploads, signing keys.

use super::{
    acceptance::{File, Newest},
    manifest::Key,
};
use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{Digest, OrgId, ReleaseId, SigningKeyId, UploadId},
    releases::{ReleaseRow, ReleaseUse, SigningKey},
    states::ReleaseState,
};

/// The columns of [`StoredRow`], in one place for every statement that reads it.
macro_rules! select_rows { ($rest:literal) => {
    concat!(
        "SELECT r.id, r.device_type, r.version, r.sequence, r.state, r.quarantine, r.size, r.signed_by, r.created_at, r.created_by, ",
        "(SELECT COUNT(*) FROM devices d WHERE d.org_id = r.org_id AND d.device_type = r.device_type AND d.version = r.version ",
        "AND d.state = 'active' AND r.state <> 'draft') AS installed FROM releases r WHERE r.org_id = $1 ",
        $rest
    )
} }

const ROW: Sql = Sql::same(select_rows!("AND r.id = $2"));
const PAGE: Sql = Sql::same(select_rows!("AND r.id < $2 ORDER BY r.id DESC LIMIT $3"));
const PUBLISHED: Sql = Sql::same(select_rows!("AND r.state = 'published' ORDER BY r.id DESC LIMIT 200"));
const QUARANTINED: Sql = Sql::same(select_rows!("AND r.state = 'draft' AND r.quarantine <> '' ORDER BY r.id DESC LIMIT $2"));
const COUNT: Sql = Sql::same("SELECT COUNT(*) FROM releases WHERE org_id = $1");
const BODY: Sql =
    Sql::same("SELECT hardware, notes, min_sequence, envelope, envelope_sha256 FROM releases WHERE org_id = $1 AND id = $2");
const FILES: Sql = Sql::same("SELECT name, size, sha256 FROM release_files WHERE org_id = $1 AND release_id = $2 ORDER BY position");
const USES: Sql = Sql::same("SELECT id, name, state FROM rollouts WHERE org_id = $1 AND release_id = $2 ORDER BY id DESC LIMIT 50");
const NEWEST: Sql = Sql::same(
    "SELECT version, sequence FROM releases WHERE org_id = $1 AND device_type = $2 \
     AND state IN ('published', 'deprecated', 'recalled') ORDER BY sequence DESC LIMIT 1",
);
const DRAFTS: Sql = Sql::same("SELECT id FROM releases WHERE org_id = $1 AND state = 'draft' AND envelope IS NOT NULL ORDER BY id LIMIT 500");
const INSERT: Sql = Sql::same(
    "INSERT INTO releases (id, org_id, device_type, version, sequence, min_sequence, hardware, notes, state, quarantine, size, envelope, \
     envelope_sha256, signed_by, created_at, created_by, changed_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $15)",
);
const INSERT_FILE: Sql =
    Sql::same("INSERT INTO release_files (org_id, release_id, position, name, size, sha256) VALUES ($1, $2, $3, $4, $5, $6)");
const JUDGE: Sql = Sql::same(
    "UPDATE releases SET device_type = $3, version = $4, sequence = $5, min_sequence = $6, hardware = $7, notes = $8, state = $9, \
     quarantine = $10, signed_by = $11, changed_at = $12 WHERE org_id = $1 AND id = $2 AND state = 'draft'",
);
const MOVE: Sql = Sql::same("UPDATE releases SET state = $4, changed_at = $5 WHERE org_id = $1 AND id = $2 AND state = $3");
const DELETE_FILES: Sql = Sql::same("DELETE FROM release_files WHERE org_id = $1 AND release_id = $2");
const DELETE: Sql = Sql::same("DELETE FROM releases WHERE org_id = $1 AND id = $2 AND state IN ('draft', 'verified')");

const UPLOAD: Sql =
    Sql::same("SELECT id, org_id, name, size, expected, received, sha256, stored_at FROM uploads WHERE org_id = $1 AND id = $2");
const OPEN_UPLOADS: Sql = Sql::same("SELECT COUNT(*) FROM uploads WHERE org_id = $1");
const INSERT_UPLOAD: Sql = Sql::same(
    "INSERT INTO uploads (id, org_id, name, size, expected, received, created_at, created_by, touched_at) \
     VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $6)",
);
const RECEIVED: Sql = Sql::same("UPDATE uploads SET received = $2, touched_at = $3 WHERE id = $1");
const WHOLE: Sql = Sql::same("UPDATE uploads SET size = $2, received = $2, sha256 = $3, touched_at = $4 WHERE id = $1");
const STORED: Sql = Sql::same("UPDATE uploads SET stored_at = $2, touched_at = $2 WHERE id = $1");
const DELETE_UPLOAD: Sql = Sql::same("DELETE FROM uploads WHERE id = $1");
const OLD_UPLOADS: Sql = Sql::same("SELECT id, sha256 FROM uploads WHERE touched_at < $1 ORDER BY touched_at LIMIT 500");
const UPLOAD_EXISTS: Sql = Sql::same("SELECT COUNT(*) FROM uploads WHERE id = $1");
const CONTENT_USES: Sql = Sql::same(
    "SELECT (SELECT COUNT(*) FROM release_files WHERE sha256 = $1) + (SELECT COUNT(*) FROM uploads WHERE sha256 = $1)",
);

const KEYS: Sql = Sql::same(
    "SELECT id, name, keyid, created_at, created_by, revoked_at FROM signing_keys WHERE org_id = $1 ORDER BY created_at DESC, id DESC",
);
const ACTIVE_KEYS: Sql =
    Sql::same("SELECT name, keyid, public_key FROM signing_keys WHERE org_id = $1 AND revoked_at IS NULL ORDER BY id");
const KEY_BY_KEYID: Sql =
    Sql::same("SELECT id, name, keyid, created_at, created_by, revoked_at FROM signing_keys WHERE org_id = $1 AND keyid = $2");
const INSERT_KEY: Sql = Sql::same(
    "INSERT INTO signing_keys (id, org_id, name, keyid, public_key, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)",
);
const REVOKE_KEY: Sql = Sql::same("UPDATE signing_keys SET revoked_at = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL");
const KEY_EXISTS: Sql = Sql::same("SELECT COUNT(*) FROM signing_keys WHERE org_id = $1 AND id = $2");

/// Every statement of the room.
pub(crate) const ALL: &[&Sql] = &[
    &ROW, &PAGE, &PUBLISHED, &QUARANTINED, &COUNT, &BODY, &FILES, &USES, &NEWEST, &DRAFTS, &INSERT, &INSERT_FILE, &JUDGE, &MOVE, &DELETE_FILES, &DELETE,
    &UPLOAD, &OPEN_UPLOADS, &INSERT_UPLOAD, &RECEIVED, &WHOLE, &STORED, &DELETE_UPLOAD, &OLD_UPLOADS, &UPLOAD_EXISTS, &CONTENT_USES, &KEYS,
    &ACTIVE_KEYS, &KEY_BY_KEYID, &INSERT_KEY, &REVOKE_KEY, &KEY_EXISTS,
];

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
        })
    }
}

/// What a release's page shows beside its row.
#[derive(sqlx::FromRow)]
pub(super) struct Body {
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
pub(super) struct Judged<'a> {
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
pub(super) struct NewRow<'a> {
    pub id: &'a ReleaseId,
    pub size: i64,
    pub envelope: Option<&'a [u8]>,
    pub envelope_sha256: &'a str,
    pub created_by: &'a str,
}

/// An upload as it is kept.
pub(super) struct StoredUpload {
    pub id: UploadId,
    pub org: OrgId,
    pub name: String,
    pub size: i64,
    pub expected: Option<Digest>,
    pub received: i64,
    pub sha256: Option<Digest>,
    pub stored: bool,
}

fn list(json: &str) -> Result<Vec<String>, Error> {
    serde_json::from_str(json).map_err(Error::corrupt)
}

fn json(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

pub(super) async fn release(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Option<ReleaseRow>, Error> {
    row!(on, StoredRow, ROW, org.as_str(), id.as_str())?.map(StoredRow::read).transpose()
}

pub(super) async fn page(on: &mut impl Conn, org: &OrgId, before: &str, limit: i64) -> Result<Vec<ReleaseRow>, Error> {
    rows!(on, StoredRow, PAGE, org.as_str(), before, limit)?.into_iter().map(StoredRow::read).collect()
}

pub(super) async fn published(on: &mut impl Conn, org: &OrgId) -> Result<Vec<ReleaseRow>, Error> {
    rows!(on, StoredRow, PUBLISHED, org.as_str())?.into_iter().map(StoredRow::read).collect()
}

pub(super) async fn quarantined(on: &mut impl Conn, org: &OrgId, limit: i64) -> Result<Vec<ReleaseRow>, Error> {
    rows!(on, StoredRow, QUARANTINED, org.as_str(), limit)?.into_iter().map(StoredRow::read).collect()
}

pub(super) async fn count(on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), COUNT, org.as_str())?.map_or(0, |r| r.0))
}

pub(super) async fn body(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Option<Body>, Error> {
    row!(on, Body, BODY, org.as_str(), id.as_str())
}

pub(super) async fn files(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Vec<File>, Error> {
    let found = rows!(on, (String, i64, String), FILES, org.as_str(), id.as_str())?;
    found.into_iter().map(|(name, size, sha256)| Ok(File { name, size, sha256: sha256.parse().map_err(Error::corrupt)? })).collect()
}

pub(super) async fn uses(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Vec<ReleaseUse>, Error> {
    let found = rows!(on, (String, String, String), USES, org.as_str(), id.as_str())?;
    let read = |(id, name, state): (String, String, String)| {
        Ok(ReleaseUse { id: id.parse().map_err(Error::corrupt)?, name, state: state.parse().map_err(Error::corrupt)? })
    };
    found.into_iter().map(read).collect()
}

pub(super) async fn newest(on: &mut impl Conn, org: &OrgId, device_type: &str) -> Result<Option<Newest>, Error> {
    let found = row!(on, (String, i64), NEWEST, org.as_str(), device_type)?;
    Ok(found.map(|(version, sequence)| Newest { version, sequence }))
}

pub(super) async fn drafts(on: &mut impl Conn, org: &OrgId) -> Result<Vec<ReleaseId>, Error> {
    rows!(on, (String,), DRAFTS, org.as_str())?.into_iter().map(|r| r.0.parse().map_err(Error::corrupt)).collect()
}

pub(super) async fn insert(tx: &mut Tx, org: &OrgId, new: &NewRow<'_>, judged: &Judged<'_>, files: &[File], now: Timestamp) -> Result<(), Error> {
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
    for (position, file) in (0_i64..).zip(files) {
        exec!(tx, INSERT_FILE, org.as_str(), new.id.as_str(), position, file.name.as_str(), file.size, file.sha256.as_str())?;
    }
    Ok(())
}

/// False when the release is no draft any more.
pub(super) async fn judge(tx: &mut Tx, org: &OrgId, id: &ReleaseId, judged: &Judged<'_>, now: Timestamp) -> Result<bool, Error> {
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
pub(super) async fn advance(tx: &mut Tx, org: &OrgId, id: &ReleaseId, from: ReleaseState, to: ReleaseState, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, MOVE, org.as_str(), id.as_str(), from.as_str(), to.as_str(), now.0)? == 1)
}

/// False when the release was published.
pub(super) async fn delete(tx: &mut Tx, org: &OrgId, id: &ReleaseId) -> Result<bool, Error> {
    exec!(tx, DELETE_FILES, org.as_str(), id.as_str())?;
    Ok(exec!(tx, DELETE, org.as_str(), id.as_str())? == 1)
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
}

pub(super) async fn upload(on: &mut impl Conn, org: &OrgId, id: &UploadId) -> Result<Option<StoredUpload>, Error> {
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
    }))
}

pub(super) async fn open_uploads(on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), OPEN_UPLOADS, org.as_str())?.map_or(0, |r| r.0))
}

pub(super) async fn insert_upload(tx: &mut Tx, upload: &StoredUpload, by: &str, now: Timestamp) -> Result<(), Error> {
    let expected = upload.expected.as_ref().map(Digest::as_str);
    exec!(tx, INSERT_UPLOAD, upload.id.as_str(), upload.org.as_str(), upload.name.as_str(), upload.size, expected, now.0, by)?;
    Ok(())
}

pub(super) async fn set_received(tx: &mut Tx, id: &UploadId, received: i64, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, RECEIVED, id.as_str(), received, now.0)? == 1)
}

pub(super) async fn set_whole(tx: &mut Tx, id: &UploadId, size: i64, sha256: &Digest, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, WHOLE, id.as_str(), size, sha256.as_str(), now.0)? == 1)
}

pub(super) async fn set_stored(tx: &mut Tx, id: &UploadId, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, STORED, id.as_str(), now.0)? == 1)
}

pub(super) async fn delete_upload(tx: &mut Tx, id: &UploadId) -> Result<bool, Error> {
    Ok(exec!(tx, DELETE_UPLOAD, id.as_str())? == 1)
}

pub(super) async fn upload_exists(on: &mut impl Conn, id: &UploadId) -> Result<bool, Error> {
    Ok(row!(on, (i64,), UPLOAD_EXISTS, id.as_str())?.is_some_and(|r| r.0 > 0))
}

/// Uploads nobody touched since then, of every organization, with their content's digest if they were whole.
pub(super) async fn old_uploads(on: &mut impl Conn, before: Timestamp) -> Result<Vec<(UploadId, Option<Digest>)>, Error> {
    let found = rows!(on, (String, Option<String>), OLD_UPLOADS, before.0)?;
    let read = |(id, sha256): (String, Option<String>)| {
        Ok((id.parse().map_err(Error::corrupt)?, sha256.map(|d| d.parse()).transpose().map_err(Error::corrupt)?))
    };
    found.into_iter().map(read).collect()
}

/// Whether a release or an upload of any organization needs this content.
pub(super) async fn content_used(on: &mut impl Conn, sha256: &Digest) -> Result<bool, Error> {
    Ok(row!(on, (i64,), CONTENT_USES, sha256.as_str())?.is_some_and(|r| r.0 > 0))
}

#[derive(sqlx::FromRow)]
struct KeyColumns {
    id: String,
    name: String,
    keyid: String,
    created_at: i64,
    created_by: String,
    revoked_at: Option<i64>,
}

impl KeyColumns {
    fn read(self) -> Result<SigningKey, Error> {
        Ok(SigningKey {
            id: self.id.parse().map_err(Error::corrupt)?,
            name: self.name,
            keyid: self.keyid,
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            revoked_at: self.revoked_at.map(Timestamp),
        })
    }
}

pub(super) async fn keys(on: &mut impl Conn, org: &OrgId) -> Result<Vec<SigningKey>, Error> {
    rows!(on, KeyColumns, KEYS, org.as_str())?.into_iter().map(KeyColumns::read).collect()
}

pub(super) async fn active_keys(on: &mut impl Conn, org: &OrgId) -> Result<Vec<Key>, Error> {
    let found = rows!(on, (String, String, Vec<u8>), ACTIVE_KEYS, org.as_str())?;
    let read = |(name, keyid, public): (String, String, Vec<u8>)| {
        let public = public.try_into().map_err(|_| Error::corrupt("a signing key has 32 bytes"))?;
        Ok(Key { name, keyid, public })
    };
    found.into_iter().map(read).collect()
}

pub(super) async fn key_by_keyid(on: &mut impl Conn, org: &OrgId, keyid: &str) -> Result<Option<SigningKey>, Error> {
    row!(on, KeyColumns, KEY_BY_KEYID, org.as_str(), keyid)?.map(KeyColumns::read).transpose()
}

pub(super) async fn insert_key(tx: &mut Tx, org: &OrgId, key: &SigningKey, public: &[u8; 32]) -> Result<(), Error> {
    let (id, by) = (key.id.as_str(), key.created_by.as_str());
    exec!(tx, INSERT_KEY, id, org.as_str(), key.name.as_str(), key.keyid.as_str(), public.as_slice(), key.created_at.0, by)?;
    Ok(())
}

/// False when it was revoked before.
pub(super) async fn revoke_key(tx: &mut Tx, org: &OrgId, id: &SigningKeyId, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, REVOKE_KEY, org.as_str(), id.as_str(), now.0)? == 1)
}

pub(super) async fn key_exists(on: &mut impl Conn, org: &OrgId, id: &SigningKeyId) -> Result<bool, Error> {
    Ok(row!(on, (i64,), KEY_EXISTS, org.as_str(), id.as_str())?.is_some_and(|r| r.0 > 0))
}
