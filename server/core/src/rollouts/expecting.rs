//! Pure: how long a plan is likely to take, from how long updates took before. It knows neither who is online nor how long people think nor which
//! devices share a budget; what downloads take by limits of bandwidth it is told. It reckons as if every device asked at once and nobody had to be waited for, and whoever shows the figure says so.

use super::turn;
use wire::rollouts::{Expected, Rate, RolloutSpec, Span, StageSpec};

/// What a plan says of how many devices update beside and after each other, whoever they are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits<'a> {
    /// So many at the same time.
    pub at_once: Option<u32>,
    /// So many begin within a minute.
    pub rate: Option<&'a Rate>,
    /// Milliseconds that the downloads of each stage take at least, by limits of bandwidth; a stage that is missing is not held.
    pub least_ms: &'a [i64],
}

impl<'a> Limits<'a> {
    /// Of a plan.
    pub const fn of(spec: &'a RolloutSpec) -> Self {
        Self { at_once: spec.at_once, rate: spec.rate.as_ref(), least_ms: &[] }
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
pub fn expect(took: &[i64], stages: &[StageSpec], devices: &[i64], limits: Limits<'_>) -> Option<Expected> {
    let mut took = took.to_vec();
    took.sort_unstable();
    let average = average(&took)?;
    let (mut before, mut held_ms) = (0_i64, 0_i64);
    let spans: Vec<Span> = stages
        .iter()
        .zip(devices)
        .enumerate()
        .map(|(i, (stage, devices))| {
            let free = span((&took, average), *devices, (limits, before));
            before = before.saturating_add((*devices).max(0));
            let least = limits.least_ms.get(i).copied().unwrap_or(0);
            held_ms = held_ms.saturating_add((least - free.usual_ms).max(0));
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
    })
}

/// How long an update took on average; none without any.
pub fn average(took: &[i64]) -> Option<i64> {
    let count = i64::try_from(took.len()).unwrap_or(i64::MAX);
    (count > 0).then(|| took.iter().fold(0, |sum: i64, one| sum.saturating_add(*one)) / count)
}

/// A stage without its soak and whatever its bytes are. `before` devices are in the stages before it.
fn span((took, average): (&[i64], i64), devices: i64, (limits, before): (Limits<'_>, i64)) -> Span {
    if devices <= 0 {
        return Span { usual_ms: 0, slow_ms: 0 };
    }
    let mut together = limits.at_once.map_or(devices, |most| devices.min(i64::from(most.max(1))));
    let mut queued = average.saturating_mul((devices - together + (together - 1)) / together);
    if let Some(rate) = limits.rate {
        let begun = turn::begin(rate, devices, before, Some(average));
        queued = queued.max(begun.last_ms);
        // As many are under way in the end as begin while one updates.
        let minutes = average.max(0) / 60_000 + 1;
        together = together.min(begun.per_minute.saturating_mul(minutes)).max(1);
    }
    let at = |share: f64| slowest(took, share, together).saturating_add(queued);
    Span { usual_ms: at(0.5), slow_ms: at(0.9) }
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
            let found = expect(&[minute / 2], &stages, &[20, 100], Limits { at_once, rate: Some(rate), least_ms: &[] }).unwrap();
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

    #[test]
    fn few_that_begin_in_a_minute_have_fewer_beside_them_to_be_slow() {
        let took: Vec<i64> = (1..=100).map(|n| n * 1000).collect();
        let all = [stage(Reach::Percent(100.0))];
        let rate = Rate { per_minute: 1, growth: None };
        let one = expect(&took, &all, &[100], Limits { rate: Some(&rate), ..Limits::default() }).unwrap().whole;
        assert_eq!(one, Span { usual_ms: 99 * 60_000 + 50_000, slow_ms: 99 * 60_000 + 90_000 });
    }
}
