//! The update of one device, cancelled by a person while its rollout goes on, on both engines.

use super::{Scene, fault, stage};
use crate::{
    bus::Event,
    db::EngineKind,
    devices::DeviceNo,
    rollouts::ddi::{Answer, Notes, Task},
};
use rstest::rstest;
use wire::{
    FaultKind,
    ids::{DeviceId, RolloutId},
    rollouts::{EndClass, GateSpec, Outlook, Reach, Retry, RetryClass, RolloutSpec, StageSpec, UpdateQuery, Verb},
    states::{RolloutState, StageState, UpdateState},
    time::DAY_MS,
    updates::UpdateFailure,
};

fn named(n: usize) -> DeviceId {
    format!("gw-{n}").parse().unwrap()
}

impl Scene {
    /// A rollout to everybody, whatever is said of it.
    async fn lenient_to_all(&self) -> RolloutId {
        self.approved(self.whatever_is_said()).await
    }

    /// Its plan.
    pub(super) fn whatever_is_said(&self) -> RolloutSpec {
        let gate = GateSpec { success_percent: 0.0, error_percent: 100.0, ..GateSpec::default() };
        self.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }])
    }

    /// Oli cancels the update of the device that joined as this one.
    pub(super) async fn cancel(&self, id: &RolloutId, n: usize) -> crate::Result<()> {
        self.rollouts().cancel_update(&self.oli, id, &named(n), None, "on show").await
    }

    /// As which a device has joined, from 1.
    pub(super) fn joined_as(&self, device: DeviceNo) -> usize {
        self.devices.iter().position(|joined| *joined == device).unwrap() + 1
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn one_device_is_taken_out_and_comes_again_only_by_a_person(#[case] kind: EngineKind) {
    use UpdateState as U;
    let s = Scene::open(kind, 5).await;
    let (room, vic) = (s.rollouts(), s.w.viewer().await);
    let id = s.lenient_to_all().await;
    assert_eq!(fault(s.cancel(&id, 1).await).code, "not_now", "nothing is under way");
    let offered = s.poll_all().await;
    for (n, state) in [(2, U::Downloading), (3, U::Installing), (4, U::Downloaded)] {
        s.say(offered[n - 1].0, &offered[n - 1].1.update_id, state).await.unwrap();
    }
    assert_eq!(fault(room.cancel_update(&vic, &id, &named(1), None, "").await).kind, FaultKind::Forbidden);
    assert_eq!(fault(s.cancel(&id, 9).await).kind, FaultKind::NotFound);
    let nowhere = "rol_00000000000000000000000000000000".parse().unwrap();
    assert_eq!(fault(s.cancel(&nowhere, 1).await).kind, FaultKind::NotFound);
    let installs = fault(s.cancel(&id, 3).await);
    assert!(installs.code == "not_now" && installs.message.contains("can only go on"), "{installs:?}");
    let other = room.cancel_update(&s.oli, &id, &named(1), Some(&offered[1].1.update_id), "").await;
    assert!(fault(other).message.starts_with("Another attempt stands by now."));
    assert_eq!(s.checked(&id).await.totals().left_out, 0, "nothing was changed");
    for (n, may) in [(1, true), (3, false)] {
        let why = room.why(&s.oli, s.devices[n - 1]).await.unwrap();
        assert_eq!((why.outlook, why.rollouts[0].may_cancel), (Outlook::UnderWay, may), "{n}");
    }
    assert!(!room.why(&vic, s.devices[0]).await.unwrap().rollouts[0].may_cancel);

    let mut events = s.w.fleet.bus().listen();
    let digest = &offered[0].1.downloads[0].sha256;
    for n in [1, 2, 4] {
        room.cancel_update(&s.oli, &id, &named(n), Some(&offered[n - 1].1.update_id), "on show").await.unwrap();
        s.cancel(&id, n).await.unwrap();
        assert!(room.may_download(s.devices[n - 1], digest).await.unwrap().is_none());
        let told = room.standing(s.devices[n - 1], Some(&offered[n - 1].1.update_id)).await.unwrap();
        assert!(told.taken_back && told.offer.is_none(), "{n}");
        let why = room.explain(s.devices[n - 1]).await.unwrap();
        assert!(why.ends_with("it was taken back (cancelled by oli: on show)."), "{why}");
    }
    let told = Scene::told(&mut events).into_iter().filter(|e| matches!(e, Event::Cancelled { .. })).count();
    assert_eq!(told, 3, "once each");
    let booked = s.audited().await.into_iter().filter(|action| action == "device.cancel_update").count();
    let detail = s.detail(&id).await;
    let lines = detail.history.iter().filter(|e| e.text.ends_with(" was cancelled by oli: on show")).count();
    assert_eq!((booked, lines, detail.cancelled), (3, 3, 3));
    let listed = async |stage: Option<u32>, q: &str| {
        let query = UpdateQuery { stage, outcome: Some(UpdateFailure::Cancelled), q: q.into(), ..UpdateQuery::default() };
        let page = room.updates(&s.oli, &id, &query).await.unwrap();
        assert!(page.items.iter().all(|row| row.state == U::Cancelled));
        (page.items.iter().map(|row| row.device_id.to_string()).collect::<Vec<_>>(), page.total)
    };
    let named_three = ["gw-1", "gw-2", "gw-4"].map(str::to_owned).to_vec();
    assert_eq!(listed(None, "").await, (named_three.clone(), 3));
    assert_eq!(listed(Some(1), "").await, (named_three, 3));
    assert_eq!(listed(None, "gw-2").await.0, ["gw-2"]);
    let counts = s.checked(&id).await.totals();
    assert_eq!((counts.updating, counts.left_out, counts.errors(), counts.total), (2, 3, 0, 5), "nobody has failed");

    // What comes late changes nothing, but for a success: this one had begun to install before it was told.
    assert_eq!(s.say(offered[1].0, &offered[1].1.update_id, U::Downloaded).await.unwrap(), U::Cancelled);
    assert_eq!(s.succeed(offered[3].0, &offered[3].1.update_id, "2.0.0", 2).await, U::Succeeded);
    s.w.clock.advance(30 * 60_000);
    assert_eq!(s.poll_all().await.len(), 2, "the planner does not offer it again");
    s.retry(&id, &[EndClass::Cancelled]).await.unwrap();
    let detail = s.detail(&id).await;
    assert!(detail.history.iter().any(|e| e.text == "2 devices to try again, of those that somebody cancelled, by oli"), "{detail:?}");
    assert_eq!((detail.cancelled, s.checked(&id).await.totals().waiting), (0, 2));
    assert_eq!(listed(None, "").await, (Vec::new(), 0), "who waits again is not among them");
    assert_eq!(fault(s.retry(&id, &[EndClass::Cancelled]).await).message, "There is no device that somebody cancelled.");
    let again = fault(s.cancel(&id, 1).await);
    assert!(again.message.contains("nothing under way"), "it only waits: {again:?}");
    s.everybody_updates().await;
    assert_eq!(room.updates_of(s.devices[0]).await.unwrap()[0].attempt, 2, "what a person cancelled was an attempt");
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 5 of 5 succeeded");
    assert_eq!(fault(s.cancel(&id, 1).await).message, "This update has ended already: the device runs it.");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_last_one_that_a_stage_waits_for_may_be_cancelled_also_while_it_is_paused(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let gate = GateSpec { success_percent: 100.0, min_sample: 1, ..GateSpec::default() };
    let id = s.approved(s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }])).await;
    let offered = s.poll_all().await;
    for (device, offer) in &offered {
        s.say(*device, &offer.update_id, UpdateState::Downloading).await.unwrap();
    }
    s.succeed(offered[0].0, &offered[0].1.update_id, "2.0.0", 2).await;
    s.rollouts().pause(&s.oli, &id, "").await.unwrap();
    s.cancel(&id, 2).await.unwrap();
    assert_eq!((s.state(&id).await, s.checked(&id).await.totals().left_out), (RolloutState::Paused, 1));
    s.rollouts().resume(&s.oli, &id, "").await.unwrap();
    s.rollouts().tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.state, course.stages[0].state), (RolloutState::Running, StageState::AwaitingPromotion), "it could be tried again");
    let told: Vec<String> = s.detail(&id).await.history.into_iter().map(|e| e.text).collect();
    let asks = "; 1 cancelled device can be tried again: it waits for a person to do that, or to end it, until ";
    let asks = format!("{asks}{}", s.w.clock_now().plus(DAY_MS).readable());
    assert!(told.iter().any(|text| text.starts_with("Stage 1 passed: 1 of 1 finished") && text.ends_with(&asks)), "{told:?}");
    assert_eq!(s.poll_all().await.len(), 0, "nobody comes meanwhile");
    s.rollouts().act(&s.oli, &id, Verb::Promote, None, "").await.unwrap();
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 1 of 2 succeeded, 1 left out");
    let ended = "It is completed. Devices are tried again only while it runs, is paused or is halted: draft a new rollout for the devices that failed.";
    assert_eq!(fault(s.retry(&id, &[EndClass::Cancelled]).await).message, ended);
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn whose_stage_is_watched_is_tried_again_and_the_watch_begins_anew(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let mut plan = s.whatever_is_said();
    plan.stages[0].soak_s = 600;
    let id = s.approved(plan).await;
    let offered = s.poll_all().await;
    s.succeed(offered[0].0, &offered[0].1.update_id, "2.0.0", 2).await;
    s.say(offered[1].0, &offered[1].1.update_id, UpdateState::Failed).await.unwrap();
    s.cancel(&id, 3).await.unwrap();
    let of_stage = async || s.checked(&id).await.stages.remove(0).state;
    assert_eq!(of_stage().await, StageState::Soaking);
    // Also while it is paused; they come when it goes on.
    s.rollouts().pause(&s.oli, &id, "").await.unwrap();
    s.retry(&id, &[EndClass::Failed]).await.unwrap();
    assert_eq!((of_stage().await, s.poll_all().await.len()), (StageState::Running, 0));
    s.rollouts().resume(&s.oli, &id, "").await.unwrap();
    let again = s.poll_all().await;
    assert_eq!(again.iter().map(|(device, _)| *device).collect::<Vec<_>>(), [offered[1].0]);
    s.succeed(again[0].0, &again[0].1.update_id, "2.0.0", 2).await;
    s.rollouts().tick().await.unwrap();
    assert_eq!(of_stage().await, StageState::Soaking);
    s.w.clock.advance(500_000);
    s.retry(&id, &[EndClass::Cancelled]).await.unwrap();
    assert_eq!(of_stage().await, StageState::Running);
    let last = s.rollouts().poll(s.devices[2]).await.unwrap().expect("another attempt");
    s.succeed(s.devices[2], &last.update_id, "2.0.0", 2).await;
    s.rollouts().tick().await.unwrap();
    s.w.clock.advance(500_000);
    s.rollouts().tick().await.unwrap();
    assert_eq!(of_stage().await, StageState::Soaking, "it is watched for its whole time");
    s.w.clock.advance(100_000);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 3 of 3 succeeded");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_was_cancelled_in_an_earlier_stage_is_not_forgotten_at_the_end(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let mut plan = s.whatever_is_said();
    plan.stages.insert(0, StageSpec { name: "First".into(), reach: Reach::Count(1), ..plan.stages[0].clone() });
    let id = s.approved(plan).await;
    let offered = s.poll_all().await;
    let first = s.joined_as(offered[0].0);
    s.cancel(&id, first).await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.stage, course.stages[0].state), (1, StageState::AwaitingPromotion), "nobody could be judged");
    s.retry(&id, &[EndClass::Cancelled]).await.unwrap();
    assert_eq!((s.checked(&id).await.stages[0].state, s.poll_all().await.len()), (StageState::Running, 1));
    s.cancel(&id, first).await.unwrap();
    s.rollouts().act(&s.oli, &id, Verb::Promote, None, "").await.unwrap();
    assert_eq!(s.everybody_updates().await, 2);
    s.rollouts().tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.state, course.stage, course.stages[1].state), (RolloutState::Running, 2, StageState::AwaitingPromotion));
    s.retry(&id, &[EndClass::Cancelled]).await.unwrap();
    assert_eq!(s.everybody_updates().await, 1);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 3 of 3 succeeded");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_day_after_the_last_was_cancelled_the_rollout_ends_by_itself(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let id = s.lenient_to_all().await;
    let offered = s.poll_all().await;
    s.cancel(&id, 1).await.unwrap();
    s.w.clock.advance(3_600_000);
    s.cancel(&id, 2).await.unwrap();
    assert_eq!(s.checked(&id).await.stages[0].state, StageState::AwaitingPromotion);
    s.w.clock.advance(DAY_MS - 1);
    s.rollouts().tick().await.unwrap();
    assert_eq!((offered.len(), s.state(&id).await), (2, RolloutState::Running));
    s.w.clock.advance(1);
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.summary, "Completed: 0 of 2 succeeded, 2 left out");
    let why = "Stage 1 ended: nobody could be judged: 2 devices left out; nobody had 2 cancelled devices tried again in time";
    assert!(detail.history.iter().any(|e| e.text == why), "{detail:?}");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_was_cancelled_more_than_a_day_ago_holds_no_rollout_up(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let mut plan = s.whatever_is_said();
    plan.stages[0].soak_s = 2 * 24 * 3600;
    let id = s.approved(plan).await;
    let offered = s.poll_all().await;
    s.cancel(&id, 1).await.unwrap();
    let other = offered.iter().find(|(device, _)| *device == s.devices[1]).unwrap();
    s.succeed(other.0, &other.1.update_id, "2.0.0", 2).await;
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.checked(&id).await.stages[0].state, StageState::Soaking);
    s.w.clock.advance(2 * DAY_MS);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 1 of 2 succeeded, 1 left out");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn nobody_is_waited_for_once_the_cancelled_device_runs_it_after_all(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let id = s.lenient_to_all().await;
    let offered = s.poll_all().await;
    s.say(offered[0].0, &offered[0].1.update_id, UpdateState::Downloaded).await.unwrap();
    s.cancel(&id, 1).await.unwrap();
    assert_eq!(s.checked(&id).await.stages[0].state, StageState::AwaitingPromotion);
    assert_eq!(s.succeed(offered[0].0, &offered[0].1.update_id, "2.0.0", 2).await, UpdateState::Succeeded);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 1 of 1 succeeded");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_installs_what_was_cancelled_is_not_tried_again_by_itself(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let retry = Retry { classes: vec![RetryClass::Reverted], times: 3, wait_min: 1 };
    let id = s.approved(RolloutSpec { retry: Some(retry), ..s.whatever_is_said() }).await;
    let offered = s.poll_all().await;
    for (device, offer) in &offered {
        s.say(*device, &offer.update_id, UpdateState::Downloaded).await.unwrap();
    }
    s.cancel(&id, 1).await.unwrap();
    // It began before it was told; what is under way with the third keeps the stage running.
    for (device, offer) in &offered[..2] {
        assert_eq!(s.say(*device, &offer.update_id, UpdateState::Reverted).await.unwrap(), UpdateState::Reverted);
    }
    s.w.clock.advance(2 * 60_000);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.rollouts().poll(s.devices[0]).await.unwrap(), None, "a person has taken it out");
    assert!(s.rollouts().poll(s.devices[1]).await.unwrap().is_some(), "the plan says so of the others");
    assert_eq!(s.checked(&id).await.totals().reverted, 1);
    s.retry(&id, &[EndClass::Reverted]).await.unwrap();
    let again = s.rollouts().poll(s.devices[0]).await.unwrap().expect("a person has it tried again");
    assert_ne!(again.update_id, offered[0].1.update_id);
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_speaks_hawkbits_protocol_is_told_to_stop_and_answers(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let id = s.lenient_to_all().await;
    let asks = async || room.ask_ddi(&s.w.org, device).await.unwrap().task;
    let Task::Install(number) = asks().await else { panic!("an update") };
    let action = room.action(device, number).await.unwrap().unwrap();
    s.say(device, &action.update, UpdateState::Downloading).await.unwrap();
    // Another device keeps the stage running.
    room.poll(s.devices[1]).await.unwrap().expect("an offer");
    s.cancel(&id, 1).await.unwrap();
    assert_eq!(asks().await, Task::Cancel(number));
    let why = room.explain(device).await.unwrap();
    assert!(why.starts_with("“spring” was taken back, and the device has not answered that."), "{why}");
    let cancelled = room.action(device, number).await.unwrap().unwrap();
    room.heard_ddi(&cancelled, Notes { answer: Answer::Accepted, ..Notes::default() }).await.unwrap();
    assert_eq!(asks().await, Task::Nothing);
    s.retry(&id, &[EndClass::Cancelled]).await.unwrap();
    room.look_again(device);
    let Task::Install(again) = asks().await else { panic!("another attempt") };
    assert!(again > number);
    s.checked(&id).await;
}
