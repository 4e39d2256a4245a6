//! Rollouts: their plan as people write it, what it would do, the decisions on it, and its course as pages show it.

mod approval;
mod approvers;
mod back;
mod bottleneck;
mod bound;
mod course;
mod evidence;
mod freeze;
mod glass;
mod limits;
mod listing;
mod order;
mod plan;
mod preview;
mod verdict;
mod when;
mod why;

pub use approval::*;
pub use approvers::*;
pub use back::*;
pub use bottleneck::*;
pub use bound::{lower_words, rate_of, rate_words, wilson_lower};
pub use course::*;
pub use evidence::*;
pub use freeze::*;
pub use glass::*;
pub use limits::{ErrorClass, within};
pub use listing::{MOST_SORTED, UpdateQuery, UpdateRow, UpdateSort};
pub use order::*;
pub use plan::*;
pub use preview::*;
pub use verdict::*;
pub use when::*;
pub use why::*;

use crate::states::{RolloutState, words};

words! {
    /// What can be done to a rollout.
    Verb {
        /// Change the plan; voids approvals.
        Edit = "edit",
        /// Ask for approval.
        Submit = "submit",
        /// Say yes to the digest.
        Approve = "approve",
        /// Say no.
        Reject = "reject",
        /// Begin.
        Start = "start",
        /// No new offers for now.
        Pause = "pause",
        /// Go on, also after a gate said no.
        Resume = "resume",
        /// Let the next stage begin.
        Promote = "promote",
        /// End it before its end.
        Stop = "stop",
        /// Offer it again to devices whose update ended badly: those that failed or timed out unless somebody chooses.
        Retry = "retry",
        /// Take the release back from the devices that run it, by the plan's way back.
        RollBack = "roll-back",
        /// Start it in an emergency without its approvals; two other people review that afterwards.
        BreakGlass = "break-glass",
    }
    /// Which rollouts a list shows.
    #[derive(Default)]
    Tab {
        /// Every one.
        #[default]
        All = "all",
        /// On their way, also while they are held up.
        Running = "running",
        /// For approval, or for their start.
        Waiting = "waiting",
        /// Over, one way or the other.
        Finished = "finished",
        /// Not asked for yet, or refused.
        Drafts = "drafts",
    }
    /// How a stage ended that others may follow: each of these is `succeeded`.
    StageOutcome {
        /// Its gate has let it pass.
        Passed = "passed",
        /// Its gate has not: a person, or the end of its time, went on without that.
        WentOn = "went_on",
        /// Nobody was there to be judged, so its gate has said nothing.
        NotJudged = "not_judged",
    }
    /// Which devices of a rollout a list shows.
    #[derive(Default)]
    Show {
        /// Every one.
        #[default]
        All = "all",
        /// Those whose update is under way.
        Updating = "updating",
        /// Those that failed, went back, refused or fell silent.
        Failed = "failed",
        /// Those that run the release.
        Succeeded = "succeeded",
        /// Those whose turn is still to come.
        Waiting = "waiting",
    }
}

impl Verb {
    /// Whether it is asked why this is done in this state: none when it is not, and whether there has to be an answer. It stays in the history and in the
    /// audit log.
    pub const fn asks_for_reason(self, state: RolloutState) -> Option<bool> {
        match (self, state) {
            (Self::Approve | Self::Reject | Self::Stop | Self::RollBack | Self::BreakGlass, _) | (Self::Resume, RolloutState::Halted) => {
                Some(true)
            }
            (Self::Start | Self::Pause | Self::Resume | Self::Promote | Self::Retry, _) => Some(false),
            // A plan says itself why it is.
            (Self::Edit | Self::Submit, _) => None,
        }
    }
}
