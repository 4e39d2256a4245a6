//! Groups of devices, on both engines.

use crate::{
    access::{Actor, audit},
    db::{EngineKind, Sql, exec, tests::somebody_waits},
    devices::Error,
    entropy::SeededEntropy,
    releases::signing::SigningKeyPair,
    testing::{self, World},
};
use rstest::rstest;
use wire::{
    FaultKind,
    devices::{DeviceQuery, GroupMany},
    rollouts::{GateSpec, Reach, RolloutSpec, StageSpec},
    states::DeviceStep,
};

fn many(q: &str, out: bool, expected: i64) -> GroupMany {
    GroupMany { q: q.into(), devices: Vec::new(), out, expected }
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
    assert!(matches!(w.fleet.delete_group(&elsewhere, "Hall 3").await, Err(crate::Error::Devices(Error::NotFound("group")))));

    devices.change(&w.admin().await, &"gw-1".parse().unwrap(), DeviceStep::Delete).await.unwrap();
    let all = devices.groups(&viewer).await.unwrap();
    assert_eq!((all.len(), all[0].name.as_str(), all[0].devices), (1, "Hall 3", 1));
    devices.group_many(&operator, "Hall 3", &many("id:gw-2", true, 1)).await.unwrap();
    assert!(in_it("Hall 3").await.is_empty());
    devices.group_many(&operator, "Hall 3", &many("", false, 3)).await.unwrap();
    w.fleet.delete_group(&operator, "Hall 3").await.unwrap();
    assert!(devices.groups(&viewer).await.unwrap().is_empty());
    assert_eq!(devices.list(&viewer, &DeviceQuery::default()).await.unwrap().total, 3, "its devices stay");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_group_is_filled_by_names_renamed_and_kept_while_a_plan_asks_for_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, viewer) = (w.operator().await, w.viewer().await);
    let (fleet, devices) = (&w.fleet, w.fleet.devices());
    for id in ["gw-1", "gw-2", "gw-3"] {
        w.device(id, "gateway").await;
    }
    devices.create_group(&operator, "north").await.unwrap();
    devices.create_group(&operator, "south").await.unwrap();
    let named =
        |ids: &[&str], out| GroupMany { q: String::new(), devices: ids.iter().map(|id| id.parse().unwrap()).collect(), out, expected: 0 };
    let unknown = devices.group_many(&operator, "north", &named(&["gw-1", "gw-9"], false)).await;
    assert!(matches!(unknown, Err(Error::Invalid { field: "devices", .. })));
    let both = GroupMany { q: "gw".into(), ..named(&["gw-1"], false) };
    assert!(matches!(devices.group_many(&operator, "north", &both).await, Err(Error::Invalid { field: "devices", .. })));
    assert_eq!(fleet.groups(&viewer).await.unwrap()[0].devices, 0, "all or none");
    let put = devices.group_many(&operator, "north", &named(&["gw-2", "GW-1", "gw-1"], false)).await.unwrap();
    assert_eq!(put.devices, 2, "each once");

    for (to, field) in [("south", "name"), (" ", "name"), ("a*", "name")] {
        assert_eq!(fleet.rename_group(&operator, "north", to).await.unwrap_err().fault().field.as_deref(), Some(field), "{to:?}");
    }
    assert_eq!(fleet.rename_group(&viewer, "north", "east").await.unwrap_err().fault().kind, FaultKind::Forbidden);
    fleet.rename_group(&operator, "north", "east").await.unwrap();
    let page = fleet.group_page(&viewer, "east", None, Some("gw")).await.unwrap();
    assert_eq!((page.devices.total, page.meant, page.may_edit), (2, Some(3), false));
    let page = fleet.group_page(&viewer, "east", None, Some("bad:thing")).await.unwrap();
    assert!(page.meant.is_none() && page.selector_error.is_some());
    assert_eq!(fleet.group_page(&viewer, "north", None, None).await.unwrap_err().fault().kind, FaultKind::NotFound);

    let key = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
    fleet.releases().add_key(&w.admin().await, "build", &key.public_pem()).await.unwrap();
    let manifest = testing::manifest("2.0.0", 2, &[("fw.bin", "raw", b"firmware")]);
    let release = w.publish(&operator, &key, &manifest, &[("fw.bin", b"firmware")]).await;
    let stage = StageSpec { name: "all".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
    let spec = RolloutSpec { selector: "group:east".into(), ..RolloutSpec::new("spring".into(), release, vec![stage]) };
    let rollout = fleet.rollouts().draft(&operator, spec).await.unwrap();
    let groups = fleet.groups_page(&viewer).await.unwrap().groups;
    assert_eq!(groups.iter().map(|g| (g.name.as_str(), g.used_by.len())).collect::<Vec<_>>(), [("east", 1), ("south", 0)]);
    assert_eq!((&groups[0].used_by[0].id, groups[0].used_by[0].name.as_str()), (&rollout, "spring"));
    for refused in [fleet.rename_group(&operator, "east", "west").await, fleet.delete_group(&operator, "east").await] {
        let fault = refused.unwrap_err().fault();
        assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Conflict, "group_in_use"));
        assert!(fault.message.contains("“spring”"), "{}", fault.message);
    }
    fleet.delete_group(&operator, "south").await.unwrap();
    devices.group_many(&operator, "east", &named(&["gw-2"], true)).await.unwrap();
    assert_eq!(fleet.groups(&viewer).await.unwrap()[0].devices, 1);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_group_is_made_with_the_devices_that_it_is_made_for_or_not_at_all(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    for id in ["gw-1", "gw-2"] {
        w.device(id, "gateway").await;
    }
    let other = devices.gather(&operator, "north", &many("gw", false, 3)).await;
    assert!(matches!(other, Err(Error::OtherCount { expected: 3, found: 2 })));
    assert!(devices.groups(&operator).await.unwrap().is_empty(), "no empty group is left");
    assert!(matches!(devices.gather(&operator, "a*", &many("gw", false, 2)).await, Err(Error::Invalid { field: "name", .. })));
    assert!(matches!(devices.gather(&operator, "north", &many("gw", true, 2)).await, Err(Error::NotFound("group"))));
    assert_eq!(devices.gather(&operator, "north", &many("gw", false, 2)).await.unwrap().devices, 2);
    w.device("gw-3", "gateway").await;
    devices.gather(&operator, "north", &many("id:gw-3", false, 1)).await.unwrap();
    let all = devices.groups(&operator).await.unwrap();
    assert_eq!((all.len(), all[0].name.as_str(), all[0].devices), (1, "north", 3));
}

