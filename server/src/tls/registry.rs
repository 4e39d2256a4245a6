//! Which connections are open and by which certificate, so that a revocation can end them (H-5, H-6) and one certificate in two places is seen
//! . Refuses to know what flows over them.

use super::admission::Over;
use fleet::pki::{Between, DevicePeer, Fingerprint, Sign, TrustHandle, apart};
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How often validity is looked at when nothing is told: certificates also end by themselves.
const SWEEP: Duration = Duration::from_secs(5);
/// Two looks at every connection are at least this far apart, so that a mass enrolment costs little.
const PAUSE: Duration = Duration::from_millis(50);

/// Open connections of one certificate: a device has a handful. One more ends the oldest: a device whose connections break unnoticed is never kept
/// out by what they left behind.
const PER_CERTIFICATE: usize = 64;

/// Connections of one certificate that are compared with each other, the newest ones.
const LOOKED_AT: usize = 32;

/// The open connections of authenticated devices, over all listeners. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    next: AtomicU64,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    open: HashMap<u64, Open>,
    /// Those of each certificate that were not ended for being too many; the oldest comes first.
    by_certificate: HashMap<Fingerprint, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Open {
    peer: Arc<DevicePeer>,
    /// What of its chain may be revoked beside its own certificate.
    between: Between,
    token: CancellationToken,
    /// None where a proxy alone knows.
    from: Option<IpAddr>,
    /// How often it was heard.
    reads: Arc<AtomicU64>,
    /// The same when the newest connection by its certificate, whose number comes first, was seen beside it.
    reads_then: Option<(u64, u64)>,
}

/// A place in the registry; left when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Registry,
    id: u64,
}

impl Registry {
    /// Registers a connection, or what a device asks over a proxy's. Where its certificate has too many, the oldest of them is ended.
    pub(super) fn enter(&self, (peer, between): (Arc<DevicePeer>, Between), Over { token, reads, from }: Over) -> Registration {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let fingerprint = peer.fingerprint;
        let mut connections = self.0.connections.lock();
        let Connections { open, by_certificate } = &mut *connections;
        open.insert(id, Open { peer, between, token, from, reads, reads_then: None });
        let own = by_certificate.entry(fingerprint).or_default();
        own.insert(id);
        let oldest = if own.len() > PER_CERTIFICATE { own.pop_first() } else { None };
        let oldest = oldest.and_then(|oldest| open.get(&oldest)).map(|one| (one.token.clone(), Arc::clone(&one.peer)));
        drop(connections);
        // Cancelling may wake a task that leaves the registry at once.
        if let Some((token, peer)) = oldest {
            tracing::info!(device = %peer.device_id, certificate = %peer.certificate, "too many connections by one certificate; the oldest is cut");
            token.cancel();
        }
        Registration { registry: self.clone(), id }
    }

    /// How many connections are open.
    pub fn len(&self) -> usize {
        self.0.connections.lock().open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends every connection whose certificate, or what stands between it and its authority, is no longer allowed; says how many.
    pub fn cut_refused(&self, trust: &TrustHandle) -> usize {
        let condemned = |open: &&Open| match trust.still_over(&open.peer.fingerprint, &open.between) {
            Ok(()) => false,
            Err(refusal) => {
                tracing::info!(device = %open.peer.device_id, certificate = %open.peer.certificate, %refusal, "connection cut");
                true
            }
        };
        // Cancelling wakes tasks that may leave the registry at once, so it happens outside the lock.
        let tokens: Vec<_> = self.0.connections.lock().open.values().filter(condemned).map(|o| o.token.clone()).collect();
        tokens.iter().for_each(CancellationToken::cancel);
        tokens.len()
    }
}

impl Registry {
    /// Tells of certificates that are connected from two networks, of which both were heard since they were first seen side by side. A device
    /// that has moved leaves a connection behind, but does not speak on it any more.
    pub fn tell_clones(&self, trust: &TrustHandle) {
        for (peer, addresses) in self.clones() {
            trust.suspect(&peer, Sign::TwoNetworks(addresses));
        }
    }

    fn clones(&self) -> Vec<(Arc<DevicePeer>, [IpAddr; 2])> {
        let mut connections = self.0.connections.lock();
        let Connections { open, by_certificate } = &mut *connections;
        let mut found = Vec::new();
        // One connection is in one place.
        for own in by_certificate.values().filter(|own| own.len() > 1) {
            let newest = own.last().copied().unwrap_or_default();
            let ids = || own.iter().rev().take(LOOKED_AT);
            let from: Vec<IpAddr> = ids().filter_map(|id| open.get(id)?.from).collect();
            let mut heard: Vec<(Arc<DevicePeer>, IpAddr)> = Vec::new();
            for id in ids() {
                let Some(one) = open.get_mut(id) else { continue };
                // Behind a proxy that does not say where its devices are, all of them are in one place.
                let Some(at) = one.from else { continue };
                if !from.iter().any(|other| apart(at, *other)) {
                    one.reads_then = None;
                    continue;
                }
                let now = one.reads.load(Ordering::Relaxed);
                match one.reads_then {
                    Some((beside, then)) if beside == newest => {
                        if now > then {
                            heard.push((Arc::clone(&one.peer), at));
                        }
                    }
                    // Somebody new is there; what was said before that is no sign.
                    _ => one.reads_then = Some((newest, now)),
                }
            }
            let two = heard.iter().find_map(|(peer, one)| {
                let (_, other) = heard.iter().find(|(_, other)| apart(*one, *other))?;
                Some((Arc::clone(peer), [one.to_canonical(), other.to_canonical()]))
            });
            found.extend(two);
        }
        found
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut connections = self.registry.0.connections.lock();
        let Connections { open, by_certificate } = &mut *connections;
        let Some(left) = open.remove(&self.id) else { return };
        if let Some(own) = by_certificate.get_mut(&left.peer.fingerprint) {
            own.remove(&self.id);
            if own.is_empty() {
                by_certificate.remove(&left.peer.fingerprint);
            }
        }
    }
}

/// Works until it is dropped: whenever trust changes, and every few seconds, ends the connections that are no longer allowed; every few seconds looks
/// for clones.
pub async fn follow(registry: Registry, trust: TrustHandle) {
    let mut changes = trust.changes();
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        registry.cut_refused(&trust);
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            // However often trust changes, clones are looked for.
            biased;
            _ = sweep.tick() => registry.tell_clones(&trust),
            told = changes.changed() => if told.is_err() { return },
        }
    }
}
