//! Thresholds (U-1): how many trusted keys must have signed, how signatures are added, and what never counts.

use super::*;
use crate::{db::EngineKind, releases::manifest::written};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rstest::rstest;
use wire::{
    manifest::{Envelope, PAYLOAD_TYPE},
    signing::{Thresholds, TypeThreshold},
    states::ReleaseState,
};

fn every(threshold: u32) -> Thresholds {
    Thresholds { threshold, device_types: Vec::new() }
}

fn detached(seed: u64, of: &ReleaseDetail, bytes: &[u8]) -> Vec<u8> {
    let envelope: Envelope = serde_json::from_slice(bytes).unwrap();
    assert!(!of.manifest.is_empty());
    let payload = STANDARD.decode(envelope.payload).unwrap();
    serde_json::to_vec(&key(seed).signature(PAYLOAD_TYPE, &payload).unwrap()).unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_39_a_release_waits_for_as_many_keys_as_its_type_asks_for(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    for seed in [1, 2, 3] {
        trust(&w, &admin, seed).await;
    }
    let gateways = Thresholds { threshold: 1, device_types: vec![TypeThreshold { device_type: "gateway".into(), threshold: 3 }] };
    assert_eq!(fault(releases.set_thresholds(&oli, gateways.clone()).await).code, "denied");
    releases.set_thresholds(&admin, gateways.clone()).await.unwrap();
    let content = b"firmware 1.0.0";
    let bytes = key(1).sign(&manifest("1.0.0", 1, content)).unwrap();
    let release = release_of(&w, &oli, &[("fw.bin", content), ("fw.manifest.json", &bytes)]).await.unwrap();
    let id = release.row.id.clone();
    assert_eq!(release.row.state, ReleaseState::Draft);
    assert!(release.row.quarantine.starts_with("1 of 3 signatures: by build 1;"), "{}", release.row.quarantine);
    let standing = release.signatures.clone().unwrap();
    assert_eq!((standing.have, standing.need, standing.signatures.len()), (1, 3, 1));
    assert!(fault(releases.publish(&oli, &id).await).message.contains("1 of 3 signatures"));
    let other = Manifest { device_type: "lamp".into(), ..manifest("1.0.0", 1, content) };
    let lamp = release_of(&w, &oli, &[("fw.bin", content), ("m.manifest.json", &key(1).sign(&other).unwrap())]).await.unwrap();
    assert_eq!(lamp.row.state, ReleaseState::Verified, "other types ask for one");

    // A detached signature, then an envelope over the same payload that has an old one and a stranger's as well.
    let two = releases.add_signatures(&oli, &id, &detached(2, &release, &bytes)).await.unwrap();
    assert!(two.row.quarantine.starts_with("2 of 3 signatures: by build 1, build 2;"), "{}", two.row.quarantine);
    let mut envelope: Envelope = serde_json::from_slice(&bytes).unwrap();
    envelope = key(9).countersign(&envelope).unwrap();
    envelope = key(3).countersign(&envelope).unwrap();
    let whole = releases.add_signatures(&oli, &id, &written(&envelope).unwrap()).await.unwrap();
    assert_eq!((whole.row.state, whole.row.quarantine.as_str()), (ReleaseState::Verified, ""));
    assert_eq!(whole.row.signed_by, ["build 1", "build 2", "build 3"]);
    assert_eq!(whole.manifest_sha256, crate::releases::reading::sha256(&bytes).as_str(), "what was uploaded stays as it was");
    releases.publish(&oli, &id).await.unwrap();
    let given = crate::releases::for_rollout(&mut releases.db.read().await.unwrap(), &w.org, &id).await.unwrap().unwrap();
    assert_eq!((given.envelope.signatures.len(), given.digest), (3, crate::releases::reading::sha256(&bytes)), "devices get them all");
    let (_, file) = releases.envelope_file(&oli, &id).await.unwrap();
    assert_eq!(crate::releases::manifest::open(&file).unwrap().signatures.len(), 3);
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
    let said = w.fleet.access().search_audit(&admin, "release.sign", None).await.unwrap();
    assert_eq!(said.entries.items.len(), 2);
    // What was never published goes with its signatures.
    releases.remove(&oli, &lamp.row.id).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn u_1_no_signature_counts_that_is_not_another_trusted_keys_over_these_bytes(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, vic, admin, releases) = (w.operator().await, w.viewer().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let second = trust(&w, &admin, 2).await;
    releases.set_thresholds(&admin, every(2)).await.unwrap();
    let content = b"firmware";
    let bytes = key(1).sign(&manifest("1.0.0", 1, content)).unwrap();
    let once: Envelope = serde_json::from_slice(&bytes).unwrap();
    // One key twice, in the upload itself.
    let mut twice = once.clone();
    twice.signatures.push(twice.signatures[0].clone());
    let release = release_of(&w, &oli, &[("fw.bin", content), ("m.manifest.json", &written(&twice).unwrap())]).await.unwrap();
    let id = release.row.id.clone();
    assert!(release.row.quarantine.starts_with("1 of 2 signatures"), "{}", release.row.quarantine);
    let standing = release.signatures.clone().unwrap();
    assert_eq!((standing.have, standing.signatures[1].why.as_str()), (1, "the key has signed twice"));

    let add = async |given: &[u8]| fault(releases.add_signatures(&oli, &id, given).await);
    assert_eq!(fault(releases.add_signatures(&vic, &id, &bytes).await).code, "denied");
    assert_eq!(add(&detached(1, &release, &bytes)).await.code, "signed_already");
    assert_eq!(add(&bytes).await.code, "signed_already");
    assert_eq!(add(&detached(9, &release, &bytes)).await.code, "unknown_signer", "by a stranger");
    let other = key(2).sign(&manifest("1.0.0", 2, content)).unwrap();
    assert!(add(&other).await.message.contains("another manifest"));
    let of_other = detached(2, &release, &other);
    assert!(add(&of_other).await.message.contains("does not fit"), "made over other bytes");
    // The right key's, cut, and with a field that stands twice.
    let right = detached(2, &release, &bytes);
    assert_eq!(add(&right[..right.len() / 2]).await.code, "bad_signature");
    let text = String::from_utf8(right.clone()).unwrap();
    let doubled = text.replacen("{\"keyid\":", &format!("{{\"keyid\":\"{}\",\"keyid\":", key(1).keyid()), 1);
    assert_eq!(add(doubled.as_bytes()).await.code, "bad_signature");
    // The same JSON written otherwise is another payload: signatures are over bytes.
    let payload = STANDARD.decode(&once.payload).unwrap();
    let spaced = serde_json::to_vec_pretty(&serde_json::from_slice::<serde_json::Value>(&payload).unwrap()).unwrap();
    let respelt =
        Envelope { payload: STANDARD.encode(&spaced), signatures: vec![key(2).signature(PAYLOAD_TYPE, &spaced).unwrap()], ..once };
    assert!(add(&written(&respelt).unwrap()).await.message.contains("another manifest"));
    assert_eq!(releases.detail(&oli, &id).await.unwrap().signatures.unwrap().have, 1, "nothing of all that has changed anything");

    // A key that was revoked counts no more, before or after.
    releases.revoke_key(&admin, &second.id).await.unwrap();
    assert_eq!(add(&right).await.code, "unknown_signer");
    assert!(fault(releases.set_thresholds(&admin, every(2)).await).message.contains("there is 1 key only"));
    trust(&w, &admin, 3).await;
    let whole = releases.add_signatures(&oli, &id, &detached(3, &release, &bytes)).await.unwrap();
    assert_eq!(whole.row.state, ReleaseState::Verified);
    let third = releases.keys(&admin).await.unwrap().into_iter().find(|k| k.name == "build 3").unwrap();
    releases.revoke_key(&admin, &third.id).await.unwrap();
    assert!(fault(releases.publish(&oli, &id).await).message.contains("1 of 2 signatures"));
    let shown = releases.detail(&oli, &id).await.unwrap();
    assert!(shown.warnings.iter().any(|t| t.starts_with("1 of the 2 signatures")), "{:?}", shown.warnings);
    assert_eq!(shown.signatures.unwrap().signatures.last().unwrap().why, "the key was revoked");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn u_1_raising_a_threshold_is_written_down_and_says_what_falls_short(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    trust(&w, &admin, 2).await;
    let old = verified(&w, &oli, "1.0.0", 1).await;
    releases.publish(&oli, &old.row.id).await.unwrap();
    let waiting = verified(&w, &oli, "1.1.0", 2).await;
    assert_eq!(releases.signing_policy(&oli).await.unwrap().short, []);

    let policy = releases.set_thresholds(&admin, every(2)).await.unwrap();
    assert_eq!((policy.thresholds.threshold, policy.keys, policy.short.len()), (2, 2, 1));
    assert_eq!((policy.short[0].id.clone(), policy.short[0].have, policy.short[0].need), (old.row.id.clone(), 1, 2));
    let shown = releases.detail(&oli, &old.row.id).await.unwrap();
    assert_eq!(shown.row.state, ReleaseState::Published, "it stays");
    assert!(shown.warnings.iter().any(|t| t.contains("it stays published")), "{:?}", shown.warnings);
    assert!(fault(releases.publish(&oli, &waiting.row.id).await).message.contains("1 of 2 signatures"));
    // A signature that is added makes it whole again, published as it is.
    let (_, bytes) = releases.envelope_file(&oli, &old.row.id).await.unwrap();
    let whole = releases.add_signatures(&oli, &old.row.id, &detached(2, &old, &bytes)).await.unwrap();
    assert_eq!((whole.row.state, whole.row.signed_by.len(), whole.warnings.len()), (ReleaseState::Published, 2, 0));
    assert_eq!(releases.signing_policy(&oli).await.unwrap().short, []);

    let draft = verified(&w, &oli, "1.2.0", 3).await;
    assert_eq!(draft.row.state, ReleaseState::Draft);
    releases.set_thresholds(&admin, every(1)).await.unwrap();
    assert_eq!(
        releases.detail(&oli, &draft.row.id).await.unwrap().row.state,
        ReleaseState::Verified,
        "lowered: nothing is missing any more"
    );
    releases.set_thresholds(&admin, every(1)).await.unwrap();
    let said = w.fleet.access().search_audit(&admin, "key.threshold", None).await.unwrap();
    assert_eq!(said.entries.items.len(), 2, "what changes nothing is not written down");
    for (wrong, says) in [(every(0), "asks for 0"), (every(3), "there are 2 keys only"), (every(17), "1 to 16")] {
        let refused = fault(releases.set_thresholds(&admin, wrong).await);
        assert!(refused.code == "bad_value" && refused.message.contains(says), "{}", refused.message);
    }
}
