//! What takes long to count is kept for a while, so that counting takes a small share of a processor however many people look, and nobody who looks
//! again waits for it. What is counted in a moment is always counted anew. Of those who ask while nothing is kept one counts, and the others wait for what
//! they find. Does not know what is counted.

use crate::{clock::Clock, db::Db};
use parking_lot::Mutex;
use std::{collections::HashMap, fmt::Display, future::Future, hash::Hash, sync::Arc, time::Duration};
use tokio::sync::watch;
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
pub(crate) struct Kept<K, V> {
    kept: Mutex<HashMap<K, Entry<V>>>,
    /// What is counted for the first time now, or after it was over. Whether it has been is told to all who wait for it.
    counting: Mutex<HashMap<K, watch::Receiver<bool>>>,
}

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
        Self { kept: Mutex::default(), counting: Mutex::default() }
    }
}

/// Whose turn it is to count.
enum Turn<'a, K: Eq + Hash, V> {
    Own(Counting<'a, K, V>),
    /// Somebody counts already; told when they have, and broken off when they went away before.
    Other(watch::Receiver<bool>),
}

/// A count that others wait for. Dropped early it is nobody's.
struct Counting<'a, K: Eq + Hash, V> {
    of: &'a Kept<K, V>,
    key: K,
    done: watch::Sender<bool>,
}

impl<K: Eq + Hash, V> Counting<'_, K, V> {
    fn tells(&self, waiting: &watch::Receiver<bool>) -> bool {
        waiting.same_channel(&self.done.subscribe())
    }

    /// Whoever waits looks what is kept now.
    fn over(self) {
        self.done.send_replace(true);
    }
}

impl<K: Eq + Hash, V> Drop for Counting<'_, K, V> {
    fn drop(&mut self) {
        let mut counting = self.of.counting.lock();
        if counting.get(&self.key).is_some_and(|waiting| self.tells(waiting)) {
            counting.remove(&self.key);
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Counting<'_, K, V> {
    /// Keeps what was found, unless it was forgotten while it was counted.
    fn keep(&self, value: V, asked: Timestamp, now: Timestamp, at_least_ms: i64) {
        let counting = self.of.counting.lock();
        if counting.get(&self.key).is_some_and(|waiting| self.tells(waiting)) {
            self.of.keep(self.key.clone(), value, asked, now, at_least_ms);
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Kept<K, V> {
    /// What was kept, unless it is to be counted before anything is shown: it was counted in a moment, or has been over for longer than it held.
    fn held(&self, key: &K, now: Timestamp) -> Option<Held<V>> {
        let mut kept = self.kept.lock();
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
        let kept = self.kept.lock();
        let entry = kept.get(key)?;
        (now >= entry.at && now < entry.until.plus(entry.grace_ms)).then(|| entry.value.clone())
    }

    /// Whose turn it is to count, where nothing is kept.
    fn turn(&self, key: &K) -> Turn<'_, K, V> {
        let mut counting = self.counting.lock();
        if let Some(waiting) = counting.get(key) {
            return Turn::Other(waiting.clone());
        }
        let (done, waiting) = watch::channel(false);
        counting.insert(key.clone(), waiting);
        Turn::Own(Counting { of: self, key: key.clone(), done })
    }

    /// Forgets what is known to hold no more: whoever asks next has it counted, and what a count finds that has begun is not kept.
    pub(crate) fn forget(&self, key: &K) {
        // In this order: a count that ends meanwhile has kept what it found before, or doesn't keep it.
        self.counting.lock().remove(key);
        self.kept.lock().remove(key);
    }

    /// Keeps it from `now` on, as if it had taken long to count.
    #[cfg(test)]
    pub(crate) fn hold(&self, key: K, value: V, now: Timestamp) {
        self.keep(key, value, now, now, LONGEST_MS);
    }

    /// Keeps what was asked for at `asked` and known at `now`, at least so many milliseconds.
    fn keep(&self, key: K, value: V, asked: Timestamp, now: Timestamp, at_least_ms: i64) {
        Self::put(&mut self.kept.lock(), key, value, asked, now, at_least_ms);
    }

    /// Keeps it in place of what was over then, unless that was forgotten meanwhile, or somebody who asked later was sooner.
    fn keep_anew(&self, key: K, value: V, asked: Timestamp, now: Timestamp, at_least_ms: i64) {
        let mut kept = self.kept.lock();
        if kept.get(&key).is_some_and(|entry| entry.at < asked) {
            Self::put(&mut kept, key, value, asked, now, at_least_ms);
        }
    }

    fn put(kept: &mut HashMap<K, Entry<V>>, key: K, value: V, asked: Timestamp, now: Timestamp, at_least_ms: i64) {
        let took_ms = now.since(asked).max(0);
        let lasts = if took_ms < SHORT_MS { at_least_ms } else { (took_ms * TIMES).min(LONGEST_MS).max(at_least_ms) };
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
/// beside the answer. Only one counts at a time; when they go away before the end, the next one does.
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
    loop {
        let now = clock.now();
        match kept.held(&key, now) {
            Some(Held::Holds(value)) => return Ok(value),
            Some(Held::Over(value)) => {
                let (kept, clock, counting) = (Arc::clone(kept), Arc::clone(clock), count());
                db.beyond(async move {
                    match counting.await {
                        Ok(value) => kept.keep_anew(key, value, now, clock.now(), at_least_ms),
                        Err(error) => tracing::warn!(%error, "what is kept of a count could not be counted anew"),
                    }
                });
                return Ok(value);
            }
            None => {}
        }
        match kept.turn(&key) {
            Turn::Own(turn) => {
                // Another's may have ended since it was looked for.
                if let Some(value) = kept.last(&key, now) {
                    turn.over();
                    return Ok(value);
                }
                let found = count().await;
                if let Ok(value) = &found {
                    turn.keep(value.clone(), now, clock.now(), at_least_ms);
                }
                turn.over();
                return found;
            }
            Turn::Other(mut counted) => {
                if counted.wait_for(|done| *done).await.is_ok() {
                    // It failed, or took a moment only: so each counts anew, at once and not one after the other.
                    return match kept.last(&key, clock.now()) {
                        Some(value) => Ok(value),
                        None => count().await,
                    };
                }
            }
        }
    }
}

/// The same if it is there within this time; nothing where it is not, and then it is counted to the end all the same, for whoever asks next.
pub(crate) async fn kept_within<K, V, F, E>(
    wait: Duration,
    (kept, key, at_least_ms): (&Arc<Kept<K, V>>, K, i64),
    (db, clock): (&Db, &Arc<dyn Clock>),
    count: impl FnOnce() -> F + Send + 'static,
) -> Result<Option<V>, E>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + 'static,
    F: Future<Output = Result<V, E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let (kept, on, clock) = (Arc::clone(kept), db.clone(), Arc::clone(clock));
    let found = db.beyond(async move { kept_or((&kept, key, at_least_ms), (&on, &clock), count).await });
    match tokio::time::timeout(wait, found).await {
        Ok(Ok(found)) => found.map(Some),
        Ok(Err(error)) => {
            tracing::error!(%error, "a count ended without an answer");
            Ok(None)
        }
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
