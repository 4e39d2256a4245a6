//! The question before something is done with an authority, on a page of its own: what a dialog is without JavaScript.

use super::steps::{self, Asks};
use crate::{
    api::{certificates::ReadAuthority, packed::reading},
    ui::{PageHead, empty, page::page},
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use wire::{
    pki::{AuthorityDetail as Model, steps::not_from},
    states::AuthorityStep,
};

/// `/certificates/authorities/{id}/{verb}`
#[component]
pub fn AuthorityStepPage() -> AnyView {
    let params = use_params_map();
    let model = reading(move || ReadAuthority { id: params.with(|p| p.get("id").unwrap_or_default()) });
    let asks = Asks::new(move || model.refetch());
    page(model, move |model: Model| content(&model, &params.with_untracked(|p| p.get("verb").unwrap_or_default()), asks))
}

fn content(m: &Model, word: &str, asks: Asks) -> AnyView {
    let row = &m.standing.row;
    let way_back = view! { <a class="btn" href=format!("/certificates/authorities/{}", row.id)>"Back to the authority"</a> }.into_any();
    let offered = word.parse::<AuthorityStep>().ok().map(|step| m.actions.iter().find(|a| a.step == step).ok_or(step));
    let (title, body) = match offered {
        None => (
            row.common_name().to_owned(),
            empty("search", "Not found", "There is nothing of this name to do with an authority.", Some(way_back)),
        ),
        Some(Err(_)) if !m.may_clear => {
            (row.common_name().to_owned(), empty("lock", "Not for you", "Your role does not allow this. Ask an admin.", Some(way_back)))
        }
        Some(Err(step)) => {
            let why = not_from(step, &row.kind, row.state).unwrap_or("This is no step of this authority now. Its page has those that are.");
            (row.common_name().to_owned(), empty("lock", "Not now", why, Some(way_back)))
        }
        Some(Ok(a)) => {
            let Some(why) = &a.blocked else {
                let body = view! { <section class="card narrow ask">{steps::ask(m, a, asks)}</section> };
                return view! { <PageHead title=steps::title(m, a)/>{body} }.into_any();
            };
            (steps::title(m, a), empty("lock", "Not now", why.clone(), Some(way_back)))
        }
    };
    view! { <PageHead title=title/><div class="card">{body}</div> }.into_any()
}
