//! A run over many workloads beside their peers, and a page of the manual with what came out: `cargo xtask bench pki`, `cargo xtask bench rollouts`.
//!
//! Owns the course of such a run; what is measured and what is wanted stands in a [`Suite`]. The program that measures is `server/benches/lab`; what is
//! measured how, and what it costs there, is its business. The peers are Debian's packages, so that anybody can run them again.

mod chart;
mod heap;
mod page;
mod profile;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::heap::Heap;
use self::profile::Profile;
use super::pairs::{Measure, Measured, Pairs, median};
use super::workloads::{Goal, Limit, VALUE};
use crate::postgres::Postgres;
use crate::progress::{self, span};
use crate::{apt, paths, process};

/// What belongs together on one page.
pub struct Suite {
    /// As the command knows it.
    pub name: &'static str,
    /// The page's title.
    pub title: &'static str,
    /// What holds for all of its workloads.
    pub common: &'static str,
    pub workloads: &'static [Workload],
    /// Programs that have to be there, with their packages.
    pub peers: &'static [(&'static str, &'static str)],
    /// The page, in the manual.
    pub page: &'static str,
    /// Why goals were missed, in words of those who looked into it: not measured, so not written by the run.
    pub reasons: &'static str,
    /// The program's word that makes the folder Fleetward is started over; of `spare` devices more than are measured.
    pub prepare: &'static str,
    pub spare: usize,
    pub full: Scale,
    pub quick: Scale,
    /// A workload whose floor is measured beside it: the same with nothing behind it.
    pub floor: Option<(&'static str, &'static str)>,
    /// What ours should be of that floor's in the same run, and of which figure.
    pub beside_floor: &'static [(&'static str, Limit)],
    /// The arithmetic of the machine, by the program's word and in people's.
    pub raw: &'static [(&'static str, &'static str)],
    /// What the curves show, from small fleets to large ones.
    pub curve: &'static [Column],
}

/// A workload, its peer, and what is wanted.
pub struct Workload {
    /// As the program knows it.
    pub name: &'static str,
    pub title: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    /// The other side, as the program knows it and as people do; none where ours stands alone.
    pub peer: Option<(&'static str, &'static str)>,
    /// How many devices or requests, as a share of the fleet in per cent; 0 for as long as the time lasts.
    pub share: usize,
    pub goals: &'static [Goal],
    /// What ours should be of the peer's, and of which figure.
    pub ratios: &'static [(&'static str, Limit)],
}

/// A figure that is followed over the size of the fleet.
pub struct Column {
    pub workload: &'static str,
    pub figure: &'static str,
    pub title: &'static str,
    /// Whether it is drawn as well.
    pub drawn: bool,
    /// What the largest fleet's should be of the smallest's.
    pub growth: Option<Limit>,
}

/// How large a run is.
pub struct Scale {
    pub fleet: usize,
    pub seconds: f64,
    pub pairs: usize,
    /// Fleets of the curves.
    pub curve: &'static [usize],
}

/// What a workload came to: pairs with its peer, or runs of ours alone.
struct Taken {
    workload: &'static Workload,
    alone: Vec<Measured>,
    pairs: Option<Pairs>,
    /// Where the time of one more run went, or why nobody knows; only of those that missed a goal of anything but memory.
    profile: Option<Result<Profile, String>>,
    /// Whose the memory of one more run was; only of those that missed a goal of memory.
    heap: Option<Result<Heap, String>>,
}

impl Taken {
    /// What a goal is held against: the median of a figure of ours.
    fn reached(&self, figure: &str) -> f64 {
        match &self.pairs {
            Some(pairs) => pairs.medians().get(figure).map_or(f64::NAN, |(ours, _)| *ours),
            None => median(self.alone.iter().filter_map(|run| run.get(figure).copied())),
        }
    }

    /// The same beside the peer's.
    fn ratio(&self, figure: &str) -> f64 {
        self.pairs.as_ref().map_or(f64::NAN, |pairs| pairs.ratio_of(figure).0)
    }

    /// Whether a goal was missed, of figures like this.
    fn missed(&self, of: impl Fn(&str) -> bool) -> bool {
        self.workload.goals.iter().any(|goal| of(goal.figure) && !goal.limit.holds(self.reached(goal.figure)))
            || self.workload.ratios.iter().any(|(figure, limit)| of(figure) && !limit.holds(self.ratio(figure)))
    }
}

