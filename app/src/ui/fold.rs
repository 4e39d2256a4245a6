//! What opens in its place: a line that says what is inside, and behind it the rest. A `details`, so it opens with a key and without JavaScript, and what is
//! filled in inside is posted whether it is open or not. Which parts are open is posted too, as `open`, once for each. Without JavaScript nobody learns that a
//! `details` was opened, so there the whole line is a button that posts the form, and the page comes back with the part opened or closed.

use super::icon::icon;
use leptos::{prelude::*, web_sys};

/// What the name of a part follows in the `do` of a form that is posted to open or close it.
pub const FOLD: &str = "fold.";

/// The id of the line of the part with this name.
pub fn id_of(name: &str) -> String {
    format!("fold-{name}")
}

/// A part of a box that opens. `name` is what is posted while it is open, `title` a heading below that of the box, `says` what is inside as it is now, `open`
/// whether it is open at first: nothing here opens or closes it later.
pub fn fold(name: impl Into<String>, title: impl Into<String>, says: AnyView, open: bool, body: AnyView) -> AnyView {
    let title: String = title.into();
    part("fold", (name.into(), title.clone()), view! { <h3>{title}</h3> }.into_any(), says, open, body)
}

/// A box of its own that opens, otherwise the same.
pub fn fold_card(name: impl Into<String>, title: impl Into<String>, says: AnyView, open: bool, body: AnyView) -> AnyView {
    let title: String = title.into();
    part("card fold mt-4", (name.into(), title.clone()), view! { <h2>{title}</h2> }.into_any(), says, open, body)
}

fn part(class: &'static str, (name, title): (String, String), heading: AnyView, says: AnyView, open: bool, body: AnyView) -> AnyView {
    let (folds, label) = (format!("{FOLD}{name}"), format!("{} {title}", if open { "Close" } else { "Open" }));
    let id = id_of(&name);
    view! {
        <details class=class open=open on:toggle=move |event| note(&event)>
            <summary id=id>
                {icon("chevron-right")}
                {heading}
                <span class="says">{says}</span>
                // Only there without JavaScript: the style says so.
                <button class="posts" type="submit" name="do" value=folds formnovalidate="" aria-label=label></button>
            </summary>
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
