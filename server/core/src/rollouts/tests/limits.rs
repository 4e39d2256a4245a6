//! How many devices update at once, and gates that count by class, on both engines.

use super::{Scene, stage};
use crate::{
    db::{EngineKind, Sql, exec, row},
    devices::DeviceNo,
    rollouts::Rollouts,
};
use rstest::rstest;
use serde_json::json;
use wire::{
    rollouts::{Budget, Call, Counts, GateAction, GateSpec, PastUpdates, Reach, RolloutSpec, StageSpec, Verb},
    states::{RolloutState, StageState, UpdateState},
};

const ATTRIBUTE: Sql = Sql::same(
    "INSERT INTO device_attributes (device, org_id, name, value, place)
     VALUES ($1, $2, 'site', $3, (SELECT device_id_lower FROM devices WHERE number = $1))",
);
const PLAN: Sql = Sql::same("SELECT spec FROM rollouts WHERE id = $1");
const STORE_PLAN: Sql = Sql::same("UPDATE rollouts SET spec = $2 WHERE id = $1");
const STORE_VERDICT: Sql = Sql::same("UPDATE rollout_stages SET verdict = $2 WHERE rollout_id = $1 AND number = 1");
const OFFLINE: Sql = Sql::same("UPDATE devices SET online = FALSE, last_seen_at = $2 WHERE number = $1");

impl Scene {
    pub(super) async fn stands_at(&self, device: DeviceNo, site: &str) {
        let mut tx = self.rollouts().db.write().await.unwrap();
        exec!(&mut tx, ATTRIBUTE, device, self.w.org.as_str(), site).unwrap();
        tx.commit().await.unwrap();
    }

    async fn heard_last(&self, device: DeviceNo, at: wire::Timestamp) {
        let mut tx = self.rollouts().db.write().await.unwrap();
        exec!(&mut tx, OFFLINE, device, at.0).unwrap();
        tx.commit().await.unwrap();
    }

    /// What the wizard has beside the limits of a gate.
    async fn past(&self) -> PastUpdates {
        self.rollouts().wizard(&self.oli, None, None, None, Some(&self.release)).await.unwrap().past.unwrap()
    }

    fn everybody(&self) -> RolloutSpec {
        self.spec(vec![stage(Reach::Percent(100.0))])
    }

