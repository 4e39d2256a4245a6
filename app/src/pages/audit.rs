//! The audit log, page by page, and as a file. The chain behind it can be checked with `fleetward audit verify`.

use crate::api::packed::reading;
use crate::{
    api::audit::ReadAudit,
    plan::{
        instant,
        query::{address, push},
    },
    ui::{
        Column, PageHead, copyable, empty,
        form::{Given, search_input},
        icon,
        page::page,
        pager, table, time,
        unread::{self, Word},
    },
};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use serde_json::Value;
use wire::{
    access::{AuditEntry, AuditPage as Model},
    ids::DeviceId,
};

/// What is asked for, by the names in the address.
#[derive(Clone, Default)]
struct Asked {
    q: String,
    actor: String,
    action: String,
    since: String,
    until: String,
}

/// Words of the log's address whose values have to be instants, and those that mean something whatever they say.
const WORDS: [Word; 2] = [("since", "date and time", is_instant), ("until", "date and time", is_instant)];
const OTHERS: [&str; 6] = ["q", "actor", "action", "entry", "cur", "from"];

fn is_instant(text: &str) -> bool {
    text.trim().is_empty() || instant(text.trim()).is_some()
}

impl Asked {
    /// What an address asks; what is no instant counts as not said.
    fn of(query: &ParamsMap) -> Self {
        let said = |name: &str| query.get(name).unwrap_or_default();
        let at = |name: &str| Some(said(name)).filter(|text| is_instant(text)).unwrap_or_default();
        Self { q: said("q"), actor: said("actor"), action: said("action"), since: at("since"), until: at("until") }
    }

    fn pairs(&self) -> [(&'static str, &str); 5] {
        [("q", &self.q), ("actor", &self.actor), ("action", &self.action), ("since", &self.since), ("until", &self.until)]
    }

    fn is_all(&self) -> bool {
        self.pairs().iter().all(|(_, value)| value.is_empty())
    }

    /// The address of this question, with what else is said in it.
    fn address(&self, more: &[(&str, &str)]) -> String {
        let mut query = String::new();
        for (key, value) in self.pairs().iter().chain(more).filter(|(_, value)| !value.is_empty()) {
            push(&mut query, key, value);
        }
        address("/audit", &query)
    }
}

/// The place in the list that is shown, and the entry that is looked at.
struct Place {
    before: i64,
    cursor: String,
    entry: String,
}

impl Place {
    fn of(query: &ParamsMap) -> Self {
        let before = query.get("from").and_then(|n| n.parse().ok()).unwrap_or(0_i64).max(0);
        Self { before, cursor: query.get("cur").unwrap_or_default(), entry: query.get("entry").unwrap_or_default() }
    }

