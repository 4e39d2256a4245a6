//! The update of one device, cancelled by a person while its rollout goes on, on both engines.

use super::{Scene, fault, stage};
use crate::{
    bus::Event,
    db::EngineKind,
    rollouts::ddi::{Answer, Notes, Task},
};
use rstest::rstest;
use wire::{
    FaultKind,
    ids::{DeviceId, RolloutId},
    rollouts::{EndClass, GateSpec, Outlook, Reach, Retry, RetryClass, RolloutSpec, StageSpec, UpdateQuery},
    states::{RolloutState, UpdateState},
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
    fn whatever_is_said(&self) -> RolloutSpec {
        let gate = GateSpec { success_percent: 0.0, error_percent: 100.0, ..GateSpec::default() };
        self.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }])
    }

    /// Oli cancels the update of the device that joined as this one.
    async fn cancel(&self, id: &RolloutId, n: usize) -> crate::Result<()> {
        self.rollouts().cancel_update(&self.oli, id, &named(n), None, "on show").await
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
    assert_eq!(s.state(&id).await, RolloutState::Completed, "one of one has succeeded");
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
