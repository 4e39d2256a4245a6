//! What administrators owe their roots, each task with the lines that do it (P-11, R-7, R-10); and before a key goes, what will need it from then on.

use crate::{
    api::certificates::MakeClaimAuthority,
    ui::{
        Tone, badge, code_block,
        form::{self, ActionForm, FormCall, fault_banner, refusal},
        page::card,
        time,
    },
};
use leptos::prelude::*;
use wire::roots::{RootDuty, RootNeed, RootTask};

/// The tasks; nothing when there are none. `claims` makes the authority of claims while a root's key is here.
pub fn card_of(duties: &[RootDuty], claims: FormCall<MakeClaimAuthority>) -> AnyView {
    if duties.is_empty() {
        return ().into_any();
    }
    let items = duties.iter().map(|d| {
        let due = d.due.map(|at| view! { <span class="small text-2">"until "{time::at(at)}</span> });
        view! {
            <section class="stack" aria-label=title(d.task)>
                <div class="row">{badge(Tone::Warn, title(d.task))}<b>{super::super::common_name(&d.subject).to_owned()}</b>{due}</div>
                <p>{d.text.clone()}</p>
                {then(&d.then, claims)}
                {code_block(d.commands.join("\n"), "What to run")}
            </section>
        }
    });
    let more = view! { <a href="/docs/roots" rel="external">"How this is done"</a> }.into_any();
    card("To do about roots", Some(more), view! { <div class="stack">{items.collect_view()}</div> }.into_any())
}

/// What needs the root's file from then on, and what of it can be done now.
fn then(needs: &[RootNeed], claims: FormCall<MakeClaimAuthority>) -> AnyView {
    if needs.is_empty() {
        return ().into_any();
    }
    let items = needs.iter().map(|need| {
        let when = need.when.map(|at| view! { " "<span class="small text-2">"by "{time::at(at)}</span> });
        let now = need.now.clone().map(|line| view! { " "<code>{line}</code> });
        view! { <li>{need.text.clone()}{when}{now}</li> }
    });
    let make = needs.iter().any(|need| need.now.is_some()).then(|| {
        view! {
            <ActionForm action=claims>
                {move || fault_banner(refusal(claims).as_ref())}
                <div class="row">{form::submit("Make the authority for claims now", "", move || claims.pending().get())}</div>
            </ActionForm>
        }
    });
    view! { <p>"Once the key is gone from here, this needs the root's file:"</p><ul>{items.collect_view()}</ul>{make} }.into_any()
}

const fn title(task: RootTask) -> &'static str {
    match task {
        RootTask::Export => "Take the key away",
        RootTask::Remove => "Remove the key here",
        RootTask::SignList => "Sign a list",
        RootTask::SignCross => "Sign the next root",
    }
}
