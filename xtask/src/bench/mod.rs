//! `cargo xtask bench`: workloads measured against a floor or a peer in the same run.
//!
//! This machine is never quiet, so no bare time is judged: every workload runs its two sides in turn (A B A B …), each
//! pair gives one ratio, and the median of the ratios is the result. Workloads are listed in [`WORKLOADS`].

mod ingest;
mod pairs;
mod report;

use anyhow::{Result, bail};
use clap::Args;

use self::pairs::{Measure, Pairs};

#[derive(Args)]
pub struct Options {
    /// Only this workload
    name: Option<String>,
    /// How many pairs are measured
    #[arg(long, default_value_t = 7)]
    pairs: usize,
    /// Show the workloads
    #[arg(long)]
    list: bool,
}

/// Something worth measuring.
pub struct Workload {
    pub name: &'static str,
    pub what: &'static str,
    /// What the two sides are called, ours first.
    pub sides: [&'static str; 2],
    /// The unit of one measurement, for example `samples/s`.
    pub unit: &'static str,
    /// Makes ready and returns the two measurements to take in turn.
    pub prepare: fn() -> Result<[Measure; 2]>,
}

/// Every workload, each in a file of its own.
const WORKLOADS: [Workload; 1] = [Workload {
    name: "ingest",
    what: "Samples acknowledged after their sync, from 8 devices over mutual TLS in 100-sample messages; the floor parses and syncs and does nothing else.",
    sides: ["Fleetward", "floor"],
    unit: "samples/s",
    prepare: ingest::prepare,
}];

pub fn run(options: &Options) -> Result<()> {
    if options.list {
        for workload in &WORKLOADS {
            println!("{:16} {}", workload.name, workload.what);
        }
        return Ok(());
    }
    let chosen: Vec<&Workload> =
        WORKLOADS.iter().filter(|workload| options.name.as_deref().is_none_or(|name| name == workload.name)).collect();
    if chosen.is_empty() {
        bail!("there is no such workload; `cargo xtask bench --list` shows them");
    }
    for workload in chosen {
        let [ours, other] = (workload.prepare)()?;
        let pairs = Pairs::measure(workload.name, options.pairs, ours, other)?;
        report::write(workload, &pairs)?;
    }
    Ok(())
}
