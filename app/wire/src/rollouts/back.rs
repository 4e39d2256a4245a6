//! What a gate does, the way back, and what is tried again.

use crate::{
    ids::{Digest, ReleaseId, RolloutId},
    rollouts::Counts,
    states::{ReleaseState, RolloutState, UpdateState, words},
};
use serde::{Deserialize, Serialize};

words! {
    /// What a gate does when it says no.
    #[derive(Default)]
    GateAction {
        /// The stage has failed and the rollout halts.
        #[default]
        Halt = "halt",
        /// The rollout pauses in its stage; a person goes on.
        Pause = "pause",
        /// The devices that run the release go back.
        RollBack = "roll_back",
    }
    /// How an update ended that is tried again.
    RetryClass {
        /// Could not install.
        Failed = "failed",
        /// Fell silent.
        TimedOut = "timed_out",
        /// Went back by itself.
        Reverted = "reverted",
        /// Refused it.
        Rejected = "rejected",
    }
    /// How an update ended that a person has tried again.
    EndClass {
        /// Could not install.
        Failed = "failed",
        /// Fell silent.
        TimedOut = "timed_out",
        /// Went back by itself.
        Reverted = "reverted",
        /// Refused it.
        Rejected = "rejected",
        /// A person has cancelled it.
        Cancelled = "cancelled",
    }
}

impl EndClass {
    /// Those that a retry is of where nobody chooses: who refused or went back has decided, and so has who cancelled.
    pub const USUAL: &'static [Self] = &[Self::Failed, Self::TimedOut];

    /// The state that an update has ended in.
    pub const fn state(self) -> UpdateState {
        match self {
            Self::Failed => UpdateState::Failed,
            Self::TimedOut => UpdateState::TimedOut,
            Self::Reverted => UpdateState::Reverted,
            Self::Rejected => UpdateState::Rejected,
            Self::Cancelled => UpdateState::Cancelled,
        }
    }

    /// How many devices ended like this, of which `cancelled` by people.
    pub const fn devices(self, counts: &Counts, cancelled: i64) -> i64 {
        match self {
            Self::Failed => counts.failed,
            Self::TimedOut => counts.timed_out,
            Self::Reverted => counts.reverted,
            Self::Rejected => counts.rejected,
            Self::Cancelled => cancelled,
        }
    }
}

impl GateAction {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
    pub(super) const fn is_usual(&self) -> bool {
        matches!(self, Self::Halt)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
pub(super) const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What is offered again by itself to devices that ended like this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Which ends; at least one, each once.
    pub classes: Vec<RetryClass>,
    /// How often after the first attempt, 1 to 10.
    pub times: u32,
    /// Minutes after the first end; doubled after each that follows, up to a day. 1 to 1440.
    pub wait_min: u32,
}

/// The way back of a plan, as its page and its approval show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WayBack {
    /// The release that devices go back to: the last good firmware, signed again.
    pub release: ReleaseId,
    /// Its version.
    pub version: String,
    /// Its sequence.
    pub sequence: i64,
    /// SHA-256 of its signed manifest, which the approval binds (hex).
    pub digest: Digest,
    /// Where it is in its life.
    pub state: ReleaseState,
    /// The rollout that takes devices back; none before there is one.
    pub rollout: Option<RolloutLink>,
}

/// A rollout that another one belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutLink {
    /// Its id.
    pub id: RolloutId,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub state: RolloutState,
}
