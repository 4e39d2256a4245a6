//! Whole updates on a machine whose power goes after any change to its disk, as often as it likes.

mod directed;

use super::*;
use crate::{
    clock::{Clock as _, Manual},
    device::Carrier,
    entropy::Entropy,
    http,
    platform::Platform,
    slots::{Slot, digest_of, finish},
};
use aws_lc_rs::{
    digest::{Context, SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use fetch::Rate;
use futures::future::BoxFuture;
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use wire::{
    Timestamp,
    device::{Delta, Download},
    manifest::{Envelope, Manifest, PAYLOAD_TYPE, Payload, SCHEMA, Signature, pre_authentication},
};

const FIRMWARE: &[u8] = b"the new firmware";

/// A machine that is as well as it is told to be.
struct Machine {
    healthy: bool,
}

impl Platform for Machine {
    fn install<'a>(&'a self, _: &'a Path, _: &'a [PathBuf]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn healthy<'a>(&'a self, _: &'a Path) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { if self.healthy { Ok(()) } else { Err("it smokes".into()) } })
    }
}

fn facts() -> Facts {
    Facts { device_type: "gw".into(), hardware: "A".into(), factory_version: "1.0".into() }
}

fn signed(sequence: u64) -> (Offer, TrustedKeys) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let mut keys = TrustedKeys::none();
    keys.add(pair.public_key().as_ref().try_into().unwrap());
    let mut context = Context::new(&SHA256);
    context.update(FIRMWARE);
    let sha256 = finish(context);
    let manifest = Manifest {
        schema: SCHEMA,
        device_type: "gw".into(),
        hardware: vec![],
        version: format!("{sequence}.0"),
        sequence,
        min_sequence: 0,
        payloads: vec![Payload { name: "fw".into(), size: FIRMWARE.len() as u64, sha256: sha256.clone(), format: "raw".into() }],
        created: Timestamp(0),
        expires: None,
        notes: String::new(),
    };
    let payload = serde_json::to_vec(&manifest).unwrap();
    let sig = pair.sign(&pre_authentication(PAYLOAD_TYPE, &payload));
    let keyid = hex::encode(digest(&SHA256, pair.public_key().as_ref()));
    let envelope = Envelope {
        payload_type: PAYLOAD_TYPE.into(),
        payload: BASE64.encode(payload),
        signatures: vec![Signature { keyid, sig: BASE64.encode(sig.as_ref()) }],
    };
    let offer = Offer::new(
        format!("upd_{sequence:032x}").parse().unwrap(),
        format!("rol_{:032x}", 1).parse().unwrap(),
        envelope,
        vec![Download { sha256, size: FIRMWARE.len() as u64, path: "/x".into(), delta: None }],
        Timestamp(i64::MAX),
    );
    (offer, keys)
}

