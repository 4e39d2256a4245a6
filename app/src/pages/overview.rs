//! The overview: the fleet at a glance, what runs, and what needs a person.

use super::{attention, devices::filters, words};
use crate::api::packed::reading;
use crate::{
    api::overview::ReadOverview,
    live,
    ui::{
        PageHead, Tone, badge, card, dot, empty, icon,
        number::{counted, grouped, percent},
        page,
        progress::meter,
        svg, tag, time,
    },
};
use leptos::prelude::*;
use wire::{
    Timestamp,
    live::Topic,
    overview::{Attention, FleetCounts, OverviewPage as Model, VersionShare},
    rollouts::{Counts, RolloutRow},
    selector::Field,
};

/// The overview.
#[component]
pub fn OverviewPage() -> AnyView {
    let model = reading(|| ReadOverview {});
    live::refetch_on(|| Some(Topic::Rollouts), 1000, model);
    live::refetch_on(|| Some(Topic::Devices), 5000, model);
    let counts = RwSignal::new(None);
    live::on_counts(move |new| counts.set(Some(new)));
    page(model, move |model: Model| content(model, counts))
}

fn content(model: Model, live: RwSignal<Option<FleetCounts>>) -> AnyView {
    let first = model.counts;
    // Versions are of all devices, also of those that have not come yet.
    let nobody = first.devices == 0 && model.versions.is_empty();
    let sub = view! { {counted(first.devices, "active device", "active devices")}". Updated "{time::ago(model.at)}"." }.into_any();
    let actions = if model.may_draft {
        view! { <a class="btn" data-v="primary" href="/rollouts/new">{icon("rocket")}"New rollout"</a> }.into_any()
    } else {
        ().into_any()
    };
    view! {
        <PageHead title="Overview" sub=sub actions=actions/>
        {nobody.then(first_steps)}
        {stats(first, live, &model.connected)}
        <div class="split mt-4">
            <div class="stack">
                {rollouts(model.rollouts)}
                {versions(model.versions)}
            </div>
            {needed(model.attention, model.at)}
        </div>
    }
    .into_any()
}

/// What to do with an empty fleet.
fn first_steps() -> AnyView {
    let manual = view! { <a class="btn" href="/docs/first-steps" rel="external">"First steps in the manual"</a> };
    let enrol = view! { <a class="btn" data-v="primary" href="/enrolment">{icon("plus")}"Add a device"</a>{manual} }.into_any();
    let text = "Make an enrolment token and paste its line on a device. It gets its certificate, and its measurements appear here at once.";
    view! { <div class="card mb-4">{empty("cpu", "The fleet is empty", text, Some(view! { <div class="row">{enrol}</div> }.into_any()))}</div> }.into_any()
}

fn stats(first: FleetCounts, live: RwSignal<Option<FleetCounts>>, connected: &[i64]) -> AnyView {
    let now = move || live.get().unwrap_or(first);
    let stat = move |tone: Tone,
                     name: &'static str,
                     href: &'static str,
                     value: fn(FleetCounts) -> i64,
                     below: fn(FleetCounts) -> String,
                     course: Option<AnyView>| {
        view! {
            <a class="stat" href=href>
                <span class="k">{dot(tone)}{name}</span>
                <span class="v live-value">{move || grouped(value(now()))}</span>
                <span class="d">{move || below(now())}</span>
                {course}
            </a>
        }
        .into_any()
    };
    view! {
        <div class="grid stats">
            {stat(Tone::Ok, "Connected", "/devices?q=online:yes", |c| c.online, |c| of_active(c.online, c), Some(course(connected)))}
            {stat(Tone::Off, "Offline", "/devices?q=online:no%20state:active", |c| c.devices - c.online, |c| of_active(c.devices - c.online, c), None)}
            {stat(Tone::Info, "Updating", "/devices?q=update:queued,offered,awaiting_window,awaiting_confirmation,downloading,downloaded,installing,rebooting,verifying", |c| c.updating, |_| "an update is under way".to_owned(), None)}
            {stat(Tone::Bad, "Last update failed", "/devices?q=update:failed,reverted,timed_out,rejected", |c| c.failed, |_| "or went back by itself".to_owned(), None)}
            {stat(Tone::Warn, "Certificates ≤ 30 days", "/certificates?within=30", |c| c.expiring, |_| "end within 30 days".to_owned(), None)}
        </div>
    }
    .into_any()
}

/// Which part of the active devices so many are; the others of the fleet can't be connected.
fn of_active(n: i64, c: FleetCounts) -> String {
    format!("{} of {} active", percent(n, c.devices), grouped(c.devices))
}

