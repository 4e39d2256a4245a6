//! Certificates for many devices at once: a file of CSRs goes in, an archive of certificates comes out.

use super::guide::{Way, card_of, done_by};
use crate::{
    api::enrolment::{CancelBatch, RevokeBatch},
    pages::words,
    ui::{
        Column, Control, Field, asked, card, dialog,
        dialog::buttons,
        dialog_link,
        dropzone::file_zone,
        empty, field,
        form::{self, ActionForm, FormCall, fault_banner, refusal, text},
        icon,
        number::{counted, grouped},
        page::{card_flush, question},
        progress::progress,
        status::status,
        table, time,
    },
};
use leptos::prelude::*;
use wire::{
    consents::ServerKeyRule,
    enrolment::{BatchDetail, BatchState, EnrolmentBatch, EnrolmentPage as Page},
    pki::RevocationReason,
};

/// The id of the dialog.
const REVOKE: &str = "revoke-batch";

/// What the file is and what comes back.
pub(super) fn steps(p: &Page) -> AnyView {
    let who = done_by(p);
    view! {
        <ol class="numbered">
            <li>"Make a key on each device, or in its secure element, and a request for it (PKCS#10). The private keys never come here."</li>
            <li>{who}"Send the requests as one file: CSV with the columns "<code>"device_id,device_type,csr"</code>", JSON lines with these members, or a zip or tar with one request a file. At most 10,000 devices and 64 MiB. A line without a request only registers the device."</li>
            <li>"Download the archive: "<code>"manifest.csv"</code>", "<code>"certs/<device_id>.pem"</code>" and "<code>"chain.pem"</code>". A line that is refused stops no other and says why."</li>
        </ol>
    }
    .into_any()
}

/// The two columns of the tab.
pub(super) fn sides(p: &Page, cancel: FormCall<CancelBatch>, revoke: FormCall<RevokeBatch>, asked: bool) -> AnyView {
    let send = p.may_edit.then(|| card("Send a batch", None, upload(p)));
    let keys = match p.server_keys {
        ServerKeyRule::Off => None,
        ServerKeyRule::Needed => Some(keys_wait()),
        ServerKeyRule::Configured | ServerKeyRule::Agreed => Some(upload_for_keys(p)),
    };
    let keys = keys.filter(|_| p.may_edit).map(|body| card("Make the keys here", None, body));
    let shown = p.batch.as_ref().map(|b| {
        let revocable = (p.may_revoke && b.batch.issued > 0 && b.batch.revoked_at.is_none()).then_some(revoke);
        let question = revocable.filter(|_| asked).map(|call| question(format!("Revoke {}", b.batch.label), ask(&b.batch, "page", call)));
        view! { {question}{detail(b, p.may_edit, cancel, revocable)} }
    });
    view! {
        <div class="stack">{shown}{card_of(p, Way::Factory)}{list(p)}</div>
        <div class="stack">{send}{keys}</div>
    }
    .into_any()
}

/// In the form's place where two people decide on authorities and have not agreed to it (K-6).
fn keys_wait() -> AnyView {
    view! {
        <div class="stack">
            <p>"For devices that can't make a good key: each gets one that is made here, sent to you this once in an encrypted archive (age), and kept nowhere."</p>
            <div class="row">
                <button type="button" class="btn" aria-disabled="true" aria-describedby="why-keys">{icon("lock")}"Make keys and save archive"</button>
                <span class="small text-2" id="why-keys">
                    "Two people decide on authorities here, and have not agreed that keys are made for devices. An admin asks for it, and another one approves: "
                    <a href="/certificates/authorities/requests">"Requests about authorities"</a>"."
                </span>
            </div>
        </div>
    }
    .into_any()
}