    /// Everybody asks at the same moment, of two instances.
    async fn ask_at_once(&self, second: &Rollouts) -> usize {
        let asks = self.devices.iter().enumerate().map(|(i, device)| if i % 2 == 0 { self.rollouts() } else { second }.poll(*device));
        futures::future::join_all(asks).await.into_iter().filter(|offer| offer.as_ref().unwrap().is_some()).count()
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn never_more_at_once_than_the_plan_allows(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 12).await;
    let second = Rollouts::new(
        s.rollouts().db.clone(),
        s.w.clock.clone(),
        s.w.entropy.clone(),
        s.w.fleet.bus().clone(),
        s.w.fleet.telemetry().means(),
        s.rollouts().draws.clone(),
    );
    let id = s.approved(RolloutSpec { at_once: Some(3), ..s.everybody() }).await;
    assert_eq!(s.ask_at_once(&second).await, 3);
    assert_eq!(s.checked(&id).await.totals().updating, 3);
    let mut waiting = Vec::new();
    for device in &s.devices {
        if s.rollouts().poll(*device).await.unwrap().is_none() {
            waiting.push(*device);
        }
    }
    let why = s.rollouts().explain(waiting[0]).await.unwrap();
    assert!(why.contains("as many devices are updating already as the plan allows at once (3)"), "{why}");
    // One is done, one has its place.
    let (done, offer) = s.poll_all().await.remove(0);
    s.succeed(done, &offer.update_id, "2.0.0", 2).await;
    s.ask_at_once(&second).await;
    assert_eq!(s.checked(&id).await.totals().updating, 3);
    while s.everybody_updates().await > 0 {}
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 12 of 12 succeeded");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_waits_for_others_does_not_lose_its_turn(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let gate = GateSpec { min_sample: 1, ..GateSpec::default() };
    let first = StageSpec { gate, ..stage(Reach::Count(3)) };
    let id = s.approved(RolloutSpec { at_once: Some(1), ..s.spec(vec![first, stage(Reach::Percent(100.0))]) }).await;
    // Each of them takes 50 of the 60 minutes that a stage waits for devices that don't come.
    for _ in 0..3 {
        let (device, offer) = s.poll_all().await.remove(0);
        s.say(device, &offer.update_id, UpdateState::Downloading).await.unwrap();
        s.w.clock.advance(50 * 60_000);
        s.rollouts().tick().await.unwrap();
        s.succeed(device, &offer.update_id, "2.0.0", 2).await;
    }
    s.rollouts().tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.stage, course.stages[0].counts.succeeded, course.stages[0].state), (2, 3, StageState::Succeeded));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn never_more_of_a_site_than_the_budget_allows_whichever_rollout(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 9).await;
    let second = Rollouts::new(
        s.rollouts().db.clone(),
        s.w.clock.clone(),
        s.w.entropy.clone(),
        s.w.fleet.bus().clone(),
        s.w.fleet.telemetry().means(),
        s.rollouts().draws.clone(),
    );
    for (device, site) in s.devices.iter().zip(["north", "north", "north", "south", "south", "south"]) {
        s.stands_at(*device, site).await;
    }
    let budget = Some(Budget { attribute: "site".into(), at_most: Some(1), at_most_percent: None });
    let some = RolloutSpec { name: "half".into(), selector: "id:gw-1,gw-4".into(), budget: budget.clone(), ..s.everybody() };
    let half = s.approved(some).await;
    let rest = s.approved(RolloutSpec { selector: "-id:gw-1 -id:gw-4".into(), budget, ..s.everybody() }).await;
    // One of the north, one of the south, and the three that stand nowhere.
    assert_eq!(s.ask_at_once(&second).await, 5);
    let mut told = Vec::new();
    for device in &s.devices {
        if s.rollouts().poll(*device).await.unwrap().is_none() {
            told.push(s.rollouts().explain(*device).await.unwrap());
        }
    }
    assert_eq!(told.len(), 4);
    assert!(told[0].contains("as many devices with site “north” are updating already as the plan allows at once (1)"), "{}", told[0]);
    let mut rounds = 0;
    while s.everybody_updates().await > 0 {
        rounds += 1;
    }
    assert_eq!(rounds, 3, "three of each site, one after the other");
    assert_eq!((s.state(&half).await, s.state(&rest).await), (RolloutState::Completed, RolloutState::Completed));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_gate_counts_who_went_back(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 10).await;
    let gate = GateSpec { error_percent: 100.0, success_percent: 0.0, max_reverted: Some(1), ..GateSpec::default() };
    let id = s.approved(s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }])).await;
    let offered = s.poll_all().await;
    for (device, offer) in &offered[..2] {
        assert_eq!(s.state(&id).await, RolloutState::Running);
        s.say(*device, &offer.update_id, UpdateState::Reverted).await.unwrap();
        s.rollouts().tick().await.unwrap();
    }
    assert_eq!(s.detail(&id).await.row.summary, "Halted in stage 1: 2 devices went back to the old version; at most 1 may");
    // A person goes on in spite of these two.
    s.rollouts().resume(&s.oli, &id, "known").await.unwrap();
    assert_eq!((s.state(&id).await, s.everybody_updates().await), (RolloutState::Running, 8));
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_gate_counts_who_could_not_install_and_who_refused(
    #[case] kind: EngineKind,
    #[values(UpdateState::Failed, UpdateState::Rejected)] ends: UpdateState,
) {
    let s = Scene::open(kind, 10).await;
    let lenient = GateSpec { error_percent: 100.0, success_percent: 0.0, ..GateSpec::default() };
    let failed = ends == UpdateState::Failed;
    let (gate, words) = if failed {
        (GateSpec { max_failed: Some(1), ..lenient }, "could not install it")
    } else {
        (GateSpec { max_rejected: Some(1), ..lenient }, "refused it")
    };
    let id = s.approved(s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }])).await;
    let offered = s.poll_all().await;
    // An error of another class is no matter.
    s.say(offered[9].0, &offered[9].1.update_id, UpdateState::Reverted).await.unwrap();
    for (device, offer) in &offered[..2] {
        s.rollouts().tick().await.unwrap();
        assert_eq!(s.state(&id).await, RolloutState::Running);
        s.say(*device, &offer.update_id, ends).await.unwrap();
    }
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.summary, format!("Halted in stage 1: 2 devices {words}; at most 1 may"));
    let verdict = &detail.stages[0].verdict;
    let classes = (verdict.errors, verdict.failed, verdict.reverted, verdict.timed_out, verdict.rejected);
    assert_eq!(classes, if failed { (3, 2, 1, 0, 0) } else { (3, 0, 1, 0, 2) }, "the verdict keeps what it saw");

    // A person goes on in spite of these two.
    s.rollouts().resume(&s.oli, &id, "known").await.unwrap();
    let seen = s.checked(&id).await.stages[0].seen;
    assert_eq!((seen.failed, seen.reverted, seen.rejected), if failed { (2, 1, 0) } else { (0, 1, 2) });
    if failed {
        // They are tried again, and what was seen of them is over: two more failures are news.
        s.rollouts().act(&s.oli, &id, Verb::Retry, None, "").await.unwrap();
        assert_eq!(s.checked(&id).await.stages[0].seen.failed, 0);
        for (device, offer) in s.poll_all().await {
            if offered[..2].iter().any(|(before, _)| *before == device) {
                s.say(device, &offer.update_id, ends).await.unwrap();
            }
        }
        s.rollouts().tick().await.unwrap();
        assert_eq!(
            s.detail(&id).await.row.summary,
            "Halted in stage 1: 2 devices could not install it since it was resumed; at most 1 may"
        );
        s.rollouts().resume(&s.oli, &id, "known").await.unwrap();
    }
    assert_eq!((s.state(&id).await, s.everybody_updates().await), (RolloutState::Running, 7));
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_whole_rollout_may_limit_them_too(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 6).await;
    let lenient = GateSpec { error_percent: 100.0, success_percent: 0.0, min_sample: 1, ..GateSpec::default() };
    let of = |reach| StageSpec { gate: lenient.clone(), ..stage(reach) };
    let whole = GateSpec { max_rejected: Some(1), ..lenient.clone() };
    let id = s.approved(RolloutSpec { gate: Some(whole), ..s.spec(vec![of(Reach::Count(2)), of(Reach::Percent(100.0))]) }).await;
    // One in each stage: no stage has a limit of its own.
    for last in [false, true] {
        let offered = s.poll_all().await;
        s.say(offered[0].0, &offered[0].1.update_id, UpdateState::Rejected).await.unwrap();
        if !last {
            s.succeed(offered[1].0, &offered[1].1.update_id, "2.0.0", 2).await;
        }
        s.rollouts().tick().await.unwrap();
    }
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.summary, "Halted by the gate of the whole rollout: 2 devices refused it; at most 1 may");
    assert_eq!(detail.verdict.map(|v| (v.rejected, v.failed)), Some((2, 0)));
    s.rollouts().resume(&s.oli, &id, "known").await.unwrap();
    assert_eq!((s.everybody_updates().await, s.state(&id).await), (3, RolloutState::Completed));
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_a_gate_of_the_whole_rollout_saw_stays_when_it_pauses_and_when_a_person_goes_on(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let lenient = GateSpec { error_percent: 100.0, success_percent: 0.0, min_sample: 1, ..GateSpec::default() };
    let whole = GateSpec { max_rejected: Some(0), action: GateAction::Pause, ..lenient.clone() };
    let all = StageSpec { gate: lenient, ..stage(Reach::Percent(100.0)) };
    let id = s.approved(RolloutSpec { gate: Some(whole), ..s.spec(vec![all]) }).await;
    let offered = s.poll_all().await;
    s.say(offered[0].0, &offered[0].1.update_id, UpdateState::Rejected).await.unwrap();
    s.rollouts().tick().await.unwrap();
    let paused = s.detail(&id).await;
    let why = "Paused by the gate of the whole rollout: 1 device refused it; none may";
    assert_eq!((paused.row.state, paused.row.summary.as_str()), (RolloutState::Paused, why));
    assert_eq!(paused.verdict.map(|v| (v.call, v.rejected, v.finished)), Some((Call::Halt, 1, 1)));
    let of_stage = &paused.stages[0];
    assert_eq!((of_stage.state, of_stage.verdict.text.as_str()), (StageState::Running, why));
    assert_eq!((of_stage.verdict.rejected, of_stage.verdict.finished, of_stage.verdict.is_judged()), (1, 1, false), "not its own gate");
    s.rollouts().resume(&s.oli, &id, "known").await.unwrap();
    let over = "went on by oli in spite of the gate: 1 device refused it; none may";
    let resumed = s.detail(&id).await.verdict.unwrap();
    assert!(resumed.call == Call::Wait && resumed.text.contains(over), "{}", resumed.text);
    s.everybody_updates().await;
    let ended = s.detail(&id).await;
    assert_eq!(ended.row.state, RolloutState::Completed);
    assert!(ended.verdict.unwrap().text.contains(over));
    s.checked(&id).await;
    // The audit log says which gate, with what it saw.
    let detail = s.booked("rollout.resume").await;
    let passed_over = &detail["in_spite_of"][0];
    assert_eq!((&passed_over["gate"], &passed_over["errors"]), (&json!("the whole rollout"), &json!(1)), "{detail}");
    assert_eq!(passed_over["said"], "1 device refused it; none may");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_was_stored_before_there_were_these_limits_is_read_and_its_approval_holds(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let gate = GateSpec { max_errors: 2, max_reverted: Some(0), ..GateSpec::default() };
    let plan = RolloutSpec { at_once: Some(4), ..s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }]) };
    let id = s.rollouts().draft(&s.oli, plan).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let before = s.detail(&id).await;
    let mut tx = s.rollouts().db.write().await.unwrap();
    let (text,) = row!(&mut tx, (String,), PLAN, id.as_str()).unwrap().unwrap();
    assert!(text.contains("\"max_reverted\":0") && !text.contains("max_failed") && !text.contains("max_rejected"), "{text}");
    // Whoever wrote it, and in whatever order.
    let other: serde_json::Value = serde_json::from_str(&text).unwrap();
    exec!(&mut tx, STORE_PLAN, id.as_str(), other.to_string()).unwrap();
    tx.commit().await.unwrap();
    let after = s.detail(&id).await;
    assert_eq!((&after.spec, &after.digest), (&before.spec, &before.digest));
    s.rollouts().approve(&s.ada, &id, &before.digest, "as it was").await.unwrap();

    for (device, offer) in &s.poll_all().await[..2] {
        s.say(*device, &offer.update_id, UpdateState::Failed).await.unwrap();
    }
    s.rollouts().tick().await.unwrap();
    let halted = s.detail(&id).await;
    assert_eq!(halted.row.summary, "Halted in stage 1: 2 of 2 finished devices failed; the limit is 2 in all");
    // Its verdict, too: it did not say who could not install.
    let old = r#"{"call":"halt","text":"2 of 2","finished":2,"succeeded":0,"errors":2,"reverted":0,"timed_out":0,"sample":3}"#;
    let mut tx = s.rollouts().db.write().await.unwrap();
    exec!(&mut tx, STORE_VERDICT, id.as_str(), old).unwrap();
    tx.commit().await.unwrap();
    let verdict = s.detail(&id).await.stages.remove(0).verdict;
    assert_eq!((verdict.errors, verdict.failed, verdict.rejected, verdict.now), (2, 0, 0, None), "nothing has changed since");
    s.rollouts().resume(&s.oli, &id, "known").await.unwrap();
    assert_eq!((s.everybody_updates().await, s.state(&id).await), (2, RolloutState::Completed));
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_wizard_knows_how_the_fleets_updates_ended_lately(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 8).await;
    assert_eq!(s.rollouts().wizard(&s.oli, None, None, None, None).await.unwrap().past, None, "no release is chosen");
    let none = PastUpdates { device_type: "gateway".into(), days: 30, ended: Counts::default(), listened: 0, dark: 0 };
    assert_eq!(s.past().await, none, "nothing was updated yet");

    let gate = GateSpec { error_percent: 100.0, success_percent: 0.0, ..GateSpec::default() };
    s.approved(s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }])).await;
    let offered = s.poll_all().await;
    assert_eq!(s.past().await, none, "nobody has finished");
    for (i, ends) in [(0, UpdateState::Failed), (1, UpdateState::Failed), (2, UpdateState::Rejected), (3, UpdateState::Reverted)] {
        s.say(offered[i].0, &offered[i].1.update_id, ends).await.unwrap();
    }
    for (device, offer) in &offered[4..] {
        s.succeed(*device, &offer.update_id, "2.0.0", 2).await;
    }
    s.rollouts().tick().await.unwrap();
    let ended = Counts { total: 8, succeeded: 4, failed: 2, reverted: 1, rejected: 1, ..Counts::default() };
    let past = PastUpdates { ended, ..none.clone() };
    assert_eq!(s.past().await, past, "who has just succeeded was not listened for yet");

    let success = s.w.clock_now();
    s.heard_last(offered[4].0, success.plus(60_000)).await;
    s.heard_last(offered[5].0, success.plus(16 * 60_000)).await;
    s.w.clock.advance(1_800_000);
    assert_eq!(s.past().await, PastUpdates { listened: 4, dark: 1, ..past.clone() });
    // Who has left the fleet is not listened for any more, and stays in the counts.
    s.set_device_state(offered[4].0, "decommissioned").await;
    assert_eq!(s.past().await, PastUpdates { listened: 3, dark: 0, ..past.clone() });
    s.w.clock.advance(30 * 86_400_000);
    assert_eq!(s.past().await, none, "that is long ago");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn devices_that_go_dark_after_they_succeeded_halt_it(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 5).await;
    let gate = GateSpec { max_dark: Some(1), ..GateSpec::default() };
    let first = StageSpec { gate, soak_s: 1800, ..stage(Reach::Count(4)) };
    let id = s.approved(s.spec(vec![first, stage(Reach::Percent(100.0))])).await;
    let updated: Vec<DeviceNo> = s.poll_all().await.into_iter().map(|(device, _)| device).collect();
    assert_eq!(s.everybody_updates().await, 4);
    assert_eq!(s.checked(&id).await.stages[0].state, StageState::Soaking);
    let success = s.w.clock_now();
    // Two are gone soon after; one asks now and then; one keeps its channel.
    s.heard_last(updated[0], success.plus(60_000)).await;
    s.heard_last(updated[1], success.plus(14 * 60_000)).await;
    s.heard_last(updated[2], success.plus(16 * 60_000)).await;
    s.w.clock.advance(1_800_000);
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.summary, "Halted in stage 1: 2 devices succeeded and went dark; at most 1 may");
    assert_eq!(detail.stages[0].dark, Some(2));
    // What a person has seen is not held against it again.
    s.rollouts().resume(&s.oli, &id, "the power is out").await.unwrap();
    s.w.clock.advance(1_800_000);
    s.rollouts().tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.stage, course.stages[0].state), (2, StageState::Succeeded));
}
