//! Who is let in when others guess, fail or change their minds at the same moment.

use super::{enrol, new_token, request};
use crate::{
    access::Actor,
    db::{EngineKind, exec, tests::somebody_waits},
    devices::{Attempt, Error, store},
    testing::{World, csr},
};
use rstest::rstest;
use std::collections::BTreeMap;
use wire::{
    enrolment::NewEnrolmentToken,
    pki::{CertificateQuery, RevocationReason},
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn guesses_shut_out_guessers_and_nobody_else(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-*", 5)).await.unwrap();
    for _ in 0..10 {
        assert!(matches!(enrol(&w, "fet_x", &request(&csr("gw-1"), "gw-1")).await, Err(Error::BadToken)));
    }
    assert!(matches!(enrol(&w, "fet_x", &request(&csr("gw-1"), "gw-1")).await, Err(Error::TooMany)));
    // The same address, the right token: a factory behind one address goes on.
    assert!(enrol(&w, &token.secret, &request(&csr("gw-1"), "gw-1")).await.is_ok());
    // And it hears the reason of its own refusals, not its neighbour's; the books keep ten of them.
    for _ in 0..12 {
        assert!(matches!(enrol(&w, &token.secret, &request(&csr("other"), "other")).await, Err(Error::OutOfScope(_))));
    }
    let booked = w.fleet.access().search_audit(&w.admin().await, "enrolment_token.refuse", None).await.unwrap();
    assert_eq!(booked.entries.items.len(), 10);
    let elsewhere =
        w.fleet.devices().create_enrolment_token(&operator, NewEnrolmentToken { source: "198.51.100.0/24".into(), ..new_token("", 1) });
    let elsewhere = elsewhere.await.unwrap();
    assert!(matches!(enrol(&w, &elsewhere.secret, &request(&csr("gw-3"), "gw-3")).await, Err(Error::Source)));
    assert!(matches!(enrol(&w, "fet_x", &request(&csr("gw-1"), "gw-1")).await, Err(Error::TooMany)), "still closed to guesses");

    // A refusal that is nobody's guess costs nothing.
    w.clock.advance(60_001);
    for _ in 0..20 {
        assert!(matches!(enrol(&w, &token.secret, &request(&csr("gw-1"), "gw-1")).await, Err(Error::Exists(_))));
    }
    assert!(matches!(enrol(&w, "fet_x", &request(&csr("gw-2"), "gw-2")).await, Err(Error::BadToken)), "the address is still open");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_revoked_certificate_is_not_given_out_again(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-*", 1)).await.unwrap();
    let asked = request(&csr("gw-1"), "gw-1");
    enrol(&w, &token.secret, &asked).await.unwrap();
    let system = Actor::system(w.org.clone());
    let page = w.fleet.pki().certificates_page(&system, &CertificateQuery::default()).await.unwrap();
    w.fleet.pki().revoke(&system, &page.certificates.items[0].id, RevocationReason::Superseded).await.unwrap();
    assert!(matches!(enrol(&w, &token.secret, &asked).await, Err(Error::BadToken)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_a_device_says_of_itself_when_it_enrols_is_kept(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-*", 1)).await.unwrap();
    let mut asked = request(&csr("gw-1"), "gw-1");
    asked.attributes = BTreeMap::from([("site".to_owned(), "Rotterdam\u{7} 2".to_owned())]);
    enrol(&w, &token.secret, &asked).await.unwrap();
    let (_, detail) = w.fleet.devices().detail(&operator, &"gw-1".parse().unwrap()).await.unwrap();
    assert_eq!(detail.attributes, BTreeMap::from([("site".to_owned(), "Rotterdam 2".to_owned())]));
}

/// On PostgreSQL writers run side by side; SQLite has one at a time.
#[tokio::test]
async fn a_device_that_is_being_decommissioned_does_not_come_back() {
    let w = World::open(EngineKind::Postgres).await;
    let operator = w.operator().await;
    let device = w.device("gw-1", "gateway").await;
    let own = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-1", 1)).await.unwrap();
    let mut leaving = w.fleet.devices().db.write().await.unwrap();
    exec!(&mut leaving, store::SET_STATE, device, "decommissioned").unwrap();
    let fleet = w.fleet.clone();
    let coming = tokio::spawn(async move {
        let asked = request(&csr("gw-1"), "gw-1");
        fleet.devices().enrol(Attempt { secret: &own.secret, request: &asked, address: "::1" }).await
    });
    somebody_waits(&w.fleet.devices().db).await;
    leaving.commit().await.unwrap();
    assert!(matches!(coming.await.unwrap(), Err(Error::NotActive(_))));
}
