//! Menus beside a search: one open at a time, and each closes by itself.

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
