//! A plan and its counts in sentences, word by word.

use super::*;
use wire::rollouts::{Budget, Excluded, PreviewStage};

#[test]
fn counts_read_like_speech() {
    let c = Counts { total: 3000, succeeded: 618, failed: 6, waiting: 2376, ..Counts::default() };
    assert_eq!(numbers(&c), "618 of 3,000 done · 6 failed");
    assert_eq!(reach(&Reach::Percent(2.5)), "up to 2.5 %");
    assert_eq!(reach(&Reach::Count(1)), "up to 1 device");
}

#[test]
fn a_span_says_how_sure_it_is() {
    let whole = Span { usual_ms: 720_000, slow_ms: 2_400_000 };
    assert_eq!(span(whole), "12 min, 40 min when it is slow");
    assert_eq!(span(Span { slow_ms: 720_000, ..whole }), "12 min");
    let expected = Expected { updates: 1, whole, stages: vec![whole], until: None, held_ms: 0, decides: None };
    assert!(rests_on(&expected).starts_with("As the last 1 update of this type went"));
}

#[test]
fn bytes_and_budgets_read_like_speech() {
    let held = |held_ms| {
        let whole = Span { usual_ms: 900_000, slow_ms: 900_000 };
        super::held(&Expected { updates: 1, whole, stages: vec![whole], until: None, held_ms, decides: None })
    };
    assert_eq!((held(0), held(600_000).as_deref()), (None, Some("10 min or more of it by limits of bandwidth")));
    let free = Egress { peak: None, together: 20, paced: None, least_ms: 0 };
    assert_eq!(egress(&free), ["As fast as the lines are, to up to 20 devices side by side: no limit of bandwidth holds all of it"]);
    assert_eq!(
        egress(&Egress { peak: Some(1 << 21), together: 1, paced: Some(2048), least_ms: 600_000 }),
        [
            "At most 2.0 MiB a second from each server, to one device at a time",
            "On average at most 2.0 KiB a second are asked for, by the plan's rate",
            "The downloads alone take 10 min or more by the limits",
        ]
    );
    let late = Excluded { reason: "has used up its data budget of 2 MB in 30 days".into(), devices: 1 };
    let until = Some(wire::Timestamp(1_795_341_432_000));
    let preview = Preview { put_off: vec![late], put_off_until: until, reach_budget: 2, ..Preview::default() };
    assert_eq!(
        waited_for(&preview).as_deref(),
        Some("Without 1 device: their data budgets put them off until 22 Nov 2026 09:57 UTC at the latest")
    );
    assert_eq!(waited_for(&Preview::default()), None);
    let budgets = by_budget(&preview);
    assert_eq!(
        budgets,
        [
            "1 device gets it later: has used up its data budget of 2 MB in 30 days",
            "The last of those that get it later is below its budget from 22 Nov 2026 09:57 UTC on",
            "2 devices are at the data budget with it, and get nothing after it for a while",
        ]
    );
    assert_eq!(by_budget(&Preview::default()), [""; 0]);
}

#[test]
fn who_is_silent_and_who_runs_newer_is_said() {
    let release = "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap();
    let newer_version = Some("4.13.0".to_owned());
    let fit =
        wire::rollouts::ReleaseFit { release, meant: 40, other_hardware: 0, newer: 2, newer_version, on_it: 0, too_old: 0, unsigned: 0 };
    let p = Preview { silent: 1, fit: Some(fit), ..Preview::default() };
    assert_eq!(
        beside(&p),
        [
            ("Silent", "1 device is not connected and was not heard of in the last 7 days: it gets it when it is back".to_owned()),
            ("Run newer", "2 of 40 devices run something newer, most of them 4.13.0".to_owned())
        ]
    );
    assert!(beside(&Preview::default()).is_empty());
}

