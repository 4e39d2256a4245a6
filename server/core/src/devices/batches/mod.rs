//! Batches of CSRs from a factory (E-7): uploaded as a stream, kept line by line, worked on behind the requests, and given back as an archive
//! of certificates. One line's refusal stops no other. What is in an upload is `read.rs`'s; who may have a certificate is `enrolment.rs`'s, as for every
//! other way in.

mod archive;
mod keys;
#[cfg(test)]
mod keys_tests;
mod packed;
mod read;
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
    given_groups::{self, Named},
    paging::{self, Place},
    words,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    csv,
    db::{exec, row, rows},
    text::unseen,
};
use archive::Archive;
use bytes::Bytes;
use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use read::Entry;
use serde_json::{Value, json};
use std::{collections::BTreeSet, io, time::Duration};
use tokio_util::io::{StreamReader, SyncIoBridge};
use wire::{
    Timestamp,
    enrolment::{BatchDetail, BatchLine, BatchLineState, BatchState, EnrolmentBatch},
    ids::{CertificateId, EnrolmentBatchId, OrgId},
    page::Page,
};

/// Lines that are written in one transaction.
const AT_ONCE: usize = 200;
/// A batch is kept so long after its end.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// Silence after which an upload counts as cut off: a thread waits for it.
const SILENCE: Duration = Duration::from_mins(1);
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
    /// Takes a batch in: as JSON lines, CSV, zip, tar or compressed tar, at most 64 MiB and 10,000 lines, as it comes. When this returns every line is
    /// written down and is worked on; a batch that breaks a bound leaves nothing behind.
    pub async fn receive_batch(
        &self,
        actor: &Actor,
        new: NewBatch,
        body: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    ) -> Result<EnrolmentBatch, Error> {
        self.take_in(actor, new, None, body).await
    }

    /// The same, in whose end the batch waits for nobody, or with a seal for its keys to be handed out.
    async fn take_in(
        &self,
        actor: &Actor,
        new: NewBatch,
        seal: Option<&Seal>,
        body: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    ) -> Result<EnrolmentBatch, Error> {
        may(actor, Act::Enrol)?;
        let (label, device_type) = (words::word("label", &new.label, 100)?, words::device_type(&new.device_type)?);
        words::check_tags(&new.tags)?;
        let label = if label.is_empty() { "Batch".to_owned() } else { label };
        let now = self.clock.now();
        let id: EnrolmentBatchId = self.entropy.id(now);
        let mut tx = self.db.write().await?;
        let (tags, sealed_for) = (new.tags.join(" "), seal.map_or("", Seal::as_str));
        let (label, device_type, profile) = (label.as_str(), device_type.as_str(), new.profile.trim());
        self.pki.profile_is_there(&mut tx, &actor.org, profile).await?;
        if seal.is_some() {
            self.pki.profile_takes_made_keys(&mut tx, &actor.org, profile).await?;
        }
        let groups = given_groups::meant(&mut tx, actor, &new.groups).await?;
        let (by, kept) = (actor.label(), given_groups::kept(&groups));
        exec!(&mut tx, store::INSERT, id.as_str(), actor.org.as_str(), label, device_type, tags, now.0, by, sealed_for, profile, kept)?;
        tx.commit().await?;
        let then = if seal.is_some() { BatchState::MakingKeys } else { BatchState::Working };
        let detail = json!({ "device_type": device_type, "tags": new.tags, "groups": groups, "profile": profile });
        match self.receive(actor, &id, then, detail, body).await {
            Ok(()) => self.batch(actor, &id).await,
            Err(e) => {
                self.forget_batch(&id).await?;
                Err(e)
            }
        }
    }

    async fn receive(
        &self,
        actor: &Actor,
        id: &EnrolmentBatchId,
        then: BatchState,
        mut detail: Value,
        body: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    ) -> Result<(), Error> {
        let (send, mut lines) = tokio::sync::mpsc::channel::<Vec<Entry>>(2);
        let source = SyncIoBridge::new(StreamReader::new(while_it_speaks(body)));
        // Unpacking waits for bytes and for the processor; neither may hold up a task of the runtime.
        let reading = tokio::task::spawn_blocking(move || {
            let mut some = Vec::new();
            read::read(source, &mut |entry| {
                some.push(entry);
                if some.len() < AT_ONCE {
                    return Ok(());
                }
                send.blocking_send(std::mem::take(&mut some)).map_err(|_| Broken::Stopped)
            })?;
            send.blocking_send(some).map_err(|_| Broken::Stopped)
        });
        let (mut count, mut refused) = (0, 0);
        while let Some(entries) = lines.recv().await {
            let mut tx = self.db.write().await?;
            for entry in entries {
                count += 1;
                let (asked, state, code, message) = match entry.said {
                    Ok(asked) => (asked, BatchLineState::Waiting, "", String::new()),
                    Err(why) => (read::Asked::default(), BatchLineState::Refused, why.code, why.message),
                };
                refused += i64::from(state == BatchLineState::Refused);
                let (device_id, device_type, tags) = (short(&asked.device_id), short(&asked.device_type), short(&asked.tags));
                exec!(
                    &mut tx,
                    store::LINE_INSERT,
                    id.as_str(),
                    count,
                    entry.label.as_str(),
                    device_id,
                    device_type,
                    tags,
                    asked.csr.as_slice(),
                    state.as_str(),
                    code,
                    message
                )?;
            }
            tx.commit().await?;
        }
        reading.await.map_err(|_| Broken::Cut)??;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        if exec!(&mut tx, store::RECEIVED, id.as_str(), count, refused, then.as_str())? == 0 {
            return Err(Broken::Cut.into());
        }
        detail["lines"] = json!(count);
        detail["refused"] = json!(refused);
        audit::append(&mut tx, actor, now, "enrolment_batch.create", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.batches_due.notify_one();
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        Ok(())
    }

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

    /// What a batch has made so far, as a zip archive: `manifest.csv`, `certs/<device_id>.pem`, `chain.pem`, and `refused.csv` if lines were refused.
    pub async fn batch_result(&self, actor: &Actor, id: &EnrolmentBatchId) -> Result<Vec<u8>, Error> {
        let batch = self.batch(actor, id).await?;
        let archive = Box::pin(self.fill(&actor.org, id, Archive::new(batch.created_at))).await?;
        Ok(archive.finish().map_err(Broken::from)?)
    }

    /// Puts in what a batch has made so far, but for keys.
    async fn fill<W>(&self, org: &OrgId, id: &EnrolmentBatchId, mut archive: Archive<W>) -> Result<Archive<W>, Error>
    where
        W: io::Write + io::Seek + 'static,
        Archive<W>: Send,
    {
        let mut manifest = csv::line(&["device_id", "serial", "sha256", "not_after"]);
        let mut refused = csv::line(&["line", "label", "device_id", "code", "message"]);
        let (mut issuers, mut after, mut any) = (BTreeSet::new(), 0, false);
        loop {
            // Given back before the archive grows: readers are few.
            let mut on = self.db.read().await?;
            let some = rows!(&mut on, LineRow, store::LINES, id.as_str(), "", after, 500_i64)?;
            let Some(last) = some.last() else { break };
            after = last.line;
            let made: Vec<CertificateId> = some.iter().filter_map(|line| line.certificate_id.parse().ok()).collect();
            let leaves = self.pki.leaves(&mut on, org, &made).await?;
            drop(on);
            let mut files = Vec::with_capacity(made.len());
            for line in some {
                if line.state == BatchLineState::Refused.as_str() {
                    any = true;
                    refused.push_str(&csv::line(&[&line.line.to_string(), &line.label, &line.device_id, &line.code, &line.message]));
                }
                if line.state == BatchLineState::Registered.as_str() {
                    manifest.push_str(&csv::line(&[&line.device_id, "", "", ""]));
                }
                let Ok(certificate) = line.certificate_id.parse::<CertificateId>() else { continue };
                let found = leaves.get(&certificate).ok_or(crate::pki::Error::NotFound)?;
                manifest.push_str(&csv::line(&[&line.device_id, &found.serial, &found.fingerprint, &found.not_after.to_string()]));
                files.push((format!("certs/{}.pem", line.device_id), found.pem.clone()));
                issuers.insert(found.issuer.clone());
            }
            archive = grown(archive, files).await?;
        }
        let mut files = vec![("manifest.csv".to_owned(), manifest), ("chain.pem".to_owned(), self.pki.chains(&issuers))];
        if any {
            files.push(("refused.csv".to_owned(), refused));
        }
        grown(archive, files).await
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

/// The archive with these files behind the others. Packing takes the processor, which the tasks of the runtime share.
async fn grown<W>(mut archive: Archive<W>, files: Vec<(String, String)>) -> Result<Archive<W>, Error>
where
    W: io::Write + io::Seek + 'static,
    Archive<W>: Send,
{
    let packed = tokio::task::spawn_blocking(move || -> io::Result<Archive<W>> {
        for (name, text) in files {
            archive.add(&name, text.as_bytes())?;
        }
        Ok(archive)
    });
    Ok(packed.await.map_err(|_| Broken::Cut)?.map_err(Broken::from)?)
}

/// What is kept of a name until it is judged: longer than any that is taken, and shown to nobody before.
fn short(text: &str) -> String {
    text.chars().filter(|c| !unseen(*c)).take(200).collect()
}

/// The pieces of an upload; one that falls silent is cut off.
fn while_it_speaks(body: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static) -> BoxStream<'static, io::Result<Bytes>> {
    let pieces = stream::unfold(Some(body), |body| async {
        let mut body = body?;
        match tokio::time::timeout(SILENCE, body.next()).await {
            Ok(piece) => piece.map(|piece| (piece, Some(body))),
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    });
    pieces.boxed()
}
