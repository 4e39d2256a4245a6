//! Whom a plan takes and in which order: own selectors, spread, lists, shares of a site, rates, and values of metrics.

use super::*;
use rstest::rstest;
use wire::{
    device::Sample,
    rollouts::{Budget, Growth, Order, Rate},
};

const AT_SITE: Sql = Sql::same(
    "INSERT INTO device_attributes (device, org_id, name, value, place)
     VALUES ($1, $2, 'site', $3, (SELECT device_id_lower FROM devices WHERE number = $1))",
);
const STRATA: Sql = Sql::same("SELECT COUNT(*) FROM rollout_strata WHERE rollout_id = $1");

impl Scene {
    async fn at_site(&self, device: DeviceNo, site: &str) {
        let mut tx = self.rollouts().db.write().await.unwrap();
        exec!(&mut tx, AT_SITE, device, self.w.org.as_str(), site).unwrap();
        tx.commit().await.unwrap();
    }

    /// Every offer that is made now, by name of the device.
    async fn offered(&self) -> BTreeSet<String> {
        let offered: Vec<DeviceNo> = self.poll_all().await.into_iter().map(|(device, _)| device).collect();
        self.devices.iter().enumerate().filter(|(_, d)| offered.contains(d)).map(|(i, _)| format!("gw-{}", i + 1)).collect()
    }

    async fn begun(&self, spec: RolloutSpec) -> RolloutId {
        let id = self.approved(spec).await;
        self.rollouts().tick().await.unwrap();
        self.rollouts().tick().await.unwrap();
        id
    }
}

fn own(selector: &str) -> StageSpec {
    stage(Reach::Matching(selector.into()))
}

