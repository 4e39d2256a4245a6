//! Beside a search: menus, of which one is open at a time and each closes by itself, and what the list is narrowed to.

use super::icon::icon;
use leptos::prelude::*;

/// A button that opens a menu under it; `inside` is links.
pub fn facet(label: &'static str, inside: AnyView) -> AnyView {
    view! {
        <details class="facet" name="facet">
            <summary class="btn" data-s="sm">{label}{icon("chevron-down")}</summary>
            <div class="menu">{inside}</div>
        </details>
    }
    .into_any()
}

/// What a list is narrowed to, with a link that takes it away: `href` is the list without it. `key` is empty where the value says it all.
pub fn chip(key: impl Into<String>, value: impl Into<String>, href: String) -> AnyView {
    let (key, value): (String, String) = (key.into(), value.into());
    let label = if key.is_empty() { format!("Remove {value}") } else { format!("Remove {key} {value}") };
    view! { <span class="chip">{key}" "<b>{value}</b><a href=href aria-label=label>{icon("x")}</a></span> }.into_any()
}
