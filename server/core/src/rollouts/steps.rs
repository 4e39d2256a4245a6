//! Pure: how long an update may be in one step. A device that reports all the time and never gets further is stuck, however alive it is.

use serde::Deserialize;
use wire::{
    Timestamp,
    rollouts::{Problem, RolloutSpec, StepLimits},
    states::UpdateState,
    time::duration,
};

use super::validate::MAX_TIMEOUT_MIN;

/// What a plan's JSON says of steps; the rest of it is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Steps {
    steps: StepLimits,
}

impl Steps {
    /// When an update that enters this step now has been too long in it; none where its plan has no limit for the step.
    pub fn deadline(self, entered: UpdateState, now: Timestamp) -> Option<Timestamp> {
        limit(&self.steps, entered).map(|minutes| now.plus(i64::from(minutes) * 60_000))
    }
}

const fn limit(of: &StepLimits, step: UpdateState) -> Option<u32> {
    match step {
        UpdateState::Downloading => of.downloading_min,
        UpdateState::Installing => of.installing_min,
        UpdateState::Rebooting => of.rebooting_min,
        UpdateState::Verifying => of.verifying_min,
        _ => None,
    }
}

/// What is kept of an update that was too long in this step, for people.
pub fn stuck(limits: &StepLimits, step: UpdateState) -> String {
    let minutes = limit(limits, step).map_or(0, i64::from);
    format!("stuck in {step}: not done with it within {}", duration(minutes * 60_000))
}

/// The limits of a plan in a line.
pub fn words(limits: &StepLimits) -> String {
    let said: Vec<String> =
        limits.each().into_iter().filter_map(|(step, minutes)| Some(format!("{step} within {} min", minutes?))).collect();
    if said.is_empty() { "no limits of their own".to_owned() } else { said.join(", ") }
}

/// The problems of a plan's limits.
pub fn problems(spec: &RolloutSpec) -> Vec<Problem> {
    let mut found = Vec::new();
    for (step, minutes) in spec.steps.each() {
        let Some(minutes) = minutes else { continue };
        let mut add = |message: &str| found.push(Problem { field: format!("steps.{step}_min"), message: message.to_owned() });
        if !(1..=MAX_TIMEOUT_MIN).contains(&minutes) {
            add("Choose between 1 minute and 10,080 minutes (7 days) in this step, or set no such limit.");
        } else if spec.download_only && step != UpdateState::Downloading.as_str() {
            add("A plan that only fetches never comes to this step: leave out one of the two.");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::{spec, stage};
    use wire::rollouts::Reach;

    const LIMITS: StepLimits = StepLimits { downloading_min: Some(90), installing_min: None, rebooting_min: Some(5), verifying_min: None };

    #[test]
    fn a_plans_json_is_read_without_the_rest_of_it() {
        let plan = RolloutSpec { steps: LIMITS, ..spec(vec![stage(Reach::Percent(100.0))]) };
        let read: Steps = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(read.deadline(UpdateState::Downloading, Timestamp(1)), Some(Timestamp(5_400_001)));
        assert_eq!(read.deadline(UpdateState::Rebooting, Timestamp(1)), Some(Timestamp(300_001)));
        for state in UpdateState::ALL.iter().filter(|s| !matches!(s, UpdateState::Downloading | UpdateState::Rebooting)) {
            assert_eq!(read.deadline(*state, Timestamp(1)), None, "{state}");
        }
        let plain = serde_json::to_string(&spec(vec![])).unwrap();
        assert!(!plain.contains("steps"), "what a plan does not say is not written");
        assert_eq!(serde_json::from_str::<Steps>(&plain).unwrap(), Steps::default());
    }

    #[test]
    fn the_step_is_named_and_mistakes_are_told_at_their_fields() {
        assert_eq!(stuck(&LIMITS, UpdateState::Rebooting), "stuck in rebooting: not done with it within 5 min");
        assert_eq!(words(&LIMITS), "downloading within 90 min, rebooting within 5 min");
        let fields = |steps, download_only| {
            let plan = RolloutSpec { steps, download_only, ..spec(vec![]) };
            problems(&plan).into_iter().map(|p| p.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(LIMITS, false), [""; 0]);
        assert_eq!(fields(LIMITS, true), ["steps.rebooting_min"]);
        let wrong = StepLimits { verifying_min: Some(0), installing_min: Some(10_081), ..LIMITS };
        assert_eq!(fields(wrong, false), ["steps.installing_min", "steps.verifying_min"]);
    }
}
