//! Looks at stored content before it is given out: whether it is still as it was when its bytes were right. Owns what to do where it is not; what a
//! comparison finds is the scrubber's. Is not asked for content that looks as it did. A device waits for a short comparison instead of being sent away:
//! hawkBit's clients take a 503 for a refusal.

use super::{ArtifactFile, Error, Releases, store};
use crate::Result;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use wire::{Timestamp, ids::Digest, releases::Damage};

/// How long a device is kept waiting for a comparison: clients give up on an answer after ten seconds and more.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes that are compared in a second, until that was measured: what a slow disk gives.
const GUESSED: u64 = 64 << 20;
/// The smallest content that says how fast comparing is; what is smaller is found, not read.
const TELLING: u64 = 4 << 20;

/// Content that is to be compared at once.
#[derive(Debug)]
pub(super) struct Suspects {
    /// With their sizes in bytes.
    waiting: Mutex<BTreeMap<Digest, u64>>,
    wake: Notify,
    /// One more does not wait any more.
    done: Notify,
    /// Whose turn it is to compare: who comes second finds it done.
    turn: tokio::sync::Mutex<()>,
    /// Bytes that were compared in a second, the last time.
    pub(super) speed: AtomicU64,
}

impl Default for Suspects {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            wake: Notify::new(),
            done: Notify::new(),
            turn: tokio::sync::Mutex::default(),
            speed: AtomicU64::new(GUESSED),
        }
    }
}

impl Suspects {
    /// The first that waits, but for what failed before.
    fn next(&self, failed: &BTreeSet<Digest>) -> Option<Digest> {
        self.waiting.lock().keys().find(|digest| !failed.contains(*digest)).cloned()
    }

    /// One more, unless it waits already; whether it did not, and the seconds until all that wait are compared.
    fn add(&self, digest: &Digest, size: u64) -> (bool, u32) {
        let mut waiting = self.waiting.lock();
        let new = waiting.insert(digest.clone(), size).is_none();
        let bytes = waiting.values().fold(0, |sum: u64, size| sum.saturating_add(*size));
        drop(waiting);
        (new, seconds(bytes, self.speed.load(Ordering::Relaxed)))
    }

    fn remove(&self, digest: &Digest) {
        self.waiting.lock().remove(digest);
        self.done.notify_waiters();
    }

    /// Waits until this content does not wait any more.
    async fn settled(&self, digest: &Digest) {
        loop {
            let mut done = pin!(self.done.notified());
            // Before the look, so that what is done behind it is heard.
            done.as_mut().enable();
            if !self.waiting.lock().contains_key(digest) {
                return;
            }
            done.await;
        }
    }

    fn measure(&self, bytes: u64, took: Duration) {
        if bytes >= TELLING {
            let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
            self.speed.store((bytes.saturating_mul(1000) / millis).max(1), Ordering::Relaxed);
        }
    }
}

/// Whole seconds that so many bytes take, one at least.
fn seconds(bytes: u64, per_second: u64) -> u32 {
    u32::try_from(bytes.div_ceil(per_second.max(1)).max(1)).unwrap_or(u32::MAX)
}

impl Releases {
    /// Refuses a file that does not look as before, found after `found`: one of another size is damaged, and one that was written to after its bytes
    /// were compared last is compared before it is given out again.
    pub(super) async fn look(&self, digest: &Digest, file: &ArtifactFile, checked: Option<Timestamp>, found: Timestamp) -> Result<()> {
        // What no release and no delta is made of is given to nobody.
        let Some(size) = store::content_size(&mut self.db.read().await?, digest).await? else { return Ok(()) };
        if i64::try_from(file.size) != Ok(size) {
            self.conclude(digest, found, Some(Damage::Changed)).await?;
            self.count_damaged(&mut self.db.read().await?).await?;
            return Err(Error::Damaged.into());
        }
        if self.disk.as_before(digest, file).is_none() && checked.is_some_and(|at| !file.is_younger_than(at)) {
            self.disk.is_right(digest, file);
            return Ok(());
        }
        let (new, seconds) = self.suspects.add(digest, file.size);
        // Said once, however many ask for it meanwhile.
        if new {
            tracing::warn!(%digest, "stored content was written to since it was compared; it is compared again");
        }
        self.suspects.wake.notify_one();
        Err(Error::Suspect { seconds }.into())
    }

