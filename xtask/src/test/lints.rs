//! Formatting and clippy. The same packages and features as the test build, so that cargo shares what it compiled.

use anyhow::Result;

use super::tally::Tally;
use crate::{process, toolchain};

pub fn format() -> Result<Tally> {
    process::run("cargo fmt", process::cargo().args(["fmt", "--all", "--check"]))?;
    let fuzz = ["fmt", "--manifest-path", "server/fuzz/Cargo.toml", "--check"];
    process::run("cargo fmt (fuzz targets)", process::cargo().args(fuzz))?;
    Ok(Tally::default())
}

pub fn host() -> Result<Tally> {
    let mut clippy = process::cargo();
    clippy.args(["clippy", "--workspace", "--exclude", "client", "--all-targets", "--", "-D", "warnings"]);
    process::run("clippy (host)", &mut clippy)?;
    Ok(Tally::default())
}

pub fn wasm() -> Result<Tally> {
    toolchain::ensure_wasm_target()?;
    let mut clippy = process::cargo();
    // Clippy looks at the workspace's packages below it as well: app and wire as the browser gets them. By the bundle's profile, so that what both
    // builds run on the host is compiled once.
    clippy.args(["clippy", "--package", "client", "--target", toolchain::WASM, "--profile", "wasm-release"]);
    clippy.args(["--", "-D", "warnings"]);
    process::run("clippy (wasm)", &mut clippy)?;
    Ok(Tally::default())
}
