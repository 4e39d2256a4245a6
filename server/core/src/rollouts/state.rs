//! Pure: which states may follow which. Rollouts, stages and updates change state only along the tables of [`wire::machines`], which pages draw as well.

use std::fmt::Display;
use wire::{rollouts::Counts, states::UpdateState};

pub use wire::machines::{Machine, ROLLOUT, STAGE, UPDATE};

/// A transition that no table has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{from} can't become {to}")]
pub struct Illegal {
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
}

/// Whether `to` may follow `from`.
pub fn legal<S: PartialEq + Copy>(machine: Machine<S>, from: S, to: S) -> bool {
    machine.iter().any(|(state, next)| *state == from && next.contains(&to))
}

/// `to`, if it may follow `from`.
pub fn step<S: PartialEq + Copy + Display>(machine: Machine<S>, from: S, to: S) -> Result<S, Illegal> {
    if legal(machine, from, to) { Ok(to) } else { Err(Illegal { from: from.to_string(), to: to.to_string() }) }
}

/// Whether nothing follows this state any more.
pub fn ended<S: PartialEq + Copy>(machine: Machine<S>, state: S) -> bool {
    machine.iter().any(|(s, next)| *s == state && next.is_empty())
}

/// States a device may report. The others are the server's to say.
pub const fn devices_word(state: UpdateState) -> bool {
    use UpdateState as U;
    matches!(
        state,
        U::AwaitingWindow
            | U::AwaitingConfirmation
            | U::Downloading
            | U::Downloaded
            | U::Installing
            | U::Rebooting
            | U::Verifying
            | U::Succeeded
            | U::Failed
            | U::Rejected
            | U::Reverted
            | U::NotApplicable
    )
}

/// Whether the device has begun an update in this state: what is begun ends before anything else comes.
pub const fn begun(state: UpdateState) -> bool {
    use UpdateState as U;
    !matches!(state, U::Offered | U::AwaitingWindow | U::AwaitingConfirmation)
}

/// Whether a person may cancel an update in this state: a device that changes itself already can only go on.
pub fn cancellable(state: UpdateState) -> bool {
    state != UpdateState::Queued && legal(UPDATE, state, UpdateState::Cancelled)
}

/// Whether the server took an update back, and not its device's own word ended it.
pub const fn taken_back(state: UpdateState) -> bool {
    matches!(state, UpdateState::Cancelled | UpdateState::Superseded)
}

/// The classes of [`Counts`]: each update is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Not offered yet, or to be offered again.
    Waiting,
    /// Under way.
    Updating,
    /// Runs the release.
    Succeeded,
    /// Could not install.
    Failed,
    /// Went back by itself.
    Reverted,
    /// Fell silent.
    TimedOut,
    /// Refused it.
    Rejected,
    /// Taken out.
    LeftOut,
}

impl Class {
    /// Every class, in the order of [`Counts`].
    pub const ALL: [Self; 8] =
        [Self::Waiting, Self::Updating, Self::Succeeded, Self::Failed, Self::Reverted, Self::TimedOut, Self::Rejected, Self::LeftOut];

