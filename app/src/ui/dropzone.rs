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
