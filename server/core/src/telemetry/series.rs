//! What is known of each device that sends: the numbers of its metrics, its newest values, how far its streams are. Loaded from the store when
//! a device is first heard of, dropped when it has been silent for long.

use super::{Point, store, tail::Tail};
use crate::db::{Db, Error};
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, sync::Arc};
use tokio::{sync::Semaphore, time::Instant};
use wire::{device::MAX_METRICS, ids::OrgId};

/// Samples of one device that may wait for their commit; more make the device wait, and nobody else.
pub(super) const IN_FLIGHT: usize = 2 * wire::device::MAX_SAMPLES;
/// Streams remembered for each device.
const STREAMS: usize = 8;

/// One device.
#[derive(Debug)]
pub(super) struct Device {
    pub number: i64,
    pub org: OrgId,
    /// Room for samples in flight.
    pub room: Arc<Semaphore>,
    state: Mutex<State>,
}

/// What changes of a device.
#[derive(Debug)]
pub(super) struct State {
    metrics: Vec<Metric>,
    by_name: HashMap<Arc<str>, u16>,
    streams: Vec<Stream>,
    used: Instant,
}

/// A metric: its number in the store, none until the first commit with it, and its newest value.
#[derive(Debug)]
pub(super) struct Metric {
    pub name: Arc<str>,
    pub series: Option<i64>,
    pub latest: Option<(i64, f64)>,
}

/// A stream's positions: what is stored, and what is stored or waits in the queue.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub name: Arc<str>,
    pub stored: u64,
    pub queued: u64,
}

impl Device {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        state.used = Instant::now();
        state
    }
}

impl State {
    /// The metric's place, made when there is room for one more; none when there is not.
    pub fn metric(&mut self, name: &str) -> Option<u16> {
        if let Some(place) = self.by_name.get(name) {
            return Some(*place);
        }
        if self.metrics.len() >= MAX_METRICS {
            return None;
        }
        let place = u16::try_from(self.metrics.len()).ok()?;
        let name: Arc<str> = name.into();
        self.by_name.insert(Arc::clone(&name), place);
        self.metrics.push(Metric { name, series: None, latest: None });
        Some(place)
    }
    /// Whether the metric is known.
    pub fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }
    /// The metric at this place.
    pub fn at(&mut self, place: u16) -> Option<&mut Metric> {
        self.metrics.get_mut(usize::from(place))
    }
    /// Every metric.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }
    /// The store's number for a metric.
    pub fn number(&mut self, name: &str, series: i64) {
        if let Some(place) = self.by_name.get(name).copied()
            && let Some(m) = self.at(place)
        {
            m.series = Some(series);
        }
    }
    /// A newer value, unless a newer one is known.
    pub fn saw(&mut self, place: u16, t: i64, v: f64) {
        if let Some(m) = self.at(place)
            && m.latest.is_none_or(|(before, _)| before <= t)
        {
            m.latest = Some((t, v));
        }
    }
    /// The stream, where it is known.
    pub fn stream(&mut self, name: &str) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|s| &*s.name == name)
    }
    /// What the store says of a stream. Frames that are on their way to the store know better, so they are not overruled.
    pub fn learn(&mut self, name: &str, stored: u64) -> u64 {
        if let Some(s) = self.stream(name) {
            if s.stored == s.queued {
                s.queued = stored;
                s.stored = stored;
            }
            return s.stored;
        }
        if self.streams.len() >= STREAMS
            && let Some(idle) = self.streams.iter().position(|s| s.stored == s.queued)
        {
            self.streams.remove(idle);
        }
        self.streams.push(Stream { name: name.into(), stored, queued: stored });
        stored
    }
    /// What a commit stored, or what the store was found to hold.
    pub fn stored(&mut self, name: &str, seq: u64, lost_the_rest: bool) {
        if let Some(s) = self.stream(name) {
            s.stored = seq;
            s.queued = if lost_the_rest { seq } else { s.queued.max(seq) };
        }
    }
}

/// Every device in use.
#[derive(Debug, Default)]
pub(super) struct Directory(Mutex<HashMap<i64, Arc<Device>>>);

impl Directory {
    /// The device, loaded when it isn't there.
    pub async fn get(&self, db: &Db, tail: &Tail, org: &OrgId, number: i64) -> Result<Arc<Device>, Error> {
        if let Some(known) = self.known(org, number) {
            return Ok(known);
        }
        let rows = store::series_of(&mut db.read().await?, org, number).await?;
        let mut state = State { metrics: Vec::new(), by_name: HashMap::new(), streams: Vec::new(), used: Instant::now() };
        for row in rows {
            if let Some(place) = state.metric(&row.metric)
                && let Some(m) = state.at(place)
            {
                m.series = Some(row.id);
                m.latest = row.last_t.zip(row.last_v);
            }
        }
        let places: HashMap<i64, u16> = (0_u16..).zip(&state.metrics).filter_map(|(i, m)| Some((m.series?, i))).collect();
        for segment in tail.of(number).1 {
            for Point { series, t, v } in segment.points.iter().copied() {
                if let Some(place) = places.get(&series) {
                    state.saw(*place, t, v);
                }
            }
        }
        let fresh = Arc::new(Device { number, org: org.clone(), room: Arc::new(Semaphore::new(IN_FLIGHT)), state: Mutex::new(state) });
        // Of two that loaded it at once the first stays: frames may be in flight with it.
        let kept = Arc::clone(self.0.lock().entry(number).or_insert_with(|| Arc::clone(&fresh)));
        // Asked for on behalf of another organization, which finds no series of its own and must not find this one's.
        Ok(if kept.org == *org { kept } else { fresh })
    }

    /// The device, if it is in use.
    pub fn known(&self, org: &OrgId, number: i64) -> Option<Arc<Device>> {
        self.0.lock().get(&number).filter(|d| d.org == *org).cloned()
    }

    /// Forgets the newest values of a device, if it is in use.
    pub fn forget_latest(&self, number: i64) {
        let known = self.0.lock().get(&number).cloned();
        if let Some(device) = known {
            device.state.lock().metrics.iter_mut().for_each(|m| m.latest = None);
        }
    }

    /// Drops devices that nobody holds and that were silent for so long.
    pub fn drop_idle(&self, silent: std::time::Duration) {
        let mut all = self.0.lock();
        all.retain(|_, d| Arc::strong_count(d) > 1 || d.state.lock().used.elapsed() < silent);
        if all.capacity() > 4 * all.len().max(64) {
            all.shrink_to_fit();
        }
    }

    /// How many devices are in use.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }
}
