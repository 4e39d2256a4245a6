//! Forms that post to a server function and stay where they are, and those that lead to another address.

use crate::{
    api::{decode::decode, fault::ApiFault, packed::Reading},
    plan::query::pairs,
    ui::{Tone, dialog, toast::toasts},
};
use leptos::{
    prelude::*,
    server_fn::{ServerFn, error::ServerFnUrlError},
};
use leptos_router::hooks::use_query_map;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use wire::Fault;

/// A server function that a form posts to, and how its last post went. Everything but the types at its ends exists once for all forms.
pub struct FormCall<S> {
    post: Post,
    function: PhantomData<fn() -> S>,
}

impl<S> Clone for FormCall<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for FormCall<S> {}
impl<S> From<FormCall<S>> for Post {
    fn from(call: FormCall<S>) -> Self {
        call.post
    }
}

/// A [`FormCall`] without its types.
#[derive(Debug, Clone, Copy)]
pub struct Post {
    path: &'static str,
    pending: RwSignal<bool>,
    /// What the last post was answered with, JSON.
    answer: RwSignal<Option<Result<String, ApiFault>>>,
}

impl<S> FormCall<S> {
    /// Whether a post is on its way.
    pub const fn pending(self) -> RwSignal<bool> {
        self.post.pending
    }
    /// What the last post came to, if it came to something; tracked.
    pub fn done(self) -> Option<S::Output>
    where
        S: ServerFn<Error = ApiFault>,
        S::Output: DeserializeOwned,
    {
        self.post.answer.with(|answer| match answer {
            Some(Ok(text)) => decode(text).ok(),
            _ => None,
        })
    }
}

/// The call behind a form. Without JavaScript the refusal of the post before is its first answer.
pub fn action<S: ServerFn<Error = ApiFault>>() -> FormCall<S> {
    FormCall { post: Post::new(S::PATH), function: PhantomData }
}

/// What the last post of a call was refused with; tracked.
pub fn refusal(call: impl Into<Post>) -> Option<Fault> {
    call.into().answer.with(|answer| match answer {
        Some(Err(fault)) => Some(fault.0.clone()),
        _ => None,
    })
}

