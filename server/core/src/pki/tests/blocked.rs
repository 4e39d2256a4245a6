//! The list of blocked keys on both engines: who may change it, what it shows, and that a backup takes none of it back (K-7).

use super::life::{check, enrol, enrol_with, leaf, request};
use crate::{
    access::Actor,
    db::EngineKind,
    pki::{Error, csr::sha256},
    testing::{Backup, World},
};
use rcgen::{KeyPair, PublicKeyData as _};
use rstest::rstest;
use wire::{blocked::NewBlockedKey, pki::RevocationReason};

fn spki(key: &KeyPair) -> String {
    hex::encode(sha256(&key.subject_public_key_info()))
}

fn named(key: &KeyPair, reason: &str) -> NewBlockedKey {
    NewBlockedKey { spki_sha256: spki(key), reason: reason.to_owned(), ..NewBlockedKey::default() }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_5_blocked_keys_are_listed_with_who_when_why_and_from_which_certificate(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator, viewer, pki) = (w.admin().await, w.operator().await, w.viewer().await, w.fleet.pki());
    let found = KeyPair::generate().unwrap();
    assert!(matches!(pki.block_key(&viewer, &named(&found, "x")).await, Err(Error::Access(_))));
    for reason in ["", "  ", "a\0b", "x".repeat(501).as_str()] {
        assert!(matches!(pki.block_key(&operator, &named(&found, reason)).await, Err(Error::BlockReason)), "{reason}");
    }
    let first = pki.block_key(&operator, &named(&found, " in a public repository ")).await.unwrap();
    assert_eq!((first.by_hand, first.reason.as_str(), first.blocked_by.as_str()), (true, "in a public repository", "oli"));
    w.clock.advance(1000);
    assert_eq!(pki.block_key(&admin, &named(&found, "again")).await.unwrap(), first, "what was said first stands");
    let (key, _, leaf) = enrol(&w, "gw-1").await;
    let known = pki.block_key(&admin, &named(&key, "in the image of 2.1")).await.unwrap();
    assert_eq!(known.used_by.as_ref().map(wire::ids::DeviceId::as_str), Some("gw-1"), "somebody should revoke that");
    let id = check(&w, &leaf).unwrap().certificate;
    w.clock.advance(1000);
    pki.revoke(&operator, &id, RevocationReason::KeyCompromise).await.unwrap();

    let page = pki.blocked_keys(&viewer, None, Some(1)).await.unwrap();
    assert_eq!((page.total, page.items.len()), (2, 1));
    let worst = &page.items[0];
    assert_eq!((worst.spki_sha256.as_str(), worst.by_hand, worst.certificate.as_ref()), (spki(&key).as_str(), false, Some(&id)));
    assert_eq!((worst.blocked_by.as_str(), worst.reason.as_str(), &worst.used_by), ("ada", "in the image of 2.1", &None));
    let rest = pki.blocked_keys(&viewer, page.next.as_deref(), Some(1)).await.unwrap();
    assert_eq!((rest.items, rest.next), (vec![first], None));
    assert!(matches!(pki.blocked_keys(&viewer, Some("x"), None).await, Err(Error::Cursor)));
    let shown = pki.rules(&operator).await.unwrap();
    assert_eq!((shown.blocked.len(), shown.blocked_total, shown.may_block, shown.may_edit), (2, 2, true, false));

    assert!(matches!(pki.unblock_key(&operator, &spki(&found)).await, Err(Error::Access(_))), "that takes an admin");
    assert!(matches!(pki.unblock_key(&admin, &spki(&key)).await, Err(Error::BlockedForGood)));
    pki.unblock_key(&admin, &spki(&found)).await.unwrap();
    for gone in [spki(&found), "nonsense".to_owned()] {
        assert!(matches!(pki.unblock_key(&admin, &gone).await, Err(Error::NoBlockedKey)), "{gone}");
    }
    let log = w.fleet.access().audit_page(&admin, None).await.unwrap().entries.items;
    let count = |action: &str| log.iter().filter(|e| e.action == action).count();
    assert_eq!((count("key.block"), count("key.unblock")), (2, 1));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_a_backup_put_back_frees_no_key_that_was_blocked_by_hand(#[case] kind: EngineKind) {
    let backup = Backup::of(kind).await;
    let w = backup.open(tempfile::tempdir().unwrap(), 1).await;
    let system = Actor::system(w.org.clone());
    let folder = w.close().await;
    backup.take(&folder).await;

    let w = backup.open(folder, 2).await;
    let (kept, freed) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    for key in [&kept, &freed] {
        w.fleet.pki().block_key(&system, &named(key, "in a public repository")).await.unwrap();
    }
    w.fleet.pki().unblock_key(&system, &spki(&freed)).await.unwrap();
    let (worse, _, held) = enrol(&w, "gw-3").await;
    w.fleet.pki().block_key(&system, &named(&worse, "in the image of 2.1")).await.unwrap();
    w.fleet.pki().revoke(&system, &check(&w, &held).unwrap().certificate, RevocationReason::KeyCompromise).await.unwrap();
    let before = w.fleet.pki().blocked_keys(&system, None, None).await.unwrap();
    let folder = w.close().await;

    backup.put_back(&folder).await;
    let w = backup.open(folder, 3).await;
    assert_eq!(w.fleet.pki().blocked_keys(&system, None, None).await.unwrap(), before, "with who, when and why");
    assert_eq!(enrol_with(&w, "gw-1", &kept).await.unwrap_err().fault().code, "key_in_use");
    assert!(enrol_with(&w, "gw-2", &freed).await.is_ok());
    // And a second start, with the whole journal, changes nothing.
    let w = backup.open(w.close().await, 4).await;
    assert_eq!(w.fleet.pki().blocked_keys(&system, None, None).await.unwrap(), before);
}

/// Whoever has found the key could otherwise renew to one that nobody has blocked.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_5_a_certificate_for_a_blocked_key_renews_nothing(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let (key, _, held) = enrol(&w, "gw-1").await;
    let peer = check(&w, &held).unwrap();
    pki.block_key(&admin, &named(&key, "in the image of 2.1")).await.unwrap();
    assert!(check(&w, &held).is_ok(), "it stays until it is revoked");
    let actor = Actor { address: "192.0.2.1".into(), ..Actor::system(w.org.clone()) };
    let csr = request("gw-1", &KeyPair::generate().unwrap());
    let refused = pki.renew(&actor, &peer, csr.as_bytes(), "https://d").await.unwrap_err();
    assert!(matches!(refused, Error::ProofBlocked), "{refused:?}");
    let by_est = pki.reenrol(&actor, &peer, csr.as_bytes(), None, "https://d").await.unwrap_err();
    assert_eq!(by_est.fault().code, "certificate_not_usable");
    w.fleet.attacks().write_down().await.unwrap();
    let log = w.fleet.access().audit_page(&admin, None).await.unwrap().entries.items;
    let told = log.iter().find(|e| e.action == "certificate.refuse").unwrap();
    assert_eq!((told.object.as_str(), told.address.as_str()), ("gw-1", "192.0.2.1"));
    assert!(told.detail.contains("blocked by hand") && told.detail.contains(&spki(&key)), "{}", told.detail);
    assert!(told.detail.contains(peer.certificate.as_str()), "{}", told.detail);

    pki.unblock_key(&admin, &spki(&key)).await.unwrap();
    let new = leaf(&pki.renew(&actor, &peer, csr.as_bytes(), "https://d").await.unwrap());
    assert!(check(&w, &new).is_ok());
}
