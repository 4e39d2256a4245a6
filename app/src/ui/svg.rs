//! Pure: small pictures as SVG, the same on the server and in the browser. Every chart has this form; script only adds movement.

use super::{
    number::{decimal, measured, plain, scale, ticks},
    status::Tone,
};
use leptos::prelude::*;

/// Colours a chart's series cycle through.
pub const COLOURS: usize = 6;
/// Dash patterns, so that lines differ without colour too.
pub const DASHES: [&str; COLOURS] = ["", "6 3", "2 3", "8 3 2 3", "1 3", "10 4"];

const WIDTH: f64 = 900.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 190.0;
const TOP: f64 = 10.0;

/// One line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is.
    pub label: String,
    /// Unix milliseconds, ascending.
    pub t: Vec<i64>,
    /// Values, as many.
    pub v: Vec<f64>,
}

/// Least and greatest value with a little air; never empty.
pub fn range(lines: &[Line]) -> (f64, f64) {
    let (lo, hi) = lines
        .iter()
        .flat_map(|l| &l.v)
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
    if lo > hi {
        return (0.0, 1.0);
    }
    let air = if hi > lo { half(lo, hi) * 0.16 } else { hi.abs().max(1.0) * 0.1 };
    ((lo - air).max(f64::MIN), (hi + air).min(f64::MAX))
}

/// Half of the way from `lo` to `hi`: the whole may be more than a number can hold.
fn half(lo: f64, hi: f64) -> f64 {
    hi / 2.0 - lo / 2.0
}

/// How high a value stands in `lo..hi`.
fn height(v: f64, (lo, hi): (f64, f64)) -> f64 {
    BOTTOM - (BOTTOM - TOP) * (half(lo, v) / half(lo, hi).max(f64::MIN_POSITIVE))
}

/// A polyline's `points` for times `from..to` and values `lo..hi`.
pub fn points(line: &Line, (from, to): (i64, i64), range: (f64, f64)) -> String {
    use std::fmt::Write;
    let span_t = ms((to - from).max(1));
    let mut out = String::with_capacity(line.t.len() * 12);
    for (t, v) in line.t.iter().zip(&line.v).filter(|(t, v)| (from..=to).contains(*t) && v.is_finite()) {
        let x = LEFT + (WIDTH - LEFT) * ms(t - from) / span_t;
        // Writing to a string can't fail.
        let _ = write!(out, "{},{} ", decimal(x, 1), decimal(height(*v, range), 1));
    }
    out
}

#[expect(clippy::cast_precision_loss, reason = "a chart's span in milliseconds is far below 2^53")]
fn ms(t: i64) -> f64 {
    t as f64
}

/// A line chart; `label` says in words what it shows. `from..to` are Unix milliseconds.
pub fn line_chart(label: String, unit: &'static str, lines: &[Line], from: i64, to: i64) -> AnyView {
    let (lo, hi) = range(lines);
    let (n, unit) = scale(unit, lo.abs().max(hi.abs()));
    let rules = ticks(lo / n, hi / n)
        .into_iter()
        .map(|value| {
            let y = height(value * n, (lo, hi));
            let text = if value.abs() < 1e13 { plain(value) } else { super::number::value(value) };
            view! {
                <line class="rule" x1="64" x2="900" y1=decimal(y, 1) y2=decimal(y, 1)></line>
                <text class="axis" x="58" y=decimal(y + 4.0, 1) text-anchor="end">{format!("{text} {unit}").trim_end().to_owned()}</text>
            }
        })
        .collect_view();
    let curves = lines
        .iter()
        .enumerate()
        .map(|(i, line)| {
            let style = format!("--c:var(--chart-{})", i % COLOURS + 1);
            let points = points(line, (from, to), (lo, hi));
            // A line of one point has no length: it is drawn as a dot.
            let (x, y) = points.trim_end().split_once(',').filter(|(_, y)| !y.contains(' ')).unwrap_or_default();
            let dot = (!x.is_empty())
                .then(|| view! { <circle cx=x.to_owned() cy=y.to_owned() r="3" style=style.replace("--c", "fill")></circle> });
            view! { <polyline class="curve" points=points.clone() stroke-dasharray=DASHES[i % COLOURS] style=style></polyline>{dot} }
        })
        .collect_view();
    let times = [0.0, 0.25, 0.5, 0.75]
        .into_iter()
        .map(|part| {
            #[expect(clippy::cast_possible_truncation, reason = "a part of a chart's span")]
            let t = wire::Timestamp(from + (ms(to - from) * part) as i64);
            let (_, _, _, h, m, _, _) = t.civil();
            view! { <text class="axis" x=decimal(LEFT + (WIDTH - LEFT) * part, 1) y="212">{format!("{h:02}:{m:02}")}</text> }
        })
        .collect_view();
    view! { <svg class="line-chart" viewBox="0 0 900 220" role="img" aria-label=label>{rules}{curves}{times}</svg> }.into_any()
}

/// A chart's legend: a sample of each line and its name, with the newest value behind it.
pub fn legend(lines: &[Line], unit: &'static str) -> AnyView {
    let entries = lines
        .iter()
        .enumerate()
        .map(|(i, line)| {
            let newest = line.v.last().map(|v| measured(*v, unit));
            view! {
                <span class="entry">
                    <svg viewBox="0 0 24 8" aria-hidden="true">
                        <line x1="0" x2="24" y1="4" y2="4" stroke-width="2" stroke-dasharray=DASHES[i % COLOURS] style=format!("stroke:var(--chart-{})", i % COLOURS + 1)></line>
                    </svg>
                    {line.label.clone()}
                    <b class="num" data-latest=line.label.clone()>{newest}</b>
                </span>
            }
        })
        .collect_view();
    view! { <div class="legend">{entries}</div> }.into_any()
}

