//! Counts failures by key in a sliding minute, in bounded memory. Knows nothing of what failed.

use parking_lot::Mutex;
use std::collections::HashMap;
use wire::Timestamp;

const KEYS: usize = 10_000;

/// When the window of each key began, and how many failed in it.
type Failures = HashMap<String, (Timestamp, u32)>;

/// Refuses a key after too many failures within a window.
#[derive(Debug)]
pub(crate) struct Throttle {
    limit: u32,
    window_ms: i64,
    failures: Mutex<Failures>,
}

impl Throttle {
    /// `limit` failures within `window_ms` close a key until the window is over.
    pub(crate) fn new(limit: u32, window_ms: i64) -> Self {
        Self { limit, window_ms, failures: Mutex::default() }
    }

    /// Whether the key may try.
    pub(crate) fn open(&self, key: &str, now: Timestamp) -> bool {
        self.has_room(&self.failures.lock(), key, now)
    }

    /// Whether the key may try, counted at once: of many tries at the same moment no more pass than the limit. [`Throttle::give_back`] what went
    /// well.
    pub(crate) fn take(&self, key: &str, now: Timestamp) -> bool {
        let mut failures = self.failures.lock();
        let open = self.has_room(&failures, key, now);
        if open {
            self.count(&mut failures, key, now);
        }
        open
    }

    /// Takes back one that was counted.
    pub(crate) fn give_back(&self, key: &str) {
        if let Some((_, n)) = self.failures.lock().get_mut(key) {
            *n = n.saturating_sub(1);
        }
    }

    /// Notes a failure.
    pub(crate) fn fail(&self, key: &str, now: Timestamp) {
        self.count(&mut self.failures.lock(), key, now);
    }

    fn has_room(&self, failures: &Failures, key: &str, now: Timestamp) -> bool {
        failures.get(key).is_none_or(|(start, n)| now.since(*start) >= self.window_ms || *n < self.limit)
    }

    fn count(&self, failures: &mut Failures, key: &str, now: Timestamp) {
        if failures.len() >= KEYS {
            failures.retain(|_, (start, _)| now.since(*start) < self.window_ms);
            if failures.len() >= KEYS {
                // A flood from ten thousand addresses: forgetting the old ones keeps memory bounded.
                failures.clear();
            }
        }
        let entry = failures.entry(key.to_owned()).or_insert((now, 0));
        if now.since(entry.0) >= self.window_ms {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_after_the_limit_and_opens_after_the_window() {
        let t = Throttle::new(3, 60_000);
        for i in 0..3 {
            assert!(t.open("a", Timestamp(i)));
            t.fail("a", Timestamp(i));
        }
        assert!(!t.open("a", Timestamp(10)));
        assert!(t.open("b", Timestamp(10)));
        assert!(t.open("a", Timestamp(60_000)));
    }

    #[test]
    fn what_is_under_way_counts_until_it_went_well() {
        let t = Throttle::new(2, 60_000);
        assert!(t.take("a", Timestamp(0)) && t.take("a", Timestamp(0)));
        assert!(!t.take("a", Timestamp(0)), "two are under way");
        t.give_back("a");
        assert!(t.take("a", Timestamp(1)));
        assert!(!t.take("a", Timestamp(1)));
    }
}
