//! Where a release is: in which rollouts, on which devices, and on the way to which. What a release's page says of it.

use super::{Scene, stage};
use crate::{
    db::{EngineKind, Sql, exec},
    devices::store as devices,
};
use rstest::rstest;
use wire::{
    releases::{ReleaseInstalls, VersionInstalls},
    rollouts::{Reach, Verb},
    states::{RolloutState, UpdateState},
};

const UNPUBLISH: Sql = Sql::same("UPDATE releases SET state = 'verified' WHERE id = $1");

/// How many rollouts use each release, the newest release first.
async fn counts(s: &Scene) -> Vec<i64> {
    let page = s.w.fleet.releases().list(&s.ada, &wire::releases::ReleaseQuery::default()).await.unwrap();
    s.w.fleet.with_use_counts(&s.ada, page).await.unwrap().items.iter().map(|row| row.rollouts).collect()
}

async fn installs(s: &Scene) -> ReleaseInstalls {
    // Counts are kept for two seconds.
    s.w.clock.advance(3_000);
    let installs = s.w.fleet.release_installs(&s.ada, &s.release).await.unwrap();
    let page = s.w.fleet.release(&s.ada, &s.release).await.unwrap();
    assert_eq!(page.installs.as_ref(), Some(&installs));
    assert_eq!(page.release.row.installed, installs.running);
    installs
}

fn line(version: &str, devices: i64, s: &Scene) -> VersionInstalls {
    VersionInstalls { version: version.into(), devices, release: (version == "2.0.0").then(|| s.release.clone()) }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_release_says_who_runs_it_who_gets_it_and_by_which_rollout(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 10).await;
    let before = installs(&s).await;
    assert_eq!((before.devices, before.running, before.assigned, before.others), (10, 0, 0, 0));
    assert_eq!(before.versions, [line("1.0.0", 10, &s)]);
    assert_eq!(counts(&s).await, [0]);

    let id = s.approved(s.spec(vec![stage(Reach::Count(4)), stage(Reach::Percent(100.0))])).await;
    let offered = s.poll_all().await;
    assert_eq!(offered.len(), 4);
    for (device, offer) in &offered[..2] {
        assert_eq!(s.succeed(*device, &offer.update_id, "2.0.0", 2).await, UpdateState::Succeeded);
    }
    s.rollouts().tick().await.unwrap();
    let now = installs(&s).await;
    assert_eq!((now.running, now.assigned), (2, 8), "two are updating, six wait for the second stage");
    assert_eq!(now.versions, [line("1.0.0", 8, &s), line("2.0.0", 2, &s)]);
    let release = s.w.fleet.release_detail(&s.ada, &s.release).await.unwrap();
    let counts = s.detail(&id).await.row.counts;
    let found: Vec<_> = release.rollouts.iter().map(|u| (&u.id, u.state, u.stage, u.stages, u.counts)).collect();
    assert_eq!(found, [(&id, RolloutState::Running, 1, 2, counts)]);
    assert_eq!(release.row.rollouts, 1);

    // Who waits while it stops gets nothing any more.
    s.rollouts().act(&s.oli, &id, Verb::Stop, None, "enough").await.unwrap();
    let stopping = installs(&s).await;
    assert!(stopping.assigned <= 2, "{stopping:?}");
    s.w.fleet.releases().recall(&s.ada, &s.release, "burns").await.unwrap();
    assert_eq!(installs(&s).await.assigned, 0, "nobody may install it any more");
    // A version so common that it is kept, and one that nobody has a release of.
    let mut tx = s.rollouts().db.write().await.unwrap();
    for device in &s.devices {
        devices::set_firmware(&mut tx, *device, "", 0).await.unwrap();
    }
    tx.commit().await.unwrap();
    let unsaid = installs(&s).await;
    assert_eq!((unsaid.running, unsaid.versions), (0, vec![line("", 10, &s)]));
    // A draft is nowhere.
    let uploads = vec![
        s.w.fleet.releases().begin_upload(&s.oli, wire::releases::NewUpload { name: "x".into(), size: 1, sha256: None }).await.unwrap().id,
    ];
    let bytes = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"x"))]);
    s.w.fleet.releases().append(&s.oli, &uploads[0], 0, bytes).await.unwrap();
    let draft = s.w.fleet.releases().create(&s.oli, wire::releases::NewRelease { uploads }).await.unwrap().release;
    assert_eq!(s.w.fleet.release(&s.ada, &draft.row.id).await.unwrap().installs, None);
    assert_eq!(s.w.fleet.release_installs(&s.ada, &draft.row.id).await.unwrap(), ReleaseInstalls::default());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn lists_say_how_many_rollouts_use_each_release_and_one_that_any_uses_is_not_removed(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    s.w.clock.advance(1_000);
    let newer = s.publish("3.0.0", 3).await;
    assert_eq!(counts(&s).await, [0, 0]);
    for _ in 0..2 {
        s.rollouts().draft(&s.oli, s.spec(vec![stage(Reach::Percent(100.0))])).await.unwrap();
    }
    assert_eq!(counts(&s).await, [0, 2]);
    let wizard = s.rollouts().wizard(&s.oli, None, None, None, None).await.unwrap();
    assert_eq!(wizard.releases.iter().map(|row| row.rollouts).collect::<Vec<_>>(), [0, 2]);
    let difference = s.w.fleet.release_difference(&s.ada, &s.release, &newer).await.unwrap();
    assert_eq!((difference.before.rollouts, difference.after.rollouts), (2, 0));

    // Only what was never published is removed; of that only what nothing uses.
    let mut tx = s.rollouts().db.write().await.unwrap();
    for release in [&s.release, &newer] {
        exec!(&mut tx, UNPUBLISH, release.as_str()).unwrap();
    }
    tx.commit().await.unwrap();
    let kept = s.w.fleet.releases().remove(&s.ada, &s.release).await.unwrap_err();
    assert_eq!(kept.fault().code, "release_used");
    assert!(kept.fault().message.starts_with("A rollout uses this release"), "{}", kept.fault().message);
    s.w.fleet.releases().remove(&s.ada, &newer).await.unwrap();
    assert_eq!(counts(&s).await, [2]);
}
