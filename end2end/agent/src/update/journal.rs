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

    /// Whether this update has ended, and its end was that it is fetched: it was not to be installed.
    pub fn only_fetched(&self, update_id: &UpdateId) -> bool {
        self.ended.iter().any(|r| r.update_id == *update_id && r.state == UpdateState::Downloaded)
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

    /// The slot on trial is healthy: only now the floor rises (U-3).
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
    StatusReport { update_id, state, progress: None, code: None, detail: None, firmware: None, deferred_until: None, slots: None }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{}.{} KB", bytes / 1000, bytes % 1000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests;
