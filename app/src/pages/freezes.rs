//! The calendar of freezes: what holds, what comes, what was; and the form of a new one.

use crate::{
    api::{
        freezes::{CreateFreeze, EndFreeze, ReadFreezes},
        packed::reading,
    },
    ui::{
        Column, Confirm, Control, PageHead, Tone, asked, badge, dialog,
        dialog::confirm_dialog_as,
        dialog_link, empty, field,
        form::{self, ActionForm, FormCall, fault_banner, refusal, said},
        page::{banner, card, card_flush, locked, page, question},
        table, text, time, unread,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    Timestamp,
    rollouts::{FreezeRow, FreezesPage as Model, after_lifting},
};

/// `/freezes`, `/freezes?end=…`
#[component]
pub fn FreezesPage() -> AnyView {
    let query = use_query_map();
    let model = reading(|| ReadFreezes {});
    let (create, end) = (said::<CreateFreeze>("Frozen", model), said::<EndFreeze>("Ended", model));
    let content = page(model, move |model: Model| content(&model, query.with_untracked(|q| q.get("end")).as_deref(), create, end));
    view! { {unread::notice(&[], &[])}{content} }.into_any()
}

fn content(model: &Model, asked: Option<&str>, create: FormCall<CreateFreeze>, end: FormCall<EndFreeze>) -> AnyView {
    let asked = asked.and_then(|id| model.freezes.iter().find(|f| f.id.as_str() == id && may_end(f, model)));
    let asked = asked.map(|f| question(title(f, model), ask(f, model, "page-", end)));
    let list = if model.freezes.is_empty() {
        let none = "While a freeze holds, no rollout offers anything new, for example at the end of the year. What is installing goes on.";
        view! { <div class="card">{empty("calendar", "No freeze", none, None)}</div> }.into_any()
    } else {
        card_flush("Calendar", None, rows(model, end))
    };
    let new = if model.may_freeze {
        card("New freeze", None, form_of(create))
    } else {
        locked("Freezing, and ending a freeze, needs the role admin.")
    };
    view! {
        <PageHead title="Freezes" sub=view! { "Times in which no rollout offers anything new, unless its approved plan says that it goes on." }.into_any()/>
        {asked}
        {lifted(model)}
        <div class="split"><div class="stack">{list}</div>{new}</div>
    }
    .into_any()
}

fn form_of(create: FormCall<CreateFreeze>) -> AnyView {
    let instant = |name: &'static str, label: &'static str| field(name, label, Control::Input("datetime-local"));
    view! {
        <ActionForm action=create clears=true>
            <div class="stack">
                {move || fault_banner(refusal(create).as_ref())}
                {text("name", "Name").required().max_length(100).placeholder("Year's end").refused(create).view()}
                {instant("from", "From (UTC)").hint("Empty: from now on.").refused(create).view()}
                {instant("until", "Until (UTC)").required().refused(create).view()}
                {field("reason", "Why", Control::Area).max_length(500).refused(create).view()}
                <div class="row">{form::submit("Freeze", "primary", move || create.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

/// How a freeze stands.
fn standing(f: &FreezeRow, at: Timestamp) -> (Tone, &'static str) {
    if f.holds(at) {
        (Tone::Hold, "Holds")
    } else if f.lifted().is_some() {
        (Tone::Warn, "Lifted")
    } else if f.ended_at.is_some() {
        (Tone::Off, "Taken back")
    } else if f.over(at) {
        (Tone::Off, "Over")
    } else {
        (Tone::Info, "To come")
    }
}

/// Freezes that would still hold, had nobody lifted them: one person was enough for that, so everybody is told.
fn lifted(model: &Model) -> AnyView {
    let follows = after_lifting(model.freezes.iter().filter(|f| f.holds(model.at)).count());
    let told = |f: &FreezeRow| {
        let at = f.lifted().filter(|_| model.at < f.until)?;
        let text = format!(
            "{} was lifted by {} on {}, and was to hold until {}. {follows}.",
            f.name,
            f.ended_by,
            at.readable(),
            f.until.readable()
        );
        Some(banner(Tone::Warn, text.into_any()))
    };
    model.freezes.iter().filter_map(told).collect_view().into_any()
}

/// Why there is a freeze, and by whom it was made.
fn why(f: &FreezeRow) -> String {
    if f.reason.is_empty() { format!("by {}", f.made_by) } else { format!("{}, by {}", f.reason, f.made_by) }
}

/// Whether the viewer can end it now.
fn may_end(f: &FreezeRow, model: &Model) -> bool {
    model.may_freeze && !f.over(model.at)
}

fn verb(f: &FreezeRow, model: &Model) -> &'static str {
    if f.holds(model.at) { "End now" } else { "Take back" }
}

fn dialog_of(f: &FreezeRow) -> String {
    format!("end-{}", f.id)
}

fn title(f: &FreezeRow, model: &Model) -> String {
    format!("{}: {}", verb(f, model), f.name)
}

/// What follows when a freeze ends, in a sentence or two.
fn consequences(f: &FreezeRow, model: &Model) -> String {
    let until = f.until.readable();
    if f.holds(model.at) {
        let others = model.freezes.iter().filter(|other| other.id != f.id && other.holds(model.at)).count();
        format!("It holds until {until}. {} when you end it. Everybody sees by whom it was lifted.", after_lifting(others))
    } else {
        format!("It was to hold from {} until {until}, and never begins.", f.from.readable())
    }
}

/// The form that asks; `place` keeps the ids of the page's question and of its dialog apart.
fn ask(f: &FreezeRow, model: &Model, place: &str, end: FormCall<EndFreeze>) -> AnyView {
    let (text, verb, danger) = (consequences(f, model), verb(f, model), f.holds(model.at));
    let (form_id, id, back) = (format!("{place}end-{}", f.id), f.id.to_string(), asked::way_out(&dialog_of(f)));
    let confirm = Confirm { text, verb: verb.to_owned(), cancel: "Keep it", back, danger, type_name: None, reason: Some(("Reason", true)) };
    let inside = confirm_dialog_as(&form_id, confirm, end);
    view! { <ActionForm action=end><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}

fn rows(model: &Model, end: FormCall<EndFreeze>) -> AnyView {
    let columns = vec![Column::text("Freeze"), Column::text("State"), Column::text("From"), Column::text("Until"), Column::actions("End")];
    let rows = model
        .freezes
        .iter()
        .map(|f| {
            let (tone, word) = standing(f, model.at);
            let button = may_end(f, model).then(|| {
                let (id, label) = (dialog_of(f), format!("{}…", verb(f, model)));
                view! {
                    {dialog_link(id.clone(), asked::asking("end", &f.id), "ghost", label.into_any())}
                    {dialog(id, title(f, model), ask(f, model, "", end))}
                }
            });
            let ended = f.ended_at.map(|at| {
                let what = if f.lifted().is_some() { "lifted" } else { "taken back" };
                view! { <div class="small text-2">{format!("{what} by {}, ", f.ended_by)}{time::minute(at)}</div> }
            });
            view! {
                <tr>
                    <th scope="row">{f.name.clone()}<div class="small text-2">{why(f)}</div></th>
                    <td>{badge(tone, word)}</td>
                    <td>{time::minute(f.from)}</td>
                    <td>{time::minute(f.until)}{ended}</td>
                    <td class="act">{button}</td>
                </tr>
            }
        })
        .collect_view();
    table("Freezes", columns, rows.into_any())
}
