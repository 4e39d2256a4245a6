//! Text to take along: ids, fingerprints, commands. The button appears once there is a script that can copy.

use super::icon::icon;
use leptos::prelude::*;

/// A short text with a copy button; `what` names it: "Copy serial number".
pub fn copyable(text: impl Into<String>, what: &'static str) -> AnyView {
    let text: String = text.into();
    view! {
        <span class="copy">
            <code title=text.clone()>{text.clone()}</code>
            <button type="button" class="btn icon" data-v="ghost" data-s="sm" data-copy=text aria-label=what>{icon("copy")}</button>
        </span>
    }
    .into_any()
}

/// Lines to look at, which would not work as they stand; `label` names them for assistive technology.
pub fn code_sample(text: impl Into<String>, label: &'static str) -> AnyView {
    let text: String = text.into();
    view! { <div class="code"><pre tabindex="0" role="region" aria-label=label>{text}</pre></div> }.into_any()
}

/// Lines to paste somewhere, with a copy button; `label` names them for assistive technology.
pub fn code_block(text: impl Into<String>, label: &'static str) -> AnyView {
    let text: String = text.into();
    view! {
        <div class="code">
            <pre tabindex="0" role="region" aria-label=label>{text.clone()}</pre>
            <button type="button" class="btn" data-s="sm" data-copy=text>{icon("copy")}"Copy"</button>
        </div>
    }
    .into_any()
}
