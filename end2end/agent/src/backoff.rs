//! Pure: how long to wait before the next attempt.
//!
//! Exponential back-off with full jitter: evenly spread between zero and the doubled ceiling, so that a fleet that was cut off together does
//! not come back together. Refuses to sleep and to draw: the caller does both.

use std::time::Duration;

/// A growing ceiling over the waits between attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    attempts: u32,
}

impl Backoff {
    /// Waits below `first`, then below its double, up to below `most`.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, attempts: 0 }
    }

    /// For connections: 0.5 s to 60 s.
    pub const fn reconnect() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_mins(1))
    }

    /// For renewals: 1 minute to 6 hours.
    pub const fn renewal() -> Self {
        Self::new(Duration::from_mins(1), Duration::from_hours(6))
    }

    /// The wait before the next attempt; `chance` is drawn evenly from 0 ≤ x < 1.
    pub fn wait(&mut self, chance: f64) -> Duration {
        let ceiling = self.first.saturating_mul(1 << self.attempts.min(30)).min(self.most);
        self.attempts = self.attempts.saturating_add(1);
        ceiling.mul_f64(chance.clamp(0.0, 1.0))
    }

    /// It worked: the next wait is a first one.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ceilings_double_up_to_the_most_and_start_again_after_success() {
        let mut backoff = Backoff::reconnect();
        let ceilings: Vec<u128> = (0..9).map(|_| backoff.wait(1.0).as_millis()).collect();
        assert_eq!(ceilings, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        backoff.reset();
        assert_eq!(backoff.wait(1.0).as_millis(), 500);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_the_most(attempts in 0usize..200, chance in 0.0f64..1.0) {
            let mut backoff = Backoff::renewal();
            for _ in 0..attempts {
                prop_assert!(backoff.wait(chance) <= Duration::from_hours(6));
            }
        }
    }
}
