//! The device listeners over real sockets: who gets in, what nobody gets around, and how fast a revocation bites (pki.md H-1 to H-7).

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
    devices::Attempt,
    pki::DevicePeer,
    testing::{START, World},
};
use futures::{StreamExt as _, stream};
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use rustls::{
    AlertDescription, ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion,
    client::ResolvesClientCert,
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime, pem::PemObject as _};
use server::tls::{Endpoint, Limits, Registry, Stats, Stop, device, enrol, follow, serve};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use wire::{
    enrolment::{EnrolRequest, NewEnrolmentToken},
    pki::RevocationReason,
};

/// The bound of R-6, and what a busy test machine may take on top of nothing.
const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

/// A world with a device listener, an enrol listener and the workers behind them.
struct Rig {
    world: World,
    device: SocketAddr,
    enrol: SocketAddr,
    registry: Registry,
    stats: Arc<Stats>,
    soft: CancellationToken,
    hard: CancellationToken,
    listeners: Vec<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.hard.cancel();
        self.soft.cancel();
        self.workers.iter().for_each(JoinHandle::abort);
    }
}

async fn who(peer: Option<Extension<Arc<DevicePeer>>>, headers: HeaderMap) -> String {
    let claimed = headers.keys().filter(|name| name.as_str().contains("client-cert")).count();
    format!("{} {claimed}", peer.map_or_else(|| "nobody".to_owned(), |p| p.device_id.to_string()))
}

/// A body that never ends.
async fn endless() -> Body {
    Body::from_stream(stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, io::Error>(Bytes::from_static(b"more")), ()))
    }))
}

async fn echo(upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

async fn rig() -> Rig {
    rig_with(EngineKind::Sqlite, Limits::default()).await
}

async fn rig_with(kind: EngineKind, limits: Limits) -> Rig {
    let world = World::open(kind).await;
    let pki = world.fleet.pki().clone();
    let (soft, hard) = (CancellationToken::new(), CancellationToken::new());
    let (registry, stats) = (Registry::default(), Arc::new(Stats::default()));
    let router = Router::new().route("/who", get(who)).route("/endless", get(endless)).route("/echo", get(echo)).route(
        "/slow",
        get(|| async {
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
    Rig { world, device: addresses[0], enrol: addresses[1], registry, stats, soft, hard, listeners, workers }
}

/// What a client presents.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn of(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Self {
        Self { chain, key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())) }
    }
}

/// Worlds stand still at their start; so do their clients.
#[derive(Debug)]
struct AtStart;

impl TimeProvider for AtStart {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(START.0).unwrap() + 1000)))
    }
}