fn names(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn stages_take_those_that_match_and_the_rest_is_left_out_or_comes_last(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 10).await;
    let some = s.spec(vec![own("id:gw-1,gw-2"), own("id:gw-1*"), stage(Reach::Percent(100.0))]);
    let preview = s.rollouts().preview(&s.oli, &some).await.unwrap();
    // gw-1 is in the first stage, gw-10 alone in the second.
    let sizes: Vec<i64> = preview.stages.iter().map(|s| s.devices).collect();
    assert_eq!((sizes, preview.problems.len()), (vec![2, 1, 7], 1), "{:?}", preview.problems);
    assert_eq!(preview.problems[0].field, "stages.1.reach");
    assert!(preview.problems[0].message.starts_with("1 device that matches is in an earlier stage"), "{}", preview.problems[0].message);
    let refused = fault(s.rollouts().submit(&s.oli, &s.rollouts().draft(&s.oli, some).await.unwrap()).await);
    assert_eq!(refused.field.as_deref(), Some("stages.1.reach"));
    let nobody = s.spec(vec![own("id:gw-99"), stage(Reach::Percent(100.0))]);
    let preview = s.rollouts().preview(&s.oli, &nobody).await.unwrap();
    assert!(
        preview.problems[0].message.starts_with("Stage 1 has no devices: none of the rollout's devices matches"),
        "{:?}",
        preview.problems
    );

    let plan = s.spec(vec![own("id:gw-1,gw-2"), own("id:gw-3"), own("id:gw-4,gw-5")]);
    let preview = s.rollouts().preview(&s.oli, &RolloutSpec { name: "three".into(), ..plan.clone() }).await.unwrap();
    assert_eq!((preview.total, preview.problems.len()), (5, 0));
    assert_eq!((preview.excluded[0].devices, preview.excluded[0].reason.as_str()), (5, "in no stage: none of their selectors matches"));
    let id = s.begun(RolloutSpec { name: "three".into(), ..plan }).await;
    for expected in [&["gw-1", "gw-2"][..], &["gw-3"], &["gw-4", "gw-5"]] {
        assert_eq!(s.offered().await, names(expected));
        s.everybody_updates().await;
        s.checked(&id).await;
    }
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    let page = s.rollouts().page(&s.oli, &id, &UpdateQuery::default()).await.unwrap();
    assert_eq!(page.updates.items.len(), 5);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_device_that_no_stage_takes_is_told_so_and_one_that_begins_to_match_comes(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 3).await;
    let id = s.begun(s.spec(vec![own("id:gw-1"), own("id:gw-2 or attr.site:north")])).await;
    assert_eq!(s.offered().await, names(&["gw-1"]));
    let why = s.rollouts().explain(s.devices[2]).await.unwrap();
    assert!(why.contains("none of its stages takes the device"), "{why}");
    s.at_site(s.devices[2], "north").await;
    let why = s.rollouts().explain(s.devices[2]).await.unwrap();
    assert!(why.contains("its turn comes in stage 2"), "{why}");
    s.everybody_updates().await;
    // Who joins late and matches comes as well.
    let late = s.join("gw-4").await;
    s.at_site(late, "north").await;
    assert_eq!(s.offered().await, names(&["gw-2", "gw-3", "gw-4"]));
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_plan_is_spread_over_sites_unless_it_says_otherwise_and_late_ones_are_too(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 20).await;
    for (i, device) in s.devices.iter().enumerate() {
        s.at_site(*device, ["north", "south", "east", "west"][i / 5]).await;
    }
    let stages = vec![stage(Reach::Percent(20.0)), stage(Reach::Percent(60.0)), stage(Reach::Percent(100.0))];
    let id = s.begun(s.spec(stages)).await;
    assert_eq!(s.detail(&id).await.spec.order, Some(Order::Spread("site".into())), "it is part of what was approved");
    let site_of = |name: &String| name[3..].parse::<usize>().unwrap().div_ceil(5);
    let first = s.offered().await;
    assert_eq!(first.iter().map(site_of).collect::<Vec<_>>().len(), 4);
    assert_eq!(first.iter().map(site_of).collect::<BTreeSet<_>>().len(), 4, "one of each site: {first:?}");
    let mut on = s.rollouts().db.read().await.unwrap();
    assert_eq!(row!(&mut on, (i64,), STRATA, id.as_str()).unwrap(), Some((5,)), "four sites, and one for whoever comes from elsewhere");
    drop(on);
    s.everybody_updates().await;
    let second = s.offered().await;
    for site in 1..=4 {
        assert_eq!(second.iter().filter(|name| site_of(name) == site).count(), 2, "two more of each site: {second:?}");
    }
    // Whoever joins now comes in the last stage at the latest, also from a site that is new.
    for (name, site) in [("gw-21", "north"), ("gw-22", "harbour")] {
        let late = s.join(name).await;
        s.at_site(late, site).await;
    }
    s.checked(&id).await;
    while s.everybody_updates().await > 0 {}
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    assert_eq!(s.checked(&id).await.totals().succeeded, 22);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn listed_devices_come_first(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 8).await;
    let order = Some(Order::Listed(vec!["gw-7".parse().unwrap(), "GW-2".parse().unwrap(), "gw-5".parse().unwrap()]));
    let plan = RolloutSpec { order, ..s.spec(vec![stage(Reach::Count(1)), stage(Reach::Count(3)), stage(Reach::Percent(100.0))]) };
    let id = s.begun(plan).await;
    assert_eq!(s.offered().await, names(&["gw-7"]));
    s.everybody_updates().await;
    assert_eq!(s.offered().await, names(&["gw-2", "gw-5"]));
    while s.everybody_updates().await > 0 {}
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    let preview = s.rollouts().preview(&s.oli, &s.spec(vec![stage(Reach::Percent(100.0))])).await.unwrap();
    assert_eq!(preview.total, 0, "everybody runs it");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn no_more_of_a_site_than_its_share_and_always_one(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 12).await;
    for (i, device) in s.devices.iter().enumerate() {
        s.at_site(*device, if i < 10 { "north" } else { "south" }).await;
    }
    let budget = Some(Budget { attribute: "site".into(), at_most: None, at_most_percent: Some(25.0) });
    let slip = Some(Budget { attribute: "stie".into(), at_most: Some(1), at_most_percent: None });
    for (budget, warnings) in [(slip, 1), (budget.clone(), 0)] {
        let spec = RolloutSpec { budget, ..s.spec(vec![stage(Reach::Percent(100.0))]) };
        let warned = s.rollouts().preview(&s.oli, &spec).await.unwrap().warnings;
        assert_eq!(warned.len(), warnings, "{warned:?}");
        assert!(
            warned.iter().all(|text| text.ends_with("stie: the budget limits nothing. The nearest that they report is site.")),
            "{warned:?}"
        );
    }
    let id = s.begun(RolloutSpec { budget, ..s.spec(vec![stage(Reach::Percent(100.0))]) }).await;
    assert_eq!(s.poll_all().await.len(), 3, "2 of 10, 1 of 2");
    let mut rounds = 0;
    while s.everybody_updates().await > 0 {
        rounds += 1;
        s.checked(&id).await;
    }
    assert_eq!((rounds, s.state(&id).await), (5, RolloutState::Completed));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_rate_holds_for_everybody_and_grows_as_devices_succeed(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 12).await;
    let rate = Some(Rate { per_minute: 2, growth: Some(Growth { factor: 2.0, successes: 2, at_most: 6 }) });
    let id = s.begun(RolloutSpec { rate, ..s.spec(vec![stage(Reach::Percent(100.0))]) }).await;
    assert_eq!(s.poll_all().await.len(), 2);
    let why = s.rollouts().explain(s.devices[11]).await.unwrap();
    assert!(why.contains("as many devices have begun within a minute as the plan allows by now (2)"), "{why}");
    s.w.clock.advance(59_999);
    assert_eq!(s.poll_all().await.len(), 2, "the same two are told the same");
    s.w.clock.advance(1);
    // Two succeed: from now on four a minute, whoever comes.
    assert_eq!(s.poll_all().await.len(), 4);
    s.everybody_updates().await;
    s.join("gw-13").await;
    let begun = s.poll_all().await.len();
    assert!(begun <= 6, "{begun} of at most six within a minute");
    s.w.clock.advance(60_000);
    while s.everybody_updates().await > 0 {
        s.w.clock.advance(60_000);
    }
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    assert_eq!(s.checked(&id).await.totals().succeeded, 13);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_rollout_asks_for_the_last_value_of_a_metric(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let now = s.w.clock_now();
    for (device, value) in s.devices.iter().zip([20.0, 85.0]) {
        let id = "gw".parse().unwrap();
        let sample = Sample { t: now.0, m: "temperature".into(), v: value };
        s.w.fleet.telemetry().ingest(&s.w.org, *device, &id, "t", 1, vec![sample]).await.unwrap();
    }
    while s.w.fleet.telemetry().compact_tick().await.unwrap() > 0 {}
    let hot = RolloutSpec { selector: "metric.temperature>80".into(), ..s.spec(vec![stage(Reach::Percent(100.0))]) };
    assert_eq!(s.rollouts().preview(&s.oli, &hot).await.unwrap().total, 1);
    let stale = RolloutSpec { selector: "metric.temperature>0@1m".into(), ..hot.clone() };
    assert_eq!(s.rollouts().preview(&s.oli, &stale).await.unwrap().total, 2);
    let id = s.begun(hot).await;
    assert_eq!(s.offered().await, names(&["gw-2"]));
    s.w.clock.advance(60_001);
    assert_eq!(s.rollouts().preview(&s.oli, &stale).await.unwrap().total, 0);
    s.everybody_updates().await;
    assert_eq!((s.state(&id).await, s.checked(&id).await.totals().succeeded), (RolloutState::Completed, 1));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_number_is_a_limit_however_many_come_later(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 6).await;
    let away = s.devices[5];
    s.set_device_state(away, "suspended").await;
    let id = s.begun(s.spec(vec![stage(Reach::Count(3)), stage(Reach::Percent(100.0))])).await;
    // One that was there and was not meant, and many that were not there.
    s.set_device_state(away, "active").await;
    for n in 7..=40 {
        s.join(&format!("gw-{n}")).await;
    }
    let first = s.offered().await;
    assert_eq!((first.len(), first.contains("gw-6")), (3, false), "{first:?}");
    assert_eq!(s.everybody_updates().await, 3);
    let course = s.checked(&id).await;
    assert_eq!((course.stage, course.stages[0].counts.total, course.stages[0].counts.succeeded), (2, 3, 3));
    assert_eq!(s.offered().await.len(), 37, "the stage that takes everybody takes them");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_type_a_tag_an_attribute_or_a_group_that_there_is_none_of_is_told_beside_the_preview(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    s.w.fleet.devices().create_group(&s.oli, "lab").await.unwrap();
    let told = async |selector: &str| {
        let spec = RolloutSpec { selector: selector.into(), ..s.spec(vec![own("group:labs"), stage(Reach::Percent(100.0))]) };
        s.rollouts().preview(&s.oli, &spec).await.unwrap().warnings
    };
    let of_stage = "There is no group labs. Did you mean lab?";
    assert_eq!(told("type:gateway -group:lab").await, [of_stage], "a group may be empty");
    assert_eq!(told("type:gatway").await, ["No device is of the type gatway. Did you mean gateway?", of_stage]);
    s.w.fleet.devices().set_tags(&s.oli, &"gw-1".parse().unwrap(), vec!["canary".into()]).await.unwrap();
    assert_eq!(told("tag:canary").await, [of_stage]);
    assert_eq!(told("-tag:canry").await, ["No device has the tag canry. Did you mean canary?", of_stage]);
    s.at_site(s.devices[0], "berlin").await;
    assert_eq!(told("attr.site:paris").await, [of_stage], "nobody is there, and it is an attribute");
    assert_eq!(told("hw:Z version:9.9").await, ["No device has the hardware Z.", "No device runs the version 9.9.", of_stage]);
    assert_eq!(told("metric.cpu.prcent>3").await, ["No device sends the metric cpu.prcent.", of_stage]);
    let damage = Sql::same(
        "INSERT INTO artifact_checks (sha256, checked_at, damage, damaged_at)
         SELECT sha256, 1, 'changed', 1 FROM release_files WHERE release_id = $1 AND name = 'fw.bin'
         ON CONFLICT (sha256) DO UPDATE SET damage = 'changed', damaged_at = 1",
    );
    let mut tx = s.rollouts().db.write().await.unwrap();
    exec!(&mut tx, damage, s.release.as_str()).unwrap();
    tx.commit().await.unwrap();
    let damaged = "1 file of the release is damaged here and not given out: no device gets it before the same file is uploaded again.";
    assert_eq!(told("type:gateway").await, [damaged, of_stage]);
    assert_eq!(told("attr.stie:berlin").await, [damaged, "No device reports the attribute stie. Did you mean site?", of_stage]);
}