/// One start of the agent: boots, takes the offer, works until it would restart, breaks down or has nothing to do. The bytes have been
/// downloaded before, so that only the disk matters. Returns whether it asked for a restart.
async fn life(dir: &Path, power: i64, offer: &Offer, keys: &TrustedKeys, healthy: bool) -> Result<bool, Error> {
    let folder = Folder::open(dir).unwrap().with_power_for(power);
    let updates = Updates::open(folder, facts(), keys.clone())?;
    let boot = updates.boot()?;
    if boot == Boot::WentBack {
        return Ok(true);
    }
    let other = updates.slots().active()?.other();
    if boot == Boot::Normal {
        fs::write(updates.slots().payload(other, &offer.downloads[0].sha256), FIRMWARE).unwrap();
        updates.offered(offer, &Director::default(), Timestamp(0))?;
    }
    let (clock, entropy) = (Manual::at(Timestamp(0)), Entropy::seeded(1));
    let means = Means {
        client: &|| Err(http::Error::Silent),
        director: &Director::default,
        platform: &Machine { healthy },
        clock: clock.as_ref(),
        entropy: &entropy,
        carrier: Carrier::always(),
        rate: Rate::Unlimited,
        confirm_within: Duration::from_secs(5),
    };
    let all_said = async {
        loop {
            server_round(&updates).await?;
            if updates.journal.lock().under_way().is_none() && updates.report().is_none() {
                return Ok::<_, Error>(());
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        ran = updates.run(boot, &means, async {}) => ran.map(|()| true),
        said = all_said => said.map(|()| false),
    }
}

/// The server acknowledges what there is.
async fn server_round(updates: &Updates) -> Result<(), Error> {
    while let Some(report) = updates.report() {
        updates.acknowledged(&report, report.state)?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// What must hold whenever the machine is looked at.
fn check(dir: &Path, keys: &TrustedKeys) -> Running {
    let updates = Updates::open(Folder::open(dir).unwrap(), facts(), keys.clone()).unwrap();
    let active = updates.slots().active().unwrap();
    let seal = updates.slots().seal(active).unwrap().expect("what runs was verified");
    for payload in &seal.payloads {
        assert_eq!(digest_of(&updates.slots().payload(active, &payload.sha256)).unwrap(), payload.sha256);
    }
    let running = updates.running().unwrap();
    assert!(updates.floor() <= running.sequence || updates.journal.lock().fallback().is_some());
    running
}

async fn story(powers: &[i64], healthy: bool) -> (Running, u64) {
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    for power in powers {
        // A life that broke down is a machine without power; the next one begins like any other.
        let _ = life(dir.path(), *power, &offer, &keys, healthy).await;
        check(dir.path(), &keys);
    }
    let mut restarts = 0;
    while life(dir.path(), i64::MAX, &offer, &keys, healthy).await.unwrap() {
        check(dir.path(), &keys);
        restarts += 1;
        assert!(restarts < 5, "it restarts for ever");
    }
    let floor = Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys.clone()).unwrap().floor();
    (check(dir.path(), &keys), floor)
}

#[tokio::test]
async fn an_update_ends_in_the_new_slot_and_raises_the_floor() {
    let (running, floor) = story(&[], true).await;
    assert_eq!((running.version.as_str(), running.sequence, floor), ("2.0", 2, 2));
}

#[tokio::test]
async fn an_unhealthy_update_ends_where_it_began() {
    let (running, floor) = story(&[], false).await;
    assert_eq!((running.version.as_str(), running.sequence, floor), ("1.0", 0, 0));
}

#[tokio::test]
async fn power_cut_at_each_step_in_turn_always_boots_something_verified() {
    for healthy in [true, false] {
        for power in 0..40 {
            let (running, floor) = story(&[power], healthy).await;
            // It got there, or a trial was cut short and counts as failed: both are whole.
            assert!([(0, 0), (2, 2)].contains(&(running.sequence, floor)), "{power}: {running:?}, floor {floor}");
            assert!(healthy || running.sequence == 0);
        }
    }
}

#[tokio::test]
async fn a_trial_that_dies_is_reverted_at_the_next_start_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    assert!(life(dir.path(), i64::MAX, &offer, &keys, true).await.unwrap());
    let open = || Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys.clone()).unwrap();
    // Killed between its start and the proof.
    assert_eq!(open().boot().unwrap(), Boot::Trial);
    let updates = open();
    assert_eq!(updates.running().unwrap().version, "2.0");
    assert_eq!(updates.boot().unwrap(), Boot::WentBack);
    assert_eq!((updates.slots().active().unwrap(), updates.floor()), (Slot::A, 0));
    let reports: Vec<_> = std::iter::from_fn(|| {
        let report = updates.report()?;
        updates.acknowledged(&report, report.state).unwrap();
        Some((report.state, report.code))
    })
    .collect();
    assert_eq!(reports.last(), Some(&(UpdateState::Reverted, Some("boot_failed".to_owned()))));
    assert_eq!(open().boot().unwrap(), Boot::Normal);
}

#[tokio::test]
async fn an_update_that_needs_somebody_waits_for_their_word() {
    use consent::Word;
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    let offer = Offer { needs_confirmation: true, ..offer };
    let live = || tokio::time::timeout(Duration::from_secs(1), life(dir.path(), i64::MAX, &offer, &keys, true));
    let folder = Folder::open(dir.path()).unwrap();
    let open = || Updates::open(folder.clone(), facts(), keys.clone()).unwrap();
    assert!(live().await.is_err(), "nobody has answered");
    let stranger: UpdateId = format!("upd_{:032x}", 99).parse().unwrap();
    Word::Yes.keep(&stranger, &folder).unwrap();
    assert!(live().await.is_err(), "that was about another update");
    Word::Later(Timestamp(1000)).keep(&offer.update_id, &folder).unwrap();
    assert!(live().await.is_err(), "it was put off");
    assert!(open().working_on(&offer.update_id));
    assert_eq!(open().slots().seal(Slot::B).unwrap(), None);
    Word::Yes.keep(&offer.update_id, &folder).unwrap();
    assert!(live().await.unwrap().unwrap(), "it restarts into the new slot");

    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    Word::No.keep(&offer.update_id, &folder).unwrap();
    assert!(!life(dir.path(), i64::MAX, &offer, &keys, true).await.unwrap());
    let last = Updates::open(folder, facts(), keys.clone()).unwrap().latest().borrow().clone().unwrap();
    assert_eq!((last.state, last.code.as_deref()), (UpdateState::Rejected, Some("denied_at_device")));
}

#[tokio::test]
async fn a_39_what_is_not_admitted_changes_nothing_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (offer, _) = signed(2);
    assert!(!life(dir.path(), i64::MAX, &offer, &TrustedKeys::none(), true).await.unwrap());
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), TrustedKeys::none()).unwrap();
    let last = updates.latest().borrow().clone().unwrap();
    assert_eq!((last.state, last.code.as_deref()), (UpdateState::Rejected, Some("no_trusted_key")));
    assert_eq!(updates.slots().seal(Slot::B).unwrap(), None);
}

