//! Pure: who is in a rollout. One function says for one device, and a fold over the fleet makes the draw, the preview and the recount.

use super::{
    draw::{self, Cut, Entry},
    lot::Lot,
};
use crate::{
    devices::{DeviceNo, Facts, Selector},
    releases::Signed,
};
use std::collections::{BTreeMap, HashMap};
use wire::{
    ids::{DeviceId, RolloutId},
    rollouts::{Excluded, PreviewStage, StageSpec},
    states::DeviceState,
};

/// What a release and a plan ask of a device.
#[derive(Debug, Clone, PartialEq)]
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
    /// By whom it is signed; none where that is not looked at.
    pub signed: Option<Signed>,
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
    /// Pinned to what it runs.
    Pinned,
    /// Hardware that the release does not run on.
    Hardware,
    /// Runs it already, or something newer.
    Newer,
    /// Does not run what is taken back.
    RunsOther,
    /// Runs something too old to be updated to this directly.
    TooOld,
    /// Says which keys it trusts, and too few of them have signed the release: it would refuse it.
    Unsigned,
    /// Another rollout is updating it.
    Busy,
}

/// What is asked of a device's facts, in this order.
const RULES: [Miss; 9] = [
    Miss::NotSelected,
    Miss::OtherType,
    Miss::NotActive,
    Miss::Pinned,
    Miss::Hardware,
    Miss::Newer,
    Miss::RunsOther,
    Miss::TooOld,
    Miss::Unsigned,
];

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
            Miss::Pinned => facts.pin.is_some(),
            Miss::Hardware => !self.hardware.is_empty() && !self.hardware.contains(&facts.hardware),
            Miss::Newer => facts.sequence >= self.sequence,
            Miss::RunsOther => self.runs.is_some_and(|taken_back| facts.sequence != taken_back),
            Miss::TooOld => facts.sequence < self.min_sequence,
            Miss::Unsigned => self.signed.as_ref().is_some_and(|signed| !signed.is_enough_for(&facts.attributes)),
            Miss::Busy => false,
        }
    }

    /// A reason in words.
    pub fn words(&self, miss: Miss) -> String {
        match miss {
            Miss::NotSelected => "not selected".to_owned(),
            Miss::OtherType => format!("not a {}", self.device_type),
            Miss::NotActive => "not active (pending or suspended)".to_owned(),
            Miss::Pinned => "pinned to what it runs".to_owned(),
            Miss::Hardware => format!("hardware other than {}", self.hardware.join(", ")),
            Miss::Newer => format!("already on {} or newer", self.version),
            Miss::RunsOther => "does not run the firmware that is taken back".to_owned(),
            Miss::TooOld => format!("too old for {}: needs sequence {} first", self.version, self.min_sequence),
            Miss::Unsigned => format!("trusts too few of the keys that have signed {}", self.version),
            Miss::Busy => "another rollout is updating it".to_owned(),
        }
    }
}

/// A fold over the fleet.
#[derive(Debug)]
pub struct Walk<'a> {
    target: &'a Target,
    lot: &'a Lot,
    rollout: &'a RolloutId,
    named: bool,
    entries: Vec<Entry>,
    /// Of the entries, where it matters who was drawn.
    numbers: Vec<DeviceNo>,
    names: Vec<Option<DeviceId>>,
    strata: HashMap<String, usize>,
    overlaps: BTreeMap<usize, i64>,
    missed: BTreeMap<Miss, i64>,
    last_device: DeviceNo,
}

/// What a walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where each stage ends: no device behind its place is in it.
    pub cuts: Vec<Cut>,
    /// Where it ends by stratum, where [`Lot::plain`] is not enough.
    pub strata: BTreeMap<String, Vec<i64>>,
    /// For each stage, how many of the devices that its own selector matches are an earlier one's by its own selector.
    pub overlaps: Vec<i64>,
    /// Who was drawn into stages given as a number; none where there is no such stage.
    pub members: Option<Vec<DeviceNo>>,
    /// The highest device number there is.
    pub last_device: DeviceNo,
    /// Stage by stage, with some of their devices; what these download is not known here.
    pub stages: Vec<PreviewStage>,
    /// Of each stage, which of the devices that the plan is for, by the turn in which they were taken, from 0.
    pub who: Vec<Vec<usize>>,
    /// Meant but not in.
    pub excluded: Vec<Excluded>,
    /// How many are in.
    pub total: i64,
}

impl<'a> Walk<'a> {
    /// Begins a walk. `named` keeps the names of devices for [`Found::stages`].
    pub fn new(target: &'a Target, lot: &'a Lot, rollout: &'a RolloutId, named: bool) -> Self {
        let (entries, numbers, names, strata) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
        Self {
            target,
            lot,
            rollout,
            named,
            entries,
            numbers,
            names,
            strata,
            overlaps: BTreeMap::new(),
            missed: BTreeMap::new(),
            last_device: 0,
        }
    }

