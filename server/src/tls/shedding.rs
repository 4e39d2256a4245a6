//! What a listener takes on at once, decided before any TLS work (attack list 26, 27), and of those that prove nothing also after it. Where one source
//! has all its places for handshakes, a silent one of it makes room for the next: whoever only connects keeps nobody out. Connections that are through
//! are never touched by it.

use super::{cut::STALL, reason::Reasons};
use fleet::source::Source;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Who has said nothing for so long makes room when there is none.
const QUIET: Duration = Duration::from_secs(1);

/// Longer than proxies keep a connection without a request: closed under their hands it costs somebody an answer.
pub(crate) const PROXY_KEEPS: Duration = Duration::from_secs(150);

/// Limits of one listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Handshakes under way.
    pub handshakes: usize,
    /// Handshakes under way from one source: an IPv4 address, a /64 of IPv6.
    pub handshakes_per_address: usize,
    /// Open connections from one source that show no device's certificate. Devices are bounded by their certificates, as thousands of them may be
    /// behind one address.
    pub strangers_per_address: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long the head of a request may take.
    pub head: Duration,
    /// How long the other side may take nothing of what is sent.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let ten = Duration::from_secs(10);
        Self {
            connections: 50_000,
            handshakes: 16_384,
            handshakes_per_address: 100,
            strangers_per_address: 256,
            handshake: ten,
            head: ten,
            stall: STALL,
        }
    }
}

/// Counters of one listener since its start.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections accepted by the system.
    pub accepted: AtomicU64,
    /// Closed unread because a limit was reached.
    pub shed: AtomicU64,
    /// Handshakes that failed, by why; where a proxy speaks for devices, also requests with a certificate that no handshake would take.
    pub failed: Reasons,
    /// Handshakes that ran out of time.
    pub timed_out: AtomicU64,
    /// Devices and claims refused after the handshake, by why: trust changed while it ran, or it is decided about them.
    pub refused: Reasons,
    /// Handshakes that succeeded.
    pub established: AtomicU64,
}

impl Stats {
    /// One was closed unread because a limit was reached.
    pub(crate) fn shed(&self, address: SocketAddr) {
        Self::count(&self.accepted);
        Self::count(&self.shed);
        tracing::debug!(%address, "too many connections; closed unread");
    }

    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Hands out the places.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    half_open: Queues,
    strangers: Tally,
}

/// A place among the open connections; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit);

/// A place among the handshakes; given back when dropped.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    _permit: OwnedSemaphorePermit,
    queued: Queued,
    source: Source,
    strangers: Tally,
}

impl HalfOpen {
    /// Lets it be known how often the other side was heard. From now on it may have to make room: cancelled when that is so, and its place is gone then.
    pub fn heard_by(&self, reads: Arc<AtomicU64>) -> CancellationToken {
        let out = CancellationToken::new();
        let heard = Heard { reads, known: 0, since: Instant::now(), out: out.clone() };
        let mut all = self.queued.queues.all.lock();
        if let Some(entry) =
            all.of.get_mut(&self.source).and_then(|queue| queue.iter_mut().find(|entry| entry.number == self.queued.number))
        {
            entry.heard = Some(heard);
        }
        out
    }

    /// A place among those of its source that show no device's certificate, for as long as the connection lives; none when there are too many.
    pub fn stay(self) -> Option<Counted> {
        self.strangers.count(self.source)
    }
}

/// The handshakes under way of each source, the oldest first.
#[derive(Debug, Clone)]
struct Queues {
    most: usize,
    all: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    of: HashMap<Source, VecDeque<Entry>>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// None of those that nobody listens to; they keep their place.
    heard: Option<Heard>,
}

#[derive(Debug)]
struct Heard {
    reads: Arc<AtomicU64>,
    /// How often at the last look, and since when it has not been more often.
    known: u64,
    since: Instant,
    out: CancellationToken,
}

impl Heard {
    fn is_silent(&self) -> bool {
        self.reads.load(Ordering::Relaxed) == 0
    }

    fn is_quiet(&mut self, now: Instant) -> bool {
        let reads = self.reads.load(Ordering::Relaxed);
        if reads != self.known {
            (self.known, self.since) = (reads, now);
        }
        now.duration_since(self.since) >= QUIET
    }
}

/// Sends the oldest away that has never said a word, or else the oldest that has said nothing for a while; false when each of them is speaking.
fn make_room(queue: &mut VecDeque<Entry>, now: Instant) -> bool {
    let silent = queue.iter().position(|entry| entry.heard.as_ref().is_some_and(Heard::is_silent));
    let quiet = || queue.iter_mut().position(|entry| entry.heard.as_mut().is_some_and(|heard| heard.is_quiet(now)));
    let Some(at) = silent.or_else(quiet) else { return false };
    if let Some(Entry { heard: Some(heard), .. }) = queue.remove(at) {
        heard.out.cancel();
    }
    true
}

impl Queues {
    fn of(most: usize) -> Self {
        Self { most, all: Arc::default() }
    }

