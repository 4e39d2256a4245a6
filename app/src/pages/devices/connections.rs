//! When a device was connected: how much of each of the last thirty days, and every connection that is kept, the newest in front.

use crate::{
    plan::query::{address, push_place},
    ui::{
        Column, Tone, empty, icon,
        number::percent,
        page::{card, card_behind, card_flush, skeleton},
        pager, status, svg, table, time,
        unread::Known,
    },
};
use leptos::prelude::*;
use wire::{
    Timestamp,
    connections::ConnectionsPage,
    devices::{ConnectionSpan, DeviceDetail},
    ids::DeviceId,
    time::DAY_MS,
};

/// A place in the list, as the address says it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// `cur`; empty for the newest ones.
    pub cursor: String,
    /// `from`: how many rows lie in front of the page.
    pub before: i64,
}

/// What the days look like; none are days that nothing is known of.
const LOOKS: [(Option<Tone>, &str); 4] =
    [(Some(Tone::Ok), "all day"), (Some(Tone::Warn), "a part of the day"), (Some(Tone::Off), "not at all"), (None, "not known")];

/// What the tab's address may say.
pub const KNOWN: Known = (&[], &["cur", "from"]);

/// Reads the address; what is not understood is as if it was not there.
pub fn place(get: impl Fn(&str) -> Option<String>) -> Place {
    let cursor = get("cur").unwrap_or_default();
    let before = get("from").and_then(|n| n.parse().ok()).filter(|n| *n > 0 && !cursor.is_empty());
    Place { cursor, before: before.unwrap_or(0) }
}

/// The address of a page of it.
fn href(id: &DeviceId, place: &Place) -> String {
    let mut query = String::new();
    push_place(&mut query, place.before, &place.cursor);
    address(&format!("/devices/{id}/connections"), &query)
}

/// A day, as far as something is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day {
    begins: Timestamp,
    /// Milliseconds that it was connected, and of how many that is known.
    connected: i64,
    of: i64,
}

/// The days; nothing is known of what was before the device was enrolled, nor of what is still to come.
fn days(page: &ConnectionsPage, enrolled: Timestamp) -> Vec<Day> {
    let (known, now) = (enrolled.0.max(page.since.0), page.at.0);
    (0..)
        .zip(&page.days)
        .map(|(n, connected)| {
            let begins = page.first_day.plus(n * DAY_MS);
            let of = ((begins.0 + DAY_MS).min(now) - begins.0.max(known)).max(0);
            Day { begins, connected: (*connected).min(of), of }
        })
        .collect()
}

impl Day {
    /// How it is drawn: all of it but a hundredth, some of it, nothing of it. Nothing is known of it: no tone.
    const fn tone(self) -> Option<Tone> {
        if self.of == 0 {
            None
        } else if self.connected == 0 {
            Some(Tone::Off)
        } else if self.connected < self.of - self.of / 100 {
            Some(Tone::Warn)
        } else {
            Some(Tone::Ok)
        }
    }

    fn text(self) -> String {
        let share = if self.of == 0 { "not known".to_owned() } else { percent(self.connected, self.of) };
        format!("{}: {share}", self.begins.date())
    }
}

/// The tab; rows of grey until it was read.
pub fn tab(d: &DeviceDetail, page: Option<&ConnectionsPage>, before: i64) -> AnyView {
    let Some(page) = page else { return skeleton() };
    let id = &d.row.device_id;
    view! { <div class="stack">{month(&days(page, d.enrolled_at))}{list(id, page, before)}</div> }.into_any()
}

fn month(days: &[Day]) -> AnyView {
    let (connected, of) = days.iter().fold((0, 0), |(connected, of), day| (connected + day.connected, of + day.of));
    let share = percent(connected, of);
    let known = days.iter().filter(|day| day.of > 0).count();
    let said = if known < days.len() {
        format!("Connected {share} of the time that is known")
    } else {
        format!("Connected {share} of the last {} days", days.len())
    };
    let parts: Vec<(Option<Tone>, String)> = days.iter().map(|day| (day.tone(), day.text())).collect();
    let words: Vec<(Option<Tone>, &str)> = LOOKS.into_iter().filter(|(look, _)| days.iter().any(|day| day.tone() == *look)).collect();
    let of_what = if known < days.len() { " of what is known" } else { "" };
    let aside = view! { <span class="text-2">{format!("{share} connected{of_what}")}</span> }.into_any();
    let ends = days.first().zip(days.last()).map(|(first, last)| {
        view! { <div class="row small dim"><span>{first.begins.date()}</span><span class="push">{last.begins.date()}" (days of UTC)"</span></div> }
    });
    card(
        format!("Connection, last {} days", days.len()),
        Some(aside),
        view! { <div class="stack">{ends}{svg::bars(said, &parts, &words)}</div> }.into_any(),
    )
}

