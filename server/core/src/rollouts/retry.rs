//! Pure: what is tried again by itself, and when, and what a person has tried again. A device that did not make it waits in a penalty box, longer each time,
//! and counts as it ended until it is offered the release again.

use wire::{
    Timestamp,
    rollouts::{EndClass, Problem, Retry, RetryClass},
    states::{RolloutState, UpdateState},
    time::duration,
};

/// Most times.
pub const MAX_TIMES: u32 = 10;
/// The longest wait, in minutes: a day.
pub const MAX_WAIT_MIN: u32 = 1440;

/// When a device whose attempt of this number, from 1, ended now is offered the release again; none for never.
pub fn at(retry: Option<&Retry>, ended: UpdateState, attempt: i64, now: Timestamp) -> Option<Timestamp> {
    let retry = retry?;
    let class = class(ended)?;
    if !retry.classes.contains(&class) || attempt < 1 || attempt > i64::from(retry.times) {
        return None;
    }
    let doublings = u32::try_from(attempt - 1).unwrap_or(u32::MAX).min(16);
    let minutes = (i64::from(retry.wait_min) << doublings).min(i64::from(MAX_WAIT_MIN));
    Some(now.plus(minutes * 60_000))
}

/// Whether a rollout in this state still tries anybody again, at once or when it is resumed.
pub const fn goes_on(state: RolloutState) -> bool {
    matches!(state, RolloutState::Running | RolloutState::Paused | RolloutState::Halted)
}

/// The class of an end that may be tried again.
const fn class(ended: UpdateState) -> Option<RetryClass> {
    match ended {
        UpdateState::Failed => Some(RetryClass::Failed),
        UpdateState::TimedOut => Some(RetryClass::TimedOut),
        UpdateState::Reverted => Some(RetryClass::Reverted),
        UpdateState::Rejected => Some(RetryClass::Rejected),
        _ => None,
    }
}

/// The problems of a plan's retries.
pub fn problems(retry: &Retry) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut unless = |ok: bool, field: &str, message: &str| {
        if !ok {
            found.push(Problem { field: field.to_owned(), message: message.to_owned() });
        }
    };
    let once = retry.classes.iter().enumerate().all(|(i, class)| !retry.classes[..i].contains(class));
    unless(!retry.classes.is_empty(), "retry.classes", "Choose at least one end that is tried again, or no retries.");
    unless(once, "retry.classes", "Name each end once.");
    unless((1..=MAX_TIMES).contains(&retry.times), "retry.times", "Try again 1 to 10 times, or set no retries.");
    unless((1..=MAX_WAIT_MIN).contains(&retry.wait_min), "retry.wait_min", "Wait 1 to 1,440 minutes (a day) before the first retry.");
    found
}

/// What is tried again, in a line.
pub fn words(retry: Option<&Retry>) -> String {
    let Some(Retry { classes, times, wait_min }) = retry else { return "never by itself".to_owned() };
    let classes: Vec<&str> = classes.iter().map(|c| spoken(*c)).collect();
    let wait = duration(i64::from(*wait_min) * 60_000);
    format!("up to {times} times when it {}, first after {wait}, then twice as long each time", classes.join(" or "))
}

const fn spoken(class: RetryClass) -> &'static str {
    match class {
        RetryClass::Failed => "failed",
        RetryClass::TimedOut => "fell silent",
        RetryClass::Reverted => "went back",
        RetryClass::Rejected => "was refused",
    }
}

/// How updates ended that a person has tried again, as a sentence about devices has it.
pub fn of_those(classes: &[EndClass]) -> String {
    let of = |class: &EndClass| match class {
        EndClass::Failed => "failed",
        EndClass::TimedOut => "fell silent",
        EndClass::Reverted => "went back",
        EndClass::Rejected => "refused it",
        EndClass::Cancelled => "somebody cancelled",
    };
    classes.iter().map(of).collect::<Vec<_>>().join(" or ")
}

/// Why nobody is tried again, of those that were asked for.
pub fn nobody(classes: &[EndClass]) -> String {
    if classes == EndClass::USUAL {
        return "No device has failed or timed out. Devices that refused, went back or were cancelled are not tried again unless that is asked for."
            .to_owned();
    }
    format!("There is no device that {}.", of_those(classes))
}

/// The words by which people choose.
pub fn choices() -> String {
    EndClass::ALL.iter().map(|class| class.as_str()).collect::<Vec<_>>().join(", ")
}

