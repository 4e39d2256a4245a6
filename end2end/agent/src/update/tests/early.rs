//! What is fetched before it may be installed: for a window, for its own sake, and what becomes of it.

use super::*;

#[tokio::test]
async fn what_is_fetched_early_waits_for_its_window_and_for_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    let at = |from, until| Offer { install_from: Some(Timestamp(from)), install_until: Some(Timestamp(until)), ..offer.clone() };
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys).unwrap();
    let clock = Manual::at(Timestamp(0));
    let (said, restarts) = start(&updates, &at(1000, 1500), &clock, &Director::default(), || async {
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
    let said: Vec<_> = said.into_iter().map(|(state, _)| state).collect();
    let known = [UpdateState::Downloading, UpdateState::Downloaded, UpdateState::AwaitingWindow, UpdateState::Installing];
    assert!(said.ends_with(&known) || said.starts_with(&known), "{said:?}");
}

#[tokio::test]
async fn what_is_only_fetched_is_not_installed() {
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys).unwrap();
    let fetched = Offer { download_only: true, ..offer };
    let (said, restarts) = start(&updates, &fetched, &Manual::at(Timestamp(0)), &Director::default(), settle).await;
    assert!(!restarts && said.last().map(|s| s.0) == Some(UpdateState::Downloaded), "{said:?}");
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
