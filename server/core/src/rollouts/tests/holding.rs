//! What whoever waits for a place is told of who holds it, on both engines.

use super::{Scene, stage};
use crate::db::EngineKind;
use rstest::rstest;
use wire::{
    device::CONFIRMS_UPDATES,
    rollouts::{Budget, Outlook, Reach, Reason, RolloutSpec, Rule},
    states::UpdateState,
};

const MINUTE: i64 = 60_000;

impl Scene {
    /// An update of the third device that took a minute: there is a history to estimate from.
    async fn with_history(&self) {
        // The memory of who has nothing to do must not outlast what begins.
        self.rollouts().hears(None);
        self.launches(RolloutSpec { name: "before".into(), selector: "id:gw-3".into(), ..self.all() }).await;
        let offer = self.rollouts().poll(self.devices[2]).await.unwrap().unwrap();
        self.w.clock.advance(MINUTE);
        self.succeed(self.devices[2], &offer.update_id, "2.0.0", 2).await;
        self.rollouts().tick().await.unwrap();
    }

    /// The rule that keeps the second device back, which is offered nothing.
    async fn keeps_back(&self) -> Reason {
        let why = self.rollouts().explained(self.devices[1]).await.unwrap();
        assert_eq!(why.outlook, Outlook::Blocked, "{why:?}");
        assert_eq!(self.rollouts().poll(self.devices[1]).await.unwrap(), None);
        let blocker = why.rollouts[0].blocker().unwrap().clone();
        assert!(why.answer.ends_with(&blocker.fact), "{why:?}");
        assert_eq!(blocker.rule, Rule::AtOnce);
        blocker
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_waits_behind_a_window_of_another_rollout_is_told_when_it_opens(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    s.with_history().await;
    for device in &s.devices[..2] {
        s.stands_at(*device, "berlin-1").await;
    }
    let first = s.devices[0];
    s.reports(first, "waits_for_window", "yes").await;
    let window = Some(s.opens_in(13 * 60));
    s.launches(RolloutSpec { name: "night".into(), selector: "id:gw-1".into(), window, ..s.all() }).await;
    let offer = s.rollouts().poll(first).await.unwrap().expect("early");
    let opens = offer.install_from.unwrap();
    for state in [UpdateState::Downloading, UpdateState::Downloaded, UpdateState::AwaitingWindow] {
        s.say(first, &offer.update_id, state).await.unwrap();
    }
    s.w.clock.advance(MINUTE);
    let budget = Some(Budget { attribute: "site".into(), at_most: Some(1), at_most_percent: None });
    s.launches(RolloutSpec { name: "all".into(), budget, ..s.all() }).await;
    let told = s.keeps_back().await;
    assert_eq!(told.again_at, Some(opens));
    assert!(told.fact.contains("as many devices with site “berlin-1” are updating already"), "{told:?}");
    assert!(told.fact.contains("gw-1 holds the place and waits: its window opens "), "{told:?}");
    assert!(told.fact.ends_with(&format!("Its turn does not come before {}.", opens.readable())), "{told:?}");
    assert!(!told.fact.contains("estimated"), "{told:?}");
    assert_eq!(told.again, "When gw-1 may install, and is done.");
    // However long it waits, it is told the same.
    for minutes in [1, 60, 11 * 60] {
        s.w.clock.advance(minutes * MINUTE);
        assert_eq!(s.keeps_back().await, told);
    }
    // The window opens, and its place goes on like any other: since then.
    s.w.clock.advance(opens.since(s.w.clock_now()));
    s.say(first, &offer.update_id, UpdateState::Installing).await.unwrap();
    let going = s.keeps_back().await;
    assert!(going.again_at.is_some_and(|by| by > opens && by.since(opens) % MINUTE == 0), "as long as updates take: {going:?}");
    assert!(going.fact.contains("its turn is estimated by"), "{going:?}");
    s.w.clock.advance(MINUTE / 2);
    assert_eq!(s.keeps_back().await, going, "it does not go on with the clock");
    s.succeed(first, &offer.update_id, "2.0.0", 2).await;
    assert!(s.rollouts().poll(s.devices[1]).await.unwrap().is_some(), "it has its place");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_waits_behind_a_person_is_told_who_and_no_time(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    s.with_history().await;
    for device in &s.devices {
        s.reports(*device, CONFIRMS_UPDATES, "yes").await;
    }
    s.launches(RolloutSpec { name: "asks".into(), confirm_at_device: true, at_once: Some(1), ..s.all() }).await;
    let offer = s.rollouts().poll(s.devices[0]).await.unwrap().unwrap();
    s.say(s.devices[0], &offer.update_id, UpdateState::AwaitingConfirmation).await.unwrap();
    let told = s.keeps_back().await;
    assert_eq!((told.again_at, told.again.as_str()), (None, "When somebody at gw-1 answers."));
    assert!(told.fact.contains("gw-1 holds the place and waits for somebody there to confirm"), "{told:?}");
    s.w.clock.advance(5 * MINUTE);
    assert_eq!(s.keeps_back().await, told, "the clock moves nothing");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_dry_run_warns_of_devices_that_wait_in_their_places(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let warned = async |plan: RolloutSpec| s.rollouts().preview(&s.oli, &plan).await.unwrap().warnings;
    assert_eq!(warned(RolloutSpec { at_once: Some(1), ..s.all() }).await, [""; 0]);
    let stages = vec![stage(Reach::Percent(50.0)), stage(Reach::Percent(100.0))];
    let plan = RolloutSpec { at_once: Some(1), window: Some(s.opens_in(60)), ..s.spec(stages) };
    assert_eq!(
        warned(plan).await,
        ["Devices that wait for their window hold their place meanwhile: one of them holds up the whole rollout."]
    );
}
