//! Which metrics a fleet reports, for the forms that ask for one.

use super::{super::store, *};
use crate::db::{Value, select};
use rstest::rstest;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn names_of_metrics_are_those_that_devices_sent_and_so_many_at_most(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let last = LastValues::new(room.db.clone());
    assert_eq!(last.names(&room.org).await.unwrap(), []);
    for device in 1..=30 {
        let at = START.0 - 60_000;
        room.put(device, "a", 1, vec![sample("cpu.load", at, device as f64), sample("battery", at, 7.0)]).await;
    }
    let names = |known: Vec<wire::telemetry::KnownMetric>| known.into_iter().map(|m| (m.name, m.last.map(|l| l.1))).collect::<Vec<_>>();
    room.telemetry.compact_tick().await.unwrap();
    assert_eq!(names(last.names(&room.org).await.unwrap()), [("battery".to_owned(), Some(7.0)), ("cpu.load".to_owned(), Some(30.0))]);
    // What nobody has a value of any more keeps its name.
    room.telemetry.forget_device(30).await.unwrap();
    assert_eq!(names(last.names(&room.org).await.unwrap())[1], ("cpu.load".to_owned(), None));
    let stranger: OrgId = (&SeededEntropy::new(9) as &dyn Entropy).id(Timestamp(5));
    assert_eq!(last.names(&stranger).await.unwrap(), []);

    let many: Vec<_> = (0..250).map(|n| sample(&format!("m{n:03}"), START.0 - 60_000, 1.0)).collect();
    room.put(31, "a", 1, many).await;
    room.telemetry.compact_tick().await.unwrap();
    let found = last.names(&room.org).await.unwrap();
    assert_eq!((found.len(), found[0].name.as_str(), found[199].name.as_str()), (200, "battery", "m197"));
    let (known, all) = last.known(&room.org).await.unwrap();
    assert!(known.len() == 252 && all, "{}", known.len());
}

/// What the database would do: a name is found by the index, and never by reading the series of every device.
#[tokio::test]
async fn names_of_metrics_are_read_along_their_index() {
    let room = Room::open(EngineKind::Sqlite).await;
    let mut on = room.db.read().await.unwrap();
    let text = format!("EXPLAIN QUERY PLAN {}", store::names::NAMES_OF.sqlite);
    let values = [Value::Text(room.org.to_string()), Value::Int(200)];
    let plan: Vec<(i64, i64, i64, String)> = select(&mut on, text, &values).await.unwrap();
    let reads =
        plan.iter().filter(|step| step.3.starts_with("SCAN") || step.3.starts_with("SEARCH")).filter(|step| !step.3.contains("names"));
    let reads: Vec<&str> = reads.map(|step| step.3.as_str()).collect();
    assert!(reads.len() >= 4 && reads.iter().all(|step| step.starts_with("SEARCH") && step.contains("=?")), "{plan:?}");
}
