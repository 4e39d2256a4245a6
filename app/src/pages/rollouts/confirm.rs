//! The question before something is done to a rollout, on a page of its own: what a dialog is without JavaScript.

use super::{
    actions,
    preview::{changes, dry_run},
};
use crate::api::packed::reading;
use crate::{
    api::rollouts::ReadRollout,
    ui::{PageHead, card, empty, page::page},
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use wire::rollouts::{RolloutPage, UpdateQuery, Verb};

/// `/rollouts/{id}/{verb}`
#[component]
pub fn ConfirmPage() -> AnyView {
    let params = use_params_map();
    let id = move || params.with(|p| p.get("id").unwrap_or_default());
    let model = reading(move || ReadRollout { id: id(), query: UpdateQuery::default() });
    let asks = actions::Asks::new(|| ());
    page(model, move |model: RolloutPage| {
        let word = params.with_untracked(|p| p.get("verb").unwrap_or_default());
        content(&model, &word, &asks)
    })
}

fn content(model: &RolloutPage, word: &str, asks: &actions::Asks) -> AnyView {
    let rollout = &model.rollout;
    let back = format!("/rollouts/{}", rollout.row.id);
    let way_back = view! { <a class="btn" href=back.clone()>"Back to the rollout"</a> }.into_any();
    let Some(verb) = actions::verb_of(word) else {
        return view! {
            <PageHead title=rollout.row.name.clone()/>
            <div class="card">{empty("search", "Not found", "There is nothing of this name to do to a rollout.", Some(way_back))}</div>
        }
        .into_any();
    };
    let title = actions::title(rollout, verb);
    let offered = rollout.actions.iter().find(|a| a.verb == verb);
    let body = match offered.map(|a| a.blocked.clone()) {
        Some(None) => view! { <section class="card narrow ask">{actions::ask(model, verb, *asks, &back)}</section> }.into_any(),
        Some(Some(why)) => view! { <div class="card">{empty("lock", "Not now", why, Some(way_back))}</div> }.into_any(),
        // What a state forbids is offered with its reason; only what a role never may is left out.
        None => {
            view! { <div class="card">{empty("lock", "Not for you", format!("Your role does not allow this. Ask {}.", who(verb)), Some(way_back))}</div> }
                .into_any()
        }
    };
    let would = model.preview.as_ref().filter(|_| verb == Verb::Approve);
    let would = would.map(|p| view! { <div class="mt-4">{dry_run(p)}</div> });
    let changed = rollout.changes.as_ref().filter(|_| verb == Verb::Approve);
    let changed = changed.map(|c| view! { <div class="mt-4">{card("Against the last approved plan", None, changes(c))}</div> });
    view! { <PageHead title=title/>{body}{would}{changed} }.into_any()
}

/// Whose role allows it.
const fn who(verb: Verb) -> &'static str {
    match verb {
        Verb::Approve | Verb::Reject | Verb::BreakGlass => "an admin",
        _ => "an operator",
    }
}
