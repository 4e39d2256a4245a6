//! `cargo xtask bench`: workloads measured against a floor or a peer in the same run.
//!
//! This machine is never quiet, so no bare time is judged: every workload runs its two sides in turn (A B A B …), each
//! pair gives one ratio, and the median of the ratios is the result. Goals in absolute figures are shown beside it. The certificate authority and
//! rollouts have runs of their own, `pki` and `rollouts`.

mod pairs;
mod pki;
mod report;
mod rollouts;
mod suite;
mod workloads;

use anyhow::{Result, bail};
use clap::Args;

use self::pairs::{Measure, Pairs};
use self::suite::Suite;
use self::workloads::{WORKLOADS, Workload};

#[derive(Args)]
pub struct Options {
    /// Only this workload; `pki` and `rollouts` measure many beside their peers and write a page of the manual
    name: Option<String>,
    /// After `pki` or `rollouts`: only these of its workloads, and no page
    workloads: Vec<String>,
    /// How many pairs are measured
    #[arg(long, default_value_t = 7)]
    pairs: usize,
    /// With `pki` or `rollouts`: few devices, short, an unoptimised build; to see whether it runs, its figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Show the workloads
    #[arg(long)]
    list: bool,
}

/// Many workloads each, and a page.
const SUITES: [&Suite; 2] = [&pki::SUITE, &rollouts::SUITE];

pub fn run(options: &Options) -> Result<()> {
    if let Some(suite) = SUITES.iter().find(|suite| options.name.as_deref() == Some(suite.name)) {
        return suite.run(options.quick, &options.workloads);
    }
    if options.list {
        for workload in &WORKLOADS {
            println!("{:16} {}", workload.name, workload.what);
        }
        for suite in SUITES {
            println!("{:16} {}; writes {}.", suite.name, suite.title, suite.page);
        }
        return Ok(());
    }
    let chosen: Vec<&Workload> =
        WORKLOADS.iter().filter(|workload| options.name.as_deref().is_none_or(|name| name == workload.name)).collect();
    if chosen.is_empty() {
        bail!("there is no such workload; `cargo xtask bench --list` shows them");
    }
    let program = workloads::compile()?;
    for workload in chosen {
        let side = |side: &'static str| -> Measure {
            let program = program.clone();
            let name = workload.name;
            Box::new(move || workloads::measure(&program, name, side))
        };
        let pairs = Pairs::measure(workload.name, options.pairs, side("ours"), side("floor"))?;
        report::write(workload, &pairs)?;
    }
    Ok(())
}
