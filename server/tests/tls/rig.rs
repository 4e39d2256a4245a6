//! A world with both device listeners, and clients that present whatever a test wants.

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::ws::WebSocketUpgrade,
    http::HeaderMap,
    routing::get,
};
use fleet::{
    access::Actor,
    db::EngineKind,
    pki::DevicePeer,
    testing::{START, World},
};
use futures::stream;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::{
    AlertDescription, ClientConfig, RootCertStore, SupportedProtocolVersion,
    client::ResolvesClientCert,
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime, pem::PemObject as _};
use server::tls::{Endpoint, Limits, Registry, Stats, Stop, device, enrol, follow, serve};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use wire::{enrolment::NewClaim, pki::RevocationReason};

/// The bound of R-6, and what a busy test machine may take on top of nothing.
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A world with a device listener, an enrol listener and the workers behind them.
pub(super) struct Rig {
    pub(super) world: World,
    pub(super) device: SocketAddr,
    pub(super) enrol: SocketAddr,
    pub(super) registry: Registry,
    pub(super) stats: Arc<Stats>,
    pub(super) soft: CancellationToken,
    pub(super) hard: CancellationToken,
    /// Told when a `/slow` request has reached its handler.
    pub(super) begun: Arc<Notify>,
    pub(super) listeners: Vec<JoinHandle<()>>,
    pub(super) workers: Vec<JoinHandle<()>>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.hard.cancel();
        self.soft.cancel();
        self.workers.iter().for_each(JoinHandle::abort);
    }
}

pub(super) async fn who(peer: Option<Extension<Arc<DevicePeer>>>, headers: HeaderMap) -> String {
    let claimed = headers.keys().filter(|name| ["cert", "ssl"].iter().any(|part| name.as_str().contains(part))).count();
    format!("{} {claimed}", peer.map_or_else(|| "nobody".to_owned(), |p| p.device_id.to_string()))
}

/// A body that never ends.
pub(super) async fn endless() -> Body {
    Body::from_stream(stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, io::Error>(Bytes::from_static(b"more")), ()))
    }))
}

/// More than the buffers of both sides hold.
pub(super) async fn large() -> Vec<u8> {
    vec![b'a'; 32 << 20]
}

pub(super) async fn echo(upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

pub(super) async fn rig() -> Rig {
    rig_with(EngineKind::Sqlite, Limits::default()).await
}

pub(super) async fn rig_with(kind: EngineKind, limits: Limits) -> Rig {
    let world = World::open(kind).await;
    let pki = world.fleet.pki().clone();
    let (soft, hard) = (CancellationToken::new(), CancellationToken::new());
    let (registry, stats) = (Registry::default(), Arc::new(Stats::default()));
    let begun = Arc::new(Notify::new());
    let told = begun.clone();
    let router =
        Router::new().route("/who", get(who)).route("/endless", get(endless)).route("/echo", get(echo)).route("/large", get(large)).route(
            "/slow",
            get(move || async move {
                told.notify_one();
                tokio::time::sleep(Duration::from_millis(300)).await;
                "done"
            }),
        );
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for config in [device(&pki, world.clock.clone()).await.unwrap(), enrol(&pki, world.clock.clone()).await.unwrap()] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        let endpoint = Endpoint {
            router: router.clone(),
            config,
            trust: pki.trust(),
            registry: registry.clone(),
            limits,
            stats: stats.clone(),
            title_case: false,
        };
        listeners.push(tokio::spawn(serve(listener, endpoint, Stop { soft: soft.clone(), hard: hard.clone() })));
    }
    let trust = pki.trust();
    let workers = vec![tokio::spawn(async move { pki.work().await }), tokio::spawn(follow(registry.clone(), trust))];
    Rig { world, device: addresses[0], enrol: addresses[1], registry, stats, soft, hard, begun, listeners, workers }
}

/// What a client presents.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Identity {
    pub(super) fn of(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Self {
        Self { chain, key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())) }
    }
}

/// A client by the system's clock that believes in this root, PEM, and shows a certificate, with what is above it, whose key it need not have.
pub fn presents(root: &str, chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let shown = Presents(Arc::new(CertifiedKey::new(chain, key)));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_client_cert_resolver(Arc::new(shown))
}

