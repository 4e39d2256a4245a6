//! What the page does with script and without Leptos' state: dialogs, copying, times. Delegated from the document, installed once.
//!
//! - `a[data-dialog=ID]` opens the dialog with that id instead of following the link; `[data-close]` inside of one closes it. The focus goes back to what
//!   opened it, or to the menu that this stands in; a question in the page about the same is left with it.
//! - Escape in a question in the page (`.ask`), or when nothing has the focus, follows its `a[data-close]`; the focus goes to what would have opened the dialog.
//! - `button[data-copy=TEXT]` copies the text; `button[data-print]` prints the page.
//! - An open `details.facet` closes when something is chosen in it, and has the focus then, or with a click beside it.
//! - Any other `details` that was opened by hand stays open when the page is shown again: its own view closes it then.
//! - What the browser wants put right before it sends a form is shown, also where it is folded away: it could not be reached otherwise.
//! - `time[data-rel]` becomes "12 s ago", `time[data-abs]` gets the reader's zone; both are looked at every second.
//! - What was chosen in a file input stays chosen when the page is shown again: the browser forgets it when the input's attributes are set anew.
//! - What was picked in a list of options stays picked in the same way, as long as the page itself would pick what it did then.
//! - What had the focus has it again when the page has made it anew ([`super::refocus`]).
//! - `html[data-hydrated=1]` says that the page listens.

/// A part of the page whose code or model is not there yet: it stands there as the server wrote it, and does not listen. The page says that it listens once
/// none is left.
pub struct Unread(());

impl Unread {
    /// One more, until it is dropped.
    pub fn one() -> Self {
        #[cfg(feature = "hydrate")]
        rim::waits();
        Self(())
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        #[cfg(feature = "hydrate")]
        rim::was_read();
    }
}

/// Installs all of it. Browser only, after hydration.
pub fn install() {
    #[cfg(feature = "hydrate")]
    rim::install();
}

#[cfg(feature = "hydrate")]
mod rim {
    use crate::ui::{browser, refocus, time};
    use leptos::{leptos_dom::helpers::set_interval_with_handle, prelude::*};
    use std::{
        cell::{Cell, RefCell},
        time::Duration,
    };
    use wasm_bindgen::{JsCast, JsValue, closure::Closure};
    use web_sys::{
        DataTransfer, Element, Event, HtmlDialogElement, HtmlElement, HtmlInputElement, HtmlSelectElement, KeyboardEvent, MouseEvent,
        MutationObserver, MutationObserverInit,
    };

    /// On a `details` that a person has opened.
    const OPENED: &str = "data-opened";

    /// On a list of options in which a person has picked: what, and what the page had picked.
    const PICKED: &str = "data-picked";
    const INSTEAD_OF: &str = "data-picked-over";

    /// The way out of a question in the page.
    const WAY_OUT: &str = ".ask a[data-close]";

    /// The file input that was chosen in last, what was chosen, and who watches it.
    struct Chosen {
        input: HtmlInputElement,
        files: DataTransfer,
        observer: MutationObserver,
        _seen: Closure<dyn FnMut()>,
    }

    thread_local! {
        static CHOSEN: RefCell<Option<Chosen>> = const { RefCell::new(None) };
        /// What opened the dialog that is open.
        static OPENER: RefCell<Option<Element>> = const { RefCell::new(None) };
        /// Whether all of this is installed.
        static INSTALLED: Cell<bool> = const { Cell::new(false) };
        /// How many parts of the page are being read.
        static UNREAD: Cell<u32> = const { Cell::new(0) };
    }

