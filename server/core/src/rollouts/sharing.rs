//! Pure: what is wrong with a plan's order, its rate, its budget, and the own selectors of its stages.

use super::validate::{DECIMALS, Found, Reads, plain, readable};
use std::collections::HashSet;
use wire::{
    device::MAX_ATTRIBUTE,
    rollouts::{Budget, Growth, Order, Problem, Rate, RolloutSpec},
};

/// Most devices of a list that come first.
const MAX_LISTED: usize = 1000;
/// Most devices a minute.
const MAX_RATE: u32 = 100_000;

/// The problems of these parts of a plan.
pub(super) fn problems(spec: &RolloutSpec) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    if let Some(of) = &spec.budget {
        budget(of, &mut found);
    }
    if let Some(of) = &spec.order {
        order(of, &mut found);
    }
    if let Some(of) = &spec.rate {
        rate(of, spec.timeout_min, &mut found);
    }
    found.0
}

/// What is wrong with a stage's own selector.
pub(super) fn own_selector((text, reads): (&str, Reads), field: &str, found: &mut Found) {
    if text.trim().is_empty() {
        found.add(field, "Write which devices the stage takes, for example tag:lab.");
    } else if let Err(e) = reads(text) {
        found.add(field, e.sentence());
    }
}

/// Stages whose own selectors match devices that an earlier stage takes by its own.
pub(super) fn overlaps(devices: &[i64], found: &mut Found) {
    for (i, n) in devices.iter().enumerate().filter(|(_, n)| **n > 0) {
        let those = if *n == 1 { "1 device that matches is".to_owned() } else { format!("{n} devices that match are") };
        let text = format!("{those} in an earlier stage by its selector: leave them out here, with - before what that stage takes.");
        found.add(&format!("stages.{i}.reach"), text);
    }
}

fn budget(budget: &Budget, found: &mut Found) {
    let name = budget.attribute.as_str();
    found.unless(!name.trim().is_empty(), "budget.attribute", "Name the attribute whose values say which devices belong together.");
    found.unless(
        name.len() <= MAX_ATTRIBUTE && plain(name),
        "budget.attribute",
        "No device has an attribute of this name. Use at most 256 bytes, and no control characters.",
    );
    found.unless(budget.at_most != Some(0), "budget.at_most", "Let at least 1 device of a kind update at a time, or set no budget.");
    found.unless(
        budget.at_most.is_some() != budget.at_most_percent.is_some(),
        "budget.at_most",
        "Say how many devices of a kind may update at a time: a number or a percentage, one of the two.",
    );
    if let Some(percent) = budget.at_most_percent {
        let field = "budget.at_most_percent";
        found.unless(percent.is_finite() && percent > 0.0 && percent <= 100.0, field, "Choose a percentage over 0 and up to 100.");
        found.unless(readable(percent), field, DECIMALS);
    }
}

fn order(order: &Order, found: &mut Found) {
    match order {
        Order::Random => {}
        Order::Spread(name) => {
            found.unless(!name.trim().is_empty(), "order", "Name the attribute that devices are spread over, for example site.");
            let known = name.len() <= MAX_ATTRIBUTE && plain(name);
            found.unless(known, "order", "No device has an attribute of this name. Use at most 256 bytes, and no control characters.");
        }
        Order::Listed(ids) => {
            found.unless(!ids.is_empty(), "order", "List the devices that come first.");
            found.unless(ids.len() <= MAX_LISTED, "order", "List at most 1,000 devices; a stage's own selector can take a group.");
            let mut seen = HashSet::new();
            if let Some(twice) = ids.iter().find(|id| !seen.insert(id.as_str().to_lowercase())) {
                found.add("order", format!("{twice} is listed twice."));
            }
        }
    }
}

fn rate(rate: &Rate, timeout_min: u32, found: &mut Found) {
    let Rate { per_minute, growth } = rate;
    found.unless((1..=MAX_RATE).contains(per_minute), "rate.per_minute", "Let 1 to 100,000 devices a minute begin, or set no such limit.");
    found.unless(timeout_min >= 5, "timeout_min", "Where devices wait for a rate, give them at least 5 minutes.");
    let Some(Growth { factor, successes, at_most }) = growth else { return };
    found.unless(factor.is_finite() && *factor > 1.0 && *factor <= 10.0, "rate.growth.factor", "Choose a factor over 1 and up to 10.");
    found.unless(readable(*factor), "rate.growth.factor", DECIMALS);
    found.unless(*successes >= 1, "rate.growth.successes", "Let the rate grow with at least 1 success.");
    found.unless(
        at_most > per_minute && *at_most <= MAX_RATE,
        "rate.growth.at_most",
        "Let the rate grow to more than it begins with, up to 100,000 a minute.",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::{spec, stage};
    use wire::rollouts::Reach;

    fn fields(spec: &RolloutSpec) -> Vec<String> {
        problems(spec).into_iter().map(|p| p.field).collect()
    }

    #[test]
    fn each_mistake_is_told_at_its_field() {
        let plan = || spec(vec![stage(Reach::Percent(100.0))]);
        let budget = |attribute: &str, at_most, at_most_percent| RolloutSpec {
            budget: Some(Budget { attribute: attribute.into(), at_most, at_most_percent }),
            ..plan()
        };
        let order = |order| RolloutSpec { order: Some(order), ..plan() };
        let rate = |per_minute, growth| RolloutSpec { rate: Some(Rate { per_minute, growth }), ..plan() };
        let growth = |factor, successes, at_most| Some(Growth { factor, successes, at_most });
        let listed = |ids: &[&str]| order(Order::Listed(ids.iter().map(|id| id.parse().unwrap()).collect()));
        let many: Vec<String> = (0..=MAX_LISTED).map(|n| format!("gw-{n}")).collect();
        for (mistake, field) in [
            (budget(" ", Some(1), None), "budget.attribute"),
            (budget(&"x".repeat(257), Some(1), None), "budget.attribute"),
            (budget("site", Some(0), None), "budget.at_most"),
            (budget("site", None, None), "budget.at_most"),
            (budget("site", Some(1), Some(1.0)), "budget.at_most"),
            (budget("site", None, Some(0.0)), "budget.at_most_percent"),
            (budget("site", None, Some(f64::NAN)), "budget.at_most_percent"),
            (budget("site", None, Some(100.0 / 3.0)), "budget.at_most_percent"),
            (order(Order::Spread(" ".into())), "order"),
            (order(Order::Spread("a\nb".into())), "order"),
            (listed(&[]), "order"),
            (listed(&["gw-1", "GW-1"]), "order"),
            (listed(&many.iter().map(String::as_str).collect::<Vec<_>>()), "order"),
            (rate(0, None), "rate.per_minute"),
            (rate(10, growth(1.0, 1, 20)), "rate.growth.factor"),
            (rate(10, growth(2.0, 0, 20)), "rate.growth.successes"),
            (rate(10, growth(2.0, 1, 10)), "rate.growth.at_most"),
            (RolloutSpec { timeout_min: 4, ..rate(10, None) }, "timeout_min"),
        ] {
            assert_eq!(fields(&mistake), [field]);
        }
        for good in [
            budget("site", None, Some(12.5)),
            order(Order::Random),
            order(Order::Spread("site".into())),
            listed(&["gw-1", "gw-2"]),
            rate(10, None),
            rate(10, growth(1.5, 20, 11)),
        ] {
            assert_eq!(fields(&good), [""; 0]);
        }
    }
}
