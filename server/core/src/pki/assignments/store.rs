//! The SQL of assignments and their keys. Refuses to decide anything.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{AssignmentKeyId, Digest, OrgId, UpdateId},
    signing::AssignmentKey,
};

/// Every statement of the part.
pub(crate) const ALL: &[&Sql] = &[&KEYS, &ACTIVE, &SEALED, &PUBLIC, &INSERT, &RETIRE, &SET_SEALED, &OF_DEVICE, &NEXT_COUNTER, &KEEP];

const KEYS: Sql = Sql::same(
    "SELECT id, public_key, created_at, created_by, retired_at FROM assignment_keys WHERE org_id = $1 ORDER BY created_at DESC, id DESC",
);
const ACTIVE: Sql = Sql::same(
    "SELECT id, public_key, sealed_key FROM assignment_keys WHERE org_id = $1 AND retired_at IS NULL ORDER BY created_at DESC, id DESC",
);
// Retired ones as well: what is in the database opens with the key that the server has.
const SEALED: Sql = Sql::same("SELECT id, public_key, sealed_key FROM assignment_keys ORDER BY id");
const PUBLIC: Sql =
    Sql::same("SELECT public_key FROM assignment_keys WHERE org_id = $1 AND retired_at IS NULL ORDER BY created_at DESC, id DESC");
const INSERT: Sql =
    Sql::same("INSERT INTO assignment_keys (id, org_id, public_key, sealed_key, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)");
const RETIRE: Sql = Sql::same("UPDATE assignment_keys SET retired_at = $3 WHERE org_id = $1 AND id = $2 AND retired_at IS NULL");
const SET_SEALED: Sql = Sql::same("UPDATE assignment_keys SET sealed_key = $2 WHERE id = $1");
const OF_DEVICE: Sql =
    Sql::same("SELECT update_id, manifest_sha256, signers, issued_at, envelope FROM assignments WHERE device = $1 AND envelope <> ''");
// The row is held until the assignment of this counter stands in it.
const NEXT_COUNTER: Sql = Sql::same(
    "INSERT INTO assignments (device, counter, update_id, manifest_sha256, signers, issued_at, expires_at, envelope) \
     VALUES ($1, $2, '', '', '', 0, 0, '') ON CONFLICT (device) DO UPDATE SET \
     counter = CASE WHEN assignments.counter >= excluded.counter THEN assignments.counter + 1 ELSE excluded.counter END RETURNING counter",
);
const KEEP: Sql = Sql::same(
    "UPDATE assignments SET update_id = $2, manifest_sha256 = $3, signers = $4, issued_at = $5, expires_at = $6, envelope = $7 WHERE device = $1",
);

/// A key with its private half under the key-encryption key.
pub(super) struct SealedKey {
    pub id: AssignmentKeyId,
    pub public: Vec<u8>,
    pub sealed: Vec<u8>,
}

/// A device's newest assignment.
pub(super) struct Kept {
    pub update_id: String,
    pub manifest_sha256: String,
    pub signers: String,
    pub issued_at: Timestamp,
    pub envelope: String,
}

/// What is written of an assignment beside its envelope.
pub(super) struct Row<'a> {
    pub update: &'a UpdateId,
    pub manifest: &'a Digest,
    pub signers: &'a str,
    pub issued: Timestamp,
    pub expires: Timestamp,
}

pub(super) async fn keys(on: &mut impl Conn, org: &OrgId) -> Result<Vec<AssignmentKey>, Error> {
    let found = rows!(on, (String, Vec<u8>, i64, String, Option<i64>), KEYS, org.as_str())?;
    let read = |(id, public, created_at, created_by, retired_at): (String, Vec<u8>, i64, String, Option<i64>)| {
        Ok(AssignmentKey {
            id: id.parse().map_err(Error::corrupt)?,
            keyid: hex::encode(crate::hash::sha256(&public)),
            created_at: Timestamp(created_at),
            created_by,
            retired_at: retired_at.map(Timestamp),
        })
    };
    found.into_iter().map(read).collect()
}

/// Those in use, newest first.
pub(super) async fn active(on: &mut impl Conn, org: &OrgId) -> Result<Vec<SealedKey>, Error> {
    rows!(on, (String, Vec<u8>, Vec<u8>), ACTIVE, org.as_str())?.into_iter().map(read).collect()
}

/// Every one of every organization.
pub(super) async fn sealed(on: &mut impl Conn) -> Result<Vec<SealedKey>, Error> {
    rows!(on, (String, Vec<u8>, Vec<u8>), SEALED)?.into_iter().map(read).collect()
}

fn read((id, public, sealed): (String, Vec<u8>, Vec<u8>)) -> Result<SealedKey, Error> {
    Ok(SealedKey { id: id.parse().map_err(Error::corrupt)?, public, sealed })
}

/// The public halves of those in use, as a trust bundle has them: 64 hex digits each, newest first.
pub(in crate::pki) async fn public(on: &mut impl Conn, org: &str) -> Result<Vec<String>, Error> {
    Ok(rows!(on, (Vec<u8>,), PUBLIC, org)?.into_iter().map(|(key,)| hex::encode(key)).collect())
}

pub(super) async fn insert(tx: &mut Tx, org: &OrgId, key: &AssignmentKey, public: &[u8], sealed: &[u8]) -> Result<(), Error> {
    let (id, by) = (key.id.as_str(), key.created_by.as_str());
    exec!(tx, INSERT, id, org.as_str(), public, sealed, key.created_at.0, by).map(drop)
}

pub(super) async fn retire(tx: &mut Tx, org: &OrgId, id: &AssignmentKeyId, now: Timestamp) -> Result<(), Error> {
    exec!(tx, RETIRE, org.as_str(), id.as_str(), now.0).map(drop)
}

pub(super) async fn set_sealed(tx: &mut Tx, id: &AssignmentKeyId, sealed: &[u8]) -> Result<(), Error> {
    exec!(tx, SET_SEALED, id.as_str(), sealed).map(drop)
}

pub(super) async fn of_device(on: &mut impl Conn, device: i64) -> Result<Option<Kept>, Error> {
    let found = row!(on, (String, String, String, i64, String), OF_DEVICE, device)?;
    let read = |(update_id, manifest_sha256, signers, issued_at, envelope)| Kept {
        update_id,
        manifest_sha256,
        signers,
        issued_at: Timestamp(issued_at),
        envelope,
    };
    Ok(found.map(read))
}

/// At least `least`, and more than any before.
pub(super) async fn next_counter(tx: &mut Tx, device: i64, least: i64) -> Result<i64, Error> {
    Ok(row!(tx, (i64,), NEXT_COUNTER, device, least)?.ok_or_else(|| Error::corrupt("an assignment has no counter"))?.0)
}

pub(super) async fn keep(tx: &mut Tx, device: i64, row: &Row<'_>, envelope: &str) -> Result<(), Error> {
    let (update, manifest) = (row.update.as_str(), row.manifest.as_str());
    exec!(tx, KEEP, device, update, manifest, row.signers, row.issued.0, row.expires.0, envelope).map(drop)
}
