//! How many keys must have signed a release, the key sets that devices follow, and the server's own keys that say which device an offer is for.

use crate::{
    api::signing::{MakeAssignmentKey, PublishKeySet, RetireAssignmentKey, SetSigningThresholds, SignRelease},
    ui::{
        Column, Control, Tone, badge, banner, copyable, field,
        form::{self, ActionForm, FormCall, fault_banner, refusal},
        number::counted,
        page::{card, card_flush},
        table, text, time,
    },
};
use leptos::prelude::*;
use wire::{
    releases::{ReleaseDetail, ReleasesPage as Model},
    signing::{AssignmentKey, SigningPolicy, Thresholds},
};

/// The calls of this part.
#[derive(Clone, Copy)]
pub struct Calls {
    /// Changes thresholds.
    pub thresholds: FormCall<SetSigningThresholds>,
    /// Publishes a key set.
    pub publish: FormCall<PublishKeySet>,
    /// Makes a key for assignments.
    pub make: FormCall<MakeAssignmentKey>,
    /// Retires one.
    pub retire: FormCall<RetireAssignmentKey>,
}

/// The cards of the firmware page.
pub fn cards(model: &Model, calls: Calls) -> AnyView {
    view! {
        <div id="signing">{card("Signatures that are needed", None, policy(model, calls))}</div>
        {key_sets(model)}
        <div id="assignments">{assignments(model, calls)}</div>
    }
    .into_any()
}

/// That the key set which devices follow ends soon or has ended, above the releases that it is about.
pub fn ending(model: &Model) -> Option<AnyView> {
    let (set, end) = model.key_set_ending()?;
    let (tone, words, then) = if end <= model.at {
        (Tone::Bad, "ended", "Devices install nothing by it until the next one came. Publish that, signed by its keys.")
    } else {
        (Tone::Warn, "ends", "Devices install nothing by it after that. Publish the next one before, signed by its keys.")
    };
    let text = view! {
        <b>{format!("Key set {} {words} ", set.version)}{time::ago(end)}"."</b>" "{then}" "<a href="#key-sets" rel="external">"Key sets"</a>
    };
    Some(banner(tone, text.into_any()))
}

fn policy(model: &Model, calls: Calls) -> AnyView {
    let of = &model.policy;
    let enough = i64::from(of.thresholds.quorum()) <= of.keys;
    // With no key at all, the list of keys says what to do first.
    let unreachable = (!enough && of.keys > 0).then(|| {
        let text = format!(
            "{} needed, and {} trusted: no release gets that far.",
            signatures(of.thresholds.quorum()),
            counted(of.keys, "key is", "keys are")
        );
        banner(Tone::Bad, text.into_any())
    });
    let body = match of.key_set {
        Some(version) => view! {
            {words(&of.thresholds)}
            <p class="text-2">{format!("Key set {version} says so, and which keys are trusted. Whoever changes that publishes the next one, signed by its quorum.")}</p>
        }
        .into_any(),
        None if model.may_edit_keys => edit(&of.thresholds, calls.thresholds),
        None => words(&of.thresholds),
    };
    let publish = model.may_edit_keys.then(|| publish_form(calls.publish));
    view! { <div class="stack">{unreachable}{short(of)}{body}{publish}</div> }.into_any()
}

/// What was published under a lower threshold: it stays, and is never silently less than it was.
fn short(of: &SigningPolicy) -> Option<AnyView> {
    let rows = of
        .short
        .iter()
        .map(|s| {
            let href = format!("/firmware/{}", s.id);
            view! { <li><a href=href>{format!("{} {}", s.device_type, s.version)}</a>{format!(": {} of {}", s.have, signatures(s.need))}</li> }
        })
        .collect_view();
    let text = view! { <b>"Published with fewer than are needed now."</b>" They stay published; devices that ask for more refuse them."<ul>{rows}</ul> };
    (!of.short.is_empty()).then(|| banner(Tone::Warn, text.into_any()))
}

fn words(of: &Thresholds) -> AnyView {
    let types = of.device_types.iter().map(|t| view! { <dt>{t.device_type.clone()}</dt><dd>{signatures(t.threshold)}</dd> }).collect_view();
    let all = if of.device_types.is_empty() { "Every device type" } else { "Every other device type" };
    view! { <dl class="kv">{types}<dt>{all}</dt><dd>{signatures(of.threshold)}</dd></dl> }.into_any()
}

fn signatures(n: u32) -> String {
    counted(i64::from(n), "signature", "signatures")
}

