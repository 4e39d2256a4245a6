//! Plans that are fine, and each mistake at its field.

use super::*;
use crate::rollouts::testing::{spec, stage};
use proptest::prelude::*;
use wire::rollouts::{Budget, MetricGate, Retry, StepLimits, Worse};

fn fields(spec: &RolloutSpec) -> Vec<String> {
    problems(spec, PUBLISHED, Timestamp(0)).into_iter().map(|p| p.field).collect()
}

const PUBLISHED: Option<Chosen> = Some(Chosen { state: ReleaseState::Published, expires: None });

fn nights() -> Window {
    use wire::rollouts::Weekday;
    Window { days: Weekday::ALL.to_vec(), from: "22:00".parse().unwrap(), until: "02:00".parse().unwrap(), zone: "Europe/Berlin".into() }
}

#[test]
fn a_window_that_opens_has_no_problems_and_an_unknown_zone_is_told_its_nearest() {
    let of = |window: Window| {
        let plan =
            RolloutSpec { window: Some(window), urgency: Urgency::ForcedAfter(Timestamp(1)), ..spec(vec![stage(Reach::Percent(100.0))]) };
        problems(&plan, PUBLISHED, Timestamp(0))
    };
    assert_eq!(of(nights()), []);
    let wrong = of(Window { zone: "Berlin".into(), ..nights() });
    assert_eq!(wrong[0].message, "There is no such time zone. The nearest there is: Europe/Berlin.");
}

#[test]
fn a_manifest_that_has_expired_or_will_have_by_the_start_is_refused() {
    let until = |at: i64| Some(Chosen { state: ReleaseState::Published, expires: Some(Timestamp(at)) });
    let plan = spec(vec![stage(Reach::Percent(100.0))]);
    let later = RolloutSpec { start_at: Some(Timestamp(60_000)), ..plan.clone() };
    let told = |spec: &RolloutSpec, release, now| problems(spec, release, Timestamp(now)).into_iter().map(|p| p.field).collect::<Vec<_>>();
    assert_eq!(told(&plan, until(1_000), 999), [""; 0]);
    assert_eq!(told(&plan, until(1_000), 1_000), ["release"]);
    assert_eq!(told(&later, until(1_000), 1_000), ["release"], "once is enough");
    assert_eq!(told(&later, until(60_000), 1_000), ["start_at"]);
    assert_eq!(told(&later, until(60_001), 1_000), [""; 0]);
}

#[test]
fn a_start_that_is_over_is_told_a_minute_after_it() {
    let plan = RolloutSpec { start_at: Some(Timestamp(1_000)), ..spec(vec![stage(Reach::Percent(100.0))]) };
    assert_eq!(begun(&plan, Timestamp(61_000)), None);
    let told = begun(&plan, Timestamp(61_001)).unwrap();
    assert_eq!(told.field, "start_at");
    assert!(told.message.starts_with("1 Jan 1970 00:00 UTC is over."), "{}", told.message);
    assert_eq!(begun(&RolloutSpec { start_at: None, ..plan }, Timestamp(61_001)), None);
}

#[test]
fn a_good_plan_has_no_problems() {
    let stages = vec![stage(Reach::Count(2)), stage(Reach::Percent(20.0)), stage(Reach::Percent(100.0))];
    let mut good = spec(stages);
    let limits = GateSpec { max_errors: 4, max_failed: Some(3), max_reverted: Some(0), max_timed_out: Some(2), ..GateSpec::USUAL };
    good.stages[0].gate = GateSpec { max_rejected: Some(1), max_dark: Some(0), min_sample: 2, ..limits };
    // Without a cap of all errors a limit may be as high as one likes.
    good.stages[1].gate = GateSpec { max_failed: Some(u32::MAX), max_rejected: Some(u32::MAX), ..GateSpec::USUAL };
    good.stages[0].soak_s = 1800;
    good.stages[0].gate.metrics = vec![MetricGate::new("cpu.load".into(), Worse::Higher)];
    good.gate = Some(GateSpec { max_errors: 2, max_failed: Some(1), max_rejected: Some(0), max_dark: Some(3), ..GateSpec::USUAL });
    good.steps = StepLimits { installing_min: Some(30), ..StepLimits::default() };
    good.at_once = Some(1);
    good.bandwidth = Some(10_000);
    good.ignore_data_budget = true;
    good.budget = Some(Budget { attribute: "site".into(), at_most: Some(1), at_most_percent: None });
    assert_eq!(fields(&good), Vec::<String>::new());
    // Who matches no stage is left out, which the preview says.
    good.stages.push(stage(Reach::Matching("tag:late".into())));
    good.stages.swap(2, 3);
    assert_eq!(fields(&good), Vec::<String>::new());
    good.stages.remove(3);
    assert_eq!(fields(&good), Vec::<String>::new());
}

