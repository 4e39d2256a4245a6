//! `cargo xtask watch`: build, serve, look for changes, again. Polls modification times, which needs no notification
//! service and works on every file system.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::paths::{self, Profile};
use crate::process::{self, Service};
use crate::serve::Options;
use crate::site;

/// What a change of makes a new build. `target` and `node_modules` are nowhere below these.
const SOURCES: [&str; 6] = ["app", "server", "style", "migrations", "Cargo.toml", "Cargo.lock"];

pub fn run(options: &Options) -> Result<()> {
    loop {
        let seen = newest();
        match build(options) {
            Ok(mut server) => {
                println!("\nServing; log in {}. Waiting for changes.\n", server.log().display());
                while newest() == seen {
                    process::pause(Duration::from_millis(500))?;
                    if server.check().is_err() {
                        wait_for_change(seen)?;
                    }
                }
                server.stop(Signal::SIGTERM, Duration::from_secs(10))?;
            }
            Err(_) if process::interrupted() => return Ok(()),
            Err(error) => {
                eprintln!("{error:#}\nWaiting for a change.");
                wait_for_change(seen)?;
            }
        }
    }
}

fn build(options: &Options) -> Result<Service> {
    site::build()?;
    process::run("compile the server", process::cargo().args(["build", "--package", "server", "--bins"]))?;
    let mut server = Command::new(paths::binary(Profile::Dev, "fleetward"));
    server.arg("serve").arg("--data").arg(options.folder()).args(&options.rest);
    Service::spawn("fleetward", &mut server, &process::log_file("watch-fleetward")?)
}

fn wait_for_change(seen: Option<SystemTime>) -> Result<()> {
    while newest() == seen {
        process::pause(Duration::from_millis(500))?;
    }
    Ok(())
}

fn newest() -> Option<SystemTime> {
    SOURCES.iter().flat_map(|source| files(&paths::root().join(source))).filter_map(|file| file.metadata().ok()?.modified().ok()).max()
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() { paths::files_below(path).unwrap_or_default() } else { vec![path.to_path_buf()] }
}
