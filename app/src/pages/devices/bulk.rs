//! Every device that the list means: what can be done to all of them, and the first of it: as a file, and tagged at once.

use super::{
    everyone::Order,
    filters::{Shown, encoded},
    grouping, renewing,
    selecting::Question,
    stepping,
};
use crate::{
    api::devices::TagDevices,
    ui::{
        form::FormCall,
        icon,
        number::{counted, grouped},
        text,
    },
};
use leptos::prelude::*;
use wire::devices::DevicesPage as Model;

/// The order.
pub const fn order<'a>(model: &Model, shown: &'a Shown, question: &'a Question) -> Order<'a> {
    Order { name: "tag", verb: "Tag", done: "tagged", may: model.may_edit, total: model.devices.total, shown, question }
}

/// What all devices of the list can be taken out as, and asked to: a row below the filter that says how many they are; nothing where no device is shown.
pub fn row(model: &Model, shown: &Shown, question: &Question) -> AnyView {
    let total = model.devices.total;
    if total == 0 {
        return ().into_any();
    }
    let file = if shown.query.q.is_empty() {
        "/api/v1/devices:export".to_owned()
    } else {
        format!("/api/v1/devices:export?q={}", encoded(&shown.query.q))
    };
    let tag = order(model, shown, question).link(view! { {icon("tag")}"Tag…" }.into_any());
    view! {
        <div class="row all-listed" role="group" aria-labelledby="all-listed">
            <span class="small text-2" id="all-listed">{listed(total, !shown.query.q.is_empty())}</span>
            <a class="btn" href=file download="" rel="external">{icon("download")}"CSV"</a>
            {tag}
            {grouping::link(model, shown, question)}
            {stepping::link(model, shown, question)}
            {renewing::link(model, shown)}
        </div>
    }
    .into_any()
}

/// Whom the row is about.
fn listed(total: i64, filtered: bool) -> String {
    match (total, filtered) {
        (1, _) => "This device:".to_owned(),
        (_, true) => format!("All {} that match:", grouped(total)),
        (_, false) => format!("All {} devices:", grouped(total)),
    }
}

/// The question.
pub fn ask(model: &Model, shown: &Shown, call: FormCall<TagDevices>, question: &Question) -> AnyView {
    let order = order(model, shown, question);
    let doing = match question.of(order.name) {
        [] => format!("Tag {}", all(order.number())),
        _ => format!("Tag {}", counted(order.number(), "device", "devices")),
    };
    let inputs = view! {
        {text("add", "Add tags").hint("Separated by commas or blanks.").max_length(1000).refused(call).view()}
        {text("remove", "Remove tags").hint("Separated by commas or blanks. Where a device has no such tag, nothing happens.").max_length(1000).refused(call).view()}
    };
    let rest = "If the number is another one by then, nothing is changed.";
    order.ask(call, doing.clone(), (rest, inputs.into_any()), (doing, "primary"))
}

fn all(total: i64) -> String {
    if total == 1 { "this device".to_owned() } else { format!("all {}", grouped(total)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_button_says_how_many() {
        assert_eq!((all(1), all(1037)), ("this device".into(), "all 1,037".into()));
        assert_eq!(
            [listed(1, true), listed(1037, true), listed(1037, false)],
            ["This device:", "All 1,037 that match:", "All 1,037 devices:"]
        );
    }
}
