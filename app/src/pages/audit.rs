//! The audit log, page by page, and as a file. The chain behind it can be checked with `fleetward audit verify`.

use crate::api::packed::reading;
use crate::{
    api::audit::ReadAudit,
    plan::query::push,
    ui::{Column, PageHead, empty, form::search, icon, page::page, pager, table, time},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    access::{AuditEntry, AuditPage as Model},
    ids::DeviceId,
};

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
                    <td class="mono breaks">{object(&e.action, &e.object)}</td>
                    <td class="dim mono clip" title=e.detail.clone()>{e.detail.clone()}</td>
                </tr>
            }
        })
        .collect_view();
    table("Audit log", columns, rows.into_any())
}

/// What an entry is about, as a link where it has a page.
fn object(action: &str, object: &str) -> AnyView {
    let (title, text) = (object.to_owned(), object.to_owned());
    match href(action, object) {
        Some(href) => view! { <a href=href title=title>{text}</a> }.into_any(),
        None => view! { <span title=title>{text}</span> }.into_any(),
    }
}

/// Pure: the page of what an entry is about; none where it has none, or has none any more.
fn href(action: &str, object: &str) -> Option<String> {
    match object.split_once('_').map(|(kind, _)| kind) {
        Some("rol") => return Some(format!("/rollouts/{object}")),
        Some("rel") => return Some(format!("/firmware/{object}")),
        Some("crt") => return Some(format!("/certificates/{object}")),
        _ => {}
    }
    // An order for many devices is about a selector, and one that was deleted has no page.
    let what = action.strip_prefix("device.").filter(|what| !what.ends_with("_many") && *what != "delete");
    what.and_then(|_| object.parse::<DeviceId>().ok()).map(|id| format!("/devices/{id}/activity"))
}

#[cfg(test)]
mod tests {
    use super::href;

    #[test]
    fn an_entry_leads_to_what_it_is_about() {
        let id = "0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2";
        assert_eq!(href("rollout.draft", &format!("rol_{id}")).unwrap(), format!("/rollouts/rol_{id}"));
        assert_eq!(href("certificate.revoke", &format!("crt_{id}")).unwrap(), format!("/certificates/crt_{id}"));
        assert_eq!(href("device.tags", "gw-1").unwrap(), "/devices/gw-1/activity");
        for (action, object) in [("device.tag_many", "gw-1"), ("device.delete", "gw-1"), ("group.create", "gw-1"), ("device.tags", "no id")]
        {
            assert_eq!(href(action, object), None, "{action} {object}");
        }
    }
}
