//! Receiving files: begun with a name and a size, appended to in as many requests as it takes, whole when the last byte is synced and the
//! digest fits. A byte is acknowledged after it was synced, never before; what was acknowledged survives a cut, a stop and a power cut.

use super::{
    Error, LARGEST_FILE, Releases,
    blobs::Staging,
    label,
    receiving::{Receiver, Until},
    store::{self, StoredUpload},
};
use crate::{
    Result,
    access::{Act, Actor, may},
};
use bytes::Bytes;
use futures::Stream;
use std::io;
use wire::{
    ids::UploadId,
    releases::{NewUpload, Upload},
};

/// Most uploads of an organization that are no release yet.
const MOST_OPEN: i64 = 1000;
/// Milliseconds after which an untouched upload is removed.
const LIFETIME_MS: i64 = 24 * 3600 * 1000;
/// Milliseconds between two looks for content that nothing needs.
const CONTENT_SWEEP_MS: i64 = 24 * 3600 * 1000;

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
            healed: None,
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

    /// Refuses a chunk that announces more bytes than are missing, before any of it is read. What is wrong otherwise is for [`Self::append`] to say.
    pub async fn expects(&self, actor: &Actor, id: &UploadId, offset: i64, announced: u64) -> Result<()> {
        may(actor, Act::Upload)?;
        let upload = store::upload(&mut self.db.read().await?, &actor.org, id).await?.ok_or(Error::NoUpload)?;
        let left = u64::try_from(upload.size - upload.received).unwrap_or_default();
        if upload.stored || offset != upload.received || announced <= left {
            return Ok(());
        }
        Err(Error::Announced { announced, left, received: upload.received }.into())
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

/// An upload as its sender sees it: the digest shows once the file is in the store.
pub(super) fn seen(upload: &StoredUpload) -> Upload {
    let sha256 = upload.sha256.clone().filter(|_| upload.stored);
    Upload { id: upload.id.clone(), name: upload.name.clone(), size: upload.size, received: upload.received, sha256, healed: Vec::new() }
}
