//! Time as a parameter. Owns the only call to the system's clock; everything else is handed a [`Clock`].

use std::sync::atomic::{AtomicI64, Ordering};
use wire::Timestamp;

/// Where "now" comes from. Values compared by the code come from here only; waiting is `tokio::time`'s business.
pub trait Clock: Send + Sync + 'static {
    /// The present instant. May go backwards when the machine's clock is set; callers must bear that.
    fn now(&self) -> Timestamp;
    /// Milliseconds on a clock that nobody can set, and that counts on while the machine sleeps. Where it began is nobody's business: only
    /// differences mean something.
    fn steady(&self) -> i64;
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

    fn steady(&self) -> i64 {
        #[cfg(target_os = "linux")]
        let counting = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let counting = rustix::time::ClockId::Monotonic;
        let at = rustix::time::clock_gettime(counting);
        at.tv_sec.saturating_mul(1000).saturating_add(at.tv_nsec / 1_000_000)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    steady: AtomicI64,
}

impl ManualClock {
    /// A clock that shows this instant.
    pub const fn at(start: Timestamp) -> Self {
        Self { now: AtomicI64::new(start.0), steady: AtomicI64::new(0) }
    }
    /// Moves it by so many milliseconds, also backwards; so much time passes.
    pub fn advance(&self, millis: i64) {
        self.steady.fetch_add(millis, Ordering::SeqCst);
        self.jump(millis);
    }
    /// Sets it so many milliseconds ahead, or back, while no time passes.
    pub fn jump(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }
    fn steady(&self) -> i64 {
        self.steady.load(Ordering::SeqCst)
    }
}
