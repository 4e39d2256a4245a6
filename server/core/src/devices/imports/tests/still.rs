//! Lines that change nothing are only read, beside those that do they are counted as what they are, and the books say of a device what has become another.

use super::{FILE, LOOK, TAKE, UPDATE, counts, detail, import};
use crate::{
    db::{EngineKind, list, rows},
    devices::store,
    testing::World,
};
use rstest::rstest;
use serde_json::{Value, json};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_changes_nothing_waits_for_nobody_who_writes(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    devices.create_group(&operator, "Hall 3").await.unwrap();
    import(devices, &operator, FILE, TAKE).await;
    let other = "device_id,type,hardware\ngw-1,sensor,B\ngw-2,gateway,\n";

    // Somebody has the only writer, or the rows of these devices: whoever asked for either would wait until the end of this test.
    let mut tx = devices.db.write().await.unwrap();
    let held: Vec<Value> = ["gw-1", "gw-2"].iter().map(|lower| json!({ "org": w.org, "lower": lower })).collect();
    let held = rows!(&mut tx, (i64, String, String, String, String), store::HELD, list(&held).unwrap()).unwrap();
    assert_eq!(held.len(), 2);
    for how in [LOOK, TAKE, UPDATE] {
        assert_eq!(counts(&import(devices, &operator, FILE, how).await), (0, 2, 0, 2), "{how:?}");
    }
    for how in [LOOK, TAKE] {
        assert_eq!(counts(&import(devices, &operator, other, how).await), (0, 1, 1, 0), "what is left as it is writes nothing: {how:?}");
    }
    drop(tx);
    assert_eq!(counts(&import(devices, &operator, other, UPDATE).await), (0, 1, 1, 0));
    assert_eq!(detail(&w, "gw-1").await.row.device_type, "sensor");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn beside_lines_that_change_something_the_others_are_counted_in_their_order(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    devices.create_group(&operator, "Hall 3").await.unwrap();
    let before = "device_id,type,hardware,tags,attributes\ngw-1,gateway,A,eu,site=x\ngw-2,gateway,A,eu,site=x\ngw-3,gateway,A,eu,site=x\n";
    import(devices, &operator, before, TAKE).await;
    let file = "device_id,type,hardware,tags,attributes,groups\ngw-4,gateway,A,eu,,\ngw-1,gateway,A,eu,site=x,\ngw-2,gateway,B,eu,site=y,\n\
        gw-5,,,,,Hal 3\ngw-6,,,,,Hal 3\ngw-3,,,uk,floor=2,hall 3\ngw-7,,,,,Hall 3\n";
    let told = async |how| {
        let said = import(devices, &operator, file, how).await;
        let problems: Vec<(i64, bool)> = said.problems.iter().map(|p| (p.line, p.message.contains("Did you mean Hall 3?"))).collect();
        (counts(&said), problems, said.changes.iter().map(|change| change.line).collect::<Vec<_>>())
    };
    let problems = vec![(5, true), (6, true), (7, true)];
    assert_eq!(told(LOOK).await, ((2, 1, 1, 3), problems.clone(), vec![4]));
    assert_eq!(told(UPDATE).await, ((2, 1, 1, 3), problems.clone(), vec![4]));
    assert_eq!(told(UPDATE).await, ((0, 4, 0, 3), problems, vec![]));
    assert_eq!(detail(&w, "gw-7").await.groups, ["Hall 3"]);

    let log = w.fleet.access().search_audit(&w.admin().await, "device.import", None).await.unwrap().entries.items;
    let booked: Vec<(&str, Value)> = log
        .iter()
        .filter(|entry| entry.action == "device.import")
        .map(|entry| (entry.object.as_str(), serde_json::from_str(&entry.detail).unwrap()))
        .collect();
    assert_eq!(
        booked,
        [("gw-2", json!({ "by": "import", "hardware": "B" }))],
        "of the type, the tag and the attribute nothing became another"
    );
}
