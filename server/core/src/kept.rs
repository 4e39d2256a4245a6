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

    /// Whether it still stands for its key: what was forgotten while it was counted is not kept.
    fn stands(&self) -> bool {
        self.of.counting.lock().get(&self.key).is_some_and(|waiting| self.tells(waiting))
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

    /// Forgets what is known to hold no more: whoever asks next has it counted, and nobody waits for a count that has begun.
    pub(crate) fn forget(&self, key: &K) {
        self.kept.lock().remove(key);
        self.counting.lock().remove(key);
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
        let mut kept = self.kept.lock();
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
                        Ok(value) => kept.keep(key, value, now, clock.now(), at_least_ms),
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
                if let (Ok(value), true) = (&found, turn.stands()) {
                    kept.keep(key, value.clone(), now, clock.now(), at_least_ms);
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
mod tests {
    use super::{
        Held::{Holds, Over},
        *,
    };
    use crate::{
        clock::ManualClock,
        db::{EngineKind, Store},
        testing,
    };
    use futures::future::{BoxFuture, join_all};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::{sync::Semaphore, task::yield_now, time::timeout};

    const AT: fn(i64) -> Timestamp = Timestamp;
    const LONG: Duration = Duration::from_mins(1);

    /// Counts how often it is counted, each time until it is let go.
    struct Slow {
        db: Db,
        clock: Arc<dyn Clock>,
        kept: Arc<Kept<&'static str, usize>>,
        begun: Arc<AtomicUsize>,
        gate: Arc<Semaphore>,
        _folder: tempfile::TempDir,
    }

    impl Slow {
        async fn new() -> Self {
            let (db, folder) = testing::store(EngineKind::Sqlite, Store::Fleet).await;
            Self {
                db,
                clock: Arc::new(ManualClock::at(AT(0))),
                kept: Arc::default(),
                begun: Arc::default(),
                gate: Arc::new(Semaphore::new(0)),
                _folder: folder,
            }
        }

        fn counting(&self) -> BoxFuture<'static, Result<usize, String>> {
            let (begun, gate) = (Arc::clone(&self.begun), Arc::clone(&self.gate));
            Box::pin(async move {
                let this = begun.fetch_add(1, Ordering::SeqCst) + 1;
                drop(gate.acquire().await.map_err(|error| error.to_string())?);
                Ok(this)
            })
        }

        async fn ask(&self, key: &'static str, at_least_ms: i64) -> Result<usize, String> {
            let counting = self.counting();
            kept_or((&self.kept, key, at_least_ms), (&self.db, &self.clock), || counting).await
        }

        async fn ask_within(&self, wait: Duration) -> Result<Option<usize>, String> {
            let counting = self.counting();
            kept_within(wait, (&self.kept, "a", 1000), (&self.db, &self.clock), move || counting).await
        }

        async fn let_go(&self) {
            yield_now().await;
            self.gate.add_permits(1);
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn of_those_who_ask_at_once_one_counts() {
        let slow = Slow::new().await;
        let (found, ()) = tokio::join!(join_all((0..8).map(|_| slow.ask("a", 1000))), slow.let_go());
        assert_eq!((found, slow.begun()), (vec![Ok(1); 8], 1));
        // What is not kept was counted in a moment: each has it as it is when they ask.
        slow.gate.try_acquire().unwrap().forget();
        let (found, ()) = tokio::join!(join_all((0..8).map(|_| slow.ask("b", 0))), slow.let_go());
        assert_eq!((found.iter().flatten().max(), slow.begun()), (Some(&9), 9));
    }

    #[tokio::test]
    async fn whoever_waits_counts_when_the_first_goes_away() {
        let slow = Slow::new().await;
        let first = timeout(Duration::from_millis(20), slow.ask("a", 1000));
        let second = timeout(LONG, async {
            yield_now().await;
            slow.ask("a", 1000).await
        });
        let later = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            assert_eq!(slow.begun(), 2, "the second has begun");
            slow.let_go().await;
        };
        let (first, second, ()) = tokio::join!(first, second, later);
        assert!(first.is_err());
        assert_eq!(second.unwrap(), Ok(2));
    }

    #[tokio::test]
    async fn a_failure_is_nobody_elses() {
        let slow = Slow::new().await;
        let failing = async {
            yield_now().await;
            assert_eq!(slow.begun(), 1);
            slow.gate.close();
        };
        let (found, ()) = tokio::join!(join_all((0..3).map(|_| slow.ask("a", 1000))), failing);
        assert!(found.iter().all(Result::is_err));
        assert_eq!(slow.begun(), 3, "each has tried");
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_counted_for_the_next() {
        let slow = Slow::new().await;
        for _ in 0..3 {
            assert_eq!(slow.ask_within(Duration::from_millis(10)).await, Ok(None));
        }
        slow.let_go().await;
        assert_eq!((slow.ask_within(LONG).await, slow.begun()), (Ok(Some(1)), 1));
    }

    #[tokio::test]
    async fn what_is_forgotten_while_it_is_counted_is_not_kept() {
        let slow = Slow::new().await;
        let forgotten = async {
            yield_now().await;
            slow.kept.forget(&"a");
            slow.let_go().await;
        };
        let (found, ()) = tokio::join!(slow.ask("a", 1000), forgotten);
        assert_eq!((found, slow.kept.last(&"a", AT(0))), (Ok(1), None));
        assert_eq!(slow.ask("a", 1000).await, Ok(2));
    }

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
        assert_eq!(kept.kept.lock().len(), MOST);
        assert_eq!((kept.held(&1_999, AT(2_100)), kept.held(&0, AT(2_100))), (Some(Holds(1_999)), None));
    }
}
