//! A device: its head, its tabs, and what feeds them.

use super::{
    activity, certificates, connections, firmware, life,
    overview::{self, Actions},
    telemetry,
};
use crate::api::packed::reading;
use crate::{
    api::devices::{DeviceView, ReadDevice},
    live,
    pages::words,
    ui::{
        PageHead, Tab, Tone, badge, card, empty, icon, page, status,
        status::{badge_with, tags},
        tabs, time,
        unread::{self, Known},
    },
};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use wire::{
    activity::ActivityQuery,
    connections::ConnectionsQuery,
    devices::DeviceDetail,
    ids::DeviceId,
    live::{DeviceLive, Topic},
    states::{DeviceState, DeviceStep},
    updates::AttemptsQuery,
};

/// The tabs, by the last part of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Overview,
    Telemetry,
    Firmware,
    Certificates,
    Connections,
    Activity,
    /// The question before a step of its life, as a page.
    Life(DeviceStep),
    Unknown,
}

impl Section {
    fn of(tab: &str) -> Self {
        match tab {
            "" => Self::Overview,
            "telemetry" => Self::Telemetry,
            "firmware" => Self::Firmware,
            "certificates" => Self::Certificates,
            "connections" => Self::Connections,
            "activity" => Self::Activity,
            word => word.parse().map_or(Self::Unknown, Self::Life),
        }
    }
    const fn charts(self) -> bool {
        matches!(self, Self::Overview | Self::Telemetry)
    }
    /// What the address of a tab that is a list may say.
    const fn known(self) -> Option<Known> {
        match self {
            Self::Firmware => Some(firmware::KNOWN),
            Self::Connections => Some(connections::KNOWN),
            Self::Activity => Some(activity::KNOWN),
            Self::Overview | Self::Telemetry | Self::Certificates | Self::Life(_) | Self::Unknown => None,
        }
    }
}

/// A device.
#[component]
pub fn DevicePage() -> AnyView {
    let params = use_params_map();
    let address = use_query_map();
    let id = Memo::new(move |_| params.with(|p| p.get_str("id").unwrap_or_default().to_owned()));
    let section = Memo::new(move |_| params.with(|p| Section::of(p.get_str("tab").unwrap_or_default())));
    let range = Memo::new(move |_| address.with(|a| telemetry::Range::of(|key| a.get_str(key).map(str::to_owned))));
    let window = Memo::new(move |_| section.get().charts().then(|| range.get().window()));
    let past = Memo::new(move |_| address.with(|a| activity::asked(|key| a.get_str(key).map(str::to_owned))));
    let activity = Memo::new(move |_| (section.get() == Section::Activity).then(|| past.get()));
    let place = Memo::new(move |_| address.with(|a| connections::place(|key| a.get_str(key).map(str::to_owned))));
    let connections =
        Memo::new(move |_| (section.get() == Section::Connections).then(|| ConnectionsQuery { cursor: place.get().cursor, rows: None }));
    let updates = Memo::new(move |_| {
        address.with(|a| firmware::Asked {
            place: connections::place(|key| a.get_str(key).map(str::to_owned)),
            whole: a.get_str("log").and_then(|log| log.parse().ok()),
            pin: a.get_str("ask") == Some("pin"),
            cancel: a.get_str("ask") == Some("cancel"),
        })
    });
    let attempts = Memo::new(move |_| {
        let firmware::Asked { place, whole, .. } = updates.get();
        (section.get() == Section::Firmware).then_some(AttemptsQuery { cursor: place.cursor, rows: None, whole })
    });
    let model = reading(move || ReadDevice {
        id: id.get(),
        window: window.get(),
        activity: activity.get(),
        connections: connections.get(),
        attempts: attempts.get(),
    });
    let topic = move || id.with(|id| id.parse::<DeviceId>().ok()).map(Topic::Device);
    let feed = RwSignal::new(None::<DeviceLive>);
    let shown = StoredValue::new(None::<bool>);
    live::on_device(topic, move |news| {
        // Coming or going changes more than the charts: the page is read again.
        if news.online.is_some_and(|now| shown.get_value().is_some_and(|shown| shown != now)) {
            model.refetch();
        }
        feed.set(Some(news.clone()));
    });
    live::refetch_on(|| Some(Topic::Rollouts), 2000, model);
    let actions = Actions::new(move || model.refetch());
    let notice = unread::notice_of(move |path| path.starts_with("/devices/").then(|| section.get().known()).flatten());
    let content = page(model, move |view: DeviceView| {
        shown.set_value(Some(view.detail.row.online));
        let asked = (range.get_untracked(), past.get_untracked(), place.get_untracked().before, updates.get_untracked());
        content(&view, section.get(), asked, feed, &actions)
    });
    view! { {notice}{content} }.into_any()
}

