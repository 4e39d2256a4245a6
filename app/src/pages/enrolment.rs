//! Enrolment: how a device joins, and the tokens it joins with.

use super::words;
use crate::api::packed::reading;
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::enrolment::{CreateEnrolmentToken, EnrolmentModel as Model, ReadEnrolment, RevokeEnrolmentToken},
    live,
    ui::{
        Column, Confirm, Control, PageHead, Tone, badge, card, code_block, confirm_dialog, copyable, dialog, dialog_link, empty, field,
        form::{self, action, fault_banner, on_success, refusal, said},
        number::{counted, grouped},
        page::{self, card_flush, page},
        table, text, time,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    enrolment::{CreatedEnrolmentToken, EnrolmentPage as Page, EnrolmentToken},
    live::Topic,
};

/// `/enrolment`; `?revoke=ID` asks about a token without JavaScript.
#[component]
pub fn EnrolmentPage() -> AnyView {
    let query = use_query_map();
    let model = reading(|| ReadEnrolment {});
    live::refetch_on(|| Some(Topic::Devices), 1000, model);
    let create = action::<CreateEnrolmentToken>();
    on_success(create, move |_| model.refetch());
    let revoke = said::<RevokeEnrolmentToken>("Token revoked", model);
    let calls = Calls { create, revoke };
    page(model, move |model: Model| {
        let asked = query.with_untracked(|q| q.get("revoke"));
        content(&model, asked.as_deref(), calls)
    })
}

#[derive(Clone, Copy)]
struct Calls {
    create: FormCall<CreateEnrolmentToken>,
    revoke: FormCall<RevokeEnrolmentToken>,
}

fn content(model: &Model, asked: Option<&str>, calls: Calls) -> AnyView {
    let p = &model.page;
    let question = asked
        .filter(|_| p.may_edit)
        .and_then(|id| p.tokens.iter().find(|t| t.id.as_str() == id))
        .map(|t| page::question(format!("Revoke {}", t.label), ask(t, calls.revoke)));
    // The plain form's token comes with the page, the scripted form's as the answer of its call.
    let posted = model.created.clone();
    let shown = p.tokens.clone();
    let created = move || {
        let answered = calls.create.done();
        answered.or_else(|| posted.clone()).map(|c| created_card(&c, shown.iter().find(|t| t.id == c.token.id)))
    };
    let tokens = if p.tokens.is_empty() {
        view! { <div class="card">{empty("key-round", "No enrolment token yet", "A token is a secret that a device trades for its certificate, once or as often as you allow.", None)}</div> }.into_any()
    } else {
        card_flush("Tokens", None, rows(p, calls.revoke))
    };
    let new = p.may_edit.then(|| card("New token", None, new_form(calls.create)));
    view! {
        <PageHead title="Enrolment" sub=view! { "How a device joins the fleet: it makes its own key and trades a token for a certificate." }.into_any()/>
        {question}
        {created}
        <div class="split">
            <div class="stack">{tokens}{guide(p)}</div>
            <div class="stack">{new}</div>
        </div>
    }
    .into_any()
}

fn new_form(create: FormCall<CreateEnrolmentToken>) -> AnyView {
    let fields = move || {
        let fault = refusal(create);
        let f = fault.as_ref();
        view! {
            {fault_banner(f)}
            {text("label", "What it is for").required().max_length(100).placeholder("Gateways, hall 3").fault(f).view()}
            {field("max_uses", "Devices it may enrol", Control::Input("number")).value("1").bounds(1, 10_000).required().fault(f).view()}
            {field("hours", "Valid for, in hours", Control::Input("number")).value("24").bounds(1, 720).required().fault(f).view()}
            {text("device_type", "Device type").hint("Given to its devices; empty keeps what the device says.").fault(f).view()}
            {text("tags", "Tags").hint("Given to its devices, separated by blanks.").placeholder("eu hall-3").fault(f).view()}
            {text("pattern", "Device ids").hint("Which ids it may enrol, for example gw-*; empty means any.").fault(f).view()}
        }
    };
    view! {
        <ActionForm action=create>
            <div class="stack">{fields}<div class="row">{form::submit("Make token", "primary", move || create.pending().get())}</div></div>
        </ActionForm>
    }
    .into_any()
}

