//! What is tried again by itself, and which of several rollouts a device gets, on both engines.

use super::{Scene, stage};
use crate::db::EngineKind;
use rstest::rstest;
use wire::{
    rollouts::{GateSpec, Reach, Retry, RetryClass, RolloutSpec, StageSpec},
    states::{RolloutState, StageState, UpdateState},
};

const MINUTE: i64 = 60_000;

impl Scene {
    fn lenient(&self) -> RolloutSpec {
        let gate = GateSpec { error_percent: 100.0, success_percent: 50.0, ..GateSpec::default() };
        RolloutSpec { timeout_min: 600, ..self.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }]) }
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_failed_is_tried_again_after_longer_and_longer_waits(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let retry = Retry { classes: vec![RetryClass::Failed], times: 2, wait_min: 30 };
    let id = s.approved(RolloutSpec { retry: Some(retry), ..s.lenient() }).await;
    let offered = s.poll_all().await;
    for (device, offer) in &offered[..3] {
        s.succeed(*device, &offer.update_id, "2.0.0", 2).await;
    }
    let (device, first) = offered[3].clone();
    s.say(device, &first.update_id, UpdateState::Failed).await.unwrap();
    s.rollouts().tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.state, course.totals().failed, course.totals().succeeded), (RolloutState::Running, 1, 3), "it is waited for");
    s.w.clock.advance(29 * MINUTE);
    assert_eq!(s.rollouts().poll(device).await.unwrap(), None);
    let why = s.rollouts().explain(device).await.unwrap();
    assert!(why.contains("it could not be installed. Tried once; it is offered again in 1 min"), "{why}");
    s.w.clock.advance(MINUTE);
    let second = s.rollouts().poll(device).await.unwrap().expect("a second attempt");
    assert_ne!(second.update_id, first.update_id);
    let course = s.checked(&id).await;
    assert_eq!((course.totals().failed, course.totals().updating, course.totals().total), (0, 1, 4), "it counts once");
    s.say(device, &second.update_id, UpdateState::Failed).await.unwrap();
    s.w.clock.advance(59 * MINUTE);
    assert_eq!(s.rollouts().poll(device).await.unwrap(), None, "the second wait is twice the first");
    s.w.clock.advance(MINUTE);
    let third = s.rollouts().poll(device).await.unwrap().expect("a third attempt");
    // A late word on an old attempt is history.
    assert_eq!(s.say(device, &first.update_id, UpdateState::Succeeded).await.unwrap(), UpdateState::Failed);
    s.say(device, &third.update_id, UpdateState::Failed).await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 3 of 4 succeeded, 1 failed", "it was tried as often as the plan says");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_fell_silent_may_come_again_and_puts_the_numbers_right(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let retry = Retry { classes: vec![RetryClass::TimedOut], times: 1, wait_min: 10 };
    let id = s.approved(RolloutSpec { retry: Some(retry), timeout_min: 60, ..s.lenient() }).await;
    let offered = s.poll_all().await;
    s.succeed(offered[0].0, &offered[0].1.update_id, "2.0.0", 2).await;
    s.say(offered[1].0, &offered[1].1.update_id, UpdateState::Downloading).await.unwrap();
    s.w.clock.advance(61 * MINUTE);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.checked(&id).await.totals().timed_out, 1);
    s.w.clock.advance(10 * MINUTE);
    let again = s.rollouts().poll(offered[1].0).await.unwrap().expect("another attempt");
    s.succeed(offered[1].0, &again.update_id, "2.0.0", 2).await;
    s.rollouts().tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.summary.as_str(), course.stages[0].state), ("Completed: 2 of 2 succeeded", StageState::Succeeded));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_newer_rollout_takes_over_what_has_not_begun(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let old = s.approved(RolloutSpec { name: "old".into(), ..s.lenient() }).await;
    let offered = s.poll_all().await;
    s.say(offered[0].0, &offered[0].1.update_id, UpdateState::Downloading).await.unwrap();
    s.say(offered[1].0, &offered[1].1.update_id, UpdateState::AwaitingWindow).await.unwrap();
    let newer = s.publish("3.0.0", 3).await;
    let new = s.approved(RolloutSpec { name: "new".into(), release: newer, ..s.lenient() }).await;
    let now = s.poll_all().await;
    assert_eq!(now[0].1.update_id, offered[0].1.update_id, "what is begun goes on");
    for i in [1, 2] {
        assert_eq!(now[i].1.rollout_id, new);
        let told = s.rollouts().standing(offered[i].0, Some(&offered[i].1.update_id)).await.unwrap();
        assert!(told.taken_back && told.offer.unwrap().rollout_id == new, "it is told that the old one is over");
        let late = s.say(offered[i].0, &offered[i].1.update_id, UpdateState::Downloading).await.unwrap();
        assert_eq!(late, UpdateState::Superseded);
    }
    let (before, after) = (s.checked(&old).await.totals(), s.checked(&new).await.totals());
    assert_eq!((before.updating, before.left_out, after.updating), (1, 2, 2));
    assert_eq!(s.poll_all().await, now, "and it stays so");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_more_urgent_comes_first_and_is_not_taken_over(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let urgent = s.approved(RolloutSpec { name: "urgent".into(), priority: 5, ..s.lenient() }).await;
    let newer = s.publish("3.0.0", 3).await;
    let new = s.approved(RolloutSpec { name: "new".into(), release: newer, ..s.lenient() }).await;
    let offered = s.poll_all().await;
    assert!(offered.iter().all(|(_, offer)| offer.rollout_id == urgent), "the newer one has a lower priority");
    assert_eq!(s.poll_all().await, offered);
    for (device, offer) in &offered {
        s.succeed(*device, &offer.update_id, "2.0.0", 2).await;
    }
    assert!(s.poll_all().await.iter().all(|(_, offer)| offer.rollout_id == new), "then the newer one has its turn");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_dry_run_says_whom_others_have_and_what_comes_of_it(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let newer = s.publish("3.0.0", 3).await;
    let plan = RolloutSpec { name: "new".into(), release: newer, ..s.lenient() };
    let dry = async |plan: &RolloutSpec| {
        let preview = s.rollouts().preview(&s.oli, plan).await.unwrap();
        (preview.total, preview.warnings)
    };
    assert_eq!(dry(&plan).await, (4, vec![]));
    // Nobody has asked for the older one yet: of the same priority the newer one goes first.
    let old = s.approved(RolloutSpec { name: "old".into(), priority: 3, ..s.lenient() }).await;
    assert_eq!(dry(&RolloutSpec { priority: 3, ..plan.clone() }).await, (4, vec![]));
    let first = "“old” (priority 3) is for 4 devices of this as well, and goes first where it is the turn of both: this comes to them when that is over.";
    assert_eq!(dry(&plan).await, (4, vec![first.to_owned()]));
    let offered = s.poll_all().await;
    s.say(offered[0].0, &offered[0].1.update_id, UpdateState::Downloading).await.unwrap();
    s.say(offered[1].0, &offered[1].1.update_id, UpdateState::Rejected).await.unwrap();
    let begun = "1 device is being updated by “old”. It is in no stage here, and this comes to it when that is over.";
    let over = "2 devices have an offer of “old” that they have not begun. If that is so when this is offered to them, this takes over, and their update by \
                “old” ends as superseded.";
    assert_eq!(dry(&RolloutSpec { priority: 3, ..plan.clone() }).await, (3, vec![begun.to_owned(), over.to_owned()]));
    // One that is less urgent takes nothing over.
    let held = "3 devices are being updated by “old”. They are in no stage here, and this comes to them when that is over.";
    assert_eq!(dry(&plan).await, (1, vec![held.to_owned()]), "who has refused it waits for it no more");
    // And so it goes.
    s.approved(RolloutSpec { priority: 3, ..plan }).await;
    s.poll_all().await;
    let totals = s.checked(&old).await.totals();
    assert_eq!((totals.updating, totals.rejected, totals.left_out), (1, 1, 2));
}
