//! What is measured, and the benchmark program that does it.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::pairs::Measured;
use crate::process;

/// Something worth measuring.
pub struct Workload {
    pub name: &'static str,
    pub what: &'static str,
    /// What the other side is called.
    pub floor: &'static str,
    /// The unit of the result, for example `samples/s`.
    pub unit: &'static str,
    /// What ours should reach on two cores.
    pub goals: &'static [Goal],
}

/// A figure of ours, by its name in the measurement, and its limit.
pub struct Goal {
    pub figure: &'static str,
    pub limit: Limit,
}

pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Limit {
    pub fn holds(&self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= *least,
            Self::AtMost(most) => value <= *most,
        }
    }
}

/// The name of the result itself among the figures.
pub const VALUE: &str = "value";

pub const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "ingest",
        what: "Samples acknowledged after their sync, from 8 devices over mutual TLS in 100-sample messages. The floor parses and syncs and does \
               nothing else.",
        floor: "floor",
        unit: "samples/s",
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(200_000.0) }],
    },
    Workload {
        name: "latency",
        what: "Median time from a device's socket to a browser's, 1,000 devices sending one sample a second over mutual TLS, 20 browsers watching \
               5 each. The floor parses and hands on and does nothing else.",
        floor: "floor",
        unit: "ms",
        goals: &[Goal { figure: VALUE, limit: Limit::AtMost(5.0) }],
    },
    Workload {
        name: "list",
        what: "Device lists rendered, 50 of 10,000 devices, 20 requests at a time. Beside it the same 50 read by the core and written as JSON.",
        floor: "the rows alone",
        unit: "pages/s",
        goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(500.0) }, Goal { figure: "p99_ms", limit: Limit::AtMost(50.0) }],
    },
    Workload {
        name: "start",
        what: "Time from the very first start, with database, authorities and keys to be made, to the first answer, and the memory after it. The \
               floor is a bare server that answers one line.",
        floor: "floor",
        unit: "ms",
        goals: &[Goal { figure: VALUE, limit: Limit::AtMost(300.0) }, Goal { figure: "resident_mb", limit: Limit::AtMost(40.0) }],
    },
];

/// Builds the benchmark program with the release profile's settings and gives its path.
pub fn compile() -> Result<PathBuf> {
    let mut build = process::cargo();
    build.args(["bench", "--package", "server", "--bench", "workloads", "--no-run", "--message-format", "json-render-diagnostics"]);
    println!("compiling the benchmark for release");
    let messages = process::capture(&mut build)?;
    let executables = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let found = executables
        .filter(|m| m["target"]["name"] == "workloads")
        .find_map(|m| m["executable"].as_str().map(PathBuf::from))
        .context("cargo named no executable for the benchmark")?;
    Ok(found)
}

/// Measures one side once.
pub fn measure(program: &Path, workload: &str, side: &str) -> Result<Measured> {
    let said = process::capture(Command::new(program).args([workload, side]))?;
    let measured: Measured =
        serde_json::from_str(said.trim()).with_context(|| format!("{workload} {side} said {said:?} instead of its figures"))?;
    measured.get(VALUE).filter(|value| **value > 0.0).with_context(|| format!("{workload} {side} measured nothing: {said:?}"))?;
    Ok(measured)
}
