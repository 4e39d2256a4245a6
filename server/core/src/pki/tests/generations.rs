//! One authority after another, on both engines, and the end of a compromised one.

use super::life::{check, enrol, enrol_with, leaf, request};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, exec},
    pki::{Error, Pki, Refusal},
    testing::World,
};
use rcgen::KeyPair;
use rstest::rstest;
use wire::{
    ids::{AuthorityId, Id as _},
    pki::AuthorityUse,
    states::{AuthorityState, AuthorityStep},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList};

fn state(pki: &Pki, w: &World, id: &AuthorityId) -> AuthorityState {
    pki.authorities_of(&w.org).into_iter().find(|a| a.id == *id).unwrap().state
}

fn of_kind(pki: &Pki, w: &World, kind: &str) -> AuthorityId {
    pki.authorities_of(&w.org).into_iter().find(|a| a.kind == kind).unwrap().id
}

fn issuer(leaf: &[u8]) -> String {
    X509Certificate::from_der(leaf).unwrap().1.issuer().to_string()
}

/// Reasons on the root's list.
fn on_roots_list(pki: &Pki, w: &World) -> Vec<u8> {
    let crl = pki.crl(&of_kind(pki, w, "root")).unwrap();
    let (_, list) = CertificateRevocationList::from_der(&crl.der).unwrap();
    list.iter_revoked_certificates().map(|r| r.reason_code().unwrap().1.0).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r9_the_next_authority_is_staged_active_and_the_old_one_retires(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let admin = w.admin().await;
    pki.publish().await.unwrap();
    pki.renew_identity().await.unwrap();
    let (key, _, old_leaf) = enrol(&w, "gw-1").await;
    let old = of_kind(pki, &w, "device");
    assert!(pki.stage_authority(&w.operator().await, AuthorityUse::Device).await.is_err(), "admins only");

    let staged = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    assert_eq!((staged.state, staged.subject.as_str()), (AuthorityState::Staged, "O=default, CN=Fleetward Device CA G1-2"));
    assert_eq!(pki.trust().device_anchors().certificates.len(), 2, "believed before it issues");
    assert!(matches!(pki.stage_authority(&admin, AuthorityUse::Device).await, Err(Error::AuthorityState(_))), "one at a time");
    let (_, _, still_old) = enrol(&w, "gw-2").await;
    assert_eq!(issuer(&still_old), issuer(&old_leaf));
    assert!(matches!(pki.retire_authority(&admin, &old, true).await, Err(Error::AuthorityState(_))), "somebody has to issue");

    let peer = check(&w, &old_leaf).unwrap();
    assert!(!pki.trust().renewal_overdue(&peer));
    let before = async |id: &AuthorityId| pki.authority(&admin, id).await.unwrap().takes_over_from.map(|b| (b.row.id, b.devices));
    assert_eq!(before(&staged.id).await, Some((old.clone(), 2)), "so many are told to renew then");
    assert_eq!(before(&old).await, None);
    pki.activate_authority(&admin, &staged.id, false).await.unwrap();
    assert_eq!((state(pki, &w, &old), state(pki, &w, &staged.id)), (AuthorityState::Retiring, AuthorityState::Active));
    assert!(matches!(pki.activate_authority(&admin, &old, false).await, Err(Error::AuthorityState(_))), "there is no way back");

    // The old generation is believed and told to renew; with the key it has, although it is early.
    assert!(pki.trust().renewal_overdue(&peer));
    let system = Actor::system(w.org.clone());
    let renewed = leaf(&pki.renew(&system, &peer, request("gw-1", &key).as_bytes(), "https://d").await.unwrap());
    assert_ne!(issuer(&renewed), issuer(&old_leaf));
    let (_, enrolled, new_leaf) = enrol(&w, "gw-3").await;
    assert_eq!((issuer(&new_leaf), enrolled.chain.len()), (issuer(&renewed), 1));
    for leaf in [&old_leaf, &still_old, &renewed, &new_leaf] {
        assert!(check(&w, leaf).is_ok());
    }
    assert!(!pki.trust().renewal_overdue(&check(&w, &renewed).unwrap()));

    assert!(matches!(pki.retire_authority(&admin, &old, false).await, Err(Error::AuthorityInUse(2))));
    let mut changes = pki.trust().changes();
    changes.mark_unchanged();
    pki.retire_authority(&admin, &old, true).await.unwrap();
    assert!(changes.has_changed().unwrap(), "connections are looked at again");
    assert_eq!((check(&w, &old_leaf), check(&w, &still_old)), (Err(Refusal::Authority), Err(Refusal::Authority)));
    assert!(check(&w, &renewed).is_ok() && check(&w, &new_leaf).is_ok());
    assert_eq!(pki.trust().device_anchors().certificates.len(), 1);
    assert_eq!(on_roots_list(pki, &w), [4], "superseded");

    // The listeners' authority in its turn: the next look presents the new one.
    let before = pki.server_identity().unwrap();
    let next = pki.stage_authority(&admin, AuthorityUse::Server).await.unwrap();
    pki.activate_authority(&admin, &next.id, false).await.unwrap();
    pki.tick().await.unwrap();
    let after = pki.server_identity().unwrap();
    assert_ne!(issuer(&before.chain[0]), issuer(&after.chain[0]));
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r9_an_authority_without_leaves_retires_unforced_and_a_staged_one_is_given_up(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    enrol(&w, "gw-1").await;
    let old = of_kind(pki, &w, "device");
    let first = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    pki.retire_authority(&admin, &first.id, false).await.unwrap();
    let second = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    assert!(second.subject.ends_with("G1-3"), "names are never used again (P-7): {}", second.subject);
    pki.activate_authority(&admin, &second.id, false).await.unwrap();
    w.clock.advance(91 * super::life::DAY);
    pki.retire_authority(&admin, &old, false).await.unwrap();
    assert_eq!(state(pki, &w, &old), AuthorityState::Retired);
    let nobody = AuthorityId::try_from(format!("{}_{}", AuthorityId::PREFIX, "0".repeat(32))).unwrap();
    assert!(matches!(pki.activate_authority(&admin, &nobody, false).await, Err(Error::NoSuchAuthority)));
    let root = of_kind(pki, &w, "root");
    assert!(matches!(pki.compromise_authority(&admin, &root).await, Err(Error::AuthorityState(_))), "R-10");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r11_a_compromised_authority_is_believed_nothing(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    pki.publish().await.unwrap();
    let (_, _, lost) = enrol(&w, "gw-1").await;
    let device = of_kind(pki, &w, "device");
    assert!(pki.compromise_authority(&w.operator().await, &device).await.is_err(), "admins only");
    pki.compromise_authority(&admin, &device).await.unwrap();
    pki.compromise_authority(&admin, &device).await.unwrap();
    assert_eq!(check(&w, &lost), Err(Refusal::Authority));
    assert!(pki.trust().device_anchors().certificates.is_empty());
    assert_eq!(on_roots_list(pki, &w), [2], "cACompromise");
    // Tokens that are made from now on are not frozen.
    w.clock.advance(1);
    let refused = enrol_with(&w, "gw-2", &KeyPair::generate().unwrap()).await.unwrap_err().fault();
    assert_eq!(refused.code, "no_authority");

    // Through a new one they come back; it is offered here, because no other page could offer it.
    let offered = pki.authority(&admin, &device).await.unwrap().actions;
    assert!(matches!(offered.as_slice(), [a] if a.step == AuthorityStep::Stage && a.blocked.is_none()), "{offered:?}");
    let next = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    pki.activate_authority(&admin, &next.id, false).await.unwrap();
    assert_eq!(state(pki, &w, &device), AuthorityState::Compromised, "for good");
    assert!(pki.authority(&admin, &device).await.unwrap().actions.is_empty());
    let (_, _, back) = enrol(&w, "gw-1").await;
    assert!(check(&w, &back).is_ok());
    assert_eq!(check(&w, &lost), Err(Refusal::Authority));
}

const GIVEN_UP: Sql = Sql::same("UPDATE authorities SET state = 'compromised' WHERE kind = 'device'");

/// Another process has given the authority up; this one has not heard of it yet.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r11_nothing_is_issued_by_what_was_given_up_elsewhere(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (key, first, leaf) = enrol(&w, "gw-1").await;
    let peer = check(&w, &leaf).unwrap();
    let mut tx = w.fleet.pki().db.write().await.unwrap();
    exec!(&mut tx, GIVEN_UP).unwrap();
    tx.commit().await.unwrap();
    let refused = enrol_with(&w, "gw-2", &KeyPair::generate().unwrap()).await.unwrap_err();
    assert_eq!(refused.fault().code, "no_authority");
    let system = Actor::system(w.org.clone());
    let other = KeyPair::generate().unwrap();
    assert!(w.fleet.pki().renew(&system, &peer, request("gw-1", &other).as_bytes(), "https://d").await.is_err());
    assert!(enrol_with(&w, "gw-1", &key).await.is_err(), "the dead certificate is not handed out again: {}", first.device_id);
}
