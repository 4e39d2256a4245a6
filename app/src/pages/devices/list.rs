//! The device list: search and filters in the address, keyset pages, fresh while devices come and go.

use super::{
    bulk,
    filters::{self, Shown},
    grouping, renewing,
    selecting::{self, Question, Ticked},
    stepping, views,
};
use crate::api::packed::{ask, reading};
use crate::{
    api::{
        devices::{ChangeDevices, GroupDevices, ReadDevices, ReadFacets, TagDevices},
        views::{ForgetView, SaveView},
    },
    live,
    pages::words,
    ui::{
        Column, PageHead, Tone, banner, chip,
        completion::Completing,
        empty, facet,
        form::{FormCall, Post, on_asked_anew, on_success, said},
        icon,
        number::{counted, grouped},
        page, pager, status,
        status::tags,
        table,
        table::Order,
        time, unread,
    },
};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
};
use std::collections::BTreeSet;
use wire::{
    devices::{DeviceQuery, DeviceRow, DeviceSort, DevicesPage as Model, SelectorError},
    facets::DeviceFacets,
    live::Topic,
    selector::{Field, Selector},
    states::DeviceState,
    views::DeviceColumn,
};

/// The list.
#[component]
pub fn DevicesPage() -> AnyView {
    let address = use_query_map();
    let shown = Memo::new(move |_| address.with(|a| Shown::read(|key| a.get_str(key).map(str::to_owned))));
    let before = Memo::new(move |_| address.with(|a| a.get_str("before").and_then(|b| b.parse::<i64>().ok()).unwrap_or(0).max(0)));
    // The server's page has the counts of the filter in it where they are at hand; in the browser rows don't wait for them.
    let model = reading(move || ReadDevices { query: shown.get().query, counted: cfg!(feature = "ssr") });
    let counts: Counts = RwSignal::new(None);
    Effect::new(move |before: Option<()>| {
        shown.track();
        if before.is_none() && counts.with_untracked(Option::is_some) {
            return;
        }
        spawn_local(async move {
            // Without them the menus still filter.
            if let Ok(found) = ask(ReadFacets {}).await.and_then(|found| found.read::<DeviceFacets>()) {
                // The page may be gone by now.
                let _ = counts.try_set(Some(found));
            }
        });
    });
    live::refetch_on(|| Some(Topic::Devices), 2000, model);
    let asked =
        Memo::new(move |_| address.with(|a| Question::read(a.get_str("ask"), &a.get_all("sel").unwrap_or_default(), a.get_str("all"))));
    let ticked: Ticked = RwSignal::new(asked.with_untracked(|asked| asked.devices.iter().map(ToString::to_string).collect()));
    // Another list has other devices.
    Effect::new(move |before: Option<Shown>| {
        let now = shown.get();
        if before.is_some_and(|before| before != now) {
            ticked.set(BTreeSet::new());
        }
        now
    });
    // Who follows a link to a question, or away from it, stays on the same list.
    Effect::new(move |before: Option<Question>| {
        let now = asked.get();
        if before.is_some_and(|before| before != now) {
            model.refetch();
        }
        now
    });
    let ways = Completing::new("device-search");
    let calls = (said::<TagDevices>("Tagged", model), said::<GroupDevices>("Grouped", model), said::<ChangeDevices>("Done", model));
    // What was refused because the list is another one by now is asked about the list as it is.
    for call in [Post::from(calls.0), Post::from(calls.1), Post::from(calls.2)] {
        on_asked_anew(call, move || model.refetch());
    }
    let navigate = use_navigate();
    let done = move || {
        ticked.set(BTreeSet::new());
        // A question in the page is over; a dialog is closed already.
        if asked.with_untracked(|asked| asked.name.is_some() || asked.all.is_some()) {
            navigate(&shown.with_untracked(Shown::first), NavigateOptions::default());
        }
    };
    let (after_tagging, after_grouping) = (done.clone(), done.clone());
    on_success(calls.0, move |()| after_tagging());
    on_success(calls.1, move |()| after_grouping());
    on_success(calls.2, move |()| done());
    let keep = (said::<SaveView>("View saved", model), said::<ForgetView>("View removed", model));
    let content = page(model, move |model: Model| {
        if let Some(found) = &model.facets {
            counts.set(Some(found.clone()));
        }
        content(&model, (&shown.get_untracked(), before.get_untracked()), calls, keep, (ways, counts, &asked.get_untracked(), ticked))
    });
    view! { {unread::notice(&filters::WORDS, &filters::OTHERS)}{content} }.into_any()
}

