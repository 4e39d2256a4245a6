//! Deltas: made when a release is published, tried out, kept while somebody can use them.

use super::*;
use crate::{db::EngineKind, releases::reading::sha256};
use rstest::rstest;
use wire::{
    ids::ReleaseId,
    releases::{DeltaRow, DeltaState},
};

const DAY: i64 = 24 * 3600 * 1000;

/// Bytes that no compressor makes smaller, the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Firmware whose versions share all but their last thousand bytes.
fn firmware(sequence: u64) -> Vec<u8> {
    [noise(1, 40_000), noise(sequence + 10, 1_000)].concat()
}

async fn published(w: &World, actor: &Actor, sequence: u64, content: &[u8]) -> ReleaseId {
    let envelope = key(1).sign(&manifest(&format!("1.{sequence}.0"), sequence, content)).unwrap();
    let id = release_of(w, actor, &[("fw.bin", content), ("fw.manifest.json", &envelope)]).await.unwrap().row.id;
    w.fleet.releases().publish(actor, &id).await.unwrap();
    w.clock.advance(1);
    id
}

async fn make_all(w: &World) -> usize {
    let mut made = 0;
    while w.fleet.releases().make_delta().await.unwrap() {
        made += 1;
    }
    made
}

async fn deltas(w: &World, actor: &Actor, id: &ReleaseId) -> Vec<DeltaRow> {
    w.fleet.releases().deltas(actor, id).await.unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_published_release_gets_deltas_from_the_three_before_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin) = (w.operator().await, w.admin().await);
    trust(&w, &admin, 1).await;
    for sequence in 1..=4 {
        published(&w, &oli, sequence, &firmware(sequence)).await;
    }
    let last = published(&w, &oli, 5, &firmware(5)).await;
    let waiting = deltas(&w, &oli, &last).await;
    assert!(waiting.iter().all(|d| d.state == DeltaState::Waiting && d.size.is_none() && d.percent.is_none()), "{waiting:?}");
    assert_eq!(make_all(&w).await, 1 + 2 + 3 + 3);
    let ready = deltas(&w, &oli, &last).await;
    let seen: Vec<_> = ready.iter().map(|d| (d.file.as_str(), d.from_version.as_str(), d.state)).collect();
    let is = |version| ("fw.bin", version, DeltaState::Ready);
    assert_eq!(seen, [is("1.4.0"), is("1.3.0"), is("1.2.0")]);
    for delta in &ready {
        let percent: f64 = delta.saves().unwrap().trim_end_matches(" %").parse().unwrap();
        assert!(delta.size.unwrap() < 1_500 && percent > 95.0 && delta.full_size == 41_000, "{delta:?}");
    }
    assert_eq!(w.fleet.releases().detail(&oli, &last).await.unwrap().deltas, ready);
    assert_eq!(make_all(&w).await, 0);
    // Nothing that is needed is swept away, and nothing else lies about.
    assert_eq!(w.fleet.releases().sweep_content().await.unwrap(), 0);
    assert_eq!(std::fs::read_dir(w.folder.path().join("artifacts/staging")).unwrap().count(), 0);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn deltas_come_from_what_most_devices_run_and_a_recalled_release_is_what_they_are_to_leave(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin) = (w.operator().await, w.admin().await);
    trust(&w, &admin, 1).await;
    for sequence in 1..=6 {
        // The fourth is the third once more.
        published(&w, &oli, sequence, &firmware(if sequence == 4 { 3 } else { sequence })).await;
    }
    let recalled = published(&w, &oli, 7, &firmware(7)).await;
    w.fleet.releases().recall(&admin, &recalled, "").await.unwrap();
    make_all(&w).await;
    let froms = async |id: &ReleaseId| deltas(&w, &oli, id).await.into_iter().map(|d| d.from_version).collect::<Vec<_>>();
    let run = [("gw-1", 7), ("gw-2", 7), ("gw-3", 7), ("gw-4", 2), ("gw-5", 2), ("gw-6", 4), ("gw-7", 4), ("gw-8", 3), ("gw-9", 1)];
    let mut devices = Vec::new();
    for (device, sequence) in run {
        devices.push((w.device(device, "gateway").await, sequence));
    }
    // Another type's are not asked.
    devices.push((w.device("sensor-1", "sensor").await, 6));
    let mut tx = w.fleet.releases().db.write().await.unwrap();
    for (device, sequence) in devices {
        crate::devices::store::set_firmware(&mut tx, device, &format!("1.{sequence}.0"), sequence).await.unwrap();
    }
    tx.commit().await.unwrap();
    let last = published(&w, &oli, 8, &firmware(8)).await;
    assert_eq!(make_all(&w).await, 3, "from the recalled one, from the fourth, which is the third as well, and from the second");
    // By content: who runs the third is served by the fourth's.
    assert_eq!(froms(&last).await, ["1.7.0", "1.4.0", "1.3.0", "1.2.0"]);
    assert!(deltas(&w, &oli, &recalled).await.is_empty(), "nobody is to get there");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_is_not_worth_it_or_fails_says_why(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin) = (w.operator().await, w.admin().await);
    trust(&w, &admin, 1).await;
    published(&w, &oli, 1, &noise(1, 30_000)).await;
    let other = published(&w, &oli, 2, &noise(2, 30_000)).await;
    assert_eq!(make_all(&w).await, 1);
    let found = deltas(&w, &oli, &other).await.remove(0);
    assert_eq!(found.state, DeltaState::NotWorth);
    assert!(found.why.contains("saves 0 %") && found.size.unwrap() > 29_000, "{found:?}");

    // The file it starts from is gone from the disk.
    let digest = sha256(&noise(2, 30_000));
    let (head, tail) = digest.as_str().split_at(2);
    let place = w.folder.path().join("artifacts/blobs/sha256").join(head).join(tail);
    std::fs::rename(&place, w.folder.path().join("away")).unwrap();
    let third = published(&w, &oli, 3, &[noise(2, 30_000), vec![3; 100]].concat()).await;
    assert_eq!(make_all(&w).await, 2);
    let of = async || deltas(&w, &oli, &third).await.into_iter().find(|d| d.from == other).unwrap();
    assert!(of().await.state == DeltaState::Failed && !of().await.why.is_empty(), "{:?}", of().await);
    std::fs::rename(w.folder.path().join("away"), &place).unwrap();
    assert_eq!(make_all(&w).await, 0, "not before a day has passed");
    w.clock.advance(DAY);
    assert_eq!(make_all(&w).await, 1);
    assert_eq!(of().await.state, DeltaState::Ready);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_damaged_delta_is_made_again_and_one_to_a_recalled_release_goes(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin, releases) = (w.operator().await, w.admin().await, w.fleet.releases());
    trust(&w, &admin, 1).await;
    published(&w, &oli, 1, &firmware(1)).await;
    let second = published(&w, &oli, 2, &firmware(2)).await;
    make_all(&w).await;
    let files = || {
        let folders = std::fs::read_dir(w.folder.path().join("artifacts/blobs/sha256")).unwrap();
        let inside = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        inside.map(|file| file.unwrap().path()).filter(|path| std::fs::metadata(path).unwrap().len() < 2_000).collect::<Vec<_>>()
    };
    let [delta] = files().try_into().unwrap();
    let right = std::fs::read(&delta).unwrap();
    let mut wrong = right.clone();
    wrong[20] ^= 1;
    std::fs::write(&delta, wrong).unwrap();
    w.clock.advance(7 * DAY);
    while releases.scrub().await.unwrap() {}
    assert_eq!(deltas(&w, &oli, &second).await[0].state, DeltaState::Waiting);
    assert!(files().is_empty());
    assert_eq!(releases.figures().damaged, 0, "nothing that a person has to put right");
    assert_eq!(make_all(&w).await, 1);
    assert_eq!(std::fs::read(&delta).unwrap(), right);

    releases.recall(&admin, &second, "").await.unwrap();
    assert!(deltas(&w, &oli, &second).await.is_empty() && files().is_empty());
    // Nobody runs what was recalled, so nobody is to leave it.
    let third = published(&w, &oli, 3, &firmware(3)).await;
    assert_eq!(make_all(&w).await, 1);
    assert!(deltas(&w, &oli, &third).await.iter().all(|d| d.from != second && d.state == DeltaState::Ready));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn of_two_makers_one_makes_it_and_who_is_gone_is_replaced(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin) = (w.operator().await, w.admin().await);
    trust(&w, &admin, 1).await;
    published(&w, &oli, 1, &firmware(1)).await;
    let second = published(&w, &oli, 2, &firmware(2)).await;
    let room = super::uploads::restarted(&w).await;
    // A maker that was gone right behind its claim.
    let now = w.clock.now();
    let wanted = crate::releases::store::next_delta(&mut room.db.read().await.unwrap(), now, now).await.unwrap().unwrap();
    let mut tx = room.db.write().await.unwrap();
    assert!(crate::releases::store::claim_delta(&mut tx, &wanted, now).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(deltas(&w, &oli, &second).await[0].state, DeltaState::Making);
    assert_eq!(make_all(&w).await, 0, "somebody is at it");
    w.clock.advance(5 * 60_000);
    let (one, other) = tokio::join!(room.make_delta(), w.fleet.releases().make_delta());
    assert!(one.unwrap() || other.unwrap());
    assert_eq!(make_all(&w).await, 0);
    assert_eq!(deltas(&w, &oli, &second).await[0].state, DeltaState::Ready);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_version_in_a_name_is_no_hindrance_and_a_newer_release_is_nothing_to_come_from(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, admin) = (w.operator().await, w.admin().await);
    trust(&w, &admin, 1).await;
    let publish = async |sequence: u64, files: &[(&str, &[u8])]| {
        let described: Vec<(&str, &str, &[u8])> = files.iter().map(|(name, content)| (*name, "raw", *content)).collect();
        let manifest = crate::testing::manifest(&format!("1.{sequence}.0"), sequence, &described);
        let envelope = key(1).sign(&manifest).unwrap();
        let all = [files, &[("fw.manifest.json", envelope.as_slice())]].concat();
        let id = release_of(&w, &oli, &all).await.unwrap().row.id;
        w.fleet.releases().publish(&oli, &id).await.unwrap();
        w.clock.advance(1);
        id
    };
    let (old, new) = (firmware(1), firmware(2));
    publish(1, &[("s110.bin", old.as_slice())]).await;
    let second = publish(2, &[("s120.bin", new.as_slice())]).await;
    // The first release's content again, under a higher sequence.
    publish(3, &[("s110.bin", old.as_slice())]).await;
    make_all(&w).await;
    let seen = deltas(&w, &oli, &second).await;
    let seen: Vec<_> = seen.iter().map(|d| (d.file.as_str(), d.from_version.as_str(), d.state)).collect();
    assert_eq!(seen, [("s120.bin", "1.1.0", DeltaState::Ready)]);

    let (logo, sound) = (noise(7, 9_000), noise(8, 9_000));
    publish(4, &[("app-1.4.0.bin", old.as_slice()), ("logo.png", logo.as_slice())]).await;
    let fifth = publish(5, &[("app-1.5.0.bin", new.as_slice()), ("sound.wav", sound.as_slice())]).await;
    make_all(&w).await;
    let from_fourth: Vec<_> = deltas(&w, &oli, &fifth).await.into_iter().filter(|d| d.from_version == "1.4.0").collect();
    let state = |name: &str| from_fourth.iter().find(|d| d.file == name).map(|d| (d.state, d.why.clone())).unwrap();
    assert_eq!(state("app-1.5.0.bin").0, DeltaState::Ready);
    assert_eq!(state("sound.wav"), (DeltaState::Unpaired, "1.4.0 has no file whose name says that this one follows it".to_owned()));

    // The page shows the same, and not each who looks at it counts who comes from where, where that takes long.
    let all = deltas(&w, &oli, &fifth).await;
    assert_eq!(w.fleet.releases().detail(&oli, &fifth).await.unwrap().deltas, all);
    w.fleet.releases().gaps.hold((w.org.clone(), fifth.clone()), Vec::new(), w.clock.now());
    let held = deltas(&w, &oli, &fifth).await;
    assert!(held.iter().all(|d| d.state != DeltaState::Unpaired) && held.len() < all.len(), "{held:?}");
    assert_eq!(w.fleet.releases().detail(&oli, &fifth).await.unwrap().deltas, held);
}
