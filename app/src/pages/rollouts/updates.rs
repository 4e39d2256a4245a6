//! The devices of a rollout, of all stages or one: where each of them is.

use crate::pages::words;
use crate::ui::{
    Column, empty,
    number::{counted, grouped},
    page::card_flush,
    pager, status, table, time,
};
use leptos::prelude::*;
use wire::{
    rollouts::{Counts, RolloutPage, UpdateRow},
    states::UpdateState,
};

/// What the page's address chooses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// The stage, from 1; 0 is all of them.
    pub stage: u32,
    /// `updating`, `failed`, `succeeded`, `waiting`; empty is all.
    pub show: String,
    /// Cursor of the page.
    pub cursor: String,
    /// Rows before this page.
    pub before: i64,
}

impl Choice {
    /// The address of a rollout's page with another choice; the first page of it.
    pub fn href(id: &str, stage: u32, show: &str) -> String {
        let mut query = Vec::new();
        if stage > 0 {
            query.push(format!("stage={stage}"));
        }
        if !show.is_empty() {
            query.push(format!("show={show}"));
        }
        if query.is_empty() { format!("/rollouts/{id}") } else { format!("/rollouts/{id}?{}", query.join("&")) }
    }
}

/// The box with the chosen devices.
pub fn devices(model: &RolloutPage, choice: &Choice) -> AnyView {
    let r = &model.rollout;
    let id = r.row.id.to_string();
    let stage = r.stages.iter().find(|s| s.number == choice.stage);
    let counts = in_the_fleet(stage.map_or(r.row.counts, |s| s.counts), &model.gone);
    let title = stage.map_or_else(|| "Devices of all stages".to_owned(), |s| format!("Devices of stage {}, {}", s.number, s.spec.name));
    let all = stage.is_some().then(|| view! { <a href=Choice::href(&id, 0, &choice.show)>"All stages"</a> });
    let aside = view! { {all}{filter(&id, choice, &counts)} }.into_any();
    let shown = i64::try_from(model.updates.items.len()).unwrap_or(0);
    let body = if model.updates.items.is_empty() {
        let text = if choice.show.is_empty() {
            "Who is in a stage is settled when it begins. The plan's preview shows who it would be now."
        } else {
            "Choose another filter to see the others."
        };
        empty("cpu", "No devices here", text, None)
    } else {
        rows(&model.updates.items, &r.row.version, &title)
    };
    let here = Choice::href(&id, choice.stage, &choice.show);
    let joint = if here.contains('?') { '&' } else { '?' };
    let next = model.updates.next.as_ref().map(|cursor| format!("{here}{joint}from={}&cur={cursor}", choice.before + shown));
    let first = (choice.before > 0).then(|| here.clone());
    let gone = (model.gone.total > 0).then(|| {
        let text = format!(
            "{} left the fleet since and {} not listed; they count in the stages, and are in the report.",
            counted(model.gone.total, "device", "devices"),
            if model.gone.total == 1 { "is" } else { "are" }
        );
        view! { <p class="small text-2">{text}</p> }
    });
    let order = (shown > 1).then(|| view! { <p class="small text-2">"In the order in which they joined the fleet."</p> });
    view! {
        <div>
            {card_flush(title.clone(), Some(aside), body)}
            {gone}
            {order}
            {pager(choice.before, shown, model.updates.total, first, next)}
        </div>
    }
    .into_any()
}

/// Why devices of the chosen stage did not make it, the most frequent reason first; nothing while all go well.
pub fn failures(model: &RolloutPage, choice: &Choice) -> AnyView {
    if model.failures.is_empty() {
        return ().into_any();
    }
    let columns = vec![Column::text("How it ended"), Column::text("Code"), Column::text("One of them said"), Column::number("Devices")];
    let rows = model
        .failures
        .iter()
        .map(|f| {
            let (tone, word) = words::update(f.state);
            let code = if f.code.is_empty() { "–".to_owned() } else { f.code.clone() };
            view! {
                <tr>
                    <th scope="row">{status(tone, word)}</th>
                    <td class="mono">{code}</td>
                    <td class="dim clip" title=f.detail.clone()>{f.detail.clone()}</td>
                    <td class="num">{grouped(f.devices)}</td>
                </tr>
            }
        })
        .collect_view();
    let all = view! { <a href=Choice::href(&model.rollout.row.id.to_string(), choice.stage, "failed")>"Show them"</a> };
    card_flush("Why devices did not make it", Some(all.into_any()), table("Failures by reason", columns, rows.into_any()))
}

/// Pure: counts without the devices that have left the fleet.
fn in_the_fleet(c: Counts, gone: &Counts) -> Counts {
    let less = |n: i64, gone: i64| (n - gone).max(0);
    Counts {
        total: less(c.total, gone.total),
        updating: less(c.updating, gone.updating),
        succeeded: less(c.succeeded, gone.succeeded),
        failed: less(c.failed, gone.failed),
        reverted: less(c.reverted, gone.reverted),
        timed_out: less(c.timed_out, gone.timed_out),
        rejected: less(c.rejected, gone.rejected),
        ..c
    }
}

