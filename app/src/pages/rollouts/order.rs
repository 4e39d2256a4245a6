//! In which order devices come, how fast, and how many that belong together at once: the inputs of the wizard, and the same in words.

use super::cells::fault_of;
use crate::{
    plan::{Draft, OrderDraft},
    ui::{
        Control, field,
        number::{counted, grouped, plain},
        select, text,
    },
};
use leptos::prelude::*;
use wire::{
    ids::DeviceId,
    rollouts::{Budget, Order, Problem, Rate, RolloutSpec},
};

/// Listed devices that are named in words; the others are a number.
const NAMED: usize = 5;

/// The inputs of the order.
pub(super) fn order_fields(draft: &OrderDraft, problems: &[Problem]) -> AnyView {
    let orders = [
        ("", "As usual here"),
        ("spread", "At random, spread over an attribute"),
        ("random", "At random"),
        ("listed", "A list first, then at random"),
    ];
    let orders = orders.into_iter().map(|(value, label)| (value.to_owned(), label.to_owned())).collect();
    let order = select("order", "Devices come", orders).value(draft.order.clone()).hint(
        "Usual is spread over the attribute that names a site here, or over site, gateway or customer, whichever devices report first.",
    );
    let spread = text("order.spread", "Spread over the attribute")
        .value(draft.spread.clone())
        .placeholder("site")
        .max_length(256)
        .autocomplete("off")
        .hint("Every stage takes the same share of each of its values, so one site is never a stage.");
    let listed = field("order.listed", "The list", Control::Area)
        .value(draft.listed.clone())
        .hint("Device ids in their order, with spaces or lines between them; at most 1,000.");
    view! {
        <div class="grid">
            {order.fault(fault_of(problems, "order").as_ref()).view()}
            {spread.view()}
            {listed.view()}
        </div>
    }
    .into_any()
}

/// The inputs of the rate.
pub(super) fn rate_fields(draft: &OrderDraft, problems: &[Problem]) -> AnyView {
    let input = |name: &'static str, label: &'static str, value: &str, hint: &'static str| {
        text(name, label).value(value.to_owned()).hint(hint).fault(fault_of(problems, name).as_ref()).view()
    };
    view! {
        <div class="grid">
            {input("rate.per_minute", "Within a minute begin, at most (devices)", &draft.per_minute, "Of this rollout. Empty: no such limit.")}
            {input("rate.growth.factor", "Grows by the factor", &draft.factor, "Over 1, up to 10. Empty: the rate stays.")}
            {input("rate.growth.successes", "Each time that so many succeeded", &draft.successes, "For example 100.")}
            {input("rate.growth.at_most", "Up to (devices a minute)", &draft.at_most, "It stays there, however many succeed.")}
        </div>
    }
    .into_any()
}

/// The inputs of the budget.
pub(super) fn budget_fields(draft: &Draft, problems: &[Problem]) -> AnyView {
    let attribute = text("budget.attribute", "Budget for devices with the same")
        .value(draft.budget_attribute.clone())
        .placeholder("site")
        .max_length(256)
        .autocomplete("off")
        .hint("An attribute that devices report, for example site. Empty: no budget. Devices without it are not limited.");
    let at_most = text("budget.at_most", "Of these at the same time, at most (devices, or %)")
        .value(draft.budget_at_most.clone())
        .hint("For example 2 or 10 %, which is always one at least. Updates of other rollouts count as well.");
    let fault = fault_of(problems, "budget.at_most").or_else(|| fault_of(problems, "budget.at_most_percent"));
    view! {
        {attribute.fault(fault_of(problems, "budget.attribute").as_ref()).view()}
        {at_most.fault(fault.as_ref()).view()}
    }
    .into_any()
}

/// What a budget allows.
pub(super) fn budget_words(b: &Budget) -> String {
    let most = match (b.at_most, b.at_most_percent) {
        (_, Some(percent)) => format!("{} % of the devices", plain(percent)),
        (n, None) => counted(i64::from(n.unwrap_or(0)), "device", "devices"),
    };
    format!("at most {most} with the same {} at once", b.attribute)
}

/// The order and the rate of a plan as term and words; nothing where the plan says nothing of them.
pub fn arranged(spec: &RolloutSpec) -> Vec<(&'static str, String)> {
    let order = spec.order.as_ref().map(|order| ("Order", order_words(order)));
    let rate = spec.rate.as_ref().map(|rate| ("Rate", rate_words(rate)));
    order.into_iter().chain(rate).collect()
}

fn order_words(order: &Order) -> String {
    match order {
        Order::Random => "at random".to_owned(),
        Order::Spread(attribute) => format!("at random, each {attribute} spread evenly over the stages"),
        Order::Listed(ids) => {
            let named: Vec<&str> = ids.iter().take(NAMED).map(DeviceId::as_str).collect();
            let more = ids.len() - named.len();
            let more = if more > 0 { format!(" and {} more", grouped(i64::try_from(more).unwrap_or(i64::MAX))) } else { String::new() };
            format!("{}{more} first, then at random", named.join(", "))
        }
    }
}

fn rate_words(rate: &Rate) -> String {
    let devices = |n: u32| counted(i64::from(n), "device", "devices");
    let grows = rate.growth.as_ref().map_or_else(String::new, |g| {
        format!(
            "; {} times as many with every {} that succeed, up to {} a minute",
            plain(g.factor),
            grouped(i64::from(g.successes)),
            grouped(i64::from(g.at_most))
        )
    });
    format!("at most {} begin within a minute{grows}", devices(rate.per_minute))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::rollouts::Growth;

    #[test]
    fn order_rate_and_budget_read_as_they_are() {
        let plan = RolloutSpec::new("x".into(), "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap(), Vec::new());
        assert_eq!(arranged(&plan), []);
        let ids = (1..=7).map(|n| format!("gw-{n}").parse().unwrap()).collect();
        assert_eq!(order_words(&Order::Listed(ids)), "gw-1, gw-2, gw-3, gw-4, gw-5 and 2 more first, then at random");
        let growth = Some(Growth { factor: 1.5, successes: 100, at_most: 1000 });
        let plan = RolloutSpec { order: Some(Order::Spread("site".into())), rate: Some(Rate { per_minute: 10, growth }), ..plan };
        assert_eq!(
            arranged(&plan),
            [
                ("Order", "at random, each site spread evenly over the stages".to_owned()),
                (
                    "Rate",
                    "at most 10 devices begin within a minute; 1.5 times as many with every 100 that succeed, up to 1,000 a minute"
                        .to_owned()
                )
            ]
        );
        let budget = |at_most, at_most_percent| budget_words(&Budget { attribute: "site".into(), at_most, at_most_percent });
        assert_eq!(budget(Some(1), None), "at most 1 device with the same site at once");
        assert_eq!(budget(None, Some(12.5)), "at most 12.5 % of the devices with the same site at once");
    }
}
