//! The device list: search and filters in the address, keyset pages, fresh while devices come and go.

use super::{bulk, filters, grouping, stepping};
use crate::api::packed::reading;
use crate::{
    api::devices::{ChangeDevices, GroupDevices, ReadDevices, TagDevices},
    live,
    pages::words,
    plan::misread,
    ui::{
        Column, PageHead,
        completion::Completing,
        empty,
        form::{FormCall, Post, on_asked_anew, said},
        icon,
        number::{counted, grouped},
        page, pager, status,
        status::tags,
        table,
        table::Order,
        time,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    devices::{DeviceQuery, DeviceRow, DeviceSort, DevicesPage as Model, SelectorError},
    live::Topic,
};

/// The list.
#[component]
pub fn DevicesPage() -> AnyView {
    let address = use_query_map();
    let query = Memo::new(move |_| {
        address.with(|a| DeviceQuery {
            q: a.get_str("q").unwrap_or_default().to_owned(),
            sort: filters::sort_of(a.get_str("sort").unwrap_or_default()),
            cursor: a.get_str("cursor").map(str::to_owned),
            rows: None,
        })
    });
    let before = Memo::new(move |_| address.with(|a| a.get_str("before").and_then(|b| b.parse::<i64>().ok()).unwrap_or(0).max(0)));
    let model = reading(move || ReadDevices { query: query.get() });
    live::refetch_on(|| Some(Topic::Devices), 2000, model);
    let asked = Memo::new(move |_| address.with(|a| a.get_str("ask").map(str::to_owned)));
    let ways = Completing::new("device-search");
    let calls = (said::<TagDevices>("Tagged", model), said::<GroupDevices>("Grouped", model), said::<ChangeDevices>("Done", model));
    // What was refused because the list is another one by now is asked about the list as it is.
    for call in [Post::from(calls.0), Post::from(calls.1), Post::from(calls.2)] {
        on_asked_anew(call, move || model.refetch());
    }
    page(model, move |model: Model| {
        content(&model, &query.get_untracked(), before.get_untracked(), calls, (ways, asked.get_untracked().as_deref()))
    })
}

fn content(
    model: &Model,
    query: &DeviceQuery,
    before: i64,
    (tag, group, step): (FormCall<TagDevices>, FormCall<GroupDevices>, FormCall<ChangeDevices>),
    (ways, asked): (Completing, Option<&str>),
) -> AnyView {
    let add =
        model.may_enrol.then(|| view! { <a class="btn" data-v="primary" href="/enrolment">{icon("plus")}"Add device"</a> }.into_any());
    if model.fleet == 0 {
        return first_steps(add);
    }
    let sub = if query.q.is_empty() {
        counted(model.devices.total, "device", "devices")
    } else {
        format!("{} of {} match", grouped(model.devices.total), grouped(model.fleet))
    };
    let rows = if let Some(error) = &model.selector_error {
        selector_error(error)
    } else if model.devices.items.is_empty() {
        let clear = view! { <a class="btn" href="/devices">"Clear filters"</a> }.into_any();
        view! { <div class="card">{empty("search", "No devices match", "Take a filter away, or search for part of an id.", Some(clear))}</div> }.into_any()
    } else {
        rows(model, query, before)
    };
    let groups = view! { <a class="btn" href="/groups">{icon("bookmark")}"Groups"</a> };
    view! {
        <PageHead title="Devices" sub=sub.into_any() actions=view! { {groups}{add} }.into_any()/>
        {filter_bar(model, query, ways)}
        {bulk::ask(model, query, tag, asked)}
        {grouping::ask(model, query, group, asked)}
        {stepping::ask(model, query, step, asked)}
        {rows}
    }
    .into_any()
}

fn first_steps(add: Option<AnyView>) -> AnyView {
    view! {
        <PageHead title="Devices"/>
        <div class="card">
            {empty(
                "cpu",
                "No devices yet",
                "Make an enrolment token and paste its line on a device. It gets its certificate and appears here at once.",
                add,
            )}
        </div>
    }
    .into_any()
}

fn selector_error(error: &SelectorError) -> AnyView {
    let clear = view! { <a class="btn" href="/devices">"Clear the search"</a> }.into_any();
    let text = format!("{} {}", error.message, error.hint);
    view! { <div class="card">{empty("circle-alert", format!("The search is not understood at character {}", error.position + 1), text, Some(clear))}</div> }.into_any()
}

/// What stands in the search after a key; nothing when another input of the form was changed.
fn typed(event: &leptos::web_sys::Event) -> Option<String> {
    let input: leptos::web_sys::HtmlInputElement = event_target(event);
    (input.name() == "q").then(|| input.value())
}

/// What is wrong with a search, if anything is.
fn misread_query(q: &str) -> Option<String> {
    wire::selector::Selector::parse(q).err().as_ref().map(misread)
}

fn filter_bar(model: &Model, query: &DeviceQuery, ways: Completing) -> AnyView {
    let q = query.q.as_str();
    let online = ["yes", "no"].map(str::to_owned);
    let taken_apart = if filters::composed(q) { Vec::new() } else { filters::terms(q) };
    let chips = taken_apart
        .into_iter()
        .enumerate()
        .map(|(i, term)| {
            let (key, value) = match term.split_once(':') {
                Some((key, value)) => (format!("{key} "), value.trim_matches('"').to_owned()),
                None => ("text ".to_owned(), term.clone()),
            };
            let href = filters::href(&DeviceQuery { q: filters::without(q, i), cursor: None, ..query.clone() }, 0);
            view! { <span class="chip">{key}<b>{value}</b><a href=href aria-label=format!("Remove {term}")>{icon("x")}</a></span> }
        })
        .collect_view();
    let wrong = RwSignal::new(None::<String>);
    view! {
        // Said while it is typed, by the parser that the core uses; without scripts the page says it after it was sent.
        <form class="filters" method="get" action="/devices" role="search" on:input=move |event| if let Some(q) = typed(&event) { wrong.set(misread_query(&q)) }>
            {ways.search("Search devices", "Search, or filter: type:gateway tag:eu online:yes", q)}
            {(query.sort != DeviceSort::DeviceId).then(|| view! { <input type="hidden" name="sort" value=filters::sort_word(query.sort)/> })}
            {facet("online", "Online", &online, query)}
            {facet("type", "Type", &model.types, query)}
            {facet("version", "Firmware", &model.versions, query)}
            {facet("tag", "Tag", &model.tags, query)}
            {facet("group", "Group", &model.groups, query)}
            {chips}
            <span class="err" role="status">{move || wrong.get()}</span>
            {bulk::links(model, query)}
            {grouping::link(model, query)}
            {stepping::link(model, query)}
        </form>
    }
    .into_any()
}

/// A menu of links, each the list filtered by one value.
fn facet(key: &'static str, label: &'static str, values: &[String], query: &DeviceQuery) -> AnyView {
    if values.is_empty() {
        return ().into_any();
    }
    let now = filters::value_of(&query.q, key);
    let to = |value: &str| filters::href(&DeviceQuery { q: filters::with(&query.q, key, value), cursor: None, ..query.clone() }, 0);
    let links = values
        .iter()
        .map(|value| {
            let current = now.as_deref() == Some(value);
            view! { <a href=to(value) aria-current=current.then_some("true")>{current.then(|| icon("check"))}{value.clone()}</a> }
        })
        .collect_view();
    let any = now.is_some().then(|| view! { <a href=to("")>"Any"</a><hr/> });
    view! {
        <details class="facet" name="facet">
            <summary class="btn" data-s="sm">{label}{icon("chevron-down")}</summary>
            <div class="menu">{any}{links}</div>
        </details>
    }
    .into_any()
}

fn rows(model: &Model, query: &DeviceQuery, before: i64) -> AnyView {
    let sorted = |up: DeviceSort, down: DeviceSort| {
        let order = if query.sort == up {
            Order::Ascending
        } else if query.sort == down {
            Order::Descending
        } else {
            Order::None
        };
        let other = if query.sort == up { down } else { up };
        (order, filters::href(&DeviceQuery { sort: other, cursor: None, ..query.clone() }, 0))
    };
    let by = |column: Column, (order, href): (Order, String)| column.sorted(order, href);
    let columns = vec![
        by(Column::text("Device"), sorted(DeviceSort::DeviceId, DeviceSort::DeviceIdDesc)),
        Column::text("Status"),
        by(Column::text("Firmware"), sorted(DeviceSort::Version, DeviceSort::VersionDesc)),
        Column::text("Type"),
        Column::text("Hardware"),
        Column::text("Update"),
        by(Column::text("Last seen"), sorted(DeviceSort::LastSeen, DeviceSort::LastSeenDesc)),
        Column::text("Tags"),
    ];
    let shown = i64::try_from(model.devices.items.len()).unwrap_or(i64::MAX);
    let first = query.cursor.is_some().then(|| filters::href(&DeviceQuery { cursor: None, ..query.clone() }, 0));
    let next =
        model.devices.next.clone().map(|cursor| filters::href(&DeviceQuery { cursor: Some(cursor), ..query.clone() }, before + shown));
    let lines = model.devices.items.iter().map(line).collect_view();
    view! { {table("Devices", columns, lines.into_any())}{pager(before, shown, model.devices.total, first, next)} }.into_any()
}

fn line(row: &DeviceRow) -> AnyView {
    let id = row.device_id.to_string();
    let (tone, word) = words::device(row.state, row.online);
    let update = row.update.map(|state| {
        let (tone, word) = words::update(state);
        status(tone, word)
    });
    view! {
        <tr>
            <td><a class="main mono" href=format!("/devices/{id}")>{id.clone()}</a></td>
            <td>{status(tone, word)}</td>
            <td class="mono">{row.version.clone()}</td>
            <td>{row.device_type.clone()}</td>
            <td class="mono">{row.hardware.clone()}</td>
            <td>{update}</td>
            <td class="dim">{time::ago_or(row.last_seen_at, "never")}</td>
            <td>{tags(&row.tags)}</td>
        </tr>
    }
    .into_any()
}
