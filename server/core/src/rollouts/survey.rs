//! Pure: who is in a rollout. One function says for one device, and a fold over the fleet makes the draw, the preview and the recount.

use super::draw::{self, Cut};
use crate::devices::{DeviceNo, Facts, Selector};
use std::collections::BTreeMap;
use wire::{
    ids::{DeviceId, RolloutId},
    rollouts::{Excluded, PreviewStage, StageSpec},
    states::DeviceState,
};

/// What a release and a plan ask of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The type it is for.
    pub device_type: String,
    /// Hardware revisions it runs on; empty means all.
    pub hardware: Vec<String>,
    /// The version, for the reasons given to people.
    pub version: String,
    /// The sequence it brings.
    pub sequence: i64,
    /// The lowest sequence it can be installed over.
    pub min_sequence: i64,
    /// The sequence that a device must run, no other; for a way back, what it takes back.
    pub runs: Option<i64>,
    /// Who should get it.
    pub selector: Selector,
}

/// Why a device that was meant is not in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Miss {
    /// The selector does not match; the device was never meant.
    NotSelected,
    /// Another type.
    OtherType,
    /// Not active.
    NotActive,
    /// Hardware that the release does not run on.
    Hardware,
    /// Runs it already, or something newer.
    Newer,
    /// Does not run what is taken back.
    RunsOther,
    /// Runs something too old to be updated to this directly.
    TooOld,
    /// Another rollout is updating it.
    Busy,
}

/// What is asked of a device's facts, in this order.
const RULES: [Miss; 7] = [Miss::NotSelected, Miss::OtherType, Miss::NotActive, Miss::Hardware, Miss::Newer, Miss::RunsOther, Miss::TooOld];

impl Target {
    /// Whether a device is in; `busy` when another rollout is updating it. The first reason against it otherwise.
    pub fn check(&self, facts: &Facts, busy: bool) -> Result<(), Miss> {
        let found = RULES.into_iter().find(|miss| self.misses(facts, *miss)).or(busy.then_some(Miss::Busy));
        found.map_or(Ok(()), Err)
    }

    /// Whether this reason is against a device, whatever else is; [`Miss::Busy`] is not known of its facts and never is.
    pub fn misses(&self, facts: &Facts, miss: Miss) -> bool {
        match miss {
            Miss::NotSelected => !self.selector.matches(facts),
            Miss::OtherType => facts.device_type != self.device_type,
            Miss::NotActive => facts.state != DeviceState::Active.as_str(),
            Miss::Hardware => !self.hardware.is_empty() && !self.hardware.contains(&facts.hardware),
            Miss::Newer => facts.sequence >= self.sequence,
            Miss::RunsOther => self.runs.is_some_and(|taken_back| facts.sequence != taken_back),
            Miss::TooOld => facts.sequence < self.min_sequence,
            Miss::Busy => false,
        }
    }

    /// A reason in words.
    pub fn words(&self, miss: Miss) -> String {
        match miss {
            Miss::NotSelected => "not selected".to_owned(),
            Miss::OtherType => format!("not a {}", self.device_type),
            Miss::NotActive => "not active (pending or suspended)".to_owned(),
            Miss::Hardware => format!("hardware other than {}", self.hardware.join(", ")),
            Miss::Newer => format!("already on {} or newer", self.version),
            Miss::RunsOther => "does not run the firmware that is taken back".to_owned(),
            Miss::TooOld => format!("too old for {}: needs sequence {} first", self.version, self.min_sequence),
            Miss::Busy => "another rollout is updating it".to_owned(),
        }
    }
}

/// A fold over the fleet.
#[derive(Debug)]
pub struct Walk<'a> {
    target: &'a Target,
    rollout: &'a RolloutId,
    named: bool,
    places: Vec<(i64, Option<DeviceId>)>,
    missed: BTreeMap<Miss, i64>,
    last_device: DeviceNo,
}

/// What a walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where each stage ends.
    pub cuts: Vec<Cut>,
    /// The highest device number there is.
    pub last_device: DeviceNo,
    /// Stage by stage, with some of their devices.
    pub stages: Vec<PreviewStage>,
    /// Meant but not in.
    pub excluded: Vec<Excluded>,
    /// How many are in.
    pub total: i64,
}

impl<'a> Walk<'a> {
    /// Begins a walk. `named` keeps the names of devices for [`Found::stages`]; without a name for its rollout there is no draw yet and thus no names.
    pub const fn new(target: &'a Target, rollout: &'a RolloutId, named: bool) -> Self {
        Self { target, rollout, named, places: Vec::new(), missed: BTreeMap::new(), last_device: 0 }
    }