#[test]
fn each_stage_has_a_name_of_its_own() {
    let called = |all: &[&str]| {
        let stages = all.iter().map(|name| StageSpec { name: (*name).to_owned(), ..stage(Reach::Percent(100.0)) });
        names(&spec(stages.collect())).into_iter().map(|p| (p.field, p.message)).collect::<Vec<_>>()
    };
    assert!(called(&["Canary", "canary", "Rest"]).is_empty());
    let wrong = [
        ("stages.0.name", "Stage 1 has no name. Give it one, for example Stage 1."),
        ("stages.2.name", "Stage 3 is called as stage 2 is. Give each stage a name of its own."),
        ("stages.3.name", "Stage 4 has no name. Give it one, for example Stage 4."),
    ];
    assert_eq!(called(&[" ", "Half", "Half ", "", "Rest"]), wrong.map(|(field, message)| (field.to_owned(), message.to_owned())));
}

fn compares() -> GateSpec {
    GateSpec { metrics: vec![MetricGate::new("cpu.load".into(), Worse::Higher)], ..GateSpec::USUAL }
}

#[test]
#[expect(clippy::large_stack_arrays, reason = "a plan for each mistake")]
fn each_mistake_is_told_at_its_field() {
    let all = || stage(Reach::Percent(100.0));
    let at = |p| stage(Reach::Percent(p));
    for (mistake, field) in [
        (RolloutSpec { name: " ".into(), ..spec(vec![all()]) }, "name"),
        (RolloutSpec { name: "a\nb".into(), ..spec(vec![all()]) }, "name"),
        (RolloutSpec { timeout_min: 0, ..spec(vec![all()]) }, "timeout_min"),
        (RolloutSpec { at_once: Some(0), ..spec(vec![all()]) }, "at_once"),
        (RolloutSpec { bandwidth: Some(9_999), ..spec(vec![all()]) }, "bandwidth"),
        (spec(vec![stage(Reach::Matching(" ".into())), all()]), "stages.0.reach"),
        (spec(vec![stage(Reach::Matching("tag:(".into())), all()]), "stages.0.reach"),
        (spec(vec![StageSpec { soak_s: 1799, gate: GateSpec { max_dark: Some(1), ..GateSpec::default() }, ..all() }]), "stages.0.soak_s"),
        (RolloutSpec { window: Some(Window { days: vec![], ..nights() }), ..spec(vec![all()]) }, "window.days"),
        (RolloutSpec { window: Some(Window { until: nights().from, ..nights() }), ..spec(vec![all()]) }, "window.until"),
        (RolloutSpec { window: Some(Window { from: "24:00".parse().unwrap(), ..nights() }), ..spec(vec![all()]) }, "window.from"),
        (RolloutSpec { window: Some(Window { zone: "Berlin".into(), ..nights() }), ..spec(vec![all()]) }, "window.zone"),
        (RolloutSpec { window: Some(nights()), download_only: true, ..spec(vec![all()]) }, "download_only"),
        (RolloutSpec { urgency: Urgency::ForcedAfter(Timestamp(5)), start_at: Some(Timestamp(5)), ..spec(vec![all()]) }, "urgency"),
        (RolloutSpec { priority: 10, ..spec(vec![all()]) }, "priority"),
        (RolloutSpec { gate: Some(GateSpec { error_percent: -1.0, ..GateSpec::USUAL }), ..spec(vec![all()]) }, "gate.error_percent"),
        (RolloutSpec { gate: Some(GateSpec { max_dark: Some(0), ..GateSpec::USUAL }), ..spec(vec![all()]) }, "gate.max_dark"),
        (
            RolloutSpec { gate: Some(GateSpec { max_errors: 2, max_failed: Some(2), ..GateSpec::USUAL }), ..spec(vec![all()]) },
            "gate.max_failed",
        ),
        (
            spec(vec![StageSpec { gate: GateSpec { max_errors: 1, max_rejected: Some(9), ..GateSpec::default() }, ..all() }]),
            "stages.0.gate.max_rejected",
        ),
        (RolloutSpec { gate: Some(compares()), ..spec(vec![all()]) }, "gate.metrics"),
        (RolloutSpec { steps: StepLimits { rebooting_min: Some(0), ..StepLimits::default() }, ..spec(vec![all()]) }, "steps.rebooting_min"),
        (spec(vec![StageSpec { gate: compares(), soak_s: 600, ..all() }]), "stages.0.gate.metrics"),
        (spec(vec![StageSpec { gate: compares(), ..at(10.0) }, all()]), "stages.0.gate.metrics"),
        (RolloutSpec { retry: Some(Retry { classes: vec![], times: 1, wait_min: 1 }), ..spec(vec![all()]) }, "retry.classes"),
        (RolloutSpec { selector: "type:(".into(), ..spec(vec![all()]) }, "selector"),
        (spec(vec![]), "stages"),
        (spec(vec![at(50.0), at(20.0), all()]), "stages.1.reach"),
        (spec(vec![at(f64::NAN), all()]), "stages.0.reach"),
        (spec(vec![at(120.0)]), "stages.0.reach"),
        (spec(vec![at(0.0), all()]), "stages.0.reach"),
        (spec(vec![at(50.0)]), "stages.0.reach"),
        (spec(vec![all(), all()]), "stages.0.reach"),
        (spec(vec![at(100.0 / 3.0), all()]), "stages.0.reach"),
        (spec(vec![stage(Reach::Count(0)), all()]), "stages.0.reach"),
        (spec(vec![stage(Reach::Count(5))]), "stages.0.reach"),
        (spec(vec![StageSpec { soak_s: MAX_SOAK_S + 1, ..all() }]), "stages.0.soak_s"),
        (
            spec(vec![StageSpec { gate: GateSpec { error_percent: f64::INFINITY, ..GateSpec::default() }, ..all() }]),
            "stages.0.gate.error_percent",
        ),
        (
            spec(vec![StageSpec { gate: GateSpec { success_percent: -1.0, ..GateSpec::default() }, ..all() }]),
            "stages.0.gate.success_percent",
        ),
        (
            spec(vec![
                stage(Reach::Count(40)),
                StageSpec { gate: GateSpec { min_sample: 50, ..GateSpec::default() }, ..stage(Reach::Count(60)) },
                all(),
            ]),
            "stages.1.gate.min_sample",
        ),
        (spec(vec![StageSpec { gate: GateSpec { min_sample: 0, ..GateSpec::default() }, ..all() }]), "stages.0.gate.min_sample"),
    ] {
        assert!(fields(&mistake).iter().any(|f| f == field), "{field}: {:?}", fields(&mistake));
    }
    for state in [None, Some(ReleaseState::Draft), Some(ReleaseState::Deprecated), Some(ReleaseState::Recalled)] {
        let chosen = state.map(|state| Chosen { state, expires: None });
        assert_eq!(problems(&spec(vec![all()]), chosen, Timestamp(0))[0].field, "release");
    }
    assert_eq!(problems_of_draw(&spec(vec![at(1.0), all()]), &[0, 5], &[0, 0], true)[0].field, "stages.0.reach");
    assert_eq!(problems_of_draw(&spec(vec![at(1.0), all()]), &[0, 0], &[0, 0], true)[0].field, "selector");
    let nobody = |matched| problems_of_draw(&spec(vec![at(1.0), all()]), &[0, 0], &[0, 0], matched)[0].message.clone();
    assert!(nobody(true).starts_with("No device would get it.") && nobody(false).starts_with("The selector matches no device."));
    let compared = spec(vec![StageSpec { gate: compares(), soak_s: 600, ..at(1.0) }, all()]);
    assert_eq!(problems_of_draw(&compared, &[9, 90], &[0, 0], true)[0].field, "stages.0.gate.metrics.0.min_devices");
    let greedy = spec(vec![stage(Reach::Count(2)), stage(Reach::Count(9)), all()]);
    let blamed = problems_of_draw(&greedy, &[2, 3, 0], &[0, 0, 0], true);
    assert_eq!((blamed.len(), blamed[0].field.as_str()), (1, "stages.1.reach"), "the number is too large, not the stage after it empty");
    // A sample that nobody can reach is said, not made smaller; what is usual holds for stages of any size.
    let of = |min_sample| StageSpec { gate: GateSpec { min_sample, ..GateSpec::default() }, ..at(1.0) };
    let unjudged = problems_of_draw(&spec(vec![of(5), all()]), &[4, 96], &[0, 0], true);
    assert_eq!((unjudged.len(), unjudged[0].field.as_str()), (1, "stages.0.gate.min_sample"));
    assert!(unjudged[0].message.contains("at most 4 devices"), "{}", unjudged[0].message);
    assert_eq!(problems_of_draw(&spec(vec![of(4), all()]), &[4, 96], &[0, 0], true), []);
    assert_eq!(problems_of_draw(&spec(vec![of(3), all()]), &[1, 96], &[0, 0], true), []);
    let whole = RolloutSpec { gate: Some(GateSpec { min_sample: 100_000, ..GateSpec::USUAL }), ..spec(vec![at(1.0), all()]) };
    assert_eq!(problems_of_draw(&whole, &[1, 2], &[0, 0], true)[0].field, "gate.min_sample");
    let twice = spec(vec![stage(Reach::Matching("tag:lab".into())), stage(Reach::Matching("gw".into())), all()]);
    let told = problems_of_draw(&twice, &[2, 3, 4], &[0, 2, 0], true);
    assert_eq!((told.len(), told[0].field.as_str()), (1, "stages.1.reach"));
    assert!(told[0].message.starts_with("2 devices that match are in an earlier stage"), "{}", told[0].message);
}