fn content(
    model: &Model,
    (shown, before): (&Shown, i64),
    (tag, group, step): (FormCall<TagDevices>, FormCall<GroupDevices>, FormCall<ChangeDevices>),
    keep: (FormCall<SaveView>, FormCall<ForgetView>),
    (ways, counts, asked, ticked): (Completing, Counts, &Question, Ticked),
) -> AnyView {
    let query = &shown.query;
    let add =
        model.may_enrol.then(|| view! { <a class="btn" data-v="primary" href="/enrolment">{icon("plus")}"Add device"</a> }.into_any());
    // How many the fleet has is from a moment ago: whoever came since is listed all the same.
    if model.fleet == 0 && model.devices.items.is_empty() {
        return first_steps(add);
    }
    let sub = if query.q.is_empty() {
        counted(model.devices.total, "device", "devices")
    } else {
        format!("{} of {} match", grouped(model.devices.total), grouped(model.fleet.max(model.devices.total)))
    };
    let rows = if let Some(error) = &model.selector_error {
        selector_error(error)
    } else if model.devices.items.is_empty() && before > 0 {
        page::card_behind(shown.first())
    } else if model.devices.items.is_empty() {
        let clear = view! { <a class="btn" href="/devices">"Clear filters"</a> }.into_any();
        view! { <div class="card">{empty("search", "No devices match", "Take a filter away, or search for part of an id.", Some(clear))}</div> }.into_any()
    } else {
        rows(model, (shown, before), asked, ticked)
    };
    let misspelt =
        (!model.misspelt.is_empty()).then(|| view! { <div class="mb-4">{banner(Tone::Warn, model.misspelt.join(" ").into_any())}</div> });
    let groups = view! { <a class="btn" href="/groups">{icon("bookmark")}"Groups"</a> };
    view! {
        <PageHead title="Devices" sub=sub.into_any() actions=view! { {groups}{add} }.into_any()/>
        {filter_bar(model, (shown, before), asked, (ways, counts))}
        {bulk::ask(model, shown, tag, asked)}
        {grouping::ask(model, shown, group, asked)}
        {stepping::ask(model, shown, step, asked)}
        {views::ask(&model.views, shown, keep, asked.name.as_deref())}
        {misspelt}
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
    let text = error.advice();
    view! { <div class="card">{empty("circle-alert", format!("The search is not understood at character {}", error.position + 1), text, Some(clear))}</div> }.into_any()
}

/// What stands in the search after a key; nothing when another input of the form was changed.
fn typed(event: &leptos::web_sys::Event) -> Option<String> {
    let input: leptos::web_sys::HtmlInputElement = event_target(event);
    (input.name() == "q").then(|| input.value())
}

/// What is wrong with a search, if anything is.
fn misread_query(q: &str) -> Option<String> {
    Selector::parse(q).err().map(|e| e.sentence())
}

fn filter_bar(model: &Model, (shown, before): (&Shown, i64), asked: &Question, (ways, counts): (Completing, Counts)) -> AnyView {
    let query = &shown.query;
    let q = query.q.as_str();
    let online = ["yes", "no"].map(str::to_owned);
    let states: Vec<String> = DeviceState::ALL.iter().map(ToString::to_string).collect();
    let chips = filters::conditions(q)
        .into_iter()
        .enumerate()
        .map(|(i, condition)| {
            let (key, value) = match condition {
                Selector::Is(field, values) => (field.name(), values.join(", ")),
                Selector::Word(word) => ("text".to_owned(), word),
                other => (String::new(), other.to_string()),
            };
            chip(key, value, shown.asking(DeviceQuery { q: filters::without(q, i), ..query.clone() }))
        })
        .collect_view();
    let columns = DeviceColumn::text(&shown.columns);
    let wrong = RwSignal::new(None::<String>);
    view! {
        // Said while it is typed, by the parser that the core uses; without scripts the page says it after it was sent.
        <form class="filters" method="get" action="/devices" role="search" on:input=move |event| if let Some(q) = typed(&event) { wrong.set(misread_query(&q)) }>
            {ways.search("Search devices", "Search, or filter: type:gateway tag:eu online:yes", q)}
            {(query.sort != DeviceSort::DeviceId).then(|| view! { <input type="hidden" name="sort" value=query.sort.as_str()/> })}
            {(!columns.is_empty()).then(|| view! { <input type="hidden" name="cols" value=columns/> })}
            {values(&Field::Online, "Online", &online, shown, counts)}
            {values(&Field::State, "State", &states, shown, counts)}
            {values(&Field::Type, "Type", &model.types, shown, counts)}
            {values(&Field::Version, "Firmware", &model.versions, shown, counts)}
            {values(&Field::Tag, "Tag", &model.tags, shown, counts)}
            {values(&Field::Group, "Group", &model.groups, shown, counts)}
            {views::columns(shown, before)}
            {views::saved(&model.views, shown)}
            {chips}
            <span class="err" role="status">{move || wrong.get()}</span>
        </form>
        {bulk::row(model, shown, asked)}
    }
    .into_any()
}

/// How many devices of the fleet have each value, once that is known.
type Counts = RwSignal<Option<DeviceFacets>>;

/// A menu of links, each the list filtered by one value, with how many devices of the fleet have it.
fn values(field: &Field, label: &'static str, all: &[String], shown: &Shown, counts: Counts) -> AnyView {
    if all.is_empty() {
        return ().into_any();
    }
    let query = &shown.query;
    let now = filters::values_of(&query.q, field);
    let to = |value: &str| shown.asking(DeviceQuery { q: filters::with(&query.q, field, value), ..query.clone() });
    let links = all
        .iter()
        .map(|value| {
            let (current, said) = (now.contains(value), filters::said(field, value));
            let words = (said != *value).then_some("words");
            let (field, of) = (field.name(), value.clone());
            let count = move || counts.with(|counts| counts.as_ref()?.count(&field, &of).map(grouped));
            view! {
                <a href=to(value) class=words aria-current=current.then_some("true")>
                    {current.then(|| icon("check"))}{said}" "<span class="count">{count}</span>
                </a>
            }
        })
        .collect_view();
    let any = (!now.is_empty()).then(|| view! { <a href=to("")>"Any"</a><hr/> });
    let note = (!query.q.is_empty()).then(|| view! { <p class="note">"Numbers are of the whole fleet."</p> });
    facet(label, view! { {any}{links}{note} }.into_any())
}

fn rows(model: &Model, (shown, before): (&Shown, i64), asked: &Question, ticked: Ticked) -> AnyView {
    let query = &shown.query;
    let sorted = |up: DeviceSort, down: DeviceSort| {
        let order = if query.sort == up {
            Order::Ascending
        } else if query.sort == down {
            Order::Descending
        } else {
            Order::None
        };
        let other = if query.sort == up { down } else { up };
        (order, shown.asking(DeviceQuery { sort: other, ..query.clone() }))
    };
    let by = |column: Column, (order, href): (Order, String)| column.sorted(order, href);
    let column = |column: DeviceColumn| {
        let head = Column::text(views::label(column));
        match column {
            DeviceColumn::Version => by(head, sorted(DeviceSort::Version, DeviceSort::VersionDesc)),
            DeviceColumn::LastSeen => by(head, sorted(DeviceSort::LastSeen, DeviceSort::LastSeenDesc)),
            _ => head,
        }
    };
    let mut columns = vec![by(Column::text("Device"), sorted(DeviceSort::DeviceId, DeviceSort::DeviceIdDesc))];
    columns.extend(shown.columns.iter().copied().map(column));
    let rows = i64::try_from(model.devices.items.len()).unwrap_or(i64::MAX);
    let first = query.cursor.is_some().then(|| shown.first());
    let next = model.devices.next.clone().map(|cursor| {
        let query = DeviceQuery { cursor: Some(cursor), ..query.clone() };
        Shown { query, columns: shown.columns.clone() }.href(before + rows)
    });
    let orders = [bulk::order(model, shown, asked), grouping::order(model, shown, asked), stepping::order(model, shown, asked)];
    let all = selecting::all(model, asked).is_some();
    let ticks = orders.iter().any(|order| order.may).then_some((ticked, all));
    let beside = if all { renewing::button_of_all(model, shown) } else { renewing::button(model) };
    let lines = model.devices.items.iter().map(|row| line(row, &shown.columns, ticks)).collect_view();
    let table = selecting::form((model, shown, asked), ticked, &orders, beside, table("Devices", columns, lines.into_any()));
    view! { {table}{pager(before, rows, model.devices.total, first, next)} }.into_any()
}

fn line(row: &DeviceRow, columns: &[DeviceColumn], ticks: Option<(Ticked, bool)>) -> AnyView {
    let id = row.device_id.to_string();
    let tick = ticks.map(|(ticked, all)| selecting::tick(&id, ticked, all));
    let cells = columns.iter().map(|column| cell(*column, row)).collect_view();
    view! { <tr><td>{tick}<a class="main mono" href=format!("/devices/{id}")>{id.clone()}</a></td>{cells}</tr> }.into_any()
}

fn cell(column: DeviceColumn, row: &DeviceRow) -> AnyView {
    let said = |(tone, word): (Tone, &'static str)| status(tone, word);
    match column {
        DeviceColumn::Status => view! { <td>{said(words::device(row.state, row.online))}</td> }.into_any(),
        DeviceColumn::Version => view! { <td class="mono">{row.version.clone()}</td> }.into_any(),
        DeviceColumn::Type => view! { <td>{row.device_type.clone()}</td> }.into_any(),
        DeviceColumn::Hardware => view! { <td class="mono">{row.hardware.clone()}</td> }.into_any(),
        DeviceColumn::Update => view! { <td>{row.update.map(|state| said(words::update(state)))}</td> }.into_any(),
        DeviceColumn::LastSeen => view! { <td class="dim">{time::ago_or(row.last_seen_at, "never")}</td> }.into_any(),
        DeviceColumn::Tags => view! { <td>{tags(&row.tags)}</td> }.into_any(),
    }
}
