//! Any edit makes another digest, and what says nothing new keeps its old one.

use super::*;
use crate::{
    entropy::{Entropy, SeededEntropy},
    rollouts::testing::{rollout_id, spec, stage},
};
use proptest::prelude::*;
use wire::{
    Timestamp,
    rollouts::{Budget, RetryClass, StageSpec, TimeOfDay, TooFew, Weekday, Worse},
};

/// Often none, so that plans without any limit come up as well.
fn any_limit() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![4 => Just(None), 1 => (0..3u32).prop_map(Some)]
}

/// Often none.
fn any_metrics() -> impl Strategy<Value = Vec<MetricGate>> {
    let tenths = || (0..=100_000u32).prop_map(|n| f64::from(n) / 1e4);
    let more = (prop::option::of(tenths()), tenths(), prop::sample::select(TooFew::ALL));
    let one = (".{0,2}", prop::sample::select(Worse::ALL), 0..3u32, tenths(), more).prop_map(
        |(metric, worse, min_devices, effect_percent, (min_shift, confidence_percent, too_few))| MetricGate {
            metric,
            worse,
            min_devices,
            effect_percent,
            min_shift,
            confidence_percent,
            too_few,
        },
    );
    prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(one, 1..3)]
}

fn any_gate() -> impl Strategy<Value = GateSpec> {
    let percent = || (0..=1_000_000u32).prop_map(|n| f64::from(n) / 1e4);
    let limits = (any_limit(), any_limit(), any_limit(), any_limit(), any_limit());
    let action = prop_oneof![4 => Just(GateAction::Halt), 1 => prop::sample::select(GateAction::ALL)];
    (percent(), percent(), any::<u32>(), any::<u32>(), limits, action, any_metrics()).prop_map(
        |(s, e, m, x, (f, r, t, j, d), action, metrics)| GateSpec {
            success_percent: s,
            error_percent: e,
            min_sample: m,
            max_errors: x,
            max_failed: f,
            max_reverted: r,
            max_timed_out: t,
            max_rejected: j,
            max_dark: d,
            action,
            metrics,
        },
    )
}

fn any_stage() -> impl Strategy<Value = StageSpec> {
    // Percentages have at most four decimals (`validate`): those are the same after JSON.
    let percent = || (0..=1_000_000u32).prop_map(|n| f64::from(n) / 1e4);
    let reach = prop_oneof![
        3 => percent().prop_map(Reach::Percent),
        3 => any::<u32>().prop_map(Reach::Count),
        1 => ".{0,3}".prop_map(Reach::Matching)
    ];
    (".{0,8}", reach, any::<u32>(), any::<bool>(), any_gate()).prop_map(|(name, reach, soak_s, confirm, gate)| StageSpec {
        name,
        reach,
        soak_s,
        confirm,
        gate,
    })
}

/// Often nothing.
fn any_timing() -> impl Strategy<Value = Timing> {
    let days = prop::collection::vec(prop::sample::select(Weekday::ALL), 0..3);
    let window = (days, 0..3_u16, 0..3_u16, ".{0,2}").prop_map(|(days, from, until, zone)| {
        let time = |n| TimeOfDay::of_minutes(n).unwrap();
        Window { days, from: time(from), until: time(until), zone }
    });
    let urgency = prop_oneof![Just(Urgency::Soft), Just(Urgency::Forced), any::<i64>().prop_map(|at| Urgency::ForcedAfter(Timestamp(at)))];
    let said = (prop::option::of(window), urgency, any::<bool>(), any::<bool>());
    let said = said.prop_map(|(window, urgency, download_only, during_freeze)| Timing { window, urgency, download_only, during_freeze });
    prop_oneof![2 => Just(Timing::default()), 1 => said]
}

