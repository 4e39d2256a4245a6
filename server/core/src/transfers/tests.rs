//! The room on both engines: limits, turns, and what devices were sent.

use super::*;
use crate::{
    db::EngineKind,
    testing::{START, World},
};
use rstest::rstest;
use std::time::Duration;

const DAY: i64 = 24 * 3600 * 1000;

fn limited(bandwidth: u64, site: u64) -> TransferLimits {
    TransferLimits { bandwidth: Some(bandwidth), site_attribute: " site ".into(), site_bandwidth: Some(site), data_budget_mb: None }
}

/// Devices with the same `site`, by a report of their own.
async fn at_site(w: &World, device_id: &str, site: &str) -> DeviceNo {
    let device = w.device(device_id, "gateway").await;
    let mut tx = w.fleet.transfers().db.write().await.unwrap();
    crate::db::exec!(&mut tx, SITE, device, w.org.as_str(), site).unwrap();
    tx.commit().await.unwrap();
    device
}

const SITE: db::Sql = db::Sql::same(
    "INSERT INTO device_attributes (device, org_id, name, value, place)
     VALUES ($1, $2, 'site', $3, (SELECT device_id_lower FROM devices WHERE number = $1))",
);

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn limits_are_kept_and_in_the_books(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, oli, room) = (w.admin().await, w.operator().await, w.fleet.transfers());
    assert_eq!(room.limits(&oli).await.unwrap(), TransferLimits::default());
    let kept = room.set_limits(&admin, limited(1_000_000, 50_000)).await.unwrap();
    assert_eq!(kept.site_attribute, "site");
    assert_eq!(room.limits(&oli).await.unwrap(), kept);
    room.set_limits(&admin, kept).await.unwrap();
    assert!(room.set_limits(&oli, TransferLimits::default()).await.is_err(), "that takes an admin");
    let wrong = room.set_limits(&admin, limited(1, 50_000)).await.unwrap_err().fault();
    assert_eq!((wrong.kind, wrong.field.as_deref()), (FaultKind::Invalid, Some("bandwidth")));
    let hidden = TransferLimits { site_attribute: "si\u{200b}te".into(), ..limited(1_000_000, 50_000) };
    assert_eq!(room.set_limits(&admin, hidden).await.unwrap_err().fault().field.as_deref(), Some("site_attribute"));
    let audit = w.fleet.access().audit_page(&admin, None).await.unwrap().entries.items;
    assert_eq!(audit.iter().filter(|e| e.action == "transfer.limits").count(), 1, "the same again is no change");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_download_shares_what_it_is_limited_by(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, room) = (w.admin().await, w.fleet.transfers());
    let (oslo, other, elsewhere) =
        (at_site(&w, "gw-1", "oslo").await, at_site(&w, "gw-2", "oslo").await, w.device("gw-3", "gateway").await);
    assert_eq!(room.begin(oslo).await.unwrap().piece(), None);
    room.set_limits(&admin, limited(1_000_000, 50_000)).await.unwrap();
    let flows = [room.begin(oslo).await.unwrap(), room.begin(other).await.unwrap(), room.begin(elsewhere).await.unwrap()];
    let pieces: Vec<_> = flows.iter().map(|flow| flow.piece().unwrap()).collect();
    assert_eq!(pieces, [2_500, 2_500, 50_000]);

    // Time stands still here, so all that can go at once goes, and the next waits: of the site, and not of elsewhere.
    let waits = async |flow: &Flow| tokio::time::timeout(Duration::from_millis(30), flow.turn(2_500)).await.is_err();
    assert!(!waits(&flows[0]).await, "the first piece");
    assert!(waits(&flows[1]).await, "the other one shares the site");
    assert!(!waits(&flows[2]).await);
    // A limit that is taken away holds nobody any more.
    room.set_limits(&admin, TransferLimits::default()).await.unwrap();
    w.clock.advance(60_000);
    assert!(!waits(&flows[0]).await && !waits(&flows[1]).await);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn bytes_are_counted_by_day_and_forgotten(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, room) = (w.admin().await, w.fleet.transfers());
    let device = w.device("gw-1", "gateway").await;
    let send = async |bytes: usize| {
        let flow = room.begin(device).await.unwrap();
        flow.sent(bytes);
        flow.sent(1);
        drop(flow);
        room.write_down().await.unwrap();
    };
    send(999_999).await;
    send(999_999).await;
    assert_eq!(room.data_use(&admin, device).await.unwrap(), DataUse { bytes: 2_000_000, budget: None, again: None });
    room.set_limits(&admin, TransferLimits { data_budget_mb: Some(3), ..TransferLimits::default() }).await.unwrap();
    w.clock.advance(10 * DAY);
    send(999_999).await;
    let over = room.data_use(&admin, device).await.unwrap();
    let again = Timestamp((budget::day(START) + 31) * DAY);
    assert_eq!(over, DataUse { bytes: 3_000_000, budget: Some(3_000_000), again: Some(again) });
    let mut on = room.db.read().await.unwrap();
    assert!(over_budget(&mut on, &w.org, device, w.clock.now()).await.unwrap().unwrap().contains("3 of 3 MB"));
    let elsewhere: OrgId = "org_00000000000000000000000000000000".parse().unwrap();
    for (org, least, found) in [(&w.org, 3_000_000, 1), (&w.org, 3_000_001, 0), (&elsewhere, 1, 0)] {
        assert_eq!(spent(&mut on, org, least, w.clock.now()).await.unwrap().len(), found, "{org} from {least} on");
    }
    assert_eq!(spent(&mut on, &w.org, 1, w.clock.now()).await.unwrap()[&device], 3_000_000);
    // The same day as is said of the device by itself, whatever others wait for.
    let (own, now) = (std::collections::HashSet::from([device]), w.clock.now());
    assert_eq!(all_below(&mut on, &w.org, &own, 3_000_000, now).await.unwrap(), again);
    assert_eq!(all_below(&mut on, &w.org, &own, 1_000_000, now).await.unwrap(), again.plus(10 * DAY));
    drop(on);
    w.clock.advance(again.since(w.clock.now()));
    room.forget().await.unwrap();
    assert_eq!(room.data_use(&admin, device).await.unwrap().bytes, 1_000_000);
    let mut on = room.db.read().await.unwrap();
    assert_eq!(over_budget(&mut on, &w.org, device, w.clock.now()).await.unwrap(), None);
}

/// On PostgreSQL writers run side by side; SQLite has one at a time.
#[tokio::test]
async fn the_organization_comes_before_the_audit_log_as_for_everybody_who_changes_it() {
    const CHANGE: db::Sql = db::Sql::same("UPDATE organizations SET open_enrolment = TRUE WHERE id = $1");
    let w = World::open(EngineKind::Postgres).await;
    let (admin, room) = (w.admin().await, w.fleet.transfers());
    let mut other = room.db.write().await.unwrap();
    crate::db::exec!(&mut other, CHANGE, w.org.as_str()).unwrap();
    let limiting = {
        let (admin, fleet) = (admin.clone(), w.fleet.clone());
        tokio::spawn(async move { fleet.transfers().set_limits(&admin, limited(1_000_000, 50_000)).await })
    };
    db::tests::somebody_waits(&room.db).await;
    audit::append(&mut other, &admin, w.clock_now(), "enrolment.open", w.org.as_str(), &json!(null)).await.unwrap();
    other.commit().await.unwrap();
    limiting.await.unwrap().unwrap();
}
