//! Pure: who is in a rollout. One function says for one device, and a fold over the fleet makes the draw, the preview and the recount.

use super::{
    draw::{self, Cut, Entry},
    lot::{ANYBODY, Lot},
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
    /// Imported or announced, and not seen yet.
    NotSeen,
    /// Asks to be let in.
    Pending,
    /// Cut off for now.
    Suspended,
    /// Not active in any other way: gone for good.
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
const RULES: [Miss; 12] = [
    Miss::NotSelected,
    Miss::OtherType,
    Miss::NotSeen,
    Miss::Pending,
    Miss::Suspended,
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
            Miss::NotSeen => facts.state == DeviceState::Preregistered.as_str(),
            Miss::Pending => facts.state == DeviceState::Pending.as_str(),
            Miss::Suspended => facts.state == DeviceState::Suspended.as_str(),
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
            Miss::NotSeen => "not seen yet".to_owned(),
            Miss::Pending => "pending: not let in yet".to_owned(),
            Miss::Suspended => "suspended".to_owned(),
            Miss::NotActive => "decommissioned".to_owned(),
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
    busy: Vec<Later>,
    last_device: DeviceNo,
}

/// A device that the plan is for, and that another rollout is updating: nobody draws it, but it is free again before this one ends.
#[derive(Debug)]
struct Later {
    place: i64,
    stratum: String,
    matched: Vec<usize>,
}

/// What a walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where each stage ends: no device behind its place is in it. The last one reaches as well those that another rollout is updating and that come with it: they
    /// are listed in it, and it does not end before they were looked at. Those that would come with an earlier one are listed there and not counted before its
    /// next recount: a count from the start would begin a stage that has nobody else, and keep any other from ending until its patience does.
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
            busy: Vec::new(),
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
            Err(Miss::Busy) => {
                let (place, stratum) = (self.lot.place(self.rollout, device, facts), self.lot.stratum(facts));
                self.busy.push(Later { place, stratum, matched: self.lot.matched(facts) });
                *self.missed.entry(Miss::Busy).or_default() += 1;
            }
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
        let last = u32::try_from(stages.len()).unwrap_or(u32::MAX);
        let comes_last = |later: &&Later| {
            let own = if strata.is_empty() { Some(&bounds) } else { strata.get(&later.stratum).or_else(|| strata.get(ANYBODY)) };
            own.and_then(|cuts| self.lot.stage_of_undrawn(later.place, cuts, &later.matched)) == Some(last)
        };
        let later = count(self.busy.iter().filter(comes_last).count());
        let mut cuts: Vec<Cut> = drawn.cuts.into_iter().zip(bounds).map(|(cut, place)| Cut { place, ..cut }).collect();
        if let Some(cut) = cuts.last_mut() {
            cut.reach += later;
        }
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
mod tests;