fn any_spec() -> impl Strategy<Value = RolloutSpec> {
    let stages = prop::collection::vec(any_stage(), 0..4);
    let budget = prop_oneof![4 => Just(None), 1 => (".{0,4}", prop::option::of(0..3u32), prop::option::of((0..30u32).prop_map(f64::from)))
            .prop_map(|(attribute, at_most, at_most_percent)| Some(Budget { attribute, at_most, at_most_percent }))];
    let ids = prop::collection::vec(prop::sample::select(vec!["gw-1", "gw-2"]).prop_map(|id| id.parse().unwrap()), 0..3);
    let order = prop_oneof![Just(Order::Random), ".{0,3}".prop_map(Order::Spread), ids.prop_map(Order::Listed)];
    let growth =
        ((1..4u32).prop_map(f64::from), 0..3u32, 0..3u32).prop_map(|(factor, successes, at_most)| Growth { factor, successes, at_most });
    let rate = (0..3u32, prop::option::of(growth)).prop_map(|(per_minute, growth)| Rate { per_minute, growth });
    let arranged = (prop::option::weighted(0.3, order), prop::option::weighted(0.3, rate));
    let retry = (prop::collection::vec(prop::sample::select(RetryClass::ALL), 0..3), 0..3u32, 0..3u32)
        .prop_map(|(classes, times, wait_min)| Some(Retry { classes, times, wait_min }));
    let retry = prop_oneof![4 => Just(None), 1 => retry];
    let back = prop_oneof![4 => Just(None), 1 => (0..3u32).prop_map(|n| Some(format!("rel_{n:032x}").parse().unwrap()))];
    let priority = prop_oneof![4 => Just(0), 1 => 0..10u32];
    let transfers = prop_oneof![4 => Just((None, false)), 1 => (any::<Option<u64>>(), any::<bool>())];
    let whole = prop_oneof![4 => Just(None), 1 => any_gate().prop_map(Some)];
    let steps = prop_oneof![4 => Just(StepLimits::default()), 1 => (any_limit(), any_limit(), any_limit(), any_limit()).prop_map(
        |(d, i, r, v)| StepLimits { downloading_min: d, installing_min: i, rebooting_min: r, verifying_min: v }
    )];
    let more = (budget, any::<bool>(), transfers, any_timing(), (back, retry, priority, whole, steps), arranged);
    (".{0,8}", ".{0,8}", stages, any::<Option<i64>>(), any::<u32>(), ".{0,8}", any_limit(), more).prop_map(
        |(
            name,
            selector,
            stages,
            start,
            timeout_min,
            reason,
            at_once,
            (budget, confirm_at_device, (bandwidth, ignore_data_budget), timing, (way_back, retry, priority, gate, steps), (order, rate)),
        )| RolloutSpec {
            name,
            release: "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap(),
            selector,
            stages,
            start_at: start.map(Timestamp),
            timeout_min,
            reason,
            at_once,
            budget,
            confirm_at_device,
            bandwidth,
            ignore_data_budget,
            window: timing.window,
            urgency: timing.urgency,
            download_only: timing.download_only,
            during_freeze: timing.during_freeze,
            way_back,
            retry,
            priority,
            order,
            rate,
            gate,
            steps,
        },
    )
}

fn hash(spec: &RolloutSpec) -> Digest {
    let entropy: &dyn Entropy = &SeededEntropy::new(1);
    let back = spec.way_back.as_ref().map(|_| Digest::from_bytes(&[3; 32]));
    of(&entropy.id(Timestamp(1)), &rollout_id(1), spec, &Digest::from_bytes(&[1; 32]), &[Digest::from_bytes(&[2; 32])], back.as_ref())
}

#[test]
fn a_plan_without_limits_keeps_the_digest_it_was_approved_by() {
    let stages = vec![StageSpec { name: "all".into(), soak_s: 600, confirm: true, ..stage(Reach::Percent(100.0)) }];
    let plan =
        RolloutSpec { selector: "tag:eu".into(), start_at: Some(Timestamp(1_795_341_432_000)), reason: "why".into(), ..spec(stages) };
    let org = "org_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b1".parse().unwrap();
    let id = "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b3".parse().unwrap();
    let digest = |plan: &RolloutSpec| of(&org, &id, plan, &Digest::from_bytes(&[1; 32]), &[Digest::from_bytes(&[2; 32])], None);
    // Made by an independent reckoning of the first form.
    assert_eq!(digest(&plan).as_str(), "101a20f78208c3a9aa81eda5733c384c1982e18e3ace790c999b60c208b48fe3");
    assert_ne!(digest(&RolloutSpec { at_once: Some(1), ..plan.clone() }), digest(&plan));
    assert_ne!(digest(&RolloutSpec { ignore_data_budget: true, ..plan.clone() }), digest(&plan));
    assert_ne!(digest(&RolloutSpec { during_freeze: true, ..plan.clone() }), digest(&plan));
    assert_ne!(digest(&RolloutSpec { order: Some(Order::Random), ..plan.clone() }), digest(&plan));
    assert_ne!(digest(&RolloutSpec { gate: Some(GateSpec::USUAL), ..plan.clone() }), digest(&plan));
    // The way back is bound by what was signed, not only by its id.
    let back = RolloutSpec { way_back: Some("rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b4".parse().unwrap()), ..plan };
    let signed = |manifest: u8| of(&org, &id, &back, &Digest::from_bytes(&[1; 32]), &[], Some(&Digest::from_bytes(&[manifest; 32])));
    assert_ne!(signed(3), signed(4));
}

