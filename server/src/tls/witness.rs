//! What the check of a certificate saw, for the task whose handshake it was: rustls gives its verifier no way to say more than an alert. Each handshake is
//! polled by one task at a time, and the check runs inside that. Refuses to judge.

use super::reason::Reason;
use fleet::pki::{RegisteredAnchor, TrustHandle};
use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

/// A certificate that was refused.
#[derive(Debug)]
pub(super) struct Seen {
    /// Why.
    pub reason: Reason,
    /// The certificate, DER.
    pub leaf: Vec<u8>,
    /// At which listener.
    pub listener: &'static str,
    /// The registered authority that has signed it, and what its owner is told, where the certificate or its way there is to blame.
    pub unfit: Option<(Arc<RegisteredAnchor>, &'static str)>,
}

impl Seen {
    /// Tells of it where that is a sign of attack. Waits for nothing.
    pub fn tell(&self, trust: &TrustHandle, from: IpAddr) {
        if matches!(self.reason, Reason::NeverIssued | Reason::NotYetKnown) {
            // Whether it is one, the database is asked first.
            trust.unknown_from(&self.leaf, from);
        } else if let Some((anchor, why)) = &self.unfit {
            // It is nobody's attack on us: the owner of its authority has something to mend, and hears of it.
            trust.unfit(&self.leaf, anchor, why, from);
        } else if let Some(kind) = self.reason.sign() {
            trust.refused(kind, &self.leaf, from, self.listener);
        }
    }
}

tokio::task_local! { static WITNESS: Arc<OnceLock<Seen>>; }

/// Runs a handshake; what its check saw is in the lock afterwards, also when the handshake was given up.
pub(super) async fn watched<F: Future>(handshake: F) -> (F::Output, Arc<OnceLock<Seen>>) {
    let seen = Arc::new(OnceLock::new());
    (WITNESS.scope(Arc::clone(&seen), handshake).await, seen)
}

/// The same of a check outside of any handshake, which waits for nothing.
pub(super) fn watching<T>(check: impl FnOnce() -> T) -> (T, Arc<OnceLock<Seen>>) {
    let seen = Arc::new(OnceLock::new());
    (WITNESS.sync_scope(Arc::clone(&seen), check), seen)
}

/// Says what was seen; nobody listens outside of [`watched`] and [`watching`]. The first word counts.
pub(super) fn note(seen: Seen) {
    // An error says that there is no such scope.
    let _ = WITNESS.try_with(|witness| witness.set(seen));
}
