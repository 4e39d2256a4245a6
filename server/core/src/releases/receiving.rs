//! One request's part of an upload: its bytes written, synced and recorded as they come, and the whole file taken into the store. Goes on when the request
//! that began it is gone. Refuses to decide who may send what: `uploading.rs` does.

use super::{
    Error,
    blobs::{Disk, Staged, Staging},
    error::is_full,
    scrubbing,
    store::{self, StoredUpload},
    turns::{Turn, Turns},
    uploading::seen,
};
use crate::{bus::Bus, clock::Clock, db::Db};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use std::{io, sync::Arc, time::Duration};
use wire::{
    ids::{OrgId, ReleaseId, UploadId},
    releases::Upload,
};

/// Bytes that are written at once.
const BUFFER: usize = 1 << 20;
/// Bytes after which a long request's progress is synced and recorded.
const CHECKPOINT: i64 = 16 << 20;
/// Silence after which a request counts as cut off.
const SILENCE: Duration = Duration::from_mins(1);
/// Most bytes of a refused chunk that are read for the sender's sake, and for how long.
const PASSED_OVER: usize = 32 << 20;
const PASSING_OVER: Duration = Duration::from_secs(5);

/// What receiving needs of the room; it goes on when the request that began it is gone.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) db: Db,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) disk: Disk,
    pub(super) staging: Staging,
    pub(super) turns: Arc<Turns>,
    pub(super) shelf: Arc<tokio::sync::Mutex<()>>,
    pub(super) bus: Bus,
}

/// Why receiving ended before the upload was whole.
enum End {
    Body,
    Cut,
    Interrupted,
    TooMuch,
    Failed(io::Error),
}

/// What makes a file whole.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Until {
    /// The size that was announced.
    Size,
    /// The end of the body.
    End,
}

impl Receiver {
    pub(super) async fn receive<S>(&self, org: &OrgId, id: &UploadId, offset: i64, until: Until, mut body: S) -> Result<Upload, Error>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin,
    {
        let outcome = self.take_in(org, id, offset, until, &mut body).await;
        if !matches!(outcome, Ok(_) | Err(Error::Cut { .. } | Error::Interrupted { .. })) {
            pass_over(body).await;
        }
        outcome
    }

    async fn take_in<S>(&self, org: &OrgId, id: &UploadId, offset: i64, until: Until, body: S) -> Result<Upload, Error>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin,
    {
        // Nobody but its own organization interrupts an upload, and what doesn't exist is not remembered.
        if store::upload(&mut self.db.read().await?, org, id).await?.is_none() {
            return Err(Error::NoUpload);
        }
        let mut turn = self.turns.take(id).await;
        let Some(mut upload) = store::upload(&mut self.db.read().await?, org, id).await? else {
            self.turns.forget(id);
            return Err(Error::NoUpload);
        };
        if turn.over.is_cancelled() {
            return Err(Error::Interrupted { received: upload.received });
        }
        if offset != upload.received {
            return Err(Error::Offset { received: upload.received });
        }
        if upload.stored {
            return Ok(seen(&upload));
        }
        if upload.sha256.is_some() {
            // All bytes were here when the server stopped, between their last sync and the store.
            return self.store(&mut upload).await;
        }
        let staged = self.open(&mut turn, &upload).await?;
        let (staged, end) = self.drink(staged, &mut upload, body, &turn).await?;
        let received = upload.received;
        let whole = match until {
            Until::Size => received == upload.size && !matches!(end, End::TooMuch),
            Until::End => received > 0 && matches!(end, End::Body),
        };
        if whole {
            upload.size = received;
            let digest = staged.digest();
            drop(staged);
            return self.finish(&mut upload, digest).await;
        }
        self.turns.leave(id, turn, staged);
        match end {
            End::Body => Ok(seen(&upload)),
            End::Cut => Err(Error::Cut { received }),
            End::Interrupted => Err(Error::Interrupted { received }),
            End::TooMuch => Err(Error::TooMuch { size: upload.size, received }),
            End::Failed(e) if is_full(&e) => Err(Error::NoSpace { received }),
            End::Failed(e) => Err(Error::Io(e)),
        }
    }

    async fn open(&self, turn: &mut Turn, upload: &StoredUpload) -> Result<Staged, Error> {
        let length = u64::try_from(upload.received).unwrap_or_default();
        if let Some(staged) = turn.file.take().filter(|s| s.length() == length) {
            return Ok(staged);
        }
        let path = self.staging.path(&upload.id);
        match blocking(move || Staged::open(&path, length)).await {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(Error::Lost),
            Err(e) if is_full(&e) => Err(Error::NoSpace { received: upload.received }),
            other => Ok(other?),
        }
    }

