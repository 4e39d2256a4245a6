//! One root after another, on both engines, also when that is due; anchors that have ended.

use super::{
    bundles::holds,
    life::{DAY, check, enrol, room},
};
use crate::{
    db::{EngineKind, Sql, exec},
    entropy::SeededEntropy,
    pki::{Error, Pki, Refusal},
    testing::World,
};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{
    ids::AuthorityId,
    overview::{Attention, Matter},
    pki::{AuthorityUse, MAX_FACTORY_HOURS, ProfileRules},
    states::{
        AuthorityState::{self, Active, Retired, Retiring, Staged},
        AuthorityStep,
    },
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList};

fn states(pki: &Pki, w: &World) -> Vec<(String, AuthorityState)> {
    pki.authorities_of(&w.org).into_iter().map(|a| (a.common_name().trim_start_matches("Fleetward ").to_owned(), a.state)).collect()
}

pub(super) fn named(pki: &Pki, w: &World, name: &str) -> AuthorityId {
    pki.authorities_of(&w.org).into_iter().find(|a| a.subject.ends_with(name)).unwrap().id
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// Whether somebody who believes in this root alone finds a way to it in what our listeners show.
fn believed(pki: &Pki, root: &CertificateDer<'_>) -> bool {
    let identity = pki.server_identity().unwrap();
    let parsed: Vec<_> = identity.chain.iter().map(|der| X509Certificate::from_der(der).unwrap().1).collect();
    let (_, root) = X509Certificate::from_der(root).unwrap();
    leads(&parsed[0], &parsed[1..], &root, 6)
}

fn leads(from: &X509Certificate<'_>, others: &[X509Certificate<'_>], root: &X509Certificate<'_>, steps: u8) -> bool {
    let signed = |by: &X509Certificate<'_>| by.subject() == from.issuer() && from.verify_signature(Some(by.public_key())).is_ok();
    steps > 0
        && (signed(root) || others.iter().any(|by| by.subject() != from.subject() && signed(by) && leads(by, others, root, steps - 1)))
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r10_a_root_takes_over_from_another_step_by_step(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    pki.publish().await.unwrap();
    pki.renew_identity().await.unwrap();
    let (_, _, old_leaf) = enrol(&w, "gw-1").await;
    let g1 = der(&pki.root_pem());
    let pinned = pki.root_fingerprint();
    assert!(believed(pki, &g1));
    assert!(pki.stage_authority(&w.operator().await, AuthorityUse::Root).await.is_err(), "admins only");

    let root = pki.stage_authority(&admin, AuthorityUse::Root).await.unwrap();
    assert_eq!((root.common_name(), root.state, root.issuer == root.id), ("Fleetward Root CA G2", Staged, true));
    let bundle = pki.trust_bundle(&w.org);
    assert_eq!((bundle.version, bundle.roots.len(), bundle.cross.len(), bundle.issuing.len()), (2, 2, 2, 4));
    let g2 = der(&root.pem);
    assert!(bundle.roots.contains(&root.pem) && !believed(pki, &g2), "nothing leads to it yet");
    assert_eq!(pki.root_fingerprint(), pinned, "devices that enrol now pin what is used now");
    assert!(matches!(pki.stage_authority(&admin, AuthorityUse::Root).await, Err(Error::AuthorityState(_))), "one at a time");
    let waiting = named(pki, &w, "Server CA G2-2");
    assert!(matches!(pki.activate_authority(&admin, &waiting, true).await, Err(Error::AuthorityState(_))), "it waits for its root");

    // Every device has to hold the bundle first, or somebody has to say that this does not matter.
    let refused = pki.activate_authority(&admin, &root.id, false).await.unwrap_err();
    assert!(matches!(&refused, Error::BundleNotHeld(reach) if (reach.version, reach.missing()) == (2, 1)));
    assert!(refused.fault().message.contains("1 of 1 active devices"), "{}", refused.fault().message);
    let offered = pki.authority(&admin, &root.id).await.unwrap();
    let activate = offered.actions.iter().find(|a| a.step == AuthorityStep::Activate).unwrap();
    assert_eq!((activate.forced, activate.cut, offered.cross.len()), (true, 1, 2));
    holds(&w, "gw-1", 2).await;
    pki.activate_authority(&admin, &root.id, false).await.unwrap();
    let expected = [
        ("Root CA G1", Retiring),
        ("Root CA G2", Active),
        ("Device CA G1-1", Retiring),
        ("Server CA G1-1", Retiring),
        ("Device CA G2-2", Active),
        ("Server CA G2-2", Active),
    ];
    let mut found = states(pki, &w);
    found.sort();
    let mut expected: Vec<_> = expected.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert!(believed(pki, &g1) && believed(pki, &g2), "over the certificate that the old root signed for the new one");
    assert_ne!(pki.root_fingerprint(), pinned);
    assert_eq!(pki.ca_certificates(&w.org)[0], g2, "the root in use first (RFC 7030 §4.1.3)");
    assert_eq!(pki.ca_certificates(&w.org).len(), 8);

    // Both generations of devices.
    let (_, enrolled, new_leaf) = enrol(&w, "gw-2").await;
    assert_eq!((enrolled.trust_bundle_version, enrolled.trust_bundle.len(), enrolled.chain.len()), (2, 2, 1));
    assert!(check(&w, &old_leaf).is_ok() && check(&w, &new_leaf).is_ok());

    let old_root = named(pki, &w, "Root CA G1");
    let blocked = pki.retire_authority(&admin, &old_root, true).await.unwrap_err();
    assert!(matches!(blocked, Error::AuthorityState(_)), "what it signed is still believed");
    assert!(matches!(pki.compromise_authority(&admin, &root.id).await, Err(Error::AuthorityState(_))), "the root in use is not given up");
    for name in ["Device CA G1-1", "Server CA G1-1"] {
        pki.retire_authority(&admin, &named(pki, &w, name), true).await.unwrap();
    }
    holds(&w, "gw-2", pki.trust_bundle(&w.org).version).await;
    holds(&w, "gw-1", 1).await;
    assert!(matches!(pki.retire_authority(&admin, &old_root, false).await, Err(Error::BundleNotHeld(reach)) if reach.missing() == 1));
    pki.retire_authority(&admin, &old_root, true).await.unwrap();
    assert!(!believed(pki, &g1) && believed(pki, &g2));
    let last = pki.trust_bundle(&w.org);
    assert_eq!((last.roots.len(), last.cross.len(), last.issuing.len()), (1, 0, 2));
    assert_eq!(last.roots[0], root.pem);
    // The new root takes back what it signed for the old one.
    pki.publish().await.unwrap();
    let crl = pki.crl(&root.id).unwrap();
    let (_, list) = CertificateRevocationList::from_der(&crl.der).unwrap();
    assert_eq!(list.iter_revoked_certificates().count(), 1);
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());

    // And again: names and numbers go on.
    let third = pki.stage_authority(&admin, AuthorityUse::Root).await.unwrap();
    assert_eq!(third.common_name(), "Fleetward Root CA G3");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r10_a_staged_root_is_taken_back_and_a_restart_knows_all(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let before = pki.trust_bundle(&w.org);
    let root = pki.stage_authority(&admin, AuthorityUse::Root).await.unwrap();
    let again = room(&pki.db, &w.org, SeededEntropy::new(5), 7).await.unwrap();
    assert_eq!(*again.trust_bundle(&w.org), *pki.trust_bundle(&w.org));
    pki.retire_authority(&admin, &root.id, false).await.unwrap();
    let after = pki.trust_bundle(&w.org);
    assert_eq!((after.version, &after.roots, &after.issuing, after.cross.len()), (3, &before.roots, &before.issuing, 0));
    assert!(states(pki, &w).iter().filter(|(name, _)| name.contains("G2")).all(|(_, state)| *state == Retired));
    let next = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    assert!(next.subject.ends_with("G1-3"), "under the root in use: {}", next.subject);
}

const ANCHOR_ENDED: Sql = Sql::same("UPDATE authorities SET not_after = $1 WHERE kind = 'device'");

/// webpki never looks at an anchor's own end, so the state check does (fact 6 of the contract).
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_03_a_leaf_under_an_anchor_that_has_ended_is_refused(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (_, enrolled, leaf) = enrol(&w, "gw-1").await;
    let mut tx = w.fleet.pki().db.write().await.unwrap();
    exec!(&mut tx, ANCHOR_ENDED, w.clock_now().0 - 1).unwrap();
    tx.commit().await.unwrap();
    let restarted = room(&w.fleet.pki().db, &w.org, SeededEntropy::new(5), 7).await.unwrap();
    assert!(enrolled.not_after > w.clock_now(), "the leaf itself is good");
    assert_eq!(restarted.trust().check(&leaf), Err(Refusal::Expired));
    assert!(check(&w, &leaf).is_ok(), "it is the anchor's end that counts");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r11_a_root_that_is_given_up_takes_along_what_it_has_signed(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    let old = named(pki, &w, "Root CA G1");
    // A staged root whose children have ended can't take over, and is taken back.
    let next = pki.stage_authority(&admin, AuthorityUse::Root).await.unwrap().id;
    let child = pki.authorities_of(&w.org).into_iter().find(|a| a.kind == "device" && a.state == Staged).unwrap().id;
    pki.retire_authority(&admin, &child, false).await.unwrap();
    assert!(matches!(pki.activate_authority(&admin, &next, true).await, Err(Error::AuthorityState(_))), "nothing could be issued under it");
    pki.retire_authority(&admin, &next, true).await.unwrap();

    let next = pki.stage_authority(&admin, AuthorityUse::Root).await.unwrap().id;
    pki.activate_authority(&admin, &next, true).await.unwrap();
    assert!(check(&w, &leaf).is_ok(), "its authority is retiring");
    pki.compromise_authority(&admin, &old).await.unwrap();
    assert_eq!(check(&w, &leaf), Err(Refusal::Authority), "whoever has the root's key can vouch for anything below it");
    for (name, state) in states(pki, &w) {
        let under_the_new = name.contains("G3");
        assert!(!matches!(state, Active | Retiring | Staged) || under_the_new, "{name} is {state}");
    }
    let again = w.enrol("gw-1", "sim", crate::testing::csr("gw-1")).await;
    assert!(again.is_ok(), "it comes back under the new one: {again:?}");
}

/// what is staged under a root with too little left is cut to its end and would be due at once, so the root is told of instead.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r10_where_the_roots_end_is_the_limit_the_root_has_to_be_followed(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let of = async |kind: &str| {
        let all = pki.authorities_page(&admin).await.unwrap().authorities;
        all.into_iter().find(|a| a.row.kind == kind && a.row.state == AuthorityState::Active).unwrap()
    };
    // Whether it is due, and whether by its root.
    let due = async |kind: &str| {
        let of = of(kind).await;
        (of.is_due(w.clock_now()), of.root_first)
    };
    let told = async || {
        let all = w.fleet.overview(&admin).await.unwrap().attention;
        let one = |a: Attention| match a.matter {
            Matter::AuthorityEnds { authority, root, staged, .. } => Some((authority, root, staged)),
            _ => None,
        };
        all.into_iter().filter_map(one).collect::<Vec<_>>()
    };
    let follow = async |purpose: AuthorityUse| {
        let next = pki.stage_authority(&admin, purpose).await.unwrap();
        let staged = told().await;
        pki.activate_authority(&admin, &next.id, true).await.unwrap();
        (next, staged)
    };
    let plant = ProfileRules { hours: MAX_FACTORY_HOURS, factory: true, keys: vec![], rekey: None };
    pki.set_profile(&admin, "plant", plant).await.unwrap();
    follow(AuthorityUse::Device).await;
    assert_eq!((told().await, due("root").await), (vec![], (false, false)));

    // Nine years are left of the root, four of the authority for devices, and the listeners' has ended.
    w.clock.advance(11 * 365 * DAY);
    let (root, server) = (of("root").await.row, of("server").await.row);
    assert_eq!((due("root").await, due("device").await, due("server").await), ((true, false), (true, true), (true, false)));
    let detail = pki.authority(&admin, &of("device").await.row.id).await.unwrap();
    assert!(detail.standing.root_first);
    let matters = vec![(root.id.clone(), true, false), (server.id.clone(), false, false)];
    assert_eq!(told().await, matters);
    let (next, _) = follow(AuthorityUse::Device).await;
    assert_eq!((next.not_after, due("device").await), (root.not_after, (true, true)), "one more under it does not help");
    assert_eq!(told().await, matters);

    let (next, staged) = follow(AuthorityUse::Root).await;
    assert_eq!(staged, vec![(root.id, true, true), (server.id, false, true)]);
    assert_eq!((of("root").await.row.id, told().await), (next.id, vec![]), "what came with it follows the others");
}
