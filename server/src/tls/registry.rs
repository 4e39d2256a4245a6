//! Which connections are open and by which certificate, so that a revocation can end them (H-5, H-6). Refuses to know what flows over them.

use fleet::pki::{DevicePeer, TrustHandle};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
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

/// The open connections of authenticated devices, over all listeners. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
}

#[derive(Debug)]
struct Open {
    peer: Arc<DevicePeer>,
    token: CancellationToken,
}

/// A place in the registry; left when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Registry,
    id: u64,
}

impl Registry {
    /// Registers a connection; cancelling the token must end it.
    pub(super) fn enter(&self, peer: Arc<DevicePeer>, token: CancellationToken) -> Registration {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.0.open.lock().insert(id, Open { peer, token });
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

    /// Ends every connection whose certificate is no longer allowed; says how many.
    pub fn cut_refused(&self, trust: &TrustHandle) -> usize {
        let condemned = |open: &&Open| match trust.still(&open.peer.fingerprint) {
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

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.0.open.lock().remove(&self.id);
    }
}

/// Works until it is dropped: whenever trust changes, and every few seconds, ends the connections that are no longer allowed.
pub async fn follow(registry: Registry, trust: TrustHandle) {
    let mut changes = trust.changes();
    loop {
        registry.cut_refused(&trust);
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            told = changes.changed() => if told.is_err() { return },
            () = tokio::time::sleep(SWEEP) => {}
        }
    }
}