/// On PostgreSQL writers run side by side; SQLite has one at a time.
#[tokio::test]
async fn a_plan_that_is_written_meanwhile_keeps_its_group() {
    const ASK: Sql = Sql::same("UPDATE rollouts SET spec = REPLACE(spec, 'group:south', 'group:north')");
    let w = World::open(EngineKind::Postgres).await;
    let (operator, fleet) = (w.operator().await, w.fleet.clone());
    w.device("gw-1", "gateway").await;
    for name in ["north", "south"] {
        fleet.devices().gather(&operator, name, &many("gw", false, 1)).await.unwrap();
    }
    let key = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
    fleet.releases().add_key(&w.admin().await, "build", &key.public_pem()).await.unwrap();
    let manifest = testing::manifest("2.0.0", 2, &[("fw.bin", "raw", b"firmware")]);
    let release = w.publish(&operator, &key, &manifest, &[("fw.bin", b"firmware")]).await;
    let stage = StageSpec { name: "all".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
    let spec = RolloutSpec { selector: "group:south".into(), ..RolloutSpec::new("spring".into(), release, vec![stage]) };
    fleet.rollouts().draft(&operator, spec).await.unwrap();

    // Whoever writes a plan has the audit log's head when it is committed.
    let mut writing = fleet.devices().db.write().await.unwrap();
    audit::hold(&mut writing, &w.org).await.unwrap();
    let renaming = {
        let (fleet, operator) = (fleet.clone(), operator.clone());
        tokio::spawn(async move { fleet.rename_group(&operator, "north", "west").await })
    };
    somebody_waits(&fleet.devices().db).await;
    exec!(&mut writing, ASK).unwrap();
    writing.commit().await.unwrap();
    assert_eq!(renaming.await.unwrap().unwrap_err().fault().code, "group_in_use");
    fleet.delete_group(&operator, "south").await.unwrap();
}
