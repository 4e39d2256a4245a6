//! What happens at the same moment, and what is done again after a failure.

use super::life::{DAY, check, enrol, enrol_with, leaf, new_leaf, request};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, exec, tests::somebody_waits},
    pki::{Error, Refusal, csr},
    testing::World,
};
use rcgen::KeyPair;
use rstest::rstest;
use std::collections::VecDeque;
use wire::{ids::DeviceId, pki::RevocationReason};

const STOP: Sql = Sql::same("DELETE FROM trust_clock");
const GO_ON: Sql = Sql::same("INSERT INTO trust_clock (id, seq) VALUES (1, 1000)");

async fn meddle(w: &World, sql: Sql) {
    let mut tx = w.fleet.pki().db.write().await.unwrap();
    exec!(&mut tx, sql).unwrap();
    tx.commit().await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_first_use_that_could_not_be_written_is_owed(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let (_, enrolled, old) = enrol(&w, "gw-1").await;
    let peer = check(&w, &old).unwrap();
    w.clock.advance(enrolled.renew_after.since(w.clock_now()));
    let actor = Actor::system(w.org.clone());
    let csr = request("gw-1", &KeyPair::generate().unwrap());
    let new = leaf(&pki.renew(&actor, &peer, csr.as_bytes(), "https://d").await.unwrap());
    let mut owed = VecDeque::from([check(&w, &new).unwrap().certificate]);
    meddle(&w, STOP).await;
    assert!(pki.first_uses(&mut owed).await.is_err());
    assert_eq!(owed.len(), 1);
    meddle(&w, GO_ON).await;
    pki.first_uses(&mut owed).await.unwrap();
    assert!(owed.is_empty());
    pki.reload().await.unwrap();
    w.clock.advance(DAY + 1000);
    assert_eq!(check(&w, &old), Err(Refusal::Expired), "the predecessor has retired");

    // It is remembered until its own end: its coming back is no sign of a stolen authority key.
    w.clock.advance(DAY);
    pki.tick().await.unwrap();
    pki.reload().await.unwrap();
    assert_eq!((check(&w, &old), pki.trust().unknown_seen()), (Err(Refusal::Superseded), 0));
}

/// On PostgreSQL writers run side by side; SQLite has one at a time.
#[tokio::test]
async fn a_certificate_that_is_being_revoked_gets_no_successor() {
    let w = World::open(EngineKind::Postgres).await;
    let (_, enrolled, old) = enrol(&w, "gw-1").await;
    let peer = check(&w, &old).unwrap();
    w.clock.advance(enrolled.renew_after.since(w.clock_now()));
    let actor = Actor::system(w.org.clone());
    let mut revoking = w.fleet.pki().db.write().await.unwrap();
    w.fleet.pki().revoke_all_of(&mut revoking, &actor, peer.device, RevocationReason::Superseded).await.unwrap();
    let (fleet, renewing) = (w.fleet.clone(), actor.clone());
    let renewal = tokio::spawn(async move {
        let csr = request("gw-1", &KeyPair::generate().unwrap());
        fleet.pki().renew(&renewing, &peer, csr.as_bytes(), "https://d").await
    });
    somebody_waits(&w.fleet.pki().db).await;
    revoking.commit().await.unwrap();
    assert!(matches!(renewal.await.unwrap(), Err(Error::NotUsable(Refusal::Revoked))));
}

#[tokio::test]
async fn two_devices_do_not_get_one_key_at_once() {
    let w = World::open(EngineKind::Postgres).await;
    let pki = w.fleet.pki();
    let device = w.device("gw-1", "sim").await;
    let key = KeyPair::generate().unwrap();
    let id: DeviceId = "gw-1".parse().unwrap();
    let gated = csr::gate(request("gw-1", &key).as_bytes(), None).unwrap();
    let mut first = pki.db.write().await.unwrap();
    let new = new_leaf(&w.org, device, &id, &gated);
    pki.issue_device(&mut first, new).await.unwrap();
    let second = async {
        somebody_waits(&pki.db).await;
        first.commit().await.unwrap();
    };
    let (refused, ()) = tokio::join!(enrol_with(&w, "gw-2", &key), second);
    assert_eq!(refused.unwrap_err().fault().code, "key_in_use");
}
