//! Pure: how long a plan is likely to take, from how long updates took before, and which of its limits decides that. It knows neither who is online nor how
//! long people think; which devices share a budget, and what downloads take by limits of bandwidth, it is told. It reckons as if every device asked at once and nobody had to be waited for, and whoever shows the figure says so.

use super::turn;
use wire::rollouts::{Bottleneck, Expected, HoldingLimit, Rate, RolloutSpec, Span, StageSpec, TightBudget};

/// What a plan says of how many devices update beside and after each other.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits<'a> {
    /// So many at the same time.
    pub at_once: Option<u32>,
    /// So many begin within a minute.
    pub rate: Option<&'a Rate>,
    /// Milliseconds that the downloads of each stage take at least, by limits of bandwidth; a stage that is missing is not held.
    pub least_ms: &'a [i64],
    /// Of each stage the value of the plan's budget whose devices need the most rounds; a stage that is missing has none.
    pub tight: &'a [Option<TightBudget>],
}

impl<'a> Limits<'a> {
    /// Of a plan.
    pub const fn of(spec: &'a RolloutSpec) -> Self {
        Self { at_once: spec.at_once, rate: spec.rate.as_ref(), least_ms: &[], tight: &[] }
    }
}

/// What a plan takes when its stages have so many devices each: `took` are the milliseconds of earlier updates, from the offer to the success.
/// None without any: there is no history to go by.
///
/// The devices of a stage update side by side, `at_once` of them where there is such a limit, so a stage takes as long as its slowest device, and
/// before that as many average updates as have to follow each other, or as the rate lets its devices begin, whatever is longer; a rate grows with the
/// devices of earlier stages as well. With `n` devices that is at most `t` with the
/// probability `p` when one device is at most `t` with `p^(1/n)`; that share of the history, by nearest rank, is what is taken. Where a stage has
/// far more devices than there is history it is the longest ever seen. And no stage is over before its downloads can be.
///
/// Where a budget lets at most `k` of the `n` devices with one value update at once, the stage takes at least `n / k` average updates, rounded up, one
/// after the other; the value that takes the most of them counts, beside the other limits. So a plan is never shorter with a budget than without.
pub fn expect(took: &[i64], stages: &[StageSpec], devices: &[i64], limits: Limits<'_>) -> Option<Expected> {
    let mut took = took.to_vec();
    took.sort_unstable();
    let average = average(&took)?;
    let (mut before, mut held_ms, mut decides) = (0_i64, 0_i64, None::<Bottleneck>);
    let spans: Vec<Span> = stages
        .iter()
        .zip(devices)
        .enumerate()
        .map(|(i, (stage, devices))| {
            let tight = limits.tight.get(i).and_then(Option::as_ref);
            let (free, holding) = span((&took, average), *devices, (limits, before, tight));
            before = before.saturating_add((*devices).max(0));
            let least = limits.least_ms.get(i).copied().unwrap_or(0);
            held_ms = held_ms.saturating_add((least - free.usual_ms).max(0));
            let holding = if least > free.usual_ms { Some(HoldingLimit::Bandwidth) } else { holding };
            let usual_ms = free.usual_ms.max(least);
            if let Some(limit) = holding.filter(|_| decides.as_ref().is_none_or(|other| usual_ms > other.usual_ms)) {
                decides = Some(Bottleneck { stage: u32::try_from(i + 1).unwrap_or(u32::MAX), usual_ms, limit });
            }
            // A stage nobody is in is skipped, its soak as well.
            let soak = if *devices > 0 { i64::from(stage.soak_s) * 1000 } else { 0 };
            let at = |ms: i64| ms.max(least).saturating_add(soak);
            Span { usual_ms: at(free.usual_ms), slow_ms: at(free.slow_ms) }
        })
        .collect();
    let sum = |of: fn(&Span) -> i64| spans.iter().map(of).fold(0, i64::saturating_add);
    Some(Expected {
        updates: i64::try_from(took.len()).unwrap_or(i64::MAX),
        whole: Span { usual_ms: sum(|s| s.usual_ms), slow_ms: sum(|s| s.slow_ms) },
        stages: spans,
        // When it begins is not known here.
        until: None,
        held_ms,
        decides,
    })
}

