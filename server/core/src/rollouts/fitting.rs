//! Pure: how a release stands to the devices that a plan means: who runs something newer, who can't take it. A fold over the fleet, beside the draw.
//! Refuses to know how devices are found, and what a plan does to them.

use super::survey::{Miss, Target};
use crate::devices::Facts;
use std::collections::HashMap;
use wire::{
    ids::ReleaseId,
    rollouts::{ReleaseFit, SILENT_DAYS},
    time::DAY_MS,
};

const SILENT_MS: i64 = SILENT_DAYS * DAY_MS;

/// A fold over the fleet. Takes a few additions a device.
#[derive(Debug, Default)]
pub struct Fitting {
    meant: i64,
    other_hardware: i64,
    newer: HashMap<String, i64>,
    on_it: i64,
    too_old: i64,
    unsigned: i64,
    silent: i64,
}

impl Fitting {
    /// Takes the next device, with the first reason against it; none when the plan is for it.
    pub fn take(&mut self, target: &Target, facts: &Facts, missed: Option<Miss>) {
        match missed {
            Some(
                Miss::NotSelected | Miss::OtherType | Miss::NotSeen | Miss::Pending | Miss::Suspended | Miss::NotActive | Miss::Pinned,
            ) => return,
            Some(Miss::Hardware) => self.other_hardware += 1,
            Some(Miss::Newer) if facts.sequence > target.sequence => match self.newer.get_mut(&facts.version) {
                Some(devices) => *devices += 1,
                None => {
                    self.newer.insert(facts.version.clone(), 1);
                }
            },
            Some(Miss::Newer) => self.on_it += 1,
            Some(Miss::TooOld) => self.too_old += 1,
            None => self.silent += i64::from(!facts.online && facts.last_seen_at < facts.at.0 - SILENT_MS),
            Some(Miss::Unsigned) => self.unsigned += 1,
            Some(Miss::Busy | Miss::RunsOther) => {}
        }
        self.meant += 1;
    }

    /// Devices that the plan is for, but that were not heard of for long.
    pub fn silent(&self) -> i64 {
        self.silent
    }

    /// What was found, of this release.
    pub fn of(self, release: ReleaseId) -> ReleaseFit {
        let newer = self.newer.values().sum();
        // Of two that as many run the later name, so that it is always the same.
        let most = self.newer.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        let newer_version = most.map(|(version, _)| version).filter(|version| !version.is_empty());
        ReleaseFit {
            release,
            meant: self.meant,
            other_hardware: self.other_hardware,
            newer,
            newer_version,
            on_it: self.on_it,
            too_old: self.too_old,
            unsigned: self.unsigned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{devices::Selector, rollouts::testing::signed_by};
    use wire::{
        Timestamp,
        device::{NO_KEYS, TRUSTED_KEYS},
        updates::Pin,
    };

    const NOW: Timestamp = Timestamp(30 * DAY_MS);

    fn target() -> Target {
        Target {
            device_type: "gateway".into(),
            hardware: vec!["A".into()],
            version: "2.0.0".into(),
            sequence: 5,
            min_sequence: 2,
            runs: None,
            selector: Selector::parse("-tag:lab").unwrap(),
            signed: Some(signed_by(&["a"])),
        }
    }

    fn facts(version: &str, sequence: i64) -> Facts {
        Facts {
            device_type: "gateway".into(),
            hardware: "A".into(),
            state: "active".into(),
            version: version.into(),
            sequence,
            online: true,
            at: NOW,
            ..Facts::default()
        }
    }

    #[test]
    fn each_device_counts_once_and_only_those_that_are_meant() {
        let (target, mut found) = (target(), Fitting::default());
        let pin = Pin { at: NOW, by: "Oli".into(), reason: "on show".into() };
        let unseen = |last_seen_at| Facts { online: false, last_seen_at, ..facts("1.0.0", 3) };
        for (facts, busy) in [
            (facts("1.0.0", 3), false),
            (facts("1.0.0", 3), true),
            (facts("2.0.0", 5), false),
            (facts("3.0.0", 6), false),
            (facts("3.1.0", 7), false),
            (facts("3.1.0", 7), false),
            (facts("0.9.0", 1), false),
            (Facts { attributes: [(TRUSTED_KEYS.to_owned(), NO_KEYS.to_owned())].into(), ..facts("1.0.0", 3) }, false),
            (Facts { hardware: "B".into(), ..facts("3.1.0", 7) }, false),
            (Facts { tags: vec!["lab".into()], ..facts("3.1.0", 7) }, false),
            (Facts { device_type: "camera".into(), ..facts("9.0.0", 90) }, false),
            (Facts { state: "suspended".into(), ..facts("3.1.0", 7) }, false),
            (Facts { pin: Some(pin.clone()), ..facts("3.1.0", 7) }, false),
            (Facts { pin: Some(pin), ..facts("1.0.0", 3) }, false),
            (unseen(NOW.0 - SILENT_MS), false),
            (unseen(NOW.0 - SILENT_MS - 1), false),
            (unseen(0), false),
        ] {
            let missed = target.check(&facts, busy).err();
            found.take(&target, &facts, missed);
        }
        assert_eq!(found.silent(), 2, "nobody who was there within the week");
        let release: ReleaseId = "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap();
        let fit = found.of(release.clone());
        let expected = ReleaseFit {
            release: release.clone(),
            meant: 12,
            other_hardware: 1,
            newer: 3,
            newer_version: Some("3.1.0".into()),
            on_it: 1,
            too_old: 1,
            unsigned: 1,
        };
        assert_eq!(fit, expected);
        assert!(fit.is_behind());
        assert_eq!(Fitting::default().of(release).newer_version, None);
    }
}
