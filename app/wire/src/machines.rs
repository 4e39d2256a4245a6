//! Which states may follow which, as data: the controller moves along these tables and no other way, and pages draw them.

use crate::states::{RolloutState, StageState, UpdateState};

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
/// (`timed_out`, `cancelled`, `superseded`) give way to what the device itself says later, and so does a success that was believed.
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
        // Of a device whose success names no version, and that says later what it runs.
        (U::Succeeded, &[U::Failed]),
        (U::Failed, &[]),
        (U::Rejected, &[]),
        (U::TimedOut, &[U::Succeeded, U::Failed, U::Rejected, U::Reverted]),
        (U::Reverted, &[]),
        (U::Cancelled, &[U::Succeeded, U::Reverted]),
        (U::Superseded, &[U::Succeeded, U::Reverted]),
        (U::NotApplicable, &[]),
    ]
};