fn list(id: &DeviceId, page: &ConnectionsPage, before: i64) -> AnyView {
    let items = &page.connections.items;
    if items.is_empty() && before > 0 {
        return card_behind(href(id, &Place::default()));
    }
    if items.is_empty() {
        let text = "Each connection appears here, with how long it lasted and why it ended, and is kept for 31 days. A device that only polls has none.";
        return view! { <div class="card">{empty("wifi-off", "It was not connected lately", text, None)}</div> }.into_any();
    }
    let file = format!("/api/v1/devices/{id}/connections:export");
    let aside = view! { <a class="btn" data-s="sm" href=file download="" rel="external">{icon("download")}"CSV"</a> }.into_any();
    let columns: Vec<Column> = ["Connected", "Lasted", "Ended", "Why it ended", "From"].map(Column::text).into();
    let lines = items.iter().map(|span| line(span, page.at)).collect_view();
    let shown = i64::try_from(items.len()).unwrap_or(0);
    let first = (before > 0).then(|| href(id, &Place::default()));
    let next = page.connections.next.clone().map(|cursor| href(id, &Place { cursor, before: before + shown }));
    view! {
        {card_flush("Connections", Some(aside), table("Connections of this device", columns, lines.into_any()))}
        {pager(before, shown, page.connections.total, first, next)}
    }
    .into_any()
}

fn line(span: &ConnectionSpan, now: Timestamp) -> AnyView {
    let lasted = wire::time::duration(span.to.unwrap_or(now).since(span.from));
    let (end, why) = match span.to {
        None => (status(Tone::Ok, "Connected"), ().into_any()),
        Some(end) if span.reason.is_empty() => (time::at(end), view! { <span class="dim">"not known"</span> }.into_any()),
        Some(end) => (time::at(end), span.reason.clone().into_any()),
    };
    view! {
        <tr>
            <th scope="row">{time::at(span.from)}</th>
            <td>{lasted}</td>
            <td>{end}</td>
            <td>{why}</td>
            <td class="mono">{span.address.clone()}</td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::query::pairs;
    use wire::page::Page;

    const HOUR: i64 = DAY_MS / 24;

    #[test]
    fn the_address_keeps_a_place() {
        let id: DeviceId = "gw-1".parse().unwrap();
        for there in [Place::default(), Place { cursor: "1700000000000.17".into(), before: 50 }] {
            let address = href(&id, &there);
            let said = pairs(address.split_once('?').map_or("", |(_, query)| query));
            let get = |key: &str| said.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
            assert_eq!(place(get), there, "{address}");
        }
        let alone = |key: &str| (key == "from").then(|| "50".to_owned());
        assert_eq!(place(alone), Place::default(), "rows lie in front of a page only where there is one");
    }

    #[test]
    fn a_day_is_measured_by_what_is_known_of_it() {
        let first = Timestamp(100 * DAY_MS);
        let day = |n: i64| first.plus(n * DAY_MS);
        let page = |connected: [i64; 4], since: Timestamp| ConnectionsPage {
            connections: Page::whole(Vec::new()),
            days: connected.to_vec(),
            first_day: first,
            since,
            at: day(3).plus(6 * HOUR),
        };
        let enrolled = day(1).plus(12 * HOUR);
        let all = days(&page([0, 12 * HOUR, 6 * HOUR, 6 * HOUR], first), enrolled);
        assert_eq!(all.iter().map(|day| day.of / HOUR).collect::<Vec<_>>(), [0, 12, 24, 6]);
        assert_eq!(all.iter().map(|day| day.tone()).collect::<Vec<_>>(), [None, Some(Tone::Ok), Some(Tone::Warn), Some(Tone::Ok)]);
        assert_eq!(all[0].text(), "11 Apr 1970: not known");
        assert_eq!(all[2].text(), "13 Apr 1970: 25 %");
        let short = days(&page([0, 0, DAY_MS - 60_000, 0], day(2)), first);
        assert_eq!(short.iter().map(|day| day.of / HOUR).collect::<Vec<_>>(), [0, 0, 24, 6], "nothing was read of what was before");
        assert_eq!((short[0].tone(), short[2].tone()), (None, Some(Tone::Ok)), "a minute of a day is no gap to be seen");
    }
}
