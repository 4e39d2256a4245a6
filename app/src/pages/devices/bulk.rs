//! Every device that the list means: as a file, and tagged at once.

use super::{
    everyone::Order,
    filters::{Shown, encoded},
    selecting::Question,
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

/// The way to both, beside the filter; nothing where no device is shown.
pub fn links(model: &Model, shown: &Shown, question: &Question) -> AnyView {
    let total = model.devices.total;
    if total == 0 {
        return ().into_any();
    }
    let file = if shown.query.q.is_empty() {
        "/api/v1/devices:export".to_owned()
    } else {
        format!("/api/v1/devices:export?q={}", encoded(&shown.query.q))
    };
    let tag = order(model, shown, question).link(view! { {icon("tag")}{format!("Tag {}…", all(total))} }.into_any());
    view! { <a class="btn push" href=file download="" rel="external">{icon("download")}"CSV"</a>{tag} }.into_any()
}

/// The question.
pub fn ask(model: &Model, shown: &Shown, call: FormCall<TagDevices>, question: &Question) -> AnyView {
    let order = order(model, shown, question);
    let doing = match question.of(order.name) {
        [] => format!("Tag {}", all(order.number())),
        _ => format!("Tag {}", counted(order.number(), "device", "devices")),
    };
    let inputs = view! {
        {text("add", "Add tags").hint("Separated by commas.").max_length(1000).refused(call).view()}
        {text("remove", "Remove tags").hint("Separated by commas. Where a device has no such tag, nothing happens.").max_length(1000).refused(call).view()}
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
    }
}
