//! What takes long to count is kept for a while, so that counting takes a small share of a processor however many people look, and nobody who looks
//! again waits for it. What is counted in a moment is always counted anew. Does not know what is counted.

use crate::{clock::Clock, db::Db};
use parking_lot::Mutex;
use std::{collections::HashMap, fmt::Display, future::Future, hash::Hash, sync::Arc};
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
pub(crate) struct Kept<K, V>(Mutex<HashMap<K, Entry<V>>>);

#[derive(Debug)]
struct Entry<V> {
    value: V,
    took_ms: i64,
    /// How long it is still shown after it has ceased to hold.
    grace_ms: i64,
    at: Timestamp,
    until: Timestamp,
}

/// What was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held<V> {
    /// It still holds.
    Holds(V),
    /// It has just ceased to; whoever is told so counts anew, and all others are served what there is meanwhile.
    Over(V),
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Kept<K, V> {
    /// What was kept, unless it is to be counted before anything is shown: it was counted in a moment, or has been over for longer than it held.
    fn held(&self, key: &K, now: Timestamp) -> Option<Held<V>> {
        let mut kept = self.0.lock();
        let entry = kept.get_mut(key)?;
        // A clock that was set back makes nothing last.
        if now < entry.at || now >= entry.until.plus(entry.grace_ms) {
            kept.remove(key);
            return None;
        }
        let value = entry.value.clone();
        if now < entry.until {
            return Some(Held::Holds(value));
        }
        entry.until = now.plus(entry.took_ms * 2);
        Some(Held::Over(value))
    }

    /// What was kept, also while it is counted anew; for whoever only wants to know about how many there are. Nobody counts because of it.
    pub(crate) fn last(&self, key: &K, now: Timestamp) -> Option<V> {
        let kept = self.0.lock();
        let entry = kept.get(key)?;
        (now >= entry.at && now < entry.until.plus(entry.grace_ms)).then(|| entry.value.clone())
    }

    /// Forgets what is known to hold no more: whoever asks next has it counted.
    pub(crate) fn forget(&self, key: &K) {
        self.0.lock().remove(key);
    }

    /// Keeps it from `now` on, as if it had taken long to count.
    #[cfg(test)]
    pub(crate) fn hold(&self, key: K, value: V, now: Timestamp) {
        self.keep(key, value, now, now, LONGEST_MS);
    }

    /// Keeps what was asked for at `asked` and known at `now`, at least so many milliseconds.
    fn keep(&self, key: K, value: V, asked: Timestamp, now: Timestamp, at_least_ms: i64) {
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
        let grace_ms = if took_ms < SHORT_MS { 0 } else { lasts };
        kept.insert(key, Entry { value, took_ms, grace_ms, at: asked, until: now.plus(lasts) });
    }
}

/// What is kept under this key, or what `count` finds. Kept at least so many milliseconds; for as long again it is shown while it is counted anew
/// beside the answer.
pub(crate) async fn kept_or<K, V, F, E>(
    (kept, key, at_least_ms): (&Arc<Kept<K, V>>, K, i64),
    (db, clock): (&Db, &Arc<dyn Clock>),
    count: impl FnOnce() -> F,
) -> Result<V, E>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + 'static,
    F: Future<Output = Result<V, E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let now = clock.now();
    match kept.held(&key, now) {
        Some(Held::Holds(value)) => Ok(value),
        Some(Held::Over(value)) => {
            let (kept, clock, counting) = (Arc::clone(kept), Arc::clone(clock), count());
            db.beyond(async move {
                match counting.await {
                    Ok(value) => kept.keep(key, value, now, clock.now(), at_least_ms),
                    Err(error) => tracing::warn!(%error, "what is kept of a count could not be counted anew"),
                }
            });
            Ok(value)
        }
        None => {
            let value = count().await?;
            kept.keep(key, value.clone(), now, clock.now(), at_least_ms);
            Ok(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Held::{Holds, Over},
        *,
    };

    const AT: fn(i64) -> Timestamp = Timestamp;

    #[test]
    fn what_took_long_holds_fifty_times_as_long_and_one_asks_anew() {
        let kept = Kept::default();
        kept.keep("a", 1, AT(0), AT(2), 0);
        assert_eq!(kept.held(&"a", AT(2)), None, "counted in a moment");
        kept.keep("a", 1, AT(0), AT(100), 0);
        assert_eq!(kept.held(&"a", AT(5_099)), Some(Holds(1)));
        assert_eq!(kept.held(&"a", AT(5_100)), Some(Over(1)), "the first asks anew");
        assert_eq!(kept.held(&"a", AT(5_101)), Some(Holds(1)), "and the second need not");
        assert_eq!(kept.held(&"a", AT(5_300)), Some(Over(1)), "unless the first is lost");
        assert_eq!(kept.last(&"a", AT(5_300)), Some(1), "whoever does not count leaves that to others");
        assert_eq!([kept.last(&"a", AT(-1)), kept.last(&"a", AT(10_500)), kept.last(&"b", AT(0))], [None, None, None]);
        assert_eq!(kept.held(&"a", AT(10_500)), None, "too old to be shown");
        kept.keep("a", 2, AT(5_300), AT(5_302), 0);
        assert_eq!(kept.held(&"a", AT(5_302)), None, "fast again");
        kept.keep("a", 1, AT(0), AT(100), 0);
        kept.forget(&"a");
        assert_eq!(kept.held(&"a", AT(101)), None);
        kept.keep("b", 3, AT(0), AT(0), 2_000);
        assert_eq!((kept.held(&"b", AT(1_999)), kept.held(&"b", AT(2_000))), (Some(Holds(3)), None), "counted again in a moment");
        kept.keep("b", 3, AT(0), AT(0), 2_000);
        assert_eq!(kept.held(&"b", AT(-1)), None, "the clock was set back");
        kept.keep("c", 4, AT(0), AT(1_000_000), 0);
        assert_eq!(kept.held(&"c", AT(1_059_999)), Some(Holds(4)));
        assert_eq!(kept.held(&"c", AT(1_060_000)), Some(Over(4)), "a minute at most");
    }

    #[test]
    fn no_more_is_kept_than_so_much() {
        let kept = Kept::default();
        for n in 0..2_000 {
            kept.keep(n, n, AT(n), AT(n + 10), 0);
        }
        assert_eq!(kept.0.lock().len(), MOST);
        assert_eq!((kept.held(&1_999, AT(2_100)), kept.held(&0, AT(2_100))), (Some(Holds(1_999)), None));
    }
}
