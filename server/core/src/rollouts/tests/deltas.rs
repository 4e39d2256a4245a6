//! Who is offered a delta, and who may fetch it.

use super::*;
use rstest::rstest;
use wire::ids::Digest;

const DESCRIBED: Sql = Sql::same("UPDATE devices SET described_at = 1 WHERE number = $1");

impl Scene {
    pub(super) async fn publish_content(&self, version: &str, sequence: u64, content: &[u8]) -> ReleaseId {
        let manifest = testing::manifest(version, sequence, &[("fw.bin", "raw", content)]);
        self.w.publish(&self.oli, &key(), &manifest, &[("fw.bin", content)]).await
    }
}

fn digest(content: &[u8]) -> Digest {
    Digest::from_bytes(&crate::hash::sha256(content))
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_delta_is_offered_to_who_runs_exactly_its_base(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 4).await;
    // Every hash is as good as noise.
    let old: Vec<u8> = (0..2_000u32).flat_map(|n| crate::hash::sha256(&n.to_be_bytes())).collect();
    let new = [&old[..], b"and something new"].concat();
    s.publish_content("3.0.0", 3, &old).await;
    s.release = s.publish_content("4.0.0", 4, &new).await;
    let devices = s.devices.clone();
    s.runs(devices[0], "3.0.0", 3).await;
    s.runs(devices[1], "3.0.0-rebuilt", 3).await;
    s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();

    let before = s.rollouts().poll(devices[0]).await.unwrap().unwrap();
    assert_eq!(before.downloads[0].delta, None, "it is not made yet");
    while s.w.fleet.releases().make_delta().await.unwrap() {}
    let offer = s.rollouts().poll(devices[0]).await.unwrap().unwrap();
    assert_eq!(offer.update_id, before.update_id);
    let delta = offer.downloads[0].delta.clone().unwrap();
    assert_eq!((&delta.base_sha256, delta.path.as_str()), (&digest(&old), format!("/device/v1/artifacts/{}", delta.sha256).as_str()));
    assert!(delta.size < 200 && offer.downloads[0].sha256 == digest(&new), "{delta:?}");
    let file = s.w.fleet.releases().open_artifact(&delta.sha256).await.unwrap();
    assert_eq!(file.size, delta.size);

    for other in &devices[1..3] {
        let offer = s.rollouts().poll(*other).await.unwrap().unwrap();
        assert_eq!(offer.downloads[0].delta, None, "another version under that sequence, and another release");
    }
    assert!(s.rollouts().may_download(devices[0], &delta.sha256).await.unwrap().is_some());
    assert!(s.rollouts().may_download(devices[3], &delta.sha256).await.unwrap().is_none(), "it was offered nothing");
    s.succeed(devices[0], &offer.update_id, "4.0.0", 4).await;
    assert!(s.rollouts().may_download(devices[0], &delta.sha256).await.unwrap().is_none(), "an ended update opens nothing");
    s.w.fleet.releases().recall(&s.ada, &s.release, "").await.unwrap();
    assert!(s.rollouts().may_download(devices[1], &delta.sha256).await.unwrap().is_none());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_was_sent_a_delta_to_what_it_runs_has_fetched_the_file(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 3).await;
    let old: Vec<u8> = (0..2_000u32).flat_map(|n| crate::hash::sha256(&n.to_be_bytes())).collect();
    let new = [&old[..], b"and something new"].concat();
    s.publish_content("3.0.0", 3, &old).await;
    // The same content under another version.
    s.publish_content("3.1.0", 4, &new).await;
    s.release = s.publish_content("4.0.0", 5, &new).await;
    let [based, other, same] = [s.devices[0], s.devices[1], s.devices[2]];
    s.runs(based, "3.0.0", 3).await;
    s.runs(same, "3.1.0", 4).await;
    s.approved(RolloutSpec { download_only: true, ..s.spec(vec![stage(Reach::Percent(100.0))]) }).await;
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();
    while s.w.fleet.releases().make_delta().await.unwrap() {}
    let mut ends = Vec::new();
    let delta = s.rollouts().poll(based).await.unwrap().unwrap().downloads[0].delta.clone().unwrap();
    for device in [based, other, same] {
        let offer = s.rollouts().poll(device).await.unwrap().unwrap();
        s.say(device, &offer.update_id, UpdateState::Downloading).await.unwrap();
        // One is sent nothing: it runs the very same file.
        if device != same {
            s.sends(device, &delta.sha256, 0..delta.size).await;
        }
        ends.push(s.say(device, &offer.update_id, UpdateState::Downloaded).await.unwrap());
    }
    assert_eq!(ends, [UpdateState::Succeeded, UpdateState::Failed, UpdateState::Succeeded], "a delta alone is not a file");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_dry_run_counts_what_each_device_will_download(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 3).await;
    let old: Vec<u8> = (0..2_000u32).flat_map(|n| crate::hash::sha256(&n.to_be_bytes())).collect();
    let new = [&old[..], b"and something new"].concat();
    s.publish_content("3.0.0", 3, &old).await;
    s.release = s.publish_content("4.0.0", 4, &new).await;
    let (based, rebuilt) = (s.devices[0], s.devices[1]);
    s.runs(based, "3.0.0", 3).await;
    s.runs(rebuilt, "3.0.0-rebuilt", 3).await;
    let plan = s.spec(vec![stage(Reach::Percent(100.0))]);
    let bytes = async || s.rollouts().preview(&s.oli, &plan).await.unwrap().bytes;
    let whole = i64::try_from(new.len()).unwrap();
    assert_eq!(bytes().await, 3 * whole, "no delta is ready");
    while s.w.fleet.releases().make_delta().await.unwrap() {}
    let now = bytes().await;
    assert!(now > 2 * whole && now < 2 * whole + 200, "two whole files and a delta: {now}");
    let mut tx = s.rollouts().db.write().await.unwrap();
    exec!(&mut tx, DESCRIBED, based).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bytes().await, 3 * whole, "hawkBit's protocol knows no deltas");
}
