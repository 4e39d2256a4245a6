//! Selectors that go on by themselves while they are typed: an input with a list under it (a combobox with manual selection, as the ARIA Authoring
//! Practices have it) over the pure code in `wire::selector`. Without scripts, and until the page listens, it is a plain input.
//!
//! What is open and chosen lives here and not in the page's view, which is made anew whenever the page is read again.

use super::{form::Given, icon::icon};
use crate::api::{devices::ReadSelectorValues, packed::ask};
use leptos::{ev::KeyboardEvent, prelude::*, task::spawn_local};
use std::fmt;
use wire::selector::{Choice, Completion, Known, complete};

/// The completion of one input. Made once a page, outside of what is rendered.
#[derive(Clone, Copy)]
pub struct Completing {
    id: &'static str,
    alive: RwSignal<bool>,
    /// What is offered; the list is open while there is something.
    now: RwSignal<Completion>,
    chosen: RwSignal<Option<usize>>,
    known: StoredValue<Known>,
    /// Whether the values were asked for.
    asked: StoredValue<bool>,
    /// Whether the list is wanted, also when nothing is known yet.
    wanted: StoredValue<bool>,
}

impl fmt::Debug for Completing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completing").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Completing {
    /// For the input with this id.
    pub fn new(id: &'static str) -> Self {
        let alive = RwSignal::new(false);
        Effect::new(move |_| alive.set(true));
        Self {
            id,
            alive,
            now: RwSignal::new(Completion::default()),
            chosen: RwSignal::new(None),
            known: StoredValue::new(Known::default()),
            asked: StoredValue::new(false),
            wanted: StoredValue::new(false),
        }
    }

    /// The input's id.
    pub const fn id(self) -> &'static str {
        self.id
    }

    fn list_id(self) -> String {
        format!("{}-ways", self.id)
    }

    fn way_id(self, i: usize) -> String {
        format!("{}-way-{i}", self.id)
    }

    fn open(self) -> bool {
        self.now.with(|now| !now.choices.is_empty())
    }

    /// The input's `role`: `plain` until the page listens.
    pub fn role(self, plain: Option<&'static str>) -> Option<&'static str> {
        if self.alive.get() { Some("combobox") } else { plain }
    }

    /// The input's `aria-autocomplete`.
    pub fn autocomplete(self) -> Option<&'static str> {
        self.alive.get().then_some("list")
    }

    /// The input's `aria-controls`.
    pub fn controls(self) -> Option<String> {
        self.alive.get().then(|| self.list_id())
    }

    /// The input's `aria-expanded`.
    pub fn expanded(self) -> Option<&'static str> {
        self.alive.get().then(|| if self.open() { "true" } else { "false" })
    }

    /// The input's `aria-activedescendant`.
    pub fn active(self) -> Option<String> {
        self.chosen.get().filter(|_| self.open()).map(|i| self.way_id(i))
    }

    /// The input has the focus: what the fleet has is asked for, until it was said once.
    pub fn learn(self) {
        if self.asked.get_value() {
            return;
        }
        self.asked.set_value(true);
        spawn_local(async move {
            // A refusal leaves the fields, which need no server.
            let Ok(known) = ask(ReadSelectorValues {}).await.and_then(|known| known.read::<Known>()) else {
                // The next time somebody comes here it is asked again.
                let _ = self.asked.try_set_value(false);
                return;
            };
            // The page may be gone by now.
            if self.known.try_set_value(known).is_none() && self.wanted.try_get_value() == Some(true) {
                self.look_again();
            }
        });
    }

    /// Something was typed. Between two words nothing is offered until it is asked for: the list would lie over what comes next on the page.
    pub fn typed(self) {
        let begun =
            |text: &str, caret: usize| text.get(..caret).is_some_and(|before| !before.ends_with([' ', '(', ')']) && !before.is_empty());
        if rim::read(self.id).is_some_and(|(text, caret)| begun(&text, caret)) {
            self.look();
        } else {
            self.close();
        }
    }

    /// Says what could stand at the caret.
    fn look(self) {
        self.wanted.set_value(true);
        let found = rim::read(self.id).map(|(text, caret)| self.known.with_value(|known| complete(&text, caret, known)));
        self.chosen.set(None);
        self.now.set(found.unwrap_or_default());
    }

    /// More is known; what was chosen stays chosen where it is still offered.
    fn look_again(self) {
        let chosen = self.chosen.get_untracked().and_then(|i| self.now.with_untracked(|now| now.choices.get(i).map(|c| c.insert.clone())));
        self.look();
        let again = chosen.and_then(|insert| self.now.with_untracked(|now| now.choices.iter().position(|c| c.insert == insert)));
        self.chosen.set(again);
    }

    /// Offers nothing any more.
    pub fn close(self) {
        self.wanted.set_value(false);
        self.chosen.set(None);
        if self.now.with_untracked(|now| !now.choices.is_empty()) {
            self.now.set(Completion::default());
        }
    }

    /// A key was pressed in the input.
    pub fn key(self, event: &KeyboardEvent) {
        if event.is_composing() || event.ctrl_key() || event.meta_key() {
            return;
        }
        let count = || self.now.with_untracked(|now| now.choices.len());
        let was_open = count() > 0;
        let chosen = self.chosen.get_untracked();
        match event.key().as_str() {
            key @ ("ArrowDown" | "ArrowUp") => {
                if !was_open {
                    self.look();
                }
                let count = count();
                if count == 0 {
                    return;
                }
                let next = match (key, chosen) {
                    ("ArrowDown", None) => 0,
                    ("ArrowDown", Some(i)) => (i + 1) % count,
                    (_, Some(i)) if i > 0 => i - 1,
                    _ => count - 1,
                };
                self.chosen.set(Some(next));
                rim::show(&self.list_id(), &self.way_id(next));
            }
            "Enter" => {
                // With nothing chosen it sends the form, as everywhere.
                let Some(i) = chosen.filter(|_| was_open) else {
                    self.close();
                    return;
                };
                self.take(i);
            }
            "Escape" if was_open => self.close(),
            "ArrowLeft" | "ArrowRight" | "Home" | "End" => {
                self.close();
                return;
            }
            _ => return,
        }
        event.prevent_default();
    }

    /// Writes a way into the input, and says how it could go on from there.
    fn take(self, i: usize) {
        let way = self.now.with_untracked(|now| now.choices.get(i).map(|choice| (now.from, now.to, choice.insert.clone())));
        let (Some((from, to, insert)), Some((text, _))) = (way, rim::read(self.id)) else { return };
        let (Some(before), Some(after)) = (text.get(..from), text.get(to..)) else { return };
        // The input tells everybody who listens to it, this included.
        rim::write(self.id, &format!("{before}{insert}{after}"), before.len() + insert.len());
    }

    /// The list, right behind the input in an element of the class `completes`.
    pub fn list(self) -> AnyView {
        let ways = move || {
            let chosen = self.chosen.get();
            let choices = self.now.with(|now| now.choices.clone());
            let way = move |(i, choice): (usize, Choice)| {
                let selected = if chosen == Some(i) { "true" } else { "false" };
                view! {
                    <li role="option" id=self.way_id(i) aria-selected=selected on:click=move |_| self.take(i)>
                        <span class="mono">{choice.insert}</span>
                        <span class="hint">{choice.hint}</span>
                    </li>
                }
            };
            choices.into_iter().enumerate().map(way).collect_view()
        };
        view! {
            <ul class="menu completion" role="listbox" id=self.list_id() aria-label="Ways to go on" hidden=move || !self.open()
                on:mousedown=move |event| event.prevent_default()>
                {ways}
            </ul>
        }
        .into_any()
    }

    /// The search of a list of devices: an input named `q`, with the button that only a keyboard finds.
    pub fn search(self, label: &'static str, placeholder: &'static str, q: &str) -> AnyView {
        let q = q.to_owned();
        view! {
            <div class="search input-wrap completes">
                {icon("search")}
                <input class="input" type="text" name="q" id=self.id data-search="" aria-label=label autocomplete="off" spellcheck="false"
                    placeholder=placeholder value=q.clone() prop:given=Given(q)
                    role=move || self.role(Some("searchbox")) aria-autocomplete=move || self.autocomplete() aria-controls=move || self.controls()
                    aria-expanded=move || self.expanded() aria-activedescendant=move || self.active()
                    on:input=move |_| self.typed() on:keydown=move |event| self.key(&event)
                    on:focus=move |_| self.learn() on:blur=move |_| self.close()/>
                <kbd class="kbd">"/"</kbd>
                {self.list()}
            </div>
            <button class="btn sr-until-focus" type="submit">"Search"</button>
        }
        .into_any()
    }
}