/// A strip of spans over time, filled where something held: `spans` are Unix milliseconds within `from..to`. `label` says it in words.
pub fn strip(label: String, spans: &[(i64, i64)], from: i64, to: i64) -> AnyView {
    let mut parts = Vec::new();
    let mut at = from;
    for (start, end) in spans {
        let (start, end) = ((*start).max(at), (*end).min(to));
        if end <= start {
            continue;
        }
        if start > at {
            parts.push(("off", start - at));
        }
        parts.push(("ok", end - start));
        at = end;
    }
    if at < to {
        parts.push(("off", to - at));
    }
    let parts = parts.into_iter().map(|(s, n)| view! { <i data-s=s style=format!("--n:{}", n / 1000)></i> }).collect_view();
    view! { <div class="uptime" role="img" aria-label=label>{parts}</div> }.into_any()
}

/// A line without axes, from the first value to the last: where a number comes from. `label` says it in words. Nothing of fewer than two values.
pub fn spark(label: String, values: &[i64]) -> AnyView {
    if values.len() < 2 {
        return ().into_any();
    }
    view! {
        <svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label=label>
            <polyline points=spark_points(values) vector-effect="non-scaling-stroke"></polyline>
        </svg>
    }
    .into_any()
}

/// The `points` of such a line within 100 × 24: nothing lies at the bottom, the greatest value at the top.
fn spark_points(values: &[i64]) -> String {
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let last = i64::try_from(values.len()).unwrap_or(i64::MAX).saturating_sub(1).max(1);
    let point = |(n, value): (i64, &i64)| {
        let (x, y) = (100.0 * ms(n) / ms(last), 23.0 - 22.0 * ms((*value).max(0)) / ms(most));
        format!("{},{}", decimal(x, 1), decimal(y, 1))
    };
    (0..).zip(values).map(point).collect::<Vec<_>>().join(" ")
}

/// A strip of parts of one length, each in its tone and with what it is in words; a part without a tone is one that nothing is known of. `label` says the
/// whole in words, and `words` stand below: what the looks mean.
pub fn bars(label: String, parts: &[(Option<Tone>, String)], words: &[(Option<Tone>, &'static str)]) -> AnyView {
    let look = |tone: Option<Tone>| tone.map_or("none", Tone::as_str);
    let strip = parts.iter().map(|(tone, text)| view! { <i data-s=look(*tone) title=text.clone() style="--n:1"></i> }).collect_view();
    let entries = words
        .iter()
        .map(|(tone, word)| view! { <span class="entry"><span class="uptime" aria-hidden="true"><i data-s=look(*tone)></i></span>{*word}</span> })
        .collect_view();
    view! { <div class="uptime" role="img" aria-label=label>{strip}</div><div class="legend">{entries}</div> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(v: &[f64]) -> Line {
        Line { label: "x".into(), t: (0..).step_by(1000).take(v.len()).collect(), v: v.to_vec() }
    }

    #[test]
    fn a_range_has_air_and_is_never_empty() {
        assert_eq!(range(&[]), (0.0, 1.0));
        let (lo, hi) = range(&[line(&[5.0])]);
        assert!(lo < 5.0 && hi > 5.0);
        let (lo, hi) = range(&[line(&[f64::NAN, 0.0, 100.0])]);
        assert!((lo + 8.0).abs() < 1e-9 && (hi - 108.0).abs() < 1e-9);
    }

    #[test]
    fn a_sparkline_reaches_from_edge_to_edge_and_its_greatest_value_the_top() {
        assert_eq!(spark_points(&[0, 5, 10]), "0.0,23.0 50.0,12.0 100.0,1.0");
        assert_eq!(spark_points(&[0, 0]), "0.0,23.0 100.0,23.0");
        assert_eq!(spark_points(&[7, 7]), "0.0,1.0 100.0,1.0");
    }

    #[test]
    fn points_stay_within_the_picture_and_leave_the_impossible_out() {
        let p = points(&line(&[0.0, f64::INFINITY, 1.0]), (0, 2000), (0.0, 1.0));
        assert_eq!(p, "64.0,190.0 900.0,10.0 ");
        assert_eq!(points(&line(&[0.0, 1.0]), (5000, 6000), (0.0, 1.0)), "");
    }

    #[test]
    fn the_greatest_numbers_stay_inside_the_picture() {
        let line = Line { label: "x".into(), t: vec![0, 5, 10], v: vec![-1e308, 0.0, 1e308] };
        let (lo, hi) = range(std::slice::from_ref(&line));
        assert!(lo.is_finite() && hi.is_finite() && lo < -1e308 && hi > 1e308);
        let drawn = points(&line, (0, 10), (lo, hi));
        for pair in drawn.split_whitespace() {
            let y: f64 = pair.split_once(',').unwrap().1.parse().unwrap();
            assert!((TOP..=BOTTOM).contains(&y), "{drawn}");
        }
        let top = Line { v: vec![f64::MIN, 0.0, f64::MAX], ..line };
        let (lo, hi) = range(std::slice::from_ref(&top));
        assert!(lo.is_finite() && hi.is_finite() && !points(&top, (0, 10), (lo, hi)).contains('–'));
    }
}
