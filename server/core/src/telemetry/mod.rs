//! Samples: taken in, kept, read back, shown live.
//!
//! Owns the telemetry store and the live hub. A frame is checked, shown to whoever watches, and acknowledged when it is in a committed and synced
//! row of the log; folding turns the log into chunks and rollups behind it, and a read joins both. Refuses to know sockets and who a device is:
//! callers say which device they speak for.
//!
//! ```text
//! Intake::send ─▶ hub ─▶ feeds                      (at once)
//!       └──────▶ queue ─▶ committer ─▶ log + tail    (acknowledged)
//!                                        └─ folding ─▶ chunks, rollups
//! ```
//!
//! A series keeps every sample it was sent, two of one instant are two samples; a frame is stored exactly once, by its stream's position.

mod batch;
mod block;
mod codec;
mod commit;
mod decimate;
mod error;
mod feed;
mod folding;
mod history;
mod hub;
mod ingest;
mod latest;
mod means;
mod relay;
mod retention;
mod rollup;
mod series;
pub(crate) mod store;
mod tail;
#[cfg(test)]
mod tests;

pub use error::{DamagedBlock, Error};
pub use feed::{Feed, MAX_TOPICS};
pub use hub::Hub;
pub use ingest::{Ingested, Intake, Receipt, Refusal};
pub use latest::LastValues;
pub use means::Means;
pub use relay::{Answer, Reads};
pub use retention::{ROLLUPS_MS, SAMPLES_MS};

use crate::{Result, access::Actor, bus::Bus, clock::Clock, db::Db, entropy::Entropy};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore, mpsc, oneshot},
    task::AbortHandle,
};
use tokio_util::sync::CancellationToken;
use wire::{
    device::Sample,
    ids::{DeviceId, OrgId},
    telemetry::{History, HistoryQuery, LatestValue},
};

/// Samples that may wait for their commit, of all devices together.
const QUEUE: usize = 1 << 18;
/// Unfolded samples beyond which folding begins before its time.
const FOLD_AT: usize = 1 << 19;
/// How long the log gathers before it is folded.
const FOLD_EVERY: Duration = Duration::from_secs(30);
/// How long a graceful stop waits for the last commit.
const LAST_COMMIT: Duration = Duration::from_secs(10);

/// A sample of a numbered series.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    series: i64,
    t: i64,
    v: f64,
}

/// Counted since the room was opened.
#[derive(Debug, Default)]
struct Stats {
    samples: AtomicU64,
    frames: AtomicU64,
    commits: AtomicU64,
    refused: AtomicU64,
    repeated: AtomicU64,
    damaged: AtomicU64,
    held: AtomicBool,
}

impl Stats {
    fn damaged(&self, blocks: usize) {
        self.damaged.fetch_add(blocks as u64, Ordering::Relaxed);
    }
}

/// What the machine room is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Samples stored since the start.
    pub samples: u64,
    /// Frames stored since the start.
    pub frames: u64,
    /// Commits since the start.
    pub commits: u64,
    /// Samples refused since the start.
    pub refused: u64,
    /// Frames that had been stored before and were acknowledged again.
    pub repeated: u64,
    /// Stored blocks that failed their checksum and were left out.
    pub damaged: u64,
    /// Whether commits fail now and samples are held, unacknowledged.
    pub held: bool,
    /// Samples in the log that are not folded yet.
    pub unfolded: u64,
    /// Samples waiting for their commit.
    pub queued: u64,
    /// Devices whose state is in memory.
    pub devices: u64,
}

struct Core {
    db: Db,
    clock: Arc<dyn Clock>,
    tail: Arc<tail::Tail>,
    devices: series::Directory,
    hub: Hub,
    queue: mpsc::UnboundedSender<commit::Job>,
    room: Arc<Semaphore>,
    stats: Arc<Stats>,
    folding: tokio::sync::Mutex<()>,
    wake: Arc<Notify>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("unfolded", &self.tail.samples()).finish_non_exhaustive()
    }
}

impl Core {
    async fn device(&self, org: &OrgId, device: i64) -> Result<Arc<series::Device>> {
        Ok(self.devices.get(&self.db, &self.tail, org, device).await?)
    }
}

/// The room's façade.
#[derive(Debug)]
pub struct Telemetry {
    core: Arc<Core>,
    bus: Bus,
    committer: AbortHandle,
    // Cancelled when the committer has ended, however it did.
    committed: CancellationToken,
}

