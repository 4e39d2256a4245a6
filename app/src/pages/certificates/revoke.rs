//! Revoking a certificate: the call, its dialog, and the question in the page for browsers without script.

use crate::{
    api::{certificates::RevokeCertificate, packed::Reading},
    ui::{
        Control, Tone, asked, dialog,
        dialog::{buttons, dialog_link_about},
        form::{self, ActionForm, FormCall, action, fault_banner, on_success, refusal},
        page, select,
        toast::toasts,
    },
};
use leptos::prelude::*;
use wire::{
    pki::{CertificateRow, MAX_REVOCATION_NOTE, RevocationReason},
    states::CertificateState,
};

/// The call, and the certificate its dialog asks about: one dialog serves all rows.
#[derive(Clone, Copy)]
pub struct Revoke {
    call: FormCall<RevokeCertificate>,
    /// The certificate that the dialog asks about.
    chosen: RwSignal<Option<CertificateRow>>,
}

/// The dialog's id.
const REVOKE: &str = "revoke-dialog";

/// The call of a page that reads `model` again when something was revoked.
pub fn revoking(model: Reading) -> Revoke {
    let revoke = Revoke { call: action(), chosen: RwSignal::new(None) };
    let notes = toasts();
    on_success(revoke.call, move |()| {
        crate::ui::dialog::close_all();
        if let Some(notes) = notes {
            notes.say(Tone::Ok, "Certificate revoked");
        }
        model.refetch();
    });
    revoke
}

/// Whether anything is left to revoke: it may be used, now or until its follower is.
pub const fn revocable(c: &CertificateRow) -> bool {
    matches!(c.state, CertificateState::Active | CertificateState::Superseded)
}

/// A button that asks about one certificate.
pub fn revoke_link(c: &CertificateRow, look: (&'static str, &'static str), revoke: Revoke) -> AnyView {
    let row = c.clone();
    let choose = move || revoke.chosen.set(Some(row.clone()));
    dialog_link_about(REVOKE, &about(c), asked::asking("revoke", &c.id), look, "Revoke…".into_any(), choose)
}

/// What names the question about one certificate among all that the dialog may ask.
fn about(c: &CertificateRow) -> String {
    format!("revoke-{}", c.id)
}

/// The question in the page itself.
pub fn question(c: &CertificateRow, revoke: Revoke) -> AnyView {
    page::question(question_title(c), ask(c, "page", revoke))
}

/// The dialog. It stands beside the page's content: that is built anew whenever the page is read again, and would take along what is typed here.
pub fn revoke_dialog(revoke: Revoke) -> AnyView {
    let body = move || revoke.chosen.get().map(|c| ask(&c, "dialog", revoke));
    dialog(REVOKE, "Revoke a certificate", body.into_any()).into_any()
}

fn question_title(c: &CertificateRow) -> String {
    format!("Revoke the certificate of {}", c.device_id)
}

/// The form that asks; `place` begins the ids of its inputs.
fn ask(c: &CertificateRow, place: &'static str, revoke: Revoke) -> AnyView {
    let (call, back) = (revoke.call, asked::unasked());
    let (device, cancel) = (c.device_id.to_string(), asked::way_out(&about(c)));
    // Nothing is chosen at first: a reason that nobody thought of is none.
    let reasons = RevocationReason::ALL.iter().map(|r| (r.as_str().to_owned(), r.as_str().replace('_', " ")));
    let options = std::iter::once((String::new(), "Choose one".to_owned())).chain(reasons).collect();
    let inside = view! {
            <div class="body">
                {move || fault_banner(refusal(call).as_ref())}
                <p><b class="mono">{device.clone()}</b>" is cut off within a second and cannot come back with this certificate. It has to enrol again. This cannot be undone."</p>
                {select("reason", "Reason", options).id(format!("{place}-reason")).required().refused(call).view()}
                {form::field("invalidity_date", "Wrong since (UTC)", Control::Input("datetime-local")).id(format!("{place}-since"))
                    .hint("When its key got into other hands, if you know. It is published with the revocation.").refused(call).view()}
                {form::field("note", "Note", Control::Area).id(format!("{place}-note")).max_length(MAX_REVOCATION_NOTE)
                    .hint("For those who look at it later; it stays here.").refused(call).view()}
                {form::field("confirm", format!("Type {device} to confirm"), Control::Input("text"))
                    .id(format!("{place}-confirm")).exactly(&device).required().autocomplete("off").refused(call).view()}
            </div>
            {buttons("Keep it", cancel, form::submit("Revoke certificate", "danger-solid", move || call.pending().get()))}
    }
    .into_any();
    let hidden = c.id.to_string();
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=hidden/>
            <input type="hidden" name="back" value=back/>
            {inside}
        </ActionForm>
    }
    .into_any()
}
