//! Debian packages, where we are allowed to install them.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use nix::unistd::geteuid;

use crate::process;

static UPDATED: AtomicBool = AtomicBool::new(false);

/// Installs packages, or says what to type.
pub fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if process::on_path(&["apt-get"]).is_none() {
        bail!("please install {list} with this system's package tool");
    }
    if !geteuid().is_root() {
        bail!("please run `sudo apt-get install {list}`");
    }
    if !UPDATED.swap(true, Ordering::SeqCst) {
        process::run("apt-get update", apt().arg("update"))?;
    }
    process::run(&format!("apt-get install {list}"), apt().args(["install", "-y", "--no-install-recommends"]).args(packages))?;
    Ok(())
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-q");
    command
}
