//! Every device that the list means, suspended or resumed.

use super::{everyone::Order, filters::Shown, selecting::Question};
use crate::{
    api::devices::ChangeDevices,
    ui::{form::FormCall, icon, number::counted, select},
};
use leptos::prelude::*;
use wire::{devices::DevicesPage as Model, states::DeviceStep};

/// The order.
pub const fn order<'a>(model: &Model, shown: &'a Shown, question: &'a Question) -> Order<'a> {
    Order {
        name: "suspend",
        verb: "Suspend or resume",
        done: "suspended or resumed",
        may: model.may_suspend,
        total: model.devices.total,
        shown,
        question,
    }
}

/// The way to it.
pub fn link(model: &Model, shown: &Shown, question: &Question) -> AnyView {
    order(model, shown, question).link(view! { {icon("pause")}"Suspend or resume…" }.into_any())
}

/// The question.
pub fn ask(model: &Model, shown: &Shown, call: FormCall<ChangeDevices>, question: &Question) -> AnyView {
    let order = order(model, shown, question);
    let ways = vec![
        (DeviceStep::Suspend.to_string(), "Suspend them: their connections are closed at once".to_owned()),
        (DeviceStep::Resume.to_string(), "Resume them: they may connect again".to_owned()),
    ];
    let number = counted(order.number(), "device", "devices");
    let (title, doing) = (format!("Suspend or resume {number}"), format!("Do it for {number}"));
    let rest = "If the number is another one by then, or one of them can't take the step, nothing is changed.";
    let inputs = view! {
        <p>"Who is suspended can't connect, enrol or renew until it is resumed; certificates stay as they are. Each device is in the audit log."</p>
        {select("step", "What to do", ways).view()}
    };
    order.ask(call, title, (rest, inputs.into_any()), (doing, "danger"))
}
