//! The course, as lists and pages show it: how far it is, how its devices fare, what can be done.

use super::{
    ApprovalAhead, ApprovalRow, ApprovalStanding, Finding, GlassBreak, PlanChanges, Preview, PreviewDevice, RolloutLink, RolloutSpec,
    StageOutcome, StageSpec, UpdateRow, Verb, Verdict, WayBack,
};
use crate::{
    Timestamp,
    devices::SelectorError,
    ids::{Digest, RolloutId},
    page::Page,
    releases::ReleaseRow,
    states::{RolloutState, StageState, UpdateState},
};
use serde::{Deserialize, Serialize};

/// Devices of a rollout or stage, by how they fare. The classes don't overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Counts {
    /// In the rollout or stage.
    pub total: i64,
    /// Not offered yet; of a rollout that has ended, not reached by then.
    pub waiting: i64,
    /// Under way.
    pub updating: i64,
    /// Run the new release.
    pub succeeded: i64,
    /// Could not install.
    pub failed: i64,
    /// Went back by themselves.
    pub reverted: i64,
    /// Fell silent.
    pub timed_out: i64,
    /// Refused it.
    pub rejected: i64,
    /// Taken out: cancelled, superseded or not applicable.
    pub left_out: i64,
}

impl Counts {
    /// Finished devices: the denominator of every rate.
    pub const fn finished(&self) -> i64 {
        self.succeeded + self.errors()
    }
    /// Finished devices that ended in an error.
    pub const fn errors(&self) -> i64 {
        self.failed + self.reverted + self.timed_out + self.rejected
    }
    /// Devices that a retry offers it to again where nobody chooses. Who refused or went back has decided.
    pub const fn retriable(&self) -> i64 {
        self.failed + self.timed_out
    }
}

/// A rollout in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutRow {
    /// Its id.
    pub id: RolloutId,
    /// Its name.
    pub name: String,
    /// The release's version.
    pub version: String,
    /// The release's device type.
    pub device_type: String,
    /// Where it is in its life.
    pub state: RolloutState,
    /// One sentence on it, for example why it was halted.
    pub summary: String,
    /// The stage that runs, from 1; 0 before the first.
    pub stage: u32,
    /// How many stages there are.
    pub stages: u32,
    /// Its devices by how they fare.
    pub counts: Counts,
    /// Who drafted it.
    pub author: String,
    /// When it was drafted.
    pub created_at: Timestamp,
    /// When something last changed.
    pub updated_at: Timestamp,
}

/// All the list of rollouts shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutsPage {
    /// Rollouts, newest first.
    pub rollouts: Page<RolloutRow>,
    /// Whether the caller may draft one.
    pub may_draft: bool,
}

/// All a rollout's page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutDetail {
    /// The row as in the list.
    pub row: RolloutRow,
    /// The plan.
    pub spec: RolloutSpec,
    /// Raised by every change; sent back with edits and decisions.
    pub generation: i64,
    /// What an approval binds (hex).
    pub digest: Digest,
    /// The release.
    pub release: ReleaseRow,
    /// The stages, first to last.
    pub stages: Vec<StageView>,
    /// Decisions, newest first; void ones stay, marked.
    pub approvals: Vec<ApprovalRow>,
    /// What differs between the plan and the one that was approved last for this device type; none once it has begun.
    pub changes: Option<PlanChanges>,
    /// The plan's way back; none where it has none.
    #[serde(default)]
    pub way_back: Option<WayBack>,
    /// The rollout that this one takes devices back from; none for a rollout that somebody planned.
    #[serde(default)]
    pub back_of: Option<RolloutLink>,
    /// How far its approval is; none unless it waits for that.
    #[serde(default)]
    pub standing: Option<ApprovalStanding>,
    /// Which approval it takes when it is sent now; none unless it is a draft.
    #[serde(default)]
    pub ahead: Option<ApprovalAhead>,
    /// Until when it has to begin, or its approval expires; none when that is for ever, and once it has begun.
    #[serde(default)]
    pub start_by: Option<Timestamp>,
    /// Its newest start without approvals; none where there was none.
    #[serde(default)]
    pub glass: Option<GlassBreak>,
    /// What the gate of the whole rollout says, and in spite of what a person went on last; none where the plan has none.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// How many of the devices that were left out were by people who cancelled their updates.
    #[serde(default)]
    pub cancelled: i64,
    /// Until when the last stage waits for a person who has these tried again; none where it does not wait for that.
    #[serde(default)]
    pub cancelled_until: Option<Timestamp>,
    /// What happened, newest first; at most 100.
    pub history: Vec<RolloutEvent>,
    /// What the caller may do now, and where not, why.
    pub actions: Vec<Action>,
    /// When this was read.
    pub at: Timestamp,
}

/// A stage as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StageView {
    /// From 1.
    pub number: u32,
    /// Its plan.
    pub spec: StageSpec,
    /// Where it is in its life.
    pub state: StageState,
    /// Its devices.
    pub counts: Counts,
    /// How many of those that succeeded were dark at the end of its soak, without those a person went on in spite of; none where that was not counted.
    pub dark: Option<i64>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When its soak ends.
    pub soak_until: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The gate's latest verdict.
    pub verdict: Verdict,
    /// How it ended, where others may follow it: what `succeeded` does not say. None of one that has not ended, was stopped or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StageOutcome>,
    /// What its looks at metrics found, the latest last.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// A line of a rollout's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutEvent {
    /// When.
    pub at: Timestamp,
    /// What happened, for example `Stage 1 passed: 3 of 3 succeeded`.
    pub text: String,
    /// Who did it; `automatic` for the controller.
    pub by: String,
    /// How it is meant: `ok`, `info`, `warn`, `bad`, `hold`, `off`.
    pub tone: String,
    /// The state of the rollout after it; none of old lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RolloutState>,
}

/// Something that can be done to a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Action {
    /// Which.
    pub verb: Verb,
    /// Why it can't be done now; none when it can. Verbs that the caller may never use are not listed.
    pub blocked: Option<String>,
}

/// A rollout's page: the rollout and the devices of the chosen stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutPage {
    /// The rollout.
    pub rollout: RolloutDetail,
    /// The devices asked for.
    pub updates: Page<UpdateRow>,
    /// Whether they can be put into another order: few enough have to be looked at for it.
    #[serde(default)]
    pub sorts: bool,
    /// What is wrong with what was searched for; nothing is listed then.
    #[serde(default)]
    pub selector_error: Option<SelectorError>,
    /// Devices of the stage asked for that have left the fleet since their turn: in the counts, and in no list.
    #[serde(default)]
    pub gone: Counts,
    /// Why devices of that stage did not make it, the most frequent first; at most 12.
    #[serde(default)]
    pub failures: Vec<Failures>,
    /// What it would do as of now, by what is approved: none unless it waits for that.
    #[serde(default)]
    pub preview: Option<Preview>,
    /// The devices asked for of those that its selector matches, and where they would be as of now: none once it has begun, and none where they are
    /// narrowed to such as have or had an update, or searched.
    #[serde(default)]
    pub would_be: Option<Page<PreviewDevice>>,
}

/// Devices that did not make it for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How it ended.
    pub state: UpdateState,
    /// The word for programs; empty when there is none.
    pub code: String,
    /// What one of them said.
    pub detail: String,
    /// How many.
    pub devices: i64,
}
