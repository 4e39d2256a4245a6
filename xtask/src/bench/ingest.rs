//! Durable ingest over mutual TLS: samples acknowledged after their sync, against the floor of the stack (the same TLS, parsing and one
//! `fdatasync` a batch, with nothing behind it).

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

use super::pairs::Measure;
use crate::process;

/// Connections, samples a message, seconds a measurement.
const LOAD: [&str; 3] = ["8", "100", "5"];

pub fn prepare() -> Result<[Measure; 2]> {
    let bench = compile()?;
    let side = |name: &'static str| -> Measure {
        let bench = bench.clone();
        Box::new(move || measure(&bench, name))
    };
    Ok([side("ours"), side("floor")])
}

/// Builds the benchmark with the release profile's settings and gives its path.
fn compile() -> Result<PathBuf> {
    let mut build = process::cargo();
    build.args(["bench", "--package", "server", "--bench", "ingest", "--no-run", "--message-format", "json-render-diagnostics"]);
    let messages = process::capture(&mut build)?;
    let executables = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let found = executables
        .filter(|m| m["target"]["name"] == "ingest")
        .find_map(|m| m["executable"].as_str().map(PathBuf::from))
        .context("cargo named no executable for the benchmark")?;
    Ok(found)
}

fn measure(bench: &PathBuf, side: &str) -> Result<f64> {
    let said = process::capture(Command::new(bench).arg(side).args(LOAD))?;
    match said.trim().parse::<f64>() {
        Ok(per_second) if per_second > 0.0 => Ok(per_second),
        _ => bail!("{} {side} said {said:?} instead of samples per second", bench.display()),
    }
}
