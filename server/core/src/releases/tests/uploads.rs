//! Uploads: cut anywhere and gone on with, taken over, stopped, restarted, expired.

use super::*;
use crate::{
    db::EngineKind,
    releases::{Releases, reading::sha256, store},
};
use futures::StreamExt as _;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use rstest::rstest;
use wire::{FaultKind, states::Role};

/// The same room after a restart: nothing is left but the disk and the database.
pub(super) async fn restarted(w: &World) -> Releases {
    let old = w.fleet.releases();
    Releases::open(old.db.clone(), w.clock.clone(), w.entropy.clone(), old.bus.clone(), &w.folder.path().join("artifacts")).await.unwrap()
}

async fn content_of(releases: &Releases, upload: &Upload) -> Vec<u8> {
    let file = releases.open_artifact(upload.sha256.as_ref().unwrap()).await.unwrap();
    assert_eq!(file.etag, format!("\"{}\"", upload.sha256.as_ref().unwrap()));
    let (mut bytes, mut stream) = (Vec::new(), file.read_range(0..file.size).await.unwrap());
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    bytes
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
fn an_upload_cut_at_any_byte_goes_on_to_the_same_file(#[case] kind: EngineKind) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::open(kind));
    let oli = runtime.block_on(world.operator());
    let content = prop::collection::vec(any::<u8>(), 1..40_000);
    let cuts = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..5);
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let tried = runner.run(&(content, cuts), |(content, cuts)| {
        runtime.block_on(async {
            let mut releases = restarted(&world).await;
            let upload = releases.begin_upload(&oli, new("fw.bin", content.len())).await.unwrap();
            let mut received = 0;
            for (at, restart) in cuts {
                let to = received + at.index(content.len() - received);
                let refused = fault(releases.append(&oli, &upload.id, i64::try_from(received).unwrap(), cut(&content[received..to])).await);
                prop_assert_eq!(refused.code, "upload_cut");
                received = to;
                if restart {
                    // What was written but never acknowledged may be on the disk or not.
                    let mut file = std::fs::OpenOptions::new().append(true).open(releases.staging.path(&upload.id)).unwrap();
                    io::Write::write_all(&mut file, b"torn").unwrap();
                    releases = restarted(&world).await;
                }
                prop_assert_eq!(releases.upload(&oli, &upload.id).await.unwrap().received, i64::try_from(received).unwrap());
            }
            let done = releases.append(&oli, &upload.id, i64::try_from(received).unwrap(), whole(&content[received..])).await.unwrap();
            prop_assert_eq!(done.sha256.as_ref(), Some(&sha256(&content)));
            prop_assert_eq!(content_of(&releases, &done).await, content);
            Ok(())
        })
    });
    tried.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn wrong_bytes_are_refused_and_right_ones_still_taken(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, releases) = (w.operator().await, w.fleet.releases());
    let upload = releases.begin_upload(&oli, new("fw.bin", 10)).await.unwrap();
    let refused = fault(releases.append(&oli, &upload.id, 3, whole(b"x")).await);
    assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::Conflict, "wrong_offset"));
    assert_eq!(fault(releases.append(&oli, &upload.id, 0, whole(b"elevenbytes")).await).code, "too_many_bytes");
    assert_eq!(releases.upload(&oli, &upload.id).await.unwrap().received, 0);
    let refused = fault(releases.expects(&oli, &upload.id, 0, 11).await);
    assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::TooLarge, "too_many_bytes"));
    releases.expects(&oli, &upload.id, 0, 10).await.unwrap();
    releases.expects(&oli, &upload.id, 3, 11).await.unwrap();
    let half = releases.append(&oli, &upload.id, 0, whole(b"01234")).await.unwrap();
    assert_eq!((half.received, half.sha256), (5, None));
    let done = releases.append(&oli, &upload.id, 5, whole(b"56789")).await.unwrap();
    assert_eq!(done.sha256, Some(sha256(b"0123456789")));
    let again = releases.append(&oli, &upload.id, 10, whole(b"")).await.unwrap();
    assert_eq!(again, done, "the last answer may have been lost");

    let expected = Some(sha256(b"other"));
    let upload = releases.begin_upload(&oli, NewUpload { sha256: expected, ..new("fw.bin", 5) }).await.unwrap();
    assert_eq!(fault(releases.append(&oli, &upload.id, 0, whole(b"wrong")).await).code, "digest_mismatch");
    assert_eq!(fault(releases.upload(&oli, &upload.id).await).code, "no_upload");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn only_operators_of_the_same_organization_upload_and_names_are_names(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, vic, releases) = (w.operator().await, w.viewer().await, w.fleet.releases());
    assert_eq!(fault(releases.begin_upload(&vic, new("fw.bin", 1)).await).kind, FaultKind::Forbidden);
    for name in ["../fw.bin", "a/b", "C:\\fw.bin", "fw\0.bin", "fw\u{1b}[2J.bin", "", "%2e%2e", "con"] {
        let refused = fault(releases.begin_upload(&oli, new(name, 1)).await);
        assert_eq!((refused.kind, refused.field.as_deref()), (FaultKind::Invalid, Some("name")), "{name:?}");
        assert!(!refused.message.contains(char::is_control), "{name:?}");
    }
    assert_eq!(fault(releases.begin_upload(&oli, new("fw.bin", 0)).await).field.as_deref(), Some("size"));
    assert_eq!(fault(releases.begin_upload(&oli, NewUpload { size: i64::MAX, ..new("x", 1) }).await).kind, FaultKind::TooLarge);

    let upload = releases.begin_upload(&oli, new("fw.bin", 1)).await.unwrap();
    let stranger = Actor { org: w.entropy.id(w.clock.now()), ..oli };
    assert_eq!(fault(releases.upload(&stranger, &upload.id).await).code, "no_upload");
    assert_eq!(fault(releases.append(&stranger, &upload.id, 0, whole(b"x")).await).code, "no_upload");
}