/// How many were connected in the last 24 hours, as a line.
fn course(connected: &[i64]) -> AnyView {
    let (least, most) = (connected.iter().min().copied().unwrap_or(0), connected.iter().max().copied().unwrap_or(0));
    svg::spark(format!("Over the last 24 hours from {} to {}", grouped(least), grouped(most)), connected)
}

fn rollouts(rows: Vec<RolloutRow>) -> AnyView {
    let all = view! { <a href="/rollouts">"All rollouts"</a> }.into_any();
    if rows.is_empty() {
        return card(
            "Rollouts in progress",
            Some(all),
            empty("rocket", "Nothing is going out", "A rollout appears here while it runs or waits for a person.", None),
        );
    }
    let rows = rows.into_iter().map(rollout).collect_view();
    card("Rollouts in progress", Some(all), view! { <div class="stack rollout-lines">{rows}</div> }.into_any())
}

fn rollout(row: RolloutRow) -> AnyView {
    let (tone, word) = words::rollout(row.state);
    let word = if row.stage > 0 { format!("{word} · stage {} of {}", row.stage, row.stages) } else { word.to_owned() };
    let c = row.counts;
    let failed = if c.errors() > 0 { format!(" · {} failed", grouped(c.errors())) } else { String::new() };
    // Who is in is settled when it begins; before that there is nothing to count.
    let course = (row.stage > 0).then(|| format!("{} of {} done{failed}", grouped(c.succeeded), grouped(c.total)));
    view! {
        <div class="rollout-line">
            <div class="row">
                <a class="strong" href=format!("/rollouts/{}", row.id)>{row.name}</a>{tag(row.version)}{badge(tone, word)}
                {course.clone().map(|done| view! { <span class="push small text-2">{done}</span> })}
            </div>
            {course.map(|_| counts_meter(&c))}
            {(!row.summary.is_empty()).then(|| view! { <p class="small text-2">{row.summary}</p> })}
        </div>
    }
    .into_any()
}

/// A rollout's or stage's devices as a bar.
pub fn counts_meter(c: &Counts) -> AnyView {
    let label = format!("{} done, {} updating, {} failed, {} waiting", c.succeeded, c.updating, c.errors(), c.waiting + c.left_out);
    meter(label, &[(Tone::Ok, c.succeeded), (Tone::Info, c.updating), (Tone::Bad, c.errors()), (Tone::Off, c.waiting + c.left_out)])
}

fn versions(shares: Vec<VersionShare>) -> AnyView {
    let total: i64 = shares.iter().map(|s| s.devices).sum();
    if total == 0 {
        return ().into_any();
    }
    let rows = shares
        .into_iter()
        .map(|share| {
            let q = [(Field::Type, &share.device_type), (Field::Version, &share.version)]
                .into_iter()
                .fold(String::new(), |q, (field, value)| filters::with(&q, &field, value));
            let href = filters::href(q);
            let recalled = share.recalled.then(|| view! { " "{badge(Tone::Bad, "recalled")} });
            let version = if share.version.is_empty() { "no version yet".to_owned() } else { share.version };
            view! {
                <li>
                    <a href=href><span class="mono">{version}</span>" "<span class="text-2">{share.device_type}</span>{recalled}</a>
                    <span class="share" style=format!("--n:{}", share.devices * 1000 / total)></span>
                    <span class="num">{grouped(share.devices)}</span>
                    <span class="num text-2">{percent(share.devices, total)}</span>
                </li>
            }
        })
        .collect_view();
    card("Versions in the field", None, view! { <ul class="shares">{rows}</ul> }.into_any())
}

fn needed(all: Vec<Attention>, now: Timestamp) -> AnyView {
    if all.is_empty() {
        return card(
            "Needs attention",
            None,
            empty(
                "circle-check",
                "All is well",
                "Halted rollouts, failed updates, silent devices and authorities that end soon appear here.",
                None,
            ),
        );
    }
    let lines = all
        .into_iter()
        .map(|a| {
            let about = a.matter.device().map(ToString::to_string);
            view! {
                <li>
                    {dot(attention::tone(&a.matter))}
                    <div><a href=attention::href(&a.matter)>{attention::text(&a, now)}</a>{about.map(|about| view! { <div class="sub mono">{about}</div> })}</div>
                    {time::ago(a.since)}
                </li>
            }
        })
        .collect_view();
    card("Needs attention", None, view! { <ol class="timeline">{lines}</ol> }.into_any())
}
