//! Devices that wait for a person, each decided in a question that names the one device, and whether those without a token may.

use crate::{
    api::enrolment::{ApproveEnrolment, OpenEnrolment, RejectEnrolment},
    ui::{
        Column, Confirm, Tone, asked, badge, card, confirm_dialog, dialog,
        dialog::{buttons, dialog_link_about},
        empty,
        form::{self, ActionForm, FormCall, fault_banner, refusal},
        number::counted,
        page::{self, card_flush},
        table, time,
    },
};
use leptos::prelude::*;
use wire::enrolment::{EnrolmentPage as Page, EnrolmentRequest, Returns};

/// The calls that decide, and the device that their dialog asks about: one dialog serves all rows.
#[derive(Clone, Copy)]
pub(super) struct Deciding {
    pub approve: FormCall<ApproveEnrolment>,
    pub reject: FormCall<RejectEnrolment>,
    /// Kept as it was chosen: rows come and go under a question that is open, and must not change whom it is about.
    pub chosen: RwSignal<Option<(EnrolmentRequest, Decision)>>,
}

/// What is decided about a device that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It gets its certificate.
    Approve,
    /// It is sent away.
    Reject,
}

impl Decision {
    /// The word in an address that asks about it.
    const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }

    const fn verb(self) -> &'static str {
        match self {
            Self::Approve => "Approve",
            Self::Reject => "Reject",
        }
    }
}

/// The dialog's id.
const DECIDE: &str = "decide-request-dialog";

/// The devices that wait; nothing where none does and none could.
pub(super) fn waiting(p: &Page, deciding: Deciding) -> AnyView {
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
    let note = "Approve a device only when it shows the same code itself: the agent prints it, and it is the beginning of the SHA-256 of its public key.";
    let locked = (!p.may_approve).then(|| view! { <div class="body">{page::locked("Deciding needs the role operator.")}</div> });
    let body = view! { <p class="body dim">{note}</p>{locked}{rows(p, deciding)} };
    let rest = super::rest(&p.lists.requests, p.requests.len(), ("oldest", "devices that wait"), "/enrolment?tab=agent");
    view! { {card_flush("Waiting for approval", Some(aside), body.into_any())}{rest} }.into_any()
}

/// The rows. What a device says may be long: it wraps, so that it can be read whole and deciding stays in sight.
fn rows(p: &Page, deciding: Deciding) -> AnyView {
    let columns = vec![
        Column::text("Device"),
        Column::text("Code"),
        Column::text("Says of itself"),
        Column::text("From"),
        Column::text("Asked"),
        Column::actions("Decide"),
    ];
    let rows = p.requests.iter().map(|r| row(r, p, deciding)).collect_view();
    table("Devices that wait for approval", columns, rows.into_any())
}

fn row(r: &EnrolmentRequest, p: &Page, deciding: Deciding) -> AnyView {
    let known = [r.device_type.clone(), r.hardware.clone(), r.key_alg.clone()].into_iter().filter(|s| !s.is_empty());
    let said = known.chain(r.attributes.iter().map(|(name, value)| format!("{name}={value}"))).collect::<Vec<_>>().join(" · ");
    let decide = p.may_approve.then(|| {
        let approve = opener(r, Decision::Approve, "primary", deciding);
        view! { <div class="row nowrap">{approve}{opener(r, Decision::Reject, "ghost", deciding)}</div> }
    });
    view! {
        <tr>
            <th scope="row" class="mono">{r.device_id.to_string()}</th>
            <td><strong class="mono">{r.code.clone()}</strong></td>
            <td class="dim why">{said}</td>
            <td class="why"><span class="mono">{r.address.clone()}</span>", "{came_with(r)}</td>
            <td>{time::ago(r.asked_at)}</td>
            <td class="act">{decide}</td>
        </tr>
    }
    .into_any()
}

/// What it asks with.
fn came_with(r: &EnrolmentRequest) -> String {
    if r.recovers {
        return "its certificate has ended".to_owned();
    }
    match (r.authority, r.returns) {
        (true, None) => format!("authority {}", r.token),
        (true, Some(Returns::NewKey)) => format!("authority {}: a device of the fleet with another key", r.token),
        (true, Some(Returns::RevokedBefore)) => format!("authority {}: a device of the fleet whose certificate was revoked", r.token),
        (false, _) if r.token.is_empty() => "no token".to_owned(),
        (false, _) => format!("token {}", r.token),
    }
}

