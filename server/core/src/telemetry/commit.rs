//! Group commit: one task takes whatever is queued, writes it as one log row per organization together with the streams' new positions, and
//! answers only when the transaction is synced. While one batch is being synced the next one gathers.
//!
//! A failed commit (a full disk, a lost database) is held and tried again: nothing is acknowledged, the queue fills, devices wait, reads go on.
//! Before each new try the positions are read from the store, so a commit that had succeeded unheard is recognised and not repeated.

use super::{
    Error, Point, Stats,
    batch::Batch,
    series::Device,
    store::{self, NewSeries, Step},
    tail::Tail,
};
use crate::{
    clock::Clock,
    db::{self, Db},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};
use wire::ids::OrgId;

/// Samples of one commit; beyond it a frame waits for the next.
const BATCH: usize = 1 << 16;
/// Unfolded samples in memory beyond which commits wait for folding: 24 bytes each.
const TAIL: usize = 8 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// So often in one batch another instance may have moved a stream before that is told.
const MOVES: usize = 3;

/// A checked sample; `place` is its metric's place in its device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw {
    pub place: u16,
    pub t: i64,
    pub v: f64,
}

/// A checked frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub device: Arc<Device>,
    pub stream: Arc<str>,
    pub seq: u64,
    pub points: Vec<Raw>,
    pub reply: oneshot::Sender<Result<u64, Error>>,
    /// Given back when the frame is done: the device's share and the queue's.
    #[expect(dead_code, reason = "held for its Drop")]
    pub room: Room,
}

/// A frame's share of its device's room and of the queue's.
type Room = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// Something to do in the queue's order.
#[derive(Debug)]
pub(super) enum Job {
    /// Store it.
    Frame(Frame),
    /// Say how far the stream is, once all before this is stored: for a frame that was sent again while it is still queued. It takes room like
    /// any other, or a device that repeats itself would fill the queue.
    Mark { device: Arc<Device>, stream: Arc<str>, reply: oneshot::Sender<Result<u64, Error>>, room: Room },
    /// Say when all before this is stored.
    Flush(oneshot::Sender<()>),
}

/// The task.
pub(super) struct Committer {
    pub db: Db,
    pub clock: Arc<dyn Clock>,
    pub tail: Arc<Tail>,
    pub stats: Arc<Stats>,
    /// Tells folding that there is much to do.
    pub wake: Arc<Notify>,
    pub queue: mpsc::UnboundedReceiver<Job>,
}

/// A stream's way through one batch.
#[derive(Debug)]
struct Line {
    device: Arc<Device>,
    stream: Arc<str>,
    prior: u64,
    seq: u64,
    /// A frame did not follow: what is queued behind it can't be stored either.
    broken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Store,
    Stored,
    Broken,
}

