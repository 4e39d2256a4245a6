//! Who is shown as connected, also when the database fails in between.

use crate::{
    db::{EngineKind, Sql, counting, exec},
    devices::{Connected, DeviceNo},
    testing::World,
};
use rstest::rstest;
use std::collections::BTreeMap;
use wire::device::{Hello, Running, Telling};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn presence_follows_the_newest_channel_and_a_restart_closes_the_rest(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let viewer = w.viewer().await;
    let id = "gw-1".parse().unwrap();
    let device = w.device("gw-1", "").await;
    let nasty = "<script>alert(1)</script>\u{7}\u{1b}[31m";
    let hello = |version: &str| Hello {
        agent: nasty.into(),
        boot_id: "b".into(),
        firmware: Running { version: version.into(), sequence: 3, device_type: "gateway".into(), hardware: "B".into() },
        attributes: BTreeMap::from([(nasty.to_owned(), "x".repeat(10_000))]),
        stream: "s".into(),
        trust_bundle: 0,
        slots: None,
    };
    let devices = w.fleet.devices();
    let up = |v: &str| devices.connected(Connected { org: w.org.clone(), device, address: "::1".into(), hello: hello(v) });
    up("1.0.0");
    up("1.1.0");
    devices.disconnected(&w.org, device, "the old one ended");
    devices.flush_presence(true).await.unwrap();
    let (_, detail) = devices.detail(&viewer, &id).await.unwrap();
    assert!(detail.row.online, "the newer channel is still open");
    assert_eq!((detail.row.version.as_str(), detail.sequence), ("1.1.0", 3));
    assert!(!detail.agent.chars().any(char::is_control));
    assert!(detail.attributes.iter().all(|(k, v)| k.len() <= 256 && v.len() <= 256));
    devices.disconnected(&w.org, device, "the new one ended");
    devices.flush_presence(true).await.unwrap();
    let (_, detail) = devices.detail(&viewer, &id).await.unwrap();
    assert!(!detail.row.online);
    assert_eq!(detail.connections.len(), 2);
    up("1.1.0");
    devices.flush_presence(true).await.unwrap();
    devices.reset_presence().await.unwrap();
    let (_, detail) = devices.detail(&viewer, &id).await.unwrap();
    assert!(!detail.row.online && detail.connections.iter().all(|c| c.to.is_some()));
}

/// What a device says that has nothing special to say.
pub(super) fn hello() -> Hello {
    let firmware = Running { version: "1.0.0".into(), sequence: 1, device_type: "gateway".into(), hardware: "A".into() };
    Hello {
        agent: "t".into(),
        boot_id: "b".into(),
        firmware,
        attributes: BTreeMap::new(),
        stream: "s".into(),
        trust_bundle: 0,
        slots: None,
    }
}

