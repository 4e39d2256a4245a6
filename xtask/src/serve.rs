//! `cargo xtask serve`: the release binary on one data folder, its log on this terminal.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{dist, paths, process};

#[derive(Args)]
pub struct Options {
    /// Where Fleetward keeps everything; made if it is missing
    #[arg(long, default_value = "data")]
    pub data: PathBuf,
    /// Further arguments for `fleetward serve`
    #[arg(last = true)]
    pub rest: Vec<String>,
}

impl Options {
    /// The data folder, relative to the workspace unless absolute.
    pub fn folder(&self) -> PathBuf {
        paths::root().join(&self.data)
    }
}

pub fn run(options: &Options) -> Result<()> {
    let binary = dist::build()?;
    println!(
        "\nFleetward on {}. A fresh folder has no users: the server says the code of the set-up page below.\n",
        options.folder().display()
    );
    // In a group of its own, so that Ctrl-C reaches it once, through us.
    let mut server = Command::new(binary)
        .arg("serve")
        .arg("--data")
        .arg(options.folder())
        .args(&options.rest)
        .process_group(0)
        .spawn()
        .context("starting fleetward")?;
    let mut told = false;
    loop {
        if let Some(status) = server.try_wait()? {
            return if status.success() { Ok(()) } else { bail!("fleetward ended with {status}") };
        }
        if process::interrupted() && !told {
            told = true;
            process::terminate(server.id())?;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
