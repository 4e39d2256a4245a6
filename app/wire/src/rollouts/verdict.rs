//! What a gate says of a stage or a rollout, with the devices it rests on.

use super::{Counts, StageOutcome, wilson_lower};
use crate::{Timestamp, states::StageState};
use serde::{Deserialize, Serialize};

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

/// How the sentence of a no begins that a person went on in spite of.
const WENT_ON: &str = "went on by ";

impl Verdict {
    /// Whether a gate came to it: what a recall, a person or an objection stopped has the numbers, but nothing judged them. So has a verdict that is older
    /// than `sample` was kept.
    pub const fn is_judged(&self) -> bool {
        self.sample > 0
    }

    /// What is kept of a no, a gate's or that of something else which has halted the stage, with the numbers of then, when a person goes on in spite of it.
    #[must_use]
    pub fn overruled(self, by: &str) -> Self {
        let no = if self.is_judged() { "the gate" } else { "this" };
        Self { call: Call::Wait, text: format!("{WENT_ON}{by} in spite of {no}: {}", self.text), ..self }
    }

    /// Whether it is such a one.
    pub fn is_overruled(&self) -> bool {
        self.call == Call::Wait && self.text.starts_with(WENT_ON)
    }

    /// Whether its sentence says who went on in spite of a no: such a one, also beside what the gate says since.
    pub fn tells_who_went_on(&self) -> bool {
        self.text.contains(WENT_ON)
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

impl StageOutcome {
    /// That of a stage in this state, by the verdict that is kept of it; none of one that has not ended so that others may follow.
    pub const fn of(state: StageState, verdict: &Verdict) -> Option<Self> {
        match (state, verdict.call) {
            (StageState::Succeeded, _) if verdict.finished == 0 => Some(Self::NotJudged),
            (StageState::Succeeded, Call::Pass) => Some(Self::Passed),
            (StageState::Succeeded, Call::Wait | Call::Halt) => Some(Self::WentOn),
            _ => None,
        }
    }
}

/// What a verdict means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Not enough evidence yet, or of one that is kept: the gate has not let it pass, a person went on.
    Wait,
    /// The stage may pass.
    Pass,
    /// The rollout halts.
    Halt,
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
    fn a_stage_has_passed_only_where_its_gate_has_judged_somebody() {
        let verdict = |call, finished| Verdict { finished, ..Verdict::new(call, "") };
        for (call, finished, outcome) in [
            (Call::Pass, 3, StageOutcome::Passed),
            (Call::Wait, 3, StageOutcome::WentOn),
            (Call::Wait, 0, StageOutcome::NotJudged),
            (Call::Pass, 0, StageOutcome::NotJudged),
        ] {
            assert_eq!(StageOutcome::of(StageState::Succeeded, &verdict(call, finished)), Some(outcome));
            for state in StageState::ALL.iter().filter(|state| **state != StageState::Succeeded) {
                assert_eq!(StageOutcome::of(*state, &verdict(call, finished)), None, "{state}");
            }
        }
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
