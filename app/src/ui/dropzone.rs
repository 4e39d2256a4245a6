//! A place to drop files on, around an ordinary file input: without script the form is posted as it is.

use super::icon::icon;
use leptos::{ev, html, prelude::*};

/// The place. `name` is what the files are posted as; `hint` says which ones belong together. `over` is whether something is held above it, and
/// `dropped` hears what was dropped.
pub fn dropzone(
    name: &'static str,
    label: &'static str,
    hint: AnyView,
    input: NodeRef<html::Input>,
    over: RwSignal<bool>,
    dropped: impl Fn(ev::DragEvent) + 'static,
) -> AnyView {
    let hold = move |event: ev::DragEvent| {
        event.prevent_default();
        over.set(true);
    };
    view! {
        <div class="dropzone" data-over=move || over.get().then_some("true") on:dragenter=hold on:dragover=hold on:dragleave=move |_| over.set(false)
            on:drop=move |event| {
                event.prevent_default();
                over.set(false);
                dropped(event);
            }>
            {icon("upload")}
            <label class="strong" for=format!("f-{name}")>{label}</label>
            <input type="file" id=format!("f-{name}") name=name multiple=true required=true node_ref=input/>
            <p class="small">{hint}</p>
        </div>
    }
    .into_any()
}

/// A place for one file of a form that the browser posts itself: what is dropped there is as if it had been chosen. It keeps no state, so that a page that is
/// read again loses nothing. `accept` is what the browser offers to choose; what comes is for the server to judge.
pub fn file_zone(id: &'static str, name: &'static str, label: &'static str, accept: &'static str, hint: AnyView) -> AnyView {
    view! {
        <div class="dropzone" data-s="sm" on:dragenter=hold on:dragover=hold on:dragleave=leave on:drop=take>
            {icon("upload")}
            <label class="strong" for=id>{label}</label>
            <input type="file" id=id name=name required=true accept=accept/>
            <p class="small">{hint}</p>
        </div>
    }
    .into_any()
}

#[cfg(feature = "hydrate")]
use rim::{hold, leave, take};

// The server hears of no drag.
#[cfg(not(feature = "hydrate"))]
use still::{hold, leave, take};

#[cfg(not(feature = "hydrate"))]
mod still {
    use leptos::ev::DragEvent;

    pub(super) fn hold(_: DragEvent) {}
    pub(super) fn leave(_: DragEvent) {}
    pub(super) fn take(_: DragEvent) {}
}

#[cfg(feature = "hydrate")]
mod rim {
    use leptos::ev::DragEvent;
    use wasm_bindgen::JsCast;
    use web_sys::{DataTransfer, Element, Event, EventInit, HtmlInputElement};

    /// On a place above which something is held.
    const OVER: &str = "data-over";

    fn zone(event: &DragEvent) -> Option<Element> {
        event.target()?.dyn_into::<Element>().ok()?.closest(".dropzone").ok()?
    }

    #[expect(clippy::needless_pass_by_value, reason = "handlers are given their events")]
    pub(super) fn hold(event: DragEvent) {
        event.prevent_default();
        if let Some(zone) = zone(&event) {
            let _ = zone.set_attribute(OVER, "true");
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "handlers are given their events")]
    pub(super) fn leave(event: DragEvent) {
        if let Some(zone) = zone(&event) {
            let _ = zone.remove_attribute(OVER);
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "handlers are given their events")]
    pub(super) fn take(event: DragEvent) {
        event.prevent_default();
        let Some(zone) = zone(&event) else { return };
        let _ = zone.remove_attribute(OVER);
        if choose(&event, &zone).is_none() {
            leptos::logging::error!("what was dropped could not be chosen");
        }
    }

    /// The first file of what was dropped becomes what is chosen, and whoever listens hears of it.
    fn choose(event: &DragEvent, zone: &Element) -> Option<()> {
        let file = event.data_transfer()?.files()?.get(0)?;
        let input = zone.query_selector("input[type=file]").ok()??.dyn_into::<HtmlInputElement>().ok()?;
        let chosen = DataTransfer::new().ok()?;
        chosen.items().add_with_file(&file).ok()?;
        input.set_files(chosen.files().as_ref());
        let told = EventInit::new();
        told.set_bubbles(true);
        let change = Event::new_with_event_init_dict("change", &told).ok()?;
        input.dispatch_event(&change).ok().map(drop)
    }
}
