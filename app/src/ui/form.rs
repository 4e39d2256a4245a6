//! Forms: labelled fields with hint and error, and the way from a refused action back to the field it is about.
//!
//! A form is an [`ActionForm`] around [`Field`]s: it posts without JavaScript too, and the refusal then comes back in the address, from where
//! [`action`] reads it.

use super::{icon::icon, page::banner, status::Tone};
use crate::api::{decode::decode, fault::ApiFault};
use leptos::{
    prelude::*,
    server_fn::{ServerFn, error::ServerFnUrlError},
};
use leptos_router::hooks::use_query_map;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use wire::{Fault, FaultKind};

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
#[derive(Clone, Copy)]
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
    /// Inputs named like the server function's arguments.
    children: Children,
) -> AnyView {
    view! { <form method="post" action=action.path on:submit=move |event| action.submit(&event)>{children()}</form> }.into_any()
}

/// A form whose inputs become the query of an address: a way to another page, in the browser without leaving this one.
#[component]
pub fn QueryForm(
    /// The address without a query.
    #[prop(into)]
    action: String,
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
            navigate(&format!("{to}?{query}"), leptos_router::NavigateOptions::default());
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (&to, &navigate, event);
    };
    view! { <form method="get" action=action on:submit=submit>{children()}</form> }.into_any()
}

impl Post {
    fn new(path: &'static str) -> Self {
        let query = use_query_map().get_untracked();
        let refused = match (query.get_str("__path"), query.get_str("__err")) {
            (Some(of), Some(error)) if of == path => Some(Err(ServerFnUrlError::<ApiFault>::decode_err(error))),
            _ => None,
        };
        Self { path, pending: RwSignal::new(false), answer: RwSignal::new(refused) }
    }

    #[cfg(feature = "hydrate")]
    fn submit(self, event: &leptos::ev::SubmitEvent) {
        if event.default_prevented() {
            return;
        }
        event.prevent_default();
        let Some(form) = form_of(event) else { return };
        if self.pending.get_untracked() {
            return;
        }
        self.pending.set(true);
        leptos::task::spawn_local(async move {
            let answered = crate::api::fetch::post(self.path, &form).await;
            // The page may be gone by now; then nobody waits for the answer.
            self.pending.try_set(false);
            let lead = answered.as_ref().ok().and_then(|answered| answered.lead.clone());
            self.answer.try_set(Some(answered.map(|answered| answered.text)));
            if let Some(lead) = lead {
                leptos::server_fn::redirect::call_redirect_hook(&lead);
            }
        });
    }

    #[cfg(not(feature = "hydrate"))]
    #[expect(clippy::unused_self, reason = "the server never submits a form")]
    const fn submit(self, _: &leptos::ev::SubmitEvent) {}
}

/// What a submitted form would send, with the button that sent it.
#[cfg(feature = "hydrate")]
fn form_of(event: &leptos::ev::SubmitEvent) -> Option<String> {
    use wasm_bindgen::JsCast;
    use web_sys::{FormData, HtmlFormElement, UrlSearchParams};
    let form: HtmlFormElement = event.target()?.dyn_into().ok()?;
    let data = FormData::new_with_form(&form).ok()?;
    if let Some(button) = event.submitter()
        && let Some(name) = button.get_attribute("name")
    {
        data.append_with_str(&name, &button.get_attribute("value").unwrap_or_default()).ok()?;
    }
    let pairs = UrlSearchParams::new_with_str_sequence_sequence(&data).ok()?;
    Some(String::from(pairs.to_string()))
}

