//! The keys that manifests are checked against.

use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::releases::{AddSigningKey, RevokeSigningKey},
    ui::{
        Column, Confirm, Control, Tone, asked, badge, copyable, dialog,
        dialog::confirm_dialog_as,
        dialog_link, empty, field,
        form::{self, fault_banner, refusal},
        page::{self, card, card_flush},
        table, text, time,
    },
};
use leptos::prelude::*;
use wire::releases::{ReleasesPage as Model, SigningKey};

/// The calls of this part.
#[derive(Clone, Copy)]
pub struct Calls {
    /// Adds a key.
    pub add: FormCall<AddSigningKey>,
    /// Revokes one.
    pub revoke: FormCall<RevokeSigningKey>,
}

/// The list of keys.
pub fn list(model: &Model, calls: Calls) -> AnyView {
    let body = if model.keys.is_empty() {
        empty(
            "key-round",
            "No signing key yet",
            "Without one every upload is quarantined. Make a pair with fleetward key generate and add its public half here.",
            None,
        )
    } else {
        rows(model, calls)
    };
    view! { <div id="keys">{card_flush("Signing keys", None, body)}</div> }.into_any()
}

/// The form that adds one.
pub fn add_form(call: FormCall<AddSigningKey>) -> AnyView {
    let fields = view! {
        {move || fault_banner(refusal(call).as_ref())}
        {text("name", "Name").id("key-name").required().max_length(100).placeholder("Release key 2026").autocomplete("off").refused(call).view()}
        {field("public_key", "Public key (Ed25519)", Control::Area).id("key-public").required().max_length(2000)
            .hint("PEM, or 64 hex digits. The private half stays where releases are signed.").refused(call).view()}
    };
    let body = view! {
        <ActionForm action=call clears=true>
            <div class="stack">{fields}<div class="row">{form::submit("Add key", "", move || call.pending().get())}</div></div>
        </ActionForm>
    };
    card("Add a signing key", None, body.into_any())
}

fn rows(model: &Model, calls: Calls) -> AnyView {
    let columns = vec![
        Column::text("Key"),
        Column::text("State"),
        Column::text("Key id"),
        Column::text("Added"),
        Column::text("By"),
        Column::actions("Revoke"),
    ];
    let rows = model
        .keys
        .iter()
        .map(|k| {
            let mark = if k.revoked_at.is_some() { badge(Tone::Bad, "Revoked") } else { badge(Tone::Ok, "Trusted") };
            let button = (model.may_edit_keys && k.revoked_at.is_none()).then(|| {
                let id = format!("revoke-{}", k.id);
                view! {
                    {dialog_link(id.clone(), asked::asking("revoke", &k.id), "ghost", "Revoke…".into_any())}
                    {dialog(id, format!("Revoke {}", k.name), ask_revoke(k, "", calls.revoke))}
                }
            });
            view! {
                <tr>
                    <th scope="row">{k.name.clone()}</th>
                    <td>{mark}</td>
                    <td>{copyable(k.keyid.clone(), "Copy key id")}</td>
                    <td class="dim">{time::ago(k.created_at)}</td>
                    <td>{k.created_by.clone()}</td>
                    <td class="act">{button}</td>
                </tr>
            }
        })
        .collect_view();
    table("Signing keys", columns, rows.into_any())
}

/// The question before a key is revoked, in the page.
pub fn question(k: &SigningKey, call: FormCall<RevokeSigningKey>) -> AnyView {
    page::question(format!("Revoke {}", k.name), ask_revoke(k, "page-", call))
}

/// The form that asks; `place` keeps the ids of the page's question and of its dialog apart.
fn ask_revoke(k: &SigningKey, place: &str, call: FormCall<RevokeSigningKey>) -> AnyView {
    let (form_id, name, back) = (format!("{place}key-{}", k.id), k.name.clone(), asked::way_out(&format!("revoke-{}", k.id)));
    let confirm = Confirm {
        text: "Its signatures count no more: new uploads that too few other keys have signed will be quarantined. Releases that are published stay, \
               and say where they fall short."
            .to_owned(),
        verb: "Revoke key".to_owned(),
        cancel: "Keep it",
        back,
        danger: true,
        type_name: Some(name),
        reason: None,
    };
    let inside = confirm_dialog_as(&form_id, confirm, call);
    let id = k.id.to_string();
    view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}
