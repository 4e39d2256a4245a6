//! Processes that never outlive the task: each is the leader of its own group, Ctrl-C and SIGTERM reach them through us,
//! in order and with time to finish.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::{paths, progress};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
const TICK: Duration = Duration::from_millis(50);

/// From here on SIGINT, SIGTERM and SIGHUP only set a flag; every wait in this crate looks at it and unwinds.
pub fn catch_signals() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst)).context("installing the signal handler")
}

/// Whether a signal asked for the end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Waits, and fails as soon as a signal asked for the end.
pub fn pause(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        if interrupted() {
            bail!("interrupted");
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        sleep(left.min(TICK));
    }
}

/// Cargo as it called us, so that a chosen toolchain stays chosen.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::root());
    command
}

/// What a finished step leaves behind.
pub struct Finished {
    pub status: ExitStatus,
    pub log: PathBuf,
}

impl Finished {
    /// Everything the process said, both streams.
    pub fn output(&self) -> Result<String> {
        let bytes = fs::read(&self.log).with_context(|| format!("reading {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Runs to the end behind a progress line; what it says goes to a log file. The exit status is the caller's to judge.
pub fn watch(label: &str, command: &mut Command) -> Result<Finished> {
    let log = log_file(label)?;
    let mut service = Service::spawn(label, command, &log)?;
    let to_its_end = || {
        loop {
            if let Some(status) = service.child.try_wait()? {
                service.ended = true;
                return Ok(status);
            }
            pause(TICK)?;
        }
    };
    let status = progress::during_judged(label, || last_line(&log), to_its_end, ExitStatus::success)?;
    Ok(Finished { status, log })
}

/// Like [`watch`], but anything except success is an error that shows the end of the log.
pub fn run(label: &str, command: &mut Command) -> Result<Finished> {
    let finished = watch(label, command)?;
    if !finished.status.success() {
        show_tail(&finished.log, 60)?;
        bail!("{label}: {} ended with {} (whole log: {})", name(command), finished.status, finished.log.display());
    }
    Ok(finished)
}

/// Runs a quick command and returns its standard output.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {}", name(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}: {}", name(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first of these programs that is on `PATH`.
pub fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    names.iter().find_map(|name| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file()))
}

/// A process that runs beside us until it is stopped or dropped.
pub struct Service {
    name: String,
    child: Child,
    log: PathBuf,
    ended: bool,
}

impl Service {
    /// Starts it in a process group of its own, both streams into `log`.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let err = out.try_clone()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name} ({})", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_path_buf(), ended: false })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Fails, with the end of its log shown, if the process is gone.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            self.ended = true;
            show_tail(&self.log, 40)?;
            bail!("{} ended by itself with {status} (log: {})", self.name, self.log.display());
        }
        Ok(())
    }

    /// Asks it to stop, waits for `grace`, then kills what is left of its group. Says whether it went by itself.
    pub fn stop(&mut self, signal: Signal, grace: Duration) -> Result<bool> {
        if self.ended {
            return Ok(true);
        }
        self.ended = true;
        let group = Pid::from_raw(i32::try_from(self.child.id())?);
        if killpg(group, signal).is_ok() {
            let end = Instant::now() + grace;
            while Instant::now() < end {
                if self.child.try_wait()?.is_some() {
                    return Ok(true);
                }
                sleep(TICK);
            }
            // A refusal means that the group ended in this very moment.
            let _ = killpg(group, Signal::SIGKILL);
        }
        self.child.wait()?;
        Ok(false)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Err(error) = self.stop(Signal::SIGTERM, Duration::from_secs(10)) {
            eprintln!("stopping {}: {error:#}", self.name);
        }
    }
}

/// Asks one process, not its group, to stop. One that is gone already is no error.
pub fn terminate(id: u32) -> Result<()> {
    let _ = nix::sys::signal::kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGTERM);
    Ok(())
}

/// A fresh log file for this step below `target/xtask/logs`.
pub fn log_file(label: &str) -> Result<PathBuf> {
    let dir = paths::work().join("logs");
    fs::create_dir_all(&dir)?;
    let stem: String = label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    Ok(dir.join(format!("{stem}.log")))
}

/// Prints the last lines of a log.
pub fn show_tail(log: &Path, lines: usize) -> Result<()> {
    let text = fs::read(log)?;
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    for line in &all[all.len().saturating_sub(lines)..] {
        println!("    │ {line}");
    }
    Ok(())
}

fn last_line(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let tail = &text[text.len().saturating_sub(400)..];
    String::from_utf8_lossy(tail).lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

fn name(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}
