//! Rollouts: their plan as people write it, and their course as pages show it.

use crate::{
    Timestamp,
    devices::SelectorError,
    ids::{ApprovalId, DeviceId, Digest, ReleaseId, RolloutId, UpdateId, UserId},
    page::Page,
    releases::ReleaseRow,
    states::{RolloutState, StageState, UpdateState},
};
use serde::{Deserialize, Serialize};

/// What a rollout should do: this, with the release's digest, is what an approver signs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutSpec {
    /// What people call it, 1 to 100 characters.
    pub name: String,
    /// The release.
    pub release: ReleaseId,
    /// Who gets it, in the selector language; empty means every device of the release's type.
    #[serde(default)]
    pub selector: String,
    /// In which order; 1 to 50 stages. Together they must reach every device: the last stage is `percent: 100`.
    pub stages: Vec<StageSpec>,
    /// Start then instead of at once after the approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Timestamp>,
    /// Minutes without a word after which an update counts as timed out, and for which a stage waits for devices that don't come; the last
    /// stage waits for at least 30 days. 1 to 10,080.
    #[serde(default = "default_timeout_min")]
    pub timeout_min: u32,
    /// Why, for the approver.
    #[serde(default)]
    pub reason: String,
}

const fn default_timeout_min() -> u32 {
    60
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StageSpec {
    /// What people call it.
    pub name: String,
    /// Up to where it reaches.
    pub reach: Reach,
    /// Seconds to watch after the last device finished; 0 to 2,592,000 (30 days).
    #[serde(default)]
    pub soak_s: u32,
    /// Wait for a person before the next stage.
    #[serde(default)]
    pub confirm: bool,
    /// What lets it pass and what stops it.
    #[serde(default)]
    pub gate: GateSpec,
}

/// How far a stage reaches. Both are cumulative, so percentages read as "up to".
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Percent of all targeted devices, over 0 up to 100, at most four decimals; larger than the stage before.
    Percent(f64),
    /// A number of devices, in all stages so far.
    Count(u32),
}

/// The rule that promotes or halts a stage on evidence: rates over *finished* devices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GateSpec {
    /// The stage passes when at least this percent of its finished devices succeeded.
    pub success_percent: f64,
    /// The rollout halts when more than this percent of the stage's finished devices ended in an error …
    pub error_percent: f64,
    /// … and at least this many are finished.
    pub min_sample: u32,
    /// It halts at this many errors whatever the rate; 0 means no such cap.
    #[serde(default)]
    pub max_errors: u32,
}

impl Default for GateSpec {
    fn default() -> Self {
        Self { success_percent: 95.0, error_percent: 5.0, min_sample: 3, max_errors: 0 }
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

/// Devices of a rollout or stage, by how they fare. The classes don't overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Counts {
    /// In the rollout or stage.
    pub total: i64,
    /// Not offered yet.
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
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When its soak ends.
    pub soak_until: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The gate's latest verdict.
    pub verdict: Verdict,
}

/// What a gate says, with the numbers it saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verdict {
    /// What follows.
    pub call: Call,
    /// In words and numbers, for example `3 of 4 finished devices failed (75 %, limit 5 %)`.
    pub text: String,
    /// Devices it judged: the finished ones.
    pub finished: i64,
    /// Of these, succeeded.
    pub succeeded: i64,
    /// Of these, errors.
    pub errors: i64,
}

/// What a verdict means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Not enough evidence yet.
    Wait,
    /// The stage may pass.
    Pass,
    /// The rollout halts.
    Halt,
}

/// A decision over a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalRow {
    /// Its id.
    pub id: ApprovalId,
    /// Who decided.
    pub by: UserId,
    /// Their name.
    pub by_name: String,
    /// True for yes.
    pub approved: bool,
    /// Why.
    pub remark: String,
    /// When.
    pub at: Timestamp,
    /// The digest it is over.
    pub digest: Digest,
    /// Set when an edit made it worthless.
    pub void: bool,
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

