//! What opens in its place: a line that says what is inside, and behind it the rest. A `details`, so it opens with a key and without JavaScript, and what is
//! filled in inside is posted whether it is open or not. Which parts are open is posted too, as `open`, once for each: without JavaScript which were at first.

use super::icon::icon;
use leptos::{prelude::*, web_sys};

/// A part of a box that opens. `name` is what is posted while it is open, `title` a heading below that of the box, `says` what is inside as it is now, `open`
/// whether it is open at first: nothing here opens or closes it later.
pub fn fold(name: impl Into<String>, title: impl Into<String>, says: AnyView, open: bool, body: AnyView) -> AnyView {
    let title: String = title.into();
    part("fold", name.into(), view! { <h3>{title}</h3> }.into_any(), says, open, body)
}

/// A box of its own that opens, otherwise the same.
pub fn fold_card(name: impl Into<String>, title: impl Into<String>, says: AnyView, open: bool, body: AnyView) -> AnyView {
    let title: String = title.into();
    part("card fold mt-4", name.into(), view! { <h2>{title}</h2> }.into_any(), says, open, body)
}

fn part(class: &'static str, name: String, heading: AnyView, says: AnyView, open: bool, body: AnyView) -> AnyView {
    view! {
        <details class=class open=open on:toggle=move |event| note(&event)>
            <summary>{icon("chevron-right")}{heading}<span class="says">{says}</span></summary>
            <div class="body">{body}</div>
            {noted(name, open)}
        </details>
    }
    .into_any()
}

/// The input that says that a part is open; one that is disabled is not posted.
fn noted(name: String, open: bool) -> AnyView {
    let closed = !open;
    view! { <input type="hidden" name="open" value=name disabled=closed/> }.into_any()
}

/// A part was opened or closed, by whom ever: its input says so.
fn note(event: &web_sys::Event) {
    #[cfg(feature = "hydrate")]
    {
        use wasm_bindgen::JsCast;
        let Some(part) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else { return };
        let Ok(Some(input)) = part.query_selector(":scope > input[name=open]") else { return };
        let _ = if part.has_attribute("open") { input.remove_attribute("disabled") } else { input.set_attribute("disabled", "") };
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = event;
}
