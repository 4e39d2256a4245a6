//! Lists of a fleet in which some filters mean few and some mean many: narrowed by indexes or not, the same devices in the same order.

use crate::{
    db::{EngineKind, Read, Sql, exec, select},
    devices::{Selector, listing::Meant, narrowing::ways, rows::statement, store},
    testing::World,
};
use rstest::rstest;
use std::ops::RangeInclusive;
use wire::devices::{DeviceQuery, DeviceSort};

/// Devices of five versions, one in three hundred of another hardware than the rest, one in a hundred failed, one in four waits, one in four hundred tagged, of a hundred sites on two lines.
const WRITE_DOWN: Sql = Sql::same(
    "INSERT INTO devices (org_id, device_id, device_id_lower, device_type, hardware, state, enrolled_at, enrolled_by, version, sequence, last_seen_at, update_state)
     SELECT org_id, 'Unit-' || (10000 + n.i * 7), 'unit-' || (10000 + n.i * 7), CASE n.i % 5 WHEN 0 THEN 'cam' ELSE 'gw' END, CASE n.i % 300 WHEN 7 THEN 'B' ELSE 'A' END, 'active', 1, 'test',
            '1.' || (n.i % 5) || '.0', n.i % 5, n.i * 31 % 1009, CASE WHEN n.i % 100 = 0 THEN 'failed' WHEN n.i % 4 = 1 THEN 'queued' ELSE '' END
     FROM devices CROSS JOIN (WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 2400) SELECT i FROM n) AS n",
);
const TAG: Sql = Sql::same(
    "INSERT INTO device_tags (device, org_id, tag, place)
     SELECT number, org_id, 'canary', device_id_lower FROM devices WHERE number % 400 = 0",
);
const TAG_MANY: Sql = Sql::same(
    "INSERT INTO device_tags (device, org_id, tag, place)
     SELECT number, org_id, 'most', device_id_lower FROM devices WHERE number % 10 <> 0",
);
/// The last four hundred in the order of their ids.
const TAG_FAR: Sql = Sql::same(
    "INSERT INTO device_tags (device, org_id, tag, place)
     SELECT number, org_id, 'far', device_id_lower FROM devices WHERE device_id_lower LIKE 'unit-%' ORDER BY device_id_lower DESC LIMIT 400",
);
const GROUP: Sql = Sql::same(
    "INSERT INTO device_groups (id, org_id, name, created_at, created_by) SELECT 'thirds', org_id, 'thirds', 1, 'test' FROM devices WHERE device_id = 'seed'",
);
const GROUPED: Sql = Sql::same(
    "INSERT INTO group_members (group_id, org_id, device, place)
     SELECT 'thirds', org_id, number, device_id_lower FROM devices WHERE number % 3 = 0",
);
const LINES: Sql = Sql::same(
    "INSERT INTO device_attributes (device, org_id, name, value, place)
     SELECT number, org_id, 'line', 'l' || (number % 2), device_id_lower FROM devices",
);
const FREE: Sql = Sql::same("UPDATE devices SET device_id_lower = '~1' WHERE number = $1");
const SITES: Sql = Sql::same(
    "INSERT INTO device_attributes (device, org_id, name, value, place)
     SELECT number, org_id, 'site', 's' || (number % 100), device_id_lower FROM devices",
);

/// What an index is believed of, and what is too many for that.
const FEW: RangeInclusive<usize> = 0..=1000;
const MANY: RangeInclusive<usize> = 1001..=2401;

