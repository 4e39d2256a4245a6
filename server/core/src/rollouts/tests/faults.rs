//! Bad releases, bad devices, bad words.

use super::{Scene, fault, says, stage};
use crate::{bus::Event, clock::Clock, db::EngineKind, rollouts::Rollouts};
use rstest::rstest;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use wire::{
    FaultKind, Timestamp,
    device::{Running, StatusReport},
    rollouts::{Call, GateSpec, Reach, StageSpec, Verb},
    states::{RolloutState, StageState, UpdateState},
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_bad_release_is_stopped_in_its_first_stage_and_says_why(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 20).await;
    let gate = GateSpec { success_percent: 80.0, error_percent: 20.0, min_sample: 3, max_errors: 0, ..GateSpec::default() };
    let first = StageSpec { gate, ..stage(Reach::Count(6)) };
    let id = s.approved(s.spec(vec![first, stage(Reach::Percent(100.0))])).await;
    let offered = s.poll_all().await;
    assert_eq!(offered.len(), 6);
    for (device, offer) in &offered[..4] {
        s.say(*device, &offer.update_id, UpdateState::Downloading).await.unwrap();
    }
    let (device, offer) = &offered[0];
    assert_eq!(s.succeed(*device, &offer.update_id, "2.0.0", 2).await, UpdateState::Succeeded);
    let mut events = s.w.fleet.bus().listen();
    for (device, offer) in &offered[1..3] {
        s.say(*device, &offer.update_id, UpdateState::Reverted).await.unwrap();
    }
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.state, RolloutState::Halted);
    assert_eq!(detail.row.summary, "Halted in stage 1: 2 of 3 finished devices failed (66.6 %, limit 20 %)");
    assert_eq!((detail.stages[0].state, detail.stages[0].verdict.call), (StageState::Failed, Call::Halt));
    assert_eq!((detail.stages[0].verdict.finished, detail.stages[0].verdict.errors), (3, 2), "the verdict keeps the numbers it saw");
    assert_eq!(detail.history[0].tone, "bad");
    let cancelled = Scene::told(&mut events).into_iter().filter(|e| matches!(e, Event::Cancelled { .. })).count();
    assert_eq!(cancelled, 2, "the two that had not begun");
    assert_eq!(s.poll_all().await.len(), 1, "only the one under way; nobody else gets it");
    // The one under way ends, and nothing begins.
    s.say(offered[3].0, &offered[3].1.update_id, UpdateState::Failed).await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!((s.state(&id).await, s.poll_all().await.len()), (RolloutState::Halted, 0));
    s.checked(&id).await;

    // A person goes on: what is known is not held against it again, and what failed is tried again.
    s.rollouts().act(&s.oli, &id, Verb::Retry, None, "a fuse").await.unwrap();
    assert_eq!(s.detail(&id).await.history[0].text, "1 device to try again, by oli: a fuse");
    assert_eq!(s.poll_all().await.len(), 0, "a retry alone begins nothing");
    s.rollouts().resume(&s.oli, &id, "the power was out").await.unwrap();
    assert_eq!(s.everybody_updates().await, 3, "two that were taken back, one that failed; who reverted is not tried again");
    assert_eq!(s.everybody_updates().await, 14);
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.summary, "Completed: 18 of 20 succeeded, 2 failed");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn words_late_repeated_foreign_and_false_change_nothing(#[case] kind: EngineKind) {
    use UpdateState as U;
    let s = Scene::open(kind, 3).await;
    let id = s
        .approved(s.spec(vec![StageSpec {
            gate: GateSpec { error_percent: 100.0, success_percent: 0.0, ..GateSpec::default() },
            ..stage(Reach::Percent(100.0))
        }]))
        .await;
    let offered = s.poll_all().await;
    let (device, offer) = &offered[0];
    let update = &offer.update_id;
    assert_eq!(s.say(*device, update, U::Installing).await.unwrap(), U::Installing);
    assert_eq!(s.say(*device, update, U::Downloading).await.unwrap(), U::Installing, "late");
    assert_eq!(s.say(*device, update, U::Installing).await.unwrap(), U::Installing, "repeated");
    assert_eq!(fault(s.say(offered[1].0, update, U::Succeeded).await).kind, FaultKind::NotFound, "somebody else's");
    assert_eq!(fault(s.say(*device, &"upd_00000000000000000000000000000000".parse().unwrap(), U::Failed).await).kind, FaultKind::NotFound);
    assert_eq!(fault(s.say(*device, update, U::TimedOut).await).code, "not_a_devices_state");
    // Success counts only with the release running: not by word alone, not with the old version.
    assert_eq!(s.succeed(*device, update, "1.0.0", 1).await, U::Failed);
    let row = &s.rollouts().updates_of(*device).await.unwrap()[0];
    assert_eq!(row.detail, "it says it succeeded, and runs 1.0.0 instead of 2.0.0");
    assert_eq!(s.succeed(*device, update, "2.0.0", 2).await, U::Failed, "an ended update has ended");
    let (device, offer) = &offered[1];
    assert_eq!(s.say(*device, &offer.update_id, U::Succeeded).await.unwrap(), U::Failed, "it said it runs 1.0.0 when it connected");
    // What it says may hold anything.
    let (device, offer) = &offered[2];
    let nasty = StatusReport {
        detail: Some(format!("<script>\u{7}\n{}", "x".repeat(5000))),
        code: Some("a\0b".into()),
        progress: Some(250),
        ..says(&offer.update_id, U::Downloading)
    };
    s.rollouts().report(*device, nasty).await.unwrap();
    let row = &s.rollouts().updates_of(*device).await.unwrap()[0];
    assert_eq!((row.detail.chars().count(), row.progress), (1000, Some(100)));
    assert!(!row.detail.chars().any(char::is_control));
    let huge = StatusReport {
        firmware: Some(Running { version: "9".into(), sequence: u64::MAX, ..Running::default() }),
        ..says(&offer.update_id, U::Succeeded)
    };
    assert_eq!(fault(s.rollouts().report(*device, huge).await).field.as_deref(), Some("firmware.sequence"));
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn silence_counts_and_a_late_word_corrects_it(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let lenient = GateSpec { success_percent: 0.0, error_percent: 100.0, min_sample: 1, max_errors: 0, ..GateSpec::default() };
    let id = s.approved(s.spec(vec![StageSpec { gate: lenient, ..stage(Reach::Percent(100.0)) }])).await;
    let offered = s.poll_all().await;
    s.w.clock.advance(3_000_000);
    s.say(offered[0].0, &offered[0].1.update_id, UpdateState::Downloading).await.unwrap();
    s.w.clock.advance(700_000);
    s.rollouts().tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.totals().timed_out, course.totals().updating), (3, 1), "the one that spoke has more time");
    assert!(s.detail(&id).await.history.iter().any(|e| e.text == "3 devices fell silent and timed out"));
    // It was only slow.
    assert_eq!(s.succeed(offered[1].0, &offered[1].1.update_id, "2.0.0", 2).await, UpdateState::Succeeded);
    // These two are tried again, under new ids; a word on the old one is history.
    s.rollouts().act(&s.oli, &id, Verb::Retry, None, "").await.unwrap();
    let again = s.poll_all().await;
    assert_eq!(again.len(), 3);
    let retried = again.iter().find(|(d, _)| *d == offered[2].0).unwrap();
    assert_ne!(retried.1.update_id, offered[2].1.update_id);
    assert_eq!(s.say(offered[2].0, &offered[2].1.update_id, UpdateState::Failed).await.unwrap(), UpdateState::TimedOut);
    s.checked(&id).await;
    s.everybody_updates().await;
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 4 of 4 succeeded");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_recalled_release_halts_what_runs(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    let offered = s.poll_all().await;
    let digest = &offered[0].1.downloads[0].sha256;
    s.say(offered[0].0, &offered[0].1.update_id, UpdateState::Downloading).await.unwrap();
    s.say(offered[1].0, &offered[1].1.update_id, UpdateState::Installing).await.unwrap();
    s.w.fleet.releases().recall(&s.ada, &s.release, "it burns").await.unwrap();
    // At once, before any tick.
    assert_eq!(s.poll_all().await.len(), 0);
    assert!(s.rollouts().may_download(offered[0].0, digest).await.unwrap().is_none());
    s.rollouts().tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!(course.state, RolloutState::Halted);
    assert_eq!((course.totals().updating, course.totals().waiting), (1, 3), "only what installs already goes on");
    // The rollout says that it is halted, its stage only why.
    let detail = s.detail(&id).await;
    let why = "the release was recalled, it must not be installed any more. It can't be rolled back: its plan has no way back";
    assert!(detail.stages[0].verdict.text.starts_with(why), "{}", detail.stages[0].verdict.text);
    assert_eq!(detail.row.summary, format!("Halted: {}", detail.stages[0].verdict.text));
    assert_eq!(fault(s.rollouts().resume(&s.oli, &id, "").await).code, "not_now");
    s.rollouts().stop(&s.oli, &id, "enough").await.unwrap();
    s.say(offered[1].0, &offered[1].1.update_id, UpdateState::Reverted).await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Stopped);
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_recall_after_a_halt_takes_back_what_is_under_way(#[case] kind: EngineKind, #[values(false, true)] stopped: bool) {
    let s = Scene::open(kind, 5).await;
    let gate = GateSpec { max_errors: 1, ..GateSpec::default() };
    let id = s.approved(s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }])).await;
    let offered = s.poll_all().await;
    for ((device, offer), state) in
        offered.iter().zip([UpdateState::Failed, UpdateState::Downloading, UpdateState::Downloaded, UpdateState::Installing])
    {
        s.say(*device, &offer.update_id, state).await.unwrap();
    }
    s.rollouts().tick().await.unwrap();
    assert_eq!((s.state(&id).await, s.checked(&id).await.totals().updating), (RolloutState::Halted, 3));
    if stopped {
        s.rollouts().stop(&s.oli, &id, "enough").await.unwrap();
    }
    s.w.fleet.releases().recall(&s.ada, &s.release, "it burns").await.unwrap();
    let mut events = s.w.fleet.bus().listen();
    s.rollouts().tick().await.unwrap();
    let cancelled = Scene::told(&mut events).into_iter().filter(|e| matches!(e, Event::Cancelled { .. })).count();
    assert_eq!(cancelled, 2, "the two that had not begun to install");
    let course = s.checked(&id).await;
    assert_eq!(course.state, if stopped { RolloutState::Stopping } else { RolloutState::Halted });
    let all = course.totals();
    // One offer was never begun and had been taken back by the halt.
    assert_eq!((all.updating, all.waiting, all.left_out), if stopped { (1, 1, 2) } else { (1, 3, 0) });
    assert!(s.rollouts().standing(offered[1].0, Some(&offered[1].1.update_id)).await.unwrap().taken_back);
    // Once is enough: the next look changes nothing.
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.checked(&id).await.generation, course.generation);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_device_that_the_release_is_not_for_is_left_out(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    let offered = s.poll_all().await;
    let (device, offer) = &offered[0];
    assert_eq!(s.say(*device, &offer.update_id, UpdateState::NotApplicable).await.unwrap(), UpdateState::NotApplicable);
    assert_eq!(s.rollouts().poll(*device).await.unwrap(), None, "it is not offered again");
    assert_eq!(s.everybody_updates().await, 2);
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 2 of 3 succeeded, 1 left out");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_release_that_has_expired_is_not_rolled_out(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 1).await;
    let end = s.w.clock_now().plus(3_600_000);
    s.release = s.publish_until("3.0.0", 3, Some(end)).await;
    let plan = s.spec(vec![stage(Reach::Percent(100.0))]);
    let late = wire::rollouts::RolloutSpec { start_at: Some(end), ..plan.clone() };
    assert_eq!(fault(s.rollouts().draft(&s.oli, late).await).field.as_deref(), Some("start_at"));
    let id = s.rollouts().draft(&s.oli, plan.clone()).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;
    s.w.clock.advance(3_600_000);
    assert_eq!(fault(s.rollouts().approve(&s.ada, &id, &digest, "fine").await).code, "not_now");
    assert_eq!(s.state(&id).await, RolloutState::WaitingForApproval);
    assert_eq!(fault(s.rollouts().draft(&s.oli, plan).await).field.as_deref(), Some("release"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn among_many_rollouts_none_is_overlooked(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 2).await;
    let to = |s: &Scene, name: &str| {
        let spec = s.spec(vec![stage(Reach::Percent(100.0))]);
        wire::rollouts::RolloutSpec { name: name.into(), selector: format!("id:{name}"), ..spec }
    };
    // The first is for one device; twenty-one newer ones, of a newer release, for the other, and as many drafts.
    let first = s.approved(to(&s, "gw-1")).await;
    s.release = s.publish("3.0.0", 3).await;
    for _ in 0..21 {
        s.approved(to(&s, "gw-2")).await;
        s.rollouts().draft(&s.oli, to(&s, "gw-1")).await.unwrap();
    }
    let why = s.rollouts().explain(s.devices[0]).await.unwrap();
    assert!(why.starts_with("“gw-1” brings 2.0.0: it is its turn"), "{why}");
    assert_eq!(s.rollouts().poll(s.devices[0]).await.unwrap().unwrap().rollout_id, first);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_device_has_one_update_whoever_asks_and_however_many_rollouts(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let first = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    let newer = s.publish("3.0.0", 3).await;
    let second = s
        .approved(wire::rollouts::RolloutSpec { release: newer, name: "summer".into(), ..s.spec(vec![stage(Reach::Percent(100.0))]) })
        .await;
    let device = s.devices[0];
    let asked = futures::future::join_all((0..20).map(|_| s.rollouts().poll(device))).await;
    let mut ids: Vec<_> = asked.into_iter().map(|o| o.unwrap().expect("an offer").update_id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "twenty questions, one offer");
    let offer = s.rollouts().poll(device).await.unwrap().unwrap();
    assert_eq!(offer.rollout_id, second, "the newest release first");
    assert_eq!(s.succeed(device, &offer.update_id, "3.0.0", 3).await, UpdateState::Succeeded);
    assert_eq!(s.rollouts().poll(device).await.unwrap(), None, "it runs something newer than the first one brings");
    s.checked(&first).await;
    s.checked(&second).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_stage_that_nobody_comes_to_halts_and_says_so(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 6).await;
    let id = s.approved(s.spec(vec![stage(Reach::Count(4)), stage(Reach::Percent(100.0))])).await;
    let (device, offer) = {
        let mut first = None;
        for device in &s.devices {
            if let Some(offer) = s.rollouts().poll(*device).await.unwrap() {
                first = Some((*device, offer));
                break;
            }
        }
        first.unwrap()
    };
    s.succeed(device, &offer.update_id, "2.0.0", 2).await;
    s.w.clock.advance(3_600_000);
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.summary, "Halted in stage 1: only 1 of 4 devices finished in time; the gate needs 3 before it can judge");
    s.checked(&id).await;
    // They come after all.
    s.rollouts().resume(&s.oli, &id, "morning").await.unwrap();
    assert_eq!(s.everybody_updates().await, 3);
    assert_eq!(s.everybody_updates().await, 2);
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_asks_again_learns_what_was_taken_back(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    let device = s.devices[0];
    let first = s.rollouts().standing(device, None).await.unwrap();
    let told = first.offer.unwrap().update_id;
    assert!(first.not_begun && !first.taken_back);
    assert_eq!(s.rollouts().standing(device, Some(&told)).await.unwrap().offer.unwrap().update_id, told);
    s.rollouts().pause(&s.oli, &id, "").await.unwrap();
    let paused = s.rollouts().standing(device, Some(&told)).await.unwrap();
    assert!(paused.taken_back && paused.offer.is_none());
    assert!(!s.rollouts().standing(device + 1, Some(&told)).await.unwrap().taken_back, "another device is told nothing of it");
    s.rollouts().resume(&s.oli, &id, "go on").await.unwrap();
    let resumed = s.rollouts().standing(device, Some(&told)).await.unwrap();
    let next = resumed.offer.unwrap().update_id;
    assert!(resumed.taken_back && next != told, "the old one is over, a new one stands");
    s.say(device, &next, UpdateState::Downloading).await.unwrap();
    let begun = s.rollouts().standing(device, Some(&next)).await.unwrap();
    assert!(begun.offer.is_some() && !begun.not_begun);
    s.say(device, &next, UpdateState::Failed).await.unwrap();
    assert!(!s.rollouts().standing(device, Some(&next)).await.unwrap().taken_back, "what ended by itself was not taken back");
}

/// Shows one instant at the first look and a later one from then on.
struct Leaps {
    looks: AtomicI64,
    first: Timestamp,
    then: Timestamp,
}

impl Clock for Leaps {
    fn now(&self) -> Timestamp {
        if self.looks.fetch_add(1, Ordering::SeqCst) == 0 { self.first } else { self.then }
    }
    fn steady(&self) -> i64 {
        0
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_rollout_that_closes_while_a_device_asks_leaves_it_to_the_next(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 2).await;
    let patient = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    // The newer release comes first; its first stage waits an hour for devices that don't come.
    s.release = s.publish("3.0.0", 3).await;
    let hasty = s.approved(s.spec(vec![stage(Reach::Count(1)), stage(Reach::Percent(100.0))])).await;
    let first = s.w.clock_now();
    let cut = s.checked(&hasty).await.cut;
    let device = *s.devices.iter().find(|d| crate::rollouts::draw::place(&hasty, **d) <= cut).unwrap();
    let clock = Arc::new(Leaps { looks: AtomicI64::new(0), first, then: first.plus(3_600_001) });
    let of = s.rollouts();
    let asked = Rollouts::new(of.db.clone(), clock, Arc::clone(&s.w.entropy), of.bus.clone(), of.means.clone(), of.draws.clone());
    assert_eq!(asked.poll(device).await.unwrap().unwrap().rollout_id, patient);
}
