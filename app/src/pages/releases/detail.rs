//! A release's page: what it is, who signed it, its files, where it is, and the rollouts that use it.

use super::{image_keys, installs, verbs};
use crate::api::packed::reading;
use crate::ui::form::FormCall;
use crate::{
    api::{
        releases::{ActOnRelease, ReadRelease},
        signing::SignRelease,
    },
    live,
    pages::{machines, words},
    ui::{
        Column, PageHead, Tone, badge, banner, card, copyable,
        form::{action, on_success},
        icon,
        number::{bytes, counted},
        page::{card_flush, page},
        table, time,
        toast::toasts,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use wire::{
    live::Topic,
    releases::{ArtifactRow, Container, ContainerKind, ReleaseDetail as Model, ReleaseInstalls, ReleasePage as Whole, ReleaseVerb},
};

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
    page(model, move |model: Whole| {
        let asked = query.with_untracked(|q| q.get("ask")).and_then(|word| word.parse::<ReleaseVerb>().ok());
        content(&model.release, model.installs.as_ref(), asked, call, sign)
    })
}

fn content(
    m: &Model,
    installs: Option<&ReleaseInstalls>,
    asked: Option<ReleaseVerb>,
    call: FormCall<ActOnRelease>,
    sign: FormCall<SignRelease>,
) -> AnyView {
    let r = &m.row;
    let (tone, word) = words::release(r.state, !r.quarantine.is_empty());
    let title = if r.version.is_empty() { "Upload without a manifest".to_owned() } else { format!("{} {}", r.device_type, r.version) };
    let quarantine =
        (!r.quarantine.is_empty()).then(|| banner(Tone::Bad, view! { <b>"Quarantined."</b>" "{r.quarantine.clone()} }.into_any()));
    let sub =
        view! { {format!("Sequence {} · {} · uploaded ", r.sequence, bytes(r.size))}{time::ago(r.created_at)}" by "{r.created_by.clone()} };
    let buttons = view! { {taken_along(m)}{verbs::buttons(m, &title)} };
    view! {
        <PageHead title=title marks=badge(tone, word) sub=sub.into_any() actions=buttons.into_any()/>
        {verbs::question(m, asked, call)}
        {quarantine}
        {super::recalled::said(m)}
        {damaged(m)}
        {m.warnings.iter().map(|w| banner(Tone::Warn, format!("{w}.").into_any())).collect_view()}
        <div class="split mt-4">
            <div class="stack">
                {artifacts(m)}
                {super::signing::of_release(m, sign)}
                {super::deltas::card(&m.deltas)}
                {installs::rollouts(m)}
                {going_back(m)}
                {manifest(m)}
            </div>
            <div class="stack">{facts(m)}{installs::devices(&m.row, installs)}{notes(m)}{machines::release(r.state)}</div>
        </div>
        {verbs::dialogs(m, call)}
    }
    .into_any()
}

/// What can be had of it: beside another one, and as it was signed.
fn taken_along(m: &Model) -> AnyView {
    let compare = format!("/firmware/compare?after={}", m.row.id);
    let manifest = (!m.manifest.is_empty()).then(|| {
        let href = format!("/api/v1/releases/{}/manifest", m.row.id);
        view! { <a class="btn" href=href download="" rel="external">{icon("download")}"Manifest"</a> }
    });
    view! { {manifest}<a class="btn" href=compare>{icon("columns-3")}"Compare"</a> }.into_any()
}

fn facts(m: &Model) -> AnyView {
    let r = &m.row;
    // Who signed is kept when everything is right; in quarantine the reason says whether it was the signature.
    let signed = match (r.signed_by.is_empty(), r.quarantine.is_empty()) {
        (false, _) => view! { {r.signed_by.join(", ")} }.into_any(),
        (true, true) => badge(Tone::Bad, "by no known key"),
        (true, false) => badge(Tone::Bad, "not accepted"),
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
                    <th scope="row">{file(m, a)}{inside(a)}</th>
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

/// A file's name, which leads to its bytes where they are right.
fn file(m: &Model, a: &ArtifactRow) -> AnyView {
    let name = a.name.clone();
    if a.damage.is_some() {
        return view! { <span class="mono">{name}</span> }.into_any();
    }
    let href = format!("/api/v1/releases/{}/artifacts/{}", m.row.id, a.sha256);
    view! { <span class="mono"><a href=href download=name.clone() rel="external">{name.clone()}</a></span> }.into_any()
}

/// What a container says of itself, and how the signature in it stands.
fn inside(a: &ArtifactRow) -> Option<AnyView> {
    let line = container_line(a.container.as_ref()?, a.signature.is_some());
    Some(view! { <div class="small text-2">{line}</div>{a.signature.as_ref().map(image_keys::signature)} }.into_any())
}

/// The same in a line; of its signature, unless that is told beside.
fn container_line(c: &Container, told: bool) -> String {
    let (what, fits) = match c.kind {
        ContainerKind::Swupdate => ("SWUpdate image", "hardware"),
        ContainerKind::Rauc => ("RAUC bundle", "compatible"),
        ContainerKind::Mender => ("Mender artifact", "for"),
    };
    let signature = match c.signature {
        Some(0) => "not signed inside".to_owned(),
        Some(n) if !told => format!("signature of {}, not checked here: devices check it", bytes(n)),
        _ => String::new(),
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
        ", without a manifest: it is put back here, and no other release is made of it."
    };
    (!names.is_empty()).then(|| banner(Tone::Bad, text.into_any()))
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
