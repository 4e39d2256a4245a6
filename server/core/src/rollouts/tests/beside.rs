//! What a command beside the server does to a rollout, on both engines: the server's next tick tells connected devices to ask.

use super::{Scene, stage};
use crate::{
    bus::Event,
    db::EngineKind,
    testing::{World, postgres},
};
use rstest::rstest;
use tokio::sync::broadcast::Receiver;
use wire::{
    ids::RolloutId,
    rollouts::{NewApprovalTerms, NewGlassReview, Reach, StageSpec, Verb},
    states::{Role, RolloutState, UpdateState},
};

/// Ticks as the server does, and takes what was told into account as it does: whether devices were told to ask for this rollout.
async fn ticked(s: &Scene, events: &mut Receiver<Event>, id: &RolloutId) -> bool {
    s.rollouts().tick().await.unwrap();
    let told = Scene::told(events);
    for event in &told {
        s.rollouts().hears(Some(event));
    }
    told.contains(&Event::OffersOpen { org: s.w.org.clone(), id: id.clone() })
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn every_order_that_is_given_beside_a_server_reaches_its_devices_with_the_next_tick(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let s = Scene::over(World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await, 4).await;
    let cli = s.w.beside(url).await;
    let mut events = s.w.fleet.bus().listen();
    s.rollouts().hears(None);
    let first = StageSpec { soak_s: 600, ..stage(Reach::Count(1)) };
    let id = s.approved(s.spec(vec![first, stage(Reach::Percent(100.0))])).await;
    ticked(&s, &mut events, &id).await;
    assert_eq!(s.everybody_updates().await, 1);
    ticked(&s, &mut events, &id).await;
    assert_eq!(s.poll_all().await, [], "the stage is watched");
    assert!(!ticked(&s, &mut events, &id).await, "nothing has happened");

    cli.rollouts().act(&s.oli, &id, Verb::Promote, None, "").await.unwrap();
    assert_eq!(s.poll_all().await, [], "the server has not heard of it yet");
    assert!(ticked(&s, &mut events, &id).await, "promoted");
    let offered = s.poll_all().await;
    assert_eq!(offered.len(), 3, "those of the second stage");
    assert!(!ticked(&s, &mut events, &id).await, "that is told once");

    cli.rollouts().act(&s.oli, &id, Verb::Pause, None, "").await.unwrap();
    assert!(ticked(&s, &mut events, &id).await, "paused");
    assert_eq!(s.poll_all().await, []);
    cli.rollouts().act(&s.oli, &id, Verb::Resume, None, "").await.unwrap();
    assert!(ticked(&s, &mut events, &id).await, "resumed");
    let (device, offer) = s.poll_all().await.pop().unwrap();
    s.say(device, &offer.update_id, UpdateState::Downloading).await.unwrap();
    s.say(device, &offer.update_id, UpdateState::Failed).await.unwrap();
    ticked(&s, &mut events, &id).await;
    assert_eq!(s.poll_all().await.len(), 2, "one has failed");
    cli.rollouts().act(&s.oli, &id, Verb::Retry, None, "").await.unwrap();
    assert!(ticked(&s, &mut events, &id).await, "tried again");
    assert_eq!(s.poll_all().await.len(), 3);

    // Nothing is under way, so it is over at once.
    cli.rollouts().act(&s.oli, &id, Verb::Stop, None, "enough").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Stopped);
    assert!(ticked(&s, &mut events, &id).await, "stopped");
    assert!(!ticked(&s, &mut events, &id).await, "that is told once");
    cli.close().await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_is_cancelled_beside_a_server_its_device_hears_with_the_next_tick_and_nobody_else_is_asked(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let s = Scene::over(World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await, 3).await;
    let cli = s.w.beside(url).await;
    let mut events = s.w.fleet.bus().listen();
    s.rollouts().hears(None);
    let id = s.approved(s.spec(vec![stage(Reach::Count(2)), stage(Reach::Percent(100.0))])).await;
    let offered = s.poll_all().await;
    for (device, offer) in &offered {
        s.say(*device, &offer.update_id, UpdateState::Downloading).await.unwrap();
    }
    ticked(&s, &mut events, &id).await;
    assert!(!ticked(&s, &mut events, &id).await, "nothing has happened");

    let at = s.devices.iter().position(|device| *device == offered[0].0).unwrap();
    let device_id = format!("gw-{}", at + 1).parse().unwrap();
    cli.rollouts().cancel_update(&s.oli, &id, &device_id, None, "on show").await.unwrap();
    s.rollouts().tick().await.unwrap();
    let told = Scene::told(&mut events);
    let cancelled = Event::Cancelled { org: s.w.org.clone(), device: offered[0].0, update: offered[0].1.update_id.clone() };
    assert_eq!(told.iter().filter(|event| **event == cancelled).count(), 1, "{told:?}");
    assert!(!told.iter().any(|event| matches!(event, Event::OffersOpen { .. })), "it opens nothing for anybody: {told:?}");
    s.rollouts().tick().await.unwrap();
    assert!(!Scene::told(&mut events).contains(&cancelled), "that is told once");
    for (at, (device, offer)) in offered.iter().enumerate() {
        let told = s.rollouts().standing(*device, Some(&offer.update_id)).await.unwrap();
        assert_eq!((told.taken_back, told.offer.is_none()), (at == 0, at == 0), "{at}");
    }
    s.checked(&id).await;
    cli.close().await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_server_tells_nothing_twice_of_what_it_does_itself(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let mut events = s.w.fleet.bus().listen();
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    ticked(&s, &mut events, &id).await;
    s.rollouts().act(&s.oli, &id, Verb::Pause, None, "").await.unwrap();
    assert!(!ticked(&s, &mut events, &id).await, "a pause opens nothing");
    s.rollouts().act(&s.oli, &id, Verb::Resume, None, "").await.unwrap();
    ticked(&s, &mut events, &id).await;
    assert!(!ticked(&s, &mut events, &id).await);
    s.rollouts().act(&s.oli, &id, Verb::Stop, None, "enough").await.unwrap();
    assert!(!ticked(&s, &mut events, &id).await, "it knows that it has ended it");

    // An objection to a start without approval is a deed of its own as well.
    let eve = s.w.person("eve", Role::Admin).await;
    s.w.person("max", Role::Admin).await;
    let terms = NewApprovalTerms { request_days: 7, start_days: 30, review_hours: 24, break_glass: true, break_glass_from: None };
    s.rollouts().set_approval_terms(&s.ada, terms).await.unwrap();
    s.w.clock.advance(24 * 3_600_000);
    let id = s.rollouts().draft(&s.oli, s.spec(vec![stage(Reach::Percent(100.0))])).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;
    let glass = s.rollouts().break_glass(&s.ada, &id, &digest, "the field burns").await.unwrap();
    ticked(&s, &mut events, &id).await;
    assert!(!ticked(&s, &mut events, &id).await, "nothing has happened since");
    let objection = NewGlassReview { accept: false, remark: "looked at it".into(), stop: true };
    s.rollouts().review_glass(&eve, &glass, &objection).await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Halted);
    assert!(!ticked(&s, &mut events, &id).await, "a halt opens nothing, and it knows that it has halted it");
}
