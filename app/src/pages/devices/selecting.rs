//! Devices that were ticked in the list: which they are, the bar with what can be done to them, and the step from them to all that the list means.
//! Refuses to know what is done. Everything goes by the address, so that it works without script; script counts, and ticks a whole page.

use super::{
    everyone::{MOST, Order},
    filters::Shown,
};
use crate::ui::{
    icon,
    number::{counted, grouped},
};
use leptos::prelude::*;
use std::collections::BTreeSet;
use wire::{devices::DevicesPage as Model, ids::DeviceId};

/// Ticked devices by their ids. What is not on the page that is shown doesn't count.
pub type Ticked = RwSignal<BTreeSet<String>>;

/// What the address asks about, and of whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// `ask=`: which order.
    pub name: Option<String>,
    /// `sel=`, several times: the devices that were ticked; none for all that the list means.
    pub devices: Vec<DeviceId>,
    /// `all=`: how many the list meant when all of them were taken.
    pub all: Option<i64>,
}

impl Question {
    /// What an address asks. What was ticked and is no device's id is nobody; where nothing else was ticked, nothing is asked: an order about nobody never
    /// becomes one about all.
    pub fn read(name: Option<&str>, ticked: &[String], all: Option<&str>) -> Self {
        let ids: BTreeSet<DeviceId> = ticked.iter().filter_map(|id| id.parse().ok()).collect();
        let nobody = ids.is_empty() && !ticked.is_empty();
        Self {
            name: name.filter(|_| !nobody).map(str::to_owned),
            devices: ids.into_iter().collect(),
            all: all.and_then(|all| all.parse().ok()),
        }
    }

    /// The devices that this order is asked about by name; none where it is about all.
    pub fn of(&self, name: &str) -> &[DeviceId] {
        if self.asks(name) { &self.devices } else { &[] }
    }

    /// Whether this order is asked about.
    pub fn asks(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }
}

/// Names of a few devices, for a sentence.
pub fn some(devices: &[DeviceId]) -> String {
    const NAMED: usize = 5;
    let names = joined(&devices[..devices.len().min(NAMED)], ", ");
    match devices.len() {
        0..=NAMED => names,
        n => format!("{names} and {} more", n - NAMED),
    }
}

/// Their names with this between them.
pub fn joined(devices: &[DeviceId], between: &str) -> String {
    devices.iter().map(DeviceId::as_str).collect::<Vec<_>>().join(between)
}

/// The box in a row.
pub fn tick(id: &str, ticked: Ticked, all: bool) -> AnyView {
    let (named, of, label) = (id.to_owned(), id.to_owned(), format!("Select {id}"));
    let at_first = all || ticked.with_untracked(|ticked| ticked.contains(id));
    let now = move || all || ticked.with(|ticked| ticked.contains(&of));
    view! { <label class="check"><input type="checkbox" name="sel" value=named aria-label=label disabled=all checked=at_first prop:checked=now/></label> }
        .into_any()
}

/// A box was ticked, or the tick taken away.
fn changed(event: &leptos::web_sys::Event, ticked: Ticked) {
    let input: leptos::web_sys::HtmlInputElement = event_target(event);
    if input.name() == "sel" {
        ticked.update(|ticked| {
            let _ = if input.checked() { ticked.insert(input.value()) } else { ticked.remove(&input.value()) };
        });
    }
}

/// How many the list meant when all of them were taken, if they were. Of too many none are: no order takes them.
pub fn all(model: &Model, question: &Question) -> Option<i64> {
    question.all.filter(|_| model.devices.total <= MOST)
}

