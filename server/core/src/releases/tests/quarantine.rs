//! What is not exactly what somebody trusted has signed goes into quarantine, with the reason, and can't be published.

use super::*;
use crate::{
    access::audit,
    db::{EngineKind, Sql, exec, tests::somebody_waits},
    releases::reading::sha256,
};
use rstest::rstest;
use wire::{FaultKind, states::ReleaseState};

/// What is wrong, the files, and a part of the reason.
type Case<'a> = (&'a str, &'a [(&'a str, &'a [u8])], &'a str);

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_39_every_wrong_upload_is_kept_with_its_reason(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let good = b"firmware of the gateway";
    let signed = key(1).sign(&manifest("1.0.0", 5, good)).unwrap();
    let published = release_of(&w, &oli, &[("fw.bin", good), ("fw.manifest.json", &signed)]).await.unwrap();
    assert_eq!((published.row.state, published.row.quarantine.as_str()), (ReleaseState::Verified, ""));
    releases.publish(&oli, &published.row.id).await.unwrap();

    let next = manifest("1.1.0", 6, good);
    let envelope = key(1).sign(&next).unwrap();
    let stranger = key(9).sign(&next).unwrap();
    let mut tampered = envelope.clone();
    let at = tampered.windows(11).position(|b| b == b"\"payload\": ").unwrap() + 20;
    tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
    let older = key(1).sign(&manifest("0.9.0", 4, good)).unwrap();
    let same = key(1).sign(&manifest("1.0.1", 5, good)).unwrap();
    let expired = key(1).sign(&Manifest { expires: Some(Timestamp(1_795_341_000_001)), ..next.clone() }).unwrap();
    let absent = key(1).sign(&manifest("1.1.0", 6, b"never sent")).unwrap();
    let large = vec![b' '; 300 * 1024];
    let cases: &[Case<'_>] = &[
        ("unsigned", &[("fw.bin", good)], "unsigned"),
        ("unknown signer", &[("fw.bin", good), ("m.manifest.json", &stranger)], "unknown key"),
        ("tampered manifest", &[("fw.bin", good), ("m.manifest.json", &tampered)], "changed after it was signed"),
        ("cut manifest", &[("fw.bin", good), ("m.manifest.json", &envelope[..envelope.len() / 2])], "not a DSSE envelope"),
        ("not a manifest", &[("fw.bin", good), ("m.manifest.json", b"\x7fELF")], "not a DSSE envelope"),
        ("large manifest", &[("fw.bin", good), ("m.manifest.json", &large)], "at most 262144"),
        ("cut firmware", &[("fw.bin", &good[..10]), ("m.manifest.json", &envelope)], "has 10 bytes, the manifest says 23"),
        ("tampered firmware", &[("fw.bin", b"firmware of the gatewaY"), ("m.manifest.json", &envelope)], "not the file that was signed"),
        ("missing firmware", &[("m.manifest.json", &absent)], "was not uploaded"),
        ("unsigned extra", &[("fw.bin", good), ("more.bin", b"x"), ("m.manifest.json", &envelope)], "does not name it"),
        ("older sequence", &[("fw.bin", good), ("m.manifest.json", &older)], "sequence 4 is not above 5"),
        ("same sequence", &[("fw.bin", good), ("m.manifest.json", &same)], "sequence 5 is not above 5"),
        ("expired", &[("fw.bin", good), ("m.manifest.json", &expired)], "expired on 2026-11-22"),
    ];
    for (what, files, reason) in cases {
        let release = release_of(&w, &oli, files).await.unwrap();
        assert_eq!(release.row.state, ReleaseState::Draft, "{what}");
        assert!(release.row.quarantine.contains(reason), "{what}: {}", release.row.quarantine);
        assert_eq!(release.row.signed_by, Vec::<String>::new(), "{what}");
        assert!(!release.may_publish, "{what}");
        let refused = fault(releases.publish(&oli, &release.row.id).await);
        assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::Conflict, "quarantined"), "{what}");
        let usable = crate::releases::for_rollout(&mut releases.db.read().await.unwrap(), &w.org, &release.row.id).await.unwrap();
        assert!(usable.is_none(), "{what}");
    }
    assert_eq!(releases.quarantined(&w.org, 100).await.unwrap().len(), cases.len());
    // What is right is still taken after all of this, and its rows say what was signed.
    let release = release_of(&w, &oli, &[("fw.bin", good), ("m.manifest.json", &envelope)]).await.unwrap();
    assert_eq!(release.row.state, ReleaseState::Verified);
    assert_eq!(release.row.signed_by, ["build 1"]);
    assert_eq!((release.hardware, release.notes), (next.hardware, next.notes));
    assert_eq!(release.manifest_sha256, sha256(&envelope).as_str());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_key_that_is_added_later_lifts_the_quarantine(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    let waiting = verified(&w, &oli, "1.0.0", 1).await;
    assert_eq!((waiting.row.state, waiting.row.version.as_str()), (ReleaseState::Draft, "1.0.0"), "its claims are shown");
    w.clock.advance(1);
    let envelope = key(1).sign(&manifest("1.0.0", 1, b"others")).unwrap();
    let twin = release_of(&w, &oli, &[("fw.bin", b"others"), ("m.manifest.json", &envelope)]).await.unwrap();
    assert_eq!(fault(releases.add_key(&oli, "k", &key(1).public_pem()).await).kind, FaultKind::Forbidden);
    assert_eq!(fault(releases.add_key(&admin, "k", "nonsense").await).code, "bad_key");
    trust(&w, &admin, 1).await;
    let lifted = releases.detail(&oli, &waiting.row.id).await.unwrap();
    assert_eq!((lifted.row.state, lifted.row.quarantine.as_str()), (ReleaseState::Verified, ""));
    assert_eq!(releases.detail(&oli, &twin.row.id).await.unwrap().row.state, ReleaseState::Draft, "one version is one release");
    assert_eq!(fault(releases.recheck(&oli, &twin.row.id).await).code, "release_exists");
    assert_eq!(fault(releases.add_key(&admin, "again", &key(1).public_pem()).await).code, "key_exists");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_39_a_revoked_key_signs_nothing_any_more(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    let build = trust(&w, &admin, 1).await;
    let before = verified(&w, &oli, "1.0.0", 1).await;
    releases.revoke_key(&admin, &build.id).await.unwrap();
    releases.revoke_key(&admin, &build.id).await.unwrap();
    let refused = fault(releases.publish(&oli, &before.row.id).await);
    assert!(refused.message.contains("unknown key"), "{}", refused.message);
    assert!(verified(&w, &oli, "1.0.1", 2).await.row.quarantine.contains("unknown key"));
    let refused = fault(releases.add_key(&admin, "back", &key(1).public_pem()).await);
    assert!(refused.message.contains("revoked key does not come back"), "{}", refused.message);
    assert_eq!(fault(releases.revoke_key(&admin, &w.entropy.id(w.clock.now())).await).code, "no_signing_key");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_is_no_set_of_files_is_refused(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, releases) = (w.operator().await, w.fleet.releases());
    let make = |uploads: Vec<UploadId>| releases.create(&oli, NewRelease { uploads });
    assert_eq!(fault(make(Vec::new()).await).code, "bad_uploads");
    let one = send(&w, &oli, "fw.bin", b"x").await.id;
    assert!(fault(make(vec![one.clone(), one.clone()]).await).message.contains("twice"));
    let same_name = send(&w, &oli, "fw.bin", b"y").await.id;
    assert!(fault(make(vec![one.clone(), same_name]).await).message.contains("two files of the name"));
    let half = releases.begin_upload(&oli, new("half.bin", 9)).await.unwrap().id;
    assert!(fault(make(vec![one.clone(), half]).await).message.contains("not whole: 0 of 9"));
    let (a, b) = (send(&w, &oli, "a.manifest.json", b"a").await.id, send(&w, &oli, "b.manifest.json", b"b").await.id);
    assert!(fault(make(vec![a, b]).await).message.contains("a release has one"));
    assert!(make(vec![one.clone()]).await.is_ok(), "a refused attempt uses nothing up");
    assert_eq!(fault(make(vec![one]).await).code, "no_upload");
}

/// On PostgreSQL writers run side by side; SQLite has one at a time.
#[tokio::test]
async fn looking_again_takes_the_audit_log_before_the_release_as_decisions_do() {
    const OTHERWISE: Sql = Sql::same("UPDATE releases SET quarantine = 'for a reason of yesterday' WHERE id = $1");
    let w = World::open(EngineKind::Postgres).await;
    let (oli, admin) = (w.operator().await, w.admin().await);
    trust(&w, &admin, 1).await;
    let signed = key(9).sign(&manifest("1.0.0", 1, b"firmware")).unwrap();
    let id = release_of(&w, &oli, &[("fw.bin", b"firmware"), ("m.manifest.json", &signed)]).await.unwrap().row.id;
    let db = &w.fleet.releases().db;
    let mut tx = db.write().await.unwrap();
    exec!(&mut tx, OTHERWISE, id.as_str()).unwrap();
    tx.commit().await.unwrap();

    let mut deciding = db.write().await.unwrap();
    audit::hold(&mut deciding, &w.org).await.unwrap();
    let looking = {
        let (fleet, oli, id) = (w.fleet.clone(), oli.clone(), id.clone());
        tokio::spawn(async move { fleet.releases().recheck(&oli, &id).await })
    };
    somebody_waits(db).await;
    exec!(&mut deciding, OTHERWISE, id.as_str()).unwrap();
    deciding.commit().await.unwrap();
    assert!(looking.await.unwrap().unwrap().row.quarantine.contains("unknown key"));
}
