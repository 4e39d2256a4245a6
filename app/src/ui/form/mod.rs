//! Forms: labelled fields with hint and error, and the way from a refused action back to the field it is about.
//!
//! A form is an [`ActionForm`] around [`Field`]s: it posts without JavaScript too, and the refusal then comes back in the address, from where
//! [`action`] reads it.

mod field;
mod given;
mod post;

pub use field::{Control, Field, exact_pattern, field, select, selector, text};
pub use given::Given;
pub use post::{ActionForm, FormCall, Post, QueryForm, action, on_asked_anew, on_success, refusal, said};

use super::{icon::icon, page::banner, status::Tone};
use leptos::prelude::*;
use wire::{Fault, FaultKind};

/// The refusal over a form: always said in words, also when a field shows it; nothing when there is none.
pub fn fault_banner(fault: Option<&Fault>) -> AnyView {
    let Some(fault) = fault else { return ().into_any() };
    if fault.kind == FaultKind::Unauthenticated && fault.code == "signed_out" {
        crate::session::renew();
    }
    let again = fault.retry_after.map(|s| format!(" Try again in {}.", wire::time::duration(i64::from(s) * 1000)));
    banner(Tone::Bad, view! { {fault.message.clone()}{again} }.into_any())
}

/// The input of a list's search, named `q`, with the button that only a keyboard finds; other filters may stand beside it.
pub fn search_input(label: &'static str, placeholder: &'static str, q: &str) -> AnyView {
    let q = q.to_owned();
    view! {
        <div class="search input-wrap">
            {icon("search")}
            <input class="input" type="search" name="q" data-search="" aria-label=label autocomplete="off" spellcheck="false"
                placeholder=placeholder value=q.clone() prop:given=Given(q)/>
            <kbd class="kbd">"/"</kbd>
        </div>
        <button class="btn sr-until-focus" type="submit">"Search"</button>
    }
    .into_any()
}

/// The button that sends a form. `variant` is `primary`, `danger-solid` or empty; while `pending` it is busy and does nothing.
pub fn submit(label: impl Into<String>, variant: &'static str, pending: impl Fn() -> bool + Copy + Send + Sync + 'static) -> AnyView {
    let label: String = label.into();
    view! { <button class="btn" data-v=variant type="submit" aria-busy=move || pending().then_some("true")>{label}</button> }.into_any()
}
