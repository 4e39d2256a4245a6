//! A plan that is applied again and again under its name.

use super::{Scene, fault, stage};
use crate::{db::EngineKind, rollouts::Outcome};
use rstest::rstest;
use wire::{
    FaultKind,
    rollouts::{Reach, RolloutSpec},
    states::RolloutState,
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_plan_is_drafted_once_edited_while_it_may_be_and_left_alone_while_it_runs(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let room = s.rollouts();
    let plan = |percent: f64| s.spec(vec![stage(Reach::Percent(percent)), stage(Reach::Percent(100.0))]);
    assert_eq!(fault(room.apply_plan(&s.w.viewer().await, plan(25.0)).await).kind, FaultKind::Forbidden);
    assert!(room.against(&s.oli, &plan(25.0)).await.unwrap().is_none());
    assert!(room.compared(&s.oli, &plan(25.0)).await.unwrap().is_none());
    let refused = fault(room.compared(&s.oli, &plan(250.0)).await);
    assert!(refused.kind == FaultKind::Invalid && refused.message.contains("percentage"), "{}", refused.message);

    let first = room.apply_plan(&s.oli, plan(25.0)).await.unwrap();
    assert_eq!((first.outcome, first.state, first.lines.len()), (Outcome::Drafted, RolloutState::Draft, 0));
    let same = room.apply_plan(&s.oli, plan(25.0)).await.unwrap();
    assert_eq!((same.id.clone(), same.outcome), (first.id.clone(), Outcome::Same));
    let edited = room.apply_plan(&s.oli, plan(50.0)).await.unwrap();
    assert_eq!((&edited.id, edited.outcome), (&first.id, Outcome::Edited));
    assert_eq!((edited.lines[0].field.as_str(), edited.lines[0].after.as_deref()), ("stages.0.reach", Some("up to 50 %")));
    assert_eq!(s.detail(&first.id).await.spec, plan(50.0));

    // What waits for approval is a draft again with another plan.
    room.submit(&s.oli, &first.id).await.unwrap();
    assert_eq!(room.apply_plan(&s.oli, plan(50.0)).await.unwrap().state, RolloutState::WaitingForApproval);
    room.apply_plan(&s.oli, plan(25.0)).await.unwrap();
    assert_eq!(s.state(&first.id).await, RolloutState::Draft);

    // What runs is not touched, whatever the file says.
    room.submit(&s.oli, &first.id).await.unwrap();
    let digest = s.detail(&first.id).await.digest;
    room.approve(&s.ada, &first.id, &digest, "fine").await.unwrap();
    let running = room.apply_plan(&s.oli, plan(25.0)).await.unwrap();
    assert_eq!((running.outcome, running.state), (Outcome::Same, RolloutState::Running));
    let refused = fault(room.apply_plan(&s.oli, plan(50.0)).await);
    assert!(refused.code == "not_now" && refused.message.contains("never edited"), "{}", refused.message);
    assert_eq!(s.detail(&first.id).await.spec, plan(25.0));

    // After its end the name is free for another plan, and the same plan is done.
    s.everybody_updates().await;
    s.everybody_updates().await;
    assert_eq!(s.state(&first.id).await, RolloutState::Completed);
    assert_eq!(room.apply_plan(&s.oli, plan(25.0)).await.unwrap().outcome, Outcome::Same);
    let next = room.apply_plan(&s.oli, RolloutSpec { reason: "once more".into(), ..plan(25.0) }).await.unwrap();
    assert_eq!(next.outcome, Outcome::Drafted);
    assert_ne!(next.id, first.id);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_is_approved_is_edited_by_hand_only(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let later = Some(s.w.clock_now().plus(3_600_000));
    let plan = |reason: &str| RolloutSpec { start_at: later, reason: reason.into(), ..s.spec(vec![stage(Reach::Percent(100.0))]) };
    let id = s.approved(plan("a")).await;
    assert_eq!(s.state(&id).await, RolloutState::Scheduled);
    let refused = fault(s.rollouts().apply_plan(&s.oli, plan("b")).await);
    assert!(refused.message.contains("is approved with another plan"), "{}", refused.message);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn of_many_who_apply_a_new_plan_at_once_one_drafts_it(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let room = s.rollouts();
    let plan = |reason: &str| RolloutSpec { reason: reason.into(), ..s.spec(vec![stage(Reach::Percent(100.0))]) };
    let drafted = |all: &[crate::rollouts::Applied]| {
        let made: Vec<_> = all.iter().filter(|a| a.outcome == Outcome::Drafted).map(|a| a.id.clone()).collect();
        assert_eq!(made.len(), 1, "{all:?}");
        assert!(all.iter().all(|a| a.id == made[0]), "everybody speaks of the same one: {all:?}");
        made[0].clone()
    };
    let at_once = futures::future::join_all((0..4).map(|_| room.apply_plan(&s.oli, plan("a")))).await;
    let id = drafted(&at_once.into_iter().map(Result::unwrap).collect::<Vec<_>>());
    // Two files of the same name at once: one drafts, the other edits that draft.
    assert_eq!(room.list(&s.oli, None, wire::rollouts::Tab::All, 50).await.unwrap().rollouts.total, 1);
    // The same when the one before has ended.
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;
    room.approve(&s.ada, &id, &digest, "fine").await.unwrap();
    room.stop(&s.oli, &id, "enough").await.unwrap();
    room.tick().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Stopped);
    // What is newer has a later id.
    s.w.clock.advance(1);
    let at_once = futures::future::join_all(["b", "b", "c", "c"].map(|reason| room.apply_plan(&s.oli, plan(reason)))).await;
    drafted(&at_once.into_iter().map(Result::unwrap).collect::<Vec<_>>());
    assert_eq!(room.list(&s.oli, None, wire::rollouts::Tab::All, 50).await.unwrap().rollouts.total, 2);
}
