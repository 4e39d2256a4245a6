//! Keys that are made here, by the core alone (E-8): races, bounds, what stays in the store, and who agrees to it (K-6).

use super::{new_token, request};
use crate::{
    access::Actor,
    db::EngineKind,
    devices::{Attempt, EnrolledWithKey, Error, Over, admission},
    pki::{self, PkiSettings, ServerKey},
    testing::{World, csr},
};
use rstest::rstest;
use wire::{
    FaultKind,
    consents::{AskConsent, ConsentRow, Deed, ServerKeyRule},
    pki::CertificateQuery,
    states::{CertificateState, Role},
};

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

async fn consent(w: &World, who: &Actor, deed: Deed) -> Result<ConsentRow, pki::Error> {
    w.fleet.pki().ask_consent(who, AskConsent { deed, remark: "the cameras have no randomness".into() }).await
}

async fn approve(w: &World, who: &Actor, row: &ConsentRow) -> Result<ConsentRow, pki::Error> {
    w.fleet.pki().approve_consent(who, &row.id, &row.digest, "they have none").await
}

fn code<T: std::fmt::Debug>(refused: Result<T, pki::Error>) -> String {
    refused.unwrap_err().fault().code
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_e_8_no_key_is_made_until_a_second_admin_has_agreed(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let (ada, eve, operator) = (w.admin().await, w.person("eve", Role::Admin).await, w.operator().await);
    let (pki, devices) = (w.fleet.pki(), w.fleet.devices());
    let token = devices.create_enrolment_token(&operator, new_token("gw-*", 9)).await.unwrap().secret;
    let rule = async || pki.consents_page(&ada).await.unwrap().server_keys;
    let made = async |id: &str| ask(&w, &token, &csr(id), id).await.map(drop);
    let refused = async |id: &str| {
        let fault = made(id).await.unwrap_err().fault();
        assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Forbidden, "server_keys_consent"), "{fault:?}");
        assert!(fault.message.contains("POST /api/v1/authorities/requests"), "it says where to ask: {fault:?}");
    };

    // One person is enough: the configuration alone says so, as long as that holds.
    assert_eq!(rule().await, ServerKeyRule::Configured);
    made("gw-1").await.unwrap();
    for on in [true, false] {
        assert_eq!(code(pki.set_server_keys(&ada, on).await), "no_second_person");
    }
    assert_eq!(code(consent(&w, &ada, Deed::ServerKeys).await), "no_second_person");
    pki.set_approvals(&ada, true).await.unwrap();
    assert_eq!(rule().await, ServerKeyRule::Needed);
    refused("gw-2").await;
    assert_eq!(devices.enrolment_page(&operator).await.unwrap().tokens[0].uses, 1, "no use is counted");

    // Nobody says it alone, and nobody agrees with themselves.
    assert_eq!(code(pki.set_server_keys(&ada, true).await), "second_person");
    assert!(matches!(pki.set_server_keys(&operator, false).await, Err(pki::Error::Access(_))));
    let row = consent(&w, &ada, Deed::ServerKeys).await.unwrap();
    assert_eq!(code(consent(&w, &eve, Deed::ServerKeys).await), "already_asked");
    assert_eq!(code(approve(&w, &ada, &row).await), "own_request");
    refused("gw-2").await;
    pki.reject_consent(&eve, &row.id, "buy better ones").await.unwrap();
    refused("gw-2").await;
    let row = consent(&w, &ada, Deed::ServerKeys).await.unwrap();
    pki.withdraw_consent(&ada, &row.id).await.unwrap();
    assert_eq!(code(approve(&w, &eve, &row).await), "request_over");
    let row = consent(&w, &ada, Deed::ServerKeys).await.unwrap();
    approve(&w, &eve, &row).await.unwrap();
    assert_eq!(rule().await, ServerKeyRule::Agreed);
    made("gw-2").await.unwrap();
    assert_eq!(code(consent(&w, &eve, Deed::ServerKeys).await), "server_keys_agreed");

    // One person ends it.
    for _ in 0..2 {
        pki.set_server_keys(&ada, false).await.unwrap();
        assert_eq!(rule().await, ServerKeyRule::Needed);
    }
    refused("gw-3").await;
    // Also for whoever was let through before that, and makes the key now.
    let (csr, row) = (csr("gw-3"), devices.token(&token).await.unwrap());
    let attempt = Attempt { secret: &token, request: &request(&csr, "gw-3"), address: "192.0.2.1" };
    let admission = admission::by_token(&row, &attempt, Over::default()).unwrap();
    let late = devices.make_first(&admission, &ServerKey::generate().unwrap(), w.clock_now()).await;
    assert_eq!(late.unwrap_err().fault().code, "server_keys_consent");
    assert_eq!(devices.token(&token).await.unwrap().uses, 2, "no use is counted");
    let log = w.fleet.access().audit_page(&ada, None).await.unwrap().entries.items;
    let said: Vec<_> = log.iter().filter(|e| e.action == "authority.server_keys").map(|e| (e.actor.as_str(), e.detail.as_str())).collect();
    assert!(matches!(said[..], [("ada", off), ("eve", on)] if off.contains("\"on\":false") && on.contains("\"on\":true")), "{said:?}");
    assert_eq!(certificates(&w, CertificateState::Active).await, 2);
    assert!(w.fleet.access().verify_audit(&ada).await.unwrap().broken_at.is_none());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_e_8_what_two_have_agreed_to_ends_with_their_rule(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let (ada, eve, shell) = (w.admin().await, w.person("eve", Role::Admin).await, Actor::shell(w.org.clone()));
    let pki = w.fleet.pki();
    let rule = async || pki.consents_page(&ada).await.unwrap().server_keys;
    pki.set_approvals(&ada, true).await.unwrap();
    let row = consent(&w, &ada, Deed::ServerKeys).await.unwrap();
    approve(&w, &eve, &row).await.unwrap();
    let late = consent(&w, &ada, Deed::ApprovalsOff).await.unwrap();
    approve(&w, &eve, &late).await.unwrap();
    assert_eq!(rule().await, ServerKeyRule::Configured);
    pki.set_approvals(&eve, true).await.unwrap();
    assert_eq!(rule().await, ServerKeyRule::Needed, "it is agreed to anew");

    // What was asked for under the rule is not done without it, and not a day later.
    let row = consent(&w, &ada, Deed::ServerKeys).await.unwrap();
    pki.set_approvals(&shell, false).await.unwrap();
    assert_eq!(code(approve(&w, &eve, &row).await), "no_second_person");
    pki.set_approvals(&ada, true).await.unwrap();
    assert_eq!(rule().await, ServerKeyRule::Needed);
    w.clock.advance(24 * 3_600_000);
    assert_eq!(code(approve(&w, &eve, &row).await), "request_over");

    // The command line on the server is the way out, and the log says so.
    pki.set_server_keys(&shell, true).await.unwrap();
    assert_eq!(rule().await, ServerKeyRule::Agreed);
    let log = w.fleet.access().audit_page(&ada, None).await.unwrap().entries.items;
    assert!(log.iter().any(|e| e.action == "authority.alone" && e.detail.contains("\"server_keys\"")), "{log:?}");
}

#[tokio::test]
async fn k_6_e_8_nobody_agrees_to_what_the_installation_does_not_allow() {
    let w = World::open(EngineKind::Sqlite).await;
    let (ada, shell) = (w.admin().await, Actor::shell(w.org.clone()));
    w.person("eve", Role::Admin).await;
    w.fleet.pki().set_approvals(&ada, true).await.unwrap();
    assert_eq!(w.fleet.pki().consents_page(&ada).await.unwrap().server_keys, ServerKeyRule::Off);
    assert_eq!(code(consent(&w, &ada, Deed::ServerKeys).await), "server_keys_off");
    for who in [&ada, &shell] {
        assert_eq!(code(w.fleet.pki().set_server_keys(who, true).await), "server_keys_off");
    }
}
