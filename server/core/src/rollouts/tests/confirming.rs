//! Somebody at the device agrees first, and may put it off.

use super::{Scene, says, stage};
use crate::{
    access::{Actor, Who},
    db::EngineKind,
    devices::DeviceNo,
    rollouts::{confirming::Decision, ddi::Task},
};
use rstest::rstest;
use wire::{
    device::StatusReport,
    ids::RolloutId,
    rollouts::{GateSpec, Reach, RolloutSpec, StageSpec},
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
    let actor = Actor { org: s.w.org.clone(), who, address: String::new() };
    room.set_auto_confirm(&actor, other, Some(("ann", "kiosk"))).await.unwrap();
    assert_eq!(ask(other).await, Task::Install(second));
    let auto = room.auto_confirm(other).await.unwrap().unwrap();
    assert_eq!((auto.by.as_str(), auto.remark.as_str()), ("ann", "kiosk"));
    room.set_auto_confirm(&actor, other, None).await.unwrap();
    assert_eq!(ask(other).await, Task::Confirm(second));
}
