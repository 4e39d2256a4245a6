//! Pure: which devices of a plan belong together by its budget: of each value how many every stage has, and how many of them may update at once. Refuses
//! to know how long an update takes, and whom other rollouts update meanwhile.

use super::throttle::room;
use crate::devices::Facts;
use std::collections::HashMap;
use wire::{
    rollouts::{Budget, TightBudget},
    states::DeviceState,
};

/// A fleet by the values of a budget's attribute; nothing where a plan has no budget.
#[derive(Debug)]
pub struct Alike<'a> {
    budget: Option<&'a Budget>,
    /// The place of each value in the two lists below.
    places: HashMap<String, usize>,
    values: Vec<String>,
    /// Active devices with each value, whoever is meant: a share is of these.
    active: Vec<i64>,
    /// The value of each device that the plan is for, by the turn in which it was taken; none for one without the attribute.
    turns: Vec<Option<usize>>,
}

impl<'a> Alike<'a> {
    /// Nobody yet.
    #[must_use]
    pub fn new(budget: Option<&'a Budget>) -> Self {
        Self { budget, places: HashMap::new(), values: Vec::new(), active: Vec::new(), turns: Vec::new() }
    }

    /// Takes the next device of the fleet, and whether the plan is for it.
    pub fn take(&mut self, facts: &Facts, meant: bool) {
        let Some(budget) = self.budget else { return };
        let place = facts.attributes.get(&budget.attribute).map(|value| self.place(value));
        if let Some(active) = place.and_then(|place| self.active.get_mut(place)) {
            *active += i64::from(facts.state == DeviceState::Active.as_str());
        }
        if meant {
            self.turns.push(place);
        }
    }

    fn place(&mut self, value: &str) -> usize {
        if let Some(place) = self.places.get(value) {
            return *place;
        }
        let place = self.values.len();
        self.places.insert(value.to_owned(), place);
        self.values.push(value.to_owned());
        self.active.push(0);
        place
    }

    /// Of each stage the value whose devices need the most rounds, when the stages take these of the devices by their turns; none without a budget, and
    /// of a stage of which nobody has the attribute.
    #[must_use]
    pub fn tightest(&self, who: &[Vec<usize>]) -> Vec<Option<TightBudget>> {
        who.iter().map(|stage| self.of_stage(stage)).collect()
    }

    fn of_stage(&self, stage: &[usize]) -> Option<TightBudget> {
        let budget = self.budget?;
        let mut counts = vec![0_i64; self.values.len()];
        for place in stage.iter().filter_map(|turn| self.turns.get(*turn).copied().flatten()) {
            counts[place] += 1;
        }
        let each = counts.iter().zip(&self.active).zip(&self.values).filter(|((devices, _), _)| **devices > 0);
        let tight = each.map(|((devices, active), value)| TightBudget {
            attribute: budget.attribute.clone(),
            value: value.clone(),
            devices: *devices,
            at_most: room(budget, *active),
        });
        // Of the same rounds the one with more devices, and of those the first that was met.
        tight.reduce(|most, other| if (other.rounds(), other.devices) > (most.rounds(), most.devices) { other } else { most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(site: &str) -> Facts {
        let mut facts = Facts { state: "active".into(), ..Facts::default() };
        if !site.is_empty() {
            facts.attributes.insert("site".to_owned(), site.to_owned());
        }
        facts
    }

    fn budget(at_most: Option<u32>, at_most_percent: Option<f64>) -> Budget {
        Budget { attribute: "site".into(), at_most, at_most_percent }
    }

    fn tight(value: &str, devices: i64, at_most: i64) -> TightBudget {
        TightBudget { attribute: "site".into(), value: value.into(), devices, at_most }
    }

    #[test]
    fn the_site_with_the_most_rounds_decides_stage_by_stage() {
        let two = budget(Some(2), None);
        let mut alike = Alike::new(Some(&two));
        for site in ["oslo", "oslo", "oslo", "bergen", "bergen", ""] {
            alike.take(&at(site), true);
        }
        assert_eq!(alike.tightest(&[vec![3, 4, 0], vec![1, 2, 5]]), [Some(tight("bergen", 2, 2)), Some(tight("oslo", 2, 2))]);
        assert_eq!(alike.tightest(&[vec![0, 1, 2, 3, 4], vec![5], vec![]]), [Some(tight("oslo", 3, 2)), None, None]);
    }

    #[test]
    fn a_share_is_of_all_active_devices_and_a_number_is_as_it_is() {
        let half = budget(None, Some(50.0));
        let mut alike = Alike::new(Some(&half));
        for n in 0..8 {
            let state = if n < 6 { "active" } else { "pending" };
            alike.take(&Facts { state: state.into(), ..at("oslo") }, n < 3);
        }
        assert_eq!(alike.tightest(&[vec![0, 1, 2]]), [Some(tight("oslo", 3, 3))], "three of the six that are active");
    }

    #[test]
    fn without_a_budget_nothing_is_kept() {
        let mut alike = Alike::new(None);
        alike.take(&at("oslo"), true);
        assert_eq!(alike.tightest(&[vec![0]]), [None]);
    }
}
