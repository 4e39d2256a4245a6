//! Devices behind a proxy that ends their TLS: each request is its own device's, a revocation cuts what that device has under way, and nobody gets in by a
//! header who would not by a handshake (H-8).

mod stale;

use super::rig::{BOTH, Identity, PATIENCE, Rig, SECOND, ask as ask_by_tls, drain, echo, endless, handshake, rig_with, who};
use crate::support::eventually;
use axum::{Router, routing::get};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::{
    access::{Actor, attacks::Kind},
    db::EngineKind,
};
use futures::{SinkExt as _, StreamExt as _};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    server::danger::{ClientCertVerified, ClientCertVerifier},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use server::{
    proxied::{Door, Header, Proxies, serve},
    tls::{Limits, Reason, Stats, Stop, proxy},
};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

/// A rig with a listener for proxies beside the others.
struct Behind {
    rig: Rig,
    at: SocketAddr,
    stats: Arc<Stats>,
    serving: JoinHandle<()>,
}

async fn behind(kind: EngineKind, header: Header, trusted: &str, by_tls: bool) -> Behind {
    let rig = Box::pin(rig_with(kind, Limits::default())).await;
    let pki = rig.world.fleet.pki().clone();
    let stats = Arc::<Stats>::default();
    let door = Door::new((pki.trust(), rig.registry.clone()), rig.world.clock.clone(), stats.clone(), header, false);
    let routes = Router::new().route("/who", get(who)).route("/endless", get(endless)).route("/echo", get(echo));
    let tls = if by_tls { Some(proxy(&pki, rig.world.clock.clone()).await.unwrap()) } else { None };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let proxies = Proxies { router: door.before(routes), tls, trusted: vec![trusted.parse().unwrap()], stats: stats.clone() };
    let stop = Stop { soft: rig.soft.clone(), hard: rig.hard.clone() };
    Behind { rig, at, stats, serving: tokio::spawn(serve(listener, proxies, stop)) }
}

impl Behind {
    async fn plain() -> Self {
        behind(EngineKind::Sqlite, Header::ClientCert, "127.0.0.0/8", false).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).await.unwrap()
    }
}

/// The header that a proxy sets.
fn passed_on(identity: &Identity) -> String {
    line(&identity.chain[0])
}

fn line(der: &[u8]) -> String {
    format!("Client-Cert: {}\r\n", byte_sequence(der))
}

fn byte_sequence(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(der))
}

/// An answer with its body, as far as its length is said; none where the connection ends before.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str, headers: &str) -> Option<String> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an answer in time").unwrap_or(0);
        if read == 0 {
            return None;
        }
        got.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&got).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}

