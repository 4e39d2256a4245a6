//! The updates of a device, a page at a time, the newest in front, and what the device said of each. Refuses to know what an update may become, and the
//! rollout that it is of.

use super::connections::Place;
use crate::{
    pages::words,
    plan::query::{address, push, push_place},
    ui::{
        Column, Tone, dot, empty,
        number::counted,
        page::{behind, card_flush, skeleton},
        pager, status, table, time,
    },
};
use leptos::prelude::*;
use wire::{
    devices::DeviceDetail,
    ids::{DeviceId, UpdateId},
    page::Page,
    updates::{Attempt, DeviceUpdate, LogLine, MOST_LINES},
};

/// The address of a page of them, with one update whose lines are all shown.
fn href(id: &DeviceId, place: &Place, whole: Option<&UpdateId>) -> String {
    let mut query = String::new();
    push_place(&mut query, place.before, &place.cursor);
    if let Some(whole) = whole {
        push(&mut query, "log", whole.as_str());
    }
    address(&format!("/devices/{id}/firmware"), &query)
}

/// The list and the logs; rows of grey until they were read. `whole` is the update whose lines are all shown.
pub fn history(d: &DeviceDetail, page: Option<&Page<Attempt>>, place: &Place, whole: Option<&UpdateId>) -> AnyView {
    let Some(page) = page else { return skeleton() };
    let id = &d.row.device_id;
    let runs = (!d.row.version.is_empty()).then(|| view! { "Runs "<b class="mono">{d.row.version.clone()}</b> }.into_any());
    if page.items.is_empty() && place.before > 0 {
        return card_flush("Updates", runs, behind(href(id, &Place::default(), None)));
    }
    if page.items.is_empty() {
        let nothing = empty("package", "Not updated yet", "Rollouts that reach this device appear here, with every step it reports.", None);
        return card_flush("Updates", runs, nothing);
    }
    let columns: Vec<Column> = ["Rollout", "From", "To", "State", "What it said", "Offered", "Changed"].map(Column::text).into();
    let rows = page.items.iter().map(|attempt| line(&attempt.update)).collect_view().into_any();
    let logs = page
        .items
        .iter()
        .filter(|attempt| !attempt.log.is_empty())
        .map(|attempt| log(attempt, whole == Some(&attempt.update.id), href(id, place, Some(&attempt.update.id))))
        .collect_view();
    let shown = i64::try_from(page.items.len()).unwrap_or(0);
    let first = (place.before > 0).then(|| href(id, &Place::default(), None));
    let next = page.next.clone().map(|cursor| href(id, &Place { cursor, before: place.before + shown }, None));
    let body = view! {
        {table("Updates of this device", columns, rows)}
        <div class="body stack">{logs}</div>
    };
    view! {
        <div>
            {card_flush("Updates", runs, body.into_any())}
            {pager(place.before, shown, page.total, first, next)}
        </div>
    }
    .into_any()
}

/// How an update is, or how it failed.
fn standing(u: &DeviceUpdate) -> (Tone, &'static str) {
    u.failure.map_or_else(|| words::update(u.state), words::failure)
}

fn line(u: &DeviceUpdate) -> AnyView {
    let (tone, word) = standing(u);
    let progress = u.progress.filter(|_| !u.state.finished()).map(|p| format!(" {p} %"));
    let attempt = (u.attempt > 1).then(|| view! { <div class="small dim">{format!("Attempt {}", u.attempt)}</div> });
    let code = (!u.code.is_empty()).then(|| view! { <div class="small dim mono">{u.code.clone()}</div> });
    view! {
        <tr>
            <th scope="row"><a class="main" href=format!("/rollouts/{}", u.rollout)>{u.rollout_name.clone()}</a>{attempt}</th>
            <td class="mono">{u.from_version.clone()}</td>
            <td class="mono">{u.to_version.clone()}</td>
            <td>{status(tone, word)}{progress}{code}</td>
            <td class="dim clip" title=u.detail.clone()>{u.detail.clone()}</td>
            <td class="dim">{u.offered_at.map_or_else(|| "Not offered".into_any(), time::at)}</td>
            <td class="dim">{time::ago(u.ended_at.unwrap_or(u.updated_at))}</td>
        </tr>
    }
    .into_any()
}

