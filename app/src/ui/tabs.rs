//! Tabs with an address of their own: links, not widgets. A row that is wider than its place shows the one that is open.

use leptos::{html, prelude::*};

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
    let row = NodeRef::<html::Nav>::new();
    Effect::new(move |_| row.get().inspect(show_current).is_some());
    view! { <nav class="tabs" aria-label=label node_ref=row>{links}</nav> }.into_any()
}

/// Keeps the row scrolled to the tab that is open, once that has its place and whenever it gets another width, by a font that has come for one;
/// the style sheet does it without script where the browser can.
#[cfg(feature = "hydrate")]
fn show_current(row: &web_sys::HtmlElement) {
    use send_wrapper::SendWrapper;
    use wasm_bindgen::{JsCast as _, closure::Closure};
    use web_sys::{HtmlElement, ResizeObserver};
    let current = row.query_selector("[aria-current=page]").ok().flatten();
    let Some(tab) = current.and_then(|tab| tab.dyn_into::<HtmlElement>().ok()) else { return };
    let (row, of) = (row.clone(), tab.clone());
    let placed = Closure::<dyn FnMut()>::new(move || row.set_scroll_left(of.offset_left() - (row.client_width() - of.offset_width()) / 2));
    if let Ok(observer) = ResizeObserver::new(placed.as_ref().unchecked_ref()) {
        observer.observe(&tab);
        let watched = SendWrapper::new((observer, placed));
        on_cleanup(move || watched.0.disconnect());
    }
}

#[cfg(not(feature = "hydrate"))]
const fn show_current<T>(_: &T) {}
