//! The SQL of thresholds, of signatures that were added, and of key sets.

use crate::{
    db::{Conn, Error, Sql, Tx, exec, row, rows},
    releases::manifest,
};
use wire::{
    Timestamp,
    ids::{OrgId, ReleaseId},
    manifest::Signature,
    signing::{Thresholds, TypeThreshold},
};

pub(super) const THRESHOLDS: Sql =
    Sql::same("SELECT device_type, threshold FROM signing_thresholds WHERE org_id = $1 ORDER BY device_type");
pub(super) const DROP_THRESHOLDS: Sql = Sql::same("DELETE FROM signing_thresholds WHERE org_id = $1");
pub(super) const INSERT_THRESHOLD: Sql = Sql::same("INSERT INTO signing_thresholds (org_id, device_type, threshold) VALUES ($1, $2, $3)");
pub(super) const ADDED: Sql = Sql::same(
    "SELECT keyid, sig, added_at, added_by FROM release_signatures WHERE org_id = $1 AND release_id = $2 ORDER BY added_at, keyid",
);
pub(super) const INSERT_ADDED: Sql = Sql::same(
    "INSERT INTO release_signatures (org_id, release_id, keyid, sig, added_at, added_by) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT DO NOTHING",
);
pub(super) const DELETE_ADDED: Sql = Sql::same("DELETE FROM release_signatures WHERE org_id = $1 AND release_id = $2");
pub(super) const SET_SIGNERS: Sql = Sql::same("UPDATE releases SET signed_by = $3 WHERE org_id = $1 AND id = $2 AND state <> 'draft'");
/// Those that devices may be told of; a fleet that keeps more than so many published is shown the newest.
pub(super) const SHOWN_PUBLISHED: Sql =
    Sql::same("SELECT id, envelope FROM releases WHERE org_id = $1 AND state = 'published' ORDER BY id DESC LIMIT 200");
pub(super) const NEWEST_KEY_SET: Sql = Sql::same("SELECT version, envelope FROM key_sets WHERE org_id = $1 ORDER BY version DESC LIMIT 1");
pub(super) const KEY_SET: Sql = Sql::same("SELECT envelope FROM key_sets WHERE org_id = $1 AND version = $2");
pub(super) const ALL_KEY_SETS: Sql =
    Sql::same("SELECT envelope, published_at, published_by FROM key_sets WHERE org_id = $1 ORDER BY version DESC LIMIT 100");
pub(super) const INSERT_KEY_SET: Sql = Sql::same(
    "INSERT INTO key_sets (org_id, version, envelope, published_at, published_by) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
);

/// A signature that was added after the upload.
pub(in crate::releases) struct Added {
    pub signature: Signature,
    pub at: Timestamp,
    pub by: String,
}

/// How many keys must have signed; one where nothing else was said.
pub(in crate::releases) async fn thresholds(on: &mut impl Conn, org: &OrgId) -> Result<Thresholds, Error> {
    let mut out = Thresholds::default();
    for (device_type, threshold) in rows!(on, (String, i64), THRESHOLDS, org.as_str())? {
        let threshold = u32::try_from(threshold).map_err(Error::corrupt)?;
        if device_type.is_empty() {
            out.threshold = threshold;
        } else {
            out.device_types.push(TypeThreshold { device_type, threshold });
        }
    }
    Ok(out)
}

pub(in crate::releases) async fn set_thresholds(tx: &mut Tx, org: &OrgId, to: &Thresholds) -> Result<(), Error> {
    exec!(tx, DROP_THRESHOLDS, org.as_str())?;
    exec!(tx, INSERT_THRESHOLD, org.as_str(), "", i64::from(to.threshold))?;
    for of in &to.device_types {
        exec!(tx, INSERT_THRESHOLD, org.as_str(), of.device_type.as_str(), i64::from(of.threshold))?;
    }
    Ok(())
}

pub(in crate::releases) async fn added(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Vec<Added>, Error> {
    let found = rows!(on, (String, String, i64, String), ADDED, org.as_str(), id.as_str())?;
    let read = |(keyid, sig, at, by)| Added { signature: Signature { keyid, sig }, at: Timestamp(at), by };
    Ok(found.into_iter().map(read).collect())
}

/// The envelope with everything that was added to it.
pub(in crate::releases) async fn signed(
    on: &mut impl Conn,
    org: &OrgId,
    id: &ReleaseId,
    envelope: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(envelope) = envelope else { return Ok(None) };
    Ok(Some(manifest::merged(envelope, added(on, org, id).await?.into_iter().map(|s| s.signature))))
}

/// False when this key's was added before.
pub(in crate::releases) async fn insert_added(
    tx: &mut Tx,
    (org, id): (&OrgId, &ReleaseId),
    signature: &Signature,
    by: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let (keyid, sig) = (signature.keyid.as_str(), signature.sig.as_str());
    Ok(exec!(tx, INSERT_ADDED, org.as_str(), id.as_str(), keyid, sig, now.0, by)? == 1)
}

/// Who has signed what was verified; a draft names nobody.
pub(in crate::releases) async fn set_signers(tx: &mut Tx, org: &OrgId, id: &ReleaseId, names: &[String]) -> Result<(), Error> {
    exec!(tx, SET_SIGNERS, org.as_str(), id.as_str(), serde_json::Value::from(names).to_string()).map(drop)
}

/// Published releases with their envelopes, newest first; at most 200.
pub(in crate::releases) async fn shown_published(on: &mut impl Conn, org: &OrgId) -> Result<Vec<(ReleaseId, Option<Vec<u8>>)>, Error> {
    let found = rows!(on, (String, Option<Vec<u8>>), SHOWN_PUBLISHED, org.as_str())?;
    found.into_iter().map(|(id, envelope)| Ok((id.parse().map_err(Error::corrupt)?, envelope))).collect()
}

/// Version and envelope of the newest key set.
pub(in crate::releases) async fn newest_key_set(on: &mut impl Conn, org: &OrgId) -> Result<Option<(i64, Vec<u8>)>, Error> {
    row!(on, (i64, Vec<u8>), NEWEST_KEY_SET, org.as_str())
}

pub(in crate::releases) async fn key_set(on: &mut impl Conn, org: &OrgId, version: i64) -> Result<Option<Vec<u8>>, Error> {
    Ok(row!(on, (Vec<u8>,), KEY_SET, org.as_str(), version)?.map(|r| r.0))
}

/// Most key sets that are read at once.
pub(in crate::releases) const KEY_SETS: usize = 100;

/// The newest [`KEY_SETS`]: envelope, when, by whom.
pub(in crate::releases) async fn key_sets(on: &mut impl Conn, org: &OrgId) -> Result<Vec<(Vec<u8>, Timestamp, String)>, Error> {
    let found = rows!(on, (Vec<u8>, i64, String), ALL_KEY_SETS, org.as_str())?;
    Ok(found.into_iter().map(|(envelope, at, by)| (envelope, Timestamp(at), by)).collect())
}

/// False when there is one of this version.
pub(in crate::releases) async fn insert_key_set(
    tx: &mut Tx,
    org: &OrgId,
    version: i64,
    envelope: &[u8],
    (by, now): (&str, Timestamp),
) -> Result<bool, Error> {
    Ok(exec!(tx, INSERT_KEY_SET, org.as_str(), version, envelope, now.0, by)? == 1)
}
