//! Pure: a plan's order, and its stages' own selectors, as they bear on one device: its place, what it is spread by, and the first stage that takes it.

use super::draw::{self, Drawn};
use crate::devices::{DeviceNo, Facts, Selector};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use wire::{
    devices::SelectorError,
    ids::RolloutId,
    rollouts::{Order, Reach, RolloutSpec, StageSpec},
};

/// The stratum of devices that no other one is kept for: where nothing is spread, everybody's.
pub const ANYBODY: &str = "";

/// How a plan arranges its devices.
#[derive(Debug, Clone, PartialEq)]
pub struct Lot {
    order: Arranged,
    /// The own selector of each stage that has one.
    own: Vec<Option<Selector>>,
    /// Whether each stage is given as a number, and takes no more.
    limited: Vec<bool>,
}

#[derive(Debug, Clone, PartialEq)]
enum Arranged {
    Random,
    Spread(String),
    /// The turn of each listed device, by its lower-case id.
    Listed(HashMap<String, i64>),
}

impl Lot {
    /// Of a plan, also of one that is kept; the error is of the first stage's selector that can't be read.
    pub fn of(spec: &RolloutSpec) -> Result<Self, SelectorError> {
        let order = match &spec.order {
            None | Some(Order::Random) => Arranged::Random,
            Some(Order::Spread(attribute)) => Arranged::Spread(attribute.clone()),
            Some(Order::Listed(ids)) => Arranged::Listed((0..).zip(ids).map(|(turn, id)| (id.as_str().to_lowercase(), turn)).collect()),
        };
        let own = |stage: &StageSpec| match &stage.reach {
            Reach::Matching(text) => Selector::parse_kept(text).map(Some),
            Reach::Percent(_) | Reach::Count(_) => Ok(None),
        };
        let limited = spec.stages.iter().map(|stage| matches!(stage.reach, Reach::Count(_))).collect();
        Ok(Self { order, own: spec.stages.iter().map(own).collect::<Result<_, _>>()?, limited })
    }

    /// Whether it is kept who was drawn into its stages: one of them is given as a number.
    pub fn limited(&self) -> bool {
        self.limited.contains(&true)
    }

    /// Whether a stage (from 0) is given as a number.
    pub fn limits(&self, stage: usize) -> bool {
        self.limited.get(stage).copied().unwrap_or(false)
    }

    /// Whether [`draw::place`] alone says in which stage a device is that was drawn.
    pub fn plain(&self) -> bool {
        self.order == Arranged::Random && self.own.iter().all(Option::is_none)
    }

    /// A device's place. Listed devices stand before all others.
    pub fn place(&self, rollout: &RolloutId, device: DeviceNo, facts: &Facts) -> i64 {
        let place = draw::place(rollout, device);
        match &self.order {
            Arranged::Random | Arranged::Spread(_) => place,
            Arranged::Listed(turns) => match turns.get(&facts.device_id.to_lowercase()) {
                Some(turn) => *turn,
                None => place.max(i64::try_from(turns.len()).unwrap_or(i64::MAX)),
            },
        }
    }

    /// The stratum that a device is drawn in: its value of the attribute that the plan spreads by, behind a `=`.
    pub fn stratum(&self, facts: &Facts) -> String {
        match &self.order {
            Arranged::Spread(attribute) => format!("={}", facts.attributes.get(attribute).map_or("", String::as_str)),
            Arranged::Random | Arranged::Listed(_) => ANYBODY.to_owned(),
        }
    }

    /// The attribute that devices are spread over; none where they are not.
    pub fn spread_over(&self) -> Option<&str> {
        match &self.order {
            Arranged::Spread(attribute) => Some(attribute),
            Arranged::Random | Arranged::Listed(_) => None,
        }
    }

    /// The stages (from 0) whose own selectors a device matches.
    pub fn matched(&self, facts: &Facts) -> Vec<usize> {
        let matches = |of: &Option<Selector>| of.as_ref().is_some_and(|own| own.matches(facts));
        self.own.iter().enumerate().filter(|(_, of)| matches(of)).map(|(i, _)| i).collect()
    }

    /// The metrics that its selectors ask for.
    pub fn metrics(&self) -> BTreeSet<&str> {
        self.own.iter().flatten().flat_map(Selector::metrics).collect()
    }

