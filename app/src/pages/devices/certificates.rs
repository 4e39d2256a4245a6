//! The certificates of a device, newest first, and the shared secret of one that has none.

use super::overview::Actions;
use crate::{
    api::{devices::OrderRenewal, shared::DropTargetToken},
    pages::words,
    ui::{
        Column, card, copyable, empty,
        form::{self, ActionForm, FormCall, fault_banner, refusal},
        page::card_flush,
        status, table, time,
    },
};
use leptos::prelude::*;
use wire::{Timestamp, devices::DeviceDetail, pki::CertificateRow, states::CertificateState};

/// The tab.
pub fn tab(d: &DeviceDetail, actions: &Actions) -> AnyView {
    let body = if d.certificates.is_empty() {
        empty("shield-check", "No certificate", "The device gets one when it enrols.", None)
    } else {
        let rows = d.certificates.iter().map(|c| line(c, d.at)).collect_view().into_any();
        let columns = vec![
            Column::text("Serial number"),
            Column::text("State"),
            Column::text("Valid from"),
            Column::text("Ends"),
            Column::text("Key"),
            Column::text("Issued by"),
            Column::text("First used"),
            Column::text("SHA-256"),
        ];
        table("Certificates of this device", columns, rows)
    };
    let all = card_flush("Certificates", Some(view! { <a href="/certificates">"All certificates"</a> }.into_any()), body);
    view! { <div class="stack">{all}{renewal(d, actions.renew)}{secret(d, actions.target)}</div> }.into_any()
}

/// The order to renew; nothing where there is nothing to renew here.
fn renewal(d: &DeviceDetail, call: FormCall<OrderRenewal>) -> AnyView {
    if !d.renewable {
        return ().into_any();
    }
    let active = d.certificates.iter().filter(|c| c.state == CertificateState::Active);
    let ordered = active.filter_map(|c| c.renew_ordered_at.map(|at| (at, c.renew_due_at))).max();
    let said = match ordered {
        Some((at, Some(due))) if due > d.at => {
            view! { <p>"Ordered "{time::ago(at)}" with others, one after the other: it is told at "{time::at(due)}" on its channel, or when that opens after it. The order ends with the first use of a new certificate."</p> }
                .into_any()
        }
        Some((at, _)) => {
            view! { <p>"Ordered "{time::ago(at)}": it is told on its channel, when that is open, and the order ends with the first use of a new certificate."</p> }
                .into_any()
        }
        None => view! { <p>"It renews its certificate by itself in time. Our agent, told to, renews at once, or when it connects next."</p> }.into_any(),
    };
    let id = d.row.device_id.to_string();
    let button = d.may_edit.then(|| {
        view! {
            {move || fault_banner(refusal(call).as_ref())}
            <ActionForm action=call>
                <input type="hidden" name="id" value=id/>
                {form::submit(if ordered.is_some() { "Order again" } else { "Renew now" }, "", move || call.pending().get())}
            </ActionForm>
        }
    });
    card("Renewal", None, view! { <div class="stack">{said}{button}</div> }.into_any())
}

/// Its target token; nothing for a device that has a certificate and no token, because none would count.
fn secret(d: &DeviceDetail, call: FormCall<DropTargetToken>) -> AnyView {
    // One of an authority that was given up is none less: a shared secret must not take its place by itself.
    let counts = |state| matches!(state, CertificateState::Active | CertificateState::Untrusted);
    let certified = d.certificates.iter().any(|c| counts(c.state) && c.not_after.since(d.at) > 0);
    let id = d.row.device_id.to_string();
    let make = format!("/enrolment?tab=hawkbit&device={id}");
    let Some(token) = &d.target_token else {
        return (d.may_edit && !certified)
            .then(|| {
                let text =
                    "A client of hawkBit that can hold no certificate may speak by a shared secret, where an administrator has allowed it.";
                card("Target token", None, view! { <div class="stack"><p>{text}</p><p><a href=make>"Make one"</a></p></div> }.into_any())
            })
            .into_any();
    };
    let counts = certified.then(|| view! { <p>"It does not count: the device has a certificate."</p> });
    let buttons = d.may_edit.then(|| {
        view! {
            {move || fault_banner(refusal(call).as_ref())}
            <div class="row">
                {(!certified).then(|| view! { <a class="btn" href=make>"Make a new one"</a> })}
                <ActionForm action=call>
                    <input type="hidden" name="device" value=id/>
                    {form::submit("Revoke", "danger", move || call.pending().get())}
                </ActionForm>
            </div>
        }
    });
    let body = view! {
        <div class="stack">
            <p>"Made "{time::ago(token.created_at)}" by "{token.created_by.clone()}", last used "{time::ago_or(token.last_used_at, "never")}"."</p>
            {counts}
            {buttons}
        </div>
    };
    card("Target token", None, body.into_any())
}

fn line(c: &CertificateRow, now: Timestamp) -> AnyView {
    let (tone, word) = words::certificate(c.state, c.not_after.since(now));
    let word = words::certificate_reason(c).map_or_else(|| word.to_owned(), |why| format!("{word}: {why}"));
    view! {
        <tr>
            <th scope="row"><a class="main mono" href=format!("/certificates/{}", c.id)>{c.serial.get(..12).unwrap_or_default().to_owned()}"…"</a></th>
            <td>{status(tone, word)}</td>
            <td class="dim">{time::at(c.not_before)}</td>
            <td class="dim">{time::at(c.not_after)}</td>
            <td>{c.key_alg.clone()}</td>
            <td>{c.issuer.clone()}</td>
            <td class="dim">{time::ago_or(c.first_used_at, "not yet")}</td>
            <td>{copyable(c.fingerprint.clone(), "Copy fingerprint")}</td>
        </tr>
    }
    .into_any()
}
