//! Pure: how many devices a plan lets update at the same time. It is asked in the transaction that makes an offer, and by the explanation of
//! why a device waits.

use crate::devices::Facts;
use wire::rollouts::{Budget, RolloutSpec};

/// What is under way where a plan has limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crowd {
    /// Updates of this rollout.
    pub open: i64,
    /// Devices that have the same value of the budget's attribute as the one that asks, whatever rollout updates them; 0 for a device without
    /// the attribute.
    pub alike: i64,
}

/// A limit that leaves no room for another device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Full<'a> {
    /// So many update already.
    AtOnce(u32),
    /// As many as the budget allows are like this one.
    Budget(&'a Budget),
}

/// Whether a plan has such limits at all.
pub const fn throttled(spec: &RolloutSpec) -> bool {
    spec.at_once.is_some() || spec.budget.is_some()
}

/// The limit that leaves no room for one more device; none when there is room.
pub fn full(spec: &RolloutSpec, crowd: Crowd) -> Option<Full<'_>> {
    let at_once = spec.at_once.filter(|most| crowd.open >= i64::from(*most)).map(Full::AtOnce);
    at_once.or_else(|| spec.budget.as_ref().filter(|budget| crowd.alike >= i64::from(budget.at_most)).map(Full::Budget))
}

impl Full<'_> {
    /// Why a device waits whose turn it is.
    pub fn words(&self, facts: &Facts) -> String {
        match self {
            Self::AtOnce(most) => {
                format!(
                    "it is its turn, but as many devices are updating already as the plan allows at once ({most}). It gets it when one is done."
                )
            }
            Self::Budget(Budget { attribute, at_most }) => format!(
                "it is its turn, but as many devices with {attribute} “{}” are updating already as the plan allows at once ({at_most}). It gets it when one is done.",
                facts.attributes.get(attribute).map_or("", String::as_str)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::{spec, stage};
    use wire::rollouts::Reach;

    #[test]
    fn a_plan_is_full_at_its_limits_and_never_without() {
        let free = spec(vec![stage(Reach::Percent(100.0))]);
        let crowd = |open, alike| Crowd { open, alike };
        assert!(!throttled(&free));
        assert_eq!(full(&free, crowd(1_000_000, 1_000_000)), None);
        let budget = Budget { attribute: "site".into(), at_most: 1 };
        let tight = RolloutSpec { at_once: Some(3), budget: Some(budget.clone()), ..free };
        assert!(throttled(&tight));
        assert_eq!(full(&tight, crowd(2, 0)), None);
        assert_eq!(full(&tight, crowd(3, 0)), Some(Full::AtOnce(3)));
        assert_eq!(full(&tight, crowd(2, 1)), Some(Full::Budget(&budget)));
    }
}
