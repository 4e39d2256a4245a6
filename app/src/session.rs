//! The signed-in person as the browser knows them: who they are, how the session goes on, and where the focus goes.

use crate::api::packed::reading;
use crate::{
    api::{packed::Reading, session::ReadViewer},
    live,
};
use leptos::{html, prelude::*};
use wire::live::Topic;

/// The frame's one resource: who looks, and the counts of the navigation. Kept fresh while rollouts come and go.
pub fn viewer_resource() -> Reading {
    let model = reading(|| ReadViewer {});
    live::refetch_on(|| Some(Topic::Rollouts), 3000, model);
    live::refetch_on(|| Some(Topic::Devices), 5000, model);
    model
}

/// Trades the refresh token for a new session and comes back here; without one the way ends at the sign-in page. Browser only.
pub fn renew() {
    #[cfg(feature = "hydrate")]
    if let Some(here) = crate::ui::browser::path_and_query() {
        let next = String::from(js_sys::encode_uri_component(&here));
        crate::ui::browser::go(&format!("/session/refresh?next={next}"));
    }
}

/// The same without leaving the page: for a socket that was refused. If there is no session any more, the sign-in page.
#[cfg(feature = "hydrate")]
pub fn renew_quietly() {
    use wasm_bindgen::JsCast;
    leptos::task::spawn_local(async {
        let answer = wasm_bindgen_futures::JsFuture::from(window().fetch_with_str("/session/refresh?next=/favicon.svg")).await;
        // No answer is a network that is down; the machine waits for it.
        if let Ok(answer) = answer
            && let Ok(answer) = answer.dyn_into::<web_sys::Response>()
            && answer.url().contains("/sign-in")
        {
            renew();
        }
    });
}

#[cfg(feature = "hydrate")]
thread_local! {
    static NAVIGATED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    static WANTED: std::cell::RefCell<Option<String>> = const { std::cell::RefCell::new(None) };
}

/// Notes that the path changed in the browser: the next page's heading takes the focus.
pub fn note_navigation() {
    #[cfg(feature = "hydrate")]
    {
        NAVIGATED.set(true);
        WANTED.set(None);
    }
}

/// The same where one element of the next page is what was asked for, by its id: it takes the focus in the heading's place, and comes into view.
pub fn note_navigation_to(id: &str) {
    #[cfg(feature = "hydrate")]
    {
        NAVIGATED.set(true);
        WANTED.set(Some(id.to_owned()));
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = id;
}

/// Focuses the element with this id; false where there is none, or it can't be focused.
#[cfg(feature = "hydrate")]
fn focused(id: &str) -> bool {
    use wasm_bindgen::JsCast;
    let wanted = document().get_element_by_id(id).and_then(|found| found.dyn_into::<web_sys::HtmlElement>().ok());
    wanted.is_some_and(|wanted| wanted.focus().is_ok()) && document().active_element().is_some_and(|has_it| has_it.id() == id)
}

/// Focuses this heading if a navigation in the browser led to it, so that a screen reader says where it is and Tab goes on from there.
pub fn focus_after_navigation(heading: NodeRef<html::H1>) {
    #[cfg(feature = "hydrate")]
    Effect::new(move |_| {
        let Some(heading) = heading.get() else { return };
        // It is made before it is put into the page; by the next frame of the screen it is there.
        request_animation_frame(move || {
            if heading.is_connected() && NAVIGATED.take() && !WANTED.take().is_some_and(|id| focused(&id)) {
                let options = web_sys::FocusOptions::new();
                options.set_prevent_scroll(true);
                // An element that left the page meanwhile can't be focused; nothing is lost.
                let _ = heading.focus_with_options(&options);
            }
        });
    });
    #[cfg(not(feature = "hydrate"))]
    let _ = heading;
}
