//! Icons from the sprite `/icons.svg` (Lucide). Pure markup.

use leptos::prelude::*;

/// The icon of this name in the sprite, hidden from assistive technology: the words beside it say what it means.
pub fn icon(name: &str) -> AnyView {
    view! { <svg class="i" aria-hidden="true"><use href=format!("/icons.svg#{name}")></use></svg> }.into_any()
}
