//! The ways to a page of a list: which is taken, that each leads to the same pages, and what they stand on.

use super::{
    enrol,
    large::{plan, written_down},
    new_token, request,
};
use crate::{
    db::{EngineKind, Sql, exec, row},
    devices::{
        Selector,
        listing::Meant,
        narrowing::ways,
        presence::set_attributes,
        rows::{by_id, part},
    },
    testing::{World, csr},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use rstest::rstest;
use std::collections::BTreeMap;
use wire::{
    device::Telling,
    devices::{DeviceQuery, DeviceSort, GroupMany, TagMany},
    enrolment::EnrolRequest,
};

/// However many are meant, a list by ids comes from an index as it is: nothing is sorted, and nobody is met who is not of them.
#[tokio::test]
async fn a_list_by_ids_is_read_along_the_index_of_its_filter() {
    let w = written_down(EngineKind::Sqlite).await;
    let mut on = w.fleet.devices().db.read().await.unwrap();
    for (q, index) in [
        ("tag:far", "s USING COVERING INDEX device_tags_by_tag (org_id=? AND tag=?"),
        ("tag:most hw:A", "s USING COVERING INDEX device_tags_by_tag (org_id=? AND tag=?"),
        ("tag:most tag:far", "s USING COVERING INDEX device_tags_by_tag (org_id=? AND tag=?"),
        ("attr.line:l1 type:gw", "s USING COVERING INDEX device_attributes_by_value (org_id=? AND name=? AND value=?"),
        ("group:thirds", "s USING COVERING INDEX group_members_by_place (group_id=?"),
        ("type:cam", "d USING INDEX devices_of_type (org_id=? AND device_type=?"),
        ("hw:A", "d USING INDEX devices_of_hardware (org_id=? AND hardware=?"),
        ("hw:A state:active", "d USING INDEX devices_of_hardware (org_id=? AND hardware=?"),
        ("type:gw -state:decommissioned", "d USING INDEX devices_of_type (org_id=? AND device_type=?"),
        ("version:1.0.0 state:active", "d USING INDEX devices_of_version (org_id=? AND version=?"),
        ("type:gw version:1.0.0", "d USING INDEX devices_of_version (org_id=? AND version=?"),
        ("update:queued", "d USING INDEX devices_by_update (org_id=? AND update_state=?"),
    ] {
        for sort in [DeviceSort::DeviceId, DeviceSort::DeviceIdDesc] {
            let steps = plan(&w, &mut on, q, sort).await;
            assert!(steps.iter().any(|step| step.contains(index)), "{q}: {steps:?}");
            assert!(!steps.iter().any(|step| step.ends_with("ORDER BY")), "{q}: {steps:?}");
        }
    }
}

/// What a chance question is made of.
const CONDITIONS: [&str; 21] = [
    "tag:far",
    "tag:most",
    "tag:canary",
    "-tag:most",
    "attr.site:s7",
    "attr.site:s7,s8",
    "attr.line:l1",
    "type:cam",
    "type:gw",
    "version:1.0.0",
    "version:1.2.0,1.3.0",
    "update:failed",
    "update:queued",
    "group:thirds",
    "unit-26",
    "unit",
    "online:no",
    "state:active",
    "hw:A",
    "hw:B",
    "last_seen>1h",
];

/// Whatever way is taken, the pages are the same: their rows, their order and their cursors, a last page that is exactly full as well. How many there are
/// may be known, or known wrong.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn every_way_leads_to_the_same_pages(#[case] kind: EngineKind) {
    let w = written_down(kind).await;
    let devices = w.fleet.devices();
    let mut on = devices.db.read().await.unwrap();
    let conditions = prop::sample::subsequence(CONDITIONS.to_vec(), 1..=3).prop_shuffle();
    let known = prop::sample::select(vec![None, Some(0), Some(200), Some(1_000), Some(2_000)]);
    let question =
        (conditions, prop::sample::select(DeviceSort::ALL.to_vec()), prop::sample::select(vec![50_usize, 120, 133, 200, 400]), known);
    let mut by_chance = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut questions: Vec<_> = (0..120).map(|_| question.new_tree(&mut by_chance).unwrap().current()).collect();
    for sort in [DeviceSort::DeviceId, DeviceSort::DeviceIdDesc] {
        questions.extend([50, 400].map(|rows| (vec!["tag:far"], sort, rows, None)));
    }
    // From one end the versions that are asked for are met at once, from the other one not for long.
    for sort in [DeviceSort::LastSeen, DeviceSort::LastSeenDesc, DeviceSort::Version, DeviceSort::VersionDesc] {
        questions.extend(["version:1.0.0,1.1.0", "group:thirds"].map(|q| (vec![q], sort, 50, None)));
    }
    let (mut few, mut along, mut through_all, mut full, mut met) = (0, 0, 0, 0, 0);
    for (conditions, sort, rows, known) in questions {
        let selector = Selector::parse(&conditions.join(" ")).unwrap();
        let asked = devices.asked(&w.org, &selector).await.unwrap();
        let found = ways(&mut on, &w.org, &selector, (by_id(sort), known)).await.unwrap();
        match (found.along, found.few) {
            (Some(_), _) => along += 1,
            (None, Some(_)) => few += 1,
            (None, None) => through_all += 1,
        }
        let meant = Meant::new(&mut on, &w.org, (selector.clone(), asked.clone()), sort, known).await.unwrap();
        met += i32::from(meant.met(rows + 1).is_some());
        let walked = Meant::through_all(selector.clone(), asked);
        let mut query = DeviceQuery { sort, ..DeviceQuery::default() };
        loop {
            let page = part(&mut on, &w.org, &meant, &query, rows).await.unwrap();
            assert_eq!(page, part(&mut on, &w.org, &walked, &query, rows).await.unwrap(), "{selector} by {sort:?}");
            let (rows_of_it, next) = page;
            if next.is_none() {
                full += i32::from(rows_of_it.len() == rows);
                break;
            }
            query.cursor = next;
        }
    }
    assert!(few > 5 && along > 5 && through_all > 0 && full >= 4 && met >= 8, "{few} {along} {through_all} {full} {met}");
}