/// What is asked of the document.
#[cfg(feature = "hydrate")]
mod rim {
    use leptos::prelude::{document, request_animation_frame};
    use wasm_bindgen::JsCast;
    use web_sys::{HtmlElement, HtmlInputElement};

    fn input(id: &str) -> Option<HtmlInputElement> {
        document().get_element_by_id(id)?.dyn_into().ok()
    }

    /// What stands in the input, and the byte the caret is at.
    pub(super) fn read(id: &str) -> Option<(String, usize)> {
        let input = input(id)?;
        let (text, caret) = (input.value(), input.selection_start().ok()??);
        // The browser counts in UTF-16.
        let mut units = 0;
        let at = text.char_indices().find(|(_, c)| {
            let here = units >= caret as usize;
            units += c.len_utf16();
            here
        });
        let at = at.map_or(text.len(), |(at, _)| at);
        Some((text, at))
    }

    /// Puts a text into the input and the caret behind so many bytes of it, as if it had been typed.
    pub(super) fn write(id: &str, text: &str, caret: usize) {
        let Some(input) = input(id) else { return };
        input.set_value(text);
        let units = text.get(..caret).map_or(0, |before| before.encode_utf16().count());
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let _ = input.set_selection_range(units, units);
        if let Ok(event) = document().create_event("Event") {
            event.init_event_with_bubbles("input", true);
            let _ = input.dispatch_event(&event);
        }
    }

    /// Scrolls a list so far that one of its items is seen, once both are there: the key that chooses the last one may be the one that opens the list.
    pub(super) fn show(list: &str, item: &str) {
        let (list, item) = (list.to_owned(), item.to_owned());
        request_animation_frame(move || {
            let find = |id: &str| document().get_element_by_id(id)?.dyn_into::<HtmlElement>().ok();
            let (Some(list), Some(item)) = (find(&list), find(&item)) else { return };
            let (top, end) = (item.offset_top(), item.offset_top() + item.offset_height());
            if top < list.scroll_top() {
                list.set_scroll_top(top);
            } else if end > list.scroll_top() + list.client_height() {
                list.set_scroll_top(end - list.client_height());
            }
        });
    }
}

/// The server has no document.
#[cfg(not(feature = "hydrate"))]
mod rim {
    pub(super) const fn read(_: &str) -> Option<(String, usize)> {
        None
    }
    pub(super) const fn write(_: &str, _: &str, _: usize) {}
    pub(super) const fn show(_: &str, _: &str) {}
}
