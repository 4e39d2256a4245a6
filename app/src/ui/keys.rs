//! The keyboard: `Ctrl`/`⌘ K` for the palette, `/` for the search box, `g` and a letter to go somewhere, `?` for this list.
//!
//! Everything but the first is a single key and can be switched off (WCAG 2.1.4); none of them works inside an input or with a modifier.

use super::dialog::dialog;
use leptos::prelude::*;

/// Where the choice is kept in the browser: `off` switches single keys off.
pub const STORE: &str = "fw_keys";
/// The id of the list's dialog.
pub const HELP: &str = "keys-help";

/// Letter after `g`, where it leads, and what that is called.
pub const PLACES: [(char, &str, &str); 8] = [
    ('o', "/", "Overview"),
    ('d', "/devices", "Devices"),
    ('f', "/firmware", "Firmware"),
    ('r', "/rollouts", "Rollouts"),
    ('a', "/approvals", "Approvals"),
    ('c', "/certificates", "Certificates"),
    ('e', "/enrolment", "Enrolment"),
    ('p', "/people", "People"),
];

/// The list of keys, in a dialog.
pub fn help() -> AnyView {
    let row = |keys: Vec<String>, text: &'static str| {
        let keys = keys.into_iter().map(|k| view! { <kbd class="kbd">{k}</kbd> }).collect_view();
        view! { <dt class="row">{keys}</dt><dd>{text}</dd> }
    };
    let places = PLACES.into_iter().map(|(key, _, name)| row(vec!["g".into(), key.to_string()], name)).collect_view();
    dialog(
        HELP,
        "Keyboard",
        view! {
            <div class="body">
                <dl class="kv">
                    {row(vec!["Ctrl".into(), "K".into()], "Search or jump to anything")}
                    {row(vec!["/".into()], "Search on this page")}
                    {row(vec!["?".into()], "This list")}
                    {places}
                </dl>
                <p class="small text-2">"Single keys can be switched off in "<a href="/account">"your account"</a>"."</p>
            </div>
        }
        .into_any(),
    )
}

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Open the palette.
    Palette,
    /// Focus the search box.
    Search,
    /// Open the list of keys.
    Help,
    /// A letter follows.
    Go,
    /// Go there.
    To(&'static str),
    /// Nothing.
    Nothing,
}

/// How a key was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    /// With Ctrl or ⌘.
    Modified,
    /// Where text goes, or with single keys switched off.
    Typing,
    /// By itself.
    Single,
    /// By itself, shortly after `g`.
    AfterG,
}

/// Pure: reads a key press.
pub fn read(key: &str, press: Press) -> Meaning {
    if press == Press::Modified {
        return if key.eq_ignore_ascii_case("k") { Meaning::Palette } else { Meaning::Nothing };
    }
    if press == Press::Typing {
        return Meaning::Nothing;
    }
    if press == Press::AfterG {
        let place = PLACES.into_iter().find(|(letter, ..)| key.chars().eq([*letter]));
        return place.map_or(Meaning::Nothing, |(_, href, _)| Meaning::To(href));
    }
    match key {
        "/" => Meaning::Search,
        "?" => Meaning::Help,
        "g" => Meaning::Go,
        _ => Meaning::Nothing,
    }
}

/// Listens to the keyboard. Browser only; once, in the frame.
pub fn install(open_palette: impl Fn() + 'static) {
    #[cfg(feature = "hydrate")]
    rim::install(open_palette);
    #[cfg(not(feature = "hydrate"))]
    let _ = open_palette;
}

#[cfg(feature = "hydrate")]
mod rim {
    use super::{HELP, Meaning, Press, STORE, read};
    use crate::ui::browser;
    use leptos::{ev, leptos_dom::helpers::window_event_listener, prelude::*};
    use leptos_router::hooks::use_navigate;
    use std::cell::Cell;
    use wasm_bindgen::JsCast;
    use web_sys::{HtmlElement, HtmlInputElement, KeyboardEvent};

    /// A letter counts after `g` for so long.
    const GO_MS: f64 = 1500.0;

    pub(super) fn install(open_palette: impl Fn() + 'static) {
        let navigate = use_navigate();
        let go_at = Cell::new(f64::NEG_INFINITY);
        let listener = window_event_listener(ev::keydown, move |event: KeyboardEvent| {
            if event.default_prevented() || event.is_composing() || event.alt_key() {
                return;
            }
            let now = browser::now_ms();
            let after_g = now - go_at.replace(f64::NEG_INFINITY) < GO_MS;
            let press = if event.ctrl_key() || event.meta_key() {
                Press::Modified
            } else if typing() || browser::stored(STORE).as_deref() == Some("off") {
                Press::Typing
            } else if after_g {
                Press::AfterG
            } else {
                Press::Single
            };
            let meaning = read(&event.key(), press);
            match meaning {
                Meaning::Nothing => return,
                Meaning::Palette => open_palette(),
                Meaning::Search => {
                    let Some(input) = browser::find("[data-search]").and_then(|e| e.dyn_into::<HtmlInputElement>().ok()) else { return };
                    let _ = input.focus();
                    input.select();
                }
                Meaning::Help => {
                    browser::open_dialog(HELP);
                }
                Meaning::Go => go_at.set(now),
                Meaning::To(href) => navigate(href, leptos_router::NavigateOptions::default()),
            }
            event.prevent_default();
        });
        on_cleanup(move || listener.remove());
    }

    /// Whether keys are text now: in an input, or while a dialog asks something.
    fn typing() -> bool {
        let Some(active) = document().active_element() else { return false };
        matches!(active.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
            || active.dyn_ref::<HtmlElement>().is_some_and(HtmlElement::is_content_editable)
            || browser::find("dialog[open]").is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Meaning, Press, read};

    #[test]
    fn keys_mean_nothing_where_text_goes_or_when_switched_off() {
        assert_eq!(read("/", Press::Single), Meaning::Search);
        assert_eq!(read("/", Press::Typing), Meaning::Nothing);
        assert_eq!(read("K", Press::Modified), Meaning::Palette);
        assert_eq!(read("g", Press::Single), Meaning::Go);
        assert_eq!(read("d", Press::AfterG), Meaning::To("/devices"));
        assert_eq!(read("d", Press::Single), Meaning::Nothing);
    }
}