    /// [`open_artifact`](Self::open_artifact) for a device: where the file has to be compared first and that is soon done, it waits for whoever
    /// [compares](Self::compare_suspects).
    pub async fn open_in_time(&self, digest: &Digest) -> Result<ArtifactFile> {
        match self.open_artifact(digest).await {
            Err(crate::Error::Releases(Error::Suspect { seconds })) if u64::from(seconds) <= PATIENCE.as_secs() => {}
            other => return other,
        }
        if timeout(PATIENCE, self.suspects.settled(digest)).await.is_err() {
            tracing::debug!(%digest, "comparing stored content takes longer than it should");
        }
        self.open_artifact(digest).await
    }

    /// Opens an artifact for work of our own, which waits until it was compared where that has to be.
    pub(super) async fn open_compared(&self, digest: &Digest) -> Result<ArtifactFile> {
        match self.open_artifact(digest).await {
            Err(crate::Error::Releases(Error::Suspect { .. })) => {}
            other => return other,
        }
        self.compare_suspects().await?;
        self.open_artifact(digest).await
    }

    /// Compares all content that was written to, as fast as the disk gives it. For a worker. One that can't be compared keeps none of the others waiting,
    /// however often it is asked for meanwhile: it is left to the next call. The last such failure is given.
    pub async fn compare_suspects(&self) -> Result<()> {
        let _turn = self.suspects.turn.lock().await;
        let (mut outcome, mut failed) = (Ok(()), BTreeSet::new());
        while let Some(digest) = self.suspects.next(&failed) {
            let compared = self.compare_suspect(&digest).await;
            // Whoever asks for it next has it compared again, where that failed.
            self.suspects.remove(&digest);
            if compared.is_err() {
                outcome = compared;
                failed.insert(digest);
            }
        }
        outcome
    }

    async fn compare_suspect(&self, digest: &Digest) -> Result<()> {
        let (begun, started) = (self.clock.now(), Instant::now());
        let Some(size) = store::content_size(&mut self.db.read().await?, digest).await? else { return Ok(()) };
        let damage = self.compare(digest, size, None).await?;
        if damage.is_none() {
            self.suspects.measure(size.unsigned_abs(), started.elapsed());
        }
        self.conclude(digest, begun, damage).await?;
        self.count_damaged(&mut self.db.read().await?).await
    }

    /// Waits until there is content that has to be compared.
    pub async fn suspected(&self) {
        self.suspects.wake.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_fails_and_is_asked_for_again_keeps_none_of_the_others_waiting() {
        let (suspects, digest) = (Suspects::default(), |n: u8| Digest::from_bytes(&[n; 32]));
        for n in [1, 2, 3] {
            suspects.add(&digest(n), 14);
        }
        let (mut failed, mut turns) = (BTreeSet::new(), Vec::new());
        while let Some(next) = suspects.next(&failed) {
            suspects.remove(&next);
            turns.push(next.clone());
            assert!(turns.len() < 10, "a run has an end");
            if next == digest(1) {
                failed.insert(next);
            }
            suspects.add(&digest(1), 14);
        }
        assert_eq!(turns, [digest(1), digest(2), digest(3)]);
        assert_eq!(suspects.next(&BTreeSet::new()), Some(digest(1)), "the next run's");
    }

    #[test]
    fn how_long_it_takes_is_what_waits_at_the_speed_that_was_measured() {
        let (suspects, digest) = (Suspects::default(), |n: u8| Digest::from_bytes(&[n; 32]));
        assert_eq!(suspects.add(&digest(1), 14), (true, 1));
        assert_eq!(suspects.add(&digest(2), 640 << 20), (true, 11));
        suspects.measure(TELLING - 1, Duration::from_mins(1));
        assert_eq!(suspects.add(&digest(2), 640 << 20), (false, 11), "a small one says nothing");
        suspects.measure(640 << 20, Duration::from_secs(2));
        assert_eq!(suspects.add(&digest(2), 640 << 20), (false, 3));
        suspects.remove(&digest(2));
        assert_eq!(suspects.add(&digest(1), 14), (false, 1));
        assert_eq!((seconds(u64::MAX, 1), seconds(0, 0)), (u32::MAX, 1));
    }
}
