//! Every device that the list means, put into a group or taken out of it.

use super::{everyone::Order, filters::Shown};
use crate::{
    api::devices::GroupDevices,
    ui::{form::FormCall, icon, number::counted, select, text},
};
use leptos::prelude::*;
use wire::devices::DevicesPage as Model;

const fn order<'a>(model: &Model, shown: &'a Shown) -> Order<'a> {
    Order { name: "group", done: "grouped", may: model.may_edit, total: model.devices.total, shown }
}

/// The way to it.
pub fn link(model: &Model, shown: &Shown) -> AnyView {
    order(model, shown).link(view! { {icon("bookmark")}"Group…" }.into_any())
}

/// The question.
pub fn ask(model: &Model, shown: &Shown, call: FormCall<GroupDevices>, asked: Option<&str>) -> AnyView {
    let there = match model.groups.as_slice() {
        [] => "There is no group yet. A new name makes one.".to_owned(),
        all => format!("There are: {}. A new name makes one.", all.join(", ")),
    };
    let ways = vec![(String::new(), "Put them in".to_owned()), ("yes".to_owned(), "Take them out".to_owned())];
    let title = format!("Group {}", counted(model.devices.total, "device", "devices"));
    let doing = format!("Do it for {}", counted(model.devices.total, "device", "devices"));
    let rest = "If the number is another one by then, nothing is changed; who comes later is not in it.";
    let inputs = view! {
        {text("group", "Group").hint(there).required().max_length(100).refused(call).view()}
        {select("out", "What to do", ways).view()}
    };
    order(model, shown).ask(call, asked, title, (rest, inputs.into_any()), (doing, "primary"))
}
