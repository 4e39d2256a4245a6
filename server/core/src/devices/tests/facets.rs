//! What the list's filter offers, with how many devices each value means.

use super::every_reader;
use crate::{db::EngineKind, devices::presence::set_attributes, testing::World};
use rstest::rstest;
use std::{collections::BTreeMap, time::Duration};
use wire::{
    device::{Sample, Telling},
    devices::{DeviceQuery, GroupMany, TagMany},
    facets::FacetCount,
    states::DeviceStep,
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn each_value_counts_the_devices_that_the_filter_finds(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let devices = w.fleet.devices();
    for (id, kind) in [("gw-1", "gateway"), ("gw-2", "gateway"), ("gw-3", "gateway"), ("cam-1", "camera"), ("cam-2", "camera")] {
        w.device(id, kind).await;
    }
    let tag = |q: &str, add: &str, expected: i64| TagMany {
        q: q.into(),
        devices: Vec::new(),
        add: vec![add.into()],
        remove: Vec::new(),
        expected,
    };
    devices.tag_many(&operator, &tag("", "eu", 5)).await.unwrap();
    devices.tag_many(&operator, &tag("type:camera", "hall", 2)).await.unwrap();
    let north = GroupMany { q: "type:gateway".into(), devices: Vec::new(), out: false, expected: 3 };
    devices.gather(&operator, "north", &north).await.unwrap();
    for (id, step) in [("gw-3", DeviceStep::Decommission), ("cam-2", DeviceStep::Delete), ("gw-2", DeviceStep::Suspend)] {
        devices.change(&admin, &id.parse().unwrap(), step).await.unwrap();
    }

    let facets = devices.facet_counts(&operator).await.unwrap();
    let tags: Vec<(&str, i64)> = facets.tags.iter().map(|FacetCount { value, devices }| (value.as_str(), *devices)).collect();
    assert_eq!(tags, [("eu", 3), ("hall", 1)], "what most have first");
    for (key, all) in [
        ("online", &facets.online),
        ("state", &facets.states),
        ("type", &facets.types),
        ("version", &facets.versions),
        ("tag", &facets.tags),
        ("group", &facets.groups),
    ] {
        for FacetCount { value, devices: count } in all {
            let query = DeviceQuery { q: format!("{key}:{value}"), ..DeviceQuery::default() };
            assert_eq!(devices.list(&operator, &query).await.unwrap().total, *count, "{}", query.q);
            assert_eq!(facets.count(key, value), Some(*count));
        }
    }
    assert_eq!((facets.count("group", "north"), facets.count("state", "suspended")), (Some(2), Some(1)));
    assert_eq!((facets.count("type", "nothing"), facets.count("id", "gw-1")), (None, None));
    assert_eq!(facets.count("state", "decommissioned"), None, "the list leaves them out unless they are asked for");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn counts_that_a_page_did_not_wait_for_are_there_for_the_next(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices = w.fleet.devices();
    w.device("gw-1", "gateway").await;
    let held = every_reader(&devices.db).await;
    for _ in 0..3 {
        assert_eq!(devices.facet_counts_at_once(&operator).await.unwrap(), None);
    }
    drop(held);
    let mut found = None;
    for _ in 0..1000 {
        found = devices.facet_counts.last(&w.org, w.clock_now());
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(found.expect("it was counted on").count("type", "gateway"), Some(1));
    assert!(devices.facet_counts_at_once(&operator).await.unwrap().is_some());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_search_for_what_there_is_none_of_is_told_the_nearest(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    let device = w.device("gw-1", "gateway").await;
    devices.set_tags(&operator, &"gw-1".parse().unwrap(), vec!["canary".into()]).await.unwrap();
    devices.create_group(&operator, "lab").await.unwrap();
    let attributes = BTreeMap::from([("line".to_owned(), "3".to_owned()), ("site".to_owned(), "berlin".to_owned())]);
    let mut tx = devices.db.write().await.unwrap();
    set_attributes(&mut tx, &w.org, device, Telling::Replace, &attributes).await.unwrap();
    tx.commit().await.unwrap();
    let told = async |q: &str| {
        let page = devices.page(&operator, &DeviceQuery { q: q.into(), ..DeviceQuery::default() }).await.unwrap();
        assert_eq!(devices.hints(&operator, q).await.unwrap(), page.misspelt, "scripts are told the same");
        page.misspelt
    };
    assert_eq!(told("type:gateway tag:canary -group:lab").await, [""; 0]);
    assert_eq!(
        told("type:gatway -tag:canry group:labb").await,
        [
            "No device is of the type gatway. Did you mean gateway?",
            "No device has the tag canry. Did you mean canary?",
            "There is no group labb. Did you mean lab?",
        ]
    );
    assert_eq!(told("attr.site:nowhere").await, [""; 0], "there is one of that name");
    assert_eq!(told("attr.siet:berlin").await, ["No device reports the attribute siet. Did you mean site?"]);
    assert_eq!(told("hw:A").await, [""; 0]);
    assert_eq!(told("version:9.9 hw:Z").await, ["No device has the hardware Z.", "No device runs the version 9.9."]);
    let id = "gw-1".parse().unwrap();
    let sample = Sample { t: w.clock_now().0, m: "cpu.percent".into(), v: 7.0 };
    w.fleet.telemetry().ingest(&w.org, device, &id, "t", 1, vec![sample]).await.unwrap();
    while w.fleet.telemetry().compact_tick().await.unwrap() > 0 {}
    assert_eq!(told("metric.cpu.percent>3").await, [""; 0]);
    assert_eq!(told("metric.cpu.prcent>3").await, ["No device sends the metric cpu.prcent. Did you mean cpu.percent?"]);
    assert_eq!(told("type:gatway state:decommissioned").await, [""; 0], "those are not offered");
}