pub(super) async fn written_down(kind: EngineKind) -> World {
    let w = World::open(kind).await;
    w.device("seed", "gw").await;
    let mut tx = w.fleet.devices().db.write().await.unwrap();
    for statement in [WRITE_DOWN, TAG, TAG_MANY, TAG_FAR, SITES, LINES, GROUP, GROUPED] {
        exec!(&mut tx, statement).unwrap();
    }
    tx.commit().await.unwrap();
    w
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_narrowed_list_is_the_whole_list(#[case] kind: EngineKind) {
    let w = written_down(kind).await;
    let devices = w.fleet.devices();
    let viewer = w.viewer().await;
    let all = store::facts_page(&mut devices.db.read().await.unwrap(), &w.org, 0, 10_000, w.clock_now()).await.unwrap();
    assert_eq!(all.len(), 2401);
    for (q, how_many) in [
        ("", MANY),
        ("unit-1", MANY),
        ("0707", FEW),
        ("UNIT-26800", FEW),
        ("UNIT", MANY),
        ("un", MANY),
        ("nobody", FEW),
        ("id:Unit-107*", FEW),
        ("id:*-*99", FEW),
        ("id:unit-10707,seed", FEW),
        ("tag:canary", FEW),
        ("tag:most", MANY),
        ("tag:canary,most", MANY),
        ("-tag:most", FEW),
        ("update:failed", FEW),
        ("attr.site:s7 type:gw", FEW),
        ("attr.site:s7,s8", FEW),
        ("version:9.9", FEW),
        ("version:1.0.0", FEW),
        ("version:1.0.0,1.1.0,1.2.0", MANY),
        ("type:cam update:failed", FEW),
        ("tag:canary or update:failed", FEW),
        ("group:none", FEW),
        ("group:thirds", FEW),
        ("tag:far", FEW),
        ("tag:most tag:far", FEW),
        ("tag:most version:1.0.0", FEW),
        ("attr.line:l1", MANY),
        ("attr.line:l0 update:queued", FEW),
        ("type:cam", FEW),
        ("type:none", FEW),
        ("type:gw", MANY),
        ("type:gw state:active", MANY),
        ("hw:A", MANY),
        ("hw:B", FEW),
        ("hw:B,C", FEW),
        ("hw:none", FEW),
        ("type:gw hw:B", FEW),
        ("hw:B state:active", FEW),
        ("hw:A state:active", MANY),
        ("hw:B,C -state:decommissioned", FEW),
        ("state:suspended", FEW),
        ("online:yes", FEW),
        ("presence:offline", MANY),
    ] {
        let selector = Selector::parse(q).unwrap();
        let mut meant: Vec<_> = all.iter().filter(|(_, facts)| selector.matches(facts)).collect();
        assert!(how_many.contains(&meant.len()), "{q}: {}", meant.len());
        for sort in DeviceSort::ALL {
            match sort {
                DeviceSort::LastSeen => meant.sort_by_key(|(number, f)| (f.last_seen_at, *number)),
                DeviceSort::VersionDesc => meant.sort_by_key(|(number, f)| std::cmp::Reverse((f.version.clone(), *number))),
                DeviceSort::LastSeenDesc => meant.sort_by_key(|(number, f)| std::cmp::Reverse((f.last_seen_at, *number))),
                DeviceSort::Version => meant.sort_by_key(|(number, f)| (f.version.clone(), *number)),
                _ => meant.sort_by_key(|(_, f)| f.device_id.to_lowercase()),
            }
            if sort == DeviceSort::DeviceIdDesc {
                meant.reverse();
            }
            let (mut listed, mut cursor) = (Vec::new(), None);
            loop {
                let query = DeviceQuery { q: q.into(), sort, cursor, rows: Some(200) };
                let page = devices.list(&viewer, &query).await.unwrap();
                assert_eq!(page.total, i64::try_from(meant.len()).unwrap(), "{q}");
                listed.extend(page.items.into_iter().map(|device| device.device_id.to_string()));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            let wanted: Vec<_> = meant.iter().map(|(_, facts)| facts.device_id.clone()).collect();
            assert_eq!(listed, wanted, "{q} by {sort:?}");
        }
    }
    let shown = devices.page(&viewer, &DeviceQuery::default()).await.unwrap();
    assert_eq!((shown.fleet, shown.types.as_slice(), shown.versions.len()), (2401, ["cam".to_owned(), "gw".to_owned()].as_slice(), 5));
}

/// What the database would do, not how fast it is: a list in another order than what its filter stands on must not be looked for along that order.
#[tokio::test]
async fn a_narrowed_list_is_read_by_the_numbers_of_its_devices() {
    let w = World::open(EngineKind::Sqlite).await;
    w.device("gw-0815", "gw").await;
    let devices = w.fleet.devices();
    let mut on = devices.db.read().await.unwrap();
    for q in [
        "version:9.9",
        "0815",
        "tag:canary",
        "update:failed",
        "attr.site:s7 type:gw",
        "group:none",
        "id:gw-*15",
        "type:none",
        "hw:none",
        "type:gw hw:B",
        "state:suspended",
        "online:yes",
        "presence:online",
    ] {
        for sort in [DeviceSort::DeviceId, DeviceSort::LastSeenDesc, DeviceSort::Version] {
            let steps = plan(&w, &mut on, q, sort).await;
            assert!(steps.iter().any(|step| step == "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)"), "{q}: {steps:?}");
        }
    }
}

/// The steps of the database's plan for a page.
pub(super) async fn plan(w: &World, on: &mut Read, q: &str, sort: DeviceSort) -> Vec<String> {
    let selector = Selector::parse(q).unwrap();
    let asked = w.fleet.devices().asked(&w.org, &selector).await.unwrap();
    let filter = Meant::new(on, &w.org, (selector, asked), sort, None).await.unwrap().listed(&w.org);
    let text = format!("EXPLAIN QUERY PLAN {}", statement(&filter, sort, 51));
    let plan: Vec<(i64, i64, i64, String)> = select(on, text, &filter.values).await.unwrap();
    plan.into_iter().map(|step| step.3).collect()
}

#[tokio::test]
async fn the_index_of_words_follows_ids_that_are_given_free() {
    let w = World::open(EngineKind::Sqlite).await;
    let device = w.device("Pump-0815", "gw").await;
    let devices = w.fleet.devices();
    let found = async || {
        let mut on = devices.db.read().await.unwrap();
        ways(&mut on, &w.org, &Selector::parse("ump-08").unwrap(), (true, None)).await.unwrap().few.unwrap().0.numbers().to_owned()
    };
    assert_eq!(found().await, format!("[{device}]"));
    let mut tx = devices.db.write().await.unwrap();
    exec!(&mut tx, FREE, device).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(found().await, "[]");
}