/// A form of the browser's own: its answer is a file to save. The words stand before the file, as they are needed before it is read.
fn upload_for_keys(p: &Page) -> AnyView {
    let profile = super::profile_field(p, "")
        .map(|field| field.id("f-keys-profile").hint("Keys that are made here are p-256: one that is not for them is refused.").view());
    view! {
        <form method="post" action="/enrolment/batches/keys" enctype="multipart/form-data" class="stack">
            <p>"For devices that can't make a good key. Lines without a request get a key that is made here, sent to you this once in an encrypted archive (age), and kept nowhere. If the download breaks off, everything in it is revoked: send the batch again."</p>
            {text("label", "What it is").id("f-keys-label").required().max_length(100).view()}
            {text("device_type", "Device type").id("f-keys-type").hint("For lines that name none.").max_length(64).view()}
            {text("tags", "Tags").id("f-keys-tags").hint("Given to its devices, separated by commas or blanks.").view()}
            {super::groups_field(p, &[]).map(|field| field.id("f-keys-groups").view())}
            {profile}
            {text("recipient", "For this age recipient").hint("age1…, the public line of age-keygen. Its key never comes here.").autocomplete("off").view()}
            {field("passphrase", "Or with a passphrase", Control::Input("password")).hint("At least 12 characters.").autocomplete("off").view()}
            {file_zone("f-keys-file", "file", "File with device ids", ".csv,.jsonl,.ndjson", "Drop it here, or choose it. CSV or JSON lines.".into_any())}
            <div class="row"><button class="btn" type="submit">"Make keys and save archive"</button></div>
        </form>
    }
    .into_any()
}

/// The question before all certificates of a batch are revoked; `place` begins the ids of its inputs.
fn ask(b: &EnrolmentBatch, place: &'static str, call: FormCall<RevokeBatch>) -> AnyView {
    let label = b.label.clone();
    let options = RevocationReason::ALL.iter().map(|r| (r.as_str().to_owned(), r.as_str().replace('_', " "))).collect();
    let text = format!(
        "{} cut off within seconds, with what their certificates were renewed to, and have to enrol again. This cannot be undone.",
        counted(b.issued, "device is", "devices are")
    );
    let inside = view! {
        <div class="body">
            {move || fault_banner(refusal(call).as_ref())}
            <p>{text}</p>
            {form::select("reason", "Reason", options).id(format!("{place}-batch-reason")).view()}
            {form::text("confirm", format!("Type {label} to confirm"))
                .id(format!("{place}-batch-confirm")).exactly(&label).required().autocomplete("off").refused(call).view()}
        </div>
        {buttons("Keep them", asked::way_out(REVOKE), form::submit("Revoke all", "danger-solid", move || call.pending().get()))}
    }
    .into_any();
    let id = b.id.to_string();
    view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}

/// A form of the browser's own: the file streams to the server, and the answer is the batch's page.
fn upload(p: &Page) -> AnyView {
    view! {
        <form method="post" action="/enrolment/batches" enctype="multipart/form-data" class="stack">
            {text("label", "What it is").required().max_length(100).placeholder("Lot 17, hall 3").view()}
            {text("device_type", "Device type").hint("For lines that name none.").max_length(64).view()}
            {text("tags", "Tags").hint("Given to its devices, separated by commas or blanks.").view()}
            {super::groups_field(p, &[]).map(Field::view)}
            {super::profile_field(p, "").map(Field::view)}
            {file_zone("f-file", "file", "File with requests", ".csv,.jsonl,.ndjson,.zip,.tar,.tgz,.gz", "Drop it here, or choose it. CSV, JSON lines, zip or tar.".into_any())}
            <div class="row"><button class="btn" data-v="primary" type="submit">"Send and issue"</button></div>
        </form>
    }
    .into_any()
}

fn list(p: &Page) -> AnyView {
    if p.batches.is_empty() {
        let none = "A batch gives many devices their certificates before they ever connect.";
        return card_flush("Batches", None, empty("package", "No batch yet", none, None));
    }
    let columns = vec![
        Column::text("Batch"),
        Column::text("State"),
        Column::number("Done"),
        Column::number("Refused"),
        Column::text("Sent"),
        Column::text("By"),
        Column::actions("Download"),
    ];
    let rows = p
        .batches
        .iter()
        .map(|b| {
            let (tone, word) = words::batch(b.state);
            let profile = super::profile_words(&b.profile).map(|words| view! { <div class="sub">{words}</div> });
            view! {
                <tr>
                    <th scope="row"><a href=format!("/enrolment?tab=factory&batch={}", b.id)>{b.label.clone()}</a>{profile}</th>
                    <td>{status(tone, word)}</td>
                    <td class="num">{format!("{} of {}", grouped(b.issued + b.registered), grouped(b.lines))}</td>
                    <td class="num">{grouped(b.refused)}</td>
                    <td>{time::ago(b.created_at)}</td>
                    <td>{b.created_by.clone()}</td>
                    <td class="act">{download(b)}</td>
                </tr>
            }
        })
        .collect_view();
    let rest = super::rest(&p.lists.batches, p.batches.len(), ("newest", "batches"), "/enrolment?tab=factory");
    view! { {card_flush("Batches", None, table("Batches of requests", columns, rows.into_any()))}{rest} }.into_any()
}

