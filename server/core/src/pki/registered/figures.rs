//! Pure: how asking for lists goes, for the machine room. Owns the counts of this process.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use wire::Timestamp;

/// What came of asking for a list once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A list that was not here.
    Taken,
    /// The one that is here.
    Unchanged,
    /// None that counts.
    Failed,
}

/// How often what came of it since this process began, and how old the oldest news is, as of the last look for what is due.
#[derive(Debug, Default)]
pub struct FetchFigures {
    taken: AtomicU64,
    unchanged: AtomicU64,
    failed: AtomicU64,
    /// Zero without an address.
    oldest: AtomicI64,
}

impl FetchFigures {
    pub(super) fn count(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Taken => &self.taken,
            Outcome::Unchanged => &self.unchanged,
            Outcome::Failed => &self.failed,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn oldest_is(&self, at: Option<Timestamp>) {
        self.oldest.store(at.map_or(0, Timestamp::millis), Relaxed);
    }

    /// Fetches by outcome.
    pub fn by_outcome(&self) -> [(&'static str, u64); 3] {
        [("taken", &self.taken), ("unchanged", &self.unchanged), ("failed", &self.failed)].map(|(word, n)| (word, n.load(Relaxed)))
    }

    /// Seconds since the last success at the address where that is longest ago, or since it was set; 0 without an address.
    pub fn oldest_seconds(&self, now: Timestamp) -> i64 {
        match self.oldest.load(Relaxed) {
            0 => 0,
            at => now.since(Timestamp(at)).max(0) / 1000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_counted_and_the_oldest_news_has_an_age() {
        let (figures, now) = (FetchFigures::default(), Timestamp(1_795_341_600_000));
        assert_eq!(figures.oldest_seconds(now), 0);
        for outcome in [Outcome::Taken, Outcome::Failed, Outcome::Unchanged, Outcome::Failed] {
            figures.count(outcome);
        }
        assert_eq!(figures.by_outcome(), [("taken", 1), ("unchanged", 1), ("failed", 2)]);
        figures.oldest_is(Some(now.plus(-7_200_500)));
        assert_eq!((figures.oldest_seconds(now), figures.oldest_seconds(now.plus(-9_000_000))), (7200, 0));
        figures.oldest_is(None);
        assert_eq!(figures.oldest_seconds(now), 0);
    }
}
