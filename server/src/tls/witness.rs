//! What the check of a certificate saw, for the task whose handshake it was: rustls gives its verifier no way to say more than an alert. Each handshake is
//! polled by one task at a time, and the check runs inside that. Refuses to judge.

use super::reason::Reason;
use fleet::pki::RegisteredAnchor;
use std::sync::{Arc, OnceLock};

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

tokio::task_local! { static WITNESS: Arc<OnceLock<Seen>>; }

/// Runs a handshake; what its check saw is in the lock afterwards, also when the handshake was given up.
pub(super) async fn watched<F: Future>(handshake: F) -> (F::Output, Arc<OnceLock<Seen>>) {
    let seen = Arc::new(OnceLock::new());
    (WITNESS.scope(Arc::clone(&seen), handshake).await, seen)
}

/// Says what was seen; nobody listens outside of [`watched`]. The first word counts.
pub(super) fn note(seen: Seen) {
    // An error says that there is no such scope.
    let _ = WITNESS.try_with(|witness| witness.set(seen));
}
