//! Counts failures by key in a sliding minute, in bounded memory. Knows nothing of what failed.

use parking_lot::Mutex;
use std::collections::HashMap;
use wire::Timestamp;

const KEYS: usize = 10_000;

/// Refuses a key after too many failures within a window.
#[derive(Debug)]
pub(crate) struct Throttle {
    limit: u32,
    window_ms: i64,
    failures: Mutex<HashMap<String, (Timestamp, u32)>>,
}

impl Throttle {
    /// `limit` failures within `window_ms` close a key until the window is over.
    pub(crate) fn new(limit: u32, window_ms: i64) -> Self {
        Self { limit, window_ms, failures: Mutex::default() }
    }

    /// Whether the key may try.
    pub(crate) fn open(&self, key: &str, now: Timestamp) -> bool {
        self.failures.lock().get(key).is_none_or(|(start, n)| now.since(*start) >= self.window_ms || *n < self.limit)
    }

    /// Notes a failure.
    pub(crate) fn fail(&self, key: &str, now: Timestamp) {
        let mut failures = self.failures.lock();
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
}
