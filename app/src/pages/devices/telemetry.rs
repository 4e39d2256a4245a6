//! The telemetry of a device: charts by unit, a range in the address, moving while the range ends now.

use crate::{
    api::devices::{DeviceView, Window},
    ui::{
        card,
        chart::{LiveChart, Panel, Span},
        empty, icon,
        number::measured,
        svg::{COLOURS, Line},
        time,
    },
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use wire::{
    ids::DeviceId,
    live::DeviceLive,
    telemetry::{History, LatestValue},
};

/// The spans offered, by the word in the address: word, label, milliseconds.
const PRESETS: [(&str, &str, i64); 4] =
    [("15m", "15 m", 15 * 60_000), ("1h", "1 h", 3_600_000), ("6h", "6 h", 6 * 3_600_000), ("24h", "24 h", 24 * 3_600_000)];

/// The span a page shows, as its address says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// One of the presets, up to now.
    Last(usize),
    /// Between two instants, Unix milliseconds.
    Between(i64, i64),
}

impl Range {
    /// Reads the address: `from` and `to`, or `range`; anything else is the first preset.
    pub fn of(get: impl Fn(&str) -> Option<String>) -> Self {
        let number = |key: &str| get(key).and_then(|v| v.parse::<i64>().ok());
        match (number("from"), number("to")) {
            (Some(from), Some(to)) if from < to => Self::Between(from, to),
            _ => Self::Last(get("range").and_then(|word| PRESETS.iter().position(|(w, ..)| *w == word)).unwrap_or(0)),
        }
    }
    /// What to read.
    pub fn window(self) -> Window {
        match self {
            Self::Last(i) => Window { last_ms: PRESETS[i].2, from: None, to: None },
            Self::Between(from, to) => Window { last_ms: to - from, from: Some(from), to: Some(to) },
        }
    }
    const fn live(self) -> bool {
        matches!(self, Self::Last(_))
    }
    /// Its switch: links, so that the address says what is shown.
    pub fn switch(self, path: &str) -> AnyView {
        let links = PRESETS
            .into_iter()
            .enumerate()
            .map(|(i, (word, label, _))| {
                let href = if i == 0 { path.to_owned() } else { format!("{path}?range={word}") };
                view! { <a href=href aria-current=(self == Self::Last(i)).then_some("true")>{label}</a> }
            })
            .collect_view();
        let zoomed =
            (!self.live()).then(|| view! { <a class="btn" data-s="sm" href=path.to_owned()>{icon("rotate-ccw")}"Back to live"</a> });
        view! { {zoomed}<div class="seg" role="group" aria-label="Time range">{links}</div> }.into_any()
    }
}

/// The unit of a metric, by the end of its name.
fn unit(metric: &str) -> &'static str {
    const UNITS: [(&str, &str); 12] = [
        ("percent", "%"),
        ("celsius", "°C"),
        ("bytes_s", "B/s"),
        ("bytes", "B"),
        ("_ms", "ms"),
        (".ms", "ms"),
        ("dbm", "dBm"),
        ("rssi", "dBm"),
        ("volt", "V"),
        ("watt", "W"),
        ("rpm", "rpm"),
        (".s", "s"),
    ];
    UNITS.iter().find(|(end, _)| metric.ends_with(end)).map_or("", |(_, unit)| *unit)
}

/// Metrics that belong into one picture: the same unit, or without one the same first word; at most as many as there are colours.
pub fn panels(history: &History) -> Vec<Panel> {
    let mut out: Vec<(String, Panel)> = Vec::new();
    for series in &history.series {
        let unit = unit(&series.metric);
        let first = series.metric.split(['.', '_', '/']).next().unwrap_or_default();
        let key = if unit.is_empty() { first.to_owned() } else { format!(" {unit}") };
        let line = Line { label: series.metric.clone(), t: series.t.clone(), v: series.v.clone() };
        match out.iter_mut().find(|(k, panel)| *k == key && panel.lines.len() < COLOURS) {
            Some((_, panel)) => panel.lines.push(line),
            None => out.push((key, Panel { title: String::new(), unit, lines: vec![line] })),
        }
    }
    out.sort_by_key(|(_, panel)| (interest(panel.unit), std::cmp::Reverse(panel.lines.len())));
    out.into_iter()
        .map(|(_, mut panel)| {
            panel.title = title(&panel);
            panel
        })
        .collect()
}

/// What people look at first: how busy it is, how warm, how it is connected; how long it has been up at the end.
fn interest(unit: &str) -> usize {
    const ORDER: [&str; 5] = ["%", "°C", "B/s", "dBm", "V"];
    let last = if unit == "s" { ORDER.len() + 1 } else { ORDER.len() };
    ORDER.iter().position(|u| *u == unit).unwrap_or(last)
}

fn title(panel: &Panel) -> String {
    match panel.unit {
        "%" => "Usage".to_owned(),
        "°C" => "Temperature".to_owned(),
        "B/s" => "Network".to_owned(),
        "dBm" => "Signal".to_owned(),
        "V" => "Voltage".to_owned(),
        _ => {
            let name = panel.lines.first().map_or("", |l| l.label.split('.').next().unwrap_or_default());
            let mut chars = name.chars();
            chars.next().map(|c| std::iter::once(c.to_ascii_uppercase()).chain(chars).collect()).unwrap_or_default()
        }
    }
}