    pub(super) fn install() {
        // In the capturing phase, before the router takes a link for a way to another page. It lives as long as the tab.
        let on_click = Closure::<dyn FnMut(MouseEvent)>::new(|event: MouseEvent| click(&event)).into_js_value();
        let listens = document().add_event_listener_with_callback_and_bool("click", on_click.unchecked_ref(), true);
        if listens.is_err() {
            leptos::logging::error!("dialogs open as pages: the document takes no listener");
        }
        // It does not bubble; on its way down it comes by.
        let on_close = Closure::<dyn FnMut(Event)>::new(|event: Event| closed(&event)).into_js_value();
        if document().add_event_listener_with_callback_and_bool("close", on_close.unchecked_ref(), true).is_err() {
            leptos::logging::error!("the focus may get lost: the document takes no listener");
        }
        let on_invalid = Closure::<dyn FnMut(Event)>::new(|event: Event| unfold(&event)).into_js_value();
        if document().add_event_listener_with_callback_and_bool("invalid", on_invalid.unchecked_ref(), true).is_err() {
            leptos::logging::error!("what is wrong may stay folded away: the document takes no listener");
        }
        let on_key = Closure::<dyn FnMut(KeyboardEvent)>::new(|event: KeyboardEvent| key(&event)).into_js_value();
        if window().add_event_listener_with_callback("keydown", on_key.unchecked_ref()).is_err() {
            leptos::logging::error!("Escape leaves no question: the window takes no listener");
        }
        let on_change = Closure::<dyn FnMut(Event)>::new(|event: Event| {
            chosen(&event);
            picked(&event);
        });
        let on_change = on_change.into_js_value();
        if document().add_event_listener_with_callback("change", on_change.unchecked_ref()).is_err() {
            leptos::logging::error!("what was chosen may get lost: the document takes no listener");
        }
        let on_reset = Closure::<dyn FnMut(Event)>::new(|event: Event| emptied(&event)).into_js_value();
        if document().add_event_listener_with_callback("reset", on_reset.unchecked_ref()).is_err() {
            leptos::logging::error!("emptied forms keep what was picked: the document takes no listener");
        }
        refocus::install();
        if set_interval_with_handle(tick, Duration::from_secs(1)).is_err() {
            leptos::logging::error!("times stand still: the browser gives no timer");
        }
        // A page that was read again brings the server's times; they are put right before the screen shows them. It also closes what was opened by hand.
        let seen = Closure::<dyn FnMut()>::new(|| {
            open_again();
            pick_again();
            tick();
            refocus::look();
        });
        let seen = seen.into_js_value();
        let watch = MutationObserverInit::new();
        watch.set_attribute_filter(&js_sys::Array::of2(&JsValue::from_str("open"), &JsValue::from_str("selected")));
        watch.set_child_list(true);
        watch.set_character_data(true);
        watch.set_subtree(true);
        if let (Ok(observer), Some(body)) = (MutationObserver::new(seen.unchecked_ref()), document().body()) {
            let _ = observer.observe_with_options(&body, &watch);
        }
        INSTALLED.set(true);
        request_animation_frame(tick);
        say_that_it_listens();
    }

    /// A part of the page is being read.
    pub(super) fn waits() {
        UNREAD.set(UNREAD.get() + 1);
    }

    /// It was: what it shows is made in this turn, and listens in the next frame.
    pub(super) fn was_read() {
        UNREAD.set(UNREAD.get().saturating_sub(1));
        say_that_it_listens();
    }

    /// Says that the page listens, in the next frame, unless a part of it is being read.
    fn say_that_it_listens() {
        if !INSTALLED.get() || UNREAD.get() > 0 {
            return;
        }
        request_animation_frame(|| {
            if UNREAD.get() == 0
                && let Some(root) = document().document_element()
            {
                let _ = root.set_attribute("data-hydrated", "1");
            }
        });
    }

    fn click(event: &MouseEvent) {
        let Some(target) = event.target().and_then(|t| t.dyn_into::<Element>().ok()) else { return };
        let near = |selector: &str| target.closest(selector).ok().flatten();
        let plain = !(event.meta_key() || event.ctrl_key() || event.shift_key() || event.alt_key());
        if let Some(summary) = near("summary") {
            folded(&summary);
        }
        if let Ok(Some(menu)) = document().query_selector("details.facet[open]")
            && (near("a[href]").is_some() || !menu.contains(Some(&target)))
        {
            // What was chosen is hidden with it.
            if let (true, Ok(Some(summary))) = (menu.contains(Some(&target)), menu.query_selector("summary")) {
                take_focus(&summary);
            }
            let _ = menu.remove_attribute("open");
        }
        if let Some(button) = near("[data-copy]") {
            copy(&button);
        } else if near("[data-print]").is_some() {
            let _ = window().print();
        } else if let Some(opener) = near("[data-dialog]") {
            if plain && opener.get_attribute("data-dialog").is_some_and(|id| browser::open_dialog(&id)) {
                event.prevent_default();
                OPENER.set(Some(opener));
            }
        } else if let Some(dialog) = near("dialog").and_then(|d| d.dyn_into::<HtmlDialogElement>().ok()) {
            // The element itself is hit only on its backdrop: the content covers the rest.
            let backdrop = dialog.is_same_node(target.dyn_ref());
            if backdrop || near("[data-close]").is_some() {
                event.prevent_default();
                dialog.close();
            } else if near("a[href]").is_some() {
                dialog.close();
            }
        } else if let Some(way_out) = near(WAY_OUT).filter(|_| plain) {
            // The router follows it.
            left(&way_out);
        }
    }

