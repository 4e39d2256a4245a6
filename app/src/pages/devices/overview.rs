//! The first tab of a device: its charts in short, its connections, who it is, and what the operator may change.

use super::{detail::with_icon, life, telemetry};
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::{
        devices::{CancelUpdate, ChangeDevice, ClearSuspicion, ConfirmUpdate, DeviceView, OrderRenewal, PinDevice, SetTags, UnpinDevice},
        groups::page_of,
        shared::DropTargetToken,
    },
    pages::words,
    ui::{
        Tone, asked, banner, card, copyable, dialog, dialog::buttons, dialog_link, dot, fault_banner, form, number::percent, page, status,
        submit, svg, text, time,
    },
};
use leptos::prelude::*;
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
};
use wire::{devices::DeviceDetail, live::DeviceLive};

const TAGS: &str = "tags-dialog";
/// What the address asks for: `?ask=tags`.
const ASK: &str = "tags";
const DAY_MS: i64 = 24 * 3_600_000;

/// What can be done to a device from its page. Made once a page, so that a model read again meanwhile does not lose an answer.
#[derive(Clone, Copy)]
pub struct Actions {
    tags: FormCall<SetTags>,
    /// Steps of its life.
    pub life: FormCall<ChangeDevice>,
    /// A possible clone was looked at.
    pub clear: FormCall<ClearSuspicion>,
    /// It renews its certificate now.
    pub renew: FormCall<OrderRenewal>,
    /// Its shared secret is taken away.
    pub target: FormCall<DropTargetToken>,
    /// A rollout's update of it is confirmed.
    pub confirm: FormCall<ConfirmUpdate>,
    /// A rollout's update of it is cancelled.
    pub cancel: FormCall<CancelUpdate>,
    /// It stays on what it runs.
    pub pin: FormCall<PinDevice>,
    /// It may be moved again.
    pub unpin: FormCall<UnpinDevice>,
}

impl Actions {
    /// The actions; after each success the dialog closes and `then` runs.
    pub fn new(then: impl Fn() + Copy + 'static) -> Self {
        let all = Self {
            tags: form::action(),
            life: form::action(),
            clear: form::action(),
            renew: form::action(),
            target: form::action(),
            confirm: form::action(),
            cancel: form::action(),
            pin: form::action(),
            unpin: form::action(),
        };
        let navigate = use_navigate();
        let done = move || {
            crate::ui::dialog::close_all();
            then();
        };
        form::on_success(all.tags, move |()| done());
        form::on_success(all.clear, move |()| done());
        form::on_success(all.renew, move |()| done());
        form::on_success(all.target, move |()| done());
        form::on_success(all.confirm, move |()| done());
        form::on_success(all.cancel, move |()| done());
        form::on_success(all.pin, move |()| done());
        form::on_success(all.unpin, move |()| done());
        form::on_success(all.life, move |next: String| {
            // A deleted device has no page to read again.
            if next == "/devices" {
                crate::ui::dialog::close_all();
                navigate(&next, NavigateOptions::default());
            } else {
                done();
            }
        });
        all
    }
}

/// The tab; `?ask=tags` asks for the tags.
pub fn tab(view: &DeviceView, range: telemetry::Range, feed: RwSignal<Option<DeviceLive>>, actions: &Actions) -> AnyView {
    let d = &view.detail;
    let path = format!("/devices/{}", d.row.device_id);
    let aside = view! { {range.switch(&path)}<a href=telemetry::path(&d.row.device_id)>"All metrics"</a> }.into_any();
    let pictures = telemetry::zoomable(&path, telemetry::charts(view, range, feed, 2));
    let asked = use_query_map().with_untracked(|query| query.get_str("ask") == Some(ASK));
    view! {
        {(asked && d.may_edit).then(|| page::question(tags_title(d), tags_form(d, "page-", actions.tags)))}
        {(!d.update_reason.is_empty()).then(|| {
            let href = format!("/devices/{}/firmware", d.row.device_id);
            banner(Tone::Info, view! { {d.update_reason.clone()}" "<a href=href>"Why, rule by rule"</a> }.into_any())
        })}
        <div class="split">
            <div class="stack">
                {card("Telemetry", Some(aside), pictures)}
                {connections(d)}
            </div>
            <div class="stack">
                {identity(d)}
                {firmware(d)}
                {attributes(d)}
            </div>
        </div>
        {d.may_edit.then(|| dialog(TAGS, tags_title(d), tags_form(d, "", actions.tags)))}
        {life::dialogs(d, actions.life)}
    }
    .into_any()
}