/// HTTP/2 over what was shaken hands for it; the task ends with the connection.
pub async fn http2(stream: TlsStream<TcpStream>) -> (SendRequest<Body>, JoinHandle<hyper::Result<()>>) {
    let (requests, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (requests, tokio::spawn(connection))
}

/// What is asked for over HTTP/2.
pub fn get_of(path: &str) -> http::Request<Body> {
    http::Request::get(format!("https://localhost{path}")).body(Body::empty()).unwrap()
}

/// Worlds stand still at their start; so do their clients.
#[derive(Debug)]
pub(super) struct AtStart;

impl TimeProvider for AtStart {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(START.0).unwrap() + 1000)))
    }
}

impl Rig {
    pub(super) async fn enrol(&self, id: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, id);
        let csr = params.serialize_request(&key).unwrap().pem().unwrap();
        let enrolled = self.world.enrol(id, "sim", csr).await.unwrap();
        let chain = std::iter::once(&enrolled.certificate).chain(&enrolled.chain);
        Identity::of(chain.map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).collect(), &key)
    }

    /// A claim's.
    pub(super) async fn claim(&self) -> Identity {
        let new = NewClaim {
            label: "image".into(),
            pattern: String::new(),
            device_type: String::new(),
            tags: Vec::new(),
            groups: Vec::new(),
            profile: String::new(),
            trusted_user: false,
            max_uses: 1,
            hours: 1,
            per_minute: 1,
            csr: String::new(),
        };
        let made = self.world.fleet.devices().create_claim(&Actor::system(self.world.org.clone()), new).await.unwrap();
        let chain = CertificateDer::pem_slice_iter(made.certificate.as_bytes()).map(Result::unwrap).collect();
        Identity { chain, key: PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap() }
    }

    pub(super) async fn revoke(&self, identity: &Identity) {
        let peer = self.world.fleet.pki().trust().check(&identity.chain[0]).unwrap();
        let system = Actor::system(self.world.org.clone());
        self.world.fleet.pki().revoke(&system, &peer.certificate, RevocationReason::KeyCompromise).await.unwrap();
    }

    pub(super) fn client(&self, identity: Option<&Identity>, version: &'static SupportedProtocolVersion) -> ClientConfig {
        trusting(&[self.world.fleet.pki().root_pem()], identity, version)
    }

    pub(super) async fn connect(&self, identity: &Identity) -> TlsStream<TcpStream> {
        handshake(self.client(Some(identity), &TLS13), self.device).await.unwrap()
    }

    /// The alert a client with this identity gets from the device listener.
    pub(super) async fn alert(&self, identity: Option<&Identity>, version: &'static SupportedProtocolVersion) -> Option<AlertDescription> {
        let config = self.client(identity, version);
        let error = match handshake(config, self.device).await {
            Err(error) => error,
            // In TLS 1.3 the client is through before the server has judged it, and hears of it when it reads.
            Ok(mut stream) => ask(&mut stream, "/who").await.err()?,
        };
        match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
            _ => panic!("not an alert: {error}"),
        }
    }
}

/// A client that believes in these roots, PEM.
pub(super) fn trusting(pems: &[String], identity: Option<&Identity>, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for pem in pems {
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(AtStart))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        // Presented as it is: rustls would not let a thief use a certificate without its key.
        Some(i) => {
            let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&i.key).unwrap();
            builder.with_client_cert_resolver(Arc::new(Presents(Arc::new(CertifiedKey::new(i.chain.clone(), key)))))
        }
        None => builder.with_no_client_auth(),
    }
}

pub(super) async fn handshake(config: ClientConfig, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
    handshake_with(&Arc::new(config), to).await
}

pub(super) async fn handshake_with(config: &Arc<ClientConfig>, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(to).await?;
    TlsConnector::from(config.clone()).connect(ServerName::try_from("localhost").unwrap(), socket).await
}

pub(super) async fn send(stream: &mut TlsStream<TcpStream>, path: &str) -> io::Result<()> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-client-cert: forged\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await
}

/// One answer, head and body, as text.
pub(super) async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> io::Result<String> {
    send(stream, path).await?;
    let mut buffer = vec![0; 4096];
    let read = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an answer in time")?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&buffer[..read]).into_owned())
}

/// Reads until the connection is over.
pub(super) async fn drain(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut buffer = vec![0; 4096];
    while matches!(stream.read(&mut buffer).await, Ok(n) if n > 0) {}
}

pub(super) const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Presents this certificate to whoever asks, whether its key fits or not.
#[derive(Debug)]
pub(super) struct Presents(Arc<CertifiedKey>);

impl ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
    fn has_certs(&self) -> bool {
        true
    }
}
