//! Receiving files: begun with a name and a size, appended to in as many requests as it takes, whole when the last byte is synced and the
//! digest fits. A byte is acknowledged after it was synced, never before; what was acknowledged survives a cut, a stop and a power cut.

use super::{
    Error, LARGEST_FILE, Releases,
    blobs::{Disk, Staged, Staging},
    error::is_full,
    label, scrubbing,
    store::{self, StoredUpload},
    turns::{Turn, Turns},
};
use crate::{
    Result,
    access::{Act, Actor, may},
    bus::Bus,
    clock::Clock,
    db::Db,
};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use std::{io, sync::Arc, time::Duration};
use wire::{
    ids::{OrgId, UploadId},
    releases::{NewUpload, Upload},
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
/// Most uploads of an organization that are no release yet.
const MOST_OPEN: i64 = 1000;
/// Milliseconds after which an untouched upload is removed.
const LIFETIME_MS: i64 = 24 * 3600 * 1000;
/// Milliseconds between two looks for content that nothing needs.
const CONTENT_SWEEP_MS: i64 = 24 * 3600 * 1000;

/// What receiving needs of the room; it goes on when the request that began it is gone.
#[derive(Clone)]
struct Receiver {
    db: Db,
    clock: Arc<dyn Clock>,
    disk: Disk,
    staging: Staging,
    turns: Arc<Turns>,
    shelf: Arc<tokio::sync::Mutex<()>>,
    bus: Bus,
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
enum Until {
    /// The size that was announced.
    Size,
    /// The end of the body.
    End,
}

impl Releases {
    /// Begins an upload. Nothing is reserved; a full disk shows when bytes come.
    pub async fn begin_upload(&self, actor: &Actor, new: NewUpload) -> Result<Upload> {
        may(actor, Act::Upload)?;
        label::file_name(&new.name).map_err(|problem| Error::Value { field: "name", problem })?;
        if new.size < 1 {
            return Err(Error::Value { field: "size", problem: "must be at least 1 byte".to_owned() }.into());
        }
        if new.size > LARGEST_FILE {
            return Err(Error::TooLarge { size: new.size, largest: LARGEST_FILE }.into());
        }
        let now = self.clock.now();
        let upload = StoredUpload {
            id: self.entropy.id(now),
            org: actor.org.clone(),
            name: new.name,
            size: new.size,
            expected: new.sha256,
            received: 0,
            sha256: None,
            stored: false,
        };
        let mut tx = self.db.write().await?;
        if store::open_uploads(&mut tx, &actor.org).await? >= MOST_OPEN {
            return Err(Error::TooManyUploads(MOST_OPEN).into());
        }
        store::insert_upload(&mut tx, &upload, &actor.label(), now).await?;
        tx.commit().await?;
        Ok(seen(&upload))
    }

    /// How far an upload is: `received` bytes are safe.
    pub async fn upload(&self, actor: &Actor, id: &UploadId) -> Result<Upload> {
        may(actor, Act::Upload)?;
        let found = store::upload(&mut self.db.read().await?, &actor.org, id).await?.ok_or(Error::NoUpload)?;
        Ok(seen(&found))
    }

    /// Appends bytes at `offset`, which must be what was received so far. When this returns, the answer's `received` bytes are synced; with
    /// the last byte the digest is checked and the file taken into the store. A newer call for the same upload ends an older one.
    pub async fn append<S>(&self, actor: &Actor, id: &UploadId, offset: i64, body: S) -> Result<Upload>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    {
        may(actor, Act::Upload)?;
        self.receive(actor, id.clone(), offset, Until::Size, body).await
    }

    /// Receives a file whose size is not known before, as forms send them, in one go: what is cut off has to be sent again.
    pub async fn upload_stream<S>(&self, actor: &Actor, name: String, body: S) -> Result<Upload>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    {
        let upload = self.begin_upload(actor, NewUpload { name, size: LARGEST_FILE, sha256: None }).await?;
        self.receive(actor, upload.id, 0, Until::End, body).await
    }

    async fn receive<S>(&self, actor: &Actor, id: UploadId, offset: i64, until: Until, body: S) -> Result<Upload>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    {
        let (receiver, org) = (self.receiver(), actor.org.clone());
        let received = self.turns.run(async move { receiver.receive(&org, &id, offset, until, body).await }).await;
        Ok(received.map_err(io::Error::other).map_err(Error::Io)??)
    }

    /// Removes uploads that nobody touched for 24 hours, and what they left on the disk; first of all and then daily also content that
    /// nothing needs. For a worker, every few minutes. Returns how many uploads went.
    pub async fn sweep(&self) -> Result<usize> {
        let now = self.clock.now();
        let last = *self.content_swept.lock();
        if last.is_none_or(|last| now.since(last) >= CONTENT_SWEEP_MS) {
            self.sweep_content().await?;
            *self.content_swept.lock() = Some(now);
        }
        let lying = self.in_staging(|staging| staging.list()).await?;
        let before = now.plus(-LIFETIME_MS);
        let mut gone = 0;
        let old = store::old_uploads(&mut self.db.read().await?, before).await?;
        for (id, sha256) in &old {
            let turn = self.turns.take(id).await;
            let mut tx = self.db.write().await?;
            if !store::delete_old(&mut tx, id, before).await? {
                // Its sender came back meanwhile.
                continue;
            }
            tx.commit().await?;
            gone += 1;
            let removed = id.clone();
            self.in_staging(move |staging| staging.remove(&removed)).await?;
            self.turns.forget(id);
            drop(turn);
            if let Some(sha256) = sha256 {
                self.discard_after(sha256).await;
            }
        }
        for id in lying {
            if !store::upload_exists(&mut self.db.read().await?, &id).await? {
                self.in_staging(move |staging| staging.remove(&id)).await?;
            }
        }
        Ok(gone)
    }

    /// Removes content that nothing needs: what a crash or a failed removal left behind. Returns how much.
    pub async fn sweep_content(&self) -> Result<usize> {
        self.forget_deltas().await?;
        let mut gone = 0;
        for sha256 in self.disk.list().await.map_err(Error::Store)? {
            if self.discard(&sha256).await? {
                tracing::info!(%sha256, "content that nothing needs was removed");
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// Removes content after what needed it is gone. That is committed already, so a failure is no answer to anybody; what stays is swept.
    pub(super) async fn discard_after(&self, sha256: &wire::ids::Digest) {
        if let Err(e) = self.discard(sha256).await {
            tracing::warn!(%sha256, error = %e, "removing content failed; it is swept later");
        }
    }

    /// Removes content that nothing needs any more; false when something does.
    pub(super) async fn discard(&self, sha256: &wire::ids::Digest) -> Result<bool> {
        let _shelf = self.shelf.lock().await;
        if store::content_used(&mut self.db.read().await?, sha256).await? {
            return Ok(false);
        }
        self.disk.remove(sha256).await.map_err(Error::Store)?;
        let mut tx = self.db.write().await?;
        store::forget_check(&mut tx, sha256).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn in_staging<T: Send + 'static>(&self, work: impl FnOnce(Staging) -> io::Result<T> + Send + 'static) -> Result<T, Error> {
        let staging = self.staging.clone();
        Ok(tokio::task::spawn_blocking(move || work(staging)).await.map_err(io::Error::other)??)
    }

    fn receiver(&self) -> Receiver {
        Receiver {
            db: self.db.clone(),
            clock: self.clock.clone(),
            disk: self.disk.clone(),
            staging: self.staging.clone(),
            turns: self.turns.clone(),
            shelf: self.shelf.clone(),
            bus: self.bus.clone(),
        }
    }
}

impl Receiver {
    async fn receive<S>(&self, org: &OrgId, id: &UploadId, offset: i64, until: Until, mut body: S) -> Result<Upload, Error>
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
        store::set_stored(&mut tx, &upload.id, now).await?;
        // Its bytes were compared as they came: what was damaged is whole again.
        let changed = if fresh { scrubbing::record(&mut tx, &digest, now, None).await? } else { Vec::new() };
        tx.commit().await?;
        scrubbing::tell(&self.bus, changed);
        upload.stored = true;
        self.turns.forget(&upload.id);
        Ok(seen(upload))
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

/// An upload as its sender sees it: the digest shows once the file is in the store.
fn seen(upload: &StoredUpload) -> Upload {
    let sha256 = upload.sha256.clone().filter(|_| upload.stored);
    Upload { id: upload.id.clone(), name: upload.name.clone(), size: upload.size, received: upload.received, sha256 }
}
