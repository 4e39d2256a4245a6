//! Keys that are blocked by hand before there is a certificate for them: every way in refuses them, in their organization alone.

use super::{
    World, claims, csr, enrol,
    just_in_time::{Theirs, audited, dial, elsewhere, policy},
    new_token, request,
};
use crate::{access::Actor, db::EngineKind, devices::NewBatch, pki::Refusal, testing::csr_by};
use bytes::Bytes;
use rcgen::KeyPair;
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::io;
use wire::{
    blocked::NewBlockedKey,
    registered::{JustInTime, JustInTimePolicy},
};

async fn block(w: &World, actor: &Actor, key: &KeyPair) {
    let new = NewBlockedKey { public_key: key.public_key_pem(), reason: "in the image of 2.1".to_owned(), ..NewBlockedKey::default() };
    w.fleet.pki().block_key(actor, &new).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn r_5_a_key_blocked_by_hand_is_refused_by_every_way_in(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator, devices, pki) = (w.admin().await, w.operator().await, w.fleet.devices(), w.fleet.pki());
    let key = KeyPair::generate().unwrap();
    // A device that has it already keeps its certificate, and gets no other one.
    let (used, system) = (KeyPair::generate().unwrap(), Actor::system(w.org.clone()));
    let given = w.enrol("gw-1", "gateway", csr_by(&used, "gw-1")).await.unwrap();
    let leaf = CertificateDer::from_pem_slice(given.certificate.as_bytes()).unwrap();
    block(&w, &operator, &key).await;
    block(&w, &operator, &used).await;

    let peer = pki.trust().check(&leaf).expect("what there is stays until it is revoked");
    w.clock.advance(given.renew_after.since(w.clock_now()) + 1);
    let renewed = pki.renew(&system, &peer, csr_by(&used, "gw-1").as_bytes(), "https://d").await;
    assert_eq!(renewed.unwrap_err().fault().code, "key_in_use", "a renewal");

    let token = devices.create_enrolment_token(&operator, new_token("", 5)).await.unwrap();
    let by_token = enrol(&w, &token.secret, &request(&csr_by(&key, "gw-2"), "gw-2")).await;
    assert_eq!(by_token.unwrap_err().fault().code, "key_in_use", "a token");
    let claim = claims::claim(&w, &admin, claims::new("", 5, 5)).await;
    let by_claim = claims::enrol(&w, &claim.claim.id, &request(&csr_by(&key, "gw-2"), "gw-2")).await;
    assert_eq!(by_claim.unwrap_err().fault().code, "key_in_use", "a claim");

    let line = |id: &str, csr: &str| serde_json::json!({ "device_id": id, "csr": csr }).to_string();
    let lines = [line("gw-2", &csr_by(&key, "gw-2")), line("gw-3", &csr("gw-3"))].join("\n");
    let new = NewBatch { label: "lot 17".into(), device_type: "gateway".into(), ..NewBatch::default() };
    let pieces = futures::stream::iter([Ok::<_, io::Error>(Bytes::from(lines))]);
    devices.receive_batch(&operator, new, pieces).await.unwrap();
    while devices.work_batches().await.unwrap() {}
    let counted: Vec<_> = devices.take_batch_outcomes().into_iter().collect();
    assert_eq!(counted, [("issued".to_owned(), 1), ("key_in_use".to_owned(), 1)], "a batch");

    let theirs = Theirs::new(&w, "Plant CA");
    let plant = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    for _ in 0..2 {
        assert!(dial(&w, &plant, &theirs.leaf(&w, "meter-1", &key)).await.is_err(), "an authority of its own");
    }
    assert!(audited(&w, &admin, "registered_authority.refuse").await[0].contains("key_in_use"));
    assert_eq!(dial(&w, &plant, &theirs.fresh(&w, "meter-2")).await, Err(Refusal::Arriving), "others come in");

    w.fleet.attacks().write_down().await.unwrap();
    let told = audited(&w, &admin, "certificate.refuse").await;
    assert!(told.iter().any(|detail| detail.contains("blocked by hand")), "{told:?}");
    pki.unblock_key(&admin, &pki.blocked_keys(&admin, None, None).await.unwrap().items[1].spki_sha256).await.unwrap();
    pki.unblock_key(&admin, &pki.blocked_keys(&admin, None, None).await.unwrap().items[0].spki_sha256).await.unwrap();
    assert!(enrol(&w, &token.secret, &request(&csr_by(&key, "gw-2"), "gw-2")).await.is_ok(), "until it is unblocked");
}

/// What its owner's authority gave a device for a blocked key is traded for nothing, and for the key of another device neither (E-10, A-14).
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_5_a_trade_by_a_blocked_key_or_for_anothers_is_refused_and_told(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let theirs = Theirs::new(&w, "Plant CA");
    let plant = theirs.enabled(&w, &admin, JustInTimePolicy { exchange: true, ..policy(JustInTime::Auto) }).await;
    let (key, others) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let own = theirs.leaf(&w, "meter-1", &key);
    assert_eq!(dial(&w, &plant, &own).await, Err(Refusal::Arriving));
    assert!(dial(&w, &plant, &own).await.is_ok());
    let peer = pki.trust().check(&own).unwrap();
    w.enrol("gw-1", "gateway", csr_by(&others, "gw-1")).await.unwrap();
    let trade = async |from: &str, key: &KeyPair| {
        let actor = Actor { address: from.to_owned(), ..Actor::system(w.org.clone()) };
        let traded = pki.exchange(&actor, &peer, csr_by(key, "meter-1").as_bytes(), None, "https://d").await;
        traded.map(drop).map_err(|e| e.fault().code)
    };
    assert_eq!(trade("192.0.2.1", &others).await, Err("key_in_use".to_owned()));
    block(&w, &admin, &key).await;
    let fresh = KeyPair::generate().unwrap();
    assert_eq!(trade("192.0.2.2", &fresh).await, Err("certificate_not_usable".to_owned()));
    w.fleet.attacks().write_down().await.unwrap();
    let told = audited(&w, &admin, "certificate.refuse").await;
    for says in ["by another device", "blocked by hand"] {
        assert!(told.iter().any(|detail| detail.contains(says)), "{says}: {told:?}");
    }
    let blocked = pki.blocked_keys(&admin, None, None).await.unwrap();
    pki.unblock_key(&admin, &blocked.items[0].spki_sha256).await.unwrap();
    assert_eq!(trade("192.0.2.2", &fresh).await, Ok(()));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_5_nobody_blocks_the_keys_of_other_organizations(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (there, key) = (elsewhere(&w).await, KeyPair::generate().unwrap());
    block(&w, &there, &key).await;
    assert!(w.enrol("gw-1", "gateway", csr_by(&key, "gw-1")).await.is_ok());
    assert_eq!(w.fleet.pki().blocked_keys(&there, None, None).await.unwrap().items[0].used_by, None, "nor hears whose they are");
    assert_eq!(w.fleet.pki().blocked_keys(&w.admin().await, None, None).await.unwrap().total, 0);
    let ours = Theirs::new(&w, "Plant CA");
    block(&w, &there, &ours.key).await;
    assert!(ours.register(&w, &w.admin().await).await.is_ok());
    let other = Theirs::new(&w, "Other CA");
    block(&w, &Actor::system(w.org.clone()), &other.key).await;
    assert_eq!(other.register(&w, &w.admin().await).await.unwrap_err().fault().code, "key_blocked");
}