/// The input of a field.
#[derive(Debug, Clone)]
pub enum Control {
    /// One line; the `type` attribute.
    Input(&'static str),
    /// Several lines.
    Area,
    /// One of these: value and label.
    Select(Vec<(String, String)>),
    /// Yes or no, posted as `true`.
    Check,
}

/// A labelled input. Build it, then [`Field::view`].
#[derive(Debug, Clone)]
pub struct Field {
    name: String,
    label: String,
    control: Control,
    value: String,
    hint: String,
    error: Option<String>,
    required: bool,
    autocomplete: Option<&'static str>,
    placeholder: Option<&'static str>,
    pattern: Option<String>,
    bounds: Option<(i64, i64)>,
    max_length: Option<u32>,
    id: String,
}

/// One line of text.
pub fn text(name: impl Into<String>, label: impl Into<String>) -> Field {
    field(name, label, Control::Input("text"))
}

/// One of some values.
pub fn select(name: impl Into<String>, label: impl Into<String>, options: Vec<(String, String)>) -> Field {
    field(name, label, Control::Select(options))
}

/// A field with this control. `name` is what is posted.
pub fn field(name: impl Into<String>, label: impl Into<String>, control: Control) -> Field {
    let name: String = name.into();
    Field {
        id: format!("f-{name}"),
        name,
        label: label.into(),
        control,
        value: String::new(),
        hint: String::new(),
        error: None,
        required: false,
        autocomplete: None,
        placeholder: None,
        pattern: None,
        bounds: None,
        max_length: None,
    }
}

impl Field {
    /// Another id than `f-{name}`: for the second form with such a field on a page.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }
    /// What is in it at first; for [`Control::Check`] `true` checks it.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }
    /// A line under it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
    /// Must be filled in.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }
    /// The `autocomplete` token.
    #[must_use]
    pub fn autocomplete(mut self, token: &'static str) -> Self {
        self.autocomplete = Some(token);
        self
    }
    /// An example, shown while it is empty.
    #[must_use]
    pub fn placeholder(mut self, example: &'static str) -> Self {
        self.placeholder = Some(example);
        self
    }
    /// Only exactly this text passes (blanks around it don't count); the browser checks it, the server again.
    #[must_use]
    pub fn exactly(mut self, text: &str) -> Self {
        self.pattern = Some(exact_pattern(text));
        self
    }
    /// Least and greatest number.
    #[must_use]
    pub fn bounds(mut self, least: i64, greatest: i64) -> Self {
        self.bounds = Some((least, greatest));
        self
    }
    /// Most characters.
    #[must_use]
    pub fn max_length(mut self, characters: u32) -> Self {
        self.max_length = Some(characters);
        self
    }
    /// Shows the refusal here if it is about this field.
    #[must_use]
    pub fn fault(mut self, fault: Option<&Fault>) -> Self {
        self.error = fault.filter(|f| f.field.as_deref() == Some(&self.name)).map(|f| f.message.clone());
        self
    }
    /// The markup.
    pub fn view(self) -> AnyView {
        let Self { id, name, label, control, value, hint, error, required, autocomplete, placeholder, pattern, bounds, max_length } = self;
        let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-err"));
        let described = match (hint.is_empty(), error.is_none()) {
            (true, true) => None,
            (false, true) => Some(hint_id.clone()),
            (true, false) => Some(error_id.clone()),
            (false, false) => Some(format!("{hint_id} {error_id}")),
        };
        let invalid = error.is_some().then_some("true");
        let input = match control {
            Control::Check => {
                return view! {
                    <div class="field">
                        <label class="check"><input type="checkbox" name=name id=id value="true" checked={value == "true"}/>{label}</label>
                        {(!hint.is_empty()).then(|| view! { <span class="hint">{hint}</span> })}
                    </div>
                }
                .into_any();
            }
            Control::Input(kind) => view! {
                <input class="input" id=id.clone() name=name type=kind value=value required=required autocomplete=autocomplete placeholder=placeholder
                    pattern=pattern min=bounds.map(|b| b.0) max=bounds.map(|b| b.1) maxlength=max_length
                    aria-describedby=described aria-invalid=invalid/>
            }
            .into_any(),
            Control::Area => view! {
                <textarea class="textarea" id=id.clone() name=name required=required placeholder=placeholder maxlength=max_length
                    aria-describedby=described aria-invalid=invalid>{value}</textarea>
            }
            .into_any(),
            Control::Select(options) => {
                let options = options
                    .into_iter()
                    .map(|(v, label)| {
                        let selected = v == value;
                        view! { <option value=v selected=selected>{label}</option> }
                    })
                    .collect_view();
                view! {
                    <select class="select" id=id.clone() name=name required=required aria-describedby=described aria-invalid=invalid>{options}</select>
                }
                .into_any()
            }
        };
        view! {
            <div class="field">
                <label for=id>{label}</label>
                {input}
                {(!hint.is_empty()).then(|| view! { <span class="hint" id=hint_id>{hint}</span> })}
                {error.map(|error| view! { <span class="err" id=error_id>{icon("circle-alert")}{error}</span> })}
            </div>
        }
        .into_any()
    }
}

/// The refusal over a form: always said in words, also when a field shows it; nothing when there is none.
pub fn fault_banner(fault: Option<&Fault>) -> AnyView {
    let Some(fault) = fault else { return ().into_any() };
    if fault.kind == FaultKind::Unauthenticated && fault.code == "signed_out" {
        crate::session::renew();
    }
    let again = fault.retry_after.map(|s| format!(" Try again in {}.", wire::time::duration(i64::from(s) * 1000)));
    banner(Tone::Bad, view! { {fault.message.clone()}{again} }.into_any())
}

/// The button that sends a form. `variant` is `primary`, `danger-solid` or empty; while `pending` it is busy and does nothing.
pub fn submit(label: impl Into<String>, variant: &'static str, pending: impl Fn() -> bool + Copy + Send + Sync + 'static) -> AnyView {
    let label: String = label.into();
    view! { <button class="btn" data-v=variant type="submit" aria-busy=move || pending().then_some("true")>{label}</button> }.into_any()
}

/// Pure: the `pattern` attribute that only this text matches, blanks around it allowed.
pub fn exact_pattern(text: &str) -> String {
    let mut out = String::from("\\s*");
    for c in text.trim().chars() {
        if "^$\\.*+?()[]{}|/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out.push_str("\\s*");
    out
}

#[cfg(test)]
mod tests {
    use super::exact_pattern;

    #[test]
    fn a_pattern_takes_the_name_literally() {
        assert_eq!(exact_pattern(" Gateway 4.12 (eu) "), "\\s*Gateway 4\\.12 \\(eu\\)\\s*");
        assert_eq!(exact_pattern("gw-1:a"), "\\s*gw-1:a\\s*");
    }
}
