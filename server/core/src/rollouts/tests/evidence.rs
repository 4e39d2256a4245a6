//! Metrics beside devices that are not updated, the gate of the whole rollout, and the time of each step, on both engines.

use super::{Scene, stage};
use crate::{
    db::EngineKind,
    devices::DeviceNo,
    rollouts::{gate::Seen, state::Class},
};
use rstest::rstest;
use wire::{
    device::Sample,
    rollouts::{
        Call, GateAction, GateSpec, MetricGate, Reach, Retry, RetryClass, RolloutSpec, Show, StageSpec, StepLimits, TooFew, UpdateQuery,
        Verb, Worse,
    },
    states::{RolloutState, StageState, UpdateState},
};

const QUARTER: i64 = 900_000;

impl Scene {
    /// Each device sends ten samples around its value since the last quarter of an hour.
    async fn send(&self, seq: u64, value: impl Fn(usize, DeviceNo) -> f64) {
        let now = self.w.clock_now();
        for (i, device) in self.devices.iter().enumerate() {
            let value = value(i, *device);
            let samples = (1..=10).map(|n| Sample {
                m: "cpu.load".into(),
                t: now.0 - n * 60_000,
                v: value + f64::from(u8::try_from(n % 2).unwrap()) / 10.0,
            });
            let id = format!("gw-{}", i + 1).parse().unwrap();
            self.w.fleet.telemetry().ingest(&self.w.org, *device, &id, "a", seq, samples.collect()).await.unwrap();
        }
    }

    /// A plan whose first stage of 12 devices is watched for an hour and compares its load.
    fn compares(&self, metric: MetricGate) -> RolloutSpec {
        let gate = GateSpec { metrics: vec![metric], ..GateSpec::default() };
        self.spec(vec![StageSpec { gate, soak_s: 3600, ..stage(Reach::Count(12)) }, stage(Reach::Percent(100.0))])
    }
}

