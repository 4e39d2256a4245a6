//! The certificate authority: authorities and their keys, certificates for devices and listeners, renewal, revocation, the memory that
//! handshakes ask, and what others are told: lists of revoked certificates and OCSP answers.
//!
//! Owns X.509 and every private key of the server. Refuses to know who may enrol (the `devices` room decides) and sockets (the listeners ask
//! [`TrustHandle`]). The rules are in the project's PKI contract and cited by id (`P-3`, `E-4`, `H-5` …).

mod authorities;
mod crl;
pub mod csr;
mod decode;
mod der;
mod error;
pub mod est;
mod generations;
mod issue;
mod keys;
mod listener;
mod ocsp;
mod profile;
mod read;
mod recognise;
mod renew;
mod responder;
mod revoke;
mod rotation;
mod statuses;
pub(crate) mod store;
mod trust;
mod worker;

#[cfg(test)]
mod tests;

pub use crl::PublishedCrl;
pub use csr::Csr;
pub use error::Error;
pub use issue::{Issued, NewLeaf};
pub use keys::{Kek, KeyError};
pub use listener::ServerIdentity;
/// The reader behind [`Pki::ocsp`], for those who try it with bytes of their own: the fuzz target.
pub use ocsp::{CertId as OcspCertId, MOST as MOST_OCSP_CERTIFICATES, Request as OcspRequest, request as read_ocsp_request};
pub use profile::Validity;
pub use responder::OcspAnswer;
pub use trust::{Anchors, DevicePeer, Fingerprint, Refusal, TrustHandle};

use crate::{bus::Bus, clock::Clock, db::Db, entropy::Entropy};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use wire::ids::OrgId;

/// What the room has to be told.
#[derive(Debug, Clone)]
pub struct PkiSettings {
    /// The host part of the identities inside certificates (pki.md P-3). Changing it cuts off every device enrolled before.
    pub trust_domain: String,
    /// DNS names and addresses devices reach our listeners by.
    pub device_hostnames: Vec<String>,
    /// `http://…` under which CRLs and authorities are published; frozen into new authorities (pki.md P-10). Without it certificates name none.
    pub crl_base_url: Option<String>,
}

#[cfg(any(test, feature = "testing"))]
impl PkiSettings {
    /// Names for tests: everything listens on the loopback.
    pub fn for_tests() -> Self {
        let device_hostnames = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        Self { trust_domain: "fleet.test".to_owned(), device_hostnames, crl_base_url: None }
    }
}

/// The room's façade.
pub struct Pki {
    db: Db,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bus: Bus,
    kek: Kek,
    trust_domain: String,
    hostnames: Vec<String>,
    base_url: String,
    authorities: ArcSwap<authorities::Authorities>,
    reloading: tokio::sync::Mutex<()>,
    identity: ArcSwapOption<ServerIdentity>,
    trust: TrustHandle,
    statuses: statuses::Statuses,
    published: crl::Published,
    responder: responder::Responder,
    first_uses: tokio::sync::Mutex<trust::FirstUses>,
}

impl Pki {
    /// The room over an open store, ready to issue and to be asked. First start: makes the organization's authorities. Every start: opens and
    /// tests their keys and takes certificates into memory. Fails when a key does not open or does not fit (pki.md K-2).
    pub async fn open(
        db: Db,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        bus: Bus,
        kek: Kek,
        settings: PkiSettings,
        org: &OrgId,
    ) -> Result<Self, Error> {
        let (trust, first_uses) = TrustHandle::new(clock.clone());
        let pki = Self {
            db,
            clock,
            entropy,
            bus,
            kek,
            trust_domain: settings.trust_domain,
            hostnames: settings.device_hostnames,
            base_url: settings.crl_base_url.unwrap_or_default().trim_end_matches('/').to_owned(),
            authorities: ArcSwap::default(),
            reloading: tokio::sync::Mutex::default(),
            identity: ArcSwapOption::empty(),
            trust,
            statuses: statuses::Statuses::default(),
            published: crl::Published::default(),
            responder: responder::Responder::default(),
            first_uses: tokio::sync::Mutex::new(first_uses),
        };
        pki.ensure_authorities(org).await?;
        Ok(pki)
    }

    /// Makes the organization's root, device and server authority when it has none. Idempotent, also on several instances at once.
    pub async fn ensure_authorities(&self, org: &OrgId) -> Result<(), Error> {
        self.forge().ensure(org).await?;
        self.reload().await
    }

    /// Reads authorities and changed certificates again; connections that are no longer allowed learn of it at once.
    pub async fn reload(&self) -> Result<(), Error> {
        {
            // One after the other: what was read before a change must not be stored after it.
            let _turn = self.reloading.lock().await;
            let all = self.forge().open(&self.authorities.load()).await?;
            self.trust.set_authorities(&all);
            self.authorities.store(Arc::new(all));
        }
        self.trust.reload(&self.db, &self.trust_domain).await?;
        self.statuses.reload(&self.db, &*self.clock).await
    }

    /// What the listeners ask.
    pub fn trust(&self) -> TrustHandle {
        self.trust.clone()
    }

    fn forge(&self) -> authorities::Forge<'_> {
        authorities::Forge { db: &self.db, kek: &self.kek, clock: &*self.clock, entropy: &*self.entropy, base_url: &self.base_url }
    }
}
