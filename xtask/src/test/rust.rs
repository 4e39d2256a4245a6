//! The Rust tests, on both engines. cargo-nextest if it is there, cargo's own runner if not.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::tally::Tally;
use crate::apt;
use crate::postgres::Postgres;
use crate::process::{self, Finished};
use crate::scratch;
use crate::softhsm::SoftHsm;

/// The host's packages in one selection: whoever builds for the tests uses this one, or cargo compiles everything twice
/// with other features.
pub const HOST: [&str; 3] = ["--workspace", "--exclude", "client"];

/// How many tests may run that mostly wait, beside those that keep every core busy; `.config/nextest.toml` says which.
const WAITING: usize = 2;

/// Libraries, binaries and test binaries of the dev profile.
pub fn compile() -> Result<()> {
    process::run("compile the tests", process::cargo().arg("build").args(HOST).args(["--lib", "--bins", "--tests"]))?;
    Ok(())
}

pub fn tests() -> Result<Tally> {
    compile()?;
    let nextest = process::capture(process::cargo().args(["nextest", "--version"])).is_ok();
    let mut command = process::cargo();
    if nextest {
        let threads = (2 * std::thread::available_parallelism().map_or(1, usize::from) + WAITING).to_string();
        command.args(["nextest", "run", "--profile", "whole", "--test-threads", &threads]).args(HOST).args(["--no-tests", "pass"]);
    } else {
        println!("  cargo-nextest is not installed: cargo test runs the tests, one binary after the other");
        command.arg("test").args(HOST).args(["--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    command.env("CARGO_TERM_COLOR", "never");
    let engine = with_postgres(&mut command);
    // A device's own update client, which one test drives.
    if process::on_path(&["swupdate"]).is_none() {
        apt::install(&["swupdate"]).context("SWUpdate (swupdate) was not found")?;
    }
    let token = if std::env::var_os("TEST_PKCS11_MODULE").is_some() { None } else { Some(SoftHsm::prepare()?) };
    if let Some(token) = &token {
        token.tell(&mut command);
    }
    let scratch = scratch::folder("fleetward-tests-")?;
    command.env("TMPDIR", scratch.path());
    let finished = process::watch("run the tests", &mut command)?;
    let tally = judge(&finished, nextest)?;
    match engine {
        Ok(_stopped_now) => Ok(tally),
        Err(error) => {
            println!("  {} passed, {} failed on SQLite alone", tally.passed, tally.failed);
            Err(error.context("there is no PostgreSQL, so its half of the tests was not run"))
        }
    }
}

/// Points the tests to PostgreSQL: one that the caller has, or one of our own that lives as long as the result.
fn with_postgres(command: &mut Command) -> Result<Option<Postgres>> {
    if std::env::var_os("TEST_POSTGRES_URL").is_some() {
        return Ok(None);
    }
    let postgres = Postgres::start()?;
    command.env("TEST_POSTGRES_URL", postgres.url());
    Ok(Some(postgres))
}

fn judge(finished: &Finished, nextest: bool) -> Result<Tally> {
    let output = finished.output()?;
    let tally = if nextest { Tally::of_nextest(&output) } else { Tally::of_cargo_test(&output) };
    if !finished.status.success() {
        process::show_tail(&finished.log, 150)?;
    }
    let tally = tally.with_context(|| format!("the test runner printed no summary (log: {})", finished.log.display()))?;
    if !finished.status.success() && tally.failed == 0 {
        bail!("the test runner ended with {} (log: {})", finished.status, finished.log.display());
    }
    Ok(tally)
}

/// nextest does not run these.
pub fn doc_tests() -> Result<Tally> {
    let finished =
        process::watch("documentation examples", process::cargo().args(["test", "--doc"]).args(HOST).env("CARGO_TERM_COLOR", "never"))?;
    judge(&finished, false)
}
