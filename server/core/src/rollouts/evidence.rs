//! Pure: metrics of updated devices beside those of devices that are not updated yet, at set looks of a stage's watch.
//!
//! Who looks again and again finds something by chance alone. So there are four looks, at the quarters of the watch, and they share what the plan allows to chance:
//! an eighth, an eighth, a quarter, and a half at the last. The probability that any of them stops a release that changes nothing is at most the sum,
//! however the looks depend on each other. A look that was missed while the server was down is not made up for; the latest one that is due is taken.
//!
//! Each device is one figure, the mean of its samples since the watch began: samples of one device depend on each other, devices do not. Which devices come
//! first is drawn by a hash, so that the two groups differ in nothing but the update. Of a group of more than [`MOST`] devices those with the lowest places count, at
//! each look the same.

use super::{course::Stage, ranks};
use std::fmt::Write as _;
use wire::{
    Timestamp,
    rollouts::{Call, Compared, Finding, MetricGate, TooFew, Worse, figure, probability},
};

/// What each look may spend of the level.
const SPENT: [f64; 4] = [0.125, 0.125, 0.25, 0.5];
/// How many looks a watch has.
pub const LOOKS: u32 = 4;
/// Devices of a group that are compared at most.
pub const MOST: usize = 2000;
/// Findings that a stage keeps: three watches of a full gate.
const KEPT: usize = 96;

/// The figures of both groups, one a device.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Groups {
    /// Updated devices of the stage.
    pub updated: Vec<f64>,
    /// Devices that are not updated.
    pub control: Vec<f64>,
    /// A group had more than [`MOST`] devices.
    pub sampled: bool,
}

/// A look that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Which, from 1 to [`LOOKS`].
    pub number: u32,
    /// The beginning of the watch.
    pub from: Timestamp,
}

/// The latest look that is due and was not taken; none while there is none, or nothing to look at.
pub fn due(stage: &Stage, now: Timestamp) -> Option<Look> {
    let number = (1..=LOOKS).rev().find(|n| at(stage, *n).is_some_and(|at| at <= now))?;
    let from = stage.soak_until?.plus(-i64::from(stage.spec.soak_s) * 1000);
    (number > stage.looks && open(stage).next().is_some()).then_some(Look { number, from })
}

/// When the next look is due; none after the last, or where there is nothing to look at.
pub fn next(stage: &Stage) -> Option<Timestamp> {
    open(stage).next()?;
    at(stage, stage.looks + 1)
}

fn at(stage: &Stage, look: u32) -> Option<Timestamp> {
    if look > LOOKS {
        return None;
    }
    let quarter = i64::from(stage.spec.soak_s) * 1000 / i64::from(LOOKS);
    Some(stage.soak_until?.plus(-quarter * i64::from(LOOKS - look)))
}

/// The metrics that are looked at: all but those that a person went on in spite of.
pub fn open(stage: &Stage) -> impl Iterator<Item = &MetricGate> {
    let seen = |gate: &MetricGate| stage.findings.iter().any(|f| f.seen && f.metric == gate.metric && f.worse == gate.worse);
    stage.spec.gate.metrics.iter().filter(move |gate| !seen(gate))
}

