//! What can be done to a release: its buttons, and the question before each. The same question stands in a dialog and, without JavaScript, in the page.
//! Refuses to know what each changes.

use super::recalled::foreseen;
use crate::{
    api::releases::{ActOnRelease, asks_for_version},
    plan::query::push,
    ui::{
        Confirm, asked, dialog,
        dialog::{confirm_dialog_as, off_button},
        dialog_link,
        form::{ActionForm, FormCall},
        icon,
        number::counted,
        page,
    },
};
use leptos::prelude::*;
use wire::{
    releases::{ReleaseDetail as Model, ReleaseVerb},
    states::ReleaseState,
};

/// In the order of their buttons: the one to press next last.
const VERBS: [ReleaseVerb; 5] =
    [ReleaseVerb::Remove, ReleaseVerb::Recall, ReleaseVerb::Deprecate, ReleaseVerb::Recheck, ReleaseVerb::Publish];

fn dialog_id(verb: ReleaseVerb) -> String {
    format!("ask-{verb}")
}

const fn label(verb: ReleaseVerb) -> &'static str {
    match verb {
        ReleaseVerb::Publish => "Publish",
        ReleaseVerb::Recheck => "Check again",
        ReleaseVerb::Deprecate => "Deprecate",
        ReleaseVerb::Recall => "Recall",
        ReleaseVerb::Remove => "Delete",
    }
}

const fn allowed(verb: ReleaseVerb, model: &Model) -> bool {
    match verb {
        ReleaseVerb::Publish => model.may_publish,
        ReleaseVerb::Recheck => model.may_recheck,
        ReleaseVerb::Deprecate => model.may_deprecate,
        ReleaseVerb::Recall => model.may_recall,
        ReleaseVerb::Remove => model.may_remove,
    }
}

const fn variant(verb: ReleaseVerb) -> &'static str {
    match verb {
        ReleaseVerb::Publish => "primary",
        ReleaseVerb::Recheck | ReleaseVerb::Deprecate => "",
        ReleaseVerb::Recall | ReleaseVerb::Remove => "danger",
    }
}

/// Buttons for what the viewer can do now, the one to press next last. What the state forbids to whose role may do it is there as well: it is off and says
/// why.
pub(super) fn buttons(m: &Model, title: &str) -> AnyView {
    let offered = VERBS
        .into_iter()
        .filter(|v| allowed(*v, m))
        .map(|v| dialog_link(dialog_id(v), asked::asking("ask", v.as_str()), variant(v), format!("{}…", label(v)).into_any()));
    // Who may delete what was never published may publish it.
    let held =
        held_back(m).filter(|_| m.may_remove).map(|why| off_button(ReleaseVerb::Publish.as_str(), "primary", "Publish…".into_any(), why));
    view! { {offered.collect_view()}{held}{roll(m, title)} }.into_any()
}

/// Why it can't be published; none where it can, or was.
pub(super) fn held_back(m: &Model) -> Option<String> {
    let reason = if m.row.quarantine.is_empty() { "it was not verified" } else { m.row.quarantine.as_str() };
    (m.row.state == ReleaseState::Draft).then(|| format!("It can't be published: {reason}."))
}

/// The way to a rollout of it.
fn roll(m: &Model, title: &str) -> Option<AnyView> {
    let words = || view! { {icon("rocket")}"New rollout with this" }.into_any();
    let why = match m.row.state {
        ReleaseState::Published => {
            let mut query = "step=devices".to_owned();
            push(&mut query, "release", m.row.id.as_str());
            push(&mut query, "name", title);
            let href = format!("/rollouts/new?{query}");
            return m.may_draft.then(|| view! { <a class="btn" data-v="primary" href=href>{words()}</a> }.into_any());
        }
        // There is another step before.
        ReleaseState::Draft => return None,
        ReleaseState::Verified => "Publish it first: rollouts use published releases only.",
        ReleaseState::Deprecated => "It is deprecated: new rollouts can't use it.",
        ReleaseState::Recalled => "It was recalled: no device installs it any more.",
    };
    m.may_draft.then(|| off_button("roll", "", words(), why.to_owned()))
}

/// The dialogs that [`buttons`] opens. Each has a place of its own, so that it stays as it is filled in when another verb becomes possible.
pub(super) fn dialogs(m: &Model, call: FormCall<ActOnRelease>) -> AnyView {
    let of = |v: ReleaseVerb| allowed(v, m).then(|| dialog(dialog_id(v), title(m, v), ask(m, v, "", call)));
    VERBS.into_iter().map(of).collect_view().into_any()
}

/// The question in the page itself; none where that can't be done now.
pub(super) fn question(m: &Model, asked: Option<ReleaseVerb>, call: FormCall<ActOnRelease>) -> Option<AnyView> {
    asked.filter(|v| allowed(*v, m)).map(|v| page::question(title(m, v), ask(m, v, "page-", call)))
}

fn title(m: &Model, verb: ReleaseVerb) -> String {
    format!("{} {} {}", label(verb), m.row.device_type, m.row.version)
}

/// The form that asks; `place` keeps the ids of the page's question and of its dialog apart.
fn ask(m: &Model, verb: ReleaseVerb, place: &str, call: FormCall<ActOnRelease>) -> AnyView {
    let r = &m.row;
    let (version, installed) = (r.version.clone(), r.installed);
    let (form_id, back) = (format!("{place}{}", verb.as_str()), asked::way_out(&dialog_id(verb)));
    let text = match verb {
        ReleaseVerb::Publish => {
            let mut text = "Rollouts may use it from now on. Nothing is installed by this alone.".to_owned();
            for warning in &m.warnings {
                text.push_str(" But look: ");
                text.push_str(warning);
                text.push('.');
            }
            text
        }
        ReleaseVerb::Recheck => "Its signature and digests are checked again, against the keys of now.".to_owned(),
        ReleaseVerb::Deprecate => "New rollouts can't use it any more. Devices that run it keep it, and running rollouts go on.".to_owned(),
        ReleaseVerb::Recall => {
            format!("No device installs it any more. {} {} run it now.", foreseen(&m.rollouts), counted(installed, "device", "devices"))
        }
        ReleaseVerb::Remove => "The upload and its files are deleted. This cannot be undone.".to_owned(),
    };
    let harms = matches!(verb, ReleaseVerb::Recall | ReleaseVerb::Remove);
    let confirm = Confirm {
        text,
        verb: label(verb).to_owned(),
        cancel: "Not now",
        back,
        danger: harms,
        type_name: (asks_for_version(verb) && !version.is_empty()).then_some(version),
        reason: (verb == ReleaseVerb::Recall).then_some(("Reason", true)),
    };
    let inside = confirm_dialog_as(&form_id, confirm, call);
    let hidden = r.id.to_string();
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=hidden/>
            <input type="hidden" name="verb" value=verb.as_str()/>
            {inside}
        </ActionForm>
    }
    .into_any()
}
