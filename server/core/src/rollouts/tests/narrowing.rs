//! The devices of a rollout, searched, by how they ended, and in other orders.

use super::{Scene, fault, stage};
use crate::db::{EngineKind, Sql, counting, exec};
use rstest::rstest;
use wire::{
    Timestamp,
    ids::RolloutId,
    page::Page,
    rollouts::{GateSpec, Reach, Show, StageSpec, UpdateQuery, UpdateRow, UpdateSort},
    states::UpdateState,
    updates::UpdateFailure,
};

const SILENT: Sql = Sql::same("UPDATE devices SET online = FALSE, last_seen_at = $2 WHERE number = $1");

/// Eight devices in one stage: one failed, two refused, one went back, two succeeded, one downloads, one was not heard of yet.
async fn scene(kind: EngineKind) -> (Scene, RolloutId) {
    use UpdateState as S;
    let s = Scene::open(kind, 8).await;
    let gate = GateSpec { error_percent: 100.0, success_percent: 0.0, ..GateSpec::default() };
    let id = s.approved(s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }])).await;
    let offered = s.poll_all().await;
    assert_eq!(offered.len(), 8);
    for (i, state) in [(0, S::Failed), (1, S::Rejected), (2, S::Rejected), (3, S::Reverted), (6, S::Downloading)] {
        s.w.clock.advance(1000);
        s.say(offered[i].0, &offered[i].1.update_id, state).await.unwrap();
    }
    for (device, offer) in &offered[4..6] {
        s.w.clock.advance(1000);
        s.succeed(*device, &offer.update_id, "2.0.0", 2).await;
    }
    (s, id)
}

/// Nothing was heard of these devices since.
async fn silence(s: &Scene, devices: &[i64], since: Timestamp) {
    let mut tx = s.rollouts().db.write().await.unwrap();
    for device in devices {
        exec!(&mut tx, SILENT, *device, since.0).unwrap();
    }
    tx.commit().await.unwrap();
}

