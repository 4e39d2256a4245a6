//! `cargo xtask test`: every test there is, in the order that finds the cheap mistakes first.
//!
//! A step that fails doesn't stop the ones after it. What could not be had (PostgreSQL, a browser) is a failure, not a
//! skip: a green run means that everything ran. The last line is `N passed, N failed` and nothing else.

mod budget;
mod fuzzing;
mod imports;
mod journeys;
mod lints;
mod rooms;
mod rust;
mod sources;
mod tables;
mod tally;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

pub use self::rust::HOST;
use self::tally::Tally;
use crate::process;
use crate::progress::span;

#[derive(Args)]
pub struct Options {
    /// Run only this step; may be given several times
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Show the steps
    #[arg(long)]
    list: bool,
}

/// One line of the summary.
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<Tally>,
}

const STEPS: [Step; 9] = [
    Step { name: "format", what: "cargo fmt --check", run: lints::format },
    Step { name: "imports", what: "who may name whom (as README.md says), no second TLS stack", run: imports::check },
    Step { name: "lint", what: "clippy on the host, warnings are errors", run: lints::host },
    Step { name: "lint-wasm", what: "clippy on the browser's half", run: lints::wasm },
    Step { name: "rust", what: "unit, property, contract and integration tests on SQLite and PostgreSQL", run: rust::tests },
    Step { name: "doc", what: "the examples in the documentation", run: rust::doc_tests },
    Step { name: "fuzz", what: "every fuzz target for 15 seconds, beginning with its corpus", run: fuzzing::run },
    Step { name: "site", what: "the browser bundle and what a first visit costs", run: budget::check },
    Step { name: "browser", what: "journeys and axe in Chromium, then no panic in the server's log", run: journeys::run },
];

struct Outcome {
    step: &'static Step,
    time: Duration,
    result: Result<Tally>,
}

impl Outcome {
    /// A step that failed without a failed test counts as one: formatting, a lint, a size.
    fn tally(&self) -> Tally {
        match &self.result {
            Ok(tally) => *tally,
            Err(_) => Tally { failed: 1, ..Tally::default() },
        }
    }

    fn passed(&self) -> bool {
        self.tally().failed == 0
    }
}

pub fn run(options: &Options) -> Result<()> {
    if options.list {
        for step in &STEPS {
            println!("{:10} {}", step.name, step.what);
        }
        return Ok(());
    }
    if let Some(unknown) = options.only.iter().find(|name| STEPS.iter().all(|step| step.name != *name)) {
        bail!("there is no step `{unknown}`; `cargo xtask test --list` shows them");
    }
    let mut outcomes = Vec::new();
    for step in STEPS.iter().filter(|step| options.only.is_empty() || options.only.iter().any(|name| name == step.name)) {
        println!("{}: {}", step.name, step.what);
        let started = Instant::now();
        let result = (step.run)();
        if process::interrupted() {
            bail!("interrupted in step {}", step.name);
        }
        if let Err(error) = &result {
            println!("  error: {error:#}");
        }
        outcomes.push(Outcome { step, time: started.elapsed(), result });
    }
    summarize(&outcomes)
}

fn summarize(outcomes: &[Outcome]) -> Result<()> {
    println!("\n{:10} {:>14}  {:>6} {:>6} {:>7}", "step", "time", "passed", "failed", "skipped");
    for outcome in outcomes {
        let Tally { passed, failed, skipped } = outcome.tally();
        let mark = if outcome.passed() { "✓" } else { "✗" };
        println!("{:10} {:>14}  {passed:>6} {failed:>6} {skipped:>7}  {mark}", outcome.step.name, span(outcome.time));
    }
    for outcome in outcomes.iter().filter(|outcome| !outcome.passed()) {
        match &outcome.result {
            Ok(tally) => println!("{}: {} failed", outcome.step.name, tally.failed),
            Err(error) => println!("{}: {error:#}", outcome.step.name),
        }
    }
    let total: Tally = outcomes.iter().map(Outcome::tally).sum();
    println!("\n{} passed, {} failed", total.passed, total.failed);
    // The count is the last line; the exit status says the same.
    if total.failed > 0 { Err(Failed.into()) } else { Ok(()) }
}

/// The run was complete and something in it failed; everything has been said.
#[derive(Debug)]
pub struct Failed;

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("tests failed")
    }
}

impl std::error::Error for Failed {}
