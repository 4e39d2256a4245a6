//! Somebody at the device agrees first, and may put it off.

use super::{Scene, fault, says, stage};
use crate::{
    access::{Actor, Who},
    db::EngineKind,
    devices::DeviceNo,
    rollouts::{confirming::Decision, ddi::Task},
};
use rstest::rstest;
use wire::{
    FaultKind,
    device::{CONFIRMS_UPDATES, StatusReport},
    ids::{DeviceId, RolloutId},
    rollouts::{GateSpec, Outlook, Reach, RolloutSpec, Rule, StageSpec},
    states::UpdateState as U,
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

impl Scene {
    /// A rollout to everybody whose updates somebody confirms; it times out after an hour.
    async fn with_consent(&self) -> RolloutId {
        let gate = GateSpec { error_percent: 100.0, success_percent: 0.0, ..GateSpec::default() };
        let spec = self.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }]);
        let id = self.approved(RolloutSpec { confirm_at_device: true, timeout_min: 60, ..spec }).await;
        self.rollouts().tick().await.unwrap();
        id
    }

    /// Every device says that it asks somebody.
    async fn all_ask(&self) {
        for device in &self.devices {
            self.reports(*device, CONFIRMS_UPDATES, "yes").await;
        }
    }

    async fn state_of(&self, device: DeviceNo) -> U {
        self.rollouts().updates_of(device).await.unwrap()[0].state
    }

    async fn hour(&self) {
        self.w.clock.advance(HOUR + 60_000);
        self.rollouts().tick().await.unwrap();
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_offer_says_that_it_needs_somebody_until_it_has_begun(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    s.with_consent().await;
    s.all_ask().await;
    let offers = s.poll_all().await;
    assert!(offers.iter().all(|(_, offer)| offer.needs_confirmation));
    let (device, offer) = &offers[0];
    let again = s.rollouts().poll(*device).await.unwrap().unwrap();
    assert!(again.needs_confirmation, "asked again it is the same offer");
    s.say(*device, &offer.update_id, U::AwaitingConfirmation).await.unwrap();
    assert!(s.rollouts().explain(*device).await.unwrap().contains("somebody at the device has to confirm"));
    s.say(*device, &offer.update_id, U::Downloading).await.unwrap();
    assert!(!s.rollouts().poll(*device).await.unwrap().unwrap().needs_confirmation, "it has begun");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_put_it_off_is_not_silent_for_a_week_at_most(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    s.with_consent().await;
    s.all_ask().await;
    let offers = s.poll_all().await;
    let begun = s.w.clock_now();
    let wait = |n: usize, until: Option<i64>| {
        let (device, offer) = &offers[n];
        let deferred_until = until.map(|ms| begun.plus(ms));
        s.rollouts().report(*device, StatusReport { deferred_until, ..says(&offer.update_id, U::AwaitingConfirmation) })
    };
    wait(0, None).await.unwrap();
    wait(1, Some(5 * DAY)).await.unwrap();
    wait(2, Some(90 * DAY)).await.unwrap();
    let told = async |n: usize| s.rollouts().explain(offers[n].0).await.unwrap();
    assert!(told(0).await.contains("somebody at the device has to confirm"), "{}", told(0).await);
    for (n, days) in [(1, 5), (2, 7)] {
        let until = begun.plus(days * DAY).readable();
        assert!(told(n).await.contains(&format!("somebody at the device has put it off until {until}.")), "{}", told(n).await);
    }
    s.hour().await;
    let states = async || (s.state_of(offers[0].0).await, s.state_of(offers[1].0).await, s.state_of(offers[2].0).await);
    assert_eq!(states().await, (U::TimedOut, U::AwaitingConfirmation, U::AwaitingConfirmation));
    s.w.clock.advance(5 * DAY - HOUR);
    s.hour().await;
    assert_eq!(states().await, (U::TimedOut, U::TimedOut, U::AwaitingConfirmation));
    s.w.clock.advance(2 * DAY - HOUR);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.state_of(offers[2].0).await, U::AwaitingConfirmation, "a week from the offer is not over");
    s.hour().await;
    s.hour().await;
    assert_eq!(s.state_of(offers[2].0).await, U::TimedOut, "and no longer, whatever it says");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn hawkbits_devices_wait_as_long_as_they_ask(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    s.with_consent().await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let ask = async |device: DeviceNo| room.ask_ddi(&s.w.org, device).await.unwrap().task;
    let Task::Confirm(number) = ask(device).await else { panic!("nobody is asked") };
    let action = async || room.action(device, number).await.unwrap().unwrap();
    assert_eq!(action().await.state, U::AwaitingConfirmation);
    for _ in 0..8 {
        s.w.clock.advance(30 * 60_000);
        assert_eq!(ask(device).await, Task::Confirm(number));
        room.tick().await.unwrap();
    }
    assert!(room.decided_at_device(&action().await, Decision::Denied, &["not now".to_owned()]).await.unwrap());
    let row = &room.updates_of(device).await.unwrap()[0];
    assert_eq!((row.state, row.detail.as_str()), (U::AwaitingConfirmation, "not confirmed at the device: not now"));
    let why = room.explain(device).await.unwrap();
    let said = format!("somebody at the device said no on {} (“not now”); it is asked there again.", s.w.clock_now().readable());
    assert!(why.contains(&said), "{why}");
    assert_eq!(ask(device).await, Task::Confirm(number), "it is asked again");
    let release = room.content(&action().await).await.unwrap().unwrap();
    assert!(!action().await.may_fetch(&release, s.w.clock_now()));
    assert!(room.decided_at_device(&action().await, Decision::Confirmed, &[]).await.unwrap());
    assert!(room.decided_at_device(&action().await, Decision::Confirmed, &[]).await.unwrap(), "it may be repeated");
    assert!(!room.decided_at_device(&action().await, Decision::Denied, &[]).await.unwrap());
    assert_eq!(ask(device).await, Task::Install(number));
    assert!(action().await.may_fetch(&release, s.w.clock_now()));
    s.say(device, &action().await.update, U::Downloading).await.unwrap();
    assert_eq!(s.succeed(device, &action().await.update, "2.0.0", 2).await, U::Succeeded);
    assert!(!room.decided_at_device(&action().await, Decision::Confirmed, &[]).await.unwrap(), "it has ended");

    // Who answers once for whatever comes is not asked, also for what waits already.
    let other = s.devices[1];
    let Task::Confirm(second) = ask(other).await else { panic!("nobody is asked") };
    let who = Who::Device { device: other, device_id: "gw-2".parse().unwrap() };
    let actor = Actor { who, ..Actor::system(s.w.org.clone()) };
    room.set_auto_confirm(&actor, other, Some(("ann", "kiosk"))).await.unwrap();
    assert_eq!(ask(other).await, Task::Install(second));
    let auto = room.auto_confirm(other).await.unwrap().unwrap();
    assert_eq!((auto.by.as_str(), auto.remark.as_str()), ("ann", "kiosk"));
    room.set_auto_confirm(&actor, other, None).await.unwrap();
    assert_eq!(ask(other).await, Task::Confirm(second));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_asks_nobody_waits_for_a_confirmation_in_the_console(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    let plain = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    let names: Vec<DeviceId> = ["gw-1", "gw-2", "gw-3"].map(|name| name.parse().unwrap()).into();
    let viewer = s.w.viewer().await;
    assert_eq!(fault(room.confirm_in_console(&viewer, &plain, &names[0]).await).kind, FaultKind::Forbidden);
    assert_eq!(fault(room.confirm_in_console(&s.oli, &plain, &names[0]).await).kind, FaultKind::Conflict, "its plan asks for nobody");
    room.stop(&s.ada, &plain, "not this one").await.unwrap();
    room.tick().await.unwrap();

    let id = s.with_consent().await;
    room.hears(None);
    s.reports(s.devices[2], CONFIRMS_UPDATES, "yes").await;
    assert_eq!(s.poll_all().await.iter().map(|(device, _)| *device).collect::<Vec<_>>(), [s.devices[2]], "it asks somebody itself");
    assert_eq!(fault(room.confirm_in_console(&s.oli, &id, &names[2]).await).kind, FaultKind::Conflict);
    let why = room.why(&s.oli, s.devices[0]).await.unwrap();
    let blocker = why.rollouts[0].blocker().unwrap();
    assert_eq!((why.outlook, blocker.rule, why.rollouts[0].may_confirm), (Outlook::Blocked, Rule::Agreed, true));
    assert!(!room.why(&viewer, s.devices[0]).await.unwrap().rollouts[0].may_confirm);

    let mut events = s.w.fleet.bus().listen();
    for _ in 0..2 {
        room.confirm_in_console(&s.oli, &id, &names[0]).await.unwrap();
    }
    for event in Scene::told(&mut events) {
        room.hears(Some(&event));
    }
    let offer = room.poll(s.devices[0]).await.unwrap().expect("confirmed");
    assert!(!offer.needs_confirmation, "somebody has agreed already");
    assert_eq!(room.poll(s.devices[0]).await.unwrap().unwrap(), offer, "and asked again it is the same");
    assert!(room.poll(s.devices[1]).await.unwrap().is_none(), "each for itself");
    // By hawkBit's protocol the server asks at the device; a confirmation in the console stands for that too.
    let Task::Confirm(number) = room.ask_ddi(&s.w.org, s.devices[1]).await.unwrap().task else { panic!("nobody is asked") };
    assert!(room.why(&s.oli, s.devices[1]).await.unwrap().rollouts[0].may_confirm);
    room.confirm_in_console(&s.oli, &id, &names[1]).await.unwrap();
    assert!(!room.why(&s.oli, s.devices[1]).await.unwrap().rollouts[0].may_confirm, "once is enough");
    assert_eq!(room.ask_ddi(&s.w.org, s.devices[1]).await.unwrap().task, Task::Install(number));
    assert_eq!(s.succeed(s.devices[0], &offer.update_id, "2.0.0", 2).await, U::Succeeded);
    assert_eq!(fault(room.confirm_in_console(&s.oli, &id, &names[0]).await).kind, FaultKind::Conflict, "it has had its turn");
}
