//! Pure: who comes when. A device's place in a rollout is a hash of both, so it is the same on every instance and needs no row; a stage is
//! a cut through the places, or through those of each of the values that a plan spreads its devices over, or takes those that match a selector of its own.

use super::fair::Fair;
use aws_lc_rs::digest::{SHA256, digest};
use wire::{
    ids::RolloutId,
    rollouts::{Reach, StageSpec},
};

/// The place of nobody: a stage that reaches no device is cut here.
pub const NOBODY: i64 = -1;
/// The place behind everybody: the last stage is cut here, so that devices which join later are in it.
pub const EVERYBODY: i64 = i64::MAX;

/// A device's place in a rollout: 63 bits of SHA-256 over the rollout's id and the device's number, never negative. Places of different
/// rollouts are unrelated, so no device is always the first.
pub fn place(rollout: &RolloutId, device: i64) -> i64 {
    let mut bytes = Vec::with_capacity(rollout.as_str().len() + 8);
    bytes.extend_from_slice(rollout.as_str().as_bytes());
    bytes.extend_from_slice(&device.to_be_bytes());
    hashed(&bytes)
}

fn hashed(bytes: &[u8]) -> i64 {
    let hash = digest(&SHA256, bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_ref()[..8]);
    i64::from_be_bytes(first) & i64::MAX
}

/// Which of two values of an attribute comes first when both are as urgent: by lot as well.
pub fn tie(rollout: &RolloutId, value: &str) -> i64 {
    hashed(&[rollout.as_str().as_bytes(), b"/", value.as_bytes()].concat())
}

/// Where a stage ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Devices in this and all earlier stages, exactly.
    pub reach: i64,
    /// Devices at or before this place are in it.
    pub place: i64,
}

/// Who takes part in a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub place: i64,
    /// Which of the values it has that devices are spread over.
    pub stratum: usize,
    /// The first stage (from 0) whose own selector it matches.
    pub matched: Option<usize>,
}

/// Who is in which stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// One a stage; the place is behind everybody who is in it or in an earlier one by their place.
    pub cuts: Vec<Cut>,
    /// The same for each stratum.
    pub strata: Vec<Vec<i64>>,
    /// The entries of each stage, in their order.
    pub stages: Vec<Vec<usize>>,
    /// Entries that no stage takes.
    pub left_out: Vec<usize>,
}

/// Cuts sorted places into stages that take devices by their number only. The last stage takes whoever is left.
pub fn cuts(sorted: &[i64], stages: &[StageSpec]) -> Vec<Cut> {
    let entries: Vec<Entry> = sorted.iter().map(|place| Entry { place: *place, stratum: 0, matched: None }).collect();
    draw(&entries, &[0], stages).cuts
}

/// Draws entries into stages. A stage takes those that match its own selector and are in no earlier one, or so many more by their places: of every
/// stratum its share of the rest, to within one. `ties` says of each stratum which of two comes first.
pub fn draw(entries: &[Entry], ties: &[i64], stages: &[StageSpec]) -> Drawn {
    let mut pools = Pools::new(entries, ties.len());
    let mut fair: Option<Fair> = None;
    let mut drawn = Drawn { cuts: Vec::new(), strata: vec![Vec::new(); ties.len()], stages: Vec::new(), left_out: Vec::new() };
    let mut before = 0;
    for (i, stage) in stages.iter().enumerate() {
        let came = match stage.reach {
            Reach::Matching(_) => {
                // Who is left is another crowd, with other shares.
                fair = None;
                pools.matching(i)
            }
            _ if i + 1 == stages.len() => {
                pools.cuts.fill(EVERYBODY);
                pools.rest()
            }
            ref reach => {
                let more = wanted(reach, entries.len()).min(entries.len()).saturating_sub(before);
                let fair = fair.get_or_insert_with(|| Fair::new(pools.sizes().into_iter().zip(ties.iter().copied())));
                pools.next(more, fair)
            }
        };
        before += came.len();
        let place = pools.cuts.iter().copied().max().unwrap_or(NOBODY);
        drawn.cuts.push(Cut { reach: count(before), place });
        drawn.strata.iter_mut().zip(&pools.cuts).for_each(|(of, cut)| of.push(*cut));
        drawn.stages.push(came);
    }
    drawn.left_out = pools.rest();
    drawn
}

/// Who is not drawn yet, by stratum.
struct Pools<'a> {
    entries: &'a [Entry],
    taken: Vec<bool>,
    /// By place.
    sorted: Vec<Vec<usize>>,
    /// How far each of them was looked at.
    at: Vec<usize>,
    cuts: Vec<i64>,
}

