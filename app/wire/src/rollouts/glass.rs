//! Break glass: a rollout started in an emergency without its approvals, and what other people said to that afterwards.

use crate::{
    Timestamp,
    ids::{Digest, GlassId, RolloutId, UserId},
    rollouts::{ShareStanding, approvals_of},
    states::RolloutState,
};
use serde::{Deserialize, Serialize};

/// A start without approvals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GlassBreak {
    /// Its id.
    pub id: GlassId,
    /// The rollout.
    pub rollout: RolloutId,
    /// Its name.
    pub rollout_name: String,
    /// Where that is now.
    pub rollout_state: RolloutState,
    /// Who did it.
    pub by: UserId,
    /// Their name.
    pub by_name: String,
    /// Why.
    pub reason: String,
    /// Of exactly this plan.
    pub digest: Digest,
    /// How many approvals it had.
    pub given: u32,
    /// How many it needed.
    pub needed: u32,
    /// The groups that approvals were needed of, with how many stood for each.
    pub from: Vec<ShareStanding>,
    /// The release: its device type and version.
    pub release: String,
    /// Which devices of that type its plan is for, as that stands; empty for all.
    pub selector: String,
    /// How many devices it has; none before it has begun.
    pub devices: Option<i64>,
    /// When.
    pub at: Timestamp,
    /// By when it is to be reviewed.
    pub review_by: Timestamp,
    /// That time has passed, and it was not reviewed.
    pub overdue: bool,
    /// When the second person reviewed it; none while it is open.
    pub settled_at: Option<Timestamp>,
    /// What they said, first to last.
    pub reviews: Vec<GlassReview>,
    /// How many more people have to review it.
    pub missing: u32,
    /// What an objection may do at once; none when there is nothing to stop.
    pub stops: Option<GlassStop>,
    /// Whether this is how the rollout goes as its plan stands; an edit ends that.
    pub holds: bool,
    /// Why the caller can't review it; none when they can.
    pub blocked: Option<String>,
}

impl GlassBreak {
    /// How far its approval was: `2 of 2, missing 1 of safety`.
    pub fn approvals(&self) -> String {
        approvals_of(self.given, self.needed, &self.from)
    }
}

/// What an objection may do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum GlassStop {
    /// It runs: it is halted.
    Halt,
    /// It has not begun: it is a draft again.
    Draft,
}

/// What somebody said to a start without approvals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GlassReview {
    /// Who.
    pub by: UserId,
    /// Their name.
    pub by_name: String,
    /// True for yes.
    pub accepted: bool,
    /// Why.
    pub remark: String,
    /// When.
    pub at: Timestamp,
}

/// A review as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewGlassReview {
    /// True to accept it, false to object.
    pub accept: bool,
    /// Why, 1 to 500 characters.
    pub remark: String,
    /// With an objection: stop it at once. What runs is halted, what has not begun is a draft again.
    #[serde(default)]
    pub stop: bool,
}
