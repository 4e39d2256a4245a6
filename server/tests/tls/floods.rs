//! Who is slow, takes nothing, or floods: each comes to an end, and others are served meanwhile.

use super::rig::{Identity, PATIENCE, Rig, ask, drain, handshake, rig, rig_with, send};
use crate::support::TestServer;
use fleet::db::EngineKind;
use rustls::{ClientConfig, RootCertStore, version::TLS13};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use server::tls::Limits;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, split},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// RFC 9113 §7.
const ENHANCE_YOUR_CALM: u32 = 11;

/// Each byte is one more sign of life, and none of them buys time.
#[tokio::test]
async fn a_26_a_head_that_trickles_ends() {
    let limits = Limits { head: Duration::from_millis(500), ..Limits::default() };
    let rig = rig_with(EngineKind::Sqlite, limits).await;
    let one = rig.enrol("gw-1").await;
    let (mut from, mut to) = split(rig.connect(&one).await);
    let trickle = tokio::spawn(async move {
        for byte in b"GET /who HTTP/1.1\r\nhost: localhost\r\nx-more: ".iter().chain(std::iter::repeat(&b'a')) {
            if to.write_all(&[*byte]).await.is_err() || to.flush().await.is_err() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    timeout(PATIENCE, drain(&mut from)).await.expect("closed");
    trickle.abort();
    assert!(ask(&mut rig.connect(&one).await, "/who").await.unwrap().ends_with("gw-1 0"));
}

/// A body that comes byte by byte is answered when its time is over, on the listener that anybody may reach.
#[tokio::test(flavor = "multi_thread")]
async fn a_26_a_body_that_trickles_is_refused() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.running.fleet.pki().root_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let socket = TcpStream::connect(("127.0.0.1", server.running.enrol_addr.port())).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
    let (mut from, mut to) = split(stream);
    let begun = Instant::now();
    let trickle = tokio::spawn(async move {
        let head = "POST /device/v1/enrol HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
        to.write_all(head.as_bytes()).await.unwrap();
        while to.write_all(b" ").await.is_ok() && to.flush().await.is_ok() {
            sleep(Duration::from_millis(200)).await;
        }
    });
    let mut answer = Vec::new();
    let reading = async { while !answer.ends_with(b"}") && matches!(from.read_buf(&mut answer).await, Ok(1..)) {} };
    timeout(PATIENCE, reading).await.expect("an answer in time");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"slow\""), "{answer}");
    assert!(begun.elapsed() >= Duration::from_secs(9), "it has ten seconds");
    trickle.abort();
    server.stop().await;
}

/// Whoever asks and asks, and takes no answer, is cut off once nothing moves any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_26_a_peer_that_reads_no_answers_is_cut_off() {
    let limits = Limits { stall: Duration::from_millis(500), ..Limits::default() };
    let rig = rig_with(EngineKind::Sqlite, limits).await;
    let one = rig.enrol("gw-1").await;
    let mut deaf = rig.connect(&one).await;
    let asked = async {
        send(&mut deaf, "/large").await.unwrap();
        // Nothing of that is read; whoever is cut off learns of it when they write.
        while send(&mut deaf, "/who").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, asked).await.expect("cut off");
    assert!(ask(&mut rig.connect(&one).await, "/who").await.unwrap().ends_with("gw-1 0"));
}

/// Streams that are asked for and taken back in one breath (CVE-2023-44487).
#[tokio::test]
async fn a_26_streams_that_are_reset_at_once_end_the_connection() {
    let rig = rig().await;
    let one = rig.enrol("gw-1").await;
    let mut flood = Vec::new();
    for stream in (1..600).step_by(2) {
        flood.extend(frame(1, 0x5, stream, &request("/slow")));
        flood.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    ends_calmed(&rig, &one, flood).await;
}

/// A head that never ends, in frames of a few bytes (CVE-2024-27316).
#[tokio::test]
async fn a_26_a_head_of_endless_continuations_ends_the_connection() {
    let rig = rig().await;
    let one = rig.enrol("gw-1").await;
    let mut flood = frame(1, 0x1, 1, &request("/who"));
    for _ in 0..500 {
        // A literal that is not indexed: `a: b`.
        flood.extend(frame(9, 0, 1, &[0, 1, b'a', 1, b'b']));
    }
    ends_calmed(&rig, &one, flood).await;
}

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET` of this path in HPACK (RFC 7541): two of the static table, two literals by its names.
fn request(path: &str) -> Vec<u8> {
    let literal = |name: u8, value: &str| [&[name, u8::try_from(value.len()).unwrap()][..], value.as_bytes()].concat();
    [vec![0x82, 0x87], literal(0x01, "localhost"), literal(0x04, path)].concat()
}

/// Floods a connection, and expects the server to end it for that; others are served.
async fn ends_calmed(rig: &Rig, identity: &Identity, flood: Vec<u8>) {
    let mut config = rig.client(Some(identity), &TLS13);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut stream: TlsStream<TcpStream> = handshake(config, rig.device).await.unwrap();
    let begin = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
    stream.write_all(&begin).await.unwrap();
    // The server may have had enough before the end of it.
    let _ = stream.write_all(&flood).await;
    let _ = stream.flush().await;
    let mut said = Vec::new();
    // However it ends: what came before counts.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the connection is ended");
    assert_eq!(goaway(&said), Some(ENHANCE_YOUR_CALM), "{said:?}");
    assert!(ask(&mut rig.connect(identity).await, "/who").await.unwrap().ends_with("gw-1 0"));
}

/// The reason in the frame with which a connection is given up (RFC 9113 §6.8).
fn goaway(mut frames: &[u8]) -> Option<u32> {
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = frames {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let (payload, next) = rest.split_at_checked(length)?;
        if *kind == 7 {
            return payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().unwrap()));
        }
        frames = next;
    }
    None
}
