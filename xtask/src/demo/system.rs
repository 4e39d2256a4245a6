//! The processes of a demonstration and their folder.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use serde::Serialize;
use tempfile::TempDir;

use super::Options;
use crate::paths::{self, Profile};
use crate::process::{self, Service};
use crate::progress;

/// Where the server listens, as addresses for people and programs.
#[derive(Clone, Serialize)]
pub struct Addresses {
    #[serde(rename = "operator_url")]
    pub operator: String,
    #[serde(rename = "device_url")]
    pub device: String,
    #[serde(rename = "enrol_url")]
    pub enrol: String,
    #[serde(rename = "ops_url")]
    pub ops: String,
}

/// Server and devices, in the order they were started.
pub struct System {
    pub addresses: Addresses,
    profile: Profile,
    folder: Option<TempDir>,
    path: PathBuf,
    processes: Vec<Service>,
}

impl System {
    /// Starts an empty server on a fresh folder and waits until it says that it is ready.
    pub fn start(options: &Options) -> Result<Self> {
        let all = paths::target().join("demo");
        fs::create_dir_all(&all)?;
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&all)?;
        let path = folder.path().to_path_buf();
        println!("Fresh folder: {}", path.display());
        let ports = if options.json.is_some() { free_ports()? } else { usual_ports().map_or_else(free_ports, Ok)? };
        let [operator, device, enrol, publish, ops] = ports.map(|port| format!("127.0.0.1:{port}"));
        let folder = if options.keep {
            drop(folder.keep());
            None
        } else {
            Some(folder)
        };
        let mut system = Self {
            addresses: Addresses {
                operator: format!("http://{operator}"),
                device: format!("https://{device}"),
                enrol: format!("https://{enrol}"),
                ops: format!("http://{ops}"),
            },
            profile: options.profile(),
            folder,
            path,
            processes: Vec::new(),
        };
        let mut serve = system.fleetward(&["serve"]);
        serve.args(["--operator-addr", &operator, "--device-addr", &device, "--enrol-addr", &enrol, "--ops-addr", &ops]);
        serve.args(["--publish-addr", &publish, "--publish-url", &format!("http://{publish}")]);
        // The journeys publish lists on this machine.
        serve.arg("--list-fetch-private");
        system.launch("fleetward", serve)?;
        progress::during("start the server", String::new, || system.wait_until_ready())?;
        Ok(system)
    }

    /// A command of the server's binary on this system's data.
    pub fn fleetward(&self, subcommand: &[&str]) -> Command {
        let mut command = self.program("fleetward");
        command.arg("--data").arg(self.data()).args(subcommand);
        command
    }

    /// One of our binaries, run in the demonstration's folder.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(paths::binary(self.profile, name));
        command.current_dir(&self.path).env("RUST_BACKTRACE", "1");
        command
    }

    /// Starts a process that belongs to the system.
    pub fn launch(&mut self, name: &str, mut command: Command) -> Result<()> {
        let log = self.path.join(format!("{name}.log"));
        self.processes.push(Service::spawn(name, &mut command, &log)?);
        Ok(())
    }

    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub fn server_log(&self) -> PathBuf {
        self.path.join("fleetward.log")
    }

    /// A path in the demonstration's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a secret where only this account reads it.
    pub fn secret_file(&self, name: &str, secret: &str) -> Result<PathBuf> {
        let path = self.file(name);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(secret.as_bytes())?;
        Ok(path)
    }

    /// Fails when one of the processes is gone.
    pub fn check(&mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(Service::check)
    }

    /// Stops the newest first: devices say goodbye to a server that still listens.
    pub fn stop(&mut self) -> Result<()> {
        let mut killed = Vec::new();
        while let Some(mut process) = self.processes.pop() {
            if !process.stop(Signal::SIGTERM, Duration::from_secs(15))? {
                killed.push(process.name().to_owned());
            }
        }
        if !killed.is_empty() {
            bail!("had to be killed after 15 s: {}", killed.join(", "));
        }
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let end = Instant::now() + Duration::from_mins(1);
        let ready = format!("{}/readyz", self.addresses.ops);
        while Instant::now() < end {
            self.check()?;
            if ureq::get(&ready).call().is_ok() {
                return Ok(());
            }
            process::pause(Duration::from_millis(50))?;
        }
        process::show_tail(&self.server_log(), 40)?;
        bail!("the server did not become ready within a minute ({ready})")
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error:#}");
        }
        // The processes are gone; now the folder may go.
        drop(self.folder.take());
    }
}

/// The documented ports, if all of them are free.
fn usual_ports() -> Option<[u16; 5]> {
    let usual = [8080, 8443, 8444, 8081, 9090];
    usual.iter().all(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).then_some(usual)
}

/// Five different free ports: all are held until the last one is known.
fn free_ports() -> Result<[u16; 5]> {
    let mut held = Vec::new();
    let mut ports = [0; 5];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