/// What the device's page says of one that waits to be tried again; `goes_out` unless somebody has to resume the rollout first.
pub fn waits(attempts: i64, at: Timestamp, now: Timestamp, goes_out: bool) -> String {
    let tried = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
    if !goes_out {
        let earliest = if at <= now { String::new() } else { format!(", in {} at the earliest", duration(at.since(now))) };
        return format!("Tried {tried}; it is offered again once the rollout is resumed{earliest}.");
    }
    let when = if at <= now { "now".to_owned() } else { format!("in {}", duration(at.since(now))) };
    format!("Tried {tried}; it is offered again {when}, while devices of its stage may come.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn retry() -> Retry {
        Retry { classes: vec![RetryClass::Failed, RetryClass::TimedOut], times: 3, wait_min: 30 }
    }

    #[test]
    fn each_wait_is_twice_the_one_before_and_then_it_is_over() {
        let minutes = |attempt| at(Some(&retry()), UpdateState::Failed, attempt, Timestamp(0)).map(|t| t.0 / 60_000);
        assert_eq!([1, 2, 3, 4].map(minutes), [Some(30), Some(60), Some(120), None]);
        assert_eq!(at(Some(&retry()), UpdateState::Reverted, 1, Timestamp(0)), None, "not asked for");
        assert_eq!(at(Some(&retry()), UpdateState::Succeeded, 1, Timestamp(0)), None);
        assert_eq!(at(None, UpdateState::Failed, 1, Timestamp(0)), None);
    }

    #[test]
    fn mistakes_are_told_at_their_fields() {
        assert_eq!(problems(&retry()), []);
        let fields = |retry| problems(&retry).into_iter().map(|p| p.field).collect::<Vec<_>>();
        assert_eq!(fields(Retry { classes: vec![], ..retry() }), ["retry.classes"]);
        assert_eq!(fields(Retry { classes: vec![RetryClass::Failed; 2], ..retry() }), ["retry.classes"]);
        assert_eq!(fields(Retry { times: 11, wait_min: 0, ..retry() }), ["retry.times", "retry.wait_min"]);
    }

    #[test]
    fn a_retry_by_hand_says_of_whom_it_is() {
        assert_eq!(of_those(&[EndClass::Reverted]), "went back");
        assert_eq!(of_those(EndClass::USUAL), "failed or fell silent");
        assert_eq!(nobody(&[EndClass::Reverted, EndClass::Rejected]), "There is no device that went back or refused it.");
        assert!(
            nobody(EndClass::USUAL).starts_with("No device has failed or timed out. Devices that refused, went back or were cancelled")
        );
        // What may be tried again by itself may be tried again by hand, under the same word.
        for class in RetryClass::ALL {
            let by_hand: EndClass = class.as_str().parse().unwrap();
            assert_eq!((by_hand.state().as_str(), super::class(by_hand.state())), (class.as_str(), Some(*class)));
            assert!(choices().contains(class.as_str()));
        }
    }

    #[test]
    fn it_reads_as_people_say_it() {
        assert_eq!(words(Some(&retry())), "up to 3 times when it failed or fell silent, first after 30 min, then twice as long each time");
        let told = |now, goes_out| waits(2, Timestamp(600_000), Timestamp(now), goes_out);
        assert_eq!(told(0, true), "Tried 2 times; it is offered again in 10 min, while devices of its stage may come.");
        assert_eq!(told(0, false), "Tried 2 times; it is offered again once the rollout is resumed, in 10 min at the earliest.");
        assert_eq!(told(600_000, false), "Tried 2 times; it is offered again once the rollout is resumed.");
    }

    proptest! {
        #[test]
        fn a_wait_is_never_over_a_day_nor_shorter_than_the_one_before(times in 1u32..=10, wait_min in 1u32..=1440, attempt in 1i64..20) {
            let retry = Retry { classes: vec![RetryClass::TimedOut], times, wait_min };
            let wait = |attempt| at(Some(&retry), UpdateState::TimedOut, attempt, Timestamp(7)).map(|t| t.since(Timestamp(7)));
            prop_assert_eq!(wait(attempt).is_some(), attempt <= i64::from(times));
            if let (Some(first), Some(second)) = (wait(attempt), wait(attempt + 1)) {
                prop_assert!(first <= second && second <= 86_400_000);
            }
        }
    }
}