    /// The address of this place, with an entry opened or with none.
    fn address(&self, asked: &Asked, entry: &str) -> String {
        if self.cursor.is_empty() {
            return asked.address(&[("entry", entry)]);
        }
        asked.address(&[("from", &self.before.to_string()), ("cur", &self.cursor), ("entry", entry)])
    }
}

/// `/audit`; `?entry=N` shows the one in that place, whole.
#[component]
pub fn AuditPage() -> AnyView {
    let query = use_query_map();
    let model = reading(move || {
        query.with(|query| {
            let Asked { q, actor, action, since, until } = Asked::of(query);
            let (cursor, entry) = (query.get("cur").unwrap_or_default(), query.get("entry").unwrap_or_default());
            ReadAudit { q, cursor, actor, action, since, until, entry }
        })
    });
    let content = page(model, move |model: Model| {
        let (asked, place) = query.with_untracked(|query| (Asked::of(query), Place::of(query)));
        content(&model, &asked, &place)
    });
    view! { {unread::notice(&WORDS, &OTHERS)}{content} }.into_any()
}

fn content(model: &Model, asked: &Asked, place: &Place) -> AnyView {
    let (entries, before) = (&model.entries, place.before);
    let shown = i64::try_from(entries.items.len()).unwrap_or(0);
    let next = entries.next.as_ref().map(|cursor| asked.address(&[("from", &(before + shown).to_string()), ("cur", cursor)]));
    let body = if entries.items.is_empty() && !asked.is_all() {
        let clear = view! { <a class="btn" href="/audit">"Clear the search"</a> }.into_any();
        let text = "Search for a part of a person's name, of an action such as rollout.approve, of an id, or of an address.";
        let title = if model.looked_to.is_some() { "Nothing matches so far" } else { "Nothing matches" };
        view! { <div class="card">{empty("search", title, text, Some(clear))}</div> }.into_any()
    } else if entries.items.is_empty() {
        view! { <div class="card">{empty("scroll-text", "Nothing yet", "Every change to the fleet is written here, with who did it.", None)}</div> }.into_any()
    } else {
        rows(&entries.items, asked, place)
    };
    let looked = model.looked_to.map(|at| {
        let further = next.clone().map(|href| view! { <a href=href>"Look further back"</a> });
        view! { <p class="small text-2 mt-4">"Looked at entries back to "{time::at(at)}". "{further}</p> }
    });
    let export = model
        .may_export
        .then(|| view! { <a class="btn" href="/api/v1/audit/export" download="" rel="external">{icon("download")}"Export"</a> });
    let first = (before > 0).then(|| asked.address(&[]));
    view! {
        <PageHead title="Audit log" sub=view! { "Every change, who made it and from where; a chain of hashes that shows if a line was altered." }.into_any()
            actions=view! { {export} }.into_any()/>
        {opened(model, asked, place)}
        {filters(asked)}
        {body}
        {looked}
        {pager(before, shown, entries.total.max(before + shown), first, next)}
    }
    .into_any()
}

/// The question as a form: words anywhere, whose, what, and when.
fn filters(asked: &Asked) -> AnyView {
    let part = |name: &'static str, kind: &'static str, label: &'static str, value: &str| {
        let value = value.to_owned();
        view! {
            <label class="small">{label}
                <input class="input" type=kind name=name autocomplete="off" spellcheck="false" value=value.clone() prop:given=Given(value)/>
            </label>
        }
    };
    let clear = (!asked.is_all()).then(|| view! { <a class="btn" data-v="ghost" href="/audit">"Clear"</a> });
    view! {
        <form class="filters labelled" method="get" action="/audit" role="search">
            {search_input("Search the audit log", "Person, action, name, reason, id", &asked.q)}
            {part("actor", "text", "Who", &asked.actor)}
            {part("action", "text", "What", &asked.action)}
            {part("since", "datetime-local", "Since (UTC)", &asked.since)}
            {part("until", "datetime-local", "Until (UTC)", &asked.until)}
            <button class="btn" type="submit">"Filter"</button>
            {clear}
        </form>
    }
    .into_any()
}

/// The entry that is looked at, whole; that there is none in its place.
fn opened(model: &Model, asked: &Asked, place: &Place) -> Option<AnyView> {
    if place.entry.is_empty() {
        return None;
    }
    let close = view! { <a class="btn" data-s="sm" href=place.address(asked, "")>"Back to the list"</a> }.into_any();
    let Some(found) = &model.opened else {
        let text = "No entry of the log has this number.";
        return Some(view! { <div class="card mb-4">{empty("search", "Not found", text, Some(close))}</div> }.into_any());
    };
    let (e, hash) = (&found.entry, found.hash.clone());
    let from = if e.address.is_empty() { "this server".to_owned() } else { e.address.clone() };
    let on = (!e.object.is_empty()).then(|| view! { <dt>"On"</dt><dd class="mono">{object(&e.action, &e.object)}</dd> });
    let before = (!found.before.is_empty())
        .then(|| view! { <dt>"Hash of the entry before"</dt><dd>{copyable(found.before.clone(), "Copy hash of the entry before")}</dd> });
    let fields = details(&e.detail).into_iter().map(|(name, value)| view! { <dt>{name}</dt><dd>{copyable(value, "Copy detail")}</dd> });
    let more = (!e.detail.is_empty()).then(|| view! { <h3>"Detail"</h3><dl class="kv">{fields.collect_view()}</dl> });
    Some(
        view! {
            <section class="card opened mb-4">
                <header><h2>{format!("Entry {}", e.seq)}</h2><div class="row push small">{close}</div></header>
                <div class="body stack">
                    <dl class="kv">
                        <dt>"When"</dt><dd>{time::at(e.at)}</dd>
                        <dt>"Who"</dt><dd>{e.actor.clone()}</dd>
                        <dt>"From"</dt><dd class="mono">{from}</dd>
                        <dt>"What"</dt><dd class="mono">{e.action.clone()}</dd>
                        {on}
                    </dl>
                    {more}
                    <h3>"Place in the chain"</h3>
                    <dl class="kv">
                        <dt>"Hash"</dt><dd>{copyable(hash, "Copy hash")}</dd>
                        {before}
                    </dl>
                </div>
            </section>
        }
        .into_any(),
    )
}

