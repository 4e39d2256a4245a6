//! npm packages, exactly as the lock files say, without running their install scripts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{paths, process, toolchain};

/// The build tools of `xtask/package.json`, installed.
pub fn build_tools() -> Result<PathBuf> {
    install(&paths::root().join("xtask"), "npm: build tools")
}

/// Playwright and axe of `end2end/package.json`, installed. The browser itself is not npm's business.
pub fn browser_tests() -> Result<PathBuf> {
    install(&paths::root().join("end2end"), "npm: browser tests")
}

fn install(folder: &Path, label: &str) -> Result<PathBuf> {
    toolchain::ensure_node()?;
    let modules = folder.join("node_modules");
    let lock = fs::read(folder.join("package-lock.json")).context("package-lock.json")?;
    let stamp = modules.join(".fleetward-lock");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(modules);
    }
    process::run(
        label,
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
            .current_dir(folder),
    )?;
    fs::write(&stamp, lock)?;
    Ok(modules)
}
