//! A new connection, a full handshake with a client certificate, one request and its answer, and again. Fleetward looks the device up and asks whether
//! there is an update for it; nginx says the same without asking anybody.

use crate::{
    IN_FLIGHT, Outcome, Size, figure,
    ground::Ground,
    http::{self, Client},
    machine::Server,
    peers::{self, Files},
    percentiles,
    tls::{self, Identity, Trust},
};
use std::{net::SocketAddr, sync::Arc};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// Clients that take turns.
const CLIENTS: usize = 256;

pub async fn measure(side: &str, size: Size) -> Outcome {
    let clients = CLIENTS.min(size.devices);
    if side == "ours" {
        let ground = Ground::start().await;
        return run(&ground.server, ground.device, &ground.trust(), &ground.identities(clients), size).await;
    }
    let files = Files::new(clients);
    let (server, at) = peers::nginx(&files).await;
    run(&server, at, &files.trust(), &files.clients, size).await
}

async fn run(server: &Server, at: SocketAddr, trust: &Trust, identities: &[Identity], size: Size) -> Outcome {
    let clients: Arc<Vec<TlsConnector>> = Arc::new(identities.iter().map(|identity| trust.client(Some(identity))).collect());
    // The first use of a certificate is written down; that is not what is measured.
    for number in 0..clients.len() {
        once(&clients, at, number).await;
    }
    let (before, begun) = (server.used(), Instant::now());
    let running: Vec<_> = (0..IN_FLIGHT)
        .map(|first| {
            let clients = Arc::clone(&clients);
            tokio::spawn(async move {
                let mut times = Vec::new();
                while begun.elapsed() < size.time {
                    let dialled = Instant::now();
                    once(&clients, at, times.len() * IN_FLIGHT + first).await;
                    times.push(dialled.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for client in running {
        times.extend(client.await.unwrap());
    }
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), server.used().cpu_s - before.cpu_s);
    let (done, (p50, p99)) = (figure(times.len()), percentiles(&mut times));
    Outcome::from([("value", done / elapsed), ("per_cpu_s", done / cpu), ("p50_ms", p50), ("p99_ms", p99)])
}

async fn once(clients: &[TlsConnector], at: SocketAddr, number: usize) {
    let tls = tls::connect(&clients[number % clients.len()], at, number).await.unwrap();
    assert_eq!(tls.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
    let answer = Client::new(tls).ask(&http::get("/device/v1/update")).await.unwrap();
    assert_eq!(answer.status, 204);
}
