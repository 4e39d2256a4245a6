//! A throw-away PostgreSQL: found or installed, started on a free port in a folder of its own, gone when it is dropped.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::process::{self, Service};
use crate::{apt, progress, scratch};

/// A running server that anyone on this machine's loopback may use as the superuser `postgres`.
pub struct Postgres {
    service: Service,
    port: u16,
    // Removed after the server is stopped.
    _folder: TempDir,
}

impl Postgres {
    /// Starts it. Durability is off: nothing in it is worth more than a second of waiting.
    pub fn start() -> Result<Self> {
        let bin = programs()?;
        progress::during("PostgreSQL: start", String::new, || Self::start_from(&bin))
    }

    fn start_from(bin: &Path) -> Result<Self> {
        let folder = scratch::folder("fleetward-postgres-")?;
        let data = folder.path().join("data");
        // PostgreSQL refuses to run as root.
        let account = if geteuid().is_root() { Some(plain_account()?) } else { None };
        if let Some((user, group)) = account {
            chown(folder.path(), Some(user), Some(group))?;
        }
        let command = |program: &str| {
            let mut command = Command::new(bin.join(program));
            if let Some((user, group)) = account {
                command.uid(user).gid(group);
            }
            command.current_dir(folder.path()).env("HOME", folder.path()).env("LC_ALL", "C").arg("-D").arg(&data);
            command
        };
        process::capture(command("initdb").args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]))?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut server = command("postgres");
        server.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"]).arg(folder.path());
        for setting in ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300", "shared_buffers=128MB"] {
            server.args(["-c", setting]);
        }
        let service = Service::spawn("PostgreSQL", &mut server, &process::log_file("postgres")?)?;
        let mut running = Self { service, port, _folder: folder };
        running.wait_until_ready(Duration::from_mins(1))?;
        Ok(running)
    }

    /// For `TEST_POSTGRES_URL`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn wait_until_ready(&mut self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            self.service.check()?;
            if fs::read_to_string(self.service.log())?.contains("ready to accept connections") {
                return Ok(());
            }
            process::pause(Duration::from_millis(50))?;
        }
        bail!("PostgreSQL did not become ready within {} s", limit.as_secs())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate shutdown: there is nothing to save.
        if let Err(error) = self.service.stop(Signal::SIGQUIT, Duration::from_secs(10)) {
            eprintln!("stopping PostgreSQL: {error:#}");
        }
    }
}

/// The folder with `initdb` and `postgres`, which Debian keeps off `PATH`.
fn programs() -> Result<PathBuf> {
    if let Some(found) = look() {
        return Ok(found);
    }
    apt::install(&["postgresql"]).context("PostgreSQL (initdb, postgres) was found neither on PATH nor in /usr/lib/postgresql")?;
    look().context("PostgreSQL was installed, but initdb is not where it was expected")
}

fn look() -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = Vec::new();
    if let Some(initdb) = process::on_path(&["initdb"]).and_then(|file| fs::canonicalize(file).ok()) {
        places.extend(initdb.parent().map(Path::to_path_buf));
    }
    for (base, below) in [("/usr/lib/postgresql", "bin"), ("/usr", "bin"), ("/opt/homebrew/opt", "bin")] {
        let mut versions: Vec<PathBuf> = fs::read_dir(base).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        versions.sort();
        places.extend(versions.into_iter().rev().map(|version| version.join(below)));
    }
    places.into_iter().find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
}

/// An account without privileges: `postgres` if the system has it, else `nobody`.
fn plain_account() -> Result<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).context("no account `postgres` or `nobody` to run PostgreSQL as")
}
