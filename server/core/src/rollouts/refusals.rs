//! Pure: why an order to a rollout is refused for where it is in its life. Each refusal says where that is, what the order asks for, and what to do instead, in
//! this order, so that whoever has only the command line's answer needs no page beside it.

use wire::states::RolloutState as R;

/// Where a rollout is, as a sentence.
pub(super) const fn stands(state: R, stage: u32) -> &'static str {
    match state {
        R::Draft => "It is a draft.",
        R::WaitingForApproval => "It waits for approval.",
        R::Rejected => "It was rejected.",
        R::Approved => "It was approved and starts by itself in a moment.",
        R::Scheduled => "It is scheduled and starts by itself at its time.",
        R::Running => "It is running.",
        R::Paused => "It is paused.",
        R::Halted => "It is halted.",
        R::RollingBack => "It is rolling back.",
        R::RolledBack => "It was rolled back.",
        R::Stopping | R::Stopped if stage == 0 => "It was stopped before it began.",
        R::Stopping => "It is being stopped.",
        R::Stopped => "It was stopped.",
        R::Completed => "It is completed.",
    }
}

/// Why it can't be paused.
pub(super) fn pause(state: R, stage: u32) -> String {
    let instead = match state {
        R::Paused => return "It is paused already: resume it to go on, or stop it.".to_owned(),
        R::Draft => "nothing goes out before it is sent for approval and approved",
        R::Rejected => "nothing goes out before its plan is changed, sent for approval and approved",
        R::WaitingForApproval => "to keep it from beginning, reject it or stop it",
        R::Approved | R::Scheduled => "to keep it from beginning, stop it, or edit it, which voids its approval",
        R::Running | R::Halted => "nobody else gets it as it is; resume it to go on, or stop it",
        R::RollingBack => "pause the rollout that takes its devices back",
        R::RolledBack | R::Stopping | R::Stopped | R::Completed => "nobody else gets anything from it",
    };
    format!("{} Only a running rollout can be paused: {instead}.", stands(state, stage))
}

/// Why it can't be resumed.
pub(super) fn resume(state: R, stage: u32) -> String {
    let instead = match state {
        R::Draft => "send it for approval",
        R::Rejected => "change its plan and send it for approval again",
        R::WaitingForApproval => "it begins once it is approved",
        R::Approved => "wait for its start",
        R::Scheduled => "wait for its start, or start it now",
        R::Running | R::Paused | R::Halted => "it goes on by itself; where its stage is watched or waits for a person, promote it",
        R::RollingBack | R::RolledBack => "draft a new one with a release that is good",
        R::Stopping | R::Stopped | R::Completed => "draft a new one for the devices that don't have it",
    };
    format!("{} Only a paused or halted rollout can be resumed: {instead}.", stands(state, stage))
}

/// Why its stage can't be ended by a person, where the rollout does not run.
pub(super) fn promote(state: R, stage: u32) -> String {
    let instead = match state {
        R::Draft => "send it for approval",
        R::Rejected => "change its plan and send it for approval again",
        R::WaitingForApproval => "its first stage begins once it is approved",
        R::Approved => "wait for its start",
        R::Scheduled => "wait for its start, or start it now",
        R::Running => "its first stage begins by itself in a moment",
        R::Paused | R::Halted => "resume it first",
        R::RollingBack => "promote the rollout that takes its devices back",
        R::RolledBack | R::Stopping | R::Stopped | R::Completed => "no stage of it follows any more",
    };
    format!("{} Only a stage that has begun, of a running rollout, can be ended: {instead}.", stands(state, stage))
}

/// Why it can't be stopped.
pub(super) fn stop(state: R, stage: u32) -> String {
    let instead = match state {
        R::Stopping => return "It is being stopped already: it ends when the updates that are under way have.".to_owned(),
        R::RollingBack => {
            return "It is rolling back. That is not stopped half-way: it ends with the rollout that takes its devices back.".to_owned();
        }
        R::Draft | R::Rejected => "nothing of it goes out, so leave it or edit it",
        _ => "nobody gets anything from it any more",
    };
    format!("{} Only what was sent for approval and has not ended can be stopped: {instead}.", stands(state, stage))
}

