//! An input of the wizard that stands alone with its problem under it, and the problems of inputs as fields know how to show them. Refuses to know what a
//! plan is.

use leptos::prelude::*;
use wire::{Fault, FaultKind, rollouts::Problem};

/// The problem of an input as the fault that a field knows how to show.
pub(super) fn fault_of(problems: &[Problem], name: &str) -> Option<Fault> {
    message_of(problems, name).map(|message| Fault::new(FaultKind::Invalid, "plan", message).at(name))
}

/// What is wrong with an input.
pub(super) fn message_of(problems: &[Problem], name: &str) -> Option<String> {
    message_where(problems, |field| field == name)
}

/// What is wrong with the first of these inputs that something is wrong with.
pub(super) fn message_where(problems: &[Problem], among: impl Fn(&str) -> bool) -> Option<String> {
    problems.iter().find(|p| among(&p.field)).map(|p| p.message.clone())
}

/// An input with its label and its value, alone: [`problem`] stands where there is room for it. It says that it is wrong as long as something is.
pub(super) fn input(name: &str, (label, value): (&str, &str), wrong: Signal<Option<String>>) -> AnyView {
    let described = format!("{name}-err");
    view! {
        <input class="input" id=id_of(name) name=name.to_owned() value=value.to_owned() aria-label=label.to_owned() autocomplete="off"
            aria-invalid=move || wrong.with(Option::is_some).then_some("true") aria-describedby=move || wrong.with(Option::is_some).then(|| described.clone())/>
    }
    .into_any()
}

/// The id of an input, for a label that stands beside it.
pub(super) fn id_of(name: &str) -> String {
    format!("f-{name}")
}

/// What is wrong with an input, while something is.
pub(super) fn problem(name: &str, wrong: Signal<Option<String>>) -> AnyView {
    let id = format!("{name}-err");
    (move || wrong.get().map(|text| view! { <span class="cell-err" id=id.clone()>{text}</span> })).into_any()
}
