//! What a device that speaks hawkBit's protocol finds when it asks.

use super::{Scene, says, stage};
use crate::{
    db::{EngineKind, Sql, exec},
    devices::DeviceNo,
    rollouts::{
        Fetching,
        ddi::{Action, Answer, Notes, Phase, Task},
        hearing::{NEVER_PROVEN, UNPROVEN},
    },
};
use rstest::rstest;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::timeout;
use wire::{
    device::{StatusReport, Telling},
    ids::RolloutId,
    rollouts::{GateSpec, Reach, Retry, RetryClass, RolloutSpec, StageSpec, StepLimits},
    states::{DeviceStep, UpdateState},
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const AWAY: Sql = Sql::same("UPDATE devices SET online = FALSE WHERE number = $1");

impl Scene {
    async fn asks(&self, device: DeviceNo) -> Task {
        self.rollouts().ask_ddi(&self.w.org, device).await.unwrap().task
    }

    async fn action(&self, device: DeviceNo, number: i64) -> Action {
        self.rollouts().action(device, number).await.unwrap().unwrap()
    }

    /// A rollout of this release to everybody, whatever is said of it.
    async fn to_all(&self, name: &str, release: &wire::ids::ReleaseId) -> RolloutId {
        let gate = GateSpec { error_percent: 100.0, success_percent: 0.0, ..GateSpec::default() };
        let spec = self.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }]);
        let id = self.approved(RolloutSpec { name: name.into(), release: release.clone(), ..spec }).await;
        self.rollouts().tick().await.unwrap();
        id
    }

    /// The time-out passes, and nothing is heard.
    async fn silence(&self) {
        self.w.clock.advance(2 * HOUR);
        self.rollouts().tick().await.unwrap();
    }
}

