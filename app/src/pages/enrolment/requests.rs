//! Devices that wait for a person, and whether those without a token may.

use super::Calls;
use crate::{
    api::enrolment::{OpenEnrolment, RejectEnrolment},
    ui::{
        Column, Confirm, Tone, asked, badge, card, confirm_dialog, dialog, dialog_link, empty,
        form::{self, ActionForm, FormCall, fault_banner, refusal},
        number::counted,
        page::card_flush,
        table, time,
    },
};
use leptos::prelude::*;
use wire::enrolment::{EnrolmentPage as Page, EnrolmentRequest, Returns};

/// The devices that wait; nothing where none does and none could.
pub(super) fn waiting(p: &Page, calls: Calls) -> AnyView {
    // Where every one of a later page was decided, the others still wait.
    if p.lists.requests.total == 0 {
        return p
            .settings
            .open
            .then(|| {
                card(
                    "Waiting for approval",
                    None,
                    empty(
                        "clock",
                        "No device waits",
                        "One that asks without a token, or with one that needs approval, appears here.",
                        None,
                    ),
                )
            })
            .into_any();
    }
    let aside = badge(Tone::Warn, counted(p.lists.requests.total, "device waits", "devices wait"));
    let body = view! {
        {move || fault_banner(refusal(calls.approve).as_ref())}
        {rows(p, calls)}
    };
    let note = "Approve a device only when it shows the same code itself: the agent prints it, and it is the beginning of the SHA-256 of its public key.";
    let body = view! { <p class="body dim">{note}</p>{body} };
    let rest = super::rest(&p.lists.requests, p.requests.len(), ("oldest", "devices that wait"), "/enrolment?tab=agent");
    view! { {card_flush("Waiting for approval", Some(aside), body.into_any())}{rest} }.into_any()
}

fn rows(p: &Page, calls: Calls) -> AnyView {
    let columns = vec![
        Column::text("Device"),
        Column::text("Code"),
        Column::text("Says of itself"),
        Column::text("From"),
        Column::text("Asked"),
        Column::actions("Decide"),
    ];
    let rows = p.requests.iter().map(|r| row(r, p, calls)).collect_view();
    table("Devices that wait for approval", columns, rows.into_any())
}

fn row(r: &EnrolmentRequest, p: &Page, calls: Calls) -> AnyView {
    let known = [r.device_type.clone(), r.hardware.clone(), r.key_alg.clone()].into_iter().filter(|s| !s.is_empty());
    let said = known.chain(r.attributes.iter().map(|(name, value)| format!("{name}={value}"))).collect::<Vec<_>>().join(" · ");
    let from = if r.recovers {
        "its certificate has ended".to_owned()
    } else if r.authority {
        match r.returns {
            None => format!("authority {}", r.token),
            Some(Returns::NewKey) => format!("authority {}: a device of the fleet with another key", r.token),
            Some(Returns::RevokedBefore) => format!("authority {}: a device of the fleet whose certificate was revoked", r.token),
        }
    } else if r.token.is_empty() {
        "no token".to_owned()
    } else {
        format!("token {}", r.token)
    };
    let decide = p.may_approve.then(|| {
        let (id, dialog_id) = (r.id.to_string(), dialog_of(r));
        view! {
            <div class="row">
                <ActionForm action=calls.approve>
                    <input type="hidden" name="id" value=id/>
                    {form::submit("Approve", "primary", move || calls.approve.pending().get())}
                </ActionForm>
                {dialog_link(dialog_id.clone(), asked::asking("reject", &r.id), "ghost", "Reject…".into_any())}
                {dialog(dialog_id, format!("Reject {}", r.device_id), ask(r, calls.reject))}
            </div>
        }
    });
    view! {
        <tr>
            <th scope="row" class="mono">{r.device_id.to_string()}</th>
            <td><strong class="mono">{r.code.clone()}</strong></td>
            <td class="dim">{said}</td>
            <td><span class="mono">{r.address.clone()}</span>", "{from}</td>
            <td>{time::ago(r.asked_at)}</td>
            <td class="act">{decide}</td>
        </tr>
    }
    .into_any()
}

fn dialog_of(r: &EnrolmentRequest) -> String {
    format!("reject-{}", r.id)
}

/// The question before a device is sent away.
pub(super) fn ask(r: &EnrolmentRequest, call: FormCall<RejectEnrolment>) -> AnyView {
    let text = format!(
        "{} with code {} gets no certificate and is told so when it asks again. Its key may not ask for a week.",
        r.device_id, r.code
    );
    let back = asked::way_out(&dialog_of(r));
    let inside = move || {
        let confirm = Confirm {
            text: text.clone(),
            verb: "Reject device".to_owned(),
            cancel: "Let it wait",
            back: back.clone(),
            danger: true,
            type_name: None,
            reason: None,
        };
        confirm_dialog(confirm, refusal(call).as_ref(), move || call.pending().get())
    };
    let id = r.id.to_string();
    view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}

/// The organization's switch.
pub(super) fn setting(p: &Page, call: FormCall<OpenEnrolment>) -> AnyView {
    let open = p.settings.open;
    let text = if open {
        "Devices without a token may ask to join. Each waits until a person approves it, at most a week."
    } else {
        "Devices without a token are refused."
    };
    let profile = &p.settings.profile;
    let of = (!profile.is_empty()).then(|| view! { <p class="text-2">{format!("Their certificates are of the profile {profile}.")}</p> });
    let form = p.may_open.then(|| {
        let field = super::profile_field(p, profile).map(|field| field.id("f-open-profile").refused(call).view());
        let save = field.is_some().then(|| settled("Save profile", open, call));
        let label = if open { "Refuse them" } else { "Let them ask" };
        view! {
            <ActionForm action=call>
                <div class="stack">
                    {move || fault_banner(refusal(call).as_ref())}
                    {field}
                    <div class="row">{save}{settled(label, !open, call)}</div>
                </div>
            </ActionForm>
        }
    });
    card("Without a token", None, view! { <div class="stack"><p>{text}</p>{of}{form}</div> }.into_any())
}

/// The button after which devices without a token may ask, or may not.
fn settled(label: &'static str, open: bool, call: FormCall<OpenEnrolment>) -> AnyView {
    let (value, busy) = (open.to_string(), move || call.pending().get().then_some("true"));
    view! { <button class="btn" type="submit" name="open" value=value aria-busy=busy>{label}</button> }.into_any()
}
