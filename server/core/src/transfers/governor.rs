//! Pure: how fast bytes leave where downloads share a limit. A bucket a limit; each piece of a download waits for its turn in each of its buckets,
//! the narrowest first, and nobody takes a second turn before the others had theirs.
//!
//! Of the pieces that a bucket lets go in any time, the bytes are at most rate × (time + [`BURST_MICROS`]) and one piece more. Between a piece's turn
//! in one bucket and the next it waits, so what leaves is late by that, and never more than one piece of each download.

use std::collections::HashMap;
use wire::ids::{OrgId, RolloutId};

/// How much of a time in which nothing was sent may be caught up.
const BURST_MICROS: i64 = 250_000;
/// A piece is what goes in this time, within bounds: so that turns come often, and a download holds little.
const TURN_MICROS: u64 = 50_000;
const LEAST_PIECE: u64 = 1 << 10;
const MOST_PIECE: u64 = 64 << 10;
/// Buckets that are remembered; beyond, those that nobody waits for are forgotten.
const MOST_BUCKETS: usize = 10_000;

/// What a download shares a limit with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Share {
    /// All of a rollout.
    Rollout(RolloutId),
    /// All to a site of an organization.
    Site(OrgId, String),
    /// All of an organization.
    Organization(OrgId),
}

/// The buckets.
#[derive(Debug, Default)]
pub struct Governor {
    buckets: HashMap<Share, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Bytes a second.
    rate: u64,
    /// When the next piece has its turn, in microseconds of a steady clock.
    free_at: i64,
}

/// Bytes of a piece where this is the lowest of a download's rates.
pub fn piece(rate: u64) -> usize {
    let bytes = (rate / (1_000_000 / TURN_MICROS)).clamp(LEAST_PIECE, MOST_PIECE);
    usize::try_from(bytes).unwrap_or(64 << 10)
}

impl Governor {
    /// A download begins under this limit: from now on it is the one of all that share it.
    pub fn join(&mut self, share: &Share, rate: u64, now: i64) {
        if self.buckets.len() >= MOST_BUCKETS {
            self.buckets.retain(|_, bucket| bucket.free_at > now - BURST_MICROS);
        }
        let fresh = Bucket { rate, free_at: now };
        self.buckets.entry(share.clone()).or_insert(fresh).rate = rate.max(1);
    }

    /// The limit is another one, or none, also for what is under way.
    pub fn change(&mut self, concerned: impl Fn(&Share) -> bool, rate: Option<u64>) {
        for (_, bucket) in self.buckets.iter_mut().filter(|(share, _)| concerned(share)) {
            bucket.rate = rate.unwrap_or(u64::MAX).max(1);
        }
    }

    /// Takes a turn for a piece; microseconds until it comes.
    pub fn take(&mut self, share: &Share, bytes: u64, now: i64) -> i64 {
        let Some(bucket) = self.buckets.get_mut(share) else { return 0 };
        let at = bucket.free_at.max(now - BURST_MICROS);
        let micros = (u128::from(bytes) * 1_000_000).div_ceil(u128::from(bucket.rate));
        bucket.free_at = at.saturating_add(i64::try_from(micros).unwrap_or(i64::MAX));
        (at - now).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn org() -> OrgId {
        "org_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b1".parse().unwrap()
    }

    /// Downloads that take piece after piece of one bucket from these instants on; each piece with its download and when it went.
    fn run(rate: u64, begin: &[i64], until: i64) -> Vec<(usize, i64)> {
        let share = Share::Organization(org());
        let mut governor = Governor::default();
        governor.join(&share, rate, 0);
        // When each asks for its next turn.
        let mut asks: Vec<i64> = begin.to_vec();
        let mut gone = Vec::new();
        while let Some(who) = (0..asks.len()).min_by_key(|i| (asks[*i], *i)).filter(|i| asks[*i] <= until) {
            let at = asks[who] + governor.take(&share, piece(rate) as u64, asks[who]);
            gone.push((who, at));
            asks[who] = at;
        }
        gone
    }

    proptest! {
        #[test]
        fn a_limit_is_kept_over_any_time(rate in 10_000u64..2_000_000, begin in prop::collection::vec(0i64..5_000_000, 1..20), from in 0i64..4_000_000, span in 0i64..4_000_000) {
            let gone = run(rate, &begin, 9_000_000);
            let pieces = gone.iter().filter(|(_, at)| (from..=from + span).contains(at)).count();
            let bytes = (pieces * piece(rate)) as u64;
            let allowed = u128::from(rate) * u128::from((span + BURST_MICROS).unsigned_abs()) / 1_000_000;
            prop_assert!(u128::from(bytes) <= allowed + 2 * piece(rate) as u128, "{bytes} of {allowed}");
        }

        #[test]
        fn nobody_starves_and_nobody_gets_more(rate in 10_000u64..2_000_000, count in 1usize..40) {
            let gone = run(rate, &vec![0; count], 20_000_000);
            for who in 0..count {
                let own = gone.iter().filter(|(w, _)| *w == who).count();
                let fair = gone.len() / count;
                prop_assert!(own.abs_diff(fair) <= 2, "{own} of {fair}");
            }
            // What is allowed is used.
            let bytes = gone.iter().filter(|(_, at)| *at <= 20_000_000).count() * piece(rate);
            prop_assert!(bytes as u64 >= rate * 19, "{bytes} of {}", rate * 20);
        }
    }

    #[test]
    fn a_piece_is_what_goes_in_a_turn() {
        assert_eq!((piece(1), piece(100_000), piece(u64::MAX)), (1 << 10, 5_000, 64 << 10));
    }

    #[test]
    fn another_limit_holds_at_once_and_none_holds_nobody() {
        let (share, mut governor) = (Share::Organization(org()), Governor::default());
        assert_eq!(governor.take(&share, 1 << 20, 0), 0, "nobody has set one");
        governor.join(&share, 1_000_000, 0);
        governor.take(&share, 1_000_000, 0);
        assert_eq!(governor.take(&share, 1, 0), 1_000_000);
        governor.change(|s| *s == share, Some(2_000_000));
        let before = governor.take(&share, 1_000_000, 0);
        assert_eq!(governor.take(&share, 1, 0) - before, 500_000);
        governor.change(|_| true, None);
        let before = governor.take(&share, 1 << 30, 0);
        assert!(governor.take(&share, 1, 0) - before <= 1);
    }
}
