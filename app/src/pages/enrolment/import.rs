//! Devices of another system or a spreadsheet: a file is looked at, then taken in.

use super::guide::{Way, card_of, done_by};
use crate::{
    api::{enrolment::RunImport, packed::Reading},
    ui::{
        Column, Control, Tone, banner, card, code_sample,
        dropzone::file_zone,
        field,
        form::{self, ActionForm, FormCall, Post, action, fault_banner, on_success, refusal},
        number::{counted, grouped},
        page::card_flush,
        table, time,
        toast::toasts,
    },
};
use leptos::prelude::*;
use wire::enrolment::{EnrolmentPage as Page, ImportChange, ImportOutcome, ImportProblem, LaidImport};

/// Where the file is sent to.
pub(super) const PATH: &str = "/enrolment/imports";

/// What the list of those that are not taken is called.
const WRONG: &str = "Lines that are not taken";

/// Lines that are shown of a kind.
const SHOWN: usize = 100;

/// What a file of devices looks like.
const SAMPLE: &str = "device_id,type,name,tags,groups,attributes,security_token\n\
                      gw-0412,gateway,North door,eu hall,\"Hall 3, roof\",site=hall-3;floor=2,\n\
                      gw-0413,gateway,,,,,";

/// What to bring, and what comes of it.
pub(super) fn steps(p: &Page) -> AnyView {
    let who = done_by(p);
    view! {
        <ol class="numbered">
            <li>"Fetch the devices of the other system: hawkBit's list of targets as JSON, anything else as CSV. "<a href="/docs/moving" rel="external">"Moving here"</a>" in the manual says how."</li>
            <li>{who}"Send the file. Nothing is changed yet: you see how many devices are new, how many are there already, and why a line can't be taken."</li>
            <li>"Import. A device with hawkBit's security token then polls here with it, at the enrol address; the others enrol with a token made for exactly their id."</li>
        </ol>
        {code_sample(SAMPLE, "What a file of devices looks like")}
    }
    .into_any()
}

/// The call that imports; it says how many devices it was.
pub(super) fn call(model: Reading) -> FormCall<RunImport> {
    let (call, notes) = (action::<RunImport>(), toasts());
    on_success(call, move |touched| {
        if let Some(notes) = notes {
            notes.say(Tone::Ok, format!("{} imported", counted(touched, "device", "devices")));
        }
        model.refetch();
    });
    call
}

/// The two columns of the tab.
pub(super) fn sides(p: &Page, run: FormCall<RunImport>, sent: Post) -> AnyView {
    let send = p.may_edit.then(|| card("Import devices", None, upload(sent)));
    let shown = p.import.as_ref().map(|import| laid(import, run));
    view! {
        <div class="stack">{card_of(p, Way::Import)}{shown}</div>
        <div class="stack">{send}</div>
    }
    .into_any()
}

/// A form of the browser's own: its answer is what the file would come to, or this page with what was wrong. The box stands before the file, as it is needed before that is read.
fn upload(sent: Post) -> AnyView {
    view! {
        <form method="post" action=PATH enctype="multipart/form-data" class="stack" id="send-file">
            {move || fault_banner(refusal(sent).as_ref())}
            {field("update", "Change devices that are there already", Control::Check)
                .id("f-import-update")
                .hint("They get the file's type, and tags, groups and attributes that they do not have. Otherwise they are left as they are.")
                .refused(sent)
                .view()}
            {file_zone("f-import-file", "file", "File with devices", ".csv,.json,.jsonl,.ndjson", "Drop it here, or choose it. CSV, or hawkBit's JSON; at most 10,000 devices and 32 MiB.".into_any())}
            <div class="row"><button class="btn" data-v="primary" type="submit">"Show preview"</button></div>
        </form>
    }
    .into_any()
}

/// A file, and what it would come to or has come to.
fn laid(import: &LaidImport, run: FormCall<RunImport>) -> AnyView {
    let o = &import.outcome;
    let title = if o.preview { format!("Preview of {}", import.name) } else { format!("Import of {}", import.name) };
    let new = if o.preview { "New" } else { "Came in" };
    let differing = match (o.preview, o.update) {
        (true, true) => "There already, to be changed",
        (true, false) => "There already, left as they are",
        (false, true) => "There already, changed",
        (false, false) => "There already, left as they were",
    };
    let done = import.done_at.map(|at| {
        let imported = format!("{} imported ", counted(o.touched(), "device", "devices"));
        view! { <p><b>{imported}</b>{time::ago(at)}". "<a href="/devices?q=state%3Apreregistered">"Devices that were not seen yet"</a></p> }
    });
    let wrong = (!o.problems.is_empty()).then(|| view! { <h3>{WRONG}</h3> });
    let secrets = (o.secrets_off && o.secrets > 0).then(|| {
        let text = format!(
            "{} a secret, and none is taken here at the moment: these devices are turned away until an administrator switches tokens on. ",
            counted(o.secrets, "line has", "lines have")
        );
        banner(Tone::Warn, view! { {text}<a href="/enrolment?tab=hawkbit">"Tokens instead of certificates"</a> }.into_any())
    });
    let body = view! {
        <div class="body stack" aria-live="polite">
            {done}
            <p class="text-2">"Sent "{time::ago(import.created_at)}" by "{import.created_by.clone()}"."</p>
            <dl class="kv">
                <dt>{new}</dt><dd>{grouped(o.new)}</dd>
                <dt>"There already, and the same"</dt><dd>{grouped(o.unchanged)}</dd>
                <dt>{differing}</dt><dd>{grouped(o.differing)}</dd>
                <dt>"Not taken"</dt><dd>{grouped(o.errors)}</dd>
            </dl>
            {secrets}
            {then(import, run)}
            {wrong}
        </div>
        {problems(o)}
        {changes(o)}
        {notes(o)}
    };
    card_flush(title, None, body.into_any())
}

