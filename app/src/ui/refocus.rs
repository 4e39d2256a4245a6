//! The focus, when what had it is gone: a page that was read again has made it anew, or has it no more. What is the same there takes it, else the table
//! that it was in or the page's heading, so that a keyboard goes on from where it was. It also goes to what was just made, where that stands above the form that made it.
//!
//! Refuses to know what is focused, and what a dialog gives back when it is closed ([`super::behaviour`]).

#[cfg(feature = "hydrate")]
pub use rim::{install, look};

/// Shows the element with this id and focuses it, once the page has it. Browser only.
pub fn lead_to(id: &'static str) {
    #[cfg(feature = "hydrate")]
    rim::lead_to(id);
    #[cfg(not(feature = "hydrate"))]
    let _ = id;
}

#[cfg(feature = "hydrate")]
mod rim {
    use crate::ui::browser;
    use leptos::prelude::*;
    use std::cell::{Cell, RefCell};
    use wasm_bindgen::{JsCast, closure::Closure};
    use web_sys::{Element, Event, FocusOptions, HtmlElement, HtmlInputElement, HtmlTextAreaElement};

    /// What had the focus last, and on which page.
    struct Last {
        element: Element,
        /// The box around it that scrolls by itself, which a keyboard reaches: a table's.
        around: Option<Element>,
        path: Option<String>,
    }

    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
        /// Whether it is looked for already.
        static LOOKING: Cell<bool> = const { Cell::new(false) };
    }

    /// Notes what has the focus from now on.
    pub fn install() {
        let focused = Closure::<dyn FnMut(Event)>::new(|event: Event| {
            let element = event.target().and_then(|t| t.dyn_into::<Element>().ok());
            LAST.set(element.map(|element| {
                let around = element.closest("[role=region][tabindex]").ok().flatten();
                Last { element, around, path: path() }
            }));
        });
        // Whoever presses beside all that can be focused wants nothing to have the focus; what has it already, and is pressed again, takes it no second time.
        let pressed = Closure::<dyn FnMut(Event)>::new(|event: Event| {
            let target = event.target().and_then(|t| t.dyn_into::<Element>().ok());
            let again = |last: &Last| target.as_ref().is_some_and(|target| last.element.contains(Some(target)));
            if !LAST.with_borrow(|last| last.as_ref().is_some_and(again)) {
                LAST.set(None);
            }
        });
        let pressed = pressed.into_js_value();
        let listens = document().add_event_listener_with_callback("focusin", focused.into_js_value().unchecked_ref()).is_ok()
            && document().add_event_listener_with_callback_and_bool("pointerdown", pressed.unchecked_ref(), true).is_ok();
        if !listens {
            leptos::logging::error!("the focus may get lost: the document takes no listener");
        }
    }

    fn path() -> Option<String> {
        window().location().pathname().ok()
    }

    /// Looks whether the focus was lost; called after every change of the page.
    pub fn look() {
        if !browser::unfocused() || LAST.with_borrow(Option::is_none) {
            return;
        }
        // Who writes goes on at once: a key that comes while nothing has the focus is lost.
        let written = |last: &Last| (last.path == path() && is_written_in(&last.element)).then(|| last.element.clone());
        if let Some(was) = LAST.with_borrow(|last| last.as_ref().and_then(written)) {
            give_back(&was);
        }
        if !browser::unfocused() || LOOKING.replace(true) {
            return;
        }
        // By the second frame of the screen whoever knows better has given it away.
        request_animation_frame(|| {
            request_animation_frame(|| {
                LOOKING.set(false);
                if browser::unfocused() {
                    put_back();
                }
            });
        });
    }

    fn is_written_in(element: &Element) -> bool {
        element.is_instance_of::<HtmlInputElement>() || element.is_instance_of::<HtmlTextAreaElement>()
    }

    fn put_back() {
        let Some(last) = LAST.take() else { return };
        if last.path == path() {
            std::iter::once(&last.element).chain(&last.around).for_each(give_back);
        }
        // A question in the page is left by Escape while nothing has the focus.
        if browser::unfocused()
            && browser::find(".ask").is_none()
            && let Some(heading) = browser::find("h1[tabindex]")
        {
            focus(&heading);
        }
    }

    /// What is on the page now in place of an element that was: it has the same id, leads to the same address, copies the same text, or is the same menu or box.
    fn same(was: &Element) -> Option<Element> {
        if was.is_connected() {
            return Some(was.clone());
        }
        if !was.id().is_empty() {
            return document().get_element_by_id(&was.id());
        }
        let region = was.get_attribute("role").is_some_and(|role| role == "region");
        let names: &[&str] = if region { &["aria-label"] } else { &["href", "data-copy"] };
        let told = names.iter().find_map(|name| Some((*name, was.get_attribute(name)?)));
        // Another button that only reads the same may do it to something else.
        if told.is_none() && was.tag_name() != "SUMMARY" {
            return None;
        }
        let all = document().query_selector_all(&was.tag_name()).ok()?;
        (0..all.length()).filter_map(|i| all.get(i)?.dyn_into::<Element>().ok()).find(|one| {
            let tells = told.as_ref().is_none_or(|(name, value)| one.get_attribute(name).as_ref() == Some(value));
            tells && (region || one.text_content() == was.text_content())
        })
    }

    /// To what is there now in the place of an element that had it, unless something has it.
    fn give_back(was: &Element) {
        if browser::unfocused()
            && let Some(again) = same(was)
        {
            focus(&again);
            keep_caret(was, &again);
        }
    }

    /// Without moving the page under the reader.
    fn focus(element: &Element) {
        if let Some(element) = element.dyn_ref::<HtmlElement>() {
            let options = FocusOptions::new();
            options.set_prevent_scroll(true);
            // What can't be seen takes none.
            let _ = element.focus_with_options(&options);
        }
    }

    /// Who was writing goes on where they were.
    fn keep_caret(was: &Element, again: &Element) {
        let Some((from, to)) = caret(was) else { return };
        if let Some(input) = again.dyn_ref::<HtmlInputElement>() {
            let _ = input.set_selection_range(from, to);
        } else if let Some(area) = again.dyn_ref::<HtmlTextAreaElement>() {
            let _ = area.set_selection_range(from, to);
        }
    }

    /// From where to where its text is marked; inputs of numbers and dates have no caret that is told.
    fn caret(element: &Element) -> Option<(u32, u32)> {
        let (from, to) = if let Some(input) = element.dyn_ref::<HtmlInputElement>() {
            (input.selection_start(), input.selection_end())
        } else {
            let area = element.dyn_ref::<HtmlTextAreaElement>()?;
            (area.selection_start(), area.selection_end())
        };
        Some((from.ok()??, to.ok()??))
    }

    pub(super) fn lead_to(id: &'static str) {
        request_animation_frame(move || {
            if let Some(element) = document().get_element_by_id(id) {
                element.closest(".card").ok().flatten().unwrap_or_else(|| element.clone()).scroll_into_view();
                focus(&element);
            }
        });
    }
}