    /// The browser gives the focus back to what had it when a dialog was opened; that may be gone by now, or hidden in a menu that has closed.
    fn closed(event: &Event) {
        let Some(dialog) = event.target().and_then(|t| t.dyn_into::<HtmlDialogElement>().ok()) else { return };
        let Some(opener) = OPENER.take() else { return };
        // A page that was read again may have made it anew.
        let opener = if opener.is_connected() { Some(opener) } else { document().get_element_by_id(&opener.id()) };
        let Some(opener) = opener else { return };
        // What has the focus in there loses it when this is drawn next.
        if browser::unfocused() || dialog.contains(document().active_element().as_deref()) {
            focus(&opener);
        }
        if let Some(way_out) = browser::find(WAY_OUT).filter(|way_out| leads_to(way_out).is_some_and(|id| id == opener.id())) {
            follow(&way_out);
        }
    }

    /// A question in the page was left: the focus goes to what would have opened it, or where that is not shown to the page's heading.
    fn left(way_out: &Element) {
        let Some(id) = leads_to(way_out) else { return };
        request_animation_frame(move || {
            if let Some(next) = document().get_element_by_id(&id).or_else(|| browser::find("h1[tabindex]")) {
                focus(&next);
            }
        });
    }

    fn key(event: &KeyboardEvent) {
        if event.key() != "Escape" || event.default_prevented() || event.is_composing() {
            return;
        }
        // A page that was read again has lost the focus that was in its question.
        let question = if browser::unfocused() {
            browser::find(".ask")
        } else {
            document().active_element().and_then(|active| active.closest(".ask").ok().flatten())
        };
        if let Some(way_out) = question.and_then(|question| question.query_selector("a[data-close]").ok().flatten()) {
            event.prevent_default();
            follow(&way_out);
        }
    }

    fn follow(link: &Element) {
        if let Some(link) = link.dyn_ref::<HtmlElement>() {
            link.click();
        }
    }

    /// The id in the fragment of a link's address.
    fn leads_to(link: &Element) -> Option<String> {
        link.get_attribute("href")?.split_once('#').map(|(_, id)| id.to_owned())
    }

    /// Focuses an element, or the menu that it is hidden in.
    fn focus(element: &Element) {
        take_focus(element);
        let taken = document().active_element().is_some_and(|active| active.is_same_node(element.dyn_ref()));
        let menu = element.closest("details").ok().flatten().and_then(|menu| menu.query_selector("summary").ok().flatten());
        if let (false, Some(menu)) = (taken, menu) {
            take_focus(&menu);
        }
    }

    fn take_focus(element: &Element) {
        if let Some(element) = element.dyn_ref::<HtmlElement>() {
            // What can't be seen takes none.
            let _ = element.focus();
        }
    }

    /// Notes what a person opens or closes, in the moment before the browser does it. Menus close by themselves.
    fn folded(summary: &Element) {
        let Some(details) = summary.parent_element().filter(|parent| parent.matches("details:not(.facet)").unwrap_or(false)) else {
            return;
        };
        let _ = if details.has_attribute("open") { details.remove_attribute(OPENED) } else { details.set_attribute(OPENED, "") };
    }

    /// Whoever fills in a form in there is not disturbed by what happens elsewhere in the fleet.
    fn open_again() {
        let Ok(closed) = document().query_selector_all(&format!("details[{OPENED}]:not([open])")) else { return };
        for details in (0..closed.length()).filter_map(|i| closed.get(i)?.dyn_into::<Element>().ok()) {
            let _ = details.set_attribute("open", "");
        }
    }

    /// Opens all that an input is folded away in.
    fn unfold(event: &Event) {
        let mut at = event.target().and_then(|t| t.dyn_into::<Element>().ok());
        while let Some(details) = at.and_then(|element| element.closest("details:not([open])").ok().flatten()) {
            let _ = details.set_attribute("open", "");
            at = details.parent_element();
        }
    }

    /// What the page itself has picked in a list of options; empty where it leaves that to the browser.
    fn given(select: &HtmlSelectElement) -> String {
        let option = select.query_selector("option[selected]").ok().flatten();
        option.and_then(|option| option.get_attribute("value")).unwrap_or_default()
    }

    /// Notes what a person has picked.
    fn picked(event: &Event) {
        let Some(select) = event.target().and_then(|t| t.dyn_into::<HtmlSelectElement>().ok()) else { return };
        let _ = select.set_attribute(PICKED, &select.value());
        let _ = select.set_attribute(INSTEAD_OF, &given(&select));
    }

    fn forget_picked(select: &HtmlSelectElement) {
        let _ = select.remove_attribute(PICKED);
        let _ = select.remove_attribute(INSTEAD_OF);
    }

