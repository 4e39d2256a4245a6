//! A release's page: what it is, who signed it, its files, and the rollouts that use it.

use crate::api::packed::reading;
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::{
        releases::{ActOnRelease, ReadRelease, asks_for_version},
        signing::SignRelease,
    },
    live,
    pages::words,
    ui::{
        Column, Confirm, PageHead, Tone, asked, badge, banner, card, copyable, dialog,
        dialog::confirm_dialog_as,
        dialog_link,
        form::{action, on_success, refusal},
        icon,
        number::{bytes, counted, grouped},
        page::{self, card_flush, page},
        table, time,
        toast::toasts,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use wire::{
    live::Topic,
    releases::{Container, ContainerKind, ReleaseDetail as Model},
};

/// What can be done to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Publish,
    Recheck,
    Deprecate,
    Recall,
    Remove,
}

const VERBS: [Verb; 5] = [Verb::Remove, Verb::Recall, Verb::Deprecate, Verb::Recheck, Verb::Publish];

impl Verb {
    const fn word(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Recheck => "recheck",
            Self::Deprecate => "deprecate",
            Self::Recall => "recall",
            Self::Remove => "remove",
        }
    }
    fn dialog(self) -> String {
        format!("ask-{}", self.word())
    }
    const fn label(self) -> &'static str {
        match self {
            Self::Publish => "Publish",
            Self::Recheck => "Check again",
            Self::Deprecate => "Deprecate",
            Self::Recall => "Recall",
            Self::Remove => "Delete",
        }
    }
    const fn allowed(self, model: &Model) -> bool {
        match self {
            Self::Publish => model.may_publish,
            Self::Recheck => model.may_recheck,
            Self::Deprecate => model.may_deprecate,
            Self::Recall => model.may_recall,
            Self::Remove => model.may_remove,
        }
    }
    const fn variant(self) -> &'static str {
        match self {
            Self::Publish => "primary",
            Self::Recheck | Self::Deprecate => "",
            Self::Recall | Self::Remove => "danger",
        }
    }
}

/// `/firmware/{id}`; `?ask=VERB` asks without JavaScript.
#[component]
pub fn ReleasePage() -> AnyView {
    let (params, query) = (use_params_map(), use_query_map());
    let model = reading(move || ReadRelease { id: params.with(|p| p.get("id").unwrap_or_default()) });
    live::refetch_on(|| Some(Topic::Releases), 1000, model);
    let call = action::<ActOnRelease>();
    let notes = toasts();
    on_success(call, move |()| {
        crate::ui::dialog::close_all();
        if let Some(notes) = notes {
            notes.say(Tone::Ok, "Done");
        }
        model.refetch();
    });
    let sign = action::<SignRelease>();
    on_success(sign, move |()| {
        if let Some(notes) = notes {
            notes.say(Tone::Ok, "Signature added");
        }
        model.refetch();
    });
    page(model, move |model: Model| {
        let asked = query.with_untracked(|q| q.get("ask")).and_then(|word| VERBS.into_iter().find(|v| v.word() == word));
        content(&model, asked, call, sign)
    })
}

fn content(m: &Model, asked: Option<Verb>, call: FormCall<ActOnRelease>, sign: FormCall<SignRelease>) -> AnyView {
    let r = &m.row;
    let (tone, word) = words::release(r.state, !r.quarantine.is_empty());
    let title = if r.version.is_empty() { "Upload without a manifest".to_owned() } else { format!("{} {}", r.device_type, r.version) };
    let offered: Vec<Verb> = VERBS.into_iter().filter(|v| v.allowed(m)).collect();
    let buttons = offered
        .iter()
        .map(|v| dialog_link(v.dialog(), asked::asking("ask", v.word()), v.variant(), format!("{}…", v.label()).into_any()))
        .collect_view();
    // Who may end a published release's use may also plan with it: an operator.
    let roll = (r.state == wire::states::ReleaseState::Published && m.may_deprecate).then(|| {
        let href = format!("/rollouts/new?step=devices&release={}&name={}", r.id, title.replace('+', "%2B").replace(' ', "+"));
        view! { <a class="btn" data-v="primary" href=href>{icon("rocket")}"New rollout with this"</a> }
    });
    let dialogs = offered.iter().map(|v| dialog(v.dialog(), question_title(m, *v), ask(m, *v, "", call))).collect_view();
    let question = asked.filter(|v| v.allowed(m)).map(|v| page::question(question_title(m, v), ask(m, v, "page-", call)));
    let quarantine =
        (!r.quarantine.is_empty()).then(|| banner(Tone::Bad, view! { <b>"Quarantined."</b>" "{r.quarantine.clone()} }.into_any()));
    let sub =
        view! { {format!("Sequence {} · {} · uploaded ", r.sequence, bytes(r.size))}{time::ago(r.created_at)}" by "{r.created_by.clone()} };
    view! {
        <PageHead title=title marks=badge(tone, word) sub=sub.into_any() actions=view! { {buttons}{roll} }.into_any()/>
        {question}
        {quarantine}
        {damaged(m)}
        {m.warnings.iter().map(|w| banner(Tone::Warn, format!("{w}.").into_any())).collect_view()}
        <div class="split mt-4">
            <div class="stack">
                {artifacts(m)}
                {super::signing::of_release(m, sign)}
                {super::deltas::card(&m.deltas)}
                {rollouts(m)}
                {going_back(m)}
                {manifest(m)}
            </div>
            <div class="stack">{facts(m)}{notes(m)}</div>
        </div>
        {dialogs}
    }
    .into_any()
}