impl Rig {
    async fn enrol(&self, id: &str) -> Identity {
        let system = Actor::system(self.world.org.clone());
        let new =
            NewEnrolmentToken { label: "test".into(), pattern: id.into(), device_type: "sim".into(), tags: vec![], max_uses: 1, hours: 1 };
        let token = self.world.fleet.devices().create_enrolment_token(&system, new).await.unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, id);
        let request = EnrolRequest {
            csr: params.serialize_request(&key).unwrap().pem().unwrap(),
            device_id: None,
            device_type: "sim".into(),
            hardware: "A".into(),
            attributes: BTreeMap::new(),
        };
        let attempt = Attempt { secret: &token.secret, request: &request, address: "127.0.0.1" };
        let enrolled = self.world.fleet.devices().enrol(attempt).await.unwrap();
        let chain = std::iter::once(&enrolled.certificate).chain(&enrolled.chain);
        Identity::of(chain.map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).collect(), &key)
    }

    async fn revoke(&self, identity: &Identity) {
        let peer = self.world.fleet.pki().trust().check(&identity.chain[0]).unwrap();
        let system = Actor::system(self.world.org.clone());
        self.world.fleet.pki().revoke(&system, &peer.certificate, RevocationReason::KeyCompromise).await.unwrap();
    }

    fn client(&self, identity: Option<&Identity>, version: &'static SupportedProtocolVersion) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.world.fleet.pki().root_pem().as_bytes()).unwrap()).unwrap();
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

    async fn connect(&self, identity: &Identity) -> TlsStream<TcpStream> {
        handshake(self.client(Some(identity), &TLS13), self.device).await.unwrap()
    }

    /// The alert a client with this identity gets from the device listener.
    async fn alert(&self, identity: Option<&Identity>, version: &'static SupportedProtocolVersion) -> Option<AlertDescription> {
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

async fn handshake(config: ClientConfig, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
    handshake_with(&Arc::new(config), to).await
}

async fn handshake_with(config: &Arc<ClientConfig>, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(to).await?;
    TlsConnector::from(config.clone()).connect(ServerName::try_from("localhost").unwrap(), socket).await
}

async fn send(stream: &mut TlsStream<TcpStream>, path: &str) -> io::Result<()> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-client-cert: forged\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await
}

/// One answer, head and body, as text.
async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> io::Result<String> {
    send(stream, path).await?;
    let mut buffer = vec![0; 4096];
    let read = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an answer in time")?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&buffer[..read]).into_owned())
}

/// Reads until the connection is over.
async fn drain(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut buffer = vec![0; 4096];
    while matches!(stream.read(&mut buffer).await, Ok(n) if n > 0) {}
}

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

#[tokio::test]
async fn a_device_is_known_by_its_certificate_and_by_nothing_else() {
    let rig = rig().await;
    let one = rig.enrol("gw-1").await;
    for version in BOTH {
        let mut stream = handshake(rig.client(Some(&one), version), rig.device).await.unwrap();
        let answer = ask(&mut stream, "/who").await.unwrap();
        assert!(answer.ends_with("gw-1 0"), "the forged header is gone (H-8): {answer}");
        assert_eq!(rig.registry.len(), 1);
        drop(stream);
    }
    // The enrol listener asks for a certificate but does without.
    let mut stream = handshake(rig.client(None, &TLS13), rig.enrol).await.unwrap();
    assert!(ask(&mut stream, "/who").await.unwrap().ends_with("nobody 0"));
    let mut stream = handshake(rig.client(Some(&one), &TLS13), rig.enrol).await.unwrap();
    assert!(ask(&mut stream, "/who").await.unwrap().ends_with("gw-1 0"));
}

/// Presents this certificate to whoever asks, whether its key fits or not.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
    fn has_certs(&self) -> bool {
        true
    }
}

/// Attack list 1, 2, 3, 4, 9.
#[tokio::test]
async fn strangers_are_refused_with_the_alert_that_says_why() {
    let rig = rig().await;
    let good = rig.enrol("gw-1").await;

    // Another authority, even one with our authority's name.
    let forged = |name: &str| {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::default();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name = rcgen::DistinguishedName::new();
        ca.distinguished_name.push(DnType::OrganizationName, "default");
        ca.distinguished_name.push(DnType::CommonName, name);
        let mut leaf = CertificateParams::default();
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let der = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
        Identity::of(vec![der.into()], &key)
    };
    let (other, same_name) = (forged("Somebody's CA"), forged("Fleetward Device CA G1-1"));
    // The listener's own certificate, whose authority is no anchor for devices (P-8).
    let listener = rig.world.fleet.pki().server_identity().unwrap();
    let listener = Identity { chain: listener.chain.clone(), key: listener.key.clone_key() };
    // Somebody else's certificate without its key.
    let stolen = Identity::of(good.chain.clone(), &KeyPair::generate().unwrap());

    let revoked = rig.enrol("gw-2").await;
    rig.revoke(&revoked).await;
    let gone = rig.enrol("gw-3").await;
    let system = Actor::system(rig.world.org.clone());
    rig.world.fleet.devices().decommission(&system, &"gw-3".parse().unwrap()).await.unwrap();

    for version in BOTH {
        assert_eq!(rig.alert(Some(&good), version).await, None);
        assert_eq!(rig.alert(None, version).await, Some(AlertDescription::CertificateRequired));
        assert_eq!(rig.alert(Some(&other), version).await, Some(AlertDescription::UnknownCA));
        let same = rig.alert(Some(&same_name), version).await;
        assert!(matches!(same, Some(AlertDescription::UnknownCA | AlertDescription::DecryptError)), "{same:?}");
        assert_eq!(rig.alert(Some(&listener), version).await, Some(AlertDescription::UnsupportedCertificate));
        assert_eq!(rig.alert(Some(&stolen), version).await, Some(AlertDescription::DecryptError));
        assert_eq!(rig.alert(Some(&revoked), version).await, Some(AlertDescription::CertificateRevoked));
        assert_eq!(rig.alert(Some(&gone), version).await, Some(AlertDescription::CertificateRevoked));
    }
    rig.world.clock.advance(91 * 86_400_000);
    assert_eq!(rig.alert(Some(&good), &TLS13).await, Some(AlertDescription::CertificateExpired));
    rig.world.clock.advance(-93 * 86_400_000);
    assert_eq!(rig.alert(Some(&good), &TLS13).await, Some(AlertDescription::CertificateExpired), "not valid yet");
}