    /// The class an update in this state counts in.
    pub const fn of(state: UpdateState) -> Self {
        use UpdateState as U;
        match state {
            U::Queued => Self::Waiting,
            U::Offered
            | U::AwaitingWindow
            | U::AwaitingConfirmation
            | U::Downloading
            | U::Downloaded
            | U::Installing
            | U::Rebooting
            | U::Verifying => Self::Updating,
            U::Succeeded => Self::Succeeded,
            U::Failed => Self::Failed,
            U::Reverted => Self::Reverted,
            U::TimedOut => Self::TimedOut,
            U::Rejected => Self::Rejected,
            U::Cancelled | U::Superseded | U::NotApplicable => Self::LeftOut,
        }
    }
    /// Whether its devices are evidence: they succeeded, or ended in an error.
    pub const fn finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Reverted | Self::TimedOut | Self::Rejected)
    }

    /// This class's number.
    pub const fn of_counts(self, counts: &Counts) -> i64 {
        match self {
            Self::Waiting => counts.waiting,
            Self::Updating => counts.updating,
            Self::Succeeded => counts.succeeded,
            Self::Failed => counts.failed,
            Self::Reverted => counts.reverted,
            Self::TimedOut => counts.timed_out,
            Self::Rejected => counts.rejected,
            Self::LeftOut => counts.left_out,
        }
    }

    /// Adds to this class's number, and to the total.
    pub const fn add(self, counts: &mut Counts, devices: i64) {
        let slot = match self {
            Self::Waiting => &mut counts.waiting,
            Self::Updating => &mut counts.updating,
            Self::Succeeded => &mut counts.succeeded,
            Self::Failed => &mut counts.failed,
            Self::Reverted => &mut counts.reverted,
            Self::TimedOut => &mut counts.timed_out,
            Self::Rejected => &mut counts.rejected,
            Self::LeftOut => &mut counts.left_out,
        };
        *slot += devices;
        counts.total += devices;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use wire::states::{RolloutState, StageState};

    /// Every state has a row, and every state can be reached from the first.
    fn whole<S: Copy + Ord + Display + std::fmt::Debug>(machine: Machine<S>, all: &[S]) {
        assert_eq!(machine.iter().map(|(s, _)| *s).collect::<BTreeSet<_>>(), all.iter().copied().collect(), "one row a state");
        assert_eq!(machine.len(), all.len());
        let mut reached = BTreeSet::from([machine[0].0]);
        loop {
            let more: Vec<S> = machine.iter().filter(|(s, _)| reached.contains(s)).flat_map(|(_, n)| n.iter().copied()).collect();
            let before = reached.len();
            reached.extend(more);
            if reached.len() == before {
                break;
            }
        }
        for state in all {
            assert!(reached.contains(state), "{state} can't be reached");
        }
    }

    #[test]
    fn every_state_can_be_reached() {
        whole(ROLLOUT, RolloutState::ALL);
        whole(STAGE, StageState::ALL);
        whole(UPDATE, UpdateState::ALL);
    }

    #[test]
    fn what_must_never_happen_is_not_in_the_tables() {
        use {RolloutState as R, StageState as S, UpdateState as U};
        for state in RolloutState::ALL {
            assert_eq!(ended(ROLLOUT, *state), state.ended(), "{state}");
        }
        for to in RolloutState::ALL {
            assert!(!legal(ROLLOUT, R::Completed, *to) && !legal(ROLLOUT, R::Stopped, *to), "an ended rollout stays ended");
        }
        for from in [R::Draft, R::WaitingForApproval, R::Rejected] {
            assert!(!legal(ROLLOUT, from, R::Running), "{from} was never approved");
        }
        assert!(step(STAGE, S::Succeeded, S::Running).is_err());
        assert!(step(STAGE, S::Skipped, S::Running).is_err());
        for from in [S::Failed, S::Soaking, S::AwaitingPromotion] {
            assert_eq!(step(STAGE, from, S::Running), Ok(S::Running), "a person goes on, or has devices tried again");
        }
        for (state, next) in UPDATE {
            assert!(!next.contains(state), "{state} does not follow itself");
            assert!(!next.contains(&U::Queued), "an update never goes back; trying again is a new update");
            // Whose device does not obey goes on.
            if state.finished() && !taken_back(*state) {
                assert!(next.iter().all(|to| to.finished()), "{state} has ended");
            }
        }
        assert_eq!(step(UPDATE, U::Failed, U::Succeeded).unwrap_err().to_string(), "failed can't become succeeded");
    }

    #[test]
    fn updates_only_go_forward() {
        // Along the order of the enumeration, except to wait for a window and from what the server made up.
        for (from, next) in UPDATE {
            for to in *next {
                use UpdateState as U;
                let sideways = matches!(from, U::AwaitingConfirmation | U::Downloaded) && *to == U::AwaitingWindow;
                let corrected = matches!(from, U::TimedOut | U::Cancelled | U::Superseded);
                assert!(to > from || sideways || corrected, "{from} → {to}");
            }
        }
    }

    #[test]
    fn each_state_counts_once() {
        for state in UpdateState::ALL {
            let mut counts = Counts::default();
            Class::of(*state).add(&mut counts, 1);
            assert_eq!(Class::ALL.iter().map(|c| c.of_counts(&counts)).sum::<i64>(), 1);
            assert_eq!(counts.total, 1);
            assert_eq!(counts.errors() == 1, state.error());
            assert_eq!(counts.updating + counts.waiting == 0, state.finished());
        }
    }
}
