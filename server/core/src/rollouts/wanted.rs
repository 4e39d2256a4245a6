//! Pure: which devices of a rollout a page is to hold, and how many of what is counted those are.

use super::state::Class;
use crate::devices::{DeviceNo, Selector};
use wire::{
    rollouts::{Counts, MOST_SORTED, Show},
    states::UpdateState,
    updates::UpdateFailure,
};

/// Devices up to which all pages are read at once, so that the total is that of the rows; of a larger fleet it is the count that is kept, which follows
/// changes of tags and groups some minutes later.
pub(super) const COUNTED: usize = MOST_SORTED;

/// Which devices a page is to hold.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Only devices behind this one.
    pub after: DeviceNo,
    /// 0 is every stage.
    pub stage: u32,
    /// Rows of the page.
    pub rows: usize,
    pub show: Show,
    /// How their updates ended; `show` does not count then.
    pub outcome: Option<UpdateFailure>,
    pub search: Option<&'a Selector>,
    /// Among whom are all that are searched for, where an index knows that.
    pub few: Option<&'a [DeviceNo]>,
}

impl Wanted<'_> {
    /// Whether it is about those that succeeded and were not heard of any more.
    pub fn dark(&self) -> bool {
        self.outcome == Some(UpdateFailure::WentDark)
    }

    /// Whether devices are looked at, and not only rows of updates.
    pub fn walks(&self) -> bool {
        !self.dark() && (self.search.is_some() || (self.outcome.is_none() && matches!(self.show, Show::All | Show::Waiting)))
    }

    /// Whether it is about those whose updates were cancelled.
    pub fn cancelled(&self) -> bool {
        self.outcome == Some(UpdateFailure::Cancelled)
    }

    /// How many of the counts are of the class asked for; of those that went dark nothing is counted with them, and of those that were cancelled only that they
    /// are among the ones that were left out.
    pub fn of(&self, counts: &Counts) -> i64 {
        match (self.outcome, self.show) {
            (Some(UpdateFailure::Failed), _) => counts.failed,
            (Some(UpdateFailure::TimedOut), _) => counts.timed_out,
            (Some(UpdateFailure::Reverted), _) => counts.reverted,
            (Some(UpdateFailure::Rejected), _) => counts.rejected,
            (Some(UpdateFailure::WentDark), _) => 0,
            (Some(UpdateFailure::Cancelled), _) => counts.left_out,
            (None, Show::Updating) => counts.updating,
            (None, Show::Failed) => counts.errors(),
            (None, Show::Succeeded) => counts.succeeded,
            (None, Show::Waiting) => counts.waiting,
            (None, Show::All) => counts.total,
        }
    }

    /// Whether a device in this state is of the class asked for; whether one went dark its state does not say.
    pub fn has(&self, state: UpdateState) -> bool {
        let class = Class::of(state);
        match (self.outcome, self.show) {
            (Some(UpdateFailure::Cancelled), _) => state == UpdateState::Cancelled,
            (Some(outcome), _) => UpdateFailure::of(state, false) == Some(outcome),
            (None, Show::Updating) => class == Class::Updating,
            (None, Show::Failed) => state.error(),
            (None, Show::Succeeded) => class == Class::Succeeded,
            (None, Show::Waiting) => class == Class::Waiting,
            (None, Show::All) => true,
        }
    }

    /// Whether the rows of the whole rollout that are of the class are few enough to be read at once. Those that ended badly have an index; to find the others all
    /// of its updates may have to be passed by.
    pub fn small(&self, totals: &Counts) -> bool {
        let badly = self.outcome.is_some() || self.show == Show::Failed;
        let rows = if badly && !self.dark() && !self.cancelled() { self.of(totals) } else { totals.total };
        usize::try_from(rows).is_ok_and(|rows| rows <= COUNTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(show: Show, outcome: Option<UpdateFailure>) -> Wanted<'static> {
        Wanted { after: 0, stage: 0, rows: 50, show, outcome, search: None, few: None }
    }

    #[test]
    fn a_class_is_counted_as_its_rows_are_chosen() {
        let counts = Counts { total: 31, waiting: 1, updating: 2, succeeded: 4, failed: 8, timed_out: 16, ..Counts::default() };
        for (show, states, count) in [
            (Show::Waiting, &[UpdateState::Queued][..], 1),
            (Show::Updating, &[UpdateState::Offered, UpdateState::Verifying][..], 2),
            (Show::Succeeded, &[UpdateState::Succeeded][..], 4),
            (Show::Failed, &[UpdateState::Failed, UpdateState::TimedOut, UpdateState::Reverted, UpdateState::Rejected][..], 24),
        ] {
            let of = wanted(show, None);
            assert_eq!(of.of(&counts), count, "{show}");
            assert!(states.iter().all(|state| of.has(*state)), "{show}");
        }
        let silent = wanted(Show::Succeeded, Some(UpdateFailure::TimedOut));
        assert!(
            silent.of(&counts) == 16 && silent.has(UpdateState::TimedOut) && !silent.has(UpdateState::Succeeded),
            "it comes before the other"
        );
        let cancelled = wanted(Show::Failed, Some(UpdateFailure::Cancelled));
        assert!(cancelled.has(UpdateState::Cancelled) && !cancelled.has(UpdateState::Superseded) && !cancelled.has(UpdateState::Failed));
    }

    #[test]
    fn what_an_index_finds_may_be_few_in_a_large_rollout() {
        let counts = Counts { total: 1_000_000, updating: 3, succeeded: 999_990, failed: 7, ..Counts::default() };
        assert!(wanted(Show::Failed, None).small(&counts) && wanted(Show::All, Some(UpdateFailure::Rejected)).small(&counts));
        assert!(!wanted(Show::Updating, None).small(&counts), "a million rows are passed by to find three");
        assert!(!wanted(Show::All, Some(UpdateFailure::WentDark)).small(&counts));
        assert!(!wanted(Show::All, Some(UpdateFailure::Cancelled)).small(&counts));
    }
}
