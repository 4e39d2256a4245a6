//! Who has shown a certificate that was checked, registered for as long as that counts; and the same check of one that a proxy has passed on, where no
//! handshake of ours could make it (H-8). Refuses to know how a certificate came here, and what its device asks for.

use super::{
    config::{Time, provider},
    reason::Reason,
    registry::{Registration, Registry},
    shedding::Stats,
    verifier::DeviceVerifier,
    witness::watching,
};
use fleet::{
    clock::Clock,
    pki::{Claimant, DevicePeer, Refusal, TrustHandle},
};
use rustls::{CertificateError, server::danger::ClientCertVerifier as _, time_provider::TimeProvider as _};
use rustls_pki_types::CertificateDer;
use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicU64},
};
use tokio_util::sync::CancellationToken;

/// The connection that a device speaks over.
#[derive(Debug, Clone)]
pub(crate) struct Over {
    /// Cancelled, it must end.
    pub token: CancellationToken,
    /// Grows while the other side speaks.
    pub reads: Arc<AtomicU64>,
    /// Where the device is; none where nobody knows.
    pub from: Option<IpAddr>,
}

/// Lets a device in by its certificate and what was shown above that, the chain of which was checked. Registers first, then checks: a revocation that comes
/// in between finds it in the registry, one that came before is seen here (H-5).
pub(super) fn enter(
    trust: &TrustHandle,
    registry: &Registry,
    (leaf, above): (&CertificateDer<'_>, &[CertificateDer<'_>]),
    over: Over,
) -> Result<(Arc<DevicePeer>, Registration), Refusal> {
    let from = over.from.map(|from| from.to_canonical());
    let peer = match trust.check(leaf) {
        Err(arriving @ Refusal::Arriving) => {
            // It has proved its key; a worker decides whether its next connection is let in (E-10).
            trust.arrived(leaf, from);
            return Err(arriving);
        }
        checked => Arc::new(checked?),
    };
    let between = trust.between(&peer.fingerprint, above);
    let entered = registry.enter((Arc::clone(&peer), between.clone()), over);
    trust.still_over(&peer.fingerprint, &between)?;
    trust.seen(&peer, from);
    Ok((peer, entered))
}

/// Whose certificate a proxy has passed on.
#[derive(Debug)]
pub(crate) enum Vouched {
    /// A device's. It may act until its registration is dropped, or the connection's token is cancelled.
    Device(Arc<DevicePeer>, Registration),
    /// A claim's.
    Claim(Arc<Claimant>),
}

/// Checks certificates that a proxy has passed on, each as the handshake of a listener would: by the same verifier, over the same trust, with the same words
/// for the books. That whoever showed it holds its key, the proxy has seen.
#[derive(Debug)]
pub(crate) struct Judge {
    trust: TrustHandle,
    registry: Registry,
    /// As on the device listener, where a claim's chain ends nowhere.
    devices: DeviceVerifier,
    /// As on the enrol listener, asked about claims alone.
    claims: DeviceVerifier,
    time: Time,
    stats: Arc<Stats>,
}

impl Judge {
    /// One over this trust, which counts what it refuses.
    pub fn new(trust: TrustHandle, registry: Registry, clock: Arc<dyn Clock>, stats: Arc<Stats>) -> Self {
        let provider = provider();
        let verifier = |mandatory| DeviceVerifier::new(trust.clone(), Arc::clone(&provider), mandatory).named("proxy");
        let (devices, claims) = (verifier(true), verifier(false));
        Self { trust, registry, devices, claims, time: Time(clock), stats }
    }

    /// Whose certificate it is, and that it may be used now. `proxy` is whom we know it from.
    pub fn admit(&self, leaf: &CertificateDer<'_>, over: Over, proxy: IpAddr) -> Result<Vouched, Reason> {
        self.follow(leaf, over.from.unwrap_or(proxy)).inspect_err(|reason| self.stats.failed.count(*reason))?;
        self.enter(leaf, over).map_err(|refusal| {
            let reason = Reason::of_refusal(refusal);
            self.stats.refused.count(reason);
            reason
        })
    }

    /// What happens in a handshake. The certificates above it are nobody's business here: ours are known, and proxies seldom pass on others.
    fn follow(&self, leaf: &CertificateDer<'_>, from: IpAddr) -> Result<(), Reason> {
        let verifier = if self.trust.claim(leaf).is_some() { &self.claims } else { &self.devices };
        let check = || {
            // Without a time nothing can be judged.
            let now = self.time.current_time().ok_or(CertificateError::ApplicationVerificationFailure)?;
            verifier.verify_client_cert(leaf, &[], now)
        };
        let (verified, seen) = watching(check);
        let Err(error) = verified else { return Ok(()) };
        let Some(seen) = seen.get() else { return Err(Reason::of_chain(&error)) };
        seen.tell(&self.trust, from);
        Err(seen.reason)
    }

    /// What happens after it.
    fn enter(&self, leaf: &CertificateDer<'_>, over: Over) -> Result<Vouched, Refusal> {
        if let Some(claim) = self.trust.claim(leaf) {
            return claim.map(|claim| Vouched::Claim(Arc::new(claim)));
        }
        enter(&self.trust, &self.registry, (leaf, &[]), over).map(|(peer, entered)| Vouched::Device(peer, entered))
    }
}
