//! Key sets (U-1): once there is one, its quorum decides about keys and thresholds, and nobody else.

use super::*;
use crate::{db::EngineKind, releases::manifest::written};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rstest::rstest;
use wire::{
    manifest::Envelope,
    overview::Matter,
    signing::{KEY_SET_TYPE, KeySet, ListedKey, Thresholds},
    states::ReleaseState,
};

fn set(version: u64, threshold: u32, of: &[u64], by: &[u64]) -> Vec<u8> {
    ending(version, threshold, of, by, None)
}

fn ending(version: u64, threshold: u32, of: &[u64], by: &[u64], expires: Option<Timestamp>) -> Vec<u8> {
    let listed = |seed: &u64| ListedKey { name: format!("build {seed}"), public: hex::encode(key(*seed).public()) };
    let thresholds = Thresholds { threshold, device_types: Vec::new() };
    let set = KeySet { schema: 1, version, created: Timestamp(0), expires, keys: of.iter().map(listed).collect(), thresholds };
    let payload = serde_json::to_vec(&set).unwrap();
    let signatures = by.iter().map(|seed| key(*seed).signature(KEY_SET_TYPE, &payload).unwrap()).collect();
    written(&Envelope { payload_type: KEY_SET_TYPE.into(), payload: STANDARD.encode(&payload), signatures }).unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn u_1_keys_are_rolled_over_by_the_quorum_and_by_nobody_else(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    trust(&w, &admin, 2).await;
    releases.set_thresholds(&admin, Thresholds { threshold: 2, device_types: Vec::new() }).await.unwrap();
    let refused = async |bytes: &[u8]| fault(releases.publish_key_set(&admin, bytes).await).message;
    assert_eq!(fault(releases.publish_key_set(&oli, &set(1, 2, &[1, 2, 3], &[1, 2])).await).code, "denied");
    assert!(refused(&set(1, 2, &[1, 2, 3], &[1, 3])).await.contains("1 of 2 signatures by the keys that are trusted before it"));
    assert!(refused(&set(1, 2, &[3, 4], &[1, 2])).await.contains("0 of 2 signatures by its own keys"));
    assert!(refused(b"{}").await.contains("can't be read"));
    assert_eq!(releases.key_sets(&oli).await.unwrap(), []);

    let first = releases.publish_key_set(&admin, &set(1, 2, &[1, 2, 3], &[1, 2])).await.unwrap();
    assert_eq!((first.version, first.keys.len()), (1, 3));
    assert_eq!(releases.key_set_file(&oli, 1).await.unwrap(), set(1, 2, &[1, 2, 3], &[1, 2]), "byte for byte");
    let trusted = async || {
        let keys = releases.keys(&oli).await.unwrap();
        let mut names: Vec<_> = keys.into_iter().filter(|k| k.revoked_at.is_none()).map(|k| k.name).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(trusted().await, "build 1 build 2 build 3", "its keys are the keys here");
    // Nobody adds a key or asks for less by hand.
    assert_eq!(fault(releases.add_key(&admin, "mine", &key(9).public_pem()).await).code, "key_set_decides");
    assert_eq!(fault(releases.set_thresholds(&admin, Thresholds::default()).await).code, "key_set_decides");
    assert!(refused(&set(2, 1, &[1, 2, 3], &[3])).await.contains("1 of 2 signatures"));
    assert!(refused(&set(3, 1, &[1, 2, 3], &[1, 2])).await.contains("2 is the next one"));
    assert!(refused(&set(1, 1, &[1, 2, 3], &[1, 2])).await.contains("2 is the next one"));

    // Key 1 goes, key 4 comes; releases of the old key are shown to fall short.
    let content = b"firmware";
    let both = key(2).countersign(&serde_json::from_slice(&key(1).sign(&manifest("1.0.0", 1, content)).unwrap()).unwrap()).unwrap();
    let made = release_of(&w, &oli, &[("fw.bin", content), ("m.manifest.json", &written(&both).unwrap())]).await.unwrap();
    releases.publish(&oli, &made.row.id).await.unwrap();
    releases.publish_key_set(&admin, &set(2, 2, &[2, 3, 4], &[1, 2, 3])).await.unwrap();
    assert_eq!(trusted().await, "build 2 build 3 build 4");
    let policy = releases.signing_policy(&oli).await.unwrap();
    assert_eq!((policy.key_set, policy.short.len(), policy.short[0].have), (Some(2), 1, 1));
    let given = crate::releases::for_rollout(&mut releases.db.read().await.unwrap(), &w.org, &made.row.id).await.unwrap().unwrap();
    assert_eq!(given.key_set, 2, "devices are told to follow");
    let device = releases.key_set_for_device(&w.org, 1).await.unwrap();
    assert_eq!((device.signatures.len(), fault(releases.key_set_for_device(&w.org, 3).await).code.as_str()), (2, "no_key_set"));

    // A key that is found stolen is revoked at once; it can still help to name its successor, as devices see it, and never comes back.
    let stolen = releases.keys(&oli).await.unwrap().into_iter().find(|k| k.name == "build 4").unwrap();
    releases.revoke_key(&admin, &stolen.id).await.unwrap();
    assert_eq!(fault(releases.publish_key_set(&admin, &set(3, 2, &[2, 3, 4], &[2, 3])).await).code, "revoked_key");
    assert_eq!(trusted().await, "build 2 build 3", "nothing of a refused set stays");
    releases.publish_key_set(&admin, &set(3, 2, &[2, 3, 5], &[2, 3])).await.unwrap();
    assert_eq!(trusted().await, "build 2 build 3 build 5");
    let next = verified(&w, &oli, "1.1.0", 2).await;
    assert_eq!(next.row.state, ReleaseState::Draft, "by a key that is gone");
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
    assert_eq!(releases.key_sets(&oli).await.unwrap().iter().map(|s| s.version).collect::<Vec<_>>(), [3, 2, 1]);
}

/// As TUF has it of its root: what has ended can still be followed on, and only what is not over is published.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn u_1_a_key_set_ends_and_people_are_told_a_month_before(#[case] kind: EngineKind) {
    const DAY: i64 = 24 * 3_600_000;
    let w = World::open(kind).await;
    let (admin, releases) = (w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let in_days = |days: i64| Some(w.clock_now().plus(days * DAY));
    let over = fault(releases.publish_key_set(&admin, &ending(1, 1, &[1], &[1], in_days(0))).await);
    assert!(over.code == "bad_key_set" && over.message.contains("has ended at 2026-11-22"), "{over:?}");
    let first = releases.publish_key_set(&admin, &ending(1, 1, &[1], &[1], in_days(40))).await.unwrap();
    assert_eq!((first.expires, releases.key_sets(&admin).await.unwrap()[0].expires), (in_days(40), in_days(40)));
    let told = async || {
        let all = w.fleet.overview(&admin).await.unwrap().attention;
        all.into_iter().find_map(|a| match a.matter {
            Matter::KeySetEnds { version, end } => Some((version, end)),
            _ => None,
        })
    };
    // The page of releases says the same above them.
    let above = async || {
        let page = releases.releases_page(&admin, &wire::releases::ReleaseQuery::default()).await.unwrap();
        page.key_set_ending().map(|(set, end)| (set.version, end <= page.at))
    };
    assert_eq!((told().await, above().await), (None, None));
    w.clock.advance(11 * DAY);
    assert_eq!(above().await, Some((1, false)));
    let end = first.expires.unwrap();
    assert!(end.readable().starts_with("1 Jan 2027"), "{}", end.readable());
    assert_eq!(told().await, Some((1, end)));
    w.clock.advance(40 * DAY);
    assert_eq!(told().await, Some((1, end)), "it is told until there is another one");
    assert_eq!(above().await, Some((1, true)));
    releases.publish_key_set(&admin, &set(2, 1, &[1], &[1])).await.unwrap();
    assert_eq!((told().await, above().await), (None, None), "one that never ends");
}
