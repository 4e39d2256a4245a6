//! Pure: the life of a release. The legal transitions are data; whatever is not in the table is refused.

use std::fmt;
use wire::states::ReleaseState::{self, Deprecated, Draft, Published, Recalled, Verified};

/// What moves a release on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Its signature and digests turned out to be right.
    Verify,
    /// A person lets rollouts use it.
    Publish,
    /// A person takes it off the list for new rollouts.
    Deprecate,
    /// A person withdraws it: no new installs, running rollouts halt.
    Recall,
}

/// Every legal transition.
pub const TRANSITIONS: &[(ReleaseState, Step, ReleaseState)] = &[
    (Draft, Step::Verify, Verified),
    (Verified, Step::Publish, Published),
    (Published, Step::Deprecate, Deprecated),
    (Published, Step::Recall, Recalled),
    (Deprecated, Step::Recall, Recalled),
];

impl Step {
    /// Every step.
    pub const ALL: &'static [Self] = &[Self::Verify, Self::Publish, Self::Deprecate, Self::Recall];

    /// The word used in refusals and in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Publish => "publish",
            Self::Deprecate => "deprecate",
            Self::Recall => "recall",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the step leads from here; none when it is not legal here.
pub fn step(from: ReleaseState, step: Step) -> Option<ReleaseState> {
    TRANSITIONS.iter().find(|(at, by, _)| (*at, *by) == (from, step)).map(|(_, _, to)| *to)
}

/// Whether the release was ever published, so that devices may run it.
pub const fn was_published(state: ReleaseState) -> bool {
    matches!(state, Published | Deprecated | Recalled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use wire::machines::RELEASE;

    #[test]
    fn pages_draw_the_transitions_of_the_table_and_no_others() {
        let drawn = RELEASE.iter().flat_map(|(from, next)| next.iter().map(move |to| (*from, *to))).collect::<Vec<_>>();
        assert_eq!(drawn, TRANSITIONS.iter().map(|(from, _, to)| (*from, *to)).collect::<Vec<_>>());
    }

    #[test]
    fn the_whole_machine() {
        let mut table = String::new();
        for from in ReleaseState::ALL {
            for by in Step::ALL {
                let to = step(*from, *by).map_or("-", ReleaseState::as_str);
                let _ = writeln!(table, "{:<10} {:<9} {to}", from.as_str(), by.as_str());
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn no_way_leads_back_and_none_around_verification() {
        for (from, by, to) in TRANSITIONS {
            assert!(from < to, "{from} {by} {to}");
            assert!(*to != Published || *from == Verified);
        }
        assert!(ReleaseState::ALL.iter().all(|s| was_published(*s) == (*s >= Published)));
    }
}