/// H-2, attack list 6: rustls does not look at a resumed client's certificate, so nothing is ever resumed.
#[tokio::test]
async fn no_session_is_ever_resumed() {
    let rig = rig().await;
    let one = rig.enrol("gw-1").await;
    for version in BOTH {
        for address in [rig.device, rig.enrol] {
            // One configuration keeps one session store, as a device would.
            let config = Arc::new(rig.client(Some(&one), version));
            for _ in 0..3 {
                let mut stream = handshake_with(&config, address).await.unwrap();
                ask(&mut stream, "/who").await.unwrap();
                let tls = stream.get_ref().1;
                assert_ne!(tls.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
                assert_eq!(tls.tls13_tickets_received(), 0);
            }
        }
    }
}

/// R-6, attack list 5: HTTP/1 download, HTTP/2 stream, websocket and an idle connection.
async fn cut_within_a_second(kind: EngineKind) {
    let rig = rig_with(kind, Limits::default()).await;
    let (one, bystander) = (rig.enrol("gw-1").await, rig.enrol("gw-2").await);

    let mut download = rig.connect(&one).await;
    ask(&mut download, "/endless").await.unwrap();
    let mut idle = rig.connect(&one).await;
    ask(&mut idle, "/who").await.unwrap();
    let request = "wss://localhost/echo";
    let (mut socket, _) = tokio_tungstenite::client_async(request, rig.connect(&one).await).await.unwrap();
    let mut config = rig.client(Some(&one), &TLS13);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = handshake(config, rig.device).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut h2, connection) = hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/endless").body(Body::empty()).unwrap();
    let mut body = Body::new(h2.send_request(request).await.unwrap().into_body()).into_data_stream();
    assert!(body.next().await.unwrap().is_ok());
    let mut other = rig.connect(&bystander).await;
    ask(&mut other, "/who").await.unwrap();
    assert_eq!(rig.registry.len(), 5);

    rig.revoke(&one).await;
    let ends = async {
        tokio::join!(drain(&mut download), drain(&mut idle), async { while matches!(socket.next().await, Some(Ok(_))) {} }, async {
            while matches!(body.next().await, Some(Ok(_))) {}
        },);
        while rig.registry.len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SECOND, ends).await.expect("every connection is closed within a second");
    assert!(ask(&mut other, "/who").await.unwrap().ends_with("gw-2 0"), "others don't notice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_cuts_live_connections_on_sqlite() {
    cut_within_a_second(EngineKind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_cuts_live_connections_on_postgres() {
    cut_within_a_second(EngineKind::Postgres).await;
}

/// H-5: connect and revoke at the same time, many times; nobody slips through between the two checks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_survives_a_race_of_connecting_and_revoking() {
    let rig = Arc::new(rig().await);
    let mut races = Vec::new();
    for n in 0..60 {
        let identity = Arc::new(rig.enrol(&format!("gw-{n}")).await);
        let (racer, revoker) = (rig.clone(), rig.clone());
        let same = identity.clone();
        races.push(tokio::spawn(async move {
            let connect = async {
                let mut stream = handshake(racer.client(Some(&same), &TLS13), racer.device).await?;
                send(&mut stream, "/endless").await?;
                drain(&mut stream).await;
                io::Result::Ok(())
            };
            let revoke = async {
                tokio::time::sleep(Duration::from_millis(n % 12)).await;
                revoker.revoke(&identity).await;
            };
            // The download never ends by itself: that both come back means it was cut or refused.
            tokio::join!(timeout(PATIENCE, connect), revoke).0.is_ok()
        }));
    }
    for race in races {
        assert!(race.await.unwrap(), "a revoked device kept its connection");
    }
    // The client has seen its end; the server's half of it may take a moment longer, but no more than a revocation may.
    let gone = async {
        while !rig.registry.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SECOND, gone).await.expect("nobody is left");
}

/// H-7, attack list 26: half-open connections delay nobody, and one address has only so many.
#[tokio::test]
async fn slow_handshakes_do_not_delay_a_good_one() {
    let rig = rig().await;
    let one = rig.enrol("gw-1").await;
    let from = async |ip: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{ip}:0").parse().unwrap()).unwrap();
        socket.connect(rig.device).await.unwrap()
    };
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut stream = from(if n % 2 == 0 { "127.0.0.2" } else { "127.0.0.3" }).await;
        // The first octets of a ClientHello, and no more.
        stream.write_all(&[0x16, 0x03, 0x01, 0x02]).await.unwrap();
        slow.push(stream);
    }
    let good = async { ask(&mut rig.connect(&one).await, "/who").await.unwrap() };
    let answer = timeout(Duration::from_secs(5), good).await.expect("half of what the slow ones may take");
    assert!(answer.ends_with("gw-1 0"));

    let mut one_more = from("127.0.0.2").await;
    let end = timeout(Duration::from_secs(5), one_more.read(&mut [0; 8])).await.expect("closed at once");
    assert!(matches!(end, Ok(0) | Err(_)));
    assert_eq!(rig.stats.shed.load(Ordering::Relaxed), 1);
    drop(slow);
}

