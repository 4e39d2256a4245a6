//! What each gate has said stays its own, on both engines: of two over the same devices only the one that a person goes on in spite of begins anew, and a recall
//! undoes no verdict.

use super::{Scene, stage};
use crate::{
    db::EngineKind,
    rollouts::{course::Stage, gate::Seen},
};
use rstest::rstest;
use wire::{
    ids::RolloutId,
    rollouts::{Call, EndClass, GateAction, GateSpec, Reach, RolloutSpec, StageOutcome, StageSpec},
    states::{RolloutState, StageState, UpdateState},
};

impl Scene {
    async fn only_stage(&self, id: &RolloutId) -> Stage {
        self.checked(id).await.stages.remove(0)
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_stage_that_has_passed_stays_passed_when_its_release_is_recalled(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let first = StageSpec { confirm: true, ..stage(Reach::Count(2)) };
    let id = s.approved(s.spec(vec![first, stage(Reach::Percent(100.0))])).await;
    assert_eq!(s.everybody_updates().await, 2);
    let before = s.detail(&id).await.stages.remove(0);
    assert_eq!((before.state, before.verdict.call), (StageState::AwaitingPromotion, Call::Pass));
    s.w.fleet.releases().recall(&s.ada, &s.release, "it burns").await.unwrap();
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.state, RolloutState::Halted);
    assert!(detail.row.summary.starts_with("Halted: the release was recalled"), "{}", detail.row.summary);
    let after = &detail.stages[0];
    assert_eq!((after.state, after.outcome, &after.verdict), (StageState::Succeeded, Some(StageOutcome::Passed), &before.verdict));
    s.checked(&id).await;
    s.rollouts().stop(&s.oli, &id, "enough").await.unwrap();
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!((detail.row.state, detail.stages[0].outcome), (RolloutState::Stopped, Some(StageOutcome::Passed)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_other_gate_keeps_what_it_has_seen(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 8).await;
    let lenient = GateSpec { error_percent: 100.0, success_percent: 0.0, min_sample: 1, ..GateSpec::default() };
    let whole = GateSpec { max_rejected: Some(0), action: GateAction::Pause, ..lenient.clone() };
    let own = StageSpec { gate: GateSpec { max_failed: Some(1), ..lenient }, ..stage(Reach::Percent(100.0)) };
    let id = s.approved(RolloutSpec { gate: Some(whole), ..s.spec(vec![own]) }).await;
    let offered = s.poll_all().await;
    for ((device, offer), ends) in offered.iter().zip([UpdateState::Failed, UpdateState::Rejected]) {
        s.say(*device, &offer.update_id, ends).await.unwrap();
    }
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.detail(&id).await.row.summary, "Paused by the gate of the whole rollout: 1 device refused it; none may");
    s.rollouts().resume(&s.oli, &id, "known").await.unwrap();
    let whole_saw = Seen { finished: 2, errors: 2, failed: 1, rejected: 1, ..Seen::default() };
    let now = s.only_stage(&id).await;
    assert_eq!((now.seen, now.seen_by_whole), (Seen::default(), whole_saw), "the stage's own gate has said nothing");

    // One more that fails is the second for the stage, and for the whole rollout no matter.
    let (device, offer) = s.poll_all().await.remove(0);
    s.say(device, &offer.update_id, UpdateState::Failed).await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.detail(&id).await.row.summary, "Halted in stage 1: 2 devices could not install it; at most 1 may");
    s.rollouts().resume(&s.oli, &id, "known").await.unwrap();
    let own_saw = Seen { finished: 3, errors: 3, failed: 2, rejected: 1, ..Seen::default() };
    let now = s.only_stage(&id).await;
    assert_eq!((now.seen, now.seen_by_whole), (own_saw, whole_saw));

    // Who is tried again is set aside by neither any more.
    s.retry(&id, &[EndClass::Failed]).await.unwrap();
    let refused = Seen { finished: 1, errors: 1, rejected: 1, ..Seen::default() };
    let now = s.only_stage(&id).await;
    assert_eq!((now.seen, now.seen_by_whole), (refused, refused));
    assert_eq!(s.everybody_updates().await, 7);
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    s.checked(&id).await;
}
