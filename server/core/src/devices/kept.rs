//! Pure: what takes long to count is kept for a while, so that counting takes a small share of a processor however many people look. What is counted in
//! a moment is always counted anew.

use parking_lot::Mutex;
use std::{collections::HashMap, hash::Hash};
use wire::Timestamp;

/// It is kept so many times as long as it took, and not longer than a minute.
const TIMES: i64 = 50;
const LONGEST_MS: i64 = 60_000;
/// What takes fewer milliseconds is not kept.
const SHORT_MS: i64 = 3;
/// Most that is kept; beyond it the oldest goes.
const MOST: usize = 500;

/// Results by what was asked.
#[derive(Debug)]
pub(super) struct Kept<K, V>(Mutex<HashMap<K, Entry<V>>>);

#[derive(Debug)]
struct Entry<V> {
    value: V,
    took_ms: i64,
    at: Timestamp,
    until: Timestamp,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Kept<K, V> {
    /// What was kept and still holds. Who finds that it holds no longer is to ask anew, and all others are served what there is meanwhile.
    pub(super) fn fresh(&self, key: &K, now: Timestamp) -> Option<V> {
        let mut kept = self.0.lock();
        let entry = kept.get_mut(key)?;
        // A clock that was set back makes nothing last.
        if now < entry.at {
            kept.remove(key);
            return None;
        }
        if now < entry.until {
            return Some(entry.value.clone());
        }
        entry.until = now.plus(entry.took_ms * 2);
        None
    }

    /// Keeps what was asked for at `asked` and known at `now`, at least so many milliseconds.
    pub(super) fn keep(&self, key: K, value: V, asked: Timestamp, now: Timestamp, at_least_ms: i64) {
        let took_ms = now.since(asked).max(0);
        let lasts = if took_ms < SHORT_MS { at_least_ms } else { (took_ms * TIMES).min(LONGEST_MS).max(at_least_ms) };
        let mut kept = self.0.lock();
        if lasts == 0 {
            kept.remove(&key);
            return;
        }
        if kept.len() >= MOST
            && !kept.contains_key(&key)
            && let Some(oldest) = kept.iter().min_by_key(|(_, entry)| entry.at).map(|(key, _)| key.clone())
        {
            kept.remove(&oldest);
        }
        kept.insert(key, Entry { value, took_ms, at: asked, until: now.plus(lasts) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(i64) -> Timestamp = Timestamp;

    #[test]
    fn what_took_long_holds_fifty_times_as_long_and_one_asks_anew() {
        let kept = Kept::default();
        kept.keep("a", 1, AT(0), AT(2), 0);
        assert_eq!(kept.fresh(&"a", AT(2)), None, "counted in a moment");
        kept.keep("a", 1, AT(0), AT(100), 0);
        assert_eq!(kept.fresh(&"a", AT(5_099)), Some(1));
        assert_eq!(kept.fresh(&"a", AT(5_100)), None, "the first asks anew");
        assert_eq!(kept.fresh(&"a", AT(5_101)), Some(1), "and the second need not");
        assert_eq!(kept.fresh(&"a", AT(5_300)), None, "unless the first is lost");
        kept.keep("a", 2, AT(5_300), AT(5_302), 0);
        assert_eq!(kept.fresh(&"a", AT(5_302)), None, "fast again");
        kept.keep("b", 3, AT(0), AT(0), 2_000);
        assert_eq!(kept.fresh(&"b", AT(1_999)), Some(3));
        assert_eq!(kept.fresh(&"b", AT(-1)), None, "the clock was set back");
        kept.keep("c", 4, AT(0), AT(1_000_000), 0);
        assert_eq!(kept.fresh(&"c", AT(1_059_999)), Some(4));
        assert_eq!(kept.fresh(&"c", AT(1_060_000)), None, "a minute at most");
    }

    #[test]
    fn no_more_is_kept_than_so_much() {
        let kept = Kept::default();
        for n in 0..2_000 {
            kept.keep(n, n, AT(n), AT(n + 10), 0);
        }
        assert_eq!(kept.0.lock().len(), MOST);
        assert_eq!((kept.fresh(&1_999, AT(2_100)), kept.fresh(&0, AT(2_100))), (Some(1_999), None));
    }
}
