//! Taking a batch in: its stream is read while it comes, and every line written down before anything is worked on.

use super::{
    super::{Devices, Error, given_groups, words},
    Broken, NewBatch, Seal,
    read::{self, Entry},
    store,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::exec,
    text::unseen,
};
use bytes::Bytes;
use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use serde_json::{Value, json};
use std::{io, time::Duration};
use tokio_util::io::{StreamReader, SyncIoBridge};
use wire::{
    enrolment::{BatchLineState, BatchState, EnrolmentBatch},
    ids::EnrolmentBatchId,
};

/// Lines that are written in one transaction.
const AT_ONCE: usize = 200;
/// Silence after which an upload counts as cut off: a thread waits for it.
pub(super) const SILENCE: Duration = Duration::from_mins(1);

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
    pub(super) async fn take_in(
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
}

/// What is kept of a name until it is judged: longer than any that is taken, and shown to nobody before.
fn short(text: &str) -> String {
    text.chars().filter(|c| !unseen(*c)).take(200).collect()
}

/// The pieces of an upload; one that falls silent is cut off.
pub(super) fn while_it_speaks(
    body: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
) -> BoxStream<'static, io::Result<Bytes>> {
    let pieces = stream::unfold(Some(body), |body| async {
        let mut body = body?;
        match tokio::time::timeout(SILENCE, body.next()).await {
            Ok(piece) => piece.map(|piece| (piece, Some(body))),
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    });
    pieces.boxed()
}