/// How long an update took on average; none without any.
pub fn average(took: &[i64]) -> Option<i64> {
    let count = i64::try_from(took.len()).unwrap_or(i64::MAX);
    (count > 0).then(|| took.iter().fold(0, |sum: i64, one| sum.saturating_add(*one)) / count)
}

/// A stage without its soak and whatever its bytes are, and the limit that its last device waits for. `before` devices are in the stages before it.
fn span(
    (took, average): (&[i64], i64),
    devices: i64,
    (limits, before, tight): (Limits<'_>, i64, Option<&TightBudget>),
) -> (Span, Option<HoldingLimit>) {
    if devices <= 0 {
        return (Span { usual_ms: 0, slow_ms: 0 }, None);
    }
    let mut together = limits.at_once.map_or(devices, |most| devices.min(i64::from(most.max(1))));
    let mut queued = average.saturating_mul((devices - together + (together - 1)) / together);
    let mut holding = limits.at_once.filter(|_| queued > 0).map(HoldingLimit::AtOnce);
    if let Some(rate) = limits.rate {
        let begun = turn::begin(rate, devices, before, Some(average));
        if begun.last_ms > queued {
            (queued, holding) = (begun.last_ms, Some(HoldingLimit::Rate(rate.per_minute)));
        }
        // As many are under way in the end as begin while one updates.
        let minutes = average.max(0) / 60_000 + 1;
        together = together.min(begun.per_minute.saturating_mul(minutes)).max(1);
    }
    // One round keeps nobody waiting.
    let rounds = tight.map_or(0, TightBudget::rounds);
    let by_budget = if rounds > 1 { average.saturating_mul(rounds) } else { 0 };
    if by_budget > 0 && by_budget.saturating_sub(average) > queued {
        (queued, holding) = (by_budget.saturating_sub(average), tight.cloned().map(HoldingLimit::Budget));
    }
    let at = |share: f64| slowest(took, share, together).saturating_add(queued).max(by_budget);
    (Span { usual_ms: at(0.5), slow_ms: at(0.9) }, holding)
}

/// What the slowest of so many devices needs at most, with this probability.
fn slowest(took: &[i64], probability: f64, devices: i64) -> i64 {
    #[expect(clippy::cast_precision_loss, reason = "fleets and histories are far below 2⁵³")]
    let rank = (probability.powf(1.0 / devices as f64) * took.len() as f64 - 1e-9).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the length")]
    let place = (rank as usize).clamp(1, took.len()) - 1;
    took.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::stage;
    use proptest::prelude::*;
    use wire::rollouts::Reach;

    #[test]
    fn one_device_takes_what_one_update_takes() {
        let took: Vec<i64> = (1..=10).rev().collect();
        let found = expect(&took, &[stage(Reach::Percent(100.0))], &[1], Limits::default()).unwrap();
        assert_eq!((found.updates, found.whole), (10, Span { usual_ms: 5, slow_ms: 9 }));
    }

    #[test]
    fn many_devices_wait_for_the_slowest_and_every_stage_for_its_soak() {
        let took: Vec<i64> = (1..=100).collect();
        let soaking = StageSpec { soak_s: 60, ..stage(Reach::Count(2)) };
        let found = expect(&took, &[soaking, stage(Reach::Percent(100.0))], &[2, 100_000], Limits::default()).unwrap();
        // The square roots of 0.5 and 0.9 are 0.707 and 0.949.
        assert_eq!(found.stages, [Span { usual_ms: 60_071, slow_ms: 60_095 }, Span { usual_ms: 100, slow_ms: 100 }]);
        assert_eq!(found.whole, Span { usual_ms: 60_171, slow_ms: 60_195 });
    }

    #[test]
    fn nobody_takes_no_time_and_no_history_says_nothing() {
        let soaking = StageSpec { soak_s: 60, ..stage(Reach::Percent(100.0)) };
        assert_eq!(expect(&[5], std::slice::from_ref(&soaking), &[0], Limits::default()).unwrap().whole, Span { usual_ms: 0, slow_ms: 0 });
        assert_eq!(expect(&[], &[soaking], &[3], Limits::default()), None);
    }

    #[test]
    fn who_may_not_update_side_by_side_waits_for_the_others() {
        let all = [stage(Reach::Percent(100.0))];
        let found = |devices, at_once| expect(&[10, 10], &all, &[devices], Limits { at_once, ..Limits::default() }).unwrap().whole.usual_ms;
        assert_eq!((found(1000, None), found(1000, Some(1000)), found(1000, Some(1)), found(3, Some(2))), (10, 10, 10_000, 20));
    }

    #[test]
    fn a_rate_lets_devices_begin_one_minute_after_the_other_and_grows_over_the_stages() {
        let minute = 60_000;
        let stages = [stage(Reach::Count(20)), stage(Reach::Percent(100.0))];
        let minutes = |rate: &Rate, at_once| {
            let found = expect(&[minute / 2], &stages, &[20, 100], Limits { at_once, rate: Some(rate), ..Limits::default() }).unwrap();
            let stages: Vec<i64> = found.stages.iter().map(|s| s.usual_ms - minute / 2).collect();
            (stages[0] / minute, stages[1] / minute)
        };
        let steady = Rate { per_minute: 10, growth: None };
        assert_eq!(minutes(&steady, None), (1, 9));
        // 20 have succeeded when the second stage begins: 40 at once, and then as many as are left.
        let growing = Rate { growth: Some(wire::rollouts::Growth { factor: 2.0, successes: 10, at_most: 1000 }), ..steady.clone() };
        assert_eq!(minutes(&growing, None), (1, 1));
        // The limit that holds more is the one that counts.
        assert_eq!(minutes(&steady, Some(1)), (9, 49));
        assert_eq!(minutes(&steady, Some(1000)), (1, 9));
    }

    #[test]
    fn no_stage_is_over_before_its_downloads_can_be() {
        let soaking = StageSpec { soak_s: 60, ..stage(Reach::Count(2)) };
        let stages = [soaking, stage(Reach::Percent(100.0))];
        let found = |least_ms: &[i64]| expect(&[10, 10], &stages, &[2, 100], Limits { least_ms, ..Limits::default() }).unwrap();
        let free = found(&[]);
        assert_eq!((free.held_ms, free.whole.usual_ms), (0, 60_020));
        let held = found(&[4, 5_000]);
        assert_eq!((held.held_ms, held.whole), (4_990, Span { usual_ms: 65_010, slow_ms: 65_010 }));
        assert_eq!(held.stages[1], Span { usual_ms: 5_000, slow_ms: 5_000 }, "only the stage whose bytes take longer");
        assert_eq!(found(&[4, 5]), free, "what is over by then holds nobody");
    }

    fn berlin(devices: i64, at_most: i64) -> TightBudget {
        TightBudget { attribute: "site".into(), value: "Berlin".into(), devices, at_most }
    }

    #[test]
    fn a_budget_makes_the_devices_of_a_site_follow_each_other_and_is_named_where_it_decides() {
        let stages = [stage(Reach::Count(3)), stage(Reach::Percent(100.0))];
        let hour = 3_600_000;
        let found = |at_once, tight: &[Option<TightBudget>]| {
            expect(&[hour, hour], &stages, &[3, 60], Limits { at_once, tight, ..Limits::default() }).unwrap()
        };
        let free = found(None, &[]);
        assert_eq!((free.whole.usual_ms, &free.decides), (2 * hour, &None), "nobody waits for anybody");
        let tight = found(None, &[Some(berlin(2, 2)), Some(berlin(28, 2))]);
        assert_eq!(tight.stages.iter().map(|s| s.usual_ms / hour).collect::<Vec<_>>(), [1, 14], "one round keeps nobody waiting");
        let decides = tight.decides.unwrap();
        assert_eq!(
            decides.sentence(2),
            format!("Site Berlin's budget of 2 at once decides: {} in stage 2", wire::time::duration(14 * hour))
        );
        // The limit that holds more is the one that counts.
        let narrow = found(Some(2), &[Some(berlin(2, 2)), Some(berlin(28, 2))]);
        assert_eq!((narrow.stages[1].usual_ms / hour, narrow.decides.map(|d| d.limit)), (30, Some(HoldingLimit::AtOnce(2))));
        let wide = found(Some(10), &[None, Some(berlin(28, 2))]);
        assert_eq!((wide.stages[1].usual_ms / hour, wide.decides.map(|d| d.limit)), (14, Some(HoldingLimit::Budget(berlin(28, 2)))));
    }

    #[test]
    fn bandwidth_decides_where_bytes_take_longer_than_turns() {
        let all = [stage(Reach::Percent(100.0))];
        let found =
            |least_ms: &[i64]| expect(&[10], &all, &[4], Limits { least_ms, tight: &[Some(berlin(4, 1))], ..Limits::default() }).unwrap();
        assert_eq!(found(&[]).decides.map(|d| (d.usual_ms, d.limit)), Some((40, HoldingLimit::Budget(berlin(4, 1)))));
        assert_eq!(found(&[41]).decides.map(|d| (d.usual_ms, d.limit)), Some((41, HoldingLimit::Bandwidth)));
    }

    proptest! {
        #[test]
        fn a_budget_never_makes_a_plan_shorter_and_more_devices_never_do(
            took in prop::collection::vec(1i64..100_000, 1..20), devices in 1i64..500, share in 0i64..=100, room in 1i64..20, more in 1i64..50,
            at_once in prop::option::of(1u32..50), per_minute in prop::option::of(1u32..50)
        ) {
            let all = [stage(Reach::Percent(100.0))];
            let rate = per_minute.map(|per_minute| Rate { per_minute, growth: None });
            let found = |devices, tight: &[Option<TightBudget>]| {
                let limits = Limits { at_once, rate: rate.as_ref(), tight, ..Limits::default() };
                expect(&took, &all, &[devices], limits).unwrap().whole
            };
            let alike = devices * share / 100;
            let (free, tight) = (found(devices, &[]), found(devices, &[Some(berlin(alike, room))]));
            prop_assert!(tight.usual_ms >= free.usual_ms && tight.slow_ms >= free.slow_ms);
            prop_assert!(tight.slow_ms >= tight.usual_ms);
            let rounds = berlin(alike, room).rounds();
            prop_assert!(rounds < 2 || tight.usual_ms >= rounds * average(&took).unwrap());
            let (grown, roomier) = (found(devices + more, &[Some(berlin(alike + more, room))]), found(devices, &[Some(berlin(alike, room + more))]));
            prop_assert!(grown.usual_ms >= tight.usual_ms && grown.slow_ms >= tight.slow_ms, "more of the same site");
            prop_assert!(roomier.usual_ms <= tight.usual_ms && roomier.slow_ms <= tight.slow_ms, "more of it at once");
        }
    }

    #[test]
    fn few_that_begin_in_a_minute_have_fewer_beside_them_to_be_slow() {
        let took: Vec<i64> = (1..=100).map(|n| n * 1000).collect();
        let all = [stage(Reach::Percent(100.0))];
        let rate = Rate { per_minute: 1, growth: None };
        let one = expect(&took, &all, &[100], Limits { rate: Some(&rate), ..Limits::default() }).unwrap().whole;
        assert_eq!(one, Span { usual_ms: 99 * 60_000 + 50_000, slow_ms: 99 * 60_000 + 90_000 });
    }
}