    /// What is kept of a draw: the cuts of each stratum, and of [`ANYBODY`]. Nothing where the cuts of all say it.
    pub fn kept(&self, drawn: &Drawn, names: Vec<String>) -> BTreeMap<String, Vec<i64>> {
        if self.plain() {
            return BTreeMap::new();
        }
        let mut kept: BTreeMap<String, Vec<i64>> = names.into_iter().zip(drawn.strata.iter().cloned()).collect();
        kept.entry(ANYBODY.to_owned()).or_insert_with(|| self.strangers(drawn));
        kept
    }

    /// Where stages end for devices whose value nobody had when devices were drawn: as large a share of them as of all.
    fn strangers(&self, drawn: &Drawn) -> Vec<i64> {
        let total = drawn.cuts.last().map_or(0, |c| c.reach) + i64::try_from(drawn.left_out.len()).unwrap_or(i64::MAX);
        let (mut out, mut last) = (Vec::with_capacity(self.own.len()), draw::NOBODY);
        for (i, own) in self.own.iter().enumerate() {
            if own.is_none() {
                let ends = i + 1 == self.own.len();
                let reach = drawn.cuts.get(i).map_or(0, |c| c.reach);
                last = last.max(if ends { draw::EVERYBODY } else { share(reach, total) });
            }
            out.push(last);
        }
        out
    }

    /// Places behind which no device is in a stage, as far as [`draw::place`] says it: what most devices need not be asked further for.
    pub fn bounds(&self, drawn: &Drawn, kept: &BTreeMap<String, Vec<i64>>) -> Vec<i64> {
        let mut anybody = matches!(self.order, Arranged::Listed(_));
        let bound = |(i, own): (usize, &Option<Selector>)| {
            anybody |= own.is_some();
            let strangers = kept.get(ANYBODY).and_then(|of| of.get(i)).copied().unwrap_or(draw::NOBODY);
            let place = drawn.cuts.get(i).map_or(draw::NOBODY, |c| c.place);
            if anybody { draw::EVERYBODY } else { place.max(strangers) }
        };
        self.own.iter().enumerate().map(bound).collect()
    }

    /// The stage (from 1) that a device is in by the cuts of its stratum; none when no stage takes it. A stage given as a number was full when it was
    /// drawn: it takes only those `drawn` into one.
    pub fn stage_of(&self, place: i64, cuts: &[i64], facts: &Facts, drawn: bool) -> Option<u32> {
        self.first(place, cuts, drawn, |i| self.own.get(i).and_then(Option::as_ref).is_some_and(|own| own.matches(facts)))
    }

    /// The same of a device that nobody drew, and of which it is known [which stages' own selectors](Self::matched) it matches.
    pub fn stage_of_undrawn(&self, place: i64, cuts: &[i64], matched: &[usize]) -> Option<u32> {
        self.first(place, cuts, false, |i| matched.contains(&i))
    }

    fn first(&self, place: i64, cuts: &[i64], drawn: bool, matches: impl Fn(usize) -> bool) -> Option<u32> {
        let takes = |i: &usize| ((drawn || !self.limits(*i)) && cuts.get(*i).is_some_and(|cut| place <= *cut)) || matches(*i);
        let i = (0..self.own.len()).find(takes)?;
        u32::try_from(i + 1).ok()
    }
}

/// The place that so many of so many are before, of places drawn evenly.
fn share(reach: i64, total: i64) -> i64 {
    if reach <= 0 || total <= 0 {
        return draw::NOBODY;
    }
    let place = i128::from(reach) * i128::from(i64::MAX) / i128::from(total);
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// A draw as it is kept, as far as devices are asked about.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The plan's arrangement.
    pub lot: Lot,
    /// The cuts of strata; of a plain one nothing.
    pub strata: HashMap<String, Vec<i64>>,
    /// The cuts of all, one a stage.
    pub cuts: Vec<i64>,
    /// Who was drawn into stages given as a number; none where nobody kept that.
    pub members: Option<HashSet<DeviceNo>>,
}

impl Kept {
    /// Whether devices were drawn yet.
    pub fn drawn(&self) -> bool {
        self.cuts.iter().any(|cut| *cut != draw::NOBODY)
    }

