//! The keys that signatures inside images are held against, and how a signature in a file is shown. What stands and why is said by the server.

use crate::{
    api::releases::{AddImageKey, RemoveImageKey},
    pages::words,
    ui::{
        Column, Confirm, Control, asked, badge, copyable, dialog,
        dialog::confirm_dialog_as,
        dialog_link, field,
        form::{self, ActionForm, FormCall, fault_banner, refusal},
        page::{card, question},
        table, text, time,
    },
};
use leptos::prelude::*;
use wire::releases::{ImageKey, ImageKeyKind, ImageSignature, MOST_IMAGE_KEYS, ReleasesPage as Model};

/// The calls of this part.
#[derive(Clone, Copy)]
pub struct Calls {
    /// Adds a key.
    pub add: FormCall<AddImageKey>,
    /// Forgets one.
    pub remove: FormCall<RemoveImageKey>,
}

/// The card of the firmware page.
pub fn list(model: &Model, calls: Calls) -> AnyView {
    let text = "Images of RAUC, SWUpdate and Mender are signed inside, and the updater on the device checks that. With the certificate or the public \
                key that it goes by, a release's page says beforehand what it will find. Nothing is held back by it.";
    let rows = if model.image_keys.is_empty() {
        view! { <p>"None is known: who has signed an image is shown, and whether that is right is left to devices."</p> }.into_any()
    } else {
        rows(model, calls)
    };
    let form = model.may_edit_keys.then(|| add(calls.add, model.image_keys.len()));
    let body = view! { <div class="stack"><p class="text-2">{text}</p>{rows}{form}</div> };
    view! { <div id="image-keys">{card("Image keys", None, body.into_any())}</div> }.into_any()
}

fn rows(model: &Model, calls: Calls) -> AnyView {
    let columns = vec![
        Column::text("Key"),
        Column::text("What it is"),
        Column::text("SHA-256"),
        Column::text("Added"),
        Column::text("By"),
        Column::actions("Remove"),
    ];
    let rows = model.image_keys.iter().map(|key| row(key, model.may_edit_keys, calls)).collect_view();
    table("Image keys", columns, rows.into_any())
}

fn row(key: &ImageKey, may: bool, calls: Calls) -> AnyView {
    let what = match key.kind {
        ImageKeyKind::Certificate => "certificate",
        ImageKeyKind::Key => "public key",
    };
    let ends = key.not_after.map(|at| view! { <div class="sub">"until "{time::minute(at)}</div> });
    let button = may.then(|| {
        let id = dialog_of(key);
        view! {
            {dialog_link(id.clone(), asked::asking("forget", &key.id), "ghost", "Remove…".into_any())}
            {dialog(id, format!("Remove {}", key.name), ask(key, "", calls.remove))}
        }
    });
    view! {
        <tr>
            <th scope="row">{key.name.clone()}</th>
            <td>{format!("{what} · {}", key.about)}{ends}</td>
            <td>{copyable(key.fingerprint.clone(), "Copy SHA-256")}</td>
            <td class="dim">{time::ago(key.created_at)}</td>
            <td>{key.created_by.clone()}</td>
            <td class="act">{button}</td>
        </tr>
    }
    .into_any()
}

fn add(call: FormCall<AddImageKey>, known: usize) -> AnyView {
    if known >= MOST_IMAGE_KEYS {
        return view! { <p class="text-2">{format!("{known} keys are known, as many as there may be: remove one that is not needed any more.")}</p> }
            .into_any();
    }
    let fields = view! {
        {move || fault_banner(refusal(call).as_ref())}
        {text("name", "Name").id("image-key-name").required().max_length(100).placeholder("Image authority 2026").autocomplete("off")
            .refused(call).view()}
        {field("key", "Certificate or public key", Control::Area).id("image-key").required().max_length(32_768)
            .hint("PEM, or the base64 of its DER: of whoever signs, or of the authority above. RSA, P-256, P-384 or Ed25519.").refused(call).view()}
    };
    view! {
        <details>
            <summary>"Add an image key"</summary>
            <ActionForm action=call clears=true>
                <div class="stack">{fields}<div class="row">{form::submit("Add image key", "", move || call.pending().get())}</div></div>
            </ActionForm>
        </details>
    }
    .into_any()
}

/// The question before one is forgotten, in the page: without JavaScript.
pub fn forgetting(model: &Model, id: Option<&str>, calls: Calls) -> Option<AnyView> {
    let key = id.filter(|_| model.may_edit_keys).and_then(|id| model.image_keys.iter().find(|key| key.id.as_str() == id))?;
    Some(question(format!("Remove {}", key.name), ask(key, "page-", calls.remove)))
}

fn dialog_of(key: &ImageKey) -> String {
    format!("forget-{}", key.id)
}

/// The form that asks; `place` keeps the ids of the page's question and of its dialog apart.
fn ask(key: &ImageKey, place: &str, call: FormCall<RemoveImageKey>) -> AnyView {
    let (form_id, id, back) = (format!("{place}image-key-{}", key.id), key.id.to_string(), asked::way_out(&dialog_of(key)));
    let confirm = Confirm {
        text: "Signatures by it are told to be by nobody who is known then. Releases and devices stay as they are.".to_owned(),
        verb: "Remove key".to_owned(),
        cancel: "Keep it",
        back,
        danger: true,
        type_name: None,
        reason: None,
    };
    let inside = confirm_dialog_as(&form_id, confirm, call);
    view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}

/// How the signature in a file stands.
pub fn signature(of: &ImageSignature) -> AnyView {
    let (tone, word) = words::image_signature(of.state);
    let until = of.until.map(|at| view! { ", with a certificate until "{time::minute(at)} });
    view! { <div class="row small text-2">{badge(tone, word)}<span>{of.told()}{until}</span></div> }.into_any()
}