/// Asked over a proxy's connection, who it is, it says so.
async fn is(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), headers: &str, who: &str) {
    let answer = ask(stream, "/who", headers).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&format!("\r\n\r\n{who} 0")), "{who}: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h_8_each_request_over_one_connection_is_its_own_device_s() {
    let behind = Behind::plain().await;
    let (one, two) = (behind.rig.enrol("gw-1").await, behind.rig.enrol("gw-2").await);
    let mut stream = behind.connect().await;
    for _ in 0..2 {
        is(&mut stream, &passed_on(&one), "gw-1").await;
        is(&mut stream, &passed_on(&two), "gw-2").await;
        is(&mut stream, "", "nobody").await;
        is(&mut stream, "client-cert: \r\n", "nobody").await;
        // What is not the chosen header names nobody, and reaches no handler.
        let others = format!(
            "x-client-cert: {0}\r\nx-ssl-cert: {0}\r\nx-ssl-client-verify: SUCCESS\r\nx-forwarded-client-cert: Cert=\"{0}\"\r\nclient-cert-chain: {0}\r\n",
            byte_sequence(&two.chain[0])
        );
        is(&mut stream, &others, "nobody").await;
        is(&mut stream, &(others + &passed_on(&one)), "gw-1").await;
    }
    eventually("nobody is registered who asks nothing", PATIENCE, || async { behind.rig.registry.is_empty() }).await;
    // A claim to be a device, made to the other listeners, is as good as none there.
    let mut enrolling = handshake(behind.rig.client(None, &TLS13), behind.rig.enrol).await.unwrap();
    is(&mut enrolling, &passed_on(&one), "nobody").await;
    let mut device = behind.rig.connect(&two).await;
    is(&mut device, &passed_on(&one), "gw-2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h_8_the_other_two_headers_hold_the_same() {
    let pem = |identity: &Identity| {
        let base64 = STANDARD.encode(&identity.chain[0]).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!("-----BEGIN%20CERTIFICATE-----%0A{base64}%0A-----END%20CERTIFICATE-----%0A")
    };
    for header in [Header::XSslCert, Header::XForwardedClientCert] {
        let behind = behind(EngineKind::Sqlite, header, "127.0.0.1", false).await;
        let one = behind.rig.enrol("gw-1").await;
        let value =
            if header == Header::XForwardedClientCert { format!("Hash=00;Cert=\"{}\";URI=spiffe://x", pem(&one)) } else { pem(&one) };
        let mut stream = behind.connect().await;
        is(&mut stream, &format!("{}: {value}\r\n", header.name()), "gw-1").await;
        is(&mut stream, &passed_on(&one), "nobody").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h_8_an_address_that_is_no_proxy_s_is_closed_unread() {
    let behind = behind(EngineKind::Sqlite, Header::ClientCert, "127.0.0.2", false).await;
    let one = behind.rig.enrol("gw-1").await;
    let mut stranger = behind.connect().await;
    assert_eq!(ask(&mut stranger, "/who", &passed_on(&one)).await, None);
    assert_eq!(ask(&mut behind.connect().await, "/who", "").await, None);
    assert_eq!(behind.stats.refused.of(Reason::NotAProxy), 2);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut proxy = socket.connect(behind.at).await.unwrap();
    is(&mut proxy, &passed_on(&one), "gw-1").await;
    assert_eq!(behind.stats.refused.of(Reason::NotAProxy), 2);
}

/// Where a proxy is on another machine, the way from there is TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h_8_a_proxy_speaks_tls_where_it_has_to() {
    let behind = behind(EngineKind::Sqlite, Header::ClientCert, "127.0.0.1", true).await;
    let (one, two) = (behind.rig.enrol("gw-1").await, behind.rig.enrol("gw-2").await);
    for version in BOTH {
        let mut stream = handshake(behind.rig.client(None, version), behind.at).await.unwrap();
        is(&mut stream, &passed_on(&one), "gw-1").await;
        // A certificate on the way from the proxy is not asked for, and is nobody's identity.
        let mut stream = handshake(behind.rig.client(Some(&two), version), behind.at).await.unwrap();
        is(&mut stream, "", "nobody").await;
    }
    assert_eq!(ask(&mut behind.connect().await, "/who", &passed_on(&one)).await.filter(|answer| answer.contains("gw-1")), None);
}

/// Attack list 1, 3, 4, 9, 31, 34: each is refused with its reason, and the connection is there for the next device.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h_8_a_certificate_is_judged_as_in_a_handshake() {
    let behind = Behind::plain().await;
    let rig = &behind.rig;
    let (good, revoked, suspended) = (rig.enrol("gw-1").await, rig.enrol("gw-2").await, rig.enrol("gw-3").await);
    rig.revoke(&revoked).await;
    let system = Actor::system(rig.world.org.clone());
    rig.world.fleet.devices().change(&system, &"gw-3".parse().unwrap(), wire::states::DeviceStep::Suspend).await.unwrap();
    let foreign = {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::default();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let mut leaf = CertificateParams::default();
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap()
    };
    let listeners_own = rig.world.fleet.pki().server_identity().unwrap().chain[0].clone();
    let mut longer = good.chain[0].to_vec();
    longer.push(0);

    let mut stream = behind.connect().await;
    for (headers, status, code, word) in [
        (passed_on(&revoked), 403, "certificate_refused", "(revoked)"),
        (passed_on(&suspended), 403, "certificate_refused", "(suspended)"),
        (line(foreign.der()), 403, "certificate_refused", "(unknown_issuer)"),
        (line(&listeners_own), 403, "certificate_refused", "(wrong_purpose)"),
        // The authority itself.
        (line(&good.chain[1]), 403, "certificate_refused", "(wrong_purpose)"),
        (line(b"gw-1"), 403, "certificate_refused", "(malformed)"),
        (line(&longer), 403, "certificate_refused", "(malformed)"),
        (line(&[0x30; 9000]), 403, "certificate_refused", "(malformed)"),
        (passed_on(&good) + &passed_on(&good), 400, "bad_certificate_header", "more than one"),
        (passed_on(&good) + &passed_on(&revoked), 400, "bad_certificate_header", "more than one"),
        ("client-cert: gw-1\r\n".to_owned(), 400, "bad_certificate_header", "not in that form"),
        (format!("client-cert: {0}, {0}\r\n", byte_sequence(&good.chain[0])), 400, "bad_certificate_header", "not in that form"),
        (line(&vec![0x30; 20_000]), 400, "bad_certificate_header", "larger than"),
    ] {
        let answer = ask(&mut stream, "/who", &headers).await.expect("an answer");
        let status = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&status) && answer.contains(&format!("\"{code}\"")) && answer.contains(word), "{word}: {answer}");
        is(&mut stream, &passed_on(&good), "gw-1").await;
    }
    assert_eq!(behind.stats.failed.of(Reason::Revoked) + behind.stats.refused.of(Reason::Revoked), 1);
    let told = || async { rig.world.fleet.attacks().seen().any(|(kind, signs)| kind == Kind::UnknownIssuer && signs > 0) };
    eventually("a foreign certificate is a sign of attack", PATIENCE, told).await;

    rig.world.clock.advance(91 * 86_400_000);
    let answer = ask(&mut stream, "/who", &passed_on(&good)).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("(expired)") && answer.contains("/device/v1/recover"), "{answer}");
}