/// What the last look of this watch left to a person; none when nothing.
pub fn asks(stage: &Stage) -> Option<String> {
    let waits = |f: &&Finding| {
        let gate = stage.spec.gate.metrics.iter().find(|g| g.metric == f.metric && g.worse == f.worse);
        f.look == LOOKS && f.call == Call::Wait && gate.is_some_and(|g| g.too_few == TooFew::Ask)
    };
    let since = stage.soak_until?.plus(-i64::from(stage.spec.soak_s) * 1000);
    let said: Vec<&str> = stage.findings.iter().filter(|f| f.from == since).filter(waits).map(|f| f.text.as_str()).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Adds what a look found, and forgets the oldest of what is too much; what a person went on in spite of stays.
pub fn keep(findings: &mut Vec<Finding>, new: &[Finding]) {
    findings.extend_from_slice(new);
    while findings.len() > KEPT
        && let Some(oldest) = findings.iter().position(|f| !f.seen)
    {
        findings.remove(oldest);
    }
}

/// Judges one metric at a look.
pub fn judge(gate: &MetricGate, groups: &Groups, look: Look, now: Timestamp) -> Finding {
    let count = |of: &[f64]| i64::try_from(of.len()).unwrap_or(i64::MAX);
    let finding = |call, text, compared| Finding {
        look: look.number,
        looks: LOOKS,
        at: now,
        from: look.from,
        metric: gate.metric.clone(),
        worse: gate.worse,
        call,
        text,
        updated: count(&groups.updated),
        control: count(&groups.control),
        needed: i64::from(gate.min_devices),
        sampled: groups.sampled,
        compared,
        seen: false,
    };
    let sizes = format!("{} updated and {} not updated", groups.updated.len(), groups.control.len());
    let least = usize::try_from(gate.min_devices).unwrap_or(usize::MAX);
    let enough = groups.updated.len().min(groups.control.len()) >= least;
    let Some(compared) = enough.then(|| compare(gate, groups, look.number)).flatten() else {
        let text = format!("{}: not enough to compare: {sizes} devices sent it, {} each are needed", gate.metric, gate.min_devices);
        return finding(Call::Wait, text, None);
    };
    let matters =
        compared.effect_percent >= gate.effect_percent && gate.min_shift.is_none_or(|least| worse_by(gate.worse, &compared) >= least);
    let worse = compared.p <= compared.level && matters;
    let text = words(gate, &compared, &sizes, worse);
    finding(if worse { Call::Halt } else { Call::Pass }, text, Some(compared))
}

/// How far it has shifted to the worse.
const fn worse_by(worse: Worse, compared: &Compared) -> f64 {
    match worse {
        Worse::Higher => compared.shift,
        Worse::Lower => -compared.shift,
    }
}

/// The level a look has.
pub(super) fn level(gate: &MetricGate, look: u32) -> f64 {
    let share = usize::try_from(look).ok().and_then(|n| SPENT.get(n.checked_sub(1)?)).copied().unwrap_or(0.0);
    (1.0 - gate.confidence_percent / 100.0) * share
}

fn compare(gate: &MetricGate, groups: &Groups, look: u32) -> Option<Compared> {
    let confidence = gate.confidence_percent / 100.0;
    let found = match gate.worse {
        Worse::Higher => ranks::compare(&groups.updated, &groups.control, confidence)?,
        Worse::Lower => {
            let turned = |of: &[f64]| of.iter().map(|v| -v).collect::<Vec<_>>();
            let found = ranks::compare(&turned(&groups.updated), &turned(&groups.control), confidence)?;
            let (low, high) = found.shift_within;
            // Adding zero makes no difference but to the sign of zero.
            ranks::Ranked {
                median: 0.0 - found.median,
                other_median: 0.0 - found.other_median,
                shift: 0.0 - found.shift,
                shift_within: (0.0 - high, 0.0 - low),
                ..found
            }
        }
    };
    Some(Compared {
        updated_median: found.median,
        control_median: found.other_median,
        effect_percent: found.greater * 100.0,
        effect_low: found.greater_within.0 * 100.0,
        effect_high: found.greater_within.1 * 100.0,
        shift: found.shift,
        shift_low: found.shift_within.0,
        shift_high: found.shift_within.1,
        p: found.p,
        level: level(gate, look),
        confidence_percent: gate.confidence_percent,
        exact: found.exact,
    })
}

fn words(gate: &MetricGate, c: &Compared, sizes: &str, worse: bool) -> String {
    let says = if worse { "is worse on updated devices" } else { "shows nothing that matters" };
    let mut text = format!(
        "{} {says}: median {} against {}; an updated device fares worse with {} % probability ({} % interval {} to {} %, limit {} %)",
        gate.metric,
        figure(c.updated_median),
        figure(c.control_median),
        percent(c.effect_percent),
        plain(c.confidence_percent),
        percent(c.effect_low),
        percent(c.effect_high),
        plain(gate.effect_percent),
    );
    let _ = write!(text, ", shifted by {} ({} to {}", figure(c.shift), figure(c.shift_low), figure(c.shift_high));
    if let Some(least) = gate.min_shift {
        let _ = write!(text, ", limit {}", plain(least));
    }
    let _ = write!(text, "); p {}, needed {}; {sizes}", probability(c.p), probability(c.level));
    text
}

fn percent(x: f64) -> String {
    format!("{x:.1}")
}

/// A number of the plan, as it was written.
fn plain(x: f64) -> String {
    format!("{x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing;
    use wire::rollouts::{GateSpec, Reach, StageSpec};

    fn gate() -> MetricGate {
        MetricGate::new("cpu.load".into(), Worse::Higher)
    }

    fn line(from: i32, devices: i32) -> Vec<f64> {
        (0..devices).map(|n| f64::from(from + n) / 10.0).collect()
    }

    fn groups(updated: Vec<f64>, control: Vec<f64>) -> Groups {
        Groups { updated, control, sampled: false }
    }

    const LOOK: Look = Look { number: 4, from: Timestamp(0) };

    fn stage() -> Stage {
        let spec =
            StageSpec { soak_s: 4000, gate: GateSpec { metrics: vec![gate()], ..GateSpec::USUAL }, ..testing::stage(Reach::Count(20)) };
        Stage { soak_until: Some(Timestamp(5_000_000)), ..Stage::pending(spec) }
    }

    #[test]
    fn it_says_why_in_words_and_numbers() {
        let slower = MetricGate { worse: Worse::Lower, min_shift: Some(0.5), ..gate() };
        let said: Vec<String> = [
            judge(&gate(), &groups(line(30, 20), line(0, 60)), LOOK, Timestamp(1)),
            judge(&gate(), &groups(line(0, 20), line(0, 25)), LOOK, Timestamp(1)),
            judge(&gate(), &groups(line(30, 9), line(0, 60)), LOOK, Timestamp(1)),
            judge(&slower, &groups(line(0, 20), line(0, 60)), LOOK, Timestamp(1)),
            judge(&MetricGate { min_shift: Some(2.5), ..slower }, &groups(line(0, 20), line(0, 60)), LOOK, Timestamp(1)),
            judge(&gate(), &groups(line(30, 20), Vec::new()), LOOK, Timestamp(1)),
        ]
        .into_iter()
        .map(|f| format!("{:?}: {}", f.call, f.text))
        .collect();
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn more_by_chance_or_by_little_is_no_reason() {
        // Surely different, and too little to matter.
        let (updated, control) = (line(100, 1500), line(0, 1500));
        let little = judge(&gate(), &groups(updated.clone(), control.clone()), LOOK, Timestamp(1));
        let compared = little.compared.unwrap();
        assert!(compared.p < 1e-6 && compared.effect_percent < 65.0, "{compared:?}");
        assert_eq!(little.call, Call::Pass);
        let strict = MetricGate { effect_percent: 55.0, ..gate() };
        assert_eq!(judge(&strict, &groups(updated, control), LOOK, Timestamp(1)).call, Call::Halt);
        // The same figures are enough at the last look and not at the first.
        let close = groups(line(8, 14), line(0, 20));
        let by = |number| judge(&MetricGate { confidence_percent: 97.0, ..gate() }, &close, Look { number, ..LOOK }, Timestamp(1));
        assert_eq!([1, 4].map(|n| by(n).call), [Call::Pass, Call::Halt], "{:?}", by(1));
        let spent: f64 = (1..=LOOKS).map(|n| level(&gate(), n)).sum();
        assert!((spent - 0.01).abs() < 1e-12);
    }

    #[test]
    fn looks_come_at_the_quarters_and_each_once() {
        let mut stage = stage();
        let number = |stage: &Stage, s: i64| due(stage, Timestamp(s * 1000)).map(|l| l.number);
        assert_eq!(
            [1000, 1999, 2000, 2999, 3000, 5000, 9000].map(|s| number(&stage, s)),
            [None, None, Some(1), Some(1), Some(2), Some(4), Some(4)]
        );
        assert_eq!(next(&stage), Some(Timestamp(2_000_000)));
        stage.looks = 2;
        assert_eq!(([3000, 4000].map(|s| number(&stage, s)), next(&stage)), ([None, Some(3)], Some(Timestamp(4_000_000))));
        stage.looks = 4;
        assert_eq!((number(&stage, 9000), next(&stage)), (None, None));
        assert_eq!(due(&self::stage(), Timestamp(9_000_000)).unwrap().from, Timestamp(1_000_000));
        let mut seen = judge(&gate(), &groups(line(30, 20), line(0, 60)), LOOK, Timestamp(1));
        seen.seen = true;
        let went_on = Stage { findings: vec![seen], ..self::stage() };
        assert_eq!((number(&went_on, 9000), next(&went_on)), (None, None), "a person went on in spite of it");
    }

    #[test]
    fn too_few_are_left_to_a_person_or_not() {
        let few = |gate: &MetricGate| {
            let mut stage = stage();
            stage.spec.gate.metrics = vec![gate.clone()];
            let look = due(&stage, Timestamp(5_000_000)).unwrap();
            stage.findings = vec![judge(gate, &Groups::default(), look, Timestamp(5_000_000))];
            asks(&stage)
        };
        assert_eq!(
            few(&gate()).unwrap(),
            "cpu.load: not enough to compare: 0 updated and 0 not updated devices sent it, 10 each are needed"
        );
        assert_eq!(few(&MetricGate { too_few: TooFew::Pass, ..gate() }), None);
    }

    #[test]
    fn what_is_too_much_is_forgotten_but_for_what_was_seen() {
        let mut all = Vec::new();
        let mut first = judge(&gate(), &Groups::default(), LOOK, Timestamp(0));
        first.seen = true;
        for n in 0..200 {
            let new = if n == 0 { first.clone() } else { judge(&gate(), &Groups::default(), LOOK, Timestamp(n)) };
            keep(&mut all, &[new]);
        }
        assert_eq!((all.len(), all[0].at, all[KEPT - 1].at), (KEPT, Timestamp(0), Timestamp(199)));
    }
}
