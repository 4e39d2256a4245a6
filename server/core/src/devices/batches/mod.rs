//! Batches of CSRs from a factory (E-7): uploaded as a stream, kept line by line, worked on behind the requests, and given back as an archive
//! of certificates. One line's refusal stops no other. What is in an upload is `read.rs`'s; who may have a certificate is `enrolment.rs`'s, as for every
//! other way in.

mod archive;
mod giving;
mod keys;
#[cfg(test)]
mod keys_tests;
mod packed;
mod read;
mod receiving;
mod revoke;
mod seal;
pub(crate) mod store;
mod table;
#[cfg(test)]
mod tests;
mod work;

pub use keys::Pieces;
pub use read::Broken;
pub use seal::Seal;
pub(super) use work::Outcomes;

use super::{
    Devices, Error,
    given_groups::Named,
    paging::{self, Place},
    words,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{exec, row, rows},
};
use serde_json::json;
use wire::{
    Timestamp,
    enrolment::{BatchDetail, BatchLine, BatchLineState, BatchState, EnrolmentBatch},
    ids::EnrolmentBatchId,
    page::Page,
};

/// A batch is kept so long after its end.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// An upload takes at most so long.
const RECEIVING_MS: i64 = 3_600_000;

/// What all lines of a batch have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewBatch {
    /// What it is, for lists.
    pub label: String,
    /// Type of the devices whose line names none.
    pub device_type: String,
    /// Tags given to its devices.
    pub tags: Vec<String>,
    /// Groups that its devices are put into, by name or id.
    pub groups: Vec<String>,
    /// The profile of the certificates it gives, by name; empty for none.
    pub profile: String,
}

#[derive(Debug, Clone, sqlx::FromRow)]
struct BatchRow {
    id: String,
    org_id: String,
    label: String,
    device_type: String,
    tags: String,
    state: String,
    lines: i64,
    issued: i64,
    registered: i64,
    refused: i64,
    created_at: i64,
    created_by: String,
    ended_at: Option<i64>,
    sealed_for: String,
    revoked_at: Option<i64>,
    profile: String,
    group_ids: String,
}

impl BatchRow {
    fn shown(self, named: &Named) -> Result<EnrolmentBatch, Error> {
        Ok(EnrolmentBatch {
            id: self.id.parse().map_err(crate::db::Error::corrupt)?,
            label: self.label,
            device_type: self.device_type,
            tags: words::split_words(&self.tags),
            groups: named.groups(&self.group_ids),
            profile: self.profile,
            state: self.state.parse().map_err(crate::db::Error::corrupt)?,
            lines: self.lines,
            issued: self.issued,
            registered: self.registered,
            refused: self.refused,
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            ended_at: self.ended_at.map(Timestamp),
            sealed_for: self.sealed_for,
            revoked_at: self.revoked_at.map(Timestamp),
        })
    }
}

#[derive(sqlx::FromRow)]
struct LineRow {
    line: i64,
    label: String,
    device_id: String,
    state: String,
    code: String,
    message: String,
    certificate_id: String,
}

impl LineRow {
    fn shown(self) -> Result<BatchLine, Error> {
        let certificate =
            if self.certificate_id.is_empty() { None } else { Some(self.certificate_id.parse().map_err(crate::db::Error::corrupt)?) };
        Ok(BatchLine {
            line: self.line,
            label: self.label,
            device_id: self.device_id,
            state: self.state.parse().map_err(crate::db::Error::corrupt)?,
            code: self.code,
            message: self.message,
            certificate,
        })
    }
}

