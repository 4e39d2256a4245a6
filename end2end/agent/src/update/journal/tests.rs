//! The device's memory, whatever happens in whatever order.

use super::*;
use proptest::prelude::*;
use wire::manifest::Envelope;

fn offer(n: u8) -> Offer {
    Offer::new(
        format!("upd_{n:032x}").parse().unwrap(),
        format!("rol_{n:032x}").parse().unwrap(),
        Envelope { payload_type: String::new(), payload: String::new(), signatures: vec![] },
        vec![],
        Timestamp(0),
    )
}

#[test]
fn an_offer_that_is_turned_down_ends_nothing_but_itself() {
    let mut journal = Journal::default();
    journal.offered(&offer(1));
    let refusal = || Refusal { state: UpdateState::Rejected, code: "assignment_expired", detail: "late".into() };
    journal.turned_down(&offer(1).update_id, refusal());
    assert_eq!((journal.report(), journal.under_way()), (None, Some(&offer(1).update_id)), "what goes on is not talked out of it");
    journal.turned_down(&offer(2).update_id, refusal());
    assert_eq!(journal.report().map(|r| (r.update_id.clone(), r.state)), Some((offer(2).update_id, UpdateState::Rejected)));
    assert_eq!(journal.under_way(), Some(&offer(1).update_id));
    journal.turned_down(&offer(2).update_id, refusal());
    assert_eq!(journal.reports.len(), 1);
}

#[test]
fn a_repeated_offer_renews_its_assignment_and_never_changes_what_it_is_about() {
    let mut journal = Journal::default();
    journal.offered(&offer(1));
    let envelope = Envelope { payload_type: "t".into(), payload: String::new(), signatures: vec![] };
    let renewed = Offer { assignment: Some(envelope.clone()), key_set: 2, ..offer(1) };
    assert_eq!(journal.offered(&renewed), Offered::Known);
    assert_eq!(journal.phase(), &Phase::Working { offer: Box::new(renewed.clone()) });
    let other = Offer { envelope: Envelope { payload: "eHg=".into(), ..envelope }, key_set: 9, ..offer(1) };
    assert_eq!(journal.offered(&other), Offered::Known);
    assert_eq!(journal.phase(), &Phase::Working { offer: Box::new(renewed) });
}

#[test]
fn an_offer_that_is_repeated_brings_the_times_of_the_next_window() {
    let mut journal = Journal::default();
    assert_eq!(journal.offered(&offer(1)), Offered::Begin);
    let next = Offer { install_from: Some(Timestamp(5)), install_until: Some(Timestamp(9)), deadline: Timestamp(20), ..offer(1) };
    assert_eq!(journal.offered(&next), Offered::Known);
    assert_eq!(journal.phase(), &Phase::Working { offer: Box::new(next) });
}

fn running(sequence: u64) -> Running {
    Running { sequence, ..Running::default() }
}

/// What an agent process may do, and what may happen to it.
#[derive(Debug, Clone, Copy)]
enum Event {
    Offer(u8),
    Cancel(u8),
    Switch,
    Link,
    Start,
    Confirm,
    Revert,
    Acknowledge,
    TakenBack,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    use Event as E;
    let one = prop_oneof![
        2 => (0u8..4).prop_map(E::Offer),
        1 => (0u8..4).prop_map(E::Cancel),
        2 => Just(E::Switch),
        2 => Just(E::Link),
        3 => Just(E::Start),
        1 => Just(E::Confirm),
        1 => Just(E::Revert),
        2 => Just(E::Acknowledge),
        1 => Just(E::TakenBack),
    ];
    prop::collection::vec(one, 0..80)
}