#[test]
fn a_plan_reads_as_a_sentence() {
    let stage = StageSpec { name: "Canary".into(), reach: Reach::Percent(10.0), soak_s: 600, confirm: true, gate: GateSpec::default() };
    assert_eq!(then(&stage, false), "watch for 10 min, then wait for a person");
    assert_eq!(gate(&stage.gate), "passes at 95 % success; halts above 5 % errors once 3 devices have finished");
    let strict = GateSpec { max_reverted: Some(0), max_dark: Some(1), ..stage.gate.clone() };
    assert_eq!(
        gate(&strict),
        "passes at 95 % success; halts above 5 % errors once 3 devices have finished; halts when more than 0 devices went back; halts when more than 1 device went dark"
    );
    let rest = StageSpec { name: "Rest".into(), reach: Reach::Percent(100.0), ..stage.clone() };
    let spec = RolloutSpec::new("x".into(), "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap(), vec![stage, rest]);
    let canary = |values| PreviewStage { name: "Canary".into(), devices: 300, sample: Vec::new(), bytes: 0, values };
    let by_lot = Preview { total: 3000, stages: vec![canary(None)], ..Preview::default() };
    assert_eq!(
        sentence(&spec, "4.12.0", Some(&by_lot)),
        "Send 4.12.0 to 3,000 devices in 2 stages. Canary goes first with 300 devices. It starts as soon as it is approved."
    );
    let spread = |over: &str, values| Preview { spread_over: Some(over.into()), stages: vec![canary(Some(values))], ..by_lot.clone() };
    for (over, values, said) in
        [("site", 12, " in 12 sites."), ("customer", 1, " of 1 customer."), ("line", 3, " with 3 values of line."), ("site", 0, ".")]
    {
        let text = sentence(&spec, "4.12.0", Some(&spread(over, values)));
        assert!(text.contains(&format!("goes first with 300 devices{said} It starts")), "{text}");
    }
    let digest: Digest = "ab".repeat(32).parse().unwrap();
    let dry_run = Preview { total: 3000, bytes: 3 << 30, ..Preview::default() };
    let says = approval(&spec, "4.12.0", &digest, Some(&dry_run));
    assert!(says.contains("firmware 4.12.0 for 3,000 devices in 2 stages, 3.0 GiB to download in all, digest abab"), "{says}");
    assert!(says.ends_with("It starts at once. Any edit voids your approval."), "{says}");
    assert_eq!((limits(&spec), again(&spec)), (vec![], vec![]));
    let retry = wire::rollouts::Retry { classes: vec![RetryClass::Failed, RetryClass::TimedOut], times: 1, wait_min: 30 };
    assert_eq!(
        again(&RolloutSpec { retry: Some(retry), priority: 4, ..spec.clone() }),
        [
            (
                "Tried again",
                "up to 1 time by devices that could not install it or fell silent; first after 30 min, then twice as long each time"
                    .to_owned()
            ),
            ("Priority", "4".to_owned())
        ]
    );
    let each = GateSpec { max_failed: Some(2), max_rejected: Some(0), ..GateSpec::default() };
    assert!(
        gate(&each).ends_with("; halts when more than 2 devices could not install; halts when more than 0 devices refused"),
        "{}",
        gate(&each)
    );
    assert!(gate(&GateSpec { action: GateAction::RollBack, ..strict }).ends_with("; when it says no, it rolls back"));
    let compared = GateSpec { metrics: vec![MetricGate::new("cpu.load".into(), Worse::Higher)], ..GateSpec::default() };
    assert!(gate(&compared).ends_with(
        "; compares cpu.load while it is watched: says no when an updated device has a higher one with 65 % probability or more, 99 % sure, from 10 devices of each group on, and waits for a person when there are fewer"
    ));
    let steps = wire::rollouts::StepLimits { installing_min: Some(30), ..Default::default() };
    let terms = again(&RolloutSpec { gate: Some(GateSpec::default()), steps, ..spec.clone() });
    assert_eq!((terms[0].0, terms[1].1.as_str()), ("Gate of the whole", "installing within 30 min"));
    let limited = RolloutSpec {
        at_once: Some(20),
        budget: Some(Budget { attribute: "site".into(), at_most: Some(1), at_most_percent: None }),
        ..spec.clone()
    };
    assert_eq!(
        limits(&limited),
        [("At once", "at most 20 devices".to_owned()), ("Budget", "at most 1 device with the same site at once".to_owned())]
    );
    assert_eq!(starts(&spec), "as soon as it is approved");
    let later = RolloutSpec { start_at: Some(wire::Timestamp(1_795_341_432_000)), ..spec };
    assert_eq!(starts(&later), "not before 22 Nov 2026 09:57 UTC");
}