impl<'a> Pools<'a> {
    fn new(entries: &'a [Entry], strata: usize) -> Self {
        let mut sorted = vec![Vec::new(); strata];
        for (i, entry) in entries.iter().enumerate() {
            sorted[entry.stratum].push(i);
        }
        for pool in &mut sorted {
            pool.sort_unstable_by_key(|i| (entries[*i].place, *i));
        }
        Self { entries, taken: vec![false; entries.len()], sorted, at: vec![0; strata], cuts: vec![NOBODY; strata] }
    }

    fn sizes(&self) -> Vec<usize> {
        self.sorted.iter().map(|pool| pool.iter().filter(|i| !self.taken[**i]).count()).collect()
    }

    /// Everybody for whom this holds, by place.
    fn take(&mut self, wanted: impl Fn(&Entry) -> bool) -> Vec<usize> {
        let mut came: Vec<usize> = (0..self.entries.len()).filter(|i| !self.taken[*i] && wanted(&self.entries[*i])).collect();
        came.sort_unstable_by_key(|i| (self.entries[*i].place, *i));
        for i in &came {
            self.taken[*i] = true;
        }
        came
    }

    fn matching(&mut self, stage: usize) -> Vec<usize> {
        self.take(|entry| entry.matched == Some(stage))
    }

    fn rest(&mut self) -> Vec<usize> {
        self.take(|_| true)
    }

    /// So many more, in turns.
    fn next(&mut self, more: usize, turns: &mut Fair) -> Vec<usize> {
        let mut came = Vec::with_capacity(more);
        while came.len() < more {
            let Some(stratum) = turns.next() else { break };
            came.extend(self.first_of(stratum, |_| true));
            // Two devices at one place (2⁻⁶³ a pair) come together; the count says so.
            let cut = self.cuts[stratum];
            while let Some(also) = self.first_of(stratum, |place| place == cut) {
                came.push(also);
            }
        }
        came
    }

    fn first_of(&mut self, stratum: usize, fits: impl Fn(i64) -> bool) -> Option<usize> {
        let pool = &self.sorted[stratum];
        let at = &mut self.at[stratum];
        while pool.get(*at).is_some_and(|i| self.taken[*i]) {
            *at += 1;
        }
        let i = pool.get(*at).copied().filter(|i| fits(self.entries[*i].place))?;
        self.taken[i] = true;
        self.cuts[stratum] = self.entries[i].place;
        Some(i)
    }
}