/// The first in the order of ids are decommissioned, the next ones suspended, whatever their type, version and hardware.
const ENDED: Sql = Sql::same(
    "UPDATE devices SET state = CASE WHEN device_id_lower < 'unit-13' THEN 'decommissioned' ELSE 'suspended' END
     WHERE device_id_lower LIKE 'unit-%' AND device_id_lower < 'unit-15'",
);

/// The indexes of types, hardware and versions leave out decommissioned devices. They are asked beside states that do so as well, and beside no others.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_state_beside_it_says_whether_an_index_has_all_who_are_meant(#[case] kind: EngineKind) {
    let w = written_down(kind).await;
    let devices = w.fleet.devices();
    let mut tx = devices.db.write().await.unwrap();
    exec!(&mut tx, ENDED).unwrap();
    tx.commit().await.unwrap();
    let mut on = devices.db.read().await.unwrap();
    // How many are meant, among how many an index has them, and whether a list by ids is read along one.
    for (q, meant, among, is_along) in [
        ("hw:B", 6, Some(6), false),
        ("hw:B state:active", 5, Some(6), false),
        ("state:active,suspended hw:B", 6, Some(6), false),
        ("hw:B -state:decommissioned", 6, Some(6), false),
        ("hw:B state:decommissioned", 2, Some(428), false),
        ("hw:B state:active,decommissioned", 7, None, false),
        ("hw:B -state:active", 3, None, false),
        ("hw:B state:*", 8, None, false),
        ("hw:B (state:active or state:decommissioned)", 7, None, false),
        ("type:cam state:active", 338, Some(395), true),
        ("type:cam state:suspended", 57, Some(395), true),
        ("type:cam state:decommissioned", 85, Some(428), false),
        ("version:1.0.0 state:active", 338, Some(480), true),
        ("version:1.0.0 state:decommissioned", 85, Some(480), false),
        ("hw:A state:active", 1682, None, true),
        ("hw:A state:active,decommissioned", 2108, None, false),
    ] {
        let selector = Selector::parse(q).unwrap();
        let asked = devices.asked(&w.org, &selector).await.unwrap();
        for sort in [DeviceSort::DeviceId, DeviceSort::DeviceIdDesc, DeviceSort::LastSeen] {
            let found = ways(&mut on, &w.org, &selector, (by_id(sort), None)).await.unwrap();
            let named = found.few.map(|(few, _)| serde_json::from_str::<Vec<i64>>(few.numbers()).unwrap().len());
            assert_eq!((named, found.along.is_some()), (among, is_along && by_id(sort)), "{q} by {sort:?}");
            let narrowed = Meant::new(&mut on, &w.org, (selector.clone(), asked.clone()), sort, None).await.unwrap();
            let walked = Meant::through_all(selector.clone(), asked.clone());
            let query = DeviceQuery { sort, ..DeviceQuery::default() };
            let page = part(&mut on, &w.org, &narrowed, &query, 2_500).await.unwrap();
            assert_eq!(page.0.len(), meant, "{q} by {sort:?}");
            assert_eq!(page, part(&mut on, &w.org, &walked, &query, 2_500).await.unwrap(), "{q} by {sort:?}");
        }
    }
}

/// Rows beside devices that don't stand where their device does.
const MISPLACED: Sql = Sql::same(
    "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN s.place = d.device_id_lower THEN 0 ELSE 1 END), 0) AS BIGINT)
     FROM (SELECT device, place FROM device_tags UNION ALL SELECT device, place FROM device_attributes UNION ALL SELECT device, place FROM group_members) s
     JOIN devices d ON d.number = s.device",
);

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn whatever_is_said_of_a_device_stands_at_its_place(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices = w.fleet.devices();
    let token = devices.create_enrolment_token(&operator, new_token("Pump-*", 2)).await.unwrap();
    for id in ["Pump-2", "Pump-10"] {
        let attributes = BTreeMap::from([("site".to_owned(), "s1".to_owned())]);
        enrol(&w, &token.secret, &EnrolRequest { attributes, ..request(&csr(id), id) }).await.unwrap();
    }
    let pump = "Pump-2".parse().unwrap();
    devices.set_tags(&operator, &pump, vec!["eu".into(), "spare".into()]).await.unwrap();
    let tagged = TagMany { q: "type:gateway".into(), devices: Vec::new(), add: vec!["hall".into()], remove: Vec::new(), expected: 2 };
    devices.tag_many(&operator, &tagged).await.unwrap();
    devices.create_group(&operator, "north").await.unwrap();
    let grouped = GroupMany { q: "type:gateway".into(), devices: Vec::new(), out: false, expected: 2 };
    devices.group_many(&operator, "north", &grouped).await.unwrap();
    let number = devices.find(&operator, &pump).await.unwrap();
    let attributes = BTreeMap::from([("site".to_owned(), "s2".to_owned()), ("line".to_owned(), "l1".to_owned())]);
    let mut tx = devices.db.write().await.unwrap();
    set_attributes(&mut tx, &w.org, number, Telling::Replace, &attributes).await.unwrap();
    tx.commit().await.unwrap();
    let (rows, misplaced) = row!(&mut devices.db.read().await.unwrap(), (i64, i64), MISPLACED).unwrap().unwrap();
    // Three and two tags, two and one attributes, two in a group.
    assert_eq!((rows, misplaced), (10, 0));
}
