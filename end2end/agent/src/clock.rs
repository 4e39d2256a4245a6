//! The agent's clock: the only file that reads the system's.
//!
//! Owns what time it is, with a floor under it: a device without a battery wakes up in 1970 and must still be able to check a certificate, so
//! whoever hears a trusted time raises the clock to it. Refuses to know what the time is used for.

use parking_lot::Mutex;
use std::{fmt, sync::Arc, time::SystemTime};
use wire::Timestamp;

/// What time it is. Never goes back below what it was raised to.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Now, in Unix milliseconds.
    fn now(&self) -> Timestamp;
    /// A trusted party said it is at least this late; earlier times change nothing.
    fn raise(&self, floor: Timestamp);
}

/// The system's clock, moved forward where it was behind a trusted time.
#[derive(Debug, Default)]
pub struct System {
    ahead: Mutex<i64>,
}

impl System {
    /// The system's clock as it is.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the edge where the system's clock comes in")]
fn system_millis() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Clock for System {
    fn now(&self) -> Timestamp {
        Timestamp(system_millis()).plus(*self.ahead.lock())
    }

    fn raise(&self, floor: Timestamp) {
        let mut ahead = self.ahead.lock();
        *ahead = (*ahead).max(floor.millis().saturating_sub(system_millis()));
    }
}

/// A clock that stands still until it is told otherwise, for tests.
#[derive(Debug)]
pub struct Manual(Mutex<Timestamp>);

impl Manual {
    /// A clock that shows this.
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(now)))
    }

    /// Shows this from now on, earlier or later.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock() = now;
    }
}

impl Clock for Manual {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }

    fn raise(&self, floor: Timestamp) {
        let mut now = self.0.lock();
        *now = (*now).max(floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_clock_goes_on_from_there_and_never_back() {
        let clock = System::new();
        let later = clock.now().plus(3_600_000);
        clock.raise(later);
        assert!(clock.now() >= later);
        clock.raise(Timestamp(0));
        assert!(clock.now() >= later);
    }
}