/// What the device said of an update, behind a line that says which.
fn log(attempt: &Attempt, open: bool, all: String) -> AnyView {
    let Attempt { update, log, more } = attempt;
    let (tone, word) = standing(update);
    let lines = log.iter().map(said).collect_view();
    let number =
        if *more { format!("the newest {} lines", log.len()) } else { counted(i64::try_from(log.len()).unwrap_or(0), "line", "lines") };
    let more = more.then(|| view! { <p class="small"><a href=all>"All that is kept of it"</a>{format!(": the newest {MOST_LINES} lines, for 31 days.")}</p> });
    view! {
        <details open=open>
            <summary>
                {format!("What it said of {} by “{}”", update.to_version, update.rollout_name)}" · "{status(tone, word)}" · "{number}
            </summary>
            <ol class="timeline mt-4">{lines}</ol>
            {more}
        </details>
    }
    .into_any()
}

fn said(of: &LogLine) -> AnyView {
    let (tone, word) = of.state.map_or((Tone::Off, ""), words::update);
    let (title, sub) = told(of, word);
    let code = (!of.code.is_empty()).then(|| view! { <span class="mono">{of.code.clone()}</span> });
    view! { <li>{dot(tone)}<div>{title}<div class="sub">{sub}{code}</div></div>{time::at(of.at)}</li> }.into_any()
}

/// Pure: a line as it is read: what was said, and beside it how far the update was, by the word of its state. A device that said nothing to a state is
/// told of by that alone.
fn told(of: &LogLine, word: &str) -> (String, String) {
    let percent = of.progress.map(|percent| format!("{percent} %"));
    let (title, state) = if of.line.trim().is_empty() { (word, "") } else { (of.line.as_str(), word) };
    let state = (!state.is_empty()).then(|| state.to_owned());
    let mut beside: Vec<String> = [state, percent].into_iter().flatten().collect();
    if !of.code.is_empty() && !beside.is_empty() {
        // The code stands behind it.
        beside.push(String::new());
    }
    (title.to_owned(), beside.join(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pages::devices::connections, plan::query::pairs};
    use wire::{Timestamp, states::UpdateState, updates::UpdateFailure};

    #[test]
    fn the_address_keeps_a_place_and_a_log() {
        let (id, log): (DeviceId, UpdateId) = ("gw-1".parse().unwrap(), "upd_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap());
        assert_eq!(href(&id, &Place::default(), None), "/devices/gw-1/firmware");
        let there = Place { cursor: log.to_string(), before: 20 };
        let address = href(&id, &there, Some(&log));
        let said = pairs(address.split_once('?').unwrap().1);
        let get = |key: &str| said.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
        assert_eq!((connections::place(get), get("log")), (there, Some(log.to_string())), "{address}");
    }

    #[test]
    fn a_line_says_what_was_said_or_else_the_state() {
        let line = |line: &str, progress, code: &str| LogLine {
            at: Timestamp(0),
            state: Some(UpdateState::Failed),
            progress,
            code: code.into(),
            line: line.into(),
        };
        let told = |of: LogLine| told(&of, "Failed");
        assert_eq!(told(line("no room", Some(40), "")), ("no room".to_owned(), "Failed · 40 %".to_owned()));
        assert_eq!(told(line(" ", None, "")), ("Failed".to_owned(), String::new()));
        assert_eq!(told(line("no room", None, "code_28")), ("no room".to_owned(), "Failed · ".to_owned()));
        assert_eq!(told(line("", None, "code_28")), ("Failed".to_owned(), String::new()));
    }

    #[test]
    fn who_succeeded_and_fell_silent_is_not_called_done() {
        let went_dark = words::failure(UpdateFailure::WentDark);
        assert_eq!(went_dark, (Tone::Bad, "Went dark"));
        for failure in UpdateFailure::ALL.iter().copied().filter(|failure| *failure != UpdateFailure::WentDark) {
            let state: UpdateState = failure.as_str().parse().unwrap();
            assert_eq!(words::failure(failure), words::update(state), "one word for one thing");
        }
    }
}