fn names(page: &Page<UpdateRow>) -> Vec<String> {
    page.items.iter().map(|row| row.device_id.to_string()).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn devices_are_listed_by_how_their_updates_ended(#[case] kind: EngineKind) {
    let (s, id) = scene(kind).await;
    let by = async |outcome: UpdateFailure, show: Show| {
        let query = UpdateQuery { outcome: Some(outcome), show, ..UpdateQuery::default() };
        let page = s.rollouts().updates(&s.oli, &id, &query).await.unwrap();
        assert_eq!(usize::try_from(page.total).unwrap(), page.items.len(), "{outcome}");
        names(&page)
    };
    assert_eq!(by(UpdateFailure::Failed, Show::All).await, ["gw-1"]);
    assert_eq!(by(UpdateFailure::Rejected, Show::All).await, ["gw-2", "gw-3"]);
    assert_eq!(by(UpdateFailure::Rejected, Show::Waiting).await, ["gw-2", "gw-3"], "an outcome is what it is, whatever else is chosen");
    assert_eq!(by(UpdateFailure::Reverted, Show::All).await, ["gw-4"]);
    assert_eq!(by(UpdateFailure::TimedOut, Show::All).await, Vec::<String>::new());
    let failed = UpdateQuery { show: Show::Failed, rows: Some(3), ..UpdateQuery::default() };
    let first = s.rollouts().updates(&s.oli, &id, &failed).await.unwrap();
    assert_eq!((names(&first), first.total), (vec!["gw-1".to_owned(), "gw-2".to_owned(), "gw-3".to_owned()], 4));
    let rest = s.rollouts().updates(&s.oli, &id, &UpdateQuery { cursor: first.next, ..failed }).await.unwrap();
    assert_eq!((names(&rest), rest.next), (vec!["gw-4".to_owned()], None));

    // Who succeeded and is not heard of any more has gone dark, half an hour later.
    assert_eq!(by(UpdateFailure::WentDark, Show::All).await, Vec::<String>::new());
    silence(&s, &s.devices[4..5], s.w.clock_now()).await;
    s.w.clock.advance(31 * 60_000);
    assert_eq!(by(UpdateFailure::WentDark, Show::All).await, ["gw-5"]);
    let searched = UpdateQuery { outcome: Some(UpdateFailure::WentDark), q: "gw-6".into(), ..UpdateQuery::default() };
    assert_eq!(s.rollouts().updates(&s.oli, &id, &searched).await.unwrap().total, 0);

    // A stage that it does not have is refused with how many there are; its page shows all and says so.
    let ninth = UpdateQuery { stage: Some(9), ..UpdateQuery::default() };
    let refused = fault(s.rollouts().updates(&s.oli, &id, &ninth).await);
    assert_eq!(
        (refused.field.as_deref(), refused.message.as_str()),
        (Some("stage"), "It has one stage: choose 1, or leave the stage out.")
    );
    assert_eq!(s.rollouts().page(&s.oli, &id, &ninth).await.unwrap().updates.total, 8);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn those_that_went_dark_are_searched_by_as_many_statements_however_many_they_are(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 12).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    for (device, offer) in s.poll_all().await {
        s.succeed(device, &offer.update_id, "2.0.0", 2).await;
    }
    let began = s.w.clock_now();
    silence(&s, &s.devices[..1], began).await;
    s.w.clock.advance(31 * 60_000);
    let found = async |q: &str| {
        let query = UpdateQuery { outcome: Some(UpdateFailure::WentDark), q: q.into(), ..UpdateQuery::default() };
        let (page, ran) = counting::counted(s.rollouts().updates(&s.oli, &id, &query)).await;
        (names(&page.unwrap()), ran.len())
    };
    // The first that no index bounds, the second that one does.
    let (one, walked) = found("-gw-12").await;
    let (same, named) = found("gw-1").await;
    assert_eq!((one, same), (vec!["gw-1".to_owned()], vec!["gw-1".to_owned()]));
    silence(&s, &s.devices, began).await;
    let all: Vec<String> = (1..=11).map(|n| format!("gw-{n}")).collect();
    assert_eq!(found("-gw-12").await, (all, walked));
    let some: Vec<String> = [1, 10, 11, 12].map(|n| format!("gw-{n}")).into();
    assert_eq!(found("gw-1").await, (some, named));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_devices_of_a_rollout_are_searched_as_those_of_the_fleet(#[case] kind: EngineKind) {
    let (s, id) = scene(kind).await;
    let found = async |q: &str, show: Show| {
        let query = UpdateQuery { q: q.into(), show, ..UpdateQuery::default() };
        let page = s.rollouts().updates(&s.oli, &id, &query).await.unwrap();
        assert_eq!(usize::try_from(page.total).unwrap(), page.items.len(), "{q}");
        names(&page)
    };
    assert_eq!(found("gw-3", Show::All).await, ["gw-3"]);
    assert_eq!(found("id:gw-3,gw-8", Show::All).await, ["gw-3", "gw-8"]);
    assert_eq!(found("gw-", Show::Failed).await, ["gw-1", "gw-2", "gw-3", "gw-4"]);
    assert_eq!(found("version:2.0.0", Show::Succeeded).await, ["gw-5", "gw-6"]);
    assert_eq!(found("gw-3", Show::Succeeded).await, Vec::<String>::new());
    assert_eq!(found("-gw-3 -gw-5", Show::Updating).await, ["gw-7", "gw-8"], "also where no index knows");
    let wrong = UpdateQuery { q: "tag:".into(), ..UpdateQuery::default() };
    assert_eq!(fault(s.rollouts().updates(&s.oli, &id, &wrong).await).field.as_deref(), Some("q"));
    let page = s.rollouts().page(&s.oli, &id, &wrong).await.unwrap();
    assert!(page.selector_error.is_some() && page.updates.items.is_empty(), "the page says what is wrong and shows the rest");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_list_that_is_short_enough_comes_in_the_order_asked_for(#[case] kind: EngineKind) {
    let (s, id) = scene(kind).await;
    let sorted = async |sort: UpdateSort, show: Show| {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let query = UpdateQuery { sort, show, cursor, rows: Some(3), ..UpdateQuery::default() };
            let page = s.rollouts().updates(&s.oli, &id, &query).await.unwrap();
            assert!(page.items.len() <= 3, "{sort}");
            seen.extend(names(&page));
            cursor = page.next;
            if cursor.is_none() {
                return seen;
            }
        }
    };
    for sort in UpdateSort::ALL {
        let mut all = sorted(*sort, Show::All).await;
        all.sort();
        assert_eq!(all.len(), 8, "{sort}");
        all.dedup();
        assert_eq!(all.len(), 8, "{sort}: each once");
    }
    assert_eq!(sorted(UpdateSort::DeviceDesc, Show::Failed).await, ["gw-4", "gw-3", "gw-2", "gw-1"]);
    assert_eq!(sorted(UpdateSort::ChangedDesc, Show::Succeeded).await, ["gw-6", "gw-5"]);
    assert_eq!(sorted(UpdateSort::State, Show::Updating).await, ["gw-8", "gw-7"], "offered, then downloading");
    let page = s.rollouts().page(&s.oli, &id, &UpdateQuery::default()).await.unwrap();
    assert!(page.sorts);
    let other = UpdateQuery { sort: UpdateSort::Device, cursor: Some("nonsense".into()), ..UpdateQuery::default() };
    assert_eq!(fault(s.rollouts().updates(&s.oli, &id, &other).await).field.as_deref(), Some("cursor"));
}
