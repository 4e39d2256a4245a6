//! Who writes to an upload right now. A newer request takes over from an older one, whose connection may be dead without our knowing; between
//! two requests the open file and its running digest wait here, so that going on does not mean hashing everything again.

use super::blobs::Staged;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use tokio::sync::OwnedMutexGuard;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wire::ids::UploadId;

/// Files that stay open between two requests; the ones left longest ago are closed, and hashed again when their uploads go on.
const MOST_OPEN: usize = 64;

/// All uploads that were written to lately.
#[derive(Debug, Default)]
pub struct Turns {
    slots: Mutex<HashMap<UploadId, Slot>>,
    /// Uploads whose file was left open, longest ago first.
    left: Mutex<VecDeque<UploadId>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Slot {
    file: Arc<tokio::sync::Mutex<Option<Staged>>>,
    holder: CancellationToken,
}

/// The right to write to one upload.
#[derive(Debug)]
pub struct Turn {
    /// The open file, if it was left here.
    pub file: OwnedMutexGuard<Option<Staged>>,
    /// Cancelled when somebody else takes over or the server stops.
    pub over: CancellationToken,
}

impl Turns {
    /// Asks whoever writes to this upload to end, and waits until they have.
    pub async fn take(&self, id: &UploadId) -> Turn {
        let over = self.stop.child_token();
        let file = {
            let mut slots = self.slots.lock();
            let slot = slots.entry(id.clone()).or_insert_with(|| Slot { file: Arc::default(), holder: over.clone() });
            let before = std::mem::replace(&mut slot.holder, over.clone());
            if slot.file.try_lock().is_err() {
                before.cancel();
            }
            slot.file.clone()
        };
        Turn { file: file.lock_owned().await, over }
    }

    /// Leaves the open file for the upload's next request.
    pub fn leave(&self, id: &UploadId, mut turn: Turn, file: Staged) {
        *turn.file = Some(file);
        drop(turn);
        let mut left = self.left.lock();
        left.retain(|other| other != id);
        left.push_back(id.clone());
        let oldest = if left.len() > MOST_OPEN { left.pop_front() } else { None };
        drop(left);
        if let Some(oldest) = oldest {
            let file = self.slots.lock().get(&oldest).map(|slot| Arc::clone(&slot.file));
            // Whoever is writing to it now keeps it, and leaves it again.
            if let Some(mut file) = file.as_ref().and_then(|f| f.try_lock().ok()) {
                file.take();
            }
        }
    }

    /// Forgets an upload that is finished or gone.
    pub fn forget(&self, id: &UploadId) {
        self.slots.lock().remove(id);
        self.left.lock().retain(|other| other != id);
    }

    /// How many uploads are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.slots.lock().len()
    }

    /// How many files are open between two requests.
    #[cfg(test)]
    pub fn open(&self) -> usize {
        let slots = self.slots.lock();
        slots.values().filter(|slot| slot.file.try_lock().is_ok_and(|file| file.is_some())).count()
    }

    /// Runs the work to its end even if the request that asked for it goes away.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, tokio::task::JoinError> {
        self.tasks.spawn(work).await
    }

    /// Ends everybody's turn, now and from now on, and waits until they have ended.
    pub async fn drain(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