    /// Takes the next device. Why the plan is not for it; none when it is.
    pub fn take(&mut self, device: DeviceNo, facts: &Facts, busy: bool) -> Option<Miss> {
        self.last_device = self.last_device.max(device);
        let checked = self.target.check(facts, busy);
        match checked {
            Ok(()) => {
                if self.named {
                    self.names.push(facts.device_id.parse().ok());
                }
                if self.lot.limited() {
                    self.numbers.push(device);
                }
                let strata = self.strata.len();
                let stratum = *self.strata.entry(self.lot.stratum(facts)).or_insert(strata);
                let mut matched = self.lot.matched(facts).into_iter();
                let first = matched.next();
                for also in matched {
                    *self.overlaps.entry(also).or_default() += 1;
                }
                self.entries.push(Entry { place: self.lot.place(self.rollout, device, facts), stratum, matched: first });
            }
            Err(Miss::NotSelected) => {}
            Err(miss) => *self.missed.entry(miss).or_default() += 1,
        }
        checked.err()
    }

    /// Draws the stages.
    pub fn finish(self, stages: &[StageSpec], sample: usize) -> Found {
        let mut names = vec![String::new(); self.strata.len()];
        for (name, stratum) in self.strata {
            names[stratum] = name;
        }
        let ties: Vec<i64> = names.iter().map(|name| draw::tie(self.rollout, name)).collect();
        let drawn = draw::draw(&self.entries, &ties, stages);
        // Those without the attribute have no value of it.
        let valued: Vec<bool> = names.iter().map(|name| name.len() > VALUE.len()).collect();
        let spread = self.lot.spread_over().is_some();
        let entries = &self.entries;
        let values = |who: &[usize]| {
            let mut met = vec![false; valued.len()];
            for i in who {
                met[entries[*i].stratum] = true;
            }
            count(met.iter().zip(&valued).filter(|(met, valued)| **met && **valued).count())
        };
        let strata = self.lot.kept(&drawn, names);
        let bounds = if strata.is_empty() { drawn.cuts.iter().map(|c| c.place).collect() } else { self.lot.bounds(&drawn, &strata) };
        let named = |who: &[usize]| who.iter().filter_map(|i| self.names.get(*i).cloned().flatten()).take(sample).collect();
        let preview = |(spec, who): (&StageSpec, &Vec<usize>)| PreviewStage {
            name: spec.name.clone(),
            devices: count(who.len()),
            sample: named(who),
            bytes: 0,
            values: spread.then(|| values(who)),
        };
        let limited = drawn.stages.iter().enumerate().filter(|(stage, _)| self.lot.limits(*stage));
        let numbers = &self.numbers;
        let members: Vec<DeviceNo> = limited.flat_map(|(_, who)| who.iter().filter_map(|i| numbers.get(*i).copied())).collect();
        let members = Some(members).filter(|_| self.lot.limited());
        let previews = stages.iter().zip(&drawn.stages).map(preview).collect();
        let mut excluded: Vec<Excluded> =
            self.missed.iter().map(|(miss, n)| Excluded { reason: self.target.words(*miss), devices: *n }).collect();
        if !drawn.left_out.is_empty() {
            excluded.push(Excluded { reason: LEFT_OUT.to_owned(), devices: count(drawn.left_out.len()) });
        }
        let total = drawn.cuts.last().map_or(0, |c| c.reach);
        let cuts = drawn.cuts.into_iter().zip(bounds).map(|(cut, place)| Cut { place, ..cut }).collect();
        let overlaps = (0..stages.len()).map(|i| self.overlaps.get(&i).copied().unwrap_or(0)).collect();
        Found { cuts, strata, overlaps, members, last_device: self.last_device, stages: previews, who: drawn.stages, excluded, total }
    }
}

/// What stands before the value in the name of a stratum that devices are spread by.
const VALUE: &str = "=";

