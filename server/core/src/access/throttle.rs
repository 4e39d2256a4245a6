//! Counts failures by key in a window of time, in bounded memory. Knows nothing of what failed.

use parking_lot::Mutex;
use std::{
    borrow::Borrow,
    collections::{HashMap, VecDeque},
    hash::Hash,
};
use wire::Timestamp;

/// Windows that are kept at once.
const KEYS: usize = 10_000;

/// When the window of each key began, and how many failed in it.
#[derive(Debug)]
struct Failures<K> {
    counts: HashMap<K, (Timestamp, u32)>,
    /// The keys in the order in which their windows began: the oldest one goes first when there are too many. Each in `counts` is in here.
    order: VecDeque<(Timestamp, K)>,
}

/// Refuses a key after too many failures within a window. Addresses are counted by their [`Source`](crate::source::Source).
#[derive(Debug)]
pub(crate) struct Throttle<K = String> {
    limit: u32,
    window_ms: i64,
    failures: Mutex<Failures<K>>,
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// `limit` failures within `window_ms` close a key until the window is over.
    pub(crate) fn new(limit: u32, window_ms: i64) -> Self {
        Self { limit, window_ms, failures: Mutex::new(Failures { counts: HashMap::new(), order: VecDeque::new() }) }
    }

    /// Whether the key may try.
    pub(crate) fn open<Q: Hash + Eq + ?Sized>(&self, key: &Q, now: Timestamp) -> bool
    where
        K: Borrow<Q>,
    {
        self.has_room(&self.failures.lock(), key, now)
    }

    /// Whether the key may try, counted at once: of many tries at the same moment no more pass than the limit. [`Throttle::give_back`] what went
    /// well.
    pub(crate) fn take<Q: Hash + Eq + ToOwned<Owned = K> + ?Sized>(&self, key: &Q, now: Timestamp) -> bool
    where
        K: Borrow<Q>,
    {
        let mut failures = self.failures.lock();
        let open = self.has_room(&failures, key, now);
        if open {
            self.count(&mut failures, key, now);
        }
        open
    }

    /// Takes back one that was counted.
    pub(crate) fn give_back<Q: Hash + Eq + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some((_, n)) = self.failures.lock().counts.get_mut(key) {
            *n = n.saturating_sub(1);
        }
    }

    /// Notes a failure.
    pub(crate) fn fail<Q: Hash + Eq + ToOwned<Owned = K> + ?Sized>(&self, key: &Q, now: Timestamp)
    where
        K: Borrow<Q>,
    {
        self.count(&mut self.failures.lock(), key, now);
    }

    fn over(&self, began: Timestamp, now: Timestamp) -> bool {
        now.since(began) >= self.window_ms
    }

    fn has_room<Q: Hash + Eq + ?Sized>(&self, failures: &Failures<K>, key: &Q, now: Timestamp) -> bool
    where
        K: Borrow<Q>,
    {
        failures.counts.get(key).is_none_or(|(began, n)| self.over(*began, now) || *n < self.limit)
    }

    fn count<Q: Hash + Eq + ToOwned<Owned = K> + ?Sized>(&self, failures: &mut Failures<K>, key: &Q, now: Timestamp)
    where
        K: Borrow<Q>,
    {
        if let Some((_, n)) = failures.counts.get_mut(key).filter(|(began, _)| !self.over(*began, now)) {
            *n += 1;
            return;
        }
        // A flood from ten thousand sources pushes out the oldest, one for each that is new, and nobody else.
        while failures.order.front().is_some_and(|(began, _)| failures.order.len() >= KEYS || self.over(*began, now)) {
            let Some((began, oldest)) = failures.order.pop_front() else { break };
            // Its window may have begun anew since.
            if failures.counts.get::<K>(&oldest).is_some_and(|(newest, _)| *newest == began) {
                failures.counts.remove::<K>(&oldest);
            }
        }
        failures.order.push_back((now, key.to_owned()));
        failures.counts.insert(key.to_owned(), (now, 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    #[test]
    fn closes_after_the_limit_and_opens_after_the_window() {
        let t: Throttle = Throttle::new(3, 60_000);
        for i in 0..3 {
            assert!(t.open("a", Timestamp(i)));
            t.fail("a", Timestamp(i));
        }
        assert!(!t.open("a", Timestamp(10)));
        assert!(t.open("b", Timestamp(10)));
        assert!(t.open("a", Timestamp(60_000)));
        t.fail("a", Timestamp(60_000));
        assert!(t.open("a", Timestamp(60_001)), "a new window has begun");
    }

    #[test]
    fn what_is_under_way_counts_until_it_went_well() {
        let t: Throttle = Throttle::new(2, 60_000);
        assert!(t.take("a", Timestamp(0)) && t.take("a", Timestamp(0)));
        assert!(!t.take("a", Timestamp(0)), "two are under way");
        t.give_back("a");
        assert!(t.take("a", Timestamp(1)));
        assert!(!t.take("a", Timestamp(1)));
    }

    #[test]
    fn a_network_of_ipv6_is_closed_as_one() {
        let t: Throttle<Source> = Throttle::new(2, 60_000);
        for n in 0..2 {
            assert!(t.take(&Source::of(&format!("2001:db8:1:2::{n}")), Timestamp(0)));
        }
        assert!(!t.take(&Source::of("2001:db8:1:2:ffff::1"), Timestamp(0)));
        assert!(t.take(&Source::of("2001:db8:1:3::1"), Timestamp(0)));
    }

    #[test]
    fn a_flood_pushes_out_the_oldest_and_nobody_else() {
        let t: Throttle = Throttle::new(1, 60_000);
        let keys = i64::try_from(KEYS).unwrap();
        for n in 0..keys {
            t.fail(n.to_string().as_str(), Timestamp(n));
        }
        assert!(!t.open("0", Timestamp(keys)), "there is room for all of these");
        t.fail("one more", Timestamp(keys));
        assert!(t.open("0", Timestamp(keys)), "the oldest is forgotten");
        assert!(!t.open("1", Timestamp(keys)) && !t.open("one more", Timestamp(keys)));
        for n in 0..3 * keys {
            t.fail(n.to_string().as_str(), Timestamp(keys + n));
        }
        let failures = t.failures.lock();
        assert!(failures.counts.len() <= KEYS && failures.order.len() <= KEYS);
    }
}