/// Why no device of it is tried again, where none is in this state; none where some may be.
pub(super) fn retry(state: R, stage: u32) -> Option<String> {
    let instead = match state {
        R::Running | R::Paused | R::Halted => return None,
        R::Draft | R::WaitingForApproval | R::Rejected | R::Approved | R::Scheduled => "nobody has had it yet, so wait until it has begun",
        R::RollingBack | R::RolledBack => "draft a new rollout with a release that is good",
        R::Stopping | R::Stopped | R::Completed => "draft a new rollout for the devices that failed",
    };
    Some(format!("{} Devices are tried again only while it runs, is paused or is halted: {instead}.", stands(state, stage)))
}

/// Why nothing of it goes on whose release was recalled.
pub(super) fn recalled(state: R, stage: u32) -> String {
    format!(
        "{} Its release was recalled, and nobody installs that any more: stop this rollout and draft one with another release.",
        stands(state, stage)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::{
        control::{self, order},
        testing::{approved, stage},
    };
    use wire::{
        Timestamp,
        rollouts::{Counts, EndClass, Reach, Verb},
        states::{ReleaseState, StageState},
    };

    #[test]
    fn a_refused_order_says_where_it_is_what_is_asked_for_and_what_to_do() {
        let verbs = [Verb::Pause, Verb::Resume, Verb::Promote, Verb::Stop, Verb::Retry];
        let mut refused = 0;
        for (state, number) in R::ALL.iter().flat_map(|state| [(*state, 0), (*state, 1)]) {
            let mut course = approved(vec![stage(Reach::Count(5)), stage(Reach::Percent(100.0))]);
            (course.state, course.stage) = (state, number);
            course.stages[0].state = StageState::Running;
            course.stages[0].counts = Counts { total: 5, succeeded: 4, failed: 1, ..Counts::default() };
            for verb in verbs {
                let Err(why) = order(verb, &course, "oli", "", Timestamp(0)) else { continue };
                refused += 1;
                // What is said of a stage, or of devices, is not about where the rollout is.
                let of_more = ["Stage ", "The gate ", "No stage "].iter().any(|it| why.starts_with(it));
                let at = stands(state, number).trim_end_matches('.');
                assert!(of_more || why.starts_with(at) || why.starts_with("It is being stopped already"), "{verb:?} of {state}: {why}");
                assert!(why.ends_with('.') && (why.contains(": ") || why.matches(". ").count() > 0), "{verb:?} of {state}: {why}");
            }
        }
        assert!(refused > 60, "{refused}");
        let told = |verb, state| {
            let mut course = approved(vec![stage(Reach::Count(5)), stage(Reach::Percent(100.0))]);
            (course.state, course.stage, course.stages[0].state) = (state, 1, StageState::Running);
            course.stages[0].counts = Counts { total: 5, updating: 2, succeeded: 2, failed: 1, ..Counts::default() };
            order(verb, &course, "oli", "", Timestamp(0)).unwrap_err()
        };
        for (verb, state, why) in [
            (
                Verb::Pause,
                R::Scheduled,
                "It is scheduled and starts by itself at its time. Only a running rollout can be paused: to keep it from beginning, stop it, or edit it, which voids its approval.",
            ),
            (
                Verb::Resume,
                R::Running,
                "It is running. Only a paused or halted rollout can be resumed: it goes on by itself; where its stage is watched or waits for a person, promote it.",
            ),
            (Verb::Promote, R::Halted, "It is halted. Only a stage that has begun, of a running rollout, can be ended: resume it first."),
            (
                Verb::Promote,
                R::Running,
                "Stage 1 has 2 devices still under way, and ends when none is: wait, or cancel what has not begun to install.",
            ),
            (
                Verb::Stop,
                R::Completed,
                "It is completed. Only what was sent for approval and has not ended can be stopped: nobody gets anything from it any more.",
            ),
            (
                Verb::Retry,
                R::Stopping,
                "It is being stopped. Devices are tried again only while it runs, is paused or is halted: draft a new rollout for the devices that failed.",
            ),
        ] {
            assert_eq!(told(verb, state), why);
        }
        // What has ended is not to be stopped, whatever its release is.
        let mut course = approved(vec![stage(Reach::Percent(100.0))]);
        (course.state, course.stage, course.release) = (R::Completed, 1, ReleaseState::Recalled);
        course.stages[0].counts = Counts { total: 1, failed: 1, ..Counts::default() };
        assert!(control::retry(&course, EndClass::USUAL, 0, Timestamp(0)).unwrap_err().starts_with("It is completed."));
        course.state = R::Halted;
        assert!(
            control::retry(&course, EndClass::USUAL, 0, Timestamp(0)).unwrap_err().starts_with("It is halted. Its release was recalled")
        );
    }
}
