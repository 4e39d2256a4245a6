//! `cargo xtask bench pki`: the certificate authority beside its peers, and a page of the manual with what came out.
//!
//! Owns the course of the run and its goals. The program that measures is `server/benches/pki`; what is measured how, and what it costs there, is its
//! business. The peers are Debian's packages, so that anybody can run them again.

mod chart;
mod page;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::pairs::{Measure, Measured, Pairs};
use super::workloads::{Goal, Limit, VALUE};
use crate::postgres::Postgres;
use crate::progress::{self, span};
use crate::{apt, paths, process};

/// A workload, one or two peers, and what is wanted.
struct Workload {
    /// As the program knows it.
    name: &'static str,
    title: &'static str,
    what: &'static str,
    unit: &'static str,
    /// The other side, as the program knows it and as people do; none where ours stands alone.
    peer: Option<(&'static str, &'static str)>,
    /// How many devices or requests, as a share of the fleet in per cent; 0 for as long as the time lasts.
    share: usize,
    goals: &'static [Goal],
    /// What ours should be of the peer's, and of which figure.
    ratios: &'static [(&'static str, Limit)],
}

const WORKLOADS: [Workload; 9] = [
    Workload {
        name: "issue",
        title: "Certificates issued",
        what: "A CSR in, a certificate out, over 16 connections that stay. Ours checks the token, makes the device, writes certificate and audit entry and \
               syncs them before it answers, over TLS. `cfssl serve` signs over plain HTTP and stores nothing.",
        unit: "certificates/s",
        peer: Some(("cfssl", "cfssl")),
        share: 100,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(8_000.0) }],
        ratios: &[(VALUE, Limit::AtLeast(1.5))],
    },
    Workload {
        name: "enrol",
        title: "Enrolments, a new TLS connection each",
        what: "As a device does it once in its life: dial, full handshake, enrol. The floor is rustls and rcgen in one process: it checks the CSR's \
               signature, signs, and stores nothing.",
        unit: "enrolments/s",
        peer: Some(("floor", "floor")),
        share: 50,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(1_500.0) }, Goal { figure: "p99_ms", limit: Limit::AtMost(20.0) }],
        ratios: &[],
    },
    Workload {
        name: "trips",
        title: "Database round trips of one issue",
        what: "Counted on the wire to PostgreSQL: words of ours that follow words of its. Enrolments that come at once share a transaction; 16 in flight.",
        unit: "round trips",
        peer: None,
        share: 2,
        goals: &[Goal { figure: VALUE, limit: Limit::AtMost(3.0) }],
        ratios: &[],
    },
    Workload {
        name: "handshake",
        title: "Full mutual-TLS handshake and one authorised request",
        what: "TCP, TLS 1.3 with X25519 and P-256 certificates on both sides, chains of two, one GET answered with 204, 16 in flight. nginx checks \
               the client's certificate and asks nobody.",
        unit: "handshakes/s",
        peer: Some(("nginx", "nginx")),
        share: 0,
        goals: &[],
        ratios: &[(VALUE, Limit::AtLeast(2.0)), ("per_cpu_s", Limit::AtLeast(3.0))],
    },
    Workload {
        name: "join",
        title: "Everybody dials at once",
        what: "All devices, each with a certificate of its own, dial in the same moment, while twenty others talk. A device that is refused dials again after \
               100 ms. Then nobody says anything and memory is read.",
        unit: "s until the last has joined",
        peer: None,
        share: 100,
        goals: &[
            Goal { figure: VALUE, limit: Limit::AtMost(5.0) },
            Goal { figure: "refused", limit: Limit::AtMost(0.0) },
            Goal { figure: "bytes_each", limit: Limit::AtMost(12_000.0) },
        ],
        ratios: &[],
    },
    Workload {
        name: "storm",
        title: "A tenth dials at once",
        what: "The same with so many devices as mosquitto takes in within minutes when they all dial in one moment: it has one thread, and a short queue \
               of connections that it has not accepted yet.",
        unit: "s until the last has joined",
        peer: Some(("mosquitto", "mosquitto")),
        share: 10,
        goals: &[],
        ratios: &[(VALUE, Limit::AtMost(0.35)), ("bytes_each", Limit::AtMost(0.46))],
    },
    Workload {
        name: "revoke",
        title: "Revoked to closed",
        what: "A hundred devices among all the others are revoked over REST, one after the other: from the request to the closed connection. None of them \
               comes back, none of the others is touched.",
        unit: "ms, 99th percentile",
        peer: None,
        share: 100,
        goals: &[Goal { figure: VALUE, limit: Limit::AtMost(1_000.0) }],
        ratios: &[],
    },
    Workload {
        name: "crl",
        title: "Lists of revoked certificates",
        what: "GET over 16 plain connections that stay. nginx has the same bytes in a file.",
        unit: "answers/s",
        peer: Some(("nginx", "nginx")),
        share: 0,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(5_000.0) }],
        ratios: &[],
    },
    Workload {
        name: "ocsp",
        title: "OCSP answers",
        what: "POST of what `openssl ocsp` asks, over 16 plain connections that stay. nginx has the answer's bytes in a file and reads no question.",
        unit: "answers/s",
        peer: Some(("nginx", "nginx")),
        share: 0,
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(5_000.0) }],
        ratios: &[],
    },
];

