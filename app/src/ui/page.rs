//! A page: its model read once, its head, and the states every page has (loading, empty, no permission, gone, broken).

use super::{asked, behaviour::Unread, icon::icon, status::Tone};
use crate::{
    api::packed::{Packed, Reading},
    session,
};
use leptos::{html, prelude::*};
use leptos_meta::Title;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use wire::{Fault, FaultKind};

/// Shows a page's model: rows of grey while the first read runs, the old page while a later one does, a state in words when it failed.
///
/// `model` is the page's one resource; `render` makes the page of it and runs again after every read, and when a question comes into the address or goes
/// out of it ([`asked`]). So it must not own state: what is typed or opened lives in the DOM, in the URL, or outside of it.
pub fn page<T: DeserializeOwned + 'static>(model: Reading, render: impl Fn(T) -> AnyView + Send + Sync + 'static) -> AnyView {
    page_of(model, Arc::new(move |model| model.read().map_or_else(|fault| fault_state(&fault.0), &render)))
}

/// The same with the model's type out of sight, so that it is compiled once for all pages.
fn page_of(model: Reading, render: Arc<dyn Fn(&Packed) -> AnyView + Send + Sync>) -> AnyView {
    let asked = asked::followed();
    view! {
        <Transition fallback=skeleton>
            {move || {
                let (render, unread) = (Arc::clone(&render), Unread::one());
                Suspend::new(async move {
                    // Nothing may be read for a question: the model knows already what it is about. Read, not only followed: a memo that nobody has read
                    // follows nothing itself.
                    asked.with(|_| ());
                    let shown = match model.await {
                        Ok(model) => render(&model),
                        Err(fault) => fault_state(&fault.0),
                    };
                    drop(unread);
                    shown
                })
            }}
        </Transition>
    }
    .into_any()
}

/// Grey rows in the geometry of a page, for navigation in the browser; the server never sends them.
pub fn skeleton() -> AnyView {
    view! {
        <div class="stack skeleton" aria-busy="true">
            <span class="skel" data-s="title"></span>
            {(0..8).map(|_| view! { <span class="skel" data-s="row"></span> }).collect_view()}
        </div>
    }
    .into_any()
}

/// Title, one line under it, and the page's actions. Sets the document's title and takes the focus after a navigation in the browser.
#[component]
pub fn PageHead(
    /// The `<h1>` and the document's title.
    #[prop(into)]
    title: String,
    /// Set the title in the fixed-width font: it is an id.
    #[prop(optional)]
    mono: bool,
    /// What stands beside the title: states and tags.
    #[prop(optional, into)]
    marks: Option<AnyView>,
    /// A line under the title.
    #[prop(optional, into)]
    sub: Option<AnyView>,
    /// Buttons at the end; at most one of them is primary.
    #[prop(optional, into)]
    actions: Option<AnyView>,
) -> AnyView {
    let heading = NodeRef::<html::H1>::new();
    session::focus_after_navigation(heading);
    let document_title = format!("{title} · Fleetward");
    view! {
        <Title text=document_title/>
        <div class="page-head">
            <div class="titles">
                <div class="page-title">
                    <h1 node_ref=heading tabindex="-1" class:mono=mono>{title}</h1>
                    {marks}
                </div>
                {sub.map(|sub| view! { <p class="sub">{sub}</p> })}
            </div>
            {actions.map(|actions| view! { <div class="actions">{actions}</div> })}
        </div>
    }
    .into_any()
}

/// A titled box. `aside` goes to the end of its header: a link, a count, a range switch.
pub fn card(title: impl Into<String>, aside: Option<AnyView>, body: AnyView) -> AnyView {
    let title: String = title.into();
    view! {
        <section class="card">
            <header><h2>{title}</h2>{aside.map(|aside| view! { <div class="row push small">{aside}</div> })}</header>
            <div class="body">{body}</div>
        </section>
    }
    .into_any()
}