/// A plan with all that plans could say before gates had limits for devices that could not install or refused it, as it was stored then.
const STORED: &str = concat!(
    r#"{"name":"Gateway 2.0","release":"rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2","selector":"tag:eu","stages":[{"name":"Canary","#,
    r#""reach":{"count":20},"soak_s":3600,"confirm":true,"gate":{"success_percent":90.0,"error_percent":7.5,"min_sample":5,"#,
    r#""max_errors":4,"max_reverted":0,"max_timed_out":2,"max_dark":1,"action":"roll_back","metrics":[{"metric":"cpu.load","#,
    r#""worse":"higher","min_devices":10,"effect_percent":65.0,"min_shift":0.5,"confidence_percent":99.0,"#,
    r#""too_few":"ask"}]}},{"name":"All","reach":{"percent":100.0},"soak_s":0,"confirm":false,"gate":{"success_percent":95.0,"#,
    r#""error_percent":5.0,"min_sample":3,"max_errors":0}}],"start_at":1795341432000,"timeout_min":90,"reason":"why","#,
    r#""at_once":50,"budget":{"attribute":"site","at_most_percent":12.5},"bandwidth":250000,"during_freeze":true,"#,
    r#""way_back":"rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b4","retry":{"classes":["failed","timed_out"],"times":2,"wait_min":30},"#,
    r#""priority":5,"order":{"spread":"site"},"rate":{"per_minute":10},"gate":{"success_percent":80.0,"error_percent":15.0,"#,
    r#""min_sample":50,"max_errors":20,"max_reverted":3,"action":"pause"},"steps":{"installing_min":30}}"#,
);

#[test]
fn a_stored_plan_without_limits_for_failed_and_rejected_is_read_and_keeps_its_approval() {
    let plan: RolloutSpec = serde_json::from_str(STORED).unwrap();
    assert!(plan.stages.iter().map(|s| &s.gate).chain(&plan.gate).all(|g| g.max_failed.is_none() && g.max_rejected.is_none()));
    assert_eq!(serde_json::to_string(&plan).unwrap(), STORED, "and is written as it was");
    let org = "org_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b1".parse().unwrap();
    let id = "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b3".parse().unwrap();
    let [manifest, payload, back] = [1, 2, 3].map(|n| Digest::from_bytes(&[n; 32]));
    let digest = |plan: &RolloutSpec| of(&org, &id, plan, &manifest, std::slice::from_ref(&payload), Some(&back));
    // Made by an independent reckoning of the form as it was then.
    assert_eq!(digest(&plan).as_str(), "98b551395458d8ae387dba0bcc0436cfa70b269a12b59243a798c50529ee58aa");

    let limits: [fn(&mut GateSpec) -> &mut Option<u32>; 2] = [|g| &mut g.max_failed, |g| &mut g.max_rejected];
    let mut said = vec![digest(&plan)];
    for gate in 0..3 {
        for limit in limits {
            let mut edited = plan.clone();
            let mut gates = edited.stages.iter_mut().map(|s| &mut s.gate).chain(&mut edited.gate);
            *limit(gates.nth(gate).unwrap()) = Some(0);
            said.push(digest(&edited));
        }
    }
    let distinct: std::collections::BTreeSet<&str> = said.iter().map(Digest::as_str).collect();
    assert_eq!(distinct.len(), 7, "each limit in each gate is bound by itself");
}

