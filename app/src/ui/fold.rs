//! What opens in its place: a line that says what is inside, and behind it the rest. A `details`, so it opens with a key and without JavaScript, and what is
//! filled in inside is posted whether it is open or not.

use super::icon::icon;
use leptos::prelude::*;

/// A part of a box that opens. `title` is a heading below that of the box, `says` what is inside as it is now, `open` whether it is open at first: nothing
/// here opens or closes it later.
pub fn fold(title: impl Into<String>, says: AnyView, open: bool, body: AnyView) -> AnyView {
    let title: String = title.into();
    view! {
        <details class="fold" open=open>
            <summary>{icon("chevron-right")}<h3>{title}</h3><span class="says">{says}</span></summary>
            <div class="body">{body}</div>
        </details>
    }
    .into_any()
}

/// A box of its own that opens, otherwise the same.
pub fn fold_card(title: impl Into<String>, says: AnyView, open: bool, body: AnyView) -> AnyView {
    let title: String = title.into();
    view! {
        <details class="card fold mt-4" open=open>
            <summary>{icon("chevron-right")}<h2>{title}</h2><span class="says">{says}</span></summary>
            <div class="body">{body}</div>
        </details>
    }
    .into_any()
}