    /// The form was emptied: the page's own choices hold.
    fn emptied(event: &Event) {
        let Some(form) = event.target().and_then(|t| t.dyn_into::<Element>().ok()) else { return };
        let Ok(selects) = form.query_selector_all(&format!("select[{PICKED}]")) else { return };
        (0..selects.length()).filter_map(|i| selects.get(i)?.dyn_into().ok()).for_each(|select| forget_picked(&select));
    }

    /// A page that was read again has made every `selected` anew, and the browser picks it then.
    fn pick_again() {
        let Ok(selects) = document().query_selector_all(&format!("select[{PICKED}]")) else { return };
        for select in (0..selects.length()).filter_map(|i| selects.get(i)?.dyn_into::<HtmlSelectElement>().ok()) {
            let Some(value) = select.get_attribute(PICKED) else { continue };
            if select.value() == value {
                continue;
            }
            if select.get_attribute(INSTEAD_OF).as_deref() == Some(&given(&select)) {
                select.set_value(&value);
            }
            if select.value() != value {
                forget_picked(&select);
            }
        }
    }

    /// Keeps what was chosen in a file input, and gives it back in the moment in which the browser has dropped it.
    fn chosen(event: &Event) {
        let Some(input) = event.target().and_then(|t| t.dyn_into::<HtmlInputElement>().ok()).filter(|i| i.type_() == "file") else {
            return;
        };
        if let Some(before) = CHOSEN.take() {
            before.observer.disconnect();
        }
        let Some(files) = kept(&input) else { return };
        let seen = Closure::<dyn FnMut()>::new(|| {
            CHOSEN.with_borrow(|chosen| {
                if let Some(Chosen { input, files, .. }) = chosen
                    && input.files().is_none_or(|files| files.length() == 0)
                {
                    input.set_files(files.files().as_ref());
                }
            });
        });
        let watch = MutationObserverInit::new();
        watch.set_attributes(true);
        if let Ok(observer) = MutationObserver::new(seen.as_ref().unchecked_ref())
            && observer.observe_with_options(&input, &watch).is_ok()
        {
            CHOSEN.set(Some(Chosen { input, files, observer, _seen: seen }));
        }
    }

    /// A list of one's own: the input's is emptied with it.
    fn kept(input: &HtmlInputElement) -> Option<DataTransfer> {
        let (files, kept) = (input.files()?, DataTransfer::new().ok()?);
        for file in (0..files.length()).filter_map(|i| files.get(i)) {
            kept.items().add_with_file(&file).ok()?;
        }
        (files.length() > 0).then_some(kept)
    }

    fn copy(button: &Element) {
        let text = button.get_attribute("data-copy").unwrap_or_default();
        let done = wasm_bindgen_futures::JsFuture::from(window().navigator().clipboard().write_text(&text));
        let button = button.clone();
        leptos::task::spawn_local(async move {
            let state = if done.await.is_ok() { "done" } else { "failed" };
            let _ = button.set_attribute("data-copied", state);
            announce(if state == "done" { "Copied" } else { "Copying was refused by the browser" });
            set_timeout(
                move || {
                    let _ = button.remove_attribute("data-copied");
                },
                Duration::from_secs(2),
            );
        });
    }

    /// Says it to assistive technology, politely.
    fn announce(text: &str) {
        if let Some(region) = document().get_element_by_id("announcer") {
            region.set_text_content(Some(text));
        }
    }

    /// Puts the times right. Texts are only written when they change, so nothing moves for nothing.
    fn tick() {
        if browser::hidden() {
            return;
        }
        let now = browser::epoch_ms();
        let Ok(all) = document().query_selector_all("time[data-rel],time[data-abs]") else { return };
        for i in 0..all.length() {
            let Some(element) = all.get(i).and_then(|n| n.dyn_into::<Element>().ok()) else { continue };
            let Some(stamp) = element.get_attribute("datetime") else { continue };
            let at = js_sys::Date::new(&JsValue::from_str(&stamp));
            #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds well within the range")]
            let text = if element.has_attribute("data-rel") { time::relative(at.get_time() as i64, now) } else { local(&at, &element) };
            // The server's text stays the first child: hydration looks for it there.
            if let Some(node) = element.first_child()
                && node.node_value().as_deref() != Some(&text)
            {
                node.set_node_value(Some(&text));
            }
        }
    }

    fn local(at: &js_sys::Date, element: &Element) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = MONTHS.get(at.get_month() as usize).copied().unwrap_or_default();
        let minute = format!("{} {month} {} {:02}:{:02}", at.get_date(), at.get_full_year(), at.get_hours(), at.get_minutes());
        // What people have set is to the minute.
        if element.get_attribute("data-abs").as_deref() == Some("minute") { minute } else { format!("{minute}:{:02}", at.get_seconds()) }
    }
}
