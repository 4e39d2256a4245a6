//! A device's connections: in pages, by days, and as a file.

use super::{
    super::{Connected, Devices, sizes::BY_HOUR},
    every_reader,
    presence::hello,
};
use crate::{
    db::{EngineKind, Sql, Value, exec, select},
    testing::World,
};
use rstest::rstest;
use std::time::Duration;
use wire::{
    Timestamp,
    connections::{ConnectionsQuery, DAYS},
    time::DAY_MS,
};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(1);

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn connections_are_listed_newest_first_and_added_up_by_day(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let vic = w.viewer().await;
    let devices: &Devices = w.fleet.devices();
    let (id, other) = ("gw-1".parse().unwrap(), "gw-2".parse().unwrap());
    let device = w.device("gw-1", "gateway").await;
    w.device("gw-2", "gateway").await;
    let begun = w.clock_now();
    for n in 1..=5 {
        devices.connected(Connected { org: w.org.clone(), device, address: format!("192.0.2.{n}"), hello: hello() });
        w.clock.advance(60_000);
        devices.disconnected(&w.org, device, "the peer went away");
        w.clock.advance(60_000);
    }
    devices.connected(Connected { org: w.org.clone(), device, address: "192.0.2.6".into(), hello: hello() });
    devices.flush_presence(true).await.unwrap();
    w.clock.advance(30_000);

    let mut addresses = Vec::new();
    let mut query = ConnectionsQuery { rows: Some(4), ..ConnectionsQuery::default() };
    loop {
        let page = devices.connections(&vic, &id, &query).await.unwrap();
        assert_eq!(page.connections.total, 6);
        assert_eq!(devices.connections_listed(&vic, &id, &query).await.unwrap(), page.connections);
        addresses.extend(page.connections.items.iter().map(|c| c.address.clone()));
        let Some(next) = page.connections.next else { break };
        query.cursor = next;
    }
    assert_eq!(addresses, [6, 5, 4, 3, 2, 1].map(|n| format!("192.0.2.{n}")));
    assert_eq!(devices.connections_export(&vic, &id, None).await.unwrap().0.len(), 6);

    let page = devices.connections(&vic, &id, &ConnectionsQuery::default()).await.unwrap();
    assert_eq!((page.days.len(), page.days.iter().sum::<i64>()), (DAYS as usize, 5 * 60_000 + 30_000));
    assert_eq!((page.first_day.0 % DAY_MS, page.since), (0, page.first_day));
    assert!(page.first_day.plus(i64::from(DAYS) * DAY_MS) > page.at && page.first_day.plus(i64::from(DAYS - 1) * DAY_MS) <= page.at);
    let newest = &page.connections.items[..2];
    assert_eq!((newest[0].to, newest[0].reason.as_str()), (None, ""));
    assert_eq!((newest[1].from, newest[1].reason.as_str()), (begun.plus(4 * 120_000), "the peer went away"));
    assert_eq!(newest[1].to.map(|end| Timestamp(end.0 - newest[1].from.0)), Some(Timestamp(60_000)));

    // Another device has none of them, and what is not there is not found.
    let none = devices.connections(&vic, &other, &ConnectionsQuery::default()).await.unwrap();
    assert_eq!((none.connections.total, none.days.iter().sum::<i64>()), (0, 0));
    let nobody = devices.connections(&vic, &"gw-3".parse().unwrap(), &ConnectionsQuery::default()).await.unwrap_err();
    assert_eq!(nobody.fault().kind, wire::FaultKind::NotFound);
    let wrong = ConnectionsQuery { cursor: "x".into(), rows: None };
    assert_eq!(devices.connections(&vic, &id, &wrong).await.unwrap_err().fault().kind, wire::FaultKind::Invalid);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_course_of_a_day_is_told_by_who_came_and_went(#[case] kind: EngineKind) {
    const HOUR: i64 = 3_600_000;
    let w = World::open(kind).await;
    let devices: &Devices = w.fleet.devices();
    assert_eq!(devices.connected_by_hour(&w.org, LONG).await.unwrap(), [0; 25]);
    let (one, two) = (w.device("gw-1", "gateway").await, w.device("gw-2", "gateway").await);
    let up = |device| devices.connected(Connected { org: w.org.clone(), device, address: "::1".into(), hello: hello() });
    up(one);
    up(two);
    w.clock.advance(3 * HOUR);
    devices.disconnected(&w.org, two, "the peer went away");
    w.clock.advance(HOUR / 2);
    // The one is replaced by a new channel of its own: nobody came or went.
    up(one);
    devices.flush_presence(true).await.unwrap();
    w.clock.advance(HOUR / 4);
    let course = devices.connected_by_hour(&w.org, LONG).await.unwrap();
    // They came 3 h 45 min ago, and one went 45 min ago.
    assert_eq!(course.len(), 25);
    assert_eq!(course[..21], [0; 21]);
    assert_eq!(course[21..], [2, 2, 2, 1]);
    w.clock.advance(24 * HOUR);
    assert_eq!(devices.connected_by_hour(&w.org, LONG).await.unwrap(), [1; 25], "what lasts longer than a day is in all of it");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_overview_does_not_wait_for_the_course_of_a_day(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let devices = w.fleet.devices();
    let held = every_reader(&devices.db).await;
    for _ in 0..3 {
        assert!(devices.connected_by_hour(&w.org, Duration::from_millis(10)).await.unwrap().is_empty());
    }
    drop(held);
    assert_eq!(devices.connected_by_hour(&w.org, LONG).await.unwrap(), [0; 25], "it was counted on");
    // Held for a minute: nobody reads for it.
    let held = every_reader(&devices.db).await;
    assert_eq!(devices.connected_by_hour(&w.org, LONG).await.unwrap().len(), 25);
    drop(held);
}

/// A day of a large fleet is a million connections: neither their rows are looked at, nor any twice.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_course_of_a_day_is_read_from_an_index_alone(#[case] kind: EngineKind) {
    const NO_SEQUENCE: Sql = Sql::same("SET LOCAL enable_seqscan = off");
    const NO_BITMAP: Sql = Sql::same("SET LOCAL enable_bitmapscan = off");
    let w = World::open(kind).await;
    let mut tx = w.fleet.devices().db.write().await.unwrap();
    let values = [Value::Text(w.org.to_string()), Value::Int(5)];
    let (steps, read, table) = match kind {
        EngineKind::Sqlite => {
            let steps: Vec<(i64, i64, i64, String)> =
                select(&mut tx, format!("EXPLAIN QUERY PLAN {}", BY_HOUR.sqlite), &values).await.unwrap();
            (
                steps.into_iter().map(|step| step.3).collect::<Vec<_>>(),
                "SEARCH connections USING COVERING INDEX connections_open (ended_at",
                "connections",
            )
        }
        EngineKind::Postgres => {
            // A table without rows is read as it is; only what is possible is asked here.
            exec!(&mut tx, NO_SEQUENCE).unwrap();
            exec!(&mut tx, NO_BITMAP).unwrap();
            let steps: Vec<(String,)> = select(&mut tx, format!("EXPLAIN {}", BY_HOUR.postgres), &values).await.unwrap();
            (steps.into_iter().map(|step| step.0).collect(), "Index Only Scan using connections_open on connections", "on connections")
        }
    };
    let reads: Vec<&String> = steps.iter().filter(|step| step.contains(table)).collect();
    assert_eq!(reads.len(), 2, "those that have ended, and those that last: {steps:?}");
    assert!(reads.iter().all(|step| step.contains(read)), "{steps:?}");
}
