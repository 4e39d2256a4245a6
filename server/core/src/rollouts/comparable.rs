//! Pure: what is wrong with the metrics of a plan, and which of them could never be judged.

use super::{
    evidence::{LOOKS, MOST, level},
    ranks,
    validate::MAX_SOAK_S,
};
use wire::{
    device::MAX_METRIC_NAME,
    rollouts::{GateSpec, Problem, StageSpec},
};

/// The shortest watch with looks, in seconds.
pub const LEAST_SOAK_S: u32 = 600;
/// Most metrics of a gate.
pub const MOST_METRICS: usize = 8;

/// The problems of a stage's metrics, by the fields below `metrics`; `last` for the last stage.
pub fn problems(stage: &StageSpec, last: bool) -> Vec<Problem> {
    let metrics = &stage.gate.metrics;
    let mut found = Vec::new();
    let mut unless = |ok: bool, field: String, message: &str| {
        if !ok {
            found.push(Problem { field, message: message.to_owned() });
        }
    };
    let all = String::new;
    unless(metrics.len() <= MOST_METRICS, all(), "Compare at most 8 metrics in a stage.");
    if metrics.is_empty() {
        return found;
    }
    unless(!last, all(), "The last stage leaves nobody to compare with, so it could never be judged: compare metrics in an earlier stage.");
    unless(
        (LEAST_SOAK_S..=MAX_SOAK_S).contains(&stage.soak_s),
        all(),
        "Metrics are compared while the stage is watched: watch it for 10 minutes at least, or compare none.",
    );
    for (i, gate) in metrics.iter().enumerate() {
        let at = |field: &str| format!("{i}.{field}");
        unless(named(&gate.metric), at("metric"), "A metric's name is 1 to 64 letters, digits, '_', '.', '-', '/' or ':'.");
        let again = metrics[..i].iter().any(|before| before.metric == gate.metric && before.worse == gate.worse);
        unless(!again, at("metric"), "Name each metric once for each direction.");
        let decimals = |x: f64| x.is_finite() && ((x * 1e4).round() / 1e4).to_bits() == x.to_bits();
        let effect = gate.effect_percent;
        unless((50.0..=99.0).contains(&effect) && decimals(effect), at("effect_percent"), "Choose 50 to 99 %, with at most four decimals.");
        let shift = gate.min_shift.is_none_or(|s| s > 0.0 && s <= 1e9 && decimals(s));
        unless(shift, at("min_shift"), "Choose a shift over 0, with at most four decimals, or none.");
        let sure = (80.0..=99.99).contains(&gate.confidence_percent) && decimals(gate.confidence_percent);
        unless(sure, at("confidence_percent"), "Choose 80 to 99.99 %, with at most four decimals.");
        let devices = (4..=u32::try_from(MOST).unwrap_or(u32::MAX)).contains(&gate.min_devices);
        unless(devices, at("min_devices"), "Compare at least 4 and at most 2,000 devices of each group.");
        unless(
            !devices || !sure || ranks::least_p(gate.min_devices, gate.min_devices) <= level(gate, LOOKS),
            at("min_devices"),
            "So few devices could never show a difference that surely: ask for more devices, or for less confidence.",
        );
    }
    found
}

/// The problems that only the fleet shows: so many devices are in the stage, and so many come after it.
pub fn problems_of_draw(gate: &GateSpec, devices: i64, after: i64) -> Vec<Problem> {
    let mut found = Vec::new();
    for (i, gate) in gate.metrics.iter().enumerate() {
        let needs = i64::from(gate.min_devices);
        let short = if devices < needs {
            format!("The stage has {devices} devices")
        } else if after < needs {
            format!("{after} devices come after the stage")
        } else {
            continue;
        };
        let message = format!("{short}, and {} is compared from {needs} of each group on: it could never be judged.", gate.metric);
        found.push(Problem { field: format!("{i}.min_devices"), message });
    }
    found
}

fn named(metric: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b':');
    (1..=MAX_METRIC_NAME).contains(&metric.len()) && metric.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing;
    use wire::rollouts::{MetricGate, Reach, Worse};

    fn gate() -> MetricGate {
        MetricGate::new("cpu.load".into(), Worse::Higher)
    }

    #[test]
    fn gates_that_can_never_be_judged_are_told() {
        let spec = |metric: MetricGate, soak_s| StageSpec {
            gate: GateSpec { metrics: vec![metric], ..GateSpec::USUAL },
            soak_s,
            ..testing::stage(Reach::Count(20))
        };
        let fields = |stage: &StageSpec, last| problems(stage, last).into_iter().map(|p| p.field).collect::<Vec<_>>();
        assert_eq!(fields(&spec(gate(), 600), false), [""; 0]);
        assert_eq!(fields(&spec(gate(), 600), true), [""]);
        assert_eq!(fields(&spec(gate(), 599), false), [""]);
        assert_eq!(fields(&testing::stage(Reach::Percent(100.0)), true), [""; 0]);
        for (wrong, field) in [
            (MetricGate { metric: "a b".into(), ..gate() }, "0.metric"),
            (MetricGate { effect_percent: 49.9, ..gate() }, "0.effect_percent"),
            (MetricGate { effect_percent: 100.0 / 1.5, ..gate() }, "0.effect_percent"),
            (MetricGate { min_shift: Some(0.0), ..gate() }, "0.min_shift"),
            (MetricGate { confidence_percent: f64::NAN, ..gate() }, "0.confidence_percent"),
            (MetricGate { min_devices: 3, ..gate() }, "0.min_devices"),
            // 252 divisions: 1 in 252 is more than half a percent of 99.9.
            (MetricGate { min_devices: 5, confidence_percent: 99.9, ..gate() }, "0.min_devices"),
        ] {
            assert_eq!(fields(&spec(wrong, 600), false), [field]);
        }
        let mut twice = spec(gate(), 600);
        twice.gate.metrics.push(gate());
        assert_eq!(fields(&twice, false), ["1.metric"]);
        twice.gate.metrics[1].worse = Worse::Lower;
        assert_eq!(fields(&twice, false), [""; 0]);
        let drawn =
            |devices, after| problems_of_draw(&spec(gate(), 600).gate, devices, after).into_iter().map(|p| p.message).collect::<Vec<_>>();
        assert_eq!(drawn(10, 10), [""; 0]);
        assert_eq!(drawn(9, 10), ["The stage has 9 devices, and cpu.load is compared from 10 of each group on: it could never be judged."]);
        assert_eq!(
            drawn(10, 9),
            ["9 devices come after the stage, and cpu.load is compared from 10 of each group on: it could never be judged."]
        );
    }
}