proptest! {
    #[test]
    fn two_plans_have_one_digest_only_when_they_are_the_same(a in any_spec(), b in any_spec()) {
        prop_assert_eq!(hash(&a) == hash(&b), a == b);
        prop_assert_eq!(hash(&a), hash(&a.clone()));
    }

    #[test]
    fn any_edit_changes_it(spec in any_spec(), what in 0..35usize) {
        let mut edited = spec.clone();
        match what {
            0 => edited.name.push('x'),
            1 => edited.selector.push('x'),
            2 => edited.reason.push('x'),
            3 => edited.timeout_min = edited.timeout_min.wrapping_add(1),
            4 => edited.start_at = Some(Timestamp(edited.start_at.map_or(0, |t| t.0.wrapping_add(1)))),
            5 => edited.stages.push(stage(Reach::Percent(100.0))),
            6 => edited.release = "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b3".parse().unwrap(),
            7 => { edited.stages.insert(0, stage(Reach::Count(1))); }
            8 => edited.at_once = Some(edited.at_once.map_or(0, |n| n + 1)),
            9 => edited.budget = Some(Budget { attribute: "site".into(), at_most: Some(7), at_most_percent: None }),
            11 => edited.bandwidth = Some(edited.bandwidth.map_or(0, |n| n.wrapping_add(1))),
            12 => edited.ignore_data_budget = !edited.ignore_data_budget,
            20 => edited.priority += 1,
            21 => edited.retry = Some(Retry { classes: vec![RetryClass::Failed], times: 3, wait_min: 3 }),
            22 => edited.way_back = Some("rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b4".parse().unwrap()),
            23 => match edited.stages.first_mut() {
                Some(s) => s.gate.action = if s.gate.action == GateAction::Pause { GateAction::Halt } else { GateAction::Pause },
                None => edited.name.push('w'),
            },
            24 => {
                edited.order = match edited.order.take() {
                    Some(Order::Spread(mut attribute)) => {
                        attribute.push('x');
                        Some(Order::Spread(attribute))
                    }
                    Some(Order::Listed(mut ids)) => {
                        ids.push("gw-3".parse().unwrap());
                        Some(Order::Listed(ids))
                    }
                    Some(Order::Random) => None,
                    None => Some(Order::Random),
                };
            }
            25 => match &mut edited.rate {
                Some(rate) => rate.per_minute += 1,
                None => edited.rate = Some(Rate { per_minute: 0, growth: None }),
            },
            26 => match &mut edited.rate {
                Some(Rate { growth: Some(growth), .. }) => growth.factor += 0.5,
                _ => edited.rate = Some(Rate { per_minute: 7, growth: Some(Growth { factor: 2.0, successes: 1, at_most: 2 }) }),
            },
            27 => match &mut edited.budget {
                Some(budget) => budget.at_most_percent = Some(budget.at_most_percent.map_or(0.0, |p| p + 1.0)),
                None => edited.budget = Some(Budget { attribute: "site".into(), at_most: None, at_most_percent: Some(1.0) }),
            },
            28 => edited.gate = Some(GateSpec { min_sample: edited.gate.map_or(7, |g| g.min_sample.wrapping_add(1)), ..GateSpec::USUAL }),
            29 => edited.steps.verifying_min = Some(edited.steps.verifying_min.map_or(0, |n| n + 1)),
            30 => match edited.stages.first_mut() {
                Some(s) => s.gate.metrics.push(MetricGate::new("cpu".into(), Worse::Higher)),
                None => edited.name.push('m'),
            },
            31 => match edited.stages.first_mut().and_then(|s| s.gate.metrics.first_mut()) {
                Some(m) => m.too_few = if m.too_few == TooFew::Ask { TooFew::Pass } else { TooFew::Ask },
                None => edited.name.push('t'),
            },
            32 => match edited.stages.first_mut() {
                Some(s) => s.gate.max_failed = Some(s.gate.max_failed.map_or(0, |n| n + 1)),
                None => edited.name.push('f'),
            },
            33 => match edited.stages.last_mut() {
                Some(s) => s.gate.max_rejected = Some(s.gate.max_rejected.map_or(0, |n| n + 1)),
                None => edited.name.push('j'),
            },
            34 => {
                let gate = edited.gate.get_or_insert_with(GateSpec::default);
                std::mem::swap(&mut gate.max_failed, &mut gate.max_rejected);
                gate.max_rejected = Some(gate.max_rejected.map_or(0, |n| n + 1));
            }
            10 => match edited.stages.last_mut() {
                Some(s) => s.gate.max_dark = Some(s.gate.max_dark.map_or(0, |n| n + 1)),
                None => edited.name.push('z'),
            },
            16 => edited.confirm_at_device = !edited.confirm_at_device,
            17 => edited.during_freeze = !edited.during_freeze,
            18 => edited.download_only = !edited.download_only,
            19 => edited.urgency = if edited.urgency == Urgency::Soft { Urgency::Forced } else { Urgency::Soft },
            _ => match edited.stages.first_mut() {
                Some(s) => s.gate.max_errors = s.gate.max_errors.wrapping_add(1),
                None => edited.name.push('y'),
            },
        }
        prop_assert_ne!(hash(&spec), hash(&edited));
    }

    #[test]
    fn it_survives_json(spec in any_spec()) {
        let back: RolloutSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        prop_assert_eq!(hash(&spec), hash(&back));
        prop_assert_eq!(spec, back);
    }
}
