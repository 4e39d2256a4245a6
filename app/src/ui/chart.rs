//! A live line chart: the server's SVG first, the chart module (uPlot) over it once it is loaded, fed with points as they arrive.

use super::svg::{self, Line};
use leptos::{html, prelude::*};
use wire::live::DeviceLive;

/// What a chart shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// The unit of its values; empty for none.
    pub unit: &'static str,
    /// Its lines, at most [`svg::COLOURS`].
    pub lines: Vec<Line>,
}

/// The span a chart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From, Unix milliseconds.
    pub from: i64,
    /// To, Unix milliseconds.
    pub to: i64,
    /// Whether it ends now and moves with time.
    pub live: bool,
}

/// Pure: all lines on one time axis: the union of their times, and each line's values there, interpolated between its neighbours; outside of a line
/// it is not a number.
pub fn align(lines: &[Line]) -> (Vec<i64>, Vec<Vec<f64>>) {
    let mut times: Vec<i64> = lines.iter().flat_map(|l| l.t.iter().copied()).collect();
    times.sort_unstable();
    times.dedup();
    let columns = lines.iter().map(|line| times.iter().map(|t| value_at(line, *t)).collect()).collect();
    (times, columns)
}

#[expect(clippy::cast_precision_loss, reason = "spans between neighbouring samples are far below 2^53 ms")]
fn value_at(line: &Line, t: i64) -> f64 {
    let i = line.t.partition_point(|x| *x < t);
    match (line.t.get(i), i.checked_sub(1)) {
        (Some(at), _) if *at == t => line.v[i],
        (Some(at), Some(before)) => {
            let (t0, v0) = (line.t[before], line.v[before]);
            v0 + (line.v[i] - v0) * (t - t0) as f64 / (at - t0).max(1) as f64
        }
        _ => f64::NAN,
    }
}

/// A chart of one panel. `feed` brings new points of the device, one batch a frame of the screen.
#[component]
pub fn LiveChart(
    /// What to show.
    panel: Panel,
    /// Over which time.
    span: Span,
    /// New points.
    feed: RwSignal<Option<DeviceLive>>,
) -> AnyView {
    let place = NodeRef::<html::Div>::new();
    let label = format!("{}: {}", panel.title, panel.lines.iter().map(|l| l.label.as_str()).collect::<Vec<_>>().join(", "));
    let picture = svg::line_chart(label.clone(), panel.unit, &panel.lines, span.from, span.to);
    let legend = svg::legend(&panel.lines, panel.unit);
    let table = table(&panel);
    #[cfg(feature = "hydrate")]
    rim::mount(place, label, panel, span, feed);
    #[cfg(not(feature = "hydrate"))]
    drop((feed, label, panel));
    view! {
        <div class="chart-box">
            <div class="chart" node_ref=place></div>
            {picture}
            {legend}
            {table}
        </div>
    }
    .into_any()
}

/// At most so many rows in the table form.
const ROWS: usize = 30;

/// The chart as a table: evenly chosen points of its span.
fn table(panel: &Panel) -> AnyView {
    let (times, columns) = align(&panel.lines);
    let step = times.len().div_ceil(ROWS).max(1);
    let heads = panel.lines.iter().map(|l| view! { <th scope="col" class="num">{l.label.clone()}</th> }).collect_view();
    let rows = times
        .iter()
        .enumerate()
        .rev()
        .step_by(step)
        .map(|(i, t)| {
            let cells = columns
                .iter()
                .map(|c| view! { <td class="num">{if c[i].is_finite() { super::number::measured(c[i], panel.unit) } else { "–".to_owned() }}</td> })
                .collect_view();
            view! { <tr><td>{super::time::at(wire::Timestamp(*t))}</td>{cells}</tr> }
        })
        .collect_view();
    view! {
        <details class="chart-table">
            <summary>{super::icon::icon("list")}"Show as table"</summary>
            <div class="table-wrap" role="region" tabindex="0" aria-label=format!("{}, as a table", panel.title)>
                <table class="table"><thead><tr><th scope="col">"Time"</th>{heads}</tr></thead><tbody>{rows}</tbody></table>
            </div>
        </details>
    }
    .into_any()
}

