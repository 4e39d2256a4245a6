//! The way in: what a device sends is checked, shown to whoever watches at once, and queued for its commit. Nothing is acknowledged here.
//!
//! A full queue makes its senders wait; it never drops. Each device has room of its own, so that none starves the others.

use super::{
    Core, Error,
    commit::{Frame, Job, Raw},
    series::{Device, State},
};
use crate::Result;
use std::{collections::BTreeMap, sync::Arc, sync::atomic::Ordering};
use tokio::sync::oneshot;
use wire::{
    Timestamp,
    device::{MAX_AGE_MS, MAX_AHEAD_MS, MAX_METRIC_NAME, MAX_METRICS, MAX_SAMPLES, Sample},
    ids::{DeviceId, OrgId},
    live::{Data, DeviceLive, MetricPoints, Topic},
};

/// What became of a frame once it is safe: in a committed and synced transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingested {
    /// Highest stored sequence number of the stream without a gap below it.
    pub acked: u64,
    /// What was left out of the frame, and why; the rest is stored.
    pub refused: Option<Refusal>,
}

/// Why samples were left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// How many.
    pub samples: u32,
    /// The word for programs.
    pub code: &'static str,
    /// What to do about it.
    pub message: String,
}

/// A connection's way in: one stream of one device. Dropping it forgets nothing that was sent.
#[derive(Debug, Clone)]
pub struct Intake {
    core: Arc<Core>,
    device: Arc<Device>,
    topic: Topic,
    stream: Arc<str>,
}

/// A frame that is queued. Resolves when it is synced to disk; dropping it only means that nobody wants to know.
#[derive(Debug)]
pub struct Receipt(Waiting);

#[derive(Debug)]
enum Waiting {
    Over(Ingested),
    ForCommit { reply: oneshot::Receiver<Result<u64, Error>>, refused: Option<Refusal> },
}

impl Receipt {
    /// Waits for the commit. Fails with [`Error::Stopping`] when the server stops first, or [`Error::Elsewhere`]; in both cases nothing was
    /// acknowledged and the device resends after its next hello.
    pub async fn synced(self) -> Result<Ingested> {
        match self.0 {
            Waiting::Over(done) => Ok(done),
            Waiting::ForCommit { reply, refused } => {
                let acked = reply.await.map_err(|_| Error::Stopping)??;
                Ok(Ingested { acked, refused })
            }
        }
    }
}

impl Intake {
    pub(super) async fn open(core: &Arc<Core>, org: &OrgId, device: i64, device_id: &DeviceId, stream: &str) -> Result<Self> {
        if stream.is_empty() || stream.len() > 64 || stream.chars().any(char::is_control) {
            return Err(Error::StreamName.into());
        }
        let device = core.device(org, device).await?;
        let this = Self { core: Arc::clone(core), device, topic: Topic::Device(device_id.clone()), stream: stream.into() };
        this.learn().await?;
        Ok(this)
    }

    async fn learn(&self) -> Result<u64> {
        let stored = super::store::position(&mut self.core.db.read().await?, self.device.number, &self.stream).await?;
        Ok(self.device.lock().learn(&self.stream, stored))
    }

    /// Highest stored sequence number of the stream; 0 when it is new.
    pub fn acked(&self) -> u64 {
        self.device.lock().stream(&self.stream).map_or(0, |s| s.stored)
    }

    /// Takes a frame: checks it, shows it to whoever watches, queues it. Waits while the queue, or this device's share of it, is full. A frame at
    /// or below the acknowledged number is acknowledged again and not stored again; one that leaves a gap is refused whole with `gap`.
    ///
    /// Frames must be sent in order, one call after the other; receipts may be awaited later.
    pub async fn send(&self, seq: u64, samples: Vec<Sample>) -> Result<Receipt> {
        let weight = u32::try_from(samples.len().clamp(1, MAX_SAMPLES)).unwrap_or(1);
        let mine = Arc::clone(&self.device.room).acquire_many_owned(weight).await.map_err(|_| Error::Stopping)?;
        let all = Arc::clone(&self.core.room).acquire_many_owned(weight).await.map_err(|_| Error::Stopping)?;
        // The stream may have been forgotten for newer ones of this device; then the store is asked again.
        if self.device.lock().stream(&self.stream).is_none() {
            self.learn().await?;
        }
        let now = self.core.clock.now();
        let mut state = self.device.lock();
        let Some(stream) = state.stream(&self.stream).cloned() else { return Err(Error::Elsewhere.into()) };
        if seq <= stream.stored {
            self.core.stats.repeated.fetch_add(1, Ordering::Relaxed);
            return Ok(Receipt(Waiting::Over(Ingested { acked: stream.stored, refused: None })));
        }
        let (reply, waiting) = oneshot::channel();
        if seq <= stream.queued {
            self.core.stats.repeated.fetch_add(1, Ordering::Relaxed);
            let mark = Job::Mark { device: Arc::clone(&self.device), stream: stream.name, reply, room: (mine, all) };
            self.core.queue.send(mark).map_err(|_| Error::Stopping)?;
            return Ok(Receipt(Waiting::ForCommit { reply: waiting, refused: None }));
        }
        if seq != stream.queued + 1 {
            let refused = gap(stream.queued + 1, seq, samples.len());
            self.core.stats.refused.fetch_add(u64::from(refused.samples), Ordering::Relaxed);
            return Ok(Receipt(Waiting::Over(Ingested { acked: stream.stored, refused: Some(refused) })));
        }
        let (points, refused) = check(&mut state, now, &samples);
        self.show(&state, now, &points);
        for p in &points {
            state.saw(p.place, p.t, p.v);
        }
        if let Some(refused) = &refused {
            self.core.stats.refused.fetch_add(u64::from(refused.samples), Ordering::Relaxed);
        }
        let frame = Frame { device: Arc::clone(&self.device), stream: stream.name, seq, points, reply, room: (mine, all) };
        self.core.queue.send(Job::Frame(frame)).map_err(|_| Error::Stopping)?;
        if let Some(s) = state.stream(&self.stream) {
            s.queued = seq;
        }
        Ok(Receipt(Waiting::ForCommit { reply: waiting, refused }))
    }

