//! The life of a release, and the lists.

use super::*;
use crate::{
    bus::Event,
    db::EngineKind,
    releases::{for_rollout, published, reading::sha256},
};
use rstest::rstest;
use wire::{
    FaultKind,
    overview::Matter,
    releases::{GoodRelease, ReleaseQuery},
    states::ReleaseState,
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn from_verified_to_recalled(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, vic, admin, releases) = (w.operator().await, w.viewer().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let release = verified(&w, &oli, "1.0.0", 1).await;
    let id = &release.row.id;
    assert_eq!(fault(releases.publish(&vic, id).await).kind, FaultKind::Forbidden);
    assert_eq!(fault(releases.recall(&admin, id, "").await).code, "wrong_state");
    let mut events = releases.bus.listen();
    releases.publish(&oli, id).await.unwrap();
    assert_eq!(events.recv().await.unwrap(), Event::Release { org: w.org.clone(), id: id.clone() });
    assert_eq!(fault(releases.publish(&oli, id).await).code, "wrong_state");
    let mut on = releases.db.read().await.unwrap();
    assert_eq!(published(&mut on, &w.org).await.unwrap().len(), 1);
    let usable = for_rollout(&mut on, &w.org, id).await.unwrap().unwrap();
    assert_eq!(usable.digest.as_str(), release.manifest_sha256);
    assert_eq!((usable.state, usable.manifest.sequence), (ReleaseState::Published, 1));
    assert_eq!(usable.envelope.signatures[0].keyid, key(1).keyid());
    drop(on);
    releases.deprecate(&oli, id).await.unwrap();
    assert_eq!(published(&mut releases.db.read().await.unwrap(), &w.org).await.unwrap().len(), 0);
    assert_eq!(fault(releases.recall(&oli, id, "bad").await).kind, FaultKind::Forbidden);
    releases.recall(&admin, id, "bricks the radio").await.unwrap();
    let recalled = releases.detail(&vic, id).await.unwrap();
    assert_eq!(recalled.row.state, ReleaseState::Recalled);
    assert!(!recalled.may_publish && !recalled.may_recall);
    let told = recalled.recalled.unwrap();
    assert_eq!((told.at, told.by, told.reason.as_str()), (w.clock.now(), admin.label(), "bricks the radio"));
    assert_eq!((told.running, told.selector.as_str(), told.back), (0, "type:gateway version:1.0.0", None));
    assert_eq!(fault(releases.remove(&admin, id).await).code, "release_kept");
    let audit = w.fleet.access().audit_page(&admin, None).await.unwrap();
    let actions: Vec<_> = audit.entries.items.iter().map(|e| e.action.as_str()).filter(|a| a.starts_with("release")).collect();
    assert_eq!(actions, ["release.recall", "release.deprecate", "release.publish", "release.create"]);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_runs_what_was_recalled_is_told_with_the_way_back(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let publish = async |version: &str, sequence: u64| {
        let id = verified(&w, &oli, version, sequence).await.row.id;
        releases.publish(&oli, &id).await.unwrap();
        id
    };
    let old = publish("1.0.0", 1).await;
    let bad = publish("1.1.0", 2).await;
    releases.deprecate(&oli, &old).await.unwrap();
    let devices = [w.device("gw-1", "gateway").await, w.device("gw-2", "gateway").await];
    let mut tx = releases.db.write().await.unwrap();
    for device in devices {
        crate::devices::store::set_firmware(&mut tx, device, "1.1.0", 2).await.unwrap();
    }
    tx.commit().await.unwrap();
    releases.recall(&admin, &bad, "burns").await.unwrap();

    let told = async || releases.detail(&oli, &bad).await.unwrap().recalled.unwrap();
    let recalled = told().await;
    assert_eq!((recalled.running, recalled.reason.as_str()), (2, "burns"));
    let back = GoodRelease { release: old, version: "1.0.0".into(), sign_again: true };
    assert_eq!(recalled.back, Some(back), "a lower sequence is not installed");
    let overview = w.fleet.overview(&oli).await.unwrap();
    let matter = Matter::RecalledRuns { release: bad.clone(), device_type: "gateway".into(), version: "1.1.0".into(), devices: 2 };
    assert_eq!(overview.attention.iter().find(|a| a.matter == matter).map(|a| a.since), Some(recalled.at));
    assert_eq!(overview.versions.iter().map(|v| (v.version.as_str(), v.recalled)).collect::<Vec<_>>(), [("1.1.0", true)]);

    let mended = publish("1.1.1", 3).await;
    assert_eq!(told().await.back, Some(GoodRelease { release: mended, version: "1.1.1".into(), sign_again: false }));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_38_versions_and_sequences_are_used_once_and_go_up(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let two = verified(&w, &oli, "1.2.0", 2).await;
    let three = verified(&w, &oli, "1.3.0", 3).await;
    for (version, sequence) in [("1.2.0", 9), ("1.9.0", 2)] {
        let envelope = key(1).sign(&manifest(version, sequence, b"x")).unwrap();
        let refused = fault(release_of(&w, &oli, &[("fw.bin", b"x"), ("m.manifest.json", &envelope)]).await);
        assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::Conflict, "release_exists"));
    }
    releases.publish(&oli, &three.row.id).await.unwrap();
    let refused = fault(releases.publish(&oli, &two.row.id).await);
    assert!(refused.message.contains("sequence 2 is not above 3"), "{}", refused.message);
    // Also what was recalled was once installed somewhere.
    releases.recall(&admin, &three.row.id, "").await.unwrap();
    assert_eq!(fault(releases.publish(&oli, &two.row.id).await).code, "quarantined");
    // Another type counts for itself.
    let other = Manifest { device_type: "sensor".into(), ..manifest("1.2.0", 1, b"x") };
    let envelope = key(1).sign(&other).unwrap();
    let sensor = release_of(&w, &oli, &[("fw.bin", b"x"), ("m.manifest.json", &envelope)]).await.unwrap();
    releases.publish(&oli, &sensor.row.id).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn content_that_is_lost_is_not_published(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let release = verified(&w, &oli, "1.0.0", 1).await;
    releases.disk.remove(&sha256(b"firmware 1.0.0")).await.unwrap();
    assert!(fault(releases.publish(&oli, &release.row.id).await).message.contains("lost"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_list_is_walked_page_by_page(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, vic, admin, releases) = (w.operator().await, w.viewer().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    for n in 1..=5 {
        w.clock.advance(1);
        verified(&w, &oli, &format!("1.{n}.0"), n).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = releases.list(&vic, &ReleaseQuery { cursor, rows: Some(2), ..ReleaseQuery::default() }).await.unwrap();
        assert_eq!(page.total, 5);
        seen.extend(page.items.into_iter().map(|r| r.sequence));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    let nonsense = ReleaseQuery { cursor: Some("nonsense".into()), ..ReleaseQuery::default() };
    assert_eq!(fault(releases.list(&vic, &nonsense).await).field.as_deref(), Some("cursor"));
    let page = releases.releases_page(&vic, &ReleaseQuery::default()).await.unwrap();
    assert!(!page.may_upload && !page.may_edit_keys && page.keys.len() == 1);
    let stranger = Actor { org: w.entropy.id(w.clock.now()), ..vic };
    assert_eq!(releases.list(&stranger, &ReleaseQuery::default()).await.unwrap().total, 0);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_repeated_request_is_carried_out_once(#[case] kind: EngineKind) {
    use crate::repeats::{Answer, Begun, Request};
    let w = World::open(kind).await;
    let (oli, repeats) = (w.operator().await, w.fleet.repeats());
    let request = |body: &str| Request::new("tok_1".into(), "key", &[b"/releases", body.as_bytes()]);
    let first = async |request: &Request| match repeats.begin(&oli, request).await.unwrap() {
        Begun::First(claim) => claim,
        other => panic!("{other:?}"),
    };
    let claim = first(&request("a")).await;
    assert_eq!(repeats.begin(&oli, &request("a")).await.unwrap(), Begun::UnderWay);
    assert_eq!(repeats.begin(&oli, &request("b")).await.unwrap(), Begun::Other);
    let answer = Answer { status: 201, location: "/releases/1".into(), media_type: "text/csv".into(), body: "{}".into() };
    repeats.answer(&oli, &claim, &answer).await.unwrap();
    assert_eq!(repeats.begin(&oli, &request("a")).await.unwrap(), Begun::Again(answer.clone()));
    let other = Request { caller: "tok_2".into(), ..request("a") };
    let claim = first(&other).await;
    repeats.forget(&oli, &claim).await.unwrap();
    let slow = first(&other).await;
    w.clock.advance(5 * 60 * 1000);
    let next = first(&other).await;
    repeats.forget(&oli, &slow).await.unwrap();
    repeats.answer(&oli, &slow, &answer).await.unwrap();
    assert_eq!(repeats.begin(&oli, &other).await.unwrap(), Begun::UnderWay, "a request that was given up takes nothing from the next");
    repeats.answer(&oli, &next, &answer).await.unwrap();
    w.clock.advance(24 * 3600 * 1000);
    first(&request("a")).await;
    w.clock.advance(24 * 3600 * 1000 + 1);
    assert_eq!(repeats.sweep().await.unwrap(), 2);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn of_two_publications_at_once_the_second_sees_the_first(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    for n in 0..5 {
        let older = verified(&w, &oli, &format!("1.{n}.0"), 2 * n + 1).await.row.id;
        let newer = verified(&w, &oli, &format!("1.{n}.1"), 2 * n + 2).await.row.id;
        let (new, old) = tokio::join!(releases.publish(&oli, &newer), releases.publish(&oli, &older));
        new.unwrap();
        if old.is_ok() {
            let entries = w.fleet.access().audit_page(&admin, None).await.unwrap().entries.items;
            let latest = entries.iter().find(|e| e.action == "release.publish").unwrap();
            assert_eq!(latest.object, newer.as_str(), "an older release was published after a newer one");
        }
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn of_two_who_add_one_key_the_second_is_told_so(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, releases) = (w.admin().await, w.fleet.releases());
    for seed in 1..6 {
        let pem = key(seed).public_pem();
        let (one, two) = tokio::join!(releases.add_key(&admin, "one", &pem), releases.add_key(&admin, "two", &pem));
        let refused = fault(if one.is_err() { one } else { two });
        assert_eq!(refused.code, "key_exists");
    }
    assert_eq!(releases.keys(&admin).await.unwrap().len(), 5);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_version_that_goes_back_under_a_higher_sequence_is_told(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    let newer = verified(&w, &oli, "1.3.0", 4).await;
    let older = verified(&w, &oli, "1.0.1", 24).await;
    assert_eq!((newer.warnings, older.warnings), (vec![], vec![]), "nothing is published yet");
    releases.publish(&oli, &newer.row.id).await.unwrap();
    let told = releases.detail(&oli, &older.row.id).await.unwrap().warnings;
    assert!(told.len() == 1 && told[0].contains("1.0.1 is older than 1.3.0"), "{told:?}");
    assert!(releases.detail(&oli, &newer.row.id).await.unwrap().warnings.is_empty());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_is_sent_again_is_the_release_that_is_there(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    let envelope = key(1).sign(&manifest("1.0.0", 1, b"x")).unwrap();
    let sent = async |files: &[(&str, &[u8])]| {
        let mut uploads = Vec::new();
        for (name, content) in files {
            uploads.push(send(&w, &oli, name, content).await.id);
        }
        let created = releases.create(&oli, NewRelease { uploads: uploads.clone() }).await?;
        assert_eq!(fault(releases.create(&oli, NewRelease { uploads }).await).code, "no_upload", "they are used up");
        Ok::<_, crate::Error>(created)
    };
    let whole: &[(&str, &[u8])] = &[("fw.bin", b"x"), ("m.manifest.json", &envelope)];
    // In quarantine, because nobody trusts its key yet; a file that it has not makes another draft.
    let first = sent(whole).await.unwrap();
    let again = sent(whole).await.unwrap();
    assert_eq!((first.new, again.new, &again.release.row.id), (true, false, &first.release.row.id));
    let more = sent(&[whole[0], whole[1], ("new.bin", b"new")]).await.unwrap();
    assert!(more.new && more.release.artifacts.len() == 2 && more.release.row.id != first.release.row.id);

    trust(&w, &admin, 1).await;
    let id = first.release.row.id;
    releases.publish(&oli, &id).await.unwrap();
    for files in [whole, &whole[1..]] {
        let again = sent(files).await.unwrap();
        assert_eq!((again.new, again.release.row.state, &again.release.row.id), (false, ReleaseState::Published, &id));
    }
    // Another file, or another manifest of the same version, is not taken for it.
    let more = sent(&[whole[0], whole[1], ("newer.bin", b"newer")]).await.unwrap();
    assert!(more.new && more.release.row.state == ReleaseState::Draft);
    let other = key(1).sign(&Manifest { notes: "Otherwise".into(), ..manifest("1.0.0", 1, b"x") }).unwrap();
    assert!(sent(&[whole[0], ("m.manifest.json", &other)]).await.unwrap().new);
    let list = releases.list(&oli, &ReleaseQuery::default()).await.unwrap();
    assert_eq!(list.items.iter().filter(|row| row.state == ReleaseState::Published).count(), 1);
}
