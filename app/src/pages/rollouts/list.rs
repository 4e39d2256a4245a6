//! The list of rollouts.

use super::phrases;
use crate::api::packed::reading;
use crate::{
    api::rollouts::ReadRollouts,
    live,
    pages::words,
    ui::{Column, PageHead, Tab, badge, empty, icon, number::grouped, pager, progress::meter, table, tabs, time},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    live::Topic,
    rollouts::{RolloutRow, RolloutsPage as Model},
};

/// The tabs: the word in the address, the label, and what the empty one says.
const TABS: [(&str, &str, &str); 5] = [
    ("", "All", "No rollout yet"),
    ("running", "Running", "Nothing is going out right now"),
    ("waiting", "Waiting", "Nothing waits for approval or its start"),
    ("finished", "Finished", "No rollout has ended yet"),
    ("drafts", "Drafts", "No drafts"),
];

/// `/rollouts?tab=…`
#[component]
pub fn RolloutsPage() -> AnyView {
    let query = use_query_map();
    let at = move || query.with(|q| (q.get("tab").unwrap_or_default(), q.get("cur").unwrap_or_default()));
    let model = reading(move || {
        let (tab, cursor) = at();
        ReadRollouts { tab, cursor }
    });
    live::refetch_on(|| Some(Topic::Rollouts), 1000, model);
    crate::ui::page::page(model, move |model: Model| {
        let before = query.with_untracked(|q| q.get("from").and_then(|n| n.parse().ok()).unwrap_or(0_i64));
        let (tab, _) = untrack(at);
        content(&model, &tab, before.max(0))
    })
}

fn content(model: &Model, tab: &str, before: i64) -> AnyView {
    let (.., none) = TABS.into_iter().find(|t| t.0 == tab).unwrap_or(TABS[0]);
    let new =
        model.may_draft.then(|| view! { <a class="btn" data-v="primary" href="/rollouts/new">{icon("plus")}"New rollout"</a> }.into_any());
    let links = TABS
        .into_iter()
        .map(|(word, label, _)| {
            Tab::new(if word.is_empty() { "/rollouts".to_owned() } else { format!("/rollouts?tab={word}") }, label, word == tab)
        })
        .collect();
    let shown = i64::try_from(model.rollouts.items.len()).unwrap_or(0);
    let body = if model.rollouts.items.is_empty() {
        let text = "A rollout sends one release to a part of the fleet in stages. A gate on each stage stops a bad release before it reaches the rest.";
        let first = model.may_draft.then(|| view! { <a class="btn" href="/rollouts/new">"Plan a rollout"</a> }.into_any());
        view! { <div class="card">{empty("rocket", none, text, first)}</div> }.into_any()
    } else {
        rows(&model.rollouts.items)
    };
    let base = if tab.is_empty() { "/rollouts?".to_owned() } else { format!("/rollouts?tab={tab}&") };
    let next = model.rollouts.next.as_ref().map(|cursor| format!("{base}from={}&cur={cursor}", before + shown));
    let first = (before > 0).then(|| base.trim_end_matches(['?', '&']).to_owned());
    view! {
        <PageHead title="Rollouts" sub=view! { "Releases on their way to devices, stage by stage. "<a href="/freezes">"Freezes"</a>" hold all of them." }.into_any() actions=new.unwrap_or_else(|| ().into_any())/>
        {tabs("Rollouts by state", links)}
        <div class="mt-4">{body}</div>
        {pager(before, shown, model.rollouts.total, first, next)}
    }
    .into_any()
}

fn rows(items: &[RolloutRow]) -> AnyView {
    let columns = vec![
        Column::text("Rollout"),
        Column::text("State"),
        Column::text("Firmware"),
        Column::text("Stage"),
        Column::text("Devices"),
        Column::number("Errors"),
        Column::text("Drafted by"),
        Column::text("Changed"),
    ];
    let rows = items
        .iter()
        .map(|r| {
            let (tone, word) = words::rollout(r.state);
            let stage = if r.stage == 0 { format!("0 of {}", r.stages) } else { format!("{} of {}", r.stage, r.stages) };
            let course = if r.stage == 0 && r.counts.total == 0 {
                view! { <span class="dim">"settled when it begins"</span> }.into_any()
            } else {
                view! { <div class="bar-cell">{meter(phrases::numbers(&r.counts), &phrases::parts(&r.counts))}<span class="small text-2">{format!("{} of {}", grouped(r.counts.succeeded), grouped(r.counts.total))}</span></div> }.into_any()
            };
            view! {
                <tr>
                    <th scope="row"><a class="main" href=format!("/rollouts/{}", r.id)>{r.name.clone()}</a></th>
                    <td>{badge(tone, word)}</td>
                    <td><span class="mono">{r.version.clone()}</span>" "<span class="dim">{r.device_type.clone()}</span></td>
                    <td class="nowrap">{stage}</td>
                    <td>{course}</td>
                    <td class="num">{grouped(r.counts.errors())}</td>
                    <td>{r.author.clone()}</td>
                    <td class="dim">{time::ago(r.updated_at)}</td>
                </tr>
            }
        })
        .collect_view();
    table("Rollouts", columns, rows.into_any())
}