    /// Takes the next device.
    pub fn take(&mut self, device: DeviceNo, facts: &Facts, busy: bool) {
        self.last_device = self.last_device.max(device);
        match self.target.check(facts, busy) {
            Ok(()) => {
                let name = if self.named { facts.device_id.parse().ok() } else { None };
                self.places.push((draw::place(self.rollout, device), name));
            }
            Err(Miss::NotSelected) => {}
            Err(miss) => *self.missed.entry(miss).or_default() += 1,
        }
    }

    /// Draws the stages.
    pub fn finish(mut self, stages: &[StageSpec], sample: usize) -> Found {
        self.places.sort_unstable();
        let sorted: Vec<i64> = self.places.iter().map(|(place, _)| *place).collect();
        let cuts = draw::cuts(&sorted, stages);
        let mut from = 0;
        let mut previews = Vec::with_capacity(stages.len());
        for (spec, cut) in stages.iter().zip(&cuts) {
            let to = usize::try_from(cut.reach).unwrap_or(from);
            let names = self.places.get(from..to).unwrap_or_default().iter().filter_map(|(_, name)| name.clone());
            let devices = i64::try_from(to - from).unwrap_or(i64::MAX);
            previews.push(PreviewStage { name: spec.name.clone(), devices, sample: names.take(sample).collect() });
            from = to;
        }
        let excluded = self.missed.iter().map(|(miss, n)| Excluded { reason: self.target.words(*miss), devices: *n }).collect();
        let total = i64::try_from(sorted.len()).unwrap_or(i64::MAX);
        Found { cuts, last_device: self.last_device, stages: previews, excluded, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::{rollout_id, stage};
    use wire::rollouts::Reach;

    fn facts(id: &str) -> Facts {
        Facts {
            device_id: id.into(),
            device_type: "gateway".into(),
            hardware: "A".into(),
            state: "active".into(),
            sequence: 3,
            ..Facts::default()
        }
    }

    fn target() -> Target {
        Target {
            device_type: "gateway".into(),
            hardware: vec!["A".into(), "B".into()],
            version: "1.2.0".into(),
            sequence: 5,
            min_sequence: 2,
            runs: None,
            selector: Selector::parse("-tag:lab").unwrap(),
        }
    }

    #[test]
    fn the_first_reason_is_the_one_told() {
        let target = target();
        assert_eq!(target.check(&facts("ok"), false), Ok(()));
        for (miss, facts, busy) in [
            (Miss::NotSelected, Facts { tags: vec!["lab".into()], ..facts("x") }, false),
            (Miss::OtherType, Facts { device_type: "sensor".into(), sequence: 9, ..facts("x") }, false),
            (Miss::NotActive, Facts { state: "suspended".into(), ..facts("x") }, false),
            (Miss::Hardware, Facts { hardware: "C".into(), ..facts("x") }, false),
            (Miss::Newer, Facts { sequence: 5, ..facts("x") }, true),
            (Miss::TooOld, Facts { sequence: 1, ..facts("x") }, false),
            (Miss::Busy, facts("x"), true),
        ] {
            assert_eq!(target.check(&facts, busy), Err(miss));
            assert!(!target.words(miss).is_empty());
        }
        let back = Target { runs: Some(4), ..target };
        let running = |sequence| Facts { sequence, ..facts("x") };
        assert_eq!([3, 4, 5].map(|n| back.check(&running(n), false)), [Err(Miss::RunsOther), Ok(()), Err(Miss::Newer)]);
    }

    #[test]
    fn a_walk_counts_everybody_once() {
        let (target, id) = (target(), rollout_id(3));
        let stages = [stage(Reach::Percent(10.0)), stage(Reach::Count(6)), stage(Reach::Percent(100.0))];
        let mut walk = Walk::new(&target, &id, true);
        for n in 1..=20 {
            walk.take(n, &facts(&format!("gw-{n}")), false);
        }
        walk.take(21, &Facts { sequence: 7, ..facts("gw-21") }, false);
        walk.take(22, &Facts { tags: vec!["lab".into()], ..facts("gw-22") }, false);
        let found = walk.finish(&stages, 3);
        assert_eq!(found.stages.iter().map(|s| s.devices).collect::<Vec<_>>(), [2, 4, 14]);
        assert_eq!(found.stages.iter().map(|s| s.sample.len()).collect::<Vec<_>>(), [2, 3, 3]);
        assert_eq!((found.total, found.last_device), (20, 22));
        assert_eq!(found.excluded, [Excluded { reason: "already on 1.2.0 or newer".into(), devices: 1 }]);
    }
}
