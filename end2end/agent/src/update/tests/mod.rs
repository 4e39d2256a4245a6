//! Whole updates on a machine whose power goes after any change to its disk, as often as it likes.

mod deltas;
mod directed;
mod early;
mod standing;

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
    let sha256 = digest_of_bytes(FIRMWARE);
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

/// What a start has whose server is silent, on a machine that is well.
fn means<'a>(clock: &'a Manual, entropy: &'a Entropy) -> Means<'a> {
    Means {
        client: &|| Err(http::Error::Silent),
        director: &Director::default,
        platform: &Machine { healthy: true },
        clock,
        entropy,
        carrier: Carrier::always(),
        rate: Rate::Unlimited,
        confirm_within: Duration::from_secs(5),
    }
}

/// What a server answers.
fn sent(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn digest_of_bytes(bytes: &[u8]) -> wire::ids::Digest {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    finish(context)
}

/// Lets whatever can happen happen.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// For what ends by itself, however busy the machine is.
async fn patience() {
    tokio::time::sleep(Duration::from_secs(20)).await;
}

/// Runs one start that is offered this, with the payload there, and `then` beside it; returns what was reported, with its code, and whether it asked
/// for a restart.
async fn start<F: Future<Output = ()>>(
    updates: &Updates,
    offer: &Offer,
    clock: &Manual,
    director: &Director,
    then: impl FnOnce() -> F,
) -> (Vec<(UpdateState, Option<String>)>, bool) {
    let boot = updates.boot().unwrap();
    fs::write(updates.slots().payload(Slot::B, &offer.downloads[0].sha256), FIRMWARE).unwrap();
    updates.offered(offer, director, clock.now()).unwrap();
    let (entropy, directed) = (Entropy::seeded(1), || director.clone());
    let means = Means { director: &directed, ..means(clock, &entropy) };
    let said = Mutex::new(Vec::new());
    let server = async {
        loop {
            if let Some(report) = updates.report() {
                said.lock().push((report.state, report.code.clone()));
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
    let (clock, entropy, machine) = (Manual::at(Timestamp(0)), Entropy::seeded(1), Machine { healthy });
    let means = Means { platform: &machine, ..means(&clock, &entropy) };
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_row_of_power_cuts_ends_whole(powers in prop::collection::vec(0i64..30, 0..8), healthy: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (running, floor) = runtime.block_on(story(&powers, healthy));
        prop_assert!([(0, 0), (2, 2)].contains(&(running.sequence, floor)));
    }
}