/// What a committed batch came to.
#[derive(Debug, Default)]
struct Plan {
    lines: BTreeMap<(i64, Arc<str>), Line>,
    outcomes: Vec<Outcome>,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Db(#[from] db::Error),
    #[error("another instance moved a stream")]
    Moved,
}

impl Committer {
    /// Runs until every sender is gone and the queue is empty.
    pub async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            self.wait_for_folding().await;
            let mut frames = Vec::new();
            let mut after = Vec::new();
            let mut samples = 0;
            let mut next = Some(first);
            while let Some(job) = next.take() {
                match job {
                    Job::Frame(f) => {
                        samples += f.points.len().max(1);
                        frames.push(f);
                    }
                    other => after.push(other),
                }
                if samples < BATCH {
                    next = self.queue.try_recv().ok();
                }
            }
            if !frames.is_empty() && !self.store(frames).await {
                return;
            }
            for job in after {
                match job {
                    Job::Mark { device, stream, reply, room: _room } => {
                        let stored = device.lock().stream(&stream).map_or(0, |s| s.stored);
                        let _ = reply.send(Ok(stored));
                    }
                    Job::Flush(done) => {
                        let _ = done.send(());
                    }
                    Job::Frame(_) => {}
                }
            }
        }
    }

    async fn wait_for_folding(&self) {
        let mut said = false;
        while self.tail.samples() > TAIL && !self.queue.is_closed() {
            if !said {
                tracing::warn!(samples = self.tail.samples(), "folding lags behind; commits wait for it");
                said = true;
            }
            self.wake.notify_one();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stores a batch however long it takes; false when the room was closed while it could not be stored.
    async fn store(&self, frames: Vec<Frame>) -> bool {
        let mut pause = FIRST_PAUSE;
        let (mut ask_store, mut moved) = (false, 0);
        loop {
            let failure = match self.attempt(&frames, ask_store).await {
                Ok(plan) => {
                    if self.stats.held.swap(false, Ordering::Relaxed) {
                        tracing::info!("samples are being stored again");
                    }
                    self.answer(frames, &plan);
                    return true;
                }
                Err(failure) => failure,
            };
            ask_store = true;
            moved += usize::from(matches!(failure, Failure::Moved));
            // The next try sees where another instance has moved a stream to; one that goes on being moved is worth a word.
            let worth_a_word = matches!(failure, Failure::Db(_)) || moved >= MOVES;
            if worth_a_word && !self.stats.held.swap(true, Ordering::Relaxed) {
                tracing::warn!(error = %failure, "samples can't be stored; they are held, unacknowledged, and tried again");
            }
            if self.queue.is_closed() {
                tracing::warn!(frames = frames.len(), "stopping with frames that could not be stored; their devices will send them again");
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&self, frames: &[Frame], ask_store: bool) -> Result<Plan, Failure> {
        let plan = self.plan(frames, ask_store).await?;
        let kept: Vec<&Frame> = frames.iter().zip(&plan.outcomes).filter(|(_, v)| **v == Outcome::Store).map(|(f, _)| f).collect();
        if kept.is_empty() {
            settle(&plan);
            return Ok(plan);
        }
        self.number(&kept).await?;
        let now = self.clock.now();
        let mut by_org: BTreeMap<&OrgId, Vec<&Frame>> = BTreeMap::new();
        for f in &kept {
            by_org.entry(&f.device.org).or_default().push(f);
        }
        let mut rows = Vec::new();
        for (org, frames) in by_org {
            let mut batch = Batch::sized(frames.iter().map(|f| f.points.len()).sum());
            let segments: Vec<_> = frames.iter().map(|f| (f.device.number, points(f))).collect();
            for (device, points) in &segments {
                batch.push(*device, points);
            }
            rows.push((org, batch.samples(), batch.finish(), segments));
        }
        let steps: Vec<_> = plan.lines.values().filter(|l| l.seq > l.prior).map(Line::step).collect();
        let mut tx = self.db.write().await?;
        let mut logged = Vec::new();
        for (org, samples, blob, segments) in rows {
            // A frame may have nothing left to store; its position moves all the same.
            if samples > 0 {
                logged.push((store::log(&mut tx, org, now, samples, &blob).await?, segments));
            }
        }
        if store::advance(&mut tx, now, &steps).await? != steps.len() as u64 {
            return Err(Failure::Moved);
        }
        tx.commit().await?;
        for (row, segments) in logged {
            self.tail.committed(row, segments.into_iter());
        }
        settle(&plan);
        let samples: usize = kept.iter().map(|f| f.points.len()).sum();
        self.stats.samples.fetch_add(samples as u64, Ordering::Relaxed);
        self.stats.frames.fetch_add(kept.len() as u64, Ordering::Relaxed);
        self.stats.commits.fetch_add(1, Ordering::Relaxed);
        if self.tail.samples() > super::FOLD_AT {
            self.wake.notify_one();
        }
        Ok(plan)
    }

    /// Follows each stream through the batch: what comes next is stored, what is known is not, what leaves a gap is refused.
    async fn plan(&self, frames: &[Frame], ask_store: bool) -> Result<Plan, db::Error> {
        let mut plan = Plan { lines: BTreeMap::new(), outcomes: Vec::with_capacity(frames.len()) };
        for f in frames {
            let key = (f.device.number, Arc::clone(&f.stream));
            let line = match plan.lines.entry(key) {
                std::collections::btree_map::Entry::Occupied(e) => e.into_mut(),
                std::collections::btree_map::Entry::Vacant(e) => {
                    let known = if ask_store { None } else { f.device.lock().stream(&f.stream).map(|s| s.stored) };
                    let prior = match known {
                        Some(stored) => stored,
                        None => store::position(&mut self.db.read().await?, f.device.number, &f.stream).await?,
                    };
                    let (device, stream) = (Arc::clone(&f.device), Arc::clone(&f.stream));
                    e.insert(Line { device, stream, prior, seq: prior, broken: false })
                }
            };
            plan.outcomes.push(if f.seq <= line.seq {
                Outcome::Stored
            } else if f.seq == line.seq + 1 {
                line.seq = f.seq;
                Outcome::Store
            } else {
                line.broken = true;
                Outcome::Broken
            });
        }
        Ok(plan)
    }

    /// Gives every metric of these frames its number. A transaction of its own: it happens once in a series' life.
    async fn number(&self, frames: &[&Frame]) -> Result<(), db::Error> {
        let mut devices: HashMap<i64, &Arc<Device>> = HashMap::new();
        let mut names = Vec::new();
        for f in frames {
            if devices.insert(f.device.number, &f.device).is_none() {
                let state = f.device.lock();
                let new = state.metrics().iter().filter(|m| m.series.is_none());
                names.extend(new.map(|m| (f.device.number, Arc::clone(&m.name))));
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        // In one order everywhere, so that two instances never wait for each other.
        names.sort_unstable();
        let mut tx = self.db.write().await?;
        let mut numbered = Vec::with_capacity(names.len());
        for part in names.chunks(5_000) {
            let new: Vec<_> = part
                .iter()
                .filter_map(|(device, metric)| Some(NewSeries { org: &devices.get(device)?.org, device: *device, metric }))
                .collect();
            numbered.extend(store::name_series(&mut tx, self.clock.now(), &new).await?);
        }
        tx.commit().await?;
        for (id, device, metric) in numbered {
            if let Some(device) = devices.get(&device) {
                device.lock().number(&metric, id);
            }
        }
        Ok(())
    }

    fn answer(&self, frames: Vec<Frame>, plan: &Plan) {
        for (frame, outcome) in frames.into_iter().zip(&plan.outcomes) {
            let seq = plan.lines.get(&(frame.device.number, Arc::clone(&frame.stream))).map_or(0, |l| l.seq);
            let answer = match outcome {
                Outcome::Store => Ok(seq),
                Outcome::Stored => {
                    self.stats.repeated.fetch_add(1, Ordering::Relaxed);
                    Ok(seq)
                }
                Outcome::Broken => Err(Error::Elsewhere),
            };
            // Nobody listens when the connection is gone; the device learns it from its next welcome.
            let _ = frame.reply.send(answer);
        }
    }
}

impl Line {
    fn step(&self) -> Step<'_> {
        Step { device: self.device.number, stream: &self.stream, org: &self.device.org, prior: self.prior, seq: self.seq }
    }
}

fn settle(plan: &Plan) {
    for line in plan.lines.values() {
        line.device.lock().stored(&line.stream, line.seq, line.broken);
    }
}

/// The frame's samples by series number. Every metric has one by now.
fn points(frame: &Frame) -> Arc<[Point]> {
    let state = frame.device.lock();
    let series = |place: u16| state.metrics().get(usize::from(place)).and_then(|m| m.series);
    frame.points.iter().filter_map(|p| Some(Point { series: series(p.place)?, t: p.t, v: p.v })).collect()
}