/// The table in the form that the bar sends. `orders` are those that the viewer may give; without one there is nothing to select for. `beside` are buttons of
/// what is asked elsewhere.
pub fn form(
    (model, shown, question): (&Model, &Shown, &Question),
    ticked: Ticked,
    orders: &[Order<'_>],
    beside: AnyView,
    table: AnyView,
) -> AnyView {
    if orders.iter().all(|order| !order.may) {
        return table;
    }
    let hidden = shown.pairs().into_iter().map(|(name, value)| view! { <input type="hidden" name=name value=value/> }).collect_view();
    let bar = match all(model, question) {
        None => bar((model, shown, question), ticked, orders, beside),
        Some(all) => bar_of_all((model, shown), all, orders, beside),
    };
    view! {
        <form class="ticks" method="get" action="/devices" on:change=move |event| changed(&event, ticked)>
            {hidden}
            {table}
            {bar}
        </form>
    }
    .into_any()
}

/// The bar of those that are ticked. It is in the way of nobody who has ticked none: style hides it then.
fn bar((model, shown, question): (&Model, &Shown, &Question), ticked: Ticked, orders: &[Order<'_>], beside: AnyView) -> AnyView {
    let here: Vec<String> = model.devices.items.iter().map(|row| row.device_id.to_string()).collect();
    let (on_page, total) = (here.len(), model.devices.total);
    let of = here.clone();
    let count = move || ticked.with(|ticked| of.iter().filter(|id| ticked.contains(*id)).count());
    let text = move || Some(count()).filter(|n| *n > 0).map(|n| format!("{} selected", grouped(i64::try_from(n).unwrap_or(i64::MAX))));
    let page = move |_| ticked.update(|ticked| ticked.extend(here.iter().cloned()));
    let more = i64::try_from(on_page).is_ok_and(|on_page| on_page < total);
    let every = more.then(|| {
        if total > MOST {
            view! { <span class="dim">"More than 10,000 match: narrow the filter to select all."</span> }.into_any()
        } else {
            let label = format!("Select all {} that match", grouped(total));
            view! { <a class="btn" data-s="sm" href=shown.all(total)>{label}</a> }.into_any()
        }
    });
    let buttons = orders
        .iter()
        .filter(|order| order.may)
        .map(|order| view! { <button class="btn" data-s="sm" type="submit" name="ask" value=order.name>{order.verb}"…"</button> })
        .collect_view();
    let whole = format!("Select these {on_page}");
    let none = move |_| ticked.set(BTreeSet::new());
    // What the address says is only forgotten by another one.
    let clear = if question.devices.is_empty() {
        view! { <button class="btn needs-script" data-v="ghost" data-s="sm" type="button" on:click=none>{icon("x")}"Clear"</button> }
            .into_any()
    } else {
        view! { <a class="btn" data-v="ghost" data-s="sm" href=shown.first() on:click=none>{icon("x")}"Clear"</a> }.into_any()
    };
    view! {
        <div class="bulk" role="toolbar" aria-label="Selected devices">
            <span class="grow" role="status">{text}</span>
            {(on_page > 1).then(|| view! { <button class="btn needs-script" data-s="sm" type="button" on:click=page>{whole}</button> })}
            {every}
            {buttons}
            {beside}
            {clear}
        </div>
    }
    .into_any()
}

/// The bar of all that the list means.
fn bar_of_all((model, shown): (&Model, &Shown), all: i64, orders: &[Order<'_>], beside: AnyView) -> AnyView {
    let buttons = orders.iter().filter(|order| order.may).map(|order| order.link_too(format!("{}…", order.verb).into_any())).collect_view();
    view! {
        <div class="bulk" role="toolbar" aria-label="Selected devices" data-all="">
            <span class="grow" role="status">{all_of(all, model.devices.total)}</span>
            {buttons}
            {beside}
            <a class="btn" data-v="ghost" data-s="sm" href=shown.first()>{icon("x")}"Clear"</a>
        </div>
    }
    .into_any()
}

/// What is selected when all are that the list means: it may mean others by now than it did when they were taken.
fn all_of(then: i64, now: i64) -> String {
    let selected = format!("{} selected: all that match", counted(now, "device", "devices"));
    if then == now { selected } else { format!("{selected}. They were {} a moment ago.", grouped(then)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(n: usize) -> Vec<DeviceId> {
        (1..=n).map(|n| format!("gw-{n}").parse().unwrap()).collect()
    }

    #[test]
    fn a_sentence_names_a_few_and_counts_the_rest() {
        assert_eq!(some(&ids(2)), "gw-1, gw-2");
        assert_eq!(some(&ids(5)), "gw-1, gw-2, gw-3, gw-4, gw-5");
        assert_eq!(some(&ids(12)), "gw-1, gw-2, gw-3, gw-4, gw-5 and 7 more");
    }

    #[test]
    fn a_question_is_about_the_ticked_ones_only_where_it_is_asked() {
        let question = Question { name: Some("tag".into()), devices: ids(2), all: None };
        assert_eq!((question.of("tag").len(), question.of("group").len()), (2, 0));
        assert!(question.asks("tag") && !Question::default().asks("tag"));
    }

    #[test]
    fn what_is_no_id_is_not_asked_about_and_never_means_all() {
        let read = |ticked: &[&str]| {
            let ticked: Vec<String> = ticked.iter().map(|id| (*id).to_owned()).collect();
            Question::read(Some("suspend"), &ticked, None)
        };
        let asked = |devices| Question { name: Some("suspend".into()), devices, all: None };
        assert_eq!(read(&["gw-2", "", "gw-1", "gw 3", "gw-2"]), asked(ids(2)), "and nobody twice");
        for nobody in [&["", "", ""][..], &["  "], &["-gw", "../etc"]] {
            assert_eq!(read(nobody), Question::default(), "{nobody:?}");
        }
        assert_eq!(read(&[]), asked(Vec::new()), "nobody was ticked: it is about all");
        assert_eq!([Some("7"), Some("x"), None].map(|all| Question::read(None, &[], all).all), [Some(7), None, None]);
    }

    #[test]
    fn the_bar_says_when_all_are_others_by_now() {
        assert_eq!(all_of(1204, 1204), "1,204 devices selected: all that match");
        assert_eq!(all_of(1204, 1), "1 device selected: all that match. They were 1,204 a moment ago.");
    }
}
