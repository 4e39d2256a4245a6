//! What a listener takes on at once, decided before any TLS work (attack list 26, 27). Connections that are through are never touched by it.

use super::reason::Reasons;
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
    /// Handshakes under way from one address.
    pub handshakes_per_address: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long the head of a request may take.
    pub head: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let ten = Duration::from_secs(10);
        Self { connections: 50_000, handshakes: 16_384, handshakes_per_address: 100, handshake: ten, head: ten }
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
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Hands out the places.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place among the open connections; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit);

/// A place among the handshakes; given back when dropped.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    _permit: OwnedSemaphorePermit,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl Gate {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            connections: Arc::new(Semaphore::new(limits.connections)),
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            addresses: Arc::default(),
        }
    }

    /// Places for a new connection, or none when a limit is reached.
    pub fn enter(&self, address: IpAddr) -> Option<(Place, HalfOpen)> {
        let place = Arc::clone(&self.connections).try_acquire_owned().ok()?;
        let permit = Arc::clone(&self.handshakes).try_acquire_owned().ok()?;
        // An IPv4 client on an IPv6 socket is the same client.
        let address = address.to_canonical();
        let mut addresses = self.addresses.lock();
        let under_way = addresses.entry(address).or_insert(0);
        if *under_way >= self.limits.handshakes_per_address {
            return None;
        }
        *under_way += 1;
        drop(addresses);
        Some((Place(place), HalfOpen { _permit: permit, addresses: Arc::clone(&self.addresses), address }))
    }

    /// Waits until every connection has ended.
    pub async fn empty(&self) {
        let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        // It fails only when the semaphore is closed, which nobody does.
        let _ = self.connections.acquire_many(all).await;
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock();
        if let Some(under_way) = addresses.get_mut(&self.address) {
            *under_way -= 1;
            if *under_way == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}