/// A titled box whose content goes to its edges: a table.
pub fn card_flush(title: impl Into<String>, aside: Option<AnyView>, body: AnyView) -> AnyView {
    let title: String = title.into();
    view! {
        <section class="card">
            <header><h2>{title}</h2>{aside.map(|aside| view! { <div class="row push small">{aside}</div> })}</header>
            {body}
        </section>
    }
    .into_any()
}

/// A question in the page itself: what a dialog is without JavaScript, and where the address asks it. Escape leaves it, too ([`super::behaviour`]).
pub fn question(title: impl Into<String>, form: AnyView) -> AnyView {
    let title: String = title.into();
    view! { <section class="card narrow ask"><header><h2>{title}</h2></header>{form}</section> }.into_any()
}

/// A message over the whole width. Bad ones are announced at once, the others when the reader is free.
pub fn banner(tone: Tone, text: AnyView) -> AnyView {
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    view! { <div class="banner" data-s=tone.as_str() role=role>{icon(tone.icon())}<span class="grow">{text}</span></div> }.into_any()
}

/// What stands where rows would be: what belongs here, and the way to the first one.
pub fn empty(icon_name: &str, title: impl Into<String>, text: impl Into<String>, action: Option<AnyView>) -> AnyView {
    let (title, text): (String, String) = (title.into(), text.into());
    view! { <div class="empty">{icon(icon_name)}<h2>{title}</h2><p>{text}</p>{action}</div> }.into_any()
}

/// What stands where rows would be behind the end of a list, which has become shorter since the page before was read. `first` is its first page.
pub fn behind(first: impl Into<String>) -> AnyView {
    let first: String = first.into();
    let way = view! { <a class="btn" href=first>"Go to the first page"</a> }.into_any();
    empty("list", "Nothing is left on this page", "The list has become shorter since the page before it was shown.", Some(way))
}

/// The same in a box of its own.
pub fn card_behind(first: impl Into<String>) -> AnyView {
    view! { <div class="card">{behind(first)}</div> }.into_any()
}

/// A line where a form would be: what the viewer can't do, and who can.
pub fn locked(why: impl Into<String>) -> AnyView {
    let why: String = why.into();
    view! { <p class="row text-2">{icon("lock")}<span>{why}</span></p> }.into_any()
}

/// A page's content when its model could not be read.
pub fn fault_state(fault: &Fault) -> AnyView {
    let (name, title) = match fault.kind {
        FaultKind::Unauthenticated => ("lock", "You are signed out"),
        FaultKind::Forbidden => ("lock", "Your role does not allow this"),
        FaultKind::NotFound | FaultKind::Gone => ("search", "Not found"),
        FaultKind::Invalid => ("circle-alert", "This address is not understood"),
        FaultKind::Busy | FaultKind::TooMany => ("clock", "Not right now"),
        _ => ("octagon-x", "This page could not be read"),
    };
    if fault.kind == FaultKind::Unauthenticated {
        session::renew();
    }
    let retry = match fault.kind {
        FaultKind::Unauthenticated => view! { <a class="btn" data-v="primary" href="/sign-in" rel="external">"Sign in"</a> }.into_any(),
        FaultKind::Forbidden | FaultKind::NotFound | FaultKind::Gone => {
            view! { <a class="btn" href="/">"Go to the overview"</a> }.into_any()
        }
        // The same address would be understood no better.
        FaultKind::Invalid => view! { <a class="btn" href="?" rel="external">"Leave out what is not understood"</a> }.into_any(),
        _ => view! { <a class="btn" href="" rel="external">{icon("refresh-cw")}"Try again"</a> }.into_any(),
    };
    view! {
        <PageHead title=title/>
        <div class="card">{empty(name, title_again(fault.kind), fault.message.clone(), Some(retry))}</div>
    }
    .into_any()
}

const fn title_again(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Unauthenticated => "Sign in to go on",
        FaultKind::Forbidden => "Ask an admin for the role you need",
        FaultKind::NotFound | FaultKind::Gone => "There is nothing at this address",
        _ => "What went wrong",
    }
}
