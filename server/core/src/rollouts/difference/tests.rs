//! Every field of a plan has its line, and what is not the same never reads the same.

use super::*;
use crate::rollouts::testing::{self, spec};
use wire::rollouts::{Retry, RetryClass, StepLimits};

fn stage(name: &str, reach: Reach) -> StageSpec {
    StageSpec { name: name.into(), ..testing::stage(reach) }
}

fn plan(spec: &RolloutSpec) -> Plan<'_> {
    Plan { spec, release: "gateway 2.0.0", back: spec.way_back.as_ref().map(|_| "gateway 1.0.0") }
}

fn lines(before: &RolloutSpec, after: &RolloutSpec) -> Vec<String> {
    let said = |c: FieldChange| {
        format!("{} | {}: {} → {}", c.field, c.what, c.before.unwrap_or_else(|| "-".into()), c.after.unwrap_or_else(|| "-".into()))
    };
    between(plan(before), plan(after)).into_iter().map(said).collect()
}

#[test]
fn the_same_plan_has_no_lines_and_every_field_has_one() {
    let stages = vec![stage("Canary", Reach::Percent(10.0)), stage("All", Reach::Percent(100.0))];
    let old = RolloutSpec { release: "rel_00000000000000000000000000000001".parse().unwrap(), ..spec(stages) };
    assert_eq!(lines(&old, &old), [""; 0]);
    let gate = GateSpec {
        success_percent: 90.0,
        error_percent: 2.5,
        min_sample: 1,
        max_errors: 4,
        max_failed: Some(3),
        max_reverted: Some(0),
        max_timed_out: Some(2),
        max_rejected: Some(5),
        max_dark: Some(1),
        action: GateAction::RollBack,
        metrics: vec![MetricGate { min_shift: Some(0.5), ..MetricGate::new("cpu.load".into(), Worse::Higher) }],
    };
    let canary = StageSpec { name: "First".into(), reach: Reach::Count(1), soak_s: 600, confirm: true, gate };
    let new = RolloutSpec {
        name: "summer".into(),
        release: "rel_00000000000000000000000000000002".parse().unwrap(),
        selector: "tag:eu".into(),
        stages: vec![canary, stage("All", Reach::Percent(100.0))],
        start_at: Some(Timestamp(0)),
        timeout_min: 90,
        reason: "because".into(),
        at_once: Some(20),
        budget: Some(Budget { attribute: "site".into(), at_most: None, at_most_percent: Some(12.5) }),
        confirm_at_device: true,
        bandwidth: Some(250_000),
        ignore_data_budget: true,
        window: Some(Window {
            days: vec![wire::rollouts::Weekday::Sat, wire::rollouts::Weekday::Sun],
            from: "22:00".parse().unwrap(),
            until: "02:00".parse().unwrap(),
            zone: "Europe/Berlin".into(),
        }),
        urgency: Urgency::ForcedAfter(Timestamp(0)),
        download_only: true,
        during_freeze: true,
        way_back: Some("rel_00000000000000000000000000000003".parse().unwrap()),
        retry: Some(Retry { classes: vec![RetryClass::Failed, RetryClass::TimedOut], times: 2, wait_min: 30 }),
        priority: 5,
        order: Some(Order::Spread("site".into())),
        rate: Some(Rate { per_minute: 10, growth: Some(wire::rollouts::Growth { factor: 1.5, successes: 20, at_most: 100 }) }),
        gate: Some(GateSpec {
            min_sample: 50,
            max_errors: 20,
            max_failed: Some(6),
            max_rejected: Some(0),
            action: GateAction::Pause,
            ..GateSpec::USUAL
        }),
        steps: StepLimits { installing_min: Some(30), ..StepLimits::default() },
    };
    insta::assert_snapshot!("every_field_of_a_plan", lines(&old, &new).join("\n"));
}

#[test]
fn what_is_not_the_same_never_reads_the_same() {
    let plan = |soak_s, timeout_min, start: i64| RolloutSpec {
        start_at: Some(Timestamp(start)),
        timeout_min,
        ..spec(vec![StageSpec { soak_s, ..stage("All", Reach::Percent(100.0)) }])
    };
    let old = plan(90, 1440, 60_000);
    for new in [plan(119, 1440, 60_000), plan(90, 1499, 60_000), plan(90, 1440, 60_001), plan(90, 1440, 119_000)] {
        assert_eq!(lines(&old, &new).len(), 1, "{new:?}");
    }
    assert_eq!(duration(90_061_000), "1 d 1 h 1 min 1 s");
}

#[test]
fn a_way_back_is_named_and_by_its_id_only_where_the_name_does_not_tell() {
    let to =
        |n: u8| RolloutSpec { way_back: Some(format!("rel_{n:032}").parse().unwrap()), ..spec(vec![stage("All", Reach::Percent(100.0))]) };
    let none = RolloutSpec { way_back: None, ..to(1) };
    assert_eq!(lines(&none, &to(1)), ["way_back | Way back: none → gateway 1.0.0"]);
    let ids = "gateway 1.0.0 (rel_00000000000000000000000000000001) → gateway 1.0.0 (rel_00000000000000000000000000000002)";
    assert_eq!(lines(&to(1), &to(2)), [format!("way_back | Way back: {ids}")]);
    let gone = to(3);
    let told = between(plan(&to(1)), Plan { back: None, ..plan(&gone) });
    assert_eq!(told[0].after.as_deref(), Some("release rel_00000000000000000000000000000003"), "there is no such release any more");
}

#[test]
fn stages_come_and_go_by_their_names() {
    let (canary, all) = (stage("Canary", Reach::Percent(10.0)), stage("All", Reach::Percent(100.0)));
    let half = StageSpec { soak_s: 60, ..stage("Half", Reach::Percent(50.0)) };
    let short = spec(vec![canary.clone(), all.clone()]);
    let long = spec(vec![canary, half, all]);
    assert_eq!(
        lines(&short, &long),
        [
            "stages.1 | Stage 2 Half: - → up to 50 %, watched for 1 min, then goes on; passes at 95 % success, halts above 5 % errors from 3 finished on",
            "stages.2 | Stage 3 All, place: stage 2 → stage 3"
        ]
    );
    assert_eq!(lines(&long, &short).len(), 2);
    assert!(lines(&long, &short)[0].starts_with("stages.1 | Stage 2 Half: up to 50 %") && lines(&long, &short)[0].ends_with("→ -"));
}
