//! The audit log, page by page, and as a file. The chain behind it can be checked with `fleetward audit verify`.

use crate::api::packed::reading;
use crate::{
    api::audit::ReadAudit,
    plan::query::push,
    ui::{Column, PageHead, empty, form::search, icon, page::page, pager, table, time},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::access::{AuditEntry, AuditPage as Model};

/// `/audit`
#[component]
pub fn AuditPage() -> AnyView {
    let query = use_query_map();
    let model = reading(move || query.with(|q| ReadAudit { q: q.get("q").unwrap_or_default(), cursor: q.get("cur").unwrap_or_default() }));
    page(model, move |model: Model| {
        let (q, before) =
            query.with_untracked(|q| (q.get("q").unwrap_or_default(), q.get("from").and_then(|n| n.parse().ok()).unwrap_or(0_i64)));
        content(&model, &q, before.max(0))
    })
}

fn content(model: &Model, q: &str, before: i64) -> AnyView {
    let shown = i64::try_from(model.entries.items.len()).unwrap_or(0);
    let body = if model.entries.items.is_empty() && !q.is_empty() {
        let clear = view! { <a class="btn" href="/audit">"Clear the search"</a> }.into_any();
        let text = "Search for a part of a person's name, of an action such as rollout.approve, of an id, or of an address.";
        view! { <div class="card">{empty("search", "Nothing matches", text, Some(clear))}</div> }.into_any()
    } else if model.entries.items.is_empty() {
        view! { <div class="card">{empty("scroll-text", "Nothing yet", "Every change to the fleet is written here, with who did it.", None)}</div> }.into_any()
    } else {
        rows(&model.entries.items)
    };
    let address = |pairs: &[(&str, &str)]| {
        let mut query = String::new();
        for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            push(&mut query, key, value);
        }
        if query.is_empty() { "/audit".to_owned() } else { format!("/audit?{query}") }
    };
    let next = model.entries.next.as_ref().map(|cursor| address(&[("q", q), ("from", &(before + shown).to_string()), ("cur", cursor)]));
    let export = model
        .may_export
        .then(|| view! { <a class="btn" href="/api/v1/audit/export" download="" rel="external">{icon("download")}"Export"</a> });
    let first = (before > 0).then(|| address(&[("q", q)]));
    view! {
        <PageHead title="Audit log" sub=view! { "Every change, who made it and from where; a chain of hashes that shows if a line was altered." }.into_any()
            actions=view! { {export} }.into_any()/>
        {search("/audit", "Search the audit log", "Person, action, id or address", q)}
        {body}
        {pager(before, shown, model.entries.total, first, next)}
    }
    .into_any()
}

fn rows(entries: &[AuditEntry]) -> AnyView {
    let columns = vec![
        Column::number("No."),
        Column::text("When"),
        Column::text("Who"),
        Column::text("From"),
        Column::text("What"),
        Column::text("On"),
        Column::text("Detail"),
    ];
    let rows = entries
        .iter()
        .map(|e| {
            view! {
                <tr>
                    <th scope="row" class="num">{e.seq}</th>
                    <td class="nowrap">{time::at(e.at)}</td>
                    <td>{e.actor.clone()}</td>
                    <td class="mono dim">{e.address.clone()}</td>
                    <td class="mono">{e.action.clone()}</td>
                    <td class="mono breaks">{object(&e.object)}</td>
                    <td class="dim mono clip" title=e.detail.clone()>{e.detail.clone()}</td>
                </tr>
            }
        })
        .collect_view();
    table("Audit log", columns, rows.into_any())
}

/// What an entry is about, as a link where it has a page.
fn object(object: &str) -> AnyView {
    let href = match object.split_once('_').map(|(kind, _)| kind) {
        Some("rol") => format!("/rollouts/{object}"),
        Some("rel") => format!("/firmware/{object}"),
        _ => return view! { <span title=object.to_owned()>{object.to_owned()}</span> }.into_any(),
    };
    view! { <a href=href title=object.to_owned()>{object.to_owned()}</a> }.into_any()
}