async fn online(w: &World, id: &str) -> bool {
    w.fleet.devices().detail(&crate::access::Actor::system(w.org.clone()), &id.parse().unwrap()).await.unwrap().1.row.online
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_could_not_be_written_is_written_later_and_in_order(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let devices = w.fleet.devices();
    let (one, two) = (w.device("gw-1", "gateway").await, w.device("gw-2", "gateway").await);
    let up = |device: DeviceNo| devices.connected(Connected { org: w.org.clone(), device, address: "::1".into(), hello: hello() });
    let meddle = async |sql: Sql| {
        let mut tx = devices.db.write().await.unwrap();
        exec!(&mut tx, sql).unwrap();
        tx.commit().await.unwrap();
    };
    up(two);
    up(one);
    devices.seen(one);
    meddle(Sql::same("ALTER TABLE connections RENAME TO lost")).await;
    assert!(devices.flush_presence(true).await.is_err());
    // News meanwhile stands behind what is still to be written.
    devices.disconnected(&w.org, two, "went away");
    meddle(Sql::same("ALTER TABLE lost RENAME TO connections")).await;
    w.clock.advance(5000);
    devices.seen(one);
    devices.flush_presence(true).await.unwrap();
    assert!(online(&w, "gw-1").await && !online(&w, "gw-2").await);
    let (_, detail) = devices.detail(&crate::access::Actor::system(w.org.clone()), &"gw-1".parse().unwrap()).await.unwrap();
    assert_eq!(detail.row.last_seen_at, Some(w.clock_now()));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_month_of_connections_is_kept(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let device = w.device("gw-1", "gateway").await;
    let devices = w.fleet.devices();
    for _ in 0..2 {
        devices.connected(Connected { org: w.org.clone(), device, address: "::1".into(), hello: hello() });
        devices.disconnected(&w.org, device, "test");
        devices.flush_presence(false).await.unwrap();
        w.clock.advance(20 * 24 * 3600 * 1000);
    }
    devices.forget_connections().await.unwrap();
    let kept = crate::db::row!(&mut devices.db.read().await.unwrap(), (i64,), Sql::same("SELECT COUNT(*) FROM connections")).unwrap();
    assert_eq!(kept, Some((1,)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn attributes_of_a_device_without_a_channel_say_what_it_runs(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let devices = w.fleet.devices();
    let device = w.device("gw-1", "gateway").await;
    let says = async |telling: Telling, said: &[(&str, &str)]| {
        let said = said.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        devices.described(&w.org, device, telling, &said).await.unwrap();
        let detail = devices.detail(&crate::access::Actor::system(w.org.clone()), &"gw-1".parse().unwrap()).await.unwrap().1;
        (detail.row.version, detail.sequence, detail.row.hardware)
    };
    let known = |version: &str, sequence: i64| (version.to_owned(), sequence, "A".to_owned());
    assert_eq!(says(Telling::Merge, &[("firmware_version", "1.2.0")]).await, known("", 0), "the one without the other");
    assert_eq!(says(Telling::Merge, &[("firmware_sequence", "7")]).await, known("", 0), "each time both");
    for wrong in ["", "-1", "x", "1.0", "9223372036854775808"] {
        assert_eq!(says(Telling::Merge, &[("firmware_version", "1.2.0"), ("firmware_sequence", wrong)]).await, known("", 0), "{wrong}");
    }
    assert_eq!(says(Telling::Merge, &[("firmware_version", " "), ("firmware_sequence", "1")]).await, known("", 0));
    let all = [("firmware_version", "1.2.0"), ("firmware_sequence", "7"), ("hardware", "B")];
    assert_eq!(says(Telling::Replace, &all).await, known("1.2.0", 7), "it was enrolled with a revision");
    assert_eq!(says(Telling::Remove, &[("firmware_version", "9"), ("firmware_sequence", "9")]).await, known("1.2.0", 7));
    let kept = devices.detail(&crate::access::Actor::system(w.org.clone()), &"gw-1".parse().unwrap()).await.unwrap().1.attributes;
    assert_eq!(kept, BTreeMap::from([("hardware".to_owned(), "B".to_owned())]));

    let mut tx = devices.db.write().await.unwrap();
    exec!(&mut tx, Sql::same("UPDATE devices SET hardware = ''")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(says(Telling::Merge, &[("hardware", "C")]).await.2, "C");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_was_heard_of_is_written_in_one_statement(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let devices = w.fleet.devices();
    let mut numbers = Vec::new();
    for n in 1..=3 {
        numbers.push(w.device(&format!("gw-{n}"), "gateway").await);
    }
    w.device("gw-4", "gateway").await;
    w.clock.advance(5000);
    for number in &numbers {
        devices.seen(*number);
    }
    let (flushed, ran) = counting::counted(devices.flush_presence(true)).await;
    flushed.unwrap();
    assert_eq!(ran.iter().filter(|one| one.sql.contains("last_seen_at")).count(), 1, "{ran:?}");
    let viewer = w.viewer().await;
    for (id, heard) in [("gw-1", true), ("gw-2", true), ("gw-3", true), ("gw-4", false)] {
        let (_, detail) = devices.detail(&viewer, &id.parse().unwrap()).await.unwrap();
        assert_eq!(detail.row.last_seen_at == Some(w.clock_now()), heard, "{id}");
    }
}
