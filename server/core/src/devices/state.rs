//! Pure: the life of a device. The legal transitions are data; whatever is not in the table is refused.

use wire::states::{
    DeviceState::{self, Active, Decommissioned, Pending, Preregistered, Suspended},
    DeviceStep as Step,
};

/// Every legal transition.
pub const TRANSITIONS: &[(DeviceState, Step, DeviceState)] = &[
    (Pending, Step::Admit, Active),
    (Active, Step::Suspend, Suspended),
    (Suspended, Step::Resume, Active),
    (Preregistered, Step::Decommission, Decommissioned),
    (Pending, Step::Decommission, Decommissioned),
    (Active, Step::Decommission, Decommissioned),
    (Suspended, Step::Decommission, Decommissioned),
    (Decommissioned, Step::Recommission, Preregistered),
    (Preregistered, Step::Delete, Decommissioned),
    (Pending, Step::Delete, Decommissioned),
    (Active, Step::Delete, Decommissioned),
    (Suspended, Step::Delete, Decommissioned),
    (Decommissioned, Step::Delete, Decommissioned),
];

/// The word in the audit log.
pub const fn action(step: Step) -> &'static str {
    match step {
        Step::Admit => "device.admit",
        Step::Suspend => "device.suspend",
        Step::Resume => "device.resume",
        Step::Decommission => "device.decommission",
        Step::Recommission => "device.recommission",
        Step::Delete => "device.delete",
    }
}

/// Where a step leads, from wherever it is legal.
pub const fn goal(step: Step) -> DeviceState {
    match step {
        Step::Suspend => Suspended,
        Step::Admit | Step::Resume => Active,
        Step::Decommission | Step::Delete => Decommissioned,
        Step::Recommission => Preregistered,
    }
}

/// Where the step leads from here; none when it is not legal here.
pub fn step(from: DeviceState, step: Step) -> Option<DeviceState> {
    TRANSITIONS.iter().find(|(at, by, _)| (*at, *by) == (from, step)).map(|(_, _, to)| *to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn the_whole_machine() {
        let mut table = String::new();
        for from in DeviceState::ALL {
            for by in Step::ALL {
                let to = step(*from, *by).map_or("-", DeviceState::as_str);
                let _ = writeln!(table, "{:<14} {:<12} {to}", from.as_str(), by.as_str());
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_step_has_one_goal_and_nothing_becomes_active_from_decommissioned() {
        for (from, by, to) in TRANSITIONS {
            assert_eq!(*to, goal(*by));
            assert!((*from, *to) != (Decommissioned, Active), "only an enrolment brings a device back");
        }
    }
}