/// How many of `total` devices a reach means, rounded up: a percentage over zero is at least one device.
fn wanted(reach: &Reach, total: usize) -> usize {
    match reach {
        Reach::Matching(_) => 0,
        Reach::Count(n) => usize::try_from(*n).unwrap_or(usize::MAX),
        Reach::Percent(percent) => {
            #[expect(clippy::cast_precision_loss, reason = "fleets are far below 2⁵³ devices")]
            let exact = percent * total as f64 / 100.0;
            // Ten percent of thirty is three, whatever the last bit of the product says.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, and NaN becomes 0")]
            let up = (exact - 1e-9).ceil() as usize;
            up
        }
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::{rollout_id, stage};
    use proptest::prelude::*;

    fn places(rollout: u64, devices: i64) -> Vec<i64> {
        let id = rollout_id(rollout);
        let mut out: Vec<i64> = (1..=devices).map(|d| place(&id, d)).collect();
        out.sort_unstable();
        out
    }

    /// The stage (from 1) a place falls in by these cuts; the last one when it is behind every cut.
    fn stage_of(place: i64, cuts: &[i64]) -> u32 {
        let i = cuts.iter().position(|cut| place <= *cut).unwrap_or(cuts.len().saturating_sub(1));
        u32::try_from(i + 1).unwrap_or(u32::MAX)
    }

    #[test]
    fn a_place_is_stable_for_ever() {
        // A change here would move every device of every running rollout to another stage.
        let id: RolloutId = "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap();
        insta::assert_snapshot!(format!("{} {} {}", place(&id, 1), place(&id, 2), place(&id, 1_000_000)));
    }

    #[test]
    fn ten_percent_of_thirty_is_three() {
        for (percent, total, devices) in [(10.0, 30, 3), (1.0, 25, 1), (0.1, 1000, 1), (33.3, 3, 1), (100.0, 7, 7), (50.0, 0, 0)] {
            assert_eq!(wanted(&Reach::Percent(percent), total), devices, "{percent} % of {total}");
        }
    }

    proptest! {
        #[test]
        fn stages_partition_the_fleet_with_exact_counts(
            seed: u64, devices in 0i64..400, reaches in prop::collection::vec((any::<bool>(), 0.01f64..100.0, 0u32..300), 0..6)
        ) {
            let mut stages: Vec<_> = reaches.iter().map(|(p, percent, n)| stage(if *p { Reach::Percent(*percent) } else { Reach::Count(*n) })).collect();
            stages.push(stage(Reach::Percent(100.0)));
            let sorted = places(seed, devices);
            let cuts = cuts(&sorted, &stages);
            prop_assert_eq!(cuts.len(), stages.len());
            prop_assert_eq!(cuts.last().unwrap().reach, devices);
            let at: Vec<i64> = cuts.iter().map(|c| c.place).collect();
            let mut sizes = vec![0i64; stages.len()];
            for p in &sorted {
                sizes[stage_of(*p, &at) as usize - 1] += 1;
            }
            let mut sum = 0;
            let mut asked = 0;
            for (i, cut) in cuts.iter().enumerate() {
                sum += sizes[i];
                prop_assert_eq!(sum, cut.reach, "the number of devices up to a cut is what the cut says");
                prop_assert!(i == 0 || cut.place >= cuts[i - 1].place);
                asked = asked.max(wanted(&stages[i].reach, sorted.len()).min(sorted.len()));
                prop_assert_eq!(cut.reach, i64::try_from(asked).unwrap(), "and what was asked for");
            }
        }

        #[test]
        fn a_larger_reach_keeps_everybody_of_a_smaller_one(seed: u64, devices in 1i64..300, a in 0.1f64..100.0, b in 0.1f64..100.0) {
            let sorted = places(seed, devices);
            let cut = |p: f64| cuts(&sorted, &[stage(Reach::Percent(p)), stage(Reach::Percent(100.0))])[0];
            let (small, large) = (cut(a.min(b)), cut(a.max(b)));
            prop_assert!(small.place <= large.place && small.reach <= large.reach);
        }

        #[test]
        fn every_stage_takes_its_share_of_each_value_and_everybody_is_in_the_first_that_takes_them(
            seed: u64,
            devices in prop::collection::vec((0usize..7, 0usize..7, prop::option::weighted(0.2, 0usize..6)), 0..300),
            reaches in prop::collection::vec(prop_oneof![
                (0.01f64..100.0).prop_map(Reach::Percent), (0u32..200).prop_map(Reach::Count), Just(Reach::Matching(String::new()))
            ], 0..6),
            rest: bool,
        ) {
            let mut stages: Vec<_> = reaches.into_iter().map(stage).collect();
            stages.push(stage(if rest { Reach::Percent(100.0) } else { Reach::Matching(String::new()) }));
            let own = |m: &usize| matches!(stages.get(*m).map(|s| &s.reach), Some(Reach::Matching(_)));
            let id = rollout_id(seed);
            let entries: Vec<Entry> = (1..).zip(&devices).map(|(n, (a, b, matched))| {
                // Small values beside large ones.
                Entry { place: place(&id, n), stratum: a * b / 6, matched: matched.filter(own) }
            }).collect();
            let drawn = draw(&entries, &[0; 7], &stages);
            let mut left: Vec<usize> = (0..entries.len()).collect();
            for (i, came) in drawn.stages.iter().enumerate() {
                let of = |s: usize, who: &[usize]| who.iter().filter(|e| entries[**e].stratum == s).count();
                for s in 0..7 {
                    let (n, all) = (of(s, came), of(s, &left) * came.len());
                    if !matches!(stages[i].reach, Reach::Matching(_)) && (i == 0 || matches!(stages[i - 1].reach, Reach::Matching(_))) && !left.is_empty() {
                        prop_assert!(n >= all / left.len() && n <= all.div_ceil(left.len()), "{n} of value {s} in stage {i}");
                    }
                }
                left.retain(|e| !came.contains(e));
            }
            prop_assert_eq!(&left, &{ let mut out = drawn.left_out.clone(); out.sort_unstable(); out });
            prop_assert!(!rest || left.is_empty());
            for (e, entry) in entries.iter().enumerate() {
                let by_rule = (0..stages.len()).find(|i| entry.matched == Some(*i) || entry.place <= drawn.strata[entry.stratum][*i]);
                let drawn_into = drawn.stages.iter().position(|s| s.contains(&e));
                prop_assert_eq!(by_rule, drawn_into, "the rule that devices are asked by is the draw that people saw");
            }
            for of in &drawn.strata {
                prop_assert!(of.is_sorted());
            }
            let mut sum = 0;
            for (i, came) in drawn.stages.iter().enumerate() {
                sum += count(came.len());
                prop_assert_eq!(drawn.cuts[i].reach, sum);
            }
        }

        #[test]
        fn places_never_move_when_the_fleet_grows(seed: u64, devices in 1i64..200, more in 1i64..200) {
            let (few, many) = (places(seed, devices), places(seed, devices + more));
            prop_assert!(few.iter().all(|p| many.binary_search(p).is_ok()));
        }
    }
}
