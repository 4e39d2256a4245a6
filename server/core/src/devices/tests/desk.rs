//! Devices that come at the same time share a transaction (E-2), and nothing else.

use super::{enrol, new_token, request};
use crate::{
    db::EngineKind,
    devices::{Attempt, Error},
    testing::{World, csr, csr_by},
};
use rcgen::KeyPair;
use rstest::rstest;
use std::{collections::BTreeSet, sync::Arc};
use wire::devices::DeviceQuery;

/// Enrols all of these at once; who got a certificate, and the codes of the others.
async fn at_once(w: &World, secret: &str, asked: Vec<(String, String)>) -> (BTreeSet<String>, Vec<(String, &'static str)>) {
    let tasks: Vec<_> = asked
        .into_iter()
        .enumerate()
        .map(|(i, (name, csr))| {
            let (fleet, secret, asked, address) =
                (w.fleet.clone(), secret.to_owned(), request(&csr, &name), format!("198.51.100.{}", i % 250));
            tokio::spawn(
                async move { (name, fleet.devices().enrol(Attempt { secret: &secret, request: &asked, address: &address }).await) },
            )
        })
        .collect();
    let (mut came, mut refused) = (BTreeSet::new(), Vec::new());
    for task in tasks {
        match task.await.unwrap() {
            (name, Ok(enrolled)) => {
                assert_eq!(enrolled.device_id.as_str(), name);
                came.insert(enrolled.certificate);
            }
            (name, Err(e)) => refused.push((name, e.fault().code.leak() as &'static str)),
        }
    }
    (came, refused)
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn e_2_who_is_refused_leaves_nothing_and_holds_nobody_up(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    w.device("taken-1", "gateway").await;
    w.device("taken-2", "gateway").await;
    let key = KeyPair::generate().unwrap();
    w.enrol("holder", "gateway", csr_by(&key, "holder")).await.unwrap();
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("", 1000)).await.unwrap();
    let mut asked: Vec<(String, String)> = (0..40).map(|i| (format!("new-{i}"), csr(&format!("new-{i}")))).collect();
    asked.insert(7, ("taken-1".into(), csr("taken-1")));
    asked.insert(19, ("thief".into(), csr_by(&key, "thief")));
    asked.insert(31, ("taken-2".into(), csr("taken-2")));
    let (came, mut refused) = at_once(&w, &token.secret, asked).await;
    refused.sort();
    assert_eq!(came.len(), 40);
    assert_eq!(refused, [("taken-1".into(), "device_exists"), ("taken-2".into(), "device_exists"), ("thief".into(), "key_in_use")]);
    let page = w.fleet.devices().list(&operator, &DeviceQuery::default()).await.unwrap();
    assert_eq!(page.total, 43, "no row of the refused");
    let page = w.fleet.devices().enrolment_page(&operator).await.unwrap();
    let token = page.tokens.iter().find(|t| t.id == token.token.id).unwrap();
    assert_eq!(token.uses, 40, "who is refused costs no use");
    let verified = w.fleet.access().verify_audit(&w.admin().await).await.unwrap();
    assert_eq!(verified.broken_at, None);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn e_1_the_last_uses_are_counted_among_many(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("", 10)).await.unwrap();
    let asked = (0..30).map(|i| (format!("new-{i}"), csr(&format!("new-{i}")))).collect();
    let (came, refused) = at_once(&w, &token.secret, asked).await;
    assert_eq!((came.len(), refused.len()), (10, 20));
    assert!(refused.iter().all(|(_, code)| *code == "bad_enrolment_token"), "{refused:?}");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn e_3_one_request_many_times_at_once_is_one_certificate(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("", 1)).await.unwrap();
    let one = csr("gw-1");
    let (came, refused) = at_once(&w, &token.secret, (0..50).map(|_| ("gw-1".to_owned(), one.clone())).collect()).await;
    assert_eq!((came.len(), refused.len()), (1, 0), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn e_2_who_does_not_wait_for_the_answer_is_in_all_the_same() {
    let w = Arc::new(World::open(EngineKind::Sqlite).await);
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("", 1)).await.unwrap();
    let asked = request(&csr("gw-1"), "gw-1");
    // The writer is busy, so the answer can't come before the one who asked has gone.
    let busy = w.fleet.devices().db.write().await.unwrap();
    let gone = tokio::time::timeout(std::time::Duration::from_millis(50), enrol(&w, &token.secret, &asked)).await;
    assert!(gone.is_err());
    drop(busy);
    let given = enrol(&w, &token.secret, &asked).await.unwrap();
    assert_eq!(given.device_id.as_str(), "gw-1");
    assert!(matches!(enrol(&w, &token.secret, &request(&csr("gw-2"), "gw-2")).await, Err(Error::BadToken)));
}
