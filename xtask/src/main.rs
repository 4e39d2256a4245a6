//! `cargo xtask`: one command from a fresh clone to a running or a tested system.
//!
//! Owns how Fleetward is built, started for a demonstration, tested and measured. Knows nothing of what is inside the
//! packages: it runs cargo, npm and the finished binaries, and speaks to them by their command lines and public REST.

mod apt;
mod bench;
mod browser;
mod demo;
mod dist;
mod fuzz;
mod npm;
mod paths;
mod postgres;
mod process;
mod progress;
mod scratch;
mod serve;
mod simulate;
mod site;
mod softhsm;
mod test;
mod toolchain;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Build, run, test and measure Fleetward", long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start Fleetward with 25 simulated devices, one real agent and a rollout that waits for approval
    Demo(demo::Options),
    /// Run every test there is; the last line says how many passed and failed
    Test(test::Options),
    /// Run Fleetward as in production on one data folder; it says the one-time code of the set-up page as it starts
    Serve(serve::Options),
    /// Make target/dist/fleetward, one self-contained release binary
    Dist,
    /// Rebuild and restart on every change of the sources
    Watch(serve::Options),
    /// Build the browser bundle into target/site
    #[command(visible_alias = "build")]
    Site,
    /// Run the fuzz targets; what they find lies in server/fuzz/artifacts
    Fuzz(fuzz::Options),
    /// Run a simulation of the tests with many seeds; the first that fails is named
    Simulate(simulate::Options),
    /// Measure, each workload against its floor or peer in the same run
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let done = process::catch_signals().and_then(|()| match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Serve(options) => serve::run(&options),
        Command::Dist => dist::run(),
        Command::Watch(options) => watch::run(&options),
        Command::Site => site::build().map(|_| ()),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Simulate(options) => simulate::run(&options),
        Command::Bench(options) => bench::run(&options),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<test::Failed>() => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
