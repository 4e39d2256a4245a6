//! What people read.

use super::{Scene, fault, says, stage};
use crate::{
    db::{EngineKind, counting},
    rollouts::store::history,
};
use rstest::rstest;
use std::collections::BTreeSet;
use wire::{
    FaultKind,
    device::StatusReport,
    ids::{DeviceId, RolloutId},
    rollouts::{GateSpec, PreviewQuery, Reach, RolloutSpec, Show, StageSpec, Tab, UpdateQuery},
    states::{RolloutState, UpdateState},
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn pages_of_devices_hold_each_once(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 130).await;
    let id = s.approved(s.spec(vec![stage(Reach::Count(30)), stage(Reach::Percent(100.0))])).await;
    for (i, (device, offer)) in s.poll_all().await.into_iter().enumerate() {
        if i < 10 {
            s.succeed(device, &offer.update_id, "2.0.0", 2).await;
        }
    }
    let all = |show: Show, stage: Option<u32>| {
        let (s, id) = (&s, &id);
        async move {
            let mut seen = Vec::new();
            let mut query = UpdateQuery { stage, show, ..UpdateQuery::default() };
            loop {
                let page = s.rollouts().page(&s.oli, id, &query).await.unwrap().updates;
                assert!(page.items.len() <= 50);
                seen.extend(page.items);
                query.cursor = page.next;
                if query.cursor.is_none() {
                    return (page.total, seen);
                }
            }
        }
    };
    for (show, stage, expected) in [
        (Show::All, None, 130),
        (Show::All, Some(1), 30),
        (Show::All, Some(2), 100),
        (Show::Waiting, None, 100),
        (Show::Updating, None, 20),
        (Show::Succeeded, Some(1), 10),
        (Show::Failed, None, 0),
    ] {
        let (total, rows) = all(show, stage).await;
        assert_eq!((total, rows.len()), (expected, usize::try_from(expected).unwrap()), "{show} {stage:?}");
        let ids: BTreeSet<_> = rows.iter().map(|r| r.device_id.clone()).collect();
        assert_eq!(ids.len(), rows.len(), "{show} {stage:?}: each once");
        assert!(rows.iter().all(|r| stage.is_none_or(|s| r.stage == s)));
    }
    let (_, waiting) = all(Show::Waiting, None).await;
    assert!(waiting.iter().all(|r| r.id.is_none() && r.state == UpdateState::Queued && r.stage == 2));
    for show in Show::ALL {
        let query = UpdateQuery { show: *show, rows: Some(7), ..UpdateQuery::default() };
        assert!(s.rollouts().updates(&s.oli, &id, &query).await.unwrap().items.len() <= 7, "{show}");
        let query = UpdateQuery { show: *show, cursor: Some("nonsense".into()), ..UpdateQuery::default() };
        assert_eq!(fault(s.rollouts().updates(&s.oli, &id, &query).await).field.as_deref(), Some("cursor"), "{show}");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_has_left_the_fleet_is_in_no_list_nor_total(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 6).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    for (i, (device, offer)) in s.poll_all().await.into_iter().enumerate() {
        if i < 4 {
            s.succeed(device, &offer.update_id, "2.0.0", 2).await;
        }
    }
    s.set_device_state(s.devices[0], "decommissioned").await;
    s.set_device_state(s.devices[5], "decommissioned").await;
    for (show, expected) in [(Show::All, 4), (Show::Succeeded, 3), (Show::Updating, 1), (Show::Failed, 0)] {
        let query = UpdateQuery { show, ..UpdateQuery::default() };
        let page = s.rollouts().page(&s.oli, &id, &query).await.unwrap();
        assert_eq!((page.updates.total, page.updates.items.len()), (expected, usize::try_from(expected).unwrap()), "{show}");
        assert_eq!((page.gone.total, page.gone.succeeded, page.gone.updating), (2, 1, 1));
        assert_eq!(page.rollout.row.counts.total, 6, "as evidence it stays");
    }
    let other = UpdateQuery { stage: Some(2), ..UpdateQuery::default() };
    assert_eq!(s.rollouts().page(&s.oli, &id, &other).await.unwrap().gone.total, 2, "a stage that it does not have counts as not said");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn failures_are_told_by_why_the_most_frequent_first(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 5).await;
    let gate = GateSpec { error_percent: 100.0, success_percent: 0.0, ..GateSpec::default() };
    let id = s.approved(s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }])).await;
    let offered = s.poll_all().await;
    for (i, code) in [(0, "digest_mismatch"), (1, "flash_error"), (2, "flash_error")] {
        let (device, offer) = &offered[i];
        let report =
            StatusReport { code: Some(code.into()), detail: Some(format!("said {code}")), ..says(&offer.update_id, UpdateState::Failed) };
        s.rollouts().report(*device, report).await.unwrap();
    }
    s.say(offered[3].0, &offered[3].1.update_id, UpdateState::Rejected).await.unwrap();
    s.succeed(offered[4].0, &offered[4].1.update_id, "2.0.0", 2).await;
    let failures = async |stage| {
        let page = s.rollouts().page(&s.oli, &id, &UpdateQuery { stage, ..UpdateQuery::default() }).await.unwrap();
        page.failures.into_iter().map(|f| (f.state, f.code, f.devices)).collect::<Vec<_>>()
    };
    let expected = [
        (UpdateState::Failed, "flash_error".to_owned(), 2),
        (UpdateState::Failed, "digest_mismatch".to_owned(), 1),
        (UpdateState::Rejected, String::new(), 1),
    ];
    assert_eq!(failures(None).await, expected);
    assert_eq!(failures(Some(1)).await, expected);
    assert_eq!(failures(Some(2)).await, expected, "a stage that it does not have counts as not said");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn lists_tabs_wizard_and_reasons(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    let stages = vec![stage(Reach::Count(1)), stage(Reach::Percent(100.0))];
    assert_eq!(room.explain(s.devices[0]).await.unwrap(), "", "nothing concerns it");
    let draft = room.draft(&s.oli, s.spec(stages.clone())).await.unwrap();
    let waiting = room.draft(&s.oli, s.spec(stages.clone())).await.unwrap();
    room.submit(&s.oli, &waiting).await.unwrap();
    assert_eq!(room.explain(s.devices[0]).await.unwrap(), "“spring” brings 2.0.0: it waits for approval.");
    let running = s.approved(s.spec(stages)).await;
    for (tab, id) in [(Tab::Drafts, &draft), (Tab::Waiting, &waiting), (Tab::Running, &running)] {
        let page = room.list(&s.oli, None, tab, 50).await.unwrap();
        assert_eq!((page.rollouts.items.len(), &page.rollouts.items[0].id, page.rollouts.total), (1, id, 1), "{tab}");
    }
    assert_eq!(room.list(&s.oli, None, Tab::Finished, 50).await.unwrap().rollouts.items, []);
    let all = room.list(&s.oli, None, Tab::All, 2).await.unwrap().rollouts;
    assert_eq!((all.items.len(), all.total), (2, 3));
    let rest = room.list(&s.oli, all.next.as_deref(), Tab::All, 2).await.unwrap().rollouts;
    let listed: BTreeSet<_> = all.items.iter().chain(&rest.items).map(|r| &r.id).collect();
    assert_eq!(listed, BTreeSet::from([&draft, &waiting, &running]));
    let found = async |q: &str, tab| room.search(&s.oli, q, None, tab, 50).await.unwrap().rollouts.total;
    assert_eq!((found("SPRI", Tab::All).await, found("2.0.0", Tab::Drafts).await, found(" gate", Tab::Running).await), (3, 1, 1));
    assert_eq!(
        (found("winter", Tab::All).await, found("%", Tab::All).await, found("s_ring", Tab::All).await),
        (0, 0, 0),
        "as it is written"
    );
    let row = &room.list(&s.oli, None, Tab::Running, 50).await.unwrap().rollouts.items[0];
    assert_eq!((row.summary.as_str(), row.counts.total), ("Stage 1 of 2 is running: 0 of 1 device finished", 3));
    assert_eq!(
        room.open_rows(&s.w.org, 8).await.unwrap().iter().map(|r| r.state).collect::<Vec<_>>(),
        [RolloutState::Running, RolloutState::WaitingForApproval]
    );

    let (mut said, first) = (Vec::new(), s.poll_all().await);
    for device in &s.devices {
        let text = room.explain(*device).await.unwrap();
        let own = first.iter().any(|(d, _)| d == device);
        assert_eq!(own, text.starts_with("Updating to 2.0.0 by “spring”: offered to the device."), "{text}");
        said.push(text);
    }
    assert!(said.iter().any(|t| t == "“spring” brings 2.0.0: its turn comes in stage 2; stage 1 is running."), "{said:?}");

    let wizard = room.wizard(&s.oli, None, Some(&draft), None, None).await.unwrap();
    assert_eq!(wizard.releases.len(), 1);
    assert_eq!(wizard.editing.map(|e| e.0), Some(draft));
    let preview = wizard.preview.unwrap();
    assert_eq!(preview.stages.iter().map(|s| s.devices).collect::<Vec<_>>(), [1, 1], "the one being updated elsewhere is left out");
    assert_eq!(preview.excluded[0].reason, "another rollout is updating it");
    let held = "1 device is being updated by “spring”. It is in no stage here, and this comes to it only where that fails: it brings the same release or a newer one.";
    assert!(preview.warnings.iter().any(|w| w == held), "{:?}", preview.warnings);
    assert!(room.wizard(&s.oli, None, Some(&running), None, None).await.is_err());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_has_nothing_to_do_is_remembered_until_something_opens(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let mut events = s.w.fleet.bus().listen();
    s.rollouts().hears(None);
    assert_eq!(s.poll_all().await.len(), 0);
    Scene::told(&mut events);
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.poll_all().await.len(), 0, "nobody has told them yet, and nobody looks");
    for event in Scene::told(&mut events) {
        s.rollouts().hears(Some(&event));
    }
    assert!(s.rollouts().poll(s.devices[0]).await.unwrap().is_some());
    // A pause opens nothing, and what it closed is found when it ends.
    let other = s.devices[1];
    s.rollouts().pause(&s.oli, &id, "").await.unwrap();
    assert!(s.rollouts().poll(other).await.unwrap().is_none());
    s.rollouts().resume(&s.oli, &id, "go on").await.unwrap();
    for event in Scene::told(&mut events) {
        s.rollouts().hears(Some(&event));
    }
    assert!(s.rollouts().poll(other).await.unwrap().is_some());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_page_of_waiting_devices_and_its_total_answer_the_same_question(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 6).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    s.rollouts().tick().await.unwrap();
    let gone = s.devices[0];
    // One of them runs something newer meanwhile, and two more join: nobody has counted yet.
    s.runs(gone, "3.0.0", 3).await;
    for n in 7..=8 {
        s.join(&format!("gw-{n}")).await;
    }
    for (show, cursor) in [(Show::Waiting, None), (Show::All, None), (Show::Waiting, Some(s.devices[2].to_string()))] {
        let query = UpdateQuery { show, cursor: cursor.clone(), rows: Some(3), ..UpdateQuery::default() };
        let page = s.rollouts().updates(&s.ada, &id, &query).await.unwrap();
        assert_eq!((page.total, page.items.len()), (7, 3), "{show} {cursor:?}");
    }
    let before = s.detail(&id).await.row.counts.waiting;
    s.w.clock.advance(super::super::plan::RECOUNT_SMALL_MS);
    s.rollouts().tick().await.unwrap();
    assert_eq!((before, s.detail(&id).await.row.counts.waiting), (6, 7), "a minute later the rollout says so too");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_dry_run_says_of_every_device_where_it_would_be_and_why_not(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 8).await;
    s.runs(s.devices[2], "2.0.0", 2).await;
    let id = s.rollouts().draft(&s.oli, s.spec(vec![stage(Reach::Count(3)), stage(Reach::Percent(100.0))])).await.unwrap();
    let mut seen = Vec::new();
    let mut query = PreviewQuery { rows: Some(3), ..PreviewQuery::default() };
    loop {
        let page = s.rollouts().preview_devices(&s.oli, &id, &query).await.unwrap();
        assert!(page.items.len() <= 3 && page.total == 8, "{page:?}");
        seen.extend(page.items);
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    let of = |stage: Option<u32>| seen.iter().filter(|d| d.stage == stage).count();
    assert_eq!([Some(1), Some(2), None].map(of), [3, 4, 1]);
    let out = s.rollouts().preview_devices(&s.oli, &id, &PreviewQuery { stage: Some(0), ..PreviewQuery::default() }).await.unwrap();
    assert_eq!(
        (out.total, out.items[0].device_id.as_str(), out.items[0].reason.as_deref()),
        (1, "gw-3", Some("already on 2.0.0 or newer"))
    );
    let ninth = fault(s.rollouts().preview_devices(&s.oli, &id, &PreviewQuery { stage: Some(9), ..PreviewQuery::default() }).await);
    assert_eq!((ninth.kind, ninth.message.as_str()), (FaultKind::Invalid, "It has 2 stages: choose 1 to 2, or leave the stage out."));

    // What it says is what is drawn.
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;
    s.rollouts().approve(&s.ada, &id, &digest, "fine").await.unwrap();
    s.rollouts().tick().await.unwrap();
    let first: BTreeSet<String> = seen.iter().filter(|d| d.stage == Some(1)).map(|d| d.device_id.to_string()).collect();
    let offered: Vec<_> = s.poll_all().await.into_iter().map(|(device, _)| device).collect();
    let named: BTreeSet<String> =
        (1..).zip(&s.devices).filter(|(_, d)| offered.contains(d)).map(|(n, _): (i32, _)| format!("gw-{n}")).collect();
    assert_eq!(first, named);
    assert_eq!(fault(s.rollouts().preview_devices(&s.oli, &id, &PreviewQuery::default()).await).code, "not_now");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_plan_that_is_not_kept_names_the_devices_that_its_draft_will_have(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 8).await;
    s.runs(s.devices[2], "2.0.0", 2).await;
    let plan = s.spec(vec![stage(Reach::Count(3)), stage(Reach::Percent(100.0))]);
    let preview = s.rollouts().preview(&s.oli, &plan).await.unwrap();
    let draw = preview.draw.clone().unwrap();
    assert_eq!(preview.stages.iter().map(|s| s.sample.len()).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(s.rollouts().preview_drawn(&s.oli, Some(&draw), &plan).await.unwrap(), preview, "the same draw, the same devices");
    let list = async |cursor: Option<String>, stage: Option<u32>| {
        let query = PreviewQuery { stage, cursor, rows: Some(3) };
        s.rollouts().preview_devices_drawn(&s.oli, &draw, &plan, &query).await.unwrap()
    };
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = list(cursor, None).await;
        assert!(page.items.len() <= 3 && page.total == 8, "{page:?}");
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let order: Vec<&str> = seen.iter().map(|d| d.device_id.as_str()).collect();
    assert_eq!(order, ["gw-1", "gw-2", "gw-3", "gw-4", "gw-5", "gw-6", "gw-7", "gw-8"], "each once, by device number");
    let first: BTreeSet<&str> = seen.iter().filter(|d| d.stage == Some(1)).map(|d| d.device_id.as_str()).collect();
    assert_eq!(first, preview.stages[0].sample.iter().map(DeviceId::as_str).collect::<BTreeSet<_>>());
    let out = list(None, Some(0)).await;
    assert_eq!((out.total, out.items[0].reason.as_deref()), (1, Some("already on 2.0.0 or newer")));
    assert_eq!((list(None, Some(1)).await.total, list(None, Some(2)).await.total), (3, 4));

    // The draft has it, and nobody else can.
    let id = s.rollouts().draft_drawn(&s.oli, Some(draw.clone()), plan.clone()).await.unwrap();
    assert_eq!(id, draw);
    let kept = s.rollouts().preview_devices(&s.oli, &id, &PreviewQuery::default()).await.unwrap();
    assert_eq!(kept.items, seen);
    let used = fault(s.rollouts().draft_drawn(&s.oli, Some(draw.clone()), plan.clone()).await);
    assert_eq!((used.code.as_str(), used.about.as_deref()), ("draw_used", Some(id.as_str())));
    assert!(used.message.starts_with(&format!("“{}” ({id}) has this draw already.", plan.name)), "{}", used.message);
    let anew = s.rollouts().preview_drawn(&s.oli, Some(&draw), &plan).await.unwrap().draw.unwrap();
    assert_ne!(anew, draw, "a draw that a rollout has is no other plan's");
    let chosen: RolloutId = s.w.entropy.id(s.w.clock_now());
    assert_eq!(fault(s.rollouts().draft_drawn(&s.oli, Some(chosen.clone()), plan.clone()).await).code, "draw_gone", "no preview made it");
    assert_ne!(s.rollouts().preview_drawn(&s.oli, Some(&chosen), &plan).await.unwrap().draw, Some(chosen), "nor is it previewed");
    s.w.clock.advance(25 * 3_600_000);
    assert_eq!(fault(s.rollouts().draft_drawn(&s.oli, Some(anew), plan.clone()).await).code, "draw_gone", "a day is over");

    // What can't be drawn is refused.
    let unread = RolloutSpec { selector: "tag:".into(), ..plan };
    let refused = fault(s.rollouts().preview_devices_drawn(&s.oli, &draw, &unread, &PreviewQuery::default()).await);
    assert_eq!(refused.field.as_deref(), Some("selector"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_was_drafted_last_says_how_long_updates_take_however_old_its_draw_is(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let only = |device: &str| RolloutSpec { selector: format!("id:{device}"), ..s.spec(vec![stage(Reach::Percent(100.0))]) };
    let old = s.rollouts().preview(&s.oli, &only("gw-2")).await.unwrap().draw;
    s.w.clock.advance(3_600_000);
    for (device, draw, takes) in [("gw-1", None, 60_000), ("gw-2", old, 120_000)] {
        let id = s.rollouts().draft_drawn(&s.oli, draw, only(device)).await.unwrap();
        s.rollouts().submit(&s.oli, &id).await.unwrap();
        let digest = s.detail(&id).await.digest;
        s.rollouts().approve(&s.ada, &id, &digest, "fine").await.unwrap();
        s.rollouts().tick().await.unwrap();
        let offered = s.poll_all().await;
        assert_eq!(offered.len(), 1, "{device}");
        let (number, update) = (offered[0].0, &offered[0].1.update_id);
        s.say(number, update, UpdateState::Downloading).await.unwrap();
        s.w.clock.advance(takes);
        assert_eq!(s.succeed(number, update, "2.0.0", 2).await, UpdateState::Succeeded);
    }
    let mut on = s.rollouts().db.read().await.unwrap();
    assert_eq!(history::took(&mut on, &s.w.org, "gateway", 1).await.unwrap(), [120_000]);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_pages_of_a_dry_run_walk_the_fleet_once(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 8).await;
    let plan = s.spec(vec![stage(Reach::Count(3)), stage(Reach::Percent(100.0))]);
    let draw = s.rollouts().preview(&s.oli, &plan).await.unwrap().draw.unwrap();
    let walks = |ran: Vec<counting::Ran>| ran.iter().filter(|r| r.sql.contains("u.rollout_id <> $2 AND u.open = TRUE")).count();
    let drawn = async |draw: &RolloutId, plan: &RolloutSpec, cursor: Option<String>| {
        let query = PreviewQuery { stage: None, cursor, rows: Some(3) };
        let (page, ran) = counting::counted(s.rollouts().preview_devices_drawn(&s.oli, draw, plan, &query)).await;
        (page.unwrap(), walks(ran))
    };
    let (first, walked) = drawn(&draw, &plan, None).await;
    assert_eq!(walked, 1);
    let (second, walked) = drawn(&draw, &plan, first.next).await;
    assert_eq!((second.items[0].device_id.as_str(), second.total, walked), ("gw-4", 8, 0));
    // Another plan by this draw, and this plan by another draw, have lists of their own.
    let (other, walked) = drawn(&draw, &RolloutSpec { selector: "id:gw-1".into(), ..plan.clone() }, None).await;
    assert_eq!((other.total, walked), (1, 1));
    let anew = s.rollouts().preview(&s.oli, &plan).await.unwrap().draw.unwrap();
    assert_eq!(drawn(&anew, &plan, None).await.1, 1);

    // So has a kept plan, and each edit of it.
    let id = s.rollouts().draft(&s.oli, plan.clone()).await.unwrap();
    let kept = async || {
        let (page, ran) = counting::counted(s.rollouts().preview_devices(&s.oli, &id, &PreviewQuery::default())).await;
        (page.unwrap().total, walks(ran))
    };
    assert_eq!([kept().await, kept().await], [(8, 1), (8, 0)]);
    let edited = RolloutSpec { selector: "id:gw-1,gw-2,gw-3,gw-4".into(), ..plan };
    s.rollouts().edit(&s.oli, &id, s.detail(&id).await.generation, edited).await.unwrap();
    assert_eq!(kept().await, (4, 1));
}
