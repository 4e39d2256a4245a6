//! What a listener takes on at once, decided before any TLS work (attack list 26, 27), and of those that prove nothing also after it. Connections that
//! are through are never touched by it.

use super::reason::Reasons;
use fleet::source::Source;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
}

impl Default for Limits {
    fn default() -> Self {
        let ten = Duration::from_secs(10);
        Self { connections: 50_000, handshakes: 16_384, handshakes_per_address: 100, strangers_per_address: 256, handshake: ten, head: ten }
    }
}

/// Counters of one listener since its start.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections accepted by the system.
    pub accepted: AtomicU64,
    /// Closed unread because a limit was reached.
    pub shed: AtomicU64,
    /// Handshakes that failed, by why.
    pub failed: Reasons,
    /// Handshakes that ran out of time.
    pub timed_out: AtomicU64,
    /// Devices and claims refused after the handshake, by why: trust changed while it ran, or it is decided about them.
    pub refused: Reasons,
    /// Handshakes that succeeded.
    pub established: AtomicU64,
}

impl Stats {
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
    half_open: Tally,
    strangers: Tally,
}

/// A place among the open connections; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit);

/// A place among the handshakes; given back when dropped.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
    source: Source,
    strangers: Tally,
}

impl HalfOpen {
    /// A place among those of its source that show no device's certificate, for as long as the connection lives; none when there are too many.
    pub fn stay(self) -> Option<Counted> {
        self.strangers.count(self.source)
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
            half_open: Tally::of(limits.handshakes_per_address),
            strangers: Tally::of(limits.strangers_per_address),
        }
    }

    /// Places for a new connection, or none when a limit is reached.
    pub fn enter(&self, address: IpAddr) -> Option<(Place, HalfOpen)> {
        let place = Arc::clone(&self.connections).try_acquire_owned().ok()?;
        let permit = Arc::clone(&self.handshakes).try_acquire_owned().ok()?;
        let source = Source::from(address);
        let counted = self.half_open.count(source)?;
        Some((Place(place), HalfOpen { _permit: permit, _counted: counted, source, strangers: self.strangers.clone() }))
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
        assert!(gate.half_open.counts.lock().is_empty() && gate.strangers.counts.lock().is_empty());
    }
}
