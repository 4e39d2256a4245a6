//! Time as a parameter. Owns the only call to the system's clock; everything else is handed a [`Clock`].

use std::sync::atomic::{AtomicI64, Ordering};
use wire::Timestamp;

/// Where "now" comes from. Values compared by the code come from here only; waiting is `tokio::time`'s business.
pub trait Clock: Send + Sync + 'static {
    /// The present instant. May go backwards when the machine's clock is set; callers must bear that.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows this instant.
    pub const fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }
    /// Moves it by so many milliseconds, also backwards.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}