fn filter(id: &str, choice: &Choice, c: &Counts) -> AnyView {
    let links = [
        ("", "All", c.total),
        ("updating", "Updating", c.updating),
        ("failed", "Failed", c.errors()),
        ("succeeded", "Done", c.succeeded),
        ("waiting", "Waiting", c.waiting),
    ]
    .map(|(word, label, n)| {
        let current = (word == choice.show).then_some("true");
        view! { <a href=Choice::href(id, choice.stage, word) aria-current=current>{label}<span class="count">{grouped(n)}</span></a> }
    });
    view! { <nav class="seg" aria-label="Show">{links.into_iter().collect_view()}</nav> }.into_any()
}

fn rows(items: &[UpdateRow], version: &str, caption: &str) -> AnyView {
    let columns = vec![
        Column::text("Device"),
        Column::text("State"),
        Column::number("Stage"),
        Column::number("Tries"),
        Column::text("Progress"),
        Column::text("Detail"),
        Column::text("Changed"),
    ];
    let rows = items
        .iter()
        .map(|u| {
            let (tone, word) = words::update(u.state);
            let from = if u.from_version.is_empty() { "unknown".to_owned() } else { u.from_version.clone() };
            let offline = (!u.online && !u.state.finished()).then_some("offline");
            let detail = match (u.detail.is_empty(), offline) {
                (true, Some(word)) => word.to_owned(),
                (false, Some(word)) => format!("{} · {word}", u.detail),
                (_, None) => u.detail.clone(),
            };
            let why = (u.state == UpdateState::Queued).then(|| {
                view! { <a href=format!("/devices/{}/firmware", u.device_id)>"Why it waits"</a>" " }
            });
            view! {
                <tr>
                    <th scope="row">
                        <a class="main mono" href=format!("/devices/{}", u.device_id)>{u.device_id.to_string()}</a>
                        <div class="small text-2 mono nowrap">{format!("{from} → {version}")}</div>
                    </th>
                    <td>{status(tone, word)}</td>
                    <td class="num">{u.stage}</td>
                    <td class="num">{u.attempts}</td>
                    <td>{bar(u)}</td>
                    <td class="dim clip" title=detail.clone()>{why}{detail.clone()}</td>
                    <td class="dim">{time::ago_or(u.updated_at, "–")}</td>
                </tr>
            }
        })
        .collect_view();
    table(caption, columns, rows.into_any())
}

/// The bar of the whole update: half of it is the download, the rest follows the state.
fn bar(u: &UpdateRow) -> AnyView {
    let value = progress(u.state, u.progress);
    let tone = if u.state.error() {
        "bad"
    } else if u.state == UpdateState::Succeeded {
        "ok"
    } else {
        "info"
    };
    view! { <progress class="bar" data-s=tone max="100" value=value aria-label=format!("Update of {}", u.device_id)></progress> }.into_any()
}

/// Pure: percent of the whole update, from the state and the percentage of its step.
fn progress(state: UpdateState, step: Option<i64>) -> i64 {
    use UpdateState as S;
    let within = |from: i64, to: i64| from + (to - from) * step.unwrap_or(0).clamp(0, 100) / 100;
    match state {
        S::Queued | S::Cancelled | S::Superseded | S::NotApplicable | S::AwaitingWindow | S::AwaitingConfirmation => 0,
        S::Offered => 3,
        S::Downloading => within(5, 50),
        S::Downloaded => 50,
        S::Installing => within(50, 80),
        S::Rebooting => 85,
        S::Verifying => 92,
        S::Succeeded | S::Failed | S::Rejected | S::TimedOut | S::Reverted => 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_never_runs_back_on_the_way() {
        use UpdateState as S;
        let way = [
            (S::Queued, None),
            (S::Offered, None),
            (S::Downloading, Some(0)),
            (S::Downloading, Some(100)),
            (S::Downloaded, None),
            (S::Installing, Some(50)),
            (S::Rebooting, None),
            (S::Verifying, None),
            (S::Succeeded, None),
        ];
        let bars: Vec<_> = way.iter().map(|(s, p)| progress(*s, *p)).collect();
        assert!(bars.is_sorted(), "{bars:?}");
        assert_eq!(progress(S::Downloading, Some(900)), 50);
    }

    #[test]
    fn addresses_leave_defaults_out() {
        assert_eq!(Choice::href("rol_1", 0, ""), "/rollouts/rol_1");
        assert_eq!(Choice::href("rol_1", 2, "failed"), "/rollouts/rol_1?stage=2&show=failed");
    }
}