impl Telemetry {
    /// The room over an open telemetry store. Reads the log's unfolded tail and starts the committer on the current runtime.
    pub async fn open(db: Db, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, bus: Bus) -> Result<Self> {
        let (queue, jobs) = mpsc::unbounded_channel();
        let core = Core {
            tail: Arc::default(),
            devices: series::Directory::default(),
            hub: Hub::new(u64::from_le_bytes(entropy.bytes::<8>()) >> 11),
            queue,
            room: Arc::new(Semaphore::new(QUEUE)),
            stats: Arc::default(),
            folding: tokio::sync::Mutex::default(),
            wake: Arc::default(),
            db,
            clock,
        };
        core.catch_up().await?;
        let committer = commit::Committer {
            db: core.db.clone(),
            clock: Arc::clone(&core.clock),
            tail: Arc::clone(&core.tail),
            stats: Arc::clone(&core.stats),
            wake: Arc::clone(&core.wake),
            queue: jobs,
        };
        let committed = CancellationToken::new();
        let ended = committed.clone().drop_guard();
        let committer = tokio::spawn(async move {
            let _ended = ended;
            committer.run().await;
        });
        Ok(Self { core: Arc::new(core), bus, committer: committer.abort_handle(), committed })
    }

    /// A connection's way in: one stream of one device, which the caller has authenticated. Learns how far the stream is.
    pub async fn intake(&self, org: &OrgId, device: i64, device_id: &DeviceId, stream: &str) -> Result<Intake> {
        Intake::open(&self.core, org, device, device_id, stream).await
    }

    /// One frame of a stream, for callers without a connection: opens an intake, sends, waits until it is synced.
    pub async fn ingest(
        &self,
        org: &OrgId,
        device: i64,
        device_id: &DeviceId,
        stream: &str,
        seq: u64,
        samples: Vec<Sample>,
    ) -> Result<Ingested> {
        self.intake(org, device, device_id, stream).await?.send(seq, samples).await?.synced().await
    }

    /// A device's history, decimated to what the query can show. The caller has resolved the query's device to its number.
    pub async fn history(&self, actor: &Actor, query: &HistoryQuery, device: i64) -> Result<History> {
        self.core.history(actor, query, device).await
    }

    /// The newest value of each of a device's series, by metric.
    pub async fn latest(&self, org: &OrgId, device: i64) -> Result<Vec<LatestValue>> {
        self.core.latest(org, device).await
    }

    /// One figure a device, for whoever compares devices.
    pub fn means(&self) -> Means {
        Means::over(&self.core)
    }

    /// The live hub.
    pub fn hub(&self) -> &Hub {
        &self.core.hub
    }

    /// Worker: turns the bus's wake-ups into changes on the hub until `stop`.
    pub fn relay(&self, reads: Reads, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        relay::run(self.core.hub.clone(), self.bus.clone(), reads, stop)
    }

    /// Worker: resolves when the committer has ended, by a panic too. Before [`Telemetry::drain`] that must not happen: nothing would be acknowledged any more.
    pub async fn committing(&self) {
        self.committed.cancelled().await;
    }

    /// Resolves when there is something to fold: after half a minute, or before when much has gathered. Then call [`Telemetry::compact_tick`].
    pub async fn compaction_due(&self) {
        // A timeout is the other way of being due.
        let _ = tokio::time::timeout(FOLD_EVERY, self.core.wake.notified()).await;
    }

    /// Worker: folds the log into chunks and rollups. How many steps it took.
    pub async fn compact_tick(&self) -> Result<u64> {
        self.core.fold().await
    }

    /// Worker, hourly: deletes what has had its time, forgets idle devices. How many rows went.
    pub async fn retention_tick(&self) -> Result<u64> {
        self.core.forget().await
    }

    /// Deletes what a device has sent. How many rows went; call it again later for what was under way.
    pub(crate) async fn forget_device(&self, device: i64) -> Result<u64> {
        self.core.forget_device(device).await
    }

    /// Graceful stop: takes nothing more, waits until what was taken is synced and its receipts are resolved. When that can't be done within ten
    /// seconds it gives up; what was not acknowledged is with the devices still.
    pub async fn drain(&self) -> Result<()> {
        self.core.room.close();
        let (done, stored) = oneshot::channel();
        if self.core.queue.send(commit::Job::Flush(done)).is_ok() && tokio::time::timeout(LAST_COMMIT, stored).await.is_err() {
            tracing::warn!("stopping although samples could not be stored; their devices will send them again");
        }
        self.committer.abort();
        Ok(())
    }

    /// What the machine room is told.
    pub fn figures(&self) -> Figures {
        let s = &self.core.stats;
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Figures {
            samples: get(&s.samples),
            frames: get(&s.frames),
            commits: get(&s.commits),
            refused: get(&s.refused),
            repeated: get(&s.repeated),
            damaged: get(&s.damaged),
            held: s.held.load(Ordering::Relaxed),
            unfolded: self.core.tail.samples() as u64,
            queued: (QUEUE - self.core.room.available_permits().min(QUEUE)) as u64,
            devices: self.core.devices.len() as u64,
        }
    }
}
