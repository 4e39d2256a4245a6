//! The course, as lists and pages show it: how far it is, how its devices fare, what can be done.

use super::{
    ApprovalAhead, ApprovalRow, ApprovalStanding, Finding, GlassBreak, PlanChanges, Preview, RolloutLink, RolloutSpec, StageSpec,
    UpdateRow, Verb, WayBack, wilson_lower,
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
    /// Devices that a retry offers it to again. Who refused or went back has decided.
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
    /// What the gate of the whole rollout says; none where the plan has none.
    #[serde(default)]
    pub verdict: Option<Verdict>,
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
    /// What its looks at metrics found, the latest last.
    #[serde(default)]
    pub findings: Vec<Finding>,
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
    /// Of the errors, devices that could not install. 0, like those that refused, of verdicts that are older than this was kept.
    #[serde(default)]
    pub failed: i64,
    /// Devices that went back by themselves.
    #[serde(default)]
    pub reverted: i64,
    /// Devices that fell silent.
    #[serde(default)]
    pub timed_out: i64,
    /// And devices that refused it.
    #[serde(default)]
    pub rejected: i64,
    /// From how many finished devices on it judges by rates: the gate's own number, or all that can be judged where there are fewer. 0 where
    /// nothing was judged.
    #[serde(default)]
    pub sample: i64,
    /// The lower end of Wilson's 95 % interval for the share of those that succeeded, in percent: what so few or many devices prove. The gate compares
    /// the plain share. None where nothing was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_low: Option<f64>,
    /// When the gate saw these numbers; none where they are as of now, and of verdicts that are older than this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The devices as of now, where the gate saw other numbers: what finishes later changes no verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Tally>,
}

/// Devices that have finished, by how they ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tally {
    /// Finished devices.
    pub finished: i64,
    /// Of these, succeeded.
    pub succeeded: i64,
    /// Of these, errors.
    pub errors: i64,
    /// Of the errors, devices that could not install.
    pub failed: i64,
    /// Devices that went back by themselves.
    pub reverted: i64,
    /// Devices that fell silent.
    pub timed_out: i64,
    /// And devices that refused it.
    pub rejected: i64,
    /// The lower end of Wilson's 95 % interval for the share of those that succeeded, in percent; none of no devices.
    pub success_low: Option<f64>,
}

impl Tally {
    /// Of these devices.
    pub fn of(counts: &Counts) -> Self {
        let Counts { succeeded, failed, reverted, timed_out, rejected, .. } = *counts;
        let (finished, errors) = (counts.finished(), counts.errors());
        let success_low = wilson_lower(succeeded, finished);
        Self { finished, succeeded, errors, failed, reverted, timed_out, rejected, success_low }
    }
}

impl Verdict {
    /// Whether a gate came to it: what a recall, a person or an objection stopped has the numbers, but nothing judged them. So has a verdict that is older
    /// than `sample` was kept.
    pub const fn is_judged(&self) -> bool {
        self.sample > 0
    }

    /// One that rests on no device yet.
    pub fn new(call: Call, text: impl Into<String>) -> Self {
        Self {
            call,
            text: text.into(),
            finished: 0,
            succeeded: 0,
            errors: 0,
            failed: 0,
            reverted: 0,
            timed_out: 0,
            rejected: 0,
            sample: 0,
            success_low: None,
            at: None,
            now: None,
        }
    }

    /// With what its devices prove. What is kept of a verdict is kept without: it follows from the numbers.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self { success_low: wilson_lower(self.succeeded, self.finished), ..self }
    }

    /// With when it was made, unless it was made before and only goes on to hold.
    #[must_use]
    pub fn seen_at(self, now: Timestamp) -> Self {
        Self { at: self.at.or(Some(now)), ..self }
    }

    /// With its devices as of now, where they are others than it saw. For a verdict that was kept.
    #[must_use]
    pub fn beside(self, counts: &Counts) -> Self {
        let now = Tally::of(counts);
        let saw = (self.finished, self.succeeded, self.errors, self.reverted, self.timed_out);
        let same = saw == (now.finished, now.succeeded, now.errors, now.reverted, now.timed_out);
        // One that is older than these two were kept has nothing to compare them with.
        let kept = self.failed + self.reverted + self.timed_out + self.rejected == self.errors;
        let alike = !kept || (self.failed, self.rejected) == (now.failed, now.rejected);
        Self { now: (!same || !alike).then_some(now), ..self }
    }
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
    /// Whether they can be put into another order: there are few enough of them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_verdict_stands_beside_what_became_of_its_devices() {
        let saw = Counts { total: 20, succeeded: 17, failed: 1, updating: 2, ..Counts::default() };
        let judged = Verdict::new(Call::Pass, "17 of 18 finished devices succeeded");
        let kept = Verdict { finished: 18, succeeded: 17, errors: 1, failed: 1, sample: 3, ..judged };
        assert_eq!(kept.clone().beside(&saw).now, None, "nothing has changed");
        let refused = kept.clone().beside(&Counts { failed: 0, rejected: 1, ..saw }).now;
        assert_eq!(refused.map(|t| (t.errors, t.failed, t.rejected)), Some((1, 0, 1)), "the one has refused after all");
        let later = kept.clone().beside(&Counts { updating: 0, timed_out: 2, ..saw });
        let now = later.now.unwrap();
        assert_eq!((now.finished, now.succeeded, now.errors, now.timed_out), (20, 17, 3, 2));
        assert_eq!((now.success_low, later.finished), (wilson_lower(17, 20), 18));
        let made = kept.seen_at(Timestamp(5));
        assert_eq!((made.at, made.seen_at(Timestamp(9)).at), (Some(Timestamp(5)), Some(Timestamp(5))));
    }

    #[test]
    fn a_verdict_that_was_kept_before_there_were_all_classes_is_read_and_says_nothing_of_the_others() {
        let text = r#"{"call":"halt","text":"3 of 4","finished":4,"succeeded":1,"errors":3,"reverted":1,"timed_out":0,"sample":3}"#;
        let kept: Verdict = serde_json::from_str(text).unwrap();
        assert_eq!((kept.errors, kept.failed, kept.reverted, kept.rejected), (3, 0, 1, 0));
        let counts = Counts { total: 4, succeeded: 1, failed: 2, reverted: 1, ..Counts::default() };
        assert_eq!(kept.clone().beside(&counts).now, None, "its devices are the same");
        assert!(kept.beside(&Counts { succeeded: 2, failed: 1, ..counts }).now.is_some());
    }
}