/// Runs `then` in the browser after each success of a call, with what it answered.
pub fn on_success<S>(call: FormCall<S>, then: impl Fn(S::Output) + 'static)
where
    S: ServerFn<Error = ApiFault>,
    S::Output: DeserializeOwned,
{
    after(call.post, Box::new(move |text| decode(text).map(&then).is_ok()));
}

/// A call that says `word` when it is done, closes its dialog and reads the page again.
pub fn said<S>(word: &'static str, model: Reading) -> FormCall<S>
where
    S: ServerFn<Error = ApiFault>,
    S::Output: DeserializeOwned,
{
    let call = action::<S>();
    let notes = toasts();
    on_success(call, move |_| {
        dialog::close_all();
        if let Some(notes) = notes {
            notes.say(Tone::Ok, word);
        }
        model.refetch();
    });
    call
}

/// Runs `then` in the browser when a form that was refused is asked anew: what it was about may have changed meanwhile.
pub fn on_asked_anew(call: impl Into<Post>, then: impl Fn() + 'static) {
    let post: Post = call.into();
    Effect::new(move |before: Option<bool>| {
        let (refused, nothing) = post.answer.with(|answer| (matches!(answer, Some(Err(_))), answer.is_none()));
        if before == Some(true) && nothing {
            untrack(&then);
        }
        refused
    });
}

fn after(post: Post, then: Box<dyn Fn(&str) -> bool>) {
    Effect::new(move |first: Option<()>| {
        post.answer.with(|answer| {
            if let (Some(()), Some(Ok(text))) = (first, answer)
                && !untrack(|| then(text))
            {
                leptos::logging::error!("{} answered in an unexpected form", post.path);
            }
        });
    });
}

/// A form that posts to a call. In the browser the page stays where it is; without JavaScript the server leads on.
#[component]
pub fn ActionForm(
    /// The call.
    #[prop(into)]
    action: Post,
    /// Whether it is as at first once it was done: a form that makes something, on a page that stays.
    #[prop(optional)]
    clears: bool,
    /// Inputs named like the server function's arguments.
    children: Children,
) -> AnyView {
    view! {
        <form method="post" action=action.path on:submit=move |event| action.submit(&event, clears) on:reset=move |_| action.forget_refusal()>
            {children()}
        </form>
    }
    .into_any()
}

/// A form whose inputs become the query of an address: a way to another page, in the browser without leaving this one.
#[component]
pub fn QueryForm(
    /// The address without a query.
    #[prop(into)]
    action: String,
    /// Whether a query leads to the same place of the same page, which is not scrolled to its top then; none does where nothing is said.
    #[prop(optional)]
    stays: Option<fn(&str) -> bool>,
    /// Inputs.
    children: Children,
) -> AnyView {
    let to = action.clone();
    let navigate = leptos_router::hooks::use_navigate();
    let submit = move |event: leptos::ev::SubmitEvent| {
        #[cfg(feature = "hydrate")]
        if !event.default_prevented()
            && let Some(query) = form_of(&event)
        {
            event.prevent_default();
            let scroll = !stays.is_some_and(|stays| stays(&query));
            navigate(&format!("{to}?{query}"), leptos_router::NavigateOptions { scroll, ..leptos_router::NavigateOptions::default() });
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (&to, &navigate, stays, event);
    };
    view! { <form method="get" action=action on:submit=submit>{children()}</form> }.into_any()
}

impl Post {
    /// Whether a post is on its way.
    pub const fn pending(self) -> RwSignal<bool> {
        self.pending
    }

    /// What the page's address says of a form that the browser posts to this path by itself: what it was refused with, and what of it was typed.
    pub fn plain(path: &'static str) -> Self {
        Self::new(path)
    }

    /// The form is as it was before it was sent; what it came to stays.
    fn forget_refusal(self) {
        if self.answer.with_untracked(|answer| matches!(answer, Some(Err(_)))) {
            self.answer.set(None);
        }
    }

    fn new(path: &'static str) -> Self {
        let query = use_query_map().get_untracked();
        let refused = match (query.get_str("__path"), query.get_str("__err")) {
            (Some(of), Some(error)) if of == path => Some(Err(ServerFnUrlError::<ApiFault>::decode_err(error))),
            _ => None,
        };
        Self { path, pending: RwSignal::new(false), answer: RwSignal::new(refused) }
    }

    /// What was typed into this input before a refusal that the address tells of, so that nobody types it twice without JavaScript.
    pub(super) fn typed(self, name: &str) -> Option<String> {
        let query = use_query_map().get_untracked();
        let typed = query.get_str("__typed").filter(|_| query.get_str("__path") == Some(self.path))?;
        pairs(typed).into_iter().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The same for inputs of which several may be chosen; none when the address tells of no refusal.
    pub(super) fn chosen(self, name: &str) -> Option<Vec<String>> {
        let query = use_query_map().get_untracked();
        let typed = query.get_str("__typed").filter(|_| query.get_str("__path") == Some(self.path))?;
        Some(pairs(typed).into_iter().filter_map(|(key, value)| (key == name).then_some(value)).collect())
    }

    #[cfg(feature = "hydrate")]
    fn submit(self, event: &leptos::ev::SubmitEvent, clears: bool) {
        if event.default_prevented() {
            return;
        }
        event.prevent_default();
        let Some(form) = form_of(event) else { return };
        let sent = form_element(event).filter(|_| clears);
        if self.pending.get_untracked() {
            return;
        }
        self.pending.set(true);
        leptos::task::spawn_local(async move {
            let answered = crate::api::fetch::post(self.path, &form).await;
            // The page may be gone by now; then nobody waits for the answer.
            self.pending.try_set(false);
            let lead = answered.as_ref().ok().and_then(|answered| answered.lead.clone());
            if let Some(sent) = sent.filter(|_| answered.is_ok()) {
                sent.reset();
            }
            self.answer.try_set(Some(answered.map(|answered| answered.text)));
            if let Some(lead) = lead {
                leptos::server_fn::redirect::call_redirect_hook(&lead);
            }
        });
    }

    #[cfg(not(feature = "hydrate"))]
    #[expect(clippy::unused_self, reason = "the server never submits a form")]
    const fn submit(self, _: &leptos::ev::SubmitEvent, _: bool) {}
}

/// The form that is submitted.
#[cfg(feature = "hydrate")]
fn form_element(event: &leptos::ev::SubmitEvent) -> Option<web_sys::HtmlFormElement> {
    use wasm_bindgen::JsCast;
    event.target()?.dyn_into().ok()
}

/// What a submitted form would send, with the button that sent it.
#[cfg(feature = "hydrate")]
fn form_of(event: &leptos::ev::SubmitEvent) -> Option<String> {
    use web_sys::{FormData, UrlSearchParams};
    let data = FormData::new_with_form(&form_element(event)?).ok()?;
    if let Some(button) = event.submitter()
        && let Some(name) = button.get_attribute("name")
    {
        data.append_with_str(&name, &button.get_attribute("value").unwrap_or_default()).ok()?;
    }
    let pairs = UrlSearchParams::new_with_str_sequence_sequence(&data).ok()?;
    Some(String::from(pairs.to_string()))
}