    fn show(&self, state: &State, now: Timestamp, points: &[Raw]) {
        self.core.hub.publish(&self.device.org, &self.topic, || {
            let mut by_metric: BTreeMap<u16, Vec<(i64, f64)>> = BTreeMap::new();
            for p in points {
                by_metric.entry(p.place).or_default().push((p.t, p.v));
            }
            let name = |place: u16| state.metrics().get(usize::from(place)).map(|m| m.name.to_string());
            let points = by_metric.into_iter().filter_map(|(place, points)| Some(MetricPoints { metric: name(place)?, points }));
            Data::Device(DeviceLive { online: None, points: points.collect(), at: now })
        });
    }
}

/// Why a sample is left out, most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Finite,
    Name,
    Old,
    Ahead,
    Metrics,
    Samples,
}

impl Reason {
    const ALL: [Self; 6] = [Self::Finite, Self::Name, Self::Old, Self::Ahead, Self::Metrics, Self::Samples];
    const fn code(self) -> &'static str {
        match self {
            Self::Finite => "not_finite",
            Self::Name => "bad_metric",
            Self::Old => "too_old",
            Self::Ahead => "ahead_of_time",
            Self::Metrics => "too_many_metrics",
            Self::Samples => "too_many_samples",
        }
    }
    fn message(self) -> String {
        match self {
            Self::Finite => "A value must be a finite number.".into(),
            Self::Name => format!("A metric's name is 1 to {MAX_METRIC_NAME} letters, digits, '_', '.', '-', '/' or ':'."),
            Self::Old => format!("A sample may be at most {} days old; check the device's clock.", MAX_AGE_MS / 86_400_000),
            Self::Ahead => {
                format!("A sample may be at most {} minutes ahead of the server; check the device's clock.", MAX_AHEAD_MS / 60_000)
            }
            Self::Metrics => format!("A device may have at most {MAX_METRICS} different metrics."),
            Self::Samples => format!("A frame may have at most {MAX_SAMPLES} samples; send smaller frames."),
        }
    }
}

fn gap(expected: u64, got: u64, samples: usize) -> Refusal {
    let message = format!("Frame {got} came where {expected} was due. Send again from {expected}; if that is lost, begin a new stream.");
    Refusal { samples: u32::try_from(samples).unwrap_or(u32::MAX), code: "gap", message }
}

/// The samples that may be stored, and what is said about the others.
fn check(state: &mut State, now: Timestamp, samples: &[Sample]) -> (Vec<Raw>, Option<Refusal>) {
    let mut left_out = [0_u32; Reason::ALL.len()];
    let mut points = Vec::with_capacity(samples.len().min(MAX_SAMPLES));
    if samples.len() > MAX_SAMPLES {
        left_out[Reason::Samples as usize] = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    } else {
        for s in samples {
            match place(state, now, s) {
                Ok(place) => points.push(Raw { place, t: s.t, v: s.v }),
                Err(reason) => left_out[reason as usize] += 1,
            }
        }
    }
    let samples: u32 = left_out.iter().sum();
    // One frame, one refusal: the reason that cost the most samples speaks.
    let worst = Reason::ALL.into_iter().rev().max_by_key(|r| left_out[*r as usize]);
    let refused = worst.filter(|_| samples > 0).map(|r| Refusal { samples, code: r.code(), message: r.message() });
    (points, refused)
}

fn place(state: &mut State, now: Timestamp, s: &Sample) -> Result<u16, Reason> {
    if !s.v.is_finite() {
        return Err(Reason::Finite);
    }
    if s.t < now.0.saturating_sub(MAX_AGE_MS) {
        return Err(Reason::Old);
    }
    if s.t > now.0.saturating_add(MAX_AHEAD_MS) {
        return Err(Reason::Ahead);
    }
    if !state.knows(&s.m) && !is_metric(&s.m) {
        return Err(Reason::Name);
    }
    state.metric(&s.m).ok_or(Reason::Metrics)
}

fn is_metric(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b':');
    (1..=MAX_METRIC_NAME).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_are_plain() {
        for good in ["cpu", "cpu.load/1m", "a:b-c_d", &"x".repeat(64)] {
            assert!(is_metric(good), "{good}");
        }
        for bad in ["", "a b", "<script>", "ü", "a\0", "a\n", &"x".repeat(65)] {
            assert!(!is_metric(bad), "{bad}");
        }
    }
}
