//! Which connections are open and by which certificate, so that a revocation can end them (H-5, H-6) and one certificate in two places is seen
//! . Refuses to know what flows over them.

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

/// Connections of one certificate that are compared with each other.
const LOOKED_AT: usize = 32;

/// The open connections of authenticated devices, over all listeners. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
    /// Those of each certificate that were not ended for being too many; the oldest comes first. Locked after `open`.
    by_certificate: Mutex<HashMap<Fingerprint, BTreeSet<u64>>>,
}

#[derive(Debug)]
struct Open {
    peer: Arc<DevicePeer>,
    /// What of its chain may be revoked beside its own certificate.
    between: Between,
    token: CancellationToken,
    from: IpAddr,
    /// How often it was heard.
    reads: Arc<AtomicU64>,
    /// The same when the newest connection by its certificate, whose number comes first, was seen beside it.
    reads_then: Option<(u64, u64)>,
}

/// A place in the registry; left when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Registry,
    id: u64,
}

impl Registry {
    /// Registers a connection; cancelling the token must end it, and `reads` grows while the other side speaks. Where its certificate has too many, the
    /// oldest of them is ended.
    pub(super) fn enter(
        &self,
        (peer, between): (Arc<DevicePeer>, Between),
        token: CancellationToken,
        from: IpAddr,
        reads: Arc<AtomicU64>,
    ) -> Registration {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let fingerprint = peer.fingerprint;
        let mut open = self.0.open.lock();
        open.insert(id, Open { peer, between, token, from, reads, reads_then: None });
        let mut by_certificate = self.0.by_certificate.lock();
        let own = by_certificate.entry(fingerprint).or_default();
        own.insert(id);
        let oldest = if own.len() > PER_CERTIFICATE { own.pop_first() } else { None };
        let oldest = oldest.and_then(|oldest| open.get(&oldest)).map(|one| (one.token.clone(), Arc::clone(&one.peer)));
        drop((by_certificate, open));
        // Cancelling may wake a task that leaves the registry at once.
        if let Some((token, peer)) = oldest {
            tracing::info!(device = %peer.device_id, certificate = %peer.certificate, "too many connections by one certificate; the oldest is cut");
            token.cancel();
        }
        Registration { registry: self.clone(), id }
    }

    /// How many connections are open.
    pub fn len(&self) -> usize {
        self.0.open.lock().len()
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
        let tokens: Vec<_> = self.0.open.lock().values().filter(condemned).map(|o| o.token.clone()).collect();
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
        let mut open = self.0.open.lock();
        let mut by_certificate: HashMap<Fingerprint, Vec<u64>> = HashMap::with_capacity(open.len());
        for (id, one) in open.iter() {
            by_certificate.entry(one.peer.fingerprint).or_default().push(*id);
        }
        let mut found = Vec::new();
        for ids in by_certificate.into_values() {
            let newest = ids.iter().copied().max().unwrap_or_default();
            let from: Vec<IpAddr> = ids.iter().take(LOOKED_AT).filter_map(|id| open.get(id)).map(|one| one.from).collect();
            let mut heard: Vec<(Arc<DevicePeer>, IpAddr)> = Vec::new();
            for id in ids.iter().take(LOOKED_AT) {
                let Some(one) = open.get_mut(id) else { continue };
                if !from.iter().any(|other| apart(one.from, *other)) {
                    one.reads_then = None;
                    continue;
                }
                let now = one.reads.load(Ordering::Relaxed);
                match one.reads_then {
                    Some((beside, then)) if beside == newest => {
                        if now > then {
                            heard.push((Arc::clone(&one.peer), one.from));
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
        let mut open = self.registry.0.open.lock();
        let Some(left) = open.remove(&self.id) else { return };
        let mut by_certificate = self.registry.0.by_certificate.lock();
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
