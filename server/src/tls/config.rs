//! The TLS configurations: `device`, where a client certificate is a must, `enrol`, where it is optional (H-1), and `proxy`, where none is asked for (H-8).
//! None resumes sessions (H-2), all present what the PKI says at this moment.

use super::verifier::DeviceVerifier;
use arc_swap::ArcSwapOption;
use fleet::{
    clock::Clock,
    pki::{Pki, ServerIdentity},
};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};
use rustls_pki_types::UnixTime;
use std::{sync::Arc, time::Duration};

/// Why a listener can't be configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener's certificate could not be made.
    #[error(transparent)]
    Pki(#[from] fleet::pki::Error),
    /// rustls refuses the configuration.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// For the device listener: a client certificate that the PKI lets in, or no handshake.
pub async fn device(pki: &Arc<Pki>, clock: Arc<dyn Clock>) -> Result<Arc<ServerConfig>, Error> {
    pki.renew_identity().await?;
    // A device asks for one thing at a time, and most of its bytes are firmware: without HTTP/2's frames and windows they cost both sides less.
    // Who speaks nothing else gets it.
    build(pki, clock, devices(pki, true), &[b"http/1.1", b"h2"])
}

/// For the enrol listener: the same check when a certificate is presented. No HTTP/2: the device stacks that enrol speak nothing newer than 1.1,
/// some only 1.0 (E-12).
pub async fn enrol(pki: &Arc<Pki>, clock: Arc<dyn Clock>) -> Result<Arc<ServerConfig>, Error> {
    pki.renew_identity().await?;
    build(pki, clock, devices(pki, false), &[b"http/1.1", b"http/1.0"])
}

/// For a proxy's way to us: no client certificate is asked for, as devices' come in a header (H-8). Each request is a device's own, so there is no HTTP/2 here
/// either: what is cut off is then one request's connection.
pub async fn proxy(pki: &Arc<Pki>, clock: Arc<dyn Clock>) -> Result<Arc<ServerConfig>, Error> {
    pki.renew_identity().await?;
    build(pki, clock, WebPkiClientVerifier::no_client_auth(), &[b"http/1.1"])
}

/// The one cryptography of every handshake.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn devices(pki: &Arc<Pki>, mandatory: bool) -> Arc<dyn ClientCertVerifier> {
    Arc::new(DeviceVerifier::new(pki.trust(), provider(), mandatory))
}

fn build(
    pki: &Arc<Pki>,
    clock: Arc<dyn Clock>,
    verifier: Arc<dyn ClientCertVerifier>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, Error> {
    let provider = provider();
    let resolver = Presented { pki: Arc::clone(pki), provider: Arc::clone(&provider), current: ArcSwapOption::empty() };
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(Time(clock)))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(resolver));
    // A resumed session skips the check of the client's certificate: a revoked device would come back with an old ticket (H-2).
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    Ok(Arc::new(config))
}

/// The injected clock, as rustls asks for it.
pub(super) struct Time(pub Arc<dyn Clock>);

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0.now().0).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

/// Presents the PKI's current listener certificate; a renewed one is used from the next handshake on.
struct Presented {
    pki: Arc<Pki>,
    provider: Arc<CryptoProvider>,
    current: ArcSwapOption<(Arc<ServerIdentity>, Arc<CertifiedKey>)>,
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Presented")
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let identity = self.pki.server_identity()?;
        if let Some(current) = self.current.load().as_ref()
            && Arc::ptr_eq(&current.0, &identity)
        {
            return Some(Arc::clone(&current.1));
        }
        match CertifiedKey::from_der(identity.chain.clone(), identity.key.clone_key(), &self.provider) {
            Ok(made) => {
                let made = Arc::new(made);
                self.current.store(Some(Arc::new((identity, Arc::clone(&made)))));
                Some(made)
            }
            Err(error) => {
                tracing::error!(%error, "the listener's certificate can't be used");
                None
            }
        }
    }
}
