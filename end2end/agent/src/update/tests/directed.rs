//! Offers that are for this device and for now (U-2), and firmware by as many keys as it takes (U-1), on the whole way.

use super::*;

/// What a start does with this offer, whose assignments come from the key of seed 7 for `gw-1`; returns what was reported and whether it restarts.
async fn directed(updates: &Updates, offer: &Offer, clock: &Manual, director: &Director) -> (Vec<(UpdateState, Option<String>)>, bool) {
    start(updates, offer, clock, director, settle).await
}

/// U-2, U-3: checked when it comes, before the download and before the installation.
#[tokio::test]
async fn a_41_an_assignment_that_ended_meanwhile_waits_to_be_renewed() {
    use assignment::tests::{assigned, director};
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    let me = director("gw-1", &[7]);
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys).unwrap();
    // It waits for a window that begins when its assignment is over.
    let window = Offer { install_from: Some(Timestamp(8 * 3_600_000)), ..offer.clone() };
    let clock = Manual::at(Timestamp(0));
    let (said, restarts) = directed(&updates, &assigned(&window, 7, |_| {}), &clock, &me).await;
    assert!(!restarts && said.last().map(|s| s.0) == Some(UpdateState::AwaitingWindow), "{said:?}");
    clock.set(Timestamp(9 * 3_600_000));
    let stale = Updates::open(Folder::open(dir.path()).unwrap(), facts(), signed(2).1).unwrap();
    assert_eq!(stale.boot().unwrap(), Boot::Normal);
    let (said, restarts) = directed(&stale, &assigned(&window, 7, |_| {}), &clock, &me).await;
    assert_eq!((said, restarts), (vec![], false), "nothing is done with what has ended, and what is under way is not given up");
    assert_eq!(stale.slots().seal(Slot::B).unwrap(), None);
    let renewed = assigned(&window, 7, |a| (a.counter, a.issued, a.expires) = (6, clock.now(), clock.now().plus(3_600_000)));
    let (said, restarts) = start(&stale, &renewed, &clock, &me, patience).await;
    assert!(restarts, "{said:?}");
}

#[tokio::test]
async fn u_2_what_is_for_another_device_or_another_day_touches_nothing() {
    use assignment::tests::{assigned, director};
    let clock = Manual::at(Timestamp(3_600_000));
    let (offer, _) = signed(2);
    let me = director("gw-1", &[7]);
    let refused = async |offer: &Offer| {
        let dir = tempfile::tempdir().unwrap();
        let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), signed(2).1).unwrap();
        let (said, restarts) = directed(&updates, offer, &clock, &me).await;
        assert!(!restarts && updates.slots().seal(Slot::B).unwrap().is_none());
        assert_eq!(updates.journal.lock().assigned(), None, "what was refused is not remembered");
        said.into_iter().map(|(state, code)| (state, code.unwrap_or_default())).collect::<Vec<_>>()
    };
    let rejected = |code: &str| vec![(UpdateState::Rejected, code.to_owned())];
    assert_eq!(refused(&assigned(&offer, 7, |a| a.device_id = "gw-2".parse().unwrap())).await, rejected("assignment_of_another"));
    assert_eq!(refused(&assigned(&offer, 7, |a| a.expires = Timestamp(1))).await, rejected("assignment_expired"));
    assert_eq!(
        refused(&Offer { assignment: assigned(&signed(3).0, 7, |_| {}).assignment, ..offer.clone() }).await,
        rejected("assignment_of_another")
    );
    assert_eq!(refused(&offer).await, rejected("assignment_missing"), "a server that has keys for it");
    assert_eq!(refused(&assigned(&offer, 8, |_| {})).await, vec![], "by a key that nobody has told of: it is not even answered");
}

#[tokio::test]
async fn u_2_no_start_forgets_that_there_were_assignments() {
    use assignment::tests::{assigned, director};
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    let open = || Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys.clone()).unwrap();
    let clock = Manual::at(Timestamp(0));
    let first = Offer { download_only: true, ..offer };
    let (said, _) = directed(&open(), &assigned(&first, 7, |_| {}), &clock, &director("gw-1", &[7])).await;
    assert_eq!(said.last().map(|s| s.0), Some(UpdateState::Downloaded));
    // The server, or whoever took its place, says nothing of assignments any more, not even in its bundle.
    let (said, restarts) = directed(&open(), &signed(3).0, &clock, &director("gw-1", &[])).await;
    assert_eq!((said.last().and_then(|s| s.1.as_deref()), restarts), (Some("assignment_missing"), false));
    // An older one that was recorded comes again.
    let third = signed(3).0;
    let (said, _) = directed(&open(), &assigned(&third, 7, |a| a.counter = 4), &clock, &director("gw-1", &[7])).await;
    assert_eq!(said.last().map(|s| s.0), None, "the end of that update was said before");
    let (said, _) = directed(&open(), &assigned(&signed(4).0, 7, |a| a.counter = 4), &clock, &director("gw-1", &[7])).await;
    assert_eq!(said.last().and_then(|s| s.1.as_deref()), Some("assignment_replayed"));
}

