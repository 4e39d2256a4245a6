//! The binary `fleetward`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match server::cli::Cli::read().run() {
        Ok(code) => code,
        Err(e) => {
            // The one place where an error becomes text for whoever started the process.
            eprintln!("fleetward: {e:#}");
            ExitCode::FAILURE
        }
    }
}