proptest! {
    /// The link is the device's real place; the journal has to be right about it whatever happens in whatever order.
    #[test]
    fn a_trial_starts_once_and_only_a_confirmation_raises_the_floor(events in events()) {
        let (mut journal, mut active, mut trial_starts, mut sequence) = (Journal::default(), Slot::A, 0, 1);
        for event in events {
            let floor = journal.floor;
            match event {
                Event::Offer(n) => {
                    let known = journal.ended.iter().any(|r| r.update_id == offer(n).update_id);
                    let answer = journal.offered(&offer(n));
                    prop_assert!(!known || answer == Offered::Known, "an ended update began again");
                }
                Event::Cancel(n) => { journal.cancel(&offer(n).update_id); }
                Event::Switch => { journal.switching(active); trial_starts = 0; }
                Event::Link => if let Phase::Trial { to, boots: 0, .. } = journal.phase { active = to },
                Event::Start => match journal.start(active) {
                    Start::Normal => prop_assert!(journal.fallback().is_none()),
                    Start::Prove => { trial_starts += 1; prop_assert_eq!(trial_starts, 1); }
                    Start::GoBack { to } => {
                        active = to;
                        journal.reverted("boot_failed", "", running(0));
                        prop_assert_eq!(journal.reports.back().unwrap().state, UpdateState::Reverted);
                    }
                },
                Event::Confirm => if matches!(journal.phase, Phase::Trial { boots: 1, .. }) {
                    sequence += 1;
                    journal.confirm(running(sequence));
                    prop_assert_eq!(journal.floor, sequence);
                    continue;
                },
                Event::Revert => if let Phase::Trial { from, boots: 1, .. } = journal.phase {
                    active = from;
                    journal.reverted("health_check_failed", "", running(0));
                },
                Event::Acknowledge => if let Some(report) = journal.report().cloned() { journal.acknowledged(&report, report.state) },
                Event::TakenBack => if let Some(report) = journal.report().cloned() {
                    journal.acknowledged(&report, UpdateState::Cancelled);
                },
            }
            prop_assert_eq!(journal.floor, floor);
            let again: Journal = serde_json::from_slice(&serde_json::to_vec(&journal).unwrap()).unwrap();
            prop_assert_eq!(&again, &journal);
            prop_assert!(journal.ended.len() <= REMEMBERED);
        }
    }
}

#[test]
fn reports_leave_in_order_and_only_the_newest_progress_waits() {
    let mut journal = Journal::default();
    let id = offer(1).update_id;
    assert_eq!(journal.offered(&offer(1)), Offered::Begin);
    journal.progress(&id, UpdateState::Downloading, Some(10));
    let sent = journal.report().unwrap().clone();
    journal.progress(&id, UpdateState::Downloading, Some(20));
    journal.progress(&id, UpdateState::Downloaded, None);
    journal.acknowledged(&sent, UpdateState::Downloading);
    assert_eq!(journal.report().unwrap().progress, Some(20), "the newer progress is still to be said");
    let sent = journal.report().unwrap().clone();
    journal.acknowledged(&sent, UpdateState::Downloading);
    assert_eq!(journal.report().unwrap().state, UpdateState::Downloaded);
    let sent = journal.report().unwrap().clone();
    journal.acknowledged(&sent, UpdateState::TimedOut);
    assert_eq!((journal.report(), journal.phase()), (None, &Phase::Idle), "the server gave up on it");
}

#[test]
fn what_deltas_saved_is_said_with_the_success_and_not_with_the_next() {
    let mut journal = Journal::default();
    for n in [1, 2] {
        journal.offered(&offer(n));
        if n == 1 {
            journal.shortened(1_230_000, 40_000_000);
            journal.shortened(1_999, 2_000_000);
        }
        journal.switching(Slot::A);
        journal = serde_json::from_slice(&serde_json::to_vec(&journal).unwrap()).unwrap();
        journal.start(Slot::B);
        journal.confirm(running(u64::from(n)));
        let said = journal.latest().unwrap().detail.clone();
        assert_eq!(said.as_deref(), (n == 1).then_some("by delta: 1.2 MB instead of 42.0 MB"));
    }
}

#[test]
fn small_deltas_are_told_in_bytes() {
    let mut journal = Journal::default();
    journal.offered(&offer(1));
    journal.shortened(53, 300_000);
    journal.switching(Slot::A);
    journal.start(Slot::B);
    journal.confirm(running(1));
    assert_eq!(journal.latest().unwrap().detail.as_deref(), Some("by delta: 53 B instead of 300.0 KB"));
    assert_eq!([0, 999, 1000, 999_999, 1_000_000].map(size), ["0 B", "999 B", "1.0 KB", "999.9 KB", "1.0 MB"]);
}

#[test]
fn an_offer_that_crossed_its_answer_is_answered_again() {
    let mut journal = Journal::default();
    journal.offered(&offer(1));
    journal.finish(offer(1).update_id, UpdateState::Failed, Some("x"), None);
    let sent = journal.report().unwrap().clone();
    journal.acknowledged(&sent, UpdateState::Failed);
    assert_eq!(journal.report(), None);
    assert_eq!(journal.offered(&offer(1)), Offered::Known);
    assert_eq!(journal.report(), Some(&sent));
}