fn created_card(c: &CreatedEnrolmentToken, now: Option<&EnrolmentToken>) -> AnyView {
    let used = now.map_or(0, |t| t.uses);
    let seen = format!("{} of {} connected", grouped(used), counted(c.token.max_uses, "device has", "devices have"));
    view! {
        <section class="card created" aria-live="polite">
            <header><h2>{format!("Token for {}", c.token.label)}</h2><span class="push">{badge(if used > 0 { Tone::Ok } else { Tone::Info }, seen)}</span></header>
            <div class="body stack">
                <p>"Copy it now: the secret is shown this once. Paste the line on the device; it makes its key there and appears in the list by itself."</p>
                {code_block(c.command.clone(), "Line to paste on the device")}
                <dl class="kv">
                    <dt>"Secret"</dt><dd>{copyable(c.secret.clone(), "Copy secret")}</dd>
                    <dt>"Valid until"</dt><dd>{time::at(c.token.expires_at)}</dd>
                </dl>
            </div>
        </section>
    }
    .into_any()
}

fn guide(p: &Page) -> AnyView {
    let line =
        format!("agent run --enrol {} --root-fingerprint {} --token fet_… --trusted-key release.key.pub", p.enrol_url, p.root_fingerprint);
    let body = view! {
        <ol class="numbered">
            <li>"Make a token for it, here at the side. It is shown once, with the line to paste."</li>
            <li>"Run the line on the device. The agent checks our certificate against the fingerprint, makes a key that never leaves the device, and gets its certificate. The device appears under "<a href="/devices">"Devices"</a>" at once."</li>
            <li>"To let it install updates, add "<code>"--trusted-key"</code>" with the public half of the key that releases are signed with. The device trusts that key, not us."</li>
        </ol>
        {code_block(line, "What the line looks like")}
        <dl class="kv mt-4">
            <dt>"Enrol address"</dt><dd>{copyable(p.enrol_url.clone(), "Copy enrol address")}</dd>
            <dt>"Root fingerprint"</dt><dd>{copyable(p.root_fingerprint.clone(), "Copy root fingerprint")}</dd>
        </dl>
    };
    card("Add a device", None, body.into_any())
}

fn rows(p: &Page, revoke: FormCall<RevokeEnrolmentToken>) -> AnyView {
    let columns = vec![
        Column::text("Token"),
        Column::text("State"),
        Column::number("Uses left"),
        Column::text("Ends"),
        Column::text("Gives"),
        Column::text("Last used"),
        Column::text("Made by"),
        Column::actions("Revoke"),
    ];
    let rows = p
        .tokens
        .iter()
        .map(|t| {
            let (tone, word) = words::token_standing(t.revoked_at.is_some(), t.uses >= t.max_uses, t.expires_at, p.at);
            let left = (t.max_uses - t.uses).max(0);
            let button = (p.may_edit && tone == Tone::Ok).then(|| {
                let id = format!("revoke-{}", t.id);
                view! {
                    {dialog_link(id.clone(), format!("/enrolment?revoke={}", t.id), "ghost", "Revoke…".into_any())}
                    {dialog(id, format!("Revoke {}", t.label), ask(t, revoke))}
                }
            });
            let gives = [Some(t.device_type.as_str()).filter(|s| !s.is_empty()), Some(t.pattern.as_str()).filter(|s| !s.is_empty())];
            let gives = gives.into_iter().flatten().map(str::to_owned).chain(t.tags.iter().cloned()).collect::<Vec<_>>();
            view! {
                <tr>
                    <th scope="row">{t.label.clone()}</th>
                    <td>{badge(tone, word)}</td>
                    <td class="num">{format!("{} of {}", grouped(left), grouped(t.max_uses))}</td>
                    <td>{time::ago(t.expires_at)}</td>
                    <td>{crate::ui::status::tags(&gives)}</td>
                    <td class="dim">{time::ago_or(t.last_used_at, "never")}</td>
                    <td>{t.created_by.clone()}</td>
                    <td class="act">{button}</td>
                </tr>
            }
        })
        .collect_view();
    table("Enrolment tokens", columns, rows.into_any())
}

fn ask(t: &EnrolmentToken, call: FormCall<RevokeEnrolmentToken>) -> AnyView {
    let text = format!(
        "No further device can enrol with it ({} left). Devices that have used it stay.",
        counted((t.max_uses - t.uses).max(0), "use", "uses")
    );
    let inside = move || {
        let confirm = Confirm {
            text: text.clone(),
            verb: "Revoke token".to_owned(),
            cancel: "Keep it",
            back: "/enrolment".to_owned(),
            danger: true,
            type_name: None,
            reason: None,
        };
        confirm_dialog(confirm, refusal(call).as_ref(), move || call.pending().get())
    };
    let id = t.id.to_string();
    view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}