#[tokio::test]
async fn a_handshake_has_a_deadline() {
    let limits = Limits { handshake: Duration::from_millis(200), head: Duration::from_millis(200), ..Limits::default() };
    let rig = rig_with(EngineKind::Sqlite, limits).await;
    let mut stream = TcpStream::connect(rig.device).await.unwrap();
    stream.write_all(&[0x16]).await.unwrap();
    timeout(PATIENCE, drain(&mut stream)).await.expect("closed");
    assert_eq!(rig.stats.timed_out.load(Ordering::Relaxed), 1);
    // The same after the handshake: a request whose head does not come.
    let one = rig.enrol("gw-1").await;
    let mut stream = rig.connect(&one).await;
    stream.write_all(b"GET /who HT").await.unwrap();
    timeout(PATIENCE, drain(&mut stream)).await.expect("closed");
}

#[tokio::test]
async fn a_graceful_stop_ends_what_is_under_way_and_a_hard_one_the_rest() {
    let mut rig = rig().await;
    let one = rig.enrol("gw-1").await;
    let mut working = rig.connect(&one).await;
    let mut stuck = rig.connect(&one).await;
    ask(&mut stuck, "/endless").await.unwrap();
    send(&mut working, "/slow").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    rig.soft.cancel();
    let mut answer = String::new();
    working.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    assert!(TcpStream::connect(rig.device).await.is_err(), "no new connections");
    let mut listener = rig.listeners.remove(0);
    assert!(timeout(Duration::from_millis(200), &mut listener).await.is_err(), "it waits for the other one");
    rig.hard.cancel();
    timeout(SECOND, &mut listener).await.expect("until time is up").unwrap();
    timeout(SECOND, drain(&mut stuck)).await.expect("and cuts it");
}
