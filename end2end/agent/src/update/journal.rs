//! Pure: the device's memory of its updates and what may happen next.
//!
//! One value that is written to disk as a whole after every change, so that the phase of the update, the sequence floor, what runs and what
//! the server has still to be told never disagree. The picture:
//!
//! ```text
//! idle ──offered──▶ working ──switching──▶ trial(boots 0) ──boot──▶ trial(1) ──confirm──▶ idle, floor raised
//!   ▲                 │                        │                       │
//!   └──finish─────────┘◀───not switched────────┘                       └──revert──▶ idle, the old slot, `reverted`
//! ```

use super::{assignment::Seen, rules::Refusal};
use crate::slots::Slot;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use wire::{
    Timestamp,
    device::{Offer, Running, StatusReport},
    ids::UpdateId,
    states::UpdateState,
};

/// How many ended updates are remembered, so that an offer that crossed its answer is answered again and not installed again.
const REMEMBERED: usize = 16;

/// Where the device is with its update.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// No update.
    #[default]
    Idle,
    /// Downloading or installing into the slot that does not run; nothing is at stake, it may be taken back.
    Working {
        /// What was offered.
        offer: Box<Offer>,
    },
    /// The other slot is being made current, or runs on trial.
    Trial {
        /// What was offered.
        offer: Box<Offer>,
        /// The slot to go back to.
        from: Slot,
        /// The slot on trial.
        to: Slot,
        /// How often it was started.
        boots: u32,
    },
}

/// What to do at a start of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Go on.
    Normal,
    /// The slot on trial runs for the first time: prove its health, then confirm or revert.
    Prove,
    /// The slot on trial was started before and never confirmed: make this slot current, note the reverting, restart.
    GoBack {
        /// The slot that ran before.
        to: Slot,
    },
}

/// What an offer means to this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// News: begin.
    Begin,
    /// Known: under way, or its end was reported and is reported again.
    Known,
    /// A trial is under way; the server will offer it again.
    Busy,
    /// It is not for this device, or not for now; why stands in the report.
    Refused(&'static str),
    /// It can't be judged yet; the server will offer it again.
    Later(&'static str),
}

/// The memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    /// The highest sequence that was ever confirmed; nothing below it is installed again.
    #[serde(default)]
    pub floor: u64,
    /// The newest assignment that was taken; once there is one, there is no offer without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assigned: Option<Seen>,
    #[serde(flatten)]
    phase: Phase,
    /// Bytes of deltas that were downloaded for the update under way, and of the files that they made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shorter: Option<(u64, u64)>,
    #[serde(default)]
    reports: VecDeque<StatusReport>,
    #[serde(default)]
    ended: VecDeque<StatusReport>,
}

