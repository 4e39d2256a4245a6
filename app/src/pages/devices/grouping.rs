//! Every device that the list means, put into a group or taken out of it.

use super::{everyone::Order, filters::Shown, selecting::Question};
use crate::{
    api::devices::GroupDevices,
    ui::{form::FormCall, icon, number::counted, select, text},
};
use leptos::prelude::*;
use wire::devices::DevicesPage as Model;

/// The order.
pub const fn order<'a>(model: &Model, shown: &'a Shown, question: &'a Question) -> Order<'a> {
    Order { name: "group", verb: "Group", done: "grouped", may: model.may_edit, total: model.devices.total, shown, question }
}

/// The way to it.
pub fn link(model: &Model, shown: &Shown, question: &Question) -> AnyView {
    order(model, shown, question).link(view! { {icon("bookmark")}"Group…" }.into_any())
}

/// The question.
pub fn ask(model: &Model, shown: &Shown, call: FormCall<GroupDevices>, question: &Question) -> AnyView {
    let order = order(model, shown, question);
    let there = match model.groups.as_slice() {
        [] => "There is no group yet. A new name makes one.".to_owned(),
        all => format!("There are: {}. A new name makes one.", all.join(", ")),
    };
    let ways = vec![(String::new(), "Put them in".to_owned()), ("yes".to_owned(), "Take them out".to_owned())];
    let number = counted(order.number(), "device", "devices");
    let (title, doing) = (format!("Group {number}"), format!("Do it for {number}"));
    let rest = "If the number is another one by then, nothing is changed; who comes later is not in it.";
    let inputs = view! {
        {text("group", "Group").hint(there).required().max_length(100).refused(call).view()}
        {select("out", "What to do", ways).view()}
    };
    order.ask(call, title, (rest, inputs.into_any()), (doing, "primary"))
}
