//! `cargo xtask fuzz`: the fuzz targets of `server/fuzz`, driven by cargo alone. Their layout is cargo-fuzz's, whose own command works there as well.
//!
//! Owns how they are built and run, and their corpora. New inputs that reach something new are kept in `target/fuzz/found`; `--keep` takes those
//! over into the committed corpus that add to what it covers. Knows nothing of what the targets assert.

mod seeds;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{apt, paths, process};

/// Every target, by the name of its binary and of its corpus.
pub const TARGETS: [&str; 4] = ["csr_gate", "est_body", "ocsp_request", "device_frames"];

/// Coverage as libFuzzer reads it, the same as cargo-fuzz asks for. None of it needs a nightly compiler; the sanitizers, which would, guard against
/// what safe Rust can't do.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// Fewer edges than this, and the binary was built without its instrumentation.
const LEAST_EDGES: u64 = 100;

#[derive(Args)]
pub struct Options {
    /// Only this target
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Afterwards take what adds coverage over into the committed corpus
    #[arg(long)]
    keep: bool,
    /// Write the seeds of every corpus anew from the tests' data, and run nothing
    #[arg(long)]
    seeds: bool,
}

pub fn run(options: &Options) -> Result<()> {
    if options.seeds {
        return seeds::write();
    }
    let chosen: Vec<&str> = TARGETS.into_iter().filter(|name| options.target.as_deref().is_none_or(|target| target == *name)).collect();
    if chosen.is_empty() {
        bail!("there is no such target; there are {}", TARGETS.join(", "));
    }
    let binaries = compile()?;
    for target in chosen {
        let seen = binaries.run(target, options.seconds)?;
        println!("  {target}: {} runs, {} edges covered", seen.runs, seen.edges);
        if options.keep {
            binaries.keep(target)?;
        }
    }
    Ok(())
}

/// Targets that were built.
pub struct Binaries(PathBuf);

/// What a run without a finding covered.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub runs: u64,
    pub edges: u64,
}

/// Builds all targets. Their dependencies are built once more for them, instrumented, in a target folder of their own.
pub fn compile() -> Result<Binaries> {
    if process::on_path(&["c++", "g++", "clang++"]).is_none() {
        // libFuzzer is C++; its sources come with its crate.
        apt::install(&["g++"])?;
    }
    let host = host()?;
    let target = paths::target().join("fuzz");
    let mut build = process::cargo();
    build.args(["build", "--manifest-path", "server/fuzz/Cargo.toml", "--release", "--bins", "--target", &host, "--target-dir"]);
    build.arg(&target).env("RUSTFLAGS", INSTRUMENTED).env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run("compile the fuzz targets", &mut build)?;
    Ok(Binaries(target.join(host).join("release")))
}

/// Named, so that build scripts and macros, which run at home, are not instrumented.
fn host() -> Result<String> {
    let said = process::capture(Command::new("rustc").arg("-vV").current_dir(paths::root()))?;
    said.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned).context("rustc names no host")
}

fn package() -> PathBuf {
    paths::root().join("server/fuzz")
}

fn corpus(target: &str) -> PathBuf {
    package().join("corpus").join(target)
}

/// Where a run puts what it finds worth keeping.
fn found(target: &str) -> Result<PathBuf> {
    let dir = paths::target().join("fuzz/found").join(target);
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

impl Binaries {
    /// Runs a target for so long, beginning with its corpus. A finding is an error that says where the input lies.
    pub fn run(&self, target: &str, seconds: u32) -> Result<Seen> {
        let artifacts = package().join("artifacts").join(target);
        fs::create_dir_all(&artifacts)?;
        let mut fuzz = Command::new(self.0.join(target));
        fuzz.args([format!("-max_total_time={seconds}"), format!("-artifact_prefix={}/", artifacts.display())]);
        // An input may take a second and half a gigabyte at the very most; none should.
        fuzz.args(["-timeout=1", "-rss_limit_mb=512", "-print_final_stats=1"]).arg(found(target)?).arg(corpus(target));
        let finished = process::watch(&format!("fuzz {target}"), &mut fuzz)?;
        let output = finished.output()?;
        if !finished.status.success() {
            process::show_tail(&finished.log, 40)?;
            let input = output.lines().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path));
            bail!("{target} found something: {} (whole log: {})", input.unwrap_or("no input was written"), finished.log.display());
        }
        let seen = seen(&output).with_context(|| format!("{target} printed no statistics (log: {})", finished.log.display()))?;
        ensure!(seen.edges >= LEAST_EDGES, "{target} covers {} edges: it was built without instrumentation", seen.edges);
        Ok(seen)
    }

    /// Merges what was found into the committed corpus: only inputs that cover what nothing there covers.
    fn keep(&self, target: &str) -> Result<()> {
        let mut merge = Command::new(self.0.join(target));
        merge.arg("-merge=1").arg(corpus(target)).arg(found(target)?);
        process::run(&format!("keep what {target} found"), &mut merge)?;
        Ok(())
    }
}

/// From libFuzzer's last `cov:` and its final statistics.
fn seen(output: &str) -> Option<Seen> {
    let mut words = BTreeMap::new();
    for line in output.lines() {
        if let Some((_, cov)) = line.split_once(" cov: ") {
            words.insert("cov", cov.split_whitespace().next()?.parse().ok()?);
        } else if let Some(runs) = line.strip_prefix("stat::number_of_executed_units:") {
            words.insert("runs", runs.trim().parse().ok()?);
        }
    }
    Some(Seen { runs: *words.get("runs")?, edges: *words.get("cov")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_from_the_end_of_the_log() {
        let output = "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 40Mb\n#9\tDONE   cov: 640 ft: 900 corp: 2/2b exec/s: 3 rss: 40Mb\n\
                      stat::number_of_executed_units: 51342\nstat::average_exec_per_sec:     3422\n";
        assert_eq!(seen(output), Some(Seen { runs: 51_342, edges: 640 }));
        assert_eq!(seen("#2\tINITED ft: 1\nstat::number_of_executed_units: 7"), None);
    }

    #[test]
    fn every_target_has_a_corpus_and_a_binary() {
        let manifest = fs::read_to_string(package().join("Cargo.toml")).unwrap();
        for target in TARGETS {
            assert!(manifest.contains(&format!("path = \"targets/{target}.rs\"")), "{target}");
            assert!(fs::read_dir(corpus(target)).unwrap().count() >= 5, "{target}");
        }
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
    }
}