/// The floor of the machine.
const RAW: [(&str, &str); 4] = [
    ("signatures", "ECDSA P-256 signatures"),
    ("verifications", "ECDSA P-256 verifications"),
    ("certificates", "certificates from CSRs, P-256"),
    ("handshakes", "full mutual-TLS handshakes, the server's half"),
];

/// How large a run is.
struct Scale {
    fleet: usize,
    seconds: f64,
    pairs: usize,
    /// Fleets of the curves.
    curve: &'static [usize],
}

const FULL: Scale = Scale { fleet: 10_000, seconds: 4.0, pairs: 5, curve: &[100, 300, 1_000, 3_000, 10_000] };
const QUICK: Scale = Scale { fleet: 200, seconds: 0.5, pairs: 3, curve: &[50, 100, 200] };

/// What a workload came to: pairs with its peer, or runs of ours alone.
struct Taken {
    workload: &'static Workload,
    alone: Vec<Measured>,
    pairs: Option<Pairs>,
}

/// Everything that was measured.
struct Results {
    workloads: Vec<Taken>,
    /// What did not get through, in its own words; everything else is measured all the same.
    failed: Vec<String>,
    /// What bare rustls does with everybody dialling at once.
    floor: Vec<Measured>,
    raw: Vec<(&'static str, f64)>,
    curve: Vec<(usize, Measured, Measured)>,
    quick: bool,
    took: Duration,
}

/// Measures everything, or the workloads named, and writes the page when it was everything.
pub fn run(quick: bool, only: &[String]) -> Result<()> {
    if let Some(unknown) = only.iter().find(|name| WORKLOADS.iter().all(|w| w.name != *name)) {
        bail!("there is no workload `{unknown}`; there are {}", WORKLOADS.map(|w| w.name).join(", "));
    }
    let scale = if quick { &QUICK } else { &FULL };
    let begun = Instant::now();
    peers()?;
    let program = compile(quick)?;
    let begun_measuring = Instant::now();
    let database = Postgres::start()?;
    // On the disk that the build is on; a temporary folder may be memory.
    let folder = tempfile::Builder::new().prefix("bench-pki-").tempdir_in(paths::target())?;
    let lab = Lab { program, ground: folder.path().to_path_buf(), database: database.url() };
    lab.prepare(scale.fleet)?;
    let mut failed = Vec::new();
    let chosen = WORKLOADS.iter().filter(|w| only.is_empty() || only.iter().any(|name| name == w.name));
    let workloads = chosen.map(|workload| measure(&lab, workload, scale, &mut failed)).collect();
    if !only.is_empty() {
        return all_through(&failed);
    }
    let mut one = |what: String, workload: &str, side: &str, devices: usize| {
        println!("{what}");
        keep(lab.once(workload, side, devices, scale.seconds), &what, &mut failed)
    };
    let floor = (1..=3).filter_map(|run| one(format!("floor of join: {run} of 3"), "join", "floor", scale.fleet)).collect();
    let mut point = |devices: usize| {
        let joined = one(format!("curve: {devices} devices join"), "join", "ours", devices)?;
        Some((devices, joined, one(format!("curve: revoked among {devices} devices"), "revoke", "ours", devices)?))
    };
    let curve = scale.curve.iter().filter_map(|devices| point(*devices)).collect();
    let raw = RAW.iter().filter_map(|(what, title)| Some((*title, value(&one(format!("raw: {title}"), "raw", what, 1)?)))).collect();
    let took = begun_measuring.elapsed();
    println!("measured in {}, {} with the building", span(took), span(begun.elapsed()));
    let results = Results { workloads, failed, floor, raw, curve, quick, took };
    page::write(&results)?;
    all_through(&results.failed)
}

/// A measurement, or nothing and a line of what went wrong.
fn keep<T>(taken: Result<T>, what: &str, failed: &mut Vec<String>) -> Option<T> {
    taken
        .inspect_err(|error| {
            println!("{what}: {error:#}");
            failed.push(format!("{what}: {}", said(&format!("{error:#}"))));
        })
        .ok()
}

/// What a program that stopped said of it: the line behind a panic's place, or its last one.
fn said(output: &str) -> &str {
    let mut lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.clone().next_back().unwrap_or("it said nothing");
    lines.find(|line| line.contains("panicked at")).and_then(|_| lines.next()).unwrap_or(last)
}

fn all_through(failed: &[String]) -> Result<()> {
    if failed.is_empty() { Ok(()) } else { bail!("not everything got through: {}", failed.join("; ")) }
}

/// Who isn't here is installed.
fn peers() -> Result<()> {
    let missing: Vec<&str> = [("nginx", "nginx-light"), ("mosquitto", "mosquitto"), ("cfssl", "golang-cfssl"), ("openssl", "openssl")]
        .iter()
        .filter(|(program, _)| process::on_path(&[program]).is_none() && !Path::new("/usr/sbin").join(program).is_file())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() { Ok(()) } else { apt::install(&missing) }
}

/// The measuring program and the server beside it. A quick run takes the build that the tests use; its figures mean nothing.
fn compile(quick: bool) -> Result<PathBuf> {
    let mut build = process::cargo();
    if quick {
        build.args(["build", "--workspace", "--exclude", "client"]);
    } else {
        build.args(["bench", "--package", "server", "--no-run"]);
    }
    build.args(["--bench", "pki", "--message-format", "json-render-diagnostics"]);
    let words = if quick { "compile the benchmark" } else { "compile the benchmark and the server for release" };
    let messages = progress::during(words, String::new, || process::capture(&mut build))?;
    let mut lines = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines
        .find(|m| m["target"]["name"] == "pki" && m["executable"].is_string())
        .and_then(|m| m["executable"].as_str().map(PathBuf::from))
        .context("cargo named no executable for the benchmark")
}

/// What measurements are taken with.
#[derive(Clone)]
struct Lab {
    program: PathBuf,
    ground: PathBuf,
    database: String,
}

impl Lab {
    fn prepare(&self, fleet: usize) -> Result<()> {
        // Those that talk while everybody dials are beside them.
        let devices = (fleet + 100).to_string();
        let mut prepare = Command::new(&self.program);
        prepare.arg("prepare").arg(&self.ground).args(["--devices", &devices]);
        let said = progress::during(&format!("enrol {devices} devices"), String::new, || process::capture(&mut prepare))?;
        println!("  {}", said.trim());
        Ok(())
    }

