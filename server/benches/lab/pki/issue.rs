//! How many certificates are issued a second: over connections that stay (`issue`, beside `cfssl serve`), and with a new one for each (`enrol`, beside
//! rustls and rcgen that keep nothing). Ours are recorded and synced before they are answered.

use crate::{
    IN_FLIGHT, Outcome, Size, figure,
    ground::{Ground, csr, request},
    http::{Answer, Client, post},
    machine::Server,
    peers::{self, Files},
    percentiles, tls,
};
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;

/// Requests in the order they are sent, and how far they are.
struct Queue {
    requests: Vec<Vec<u8>>,
    next: AtomicUsize,
}

impl Queue {
    fn take(&self) -> Option<&[u8]> {
        self.requests.get(self.next.fetch_add(1, Ordering::Relaxed)).map(Vec::as_slice)
    }
}

/// Where certificates are asked for.
#[derive(Clone)]
enum Issuer {
    Tls(TlsConnector, SocketAddr),
    Plain(SocketAddr),
}

/// What one client got, and how long each took.
type Got = (Vec<Answer>, Vec<Duration>);

pub async fn kept_alive(side: &str, size: Size) -> Outcome {
    let files = Files::new(0);
    if side == "ours" {
        let ground = Ground::start().await;
        let requests = ground.enrolments(size.devices).await;
        let issuer = Issuer::Tls(ground.trust().client(None), ground.enrol);
        return run(&ground.server, issuer, requests, true).await;
    }
    let (server, at) = peers::cfssl(&files).await;
    let one = |number| {
        let body = serde_json::json!({ "certificate_request": csr(&format!("new-{number}")).1 }).to_string();
        post("/api/v1/cfssl/sign", "none", &body)
    };
    run(&server, Issuer::Plain(at), (0..size.devices).map(one).collect(), true).await
}

pub async fn fresh(side: &str, size: Size) -> Outcome {
    if side == "ours" {
        let ground = Ground::start().await;
        let requests = ground.enrolments(size.devices).await;
        let issuer = Issuer::Tls(ground.trust().client(None), ground.enrol);
        return run(&ground.server, issuer, requests, false).await;
    }
    let files = Files::new(0);
    let (server, at) = peers::floor("issue", &files).await;
    let one = |number| {
        let name = format!("new-{number}");
        post("/device/v1/enrol", "none", &serde_json::to_string(&request(&name, csr(&name).1)).unwrap())
    };
    let requests = (0..size.devices).map(one).collect();
    run(&server, Issuer::Tls(files.trust().client(None), at), requests, false).await
}

async fn run(server: &Server, issuer: Issuer, requests: Vec<Vec<u8>>, keeps: bool) -> Outcome {
    let count = requests.len();
    let queue = Arc::new(Queue { requests, next: AtomicUsize::new(0) });
    let (before, begun) = (server.used(), Instant::now());
    let clients: Vec<_> = (0..IN_FLIGHT).map(|number| tokio::spawn(client(issuer.clone(), Arc::clone(&queue), number, keeps))).collect();
    let (mut answers, mut times) = (Vec::new(), Vec::new());
    for client in clients {
        let (got, took) = client.await.unwrap();
        answers.extend(got);
        times.extend(took);
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let cpu = server.used().cpu_s - before.cpu_s;
    let certificates: HashSet<String> = answers.iter().map(certificate).collect();
    assert_eq!(certificates.len(), count, "not every request got a certificate of its own");
    let (p50, p99) = percentiles(&mut times);
    Outcome::from([("value", figure(count) / elapsed), ("per_cpu_s", figure(count) / cpu), ("p50_ms", p50), ("p99_ms", p99)])
}

async fn client(issuer: Issuer, queue: Arc<Queue>, number: usize, keeps: bool) -> Got {
    let (mut answers, mut times) = (Vec::new(), Vec::new());
    match issuer {
        Issuer::Plain(at) => {
            let mut http = Client::new(TcpStream::connect(at).await.unwrap());
            while let Some(request) = queue.take() {
                let begun = Instant::now();
                answers.push(http.ask(request).await.unwrap());
                times.push(begun.elapsed());
            }
        }
        Issuer::Tls(connector, at) if keeps => {
            let mut http = Client::new(tls::connect(&connector, at, number).await.unwrap());
            while let Some(request) = queue.take() {
                let begun = Instant::now();
                answers.push(http.ask(request).await.unwrap());
                times.push(begun.elapsed());
            }
        }
        Issuer::Tls(connector, at) => {
            while let Some(request) = queue.take() {
                let begun = Instant::now();
                let mut http = Client::new(tls::connect(&connector, at, times.len() * IN_FLIGHT + number).await.unwrap());
                answers.push(http.ask(request).await.unwrap());
                times.push(begun.elapsed());
            }
        }
    }
    (answers, times)
}

/// The certificate in an answer of ours, the floor's or cfssl's.
fn certificate(answer: &Answer) -> String {
    let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let found = said["certificate"].as_str().or_else(|| said["result"]["certificate"].as_str());
    found.filter(|pem| pem.contains("BEGIN CERTIFICATE")).unwrap_or_else(|| panic!("{} {said}", answer.status)).to_owned()
}
