//! `cargo xtask simulate`: the simulations of the tests with as many seeds as one has time for, optimised.
//!
//! Owns how they are built and how a seed that fails is shown. Knows nothing of what they assert.

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::{process, test::HOST};

/// The packages whose code a simulation spends its time in, with the least optimisation that is worth its compile time.
const OPTIMISED: [&str; 2] = ["profile.dev.package.fleet.opt-level=1", "profile.dev.package.wire.opt-level=1"];

#[derive(Args)]
pub struct Options {
    /// What is simulated
    what: What,
    /// How many seeds, from 0 on
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Only this seed, with everything that happens
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// The rollouts' controller against a hostile fleet
    Rollouts,
}

impl What {
    /// The test binary, and the test in it that takes seeds.
    const fn test(self) -> (&'static str, &'static str) {
        match self {
            Self::Rollouts => ("rollout_sim", "whatever_a_fleet_does_the_invariants_hold_and_every_rollout_ends"),
        }
    }
}

pub fn run(options: &Options) -> Result<()> {
    let (binary, test) = options.what.test();
    let mut command = process::cargo();
    for setting in OPTIMISED {
        command.args(["--config", setting]);
    }
    command.arg("test").args(HOST).args(["--test", binary, "--", "--exact", test, "--nocapture"]).env("CARGO_TERM_COLOR", "never");
    command.env_remove("FLEETWARD_SIM_SEED").env_remove("FLEETWARD_SIM_SEEDS");
    let label = if let Some(seed) = options.seed {
        command.env("FLEETWARD_SIM_SEED", seed.to_string());
        format!("simulate {binary}, seed {seed}")
    } else {
        command.env("FLEETWARD_SIM_SEEDS", options.seeds.to_string());
        format!("simulate {binary}, {} seeds", options.seeds)
    };
    let finished = process::watch(&label, &mut command)?;
    let output = finished.output()?;
    if options.seed.is_some() {
        print!("{output}");
    }
    if finished.status.success() {
        return Ok(());
    }
    let log = finished.log.display();
    match first_failing(&output) {
        Some(seed) => {
            let why = said_of(&output, seed).map_or_else(String::new, |why| format!(": {why}"));
            bail!("seed {seed} fails{why}\n  everything that happens: cargo xtask simulate rollouts --seed {seed}\n  whole log: {log}")
        }
        None if options.seed.is_some() => bail!("the seed fails"),
        None => Err(anyhow::anyhow!("whole log: {log}")).context("the simulation did not run to its end"),
    }
}

/// The seed that the simulation names.
fn first_failing(output: &str) -> Option<u64> {
    output.lines().find_map(|line| line.strip_prefix("first failing seed: ")?.trim().parse().ok())
}

/// What its panic said.
fn said_of(output: &str, seed: u64) -> Option<&str> {
    let prefix = format!("seed {seed}: ");
    output.lines().find_map(|line| line.strip_prefix(&prefix)).map(|line| line.split(" {").next().unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = "running 1 test\n\nthread '<unnamed>' panicked at world/check.rs:14:13:\nseed 31: two stages at once: Course { state: Running }\n\
        first failing seed: 31\n\ntest whatever ... FAILED\n";

    #[test]
    fn a_failing_seed_is_found_with_what_it_said() {
        assert_eq!(first_failing(FAILED), Some(31));
        assert_eq!(said_of(FAILED, 31), Some("two stages at once: Course"));
        assert_eq!((first_failing("test whatever ... ok"), said_of("", 31)), (None, None));
    }
}
