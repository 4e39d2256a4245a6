//! Dialogs: native, opened by a link that leads to a page with the same form when there is no JavaScript.
//!
//! Whether one is open lives in the DOM, so a page that is read again underneath does not close it. [`super::behaviour`] opens and closes them.
//! A question that the address asks is left by [`asked`].

use super::{
    asked,
    form::{self, Post, refusal},
    icon::icon,
};
use leptos::prelude::*;

/// A dialog. `title` names the object; `body` is most often a form whose last element is a [`buttons`] row.
pub fn dialog(id: impl Into<String>, title: impl Into<String>, body: AnyView) -> AnyView {
    let (id, title): (String, String) = (id.into(), title.into());
    let heading = format!("{id}-title");
    view! {
        <dialog class="dlg" id=id aria-labelledby=heading>
            <header>
                <h2 id=heading.clone()>{title}</h2>
                <button type="button" class="btn icon push" data-v="ghost" data-s="sm" data-close="" aria-label="Close">{icon("x")}</button>
            </header>
            {body}
        </dialog>
    }
    .into_any()
}

/// A button that opens the dialog `id`; without JavaScript a link to `href`, the page with the same form.
/// `variant` is `primary`, `danger`, `ghost` or empty. It has the id that [`asked::opener`] says: the way out of the question leads back to it.
pub fn dialog_link(id: impl Into<String>, href: impl Into<String>, variant: &'static str, content: AnyView) -> AnyView {
    let (id, href): (String, String) = (id.into(), href.into());
    let opener = asked::opener(&id);
    view! { <a class="btn" id=opener data-v=variant href=href data-dialog=id aria-haspopup="dialog">{content}</a> }.into_any()
}

/// A second button that opens the dialog `id`, on a page that has a [`dialog_link`] to it.
pub fn dialog_link_too(id: impl Into<String>, href: impl Into<String>, content: AnyView) -> AnyView {
    let (id, href): (String, String) = (id.into(), href.into());
    view! { <a class="btn" href=href data-dialog=id aria-haspopup="dialog">{content}</a> }.into_any()
}

/// A button that opens a dialog which many buttons share: `choose` sets what it asks about now, and `about` names that among all that it may ask. Without
/// JavaScript a link to `href`; its size is `sm` or empty. It has the id that [`asked::opener`] says of `about`: the way out of the question leads back to it.
pub fn dialog_link_about(
    id: &'static str,
    about: &str,
    href: String,
    (variant, size): (&'static str, &'static str),
    content: AnyView,
    choose: impl Fn() + 'static,
) -> AnyView {
    view! {
        <a class="btn" id=asked::opener(about) data-v=variant data-s=size href=href data-dialog=id aria-haspopup="dialog" on:click=move |_| choose()>
            {content}
        </a>
    }
    .into_any()
}

/// A button that is off for now, and says why: to whoever points at it, and to who can't see it. `id` ends the id of the reason.
pub fn off_button(id: &str, variant: &'static str, content: AnyView, why: String) -> AnyView {
    let said = format!("why-{id}");
    view! {
        <button type="button" class="btn" data-v=variant aria-disabled="true" aria-describedby=said.clone() title=why.clone()>{content}</button>
        <span class="sr" id=said>{why}</span>
    }
    .into_any()
}

/// A question before something is done. The same in a dialog and on its page.
pub struct Confirm {
    /// What follows, in a sentence or two with numbers.
    pub text: String,
    /// The verb on the button: "Stop rollout".
    pub verb: String,
    /// What the way out is called: "Keep running".
    pub cancel: &'static str,
    /// Where the way out leads when the question stands in a page: [`asked::way_out`] where the address asks it, else the page that it is a part of.
    pub back: String,
    /// Whether it harms: the button is red then.
    pub danger: bool,
    /// The name to type before it is done; posted as `confirm`.
    pub type_name: Option<String>,
    /// Label of the reason, posted as `reason`; required when the flag is set.
    pub reason: Option<(&'static str, bool)>,
}

impl Confirm {
    /// Whether what another person wants is approved, or rejected. Either takes a word about why.
    pub fn decision(yes: bool, text: String, approve: &str, back: String) -> Self {
        let (verb, why) = if yes { (approve, "Remark") } else { ("Reject", "Reason") };
        Self { text, verb: verb.to_owned(), cancel: "Not now", back, danger: !yes, type_name: None, reason: Some((why, true)) }
    }
}

/// The inside of the form that asks: put it into an `ActionForm` of this call, with its hidden inputs. Focus starts on the way out. Only what the call's
/// last post was refused with comes and goes: what is typed stays, also while the page around it is read again ([`form::Field::refused`]).
pub fn confirm_dialog(confirm: Confirm, call: impl Into<Post>) -> AnyView {
    confirm_dialog_as("f", confirm, call)
}

/// The same, for a page with several such forms: `id` begins the ids of this one's inputs.
pub fn confirm_dialog_as(id: &str, confirm: Confirm, call: impl Into<Post>) -> AnyView {
    confirm_dialog_of(id, confirm, ().into_any(), call.into())
}

/// The same, with inputs that are filled in before the reason is said. They keep what is chosen in the same way.
pub fn confirm_dialog_of(id: &str, confirm: Confirm, inputs: AnyView, call: Post) -> AnyView {
    let Confirm { text, verb, cancel, back, danger, type_name, reason } = confirm;
    let name_field = type_name.map(|name| {
        form::text("confirm", format!("Type {name} to confirm"))
            .id(format!("{id}-confirm"))
            .exactly(&name)
            .required()
            .autocomplete("off")
            .refused(call)
            .view()
    });
    let reason_field = reason.map(|(label, required)| {
        let label = format!("{label} ({})", if required { "required" } else { "optional" });
        let field = form::field("reason", label, form::Control::Area).id(format!("{id}-reason")).max_length(500).refused(call);
        if required { field.required() } else { field }.view()
    });
    view! {
        <div class="body">
            {move || form::fault_banner(refusal(call).as_ref())}
            <p>{text}</p>
            {inputs}
            {name_field}
            {reason_field}
        </div>
        {buttons(cancel, back, form::submit(verb, if danger { "danger-solid" } else { "primary" }, move || call.pending().get()))}
    }
    .into_any()
}

/// The last row of a dialog's form: the way out, then the button that does it. What is left is no place to come back to: the router's link replaces it
/// in the history.
pub fn buttons(cancel: &'static str, back: impl Into<String>, doing: AnyView) -> AnyView {
    let back: String = back.into();
    view! { <footer><a class="btn" href=back data-close="" autofocus="" prop:replace=true>{cancel}</a>{doing}</footer> }.into_any()
}

/// Closes whatever dialog is open. Browser only.
pub fn close_all() {
    #[cfg(feature = "hydrate")]
    super::browser::close_dialogs();
}
