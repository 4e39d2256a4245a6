//! What a device says of an action, once its protocol's words mean states of updates: what of it is heard, what is kept of it, and what its device finds.
//! Refuses to know the protocol's words and answers.

use super::{Action, Answer, Notes, Phase};
use crate::{
    Error, Result,
    rollouts::{self, Rollouts, state::taken_back},
};
use wire::{Timestamp, device::StatusReport, manifest::Payload, states::UpdateState};

/// A device's word on an action.
#[derive(Debug)]
pub struct Word<'a> {
    /// What it means.
    pub report: StatusReport,
    /// Its lines for people, the oldest first.
    pub lines: &'a [String],
    /// It says nothing more on it.
    pub last: bool,
}

/// What becomes of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is heard; whether it has moved anything or not.
    Heard,
    /// The action has ended, and it changes nothing any more.
    Ended,
    /// It says that the device has begun, and nobody there has confirmed that. Its lines are kept.
    NotConfirmed,
}

impl Action {
    /// Where the device is with it: one that was taken back, and whose file it has, can be installed.
    pub const fn stands(&self) -> UpdateState {
        stands(self.state, self.fetched)
    }

    /// Whether its device finds that somebody there is asked to confirm it.
    pub fn is_asked(&self, now: Timestamp) -> bool {
        self.phase(now) == Phase::Active && self.waits_for_person()
    }
}

impl Rollouts {
    /// Hears a word on an action; late or out of order as well, as long as the action goes on. One whose success has to be proven goes on; of one that fell
    /// silent before its device had the file, only the end is heard.
    pub async fn hear_of_action(&self, action: &Action, word: Word<'_>) -> Result<Taken> {
        let Word { report, lines, last } = word;
        let ended = action.phase(self.clock.now()) == Phase::Ended;
        if ended && !(last && action.fell_silent()) {
            return Ok(Taken::Ended);
        }
        let to = report.state;
        if action.waits_for_person() && begun(to) {
            let refused = format!("says {to} before anybody has confirmed it, which is refused");
            let lines: Vec<String> = lines.iter().cloned().chain([refused]).collect();
            self.heard_ddi(action, Notes { lines: &lines, ..Notes::default() }).await?;
            return Ok(Taken::NotConfirmed);
        }
        let mut beside: &[String] = &[];
        let state = match self.report_on_action(action, report, lines).await {
            // It only said that it goes on, and another of its words was faster.
            Err(Error::Rollouts(rollouts::Error::NotYours(_))) => {
                beside = lines;
                action.state
            }
            other => other?,
        };
        // A success after silence that nothing speaks for is heard, and counts for what the device says of itself.
        if ended && state == action.state && to != UpdateState::Succeeded {
            return Ok(Taken::Ended);
        }
        let fetched = !last && (UpdateState::Downloaded..=UpdateState::Verifying).contains(&state);
        self.heard_ddi(action, Notes { lines: beside, last, fetched, ..Notes::default() }).await?;
        if last {
            // Its very next poll asks what it is, however late the bus is.
            self.look_again(action.device);
        }
        Ok(Taken::Heard)
    }

    /// A file of an action's release begins to flow to its device; `from` its first byte on, none where only a piece of it is read.
    pub async fn flow_begins(&self, action: &Action, file: &Payload, from: Option<u64>) -> Result<()> {
        if action.state < UpdateState::Downloading {
            self.report(action.device, says(action, UpdateState::Downloading)).await?;
        } else if let Some(from) = from {
            self.fetches(action, file, from).await?;
        }
        Ok(())
    }

    /// A file of an action's release has flowed to its device, up to the last byte; `alone` when the release has no other.
    pub async fn has_flowed(&self, action: &Action, alone: bool) -> Result<()> {
        // What is only fetched has ended when the device says so, after it has looked at it.
        if alone && !action.timing.download_only && action.state <= UpdateState::Downloading {
            self.report(action.device, says(action, UpdateState::Downloaded)).await?;
        }
        self.heard_ddi(action, Notes { fetched: true, ..Notes::default() }).await
    }

    /// Hears what a device says to a cancellation. Answers may be repeated; the first one stands. False when nothing was to be cancelled.
    pub async fn hear_of_cancellation(&self, action: &Action, answer: Answer, lines: &[String]) -> Result<bool> {
        if action.cancel == Answer::Awaited && action.phase(self.clock.now()) != Phase::Cancelling {
            return Ok(false);
        }
        self.heard_ddi(action, Notes { lines, answer, ..Notes::default() }).await?;
        Ok(true)
    }

    /// Whether a device finds an action's deployment now, at an address that it has kept as well: not before somebody there has confirmed it, and what it has
    /// not begun not while its window is closed or a freeze holds.
    pub async fn is_deployed(&self, action: &Action) -> Result<bool> {
        if action.phase(self.clock.now()) != Phase::Active || action.waits_for_person() {
            return Ok(false);
        }
        let begun = !action.open() || action.state > UpdateState::AwaitingConfirmation;
        Ok(begun || self.terms(action).await?.may_begin())
    }
}

fn says(action: &Action, state: UpdateState) -> StatusReport {
    StatusReport {
        update_id: action.update.clone(),
        state,
        progress: None,
        code: None,
        detail: None,
        firmware: None,
        deferred_until: None,
        slots: None,
    }
}

/// Whether a device that is there has begun, and not only refused or failed.
fn begun(to: UpdateState) -> bool {
    (UpdateState::Downloading..=UpdateState::Succeeded).contains(&to)
}

const fn stands(state: UpdateState, fetched: bool) -> UpdateState {
    if fetched && taken_back(state) { UpdateState::Downloaded } else { state }
}

#[cfg(test)]
mod tests {
    use super::*;
    use UpdateState as U;

    #[test]
    fn who_refuses_or_fails_has_not_begun() {
        for state in [U::Downloading, U::Downloaded, U::Installing, U::Rebooting, U::Verifying, U::Succeeded] {
            assert!(begun(state), "{state}");
        }
        for state in [U::Offered, U::AwaitingWindow, U::AwaitingConfirmation, U::Failed, U::Rejected, U::Cancelled] {
            assert!(!begun(state), "{state}");
        }
    }

    #[test]
    fn who_has_the_file_of_what_was_taken_back_can_install_it() {
        for (state, fetched, expected) in [
            (U::Cancelled, true, U::Downloaded),
            (U::Superseded, true, U::Downloaded),
            (U::Cancelled, false, U::Cancelled),
            (U::Downloading, true, U::Downloading),
        ] {
            assert_eq!(stands(state, fetched), expected, "{state} {fetched}");
        }
    }
}
