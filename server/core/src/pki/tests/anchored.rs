//! What is remembered of chains that were followed, and what is not.

use super::life::{check, enrol};
use crate::{
    clock::Clock as _,
    db::{EngineKind, Sql, exec},
    pki::Refusal,
    testing::World,
};
use rstest::rstest;
use wire::pki::RevocationReason;

// What nobody writes: the tests' own meddling.
const LENGTHEN: Sql = Sql::same("UPDATE certificates SET not_after = not_after + 1000 WHERE device = $1");
const LEAVE_USABLE: Sql = Sql::same("UPDATE certificates SET usable_until = not_after + 86400000 WHERE device = $1");

async fn meddle(w: &World, with: Sql, device: i64) {
    let mut tx = w.fleet.pki().db.write().await.unwrap();
    exec!(&mut tx, with, device).unwrap();
    w.fleet.pki().device_changed(&mut tx, device).await.unwrap();
    tx.commit().await.unwrap();
    w.fleet.pki().reload().await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_chain_is_followed_once_for_the_same_anchors_and_the_certificate_judged_every_time(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let trust = w.fleet.pki().trust();
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    let version = trust.device_anchors().version;
    assert_eq!(trust.anchored(&leaf, version), None, "nobody has followed it");
    assert_eq!(trust.check_at(&leaf, version), Ok(()));
    assert_eq!(trust.anchored(&leaf, version), Some(Ok(())));
    assert_eq!(trust.anchored(&leaf, version + 1), None, "the anchors are others");
    assert_eq!(trust.anchored(b"another certificate", version), None);

    let peer = check(&w, &leaf).unwrap();
    w.fleet.pki().first_use(std::slice::from_ref(&peer.certificate)).await.unwrap();
    w.fleet.pki().reload().await.unwrap();
    assert_eq!(trust.anchored(&leaf, version), Some(Ok(())), "its row says the same of it");
    w.fleet.pki().revoke(&w.admin().await, &peer.certificate, RevocationReason::Unspecified).await.unwrap();
    assert_eq!(trust.anchored(&leaf, version), Some(Err(Refusal::Revoked)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_row_that_was_changed_has_to_fit_its_certificate_again(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let trust = w.fleet.pki().trust();
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    let (peer, version) = (check(&w, &leaf).unwrap(), trust.device_anchors().version);
    assert_eq!(trust.check_at(&leaf, version), Ok(()));
    meddle(&w, LEAVE_USABLE, peer.device).await;
    assert_eq!(trust.anchored(&leaf, version), Some(Ok(())), "it says of the certificate itself what it said");
    w.clock.advance(peer.not_after.since(w.clock.now()) + 1);
    assert_eq!(trust.anchored(&leaf, version), Some(Err(Refusal::Expired)), "whose end is its own");
    meddle(&w, LENGTHEN, peer.device).await;
    assert_eq!(trust.anchored(&leaf, version), None);
}