/// Content after which nothing comes, and what tells when it was read.
fn then_silence(
    content: &'static [u8],
) -> (impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static, tokio::sync::oneshot::Receiver<()>) {
    let (tell, read) = tokio::sync::oneshot::channel();
    let silence = stream::once(async {
        tell.send(()).unwrap();
        std::future::pending().await
    });
    (stream::iter([Ok(Bytes::from_static(content))]).chain(silence).boxed(), read)
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_stranger_interrupts_no_upload_and_what_does_not_exist_is_not_remembered(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, releases) = (w.operator().await, w.fleet.releases());
    let upload = releases.begin_upload(&oli, new("fw.bin", 6)).await.unwrap();
    let (begin, silent) = then_silence(b"abc");
    let (goes_on, rest) = tokio::sync::oneshot::channel::<Bytes>();
    let begin = begin.take(1).chain(stream::once(async { Ok(rest.await.unwrap()) }).boxed());
    drop(silent);
    let (fleet, actor, id) = (w.fleet.clone(), oli.clone(), upload.id.clone());
    let first = tokio::spawn(async move { fleet.releases().append(&actor, &id, 0, begin).await });
    while releases.turns.len() == 0 {
        tokio::task::yield_now().await;
    }
    let stranger = Actor { org: w.entropy.id(w.clock.now()), ..oli.clone() };
    assert_eq!(fault(releases.append(&stranger, &upload.id, 0, whole(b"x")).await).code, "no_upload");
    let unknown = w.entropy.id(w.clock.now());
    assert_eq!(fault(releases.append(&oli, &unknown, 0, whole(b"x")).await).code, "no_upload");
    assert_eq!(releases.turns.len(), 1);
    goes_on.send(Bytes::from_static(b"def")).unwrap();
    assert_eq!(first.await.unwrap().unwrap().received, 6);
}

