//! Polls of devices that have nothing to do, in hawkBit's protocol: the certificate is checked, the device looked up, and noted that it was heard of.
//! nginx checks the certificate and sends a file of the same size.

use crate::{
    Outcome, Size, figure,
    ground::Ground,
    http::{Client, get},
    machine::Server,
    peers::{self, Files},
    percentiles,
    rollouts::{Kept, fleet::ENROLLED},
    tls::{self, Identity, Trust},
};
use std::{fs, net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};
use tokio_rustls::TlsConnector;

/// Connections that stay, and those under way where each poll has one of its own.
const KEPT: usize = 64;
const FRESH: usize = 16;

/// A side: who answers, where, and what each device asks.
struct Side {
    kept: Kept,
    at: SocketAddr,
    trust: Trust,
    identities: Vec<Identity>,
    requests: Vec<Vec<u8>>,
}

async fn side(name: &str, size: Size) -> Side {
    let count = ENROLLED.min(size.devices);
    if name == "ours" {
        let ground = Ground::start().await;
        let requests = (0..count).map(|number| get(&format!("/default/controller/v1/bench-{number:05}"))).collect();
        let (at, trust, identities) = (ground.device, ground.trust(), ground.identities(count));
        return Side { kept: Kept::Ours(Box::new(ground)), at, trust, identities, requests };
    }
    let files = Files::new(count);
    fs::create_dir(files.path().join("public")).unwrap();
    // As long as the answer that says when to come again.
    fs::write(files.path().join("public/poll"), [b' '; 300]).unwrap();
    let (server, at) = peers::nginx_files(&files, true).await;
    let (trust, identities) = (files.trust(), files.clients.clone());
    Side { kept: Kept::Peer { server, _files: files }, at, trust, identities, requests: vec![get("/poll"); count] }
}

/// Over connections that stay.
pub async fn kept_alive(name: &str, size: Size) -> Outcome {
    let side = side(name, size).await;
    let mut connections = Vec::new();
    for number in 0..KEPT {
        let which = number % side.identities.len();
        let mut tls = tls::connect(&side.trust.client(Some(&side.identities[which])), side.at, number).await.unwrap();
        let request = side.requests[which].clone();
        // Every answer to a device is as long as its first.
        let length = first(&mut tls, &request).await;
        connections.push((tls, request, length));
    }
    let (before, begun) = (side.kept.server().used(), Instant::now());
    let asking: Vec<_> = connections
        .into_iter()
        .map(|(mut tls, request, length)| {
            let time = size.time;
            tokio::spawn(async move {
                let (mut times, mut answer) = (Vec::new(), vec![0; length]);
                while begun.elapsed() < time {
                    let asked = Instant::now();
                    tls.write_all(&request).await.unwrap();
                    tls.read_exact(&mut answer).await.unwrap();
                    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
                    times.push(asked.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for device in asking {
        times.extend(device.await.unwrap());
    }
    outcome(side.kept.server(), before.cpu_s, begun, times)
}

/// Sends it and reads the answer to its end: how long it is.
async fn first(tls: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin), request: &[u8]) -> usize {
    tls.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    loop {
        tls.read_buf(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with("HTTP/1.1 200"), "{text}");
            let length =
                head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            if body.len() == length.expect("an answer has a length") {
                return answer.len();
            }
        }
    }
}

/// Each over a connection of its own.
pub async fn fresh(name: &str, size: Size) -> Outcome {
    let side = side(name, size).await;
    let clients: Vec<TlsConnector> = side.identities.iter().map(|identity| side.trust.client(Some(identity))).collect();
    let devices: Arc<Vec<(TlsConnector, Vec<u8>)>> = Arc::new(clients.into_iter().zip(side.requests.clone()).collect());
    // The first use of a certificate is written down; that is not what is measured.
    for number in 0..devices.len() {
        once(&devices, side.at, number).await;
    }
    let (before, begun) = (side.kept.server().used(), Instant::now());
    let asking: Vec<_> = (0..FRESH)
        .map(|from| {
            let (devices, at, time) = (Arc::clone(&devices), side.at, size.time);
            tokio::spawn(async move {
                let mut times = Vec::new();
                while begun.elapsed() < time {
                    let dialled = Instant::now();
                    once(&devices, at, times.len() * FRESH + from).await;
                    times.push(dialled.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for device in asking {
        times.extend(device.await.unwrap());
    }
    outcome(side.kept.server(), before.cpu_s, begun, times)
}

async fn once(devices: &[(TlsConnector, Vec<u8>)], at: SocketAddr, number: usize) {
    let (client, request) = &devices[number % devices.len()];
    let tls = tls::connect(client, at, number).await.unwrap();
    assert_eq!(tls.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
    let answer = Client::new(tls).ask(request).await.unwrap();
    assert_eq!(answer.status, 200);
}

fn outcome(server: &Server, cpu_before: f64, begun: Instant, mut times: Vec<std::time::Duration>) -> Outcome {
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), server.used().cpu_s - cpu_before);
    let (done, (p50, p99)) = (figure(times.len()), percentiles(&mut times));
    Outcome::from([("value", done / elapsed), ("per_cpu_s", done / cpu), ("p50_ms", p50), ("p99_ms", p99)])
}
