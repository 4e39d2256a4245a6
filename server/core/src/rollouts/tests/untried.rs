//! A person cancels that one device is tried again by itself, on both engines.

use super::{Scene, fault};
use crate::{bus::Event, db::EngineKind};
use rstest::rstest;
use wire::{
    Timestamp,
    activity::Happening,
    rollouts::{EndClass, Outlook, Rate, Retry, RetryClass, RolloutSpec, UpdateQuery, Verb},
    states::{RolloutState, StageState, UpdateState},
    time::DAY_MS,
    updates::UpdateFailure,
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_waits_to_be_tried_again_is_taken_out_at_once(
    #[case] kind: EngineKind,
    #[values(UpdateState::Failed, UpdateState::TimedOut)] ends: UpdateState,
) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    let retry = Retry { classes: vec![RetryClass::Failed, RetryClass::TimedOut], times: 3, wait_min: 10 };
    let id = s.approved(RolloutSpec { retry: Some(retry), ..s.whatever_is_said() }).await;
    let offered = s.poll_all().await;
    s.succeed(offered[1].0, &offered[1].1.update_id, "2.0.0", 2).await;
    s.say(offered[2].0, &offered[2].1.update_id, UpdateState::Failed).await.unwrap();
    if ends == UpdateState::Failed {
        s.say(offered[0].0, &offered[0].1.update_id, ends).await.unwrap();
    } else {
        s.w.clock.advance(2 * DAY_MS);
        room.tick().await.unwrap();
    }
    let before = s.checked(&id).await.totals();
    assert_eq!((before.left_out, before.errors()), (0, 2));
    let why = room.why(&s.oli, s.devices[0]).await.unwrap();
    assert!(why.outlook != Outlook::UnderWay && why.rollouts[0].may_cancel, "{why:?}");
    assert!(!room.why(&s.w.viewer().await, s.devices[0]).await.unwrap().rollouts[0].may_cancel);

    s.w.clock.advance(1000);
    let mut events = s.w.fleet.bus().listen();
    room.cancel_update(&s.oli, &id, &"gw-1".parse().unwrap(), Some(&offered[0].1.update_id), "on show").await.unwrap();
    // May be repeated, also by who saw the attempt before.
    room.cancel_update(&s.oli, &id, &"gw-1".parse().unwrap(), Some(&offered[0].1.update_id), "on show").await.unwrap();
    s.cancel(&id, 1).await.unwrap();
    assert!(!Scene::told(&mut events).iter().any(|e| matches!(e, Event::Cancelled { .. })), "nothing is under way there");
    let after = s.checked(&id).await.totals();
    assert_eq!((after.left_out, after.errors(), after.total), (1, 1, 3));
    assert_eq!(s.audited().await.into_iter().filter(|action| action == "device.cancel_update").count(), 1);
    let attempts = room.updates_of(s.devices[0]).await.unwrap();
    let told: Vec<_> = attempts.iter().map(|update| (update.state, update.attempt)).collect();
    assert_eq!(told, [(UpdateState::Cancelled, 2), (ends, 1)], "its attempt stays as it ended");
    assert_eq!(attempts[0].detail, "cancelled by oli: on show");
    assert!(!room.why(&s.oli, s.devices[0]).await.unwrap().rollouts[0].may_cancel);

    // The other one comes again, this one does not, and the last stage waits for somebody to have it tried again.
    s.w.clock.advance(3_600_000);
    assert_eq!(s.everybody_updates().await, 1);
    assert_eq!((s.detail(&id).await.cancelled, s.checked(&id).await.stages[0].state), (1, StageState::AwaitingPromotion));
    s.retry(&id, &[EndClass::Cancelled]).await.unwrap();
    assert_eq!(s.everybody_updates().await, 1);
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 3 of 3 succeeded");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_would_be_tried_again_by_a_rollout_that_was_stopped_has_ended(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let retry = Retry { classes: vec![RetryClass::Failed], times: 3, wait_min: 10 };
    let id = s.approved(RolloutSpec { retry: Some(retry), ..s.whatever_is_said() }).await;
    let offered = s.poll_all().await;
    s.say(offered[0].0, &offered[0].1.update_id, UpdateState::Failed).await.unwrap();
    s.rollouts().act(&s.oli, &id, Verb::Stop, None, "enough").await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Stopped);
    assert_eq!(fault(s.cancel(&id, 1).await).message, "This update has ended already: it could not be installed.");
    assert!(s.rollouts().why(&s.oli, s.devices[0]).await.unwrap().rollouts.iter().all(|rollout| !rollout.may_cancel));
    assert_eq!(s.checked(&id).await.totals().failed, 1);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_was_cancelled_before_its_offer_is_no_offer(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let room = s.rollouts();
    let retry = Retry { classes: vec![RetryClass::Failed], times: 3, wait_min: 10 };
    let rate = Rate { per_minute: 1, growth: None };
    let id = s.approved(RolloutSpec { retry: Some(retry), rate: Some(rate), ..s.whatever_is_said() }).await;
    let offer = room.poll(s.devices[0]).await.unwrap().expect("an offer");
    s.say(s.devices[0], &offer.update_id, UpdateState::Failed).await.unwrap();
    s.w.clock.advance(2 * 60_000);
    s.cancel(&id, 1).await.unwrap();
    let query = UpdateQuery { outcome: Some(UpdateFailure::Cancelled), ..UpdateQuery::default() };
    let listed = room.updates(&s.oli, &id, &query).await.unwrap().items;
    assert_eq!(listed.iter().map(|row| (row.device_id.as_str(), row.offered_at)).collect::<Vec<_>>(), [("gw-1", None)]);
    let updates = room.updates_of(s.devices[0]).await.unwrap();
    let offered = updates.iter().map(|update| (update.state, update.offered_at.is_some())).collect::<Vec<_>>();
    assert_eq!(offered, [(UpdateState::Cancelled, false), (UpdateState::Failed, true)]);
    let turns = room.turns_of(s.devices[0], Timestamp(i64::MAX), 10).await.unwrap();
    let count = |of: fn(&Happening) -> bool| turns.iter().filter(|turn| of(turn)).count();
    let (offers, ends) = (count(|t| matches!(t, Happening::Offered { .. })), count(|t| matches!(t, Happening::Ended { .. })));
    assert_eq!((offers, ends), (1, 2), "{turns:?}");
    assert!(room.poll(s.devices[1]).await.unwrap().is_some(), "it has not used up what a minute may take");

    s.retry(&id, &[EndClass::Cancelled]).await.unwrap();
    s.w.clock.advance(2 * 60_000);
    assert!(room.poll(s.devices[0]).await.unwrap().is_some());
    assert_eq!(room.updates_of(s.devices[0]).await.unwrap()[0].attempt, 2, "nor an attempt");
    s.checked(&id).await;
}