/// The first `most` pictures of a device's history.
pub fn charts(view: &DeviceView, range: Range, feed: RwSignal<Option<DeviceLive>>, most: usize) -> AnyView {
    let Some(history) = &view.history else { return ().into_any() };
    let all = panels(history);
    if all.is_empty() {
        return empty("activity", "No samples in this span", "Samples appear here as soon as the device sends some.", None);
    }
    let span = Span { from: view.from.millis(), to: view.to.millis(), live: range.live() };
    all.into_iter()
        .take(most)
        .map(|panel| {
            view! {
                <section class="chart-panel">
                    <h3>{panel.title.clone()}</h3>
                    <LiveChart panel=panel span=span feed=feed/>
                </section>
            }
        })
        .collect_view()
        .into_any()
}

/// The tab.
pub fn tab(view: &DeviceView, range: Range, feed: RwSignal<Option<DeviceLive>>) -> AnyView {
    let id = view.detail.row.device_id.clone();
    let path = format!("/devices/{id}/telemetry");
    let decimated = view.history.as_ref().is_some_and(|h| h.decimated);
    let note = decimated.then(|| view! { <span class="text-2">"least and greatest value of each interval"</span> });
    let aside = view! { {note}{range.switch(&path)} }.into_any();
    let pictures = zoomable(&path, view! { <div class="charts">{charts(view, range, feed, 12)}</div> }.into_any());
    view! {
        <div class="stack">
            {card("Telemetry", Some(aside), pictures)}
            {latest(&view.detail.latest)}
        </div>
    }
    .into_any()
}

/// A place whose charts can be zoomed: the span chosen with the pointer goes into the address, and the charts stand still.
pub fn zoomable(path: &str, inside: AnyView) -> AnyView {
    let navigate = use_navigate();
    let path = path.to_owned();
    let zoom = move |event: leptos::ev::CustomEvent| {
        if let Some((from, to)) = zoomed(&event) {
            let options = NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() };
            navigate(&format!("{path}?from={from}&to={to}"), options);
        }
    };
    view! { <div on:chart-zoom=zoom>{inside}</div> }.into_any()
}

#[cfg(feature = "hydrate")]
fn zoomed(event: &leptos::ev::CustomEvent) -> Option<(i64, i64)> {
    let detail = event.detail();
    #[expect(clippy::cast_possible_truncation, reason = "instants in milliseconds are far below 2^53")]
    let read = |key: &str| Some((js_sys::Reflect::get(&detail, &key.into()).ok()?.as_f64()? * 1000.0) as i64);
    Some((read("from")?, read("to")?)).filter(|(from, to)| from < to)
}

#[cfg(not(feature = "hydrate"))]
fn zoomed(_: &leptos::ev::CustomEvent) -> Option<(i64, i64)> {
    None
}

/// The newest value of each series.
fn latest(all: &[LatestValue]) -> AnyView {
    if all.is_empty() {
        return ().into_any();
    }
    let rows = all
        .iter()
        .map(|l| {
            let text = measured(l.value, unit(&l.metric));
            view! { <tr><td class="mono">{l.metric.clone()}</td><td class="num">{text}</td><td class="dim">{time::ago(l.at)}</td></tr> }
        })
        .collect_view();
    crate::ui::page::card_flush(
        "Latest values",
        None,
        crate::ui::table(
            "Latest values",
            vec![crate::ui::Column::text("Metric"), crate::ui::Column::number("Value"), crate::ui::Column::text("Measured")],
            rows.into_any(),
        ),
    )
}

/// The address of a device's telemetry.
pub fn path(id: &DeviceId) -> String {
    format!("/devices/{id}/telemetry")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::telemetry::Series;

    #[test]
    fn the_address_says_the_range() {
        let of = |query: &[(&str, &str)]| {
            let query: Vec<(String, String)> = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Range::of(move |key| query.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()))
        };
        assert_eq!(of(&[]), Range::Last(0));
        assert_eq!(of(&[("range", "24h")]), Range::Last(3));
        assert_eq!(of(&[("range", "bogus")]), Range::Last(0));
        assert_eq!(of(&[("from", "5"), ("to", "9")]), Range::Between(5, 9));
        assert_eq!(of(&[("from", "9"), ("to", "5"), ("range", "1h")]), Range::Last(1));
    }

    #[test]
    fn metrics_of_a_unit_share_a_picture() {
        let series = |metric: &str| Series { metric: metric.to_owned(), t: vec![0], v: vec![1.0] };
        let history = History {
            series: ["cpu.percent", "load.1", "mem.percent", "net.rx_bytes_s", "net.tx_bytes_s", "temp.celsius"].map(series).into(),
            decimated: false,
        };
        let all = panels(&history);
        let titles: Vec<_> = all.iter().map(|p| (p.title.as_str(), p.lines.len())).collect();
        assert_eq!(titles, [("Usage", 2), ("Temperature", 1), ("Network", 2), ("Load", 1)]);
        assert_eq!(unit("uptime.s"), "s");
        assert_eq!(unit("errors"), "");
    }
}