fn digest_of_bytes(bytes: &[u8]) -> wire::ids::Digest {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    finish(context)
}

/// What a device asks for that has `base` in its active slot under the digest of the right one, and is answered like this. Whatever the delta
/// is, the firmware is there at the end.
async fn asked(base: Option<&[u8]>, told: &[u8], answers: Vec<Vec<u8>>) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let (mut offer, keys) = signed(2);
    let base_sha256 = digest_of_bytes(&old());
    let delta = Delta { path: "/delta".into(), sha256: digest_of_bytes(told), size: told.len() as u64, base_sha256: base_sha256.clone() };
    let payload = Payload { name: "fw".into(), size: new().len() as u64, sha256: digest_of_bytes(&new()), format: "raw".into() };
    offer.downloads = vec![Download { sha256: payload.sha256.clone(), size: payload.size, path: "/whole".into(), delta: Some(delta) }];
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys).unwrap();
    if let Some(base) = base {
        fs::write(updates.slots().payload(Slot::A, &base_sha256), base).unwrap();
    }
    let (peer, mut heard) = crate::peer::Peer::saying(answers).await;
    let (clock, entropy) = (Manual::at(Timestamp(0)), Entropy::seeded(1));
    let client = || Ok(peer.client());
    let means = Means {
        client: &client,
        director: &Director::default,
        platform: &Machine { healthy: true },
        clock: clock.as_ref(),
        entropy: &entropy,
        carrier: Carrier::always(),
        rate: Rate::Unlimited,
        confirm_within: Duration::from_secs(5),
    };
    updates.payload(&offer, &payload, Slot::B, &means, |_| {}).await.unwrap();
    let part = updates.slots().part(Slot::B, &payload.sha256);
    assert_eq!(fs::read(part).unwrap(), new());
    assert_eq!(fs::read_dir(updates.slots().path(Slot::B)).unwrap().count(), 1, "nothing else stays");
    let line = |request: String| request.lines().next().unwrap().split(' ').nth(1).unwrap().to_owned();
    std::iter::from_fn(|| heard.try_recv().ok()).map(line).collect()
}

/// What runs: nothing that is short in itself.
fn old() -> Vec<u8> {
    (0..7_500u32).flat_map(|n| n.wrapping_mul(2_246_822_519).to_le_bytes()).collect()
}