fn edit(of: &Thresholds, call: FormCall<SetSigningThresholds>) -> AnyView {
    let types = of.device_types.iter().map(|t| format!("{}={}", t.device_type, t.threshold)).collect::<Vec<_>>().join("\n");
    let threshold = of.threshold.to_string();
    view! {
        <ActionForm action=call>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {text("threshold", "Different keys that must have signed a release").id("threshold").value(threshold.clone()).required().refused(call)
                    .hint("A release with fewer stays a draft until they are added.").view()}
                {field("device_types", "Other numbers for some device types", Control::Area).id("threshold-types").value(types.clone()).max_length(20_000).refused(call)
                    .hint("A line for each, for example gateway=2.").view()}
                <div class="row">{form::submit("Save", "", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn publish_form(call: FormCall<PublishKeySet>) -> AnyView {
    view! {
        <details>
            <summary>"Publish a key set"</summary>
            <ActionForm action=call>
                <div class="stack">
                    {move || fault_banner(refusal(call).as_ref())}
                    {field("key_set", "Key set", Control::Area).id("key-set").required().max_length(200_000).refused(call)
                        .hint("What fleetward key set made and enough keys have signed. Its keys and numbers hold from then on, here and on devices.").view()}
                    <div class="row">{form::submit("Publish key set", "", move || call.pending().get())}</div>
                </div>
            </ActionForm>
        </details>
    }
    .into_any()
}

fn key_sets(model: &Model) -> AnyView {
    if model.key_sets.is_empty() {
        return ().into_any();
    }
    let rows = model
        .key_sets
        .iter()
        .map(|s| {
            let (href, name) = (format!("/api/v1/key-sets/{}", s.version), format!("key-set-{}.json", s.version));
            let mut needs = vec![signatures(s.thresholds.threshold)];
            needs.extend(s.thresholds.device_types.iter().map(|t| format!("{} for {}", t.threshold, t.device_type)));
            view! {
                <tr>
                    <th scope="row"><a href=href download=name>{s.version}</a></th>
                    <td>{s.keys.join(", ")}</td>
                    <td>{needs.join(", ")}</td>
                    <td>{s.expires.map_or_else(|| "never".into_any(), time::ago)}</td>
                    <td class="dim">{time::ago(s.published_at)}" by "{s.published_by.clone()}</td>
                </tr>
            }
        })
        .collect_view();
    let columns =
        vec![Column::text("Version"), Column::text("Keys"), Column::text("Must sign"), Column::text("Ends"), Column::text("Published")];
    view! { <div id="key-sets">{card_flush("Key sets", None, table("Key sets", columns, rows.into_any()))}</div> }.into_any()
}

fn assignments(model: &Model, calls: Calls) -> AnyView {
    let in_use = model.assignment_keys.iter().filter(|k| k.retired_at.is_none()).count();
    let rows = model.assignment_keys.iter().map(|k| assignment_key(k, model.may_edit_keys, in_use, calls.retire)).collect_view();
    let columns = vec![Column::text("Key id"), Column::text("State"), Column::text("Made"), Column::text("By"), Column::actions("Retire")];
    let make = model.may_edit_keys.then(|| {
        let call = calls.make;
        view! {
            {move || fault_banner(refusal(call).as_ref())}
            {move || fault_banner(refusal(calls.retire).as_ref())}
            <ActionForm action=call><div class="row">{form::submit("Make another key", "", move || call.pending().get())}</div></ActionForm>
        }
    });
    let text = "The server says with these for which device an offer is, and for how long. They can install nothing that your signing keys have not signed. \
                While there are two, devices take both; the only one stays.";
    let body =
        view! { <div class="stack"><p class="text-2">{text}</p>{table("Keys for assignments", columns, rows.into_any())}{make}</div> };
    card("Keys for assignments", None, body.into_any())
}

fn assignment_key(k: &AssignmentKey, may: bool, in_use: usize, call: FormCall<RetireAssignmentKey>) -> AnyView {
    let mark = if k.retired_at.is_some() { badge(Tone::Off, "Retired") } else { badge(Tone::Ok, "In use") };
    let button = match (k.retired_at, in_use) {
        (None, 2..) if may => {
            let id = k.id.to_string();
            view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{form::submit("Retire", "ghost", move || call.pending().get())}</ActionForm> }.into_any()
        }
        _ => ().into_any(),
    };
    view! {
        <tr>
            <th scope="row">{copyable(k.keyid.clone(), "Copy key id")}</th>
            <td>{mark}</td>
            <td class="dim">{time::ago(k.created_at)}</td>
            <td>{k.created_by.clone()}</td>
            <td class="act">{button}</td>
        </tr>
    }
    .into_any()
}

/// Who has signed a release, who still has to, and the form that adds a signature.
pub fn of_release(m: &ReleaseDetail, call: FormCall<SignRelease>) -> AnyView {
    let Some(standing) = &m.signatures else { return ().into_any() };
    let rows = standing
        .signatures
        .iter()
        .map(|s| {
            let name = if s.name.is_empty() { "unknown".to_owned() } else { s.name.clone() };
            let mark = if s.counts { badge(Tone::Ok, "counts") } else { badge(Tone::Off, s.why.clone()) };
            let added = s.added_at.map(|at| view! { <div class="sub">"added "{time::ago(at)}" by "{s.added_by.clone()}</div> });
            view! { <tr><th scope="row">{name}{added}</th><td>{copyable(s.keyid.clone(), "Copy key id")}</td><td>{mark}</td></tr> }
        })
        .collect_view();
    let have = format!("{} of {}", standing.have, signatures(standing.need));
    let id = m.row.id.to_string();
    let download = format!("/api/v1/releases/{id}/manifest");
    let form = m.may_sign.then(|| {
        view! {
            <details>
                <summary>"Add a signature"</summary>
                <p>"Fetch "<a href=download download="release.manifest.json">"the manifest"</a>", and where another trusted key is, run:"</p>
                {crate::ui::code_block("fleetward release sign --manifest release.manifest.json \\\n  --key second.key --detached signature.json".to_owned(), "Command that signs it")}
                <ActionForm action=call>
                    <input type="hidden" name="id" value=id/>
                    <div class="stack">
                        {move || fault_banner(refusal(call).as_ref())}
                        {field("signature", "Signature", Control::Area).id("signature").required().max_length(250_000).refused(call)
                            .hint("The content of signature.json, or of a manifest that somebody else has signed as well.").view()}
                        <div class="row">{form::submit("Add signature", "", move || call.pending().get())}</div>
                    </div>
                </ActionForm>
            </details>
        }
    });
    let columns = vec![Column::text("Key"), Column::text("Key id"), Column::text("State")];
    let body = view! { <div class="stack">{table("Signatures", columns, rows.into_any())}{form}</div> };
    card(format!("Signatures: {have}"), None, body.into_any())
}
