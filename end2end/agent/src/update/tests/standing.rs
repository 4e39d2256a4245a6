//! How the slots stand, as the server is told: over an update that is well, and over one that isn't.

use super::*;
use wire::slots::SlotState::{Bad, Empty, Good, Running, Trying};

fn slot(name: &str, version: Option<&str>, state: SlotState) -> told::Slot {
    told::Slot { name: name.into(), version: version.map(str::to_owned), state }
}

fn stand(updates: &Updates) -> Vec<told::Slot> {
    updates.told_slots().unwrap().unwrap().into()
}

#[tokio::test]
async fn the_slots_are_told_before_the_restart_on_trial_and_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    let open = || Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys.clone()).unwrap();
    assert_eq!(stand(&open()), [slot("a", Some("1.0"), Running), slot("b", None, Empty)]);
    assert!(life(dir.path(), i64::MAX, &offer, &keys, true).await.unwrap());
    let updates = open();
    assert_eq!(stand(&updates), [slot("a", Some("1.0"), Running), slot("b", Some("2.0"), Good)], "installed");
    assert_eq!(updates.boot().unwrap(), Boot::Trial);
    assert_eq!(stand(&updates), [slot("a", Some("1.0"), Good), slot("b", Some("2.0"), Trying)]);
    let (clock, entropy) = (Manual::at(Timestamp(0)), Entropy::seeded(1));
    let means = means(&clock, &entropy);
    tokio::select! {
        ran = updates.run(Boot::Trial, &means, async {}) => panic!("{ran:?}"),
        () = settle() => {}
    }
    assert_eq!(stand(&updates), [slot("a", Some("1.0"), Good), slot("b", Some("2.0"), Running)]);
}

#[tokio::test]
async fn a_slot_that_was_tried_in_vain_is_bad() {
    let dir = tempfile::tempdir().unwrap();
    let (offer, keys) = signed(2);
    for _ in 0..2 {
        assert!(life(dir.path(), i64::MAX, &offer, &keys, false).await.unwrap());
    }
    let open = || Updates::open(Folder::open(dir.path()).unwrap(), facts(), keys.clone()).unwrap();
    assert_eq!(stand(&open()), [slot("a", Some("1.0"), Running), slot("b", Some("2.0"), Bad)]);
    // What is put there next is judged anew.
    let (next, keys) = signed(3);
    assert!(life(dir.path(), i64::MAX, &next, &keys, true).await.unwrap());
    assert_eq!(stand(&open()), [slot("a", Some("1.0"), Running), slot("b", Some("3.0"), Good)]);
}

#[test]
fn what_is_too_long_is_not_told() {
    let dir = tempfile::tempdir().unwrap();
    let facts = Facts { factory_version: "9".repeat(wire::slots::MAX_SLOT_VERSION + 1), ..facts() };
    let updates = Updates::open(Folder::open(dir.path()).unwrap(), facts, TrustedKeys::none()).unwrap();
    assert_eq!(updates.told_slots().unwrap(), None);
}