fn facts(m: &Model) -> AnyView {
    let r = &m.row;
    // Who signed is kept when everything is right; in quarantine the reason says whether it was the signature.
    let signed = match (r.signed_by.is_empty(), r.quarantine.is_empty()) {
        (false, _) => view! { {r.signed_by.join(", ")} }.into_any(),
        (true, true) => badge(Tone::Bad, "by no known key"),
        (true, false) => badge(Tone::Bad, "not accepted, see why above"),
    };
    let hardware = if m.hardware.is_empty() { "all revisions".to_owned() } else { m.hardware.join(", ") };
    let over = if m.min_sequence == 0 { "any".to_owned() } else { format!("{} or newer", m.min_sequence) };
    let digest = (!m.manifest_sha256.is_empty())
        .then(|| view! { <dt>"Manifest SHA-256"</dt><dd>{copyable(m.manifest_sha256.clone(), "Copy manifest digest")}</dd> });
    let body = view! {
        <dl class="kv">
            <dt>"Signed"</dt><dd>{signed}</dd>
            <dt>"Device type"</dt><dd>{r.device_type.clone()}</dd>
            <dt>"Hardware"</dt><dd>{hardware}</dd>
            <dt>"Installs over"</dt><dd>{over}</dd>
            <dt>"Installed on"</dt><dd>{counted(r.installed, "device", "devices")}</dd>
            {digest}
        </dl>
    };
    card("Release", None, body.into_any())
}

fn notes(m: &Model) -> AnyView {
    if m.notes.is_empty() {
        return ().into_any();
    }
    card("Notes", None, view! { <p class="prose">{m.notes.clone()}</p> }.into_any())
}

fn artifacts(m: &Model) -> AnyView {
    let rows = m
        .artifacts
        .iter()
        .map(|a| {
            view! {
                <tr>
                    <th scope="row" class="mono">{a.name.clone()}{a.container.as_ref().map(|c| view! { <div class="sub">{container_line(c)}</div> })}</th>
                    <td class="num">{bytes(a.size)}</td>
                    <td>{copyable(a.sha256.to_string(), "Copy SHA-256")}</td>
                    <td class="dim">{a.damage.map(|d| badge(Tone::Bad, words::damage(d)))}" "{time::ago_or(a.checked_at, "not yet")}</td>
                </tr>
            }
        })
        .collect_view();
    let columns = vec![Column::text("File"), Column::number("Size"), Column::text("SHA-256"), Column::text("Compared")];
    card_flush("Files", None, table("Files", columns, rows.into_any()))
}

