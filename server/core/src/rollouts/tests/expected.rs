//! What is expected of a plan, from what the fleet's earlier updates took.

use super::{Scene, stage};
use crate::db::EngineKind;
use rstest::rstest;
use wire::{
    rollouts::{Bottleneck, Budget, Expected, HoldingLimit, Reach, RolloutSpec, Span, StageSpec, TightBudget},
    transfers::TransferLimits,
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_a_plan_takes_is_told_from_the_fleets_own_history(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 4).await;
    let plan = |s: &Scene| s.spec(vec![StageSpec { soak_s: 600, ..stage(Reach::Count(1)) }, stage(Reach::Percent(100.0))]);
    assert_eq!(s.rollouts().preview(&s.oli, &plan(&s)).await.unwrap().expected, None, "nobody was updated yet");

    s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    for (device, offer) in s.poll_all().await {
        s.w.clock.advance(60_000);
        s.succeed(device, &offer.update_id, "2.0.0", 2).await;
    }
    s.rollouts().tick().await.unwrap();

    s.release = s.publish("3.0.0", 3).await;
    let one = Span { usual_ms: 600_000 + 120_000, slow_ms: 600_000 + 240_000 };
    let rest = Span { usual_ms: 240_000, slow_ms: 240_000 };
    let whole = Span { usual_ms: one.usual_ms + rest.usual_ms, slow_ms: one.slow_ms + rest.slow_ms };
    let now = s.w.clock_now();
    let expected =
        Some(Expected { updates: 4, whole, stages: vec![one, rest], until: Some(now.plus(whole.usual_ms)), held_ms: 0, decides: None });
    assert_eq!(s.rollouts().preview(&s.oli, &plan(&s)).await.unwrap().expected, expected);

    // Who approves sees the same.
    let id = s.rollouts().draft(&s.oli, plan(&s)).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    assert_eq!(s.inbox(&s.ada).await.waiting[0].preview.expected, expected);

    // What has to go through a narrow line takes longer, and that is said; the release has 14 bytes.
    let narrow = wire::rollouts::RolloutSpec { bandwidth: Some(10_000), ..plan(&s) };
    let preview = s.rollouts().preview(&s.oli, &narrow).await.unwrap();
    let egress = preview.egress.unwrap();
    assert_eq!((egress.peak, egress.together, egress.least_ms), (Some(42), 3, 2 + 5));
    assert_eq!(preview.stages.iter().map(|s| s.bytes).collect::<Vec<_>>(), [14, 42]);
    assert_eq!(preview.expected.map(|e| (e.held_ms, e.whole)), Some((0, whole)), "these few bytes hold nobody");

    // Nothing is reckoned with a number that is refused.
    for refused in [RolloutSpec { bandwidth: Some(0), ..plan(&s) }, RolloutSpec { at_once: Some(0), ..plan(&s) }] {
        let preview = s.rollouts().preview(&s.oli, &refused).await.unwrap();
        assert!(!preview.problems.is_empty() && preview.expected.is_none() && preview.egress.is_none(), "{preview:?}");
    }

    // It begins when its window opens.
    let mut later = false;
    for (from, until) in [("00:00", "01:00"), ("12:00", "13:00")] {
        let (from, until) = (from.parse().unwrap(), until.parse().unwrap());
        let window = wire::rollouts::Window { days: wire::rollouts::Weekday::ALL.to_vec(), from, until, zone: "UTC".into() };
        let plan = wire::rollouts::RolloutSpec { window: Some(window), ..plan(&s) };
        let preview = s.rollouts().preview(&s.oli, &plan).await.unwrap();
        let opens = preview.times.and_then(|t| t.last).unwrap();
        later |= opens > now;
        assert_eq!(preview.expected.and_then(|e| e.until), Some(opens.plus(whole.usual_ms)));
    }
    assert!(later, "one of two windows is closed now");

    // A plan for nobody takes no time at all, and says nothing.
    let nobody = wire::rollouts::RolloutSpec { selector: "tag:none".into(), ..plan(&s) };
    assert_eq!(s.rollouts().preview(&s.oli, &nobody).await.unwrap().expected, None);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_budget_makes_a_plan_longer_and_the_dry_run_says_whose_it_is(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 5).await;
    for (device, site) in s.devices.iter().zip(["Berlin", "Berlin", "Berlin", "Oslo"]) {
        s.stands_at(*device, site).await;
    }
    s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    let offers = s.poll_all().await;
    s.w.clock.advance(60_000);
    for (device, offer) in offers {
        s.succeed(device, &offer.update_id, "2.0.0", 2).await;
    }
    s.rollouts().tick().await.unwrap();
    s.release = s.publish("3.0.0", 3).await;
    let plan = s.spec(vec![stage(Reach::Percent(100.0))]);
    let free = s.rollouts().preview(&s.oli, &plan).await.unwrap().expected.unwrap();
    assert_eq!((free.whole.usual_ms, free.decides), (60_000, None));

    let by = |at_most, at_most_percent| RolloutSpec {
        budget: Some(Budget { attribute: "site".into(), at_most, at_most_percent }),
        ..plan.clone()
    };
    for (one_at_a_time, at_most, takes) in [(by(Some(1), None), 1, 180_000), (by(None, Some(70.0)), 2, 120_000)] {
        let expected = s.rollouts().preview(&s.oli, &one_at_a_time).await.unwrap().expected.unwrap();
        assert_eq!(expected.whole.usual_ms, takes);
        let of = TightBudget { attribute: "site".into(), value: "Berlin".into(), devices: 3, at_most };
        assert_eq!(expected.decides, Some(Bottleneck { stage: 1, usual_ms: takes, limit: HoldingLimit::Budget(of) }));
        assert_eq!(expected.until, Some(s.w.clock_now().plus(takes)));
    }
    let wide = s.rollouts().preview(&s.oli, &by(Some(3), None)).await.unwrap().expected.unwrap();
    assert_eq!((wide.whole, wide.decides), (free.whole, None), "nobody waits where all of a site may update at once");

    // Who approves it is told the same.
    let id = s.rollouts().draft(&s.oli, by(Some(1), None)).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let card = s.inbox(&s.ada).await.waiting.remove(0);
    assert_eq!(card.preview.expected.map(|e| e.whole.usual_ms), Some(180_000));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn limits_of_bandwidth_make_a_plan_longer_and_the_dry_run_says_so(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 4).await;
    s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    for (device, offer) in s.poll_all().await {
        s.succeed(device, &offer.update_id, "2.0.0", 2).await;
    }
    s.rollouts().tick().await.unwrap();
    s.release = s.publish_content("3.0.0", 3, "7".repeat(1_000_000).as_bytes()).await;
    let limits = TransferLimits { bandwidth: Some(100_000), ..TransferLimits::default() };
    s.w.fleet.transfers().set_limits(&s.ada, limits).await.unwrap();
    let plan = s.spec(vec![stage(Reach::Count(1)), stage(Reach::Percent(100.0))]);
    let preview = s.rollouts().preview(&s.oli, &plan).await.unwrap();
    assert_eq!(preview.egress.as_ref().map(|e| (e.peak, e.together, e.least_ms)), Some((Some(100_000), 3, 40_000)));
    let expected = preview.expected.unwrap();
    assert_eq!(expected.stages.iter().map(|s| s.usual_ms).collect::<Vec<_>>(), [10_000, 30_000]);
    assert_eq!(expected.held_ms, 40_000, "the updates before took no time");

    // A kept plan and whoever approves it are told the same.
    let id = s.rollouts().draft(&s.oli, plan).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let card = s.inbox(&s.ada).await.waiting.remove(0);
    assert_eq!((card.preview.egress, card.preview.expected.map(|e| e.held_ms)), (preview.egress, Some(40_000)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_plan_is_not_over_before_those_whom_their_data_budgets_put_off(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 3).await;
    s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    for (device, offer) in s.poll_all().await {
        s.succeed(device, &offer.update_id, "2.0.0", 2).await;
    }
    s.rollouts().tick().await.unwrap();
    s.release = s.publish("3.0.0", 3).await;
    let transfers = s.w.fleet.transfers();
    for device in &s.devices {
        let flow = transfers.begin(*device).await.unwrap();
        flow.sent(2_000_000);
        drop(flow);
    }
    transfers.write_down().await.unwrap();
    let plan = s.spec(vec![stage(Reach::Percent(100.0))]);
    let preview = s.rollouts().preview(&s.oli, &plan).await.unwrap();
    assert_eq!((preview.put_off_until, preview.expected.and_then(|e| e.until)), (None, Some(s.w.clock_now())), "there is no budget");

    transfers.set_limits(&s.ada, TransferLimits { data_budget_mb: Some(1), ..TransferLimits::default() }).await.unwrap();
    let preview = s.rollouts().preview(&s.oli, &plan).await.unwrap();
    assert_eq!(preview.put_off.iter().map(|late| late.devices).collect::<Vec<_>>(), [3]);
    let again = preview.put_off_until.unwrap();
    assert!(again.since(s.w.clock_now()) > 29 * 24 * 3_600_000, "{}", again.readable());
    assert_eq!(preview.expected.and_then(|e| e.until), Some(again), "their updates take no time, and none before that");

    // Whoever approves it reads the same, and a later start is later.
    let id = s.rollouts().draft(&s.oli, plan.clone()).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let card = s.inbox(&s.ada).await.waiting.remove(0);
    assert_eq!((card.preview.put_off_until, card.preview.expected.and_then(|e| e.until)), (Some(again), Some(again)));
    let later = wire::rollouts::RolloutSpec { start_at: Some(again.plus(3_600_000)), ..plan };
    let preview = s.rollouts().preview(&s.oli, &later).await.unwrap();
    assert_eq!(preview.expected.and_then(|e| e.until), later.start_at);
}