#[cfg(feature = "hydrate")]
mod rim {
    use super::{Panel, Span, align};
    use crate::{
        live,
        ui::{browser, number},
    };
    use js_sys::{Array, Float64Array, Object, Reflect};
    use leptos::{html, prelude::*};
    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
    };
    use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
    use wire::live::DeviceLive;

    #[wasm_bindgen(inline_js = "export const load = url => import(url);")]
    extern "C" {
        #[wasm_bindgen(catch)]
        async fn load(url: &str) -> Result<JsValue, JsValue>;
    }

    #[wasm_bindgen]
    extern "C" {
        /// The module's exports.
        type Module;
        #[wasm_bindgen(method)]
        fn mount(this: &Module, place: &web_sys::HtmlElement, options: &JsValue) -> Chart;
        /// A mounted chart; see `chart.src.js`.
        type Chart;
        #[wasm_bindgen(method)]
        fn replace(this: &Chart, t: &Float64Array, values: &Array);
        #[wasm_bindgen(method)]
        fn push(this: &Chart, t: &Float64Array, values: &Array);
        #[wasm_bindgen(method)]
        fn destroy(this: &Chart);
        /// Whether it moves with time.
        #[wasm_bindgen(method, setter)]
        fn set_live(this: &Chart, live: bool);
    }

    /// A mounted chart and what keeps it going.
    struct Mounted {
        chart: Chart,
        place: web_sys::HtmlElement,
        /// What it was made for; another one is needed when this differs.
        key: String,
        skew: Skew,
        /// The component that feeds it; none while the page around it is being read again.
        owner: Option<u32>,
        _now: Closure<dyn FnMut() -> f64>,
    }

    /// Milliseconds the server's clock is ahead of the browser's: the chart ends at the server's now.
    type Skew = Rc<Cell<f64>>;

    thread_local! {
        // A page that is read again makes its components anew over the same elements; the chart there is taken over instead of built again.
        static CHARTS: RefCell<Vec<Mounted>> = const { RefCell::new(Vec::new()) };
        static NEXT: Cell<u32> = const { Cell::new(0) };
    }

    pub(super) fn mount(place: NodeRef<html::Div>, label: String, panel: Panel, span: Span, feed: RwSignal<Option<DeviceLive>>) {
        let me = NEXT.replace(NEXT.get().wrapping_add(1));
        let gone = Rc::new(Cell::new(false));
        let panel = Rc::new(panel);
        let mut last: Vec<f64> = panel.lines.iter().map(|l| l.v.last().copied().unwrap_or(f64::NAN)).collect();
        Effect::new({
            let (panel, gone) = (panel.clone(), gone.clone());
            move |begun: Option<bool>| {
                let Some(place) = place.get() else { return false };
                if begun != Some(true) {
                    leptos::task::spawn_local(begin(me, place.into(), label.clone(), panel.clone(), span, gone.clone()));
                }
                true
            }
        });
        if span.live {
            Effect::new(move |_| {
                feed.with(|news| {
                    if let Some(news) = news {
                        append(me, &panel, &mut last, news);
                    }
                });
            });
        }
        if let (true, Some(live)) = (span.live, live::live()) {
            // A page that is held still must not run out of its own picture.
            let paused = Memo::new(move |_| live.status.with(|status| status.paused));
            Effect::new(move |_| {
                let moves = !paused.get();
                CHARTS.with_borrow(|all| all.iter().filter(|c| c.owner == Some(me)).for_each(|c| c.chart.set_live(moves)));
            });
        }
        let gone = StoredValue::new_local(gone);
        on_cleanup(move || {
            gone.with_value(|gone| gone.set(true));
            CHARTS.with_borrow_mut(|all| {
                for chart in all.iter_mut().filter(|c| c.owner == Some(me)) {
                    chart.owner = None;
                }
            });
            // Whoever takes it over does so before the next frame of the screen.
            set_timeout(sweep, std::time::Duration::from_millis(250));
        });
    }

    /// Ends the charts that nobody took over.
    fn sweep() {
        let left: Vec<Mounted> = CHARTS.with_borrow_mut(|all| all.extract_if(.., |c| c.owner.is_none()).collect());
        for gone in left {
            gone.chart.destroy();
        }
    }

    async fn begin(me: u32, place: web_sys::HtmlElement, label: String, panel: Rc<Panel>, span: Span, gone: Rc<Cell<bool>>) {
        let Some(url) = browser::meta("fw-chart") else { return };
        let Ok(module) = load(&url).await else {
            // The picture underneath stays; why it did not load, the browser has said itself.
            leptos::logging::error!("the chart module could not be loaded");
            return;
        };
        let module: Module = module.unchecked_into();
        if gone.get() {
            return;
        }
        let (t, values) = align(&panel.lines);
        let (t, values) = (seconds(&t), columns(&values));
        // A chart that stands still is one of its instants, one that moves only of its length.
        let key = format!("{label} {} {}", span.to - span.from, if span.live { 0 } else { span.from });
        let taken_over = CHARTS.with_borrow_mut(|all| {
            let there = all.iter_mut().find(|c| c.owner.is_none() && c.key == key && c.place == place)?;
            there.owner = Some(me);
            there.chart.replace(&t, &values);
            Some(())
        });
        if taken_over.is_some() {
            return;
        }
        let skew: Skew = Rc::default();
        let now = Closure::<dyn FnMut() -> f64>::new({
            let skew = skew.clone();
            move || (js_sys::Date::now() + skew.get()) / 1000.0
        });
        let chart = module.mount(&place, &options(&label, &panel, span, &now));
        chart.replace(&t, &values);
        if let Some(picture) = place.parent_element() {
            let _ = picture.set_attribute("data-mounted", "");
        }
        CHARTS.with_borrow_mut(|all| all.push(Mounted { chart, place, key, skew, owner: Some(me), _now: now }));
    }

    fn options(label: &str, panel: &Panel, span: Span, now: &Closure<dyn FnMut() -> f64>) -> JsValue {
        let set = |target: &Object, key: &str, value: &JsValue| {
            // Setting a property of a plain object can't fail.
            let _ = Reflect::set(target, &JsValue::from_str(key), value);
        };
        let options = Object::new();
        let series = Array::new();
        for line in &panel.lines {
            let entry = Object::new();
            set(&entry, "label", &JsValue::from_str(&line.label));
            series.push(&entry);
        }
        #[expect(clippy::cast_precision_loss, reason = "a chart's span in milliseconds is far below 2^53")]
        let window = (span.to - span.from) as f64 / 1000.0;
        set(&options, "series", &series);
        set(&options, "windowS", &JsValue::from_f64(window));
        set(&options, "live", &JsValue::from_bool(span.live));
        if !span.live {
            set(&options, "from", &JsValue::from_f64(instant(span.from)));
            set(&options, "to", &JsValue::from_f64(instant(span.to)));
        }
        set(&options, "cap", &JsValue::from_f64(8192.0));
        set(&options, "label", &JsValue::from_str(label));
        set(&options, "now", now.as_ref());
        let scales = number::scales(panel.unit).iter().copied().map(|(n, unit)| scale(n, unit)).collect::<Array>();
        if scales.length() == 0 {
            scales.push(&scale(1.0, panel.unit));
        }
        set(&options, "scales", &scales);
        options.into()
    }

    fn scale(n: f64, unit: &'static str) -> JsValue {
        Array::of2(&JsValue::from_f64(n), &JsValue::from_str(unit)).into()
    }

    /// Puts new points behind the old ones; a line without a point at a time keeps its last value there.
    fn append(me: u32, panel: &Panel, last: &mut [f64], news: &DeviceLive) {
        let mut times: Vec<i64> = Vec::new();
        let series: Vec<Option<&[(i64, f64)]>> =
            panel.lines.iter().map(|line| news.points.iter().find(|p| p.metric == line.label).map(|p| p.points.as_slice())).collect();
        for points in series.iter().flatten() {
            times.extend(points.iter().map(|(t, _)| *t));
        }
        if times.is_empty() {
            return;
        }
        times.sort_unstable();
        times.dedup();
        let values: Vec<Vec<f64>> = series
            .iter()
            .zip(last.iter_mut())
            .map(|(points, last)| {
                let mut points = points.unwrap_or_default().iter().peekable();
                times
                    .iter()
                    .map(|t| {
                        while let Some((_, v)) = points.next_if(|(at, _)| at <= t) {
                            *last = *v;
                        }
                        *last
                    })
                    .collect()
            })
            .collect();
        for (line, value) in panel.lines.iter().zip(last.iter()) {
            latest(&line.label, *value, panel.unit);
        }
        CHARTS.with_borrow(|all| {
            if let Some(mine) = all.iter().find(|c| c.owner == Some(me)) {
                #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
                mine.skew.set((news.at.millis() - browser::epoch_ms()) as f64);
                mine.chart.push(&seconds(&times), &columns(&values));
            }
        });
    }

    /// The newest value in the legend, written straight into its node: the picture around it does not change.
    fn latest(label: &str, value: f64, unit: &'static str) {
        if value.is_finite()
            && let Some(place) = browser::find(&format!("[data-latest=\"{}\"]", label.replace(['"', '\\'], "")))
        {
            place.set_text_content(Some(&number::measured(value, unit)));
        }
    }

    fn seconds(t: &[i64]) -> Float64Array {
        Float64Array::from(t.iter().map(|t| instant(*t)).collect::<Vec<_>>().as_slice())
    }

    /// Seconds since 1970, as the module counts.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
    fn instant(t: i64) -> f64 {
        t as f64 / 1000.0
    }

    fn columns(values: &[Vec<f64>]) -> Array {
        // The module takes differences; those of the greatest numbers there are would be none.
        let within = |v: &f64| v.clamp(-7e307, 7e307);
        values.iter().map(|column| Float64Array::from(column.iter().map(within).collect::<Vec<_>>().as_slice())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_meet_on_one_axis() {
        let a = Line { label: "a".into(), t: vec![0, 20], v: vec![0.0, 2.0] };
        let b = Line { label: "b".into(), t: vec![10], v: vec![5.0] };
        let (t, v) = align(&[a, b]);
        assert_eq!(t, [0, 10, 20]);
        assert_eq!(v[0], [0.0, 1.0, 2.0]);
        assert!(v[1][0].is_nan() && v[1][2].is_nan());
        assert!((v[1][1] - 5.0).abs() < f64::EPSILON);
    }
}
