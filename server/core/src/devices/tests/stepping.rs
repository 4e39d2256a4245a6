//! Many devices suspended and resumed at once: exactly those that were shown, each in the books, and none where one can't be.

use super::super::{Devices, Error};
use crate::{
    access::Actor,
    bus::Event,
    db::{EngineKind, Sql, exec, row},
    pki::Refusal,
    testing::{World, csr},
};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{
    devices::{DeviceQuery, StepMany, Stepped},
    states::DeviceStep as Step,
};

const WRITE_DOWN: Sql = Sql::same(
    "INSERT INTO devices (org_id, device_id, device_id_lower, device_type, hardware, state, enrolled_at, enrolled_by, version, sequence)
     SELECT org_id, 'many-' || n.i, 'many-' || n.i, 'many', 'A', 'active', 1, 'test', '1.0', 1
     FROM devices CROSS JOIN (WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 10001) SELECT i FROM n) AS n",
);
const PENDING: Sql = Sql::same("UPDATE devices SET state = 'pending' WHERE device_id = $1");
const SUSPENDED: Sql = Sql::same("SELECT COUNT(*) FROM devices WHERE state = 'suspended'");

fn many(q: &str, step: Step, expected: i64) -> StepMany {
    StepMany { q: q.into(), devices: Vec::new(), step, expected }
}

async fn count(w: &World, actor: &Actor, q: &str) -> i64 {
    let query = DeviceQuery { q: q.into(), ..DeviceQuery::default() };
    w.fleet.devices().list(actor, &query).await.unwrap().total
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> (&'static str, String) {
    match result.unwrap_err() {
        Error::Invalid { field, message } => (field, message),
        other => panic!("{other}"),
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn exactly_the_devices_that_were_shown_are_cut_off_and_let_in_again(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices: &Devices = w.fleet.devices();
    let mut leaves = Vec::new();
    for n in 1..=4 {
        let enrolled = w.enrol(&format!("gw-{n}"), if n < 4 { "gateway" } else { "sensor" }, csr(&format!("gw-{n}"))).await.unwrap();
        leaves.push(CertificateDer::from_pem_slice(enrolled.certificate.as_bytes()).unwrap().to_vec());
    }
    let trust = w.fleet.pki().trust();
    let cut = || leaves.iter().map(|leaf| trust.check(leaf).err() == Some(Refusal::DeviceInactive)).collect::<Vec<_>>();
    devices.change(&operator, &"gw-2".parse().unwrap(), Step::Suspend).await.unwrap();

    let mut events = w.fleet.bus().listen();
    let done = devices.change_many(&operator, &many("type:gateway", Step::Suspend, 3)).await.unwrap();
    assert_eq!(done, Stepped { devices: 3, changed: 2 });
    assert_eq!(cut(), [true, true, true, false], "at once, and nobody else");
    let told: Vec<Event> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    assert_eq!(told.iter().filter(|e| matches!(e, Event::Trust)).count(), 1, "listeners look at their connections once");
    assert_eq!(told.iter().filter(|e| matches!(e, Event::Device { .. })).count(), 2, "each that changed is told of");

    // Another number than was seen changes nothing, and again is the same.
    assert_eq!(devices.change_many(&operator, &many("type:gateway", Step::Resume, 2)).await.unwrap_err().fault().code, "other_count");
    assert_eq!(cut(), [true, true, true, false]);
    let again = devices.change_many(&operator, &many("type:gateway", Step::Suspend, 3)).await.unwrap();
    assert_eq!(again, Stepped { devices: 3, changed: 0 });
    let back = devices.change_many(&operator, &many("state:suspended", Step::Resume, 3)).await.unwrap();
    assert_eq!((back, cut()), (Stepped { devices: 3, changed: 3 }, vec![false; 4]));

    // The order and every device that it changed.
    let log = w.fleet.access().audit_page(&operator, None).await.unwrap().entries.items;
    let of = |action: &str| log.iter().rev().filter(|e| e.action == action).map(|e| e.object.clone()).collect::<Vec<_>>();
    assert_eq!(
        (of("device.suspend_many"), of("device.suspend")),
        (vec!["type:gateway".to_owned()], ["gw-2", "gw-1", "gw-3"].map(str::to_owned).to_vec())
    );
    assert_eq!((of("device.resume_many").len(), of("device.resume").len()), (1, 3));
    assert_eq!(w.fleet.access().verify_audit(&operator).await.unwrap().broken_at, None);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_can_not_be_done_to_all_of_them_is_done_to_none(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices: &Devices = w.fleet.devices();
    w.device("gw-1", "gateway").await;
    w.device("gw-2", "gateway").await;
    let mut tx = devices.db.write().await.unwrap();
    exec!(&mut tx, PENDING, "gw-2").unwrap();
    tx.commit().await.unwrap();
    assert!(matches!(devices.change_many(&w.viewer().await, &many("", Step::Suspend, 2)).await, Err(Error::Access(_))));
    assert!(matches!(devices.change_many(&operator, &many("colour:red", Step::Suspend, 2)).await, Err(Error::Selector(_))));
    for step in [Step::Admit, Step::Decommission, Step::Recommission, Step::Delete] {
        assert_eq!(refused(devices.change_many(&operator, &many("", step, 2)).await).0, "step", "{step}");
    }
    let (field, message) = refused(devices.change_many(&operator, &many("type:gateway", Step::Suspend, 2)).await);
    assert!(field == "q" && message.contains("gw-2 is pending") && message.contains("state:active"), "{message}");
    assert_eq!(count(&w, &operator, "state:suspended").await, 0);
    let narrowed = devices.change_many(&operator, &many("type:gateway state:active", Step::Suspend, 1)).await.unwrap();
    assert_eq!(narrowed, Stepped { devices: 1, changed: 1 });
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn ten_thousand_take_a_step_and_not_one_more(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices: &Devices = w.fleet.devices();
    w.device("seed", "gw").await;
    let mut tx = devices.db.write().await.unwrap();
    exec!(&mut tx, WRITE_DOWN).unwrap();
    tx.commit().await.unwrap();
    let (field, message) = refused(devices.change_many(&operator, &many("type:many", Step::Suspend, 10_001)).await);
    assert!(field == "q" && message.contains("10,000"), "{message}");
    let done = devices.change_many(&operator, &many("type:many -id:many-1", Step::Suspend, 10_000)).await.unwrap();
    assert_eq!(done, Stepped { devices: 10_000, changed: 10_000 });
    let (suspended,) = row!(&mut devices.db.read().await.unwrap(), (i64,), SUSPENDED).unwrap().unwrap();
    assert_eq!(suspended, 10_000);
    let page = w.fleet.access().search_audit(&operator, "device.suspend", None).await.unwrap();
    assert_eq!(page.entries.total, 10_001, "each of them, and the order");
}
