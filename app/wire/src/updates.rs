//! A device's updates as lists show them: how each went, what the device said of it, and what keeps the device from having another.

use crate::{
    Timestamp,
    ids::{RolloutId, UpdateId},
    states::UpdateState,
};
use serde::{Deserialize, Serialize};

/// Most lines that are kept of what a device says of one update.
pub const MOST_LINES: u32 = 200;
/// Most characters of why a device is pinned.
pub const MOST_REASON: u32 = 200;

crate::states::words! {
    /// How an update ended that did not end well.
    UpdateFailure {
        /// The device said that it could not install it, or does not run it.
        Failed = "failed",
        /// Nothing was heard of it for too long.
        TimedOut = "timed_out",
        /// The device went back to what it ran before.
        Reverted = "reverted",
        /// The device refused it.
        Rejected = "rejected",
        /// It succeeded, and the device was not heard of any more.
        WentDark = "went_dark",
        /// It was cancelled: by a person, or as its rollout stopped. Devices are listed by it; it is no failure, and [`UpdateFailure::of`] never says it.
        Cancelled = "cancelled",
    }
}

impl UpdateFailure {
    /// How an update in this state failed; `dark` when its device was not heard of after it succeeded.
    pub const fn of(state: UpdateState, dark: bool) -> Option<Self> {
        match state {
            UpdateState::Failed => Some(Self::Failed),
            UpdateState::TimedOut => Some(Self::TimedOut),
            UpdateState::Reverted => Some(Self::Reverted),
            UpdateState::Rejected => Some(Self::Rejected),
            UpdateState::Succeeded if dark => Some(Self::WentDark),
            _ => None,
        }
    }
}

/// A device's part in a rollout, on the device's page: one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceUpdate {
    /// The update.
    pub id: UpdateId,
    /// The rollout.
    pub rollout: RolloutId,
    /// Its name.
    pub rollout_name: String,
    /// From which version.
    pub from_version: String,
    /// To which version.
    pub to_version: String,
    /// Where it is.
    pub state: UpdateState,
    /// Percent of the current step.
    pub progress: Option<i64>,
    /// A word for programs when it did not end well, for example `digest_mismatch`, or `code_28` for the number 28 of a hawkBit client; empty otherwise.
    #[serde(default)]
    pub code: String,
    /// A line for people.
    pub detail: String,
    /// How it failed, if it did.
    #[serde(default)]
    pub failure: Option<UpdateFailure>,
    /// Which attempt of the device in this rollout it is, from 1.
    #[serde(default)]
    pub attempt: i64,
    /// When it was offered; none of one that was cancelled before.
    pub offered_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// The states it was in before, in the order of a life; not known of old updates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<UpdateState>,
}

/// Which updates of a device to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AttemptsQuery {
    /// Cursor of the page before; empty for the newest ones.
    // Always written: an address without any pair would be no query at all.
    #[serde(default)]
    pub cursor: String,
    /// Rows, at most [`crate::page::MAX_ROWS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
    /// The update whose lines are wanted all, wherever it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<UpdateId>,
}

/// Something that a device said of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// When it was heard, by the server's clock.
    pub at: Timestamp,
    /// Where the device said that its update is; none where it said nothing of that.
    pub state: Option<UpdateState>,
    /// Percent of that step.
    pub progress: Option<i64>,
    /// Its word for programs; empty when it had none.
    pub code: String,
    /// Its line for people; empty when it had none.
    pub line: String,
}

/// An update with the newest of what the device said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The update.
    pub update: DeviceUpdate,
    /// What the device said, the newest in front.
    pub log: Vec<LogLine>,
    /// Whether it said more, which is kept.
    pub more: bool,
}

/// That a device stays on what it runs: no rollout moves it until somebody takes that back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pin {
    /// Since when.
    pub at: Timestamp,
    /// Who has pinned it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Pin {
    /// Who, when and why, as one says it in a sentence.
    pub fn words(&self) -> String {
        format!("pinned by {} on {}: {}", self.by, self.at.readable(), self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_state_or_silence_after_a_success() {
        let errors: Vec<UpdateState> = UpdateState::ALL.iter().copied().filter(|state| state.error()).collect();
        for state in UpdateState::ALL {
            let failure = UpdateFailure::of(*state, false);
            assert_eq!(failure.is_some(), errors.contains(state), "{state}");
            assert!(failure.is_none_or(|failure| failure.as_str() == state.as_str()), "the same word: {state}");
            let dark = UpdateFailure::of(*state, true);
            assert_eq!(dark, if *state == UpdateState::Succeeded { Some(UpdateFailure::WentDark) } else { failure });
            assert_ne!(failure, Some(UpdateFailure::Cancelled), "a device that was spared it has not failed: {state}");
        }
    }

    #[test]
    fn a_pin_says_who_when_and_why() {
        let pin = Pin { at: Timestamp(0), by: "Oli".into(), reason: "it is on show".into() };
        assert_eq!(pin.words(), format!("pinned by Oli on {}: it is on show", Timestamp(0).readable()));
    }
}
