//! Tabs with an address of their own: links, not widgets.

use leptos::prelude::*;

/// One tab.
pub struct Tab {
    /// Where it leads.
    pub href: String,
    /// What it says.
    pub label: String,
    /// A count or mark behind the label.
    pub mark: Option<AnyView>,
    /// Whether it is the one shown.
    pub current: bool,
}

impl Tab {
    /// A tab without a mark.
    pub fn new(href: impl Into<String>, label: impl Into<String>, current: bool) -> Self {
        Self { href: href.into(), label: label.into(), mark: None, current }
    }
}

/// A row of tabs; `label` names it for assistive technology.
pub fn tabs(label: &'static str, all: Vec<Tab>) -> AnyView {
    let links = all
        .into_iter()
        .map(|tab| view! { <a href=tab.href aria-current=tab.current.then_some("page")>{tab.label}{tab.mark}</a> })
        .collect_view();
    view! { <nav class="tabs" aria-label=label>{links}</nav> }.into_any()
}
