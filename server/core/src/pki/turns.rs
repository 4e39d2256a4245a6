//! Turns at a token: what it signs has a deadline, because somebody waits for it, and a module on a network may never answer (K-4). Owns who is at it and
//! whether it hangs; refuses to know what is signed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

/// Most that anybody waits for a token.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

/// Who is at the token. One at a time, as its session has it: who hangs there holds one thread, not all that come after.
#[derive(Debug)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    // Somebody has given up on whoever is at it.
    hangs: Arc<AtomicBool>,
}

/// The token did not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late;

impl Default for Turns {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(1)), hangs: Arc::default() }
    }
}

impl Turns {
    /// Whether somebody has given up on whoever is at it, who has not come back.
    pub fn hang(&self) -> bool {
        self.free.available_permits() == 0 && self.hangs.load(Ordering::Relaxed)
    }

    /// Whether somebody is at it.
    #[cfg(test)]
    pub fn taken(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// What the work comes to, on a thread of its own. Work that is late goes on there and comes to nothing; until it has ended whoever comes is told
    /// at once, instead of waiting as long.
    pub async fn take<T: Send + 'static>(&self, longest: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Late> {
        if self.hang() {
            return Err(Late);
        }
        let turn = async {
            let place = Arc::clone(&self.free).acquire_owned().await.map_err(|_| Late)?;
            let hangs = Arc::clone(&self.hangs);
            let worked = spawn_blocking(move || {
                hangs.store(false, Ordering::Relaxed);
                let done = work();
                drop(place);
                done
            });
            worked.await.map_err(|_| Late)
        };
        timeout(longest, turn).await.unwrap_or_else(|_| {
            self.hangs.store(true, Ordering::Relaxed);
            Err(Late)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_token_that_hangs_is_given_up_and_asked_again_when_it_has_answered() {
        let turns = Turns::default();
        assert_eq!(turns.take(LONGEST, || 1).await, Ok(1));
        let (answer, hanging) = mpsc::channel::<()>();
        assert_eq!(turns.take(SHORT, move || hanging.recv().is_ok()).await, Err(Late));
        let at_once = timeout(Duration::from_secs(5), turns.take(LONGEST, || 2)).await;
        assert_eq!(at_once, Ok(Err(Late)), "nobody waits behind it");
        answer.send(()).unwrap();
        while turns.free.available_permits() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(turns.take(LONGEST, || 3).await, Ok(3));
    }
}
