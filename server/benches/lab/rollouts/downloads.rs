//! Downloads of 64 MiB by curl over TLS 1.3 with a client certificate. Fleetward gives each device what its own update is made of and counts the bytes;
//! nginx gives everybody with a certificate the file.

use crate::{
    Outcome, Size, figure,
    ground::Ground,
    http::{Client, get},
    peers::{self, Files},
    rollouts::{
        Kept,
        fleet::{self, ENROLLED, FIRMWARE},
    },
    tls::{self, Identity},
};
use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How often each of one, sixteen or sixty-four downloads.
const ROUNDS: [(usize, usize); 3] = [(1, 8), (16, 2), (64, 1)];
/// How often memory is measured, for the median; an odd number.
const HELD: usize = 3;
/// Whole downloads between, all at once.
const STIRRING: usize = 4;

/// A side: who answers, and for each device what curl is told.
struct Side {
    kept: Kept,
    at: SocketAddr,
    url: Vec<String>,
    /// Of keys and certificates.
    folder: TempDir,
}

/// The same for both: curl's own words for one download of this device.
fn curl(side: &Side, device: usize) -> Command {
    let file = |name: &str| side.folder.path().join(name);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--tlsv1.3", "--cacert"]).arg(file("root.pem"));
    curl.arg("--cert").arg(file(&format!("{device}.pem"))).arg("--key").arg(file(&format!("{device}.key")));
    curl.args(["--resolve", &format!("localhost:{}:127.0.0.1", side.at.port()), &side.url[device % side.url.len()]]);
    curl
}

fn pem(kind: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

fn write_identities(folder: &Path, root: &CertificateDer<'_>, identities: &[Identity]) {
    fs::write(folder.join("root.pem"), pem("CERTIFICATE", root)).unwrap();
    for (number, identity) in identities.iter().enumerate() {
        let chain: String = identity.chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
        fs::write(folder.join(format!("{number}.pem")), chain).unwrap();
        fs::write(folder.join(format!("{number}.key")), pem("PRIVATE KEY", &identity.key)).unwrap();
    }
}

async fn side(name: &str, devices: usize, environment: &[(&str, &str)]) -> Side {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    if name == "ours" {
        let ground = Ground::start_with(environment).await;
        let (trust, identities) = (ground.trust(), ground.identities(devices));
        fleet::rollout(&ground, "downloads", &[100.0]).await;
        let mut url = Vec::new();
        for (number, identity) in identities.iter().enumerate() {
            let mut device = Client::new(tls::connect(&trust.client(Some(identity)), ground.device, number).await.unwrap());
            let answer = device.ask(&get("/device/v1/update")).await.unwrap();
            assert_eq!(answer.status, 200, "device {number} is offered nothing");
            let offer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            let path = offer["downloads"][0]["path"].as_str().unwrap();
            url.push(format!("https://localhost:{}{path}", ground.device.port()));
        }
        write_identities(folder.path(), &ground.root(), &identities);
        return Side { at: ground.device, kept: Kept::Ours(Box::new(ground)), url, folder };
    }
    let files = Files::new(devices);
    fs::create_dir(files.path().join("public")).unwrap();
    fs::write(files.path().join("public/fw.bin"), fleet::firmware()).unwrap();
    let (server, at) = peers::nginx_files(&files, true).await;
    write_identities(folder.path(), &files.root(), &files.clients);
    let url = vec![format!("https://localhost:{}/fw.bin", at.port())];
    Side { kept: Kept::Peer { server, _files: files }, at, url, folder }
}

/// So many at once, megabytes a second; each whole.
pub async fn measure(name: &str, at_once: usize) -> Outcome {
    let mut outcome = Outcome::new();
    if at_once >= 16 {
        outcome.insert("bytes_each", held(name, at_once).await);
    }
    let side = side(name, at_once.min(ENROLLED), &[]).await;
    // The file is in memory from then on, on both sides.
    assert_eq!(run(&side, 1, None), FIRMWARE);
    let rounds = ROUNDS.iter().find(|(n, _)| *n == at_once).unwrap().1;
    let (before, begun) = (side.kept.server().used(), Instant::now());
    let mut bytes = 0;
    for _ in 0..rounds {
        bytes += run(&side, at_once, None);
    }
    assert_eq!(bytes, FIRMWARE * at_once * rounds);
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), side.kept.server().used().cpu_s - before.cpu_s);
    outcome.insert("value", figure(bytes) / 1e6 / elapsed);
    outcome.insert("gb_per_cpu_s", figure(bytes) / 1e9 / cpu);
    outcome
}

