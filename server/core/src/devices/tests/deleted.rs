//! Deleted devices: gone from every list with what they sent, their id reserved until their last certificate has ended.

use super::{enrol, new_token, request};
use crate::{
    db::{EngineKind, Sql, rows},
    devices::Error,
    testing::{World, csr},
};
use rstest::rstest;
use wire::{
    devices::DeviceQuery,
    ids::DeviceId,
    pki::CertificateQuery,
    states::{CertificateState, DeviceStep as Step},
};

const DAY: i64 = 86_400_000;
const LET_IN_FROM: Sql =
    Sql::same("SELECT d.device_id, e.address FROM enrolments e JOIN devices d ON d.number = e.device ORDER BY d.device_id");

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_deleted_device_is_gone_and_its_id_comes_free_with_its_last_certificate(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator, devices) = (w.admin().await, w.operator().await, w.fleet.devices());
    let id: DeviceId = "gw-1".parse().unwrap();
    let shared = devices.create_enrolment_token(&operator, new_token("gw-*", 9)).await.unwrap();
    let own = devices.create_enrolment_token(&operator, new_token("gw-1", 9)).await.unwrap();
    enrol(&w, &shared.secret, &request(&csr("gw-1"), "gw-1")).await.unwrap();
    enrol(&w, &shared.secret, &request(&csr("gw-2"), "gw-2")).await.unwrap();
    let number = devices.find(&admin, &id).await.unwrap();
    let intake = w.fleet.telemetry().intake(&w.org, number, &id, "s").await.unwrap();
    let sample = wire::device::Sample { m: "t".into(), t: w.clock_now().0, v: 1.0 };
    intake.send(1, vec![sample]).await.unwrap().synced().await.unwrap();
    w.fleet.telemetry().compact_tick().await.unwrap();

    assert!(matches!(devices.change(&operator, &id, Step::Delete).await, Err(Error::Access(_))), "admins only");
    devices.change(&admin, &id, Step::Delete).await.unwrap();
    let let_in_from = rows!(&mut devices.db.read().await.unwrap(), (String, String), LET_IN_FROM).unwrap();
    assert_eq!(let_in_from, [("gw-1", ""), ("gw-2", "192.0.2.1")].map(|(id, from)| (id.to_owned(), from.to_owned())));
    assert!(matches!(devices.change(&admin, &id, Step::Delete).await, Err(Error::NotFound(_))));
    assert!(matches!(devices.change(&admin, &id, Step::Recommission).await, Err(Error::NotFound(_))), "it does not come back unseen");
    assert!(matches!(devices.detail(&admin, &id).await, Err(Error::NotFound(_))));
    assert!(matches!(devices.set_tags(&admin, &id, vec!["x".into()]).await, Err(Error::NotFound(_))));
    for q in ["", "state:decommissioned", "id:gw-1"] {
        let found = devices.list(&admin, &DeviceQuery { q: q.into(), ..DeviceQuery::default() }).await.unwrap();
        assert!(found.items.iter().all(|d| d.device_id != id), "{q}");
    }
    let page =
        w.fleet.pki().certificates_page(&admin, &CertificateQuery { q: "gw-1".into(), ..CertificateQuery::default() }).await.unwrap();
    assert_eq!(page.certificates.items[0].state, CertificateState::Revoked, "its certificate stays on the list until it ends");

    let taken = |secret: String| async { enrol(&w, &{ secret }, &request(&csr("gw-1"), "gw-1")).await };
    assert!(matches!(taken(shared.secret.clone()).await, Err(Error::NotActive(_))), "its id is reserved");
    assert!(matches!(taken(own.secret.clone()).await, Err(Error::BadToken)), "tokens for it are void");
    w.fleet.forget_deleted().await.unwrap();
    assert!(w.fleet.telemetry().latest(&w.org, number).await.unwrap().is_empty(), "what it sent is forgotten");
    assert!(matches!(taken(shared.secret.clone()).await, Err(Error::NotActive(_))), "still reserved");

    let ends = page.certificates.items[0].not_after;
    // A clock that has jumped there gives nothing free: back at the right time two devices would have one name.
    let jump = ends.since(w.clock_now()) + DAY;
    w.clock.jump(jump);
    w.fleet.forget_deleted().await.unwrap();
    w.clock.jump(-jump);
    assert!(matches!(taken(shared.secret.clone()).await, Err(Error::NotActive(_))), "still reserved");
    w.clock.advance(ends.since(w.clock_now()) + DAY);
    w.fleet.forget_deleted().await.unwrap();
    let fresh = devices.create_enrolment_token(&operator, new_token("gw-*", 1)).await.unwrap();
    taken(fresh.secret).await.unwrap();
    assert_ne!(devices.find(&admin, &id).await.unwrap(), number, "another device of the same name");
}