/// Its archive, once there is something in it.
fn download(b: &EnrolmentBatch) -> AnyView {
    let link = (b.issued > 0 || b.refused > 0).then(|| {
        let address = format!("/api/v1/enrolment-batches/{}/result", b.id);
        view! { <a class="btn" data-s="sm" href=address download="" rel="external">{icon("download")}"ZIP"</a> }
    });
    link.into_any()
}

fn detail(d: &BatchDetail, may_edit: bool, cancel: FormCall<CancelBatch>, revoke: Option<FormCall<RevokeBatch>>) -> AnyView {
    let b = &d.batch;
    let done = b.issued + b.registered + b.refused;
    let said = format!(
        "{} issued, {} registered, {} refused, {} to go",
        grouped(b.issued),
        grouped(b.registered),
        grouped(b.refused),
        grouped((b.lines - done).max(0))
    );
    let id = b.id.to_string();
    let stop = (may_edit && b.state == BatchState::Working).then(|| {
        view! {
            <ActionForm action=cancel>
                <input type="hidden" name="id" value=id/>
                {move || fault_banner(refusal(cancel).as_ref())}
                {form::submit("Stop; what is issued stays", "", move || cancel.pending().get())}
            </ActionForm>
        }
    });
    let revoke = revoke.map(|call| {
        view! {
            {dialog_link(REVOKE, asked::asking("revoke-batch", 1), "danger", "Revoke all…".into_any())}
            {dialog(REVOKE, format!("Revoke {}", b.label), ask(b, "dialog", call))}
        }
    });
    let sealed = match b.sealed_for.as_str() {
        "" => None,
        "passphrase" => Some("Its keys were made here and handed out once, in an archive under a passphrase."),
        _ => Some("Its keys were made here and handed out once, in an archive for an age recipient."),
    };
    let profile =
        (!b.profile.is_empty()).then(|| view! { <p class="text-2">{format!("Its certificates are of the profile {}.", b.profile)}</p> });
    let groups = super::groups_words(&b.groups)
        .map(|names| view! { <p class="text-2">{format!("Its devices are put into the groups: {names}.")}</p> });
    let revoked = b.revoked_at.map(|at| view! { <p>"Its certificates were revoked "{time::ago(at)}"."</p> });
    let (tone, word) = words::batch(b.state);
    let body = view! {
        <div class="body stack" aria-live="polite">
            {progress("Lines that are done", done, b.lines)}
            <p>{said}</p>
            {groups}
            {profile}
            {sealed.map(|text| view! { <p class="text-2">{text}</p> })}
            {revoked}
            <div class="row">{download(b)}{stop}{revoke}</div>
        </div>
        {refused(d)}
    };
    card_flush(b.label.clone(), Some(status(tone, word)), body.into_any())
}

fn refused(d: &BatchDetail) -> AnyView {
    if d.refused.is_empty() {
        return ().into_any();
    }
    let rows = d
        .refused
        .iter()
        .map(|l| {
            view! {
                <tr>
                    <th scope="row" class="mono">{l.label.clone()}</th>
                    <td class="mono">{l.code.clone()}</td>
                    <td>{l.message.clone()}</td>
                </tr>
            }
        })
        .collect_view();
    let shown = i64::try_from(d.refused.len()).unwrap_or(i64::MAX);
    let more = (d.batch.refused > shown)
        .then(|| view! { <p class="body dim">{format!("{} more are in the archive's refused.csv.", counted(d.batch.refused - shown, "line", "lines"))}</p> });
    let columns = vec![Column::text("Line"), Column::text("Code"), Column::text("Why")];
    view! { {table("Refused lines", columns, rows.into_any())}{more} }.into_any()
}