    /// The stage (from 1) that a device is in; none when no stage takes it.
    pub fn stage_of(&self, rollout: &RolloutId, device: DeviceNo, facts: &Facts) -> Option<u32> {
        let place = self.lot.place(rollout, device, facts);
        let cuts =
            if self.lot.plain() { &self.cuts } else { self.strata.get(&self.lot.stratum(facts)).or_else(|| self.strata.get(ANYBODY))? };
        let drawn = self.members.as_ref().is_none_or(|members| members.contains(&device));
        self.lot.stage_of(place, cuts, facts, drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::{rollout_id, spec, stage};

    fn facts(id: &str, site: &str) -> Facts {
        Facts { device_id: id.into(), attributes: [("site".to_owned(), site.to_owned())].into(), ..Facts::default() }
    }

    fn lot(order: Order, stages: Vec<StageSpec>) -> Lot {
        Lot::of(&RolloutSpec { order: Some(order), ..spec(stages) }).unwrap()
    }

    fn halves() -> Vec<StageSpec> {
        vec![stage(Reach::Percent(50.0)), stage(Reach::Percent(100.0))]
    }

    #[test]
    fn listed_devices_come_first_in_their_order_whatever_their_case() {
        let lot = lot(Order::Listed(vec!["gw-9".parse().unwrap(), "GW-3".parse().unwrap()]), halves());
        let id = rollout_id(1);
        assert_eq!([("gw-9", 9), ("gw-3", 3)].map(|(name, n)| lot.place(&id, n, &facts(name, ""))), [0, 1]);
        assert_eq!(lot.place(&id, 4, &facts("gw-4", "")), draw::place(&id, 4));
        assert!(!lot.plain() && Lot::of(&spec(halves())).unwrap().plain());
    }

    #[test]
    fn a_device_of_an_unknown_value_has_the_share_that_all_have() {
        let lot = lot(Order::Spread("site".into()), halves());
        let entries: Vec<_> = (1..=8).map(|n| draw::Entry { place: n, stratum: 0, matched: None }).collect();
        let drawn = draw::draw(&entries, &[0], &[stage(Reach::Percent(50.0)), stage(Reach::Percent(100.0))]);
        let strata = lot.kept(&drawn, vec!["=north".into()]);
        assert_eq!(strata.keys().collect::<Vec<_>>(), ["", "=north"]);
        assert_eq!((strata["=north"].as_slice(), strata[""].as_slice()), (&[4, draw::EVERYBODY][..], &[i64::MAX / 2, draw::EVERYBODY][..]));
        assert_eq!(lot.bounds(&drawn, &strata), strata[""]);
        let kept = Kept { lot, strata: strata.into_iter().collect(), cuts: vec![i64::MAX / 2, draw::EVERYBODY], members: None };
        let id = rollout_id(1);
        let early = (1..1000).find(|n| (5..i64::MAX / 2).contains(&draw::place(&id, *n))).unwrap();
        assert_eq!(kept.stage_of(&id, early, &facts("x", "south")), Some(1), "half of all that come from a new site");
        assert_eq!(kept.stage_of(&id, early, &facts("x", "north")), Some(2), "a place behind the cut of its site");
    }

    #[test]
    fn the_first_stage_that_takes_a_device_has_it_and_nobody_is_taken_twice() {
        let own = |text: &str| stage(Reach::Matching(text.into()));
        let lot = lot(Order::Random, vec![own("gw-1"), stage(Reach::Count(2)), own("gw")]);
        assert_eq!(lot.matched(&facts("gw-1", "")), [0, 2]);
        let cuts = [draw::NOBODY, 5, 5];
        assert_eq!(lot.stage_of(9, &cuts, &facts("gw-1", ""), true), Some(1));
        assert_eq!(lot.stage_of(5, &cuts, &facts("gw-2", ""), true), Some(2));
        assert_eq!(lot.stage_of(6, &cuts, &facts("gw-2", ""), true), Some(3));
        assert_eq!(lot.stage_of(6, &cuts, &facts("cam", ""), true), None, "left out");
        assert_eq!(lot.stage_of(5, &cuts, &facts("gw-2", ""), false), Some(3), "who comes later is not in a stage that is full");
    }
}
