//! A rollout from its first offer to its end, and what people do on the way.

use super::{Scene, fault, stage};
use crate::{
    access::Actor,
    bus::Event,
    db::{EngineKind, Sql, exec},
    rollouts::{Saw, store::records},
};
use rstest::rstest;
use wire::{
    FaultKind,
    overview::Matter,
    rollouts::{Call, Reach, StageSpec, Verb},
    states::{RolloutState, StageState, UpdateState},
};

const HEARD_OF: Sql = Sql::same("UPDATE devices SET last_seen_at = $1");

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn whoever_stops_it_says_why_whichever_way_they_come(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    for silent in ["", " \n "] {
        let refused = fault(s.rollouts().stop(&s.oli, &id, silent).await);
        assert_eq!((refused.kind, refused.field.as_deref()), (FaultKind::Invalid, Some("reason")), "{refused:?}");
    }
    assert_eq!(s.state(&id).await, RolloutState::Running, "nothing was done");
    s.rollouts().stop(&s.oli, &id, "enough").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Stopped);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn it_goes_out_in_stages_to_the_end(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 10).await;
    let stages = vec![
        StageSpec { soak_s: 600, ..stage(Reach::Percent(20.0)) },
        StageSpec { confirm: true, ..stage(Reach::Count(5)) },
        stage(Reach::Percent(100.0)),
    ];
    let mut events = s.w.fleet.bus().listen();
    let id = s.approved(s.spec(stages)).await;
    assert!(Scene::told(&mut events).iter().any(|e| matches!(e, Event::OffersOpen { .. })), "devices are told to ask");

    // Stage 1: exactly two, and asking twice gives the same.
    let offered = s.poll_all().await;
    assert_eq!(offered.len(), 2);
    assert_eq!(s.poll_all().await, offered);
    let (device, offer) = &offered[0];
    assert_eq!(offer.downloads[0].path, format!("/device/v1/artifacts/{}", offer.downloads[0].sha256));
    assert!(s.rollouts().may_download(*device, &offer.downloads[0].sha256).await.unwrap().is_some());
    let other = s.devices.iter().find(|d| offered.iter().all(|(o, _)| o != *d)).unwrap();
    assert!(s.rollouts().may_download(*other, &offer.downloads[0].sha256).await.unwrap().is_none(), "not its turn, not its file");
    for (device, offer) in &offered {
        use UpdateState as U;
        for state in [U::Downloading, U::Downloaded, U::Installing, U::Rebooting, U::Verifying] {
            assert_eq!(s.say(*device, &offer.update_id, state).await.unwrap(), state);
        }
        assert_eq!(s.succeed(*device, &offer.update_id, "2.0.0", 2).await, U::Succeeded);
    }
    {
        use UpdateState as U;
        let passed = [U::Offered, U::Downloading, U::Downloaded, U::Installing, U::Rebooting, U::Verifying];
        assert_eq!(s.rollouts().updates_of(*device).await.unwrap()[0].passed, passed, "the way it came");
        let way: Vec<RolloutState> = s.detail(&id).await.history.into_iter().rev().filter_map(|event| event.state).collect();
        assert_eq!(way.first(), Some(&RolloutState::Draft));
        assert_eq!(way.last(), Some(&RolloutState::Running));
        assert!(way.contains(&RolloutState::WaitingForApproval) && way.contains(&RolloutState::Approved), "{way:?}");
    }
    assert!(s.rollouts().may_download(*device, &offer.downloads[0].sha256).await.unwrap().is_none(), "an ended update opens nothing");
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.stages[0].state, StageState::Soaking);
    assert_eq!(detail.stages[0].verdict.call, Call::Pass);
    let proves = wire::rollouts::wilson_lower(detail.stages[0].verdict.succeeded, detail.stages[0].verdict.finished);
    assert!(proves.is_some());
    assert_eq!(detail.stages[0].verdict.success_low, proves, "what its devices prove is told beside");
    assert_eq!((detail.stages[0].verdict.at, detail.stages[0].verdict.now), (Some(s.w.clock_now()), None), "as of its time, and so still");
    assert_eq!(detail.stages[1].verdict.at, None, "nothing was judged there");
    assert_eq!(s.poll_all().await.len(), 0, "nobody is offered anything while a stage is watched");

    // Stage 2: three more, then a person.
    s.w.clock.advance(600_000);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.everybody_updates().await, 3);
    assert_eq!(s.detail(&id).await.stages[1].state, StageState::AwaitingPromotion);
    assert_eq!(s.poll_all().await.len(), 0);
    assert_eq!(fault(s.rollouts().act(&s.w.viewer().await, &id, Verb::Promote, None, "").await).kind, FaultKind::Forbidden);
    s.rollouts().act(&s.oli, &id, Verb::Promote, None, " the lab is content ").await.unwrap();
    let log = s.w.fleet.access().audit_page(&s.oli, None).await.unwrap().entries.items;
    let promoted = log.iter().find(|e| e.action == "rollout.promote").unwrap();
    assert!(promoted.detail.contains("the lab is content"), "{promoted:?}");

    // Stage 3: the rest.
    assert_eq!(s.everybody_updates().await, 5);
    let detail = s.detail(&id).await;
    assert_eq!((detail.row.state, detail.row.summary.as_str()), (RolloutState::Completed, "Completed: 10 of 10 succeeded"));
    assert_eq!(detail.row.counts.succeeded, 10);
    assert!(detail.stages.iter().all(|s| s.state == StageState::Succeeded && s.ended_at.is_some()));
    s.checked(&id).await;
    let told: Vec<&str> = detail.history.iter().rev().map(|e| e.text.as_str()).collect();
    insta::assert_snapshot!("history_of_a_good_rollout", told.join("\n"));
    let updates = s.rollouts().updates_of(s.devices[0]).await.unwrap();
    assert_eq!(
        (updates[0].state, updates[0].from_version.as_str(), updates[0].to_version.as_str()),
        (UpdateState::Succeeded, "1.0.0", "2.0.0")
    );
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_pause_takes_back_what_has_not_begun_and_a_resume_offers_it_again(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    let offered = s.poll_all().await;
    assert_eq!(offered.len(), 4);
    let (busy, begun) = &offered[0];
    s.say(*busy, &begun.update_id, UpdateState::Downloading).await.unwrap();
    let mut events = s.w.fleet.bus().listen();
    s.rollouts().pause(&s.oli, &id, "lunch").await.unwrap();
    let cancelled = Scene::told(&mut events).into_iter().filter(|e| matches!(e, Event::Cancelled { .. })).count();
    assert_eq!(cancelled, 3, "three had not begun");
    let course = s.checked(&id).await;
    assert_eq!((course.stages[0].counts.waiting, course.stages[0].counts.updating), (3, 1));
    let still = s.poll_all().await;
    assert_eq!(still, [(*busy, begun.clone())], "the one under way goes on, the others get nothing");
    // A device that had not heard of it yet.
    let (late, gone) = &offered[1];
    assert_eq!(s.say(*late, &gone.update_id, UpdateState::Downloading).await.unwrap(), UpdateState::Cancelled);
    assert_eq!(s.detail(&id).await.row.summary, "Paused by oli: lunch");
    assert_eq!(fault(s.rollouts().pause(&s.oli, &id, "").await).code, "not_now");

    s.rollouts().resume(&s.oli, &id, "go on").await.unwrap();
    let again = s.poll_all().await;
    assert_eq!(again.len(), 4);
    assert!(again[1..].iter().all(|(_, o)| offered.iter().all(|(_, old)| old.update_id != o.update_id)), "a new offer has a new id");
    let rows = s.rollouts().page(&s.oli, &id, &wire::rollouts::UpdateQuery::default()).await.unwrap().updates;
    assert!(rows.items.iter().all(|r| r.attempts == 1), "what was taken back was no attempt");
    assert_eq!(s.everybody_updates().await, 4);
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_stop_ends_it_when_the_last_device_under_way_is_done(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let id = s.approved(s.spec(vec![stage(Reach::Count(3)), stage(Reach::Percent(100.0))])).await;
    let offered = s.poll_all().await;
    s.say(offered[0].0, &offered[0].1.update_id, UpdateState::Installing).await.unwrap();
    s.rollouts().stop(&s.oli, &id, "wrong release").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Stopping);
    s.succeed(offered[0].0, &offered[0].1.update_id, "2.0.0", 2).await;
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.state, RolloutState::Stopped);
    assert_eq!((detail.row.counts.succeeded, detail.row.counts.left_out), (1, 2));
    assert!(detail.stages.iter().all(|s| s.state == StageState::Skipped));
    assert_eq!(s.poll_all().await.len(), 0);
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_plan_that_was_overtaken_never_applies(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    let mut on = s.rollouts().db.read().await.unwrap();
    let (record, before) = records::course(&mut on, &s.w.org, &id).await.unwrap().unwrap();
    drop(on);
    let step = |changes, evidence| super::super::moving::Move { changes, evidence, reasons: &[], order: None, objected: None };
    // The evidence moves: a device is offered the release.
    let close = [crate::rollouts::course::Change::Close { stage: 1, to: StageState::Succeeded, verdict: None }];
    s.poll_all().await;
    assert!(!s.rollouts().apply(&record, &before, &step(&close, Some((1, before.stages[0].tally)))).await.unwrap());
    assert_eq!(s.checked(&id).await.stages[0].state, StageState::Running);
    // The generation moves: a person pauses.
    s.rollouts().pause(&s.oli, &id, "").await.unwrap();
    let open = [crate::rollouts::course::Change::Doors { until: s.w.clock_now().plus(1) }];
    assert!(!s.rollouts().apply(&record, &before, &step(&open, None)).await.unwrap());
    assert_eq!(s.checked(&id).await.state, RolloutState::Paused);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn devices_that_join_or_go_are_counted_before_the_end(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 4).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(50.0)), stage(Reach::Percent(100.0))])).await;
    assert_eq!(s.everybody_updates().await, 2);
    // One joins, one goes; both in the last stage's reach.
    s.join("gw-new").await;
    let gone = s.devices[..4].iter().copied().find(|_| true).unwrap();
    let waiting: Vec<_> = s
        .rollouts()
        .page(&s.oli, &id, &wire::rollouts::UpdateQuery { show: wire::rollouts::Show::Waiting, ..Default::default() })
        .await
        .unwrap()
        .updates
        .items;
    assert_eq!(waiting.len(), 3);
    let gone =
        s.devices.iter().copied().find(|d| *d != gone && waiting.iter().any(|w| w.device_id.as_str() == format!("gw-{d}"))).unwrap_or(gone);
    s.set_device_state(gone, "suspended").await;
    s.everybody_updates().await;
    s.w.clock.advance(super::super::plan::RECOUNT_MS);
    s.rollouts().tick().await.unwrap();
    s.everybody_updates().await;
    let course = s.checked(&id).await;
    assert_eq!(course.state, RolloutState::Completed, "{course:?}");
    assert_eq!((course.totals().succeeded, course.totals().total), (4, 4));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_overview_says_when_an_update_failed_and_not_when_its_device_was_heard_of(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    s.launches(s.all()).await;
    let offered = s.poll_all().await;
    for (device, offer) in &offered {
        s.say(*device, &offer.update_id, UpdateState::Downloading).await.unwrap();
    }
    let mut failed_at = Vec::new();
    for (device, offer) in &offered {
        s.w.clock.advance(60_000);
        s.say(*device, &offer.update_id, UpdateState::Failed).await.unwrap();
        failed_at.push(s.w.clock_now());
    }
    s.w.clock.advance(600_000);
    let mut tx = s.rollouts().db.write().await.unwrap();
    exec!(&mut tx, HEARD_OF, s.w.clock_now().0).unwrap();
    tx.commit().await.unwrap();
    let attention = s.w.fleet.overview(&s.oli).await.unwrap().attention;
    let told: Vec<_> = attention.iter().filter(|a| matches!(a.matter, Matter::UpdateFailed { .. })).map(|a| a.since).collect();
    assert_eq!(told, failed_at.into_iter().rev().collect::<Vec<_>>(), "the latest first");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_order_for_a_stage_that_was_seen_moves_no_other(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 6).await;
    let watched = |reach| StageSpec { soak_s: 600, ..stage(reach) };
    let id = s.approved(s.spec(vec![watched(Reach::Count(1)), watched(Reach::Count(3)), stage(Reach::Percent(100.0))])).await;
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.everybody_updates().await, 1);
    assert_eq!(s.detail(&id).await.stages[0].state, StageState::Soaking);
    let on =
        async |who: &Actor, verb, stage| s.rollouts().act_on(who, &id, verb, Saw { stage: Some(stage), ..Saw::default() }, "looked").await;

    // Two people who see the same stage: one of them ends it, and the other one does nothing to the next.
    let both = tokio::join!(on(&s.oli, Verb::Promote, 1), on(&s.ada, Verb::Promote, 1));
    assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|ok| **ok).count(), 1);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.everybody_updates().await, 2);
    assert_eq!(s.detail(&id).await.stages[1].state, StageState::Soaking);
    // A page that was left open, and a script that tries again.
    let refused = fault(on(&s.oli, Verb::Promote, 1).await);
    let says = "It has moved on: stage 1 was the current one when you looked. By now: Stage 2 of 3 is being watched: 2 of 2 devices finished. Look at that, then decide again.";
    assert_eq!((refused.kind, refused.code.as_str(), refused.message.as_str()), (FaultKind::Conflict, "moved_on", says));
    assert_eq!(s.detail(&id).await.stages[1].state, StageState::Soaking, "its watch goes on");

    s.rollouts().pause(&s.oli, &id, "lunch").await.unwrap();
    assert_eq!(fault(on(&s.oli, Verb::Resume, 1).await).code, "moved_on");
    assert_eq!(s.state(&id).await, RolloutState::Paused);
    on(&s.oli, Verb::Resume, 2).await.unwrap();
    on(&s.oli, Verb::Promote, 2).await.unwrap();
    assert_eq!(s.checked(&id).await.stage, 3);
    assert_eq!(fault(on(&s.oli, Verb::Submit, 3).await).field.as_deref(), Some("stage"), "decisions are about no stage");
}