fn connections(d: &DeviceDetail) -> AnyView {
    // Before it was enrolled it could not be connected.
    let to = d.at.millis();
    let from = (to - DAY_MS).max(d.enrolled_at.millis()).min(to - 1);
    let young = from > to - DAY_MS;
    let spans: Vec<(i64, i64)> = d.connections.iter().map(|c| (c.from.millis(), c.to.map_or(to, wire::Timestamp::millis))).collect();
    let connected: i64 = spans.iter().map(|(a, b)| (b.min(&to) - a.max(&from)).max(0)).sum();
    let share = percent(connected.min(to - from), to - from);
    let (title, said) = if young {
        ("Connection since it was enrolled", format!("Connected {share} of the time since it was enrolled"))
    } else {
        ("Connection, last 24 hours", format!("Connected {share} of the last 24 hours"))
    };
    let lines = d
        .connections
        .iter()
        .rev()
        .take(8)
        .map(|c| {
            let (tone, title, at) = match c.to {
                None => (Tone::Ok, "Connected".to_owned(), c.from),
                Some(end) if c.reason.is_empty() => (Tone::Off, "Disconnected".to_owned(), end),
                Some(end) => (Tone::Off, format!("Disconnected: {}", c.reason), end),
            };
            let lasted = c.to.map(|end| format!(" · after {}", wire::time::duration(end.since(c.from))));
            view! { <li>{dot(tone)}<div>{title}<div class="sub">{c.address.clone()}{lasted}</div></div>{time::ago(at)}</li> }
        })
        .collect_view();
    let list = if d.connections.is_empty() {
        view! { <p class="text-2">"It was not connected in this time."</p> }.into_any()
    } else {
        view! { <ol class="timeline">{lines}</ol> }.into_any()
    };
    let all = format!("/devices/{}/connections", d.row.device_id);
    let aside = view! { <span class="text-2">{format!("{share} connected")}</span><a href=all>"All connections"</a> }.into_any();
    card(
        title,
        Some(aside),
        view! {
            <div class="stack">
                {svg::strip(said, &spans, from, to)}
                {list}
            </div>
        }
        .into_any(),
    )
}

fn identity(d: &DeviceDetail) -> AnyView {
    let id = d.row.device_id.to_string();
    let certificate = d.certificates.first().map(|c| {
        let (tone, word) = words::certificate(c.state, c.not_after.since(d.at));
        view! { <dt>"Certificate"</dt><dd>{status(tone, word)}" until "{time::at(c.not_after)}</dd> }
    });
    let connected = d
        .connected_at
        .map(|at| view! { <dt>{if d.row.online { "Connected" } else { "Last connected" }}</dt><dd>{time::ago(at)}" from "<span class="mono">{d.address.clone()}</span></dd> });
    let edit = d.may_edit.then(|| dialog_link(TAGS, asked::asking("ask", ASK), "", with_icon("tag", "Edit tags")));
    card(
        "Identity",
        None,
        view! {
            <dl class="kv">
                <dt>"Device id"</dt><dd>{copyable(id, "Copy device id")}</dd>
                <dt>"Type"</dt><dd>{said(&d.row.device_type)}</dd>
                <dt>"Hardware"</dt><dd>{said(&d.row.hardware)}</dd>
                <dt>"Enrolled"</dt><dd>{time::at(d.enrolled_at)}</dd>
                <dt>"By"</dt><dd>{d.enrolled_by.clone()}</dd>
                {(!d.groups.is_empty()).then(|| view! { <dt>"Groups"</dt><dd>{d.groups.iter().map(|name| view! { <a href=page_of(name)>{name.clone()}</a>" " }).collect_view()}</dd> })}
                {certificate}
                {connected}
                <dt>"Agent"</dt><dd class="mono">{said(&d.agent)}</dd>
            </dl>
            <div class="row mt-4">{edit}{life::buttons(d)}</div>
        }
        .into_any(),
    )
}

/// What a device has said of itself; that it has not.
fn said(what: &str) -> AnyView {
    if what.is_empty() { view! { <span class="dim">"not said"</span> }.into_any() } else { what.to_owned().into_any() }
}

fn firmware(d: &DeviceDetail) -> AnyView {
    let update = d.updates.first().map(|u| {
        let (tone, word) = words::update(u.state);
        view! {
            <dt>"Last update"</dt><dd>{status(tone, word)}</dd>
            <dt>"Rollout"</dt><dd><a href=format!("/rollouts/{}", u.rollout)>{u.rollout_name.clone()}</a></dd>
        }
    });
    card(
        "Firmware",
        Some(view! { <a href=format!("/devices/{}/firmware", d.row.device_id)>"History"</a> }.into_any()),
        view! {
            <dl class="kv">
                <dt>"Running"</dt><dd class="mono">{said(&d.row.version)}</dd>
                {(!d.row.version.is_empty()).then(|| view! { <dt>"Sequence"</dt><dd class="num">{d.sequence}</dd> })}
                {update}
            </dl>
        }
        .into_any(),
    )
}

fn attributes(d: &DeviceDetail) -> AnyView {
    if d.attributes.is_empty() {
        return ().into_any();
    }
    let rows = d.attributes.iter().map(|(k, v)| view! { <dt>{k.clone()}</dt><dd class="mono">{v.clone()}</dd> }).collect_view();
    card("What it says about itself", None, view! { <dl class="kv">{rows}</dl> }.into_any())
}

fn tags_title(d: &DeviceDetail) -> String {
    format!("Tags of {}", d.row.device_id)
}

/// The form that asks; `place` keeps the ids of the page's question and of its dialog apart.
fn tags_form(d: &DeviceDetail, place: &str, action: FormCall<SetTags>) -> AnyView {
    let (id, tags, field) = (d.row.device_id.to_string(), d.row.tags.join(", "), format!("{place}f-tags"));
    let pending = move || action.pending().get();
    view! {
        <ActionForm action=action>
            <input type="hidden" name="id" value=id/>
            <div class="body">
                {move || fault_banner(form::refusal(action).as_ref())}
                {text("tags", "Tags").id(field).value(tags).hint("Separated by commas or blanks. Filters and rollouts can ask for them.").max_length(2000).refused(action).view()}
            </div>
            {buttons("Cancel", asked::way_out(TAGS), submit("Save tags", "primary", pending))}
        </ActionForm>
    }
    .into_any()
}
