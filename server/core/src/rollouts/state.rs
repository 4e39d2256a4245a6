//! Pure: which states may follow which, as data. Rollouts, stages and updates change state only along these tables.

use std::fmt::{Display, Write as _};
use wire::{
    rollouts::Counts,
    states::{RolloutState, StageState, UpdateState},
};

/// A machine: each state with the ones that may follow it. States that end a life have no successors.
pub type Machine<S> = &'static [(S, &'static [S])];

/// A rollout's life.
pub const ROLLOUT: Machine<RolloutState> = {
    use RolloutState as R;
    &[
        (R::Draft, &[R::WaitingForApproval]),
        (R::WaitingForApproval, &[R::Draft, R::Rejected, R::Approved, R::Stopping]),
        (R::Rejected, &[R::Draft]),
        (R::Approved, &[R::Draft, R::Scheduled, R::Running, R::Stopping]),
        (R::Scheduled, &[R::Draft, R::Running, R::Stopping]),
        (R::Running, &[R::Paused, R::Halted, R::RollingBack, R::Completed, R::Stopping]),
        (R::Paused, &[R::Running, R::Halted, R::RollingBack, R::Stopping]),
        (R::Halted, &[R::Running, R::RollingBack, R::Stopping]),
        (R::RollingBack, &[R::RolledBack, R::Halted]),
        (R::RolledBack, &[]),
        (R::Stopping, &[R::Stopped]),
        (R::Stopped, &[]),
        (R::Completed, &[]),
    ]
};

/// A stage's life. `failed → running` is a person's decision to go on after a gate said no; the planner never makes it.
pub const STAGE: Machine<StageState> = {
    use StageState as S;
    &[
        (S::Pending, &[S::Running, S::Skipped]),
        (S::Running, &[S::Soaking, S::AwaitingPromotion, S::Succeeded, S::Failed, S::Skipped]),
        (S::Soaking, &[S::AwaitingPromotion, S::Succeeded, S::Failed, S::Skipped]),
        (S::AwaitingPromotion, &[S::Succeeded, S::Failed, S::Skipped]),
        (S::Succeeded, &[]),
        (S::Failed, &[S::Running, S::Skipped]),
        (S::Skipped, &[]),
    ]
};

/// The way of an update from its offer to its ends. What comes before the install may lead to everything behind it.
const WAY: &[UpdateState] = {
    use UpdateState as U;
    &[
        U::AwaitingWindow,
        U::AwaitingConfirmation,
        U::Downloading,
        U::Downloaded,
        U::Installing,
        U::Rebooting,
        U::Verifying,
        U::Succeeded,
        U::Failed,
        U::Rejected,
        U::TimedOut,
        U::Reverted,
        U::Cancelled,
        U::Superseded,
        U::NotApplicable,
    ]
};

/// What is behind this state on the [`WAY`]; all of it for the offer, with which it begins.
const fn after(state: UpdateState) -> &'static [UpdateState] {
    let mut at = 0;
    while at < WAY.len() {
        if WAY[at] as u8 == state as u8 {
            return WAY.split_at(at + 1).1;
        }
        at += 1;
    }
    WAY
}

/// An update's life. Devices may leave out steps they had nothing to say about, but never go back, except to wait for a window with what they
/// have fetched. The endings that the server made up
/// (`timed_out`, `cancelled`, `superseded`) give way to what the device itself says later.
pub const UPDATE: Machine<UpdateState> = {
    use UpdateState as U;
    &[
        (U::Queued, &[U::Offered, U::Cancelled, U::Superseded, U::NotApplicable]),
        (U::Offered, after(U::Offered)),
        (U::AwaitingWindow, after(U::AwaitingWindow)),
        (
            U::AwaitingConfirmation,
            &[
                U::AwaitingWindow,
                U::Downloading,
                U::Downloaded,
                U::Installing,
                U::Rebooting,
                U::Verifying,
                U::Succeeded,
                U::Failed,
                U::Rejected,
                U::TimedOut,
                U::Reverted,
                U::Cancelled,
                U::Superseded,
                U::NotApplicable,
            ],
        ),
        (U::Downloading, after(U::Downloading)),
        // Who has fetched it early waits for its window then.
        (
            U::Downloaded,
            &[
                U::AwaitingWindow,
                U::Installing,
                U::Rebooting,
                U::Verifying,
                U::Succeeded,
                U::Failed,
                U::Rejected,
                U::TimedOut,
                U::Reverted,
                U::Cancelled,
                U::Superseded,
                U::NotApplicable,
            ],
        ),
        (U::Installing, &[U::Rebooting, U::Verifying, U::Succeeded, U::Failed, U::Rejected, U::TimedOut, U::Reverted]),
        (U::Rebooting, &[U::Verifying, U::Succeeded, U::Failed, U::TimedOut, U::Reverted]),
        (U::Verifying, &[U::Succeeded, U::Failed, U::TimedOut, U::Reverted]),
        (U::Succeeded, &[]),
        (U::Failed, &[]),
        (U::Rejected, &[]),
        (U::TimedOut, &[U::Succeeded, U::Failed, U::Rejected, U::Reverted]),
        (U::Reverted, &[]),
        (U::Cancelled, &[U::Succeeded, U::Reverted]),
        (U::Superseded, &[U::Succeeded, U::Reverted]),
        (U::NotApplicable, &[]),
    ]
};

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

/// The three machines as tables: what the manual's page on states shows.
pub fn picture() -> String {
    fn draw<S: Display + Copy>(out: &mut String, title: &str, machine: Machine<S>) {
        let _ = writeln!(out, "### {title}\n\n| from | to |\n|---|---|");
        for (from, next) in machine {
            let next: Vec<String> = next.iter().map(ToString::to_string).collect();
            let next = if next.is_empty() { "– (it has ended)".to_owned() } else { next.join(", ") };
            let _ = writeln!(out, "| {from} | {next} |");
        }
        out.push('\n');
    }
    let mut out = String::new();
    draw(&mut out, "Rollout", ROLLOUT);
    draw(&mut out, "Stage", STAGE);
    draw(&mut out, "Update", UPDATE);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

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
        for to in RolloutState::ALL {
            assert!(!legal(ROLLOUT, R::Completed, *to) && !legal(ROLLOUT, R::Stopped, *to), "an ended rollout stays ended");
        }
        for from in [R::Draft, R::WaitingForApproval, R::Rejected] {
            assert!(!legal(ROLLOUT, from, R::Running), "{from} was never approved");
        }
        assert!(step(STAGE, S::Succeeded, S::Running).is_err());
        assert!(step(STAGE, S::Soaking, S::Running).is_err());
        assert_eq!(step(STAGE, S::Failed, S::Running), Ok(S::Running));
        for (state, next) in UPDATE {
            assert!(!next.contains(state), "{state} does not follow itself");
            assert!(!next.contains(&U::Queued), "an update never goes back; trying again is a new update");
            if state.finished() {
                assert!(next.iter().all(|to| to.finished()), "{state} has ended");
            }
        }
        assert_eq!(step(UPDATE, U::Succeeded, U::Failed).unwrap_err().to_string(), "succeeded can't become failed");
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

    #[test]
    fn the_picture_in_the_manual_is_this_one() {
        let manual = include_str!("../../../../app/docs/states.md");
        assert!(manual.contains(picture().trim_end()), "write into app/docs/states.md:\n{}", picture());
    }
}
