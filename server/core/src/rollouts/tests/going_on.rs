//! Devices that go on with what was taken back from them, because they refuse to stop or had begun, on both engines.

use super::{Scene, fault, says, stage};
use crate::{
    db::EngineKind,
    devices::DeviceNo,
    rollouts::{
        Fetching,
        ddi::{Action, Answer, Notes, Task},
    },
};
use rstest::rstest;
use wire::{
    device::StatusReport,
    rollouts::{EndClass, GateSpec, Reach, Retry, RetryClass, RolloutSpec, StageSpec, Verb},
    states::{RolloutState, StageState, UpdateState},
    time::DAY_MS,
};

impl Scene {
    /// A plan to everybody whose gate takes no failure, and that tries again whatever ended badly.
    fn strict(&self) -> RolloutSpec {
        let gate = GateSpec { success_percent: 100.0, error_percent: 0.0, min_sample: 1, ..GateSpec::default() };
        let retry = Retry { classes: vec![RetryClass::Failed, RetryClass::TimedOut], times: 3, wait_min: 1 };
        RolloutSpec { retry: Some(retry), ..self.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }]) }
    }

    /// What a device that speaks hawkBit's protocol is told to install.
    async fn to_install(&self, device: DeviceNo) -> Action {
        let task = self.rollouts().ask_ddi(&self.w.org, device).await.unwrap().task;
        let Task::Install(number) = task else { panic!("{task:?}") };
        self.rollouts().action(device, number).await.unwrap().unwrap()
    }

    /// It answers that it does not stop.
    async fn refuses(&self, device: DeviceNo, number: i64) -> Action {
        let action = self.rollouts().action(device, number).await.unwrap().unwrap();
        self.rollouts().heard_ddi(&action, Notes { answer: Answer::Refused, ..Notes::default() }).await.unwrap();
        self.rollouts().action(device, number).await.unwrap().unwrap()
    }

    /// It says how its action goes.
    async fn says_of(&self, action: &Action, state: UpdateState) -> UpdateState {
        let action = self.rollouts().action(action.device, action.number).await.unwrap().unwrap();
        self.rollouts().report_on_action(&action, says(&action.update, state), &[]).await.unwrap()
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_had_begun_when_it_was_cancelled_is_under_way_again_and_its_failure_counts(#[case] kind: EngineKind) {
    use UpdateState as U;
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let id = s.approved(s.strict()).await;
    let update = room.poll(device).await.unwrap().expect("an offer").update_id;
    s.say(device, &update, U::Downloaded).await.unwrap();
    s.cancel(&id, 1).await.unwrap();
    assert_eq!(s.checked(&id).await.stages[0].state, StageState::AwaitingPromotion);
    // It may only not have heard of it yet.
    for late in [U::Downloading, U::Downloaded, U::Failed, U::Rejected] {
        assert_eq!(s.say(device, &update, late).await.unwrap(), U::Cancelled, "{late}");
    }
    assert_eq!(s.say(device, &update, U::Installing).await.unwrap(), U::Installing);
    let promoted = room.act(&s.oli, &id, Verb::Promote, None, "").await;
    assert!(fault(promoted).message.contains("still under way"));
    room.tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.stages[0].state, course.totals().updating, course.totals().left_out), (StageState::Running, 1, 0));
    assert_eq!(s.detail(&id).await.cancelled, 0);
    let passed = room.updates_of(device).await.unwrap().remove(0).passed;
    assert_eq!(passed, [U::Offered, U::Downloaded, U::Cancelled]);
    s.w.clock.advance(2 * DAY_MS);
    for _ in 0..2 {
        room.tick().await.unwrap();
    }
    assert_eq!((s.state(&id).await, s.checked(&id).await.totals().timed_out), (RolloutState::Halted, 1), "it is timed out as any other");
    assert_eq!(s.say(device, &update, U::Failed).await.unwrap(), U::Failed);
    assert_eq!(s.checked(&id).await.totals().failed, 1);
    s.w.clock.advance(10 * 60_000);
    room.resume(&s.oli, &id, "One is no pattern.").await.unwrap();
    assert_eq!(room.poll(device).await.unwrap(), None, "a person has taken it out");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_refuses_to_stop_is_under_way_again_in_limits_counts_and_gates(
    #[case] kind: EngineKind,
    #[values(UpdateState::Succeeded, UpdateState::Failed, UpdateState::TimedOut)] ends: UpdateState,
) {
    use UpdateState as U;
    let s = Scene::open(kind, 2).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let id = s.approved(RolloutSpec { at_once: Some(1), ..s.strict() }).await;
    let action = s.to_install(device).await;
    s.cancel(&id, 1).await.unwrap();
    assert_eq!(room.ask_ddi(&s.w.org, device).await.unwrap().task, Task::Cancel(action.number));
    let action = s.refuses(device, action.number).await;
    assert_eq!((action.state, action.cancel), (U::Downloading, Answer::Refused));
    let counts = s.checked(&id).await.totals();
    assert_eq!((counts.updating, counts.left_out), (1, 0));
    assert_eq!(room.poll(s.devices[1]).await.unwrap(), None, "one at once");
    assert_eq!(s.to_install(device).await.number, action.number, "it finds what it goes on with");
    let refused = s.refuses(device, action.number).await;
    assert_eq!(refused.state, U::Downloading, "said again it changes nothing");
    let digest = room.content(&action).await.unwrap().unwrap().manifest.payloads.remove(0).sha256;
    s.sends(device, &digest, 0..14).await;
    for state in [U::Downloaded, U::Installing] {
        assert_eq!(s.says_of(&action, state).await, state);
    }
    match ends {
        U::TimedOut => {
            s.w.clock.advance(DAY_MS);
            room.tick().await.unwrap();
        }
        _ => assert_eq!(s.says_of(&action, ends).await, ends),
    }
    room.tick().await.unwrap();
    let course = s.checked(&id).await;
    let counts = course.totals();
    assert_eq!(room.updates_of(device).await.unwrap()[0].state, ends);
    if ends == U::Succeeded {
        assert_eq!((counts.succeeded, course.state), (1, RolloutState::Running));
        return;
    }
    assert_eq!((counts.errors(), counts.left_out, course.state), (1, 0, RolloutState::Halted), "the gate takes no failure");
    room.resume(&s.oli, &id, "One is no pattern.").await.unwrap();
    s.w.clock.advance(10 * 60_000);
    room.look_again(device);
    assert_eq!(room.ask_ddi(&s.w.org, device).await.unwrap().task, Task::Nothing, "a person has taken it out");
    let class = if ends == U::Failed { EndClass::Failed } else { EndClass::TimedOut };
    s.retry(&id, &[class]).await.unwrap();
    room.look_again(device);
    assert!(s.to_install(device).await.number > action.number, "a person has it tried again");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_was_cancelled_is_sent_no_more_unless_its_device_refuses(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let id = s.approved(s.strict()).await;
    let action = s.to_install(device).await;
    let file = room.content(&action).await.unwrap().unwrap().manifest.payloads.remove(0).sha256;
    let sends = async |part: std::ops::Range<u64>| room.was_sent(&Fetching::from(&action), &file, &part).await;
    sends(0..4).await.unwrap();
    s.cancel(&id, 1).await.unwrap();
    assert_eq!(fault(sends(4..8).await).code, "not_now");
    s.refuses(device, action.number).await;
    sends(4..8).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_has_the_file_and_fails_before_it_has_answered_has_failed(#[case] kind: EngineKind, #[values(true, false)] fetched: bool) {
    use UpdateState as U;
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let id = s.approved(s.strict()).await;
    let action = s.to_install(device).await;
    s.says_of(&action, U::Downloading).await;
    let file = room.content(&action).await.unwrap().unwrap().manifest.payloads.remove(0);
    s.sends(device, &file.sha256, 0..if fetched { file.size } else { file.size - 1 }).await;
    room.heard_ddi(&action, Notes { fetched: true, ..Notes::default() }).await.unwrap();
    s.cancel(&id, 1).await.unwrap();
    // A download that was cut off fails as well.
    assert_eq!(s.says_of(&action, U::Failed).await, if fetched { U::Failed } else { U::Cancelled });
    room.tick().await.unwrap();
    let counts = s.checked(&id).await.totals();
    assert_eq!((counts.failed, counts.left_out), if fetched { (1, 0) } else { (0, 1) });
    assert_eq!(s.state(&id).await == RolloutState::Halted, fetched);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_stage_that_waits_for_a_person_says_no_to_what_fails_meanwhile(#[case] kind: EngineKind) {
    use UpdateState as U;
    let s = Scene::open(kind, 3).await;
    let mut plan = s.strict();
    plan.stages.insert(0, StageSpec { name: "First".into(), reach: Reach::Count(1), ..plan.stages[0].clone() });
    let id = s.approved(plan).await;
    let (device, offer) = s.poll_all().await.remove(0);
    s.say(device, &offer.update_id, U::Downloaded).await.unwrap();
    let first = s.joined_as(device);
    s.cancel(&id, first).await.unwrap();
    assert_eq!(s.checked(&id).await.stages[0].state, StageState::AwaitingPromotion, "nobody could be judged");
    for state in [U::Installing, U::Failed] {
        assert_eq!(s.say(device, &offer.update_id, state).await.unwrap(), state);
    }
    s.rollouts().tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.state, course.stages[0].state, course.stages[0].counts.failed), (RolloutState::Halted, StageState::Failed, 1));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_goes_on_after_its_stage_has_ended_is_judged_with_the_one_that_runs(#[case] kind: EngineKind) {
    use UpdateState as U;
    let s = Scene::open(kind, 3).await;
    let mut plan = s.strict();
    plan.stages.insert(0, StageSpec { name: "First".into(), reach: Reach::Count(2), ..plan.stages[0].clone() });
    let id = s.approved(plan).await;
    let offered = s.poll_all().await;
    assert_eq!(offered.len(), 2);
    s.say(offered[0].0, &offered[0].1.update_id, U::Downloaded).await.unwrap();
    let first = s.joined_as(offered[0].0);
    s.cancel(&id, first).await.unwrap();
    s.succeed(offered[1].0, &offered[1].1.update_id, "2.0.0", 2).await;
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.checked(&id).await.stage, 2);
    s.say(offered[0].0, &offered[0].1.update_id, U::Installing).await.unwrap();
    let course = s.checked(&id).await;
    let of =
        |stage: usize| (course.stages[stage].counts.updating, course.stages[stage].counts.left_out, course.stages[stage].counts.finished());
    assert_eq!([of(0), of(1)], [(0, 0, 1), (1, 0, 0)]);
    s.say(offered[0].0, &offered[0].1.update_id, U::Failed).await.unwrap();
    s.rollouts().tick().await.unwrap();
    let course = s.checked(&id).await;
    assert_eq!((course.state, course.stages[1].counts.failed), (RolloutState::Halted, 1));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_comes_of_a_rollout_that_has_ended_is_told_whether_good_or_bad(
    #[case] kind: EngineKind,
    #[values(UpdateState::Succeeded, UpdateState::Failed)] ends: UpdateState,
) {
    use UpdateState as U;
    let s = Scene::open(kind, 1).await;
    let device = s.devices[0];
    let id = s.approved(s.strict()).await;
    let action = s.to_install(device).await;
    s.rollouts().stop(&s.oli, &id, "enough").await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Stopped);
    assert_eq!(s.refuses(device, action.number).await.state, U::Cancelled, "an ended rollout has nothing under way");
    assert_eq!(s.says_of(&action, U::Installing).await, U::Cancelled);
    let runs = wire::device::Running { version: "2.0.0".into(), sequence: 2, ..wire::device::Running::default() };
    let firmware = (ends == U::Succeeded).then_some(runs);
    let told = StatusReport { firmware, ..says(&action.update, ends) };
    let action = s.rollouts().action(device, action.number).await.unwrap().unwrap();
    assert_eq!(s.rollouts().report_on_action(&action, told, &[]).await.unwrap(), ends);
    let counts = s.checked(&id).await.totals();
    assert_eq!((counts.succeeded, counts.failed, counts.left_out), if ends == U::Failed { (0, 1, 0) } else { (1, 0, 0) });
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_has_refused_is_asked_once_more_when_it_is_cancelled_again(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let device = s.devices[0];
    let id = s.approved(s.strict()).await;
    let action = s.to_install(device).await;
    s.cancel(&id, 1).await.unwrap();
    s.refuses(device, action.number).await;
    s.cancel(&id, 1).await.unwrap();
    assert_eq!(s.rollouts().ask_ddi(&s.w.org, device).await.unwrap().task, Task::Cancel(action.number));
    let again = s.rollouts().action(device, action.number).await.unwrap().unwrap();
    s.rollouts().heard_ddi(&again, Notes { answer: Answer::Accepted, ..Notes::default() }).await.unwrap();
    assert_eq!(s.rollouts().ask_ddi(&s.w.org, device).await.unwrap().task, Task::Nothing);
    assert_eq!((s.checked(&id).await.totals().left_out, s.detail(&id).await.cancelled), (1, 1));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_has_refused_is_asked_once_more_when_its_release_is_recalled(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let id = s.approved(s.strict()).await;
    let action = s.to_install(device).await;
    s.cancel(&id, 1).await.unwrap();
    assert_eq!(s.refuses(device, action.number).await.state, UpdateState::Downloading);
    s.w.fleet.releases().recall(&s.ada, &s.release, "it burns").await.unwrap();
    room.tick().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Halted);
    room.look_again(device);
    assert_eq!(room.ask_ddi(&s.w.org, device).await.unwrap().task, Task::Cancel(action.number));
}