/// Said of devices that no stage takes.
pub(super) const LEFT_OUT: &str = "in no stage: none of their selectors matches";

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::{rollout_id, signed_by, spec, stage};
    use wire::{
        Timestamp,
        device::{NO_KEYS, TRUSTED_KEYS},
        rollouts::{Order, Reach, RolloutSpec},
        updates::Pin,
    };

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

    fn pin() -> Pin {
        Pin { at: Timestamp(0), by: "oli".into(), reason: "on show".into() }
    }

    /// A device that trusts no key says this.
    fn nobody() -> BTreeMap<String, String> {
        [(TRUSTED_KEYS.to_owned(), NO_KEYS.to_owned())].into()
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
            signed: Some(signed_by(&["a"])),
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
            (Miss::Pinned, Facts { pin: Some(pin()), hardware: "C".into(), ..facts("x") }, false),
            (Miss::Hardware, Facts { hardware: "C".into(), ..facts("x") }, false),
            (Miss::Newer, Facts { sequence: 5, ..facts("x") }, true),
            (Miss::TooOld, Facts { sequence: 1, attributes: nobody(), ..facts("x") }, false),
            (Miss::Unsigned, Facts { attributes: nobody(), ..facts("x") }, true),
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
        let lot = Lot::of(&spec(stages.to_vec())).unwrap();
        let mut walk = Walk::new(&target, &lot, &id, true);
        for n in 1..=20 {
            walk.take(n, &facts(&format!("gw-{n}")), false);
        }
        walk.take(21, &Facts { sequence: 7, ..facts("gw-21") }, false);
        walk.take(22, &Facts { tags: vec!["lab".into()], ..facts("gw-22") }, false);
        walk.take(23, &Facts { pin: Some(pin()), ..facts("gw-23") }, false);
        walk.take(24, &Facts { attributes: nobody(), ..facts("gw-24") }, false);
        let found = walk.finish(&stages, 3);
        assert_eq!(found.stages.iter().map(|s| s.devices).collect::<Vec<_>>(), [2, 4, 14]);
        assert_eq!(found.stages.iter().map(|s| s.sample.len()).collect::<Vec<_>>(), [2, 3, 3]);
        let mut turns: Vec<usize> = found.who.concat();
        turns.sort_unstable();
        assert_eq!(turns, (0..20).collect::<Vec<_>>(), "each of those it is for in one stage");
        assert_eq!(found.stages[0].sample[0].as_str(), format!("gw-{}", found.who[0][0] + 1));
        assert_eq!((found.total, found.last_device), (20, 24));
        let excluded = |reason: &str| Excluded { reason: reason.into(), devices: 1 };
        assert_eq!(
            found.excluded,
            [
                excluded("pinned to what it runs"),
                excluded("already on 1.2.0 or newer"),
                excluded("trusts too few of the keys that have signed 1.2.0"),
            ]
        );
        assert_eq!((found.strata.len(), found.overlaps, found.stages[0].values), (0, vec![0, 0, 0], None));
        assert_eq!(found.members.map(|m| m.len()), Some(4), "of the stage that is given as a number");
    }

    #[test]
    fn a_walk_spreads_and_says_who_is_taken_twice_or_not_at_all() {
        let (target, id) = (target(), rollout_id(3));
        let own = |text: &str| stage(Reach::Matching(text.into()));
        let stages = [own("tag:lab"), stage(Reach::Count(6)), own("tag:lab or site")];
        let target = Target { selector: Selector::everything(), ..target };
        let lot = Lot::of(&RolloutSpec { order: Some(Order::Spread("site".into())), ..spec(stages.to_vec()) }).unwrap();
        let mut walk = Walk::new(&target, &lot, &id, true);
        for n in 1..=22 {
            let tags = if n <= 2 { vec!["lab".into()] } else { Vec::new() };
            let attributes = [("site".to_owned(), format!("site {}", n % 4))].into();
            let name = if n > 20 { format!("site-{n}") } else { format!("gw-{n}") };
            walk.take(n, &Facts { tags, attributes, ..facts(&name) }, false);
        }
        let found = walk.finish(&stages, 3);
        assert_eq!(found.stages[..2].iter().map(|s| s.devices).collect::<Vec<_>>(), [2, 4], "the second reaches 6 in all");
        assert_eq!(found.overlaps, [0, 0, 2]);
        let sites = |who: &Vec<usize>| Some(count(who.iter().map(|i| (i + 1) % 4).collect::<std::collections::BTreeSet<_>>().len()));
        assert_eq!(found.stages.iter().map(|s| s.values).collect::<Vec<_>>(), found.who.iter().map(sites).collect::<Vec<_>>());
        assert_eq!(found.stages[1].values, Some(4), "one of each");
        let left_out = found.excluded.iter().map(|e| e.devices).sum::<i64>();
        assert_eq!(found.total + left_out, 22);
        assert!(left_out > 0 && found.excluded[0].reason.starts_with("in no stage"));
        assert_eq!(found.strata.keys().collect::<Vec<_>>(), ["", "=site 0", "=site 1", "=site 2", "=site 3"]);
        // One of each of four sites of nearly the same size.
        for cuts in found.strata.values().skip(1) {
            assert!(cuts[0] == draw::NOBODY && cuts[1] > draw::NOBODY && cuts[2] == cuts[1]);
        }
        assert_eq!(
            found.cuts.iter().map(|c| c.place).collect::<Vec<_>>(),
            [draw::EVERYBODY; 3],
            "no place leaves out whom a selector takes"
        );
    }
}
