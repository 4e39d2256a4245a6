//! The audit log, page by page. The chain behind it can be checked with `fleetward audit verify`.

use crate::api::packed::reading;
use crate::{
    api::audit::ReadAudit,
    ui::{Column, PageHead, empty, page::page, pager, table, time},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::access::{AuditEntry, AuditPage as Model};

/// `/audit`
#[component]
pub fn AuditPage() -> AnyView {
    let query = use_query_map();
    let model = reading(move || ReadAudit { cursor: query.with(|q| q.get("cur").unwrap_or_default()) });
    page(model, move |model: Model| {
        let before = query.with_untracked(|q| q.get("from").and_then(|n| n.parse().ok()).unwrap_or(0_i64));
        content(&model, before.max(0))
    })
}

fn content(model: &Model, before: i64) -> AnyView {
    let shown = i64::try_from(model.entries.items.len()).unwrap_or(0);
    let body = if model.entries.items.is_empty() {
        view! { <div class="card">{empty("scroll-text", "Nothing yet", "Every change to the fleet is written here, with who did it.", None)}</div> }.into_any()
    } else {
        rows(&model.entries.items)
    };
    let next = model.entries.next.as_ref().map(|cursor| format!("/audit?from={}&cur={cursor}", before + shown));
    view! {
        <PageHead title="Audit log" sub=view! { "Every change, who made it and from where; a chain of hashes that shows if a line was altered." }.into_any()/>
        {body}
        {pager(before, shown, model.entries.total, (before > 0).then(|| "/audit".to_owned()), next)}
    }
    .into_any()
}

fn rows(entries: &[AuditEntry]) -> AnyView {
    let columns = vec![
        Column::number("No."),
        Column::text("When"),
        Column::text("Who"),
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