fn new() -> Vec<u8> {
    [old(), (0..2_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<_>>()].concat()
}

fn told(base: &[u8], target: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), 3, base).unwrap();
    encoder.write_all(target).unwrap();
    encoder.finish().unwrap()
}

fn sent(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[tokio::test]
async fn a_delta_is_enough_where_the_old_file_is() {
    let told = told(&old(), &new());
    assert_eq!(asked(Some(&old()), &told, vec![sent(&told)]).await, ["/delta"]);
    // Cut in the middle it goes on.
    let rest = format!("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 100-{}/{}\r\n", told.len() - 1, told.len());
    let rest = [format!("{rest}content-length: {}\r\n\r\n", told.len() - 100).as_bytes(), &told[100..]].concat();
    let cut = sent(&told)[..sent(&told).len() - told.len() + 100].to_vec();
    assert_eq!(asked(Some(&old()), &told, vec![cut, rest]).await, ["/delta", "/delta"]);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_delta_the_whole_file_is_fetched() {
    let good = told(&old(), &new());
    let whole = sent(&new());
    let mut broken = good.clone();
    broken[good.len() / 2] ^= 0x40;
    let both = ["/delta", "/whole"];
    assert_eq!(asked(None, &good, vec![whole.clone()]).await, ["/whole"], "without the old file it is not even fetched");
    assert_eq!(asked(Some(&vec![6; 30_000]), &good, vec![sent(&good), whole.clone()]).await, both, "another file under the old one's name");
    assert_eq!(asked(Some(&old()), &broken, vec![sent(&broken), whole.clone()]).await, both, "broken where it was made");
    assert_eq!(asked(Some(&old()), &good, vec![sent(&broken), whole.clone()]).await, both, "broken on its way");
    let other = told(&old(), b"something else");
    assert_eq!(asked(Some(&old()), &other, vec![sent(&other), whole.clone()]).await, both, "a delta to something else");
    let gone = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
    assert_eq!(asked(Some(&old()), &good, vec![gone, whole.clone()]).await, both);
    let busy = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
    assert_eq!(asked(Some(&old()), &good, vec![busy, whole]).await, both, "the whole file does not wait for it");
}

/// Runs one start, with the payload there, and `then` beside it; returns what was reported, and whether it asked for a restart.
async fn beside<F: Future<Output = ()>>(
    updates: &Updates,
    offer: &Offer,
    clock: &Manual,
    then: impl FnOnce() -> F,
) -> (Vec<UpdateState>, bool) {
    let boot = updates.boot().unwrap();
    fs::write(updates.slots().payload(Slot::B, &offer.downloads[0].sha256), FIRMWARE).unwrap();
    updates.offered(offer, &Director::default(), Timestamp(0)).unwrap();
    let entropy = Entropy::seeded(1);
    let means = Means {
        client: &|| Err(http::Error::Silent),
        director: &Director::default,
        platform: &Machine { healthy: true },
        clock,
        entropy: &entropy,
        carrier: Carrier::always(),
        rate: Rate::Unlimited,
        confirm_within: Duration::from_secs(5),
    };
    let said = Mutex::new(Vec::new());
    let server = async {
        loop {
            if let Some(report) = updates.report() {
                said.lock().push(report.state);
                updates.acknowledged(&report, report.state).unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let restarts = tokio::select! {
        ran = updates.run(boot, &means, async {}) => { ran.unwrap(); true }
        () = server => false,
        () = then() => false,
    };
    (said.into_inner(), restarts)
}

/// Lets whatever can happen happen.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn what_is_fetched_early_waits_for_its_window_and_for_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    let at = |from, until| Offer { install_from: Some(Timestamp(from)), install_until: Some(Timestamp(until)), ..offer.clone() };
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys).unwrap();
    let clock = Manual::at(Timestamp(0));
    let (said, restarts) = beside(&updates, &at(1000, 1500), &clock, || async {
        settle().await;
        assert_eq!(updates.slots().seal(Slot::B).unwrap(), None, "it waits");
        // It was asleep for the whole window.
        clock.set(Timestamp(2000));
        updates.offered(&at(3000, 4000), &Director::default(), Timestamp(2000)).unwrap();
        settle().await;
        assert_eq!(updates.slots().seal(Slot::B).unwrap(), None, "nothing is installed outside a window");
        clock.set(Timestamp(3000));
        updates.offered(&at(3000, 5000), &Director::default(), Timestamp(3000)).unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    assert!(restarts, "{said:?}");
    let known = [UpdateState::Downloading, UpdateState::Downloaded, UpdateState::AwaitingWindow, UpdateState::Installing];
    assert!(said.ends_with(&known) || said.starts_with(&known), "{said:?}");
}

#[tokio::test]
async fn what_is_only_fetched_is_not_installed() {
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys).unwrap();
    let fetched = Offer { download_only: true, ..offer };
    let (said, restarts) = beside(&updates, &fetched, &Manual::at(Timestamp(0)), settle).await;
    assert!(!restarts && said.last() == Some(&UpdateState::Downloaded), "{said:?}");
    assert_eq!((updates.slots().seal(Slot::B).unwrap(), updates.journal.lock().under_way()), (None, None));
    // The server has it that way, and then the other one.
    let report = StatusReport { state: UpdateState::Downloaded, ..updates.latest().borrow().clone().unwrap() };
    let file = updates.slots().payload(Slot::B, &fetched.downloads[0].sha256);
    for (held, stays) in [(UpdateState::Succeeded, true), (UpdateState::Failed, false)] {
        updates.acknowledged(&report, held).unwrap();
        assert_eq!(file.exists(), stays, "{held}");
    }
    assert_eq!(updates.slots().active().unwrap(), Slot::A);
    assert!(updates.slots().seal(Slot::A).unwrap().is_some(), "what runs is not touched");
}

#[test]
fn the_file_of_an_update_that_was_to_be_installed_stays_when_the_server_gives_it_up() {
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys).unwrap();
    updates.offered(&offer, &Director::default(), Timestamp(0)).unwrap();
    updates.change(|journal| journal.progress(&offer.update_id, UpdateState::Downloaded, None)).unwrap();
    let report = updates.report().unwrap();
    updates.change(|journal| journal.finish(offer.update_id.clone(), UpdateState::Failed, Some("install_failed"), None)).unwrap();
    let file = updates.slots().payload(Slot::B, &offer.downloads[0].sha256);
    fs::write(&file, FIRMWARE).unwrap();
    updates.acknowledged(&report, UpdateState::Failed).unwrap();
    assert!(file.exists(), "the next attempt need not fetch it");
}

#[test]
fn an_offer_is_not_taken_amid_the_clearing_of_what_was_fetched_before() {
    const FILES: usize = 400;
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys).unwrap();
    let fetched = Offer { download_only: true, ..offer };
    updates.offered(&fetched, &Director::default(), Timestamp(0)).unwrap();
    updates.change(|journal| journal.finish(fetched.update_id.clone(), UpdateState::Downloaded, None, None)).unwrap();
    let report = updates.report().unwrap();
    let slot = updates.slots().path(Slot::B);
    for n in 0..FILES {
        fs::write(slot.join(format!("{n}.part")), FIRMWARE).unwrap();
    }
    let left = || fs::read_dir(slot).unwrap().count();
    std::thread::scope(|scope| {
        let clears = scope.spawn(|| updates.acknowledged(&report, UpdateState::Failed));
        while left() == FILES {
            std::thread::yield_now();
        }
        updates.offered(&signed(3).0, &Director::default(), Timestamp(0)).unwrap();
        assert_eq!(left(), 0, "what is fetched for it from here on stays");
        clears.join().unwrap().unwrap();
    });
    assert_eq!(updates.journal.lock().under_way(), Some(&signed(3).0.update_id));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_row_of_power_cuts_ends_whole(powers in prop::collection::vec(0i64..30, 0..8), healthy: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (running, floor) = runtime.block_on(story(&powers, healthy));
        prop_assert!([(0, 0), (2, 2)].contains(&(running.sequence, floor)));
    }
}
