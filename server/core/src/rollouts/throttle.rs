//! Pure: how many devices a plan lets update at the same time. It is asked in the transaction that makes an offer, and by the explanation of
//! why a device waits.

use crate::devices::Facts;
use wire::{
    Timestamp,
    rollouts::{Budget, Rate, RolloutSpec},
};

/// What is under way where a plan has limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crowd {
    /// Updates of this rollout.
    pub open: i64,
    /// Devices that have the same value of the budget's attribute as the one that asks, whatever rollout updates them; 0 for a device without
    /// the attribute.
    pub alike: i64,
    /// Active devices with that value, whatever they do.
    pub kin: i64,
    /// Devices that were offered it within the last minute.
    pub begun: i64,
    /// Devices of this rollout that succeeded.
    pub succeeded: i64,
}

/// A limit that leaves no room for another device.
#[derive(Debug, Clone, PartialEq)]
pub enum Full<'a> {
    /// So many update already.
    AtOnce(u32),
    /// As many as the budget allows are like this one: so many.
    Budget(&'a Budget, i64),
    /// So many began within the last minute.
    Rate(i64),
}

/// Whether a plan has such limits at all.
pub const fn throttled(spec: &RolloutSpec) -> bool {
    spec.at_once.is_some() || spec.budget.is_some() || spec.rate.is_some()
}

/// How many devices a minute may begin once so many have succeeded.
pub fn pace(rate: &Rate, succeeded: i64) -> i64 {
    let Some(growth) = &rate.growth else { return i64::from(rate.per_minute) };
    let steps = succeeded.max(0) / i64::from(growth.successes.max(1));
    // Beyond so many steps any factor has reached what a rate may be.
    let steps = i32::try_from(steps.min(1_000_000)).unwrap_or(i32::MAX);
    let grown = (f64::from(rate.per_minute) * growth.factor.powi(steps)).min(f64::from(growth.at_most));
    #[expect(clippy::cast_possible_truncation, reason = "at most what fits in 32 bits")]
    let grown = grown as i64;
    grown.max(i64::from(rate.per_minute))
}

/// How many devices of a kind a budget lets update at the same time, of so many: always one.
pub fn room(budget: &Budget, kin: i64) -> i64 {
    let by_share = budget.at_most_percent.map(|percent| {
        #[expect(clippy::cast_precision_loss, reason = "fleets are far below 2⁵³ devices")]
        let exact = percent * kin as f64 / 100.0;
        // Ten percent of thirty is three, whatever the last bit of the product says.
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and NaN becomes 0")]
        let down = (exact + 1e-9).floor() as i64;
        down.max(1)
    });
    let by_number = budget.at_most.map(i64::from);
    by_share.into_iter().chain(by_number).min().unwrap_or(i64::MAX)
}

/// The limit that leaves no room for one more device; none when there is room.
pub fn full(spec: &RolloutSpec, crowd: Crowd) -> Option<Full<'_>> {
    let at_once = spec.at_once.filter(|most| crowd.open >= i64::from(*most)).map(Full::AtOnce);
    let budget = || spec.budget.as_ref().map(|budget| (budget, room(budget, crowd.kin))).filter(|(_, room)| crowd.alike >= *room);
    let rate = || spec.rate.as_ref().map(|rate| pace(rate, crowd.succeeded)).filter(|most| crowd.begun >= *most);
    at_once.or_else(|| budget().map(|(budget, room)| Full::Budget(budget, room))).or_else(|| rate().map(Full::Rate))
}

impl Full<'_> {
    /// Why a device waits whose turn it is, and by when it is estimated to have it, where that can be told.
    pub fn words(&self, facts: &Facts, turn: Option<Timestamp>) -> String {
        let why = match self {
            Self::AtOnce(most) => {
                format!(
                    "it is its turn, but as many devices are updating already as the plan allows at once ({most}). It gets it when one is done."
                )
            }
            Self::Rate(most) => format!(
                "it is its turn, but as many devices have begun within a minute as the plan allows by now ({most}). It gets it when its minute comes."
            ),
            Self::Budget(Budget { attribute, .. }, at_most) => format!(
                "it is its turn, but as many devices with {attribute} “{}” are updating already as the plan allows at once ({at_most}). It gets it when one is done.",
                facts.attributes.get(attribute).map_or("", String::as_str)
            ),
        };
        match turn {
            Some(at) => format!("{why} By the devices that wait, its turn is estimated by {} at the latest.", at.readable()),
            None => why,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::{spec, stage};
    use proptest::prelude::*;
    use wire::rollouts::{Growth, Reach};

    #[test]
    fn a_plan_is_full_at_its_limits_and_never_without() {
        let free = spec(vec![stage(Reach::Percent(100.0))]);
        let crowd = |open, alike| Crowd { open, alike, ..Crowd::default() };
        assert!(!throttled(&free));
        assert_eq!(full(&free, crowd(1_000_000, 1_000_000)), None);
        let budget = Budget { attribute: "site".into(), at_most: Some(1), at_most_percent: None };
        let tight = RolloutSpec { at_once: Some(3), budget: Some(budget.clone()), ..free };
        assert!(throttled(&tight));
        assert_eq!(full(&tight, crowd(2, 0)), None);
        assert_eq!(full(&tight, crowd(3, 0)), Some(Full::AtOnce(3)));
        assert_eq!(full(&tight, crowd(2, 1)), Some(Full::Budget(&budget, 1)));
    }

    #[test]
    fn a_share_of_a_kind_is_rounded_down_but_never_to_nobody() {
        let budget = |at_most, at_most_percent| Budget { attribute: "site".into(), at_most, at_most_percent };
        for (percent, kin, devices) in [(10.0, 30, 3), (10.0, 39, 3), (10.0, 5, 1), (50.0, 0, 1), (100.0, 7, 7), (33.3, 100, 33)] {
            assert_eq!(room(&budget(None, Some(percent)), kin), devices, "{percent} % of {kin}");
        }
        assert_eq!(room(&budget(Some(2), None), 1000), 2);
    }

    #[test]
    fn a_rate_grows_by_its_factor_with_every_so_many_successes_up_to_its_limit() {
        let rate = |factor, successes, at_most| Rate { per_minute: 10, growth: Some(Growth { factor, successes, at_most }) };
        let steady = Rate { per_minute: 10, growth: None };
        assert_eq!(pace(&steady, 1_000_000), 10);
        let doubling = rate(2.0, 20, 100);
        assert_eq!([0, 19, 20, 40, 60, 80, i64::MAX].map(|n| pace(&doubling, n)), [10, 10, 20, 40, 80, 100, 100]);
        assert_eq!(pace(&rate(1.5, 1, 1000), 3), 33);
        let plan = RolloutSpec { rate: Some(doubling), ..spec(vec![stage(Reach::Percent(100.0))]) };
        assert!(throttled(&plan));
        let crowd = |begun, succeeded| Crowd { begun, succeeded, ..Crowd::default() };
        assert_eq!([full(&plan, crowd(9, 0)), full(&plan, crowd(10, 0)), full(&plan, crowd(19, 20))], [None, Some(Full::Rate(10)), None]);
    }

    proptest! {
        #[test]
        fn a_rate_never_falls_as_devices_succeed(per_minute in 1u32..1000, factor in 1.0001f64..10.0, successes in 1u32..100, more in 0u32..100_000, n in 0i64..10_000) {
            let rate = Rate { per_minute, growth: Some(Growth { factor, successes, at_most: per_minute + more }) };
            prop_assert!(pace(&rate, n) <= pace(&rate, n + 1) && pace(&rate, n) <= i64::from(per_minute + more));
        }
    }
}
