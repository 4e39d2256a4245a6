//! What installing and being healthy mean on this machine.
//!
//! Owns the hooks: commands of the machine's maker that flash, restart and judge. Refuses to know when they are called.

use futures::future::BoxFuture;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;

/// The machine under the agent.
pub trait Platform: Send + Sync {
    /// The verified payloads lie in the slot's folder; does what else it takes to be able to start them.
    ///
    /// # Errors
    /// A line for people.
    fn install<'a>(&'a self, slot: &'a Path, payloads: &'a [PathBuf]) -> BoxFuture<'a, Result<(), String>>;

    /// Whether the machine is well after it was started from this slot.
    ///
    /// # Errors
    /// A line for people.
    fn healthy<'a>(&'a self, slot: &'a Path) -> BoxFuture<'a, Result<(), String>>;
}

/// A Linux host: the slots alone, or commands where the firmware lives somewhere else. Commands run by `/bin/sh -c` with arguments behind them.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Called with a payload's path and the slot's folder, for each payload.
    pub install_hook: Option<String>,
    /// Called with the slot's folder; exit status 0 means healthy.
    pub health_hook: Option<String>,
}

/// Flashing takes its time; a health check must not.
const INSTALL: Duration = Duration::from_mins(30);
const HEALTH: Duration = Duration::from_mins(1);

impl Platform for Host {
    fn install<'a>(&'a self, slot: &'a Path, payloads: &'a [PathBuf]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let Some(hook) = &self.install_hook else { return Ok(()) };
            for payload in payloads {
                run(hook, &[payload.as_os_str(), slot.as_os_str()], INSTALL).await?;
            }
            Ok(())
        })
    }

    fn healthy<'a>(&'a self, slot: &'a Path) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            match &self.health_hook {
                Some(hook) => run(hook, &[slot.as_os_str()], HEALTH).await,
                None => Ok(()),
            }
        })
    }
}

/// Runs a hook to its end, or kills it and all that it started after `most`.
pub async fn run(hook: &str, arguments: &[&OsStr], most: Duration) -> Result<(), String> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{hook} \"$@\""))
        .arg("hook")
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|e| format!("the hook {hook:?} does not start: {e}"))?;
    let _group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).map(Group);
    match tokio::time::timeout(most, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("the hook {hook:?} ended with {status}")),
        Ok(Err(e)) => Err(format!("the hook {hook:?}: {e}")),
        Err(_) => Err(format!("the hook {hook:?} did not end within {} s and was killed", most.as_secs())),
    }
}

/// The processes of a hook. None outlives the call: neither its end, nor its time-out, nor the update being taken back.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // Gone already is what it should be.
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hooks_get_their_arguments_and_their_status_counts() {
        let (slot, payload) = (Path::new("/slots/b"), PathBuf::from("/slots/b/with space"));
        let host = |install: &str, health: &str| Host { install_hook: Some(install.to_owned()), health_hook: Some(health.to_owned()) };
        let good = host("test '/slots/b/with space /slots/b' = \"$*\" && true", "true");
        assert_eq!(good.install(slot, std::slice::from_ref(&payload)).await, Ok(()));
        assert_eq!(good.healthy(slot).await, Ok(()));
        let bad = host("exit 3;", "false");
        assert!(bad.install(slot, &[payload]).await.unwrap_err().contains("exit status: 3"));
        assert!(bad.healthy(slot).await.is_err());
        assert_eq!(Host::default().healthy(slot).await, Ok(()));
    }

    #[tokio::test]
    async fn a_hook_that_hangs_is_killed() {
        assert!(run("sleep 60;", &[], Duration::from_millis(50)).await.unwrap_err().contains("killed"));
    }
}
