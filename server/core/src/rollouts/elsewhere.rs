//! Pure: what other rollouts have for the devices that a plan is for: which of them goes first, and what comes of it. Refuses to know how that is read.

use super::{lot::Kept, plan::devices_of, survey::Target};
use crate::devices::{DeviceNo, Facts};
use std::{cmp::Reverse, collections::HashSet};
use wire::ids::RolloutId;

/// Rollouts that are named of each kind; beyond, that there are more.
const NAMED: usize = 3;

/// A rollout that runs, and has its turn before the plan with a device that both may be offered to.
#[derive(Debug)]
pub struct Earlier {
    /// Its id.
    pub id: RolloutId,
    /// Its name.
    pub name: String,
    /// How urgent it is.
    pub priority: u32,
    /// What it asks of a device.
    pub target: Target,
    /// Its draw.
    pub kept: Kept,
    /// Who has had a turn in it, and does not come again.
    pub settled: HashSet<DeviceNo>,
    /// Of a way back, who may be in it; none for everybody.
    pub members: Option<HashSet<DeviceNo>>,
}

impl Earlier {
    /// Whether it has something for a device, now or with a later stage.
    pub fn means(&self, device: DeviceNo, facts: &Facts) -> bool {
        self.members.as_ref().is_none_or(|members| members.contains(&device))
            && !self.settled.contains(&device)
            && self.target.check(facts, false).is_ok()
            && self.kept.stage_of(&self.id, device, facts).is_some()
    }
}

/// How another rollout has devices of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is updating them, and is not taken over from.
    Updates,
    /// It has offered them something that they have not begun, and that the plan takes over.
    Offers,
    /// It is more urgent than the plan, at this priority, or as urgent and newer.
    First(u32),
}

impl How {
    /// The kind, in the order in which they are told.
    const fn kind(self) -> u8 {
        match self {
            Self::Updates => 0,
            Self::Offers => 1,
            Self::First(_) => 2,
        }
    }
}

/// What another rollout has of the devices that a plan is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Has {
    /// Its name.
    pub name: String,
    /// The sequence that it brings.
    pub sequence: i64,
    /// How many devices.
    pub devices: i64,
    /// How it has them.
    pub how: How,
}

impl Has {
    /// What comes of it for a plan that brings this sequence, in sentences.
    fn words(&self, sequence: i64) -> String {
        let Self { name, devices, .. } = self;
        let (all, one) = (devices_of(*devices), *devices == 1);
        let them = if one { "it" } else { "them" };
        let comes = if self.sequence >= sequence {
            format!("comes to {them} only where that fails: it brings the same release or a newer one")
        } else {
            format!("comes to {them} when that is over")
        };
        match self.how {
            How::Updates => {
                let (are, they) = if one { ("is", "It is") } else { ("are", "They are") };
                format!("{all} {are} being updated by “{name}”. {they} in no stage here, and this {comes}.")
            }
            How::Offers => {
                let (have, they_have, their) = if one { ("has", "it has", "its") } else { ("have", "they have", "their") };
                format!(
                    "{all} {have} an offer of “{name}” that {they_have} not begun. If that is so when this is offered to {them}, this takes over, and {their} \
                     update by “{name}” ends as superseded."
                )
            }
            How::First(priority) => {
                format!(
                    "“{name}” (priority {priority}) is for {all} of this as well, and goes first where it is the turn of both: this {comes}."
                )
            }
        }
    }
}

/// What comes of all that other rollouts have for a plan that brings this sequence: a sentence or two for each, those with the most devices first.
pub fn said(all: &mut [Has], sequence: i64) -> Vec<String> {
    all.sort_by(|a, b| (a.how.kind(), Reverse(a.devices), &a.name).cmp(&(b.how.kind(), Reverse(b.devices), &b.name)));
    let (mut said, mut more) = (Vec::new(), 0_usize);
    for kind in all.chunk_by(|a, b| a.how.kind() == b.how.kind()) {
        said.extend(kind.iter().take(NAMED).map(|has| has.words(sequence)));
        more += kind.len().saturating_sub(NAMED);
    }
    match more {
        0 => {}
        1 => said.push("1 more rollout has some of its devices.".to_owned()),
        _ => said.push(format!("{more} more rollouts have some of its devices.")),
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        devices::Selector,
        rollouts::{
            lot::Lot,
            testing::{rollout_id, spec, stage},
        },
    };
    use std::collections::HashMap;
    use wire::rollouts::Reach;

    fn has(name: &str, sequence: i64, devices: i64, how: How) -> Has {
        Has { name: name.to_owned(), sequence, devices, how }
    }

    #[test]
    fn it_is_said_who_has_the_devices_and_what_comes_of_it() {
        let mut all = vec![
            has("hotfix", 4, 2, How::First(7)),
            has("autumn", 6, 1, How::First(0)),
            has("winter", 3, 1, How::Offers),
            has("spring", 3, 5, How::Updates),
            has("summer", 5, 1, How::Updates),
        ];
        assert_eq!(
            said(&mut all, 5),
            [
                "5 devices are being updated by “spring”. They are in no stage here, and this comes to them when that is over.",
                "1 device is being updated by “summer”. It is in no stage here, and this comes to it only where that fails: it brings the same release or a \
                 newer one.",
                "1 device has an offer of “winter” that it has not begun. If that is so when this is offered to it, this takes over, and its update by \
                 “winter” ends as superseded.",
                "“hotfix” (priority 7) is for 2 devices of this as well, and goes first where it is the turn of both: this comes to them when that is over.",
                "“autumn” (priority 0) is for 1 device of this as well, and goes first where it is the turn of both: this comes to it only where that fails: \
                 it brings the same release or a newer one.",
            ]
        );
        let mut many: Vec<Has> = (1..=5).map(|n| has(&format!("r{n}"), 3, n, How::Updates)).collect();
        let told = said(&mut many, 5);
        assert!(told.len() == 4 && told[0].contains("by “r5”") && told[2].contains("by “r3”"), "{told:?}");
        assert_eq!(told[3], "2 more rollouts have some of its devices.");
        assert_eq!(said(&mut [], 5), [""; 0]);
    }

    #[test]
    fn it_means_those_that_it_has_not_had_yet() {
        let lot = Lot::of(&spec(vec![stage(Reach::Percent(100.0))])).unwrap();
        let target = Target {
            device_type: "gateway".into(),
            hardware: Vec::new(),
            version: "2.0.0".into(),
            sequence: 2,
            min_sequence: 0,
            runs: None,
            selector: Selector::parse("").unwrap(),
            signed: None,
        };
        let earlier = Earlier {
            id: rollout_id(1),
            name: "hotfix".into(),
            priority: 7,
            target,
            kept: Kept { lot, strata: HashMap::new(), cuts: vec![i64::MAX], members: None },
            settled: HashSet::from([2]),
            members: None,
        };
        let facts = Facts { device_type: "gateway".into(), state: "active".into(), sequence: 1, ..Facts::default() };
        assert!(earlier.means(1, &facts));
        assert!(!earlier.means(2, &facts), "it had its turn");
        assert!(!earlier.means(1, &Facts { sequence: 2, ..facts.clone() }), "it runs it");
        assert!(!Earlier { members: Some(HashSet::from([3])), ..earlier }.means(1, &facts), "it goes back for others");
    }
}
