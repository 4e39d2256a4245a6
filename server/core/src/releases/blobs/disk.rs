//! The content-addressed store on the local disk, `sha256/ab/cdef…`, read through `object_store`. Content that was found to be wrong lies in
//! `damaged/ab/cdef…`, for whoever wants to know what became of it, and is never read again.

use super::super::Error;
use bytes::Bytes;
use futures::{
    Stream, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, path::Path as Location,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::Semaphore;
use wire::{Timestamp, ids::Digest};

/// Bytes of a piece, unless it is asked for less: two records of TLS. A reader who takes nothing for hours holds one in memory.
const CHUNK: usize = 32 * 1024;

/// Pieces that are waited for at a time, each by a thread.
const READERS: usize = 8;

/// The folder of content in its place, and of what was set aside because its bytes were wrong.
const STORED: &str = "sha256";
const ASIDE: &str = "damaged";

/// The store.
#[derive(Debug, Clone)]
pub struct Disk {
    store: Arc<LocalFileSystem>,
    /// What every open file of a content looks at before it gives more of it away: whether it was found to be wrong meanwhile.
    wrong: Arc<Mutex<HashMap<Digest, Arc<AtomicBool>>>>,
    /// How each content was when its bytes were found to be right.
    right: Arc<Mutex<HashMap<Digest, Look>>>,
    /// Turns of reading: a thousand downloads must not take a thread and its memory each.
    turns: Arc<Semaphore>,
}

/// What is seen of a file without reading it. Nothing in the store is written to, so one that looks otherwise than before was changed by somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    size: u64,
    /// When it was written to, in microseconds since 1970.
    written: i64,
}

/// A stored file, open for reading any range of it.
#[derive(Debug, Clone)]
pub struct ArtifactFile {
    /// Its size in bytes.
    pub size: u64,
    /// A strong entity tag (RFC 9110 §8.8.3) with its quotes: content never changes under one digest.
    pub etag: String,
    location: Location,
    disk: Disk,
    wrong: Arc<AtomicBool>,
    look: Look,
}

impl Disk {
    /// Opens the store; the folder is made when it isn't there.
    pub fn open(folder: &Path) -> Result<Self, object_store::Error> {
        std::fs::create_dir_all(folder).map_err(|e| object_store::Error::Generic { store: "disk", source: Box::new(e) })?;
        let store = Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true));
        Ok(Self { store, wrong: Arc::default(), right: Arc::default(), turns: Arc::new(Semaphore::new(READERS)) })
    }

    /// Moves a whole, synced file into the store. When this returns the file is there also after a power cut. A file that is there already
    /// is replaced by the same content, and so is a copy that was set aside.
    pub fn adopt(&self, staged: &Path, digest: &Digest) -> io::Result<()> {
        let to = self.path(STORED, digest)?;
        let folder = to.parent().ok_or_else(|| io::Error::other("an artifact's path has a parent"))?;
        std::fs::create_dir_all(folder)?;
        std::fs::rename(staged, &to)?;
        let found = std::fs::metadata(&to)?;
        self.right.lock().insert(digest.clone(), Look { size: found.len(), written: micros(found.modified()?) });
        // The entry, the folder's own entry, and the staging folder's loss of it.
        for synced in [Some(folder), folder.parent(), staged.parent()].into_iter().flatten() {
            File::open(synced)?.sync_all()?;
        }
        let aside = self.path(ASIDE, digest)?;
        if aside.try_exists()? { std::fs::remove_file(aside) } else { Ok(()) }
    }

    /// Moves content whose bytes are wrong out of the way: nobody finds it any more, and who is reading it gets no further.
    pub fn set_aside(&self, digest: &Digest) -> io::Result<()> {
        let (from, to) = (self.path(STORED, digest)?, self.path(ASIDE, digest)?);
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::rename(from, to)?;
        self.right.lock().remove(digest);
        // Only now: whoever opened it before has got its flag, and nobody opens it after.
        self.cut(digest);
        Ok(())
    }

    /// Ends every reading of this content that is under way.
    pub fn cut(&self, digest: &Digest) {
        if let Some(wrong) = self.wrong.lock().remove(digest) {
            wrong.store(true, Ordering::Relaxed);
        }
    }

    fn path(&self, folder: &str, digest: &Digest) -> io::Result<PathBuf> {
        self.store.path_to_filesystem(&location(folder, digest)).map_err(io::Error::other)
    }

    /// Opens a stored file; none when it isn't there.
    pub async fn find(&self, digest: &Digest) -> Result<Option<ArtifactFile>, object_store::Error> {
        let location = location(STORED, digest);
        // Before it is looked for: what is set aside after this look is not given out by it.
        let wrong = self.wrong.lock().entry(digest.clone()).or_default().clone();
        match self.store.head(&location).await {
            Ok(meta) => {
                let look = Look { size: meta.size, written: meta.last_modified.timestamp_micros() };
                Ok(Some(ArtifactFile { size: meta.size, etag: format!("\"{digest}\""), location, disk: self.clone(), wrong, look }))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether a file that was found looks as it did when its bytes were right; none when nobody has compared them since the start.
    pub fn as_before(&self, digest: &Digest, file: &ArtifactFile) -> Option<bool> {
        self.right.lock().get(digest).map(|before| *before == file.look)
    }

    /// Remembers that the bytes of a file that was found are right.
    pub fn is_right(&self, digest: &Digest, file: &ArtifactFile) {
        self.right.lock().insert(digest.clone(), file.look);
    }

    /// Everything that is stored, in its place or set aside.
    pub async fn list(&self) -> Result<Vec<Digest>, object_store::Error> {
        let read = |meta: object_store::ObjectMeta| {
            let text: String = meta.location.parts().skip(1).map(|part| part.as_ref().to_owned()).collect();
            text.parse().ok()
        };
        let (stored, aside) = (Location::from(STORED), Location::from(ASIDE));
        let all = self.store.list(Some(&stored)).chain(self.store.list(Some(&aside)));
        all.try_filter_map(|meta| std::future::ready(Ok(read(meta)))).try_collect().await
    }

    /// Removes a stored file, in its place and set aside; it is no error when it isn't there.
    pub async fn remove(&self, digest: &Digest) -> Result<(), object_store::Error> {
        for folder in [ASIDE, STORED] {
            match self.store.delete(&location(folder, digest)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        self.wrong.lock().remove(digest);
        self.right.lock().remove(digest);
        Ok(())
    }
}

impl ArtifactFile {
    /// Whether it was written to after this instant.
    pub const fn is_younger_than(&self, at: Timestamp) -> bool {
        // An instant is a whole millisecond.
        self.look.written / 1000 > at.0
    }

    /// The bytes of this range, which must lie within the file, in pieces of at most 32 KiB. A slow reader slows the disk, not the memory.
    pub async fn read_range(&self, range: Range<u64>) -> crate::Result<BoxStream<'static, io::Result<Bytes>>> {
        self.read_pieces(range, CHUNK).await
    }

    /// The same in pieces of at most so many bytes.
    pub async fn read_pieces(&self, range: Range<u64>, most: usize) -> crate::Result<BoxStream<'static, io::Result<Bytes>>> {
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.disk.store.get_opts(&self.location, options).await.map_err(Error::Store)?;
        let range = found.range.clone();
        let bytes = match found.payload {
            GetResultPayload::File(file, _) => pieces(file, range, most, Arc::clone(&self.disk.turns)).boxed(),
            GetResultPayload::Stream(bytes) => bytes.map(|r| r.map_err(io::Error::other)).boxed(),
        };
        let wrong = self.wrong.clone();
        let unless_wrong =
            move |piece| if wrong.load(Ordering::Relaxed) { Err(io::Error::other("the content was found to be wrong")) } else { piece };
        Ok(bytes.map(unless_wrong).boxed())
    }

    /// The whole file, for small ones: an error above `largest` bytes.
    pub async fn read_all(&self, largest: usize) -> crate::Result<Vec<u8>> {
        if usize::try_from(self.size).map_or(true, |s| s > largest) {
            return Err(Error::Io(io::Error::other("larger than its reader takes")).into());
        }
        self.read_part(0..self.size).await
    }

    /// A part of it at once, for small ones.
    pub(in crate::releases) async fn read_part(&self, range: Range<u64>) -> crate::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut stream = self.read_range(range).await?;
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk.map_err(Error::Io)?);
        }
        Ok(bytes)
    }
}