/// What can be done to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Change the plan; voids approvals.
    Edit,
    /// Ask for approval.
    Submit,
    /// Say yes to the digest.
    Approve,
    /// Say no.
    Reject,
    /// Begin.
    Start,
    /// No new offers for now.
    Pause,
    /// Go on, also after a gate said no.
    Resume,
    /// Let the next stage begin.
    Promote,
    /// End it before its end.
    Stop,
    /// Offer it again to devices that failed or timed out.
    Retry,
}

impl Verb {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Submit => "submit",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::Stop => "stop",
            Self::Retry => "retry",
        }
    }
}

/// What would happen: who, in which stage, who isn't in it and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Preview {
    /// Devices that would get it.
    pub total: i64,
    /// Stage by stage.
    pub stages: Vec<PreviewStage>,
    /// Devices the selector matches that would not get it, by reason.
    pub excluded: Vec<Excluded>,
    /// What is wrong with the selector.
    pub selector_error: Option<SelectorError>,
    /// What is wrong with the plan; `field` names the input, for example `stages.1.reach`.
    pub problems: Vec<Problem>,
    /// Bytes that would be downloaded.
    pub bytes: i64,
}

/// A stage of a preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewStage {
    /// Its name.
    pub name: String,
    /// How many devices.
    pub devices: i64,
    /// Some of them, in their order; at most 100.
    pub sample: Vec<DeviceId>,
}

/// Devices left out of a rollout, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Excluded {
    /// In words, for example `already on 1.2.0 or newer`.
    pub reason: String,
    /// How many.
    pub devices: i64,
}

/// Something wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The input it belongs to.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// A device of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateRow {
    /// The update; none while it has not been offered.
    pub id: Option<UpdateId>,
    /// The device.
    pub device_id: DeviceId,
    /// Its stage, from 1.
    pub stage: u32,
    /// Where it is.
    pub state: UpdateState,
    /// Percent of the current step.
    pub progress: Option<i64>,
    /// From which version.
    pub from_version: String,
    /// How often it was tried.
    pub attempts: i64,
    /// A line for people.
    pub detail: String,
    /// Whether its channel is open.
    pub online: bool,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// Which devices of a rollout to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpdateQuery {
    /// Only this stage, from 1.
    #[serde(default)]
    pub stage: Option<u32>,
    /// Only these: `all`, `updating`, `failed`, `succeeded`, `waiting`.
    #[serde(default)]
    pub show: String,
    /// Cursor of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// A rollout's page: the rollout and the devices of the chosen stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutPage {
    /// The rollout.
    pub rollout: RolloutDetail,
    /// The devices asked for.
    pub updates: Page<UpdateRow>,
}

/// What the wizard shows: the plan so far, what it would do, and what can be chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WizardPage {
    /// Published releases, newest first.
    pub releases: Vec<ReleaseRow>,
    /// The plan so far.
    pub spec: Option<RolloutSpec>,
    /// What it would do.
    pub preview: Option<Preview>,
    /// The rollout being edited, with its generation.
    pub editing: Option<(RolloutId, i64)>,
}

/// The approvals inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalsPage {
    /// Waiting for a decision, oldest first.
    pub waiting: Vec<ApprovalCard>,
    /// Decided lately, newest first; at most 20.
    pub decided: Vec<RolloutRow>,
    /// Whether the caller's role may decide at all.
    pub may_approve: bool,
}

/// A rollout waiting for a decision, with what would run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalCard {
    /// The rollout.
    pub rollout: RolloutRow,
    /// The plan.
    pub spec: RolloutSpec,
    /// The digest to sign.
    pub digest: Digest,
    /// Its generation.
    pub generation: i64,
    /// What it would do as of now.
    pub preview: Preview,
    /// Who signed the release.
    pub signed_by: Vec<String>,
    /// Why this caller can't decide; none when they can.
    pub blocked: Option<String>,
}
