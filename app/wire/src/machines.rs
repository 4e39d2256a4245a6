//! Which states may follow which, as data, and as pages draw them. Rollouts, their stages and updates move along these tables and no other way; that of
//! releases is held against the core's own by a test there, and that of certificates is drawn only.

use crate::states::{CertificateState, ReleaseState, RolloutState, StageState, UpdateState};

/// A machine: each state with the ones that may follow it. States that end a life have no successors.
pub type Machine<S> = &'static [(S, &'static [S])];

/// A release's life. Nothing leads back, and nothing around the check of its signature.
pub const RELEASE: Machine<ReleaseState> = {
    use ReleaseState as R;
    &[
        (R::Draft, &[R::Verified]),
        (R::Verified, &[R::Published]),
        (R::Published, &[R::Deprecated, R::Recalled]),
        (R::Deprecated, &[R::Recalled]),
        (R::Recalled, &[]),
    ]
};

/// The life of a certificate that was issued here. An ended one is valid again where it was ended by a clock that was wrong; one whose authority is not
/// believed is a view of a valid one. Of an owner's authority a list says who is revoked, and the next list may say otherwise: that is not in this table.
pub const CERTIFICATE: Machine<CertificateState> = {
    use CertificateState as C;
    &[
        (C::Issuing, &[C::Active]),
        (C::Active, &[C::Superseded, C::Revoked, C::Expired, C::Untrusted]),
        (C::Superseded, &[C::Revoked]),
        (C::Revoked, &[]),
        (C::Expired, &[C::Active, C::Revoked]),
        (C::Untrusted, &[C::Active, C::Superseded, C::Revoked, C::Expired]),
    ]
};

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

/// A stage's life. What leads back to `running` is a person's decision: to go on after a gate said no, or to have devices tried again whose stage is done and
/// has not ended. The planner leads back only a stage that was done, when a device goes on with what was taken back from it.
pub const STAGE: Machine<StageState> = {
    use StageState as S;
    &[
        (S::Pending, &[S::Running, S::Skipped]),
        (S::Running, &[S::Soaking, S::AwaitingPromotion, S::Succeeded, S::Failed, S::Skipped]),
        (S::Soaking, &[S::Running, S::AwaitingPromotion, S::Succeeded, S::Failed, S::Skipped]),
        (S::AwaitingPromotion, &[S::Running, S::Succeeded, S::Failed, S::Skipped]),
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

/// What comes of an update that was taken back, where its device goes on with it: because it refuses to stop, or had begun before it heard of that.
const GOES_ON: &[UpdateState] = {
    use UpdateState as U;
    &[U::Downloading, U::Downloaded, U::Installing, U::Rebooting, U::Verifying, U::Succeeded, U::Failed, U::Reverted]
};

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
        (U::Cancelled, GOES_ON),
        (U::Superseded, GOES_ON),
        (U::NotApplicable, &[]),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeSet,
        fmt::{Debug, Display, Write as _},
    };

    /// Every state has one row, no state follows itself, and every state can be reached from the first.
    fn whole<S: Copy + Ord + Debug>(machine: Machine<S>, all: &[S]) {
        assert_eq!(machine.len(), all.len());
        assert_eq!(machine.iter().map(|(state, _)| *state).collect::<BTreeSet<_>>(), all.iter().copied().collect());
        let mut reached = BTreeSet::from([machine[0].0]);
        for _ in all {
            let next: Vec<S> =
                machine.iter().filter(|(state, _)| reached.contains(state)).flat_map(|(_, next)| next.iter().copied()).collect();
            reached.extend(next);
        }
        assert_eq!(reached.len(), all.len(), "{reached:?}");
        assert!(machine.iter().all(|(state, next)| !next.contains(state)));
    }

    #[test]
    fn every_state_can_be_reached() {
        whole(RELEASE, ReleaseState::ALL);
        whole(CERTIFICATE, CertificateState::ALL);
    }

    /// The machines as tables: what the manual's page on states shows.
    fn picture() -> String {
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
        draw(&mut out, "Release", RELEASE);
        draw(&mut out, "Rollout", ROLLOUT);
        draw(&mut out, "Stage", STAGE);
        draw(&mut out, "Update", UPDATE);
        draw(&mut out, "Certificate", CERTIFICATE);
        out
    }

    #[test]
    fn the_picture_in_the_manual_is_this_one() {
        let manual = include_str!("../../docs/states.md");
        assert!(manual.contains(picture().trim_end()), "write into app/docs/states.md:\n{}", picture());
    }
}
