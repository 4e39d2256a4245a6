//! The binary `fleetward`.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A certificate is issued a seventh faster with it than with glibc's, on two cores.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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
