//! The devices: each keeps a window of frames on the way and counts what is acknowledged.

use crate::Shape;
use fleet::clock::{Clock as _, SystemClock};
use futures::{SinkExt as _, StreamExt as _};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpStream, sync::Semaphore, time::Instant};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{client_async, tungstenite::Message};
use wire::device::Down;

/// Frames of a device that wait for their acknowledgement.
const WINDOW: usize = 16;
/// Metrics of a device.
const METRICS: usize = 10;

/// A device's key and certificates.
pub struct Identity {
    pub roots: Vec<CertificateDer<'static>>,
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// Acknowledged samples a second over all connections.
pub async fn measure(shape: Shape, at: SocketAddr, devices: Vec<Identity>) -> f64 {
    let acked = Arc::new(AtomicU64::new(0));
    let devices: Vec<_> = devices.into_iter().map(|d| tokio::spawn(device(shape, at, d, Arc::clone(&acked)))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, begun) = (acked.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(shape.counted).await;
    let (after, took) = (acked.load(Ordering::Relaxed), begun.elapsed());
    for device in devices {
        assert!(!device.is_finished(), "a device gave up");
        device.abort();
    }
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let samples = (after - before) as f64 * shape.samples as f64;
    samples / took.as_secs_f64()
}

async fn device(shape: Shape, at: SocketAddr, identity: Identity, acked: Arc<AtomicU64>) {
    let mut roots = RootCertStore::empty();
    for root in identity.roots {
        roots.add(root).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.chain, identity.key)
        .unwrap();
    let tcp = TcpStream::connect(at).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
    let (mut socket, _) = client_async("wss://localhost/device/v1/channel", tls).await.unwrap();
    let hello =
        r#"{"type":"hello","agent":"bench/1","boot_id":"b","firmware":{"version":"1.0.0","device_type":"gw","hardware":"A"},"stream":"s"}"#;
    socket.send(Message::text(hello)).await.unwrap();
    let (mut out, mut back) = socket.split();
    let window = Arc::new(Semaphore::new(WINDOW));
    let room = Arc::clone(&window);
    let reading = async move {
        let mut upto = 0;
        while let Some(Ok(message)) = back.next().await {
            let Message::Text(text) = message else { continue };
            match serde_json::from_str(&text).unwrap() {
                Down::Ack { seq } => {
                    acked.fetch_add(seq - upto, Ordering::Relaxed);
                    room.add_permits(usize::try_from(seq - upto).unwrap());
                    upto = seq;
                }
                Down::Refused { code, message, .. } => panic!("{code}: {message}"),
                _ => {}
            }
        }
    };
    let writing = async move {
        // A week's worth of milliseconds ago, so that none is ahead of time however fast they come.
        let mut t = SystemClock.now().0 - 7 * 24 * 3_600_000;
        for seq in 1_u64.. {
            window.acquire().await.unwrap().forget();
            if out.send(Message::text(frame(seq, &mut t, shape.samples))).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}

fn frame(seq: u64, t: &mut i64, samples: usize) -> String {
    let mut text = String::with_capacity(64 + samples * 48);
    write!(text, r#"{{"type":"samples","seq":{seq},"samples":["#).unwrap();
    for i in 0..samples {
        if i % METRICS == 0 {
            *t += 1;
        }
        let comma = if i == 0 { "" } else { "," };
        let v = (*t).rem_euclid(1000);
        write!(text, r#"{comma}{{"m":"metric.{}","t":{t},"v":{v}.25}}"#, i % METRICS).unwrap();
    }
    text.push_str("]}");
    text
}