/// What a slow download holds in memory: what the server has while so many are under way, less what it has when they have ended. Before them it may
/// hold what it gives back in the course of them, so the first round only warms up. It gives back at once what it does not use.
async fn held(name: &str, at_once: usize) -> f64 {
    let side = side(name, at_once.min(ENROLLED), &[("MIMALLOC_PURGE_DELAY", "0")]).await;
    let server = side.kept.server();
    let mut each = Vec::new();
    for round in 0..=HELD {
        if round == 1 {
            server.watch_heap().await;
        }
        let slow: Vec<Child> = (0..at_once).map(|n| start(&side, n, Some("500k"))).collect();
        sleep(Duration::from_secs(3)).await;
        let during = server.used().bytes;
        if round == 1 {
            server.write_heap(at_once).await;
        }
        for mut child in slow {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        sleep(Duration::from_millis(500)).await;
        // A thread gives back what others have ended when it takes something itself.
        assert_eq!(run(&side, STIRRING, None), FIRMWARE * STIRRING);
        sleep(Duration::from_secs(1)).await;
        if round > 0 {
            each.push((during - server.used().bytes) / figure(at_once));
        }
    }
    each.sort_by(f64::total_cmp);
    each[HELD / 2]
}

fn start(side: &Side, device: usize, limit: Option<&str>) -> Child {
    let mut curl = curl(side, device);
    curl.args(["--output", "/dev/null", "--write-out", "%{size_download}"]);
    if let Some(limit) = limit {
        curl.args(["--limit-rate", limit]);
    }
    curl.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Starts so many and waits for all: bytes that arrived.
fn run(side: &Side, at_once: usize, limit: Option<&str>) -> usize {
    let all: Vec<Child> = (0..at_once).map(|device| start(side, device, limit)).collect();
    let ended = all.into_iter().map(|child| {
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "curl: {}", out.status);
        String::from_utf8(out.stdout).unwrap().trim().parse::<usize>().unwrap()
    });
    ended.sum()
}

/// Downloads that are cut at 10, 50 and 90 % and resumed: how many came out whole, of so many.
pub async fn cut(_: Size) -> Outcome {
    let side = side("ours", 3, &[]).await;
    let wanted = digest(&SHA256, &fleet::firmware());
    let (mut whole, begun) = (0_u32, Instant::now());
    for (device, percent) in [10, 50, 90].into_iter().enumerate() {
        let file = side.folder.path().join(format!("cut-{percent}"));
        let out =
            curl(&side, device).arg("--output").arg(&file).args(["--range", &format!("0-{}", FIRMWARE * percent / 100)]).status().unwrap();
        assert!(out.success());
        // Torn in the middle of what had arrived.
        let torn = fs::metadata(&file).unwrap().len() - 1234;
        fs::File::options().write(true).open(&file).unwrap().set_len(torn).unwrap();
        let out = curl(&side, device).arg("--output").arg(&file).args(["--continue-at", "-"]).status().unwrap();
        assert!(out.success());
        assert_eq!(digest(&SHA256, &fs::read(&file).unwrap()).as_ref(), wanted.as_ref(), "cut at {percent} %: wrong bytes");
        whole += 1;
    }
    Outcome::from([("value", f64::from(whole)), ("s", begun.elapsed().as_secs_f64())])
}
