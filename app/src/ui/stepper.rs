//! The steps of a long form: done, here, to come. Each is a link, so that one can go back and forth.

use leptos::prelude::*;

/// One step.
pub struct Step {
    /// Where it leads.
    pub href: String,
    /// What it is called.
    pub label: &'static str,
    /// Whether what it asks for is there and right.
    pub done: bool,
    /// Whether it is the one shown.
    pub current: bool,
}

/// The steps in their order.
pub fn stepper(all: Vec<Step>) -> AnyView {
    let items = all
        .into_iter()
        .map(|s| {
            let done = (s.done && !s.current).then_some("");
            view! { <li data-done=done aria-current=s.current.then_some("step")><a href=s.href>{s.label}</a></li> }
        })
        .collect_view();
    view! { <ol class="steps" aria-label="Steps">{items}</ol> }.into_any()
}
