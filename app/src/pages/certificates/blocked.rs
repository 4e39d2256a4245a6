//! Blocked keys: who has blocked them, when and why, and a form for another one.

use crate::{
    api::certificates::{BlockKey, UnblockKey},
    ui::{
        Column, Control, empty,
        form::{self, ActionForm, FormCall, fault_banner, field, refusal},
        page::{card, card_flush},
        table, time,
    },
};
use leptos::prelude::*;
use wire::{
    blocked::{BlockedKey, MAX_BLOCK_REASON},
    pki::RulesPage,
};

/// The calls of the section.
#[derive(Clone, Copy)]
pub(super) struct Calls {
    /// Blocks one.
    pub block: FormCall<BlockKey>,
    /// Lets one be used again.
    pub unblock: FormCall<UnblockKey>,
}

/// The newest of them, and a form for another one.
pub(super) fn section(m: &RulesPage, calls: Calls) -> AnyView {
    let list = if m.blocked.is_empty() {
        let none = "A key whose certificate is revoked as compromised gets no certificate any more. One that was found elsewhere can be blocked by hand.";
        card("Blocked keys", None, empty("key-round", "No key is blocked", none, None))
    } else {
        card_flush("Blocked keys", None, rows(m, calls.unblock))
    };
    let new = m.may_block.then(|| card("Block a key", None, form_of(calls.block)));
    view! { <div class="split mt-4"><div class="stack">{list}</div>{new}</div> }.into_any()
}

/// After what it was blocked.
fn because(key: &BlockedKey) -> AnyView {
    match &key.certificate {
        Some(id) => view! { "Compromised: "<a href=format!("/certificates/{id}")>"its certificate"</a> }.into_any(),
        None if key.by_hand => key.reason.clone().into_any(),
        None => "Compromised".into_any(),
    }
}

fn rows(m: &RulesPage, unblock: FormCall<UnblockKey>) -> AnyView {
    let columns = vec![
        Column::text("Key (SHA-256)"),
        Column::text("Blocked"),
        Column::text("By"),
        Column::text("Why"),
        Column::text("In use by"),
        Column::actions("Unblock"),
    ];
    let rows = m
        .blocked
        .iter()
        .map(|key| {
            let spki = key.spki_sha256.clone();
            let button = (m.may_edit && key.by_hand).then(|| {
                view! {
                    <ActionForm action=unblock>
                        <input type="hidden" name="spki_sha256" value=spki/>
                        {form::submit("Unblock", "ghost", move || unblock.pending().get())}
                    </ActionForm>
                }
            });
            let used = key.used_by.as_ref().map(|id| view! { <a href=format!("/devices/{id}")>{id.to_string()}</a> });
            let short: String = key.spki_sha256.chars().take(16).collect();
            view! {
                <tr>
                    <th scope="row" class="mono" title=key.spki_sha256.clone()>{short}"…"</th>
                    <td>{time::ago(key.blocked_at)}</td>
                    <td>{key.blocked_by.clone()}</td>
                    <td>{because(key)}</td>
                    <td>{used}</td>
                    <td class="act">{button}</td>
                </tr>
            }
        })
        .collect_view();
    let shown = i64::try_from(m.blocked.len()).unwrap_or(i64::MAX);
    let more = (m.blocked_total > shown).then(|| {
        let words = format!(
            "The newest {shown} of {}. All of them: GET /api/v1/blocked-keys, or fleetward cert blocked-key list.",
            m.blocked_total
        );
        view! { <p class="small text-2 mt-2">{words}</p> }
    });
    view! { {move || fault_banner(refusal(unblock).as_ref())}{table("Blocked keys", columns, rows.into_any())}{more} }.into_any()
}

fn form_of(call: FormCall<BlockKey>) -> AnyView {
    view! {
        <ActionForm action=call clears=true>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {field("public_key", "The key", Control::Area).required()
                    .hint("A public key, a CSR or a certificate for it, as PEM; or the SHA-256 of its SubjectPublicKeyInfo. Never the private key.").refused(call).view()}
                {field("reason", "Why", Control::Area).required().max_length(MAX_BLOCK_REASON)
                    .hint("Where it was found, for those who look at it later.").refused(call).view()}
                <p class="small text-2">
                    "No certificate is made for it any more in this organization. One that there is already stays until it is revoked."
                </p>
                <div class="row">{form::submit("Block key", "danger", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}
