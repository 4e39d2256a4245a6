//! Pure: small pictures as SVG, the same on the server and in the browser. Every chart has this form; script only adds movement.

use super::number::decimal;
use leptos::prelude::*;

/// Colours a chart's series cycle through.
pub const COLOURS: usize = 6;
/// Dash patterns, so that lines differ without colour too.
pub const DASHES: [&str; COLOURS] = ["", "6 3", "2 3", "8 3 2 3", "1 3", "10 4"];

const WIDTH: f64 = 900.0;
const LEFT: f64 = 48.0;
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
    let air = if hi > lo { (hi - lo) * 0.08 } else { hi.abs().max(1.0) * 0.1 };
    (lo - air, hi + air)
}

/// A polyline's `points` for times `from..to` and values `lo..hi`.
pub fn points(line: &Line, (from, to): (i64, i64), (lo, hi): (f64, f64)) -> String {
    use std::fmt::Write;
    let (span_t, span_v) = (ms((to - from).max(1)), (hi - lo).max(f64::MIN_POSITIVE));
    let mut out = String::with_capacity(line.t.len() * 12);
    for (t, v) in line.t.iter().zip(&line.v).filter(|(t, v)| (from..=to).contains(*t) && v.is_finite()) {
        let x = LEFT + (WIDTH - LEFT) * ms(t - from) / span_t;
        let y = BOTTOM - (BOTTOM - TOP) * (v - lo) / span_v;
        // Writing to a string can't fail.
        let _ = write!(out, "{},{} ", decimal(x, 1), decimal(y, 1));
    }
    out
}

#[expect(clippy::cast_precision_loss, reason = "a chart's span in milliseconds is far below 2^53")]
fn ms(t: i64) -> f64 {
    t as f64
}

/// A line chart; `label` says in words what it shows. `from..to` are Unix milliseconds.
pub fn line_chart(label: String, unit: &str, lines: &[Line], from: i64, to: i64) -> AnyView {
    let (lo, hi) = range(lines);
    let rules = (0..=4)
        .map(|i| {
            let y = TOP + (BOTTOM - TOP) * f64::from(i) / 4.0;
            let value = hi - (hi - lo) * f64::from(i) / 4.0;
            view! {
                <line class="rule" x1="48" x2="900" y1=decimal(y, 1) y2=decimal(y, 1)></line>
                <text class="axis" x="42" y=decimal(y + 4.0, 1) text-anchor="end">{format!("{} {unit}", super::number::value(value)).trim_end().to_owned()}</text>
            }
        })
        .collect_view();
    let curves = lines
        .iter()
        .enumerate()
        .map(|(i, line)| {
            let style = format!("--c:var(--chart-{})", i % COLOURS + 1);
            view! { <polyline class="curve" points=points(line, (from, to), (lo, hi)) stroke-dasharray=DASHES[i % COLOURS] style=style></polyline> }
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
pub fn legend(lines: &[Line], unit: &str) -> AnyView {
    let entries = lines
        .iter()
        .enumerate()
        .map(|(i, line)| {
            let newest = line.v.last().map(|v| format!("{} {unit}", super::number::value(*v)).trim_end().to_owned());
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
    fn points_stay_within_the_picture_and_leave_the_impossible_out() {
        let p = points(&line(&[0.0, f64::INFINITY, 1.0]), (0, 2000), (0.0, 1.0));
        assert_eq!(p, "48.0,190.0 900.0,10.0 ");
        assert_eq!(points(&line(&[0.0, 1.0]), (5000, 6000), (0.0, 1.0)), "");
    }
}
