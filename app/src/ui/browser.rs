//! The few things of the browser that several widgets ask for. Empty on the server.

#![cfg(feature = "hydrate")]

use js_sys::Promise;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Element, HtmlDialogElement, HtmlFormElement, VisibilityState};

/// Milliseconds since the page was opened, monotonic.
pub fn now_ms() -> f64 {
    window().performance().map_or(0.0, |p| p.now())
}

/// Milliseconds since 1970 by the browser's clock, for texts like "12 s ago" only.
pub fn epoch_ms() -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds well within the range")]
    let now = js_sys::Date::now() as i64;
    now
}

/// Whether the tab is in the background.
pub fn hidden() -> bool {
    document().visibility_state() == VisibilityState::Hidden
}

/// Path and query of the page.
pub fn path_and_query() -> Option<String> {
    let location = window().location();
    Some(location.pathname().ok()? + &location.search().unwrap_or_default())
}

/// Gives the page another address without going there, as long as it has the one it is expected to have.
pub fn rename(from: &str, to: &str) {
    if path_and_query().as_deref() != Some(from) {
        return;
    }
    let renamed = window().history().and_then(|history| history.replace_state_with_url(&history.state()?, "", Some(to)));
    if renamed.is_err() {
        leptos::logging::error!("cannot rename the page to {to}");
    }
}

/// Loads another page.
pub fn go(href: &str) {
    if window().location().set_href(href).is_err() {
        leptos::logging::error!("cannot go to {href}");
    }
}

/// The address of a websocket on this server.
pub fn socket_url(path: &str) -> Option<String> {
    let location = window().location();
    let scheme = if location.protocol().ok()? == "https:" { "wss" } else { "ws" };
    Some(format!("{scheme}://{}{path}", location.host().ok()?))
}

/// The first element that matches.
pub fn find(selector: &str) -> Option<Element> {
    document().query_selector(selector).ok().flatten()
}

/// Whether nothing has the focus.
pub fn unfocused() -> bool {
    document().active_element().is_none_or(|active| active.tag_name() == "BODY")
}

/// The content of a `<meta name=…>`.
pub fn meta(name: &str) -> Option<String> {
    find(&format!("meta[name={name}]"))?.get_attribute("content").filter(|content| !content.is_empty())
}

/// Opens the dialog with this id; false when there is none. It asks anew: what was typed into it before, and what was said to that, is gone.
pub fn open_dialog(id: &str) -> bool {
    let Some(dialog) = document().get_element_by_id(id).and_then(|e| e.dyn_into::<HtmlDialogElement>().ok()) else { return false };
    if dialog.open() {
        return true;
    }
    if let Ok(forms) = dialog.query_selector_all("form") {
        for form in (0..forms.length()).filter_map(|i| forms.get(i)?.dyn_into::<HtmlFormElement>().ok()) {
            form.reset();
        }
    }
    dialog.show_modal().is_ok()
}

/// The dialog or the menu that is open.
pub fn at_work() -> Option<Element> {
    find("dialog[open], :popover-open")
}

/// Waits while a dialog or a menu is open, unless it is the one that was open `before`.
pub async fn left_alone(before: Option<&Element>) {
    while at_work().is_some_and(|open| before != Some(&open)) {
        pause(100).await;
    }
}

/// Waits so many milliseconds; not at all where the browser gives no timer.
pub async fn pause(ms: i32) {
    let timer = Promise::new(&mut |resolve, _| {
        if window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms).is_err() {
            let _ = resolve.call0(&JsValue::NULL);
        }
    });
    let _ = JsFuture::from(timer).await;
}

/// Closes every open dialog.
pub fn close_dialogs() {
    while let Some(dialog) = find("dialog[open]").and_then(|e| e.dyn_into::<HtmlDialogElement>().ok()) {
        dialog.close();
    }
}

/// A value kept in this browser.
pub fn stored(key: &str) -> Option<String> {
    window().local_storage().ok().flatten()?.get_item(key).ok().flatten()
}

/// Keeps a value in this browser; one that refuses storage just forgets it.
pub fn store(key: &str, value: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.set_item(key, value);
    }
}