#[tokio::test]
async fn uploads_that_were_cut_keep_few_files_open_and_all_go_on() {
    let w = World::open(EngineKind::Sqlite).await;
    let (oli, releases) = (w.operator().await, w.fleet.releases());
    let mut ids = Vec::new();
    for _ in 0..70 {
        let upload = releases.begin_upload(&oli, new("fw.bin", 4)).await.unwrap();
        fault(releases.append(&oli, &upload.id, 0, cut(b"ab")).await);
        ids.push(upload.id);
    }
    assert_eq!(releases.turns.open(), 64);
    for id in &ids {
        assert_eq!(releases.append(&oli, id, 2, whole(b"cd")).await.unwrap().sha256, Some(sha256(b"abcd")));
    }
    assert_eq!(releases.turns.len(), 0);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_newer_request_takes_over_and_a_stop_keeps_what_came(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let oli = w.operator().await;
    let upload = w.fleet.releases().begin_upload(&oli, new("fw.bin", 9)).await.unwrap();
    // A connection that is dead without anybody knowing: three bytes, then silence.
    let (dead, silent) = then_silence(b"abc");
    let (fleet, actor, id) = (w.fleet.clone(), oli.clone(), upload.id.clone());
    let first = tokio::spawn(async move { fleet.releases().append(&actor, &id, 0, dead).await });
    silent.await.unwrap();
    let (slow, silent) = then_silence(b"def");
    let stop = async {
        silent.await.unwrap();
        w.fleet.releases().drain().await;
    };
    let (second, ()) = tokio::join!(w.fleet.releases().append(&oli, &upload.id, 3, slow), stop);
    assert_eq!(fault(first.await.unwrap()).code, "upload_interrupted");
    let stopped = fault(second);
    assert_eq!((stopped.kind, stopped.code.as_str()), (FaultKind::Busy, "upload_interrupted"));
    let releases = restarted(&w).await;
    assert_eq!(releases.upload(&oli, &upload.id).await.unwrap().received, 6);
    let done = releases.append(&oli, &upload.id, 6, whole(b"ghi")).await.unwrap();
    assert_eq!(content_of(&releases, &done).await, b"abcdefghi");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_power_cut_between_the_last_byte_and_the_store_is_mended(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, releases) = (w.operator().await, w.fleet.releases());
    for moved in [false, true] {
        let content = format!("content {moved}");
        let upload = releases.begin_upload(&oli, new("fw.bin", content.len())).await.unwrap();
        std::fs::write(releases.staging.path(&upload.id), &content).unwrap();
        let digest = sha256(content.as_bytes());
        let mut tx = releases.db.write().await.unwrap();
        assert!(store::set_whole(&mut tx, &upload.id, upload.size, &digest, w.clock.now()).await.unwrap());
        tx.commit().await.unwrap();
        if moved {
            releases.disk.adopt(&releases.staging.path(&upload.id), &digest).unwrap();
        }
        let seen = releases.upload(&oli, &upload.id).await.unwrap();
        assert_eq!((seen.received, seen.sha256), (upload.size, None), "not done yet");
        let done = releases.append(&oli, &upload.id, upload.size, whole(b"")).await.unwrap();
        assert_eq!(done.sha256, Some(digest));
        assert_eq!(content_of(releases, &done).await, content.as_bytes());
    }
    let upload = releases.begin_upload(&oli, new("fw.bin", 4)).await.unwrap();
    fault(releases.append(&oli, &upload.id, 0, cut(b"ab")).await);
    std::fs::remove_file(releases.staging.path(&upload.id)).unwrap();
    let refused = fault(restarted(&w).await.append(&oli, &upload.id, 2, whole(b"cd")).await);
    assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::Gone, "upload_lost"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn forgotten_uploads_go_and_content_that_is_used_stays(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, releases) = (w.operator().await, w.fleet.releases());
    let kept = release_of(&w, &oli, &[("fw.bin", b"shared")]).await.unwrap();
    let twin = send(&w, &oli, "copy.bin", b"shared").await;
    let lone = send(&w, &oli, "lone.bin", b"nobody needs this").await;
    let half = releases.begin_upload(&oli, new("half.bin", 10)).await.unwrap();
    fault(releases.append(&oli, &half.id, 0, cut(b"12345")).await);
    std::fs::write(releases.staging.path(&w.entropy.id(w.clock.now())), "an orphan").unwrap();
    assert_eq!(twin.sha256.as_ref(), Some(&kept.artifacts[0].sha256), "two equal files are one");

    w.clock.advance(24 * 3600 * 1000 - 1);
    assert_eq!(releases.sweep().await.unwrap(), 0);
    assert_eq!(releases.staging.list().unwrap(), std::slice::from_ref(&half.id), "an orphan goes at once");
    w.clock.advance(2);
    assert_eq!(releases.sweep().await.unwrap(), 3);
    assert_eq!(releases.staging.list().unwrap(), []);
    assert_eq!(fault(releases.upload(&oli, &half.id).await).code, "no_upload");
    assert_eq!(fault(releases.open_artifact(lone.sha256.as_ref().unwrap()).await).code, "no_artifact");
    assert!(releases.open_artifact(&kept.artifacts[0].sha256).await.is_ok());
    let admin = w.person("root", Role::Admin).await;
    releases.remove(&admin, &kept.row.id).await.unwrap();
    assert_eq!(fault(releases.open_artifact(&kept.artifacts[0].sha256).await).code, "no_artifact");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn content_left_behind_is_swept_and_its_removal_answers_nobody(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    let kept = release_of(&w, &oli, &[("fw.bin", b"needed")]).await.unwrap();
    let gone = release_of(&w, &oli, &[("fw.bin", b"stuck")]).await.unwrap();
    // A removal that fails: where the file was there is a folder now.
    let hex = sha256(b"stuck");
    let place = w.folder.path().join("artifacts/blobs/sha256").join(&hex.as_str()[..2]).join(&hex.as_str()[2..]);
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("in the way"), "x").unwrap();
    releases.remove(&admin, &gone.row.id).await.unwrap();
    assert_eq!(fault(releases.detail(&oli, &gone.row.id).await).code, "no_release");

    // What a crash left: content in the store that nothing ever refers to.
    let lone = w.folder.path().join("lone");
    std::fs::write(&lone, "lone").unwrap();
    releases.disk.adopt(&lone, &sha256(b"lone")).unwrap();
    releases.sweep().await.unwrap();
    assert_eq!(fault(releases.open_artifact(&sha256(b"lone")).await).code, "no_artifact");
    assert!(releases.open_artifact(&kept.artifacts[0].sha256).await.is_ok());

    // An upload whose sender came back while it was about to be swept stays.
    let upload = releases.begin_upload(&oli, new("fw.bin", 4)).await.unwrap();
    let mut tx = releases.db.write().await.unwrap();
    assert!(!store::delete_old(&mut tx, &upload.id, w.clock.now()).await.unwrap());
    assert!(store::delete_old(&mut tx, &upload.id, w.clock.now().plus(1)).await.unwrap());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_form_s_file_is_whole_at_its_end(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, releases) = (w.operator().await, w.fleet.releases());
    let done = releases.upload_stream(&oli, "fw.bin".into(), whole(b"no size was given")).await.unwrap();
    assert_eq!((done.size, done.sha256), (17, Some(sha256(b"no size was given"))));
    assert_eq!(fault(releases.upload_stream(&oli, "fw.bin".into(), cut(b"half")).await).code, "upload_cut");
    assert_eq!(fault(releases.upload_stream(&oli, "../fw".into(), whole(b"x")).await).code, "bad_value");
}

#[tokio::test]
async fn a_refused_sender_is_heard_out_within_bounds() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    let w = World::open(EngineKind::Sqlite).await;
    let (oli, releases) = (w.operator().await, w.fleet.releases());
    let upload = releases.begin_upload(&oli, new("fw.bin", 1 << 30)).await.unwrap();
    for (pieces, heard) in [(20, 20), (1000, 32)] {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let body = stream::repeat_with(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(Bytes::from(vec![0_u8; 1 << 20]))
        });
        assert_eq!(fault(releases.append(&oli, &upload.id, 7, body.take(pieces)).await).code, "wrong_offset");
        assert_eq!(taken.load(Ordering::SeqCst), heard);
    }
}

#[tokio::test]
async fn any_range_of_a_stored_file_can_be_read() {
    let w = World::open(EngineKind::Sqlite).await;
    let oli = w.operator().await;
    let content: Vec<u8> = (0..300_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let upload = send(&w, &oli, "fw.bin", &content).await;
    let file = w.fleet.releases().open_artifact(upload.sha256.as_ref().unwrap()).await.unwrap();
    for range in [0..1, 0..300_000, 131_071..131_073, 299_999..300_000, 5..5] {
        let mut read = Vec::new();
        let mut stream = file.read_range(range.clone()).await.unwrap();
        while let Some(piece) = stream.next().await {
            let piece = piece.unwrap();
            assert!(piece.len() <= 32 * 1024);
            read.extend_from_slice(&piece);
        }
        assert_eq!(read, content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]);
    }
}
