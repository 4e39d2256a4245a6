//! What the wizard is told beside a plan: how the release stands to the devices, what a first stage can be, and which approval it takes.

use super::*;
use rstest::rstest;
use wire::{
    rollouts::{Order, PreviewQuery, ReleaseFit, Show, UpdateSort},
    states::Role,
    transfers::TransferLimits,
};

const WITH: Sql = Sql::same(
    "INSERT INTO device_attributes (device, org_id, name, value, place)
     VALUES ($1, $2, $3, $4, (SELECT device_id_lower FROM devices WHERE number = $1))",
);
const AWAY: Sql = Sql::same("UPDATE devices SET online = FALSE, last_seen_at = $2 WHERE number = $1");
const DAY: i64 = 24 * 3_600_000;

impl Scene {
    async fn with(&self, device: DeviceNo, name: &str, value: &str) {
        let mut tx = self.rollouts().db.write().await.unwrap();
        exec!(&mut tx, WITH, device, self.w.org.as_str(), name, value).unwrap();
        tx.commit().await.unwrap();
    }

    /// What the first stage of a plan can be. A count that takes long is left out of an answer, so it is asked for again.
    async fn suggestions(&self) -> Vec<(String, i64)> {
        for _ in 0..100 {
            let found = self.rollouts().wizard(&self.oli, None, None, None, None).await.unwrap().suggestions;
            if !found.is_empty() {
                return found.into_iter().map(|one| (one.selector, one.devices)).collect();
            }
        }
        panic!("nothing was counted");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_preview_says_how_the_release_stands_to_the_devices_and_who_is_silent(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 8).await;
    s.runs(s.devices[0], "2.0.0", 2).await;
    for device in &s.devices[1..4] {
        s.runs(*device, "3.0.0", 3).await;
    }
    s.set_device_state(s.devices[4], "suspended").await;
    for (device, days) in [(5, 8), (6, 1)] {
        let mut tx = s.rollouts().db.write().await.unwrap();
        exec!(&mut tx, AWAY, s.devices[device], s.w.clock_now().0 - days * DAY).unwrap();
        tx.commit().await.unwrap();
    }
    let plan = s.spec(vec![stage(Reach::Percent(100.0))]);
    let preview = s.rollouts().preview(&s.oli, &plan).await.unwrap();
    let fit = preview.fit.clone().unwrap();
    let expected = ReleaseFit {
        release: s.release.clone(),
        meant: 7,
        other_hardware: 0,
        newer: 3,
        newer_version: Some("3.0.0".into()),
        on_it: 1,
        too_old: 0,
        unsigned: 0,
    };
    assert_eq!((&fit, preview.total, preview.silent), (&expected, 3, 1));
    assert!(fit.is_behind());
    // Only of those that the plan means.
    let one = RolloutSpec { selector: "id:gw-7,gw-8".into(), ..plan.clone() };
    let preview = s.rollouts().preview(&s.oli, &one).await.unwrap();
    assert_eq!(preview.fit.map(|fit| (fit.meant, fit.newer, fit.is_behind())), Some((2, 0, false)));
    let unread = RolloutSpec { selector: "tag:".into(), ..plan };
    assert_eq!(s.rollouts().preview(&s.oli, &unread).await.unwrap().fit, None);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_plan_begins_with_one_site_and_says_at_how_many_sites_each_stage_is(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 9).await;
    for (i, device) in s.devices.iter().enumerate().skip(1) {
        s.with(*device, "site", ["Den Haag", "rotterdam", "delft"][i / 4]).await;
        s.with(*device, "colour", "red").await;
    }
    s.set_device_state(s.devices[8], "decommissioned").await;
    assert_eq!(s.suggestions().await, [("attr.site:rotterdam".into(), 4), ("attr.site:\"Den Haag\"".into(), 3)]);
    let limits = TransferLimits { site_attribute: "colour".into(), ..TransferLimits::default() };
    s.w.fleet.transfers().set_limits(&s.ada, limits).await.unwrap();
    assert_eq!(s.suggestions().await[0], ("attr.colour:red".to_owned(), 7), "what the organization calls a site as well");
    s.w.fleet.transfers().set_limits(&s.ada, TransferLimits::default()).await.unwrap();

    let first = stage(Reach::Matching(s.suggestions().await[1].0.clone()));
    let plan = s.spec(vec![first, stage(Reach::Percent(50.0)), stage(Reach::Percent(100.0))]);
    let preview = s.rollouts().preview(&s.oli, &plan).await.unwrap();
    let stages: Vec<_> = preview.stages.iter().map(|s| (s.devices, s.values)).collect();
    // Of the eight the first has no site, and the second stage goes on to half of all.
    assert_eq!((preview.spread_over.as_deref(), stages[0], stages[1].0), (Some("site"), (3, Some(1)), 1));
    assert_eq!(stages.iter().map(|s| s.0).sum::<i64>(), 8);
    let by_lot = RolloutSpec { order: Some(Order::Random), ..plan };
    let preview = s.rollouts().preview(&s.oli, &by_lot).await.unwrap();
    assert_eq!((preview.spread_over, preview.stages[0].values), (None, None));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_wizard_says_before_which_approval_its_plan_will_take(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let room = s.rollouts();
    let plan = s.spec(vec![stage(Reach::Percent(100.0))]);
    let ahead = async |who: &Actor, editing: Option<&RolloutId>| {
        room.wizard(who, Some(plan.clone()), editing, None, None).await.unwrap().ahead.unwrap()
    };
    let of_ada = ahead(&s.ada, None).await;
    assert_eq!((of_ada.needed, of_ada.people), (1, 0));
    assert!(of_ada.unfulfillable.unwrap().starts_with("It needs 1 approval; beside its author there are 0 admins."));
    assert_eq!((ahead(&s.oli, None).await.people, ahead(&s.oli, None).await.unfulfillable), (1, None), "ada can");
    assert_eq!(room.wizard(&s.oli, None, None, None, None).await.unwrap().ahead, None, "there is no plan yet");

    // Who wrote what is edited counts for it as little as who edits it; what is shown is what sending asks for.
    s.w.person("eve", Role::Admin).await;
    let id = room.draft(&s.ada, plan.clone()).await.unwrap();
    let shown = ahead(&s.oli, Some(&id)).await;
    assert_eq!(shown.approvers.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["eve"]);
    room.edit(&s.oli, &id, s.detail(&id).await.generation, plan.clone()).await.unwrap();
    assert_eq!(s.detail(&id).await.ahead.unwrap(), shown);
    let unknown = RolloutSpec { release: "rel_00000000000000000000000000000000".parse().unwrap(), ..plan.clone() };
    assert_eq!(room.wizard(&s.oli, Some(unknown), None, None, None).await.unwrap().ahead, None);
}

const OLDER: Sql = Sql::same("UPDATE rollouts SET spec = REPLACE(spec, '-tag:lab', '-state:activ') WHERE id = $1");

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_approves_a_plan_from_before_slips_were_refused_sees_whom_it_reaches(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let spec = RolloutSpec { selector: "-tag:lab".into(), ..s.spec(vec![stage(Reach::Percent(100.0))]) };
    let id = s.rollouts().draft(&s.oli, spec).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let mut tx = s.rollouts().db.write().await.unwrap();
    assert_eq!(exec!(&mut tx, OLDER, id.as_str()).unwrap(), 1);
    tx.commit().await.unwrap();
    let page = s.rollouts().page(&s.ada, &id, &UpdateQuery::default()).await.unwrap();
    let preview = page.preview.unwrap();
    assert_eq!((preview.total, preview.selector_error, preview.problems), (3, None, Vec::new()));
    assert_eq!(page.rollout.row.counts.total, 3);
    let devices = s.rollouts().preview_devices(&s.ada, &id, &PreviewQuery::default()).await.unwrap();
    assert_eq!(devices.items.len(), 3);
    assert_eq!(page.would_be, Some(devices), "the page has them too");
    let named = async |query: UpdateQuery| {
        let page = s.rollouts().page(&s.ada, &id, &query).await.unwrap();
        page.would_be.map(|found| found.items.len())
    };
    let sorted = UpdateQuery { sort: UpdateSort::Device, cursor: Some("2.gw-1".into()), ..UpdateQuery::default() };
    assert_eq!(named(sorted).await, Some(3), "a cursor of another order");
    assert_eq!(named(UpdateQuery { show: Show::Failed, ..UpdateQuery::default() }).await, None, "nobody has had an update");
    assert_eq!(named(UpdateQuery { q: "gw-1".into(), ..UpdateQuery::default() }).await, None, "a search is of who has one");
    // Whoever writes such a plan is told.
    let again = s.spec(vec![stage(Reach::Percent(100.0))]);
    let written = s.rollouts().preview(&s.oli, &RolloutSpec { selector: "-state:activ".into(), ..again }).await.unwrap();
    assert!(written.selector_error.is_some() && written.problems.iter().any(|problem| problem.field == "selector"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn whom_another_rollout_is_updating_is_counted_where_the_list_has_it(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 4).await;
    s.approved(RolloutSpec { selector: "gw-1".into(), ..s.spec(vec![stage(Reach::Percent(100.0))]) }).await;
    let (device, offer) = s.poll_all().await.remove(0);
    s.say(device, &offer.update_id, UpdateState::Downloading).await.unwrap();
    s.release = s.publish("3.0.0", 3).await;
    let id = s.approved(s.spec(vec![stage(Reach::Matching("gw-2".into())), stage(Reach::Percent(100.0))])).await;
    let detail = s.detail(&id).await;
    assert_eq!((detail.row.counts.total, detail.stages[0].counts.total, detail.stages[1].counts.total), (4, 1, 3));
    for (stage, total) in [(None, 4), (Some(1), 1), (Some(2), 3)] {
        let page = s.rollouts().updates(&s.oli, &id, &UpdateQuery { stage, ..UpdateQuery::default() }).await.unwrap();
        assert_eq!((page.total, page.items.len()), (total, usize::try_from(total).unwrap()), "{stage:?}");
    }
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn all_problems_of_a_plan_that_can_be_told_are_told_at_once(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 12).await;
    let gate = GateSpec { min_sample: 500, ..GateSpec::default() };
    let told = async |first: StageSpec| {
        let plan = s.spec(vec![first, stage(Reach::Percent(100.0))]);
        let problems = s.rollouts().preview(&s.oli, &plan).await.unwrap().problems;
        problems.into_iter().map(|p| p.field).collect::<Vec<_>>()
    };
    let half = || StageSpec { gate: gate.clone(), ..stage(Reach::Percent(50.0)) };
    assert_eq!(told(StageSpec { soak_s: u32::MAX, ..half() }).await, ["stages.0.soak_s", "stages.0.gate.min_sample"]);
    assert_eq!(told(StageSpec { reach: Reach::Percent(250.0), ..half() }).await, ["stages.0.reach", "stages.0.gate.min_sample"]);
}
