//! What a gate says of a stage of which people have cancelled most or all, and how the last one ends without them, on both engines.

use super::{Scene, stage};
use crate::db::EngineKind;
use rstest::rstest;
use wire::{
    rollouts::{Call, GateSpec, Reach, StageOutcome, StageSpec, Verb},
    states::{RolloutState, StageState, UpdateState},
    time::DAY_MS,
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_last_stage_of_which_most_were_cancelled_asks_first_and_halts_nothing(#[case] kind: EngineKind) {
    for waits in [true, false] {
        let s = Scene::open(kind, 10).await;
        let id = s.approved(s.spec(vec![StageSpec { gate: GateSpec::USUAL, ..stage(Reach::Percent(100.0)) }])).await;
        let offered = s.poll_all().await;
        for (device, offer) in &offered {
            s.say(*device, &offer.update_id, UpdateState::Downloading).await.unwrap();
        }
        for (device, offer) in &offered[..2] {
            s.succeed(*device, &offer.update_id, "2.0.0", 2).await;
        }
        if !waits {
            s.rollouts().pause(&s.oli, &id, "").await.unwrap();
        }
        for n in 3..=10 {
            s.cancel(&id, n).await.unwrap();
        }
        if waits {
            let detail = s.detail(&id).await;
            let stage = &detail.stages[0];
            assert_eq!((detail.row.state, stage.state, detail.cancelled), (RolloutState::Running, StageState::AwaitingPromotion, 8));
            assert_eq!(detail.cancelled_until, Some(s.w.clock_now().plus(DAY_MS)));
            let why = &stage.verdict.text;
            assert!(why.starts_with("only 2 of 10 devices could be judged") && stage.verdict.call == Call::Wait, "{why}");
            assert_eq!(detail.row.summary, "Stage 1 of 1 waits for a person: 2 of 10 devices finished, 8 left out");
        }
        s.w.clock.advance(DAY_MS);
        if !waits {
            // Its time was over when it went on.
            s.rollouts().resume(&s.oli, &id, "").await.unwrap();
        }
        s.rollouts().tick().await.unwrap();
        let detail = s.detail(&id).await;
        assert_eq!(detail.row.summary, "Completed: 2 of 10 succeeded, 8 left out");
        let left = "; nobody had 8 cancelled devices tried again in time";
        assert!(detail.history.iter().any(|e| e.text.starts_with("Stage 1 ended: only 2 of 10") && e.text.ends_with(left)), "{detail:?}");
        assert_eq!(
            (detail.stages[0].verdict.call, detail.stages[0].outcome),
            (Call::Wait, Some(StageOutcome::WentOn)),
            "it has not passed"
        );
        s.checked(&id).await;
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_cancels_devices_of_an_earlier_stage_makes_its_gate_need_no_fewer(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 8).await;
    let gate = GateSpec { success_percent: 100.0, min_sample: 6, ..GateSpec::USUAL };
    let first = StageSpec { gate, ..stage(Reach::Count(6)) };
    let id = s.approved(s.spec(vec![first, stage(Reach::Percent(100.0))])).await;
    let offered = s.poll_all().await;
    assert_eq!(offered.len(), 6);
    for (device, offer) in &offered[..3] {
        s.succeed(*device, &offer.update_id, "2.0.0", 2).await;
    }
    for (device, _) in &offered[3..] {
        s.cancel(&id, s.joined_as(*device)).await.unwrap();
    }
    let why = "only 3 of 6 devices could be judged, the others were left out; the gate needs 6";
    let detail = s.detail(&id).await;
    assert_eq!((detail.row.state, detail.row.summary), (RolloutState::Halted, format!("Halted in stage 1: {why}")));
    assert_eq!((detail.stages[0].verdict.sample, detail.stages[0].verdict.finished), (6, 3));
    s.checked(&id).await;
    // A person is asked, and not twice; it went on, and has not passed.
    s.rollouts().resume(&s.oli, &id, "the others are on show").await.unwrap();
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!((detail.row.state, detail.stages[1].state), (RolloutState::Running, StageState::Running));
    assert_eq!(detail.stages[0].outcome, Some(StageOutcome::WentOn));
    assert_eq!(detail.stages[0].verdict.text, format!("went on by oli in spite of the gate: {why}"));
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_stage_of_which_everybody_was_cancelled_has_not_passed_and_its_day_leaves_a_trace(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let mut plan = s.whatever_is_said();
    plan.stages.insert(0, StageSpec { name: "First".into(), reach: Reach::Count(1), ..plan.stages[0].clone() });
    let id = s.approved(plan).await;
    let first = s.poll_all().await;
    s.cancel(&id, s.joined_as(first[0].0)).await.unwrap();
    assert_eq!(s.detail(&id).await.row.summary, "Stage 1 of 2 waits for a person: 0 of 1 device finished, 1 left out");
    s.rollouts().act(&s.oli, &id, Verb::Promote, None, "").await.unwrap();
    let last = s.poll_all().await;
    assert_eq!(last.len(), 1);
    s.say(last[0].0, &last[0].1.update_id, UpdateState::Downloading).await.unwrap();
    s.rollouts().pause(&s.oli, &id, "").await.unwrap();
    s.cancel(&id, s.joined_as(last[0].0)).await.unwrap();
    // Its time was over when it went on.
    s.w.clock.advance(DAY_MS);
    s.rollouts().resume(&s.oli, &id, "").await.unwrap();
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.summary, "Completed: 0 of 2 succeeded, 2 left out");
    assert_eq!([0, 1].map(|at: usize| detail.stages[at].outcome), [Some(StageOutcome::NotJudged); 2]);
    let why = "Stage 2 ended: nobody could be judged: 1 device left out; nobody had 2 cancelled devices tried again in time";
    assert!(detail.history.iter().any(|e| e.text == why), "{detail:?}");
    s.checked(&id).await;
}