/// What a device with these keys ends with that is offered firmware signed by these, and a chain of key sets to fetch.
async fn followed(keys: TrustedKeys, by: &[u8], sets: Vec<Envelope>) -> (Option<u64>, String) {
    followed_at(Timestamp(0), keys, by, sets).await
}

async fn followed_at(now: Timestamp, keys: TrustedKeys, by: &[u8], sets: Vec<Envelope>) -> (Option<u64>, String) {
    let dir = tempfile::tempdir().unwrap();
    let (offer, _) = signed(2);
    let payload = BASE64.decode(&offer.envelope.payload).unwrap();
    let envelope = trust::tests::sign(PAYLOAD_TYPE, &payload, by);
    let offer = Offer { envelope, key_set: sets.len() as u64, ..offer };
    let answers = sets.iter().map(|set| sent(&serde_json::to_vec(set).unwrap())).collect();
    let (peer, _heard) = crate::peer::Peer::saying(answers).await;
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys).unwrap();
    let boot = updates.boot().unwrap();
    fs::write(updates.slots().payload(Slot::B, &offer.downloads[0].sha256), FIRMWARE).unwrap();
    updates.offered(&offer, &Director::default(), now).unwrap();
    let (clock, entropy) = (Manual::at(now), Entropy::seeded(1));
    let client = || Ok(peer.client());
    let means = Means { client: &client, ..means(&clock, &entropy) };
    let ended = async {
        let mut latest = updates.latest();
        latest.wait_for(|r| r.as_ref().is_some_and(|r| r.state.finished() || r.state == UpdateState::Rebooting)).await.unwrap();
    };
    tokio::select! {
        ran = updates.run(boot, &means, async {}) => ran.unwrap(),
        () = ended => {}
    }
    let last = updates.latest().borrow().clone().unwrap();
    let kept = trust::Trust::open(&Folder::open(dir.path()).unwrap(), updates.trust.lock().seed().clone()).unwrap().version();
    assert_eq!(kept, updates.trust.lock().version(), "what is believed is on disk");
    (kept, last.code.unwrap_or_else(|| last.state.to_string()))
}

/// U-1: roll-over by the chain, and a server that would like to lower what is asked for.
#[tokio::test]
async fn u_1_keys_are_followed_before_firmware_is_judged_and_a_threshold_is_not_talked_down() {
    use trust::tests::{seed, set};
    let ready = "rebooting".to_owned();
    assert_eq!(followed(seed(&[1], 1), &[1], vec![]).await, (None, ready.clone()));
    assert_eq!(followed(seed(&[1, 2], 2), &[1], vec![]).await, (None, "too_few_signatures".into()));
    assert_eq!(followed(seed(&[1, 2], 2), &[1, 2], vec![]).await, (None, ready.clone()));
    // From key 1 to 2 and 3, and on to 4.
    let chain = || vec![set(1, 2, &[1, 2, 3], &[1, 2]), set(2, 1, &[4], &[2, 3, 4])];
    assert_eq!(followed(seed(&[1], 1), &[4], chain()).await, (Some(2), ready.clone()));
    assert_eq!(followed(seed(&[1], 1), &[1], chain()).await, (Some(2), "unknown_signer".into()), "the old key is over");
    assert_eq!(followed(seed(&[4], 1), &[4], chain()).await, (Some(2), ready), "a device made with today's keys skips yesterday's sets");
    // The server has one of two keys and makes a set of its own.
    let lowered = vec![set(1, 2, &[1, 2], &[1, 2]), set(2, 1, &[1], &[1])];
    assert_eq!(followed(seed(&[1, 2], 2), &[1], lowered).await, (Some(1), "too_few_signatures".into()));
    // It leaves one out of the chain.
    let gap = vec![set(1, 2, &[1, 2], &[1, 2]), set(3, 1, &[1], &[1, 2])];
    assert_eq!(followed(seed(&[1, 2], 2), &[1], gap).await, (Some(1), "too_few_signatures".into()));
}

/// U-1, TUF 5.3: sets in between may have ended, the newest may not.
#[tokio::test]
async fn u_1_nothing_is_installed_by_a_key_set_that_has_ended_until_the_next_one_comes() {
    use trust::tests::{ending, seed, set};
    let over = || ending(1, 1, &[2], &[1, 2], Some(Timestamp(5)));
    assert_eq!(followed_at(Timestamp(4), seed(&[1], 1), &[2], vec![over()]).await, (Some(1), "rebooting".into()));
    assert_eq!(followed_at(Timestamp(5), seed(&[1], 1), &[2], vec![over()]).await, (Some(1), "key_set_expired".into()));
    let next = vec![over(), set(2, 1, &[3], &[2, 3])];
    assert_eq!(followed_at(Timestamp(5), seed(&[1], 1), &[3], next).await, (Some(2), "rebooting".into()));
}