    /// One more of this source, unless it has as many as it may and each of them is speaking.
    fn enter(&self, source: Source) -> Option<Queued> {
        let mut all = self.all.lock();
        let number = all.next;
        let queue = all.of.entry(source).or_default();
        if queue.len() >= self.most && !make_room(queue, Instant::now()) {
            return None;
        }
        queue.push_back(Entry { number, heard: None });
        all.next += 1;
        drop(all);
        Some(Queued { queues: self.clone(), source, number })
    }
}

/// One that is in its source's queue until it is dropped, or has made room.
#[derive(Debug)]
struct Queued {
    queues: Queues,
    source: Source,
    number: u64,
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut all = self.queues.all.lock();
        if let Some(queue) = all.of.get_mut(&self.source) {
            queue.retain(|entry| entry.number != self.number);
            if queue.is_empty() {
                all.of.remove(&self.source);
            }
        }
    }
}

/// How many there are of each source.
#[derive(Debug, Clone)]
struct Tally {
    most: usize,
    counts: Arc<Mutex<HashMap<Source, usize>>>,
}

impl Tally {
    fn of(most: usize) -> Self {
        Self { most, counts: Arc::default() }
    }

    /// One more of this source, unless it has as many as it may.
    fn count(&self, source: Source) -> Option<Counted> {
        let mut counts = self.counts.lock();
        let now = counts.get(&source).copied().unwrap_or(0);
        if now >= self.most {
            return None;
        }
        counts.insert(source, now + 1);
        drop(counts);
        Some(Counted { tally: self.clone(), source })
    }
}

/// One that is counted; counts no more when dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    tally: Tally,
    source: Source,
}

impl Gate {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            connections: Arc::new(Semaphore::new(limits.connections)),
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            half_open: Queues::of(limits.handshakes_per_address),
            strangers: Tally::of(limits.strangers_per_address),
        }
    }

    /// Places for a new connection, or none when a limit is reached.
    pub fn enter(&self, address: IpAddr) -> Option<(Place, HalfOpen)> {
        let place = Arc::clone(&self.connections).try_acquire_owned().ok()?;
        let permit = Arc::clone(&self.handshakes).try_acquire_owned().ok()?;
        let source = Source::from(address);
        let queued = self.half_open.enter(source)?;
        Some((Place(place), HalfOpen { _permit: permit, queued, source, strangers: self.strangers.clone() }))
    }

    /// Waits until every connection has ended.
    pub async fn empty(&self) {
        let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        // It fails only when the semaphore is closed, which nobody does.
        let _ = self.connections.acquire_many(all).await;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.tally.counts.lock();
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_only_so_many_places_and_gets_them_back() {
        let gate = Gate::new(Limits { handshakes_per_address: 3, strangers_per_address: 2, ..Limits::default() });
        let from = |address: &str| address.parse::<IpAddr>().unwrap();
        let enter = |address: &str| gate.enter(from(address));
        let (one, two, three) = (enter("192.0.2.1"), enter("::ffff:192.0.2.1"), enter("192.0.2.1"));
        assert!(three.is_some() && enter("192.0.2.1").is_none(), "three handshakes are under way");
        assert!(enter("192.0.2.2").is_some(), "another source");
        let stay = |entered: Option<(Place, HalfOpen)>| entered.and_then(|(place, half_open)| Some((place, half_open.stay()?)));
        let (one, two) = (stay(one), stay(two));
        assert!(one.is_some() && two.is_some());
        assert!(stay(three).is_none(), "two that show nothing stay");
        assert!(stay(enter("192.0.2.1")).is_none());
        drop(one);
        assert!(stay(enter("192.0.2.1")).is_some());
        // A network of IPv6 is one source.
        let network: Vec<_> = ["2001:db8::1", "2001:db8::2:0:0:1", "2001:db8::3"].map(enter).into_iter().map(stay).collect();
        assert_eq!(network.iter().filter(|stayed| stayed.is_some()).count(), 2);
        drop((two, network));
        assert!(gate.half_open.all.lock().of.is_empty() && gate.strangers.counts.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_26_the_oldest_that_says_nothing_makes_room_and_who_speaks_stays() {
        let gate = Gate::new(Limits { handshakes_per_address: 2, ..Limits::default() });
        let enter = || gate.enter("192.0.2.1".parse().unwrap());
        let heard = |times| Arc::new(AtomicU64::new(times));
        let ((_a, a), (_b, b)) = (enter().unwrap(), enter().unwrap());
        assert!(enter().is_none(), "nobody listens to them");
        let reads = heard(1);
        let (a_out, b_out) = (a.heard_by(Arc::clone(&reads)), b.heard_by(heard(0)));
        let (_c, c) = enter().expect("the silent one makes room");
        assert!(b_out.is_cancelled() && !a_out.is_cancelled());
        let c_out = c.heard_by(heard(1));
        assert!(enter().is_none(), "both have spoken");
        tokio::time::advance(QUIET).await;
        reads.fetch_add(1, Ordering::Relaxed);
        let (_d, _d_half) = enter().expect("the quiet one makes room");
        assert!(c_out.is_cancelled() && !a_out.is_cancelled(), "the older one goes on speaking");
        drop((a, b, c));
        assert_eq!(gate.half_open.all.lock().of.values().map(VecDeque::len).sum::<usize>(), 1);
    }
}
