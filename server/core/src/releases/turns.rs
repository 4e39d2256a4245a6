//! Who writes to an upload right now. A newer request takes over from an older one, whose connection may be dead without our knowing; between
//! two requests the open file and its running digest wait here, so that going on does not mean hashing everything again.

use super::blobs::Staged;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::OwnedMutexGuard;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wire::ids::UploadId;

/// All uploads that were written to lately.
#[derive(Debug, Default)]
pub struct Turns {
    slots: Mutex<HashMap<UploadId, Slot>>,
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

    /// Forgets an upload that is finished or gone.
    pub fn forget(&self, id: &UploadId) {
        self.slots.lock().remove(id);
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
