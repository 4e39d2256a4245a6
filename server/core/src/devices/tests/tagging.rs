//! Tags of many devices at once, and the list as a file.

use super::super::{Devices, Error};
use crate::{access::Actor, clock::Clock as _, db::EngineKind, testing::World};
use rstest::rstest;
use wire::devices::{DeviceQuery, TagMany, Tagged};

fn many(q: &str, add: &[&str], remove: &[&str], expected: i64) -> TagMany {
    let owned = |tags: &[&str]| tags.iter().map(|t| (*t).to_owned()).collect();
    TagMany { q: q.into(), devices: Vec::new(), add: owned(add), remove: owned(remove), expected }
}

async fn count(w: &World, actor: &Actor, q: &str) -> i64 {
    let query = DeviceQuery { q: q.into(), ..DeviceQuery::default() };
    w.fleet.devices().list(actor, &query).await.unwrap().total
}

fn field<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    match result.unwrap_err() {
        Error::Invalid { field, .. } => field,
        other => panic!("{other}"),
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn exactly_the_devices_that_were_shown_are_tagged_or_none(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices: &Devices = w.fleet.devices();
    for n in 1..=5 {
        w.device(&format!("gw-{n}"), if n <= 3 { "gateway" } else { "sensor" }).await;
    }
    let mut events = w.fleet.bus().listen();
    assert_eq!(devices.tag_many(&operator, &many("type:gateway", &["eu", "hall"], &[], 3)).await.unwrap(), Tagged { devices: 3 });
    assert_eq!((count(&w, &operator, "tag:eu tag:hall").await, count(&w, &operator, "tag:eu -type:gateway").await), (3, 0));
    assert_eq!(std::iter::from_fn(|| events.try_recv().ok()).count(), 3, "each of them is told of");

    // Again is the same; a tag comes and another goes in one step.
    devices.tag_many(&operator, &many("type:gateway", &["eu"], &[], 3)).await.unwrap();
    devices.tag_many(&operator, &many("tag:eu", &["uk"], &["eu", "none"], 3)).await.unwrap();
    assert_eq!((count(&w, &operator, "tag:eu").await, count(&w, &operator, "tag:uk tag:hall").await), (0, 3));

    // Another number than was seen changes nothing.
    w.device("gw-6", "gateway").await;
    let (key, now) = ((w.org.clone(), "type:gateway".to_owned()), w.clock.now());
    devices.totals.hold(key, 3, now);
    assert_eq!(count(&w, &operator, "type:gateway").await, 3, "where counting takes long, the list says what was");
    let refused = devices.tag_many(&operator, &many("type:gateway", &["late"], &["uk"], 3)).await.unwrap_err();
    assert_eq!(refused.fault().code, "other_count");
    assert!(refused.fault().message.contains("matches 4 devices now, not 3"), "{}", refused.fault().message);
    assert_eq!((count(&w, &operator, "tag:late").await, count(&w, &operator, "tag:uk").await), (0, 3));
    assert_eq!(count(&w, &operator, "type:gateway").await, 4, "and whoever was refused sees what is");

    let log = w.fleet.access().audit_page(&operator, None).await.unwrap().entries.items;
    let entries: Vec<_> = log.iter().filter(|e| e.action == "device.tag_many").collect();
    assert_eq!(entries.len(), 3, "one entry each time it was done");
    assert_eq!(entries[0].object, "tag:eu");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn devices_that_are_named_are_tagged_while_all_of_them_are_there(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices: &Devices = w.fleet.devices();
    for n in 1..=3 {
        w.device(&format!("gw-{n}"), "gateway").await;
    }
    let named = |ids: &[&str], expected: i64| TagMany {
        devices: ids.iter().map(|id| id.parse().unwrap()).collect(),
        ..many("", &["picked"], &[], expected)
    };
    assert_eq!(devices.tag_many(&operator, &named(&["gw-1", "GW-3"], 2)).await.unwrap(), Tagged { devices: 2 });
    assert_eq!(count(&w, &operator, "tag:picked id:gw-1,gw-3").await, 2);
    let log = w.fleet.access().audit_page(&operator, None).await.unwrap().entries.items;
    assert_eq!(log[0].object, "2 devices by name");

    // One of them is gone by then: none is tagged.
    let gone = TagMany { add: vec!["late".into()], ..named(&["gw-2", "gw-9"], 2) };
    assert_eq!(devices.tag_many(&operator, &gone).await.unwrap_err().fault().code, "other_count");
    assert_eq!(count(&w, &operator, "tag:late").await, 0);
    let both = TagMany { q: "gw".into(), ..named(&["gw-1"], 1) };
    assert_eq!(field(devices.tag_many(&operator, &both).await), "devices");
    let ids: Vec<String> = (0..201).map(|n| format!("d{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(field(devices.tag_many(&operator, &named(&ids, 201)).await), "devices");
    assert_eq!(
        devices.tag_many(&operator, &named(&ids[..200], 200)).await.unwrap_err().fault().code,
        "other_count",
        "as many as a page has"
    );
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_can_not_be_done_to_all_is_done_to_none(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices: &Devices = w.fleet.devices();
    w.device("gw-1", "gateway").await;
    w.device("gw-2", "gateway").await;
    assert!(matches!(devices.tag_many(&w.viewer().await, &many("", &["x"], &[], 2)).await, Err(Error::Access(_))));
    assert!(matches!(devices.tag_many(&operator, &many("colour:red", &["x"], &[], 2)).await, Err(Error::Selector(_))));
    assert_eq!(field(devices.tag_many(&operator, &many("", &[], &[], 2)).await), "add");
    assert_eq!(field(devices.tag_many(&operator, &many("", &["a b"], &[], 2)).await), "add");
    assert_eq!(field(devices.tag_many(&operator, &many("", &["x"], &["(y"], 2)).await), "remove");
    assert_eq!(field(devices.tag_many(&operator, &many("", &["x"], &["x"], 2)).await), "remove");

    // One of them is full; the other gets nothing either.
    let full = (0..20).map(|n| format!("t{n}")).collect();
    devices.set_tags(&operator, &"gw-2".parse().unwrap(), full).await.unwrap();
    let refused = devices.tag_many(&operator, &many("", &["x"], &[], 2)).await.unwrap_err().fault();
    assert!(refused.message.starts_with("gw-2 would have more than 20 tags"), "{}", refused.message);
    assert_eq!(count(&w, &operator, "tag:x").await, 0);
    devices.tag_many(&operator, &many("", &["x"], &["t0"], 2)).await.unwrap();
    assert_eq!(count(&w, &operator, "tag:x").await, 2);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_export_goes_on_where_its_part_before_ended(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let viewer = w.viewer().await;
    for id in ["b", "a", "C", "other"] {
        w.device(id, if id == "other" { "sensor" } else { "gateway" }).await;
    }
    let devices = w.fleet.devices();
    let ids = |rows: Vec<wire::devices::DeviceRow>| rows.into_iter().map(|r| r.device_id.to_string()).collect::<Vec<_>>();
    let (rows, next) = devices.export(&viewer, "type:gateway", None).await.unwrap();
    assert_eq!((ids(rows), next), (vec!["a".into(), "b".into(), "C".into()], None));
    let query = DeviceQuery { q: "type:gateway".into(), rows: Some(1), ..DeviceQuery::default() };
    let first = devices.list(&viewer, &query).await.unwrap();
    let (rows, _) = devices.export(&viewer, "type:gateway", first.next).await.unwrap();
    assert_eq!(ids(rows), ["b", "C"]);
    assert!(matches!(devices.export(&viewer, "colour:red", None).await, Err(Error::Selector(_))));
}