impl Journal {
    /// Where the device is.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The update that is under way.
    pub fn under_way(&self) -> Option<&UpdateId> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Working { offer } | Phase::Trial { offer, .. } => Some(&offer.update_id),
        }
    }

    /// The oldest report that the server has not acknowledged.
    pub fn report(&self) -> Option<&StatusReport> {
        self.reports.front()
    }

    /// The newest report that was made, acknowledged or not.
    pub fn latest(&self) -> Option<&StatusReport> {
        self.reports.back().or(self.ended.back())
    }

    /// The newest assignment that was taken.
    pub fn assigned(&self) -> Option<&Seen> {
        self.assigned.as_ref()
    }

    /// An offer whose assignment is right.
    pub fn assigned_by(&mut self, seen: Option<Seen>) {
        self.assigned = seen.or_else(|| self.assigned.take());
    }

    /// An offer whose assignment is not right: the server hears why, and whatever is under way goes on.
    pub fn turned_down(&mut self, update_id: &UpdateId, refusal: Refusal) {
        if self.under_way() == Some(update_id) || self.ended.iter().any(|r| r.update_id == *update_id) {
            return;
        }
        let (code, detail) = (Some(refusal.code.to_owned()), Some(refusal.detail));
        self.end(StatusReport { code, detail, ..says(update_id.clone(), refusal.state) });
    }

    /// The server offers an update.
    pub fn offered(&mut self, offer: &Offer) -> Offered {
        if let Some(end) = self.ended.iter().find(|r| r.update_id == offer.update_id).cloned() {
            if !self.reports.contains(&end) {
                self.reports.push_back(end);
            }
            return Offered::Known;
        }
        match &mut self.phase {
            // The same with other times, a newer assignment or more signatures. What it is about stays.
            Phase::Working { offer: old } if old.update_id == offer.update_id => {
                if old.envelope.payload != offer.envelope.payload {
                    return Offered::Known;
                }
                old.envelope.clone_from(&offer.envelope);
                (old.assignment, old.key_set) = (offer.assignment.clone(), offer.key_set);
                (old.install_from, old.install_until, old.deadline) = (offer.install_from, offer.install_until, offer.deadline);
                return Offered::Known;
            }
            Phase::Trial { offer: old, .. } if old.update_id == offer.update_id => return Offered::Known,
            Phase::Trial { .. } => return Offered::Busy,
            Phase::Working { offer: old } => {
                let old = old.update_id.clone();
                self.finish(old, UpdateState::Superseded, Some("superseded"), Some("another update was offered".into()));
            }
            Phase::Idle => {}
        }
        self.phase = Phase::Working { offer: Box::new(offer.clone()) };
        self.shorter = None;
        Offered::Begin
    }

    /// The update under way is at `state`. A report of the same state that still waits is replaced: only the newest progress matters.
    pub fn progress(&mut self, update_id: &UpdateId, state: UpdateState, percent: Option<u8>) {
        self.push(StatusReport { progress: percent, ..says(update_id.clone(), state) });
    }

    /// The update waits for somebody at the device, who may have put it off until then.
    pub fn waits_for_person(&mut self, update_id: &UpdateId, until: Option<Timestamp>) {
        self.push(StatusReport { deferred_until: until, ..says(update_id.clone(), UpdateState::AwaitingConfirmation) });
    }

    /// A delta of `got` bytes took the place of a file; said when the update has succeeded.
    pub fn shortened(&mut self, got: u64, file: u64) {
        let (deltas, files) = self.shorter.get_or_insert_default();
        (*deltas, *files) = (deltas.saturating_add(got), files.saturating_add(file));
    }

    /// The update ended here, before anything was at stake.
    pub fn finish(&mut self, update_id: UpdateId, state: UpdateState, code: Option<&str>, detail: Option<String>) {
        self.phase = Phase::Idle;
        let detail = detail.map(|d| d.chars().take(1000).collect());
        self.end(StatusReport { code: code.map(str::to_owned), detail, ..says(update_id, state) });
    }

    /// The device refuses the update.
    pub fn refuse(&mut self, update_id: UpdateId, refusal: Refusal) {
        self.finish(update_id, refusal.state, Some(refusal.code), Some(refusal.detail));
    }

    /// The server takes an update back. True where that stops something; a trial runs to its end.
    pub fn cancel(&mut self, update_id: &UpdateId) -> bool {
        let working = matches!(&self.phase, Phase::Working { offer } if offer.update_id == *update_id);
        if working {
            self.finish(update_id.clone(), UpdateState::Cancelled, None, None);
        }
        working
    }

    /// The other slot is sealed and will be made current next. Must be on disk before the link moves.
    pub fn switching(&mut self, from: Slot) {
        let Phase::Working { offer } = std::mem::take(&mut self.phase) else { return };
        let update_id = offer.update_id.clone();
        self.phase = Phase::Trial { offer, from, to: from.other(), boots: 0 };
        self.progress(&update_id, UpdateState::Rebooting, None);
    }

    /// The agent starts and `active` is current. Must be on disk before anything else happens.
    ///
    /// A trial gets exactly one start: whatever runs after it without a confirmation is the old slot.
    pub fn start(&mut self, active: Slot) -> Start {
        let Phase::Trial { offer, from, to, boots } = &mut self.phase else { return Start::Normal };
        if *boots > 0 {
            return Start::GoBack { to: *from };
        }
        let update_id = offer.update_id.clone();
        if active != *to {
            // The power went between this note and the link: the new slot never ran, so the work goes on where it was.
            self.phase = Phase::Working { offer: offer.clone() };
            return Start::Normal;
        }
        *boots += 1;
        self.progress(&update_id, UpdateState::Verifying, None);
        Start::Prove
    }

    /// The slot to go back to while a trial is under way.
    pub fn fallback(&self) -> Option<Slot> {
        match &self.phase {
            Phase::Trial { from, .. } => Some(*from),
            _ => None,
        }
    }

    /// The slot on trial is healthy: only now the floor rises (pki.md U-3).
    pub fn confirm(&mut self, firmware: Running) {
        let Phase::Trial { offer, .. } = &self.phase else { return };
        let update_id = offer.update_id.clone();
        self.phase = Phase::Idle;
        self.floor = self.floor.max(firmware.sequence);
        let detail = self.shorter.take().map(|(got, files)| format!("by delta: {} instead of {}", size(got), size(files)));
        self.end(StatusReport { detail, firmware: Some(firmware), ..says(update_id, UpdateState::Succeeded) });
    }

    /// The old slot is current again.
    pub fn reverted(&mut self, code: &str, detail: &str, firmware: Running) {
        let Phase::Trial { offer, .. } = &self.phase else { return };
        let update_id = offer.update_id.clone();
        self.phase = Phase::Idle;
        let (code, detail) = (Some(code.to_owned()), Some(detail.chars().take(1000).collect()));
        self.end(StatusReport { code, detail, firmware: Some(firmware), ..says(update_id, UpdateState::Reverted) });
    }

    /// The server has recorded `sent` and holds the update at `state`. Where it counts the update as ended, nothing more is said about it, and
    /// what is under way stops.
    pub fn acknowledged(&mut self, sent: &StatusReport, state: UpdateState) {
        if self.reports.front() == Some(sent) {
            self.reports.pop_front();
        }
        if state.finished() && !sent.state.finished() {
            self.reports.retain(|r| r.update_id != sent.update_id || r.state.finished());
            if matches!(&self.phase, Phase::Working { offer } if offer.update_id == sent.update_id) {
                self.phase = Phase::Idle;
            }
        }
    }

    fn end(&mut self, report: StatusReport) {
        self.ended.push_back(report.clone());
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
        self.push(report);
    }

    fn push(&mut self, report: StatusReport) {
        match self.reports.back_mut() {
            Some(last) if last.update_id == report.update_id && last.state == report.state => *last = report,
            _ => self.reports.push_back(report),
        }
    }
}

/// A report of nothing but the state.
const fn says(update_id: UpdateId, state: UpdateState) -> StatusReport {
    StatusReport { update_id, state, progress: None, code: None, detail: None, firmware: None, deferred_until: None }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{}.{} KB", bytes / 1000, bytes % 1000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::manifest::Envelope;

    fn offer(n: u8) -> Offer {
        Offer {
            update_id: format!("upd_{n:032x}").parse().unwrap(),
            rollout_id: format!("rol_{n:032x}").parse().unwrap(),
            envelope: Envelope { payload_type: String::new(), payload: String::new(), signatures: vec![] },
            downloads: vec![],
            deadline: Timestamp(0),
            needs_confirmation: false,
            install_from: None,
            install_until: None,
            download_only: false,
            soft: false,
            assignment: None,
            key_set: 0,
        }
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
}
