//! The content-addressed store on the local disk, `sha256/ab/cdef…`, read through `object_store`.

use super::super::Error;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, path::Path as Location,
};
use std::{
    io::{self, SeekFrom},
    ops::Range,
    path::Path,
    sync::Arc,
};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;
use wire::ids::Digest;

/// Bytes a download holds in memory at most.
const CHUNK: usize = 128 * 1024;

/// The store.
#[derive(Debug, Clone)]
pub struct Disk(Arc<LocalFileSystem>);

/// A stored file, open for reading any range of it.
#[derive(Debug, Clone)]
pub struct ArtifactFile {
    /// Its size in bytes.
    pub size: u64,
    /// A strong entity tag (RFC 9110 §8.8.3) with its quotes: content never changes under one digest.
    pub etag: String,
    location: Location,
    disk: Disk,
}

impl Disk {
    /// Opens the store; the folder is made when it isn't there.
    pub fn open(folder: &Path) -> Result<Self, object_store::Error> {
        std::fs::create_dir_all(folder).map_err(|e| object_store::Error::Generic { store: "disk", source: Box::new(e) })?;
        Ok(Self(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true))))
    }

    /// Moves a whole, synced file into the store. When this returns the file is there also after a power cut. A file that is there already
    /// is replaced by the same content.
    pub fn adopt(&self, staged: &Path, digest: &Digest) -> io::Result<()> {
        let to = self.0.path_to_filesystem(&location(digest)).map_err(io::Error::other)?;
        let folder = to.parent().ok_or_else(|| io::Error::other("an artifact's path has a parent"))?;
        std::fs::create_dir_all(folder)?;
        std::fs::rename(staged, &to)?;
        // The entry, the folder's own entry, and the staging folder's loss of it.
        for synced in [Some(folder), folder.parent(), staged.parent()].into_iter().flatten() {
            std::fs::File::open(synced)?.sync_all()?;
        }
        Ok(())
    }

    /// Opens a stored file; none when it isn't there.
    pub async fn find(&self, digest: &Digest) -> Result<Option<ArtifactFile>, object_store::Error> {
        let location = location(digest);
        match self.0.head(&location).await {
            Ok(meta) => Ok(Some(ArtifactFile { size: meta.size, etag: format!("\"{digest}\""), location, disk: self.clone() })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Everything that is stored.
    pub async fn list(&self) -> Result<Vec<Digest>, object_store::Error> {
        let read = |meta: object_store::ObjectMeta| {
            let text: String = meta.location.parts().skip(1).map(|part| part.as_ref().to_owned()).collect();
            text.parse().ok()
        };
        self.0.list(None).try_filter_map(|meta| std::future::ready(Ok(read(meta)))).try_collect().await
    }

    /// Removes a stored file; it is no error when it isn't there.
    pub async fn remove(&self, digest: &Digest) -> Result<(), object_store::Error> {
        match self.0.delete(&location(digest)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }
}

impl ArtifactFile {
    /// The bytes of this range, which must lie within the file, in pieces of at most 128 KiB. A slow reader slows the disk, not the memory.
    pub async fn read_range(&self, range: Range<u64>) -> crate::Result<BoxStream<'static, io::Result<Bytes>>> {
        if range.is_empty() {
            return Ok(futures::stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.disk.0.get_opts(&self.location, options).await.map_err(Error::Store)?;
        let range = found.range.clone();
        match found.payload {
            // The store's own stream takes a thread's turn for every 8 KiB; this one for every 128 KiB.
            GetResultPayload::File(file, _) => {
                let mut file = tokio::fs::File::from_std(file);
                file.set_max_buf_size(CHUNK);
                file.seek(SeekFrom::Start(range.start)).await.map_err(Error::Io)?;
                Ok(ReaderStream::with_capacity(file.take(range.end - range.start), CHUNK).boxed())
            }
            GetResultPayload::Stream(bytes) => Ok(bytes.map(|r| r.map_err(io::Error::other)).boxed()),
        }
    }

    /// The whole file, for small ones: an error above `largest` bytes.
    pub async fn read_all(&self, largest: usize) -> crate::Result<Vec<u8>> {
        if usize::try_from(self.size).map_or(true, |s| s > largest) {
            return Err(Error::Io(io::Error::other("larger than its reader takes")).into());
        }
        let mut bytes = Vec::new();
        let mut stream = self.read_range(0..self.size).await?;
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk.map_err(Error::Io)?);
        }
        Ok(bytes)
    }
}

fn location(digest: &Digest) -> Location {
    let (head, tail) = digest.as_str().split_at(2);
    Location::from_iter(["sha256", head, tail])
}
