//! What is kept, for how long, and who counts.

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

#[tokio::test]
async fn what_is_forgotten_while_it_is_counted_anew_is_not_kept_either() {
    let slow = Slow::new().await;
    // It took 100 ms and is over, but still shown.
    let over = |value| slow.kept.keep("a", value, AT(-10_000), AT(-9_900), 0);
    let beside = async || {
        while Arc::strong_count(&slow.kept) > 1 {
            yield_now().await;
        }
    };
    over(7);
    assert_eq!(slow.ask("a", 1000).await, Ok(7));
    slow.kept.forget(&"a");
    slow.let_go().await;
    beside().await;
    assert_eq!((slow.begun(), slow.kept.last(&"a", AT(0))), (1, None));
    over(8);
    assert_eq!(slow.ask("a", 1000).await, Ok(8));
    beside().await;
    assert_eq!(slow.kept.last(&"a", AT(0)), Some(2), "otherwise it is");
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