/// What can be done with it now; nothing more once it is imported.
fn then(import: &LaidImport, run: FormCall<RunImport>) -> AnyView {
    let touched = import.outcome.touched();
    if import.done_at.is_some() {
        return ().into_any();
    }
    if touched == 0 {
        return view! { <p>"There is nothing to import."</p> }.into_any();
    }
    let id = import.id.to_string();
    view! {
        <ActionForm action=run>
            <input type="hidden" name="id" value=id/>
            {move || fault_banner(refusal(run).as_ref())}
            <div class="row">{form::submit(format!("Import {}", counted(touched, "device", "devices")), "primary", move || run.pending().get())}</div>
        </ActionForm>
    }
    .into_any()
}

fn problems(o: &ImportOutcome) -> AnyView {
    if o.problems.is_empty() {
        return ().into_any();
    }
    let rows = o
        .problems
        .iter()
        .take(SHOWN)
        .map(|problem| {
            view! {
                <tr>
                    <th scope="row" class="num">{grouped(problem.line)}</th>
                    <td class="mono">{problem.device_id.clone()}<div class="small dim">{problem.field.clone()}</div></td>
                    <td>{problem.message.clone()}</td>
                </tr>
            }
        })
        .collect_view();
    let more = o.errors - i64::try_from(o.problems.len().min(SHOWN)).unwrap_or(i64::MAX);
    let more = (more > 0).then(|| view! { <p class="body dim">{format!("{} more. Correct these first, then send the file again.", counted(more, "line is not taken", "lines are not taken"))}</p> });
    let columns = vec![Column::number("Line"), Column::text("Device and column"), Column::text("Why")];
    view! { <div class="untaken">{table(WRONG, columns, rows.into_any())}</div>{more} }.into_any()
}

/// Devices that are there and of which the file says something else.
fn changes(o: &ImportOutcome) -> AnyView {
    if o.changes.is_empty() {
        return ().into_any();
    }
    let row = |change: &ImportChange| {
        let href = format!("/devices/{}", change.device_id);
        view! {
            <tr>
                <th scope="row" class="num">{grouped(change.line)}</th>
                <td class="mono"><a href=href>{change.device_id.clone()}</a></td>
                <td>{change.words()}</td>
            </tr>
        }
    };
    let rows = o.changes.iter().take(SHOWN).map(row).collect_view();
    let more = o.differing - i64::try_from(o.changes.len().min(SHOWN)).unwrap_or(i64::MAX);
    let more = (more > 0).then(|| view! { <p class="body dim">{format!("And {} more.", counted(more, "device", "devices"))}</p> });
    let (title, what) = match (o.update, o.preview) {
        (false, _) => ("Devices that are there and left as they are", "The file has"),
        (true, true) => ("Devices that would be changed", "Would get"),
        (true, false) => ("Devices that were changed", "Got"),
    };
    let columns = vec![Column::number("Line"), Column::text("Device"), Column::text(what)];
    view! { <div class="body"><h3>{title}</h3></div>{table(title, columns, rows.into_any())}{more} }.into_any()
}

/// Lines that are taken and of which something is to be known.
fn notes(o: &ImportOutcome) -> AnyView {
    if o.notes.is_empty() {
        return ().into_any();
    }
    let row = |note: &ImportProblem| {
        view! {
            <tr>
                <th scope="row" class="num">{grouped(note.line)}</th>
                <td class="mono">{note.device_id.clone()}</td>
                <td>{note.message.clone()}</td>
            </tr>
        }
    };
    let rows = o.notes.iter().take(SHOWN).map(row).collect_view();
    let more = (o.notes.len() > SHOWN).then(|| view! { <p class="body dim">{format!("These are the first {SHOWN}; there are more.")}</p> });
    let columns = vec![Column::number("Line"), Column::text("Device"), Column::text("To be known")];
    let title = "Lines that are taken, with something to be known";
    view! { <div class="body"><h3>{title}</h3></div>{table(title, columns, rows.into_any())}{more} }.into_any()
}