    fn once(&self, workload: &str, side: &str, devices: usize, seconds: f64) -> Result<Measured> {
        process::pause(Duration::ZERO)?;
        let mut command = Command::new(&self.program);
        command.args([workload, side, "--devices", &devices.to_string(), "--seconds", &seconds.to_string()]);
        command.env("BENCH_GROUND", &self.ground).env("TEST_POSTGRES_URL", &self.database);
        let said = process::capture(&mut command)?;
        let measured: Measured = serde_json::from_str(said.trim()).with_context(|| format!("{workload} {side} said {said:?}"))?;
        anyhow::ensure!(value(&measured) > 0.0, "{workload} {side} measured nothing: {said:?}");
        Ok(measured)
    }
}

/// In pairs with its peer; a workload without one by itself, as often as there are pairs. When the two don't get through together, ours is measured alone.
fn measure(lab: &Lab, workload: &'static Workload, scale: &Scale, failed: &mut Vec<String>) -> Taken {
    let devices = if workload.share == 0 { scale.fleet } else { (scale.fleet * workload.share / 100).max(20) };
    let seconds = scale.seconds;
    let side = |side: &'static str| -> Measure {
        let (lab, name) = (lab.clone(), workload.name);
        Box::new(move || lab.once(name, side, devices, seconds).with_context(|| format!("{name} {side}")))
    };
    if let Some((peer, title)) = workload.peer {
        let pairs = Pairs::measure(workload.name, scale.pairs, side("ours"), side(peer));
        if let Some(pairs) = keep(pairs, &format!("{} beside {title}", workload.name), failed) {
            println!("{}: ratio {:.3}", workload.name, pairs.ratio());
            return Taken { workload, alone: Vec::new(), pairs: Some(pairs) };
        }
    }
    let mut alone = Vec::new();
    for round in 1..=scale.pairs {
        let Some(measured) = keep(side("ours")(), workload.name, failed) else { break };
        println!("{}: {round} of {}: {:.3} {}", workload.name, scale.pairs, value(&measured), workload.unit);
        alone.push(measured);
    }
    Taken { workload, alone, pairs: None }
}

fn value(measured: &Measured) -> f64 {
    measured.get(VALUE).copied().unwrap_or(f64::NAN)
}
