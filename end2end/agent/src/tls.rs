//! TLS from the device's side: whom it believes, and how it shows who it is.
//!
//! Owns the client configurations (TLS 1.2 and 1.3, one provider, no resumption: the listeners refuse it, H-2) and the first contact,
//! where all a device has is the fingerprint of a root. Refuses to know what is said over the connection.

use crate::clock::Clock;
use aws_lc_rs::digest;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    time_provider::TimeProvider,
};
use std::{
    fmt, io,
    str::FromStr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Most time for name resolution, TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(15);

/// Why there is no secure connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not `https://host[:port]`.
    #[error("{0:?} is not an address of the form https://host:port")]
    Address(String),
    /// Nobody answered there, or not in time.
    #[error("cannot reach {address}: {source}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server's certificate does not lead to a root that this device believes, or is not for this address.
    #[error("{address} is not believed ({reason}); check the address and the root's fingerprint")]
    Distrusted {
        /// Host and port.
        address: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The handshake broke, or there is no TLS version in common.
    #[error("the secure connection to {address} failed: {source}")]
    Handshake {
        /// Host and port.
        address: String,
        /// What TLS said.
        source: io::Error,
    },
    /// Certificates or a key that cannot be used.
    #[error("unusable certificate or key: {0}")]
    Material(String),
}

/// The SHA-256 of a certificate's DER: what an operator pastes to pin a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of this certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
        Self(out)
    }
}

impl FromStr for Fingerprint {
    type Err = String;
    /// 64 hex digits of either case, with or without colons between the bytes.
    fn from_str(s: &str) -> Result<Self, String> {
        let mut out = [0; 32];
        hex::decode_to_slice(s.replace(':', ""), &mut out)
            .map_err(|_| format!("{s:?} is not a SHA-256 fingerprint: expected 64 hex digits"))?;
        Ok(Self(out))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Whom the device believes before it has an identity of its own.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The root with this fingerprint, which the server sends along with its chain.
    Pinned(Fingerprint),
    /// These roots.
    Roots(Vec<CertificateDer<'static>>),
}

/// A host and a port that speak TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl FromStr for Endpoint {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        let bad = || Error::Address(s.to_owned());
        let uri: http::Uri = s.parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?.trim_start_matches('[').trim_end_matches(']');
        if uri.scheme_str() != Some("https") || host.is_empty() || !matches!(uri.path(), "" | "/") {
            return Err(bad());
        }
        Ok(Self { host: host.to_owned(), port: uri.port_u16().unwrap_or(443) })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Certificates from PEM text, at least one.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Error::Material(format!("not a PEM certificate: {e}")))?;
    if found.is_empty() { Err(Error::Material("no PEM certificate in it".into())) } else { Ok(found) }
}

/// A store of these roots, to be shared by every configuration that trusts them.
pub fn roots(certificates: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, Error> {
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store.add(certificate.clone()).map_err(|e| Error::Material(e.to_string()))?;
    }
    Ok(Arc::new(store))
}

/// A shared certificate and its key, by which devices ask for their own (E-9).
pub struct Claim {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Claim {
    /// Of the certificate, with those above it, and the key, both PEM.
    pub fn of(certificates: &[u8], key: &[u8]) -> Result<Self, Error> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| Error::Material(e.to_string()))?;
        Ok(Self { chain: self::certificates(certificates)?, key })
    }

    /// Of the certificate alone and the key in PKCS#8, both DER: what an enrolment code holds.
    pub fn of_der(certificate: Vec<u8>, key: Vec<u8>) -> Self {
        Self { chain: vec![certificate.into()], key: PrivateKeyDer::Pkcs8(key.into()) }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claim")
    }
}

/// The configuration of a device without an identity of its own; with a claim it shows that.
pub fn anonymous(trust: &Trust, claim: Option<&Claim>, clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>, Error> {
    let builder = builder(clock)?;
    let config = match trust {
        Trust::Roots(certificates) => builder.with_root_certificates(roots(certificates)?),
        Trust::Pinned(root) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(PinnedRoot { root: *root, provider: provider() }))
        }
    };
    let mut config = match claim {
        None => config.with_no_client_auth(),
        Some(claim) => config
            .with_client_auth_cert(claim.chain.clone(), claim.key.clone_key())
            .map_err(|e| Error::Material(format!("the claim: {e}")))?,
    };
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The configuration of a device that shows its certificate (`chain`, leaf first).
pub fn mutual(
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<ClientConfig>, Error> {
    let mut config =
        builder(clock)?.with_root_certificates(roots).with_client_auth_cert(chain, key).map_err(|e| Error::Material(e.to_string()))?;
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Opens a connection. In TLS 1.3 a client learns only from its first read that its certificate was refused: see [`refused`].
pub async fn connect(config: &Arc<ClientConfig>, endpoint: &Endpoint) -> Result<TlsStream<TcpStream>, Error> {
    let address = endpoint.to_string();
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    let attempt = async {
        let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
            .await
            .and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp))
            .map_err(|source| Error::Unreachable { address: address.clone(), source })?;
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|_| Error::Address(address.clone()))?;
        TlsConnector::from(Arc::clone(config)).connect(name, tcp).await.map_err(|source| {
            match source.get_ref().and_then(|e| e.downcast_ref()) {
                Some(rustls::Error::InvalidCertificate(reason)) => {
                    Error::Distrusted { address: address.clone(), reason: reason.to_string() }
                }
                _ => Error::Handshake { address: address.clone(), source },
            }
        })
    };
    match tokio::time::timeout(CONNECT, attempt).await {
        Ok(done) => done,
        Err(_) => Err(Error::Unreachable { address: address.clone(), source: late() }),
    }
}

