//! How long an empty server takes from its start to its first answer, and how much memory it then has.
//!
//! The first start of all: the database, the authorities and the keys are made on the way. The floor is a bare server that answers one line.

use crate::Outcome;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use tokio::time::Instant;

/// How long a server is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(2);

pub fn ours() -> Outcome {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let [operator, device, enrol, ops] = [(); 4].map(|()| free_address());
    let mut serve = Command::new(env!("CARGO_BIN_EXE_fleetward"));
    serve.arg("serve").env("FLEETWARD_DATA", folder.path().join("data"));
    for (key, address) in [("OPERATOR", operator), ("DEVICE", device), ("ENROL", enrol), ("OPS", ops)] {
        serve.env(format!("FLEETWARD_{key}_ADDR"), address.to_string());
    }
    measure(serve, operator)
}

pub fn floor() -> Outcome {
    let at = free_address();
    let mut serve = Command::new(std::env::current_exe().unwrap());
    serve.arg("bare-server").arg(at.to_string());
    measure(serve, at)
}

/// The floor's server.
pub async fn bare_server(address: &str) {
    let router = axum::Router::new().fallback(|| async { "ready" });
    axum::serve(tokio::net::TcpListener::bind(address).await.unwrap(), router).await.unwrap();
}

fn measure(mut serve: Command, at: SocketAddr) -> Outcome {
    serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut server = serve.spawn().unwrap();
    while get(at).is_none() {
        assert!(server.try_wait().unwrap().is_none(), "the server ended");
        assert!(begun.elapsed() < Duration::from_secs(20), "the server doesn't answer");
        sleep(Duration::from_millis(1));
    }
    let answered = begun.elapsed();
    sleep(SETTLE);
    let resident_mb = resident_mb(&server);
    server.kill().unwrap();
    server.wait().unwrap();
    Outcome::from([("value", answered.as_secs_f64() * 1000.0), ("resident_mb", resident_mb)])
}

/// The sign-in page, or any answer of the floor; None before there is one.
fn get(at: SocketAddr) -> Option<()> {
    let mut tcp = TcpStream::connect(at).ok()?;
    tcp.write_all(b"GET /sign-in HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).ok()?;
    // An empty server leads to its set-up page.
    (answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 30")).then_some(())
}

/// `VmRSS` of a process, in megabytes (10^6 bytes).
fn resident_mb(server: &Child) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    kib * 1024.0 / 1e6
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