/// A button that asks about one device.
fn opener(r: &EnrolmentRequest, decision: Decision, variant: &'static str, deciding: Deciding) -> AnyView {
    let (href, request) = (asked::asking(decision.word(), &r.id), r.clone());
    let choose = move || deciding.chosen.set(Some((request.clone(), decision)));
    dialog_link_about(DECIDE, &about(r, decision), href, (variant, ""), format!("{}…", decision.verb()).into_any(), choose)
}

/// What names the question about one device among all that the dialog may ask.
fn about(r: &EnrolmentRequest, decision: Decision) -> String {
    format!("{}-{}", decision.word(), r.id)
}

/// The question in the page itself.
pub(super) fn question(r: &EnrolmentRequest, decision: Decision, deciding: Deciding) -> AnyView {
    page::question(format!("{} {}", decision.verb(), r.device_id), ask(r, decision, deciding))
}

/// The dialog. It stands beside the page's content: that is built anew whenever a device asks, and would put another one into an open question.
pub(super) fn decide_dialog(deciding: Deciding) -> AnyView {
    let body = move || {
        let (r, decision) = deciding.chosen.get()?;
        Some(view! { <div class="body"><b>{format!("{} {}", decision.verb(), r.device_id)}</b></div>{ask(&r, decision, deciding)} })
    };
    dialog(DECIDE, "Decide about a device", body.into_any())
}

fn ask(r: &EnrolmentRequest, decision: Decision, deciding: Deciding) -> AnyView {
    match decision {
        Decision::Approve => ask_approve(r, deciding.approve),
        Decision::Reject => ask_reject(r, deciding.reject),
    }
}

/// The question before a device is let in: its button is the word of a person that the codes are the same.
fn ask_approve(r: &EnrolmentRequest, call: FormCall<ApproveEnrolment>) -> AnyView {
    let back = asked::way_out(&about(r, Decision::Approve));
    let verb = "I have compared the code: approve";
    let (id, code, device, address, with) = (r.id.to_string(), r.code.clone(), r.device_id.to_string(), r.address.clone(), came_with(r));
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=id/>
            <div class="body">
                {move || fault_banner(refusal(call).as_ref())}
                <p>"It gets its certificate the next time it asks. Approve it only when the device itself shows this code."</p>
                <dl class="kv">
                    <dt>"Code"</dt><dd><strong class="mono">{code}</strong></dd>
                    <dt>"Device"</dt><dd class="mono">{device}</dd>
                    <dt>"Asks from"</dt><dd><span class="mono">{address}</span>", "{with}</dd>
                </dl>
            </div>
            {buttons("Let it wait", back, form::submit(verb, "primary", move || call.pending().get()))}
        </ActionForm>
    }
    .into_any()
}

/// The question before a device is sent away.
fn ask_reject(r: &EnrolmentRequest, call: FormCall<RejectEnrolment>) -> AnyView {
    let text = format!(
        "{} with code {} gets no certificate and is told so when it asks again. Its key may not ask for a week.",
        r.device_id, r.code
    );
    let back = asked::way_out(&about(r, Decision::Reject));
    let confirm =
        Confirm { text, verb: "Reject device".to_owned(), cancel: "Let it wait", back, danger: true, type_name: None, reason: None };
    let inside = confirm_dialog(confirm, call);
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
    let form = if p.may_open {
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
        .into_any()
    } else {
        page::locked("Changing that needs the role admin.")
    };
    card("Without a token", None, view! { <div class="stack"><p>{text}</p>{of}{form}</div> }.into_any())
}

/// The button after which devices without a token may ask, or may not.
fn settled(label: &'static str, open: bool, call: FormCall<OpenEnrolment>) -> AnyView {
    let (value, busy) = (open.to_string(), move || call.pending().get().then_some("true"));
    view! { <button class="btn" type="submit" name="open" value=value aria-busy=busy>{label}</button> }.into_any()
}
