//! `cargo xtask demo`: a whole small fleet on this machine, from nothing, until Ctrl-C.
//!
//! Owns the order of things. What is started is in [`system`], what is put into it in [`seed`]; both use only what any
//! operator has: command lines and the public REST API.

mod rest;
mod seed;
mod system;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use self::seed::{Login, Seeded};
use self::system::{Addresses, System};
use crate::paths::{self, Profile};
use crate::{dist, process, site};

#[derive(Args)]
pub struct Options {
    /// Simulated devices
    #[arg(long, default_value_t = 25)]
    pub devices: u32,
    /// How many of them lose their connection now and then
    #[arg(long, default_value_t = 2)]
    pub flaky: u32,
    /// Seconds that each stage of the rollout is watched after its last device
    #[arg(long, default_value_t = 15)]
    pub soak: u32,
    /// Most seconds that a simulated device takes for each step of an update
    #[arg(long, default_value_t = 4.0, value_name = "SECONDS")]
    pub pace: f64,
    /// Use the dev profile: quicker to build, slower to run
    #[arg(long)]
    pub dev: bool,
    /// Use the binaries and the bundle that are there
    #[arg(long)]
    pub no_build: bool,
    /// Write addresses and logins to this file when everything is up; takes free ports instead of the documented ones
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Leave the data folder behind
    #[arg(long)]
    pub keep: bool,
}

impl Options {
    fn profile(&self) -> Profile {
        if self.dev { Profile::Dev } else { Profile::Release }
    }
}

/// All that a person or a test needs to use the running system.
#[derive(Serialize)]
pub struct Access {
    #[serde(flatten)]
    pub addresses: Addresses,
    #[serde(flatten)]
    pub seeded: Seeded,
    pub fleetward: PathBuf,
    pub data: PathBuf,
    pub server_log: PathBuf,
}

/// A running demonstration; dropping it stops everything.
pub struct Demo {
    pub access: Access,
    system: System,
}

impl Demo {
    /// Builds what is missing, starts and seeds. Returns when every device is connected and the rollout waits.
    pub fn start(options: &Options) -> Result<Self> {
        if !options.no_build {
            build(options.profile())?;
        }
        let mut system = System::start(options)?;
        let seeded = seed::fill(&mut system, options)?;
        let access = Access {
            addresses: system.addresses.clone(),
            seeded,
            fleetward: paths::binary(options.profile(), "fleetward"),
            data: system.data(),
            server_log: system.server_log(),
        };
        if let Some(file) = &options.json {
            // Readers wait for the file, so it must appear whole.
            let fresh = file.with_extension("new");
            fs::write(&fresh, serde_json::to_vec_pretty(&access)?).with_context(|| format!("writing {}", fresh.display()))?;
            fs::rename(&fresh, file)?;
        }
        Ok(Self { access, system })
    }

    /// Fails when one of the processes is gone.
    pub fn check(&mut self) -> Result<()> {
        self.system.check()
    }

    /// Stops devices first, then the server, and says which of them had to be killed.
    pub fn stop(mut self) -> Result<()> {
        self.system.stop()
    }
}

pub fn run(options: &Options) -> Result<()> {
    let mut demo = Demo::start(options)?;
    announce(&demo.access, options);
    while !process::interrupted() {
        demo.check()?;
        if process::pause(Duration::from_millis(500)).is_err() {
            break;
        }
    }
    println!("\nStopping.");
    demo.stop()?;
    if let Some(file) = &options.json {
        fs::remove_file(file)?;
    }
    println!("Stopped.");
    Ok(())
}

fn build(profile: Profile) -> Result<()> {
    site::build()?;
    match profile {
        Profile::Release => dist::release_binaries(&["server", "agent"]),
        Profile::Dev => {
            let packages = ["build", "--package", "server", "--package", "agent", "--bins"];
            process::run("compile the dev binaries", process::cargo().args(packages)).map(|_| ())
        }
    }
}

fn announce(access: &Access, options: &Options) {
    let Seeded { operator, admin, .. } = &access.seeded;
    let login = |name: &str, login: &Login| println!("    {name:9} {}   {}", login.email, login.password);
    println!("\nFleetward runs at  {}\n", access.addresses.operator);
    login("operator", operator);
    login("admin", admin);
    println!("\n  {} simulated devices ({} of them flaky) and this host are connected.", options.devices, options.flaky);
    println!("  The rollout `{}` waits for the admin's approval.", access.seeded.rollout_name);
    println!("  Data: {}   log: {}", access.data.display(), access.server_log.display());
    println!("\nCtrl-C stops everything{}.", if options.keep { "" } else { " and removes the data" });
}
