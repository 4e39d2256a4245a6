//! Saved views of the device list: each person has their own.

use crate::{access::Actor, db::EngineKind, devices::Error, testing::World};
use rstest::rstest;
use wire::{
    devices::{DeviceQuery, DeviceSort},
    views::{DeviceColumn, MAX_VIEWS, SavedView},
};

fn view(name: &str, q: &str) -> SavedView {
    SavedView { name: name.into(), q: q.into(), sort: DeviceSort::LastSeenDesc, columns: vec![DeviceColumn::Tags, DeviceColumn::Status] }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_person_saves_views_of_the_list_for_themselves(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let devices = w.fleet.devices();
    let (oli, vic) = (w.operator().await, w.viewer().await);
    // Whoever may read may keep what they look at.
    let saved = devices.save_view(&vic, &view("  Silent in the lab ", " tag:lab last_seen>7d ")).await.unwrap();
    assert_eq!((saved.name.as_str(), saved.q.as_str()), ("Silent in the lab", "tag:lab last_seen>7d"));
    assert_eq!(saved.columns, [DeviceColumn::Status, DeviceColumn::Tags], "in the order in which they stand");
    devices.save_view(&vic, &SavedView { columns: DeviceColumn::all(), ..view("All", "") }).await.unwrap();
    devices.save_view(&vic, &SavedView { columns: Vec::new(), ..view("Names", "") }).await.unwrap();
    let all = devices.views(&vic).await.unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.contains(&saved), "{all:?}");
    assert!(all.iter().any(|v| v.name == "All" && v.columns == DeviceColumn::all()));
    assert!(all.iter().any(|v| v.name == "Names" && v.columns.is_empty()));
    assert_eq!(devices.page(&vic, &DeviceQuery::default()).await.unwrap().views, all, "the list's page has them");

    // One of the same name is replaced; others have their own.
    devices.save_view(&vic, &view("All", "online:yes")).await.unwrap();
    assert!(devices.views(&vic).await.unwrap().iter().any(|v| v.name == "All" && v.q == "online:yes"));
    assert!(devices.views(&oli).await.unwrap().is_empty());
    assert!(matches!(devices.forget_view(&oli, "All").await, Err(Error::NotFound("saved view"))));
    devices.forget_view(&vic, "All").await.unwrap();
    assert_eq!(devices.views(&vic).await.unwrap().len(), 2);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_no_list_could_show_is_not_saved(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let devices = w.fleet.devices();
    let oli = w.operator().await;
    for name in ["", "  ", "a\nb", "a\u{202e}b", &"x".repeat(101)] {
        assert!(matches!(devices.save_view(&oli, &view(name, "")).await, Err(Error::Invalid { field: "name", .. })), "{name:?}");
    }
    assert!(matches!(devices.save_view(&oli, &view("Broken", "tag:")).await, Err(Error::Selector(_))));
    assert!(matches!(devices.save_view(&Actor::system(w.org.clone()), &view("Mine", "")).await, Err(Error::Invalid { .. })));
    assert!(devices.views(&Actor::system(w.org.clone())).await.unwrap().is_empty());
    for n in 0..MAX_VIEWS {
        devices.save_view(&oli, &view(&format!("View {n}"), "")).await.unwrap();
    }
    assert!(matches!(devices.save_view(&oli, &view("One more", "")).await, Err(Error::Invalid { field: "name", .. })));
    devices.save_view(&oli, &view("View 1", "type:gateway")).await.unwrap();
}