#[test]
fn what_no_cut_could_mend_is_told_beside_a_stage_that_cannot_be_cut() {
    let compared = MetricGate { min_devices: 20, ..MetricGate::new("cpu.load".into(), Worse::Higher) };
    let gate = GateSpec { min_sample: 500, metrics: vec![compared], ..GateSpec::default() };
    let all = || stage(Reach::Percent(100.0));
    let told = |spec: &RolloutSpec, all| problems_of_all(spec, all, true).into_iter().map(|p| p.field).collect::<Vec<_>>();
    let whole = GateSpec { min_sample: 13, ..GateSpec::USUAL };
    let plan = RolloutSpec { gate: Some(whole), ..spec(vec![StageSpec { gate, ..stage(Reach::Percent(250.0)) }, all()]) };
    assert_eq!(told(&plan, 12), ["gate.min_sample", "stages.0.gate.min_sample", "stages.0.gate.metrics.0.min_devices"]);
    assert_eq!((told(&plan, 500), told(&plan, 0)), (Vec::new(), vec!["selector".to_owned()]));
    let greedy = spec(vec![StageSpec { reach: Reach::Count(12), ..plan.stages[0].clone() }, all()]);
    let fields: Vec<String> = problems_of_draw(&greedy, &[12, 0], &[0, 0], true).into_iter().map(|p| p.field).collect();
    assert_eq!(fields, ["stages.0.reach", "stages.0.gate.min_sample", "stages.0.gate.metrics.0.min_devices"]);
}

proptest! {
    #[test]
    fn a_plan_without_problems_covers_everybody(percents in prop::collection::vec(-10i32..130, 0..6), devices in 1usize..200) {
        let spec = spec(percents.into_iter().map(|p| stage(Reach::Percent(f64::from(p)))).collect());
        if problems(&spec, PUBLISHED, Timestamp(0)).is_empty() {
            let places: Vec<i64> = (0..devices).map(|n| i64::try_from(n).unwrap()).collect();
            let cuts = crate::rollouts::draw::cuts(&places, &spec.stages);
            prop_assert_eq!(usize::try_from(cuts.last().unwrap().reach).unwrap(), devices);
        }
    }
}
