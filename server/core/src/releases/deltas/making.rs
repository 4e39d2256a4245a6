//! Making deltas, one after the other and never faster than half a processor can: what devices download and people look at comes first. The
//! order is in the database, so a restart goes on, and of several instances each makes another one.

use super::{
    super::{ArtifactFile, Error, Releases, scrubbing, store},
    codec::{self, LARGEST},
};
use crate::{Result, hash};
use aws_lc_rs::digest::{Context, SHA256};
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use store::{Made, Wanted};
use tokio::time::Instant;
use tokio_util::io::{StreamReader, SyncIoBridge};
use wire::ids::Digest;

/// How often it is written down how far a delta is, and milliseconds after which a silent maker counts as gone.
const NOTE: Duration = Duration::from_secs(2);
const STALE_MS: i64 = 5 * 60_000;
/// Milliseconds after which a failure is tried again.
const AGAIN_MS: i64 = 24 * 3600 * 1000;
/// The least percentage that has to be saved.
const LEAST_SAVING: i64 = 10;

/// What is written in the folder of files on their way in until it is whole.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // It was taken into the store, or nobody needs it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Tells blocking work to end when nobody waits for it any more.
struct Given(Arc<AtomicBool>);

impl Drop for Given {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Releases {
    /// Resolves when a delta may be to be made that was not before.
    pub async fn deltas_due(&self) {
        self.deltas_wanted.notified().await;
    }

    /// Makes the delta that was asked for longest ago. For a worker; false when there is none to make. Given up in the middle, it is begun
    /// again a few minutes later.
    pub async fn make_delta(&self) -> Result<bool> {
        let now = self.clock.now();
        let found = store::next_delta(&mut self.db.read().await?, now.plus(-STALE_MS), now.plus(-AGAIN_MS)).await?;
        let Some(wanted) = found else { return Ok(false) };
        let mut tx = self.db.write().await?;
        if !store::claim_delta(&mut tx, &wanted, now).await? {
            return Ok(true);
        }
        tx.commit().await?;
        let draft = Draft(self.staging.beside(&format!("delta-{}-{}", wanted.base, wanted.target)));
        let made = match self.make_difference(&wanted, &draft.0).await {
            Ok(made) => made,
            Err(e) => Made::Failed { why: e.fault().message },
        };
        self.end_delta(&wanted, &made, &draft.0).await?;
        Ok(true)
    }

