//! Pure: the life of a registered authority (E-10). The legal transitions are data; whatever is not in the table is refused.

use wire::registered::{
    RegisteredState::{self, Active, Disabled, Unverified, Verified},
    RegisteredStep as Step,
};

/// Every legal transition.
pub const TRANSITIONS: &[(RegisteredState, Step, RegisteredState)] = &[
    (Unverified, Step::Verify, Verified),
    (Verified, Step::Enable, Active),
    // Under another policy.
    (Active, Step::Enable, Active),
    (Active, Step::Disable, Disabled),
    (Disabled, Step::Enable, Active),
];

/// Where the step leads from here; none when it is not legal here.
pub fn step(from: RegisteredState, step: Step) -> Option<RegisteredState> {
    TRANSITIONS.iter().find(|(at, by, _)| (*at, *by) == (from, step)).map(|(_, _, to)| *to)
}

/// What can be done in this state instead.
pub const fn instead(from: RegisteredState) -> &'static str {
    match from {
        Unverified => "It is unverified: prove first that you hold its key, with a verification certificate.",
        Verified => "It is verified already: enable it with a policy for new devices.",
        Active => "It is active: disable it first.",
        Disabled => "It is disabled: its possession was proved before; enable it.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn the_whole_machine() {
        let mut table = String::new();
        for from in RegisteredState::ALL {
            for by in Step::ALL {
                let to = step(*from, *by).map_or("-", RegisteredState::as_str);
                let _ = writeln!(table, "{:<11} {:<8} {to}", from.as_str(), by.as_str());
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn e_10_nothing_becomes_active_that_was_never_verified() {
        for (from, by, to) in TRANSITIONS {
            assert!(*from != Unverified || (*by, *to) == (Step::Verify, Verified));
        }
    }
}
