//! Pure: who comes when. A device's place in a rollout is a hash of both, so it is the same on every instance and needs no row; a stage is
//! a cut through the places.

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
    let hash = digest(&SHA256, &bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_ref()[..8]);
    i64::from_be_bytes(first) & i64::MAX
}

/// Where a stage ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Devices in this and all earlier stages, exactly.
    pub reach: i64,
    /// Devices at or before this place are in it.
    pub place: i64,
}

/// Cuts sorted places into stages. The last stage takes whoever is left.
pub fn cuts(sorted: &[i64], stages: &[StageSpec]) -> Vec<Cut> {
    debug_assert!(sorted.is_sorted());
    let total = sorted.len();
    let mut before = 0;
    let mut out = Vec::with_capacity(stages.len());
    for (i, stage) in stages.iter().enumerate() {
        if i + 1 == stages.len() {
            out.push(Cut { reach: count(total), place: EVERYBODY });
            break;
        }
        let wanted = wanted(stage.reach, total).max(before).min(total);
        let place = wanted.checked_sub(1).and_then(|k| sorted.get(k)).copied().unwrap_or(NOBODY);
        // Two devices at one place (2⁻⁶³ a pair) come together; the count says so.
        before = sorted.partition_point(|p| *p <= place);
        out.push(Cut { reach: count(before), place });
    }
    out
}

/// How many of `total` devices a reach means, rounded up: a percentage over zero is at least one device.
fn wanted(reach: Reach, total: usize) -> usize {
    match reach {
        Reach::Count(n) => usize::try_from(n).unwrap_or(usize::MAX),
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

/// The stage (from 1) a place falls in; the last one when it is behind every cut.
pub fn stage_of(place: i64, cuts: &[i64]) -> u32 {
    let i = cuts.iter().position(|cut| place <= *cut).unwrap_or(cuts.len().saturating_sub(1));
    u32::try_from(i + 1).unwrap_or(u32::MAX)
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

    #[test]
    fn a_place_is_stable_for_ever() {
        // A change here would move every device of every running rollout to another stage.
        let id: RolloutId = "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap();
        insta::assert_snapshot!(format!("{} {} {}", place(&id, 1), place(&id, 2), place(&id, 1_000_000)));
    }

    #[test]
    fn ten_percent_of_thirty_is_three() {
        for (percent, total, devices) in [(10.0, 30, 3), (1.0, 25, 1), (0.1, 1000, 1), (33.3, 3, 1), (100.0, 7, 7), (50.0, 0, 0)] {
            assert_eq!(wanted(Reach::Percent(percent), total), devices, "{percent} % of {total}");
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
                asked = asked.max(wanted(stages[i].reach, sorted.len()).min(sorted.len()));
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
        fn places_never_move_when_the_fleet_grows(seed: u64, devices in 1i64..200, more in 1i64..200) {
            let (few, many) = (places(seed, devices), places(seed, devices + more));
            prop_assert!(few.iter().all(|p| many.binary_search(p).is_ok()));
        }
    }
}
