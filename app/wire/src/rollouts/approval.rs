//! Decisions over a digest, and what waits for one.

use super::{ApprovalStanding, ApprovalTerms, Approver, ApproverGroup, GlassBreak, Preview, RolloutRow, RolloutSpec, RuleRow, WayBack};
use crate::{
    Timestamp,
    change::FieldChange,
    ids::{ApprovalId, Digest, RolloutId, UserId},
    states::words,
};
use serde::{Deserialize, Serialize};

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
    /// Set when an edit or the end of its time made it worthless.
    pub void: bool,
    /// Why it does not count though it is not void; none when it counts, and of rollouts that don't wait.
    #[serde(default)]
    pub uncounted: Option<String>,
}

/// Most people that an organization can ask for.
pub const MAX_APPROVALS: u32 = 5;

/// How many people beside its author have to approve a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quorum {
    /// So many of those that are sent for approval now.
    pub needed: u32,
    /// Fewer, from some time on.
    pub lowered: Option<Lowered>,
}

/// A lower number that does not count yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lowered {
    /// The number.
    pub needed: u32,
    /// From when on it counts.
    pub from: Timestamp,
}

/// What differs between a plan and the plan that was approved last for the same device type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanChanges {
    /// The plan it is compared with; none when this is the first one for the device type.
    pub since: Option<ApprovedPlan>,
    /// Field by field; empty when it is the same plan.
    pub lines: Vec<FieldChange>,
}

/// A plan that was approved, and whose approval still holds for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovedPlan {
    /// The rollout.
    pub rollout: RolloutId,
    /// Its name.
    pub name: String,
    /// The version it sent.
    pub version: String,
    /// When it was approved.
    pub approved_at: Timestamp,
    /// By whom.
    pub approved_by: String,
}

words! {
    /// What the approvals inbox shows.
    #[derive(Default)]
    InboxTab {
        /// Waits for the caller: they can approve it and have not.
        #[default]
        ForMe = "me",
        /// Waits for anybody.
        Waiting = "waiting",
        /// Written or sent by the caller, wherever it is by now.
        Mine = "mine",
        /// Not waiting any more: approved, rejected, begun without approval, or stopped.
        Done = "done",
        /// A draft again: its request or its approval has expired, or an edit or the recall of its release has voided it.
        Void = "void",
    }
}

impl InboxTab {
    /// Whether its rollouts are shown with all that a decision needs.
    pub const fn decides(self) -> bool {
        matches!(self, Self::ForMe | Self::Waiting)
    }
}

/// Which page of the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InboxQuery {
    /// The tab.
    #[serde(default)]
    pub tab: InboxTab,
    /// Cursor of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// How many rollouts each tab has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InboxCounts {
    /// [`InboxTab::ForMe`].
    pub me: i64,
    /// [`InboxTab::Waiting`].
    pub waiting: i64,
    /// [`InboxTab::Mine`].
    pub mine: i64,
    /// [`InboxTab::Done`].
    pub done: i64,
    /// [`InboxTab::Void`].
    pub void: i64,
}

impl InboxCounts {
    /// Of this tab.
    pub const fn of(&self, tab: InboxTab) -> i64 {
        match tab {
            InboxTab::ForMe => self.me,
            InboxTab::Waiting => self.waiting,
            InboxTab::Mine => self.mine,
            InboxTab::Done => self.done,
            InboxTab::Void => self.void,
        }
    }
}

/// The approvals inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalsPage {
    /// What is shown of it.
    pub tab: InboxTab,
    /// What each tab has.
    pub counts: InboxCounts,
    /// Where decisions are made: those that wait, longest first. Empty on the other tabs.
    pub waiting: Vec<ApprovalCard>,
    /// On the other tabs: what was asked for, newest first.
    pub asked: Vec<AskedRow>,
    /// The cursor of the page after this one; none at the end.
    #[serde(default)]
    pub next: Option<String>,
    /// Whether the caller's role may decide at all.
    pub may_approve: bool,
    /// Whether the caller may change rules, groups and terms.
    pub may_set_rules: bool,
    /// How many requests about authorities wait for the caller, on a page of their own.
    #[serde(default)]
    pub authorities: i64,
    /// Rollouts that were started without their approvals: those that are to be reviewed, overdue ones first, then the last settled ones.
    pub glass: Vec<GlassBreak>,
    /// The rules, the one for every rollout first.
    pub rules: Vec<RuleRow>,
    /// The groups that rules may name.
    pub groups: Vec<ApproverGroup>,
    /// Who could be in them.
    pub approvers: Vec<Approver>,
    /// For how long approvals are waited for and hold.
    pub terms: ApprovalTerms,
    /// When this was read.
    pub at: Timestamp,
}

/// A rollout that was sent for approval, and what became of that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AskedRow {
    /// The rollout; without counts before it begins.
    pub rollout: RolloutRow,
    /// When it was sent last.
    pub asked_at: Timestamp,
    /// Who sent it then.
    pub asked_by: String,
    /// How far its approval is; none unless it waits.
    pub standing: Option<ApprovalStanding>,
    /// Decisions on the plan as it stands, newest first.
    pub decisions: Vec<ApprovalRow>,
    /// Whether it goes by a broken glass, without its approvals.
    pub without: bool,
}

/// A rollout waiting for a decision, with what would run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalCard {
    /// The rollout.
    pub rollout: RolloutRow,
    /// When it was sent for approval.
    pub asked_at: Timestamp,
    /// Who sent it.
    pub asked_by: String,
    /// The plan.
    pub spec: RolloutSpec,
    /// The digest to sign.
    pub digest: Digest,
    /// Its generation.
    pub generation: i64,
    /// What it would do as of now.
    pub preview: Preview,
    /// What differs between it and the plan that was approved last.
    pub changes: PlanChanges,
    /// Who signed the release.
    pub signed_by: Vec<String>,
    /// The plan's way back, which is approved with it.
    #[serde(default)]
    pub way_back: Option<WayBack>,
    /// How far its approval is.
    pub standing: ApprovalStanding,
    /// Who has approved it already; those that don't count say why.
    pub approved: Vec<ApprovalRow>,
    /// Why this caller can't decide; none when they can.
    pub blocked: Option<String>,
}
