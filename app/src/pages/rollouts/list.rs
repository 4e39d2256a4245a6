//! The list of rollouts.

use super::phrases;
use crate::api::packed::reading;
use crate::{
    api::rollouts::ReadRollouts,
    live,
    pages::words,
    plan::query::{address, push},
    ui::{
        Column, PageHead, Tab, badge, empty,
        form::search_input,
        icon,
        number::grouped,
        page::card_behind,
        pager,
        progress::meter,
        table, tabs, time,
        unread::{self, Word},
    },
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

/// Words of the list's address.
const WORDS: [Word; 1] = [("tab", "list of rollouts", is_tab)];
const OTHERS: [&str; 3] = ["q", "cur", "from"];

fn is_tab(word: &str) -> bool {
    word.parse::<wire::rollouts::Tab>().is_ok()
}

/// What the address says: the tab, and what is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Asked {
    tab: String,
    q: String,
}

impl Asked {
    /// Its address with this behind it; what is default is left out.
    fn address(&self, more: &[(&str, &str)]) -> String {
        let mut query = String::new();
        let own = [("tab", self.tab.as_str()), ("q", self.q.as_str())];
        for (key, value) in own.iter().chain(more).filter(|(_, value)| !value.is_empty()) {
            push(&mut query, key, value);
        }
        address("/rollouts", &query)
    }
}

/// `/rollouts?tab=…&q=…`
#[component]
pub fn RolloutsPage() -> AnyView {
    let query = use_query_map();
    let word = move |key: &str| query.with(|q| q.get(key).unwrap_or_default());
    let asked = move || Asked { tab: Some(word("tab")).filter(|tab| is_tab(tab)).unwrap_or_default(), q: word("q") };
    let model = reading(move || {
        let Asked { tab, q } = asked();
        ReadRollouts { tab, cursor: word("cur"), q }
    });
    live::refetch_on(|| Some(Topic::Rollouts), 1000, model);
    let content = crate::ui::page::page(model, move |model: Model| {
        let before = query.with_untracked(|q| q.get("from").and_then(|n| n.parse().ok()).unwrap_or(0_i64));
        content(&model, &untrack(asked), before.max(0))
    });
    view! { {unread::notice(&WORDS, &OTHERS)}{content} }.into_any()
}

fn content(model: &Model, asked: &Asked, before: i64) -> AnyView {
    let (.., none) = TABS.into_iter().find(|t| t.0 == asked.tab).unwrap_or(TABS[0]);
    let new =
        model.may_draft.then(|| view! { <a class="btn" data-v="primary" href="/rollouts/new">{icon("plus")}"New rollout"</a> }.into_any());
    let links = TABS
        .into_iter()
        .map(|(word, label, _)| Tab::new(Asked { tab: word.to_owned(), ..asked.clone() }.address(&[]), label, word == asked.tab))
        .collect();
    let shown = i64::try_from(model.rollouts.items.len()).unwrap_or(0);
    let body = if !model.rollouts.items.is_empty() {
        rows(&model.rollouts.items)
    } else if before > 0 {
        card_behind(asked.address(&[]))
    } else if asked.q.is_empty() {
        let text = "A rollout sends one release to a part of the fleet in stages. A gate on each stage stops a bad release before it reaches the rest.";
        let first = model.may_draft.then(|| view! { <a class="btn" href="/rollouts/new">"Plan a rollout"</a> }.into_any());
        view! { <div class="card">{empty("rocket", none, text, first)}</div> }.into_any()
    } else {
        let all = Asked { q: String::new(), ..asked.clone() }.address(&[]);
        let clear = view! { <a class="btn" href=all>"Clear the search"</a> }.into_any();
        let text = "Search for a part of a rollout's name, of a version, or of a device type.";
        view! { <div class="card">{empty("search", "No rollouts match", text, Some(clear))}</div> }.into_any()
    };
    let next = model.rollouts.next.as_ref().map(|cursor| asked.address(&[("from", &(before + shown).to_string()), ("cur", cursor)]));
    let first = (before > 0).then(|| asked.address(&[]));
    view! {
        <PageHead title="Rollouts" sub=view! { "Releases on their way to devices, stage by stage. "<a href="/freezes">"Freezes"</a>" hold all of them." }.into_any() actions=new.unwrap_or_else(|| ().into_any())/>
        {tabs("Rollouts by state", links)}
        <form class="filters mt-4" method="get" action="/rollouts" role="search">
            {search_input("Search rollouts", "Name, version or device type", &asked.q)}
            {(!asked.tab.is_empty()).then(|| view! { <input type="hidden" name="tab" value=asked.tab.clone()/> })}
        </form>
        {body}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_keeps_what_is_looked_for() {
        assert_eq!(Asked::default().address(&[]), "/rollouts");
        let asked = Asked { tab: "drafts".into(), q: "Gateway 4.12".into() };
        assert_eq!(asked.address(&[("from", "50"), ("cur", "rol_1")]), "/rollouts?tab=drafts&q=Gateway+4.12&from=50&cur=rol_1");
    }
}