fn installs(task: Task) -> i64 {
    let Task::Install(number) = task else { panic!("{task:?}") };
    number
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite, true)]
#[case::postgres(EngineKind::Postgres, true)]
#[case::without_the_file(EngineKind::Sqlite, false)]
#[tokio::test]
async fn who_fell_silent_with_the_file_finds_its_own_update_first(#[case] kind: EngineKind, #[case] fetched: bool) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    s.to_all("winter", &s.release).await;
    let first = installs(s.asks(device).await);
    let action = s.action(device, first).await;
    s.say(device, &action.update, UpdateState::Downloading).await.unwrap();
    room.heard_ddi(&action, Notes { fetched, ..Notes::default() }).await.unwrap();
    s.silence().await;
    let newer = s.publish("3.0.0", 3).await;
    s.to_all("spring", &newer).await;
    let silent = s.action(device, first).await;
    assert_eq!((silent.state, silent.fetched), (UpdateState::TimedOut, fetched));
    if !fetched {
        assert!(installs(s.asks(device).await) > first, "it never had anything to install");
        return;
    }
    let owed = "The device has fetched 2.0.0 by “winter” and fell silent. It is offered nothing else before it says how that ended, for ";
    assert!(room.explain(device).await.unwrap().starts_with(owed));
    assert_eq!(installs(s.asks(device).await), first, "a client would take the newer one for what it installed");
    let release = room.content(&silent).await.unwrap().unwrap();
    assert!(silent.may_fetch(&release, s.w.clock_now()), "it may have lost it");
    s.w.fleet.releases().recall(&s.ada, &s.release, "it burns").await.unwrap();
    assert_eq!(installs(s.asks(device).await), first);
    let release = room.content(&silent).await.unwrap().expect("it is told what it reports on");
    assert!(!silent.may_fetch(&release, s.w.clock_now()), "and given nothing");

    assert_eq!(s.succeed(device, &silent.update, "2.0.0", 2).await, UpdateState::Succeeded);
    room.heard_ddi(&silent, Notes { last: true, ..Notes::default() }).await.unwrap();
    let second = installs(s.asks(device).await);
    assert!(second > first);
    assert!(!s.action(device, first).await.newest && s.action(device, second).await.newest);
    assert!(room.explain(device).await.unwrap().starts_with("Updating to 3.0.0 by “spring”"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_never_restarts_is_waited_for_a_month(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let device = s.devices[0];
    s.to_all("winter", &s.release).await;
    let first = installs(s.asks(device).await);
    let action = s.action(device, first).await;
    s.rollouts().heard_ddi(&action, Notes { fetched: true, ..Notes::default() }).await.unwrap();
    s.silence().await;
    s.w.clock.advance(29 * DAY);
    assert_eq!(installs(s.asks(device).await), first);
    let newer = s.publish("3.0.0", 3).await;
    s.to_all("spring", &newer).await;
    s.w.clock.advance(DAY);
    assert!(installs(s.asks(device).await) > first);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_cancellation_without_an_answer_ends_by_itself(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let winter = s.to_all("winter", &s.release).await;
    let first = installs(s.asks(device).await);
    room.pause(&s.oli, &winter, "").await.unwrap();
    let newer = s.publish("3.0.0", 3).await;
    s.to_all("spring", &newer).await;
    assert_eq!(s.asks(device).await, Task::Cancel(first));
    let owed = "“winter” was taken back, and the device has not answered that. It is offered nothing else before it does, for 7 d";
    assert!(room.explain(device).await.unwrap().starts_with(owed), "{}", room.explain(device).await.unwrap());
    s.w.clock.advance(7 * DAY);
    assert_eq!(s.asks(device).await, Task::Cancel(first));
    s.w.clock.advance(HOUR);
    s.rollouts().tick().await.unwrap();
    assert!(installs(s.asks(device).await) > first);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn answers_and_lines_are_kept_together_and_the_first_answer_stands(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let winter = s.to_all("winter", &s.release).await;
    let number = installs(s.asks(device).await);
    room.pause(&s.oli, &winter, "").await.unwrap();
    let action = s.action(device, number).await;
    let lines = ["no\u{202e}\n".to_owned()];
    room.heard_ddi(&action, Notes { answer: Answer::Refused, lines: &lines, ..Notes::default() }).await.unwrap();
    let answer = Notes { answer: Answer::Accepted, ..Notes::default() };
    room.heard_ddi(&action, answer).await.unwrap();
    let after = s.action(device, number).await;
    assert_eq!((after.cancel, after.closed, after.fetched), (Answer::Refused, false, false));
    assert_eq!(room.said_ddi(&after, 9).await.unwrap(), ["no"]);
    // What is no news needs no transaction: on SQLite it would wait for the one that is open.
    let writer = room.db.write().await.unwrap();
    timeout(Duration::from_secs(5), room.heard_ddi(&after, answer)).await.unwrap().unwrap();
    drop(writer);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn lines_of_a_report_stand_beside_its_state_and_are_not_kept_twice(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    s.to_all("winter", &s.release).await;
    let action = s.action(device, installs(s.asks(device).await)).await;
    let report = StatusReport { detail: Some("one; two".into()), ..says(&action.update, UpdateState::Downloading) };
    room.report_in_lines(device, report, &["one".into(), " two\n".into()]).await.unwrap();
    room.heard_ddi(&action, Notes { lines: &["beside it".into()], ..Notes::default() }).await.unwrap();
    let said = room.log_of(device, &action.update).await.unwrap().items;
    let said: Vec<_> = said.iter().map(|line| (line.state, line.line.as_str())).collect();
    let downloading = Some(UpdateState::Downloading);
    assert_eq!(said, [(None, "beside it"), (downloading, "two"), (downloading, "one")]);
    assert_eq!(room.said_ddi(&action, 2).await.unwrap(), ["beside it", "two"], "which is its action history");
    assert_eq!(room.updates_of(device).await.unwrap()[0].detail, "one; two");
    room.report_in_lines(device, says(&action.update, UpdateState::Downloaded), &[]).await.unwrap();
    assert_eq!(room.said_ddi(&action, 9).await.unwrap().len(), 3, "a state alone is no line");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_devices_said_is_forgotten_after_a_month_and_with_the_device(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let room = s.rollouts();
    s.to_all("winter", &s.release).await;
    let mut actions = Vec::new();
    for device in &s.devices {
        let number = installs(s.asks(*device).await);
        let action = s.action(*device, number).await;
        room.heard_ddi(&action, Notes { lines: &["old".into()], ..Notes::default() }).await.unwrap();
        actions.push(action);
    }
    let said = async |n: usize| room.said_ddi(&actions[n], 9).await.unwrap();
    s.w.clock.advance(30 * DAY);
    room.heard_ddi(&actions[0], Notes { lines: &["new".into()], ..Notes::default() }).await.unwrap();
    room.heard_ddi(&actions[1], Notes { lines: &["new".into()], ..Notes::default() }).await.unwrap();
    room.forget_said().await.unwrap();
    assert_eq!(said(0).await, ["new", "old"]);
    s.w.clock.advance(DAY + 1);
    room.forget_said().await.unwrap();
    assert_eq!((said(0).await, said(1).await), (vec!["new".to_owned()], vec!["new".to_owned()]));

    s.w.fleet.devices().change(&s.ada, &"gw-1".parse().unwrap(), DeviceStep::Delete).await.unwrap();
    s.w.fleet.forget_deleted().await.unwrap();
    assert_eq!((said(0).await, said(1).await), (vec![], vec!["new".to_owned()]));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_polls_is_not_called_offline_and_bytes_that_flow_are_signs_of_life(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device, devices) = (s.rollouts(), s.devices[0], s.w.fleet.devices());
    s.to_all("winter", &s.release).await;
    let mut tx = room.db.write().await.unwrap();
    exec!(&mut tx, AWAY, device).unwrap();
    tx.commit().await.unwrap();
    let reason = async || room.explain(device).await.unwrap();
    assert!(reason().await.contains("the device is offline"));
    devices.seen(device);
    devices.flush_presence(true).await.unwrap();
    assert_eq!(reason().await, "“winter” brings 2.0.0: it is its turn; it gets it when it asks next.");
    s.w.clock.advance(15 * 60_000);
    assert!(reason().await.contains("the device is offline"), "it has not asked for a while");

    let number = installs(s.asks(device).await);
    let downloads = says(&s.action(device, number).await.update, UpdateState::Downloading);
    room.report(device, StatusReport { progress: Some(7), detail: Some("slow".into()), ..downloads }).await.unwrap();
    for _ in 0..4 {
        s.w.clock.advance(50 * 60_000);
        room.flows(&s.action(device, number).await).await.unwrap();
        room.tick().await.unwrap();
    }
    assert_eq!(s.action(device, number).await.state, UpdateState::Downloading);
    let row = &room.updates_of(device).await.unwrap()[0];
    assert_eq!((row.progress, row.detail.as_str()), (Some(7), "slow"), "what the device said stays");
    s.silence().await;
    room.flows(&s.action(device, number).await).await.unwrap();
    assert_eq!(s.action(device, number).await.state, UpdateState::TimedOut);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_success_that_is_never_proven_fails_with_its_step_and_is_tried_again_where_the_plan_says_so(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let (room, claims, silent, honest) = (s.rollouts(), s.devices[0], s.devices[1], s.devices[2]);
    let gate = GateSpec { error_percent: 100.0, success_percent: 0.0, ..GateSpec::default() };
    let spec = s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }]);
    let steps = StepLimits { verifying_min: Some(10), ..StepLimits::default() };
    let retry = Some(Retry { classes: vec![RetryClass::Failed], times: 1, wait_min: 30 });
    let id = s.approved(RolloutSpec { steps, retry, ..spec }).await;
    room.tick().await.unwrap();
    let first = installs(s.asks(claims).await);
    installs(s.asks(silent).await);
    let offer = room.poll(honest).await.unwrap().expect("an offer");
    assert_eq!(s.succeed(honest, &offer.update_id, "2.0.0", 2).await, UpdateState::Succeeded);
    let action = s.action(claims, first).await;
    let said = async |action: &Action| room.report_on_action(action, says(&action.update, UpdateState::Succeeded), &[]).await.unwrap();
    assert_eq!(said(&action).await, UpdateState::Verifying);
    let held = s.action(claims, first).await;
    assert_eq!((held.phase(s.w.clock_now()), held.closed, held.fetched), (Phase::Proving, true, false));
    let until = held.deadline;
    assert_eq!(until, s.w.clock_now().plus(HOUR / 6), "the limit of its step");
    assert!(room.updates_of(claims).await.unwrap()[0].detail.ends_with(&format!("or fails on {}.", until.readable())));
    assert_eq!(s.asks(claims).await, Task::Nothing);
    s.w.clock.advance(HOUR / 6 - 1);
    assert_eq!(said(&held).await, UpdateState::Verifying);
    room.flows(&held).await.unwrap();
    room.downloads_on(claims).await.unwrap();
    let heard = s.action(claims, first).await;
    assert_eq!((heard.state, heard.deadline), (UpdateState::Verifying, until), "nothing moves it");

    s.silence().await;
    let row = room.updates_of(claims).await.unwrap()[0].clone();
    assert_eq!((row.state, row.code.as_str()), (UpdateState::Failed, NEVER_PROVEN));
    assert_eq!(s.action(claims, first).await.phase(s.w.clock_now()), Phase::Ended);
    let counts = s.detail(&id).await.row.counts;
    assert_eq!((counts.failed, counts.timed_out, counts.updating), (1, 1, 0));
    let told = "1 device fell silent and timed out; 1 device said success and did not prove it in time";
    assert!(s.detail(&id).await.history.iter().any(|event| event.text == told));
    s.checked(&id).await;
    s.w.clock.advance(HOUR / 2);
    assert!(installs(s.asks(claims).await) > first, "another attempt");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn no_code_of_a_device_is_taken_for_a_success_that_has_to_be_proven(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    s.to_all("winter", &s.release).await;
    let offer = room.poll(device).await.unwrap().expect("an offer");
    let verifies = StatusReport {
        code: Some(UNPROVEN.into()),
        detail: Some("It says success".into()),
        ..says(&offer.update_id, UpdateState::Verifying)
    };
    assert_eq!(room.report(device, verifies.clone()).await.unwrap(), UpdateState::Verifying);
    assert!(!room.explain(device).await.unwrap().contains("It says success"));
    s.w.clock.advance(HOUR - 1);
    room.report(device, verifies).await.unwrap();
    s.w.clock.advance(HOUR - 1);
    room.tick().await.unwrap();
    assert_eq!(room.updates_of(device).await.unwrap()[0].state, UpdateState::Verifying, "its word moves the deadline");
    s.silence().await;
    let row = room.updates_of(device).await.unwrap()[0].clone();
    assert_eq!((row.state, row.code.as_str()), (UpdateState::TimedOut, "timed_out"), "it fell silent");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_success_after_the_time_out_asks_what_runs_once(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device, devices) = (s.rollouts(), s.devices[0], s.w.fleet.devices());
    s.to_all("winter", &s.release).await;
    let number = installs(s.asks(device).await);
    let said = BTreeMap::from([("site".to_owned(), "hall-3".to_owned())]);
    let tells = async || devices.described(&s.w.org, device, Telling::Merge, &said).await.unwrap();
    tells().await;
    s.silence().await;
    for described in [false, true] {
        let action = s.action(device, number).await;
        let state = room.report_on_action(&action, says(&action.update, UpdateState::Succeeded), &[]).await.unwrap();
        assert_eq!((state, devices.is_described(device).await.unwrap()), (UpdateState::TimedOut, described));
        tells().await;
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_was_sent_speaks_for_a_success_as_long_as_its_action_lasts(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let room = s.rollouts();
    s.to_all("winter", &s.release).await;
    let mut actions = Vec::new();
    for device in &s.devices {
        let action = s.action(*device, installs(s.asks(*device).await)).await;
        for file in &room.content(&action).await.unwrap().unwrap().manifest.payloads {
            room.was_sent(&Fetching::from(&action), &file.sha256, &(0..file.size)).await.unwrap();
        }
        room.heard_ddi(&action, Notes { fetched: true, ..Notes::default() }).await.unwrap();
        actions.push(action);
    }
    // Signs of life move the time-out of one of them for two days more.
    for _ in 0..96 {
        s.w.clock.advance(HOUR / 2);
        room.flows(&s.action(s.devices[0], actions[0].number).await).await.unwrap();
        room.tick().await.unwrap();
    }
    s.silence().await;
    s.w.clock.advance(30 * DAY - 2 * HOUR);
    room.forget_said().await.unwrap();
    for (action, state) in actions.iter().zip([UpdateState::Succeeded, UpdateState::TimedOut]) {
        let late = s.action(action.device, action.number).await;
        assert_eq!(late.phase(s.w.clock_now()) == Phase::Active, state == UpdateState::Succeeded);
        assert_eq!(room.report_on_action(&late, says(&action.update, UpdateState::Succeeded), &[]).await.unwrap(), state);
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_asks_again_for_a_file_it_was_sent_some_of_has_that_in_its_log(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let (room, other) = (s.rollouts(), s.devices[1]);
    s.to_all("winter", &s.release).await;
    let action = s.action(s.devices[0], installs(s.asks(s.devices[0]).await)).await;
    let file = room.content(&action).await.unwrap().unwrap().manifest.payloads.remove(0);
    let lines = async |action: &Action| room.said_ddi(action, 10).await.unwrap();
    for (nth, from) in [0, 0, 0, 1].into_iter().enumerate() {
        room.fetches(&action, &file, from).await.unwrap();
        assert_eq!(lines(&action).await.is_empty(), nth == 0, "it asks for the first time");
        room.was_sent(&Fetching::from(&action), &file.sha256, &(0..1)).await.unwrap();
    }
    assert_eq!(lines(&action).await, ["from byte 1 on", "from its beginning"].map(|from| format!("asks for {} again, {from}", file.name)));
    // What it was sent for an older update is not this one's.
    room.was_sent(&Fetching { device: other, ..Fetching::from(&action) }, &file.sha256, &(0..1)).await.unwrap();
    s.w.clock.advance(1);
    let newer = s.action(other, installs(s.asks(other).await)).await;
    room.fetches(&newer, &file, 0).await.unwrap();
    assert!(lines(&newer).await.is_empty());
}
