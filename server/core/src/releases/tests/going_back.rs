//! Going back on purpose (U-4): an old release's files under a new manifest, taken from the store, and from nobody else's releases.

use super::*;
use crate::{
    db::EngineKind,
    releases::{manifest::Key, reading::sha256, signing},
};
use rstest::rstest;
use wire::states::ReleaseState;

/// The manifest of an older release, signed again as the command line does.
fn signed_again(envelope: &[u8], sequence: u64) -> Vec<u8> {
    let (public, keyid) = (key(1).public(), key(1).keyid());
    let keys = [Key { name: "k".into(), keyid, public }];
    let manifest = signing::again(envelope, &keys, sequence, None, Timestamp(1_795_341_500_000)).unwrap();
    key(1).sign(&manifest).unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_new_manifest_alone_brings_an_old_release_back(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, vic, admin, releases) = (w.operator().await, w.viewer().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let old = verified(&w, &oli, "1.0.0", 1).await.row.id;
    releases.publish(&oli, &old).await.unwrap();
    assert_eq!(releases.detail(&oli, &old).await.unwrap().go_back, None, "it is the newest");
    let new = verified(&w, &oli, "2.0.0", 2).await.row.id;
    releases.publish(&oli, &new).await.unwrap();

    let back = releases.detail(&oli, &old).await.unwrap().go_back.unwrap();
    assert_eq!((back.from.as_str(), back.version.as_str()), ("2.0.0", "1.0.0+3"));
    assert_eq!(
        back.command,
        "fleetward sign --again gateway-1.0.0.manifest.json --sequence 3 \\\n  --key release.key --out gateway-1.0.0+3.manifest.json"
    );
    assert_eq!(releases.detail(&vic, &old).await.unwrap().go_back, None, "who can't upload is not told to");
    let (name, envelope) = releases.envelope_file(&vic, &old).await.unwrap();
    assert_eq!(name, back.manifest);

    let made = release_of(&w, &oli, &[("back.manifest.json", &signed_again(&envelope, 3))]).await.unwrap();
    assert_eq!((made.row.state, made.row.quarantine.as_str()), (ReleaseState::Verified, ""));
    assert_eq!((made.row.version.as_str(), made.row.sequence, made.row.size), ("1.0.0+3", 3, 14));
    assert_eq!(made.artifacts[0].sha256, sha256(b"firmware 1.0.0"));
    releases.publish(&oli, &made.row.id).await.unwrap();
    assert_eq!(releases.sweep_content().await.unwrap(), 0);
    assert!(releases.open_artifact(&sha256(b"firmware 1.0.0")).await.is_ok());

    // A recalled release is nothing to go back to.
    releases.recall(&admin, &old, "").await.unwrap();
    assert_eq!(releases.detail(&oli, &old).await.unwrap().go_back, None);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn files_of_others_are_not_given_away(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let theirs = verified(&w, &oli, "1.0.0", 1).await;
    let stranger = stranger(&w, &admin).await;
    releases.add_key(&stranger, "same key", &key(1).public_pem()).await.unwrap();
    let (_, envelope) = releases.envelope_file(&oli, &theirs.row.id).await.unwrap();
    assert_eq!(fault(releases.envelope_file(&stranger, &theirs.row.id).await).code, "no_release");
    let content = sha256(b"firmware 1.0.0");
    assert_eq!(releases.artifact_file(&oli, &theirs.row.id, &content).await.unwrap().0, "fw.bin");
    assert_eq!(fault(releases.artifact_file(&stranger, &theirs.row.id, &content).await).code, "no_release");
    assert_eq!(fault(releases.artifact_file(&oli, &theirs.row.id, &sha256(b"another file")).await).code, "no_artifact");
    for manifest in [signed_again(&envelope, 3), envelope] {
        let made = release_of(&w, &stranger, &[("fw.manifest.json", &manifest)]).await.unwrap();
        assert!(made.row.quarantine.contains("was not uploaded"), "{}", made.row.quarantine);
        assert_eq!((made.row.state, made.artifacts.len()), (ReleaseState::Draft, 0));
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn content_that_is_taken_while_its_release_is_removed_stays(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    for n in 0..8 {
        let old = verified(&w, &oli, &format!("1.{n}.0"), 10 * n + 1).await;
        let (_, envelope) = releases.envelope_file(&oli, &old.row.id).await.unwrap();
        let upload = send(&w, &oli, "back.manifest.json", &signed_again(&envelope, 10 * n + 2)).await.id;
        let (made, removed) = tokio::join!(releases.create(&oli, NewRelease { uploads: vec![upload] }), releases.remove(&oli, &old.row.id));
        removed.unwrap();
        let (made, content) = (made.unwrap().release, sha256(format!("firmware 1.{n}.0").as_bytes()));
        let has = made.artifacts.iter().any(|a| a.sha256 == content);
        assert_eq!(has, made.row.quarantine.is_empty(), "{}", made.row.quarantine);
        assert_eq!(releases.open_artifact(&content).await.is_ok(), has, "it is kept exactly where it is needed");
    }
}