/// What a container says of itself, in a line.
fn container_line(c: &Container) -> String {
    let (what, fits) = match c.kind {
        ContainerKind::Swupdate => ("SWUpdate image", "hardware"),
        ContainerKind::Rauc => ("RAUC bundle", "compatible"),
        ContainerKind::Mender => ("Mender artifact", "for"),
    };
    let signature = match c.signature {
        Some(0) => "not signed inside".to_owned(),
        Some(n) => format!("signature of {}, not checked here", bytes(n)),
        None => String::new(),
    };
    let fits = if c.fits.is_empty() { String::new() } else { format!("{fits} {}", c.fits.join(", ")) };
    let parts = [what.to_owned(), c.name.clone(), c.version.clone(), fits, signature, c.note.clone()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// What to do about files whose stored bytes are not what they were.
fn damaged(m: &Model) -> Option<AnyView> {
    let names: Vec<&str> = m.artifacts.iter().filter(|a| a.damage.is_some()).map(|a| a.name.as_str()).collect();
    let text = view! {
        <b>"Damaged in the store: "</b>{names.join(", ")}". No device gets it. Upload the same file again under "<a href="/firmware">"Firmware"</a>
        ", without a manifest: it is put back here, and the draft that this makes can be deleted."
    };
    (!names.is_empty()).then(|| banner(Tone::Bad, text.into_any()))
}

fn rollouts(m: &Model) -> AnyView {
    if m.rollouts.is_empty() {
        return card("Rollouts", None, view! { <p class="text-2">"No rollout uses it yet."</p> }.into_any());
    }
    let rows = m
        .rollouts
        .iter()
        .map(|u| {
            let (tone, word) = words::rollout(u.state);
            view! { <tr><th scope="row"><a class="main" href=format!("/rollouts/{}", u.id)>{u.name.clone()}</a></th><td>{badge(tone, word)}</td></tr> }
        })
        .collect_view();
    card_flush("Rollouts", None, table("Rollouts with this release", vec![Column::text("Rollout"), Column::text("State")], rows.into_any()))
}

/// Devices never take a lower sequence, so the way back is a new manifest, made where the key is.
fn going_back(m: &Model) -> AnyView {
    let Some(back) = m.go_back.clone() else { return ().into_any() };
    let download = format!("/api/v1/releases/{}/manifest", m.row.id);
    let body = view! {
        <div class="stack">
            <p>{format!("Devices never install a lower sequence than they run. To bring them back from {} to this, sign it again under a higher one:", back.from)}</p>
            <p>"Fetch "<a href=download download=back.manifest.clone()>{back.manifest.clone()}</a>", and where the signing key is, run:"</p>
            {crate::ui::code_block(back.command, "Command that signs it again")}
            <p>"Upload the new manifest alone under "<a href="/firmware">"Firmware"</a>": the files are here already. It becomes "<b>{back.version}</b>", and a rollout with it is like any other."</p>
        </div>
    };
    card("Go back to this release", None, body.into_any())
}

fn manifest(m: &Model) -> AnyView {
    if m.manifest.is_empty() {
        return ().into_any();
    }
    card("Manifest", None, view! { <details><summary>"The manifest as it was signed"</summary>{crate::ui::code_block(m.manifest.clone(), "Manifest")}</details> }.into_any())
}

fn question_title(m: &Model, verb: Verb) -> String {
    format!("{} {} {}", verb.label(), m.row.device_type, m.row.version)
}

/// The form that asks; `place` keeps the ids of the page's question and of its dialog apart.
fn ask(m: &Model, verb: Verb, place: &str, call: FormCall<ActOnRelease>) -> AnyView {
    let r = &m.row;
    let (version, installed, uses) = (r.version.clone(), r.installed, m.rollouts.len());
    let (form_id, back) = (format!("{place}{}", verb.word()), asked::way_out(&verb.dialog()));
    let warnings = m.warnings.clone();
    let inside = move || {
        let text = match verb {
            Verb::Publish => {
                let mut text = "Rollouts may use it from now on. Nothing is installed by this alone.".to_owned();
                for warning in &warnings {
                    text.push_str(" But look: ");
                    text.push_str(warning);
                    text.push('.');
                }
                text
            }
            Verb::Recheck => "Its signature and digests are checked again, against the keys of now.".to_owned(),
            Verb::Deprecate => "New rollouts can't use it any more. Devices that run it keep it, and running rollouts go on.".to_owned(),
            Verb::Recall => format!(
                "No device installs it any more, and running rollouts with it halt ({} in all use it). {} run it now.",
                grouped(i64::try_from(uses).unwrap_or(0)),
                counted(installed, "device", "devices")
            ),
            Verb::Remove => "The upload and its files are deleted. This cannot be undone.".to_owned(),
        };
        let harms = matches!(verb, Verb::Recall | Verb::Remove);
        let confirm = Confirm {
            text,
            verb: verb.label().to_owned(),
            cancel: "Not now",
            back: back.clone(),
            danger: harms,
            type_name: (asks_for_version(verb.word()) && !version.is_empty()).then(|| version.clone()),
            reason: (verb == Verb::Recall).then_some(("Reason", true)),
        };
        confirm_dialog_as(&form_id, confirm, refusal(call).as_ref(), move || call.pending().get())
    };
    let hidden = r.id.to_string();
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=hidden/>
            <input type="hidden" name="verb" value=verb.word()/>
            {inside}
        </ActionForm>
    }
    .into_any()
}
