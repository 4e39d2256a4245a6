//! Pure: when devices that wait for each other have their turn, by a plan's limits and by what updates took before. It knows who may begin, not who
//! asks: it reckons as if everybody who waits did, so a device's own turn comes by then or before.

use super::throttle::{Crowd, Full, pace};
use wire::rollouts::{Rate, RolloutSpec};

const MINUTE_MS: i64 = 60_000;

/// How devices begin by a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// Milliseconds from the first device to the last.
    pub last_ms: i64,
    /// How many a minute may begin by then.
    pub per_minute: i64,
}

/// How so many devices begin by a rate, when so many succeeded before them and an update takes so long; where nobody knows how long, the rate does not grow.
///
/// As many as may begin at once, the others a minute later; whoever has begun succeeds after that time, and counts for the rate's growth from then on.
pub fn begin(rate: &Rate, devices: i64, succeeded: i64, took_ms: Option<i64>) -> Begun {
    let lag = took_ms.map(|took| usize::try_from(took.max(1).div_euclid(MINUTE_MS)).unwrap_or(usize::MAX).saturating_add(1));
    let most = rate.growth.as_ref().map(|growth| i64::from(growth.at_most));
    // How many had begun by the end of each minute.
    let mut begun: Vec<i64> = Vec::new();
    loop {
        let minute = begun.len();
        let done = lag.and_then(|lag| minute.checked_sub(lag)).and_then(|then| begun.get(then)).copied().unwrap_or(0);
        let before = begun.last().copied().unwrap_or(0);
        let per_minute = pace(rate, succeeded.saturating_add(done)).max(1);
        let left = devices - before;
        // From here on it does not change any more.
        let steady = lag.is_none() || most.is_none_or(|most| per_minute >= most);
        if left <= per_minute || steady {
            let more = (left.max(1) - 1) / per_minute;
            let minutes = i64::try_from(minute).unwrap_or(i64::MAX).saturating_add(more);
            return Begun { last_ms: minutes.saturating_mul(MINUTE_MS), per_minute };
        }
        begun.push(before.saturating_add(per_minute));
    }
}

/// Milliseconds until the last of those that wait has its turn, when there is no room for one of them: from now on by a rate, and otherwise from when the updates
/// began that hold the places. None where that rests on how long updates take, and nobody knows it. `waiting` are those of the stage that runs.
pub fn last_turn(spec: &RolloutSpec, full: &Full<'_>, crowd: Crowd, waiting: i64, took_ms: Option<i64>) -> Option<i64> {
    let waiting = waiting.max(1);
    // A minute is full now: the next to begin come when it is over.
    let by_rate = spec.rate.as_ref().map_or(0, |rate| begin(rate, waiting, crowd.succeeded, took_ms).last_ms.saturating_add(MINUTE_MS));
    let rounds = |waiting: i64, room: i64| took_ms.map(|took| took.saturating_mul((waiting - 1) / room.max(1) + 1));
    match full {
        Full::Rate(_) => Some(by_rate),
        Full::AtOnce(most) => rounds(waiting, i64::from(*most)).map(|by_room| by_room.max(by_rate)),
        Full::Budget(_, room) => {
            let alike = if crowd.kin > 0 { waiting.min(crowd.kin) } else { waiting };
            rounds(alike, *room).map(|by_room| by_room.max(by_rate))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::spec;
    use proptest::prelude::*;
    use wire::rollouts::{Budget, Growth};

    fn steady(per_minute: u32) -> Rate {
        Rate { per_minute, growth: None }
    }

    fn growing(per_minute: u32, factor: f64, successes: u32, at_most: u32) -> Rate {
        Rate { growth: Some(Growth { factor, successes, at_most }), ..steady(per_minute) }
    }

    #[test]
    fn a_rate_that_stays_takes_a_minute_for_every_so_many_but_the_first() {
        let minutes = |devices| begin(&steady(10), devices, 0, Some(5 * MINUTE_MS)).last_ms / MINUTE_MS;
        assert_eq!([0, 1, 10, 11, 20, 21, 100_000].map(minutes), [0, 0, 0, 1, 1, 2, 9_999]);
    }

    #[test]
    fn a_rate_that_grows_does_so_when_those_that_began_have_succeeded() {
        let rate = growing(10, 2.0, 10, 80);
        let minutes = |devices, took: Option<i64>| begin(&rate, devices, 0, took.map(|m| m * MINUTE_MS)).last_ms / MINUTE_MS;
        // An update takes half a minute: 10, then 10 have succeeded and 20 come, then 30 and 80.
        assert_eq!([10, 30, 31, 110, 111, 190].map(|n| begin(&rate, n, 0, Some(MINUTE_MS / 2)).last_ms / MINUTE_MS), [0, 1, 2, 2, 3, 3]);
        // Two minutes: 10, 10, 10, then 10 have succeeded: 20, then 20 have: 40.
        assert_eq!([30, 31, 50, 51, 90, 91].map(|n| minutes(n, Some(2))), [2, 3, 3, 4, 4, 5]);
        assert_eq!(minutes(91, None), 9, "nobody knows when they succeed");
        assert_eq!(begin(&rate, 91, 30, None), Begun { last_ms: MINUTE_MS, per_minute: 80 }, "who succeeded before counts");
    }

    #[test]
    fn whoever_waits_has_a_turn_by_the_limit_that_keeps_it_back() {
        let plan = |rate| RolloutSpec { rate, ..spec(vec![]) };
        let crowd = |kin| Crowd { kin, ..Crowd::default() };
        let minutes = |plan: &RolloutSpec, full: &Full<'_>, kin, waiting, took: Option<i64>| {
            last_turn(plan, full, crowd(kin), waiting, took.map(|m| m * MINUTE_MS)).map(|ms| ms / MINUTE_MS)
        };
        let (free, slow) = (plan(None), plan(Some(steady(1))));
        assert_eq!(minutes(&slow, &Full::Rate(1), 0, 90, None), Some(90));
        assert_eq!(minutes(&free, &Full::AtOnce(4), 0, 9, Some(10)), Some(30));
        assert_eq!(minutes(&slow, &Full::AtOnce(4), 0, 100, Some(1)), Some(100), "the rate holds as well");
        assert_eq!((minutes(&free, &Full::AtOnce(4), 0, 9, None), minutes(&free, &Full::AtOnce(4), 0, 0, Some(10))), (None, Some(10)));
        let budget = Budget { attribute: "site".into(), at_most: None, at_most_percent: Some(10.0) };
        assert_eq!(minutes(&free, &Full::Budget(&budget, 2), 20, 5_000, Some(10)), Some(100), "others of its site, no more");
        assert_eq!(minutes(&free, &Full::Budget(&budget, 2), 0, 50, Some(10)), Some(250));
    }

    proptest! {
        #[test]
        fn more_devices_and_longer_updates_never_make_it_sooner(per_minute in 1u32..50, factor in 1.01f64..4.0, successes in 1u32..40, more in 1u32..500, devices in 1i64..5_000, took in 1i64..3_600_000) {
            let rate = growing(per_minute, factor, successes, per_minute + more);
            let last = |devices, took| begin(&rate, devices, 0, took).last_ms;
            let own = last(devices, Some(took));
            prop_assert!(own <= last(devices + 1, Some(took)) && own <= last(devices, Some(took + MINUTE_MS)) && own <= last(devices, None));
            // Never faster than the most it may grow to, never slower than what it begins with.
            prop_assert!(own >= begin(&steady(per_minute + more), devices, 0, None).last_ms && own <= begin(&steady(per_minute), devices, 0, None).last_ms);
        }
    }
}
