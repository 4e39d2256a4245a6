//! Lists of revoked certificates and OCSP answers, from memory, over plain HTTP connections that stay. Beside them nginx with the same bytes in a file.

use crate::{
    IN_FLIGHT, Outcome, Size, figure,
    ground::Ground,
    http::{Client, get},
    machine::Server,
    peers::{self, Files},
    percentiles,
};
use std::{fs, net::SocketAddr, process::Command, sync::Arc};
use tokio::{net::TcpStream, time::Instant};

/// Octets that every list and every answer has. A list may be renewed, and with it grow, while it is asked for.
const LEAST: usize = 100;

pub async fn measure(what: &str, side: &str, size: Size) -> Outcome {
    let ground = Ground::start().await;
    let request = if what == "crl" { get(&format!("/crl/{}.crl", ground.authority())) } else { question(&ground) };
    let answer = Client::new(TcpStream::connect(ground.publish).await.unwrap()).ask(&request).await.unwrap();
    assert!(answer.status == 200 && answer.body.len() > LEAST, "{}", answer.status);
    if side == "ours" {
        return run(&ground.server, ground.publish, request, size).await;
    }
    drop(ground);
    let files = Files::new(0);
    let public = files.path().join("public");
    fs::create_dir(&public).unwrap();
    fs::write(public.join("answer"), &answer.body).unwrap();
    let (server, at) = peers::nginx_files(&files, false).await;
    run(&server, at, get("/answer"), size).await
}

async fn run(server: &Server, at: SocketAddr, request: Vec<u8>, size: Size) -> Outcome {
    let (request, before, begun) = (Arc::new(request), server.used(), Instant::now());
    let asking: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let request = Arc::clone(&request);
            tokio::spawn(async move {
                let (mut client, mut times) = (Client::new(TcpStream::connect(at).await.unwrap()), Vec::new());
                while begun.elapsed() < size.time {
                    let asked = Instant::now();
                    let answer = client.ask(&request).await.unwrap();
                    assert!(answer.status == 200 && answer.body.len() > LEAST, "{} with {} octets", answer.status, answer.body.len());
                    times.push(asked.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for client in asking {
        times.extend(client.await.unwrap());
    }
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), server.used().cpu_s - before.cpu_s);
    let (done, (p50, p99)) = (figure(times.len()), percentiles(&mut times));
    Outcome::from([("value", done / elapsed), ("per_cpu_s", done / cpu), ("p50_ms", p50), ("p99_ms", p99)])
}

/// What `openssl ocsp` asks about the first device's certificate.
fn question(ground: &Ground) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, leaf) = ground.issuer_and_leaf();
    let file = |name: &str| folder.path().join(name);
    fs::write(file("issuer.pem"), issuer).unwrap();
    fs::write(file("leaf.pem"), leaf).unwrap();
    let mut openssl = Command::new("openssl");
    openssl
        .args(["ocsp", "-no_nonce", "-issuer"])
        .arg(file("issuer.pem"))
        .arg("-cert")
        .arg(file("leaf.pem"))
        .arg("-reqout")
        .arg(file("asked"));
    assert!(openssl.status().unwrap().success());
    let asked = fs::read(file("asked")).unwrap();
    let head = format!(
        "POST /ocsp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/ocsp-request\r\ncontent-length: {}\r\n\r\n",
        asked.len()
    );
    [head.as_bytes(), &asked].concat()
}