/// A range of a file in pieces of at most so many bytes. What the system has in memory is read here; only for what it has to fetch from the disk
/// a thread waits. The store's own stream takes a thread's turn for every 8 KiB and copies once more.
fn pieces(file: File, range: Range<u64>, most: usize, turns: Arc<Semaphore>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold((Arc::new(file), range), move |(file, range)| {
        let turns = Arc::clone(&turns);
        async move {
            if range.is_empty() {
                return Ok(None);
            }
            // Where neither the disk nor the reader is ever waited for, others get their turn all the same.
            tokio::task::coop::consume_budget().await;
            let wanted = most.min(usize::try_from(range.end - range.start).unwrap_or(usize::MAX));
            let piece = match at_hand(&file, range.start, wanted) {
                Some(piece) => piece,
                None => from_disk(Arc::clone(&file), range.start, wanted, turns).await?,
            };
            let rest = range.start + piece.len() as u64..range.end;
            Ok(Some((Bytes::from(piece), (file, rest))))
        }
    })
}

/// At most so many bytes from here on, as far as the system has them in memory; none where it would have to wait for the disk, or can't tell.
#[cfg(target_os = "linux")]
fn at_hand(file: &File, from: u64, wanted: usize) -> Option<Vec<u8>> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut piece = vec![0; wanted];
    let read = preadv2(file, &mut [io::IoSliceMut::new(&mut piece)], from, ReadWriteFlags::NOWAIT).ok()?;
    piece.truncate(read);
    // Nothing at all is the end of a file that is shorter than it was: who waits for it finds that out.
    (read > 0).then_some(piece)
}

#[cfg(not(target_os = "linux"))]
fn at_hand(_: &File, _: u64, _: usize) -> Option<Vec<u8>> {
    None
}

/// Just so many bytes from here on.
async fn from_disk(file: Arc<File>, from: u64, wanted: usize, turns: Arc<Semaphore>) -> io::Result<Vec<u8>> {
    let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
    let read = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut piece = vec![0; wanted];
        let mut file = &*file;
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut piece)?;
        Ok(piece)
    });
    read.await.map_err(io::Error::other)?
}

fn micros(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or_default()
}

fn location(folder: &str, digest: &Digest) -> Location {
    let (head, tail) = digest.as_str().split_at(2);
    Location::from_iter([folder, head, tail])
}