fn load() -> MetricGate {
    MetricGate::new("cpu.load".into(), Worse::Higher)
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_metric_that_is_worse_on_updated_devices_halts_it(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 40).await;
    let id = s.approved(s.compares(load())).await;
    let updated: Vec<DeviceNo> = s.poll_all().await.into_iter().map(|(device, _)| device).collect();
    assert_eq!(s.everybody_updates().await, 12);
    s.w.clock.advance(QUARTER - 1000);
    s.send(1, |i, device| f64::from(u8::try_from(i).unwrap()) / 100.0 + if updated.contains(&device) { 2.0 } else { 1.0 }).await;
    s.rollouts().tick().await.unwrap();
    assert_eq!((s.state(&id).await, s.detail(&id).await.stages[0].findings.len()), (RolloutState::Running, 0), "no look is due");
    s.w.clock.advance(1000);
    // What is folded and what is not counts alike.
    if kind == EngineKind::Sqlite {
        s.w.fleet.telemetry().compact_tick().await.unwrap();
    }
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert!(detail.row.summary.starts_with("Halted in stage 1: cpu.load is worse on updated devices: median 2."), "{}", detail.row.summary);
    let found = &detail.stages[0].findings[0];
    assert_eq!((found.look, found.updated, found.control, found.call, found.seen), (1, 12, 28, Call::Halt, false));
    let compared = found.compared.unwrap();
    assert!(compared.effect_percent > 99.9 && compared.exact && compared.p < 1e-8 && (compared.shift - 1.0).abs() < 0.45, "{compared:?}");
    assert_eq!((detail.stages[0].state, detail.stages[0].verdict.text.as_str()), (StageState::Failed, found.text.as_str()));
    // A person goes on in spite of it: it is watched once more, and the metric is not held against it again.
    s.rollouts().resume(&s.oli, &id, "known").await.unwrap();
    assert!(s.detail(&id).await.stages[0].findings[0].seen);
    assert_eq!(s.checked(&id).await.stages[0].seen, Seen::default(), "what its gate knows of its devices holds");
    s.w.clock.advance(4 * QUARTER);
    s.rollouts().tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.stage, course.stages[0].state, course.stages[0].findings.len()), (2, StageState::Succeeded, 1));
    let kept = course.stages[0].verdict.as_ref().unwrap();
    assert_eq!((kept.call, kept.finished), (Call::Wait, 12));
    assert!(kept.text.starts_with("went on by oli in spite of the gate: cpu.load is worse"), "{}", kept.text);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_metric_that_shows_nothing_is_looked_at_four_times(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 40).await;
    let id = s.approved(s.compares(MetricGate { worse: Worse::Lower, ..load() })).await;
    assert_eq!(s.everybody_updates().await, 12);
    for seq in 1..=4 {
        s.w.clock.advance(QUARTER);
        s.send(seq, |i, _| f64::from(u8::try_from(i * 7 % 11).unwrap())).await;
        s.rollouts().tick().await.unwrap();
        s.rollouts().tick().await.unwrap();
    }
    let course = s.checked(&id).await;
    let looks: Vec<_> = course.stages[0].findings.iter().map(|f| (f.look, f.call, f.compared.is_some())).collect();
    assert_eq!(looks, [1, 2, 3, 4].map(|n| (n, Call::Pass, true)));
    assert_eq!((course.stage, course.stages[0].state), (2, StageState::Succeeded));
    let history = s.detail(&id).await.history;
    assert!(
        history.iter().any(|e| e.text.starts_with("Stage 1, look 3 of 4: cpu.load shows nothing that matters: median ")),
        "{history:?}"
    );
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn too_few_devices_wait_for_a_person_or_not(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 30).await;
    let ids = "id:gw-1,gw-2,gw-3,gw-4,gw-5,gw-6,gw-7,gw-8,gw-9,gw-10,gw-11,gw-12,gw-13,gw-14,gw-15";
    let half = |selector: &str, too_few| {
        let metric = MetricGate { min_devices: 5, too_few, ..load() };
        let mut spec = RolloutSpec { name: format!("{too_few}"), selector: selector.into(), ..s.compares(metric) };
        spec.stages[0].reach = Reach::Count(5);
        spec
    };
    let asks = s.approved(half(ids, TooFew::Ask)).await;
    let passes = s.approved(half(&format!("-{ids}"), TooFew::Pass)).await;
    assert_eq!(s.everybody_updates().await, 10);
    s.w.clock.advance(4 * QUARTER);
    s.rollouts().tick().await.unwrap();
    let waiting = s.checked(&asks).await;
    assert_eq!(waiting.stages[0].state, StageState::AwaitingPromotion);
    let text = waiting.stages[0].verdict.as_ref().unwrap().text.clone();
    assert!(text.ends_with("cpu.load: not enough to compare: 0 updated and 0 not updated devices sent it, 5 each are needed"), "{text}");
    let passed = s.checked(&passes).await;
    assert_eq!((passed.stage, passed.stages[0].findings.len(), passed.stages[0].findings[0].call), (2, 1, Call::Wait));
    s.rollouts().act(&s.oli, &asks, Verb::Promote, None, "").await.unwrap();
    assert_eq!(s.checked(&asks).await.stage, 2);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_can_never_be_judged_is_refused(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 20).await;
    let spec = s.compares(load());
    let wizard = s.rollouts().wizard(&s.oli, Some(spec), None, None, None).await.unwrap();
    let problems: Vec<String> = wizard.preview.unwrap().problems.into_iter().map(|p| format!("{}: {}", p.field, p.message)).collect();
    assert_eq!(
        problems,
        [
            "stages.0.gate.metrics.0.min_devices: 8 devices come after the stage, and cpu.load is compared from 10 of each group on: it could never be judged."
        ]
    );
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_whole_rollout_has_a_gate_over_all_stages(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 20).await;
    let lenient = GateSpec { error_percent: 100.0, success_percent: 0.0, ..GateSpec::default() };
    let of = |reach| StageSpec { gate: lenient.clone(), ..stage(reach) };
    let whole =
        GateSpec { max_errors: 3, error_percent: 100.0, success_percent: 0.0, min_sample: 5, action: GateAction::Halt, ..GateSpec::USUAL };
    let id = s.approved(RolloutSpec { gate: Some(whole), ..s.spec(vec![of(Reach::Count(10)), of(Reach::Percent(100.0))]) }).await;
    for failures in [2, 1] {
        for (n, (device, offer)) in s.poll_all().await.into_iter().enumerate() {
            if n < failures {
                s.say(device, &offer.update_id, UpdateState::Failed).await.unwrap();
            } else if n < 8 {
                s.succeed(device, &offer.update_id, "2.0.0", 2).await;
            }
        }
        if failures == 2 {
            while s.everybody_updates().await > 0 && s.checked(&id).await.stage == 1 {}
        }
        s.rollouts().tick().await.unwrap();
        if s.state(&id).await != RolloutState::Running {
            break;
        }
    }
    let detail = s.detail(&id).await;
    assert_eq!(
        (detail.row.state, detail.verdict.as_ref().map(|v| (v.call, v.errors))),
        (RolloutState::Halted, Some((Call::Halt, 3))),
        "{}",
        detail.row.summary
    );
    assert!(detail.row.summary.starts_with("Halted by the gate of the whole rollout: 3 of "), "{}", detail.row.summary);
    // What is known by now is not held against it again.
    s.rollouts().resume(&s.oli, &id, "known").await.unwrap();
    while s.everybody_updates().await > 0 {}
    let course = s.checked(&id).await;
    assert_eq!((course.state, Class::Failed.of_counts(&course.totals())), (RolloutState::Completed, 3));
    let over = course.verdict.expect("what was gone on in spite of stays");
    assert_eq!((over.call, over.errors), (Call::Wait, 3));
    assert!(over.text.starts_with("went on by oli in spite of the gate: 3 of "), "{}", over.text);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_device_that_is_stuck_in_a_step_times_out_however_often_it_reports(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let spec = RolloutSpec {
        steps: StepLimits { installing_min: Some(10), ..StepLimits::default() },
        retry: Some(Retry { classes: vec![RetryClass::TimedOut], times: 1, wait_min: 30 }),
        ..s.spec(vec![StageSpec {
            gate: GateSpec { error_percent: 100.0, success_percent: 0.0, ..GateSpec::default() },
            ..stage(Reach::Percent(100.0))
        }])
    };
    let id = s.approved(spec).await;
    let offered = s.poll_all().await;
    let (stuck, fetching) = (&offered[0], &offered[1]);
    s.say(fetching.0, &fetching.1.update_id, UpdateState::Downloading).await.unwrap();
    s.say(stuck.0, &stuck.1.update_id, UpdateState::Installing).await.unwrap();
    for _ in 0..3 {
        s.w.clock.advance(3 * 60_000);
        assert_eq!(s.say(stuck.0, &stuck.1.update_id, UpdateState::Installing).await.unwrap(), UpdateState::Installing);
        s.rollouts().downloads_on(stuck.0).await.unwrap();
        s.rollouts().tick().await.unwrap();
    }
    assert_eq!(s.checked(&id).await.totals().timed_out, 0);
    s.w.clock.advance(60_000);
    s.rollouts().tick().await.unwrap();
    let page = s.rollouts().updates(&s.ada, &id, &UpdateQuery { show: Show::Failed, ..UpdateQuery::default() }).await.unwrap();
    let told: Vec<_> = page.items.iter().map(|u| (u.state, u.code.as_str(), u.detail.as_str())).collect();
    assert_eq!(told, [(UpdateState::TimedOut, "timed_out_installing", "stuck in installing: not done with it within 10 min")]);
    assert_eq!(s.checked(&id).await.totals().updating, 2, "who fetches has no such limit");
    // By its class it is tried again.
    s.w.clock.advance(30 * 60_000);
    let again = s.rollouts().poll(stuck.0).await.unwrap().unwrap();
    assert_ne!(again.update_id, stuck.1.update_id);
    // A step that is done in time has no deadline any more.
    s.say(stuck.0, &again.update_id, UpdateState::Installing).await.unwrap();
    s.say(stuck.0, &again.update_id, UpdateState::Rebooting).await.unwrap();
    s.w.clock.advance(20 * 60_000);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.succeed(stuck.0, &again.update_id, "2.0.0", 2).await, UpdateState::Succeeded);
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_wizard_knows_the_metrics_that_devices_report(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    assert_eq!(s.rollouts().wizard(&s.oli, None, None, None, None).await.unwrap().metrics, []);
    s.send(1, |_, _| 2.0).await;
    s.w.fleet.telemetry().compact_tick().await.unwrap();
    let known = s.rollouts().wizard(&s.oli, None, None, None, None).await.unwrap().metrics;
    let last = known.iter().map(|m| (m.name.as_str(), m.last.map(|l| l.1))).collect::<Vec<_>>();
    assert_eq!(last, [("cpu.load", Some(2.1))]);
}
