//! Stored content that goes wrong: found, set aside, said, healed.

use super::*;
use crate::{
    db::EngineKind,
    releases::{Figures, Releases, reading::sha256},
};
use futures::StreamExt as _;
use rstest::rstest;
use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use wire::{
    FaultKind,
    ids::{Digest, ReleaseId},
    overview::Matter,
    releases::{ArtifactRow, Damage, ReleaseCheck, ReleaseQuery},
};

const DAY: i64 = 24 * 3600 * 1000;

fn stored(w: &World, digest: &Digest) -> PathBuf {
    let (head, tail) = digest.as_str().split_at(2);
    w.folder.path().join("artifacts/blobs/sha256").join(head).join(tail)
}

fn flip(file: &PathBuf) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[3] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// Says that a file was written to at this time.
fn dated(file: &Path, at: SystemTime) {
    std::fs::File::options().write(true).open(file).unwrap().set_modified(at).unwrap();
}

/// Reads until nothing is due; how many were read.
async fn scrub(releases: &Releases) -> usize {
    let mut read = 0;
    while releases.scrub().await.unwrap() {
        read += 1;
    }
    read
}

async fn file_of(w: &World, actor: &Actor, id: &ReleaseId) -> ArtifactRow {
    w.fleet.releases().detail(actor, id).await.unwrap().artifacts.remove(0)
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_40_a_flipped_bit_is_found_kept_from_devices_and_healed(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let id = verified(&w, &oli, "1.0.0", 1).await.row.id;
    let (content, digest) = (b"firmware 1.0.0", sha256(b"firmware 1.0.0"));
    assert_eq!(scrub(releases).await, 0, "it was compared when it came");
    w.clock.advance(7 * DAY);
    assert_eq!(scrub(releases).await, 1);
    assert_eq!(scrub(releases).await, 0);
    let file = file_of(&w, &oli, &id).await;
    assert_eq!((file.damage, file.checked_at), (None, Some(w.clock.now())));

    let mut under_way = {
        let file = releases.open_artifact(&digest).await.unwrap();
        file.read_range(0..file.size).await.unwrap()
    };
    flip(&stored(&w, &digest));
    w.clock.advance(7 * DAY);
    assert_eq!(scrub(releases).await, 1);
    assert_eq!(file_of(&w, &oli, &id).await.damage, Some(Damage::Changed));
    let refused = fault(releases.open_artifact(&digest).await.map(drop));
    assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::Busy, "artifact_damaged"));
    assert!(under_way.next().await.unwrap().is_err(), "a download under way ends");
    assert_eq!(releases.figures(), Figures { checked_bytes: 28, damaged: 1 });
    w.clock.advance(3600 * 1000);
    assert_eq!(scrub(releases).await, 1);
    assert_eq!(file_of(&w, &oli, &id).await.damage, Some(Damage::Changed), "it was set aside, nobody removed it");
    let lines = w.fleet.overview(&oli).await.unwrap().attention;
    let told = Matter::Damaged {
        release: id.clone(),
        device_type: "gateway".to_owned(),
        version: "1.0.0".to_owned(),
        file: "fw.bin".to_owned(),
        damage: Damage::Changed,
    };
    assert!(lines.iter().any(|a| a.matter == told), "{lines:?}");
    assert!(fault(releases.publish(&oli, &id).await).message.contains("damaged"));
    // The file is not taken for a new manifest, and not swept away as what nobody needs.
    let again = key(1).sign(&manifest("1.0.1", 2, content)).unwrap();
    let made = release_of(&w, &oli, &[("m.manifest.json", &again)]).await.unwrap();
    assert!(made.row.quarantine.contains("was not uploaded"), "{}", made.row.quarantine);
    releases.sweep_content().await.unwrap();

    let damaged = ReleaseQuery { check: Some(ReleaseCheck::Damaged), ..ReleaseQuery::default() };
    let listed = releases.list(&oli, &damaged).await.unwrap();
    assert_eq!((listed.total, &listed.items[0].id, listed.items[0].damaged), (1, &id, 1));
    assert_eq!(send(&w, &oli, "whatever.bin", content).await.healed, std::slice::from_ref(&id));
    assert!(send(&w, &oli, "whatever.bin", content).await.healed.is_empty(), "it is whole already");
    assert_eq!(releases.list(&oli, &damaged).await.unwrap().total, 0);
    assert_eq!(file_of(&w, &oli, &id).await.damage, None);
    let file = releases.open_artifact(&digest).await.unwrap();
    assert_eq!(file.read_all(100).await.unwrap(), content);
    releases.publish(&oli, &id).await.unwrap();
    assert!(!w.folder.path().join("artifacts/blobs/damaged").join(&digest.as_str()[..2]).join(&digest.as_str()[2..]).exists());
    assert_eq!(scrub(releases).await, 0);
    assert_eq!(releases.figures().damaged, 0);
    let audit = w.fleet.access().audit_page(&admin, None).await.unwrap().entries.items;
    let actions: Vec<_> = audit.iter().filter(|e| e.object == id.as_str()).map(|e| e.action.as_str()).collect();
    assert_eq!(actions, ["release.publish", "release.heal", "release.damage", "release.create"]);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_is_missing_is_found_and_noticed_when_it_is_put_back(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let id = verified(&w, &oli, "1.0.0", 1).await.row.id;
    let digest = sha256(b"firmware 1.0.0");
    let (place, elsewhere) = (stored(&w, &digest), w.folder.path().join("backup"));
    std::fs::rename(&place, &elsewhere).unwrap();
    w.clock.advance(7 * DAY);
    scrub(releases).await;
    assert_eq!(file_of(&w, &oli, &id).await.damage, Some(Damage::Missing));
    let since = w.fleet.overview(&oli).await.unwrap().attention[0].since;
    std::fs::rename(&elsewhere, &place).unwrap();
    assert_eq!(fault(releases.open_artifact(&digest).await.map(drop)).code, "artifact_damaged", "not before it was looked at");
    assert_eq!(scrub(releases).await, 0);
    w.clock.advance(3600 * 1000);
    assert_eq!(w.fleet.overview(&oli).await.unwrap().attention[0].since, since);
    assert_eq!(scrub(releases).await, 1);
    assert_eq!(file_of(&w, &oli, &id).await.damage, None);
    assert!(releases.open_artifact(&digest).await.is_ok());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_order_survives_a_restart_and_content_that_is_gone_is_no_damage(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(verified(&w, &oli, &format!("1.{n}.0"), n).await.row.id);
        w.clock.advance(1);
    }
    w.clock.advance(7 * DAY);
    for (read, _) in ids.iter().enumerate() {
        // Each look is that of a room that has just been opened.
        let room = super::uploads::restarted(&w).await;
        assert!(room.scrub().await.unwrap());
        let mut checked = 0;
        for id in &ids {
            checked += usize::from(file_of(&w, &oli, id).await.checked_at == Some(w.clock.now()));
        }
        assert_eq!(checked, read + 1);
        assert_eq!(file_of(&w, &oli, &ids[read]).await.checked_at, Some(w.clock.now()), "the one that was read longest ago");
    }
    w.clock.advance(7 * DAY);
    for id in &ids {
        releases.remove(&admin, id).await.unwrap();
    }
    assert_eq!(scrub(releases).await, 0);
    assert!(w.fleet.overview(&oli).await.unwrap().attention.is_empty());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_was_written_down_and_not_set_aside_is_kept_from_devices_until_the_next_look_does_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let id = verified(&w, &oli, "1.0.0", 1).await.row.id;
    let digest = sha256(b"firmware 1.0.0");
    let place = stored(&w, &digest);
    flip(&place);
    // As after a crash behind the commit: nothing can be moved there.
    let damaged = w.folder.path().join("artifacts/blobs/damaged");
    let _ = std::fs::remove_dir_all(&damaged);
    std::fs::write(&damaged, b"in the way").unwrap();
    w.clock.advance(7 * DAY);
    assert_eq!(scrub(releases).await, 1);
    assert!(place.exists());
    assert_eq!(file_of(&w, &oli, &id).await.damage, Some(Damage::Changed));
    assert_eq!(fault(releases.open_artifact(&digest).await.map(drop)).code, "artifact_damaged");

    std::fs::remove_file(&damaged).unwrap();
    w.clock.advance(3600 * 1000);
    assert_eq!(scrub(releases).await, 1);
    assert!(!place.exists());
    assert!(damaged.join(&digest.as_str()[..2]).join(&digest.as_str()[2..]).exists());
    assert_eq!(file_of(&w, &oli, &id).await.damage, Some(Damage::Changed));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_was_written_to_is_compared_before_it_is_given_out_again(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let id = verified(&w, &oli, "1.0.0", 1).await.row.id;
    let digest = sha256(b"firmware 1.0.0");
    let place = stored(&w, &digest);
    let later = std::fs::metadata(&place).unwrap().modified().unwrap() + Duration::from_secs(1);
    let refused = async || fault(releases.open_artifact(&digest).await.map(drop));
    releases.open_artifact(&digest).await.unwrap();

    // Written anew with the same bytes.
    dated(&place, later);
    let told = refused().await;
    assert_eq!((told.kind, told.code.as_str(), told.retry_after), (FaultKind::Busy, "artifact_suspect", Some(1)));
    releases.compare_suspects().await.unwrap();
    releases.open_artifact(&digest).await.unwrap();
    // With other bytes of the same number.
    flip(&place);
    dated(&place, later + Duration::from_secs(1));
    assert_eq!(refused().await.code, "artifact_suspect");
    releases.compare_suspects().await.unwrap();
    assert_eq!(refused().await.code, "artifact_damaged");
    assert_eq!(file_of(&w, &oli, &id).await.damage, Some(Damage::Changed));
    assert_eq!(releases.figures().damaged, 1);
    assert!(!place.exists(), "it was set aside");
    // The same file heals it, and is as it was.
    w.clock.advance(1);
    send(&w, &oli, "whatever.bin", b"firmware 1.0.0").await;
    releases.open_artifact(&digest).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_has_another_size_is_damaged_at_once(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let id = verified(&w, &oli, "1.0.0", 1).await.row.id;
    let digest = sha256(b"firmware 1.0.0");
    let place = stored(&w, &digest);
    std::fs::write(&place, b"firmware 1.0.0 and more").unwrap();
    assert_eq!(fault(releases.open_artifact(&digest).await.map(drop)).code, "artifact_damaged");
    assert_eq!(file_of(&w, &oli, &id).await.damage, Some(Damage::Changed));
    assert_eq!((releases.figures().damaged, place.exists()), (1, false));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn after_a_restart_a_file_is_believed_that_is_older_than_its_last_check(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin) = (w.operator().await, w.admin().await);
    trust(&w, &admin, 1).await;
    verified(&w, &oli, "1.0.0", 1).await;
    let digest = sha256(b"firmware 1.0.0");
    let place = stored(&w, &digest);
    let checked = UNIX_EPOCH + Duration::from_millis(w.clock.now().0.unsigned_abs());
    dated(&place, checked);
    super::uploads::restarted(&w).await.open_artifact(&digest).await.unwrap();
    dated(&place, checked + Duration::from_secs(1));
    let room = super::uploads::restarted(&w).await;
    assert_eq!(fault(room.open_artifact(&digest).await.map(drop)).code, "artifact_suspect", "it is younger");
    room.compare_suspects().await.unwrap();
    room.open_artifact(&digest).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_device_waits_for_a_short_comparison_and_is_told_how_long_another_takes(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    verified(&w, &oli, "1.0.0", 1).await;
    let digest = sha256(b"firmware 1.0.0");
    let place = stored(&w, &digest);
    let later = std::fs::metadata(&place).unwrap().modified().unwrap() + Duration::from_secs(1);
    let comparing = async || {
        releases.suspected().await;
        releases.compare_suspects().await.unwrap();
    };
    dated(&place, later);
    let (file, ()) = tokio::join!(releases.open_in_time(&digest), comparing());
    assert_eq!(file.unwrap().read_all(100).await.unwrap(), b"firmware 1.0.0");

    // At a byte a second nobody waits for fourteen of them.
    releases.suspects.speed.store(1, Ordering::Relaxed);
    dated(&place, later + Duration::from_secs(1));
    let told = fault(releases.open_in_time(&digest).await.map(drop));
    assert_eq!((told.kind, told.code.as_str(), told.retry_after), (FaultKind::Busy, "artifact_suspect", Some(14)));
    comparing().await;
    releases.open_in_time(&digest).await.unwrap();

    // What turns out to be wrong is said to whoever has waited.
    releases.suspects.speed.store(1000, Ordering::Relaxed);
    flip(&place);
    dated(&place, later + Duration::from_secs(2));
    let (file, ()) = tokio::join!(releases.open_in_time(&digest), comparing());
    assert_eq!(fault(file.map(drop)).code, "artifact_damaged");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_healed_a_release_that_was_removed_since_becomes_one_of_its_own(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let id = verified(&w, &oli, "1.0.0", 1).await.row.id;
    flip(&stored(&w, &sha256(b"firmware 1.0.0")));
    w.clock.advance(7 * DAY);
    assert_eq!(scrub(releases).await, 1);
    let upload = send(&w, &oli, "whatever.bin", b"firmware 1.0.0").await;
    assert_eq!(upload.healed, std::slice::from_ref(&id));
    releases.remove(&admin, &id).await.unwrap();
    let made = releases.create(&oli, NewRelease { uploads: vec![upload.id] }).await.unwrap();
    assert!(made.new && made.release.row.id != id);
    assert_eq!((made.release.artifacts[0].name.as_str(), made.release.row.quarantine.is_empty()), ("whatever.bin", false));
}
