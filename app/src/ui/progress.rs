//! Bars: how far something is, and how a whole divides.

use super::status::Tone;
use leptos::prelude::*;

/// A bar that fills. `label` says what; `value` of `max`.
pub fn progress(label: impl Into<String>, value: i64, max: i64) -> AnyView {
    let label: String = label.into();
    view! { <progress class="bar" value=value max=max.max(1) aria-label=label></progress> }.into_any()
}

/// A bar of parts: tone and amount of each. `label` says it in words.
pub fn meter(label: impl Into<String>, parts: &[(Tone, i64)]) -> AnyView {
    let label: String = label.into();
    let bars = parts
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(tone, n)| view! { <i data-s=tone.as_str() style=format!("--n:{n}")></i> })
        .collect_view();
    view! { <div class="meter" role="img" aria-label=label>{bars}</div> }.into_any()
}
