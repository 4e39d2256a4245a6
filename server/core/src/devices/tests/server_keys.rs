//! Keys that are made here, by the core alone (E-8): races, bounds, and what stays in the store.

use super::{new_token, request};
use crate::{
    access::Actor,
    db::EngineKind,
    devices::{Attempt, EnrolledWithKey, Error, Over},
    pki::PkiSettings,
    testing::{World, csr},
};
use rstest::rstest;
use wire::{pki::CertificateQuery, states::CertificateState};

async fn world(kind: EngineKind) -> World {
    let postgres = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(crate::testing::postgres().await),
    };
    let folder = tempfile::tempdir().unwrap();
    World::open_with(folder, postgres, 8, |pki| PkiSettings { server_keygen: true, ..pki }).await.unwrap()
}

async fn ask(w: &World, secret: &str, csr: &str, id: &str) -> Result<EnrolledWithKey, Error> {
    let attempt = Attempt { secret, request: &request(csr, id), address: "192.0.2.1" };
    w.fleet.devices().enrol_with_server_key(attempt, Over::default()).await
}

async fn certificates(w: &World, state: CertificateState) -> usize {
    let query = CertificateQuery { state: Some(state), ..CertificateQuery::default() };
    w.fleet.pki().certificates_page(&Actor::system(w.org.clone()), &query).await.unwrap().certificates.items.len()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn e8_the_same_request_in_parallel_leaves_one_usable_certificate(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let operator = w.person("ops", wire::states::Role::Operator).await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-1", 1)).await.unwrap();
    let csr = csr("gw-1");
    let tasks: Vec<_> = (0..12)
        .map(|i| {
            let (fleet, secret, csr) = (w.fleet.clone(), token.secret.clone(), csr.clone());
            tokio::spawn(async move {
                let (request, address) = (request(&csr, "gw-1"), format!("192.0.2.{i}"));
                let attempt = Attempt { secret: &secret, request: &request, address: &address };
                fleet.devices().enrol_with_server_key(attempt, Over::default()).await.map(drop)
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => made += 1,
            Err(Error::AskedTwice | Error::BadToken | Error::Exists(_)) => {}
            Err(e) => panic!("{e}"),
        }
    }
    assert!(made >= 1);
    assert_eq!(certificates(&w, CertificateState::Active).await, 1, "of {made} that were made");
    let page = w.fleet.devices().enrolment_page(&operator).await.unwrap();
    assert_eq!(page.tokens[0].uses, 1);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e8_a_lost_answer_is_made_up_for_a_quarter_of_an_hour(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let operator = w.person("ops", wire::states::Role::Operator).await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-1", 1)).await.unwrap();
    let asked = csr("gw-1");
    let first = ask(&w, &token.secret, &asked, "gw-1").await.unwrap();
    w.clock.advance(14 * 60_000);
    let second = ask(&w, &token.secret, &asked, "gw-1").await.unwrap();
    assert!(first.key != second.key && first.enrolled.certificate != second.enrolled.certificate);
    assert_eq!(certificates(&w, CertificateState::Superseded).await, 1);
    // Another request is another device's; the same one is too late; a revoked token gives nothing more.
    assert!(matches!(ask(&w, &token.secret, &csr("gw-1"), "gw-1").await, Err(Error::BadToken)));
    w.clock.advance(16 * 60_000);
    assert!(matches!(ask(&w, &token.secret, &asked, "gw-1").await, Err(Error::BadToken)));
    let other = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-2", 1)).await.unwrap();
    let asked = csr("gw-2");
    ask(&w, &other.secret, &asked, "gw-2").await.unwrap();
    w.fleet.devices().revoke_enrolment_token(&operator, &other.token.id).await.unwrap();
    assert!(matches!(ask(&w, &other.secret, &asked, "gw-2").await, Err(Error::BadToken)));
    assert_eq!(certificates(&w, CertificateState::Active).await, 2);
}

#[tokio::test]
async fn e8_a_world_that_does_not_allow_it_makes_no_key() {
    let w = World::open(EngineKind::Sqlite).await;
    let token = w.fleet.devices().create_enrolment_token(&w.operator().await, new_token("gw-1", 1)).await.unwrap();
    assert!(matches!(ask(&w, &token.secret, &csr("gw-1"), "gw-1").await, Err(Error::NoServerKeys)));
    assert_eq!(Error::NoServerKeys.fault().kind, wire::FaultKind::NotFound);
}