    /// The difference in `draft`, tried out and worth it; or why there is none.
    async fn make_difference(&self, wanted: &Wanted, draft: &Path) -> Result<Made> {
        if wanted.base_size.max(wanted.target_size) > LARGEST {
            return Ok(Made::NotWorth { size: 0, why: format!("made for files up to {} MiB only", LARGEST >> 20) });
        }
        let (base, target) = (self.open_compared(&wanted.base).await?, self.open_compared(&wanted.target).await?);
        let stop = Arc::new(AtomicBool::new(false));
        let _given = Given(stop.clone());
        let done = Arc::new(AtomicU64::new(0));
        let (out, own_done, expected) = (draft.to_owned(), done.clone(), wanted.target.clone());
        let (size, bytes) = (target.size, reader(&target).await?);
        let base = base.read_all(usize::try_from(LARGEST).unwrap_or(usize::MAX)).await?;
        let mut work = tokio::task::spawn_blocking(move || {
            let mut bytes = bytes;
            write_and_try(&base, &mut bytes, size, &expected, &out, &Pace { stop, done: own_done })
        });
        let made = loop {
            tokio::select! {
                made = &mut work => break made.map_err(io::Error::other).flatten().map_err(Error::Io)?,
                () = tokio::time::sleep(NOTE) => {
                    let mut tx = self.db.write().await?;
                    let read = i64::try_from(done.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
                    store::note_delta(&mut tx, wanted, read, self.clock.now()).await?;
                    tx.commit().await?;
                }
            }
        };
        let Some((sha256, delta_size)) = made else {
            return Ok(Made::Failed { why: "tried out, it did not make the file".to_owned() });
        };
        let saved = (wanted.target_size - delta_size).max(0).saturating_mul(100) / wanted.target_size.max(1);
        Ok(if saved < LEAST_SAVING {
            Made::NotWorth { size: delta_size, why: format!("saves {saved} % of the download; kept from {LEAST_SAVING} % on") }
        } else {
            Made::Ready { sha256, size: delta_size }
        })
    }

    /// Takes what was made into the store, and writes down what became of it.
    async fn end_delta(&self, wanted: &Wanted, made: &Made, draft: &Path) -> Result<()> {
        let shelf = self.shelf.lock().await;
        if let Made::Ready { sha256, .. } = made {
            let (disk, draft, sha256) = (self.disk.clone(), draft.to_owned(), sha256.clone());
            let adopted = tokio::task::spawn_blocking(move || disk.adopt(&draft, &sha256)).await;
            adopted.map_err(io::Error::other).flatten().map_err(Error::Io)?;
        }
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let kept = store::end_delta(&mut tx, wanted, made, now).await?;
        if let (true, Made::Ready { sha256, .. }) = (kept, made) {
            scrubbing::record(&mut tx, sha256, (now, now), None).await?;
        }
        let users = store::content_users(&mut tx, &wanted.target).await?;
        tx.commit().await?;
        drop(shelf);
        if let (false, Made::Ready { sha256, .. }) = (kept, made) {
            self.discard_after(sha256).await;
        }
        match made {
            Made::Ready { size, .. } => tracing::info!(base = %wanted.base, target = %wanted.target, size, "a delta is ready"),
            Made::NotWorth { why, .. } => tracing::info!(base = %wanted.base, target = %wanted.target, why, "no delta is kept"),
            Made::Failed { why } => tracing::warn!(base = %wanted.base, target = %wanted.target, why, "a delta could not be made"),
        }
        scrubbing::tell(&self.bus, users);
        Ok(())
    }
}

/// A file's bytes for blocking work.
async fn reader(file: &ArtifactFile) -> Result<impl io::Read + Send + use<>> {
    Ok(SyncIoBridge::new(StreamReader::new(file.read_range(0..file.size).await?)))
}

/// How blocking work goes on: as long at rest as at work, until it is told to end.
struct Pace {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Pace {
    /// What is to be called after each piece; whether it counts as progress.
    fn step(&self, counts: bool) -> impl FnMut(u64) -> io::Result<()> + use<'_> {
        let mut since = Instant::now();
        move |done| {
            if counts {
                self.done.store(done, Ordering::Relaxed);
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("the server stops"));
            }
            std::thread::sleep(since.elapsed());
            since = Instant::now();
            Ok(())
        }
    }
}

/// The digest and size of the synced difference; none when what it makes is not the file.
fn write_and_try(
    base: &[u8],
    target: &mut dyn io::Read,
    size: u64,
    expected: &Digest,
    out: &Path,
    pace: &Pace,
) -> io::Result<Option<(Digest, i64)>> {
    let mut written = Hashing { to: File::create(out)?, context: Context::new(&SHA256), size: 0 };
    codec::encode(base, target, size, &mut written, &mut pace.step(true))?;
    written.to.sync_data()?;
    let mut made = Hashing { to: io::sink(), context: Context::new(&SHA256), size: 0 };
    codec::decode(base, &mut File::open(out)?, size, &mut made, &mut pace.step(false))?;
    let right = made.digest() == *expected;
    let size = written.size;
    Ok(right.then(|| (written.digest(), size)))
}

/// Hashes what it passes on.
struct Hashing<W> {
    to: W,
    context: Context,
    size: i64,
}

impl<W> Hashing<W> {
    fn digest(self) -> Digest {
        Digest::from_bytes(&hash::finished(self.context))
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.context.update(&bytes[..n]);
        self.size += i64::try_from(n).unwrap_or(i64::MAX);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
