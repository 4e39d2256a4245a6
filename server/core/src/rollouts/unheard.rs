//! Pure: what a plan names that no device of it has: the attribute of its budget or of its order, listed devices, and metrics of its gates that nobody
//! sends. Such a plan runs, but not as it was meant. Refuses to know who else is in the fleet.

use crate::devices::{Facts, misspelt::meant};
use std::collections::{BTreeSet, HashSet};
use wire::{
    rollouts::{Order, RolloutSpec},
    selector::near,
};

/// Different names of attributes that are remembered, to suggest one of them.
const REMEMBERED: usize = 1000;

/// What has not been heard of yet.
#[derive(Debug)]
pub struct Unheard<'a> {
    /// Attributes that no device had, each with what comes of it.
    attributes: Vec<(&'a str, &'static str)>,
    /// Attributes that devices had, while one is missing.
    reported: BTreeSet<String>,
    /// Listed devices that did not come, in lower case.
    listed: HashSet<String>,
    /// Metrics that its gates compare.
    metrics: BTreeSet<&'a str>,
    /// Metrics that the organization's devices send; none before these are known.
    sent: Option<BTreeSet<String>>,
    /// Whether a device came.
    any: bool,
}

impl<'a> Unheard<'a> {
    /// Nobody came yet.
    #[must_use]
    pub fn new(spec: &'a RolloutSpec) -> Self {
        let mut attributes = Vec::new();
        if let Some(budget) = &spec.budget {
            attributes.push((budget.attribute.as_str(), "the budget limits nothing"));
        }
        let mut listed = HashSet::new();
        match &spec.order {
            Some(Order::Spread(attribute)) => attributes.push((attribute.as_str(), "the plan is spread over nothing")),
            Some(Order::Listed(ids)) => listed.extend(ids.iter().map(|id| id.as_str().to_lowercase())),
            Some(Order::Random) | None => {}
        }
        let gates = spec.stages.iter().map(|stage| &stage.gate).chain(&spec.gate);
        let metrics = gates.flat_map(|gate| &gate.metrics).map(|compared| compared.metric.as_str()).collect();
        Self { attributes, reported: BTreeSet::new(), listed, metrics, sent: None, any: false }
    }

    /// Whether it matters which metrics devices send.
    #[must_use]
    pub fn asks_for_metrics(&self) -> bool {
        !self.metrics.is_empty()
    }

    /// Takes names of metrics that devices send. Where these are not `all`, nothing can be said of others.
    pub fn knows_metrics(&mut self, names: &[String], all: bool) {
        self.sent = all.then(|| names.iter().cloned().collect());
    }

    /// Takes a device that the plan is for.
    pub fn take(&mut self, facts: &Facts) {
        self.any = true;
        if !self.listed.is_empty() {
            self.listed.remove(&facts.device_id.to_lowercase());
        }
        self.attributes.retain(|(name, _)| !facts.attributes.contains_key(*name));
        if self.attributes.is_empty() {
            return;
        }
        for name in facts.attributes.keys() {
            if self.reported.len() < REMEMBERED && !self.reported.contains(name) {
                self.reported.insert(name.clone());
            }
        }
    }

    /// Sentences about what no device has; none where the plan is for nobody, which is said already.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        if !self.any {
            return Vec::new();
        }
        let known: Vec<&str> = self.reported.iter().map(String::as_str).collect();
        let attribute = |(name, so): &(&str, &str)| {
            let nearest = near(name, &known).map_or_else(String::new, |known| format!(" The nearest that they report is {known}."));
            format!("No device of this plan reports {name}: {so}.{nearest}")
        };
        let listed = match self.listed.len() {
            0 => None,
            1 => Some("1 of the listed ids is no device of this plan.".to_owned()),
            n => Some(format!("{n} of the listed ids are no devices of this plan.")),
        };
        self.attributes.iter().map(attribute).chain(listed).chain(self.unsent()).collect()
    }

    /// Sentences about metrics that nobody sends.
    fn unsent(&self) -> Vec<String> {
        let Some(sent) = &self.sent else { return Vec::new() };
        let known: Vec<&str> = sent.iter().map(String::as_str).collect();
        let metric = |name: &&str| {
            let nearest = meant(name, &known);
            format!("No device sends the metric {name}: a gate that compares it has nothing to judge.{nearest}")
        };
        self.metrics.iter().filter(|name| !sent.contains(**name)).map(metric).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::{spec, stage};
    use wire::rollouts::{Budget, GateSpec, MetricGate, Reach, StageSpec, Worse};

    fn plan(attribute: &str, order: Order) -> RolloutSpec {
        let budget = Some(Budget { attribute: attribute.into(), at_most: Some(1), at_most_percent: None });
        RolloutSpec { budget, order: Some(order), ..spec(vec![stage(Reach::Percent(100.0))]) }
    }

    fn said(plan: &RolloutSpec) -> Vec<String> {
        let mut unheard = Unheard::new(plan);
        for id in ["gw-1", "gw-2"] {
            let attributes = [("site".to_owned(), "Berlin".to_owned())].into();
            unheard.take(&Facts { device_id: id.into(), attributes, ..Facts::default() });
        }
        unheard.said()
    }

    #[test]
    fn an_attribute_that_nobody_reports_is_named_with_the_nearest() {
        assert_eq!(
            said(&plan("stie", Order::Spread("nope".into()))),
            [
                "No device of this plan reports stie: the budget limits nothing. The nearest that they report is site.",
                "No device of this plan reports nope: the plan is spread over nothing."
            ]
        );
        assert_eq!(said(&plan("site", Order::Spread("site".into()))), [""; 0]);
    }

    #[test]
    fn a_metric_that_a_gate_compares_and_nobody_sends_is_named_with_the_nearest() {
        let compared = |name: &str| GateSpec { metrics: vec![MetricGate::new(name.into(), Worse::Higher)], ..GateSpec::USUAL };
        let mut of = spec(vec![StageSpec { gate: compared("cpu.prcent"), ..stage(Reach::Percent(100.0)) }]);
        of.gate = Some(compared("cpu.load"));
        let mut unheard = Unheard::new(&of);
        assert!(unheard.asks_for_metrics());
        unheard.take(&Facts::default());
        assert_eq!(unheard.said(), [""; 0], "nobody has said what is sent");
        let sent = ["cpu.load".to_owned(), "cpu.percent".to_owned()];
        unheard.knows_metrics(&sent, true);
        assert_eq!(
            unheard.said(),
            ["No device sends the metric cpu.prcent: a gate that compares it has nothing to judge. Did you mean cpu.percent?"]
        );
        unheard.knows_metrics(&sent, false);
        assert_eq!(unheard.said(), [""; 0], "it may be one of those that are not known");
        assert!(!Unheard::new(&plan("site", Order::Random)).asks_for_metrics());
    }

    #[test]
    fn listed_devices_that_are_not_in_it_are_counted() {
        let listed = |ids: &[&str]| said(&plan("site", Order::Listed(ids.iter().map(|id| id.parse().unwrap()).collect())));
        assert_eq!(listed(&["gw-2", "ghost-1"]), ["1 of the listed ids is no device of this plan."]);
        assert_eq!(listed(&["ghost-1", "ghost-2"]), ["2 of the listed ids are no devices of this plan."]);
        assert_eq!(listed(&["gw-1"]), [""; 0]);
        assert_eq!(Unheard::new(&plan("nope", Order::Random)).said(), [""; 0], "of nobody");
    }
}
