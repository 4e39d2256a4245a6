//! Looks at stored content before it is given out: whether it is still as it was when its bytes were right. Owns what to do where it is not; what a
//! comparison finds is the scrubber's. Is not asked for content that looks as it did.

use super::{ArtifactFile, Error, Releases, store};
use crate::Result;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use tokio::sync::Notify;
use wire::{Timestamp, ids::Digest, releases::Damage};

/// Content that is to be compared at once.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    waiting: Mutex<BTreeSet<Digest>>,
    wake: Notify,
    /// Whose turn it is to compare: who comes second finds it done.
    turn: tokio::sync::Mutex<()>,
}

impl Suspects {
    fn first(&self) -> Option<Digest> {
        self.waiting.lock().first().cloned()
    }
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
        // Said once, however many ask for it meanwhile.
        if self.suspects.waiting.lock().insert(digest.clone()) {
            tracing::warn!(%digest, "stored content was written to since it was compared; it is compared again");
        }
        self.suspects.wake.notify_one();
        Err(Error::Suspect.into())
    }

    /// Opens an artifact for work of our own, which waits until it was compared where that has to be.
    pub(super) async fn open_compared(&self, digest: &Digest) -> Result<ArtifactFile> {
        match self.open_artifact(digest).await {
            Err(crate::Error::Releases(Error::Suspect)) => {}
            other => return other,
        }
        self.compare_suspects().await?;
        self.open_artifact(digest).await
    }

    /// Compares all content that was written to, as fast as the disk gives it. For a worker. One that can't be compared keeps none of the others waiting;
    /// the last such failure is given.
    pub async fn compare_suspects(&self) -> Result<()> {
        let _turn = self.suspects.turn.lock().await;
        let mut outcome = Ok(());
        while let Some(digest) = self.suspects.first() {
            let compared = self.compare_suspect(&digest).await;
            // Whoever asks for it next has it compared again, where that failed.
            self.suspects.waiting.lock().remove(&digest);
            if compared.is_err() {
                outcome = compared;
            }
        }
        outcome
    }

    async fn compare_suspect(&self, digest: &Digest) -> Result<()> {
        let begun = self.clock.now();
        let Some(size) = store::content_size(&mut self.db.read().await?, digest).await? else { return Ok(()) };
        let damage = self.compare(digest, size, None).await?;
        self.conclude(digest, begun, damage).await?;
        self.count_damaged(&mut self.db.read().await?).await
    }

    /// Waits until there is content that has to be compared.
    pub async fn suspected(&self) {
        self.suspects.wake.notified().await;
    }
}
