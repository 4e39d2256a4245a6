//! Devices that have used up their data budget.

use super::*;
use crate::db::counting;
use rstest::rstest;
use wire::{rollouts::PreviewQuery, transfers::TransferLimits};

const DAY: i64 = 24 * 3600 * 1000;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_device_over_its_budget_is_offered_nothing_unless_the_plan_says_so(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let transfers = s.w.fleet.transfers();
    transfers.set_limits(&s.ada, TransferLimits { data_budget_mb: Some(2), ..TransferLimits::default() }).await.unwrap();
    let flow = transfers.begin(s.devices[0]).await.unwrap();
    flow.sent(2_000_000);
    drop(flow);
    transfers.write_down().await.unwrap();

    // Whatever is believed about devices with nothing to do, it ends by itself.
    s.rollouts().hears(None);
    let everybody = s.spec(vec![stage(Reach::Percent(100.0))]);
    let id = s.approved(everybody.clone()).await;
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.rollouts().poll(s.devices[0]).await.unwrap(), None);
    let offer = s.rollouts().poll(s.devices[1]).await.unwrap().unwrap();
    let why = s.rollouts().explain(s.devices[0]).await.unwrap();
    assert!(why.contains("has used 2 of 2 MB in 30 days. It gets it from 23 Dec 2026 00:00 UTC on."), "{why}");
    s.checked(&id).await;

    // A plan that says so reaches it at once.
    s.succeed(s.devices[1], &offer.update_id, "2.0.0", 2).await;
    s.rollouts().stop(&s.ada, &id, "enough").await.unwrap();
    s.rollouts().tick().await.unwrap();
    let urgent = s.approved(RolloutSpec { name: "urgent".into(), ignore_data_budget: true, ..everybody }).await;
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();
    let offer = s.rollouts().poll(s.devices[0]).await.unwrap().unwrap();
    assert_eq!(offer.rollout_id, urgent);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn it_is_offered_when_enough_of_it_is_long_ago(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let transfers = s.w.fleet.transfers();
    transfers.set_limits(&s.ada, TransferLimits { data_budget_mb: Some(2), ..TransferLimits::default() }).await.unwrap();
    let flow = transfers.begin(s.devices[0]).await.unwrap();
    flow.sent(5_000_000);
    drop(flow);
    transfers.write_down().await.unwrap();
    s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.poll_all().await.len(), 0);
    // The last stage waits for 30 days and more; so long it takes.
    s.w.clock.advance(29 * DAY);
    assert_eq!(s.poll_all().await.len(), 0);
    s.w.fleet.transfers().set_limits(&s.ada, TransferLimits::default()).await.unwrap();
    assert_eq!(s.poll_all().await.len(), 1, "without a budget nobody waits for one");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_device_that_waits_for_its_bytes_is_not_silent(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();
    let offered = s.poll_all().await;
    let minutes = |n: i64| s.w.clock.advance(n * 60_000);
    minutes(40);
    s.rollouts().downloads_on(offered[0].0).await.unwrap();
    minutes(40);
    s.rollouts().tick().await.unwrap();
    let counts = s.checked(&id).await.stages[0].counts;
    assert_eq!((counts.updating, counts.timed_out), (1, 1), "the other one said nothing for an hour and more");
    minutes(40);
    s.rollouts().tick().await.unwrap();
    s.rollouts().downloads_on(offered[0].0).await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.checked(&id).await.stages[0].counts.timed_out, 2, "what is over does not begin again");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_dry_run_says_whom_a_budget_puts_off_and_whom_it_is_used_up_by(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 4).await;
    s.release = s.publish_content("3.0.0", 3, "7".repeat(1_000_000).as_bytes()).await;
    let transfers = s.w.fleet.transfers();
    for (device, bytes) in [(s.devices[0], 2_000_000), (s.devices[1], 1_000_000), (s.devices[2], 999_999)] {
        let flow = transfers.begin(device).await.unwrap();
        flow.sent(bytes);
        drop(flow);
    }
    transfers.write_down().await.unwrap();
    let plan = s.spec(vec![stage(Reach::Percent(100.0))]);
    let told = async |plan: &RolloutSpec| {
        let preview = s.rollouts().preview(&s.oli, plan).await.unwrap();
        (preview.total, preview.put_off.into_iter().map(|late| (late.reason, late.devices)).collect::<Vec<_>>(), preview.reach_budget)
    };
    assert_eq!(told(&plan).await, (4, vec![], 0), "there is no budget");
    transfers.set_limits(&s.ada, TransferLimits { data_budget_mb: Some(2), ..TransferLimits::default() }).await.unwrap();
    let why = "has used up its data budget of 2 MB in 30 days".to_owned();
    assert_eq!(told(&plan).await, (4, vec![(why.clone(), 1)], 1));
    let until = async |plan: &RolloutSpec| s.rollouts().preview(&s.oli, plan).await.unwrap().put_off_until.map(wire::Timestamp::readable);
    assert_eq!(until(&plan).await.as_deref(), Some("23 Dec 2026 00:00 UTC"));
    assert_eq!(until(&RolloutSpec { ignore_data_budget: true, ..plan.clone() }).await, None);
    assert_eq!(told(&RolloutSpec { ignore_data_budget: true, ..plan.clone() }).await, (4, vec![], 0));

    // The device is named, in its stage, and others are not put off.
    let draw = s.rollouts().preview(&s.oli, &plan).await.unwrap().draw.unwrap();
    let page = s.rollouts().preview_devices_drawn(&s.oli, &draw, &plan, &PreviewQuery::default()).await.unwrap();
    let late: Vec<_> = page.items.iter().filter_map(|d| Some((d.device_id.as_str(), d.stage, d.put_off.as_deref()?))).collect();
    assert_eq!((late, page.total), (vec![("gw-1", Some(1), why.as_str())], 4));
    let query = PreviewQuery::default();
    let (again, ran) = counting::counted(s.rollouts().preview_devices_drawn(&s.oli, &draw, &plan, &query)).await;
    assert_eq!(again.unwrap().items, page.items);
    assert!(ran.iter().all(|r| !r.sql.contains("device_bytes")), "what everybody was sent is read once for all pages");

    // What was sent long ago puts nobody off any more.
    s.w.clock.advance(32 * DAY);
    assert_eq!(told(&plan).await, (4, vec![], 0));
}