/// R-6 behind a proxy: a download and a websocket, while others' requests over the proxy's other connections go on.
async fn cut_within_a_second(kind: EngineKind) {
    let behind = behind(kind, Header::ClientCert, "127.0.0.1", false).await;
    let rig = &behind.rig;
    let (one, two) = (rig.enrol("gw-1").await, rig.enrol("gw-2").await);
    let mut shared = behind.connect().await;
    is(&mut shared, &passed_on(&one), "gw-1").await;
    let mut download = behind.connect().await;
    ask(&mut download, "/endless", &passed_on(&one)).await.expect("it begins");
    let mut other = behind.connect().await;
    ask(&mut other, "/endless", &passed_on(&two)).await.expect("it begins");
    let mut request = "ws://localhost/echo".into_client_request().unwrap();
    request.headers_mut().insert("client-cert", byte_sequence(&one.chain[0]).parse().unwrap());
    let (mut socket, _) = client_async(request, behind.connect().await).await.unwrap();
    eventually("two of one device and one of another", PATIENCE, || async { rig.registry.len() == 3 }).await;

    rig.revoke(&one).await;
    let ends = async {
        tokio::join!(drain(&mut download), async { while matches!(socket.next().await, Some(Ok(_))) {} });
        while rig.registry.len() > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(SECOND, ends).await.expect("what it has under way is closed within a second");
    let mut more = [0; 64];
    assert!(other.read(&mut more).await.is_ok_and(|read| read > 0), "another device's download goes on");
    // What is under way no more can be used by whoever comes next.
    is(&mut shared, &passed_on(&two), "gw-2").await;
    let refused = ask(&mut shared, "/who", &passed_on(&one)).await.expect("an answer");
    assert!(refused.contains("(revoked)"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h_8_a_revocation_cuts_what_is_under_way_on_sqlite() {
    Box::pin(cut_within_a_second(EngineKind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h_8_a_revocation_cuts_what_is_under_way_on_postgres() {
    Box::pin(cut_within_a_second(EngineKind::Postgres)).await;
}

/// Takes any certificate whose key is proved, as nginx does with `ssl_verify_client optional_no_ca`.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        false
    }
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A proxy that ends devices' TLS and passes the first request of each connection on with what the device has shown, and then what both say.
async fn proxying(behind: &Behind) -> SocketAddr {
    let identity = behind.rig.world.fleet.pki().server_identity().unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(Anybody(provider)))
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (here, there) = (listener.local_addr().unwrap(), behind.at);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(pass_on(acceptor.clone(), socket, there));
        }
    });
    here
}

async fn pass_on(acceptor: TlsAcceptor, socket: TcpStream, there: SocketAddr) -> Option<()> {
    let mut device = acceptor.accept(socket).await.ok()?;
    let shown = device.get_ref().1.peer_certificates().map(|chain| line(&chain[0])).unwrap_or_default();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(device.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let own = |line: &&str| !line.to_ascii_lowercase().starts_with("client-cert:");
    let head: Vec<&str> = head.trim_end().split("\r\n").filter(own).collect();
    let mut server = TcpStream::connect(there).await.ok()?;
    server.write_all(format!("{}\r\n{shown}\r\n", head.join("\r\n")).as_bytes()).await.ok()?;
    copy_bidirectional(&mut device, &mut server).await.ok()?;
    Some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h_8_through_a_proxy_a_device_is_known_by_the_key_that_it_has_proved() {
    let behind = Behind::plain().await;
    let rig = &behind.rig;
    let (one, two) = (rig.enrol("gw-1").await, rig.enrol("gw-2").await);
    let at = proxying(&behind).await;
    for version in BOTH {
        let mut stream = handshake(rig.client(Some(&one), version), at).await.unwrap();
        is(&mut stream, &passed_on(&two), "gw-1").await;
        let mut stream = handshake(rig.client(None, version), at).await.unwrap();
        is(&mut stream, &passed_on(&two), "nobody").await;
        // Somebody else's certificate without its key does not get past the proxy.
        let thief = Identity::of(two.chain.clone(), &KeyPair::generate().unwrap());
        let stolen = match handshake(rig.client(Some(&thief), version), at).await {
            Ok(mut stream) => ask_by_tls(&mut stream, "/who").await.ok(),
            Err(_) => None,
        };
        assert_eq!(stolen, None);
    }
    let stream = handshake(rig.client(Some(&one), &TLS13), at).await.unwrap();
    let (mut socket, _) = client_async("wss://localhost/echo", stream).await.unwrap();
    socket.send(Message::text("here")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("here"));
    rig.revoke(&one).await;
    let end = async { while matches!(socket.next().await, Some(Ok(_))) {} };
    timeout(SECOND, end).await.expect("the websocket ends behind the proxy, too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_s_connections_end_with_the_server() {
    let mut behind = Behind::plain().await;
    let one = behind.rig.enrol("gw-1").await;
    let mut kept = behind.connect().await;
    is(&mut kept, &passed_on(&one), "gw-1").await;
    let mut download = behind.connect().await;
    ask(&mut download, "/endless", &passed_on(&one)).await.expect("it begins");
    behind.rig.soft.cancel();
    timeout(PATIENCE, drain(&mut kept)).await.expect("an idle connection ends");
    assert!(!behind.serving.is_finished(), "what is under way is finished");
    behind.rig.hard.cancel();
    timeout(PATIENCE, async { tokio::join!(drain(&mut download), async { (&mut behind.serving).await.unwrap() }) }).await.expect("and cut");
}
