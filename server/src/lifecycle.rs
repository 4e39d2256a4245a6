//! How the process lives and dies: tasks under one tracker, a soft stop (drain) and a hard one, and the rule that a worker that ends early
//! is a crash. Refuses to know what the tasks do.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of one server.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    crashed: Arc<AtomicBool>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        let hard = CancellationToken::new();
        Self { soft: hard.child_token(), hard, tasks: TaskTracker::new(), crashed: Arc::default() }
    }
}

impl Lifecycle {
    /// Cancelled when the server begins to stop: no new work, finish what is under way.
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when time is up: drop everything.
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Whether a task ended before it was asked to.
    pub fn crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }

    /// Runs a task that lives as long as the server. When it ends, or panics, before the stop, the server stops with an error.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.clone().watch(name, task));
    }

    /// The same for a task that [`Lifecycle::stop`] must not wait for: it goes on until the hard stop.
    pub fn spawn_beyond(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.clone().watch(name, task));
    }

    async fn watch(self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let ended = tokio::spawn(task).await;
        if let Err(e) = &ended {
            tracing::error!(task = name, error = %e, "a task panicked");
        }
        if !self.soft.is_cancelled() {
            tracing::error!(task = name, "a task ended before the stop; stopping the server");
            self.crashed.store(true, Ordering::SeqCst);
            self.soft.cancel();
        }
    }

    /// Stops: soft at once, hard after the deadline. Returns whether everything ended by itself.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.soft.cancel();
        self.tasks.close();
        if tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok() {
            return true;
        }
        tracing::warn!(seconds = deadline.as_secs(), "the graceful stop took too long; cutting what is left");
        self.hard.cancel();
        // What ignores even this is not waited for.
        tokio::time::timeout(Duration::from_secs(2), self.tasks.wait()).await.is_ok()
    }
}

/// Waits for SIGTERM or SIGINT, or for the server to stop itself.
pub async fn stop_signal(soft: &CancellationToken) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        () = soft.cancelled() => {}
    }
    Ok(())
}

/// Ends the process at once at the next SIGTERM or SIGINT: the second one means it.
pub fn stop_hard_on_second_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::warn!("second signal: ending at once");
        std::process::exit(130);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_early_stops_the_server_also_one_that_is_not_waited_for() {
        for beyond in [false, true] {
            let lifecycle = Lifecycle::default();
            if beyond {
                lifecycle.spawn_beyond("test", async {});
            } else {
                lifecycle.spawn("test", async {});
            }
            lifecycle.soft().cancelled().await;
            assert!(lifecycle.crashed());
        }
    }

    #[tokio::test]
    async fn the_stop_does_not_wait_for_what_goes_on_beyond_it() {
        let lifecycle = Lifecycle::default();
        let hard = lifecycle.hard();
        lifecycle.spawn_beyond("test", async move { hard.cancelled().await });
        assert!(lifecycle.stop(Duration::from_mins(1)).await);
        assert!(!lifecycle.crashed());
    }
}
