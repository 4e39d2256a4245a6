//! Plans as they are written: new drafts and edits.

use super::confirming;
use crate::db::{Error, Sql, Tx, exec};
use wire::{
    Timestamp,
    ids::{Digest, OrgId, RolloutId, UserId},
    rollouts::RolloutSpec,
};

pub(super) const INSERT: Sql = Sql::same(
    "INSERT INTO rollouts (id, org_id, name, release_id, device_type, hardware, version, sequence, min_sequence, selector, spec, digest, state, summary,
     generation, author, author_name, begin_at, timeout_ms, stage, cut, doors_until, last_device, created_at, updated_at, priority)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'draft', '', 1, $13, $14, $15, $16, 0, -1, 0, 0, $17, $17, $18)",
);
pub(super) const INSERT_STAGE: Sql =
    Sql::same("INSERT INTO rollout_stages (rollout_id, org_id, number, state, cut) VALUES ($1, $2, $3, 'pending', -1)");
pub(super) const DELETE_STAGES: Sql = Sql::same("DELETE FROM rollout_stages WHERE rollout_id = $1");
pub(super) const EDIT: Sql = Sql::same(
    "UPDATE rollouts SET name = $4, release_id = $5, device_type = $6, hardware = $7, version = $8, sequence = $9, min_sequence = $10, selector = $11,
     spec = $12, digest = $13, begin_at = $14, timeout_ms = $15, author = $16, author_name = $17, state = 'draft', summary = '', priority = $19,
     generation = generation + 1, updated_at = $18
     WHERE org_id = $1 AND id = $2 AND generation = $3",
);
pub(super) const WRITERS: Sql = Sql::same("UPDATE rollouts SET writers = $2 WHERE id = $1");

/// What is written of a plan.
pub(in crate::rollouts) struct NewRollout<'a> {
    pub spec: &'a RolloutSpec,
    pub device_type: &'a str,
    pub hardware: &'a [String],
    pub version: &'a str,
    pub sequence: i64,
    pub min_sequence: i64,
    pub digest: &'a Digest,
    pub author: &'a str,
    pub author_name: &'a str,
}

pub(in crate::rollouts) fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(Error::corrupt)
}

async fn insert_stages(tx: &mut Tx, org: &OrgId, id: &RolloutId, spec: &RolloutSpec) -> Result<(), Error> {
    for number in 1..=spec.stages.len() {
        exec!(tx, INSERT_STAGE, id.as_str(), org.as_str(), i64::try_from(number).map_err(Error::corrupt)?)?;
    }
    Ok(())
}

/// A new draft.
pub(in crate::rollouts) async fn insert(
    tx: &mut Tx,
    org: &OrgId,
    id: &RolloutId,
    new: &NewRollout<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let spec = new.spec;
    exec!(
        tx,
        INSERT,
        id.as_str(),
        org.as_str(),
        spec.name.as_str(),
        spec.release.as_str(),
        new.device_type,
        json(&new.hardware)?,
        new.version,
        new.sequence,
        new.min_sequence,
        spec.selector.as_str(),
        json(spec)?,
        new.digest.as_str(),
        new.author,
        new.author_name,
        spec.start_at.map(Timestamp::millis),
        i64::from(spec.timeout_min) * 60_000,
        now.0,
        i64::from(spec.priority)
    )?;
    confirming::set(tx, id, spec.confirm_at_device).await?;
    insert_stages(tx, org, id, spec).await
}

/// Another plan for a rollout that has not begun; it is a draft then. False when it is at another generation.
pub(in crate::rollouts) async fn edit(
    tx: &mut Tx,
    org: &OrgId,
    id: &RolloutId,
    generation: i64,
    new: &NewRollout<'_>,
    now: Timestamp,
) -> Result<bool, Error> {
    let spec = new.spec;
    let done = exec!(
        tx,
        EDIT,
        org.as_str(),
        id.as_str(),
        generation,
        spec.name.as_str(),
        spec.release.as_str(),
        new.device_type,
        json(&new.hardware)?,
        new.version,
        new.sequence,
        new.min_sequence,
        spec.selector.as_str(),
        json(spec)?,
        new.digest.as_str(),
        spec.start_at.map(Timestamp::millis),
        i64::from(spec.timeout_min) * 60_000,
        new.author,
        new.author_name,
        now.0,
        i64::from(spec.priority)
    )?;
    if done == 1 {
        exec!(tx, DELETE_STAGES, id.as_str())?;
        confirming::set(tx, id, spec.confirm_at_device).await?;
        insert_stages(tx, org, id, spec).await?;
    }
    Ok(done == 1)
}

/// Keeps who has written or sent the plan since people approved it last.
pub(in crate::rollouts) async fn keep_writers(tx: &mut Tx, id: &RolloutId, writers: &[UserId]) -> Result<(), Error> {
    exec!(tx, WRITERS, id.as_str(), json(&writers)?).map(drop)
}
