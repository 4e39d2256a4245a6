//! Devices that say which keys they trust: they are not offered what too few of these have signed, and are looked at again when they say others, when one
//! of theirs signs, and when key sets lead there.

use super::*;
use crate::releases::{for_rollout, manifest::written};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rstest::rstest;
use wire::{
    device::{NO_KEYS, SIGNATURES_NEEDED, TRUSTED_KEYS},
    manifest::{Envelope, PAYLOAD_TYPE},
    rollouts::Excluded,
    signing::{KEY_SET_TYPE, KeySet, ListedKey, SCHEMA, Thresholds},
};

fn pair(seed: u64) -> SigningKeyPair {
    SigningKeyPair::generate(&SeededEntropy::new(seed)).unwrap()
}

/// As an agent says it.
fn named(keys: &[&SigningKeyPair]) -> String {
    keys.iter().map(|key| key.keyid()[..16].to_owned()).collect::<Vec<_>>().join(" ")
}

impl Scene {
    /// Signs the release with one more key.
    async fn countersigned(&self, by: &SigningKeyPair) {
        let mut on = self.rollouts().db.read().await.unwrap();
        let release = for_rollout(&mut on, &self.w.org, &self.release).await.unwrap().unwrap();
        drop(on);
        let payload = STANDARD.decode(release.envelope.payload).unwrap();
        let signature = serde_json::to_vec(&by.signature(PAYLOAD_TYPE, &payload).unwrap()).unwrap();
        self.w.fleet.releases().add_signatures(&self.oli, &self.release, &signature).await.unwrap();
    }

    async fn gets_it(&self, device: DeviceNo) -> bool {
        let told = self.rollouts().explain(device).await.unwrap();
        let offered = self.rollouts().poll(device).await.unwrap().is_some();
        assert_eq!(told.contains("trusts too few of the keys that have signed"), !offered, "{told}");
        offered
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn u_1_who_would_refuse_the_release_is_left_out_until_it_would_not(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 5).await;
    let (own, second, third) = (key(), pair(2), pair(3));
    for (name, key) in [("second", &second), ("third", &third)] {
        s.w.fleet.releases().add_key(&s.ada, name, &key.public_pem()).await.unwrap();
    }
    let d = s.devices.clone();
    s.reports(d[0], TRUSTED_KEYS, &named(&[&third, &own])).await;
    s.reports(d[1], TRUSTED_KEYS, NO_KEYS).await;
    s.reports(d[2], TRUSTED_KEYS, &named(&[&second])).await;
    s.reports(d[3], TRUSTED_KEYS, &named(&[&own, &third])).await;
    s.reports(d[3], SIGNATURES_NEEDED, "2").await;

    let plan = s.spec(vec![stage(Reach::Percent(100.0))]);
    let preview = s.rollouts().preview(&s.oli, &plan).await.unwrap();
    let reason = "trusts too few of the keys that have signed 2.0.0".to_owned();
    assert_eq!((preview.total, preview.excluded), (2, vec![Excluded { reason, devices: 3 }]));
    assert_eq!(preview.fit.map(|fit| (fit.meant, fit.unsigned)), Some((5, 3)));

    let id = s.approved(plan).await;
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.checked(&id).await.totals().total, 2, "nobody waits for those who would refuse it");
    for (device, gets) in d.iter().zip([true, false, false, false, true]) {
        assert_eq!(s.gets_it(*device).await, gets, "{device}");
    }
    // It was given a key.
    s.reports(d[1], TRUSTED_KEYS, &named(&[&own])).await;
    assert!(s.gets_it(d[1]).await);
    // Its key has signed.
    s.countersigned(&second).await;
    assert!(s.gets_it(d[2]).await && !s.gets_it(d[3]).await);
    s.countersigned(&third).await;
    assert!(s.gets_it(d[3]).await, "both that it asks for");
    assert_eq!(s.checked(&id).await.totals().rejected, 0);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn u_1_who_can_follow_key_sets_to_the_keys_that_have_signed_is_not_left_out(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 3).await;
    let (own, second) = (key(), pair(2));
    let listed = |key: &SigningKeyPair| ListedKey { name: key.keyid()[..8].to_owned(), public: hex::encode(key.public()) };
    let thresholds = Thresholds { threshold: 1, device_types: Vec::new() };
    let set = KeySet { schema: SCHEMA, version: 1, created: Timestamp(0), expires: None, keys: vec![listed(&second)], thresholds };
    let payload = serde_json::to_vec(&set).unwrap();
    let signatures = [&own, &second].map(|key| key.signature(KEY_SET_TYPE, &payload).unwrap()).into();
    let envelope = Envelope { payload_type: KEY_SET_TYPE.into(), payload: STANDARD.encode(&payload), signatures };
    s.w.fleet.releases().publish_key_set(&s.ada, &written(&envelope).unwrap()).await.unwrap();

    let content: &[u8] = b"firmware 3.0.0";
    let manifest = testing::manifest("3.0.0", 3, &[("fw.bin", "raw", content)]);
    s.release = s.w.publish(&s.oli, &second, &manifest, &[("fw.bin", content)]).await;
    let d = s.devices.clone();
    s.reports(d[0], TRUSTED_KEYS, &named(&[&own])).await;
    s.reports(d[1], TRUSTED_KEYS, &named(&[&second])).await;
    s.reports(d[2], TRUSTED_KEYS, &named(&[&pair(3)])).await;
    s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();
    for (device, gets) in d.iter().zip([true, true, false]) {
        assert_eq!(s.gets_it(*device).await, gets, "{device}");
    }
}
