//! `cargo xtask dist`: one file that is all of Fleetward.

use std::fs;

use anyhow::Result;

use crate::paths::{self, Profile};
use crate::{process, site};

/// Builds the bundle first: the release binary embeds it.
pub fn run() -> Result<()> {
    let binary = build()?;
    let dist = paths::target().join("dist");
    fs::create_dir_all(&dist)?;
    let to = dist.join("fleetward");
    // Renamed into place, so that a running copy is not written over.
    let fresh = dist.join(".fleetward.new");
    fs::copy(&binary, &fresh)?;
    fs::rename(&fresh, &to)?;
    let mib = fs::metadata(&to)?.len().div_ceil(1 << 20);
    println!("\n{} ({mib} MiB): copy it anywhere and run `fleetward serve`.", to.display());
    Ok(())
}

/// The release binary with the current bundle inside.
pub fn build() -> Result<std::path::PathBuf> {
    site::build()?;
    release_binaries(&["server"])?;
    Ok(paths::binary(Profile::Release, "fleetward"))
}

/// Compiles these packages' binaries for release.
pub fn release_binaries(packages: &[&str]) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--release", "--bins"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    process::run("compile the release binaries", &mut cargo)?;
    Ok(())
}
