//! Argon2 away from the async threads, and never more of it at once than there are cores: a run takes 19 MiB, and anybody may ask for one.
//! Owns the turns; `password` knows what is computed.

use super::{Error, password};
use std::{num::NonZero, sync::Arc, thread::available_parallelism};
use tokio::sync::Semaphore;

/// The turns.
pub(super) struct Hashing(Arc<Semaphore>);

impl Hashing {
    /// As many turns as there are cores.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))))
    }

    /// The hash to store.
    pub(super) async fn hash(&self, password: &str, salt: [u8; 16]) -> Result<String, Error> {
        let password = password.to_owned();
        self.turn(move || password::hash(&password, salt)).await
    }

    /// Whether the password is the one behind the hash; without a hash it takes as long and says no.
    pub(super) async fn matches(&self, password: &str, stored: Option<String>) -> Result<bool, Error> {
        let password = password.to_owned();
        self.turn(move || password::matches(&password, stored.as_deref())).await
    }

    async fn turn<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(|e| Error::Crypto(e.to_string()))?;
        let run = tokio::task::spawn_blocking(move || {
            // Held by the run, not by who waits for it: a caller that goes away does not make room for another run.
            let _turn = turn;
            work()
        });
        run.await.map_err(|e| Error::Crypto(e.to_string()))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    #[tokio::test]
    async fn no_more_run_at_once_than_there_are_turns() {
        let hashing = Arc::new(Hashing(Arc::new(Semaphore::new(2))));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let asked: Vec<_> = (0..20)
            .map(|i| {
                let (hashing, now, most) = (hashing.clone(), now.clone(), most.clone());
                let task = tokio::spawn(async move {
                    hashing
                        .turn(move || {
                            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            std::thread::sleep(Duration::from_millis(2));
                            now.fetch_sub(1, Ordering::SeqCst);
                            Ok(())
                        })
                        .await
                });
                // Half of the callers go away; their runs still count.
                if i % 2 == 0 {
                    tokio::spawn(tokio::time::timeout(Duration::from_millis(1), task))
                } else {
                    tokio::spawn(async { Ok(task.await) })
                }
            })
            .collect();
        for task in asked {
            let _ = task.await.unwrap();
        }
        assert!(most.load(Ordering::SeqCst) <= 2);
    }
}