    /// Writes what comes until it ends, whyever it ends; then `upload.received` is what is synced and recorded.
    async fn drink<S>(&self, mut staged: Staged, upload: &mut StoredUpload, mut body: S, turn: &Turn) -> Result<(Staged, End), Error>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin,
    {
        let mut buffer = BytesMut::new();
        let mut end = None;
        while end.is_none() {
            let next = tokio::select! {
                biased;
                () = turn.over.cancelled() => { end = Some(End::Interrupted); None }
                next = tokio::time::timeout(SILENCE, body.next()) => match next {
                    Ok(Some(Ok(bytes))) => Some(bytes),
                    Ok(None) => { end = Some(End::Body); None }
                    Ok(Some(Err(_))) | Err(_) => { end = Some(End::Cut); None }
                },
            };
            if let Some(bytes) = next {
                let room = u64::try_from(upload.size).unwrap_or_default().saturating_sub(staged.length() + buffer.len() as u64);
                if bytes.len() as u64 > room {
                    end = Some(End::TooMuch);
                } else {
                    buffer.extend_from_slice(&bytes);
                }
            }
            if !buffer.is_empty() && (buffer.len() >= BUFFER || end.is_some()) {
                let bytes = buffer.split().freeze();
                let (back, written) = blocking(move || {
                    let written = staged.write(&bytes);
                    Ok((staged, written))
                })
                .await?;
                staged = back;
                if let Err(e) = written {
                    end = Some(End::Failed(e));
                }
            }
            let length = i64::try_from(staged.length()).unwrap_or(i64::MAX);
            if length - upload.received >= CHECKPOINT || (end.is_some() && length > upload.received) {
                staged = self.record(staged, upload, length).await?;
            }
        }
        Ok((staged, end.unwrap_or(End::Body)))
    }

    async fn record(&self, staged: Staged, upload: &mut StoredUpload, length: i64) -> Result<Staged, Error> {
        let received = upload.received;
        let synced = blocking(move || staged.sync().map(|()| staged)).await;
        let staged = synced.map_err(|e| if is_full(&e) { Error::NoSpace { received } } else { Error::Io(e) })?;
        let mut tx = self.db.write().await?;
        if !store::set_received(&mut tx, &upload.id, length, self.clock.now()).await? {
            return Err(Error::NoUpload);
        }
        tx.commit().await?;
        upload.received = length;
        Ok(staged)
    }

    async fn finish(&self, upload: &mut StoredUpload, digest: wire::ids::Digest) -> Result<Upload, Error> {
        if let Some(expected) = upload.expected.take_if(|e| *e != digest) {
            let mut tx = self.db.write().await?;
            store::delete_upload(&mut tx, &upload.id).await?;
            tx.commit().await?;
            let (staging, id) = (self.staging.clone(), upload.id.clone());
            blocking(move || staging.remove(&id)).await?;
            self.turns.forget(&upload.id);
            return Err(Error::DigestMismatch { expected, actual: digest });
        }
        // First the digest, then the move: whatever happens between them, the next request knows how to go on.
        let mut tx = self.db.write().await?;
        store::set_whole(&mut tx, &upload.id, upload.size, &digest, self.clock.now()).await?;
        tx.commit().await?;
        upload.sha256 = Some(digest);
        self.store(upload).await
    }

    /// Takes a whole file into the store; may be done again after it was interrupted anywhere.
    async fn store(&self, upload: &mut StoredUpload) -> Result<Upload, Error> {
        let Some(digest) = upload.sha256.clone() else { return Err(Error::Lost) };
        let _shelf = self.shelf.lock().await;
        let path = self.staging.path(&upload.id);
        let (disk, moved) = (self.disk.clone(), digest.clone());
        let adopted = blocking(move || if path.try_exists()? { disk.adopt(&path, &moved).map(|()| true) } else { Ok(false) }).await;
        let fresh = match adopted {
            Ok(true) => true,
            Ok(false) if self.disk.find(&digest).await?.is_some() => false,
            Ok(false) => return Err(Error::Lost),
            Err(e) if is_full(&e) => return Err(Error::NoSpace { received: upload.received }),
            Err(e) => return Err(Error::Io(e)),
        };
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Its bytes were compared as they came: what was damaged is whole again.
        let changed = if fresh { scrubbing::record(&mut tx, &digest, (now, now), None).await? } else { Vec::new() };
        // Of other organizations' releases nothing is told.
        let healed: Vec<ReleaseId> = changed.iter().filter(|(org, _)| *org == upload.org).map(|(_, id)| id.clone()).collect();
        store::set_stored(&mut tx, &upload.id, healed.first(), now).await?;
        tx.commit().await?;
        scrubbing::tell(&self.bus, changed);
        upload.stored = true;
        upload.healed = healed.first().cloned();
        self.turns.forget(&upload.id);
        Ok(Upload { healed, ..seen(upload) })
    }
}

/// Reads what is still coming of a refused chunk, within bounds: a sender that is cut off in the middle of sending never sees the refusal.
async fn pass_over(body: impl Stream<Item = io::Result<Bytes>> + Send + Unpin) {
    let mut left = PASSED_OVER;
    let rest = body.take_while(|piece| {
        left = left.saturating_sub(piece.as_ref().map_or(PASSED_OVER, Bytes::len));
        std::future::ready(left > 0)
    });
    // Whether it ended or was given up, the refusal is next.
    let _ = tokio::time::timeout(PASSING_OVER, rest.for_each(|_| std::future::ready(()))).await;
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