impl Devices {
    /// A page of batches, newest first.
    pub async fn batches(&self, actor: &Actor, cursor: Option<&str>, size: Option<u32>) -> Result<Page<EnrolmentBatch>, Error> {
        may(actor, Act::Read)?;
        let (place, org) = (Place::newest_first::<EnrolmentBatchId>(cursor, size)?, actor.org.as_str());
        let mut on = self.db.read().await?;
        let total = row!(&mut on, (i64,), store::BATCHES_COUNT, org)?.map_or(0, |r| r.0);
        let found = rows!(&mut on, BatchRow, store::BATCHES, org, place.id.as_str(), place.limit())?;
        let named = Named::of(&mut on, &actor.org, &found.iter().map(|b| b.group_ids.as_str()).collect::<Vec<_>>()).await?;
        let shown = found.into_iter().map(|b| b.shown(&named)).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(shown, place.rows, total, |b| b.id.to_string()))
    }

    /// One batch and how far it is.
    pub async fn batch(&self, actor: &Actor, id: &EnrolmentBatchId) -> Result<EnrolmentBatch, Error> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let found = row!(&mut on, BatchRow, store::BATCH, actor.org.as_str(), id.as_str())?.ok_or(Error::NotFound("enrolment batch"))?;
        let named = Named::of(&mut on, &actor.org, &[found.group_ids.as_str()]).await?;
        found.shown(&named)
    }

    /// One batch with its first refused lines.
    pub async fn batch_detail(&self, actor: &Actor, id: &EnrolmentBatchId) -> Result<BatchDetail, Error> {
        let batch = self.batch(actor, id).await?;
        let refused = self.batch_lines(actor, id, Some(BatchLineState::Refused), None, Some(100)).await?.items;
        Ok(BatchDetail { batch, refused })
    }

    /// A page of a batch's lines, in their order.
    pub async fn batch_lines(
        &self,
        actor: &Actor,
        id: &EnrolmentBatchId,
        state: Option<BatchLineState>,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Page<BatchLine>, Error> {
        self.batch(actor, id).await?;
        let (after, size) = (paging::after(cursor)?, paging::size(limit));
        let state = state.map_or("", BatchLineState::as_str);
        let mut on = self.db.read().await?;
        let total = row!(&mut on, (i64,), store::LINES_COUNT, id.as_str(), state)?.map_or(0, |r| r.0);
        let found = rows!(&mut on, LineRow, store::LINES, id.as_str(), state, after, i64::from(size) + 1)?;
        let items = found.into_iter().map(LineRow::shown).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, size, total, |l| l.line.to_string()))
    }

    /// Stops a batch: lines that wait are never made, what was made stays.
    pub async fn cancel_batch(&self, actor: &Actor, id: &EnrolmentBatchId) -> Result<(), Error> {
        may(actor, Act::Enrol)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let found = row!(&mut tx, BatchRow, store::BATCH, actor.org.as_str(), id.as_str())?.ok_or(Error::NotFound("enrolment batch"))?;
        if exec!(&mut tx, store::END, id.as_str(), BatchState::Cancelled.as_str(), now.0)? == 0 {
            return Err(Error::BatchEnded(found.label));
        }
        audit::append(&mut tx, actor, now, "enrolment_batch.cancel", id.as_str(), &json!({ "issued": found.issued })).await?;
        tx.commit().await?;
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        Ok(())
    }

    /// Forgets uploads that were cut off, and batches a month after their end. Their devices and certificates stay. Nothing ends by a clock that is off
    /// what is revoked or forgotten can't be brought back.
    pub async fn sweep_batches(&self) -> Result<(), Error> {
        if self.pki.clock_jump().is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        self.sweep_keys(now).await?;
        let old = rows!(&mut self.db.read().await?, (String,), store::OLD, now.plus(-RECEIVING_MS).0, now.plus(-KEPT_MS).0)?;
        for (id,) in old {
            self.forget_batch(&id.parse().map_err(crate::db::Error::corrupt)?).await?;
        }
        Ok(())
    }

    async fn forget_batch(&self, id: &EnrolmentBatchId) -> Result<(), Error> {
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::FORGET_LINES, id.as_str())?;
        exec!(&mut tx, store::FORGET, id.as_str())?;
        tx.commit().await?;
        Ok(())
    }
}