/// Pure: an entry's detail as names and values; what is no object of JSON stands as it is.
fn details(detail: &str) -> Vec<(String, String)> {
    let plain = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    match serde_json::from_str(detail) {
        Ok(Value::Object(words)) => words.into_iter().map(|(name, value)| (name.replace('_', " "), plain(value))).collect(),
        _ => vec![("text".to_owned(), detail.to_owned())],
    }
}

/// Pure: the same in one line, for the list.
fn in_a_line(detail: &str) -> String {
    if detail.is_empty() {
        return String::new();
    }
    details(detail).into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ")
}

fn rows(entries: &[AuditEntry], asked: &Asked, place: &Place) -> AnyView {
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
            let number = e.seq.to_string();
            let (href, label) = (place.address(asked, &number), format!("Entry {number}"));
            let current = (place.entry == number).then_some("true");
            let detail = in_a_line(&e.detail);
            let title = detail.clone();
            view! {
                <tr>
                    <th scope="row" class="num"><a class="main" href=href aria-label=label aria-current=current>{number}</a></th>
                    <td class="nowrap">{time::at(e.at)}</td>
                    <td>{e.actor.clone()}</td>
                    <td class="mono dim">{e.address.clone()}</td>
                    <td class="mono">{e.action.clone()}</td>
                    <td class="mono clip">{object(&e.action, &e.object)}</td>
                    <td class="dim clip" title=title>{detail}</td>
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
    use super::{Asked, Place, details, href, in_a_line};

    #[test]
    fn a_question_is_kept_from_page_to_page() {
        assert_eq!(Asked::default().address(&[]), "/audit");
        let asked = Asked { action: "rollout.".to_owned(), since: "2026-11-22T09:57".to_owned(), ..Asked::default() };
        assert!(!asked.is_all());
        let address = asked.address(&[("from", "50"), ("cur", "12")]);
        assert!(address.starts_with("/audit?action=rollout.&since=2026-11-22T09") && address.ends_with("&from=50&cur=12"), "{address}");
    }

    #[test]
    fn an_entry_is_opened_in_the_place_it_stands_in() {
        let asked = Asked { q: "ada".to_owned(), ..Asked::default() };
        let first = Place { before: 0, cursor: String::new(), entry: "7".to_owned() };
        assert_eq!((first.address(&asked, "7"), first.address(&asked, "")), ("/audit?q=ada&entry=7".to_owned(), "/audit?q=ada".to_owned()));
        let later = Place { before: 50, cursor: "12".to_owned(), ..first };
        assert_eq!(later.address(&asked, "9"), "/audit?q=ada&from=50&cur=12&entry=9");
    }

    #[test]
    fn a_detail_is_told_field_by_field() {
        let told = details(r#"{"spki_sha256":"ab","uses":3,"tags":["eu"]}"#);
        let told: Vec<_> = told.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        for field in [("spki sha256", "ab"), ("uses", "3"), ("tags", r#"["eu"]"#)] {
            assert!(told.contains(&field), "{told:?}");
        }
        assert_eq!(details("as it was"), [("text".to_owned(), "as it was".to_owned())]);
        assert_eq!(
            (in_a_line(r#"{"key_origin":"device","uses":3}"#), in_a_line("")),
            ("key origin: device; uses: 3".to_owned(), String::new())
        );
    }

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
