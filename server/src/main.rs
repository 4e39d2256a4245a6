//! The binary `fleetward`.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match server::cli::Cli::parse().run() {
        Ok(code) => code,
        Err(e) => {
            // The one place where an error becomes text for whoever started the process.
            eprintln!("fleetward: {e:#}");
            ExitCode::FAILURE
        }
    }
}