/// Whether this error is the server's alert that it does not accept our certificate (H-3).
pub fn refused(error: &io::Error) -> bool {
    use rustls::AlertDescription as A;
    let alert = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        alert,
        Some(rustls::Error::AlertReceived(
            A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::CertificateRequired
                | A::BadCertificate
                | A::UnsupportedCertificate
                | A::UnknownCA
                | A::AccessDenied
        ))
    )
}

/// The one provider, shared by every configuration of the process.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

fn builder(clock: Arc<dyn Clock>) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, Error> {
    ClientConfig::builder_with_details(provider(), Arc::new(ByClock(clock)))
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Material(e.to_string()))
}

/// The injected clock, as TLS asks for it.
#[derive(Debug)]
struct ByClock(Arc<dyn Clock>);

impl TimeProvider for ByClock {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0.now().millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

/// Accepts a server whose chain ends in the root with the pinned fingerprint. The root has to be in what the server sends; everything else
/// (signatures, validity, name) is checked as for any other root.
#[derive(Debug)]
struct PinnedRoot {
    root: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedRoot {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let root = intermediates.iter().find(|certificate| Fingerprint::of(certificate) == self.root);
        let root = root.ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut anchors = RootCertStore::empty();
        anchors.add(root.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(anchors), Arc::clone(&self.provider))
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?;
        // The anchor is not an intermediate of itself.
        let between: Vec<_> = intermediates.iter().filter(|c| *c != root).cloned().collect();
        verifier.verify_server_cert(end_entity, &between, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_hosts_without_a_path() {
        let ok = |s: &str| s.parse::<Endpoint>().unwrap().to_string();
        assert_eq!(ok("https://fleet.example:8444"), "fleet.example:8444");
        assert_eq!(ok("https://fleet.example/"), "fleet.example:443");
        assert_eq!(ok("https://[::1]:8444"), "[::1]:8444");
        for bad in ["http://fleet.example", "fleet.example:8444", "https://", "https://fleet.example/path", ""] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn fingerprints_read_with_and_without_colons() {
        let text = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(text.parse::<Fingerprint>().unwrap(), colons.parse::<Fingerprint>().unwrap());
        assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), text);
        assert!("ab".parse::<Fingerprint>().is_err());
    }

    /// A root, an issuing authority and a server leaf for `127.0.0.1`, as the enrol listener sends them.
    fn chain() -> Vec<CertificateDer<'static>> {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let ca = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params
        };
        let (root_key, ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (root, issuing) = (ca("root"), ca("issuing"));
        let root_der = root.self_signed(&root_key).unwrap().der().clone();
        let root = Issuer::new(root, root_key);
        let issuing_der = issuing.signed_by(&ca_key, &root).unwrap().der().clone();
        let issuing = Issuer::new(issuing, ca_key);
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuing).unwrap();
        vec![leaf.der().clone(), issuing_der, root_der]
    }

    fn verify(pin: Fingerprint, chain: &[CertificateDer<'static>], host: &str) -> Result<(), rustls::Error> {
        let verifier = PinnedRoot { root: pin, provider: provider() };
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_hours(500_000));
        verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now).map(|_| ())
    }

    #[test]
    fn a_pinned_root_vouches_for_its_own_chain_only() {
        let (ours, theirs) = (chain(), chain());
        let pin = Fingerprint::of(&ours[2]);
        assert!(verify(pin, &ours, "127.0.0.1").is_ok());
        assert!(verify(pin, &theirs, "127.0.0.1").is_err(), "another root");
        assert!(verify(pin, &ours, "127.0.0.2").is_err(), "another name");
        assert!(verify(pin, &ours[..2], "127.0.0.1").is_err(), "the root is not sent");
        // The pinned root is public: showing it beside a foreign leaf must not help.
        let forged = [theirs[0].clone(), theirs[1].clone(), theirs[2].clone(), ours[2].clone()];
        assert!(verify(pin, &forged, "127.0.0.1").is_err(), "the root does not vouch for the leaf");
    }
}
