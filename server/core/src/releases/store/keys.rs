//! The SQL of signing keys.

use super::super::manifest::Key;
use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{OrgId, SigningKeyId},
    releases::SigningKey,
};

pub(super) const KEYS: Sql = Sql::same(
    "SELECT id, name, keyid, created_at, created_by, revoked_at FROM signing_keys WHERE org_id = $1 ORDER BY created_at DESC, id DESC",
);
pub(super) const ACTIVE_KEYS: Sql =
    Sql::same("SELECT name, keyid, public_key FROM signing_keys WHERE org_id = $1 AND revoked_at IS NULL ORDER BY id");
pub(super) const KEY_BY_KEYID: Sql =
    Sql::same("SELECT id, name, keyid, created_at, created_by, revoked_at FROM signing_keys WHERE org_id = $1 AND keyid = $2");
pub(super) const INSERT_KEY: Sql = Sql::same(
    "INSERT INTO signing_keys (id, org_id, name, keyid, public_key, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT DO NOTHING",
);
pub(super) const REVOKE_KEY: Sql =
    Sql::same("UPDATE signing_keys SET revoked_at = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL");
pub(super) const KEY_EXISTS: Sql = Sql::same("SELECT COUNT(*) FROM signing_keys WHERE org_id = $1 AND id = $2");

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

pub(in crate::releases) async fn keys(on: &mut impl Conn, org: &OrgId) -> Result<Vec<SigningKey>, Error> {
    rows!(on, KeyColumns, KEYS, org.as_str())?.into_iter().map(KeyColumns::read).collect()
}

pub(in crate::releases) async fn active_keys(on: &mut impl Conn, org: &OrgId) -> Result<Vec<Key>, Error> {
    let found = rows!(on, (String, String, Vec<u8>), ACTIVE_KEYS, org.as_str())?;
    let read = |(name, keyid, public): (String, String, Vec<u8>)| {
        let public = public.try_into().map_err(|_| Error::corrupt("a signing key has 32 bytes"))?;
        Ok(Key { name, keyid, public })
    };
    found.into_iter().map(read).collect()
}

pub(in crate::releases) async fn key_by_keyid(on: &mut impl Conn, org: &OrgId, keyid: &str) -> Result<Option<SigningKey>, Error> {
    row!(on, KeyColumns, KEY_BY_KEYID, org.as_str(), keyid)?.map(KeyColumns::read).transpose()
}

/// False when the organization knows the key already.
pub(in crate::releases) async fn insert_key(tx: &mut Tx, org: &OrgId, key: &SigningKey, public: &[u8; 32]) -> Result<bool, Error> {
    let (id, by) = (key.id.as_str(), key.created_by.as_str());
    let inserted = exec!(tx, INSERT_KEY, id, org.as_str(), key.name.as_str(), key.keyid.as_str(), public.as_slice(), key.created_at.0, by)?;
    Ok(inserted == 1)
}

/// False when it was revoked before.
pub(in crate::releases) async fn revoke_key(tx: &mut Tx, org: &OrgId, id: &SigningKeyId, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, REVOKE_KEY, org.as_str(), id.as_str(), now.0)? == 1)
}

pub(in crate::releases) async fn key_exists(on: &mut impl Conn, org: &OrgId, id: &SigningKeyId) -> Result<bool, Error> {
    Ok(row!(on, (i64,), KEY_EXISTS, org.as_str(), id.as_str())?.is_some_and(|r| r.0 > 0))
}