fn content(
    view: &DeviceView,
    section: Section,
    (range, past, before, updates): (telemetry::Range, ActivityQuery, i64, firmware::Asked),
    feed: RwSignal<Option<DeviceLive>>,
    actions: &Actions,
) -> AnyView {
    let row = view.detail.row.clone();
    let body = match section {
        Section::Overview => overview::tab(view, range, feed, actions),
        Section::Telemetry => telemetry::tab(view, range, feed),
        Section::Firmware => firmware::tab(&view.detail, view.attempts.as_ref(), &updates, actions),
        Section::Certificates => certificates::tab(&view.detail, actions),
        Section::Connections => connections::tab(&view.detail, view.connections.as_ref(), before),
        Section::Activity => activity::tab(&row.device_id, view.activity.as_ref(), past),
        Section::Life(step) => life::question(step, &view.detail, actions.life),
        Section::Unknown => {
            let back = view! { <a class="btn" href=format!("/devices/{}", row.device_id)>"Go to the device"</a> }.into_any();
            card("Not found", None, empty("search", "A device has no such page", "It may have been mistyped.", Some(back)))
        }
    };
    let suspicion = life::suspicion(&view.detail, actions.clear);
    view! { {head(&view.detail)}{suspicion}{nav(&row.device_id, section)}<div class="mt-4">{body}</div> }.into_any()
}

fn head(d: &DeviceDetail) -> AnyView {
    let row = &d.row;
    let (tone, word) = words::device(row.state, row.online);
    let presence = match (row.state, row.online) {
        (DeviceState::Active, true) => badge_with(tone, "wifi", word),
        (DeviceState::Active, false) => badge_with(tone, "wifi-off", word),
        _ => badge(tone, word),
    };
    let update = row.update.filter(|u| !u.finished() || u.error()).map(|state| {
        let (tone, word) = words::update(state);
        status(tone, word)
    });
    let pinned = d.pin.as_ref().map(|_| badge_with(Tone::Hold, "lock", "Pinned"));
    let marks = view! { {presence}{update}{pinned}{tags(&row.tags)} }.into_any();
    let hardware = if row.hardware.is_empty() { String::new() } else { format!(" rev {}", row.hardware) };
    let firmware = (!row.version.is_empty()).then(|| view! { " · firmware "<span class="mono">{row.version.clone()}</span> });
    // What speaks EST alone is never on a channel, and is there all the same.
    let used = d.certificates.iter().filter_map(|c| c.first_used_at).max();
    let seen = match (row.last_seen_at, used) {
        (Some(at), _) => view! { " · seen "{time::ago(at)} }.into_any(),
        (None, Some(at)) => view! { " · never connected, certificate first used "{time::ago(at)} }.into_any(),
        (None, None) => " · never seen".into_any(),
    };
    let sub = view! { {row.device_type.clone()}{hardware}{firmware}{seen} }.into_any();
    view! { <PageHead title=row.device_id.to_string() mono=true marks=marks sub=sub/> }.into_any()
}

fn nav(id: &DeviceId, section: Section) -> AnyView {
    let tab = |path: &str, label: &'static str, this: Section| Tab::new(format!("/devices/{id}{path}"), label, section == this);
    tabs(
        "Device sections",
        vec![
            tab("", "Overview", Section::Overview),
            tab("/telemetry", "Telemetry", Section::Telemetry),
            tab("/firmware", "Firmware", Section::Firmware),
            tab("/certificates", "Certificates", Section::Certificates),
            tab("/connections", "Connections", Section::Connections),
            tab("/activity", "Activity", Section::Activity),
        ],
    )
}

/// An icon before words, for the tabs' buttons.
pub(super) fn with_icon(name: &'static str, words: &'static str) -> AnyView {
    view! { {icon(name)}{words} }.into_any()
}
