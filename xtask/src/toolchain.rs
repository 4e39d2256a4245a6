//! The compilers: what must be there before anything is built, added if we can.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{paths, process};

/// The target of the browser bundle.
pub const WASM: &str = "wasm32-unknown-unknown";

/// Makes sure that `rustc` can compile for the browser.
pub fn ensure_wasm_target() -> Result<()> {
    let libdir = process::capture(Command::new("rustc").args(["--print", "target-libdir", "--target", WASM]).current_dir(paths::root()))
        .context("asking rustc for its targets; install Rust from https://rustup.rs")?;
    if has_std(Path::new(libdir.trim())) {
        return Ok(());
    }
    if process::on_path(&["rustup"]).is_none() {
        bail!("the Rust target {WASM} is missing and rustup is not on PATH to add it; install your distribution's package for it");
    }
    process::run("rustup: add the wasm target", Command::new("rustup").args(["target", "add", WASM]).current_dir(paths::root()))?;
    Ok(())
}

/// `node` in a version that the build tools accept.
pub fn ensure_node() -> Result<()> {
    let version = process::capture(Command::new("node").arg("--version")).context("Node.js 20 or newer is needed and was not found")?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= 20 => Ok(()),
        _ => bail!("Node.js 20 or newer is needed; `node --version` says {}", version.trim()),
    }
}

fn has_std(libdir: &Path) -> bool {
    fs::read_dir(libdir).is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-")))
}