/// Everything that was measured.
struct Results {
    suite: &'static Suite,
    workloads: Vec<Taken>,
    /// What did not get through, in its own words; everything else is measured all the same.
    failed: Vec<String>,
    /// What the floor's workload does with nothing behind it.
    floor: Vec<Measured>,
    raw: Vec<(&'static str, f64)>,
    /// By size of the fleet, what each of the curve's workloads came to.
    curve: Vec<(usize, Vec<(&'static str, Measured)>)>,
    quick: bool,
    took: Duration,
}

impl Suite {
    /// Measures everything, or the workloads named, and writes the page when it was everything and nobody broke it off.
    pub fn run(&'static self, quick: bool, only: &[String]) -> Result<()> {
        if let Some(unknown) = only.iter().find(|name| self.workloads.iter().all(|w| w.name != *name)) {
            bail!("there is no workload `{unknown}`; there are {}", self.workloads.iter().map(|w| w.name).collect::<Vec<_>>().join(", "));
        }
        let scale = if quick { &self.quick } else { &self.full };
        let begun = Instant::now();
        self.install_peers()?;
        let program = compile(quick)?;
        let begun_measuring = Instant::now();
        let database = Postgres::start()?;
        // On the disk that the build is on; a temporary folder may be memory.
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(paths::target())?;
        let lab = Lab { suite: self, program, grounds: folder.path().to_path_buf(), database: database.url(), fleet: scale.fleet };
        let mut failed = Vec::new();
        let chosen = self.workloads.iter().filter(|w| only.is_empty() || only.iter().any(|name| name == w.name));
        let taken = |workload| {
            let mut taken = measure(&lab, workload, scale, &mut failed);
            let of_time = taken.missed(|figure| figure != heap::FIGURE);
            taken.profile = of_time.then(|| lab.profile(workload, scale).map_err(|error| format!("{error:#}")));
            let of_memory = taken.missed(|figure| figure == heap::FIGURE);
            taken.heap = of_memory.then(|| lab.heap(workload, scale).map_err(|error| format!("{error:#}")));
            taken
        };
        let workloads = chosen.map(taken).collect();
        if !only.is_empty() {
            return all_through(&failed);
        }
        let mut one = |what: String, workload: &str, side: &str, devices: usize| {
            println!("{what}");
            keep(lab.once(workload, side, devices, scale.seconds), &what, &mut failed)
        };
        let floor = self.floor.map_or_else(Vec::new, |(workload, side)| {
            (1..=3).filter_map(|run| one(format!("floor of {workload}: {run} of 3"), workload, side, scale.fleet)).collect()
        });
        let mut curve = Vec::new();
        for devices in scale.curve {
            let mut names: Vec<&str> = self.curve.iter().map(|column| column.workload).collect();
            names.dedup();
            let taken = names
                .into_iter()
                .filter_map(|name| Some((name, one(format!("curve: {name} with {devices} devices"), name, "ours", *devices)?)));
            curve.push((*devices, taken.collect()));
        }
        let raw =
            self.raw.iter().filter_map(|(what, title)| Some((*title, value(&one(format!("raw: {title}"), "raw", what, 1)?)))).collect();
        let took = begun_measuring.elapsed();
        println!("measured in {}, {} with the building", span(took), span(begun.elapsed()));
        if process::interrupted() {
            bail!("interrupted: {} is left as it was", self.page);
        }
        let results = Results { suite: self, workloads, failed, floor, raw, curve, quick, took };
        page::write(&results)?;
        all_through(&results.failed)
    }

    /// Who isn't here is installed.
    fn install_peers(&self) -> Result<()> {
        let here = |program: &str| process::on_path(&[program]).is_some() || Path::new("/usr/sbin").join(program).is_file();
        let missing: Vec<&str> = self.peers.iter().filter(|(program, _)| !here(program)).map(|(_, package)| *package).collect();
        if missing.is_empty() { Ok(()) } else { apt::install(&missing) }
    }
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

/// The measuring program and the server beside it. A quick run takes the build that the tests use; its figures mean nothing.
fn compile(quick: bool) -> Result<PathBuf> {
    let mut build = process::cargo();
    if quick {
        build.args(["build", "--workspace", "--exclude", "client"]);
    } else {
        build.args(["bench", "--package", "server", "--no-run"]);
    }
    build.args(["--bench", "lab", "--message-format", "json-render-diagnostics"]);
    let words = if quick { "compile the benchmark" } else { "compile the benchmark and the server for release" };
    let messages = progress::during(words, String::new, || process::capture(&mut build))?;
    let mut lines = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines
        .find(|m| m["target"]["name"] == "lab" && m["executable"].is_string())
        .and_then(|m| m["executable"].as_str().map(PathBuf::from))
        .context("cargo named no executable for the benchmark")
}

/// What measurements are taken with.
#[derive(Clone)]
struct Lab {
    suite: &'static Suite,
    program: PathBuf,
    grounds: PathBuf,
    database: String,
    fleet: usize,
}

impl Lab {
    /// A folder with a fleet that is large enough, made when it is asked for first. Where a fleet's size is what is measured, there is one for each.
    fn ground(&self, devices: usize) -> Result<PathBuf> {
        let devices = if self.suite.spare > 0 { self.fleet.max(devices) + self.suite.spare } else { devices };
        let ground = self.grounds.join(devices.to_string());
        if !ground.exists() {
            std::fs::create_dir(&ground)?;
            let mut prepare = Command::new(&self.program);
            prepare.arg(self.suite.prepare).arg(&ground).args(["--devices", &devices.to_string()]);
            let said = progress::during(&format!("prepare {devices} devices"), String::new, || process::capture(&mut prepare))?;
            println!("  {}", said.trim());
        }
        Ok(ground)
    }

    /// Where the server's time goes in one more run of ours.
    fn profile(&self, workload: &Workload, scale: &Scale) -> Result<Profile> {
        println!("{}: once more, for its profile", workload.name);
        profile::install()?;
        let file = self.grounds.join("profile");
        self.run(workload.name, "ours", devices(workload, scale), scale.seconds, Some((profile::ASKED, file.as_path())))?;
        profile::read(&file)
    }

    /// Whose the server's memory is in one more run of ours, of fewer devices where there are many.
    fn heap(&self, workload: &Workload, scale: &Scale) -> Result<Heap> {
        println!("{}: once more, for its heap", workload.name);
        let file = self.grounds.join(format!("heap-{}", workload.name));
        self.run(workload.name, "ours", devices(workload, scale).min(heap::DEVICES), scale.seconds, Some((heap::ASKED, file.as_path())))?;
        heap::read(&file)
    }

    fn once(&self, workload: &str, side: &str, devices: usize, seconds: f64) -> Result<Measured> {
        self.run(workload, side, devices, seconds, None)
    }

    /// Once, or once more for what is asked for beside the figures: a variable, and the file that it names.
    fn run(&self, workload: &str, side: &str, devices: usize, seconds: f64, asked: Option<(&str, &Path)>) -> Result<Measured> {
        process::pause(Duration::ZERO)?;
        let mut command = Command::new(&self.program);
        command.envs(asked);
        command.args([workload, side, "--devices", &devices.to_string(), "--seconds", &seconds.to_string()]);
        command.env("BENCH_GROUND", self.ground(devices)?).env("TEST_POSTGRES_URL", &self.database);
        let said = process::capture(&mut command)?;
        let measured: Measured = serde_json::from_str(said.trim()).with_context(|| format!("{workload} {side} said {said:?}"))?;
        anyhow::ensure!(value(&measured) > 0.0, "{workload} {side} measured nothing: {said:?}");
        Ok(measured)
    }
}

/// How many devices or requests a workload is measured with.
fn devices(workload: &Workload, scale: &Scale) -> usize {
    if workload.share == 0 { scale.fleet } else { (scale.fleet * workload.share / 100).max(20) }
}

/// In pairs with its peer; a workload without one by itself, as often as there are pairs. When the two don't get through together, ours is measured alone.
fn measure(lab: &Lab, workload: &'static Workload, scale: &Scale, failed: &mut Vec<String>) -> Taken {
    let (devices, seconds) = (devices(workload, scale), scale.seconds);
    let side = |side: &'static str| -> Measure {
        let (lab, name) = (lab.clone(), workload.name);
        Box::new(move || lab.once(name, side, devices, seconds).with_context(|| format!("{name} {side}")))
    };
    if let Some((peer, title)) = workload.peer {
        let pairs = Pairs::measure(workload.name, scale.pairs, side("ours"), side(peer));
        if let Some(pairs) = keep(pairs, &format!("{} beside {title}", workload.name), failed) {
            println!("{}: ratio {:.3}", workload.name, pairs.ratio());
            return Taken { workload, alone: Vec::new(), pairs: Some(pairs), profile: None, heap: None };
        }
    }
    let mut alone = Vec::new();
    for round in 1..=scale.pairs {
        let Some(measured) = keep(side("ours")(), workload.name, failed) else { break };
        println!("{}: {round} of {}: {:.3} {}", workload.name, scale.pairs, value(&measured), workload.unit);
        alone.push(measured);
    }
    Taken { workload, alone, pairs: None, profile: None, heap: None }
}

fn value(measured: &Measured) -> f64 {
    measured.get(VALUE).copied().unwrap_or(f64::NAN)
}
