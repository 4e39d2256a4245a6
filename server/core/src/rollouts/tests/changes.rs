//! What a plan changes against the one that was approved last.

use super::{Scene, stage};
use crate::db::EngineKind;
use rstest::rstest;
use wire::{
    ids::RolloutId,
    rollouts::{PlanChanges, Reach, RolloutSpec},
};

async fn changes(s: &Scene, id: &RolloutId) -> PlanChanges {
    s.detail(id).await.changes.unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_approver_sees_what_is_other_than_last_time(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 5).await;
    let later = Some(s.w.clock_now().plus(3_600_000));
    let plan = |percent: f64| RolloutSpec { start_at: later, ..s.spec(vec![stage(Reach::Percent(percent)), stage(Reach::Percent(100.0))]) };
    let first = s.rollouts().draft(&s.oli, plan(20.0)).await.unwrap();
    assert_eq!(changes(&s, &first).await, PlanChanges { since: None, lines: Vec::new() });

    // Another draft is nothing to compare with; an approved plan is.
    let second = s.rollouts().draft(&s.oli, plan(40.0)).await.unwrap();
    assert_eq!(changes(&s, &second).await.since, None);
    s.rollouts().submit(&s.oli, &first).await.unwrap();
    let digest = s.detail(&first).await.digest;
    s.rollouts().approve(&s.ada, &first, &digest, "fine").await.unwrap();
    s.w.clock.advance(1000);
    let found = changes(&s, &second).await;
    assert_eq!(found.since.as_ref().map(|p| (&p.rollout, p.approved_by.as_str())), Some((&first, s.ada.label().as_str())));
    let line = |c: &wire::change::FieldChange| (c.field.clone(), c.before.clone().unwrap(), c.after.clone().unwrap());
    assert_eq!(found.lines.iter().map(line).collect::<Vec<_>>(), [("stages.0.reach".into(), "up to 20 %".into(), "up to 40 %".into())]);

    // The card has it, and what was approved keeps what its approver saw.
    s.rollouts().submit(&s.oli, &second).await.unwrap();
    assert_eq!(s.inbox(&s.ada).await.waiting[0].changes, found);
    let digest = s.detail(&second).await.digest;
    s.rollouts().approve(&s.ada, &second, &digest, "fine").await.unwrap();
    assert_eq!(changes(&s, &second).await, found);
    assert_eq!(changes(&s, &first).await.since, None);

    // An edit voids the approval: it is not what was approved any more.
    let third = s.rollouts().draft(&s.oli, plan(40.0)).await.unwrap();
    let found = changes(&s, &third).await;
    assert_eq!((found.since.map(|p| p.rollout), found.lines), (Some(second.clone()), Vec::new()));
    let generation = s.detail(&second).await.generation;
    s.rollouts().edit(&s.oli, &second, generation, plan(60.0)).await.unwrap();
    assert_eq!(changes(&s, &third).await.since.map(|p| p.rollout), Some(first));
}
