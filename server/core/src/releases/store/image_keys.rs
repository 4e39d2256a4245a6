//! The SQL of image keys.

use super::super::containers::Known;
use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{ImageKeyId, OrgId},
    releases::ImageKey,
};

pub(super) const IMAGE_KEYS: Sql = Sql::same(
    "SELECT id, name, kind, about, fingerprint, not_after, created_at, created_by FROM image_keys WHERE org_id = $1 ORDER BY id DESC",
);
pub(super) const KNOWN: Sql = Sql::same("SELECT name, kind, der FROM image_keys WHERE org_id = $1 ORDER BY id");
pub(super) const COUNT_IMAGE_KEYS: Sql = Sql::same("SELECT COUNT(*) FROM image_keys WHERE org_id = $1");
pub(super) const INSERT_IMAGE_KEY: Sql = Sql::same(
    "INSERT INTO image_keys (id, org_id, name, kind, about, der, fingerprint, not_after, created_at, created_by) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (org_id, fingerprint) DO NOTHING",
);
pub(super) const DELETE_IMAGE_KEY: Sql = Sql::same("DELETE FROM image_keys WHERE org_id = $1 AND id = $2");

#[derive(sqlx::FromRow)]
struct Columns {
    id: String,
    name: String,
    kind: String,
    about: String,
    fingerprint: String,
    not_after: Option<i64>,
    created_at: i64,
    created_by: String,
}

impl Columns {
    fn read(self) -> Result<ImageKey, Error> {
        Ok(ImageKey {
            id: self.id.parse().map_err(Error::corrupt)?,
            name: self.name,
            kind: self.kind.parse().map_err(Error::corrupt)?,
            about: self.about,
            fingerprint: self.fingerprint,
            not_after: self.not_after.map(Timestamp),
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
        })
    }
}

/// Every one, newest first.
pub(in crate::releases) async fn image_keys(on: &mut impl Conn, org: &OrgId) -> Result<Vec<ImageKey>, Error> {
    rows!(on, Columns, IMAGE_KEYS, org.as_str())?.into_iter().map(Columns::read).collect()
}

/// The same as signatures are held against them.
pub(in crate::releases) async fn known(on: &mut impl Conn, org: &OrgId) -> Result<Vec<Known>, Error> {
    let read = |(name, kind, der): (String, String, Vec<u8>)| Ok(Known { name, kind: kind.parse().map_err(Error::corrupt)?, der });
    rows!(on, (String, String, Vec<u8>), KNOWN, org.as_str())?.into_iter().map(read).collect()
}

/// How many there are.
pub(in crate::releases) async fn count_image_keys(on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), COUNT_IMAGE_KEYS, org.as_str())?.map_or(0, |r| r.0))
}

/// False when the organization knows it already.
pub(in crate::releases) async fn insert_image_key(tx: &mut Tx, org: &OrgId, key: &ImageKey, der: &[u8]) -> Result<bool, Error> {
    let inserted = exec!(
        tx,
        INSERT_IMAGE_KEY,
        key.id.as_str(),
        org.as_str(),
        key.name.as_str(),
        key.kind.as_str(),
        key.about.as_str(),
        der,
        key.fingerprint.as_str(),
        key.not_after.map(|at| at.0),
        key.created_at.0,
        key.created_by.as_str()
    )?;
    Ok(inserted == 1)
}

/// False when there is none.
pub(in crate::releases) async fn delete_image_key(tx: &mut Tx, org: &OrgId, id: &ImageKeyId) -> Result<bool, Error> {
    Ok(exec!(tx, DELETE_IMAGE_KEY, org.as_str(), id.as_str())? == 1)
}
