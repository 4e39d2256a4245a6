//! Groups of devices, on both engines.

use crate::{access::Actor, db::EngineKind, devices::Error, testing::World};
use rstest::rstest;
use wire::{
    devices::{DeviceQuery, GroupMany},
    states::DeviceStep,
};

fn many(q: &str, out: bool, expected: i64) -> GroupMany {
    GroupMany { q: q.into(), out, expected }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_group_is_filled_by_a_filter_and_asked_for_by_its_name(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, viewer) = (w.operator().await, w.viewer().await);
    let devices = w.fleet.devices();
    for id in ["gw-1", "gw-2", "cam-1"] {
        w.device(id, "gateway").await;
    }
    let in_it = async |group: &str| {
        let query = DeviceQuery { q: format!("group:\"{group}\""), ..DeviceQuery::default() };
        devices.list(&viewer, &query).await.unwrap().items.into_iter().map(|d| d.device_id.to_string()).collect::<Vec<_>>()
    };
    assert!(matches!(devices.create_group(&viewer, "Hall 3").await, Err(Error::Access(_))));
    devices.create_group(&operator, " Hall 3 ").await.unwrap();
    for wrong in ["Hall 3", "", "a*", "a\nb"] {
        assert!(matches!(devices.create_group(&operator, wrong).await, Err(Error::Invalid { field: "name", .. })), "{wrong:?}");
    }
    assert!(matches!(devices.group_many(&viewer, "Hall 3", &many("gw", false, 2)).await, Err(Error::Access(_))));
    assert!(matches!(devices.group_many(&operator, "Hall 4", &many("gw", false, 2)).await, Err(Error::NotFound("group"))));
    let other = devices.group_many(&operator, "Hall 3", &many("gw", false, 3)).await;
    assert!(matches!(other, Err(Error::OtherCount { expected: 3, found: 2 })));
    assert!(in_it("Hall 3").await.is_empty(), "nothing was changed");
    for _ in 0..2 {
        devices.group_many(&operator, "Hall 3", &many("gw", false, 2)).await.unwrap();
    }
    assert_eq!(in_it("Hall 3").await, ["gw-1", "gw-2"]);
    w.device("gw-3", "gateway").await;
    assert_eq!(in_it("Hall 3").await, ["gw-1", "gw-2"], "who comes later is not in it");
    let elsewhere = Actor { org: w.entropy.id(w.clock_now()), ..operator.clone() };
    assert!(devices.groups(&elsewhere).await.unwrap().is_empty());
    assert!(matches!(devices.delete_group(&elsewhere, "Hall 3").await, Err(Error::NotFound("group"))));

    devices.change(&w.admin().await, &"gw-1".parse().unwrap(), DeviceStep::Delete).await.unwrap();
    let all = devices.groups(&viewer).await.unwrap();
    assert_eq!((all.len(), all[0].name.as_str(), all[0].devices), (1, "Hall 3", 1));
    devices.group_many(&operator, "Hall 3", &many("id:gw-2", true, 1)).await.unwrap();
    assert!(in_it("Hall 3").await.is_empty());
    devices.group_many(&operator, "Hall 3", &many("", false, 3)).await.unwrap();
    devices.delete_group(&operator, "Hall 3").await.unwrap();
    assert!(devices.groups(&viewer).await.unwrap().is_empty());
    assert_eq!(devices.list(&viewer, &DeviceQuery::default()).await.unwrap().total, 3, "its devices stay");
}
