//! Where a release is: in which rollouts, on which devices, and on the way to which. What a release's page says of it.

use super::{Scene, stage};
use crate::{db::EngineKind, devices::store as devices};
use rstest::rstest;
use wire::{
    releases::{ReleaseInstalls, VersionInstalls},
    rollouts::{Reach, Verb},
    states::{RolloutState, UpdateState},
};

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
    let listed = s.w.fleet.releases().list(&s.ada, &wire::releases::ReleaseQuery::default()).await.unwrap();
    assert_eq!(listed.items[0].rollouts, 0);

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
    s.rollouts().act(&s.oli, &id, Verb::Stop, None, "").await.unwrap();
    let stopping = installs(&s).await;
    assert!(stopping.assigned <= 2, "{stopping:?}");
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
    let draft = s.w.fleet.releases().create(&s.oli, wire::releases::NewRelease { uploads }).await.unwrap();
    assert_eq!(s.w.fleet.release(&s.ada, &draft.row.id).await.unwrap().installs, None);
    assert_eq!(s.w.fleet.release_installs(&s.ada, &draft.row.id).await.unwrap(), ReleaseInstalls::default());
}
