//! Assignments on both engines.

use super::*;
use crate::{clock::Clock as _, db::EngineKind, testing::World};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use rstest::rstest;

fn offer(n: u8, manifest: &[u8]) -> Offer {
    Offer::new(
        format!("upd_{n:032x}").parse().unwrap(),
        format!("rol_{n:032x}").parse().unwrap(),
        Envelope { payload_type: "t".into(), payload: STANDARD.encode(manifest), signatures: Vec::new() },
        Vec::new(),
        Timestamp(0),
    )
}

/// What is in it, if one of the keys that devices are told of has signed it.
fn read(w: &World, of: &Offer) -> (Assignment, usize) {
    let envelope = of.assignment.as_ref().unwrap();
    let payload = STANDARD.decode(&envelope.payload).unwrap();
    let message = pre_authentication(ASSIGNMENT_TYPE, &payload);
    let keys = w.fleet.pki().trust_bundle(&w.org).assignment_keys.clone();
    let good = envelope.signatures.iter().filter(|s| {
        keys.iter().map(|k| hex::decode(k).unwrap()).any(|key| {
            let sig = STANDARD.decode(&s.sig).unwrap();
            s.keyid == hex::encode(sha256(&key)) && UnparsedPublicKey::new(&ED25519, &key).verify(&message, &sig).is_ok()
        })
    });
    (serde_json::from_slice(&payload).unwrap(), good.count())
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn u_2_an_assignment_is_for_one_device_and_a_few_hours(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (one, two) = (w.device("gw-1", "gateway").await, w.device("gw-2", "gateway").await);
    let pki = w.fleet.pki();
    let id = |name: &str| name.parse::<DeviceId>().unwrap();
    let assigned = pki.assign(&w.org, (one, &id("gw-1")), offer(1, b"m")).await.unwrap();
    let (a, good) = read(&w, &assigned.offer);
    let now = w.clock.now();
    assert_eq!((a.device_id.as_str(), a.update_id, a.rollout_id), ("gw-1", offer(1, b"").update_id, offer(1, b"").rollout_id));
    assert_eq!((a.manifest_sha256, good), (Digest::from_bytes(&sha256(b"m")), 1));
    assert_eq!((a.issued, a.expires.since(now)), (now, LIFE));
    assert!(a.expires.since(a.issued) <= wire::signing::MAX_ASSIGNMENT_MS);

    // Asked again it is the same, until half of it is over: then it is renewed, and its counter goes up.
    w.clock.advance(RENEW - 1);
    assert_eq!(pki.assign(&w.org, (one, &id("gw-1")), offer(1, b"m")).await.unwrap().offer, assigned.offer);
    w.clock.advance(1);
    let renewed = pki.assign(&w.org, (one, &id("gw-1")), offer(1, b"m")).await.unwrap();
    let (b, _) = read(&w, &renewed.offer);
    assert!(b.counter > a.counter && b.expires > a.expires);
    // Another update, another manifest and another device have their own.
    for (device, name, of) in [(one, "gw-1", offer(2, b"m")), (one, "gw-1", offer(2, b"n")), (two, "gw-2", offer(2, b"n"))] {
        let (next, good) = read(&w, &pki.assign(&w.org, (device, &id(name)), of.clone()).await.unwrap().offer);
        assert_eq!((next.device_id.as_str(), next.update_id, good), (name, of.update_id, 1));
        assert!(device == two || next.counter > b.counter);
    }
    // A clock that was put back neither keeps an old one nor lets the counter go back.
    w.clock.advance(-2 * RENEW);
    let (back, _) = read(&w, &pki.assign(&w.org, (one, &id("gw-1")), offer(2, b"n")).await.unwrap().offer);
    assert!(back.counter > b.counter && back.issued < b.issued);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn u_2_keys_are_rolled_over_with_the_trust_bundle(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (device, id, pki) = (w.device("gw-1", "gateway").await, "gw-1".parse::<DeviceId>().unwrap(), w.fleet.pki());
    let (admin, oli) = (w.admin().await, w.operator().await);
    let first = pki.assignment_keys(&oli).await.unwrap().remove(0);
    assert_eq!(pki.trust_bundle(&w.org).version, 1, "the first bundle has it");
    let before = pki.assign(&w.org, (device, &id), offer(1, b"m")).await.unwrap();
    assert!(matches!(pki.make_assignment_key(&oli).await, Err(Error::Access(_))));
    assert!(matches!(pki.retire_assignment_key(&admin, &first.id).await, Err(Error::AssignmentKeys(_))), "the only one stays");

    let second = pki.make_assignment_key(&admin).await.unwrap();
    assert_eq!((pki.trust_bundle(&w.org).version, pki.trust_bundle(&w.org).assignment_keys.len()), (2, 2));
    let both = pki.assign(&w.org, (device, &id), offer(1, b"m")).await.unwrap();
    assert_eq!((read(&w, &both.offer).1, both == before), (2, false), "signed by both, so that nobody is left behind");
    pki.retire_assignment_key(&admin, &first.id).await.unwrap();
    pki.retire_assignment_key(&admin, &first.id).await.unwrap();
    assert_eq!(pki.trust_bundle(&w.org).version, 3, "retired once");
    let last = pki.assign(&w.org, (device, &id), offer(1, b"m")).await.unwrap();
    let signers: Vec<_> = last.offer.assignment.as_ref().unwrap().signatures.iter().map(|s| s.keyid.clone()).collect();
    assert_eq!(signers, [second.keyid]);
    assert_eq!(read(&w, &both.offer).1, 1, "what the retired key has signed alone is worth nothing now");
    let stranger = "ask_00000000000000000000000000000000".parse().unwrap();
    assert!(matches!(pki.retire_assignment_key(&admin, &stranger).await, Err(Error::NoAssignmentKey)));
    for _ in 0..3 {
        pki.make_assignment_key(&admin).await.unwrap();
    }
    assert!(matches!(pki.make_assignment_key(&admin).await, Err(Error::AssignmentKeys(_))));
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
}

#[tokio::test]
async fn k_1_a_key_moved_to_another_row_does_not_sign() {
    let w = World::open(EngineKind::Sqlite).await;
    let (device, id, pki) = (w.device("gw-1", "gateway").await, "gw-1".parse::<DeviceId>().unwrap(), w.fleet.pki());
    pki.make_assignment_key(&w.admin().await).await.unwrap();
    let mut tx = pki.db.write().await.unwrap();
    let sealed = store::sealed(&mut tx).await.unwrap();
    store::set_sealed(&mut tx, &sealed[0].id, &sealed[1].sealed).await.unwrap();
    tx.commit().await.unwrap();
    assert!(matches!(pki.assign(&w.org, (device, &id), offer(1, b"m")).await, Err(Error::Key(KeyError::Tampered))), "A-36");
}
