//! Revoking a certificate, and saying of one that was revoked that its key is compromised: the call, its dialog, and the question in the page for
//! browsers without script.

use crate::{
    api::{certificates::RevokeCertificate, packed::Reading},
    ui::{
        Control, asked, dialog,
        dialog::{buttons, dialog_link_about},
        form::{self, ActionForm, FormCall, fault_banner, refusal, said},
        number::counted,
        page, select,
    },
};
use leptos::prelude::*;
use wire::{
    pki::{CertificateDetail, CertificateRow, MAX_REVOCATION_NOTE, RevocationReason},
    states::CertificateState,
};

/// The call, and the certificate its dialog asks about: one dialog serves all rows.
#[derive(Clone, Copy)]
pub struct Revoke {
    what: What,
    call: FormCall<RevokeCertificate>,
    /// The certificate that the dialog asks about.
    chosen: RwSignal<Option<CertificateRow>>,
    /// How many other certificates for the key of the one that is shown go with it, and how many of them may be used.
    same_key: StoredValue<(i64, i64)>,
}

impl Revoke {
    /// Takes over what goes with the certificate that is shown.
    pub fn know(self, m: &CertificateDetail) {
        self.same_key.set_value((m.same_key, m.same_key_usable));
    }
}

/// What is asked about a certificate.
#[derive(Clone, Copy)]
enum What {
    /// To revoke it.
    Revoke,
    /// To say of one that was revoked for another reason that its key is compromised.
    Raise,
}

impl What {
    /// Its word in an address, which begins the ids too.
    const fn word(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Raise => "raise",
        }
    }

    const fn dialog(self) -> &'static str {
        match self {
            Self::Revoke => "revoke-dialog",
            Self::Raise => "raise-dialog",
        }
    }

    const fn heading(self) -> &'static str {
        match self {
            Self::Revoke => "Revoke a certificate",
            Self::Raise => "Raise the reason to key compromise",
        }
    }

    const fn opener(self) -> &'static str {
        match self {
            Self::Revoke => "Revoke…",
            Self::Raise => "Raise the reason…",
        }
    }

    const fn said(self) -> &'static str {
        match self {
            Self::Revoke => "Certificate revoked",
            Self::Raise => "The reason is key compromise now",
        }
    }

    fn title(self, c: &CertificateRow) -> String {
        match self {
            Self::Revoke => format!("Revoke the certificate of {}", c.device_id),
            Self::Raise => format!("Raise the reason of {}’s certificate to key compromise", c.device_id),
        }
    }

    /// What names the question about one certificate among all that the dialog may ask.
    fn about(self, c: &CertificateRow) -> String {
        format!("{}-{}", self.word(), c.id)
    }
}

/// The call of a page that reads `model` again when something was revoked.
pub fn revoking(model: Reading) -> Revoke {
    asking(What::Revoke, model)
}

/// The same when what was revoked is said to be a key compromise.
pub fn raising(model: Reading) -> Revoke {
    asking(What::Raise, model)
}

fn asking(what: What, model: Reading) -> Revoke {
    Revoke { what, call: said(what.said(), model), chosen: RwSignal::new(None), same_key: StoredValue::new((0, 0)) }
}

/// Whether anything is left to revoke: it may be used.
pub const fn revocable(c: &CertificateRow) -> bool {
    matches!(c.state, CertificateState::Active)
}

/// Whether it was revoked here, or superseded, which lists tell of in the same way: for a reason that a compromise of its key may follow. One that is only on
/// its owner's list was not: there is no reason to raise.
pub fn raisable(c: &CertificateRow) -> bool {
    matches!(c.state, CertificateState::Revoked | CertificateState::Superseded)
        && c.reason != RevocationReason::KeyCompromise.as_str()
        && !c.is_on_owners_list()
}

/// A button that asks about one certificate.
pub fn revoke_link(c: &CertificateRow, look: (&'static str, &'static str), revoke: Revoke) -> AnyView {
    let (what, row) = (revoke.what, c.clone());
    let choose = move || revoke.chosen.set(Some(row.clone()));
    dialog_link_about(what.dialog(), &what.about(c), asked::asking(what.word(), &c.id), look, what.opener().into_any(), choose)
}

/// The question in the page itself.
pub fn question(c: &CertificateRow, revoke: Revoke) -> AnyView {
    page::question(revoke.what.title(c), ask(c, "page", revoke))
}

/// The dialog. It stands beside the page's content: that is built anew whenever the page is read again, and would take along what is typed here.
pub fn revoke_dialog(revoke: Revoke) -> AnyView {
    let body = move || revoke.chosen.get().map(|c| ask(&c, "dialog", revoke));
    dialog(revoke.what.dialog(), revoke.what.heading(), body.into_any()).into_any()
}

/// The form that asks; `place` is where it stands, for the ids of its inputs.
fn ask(c: &CertificateRow, place: &'static str, revoke: Revoke) -> AnyView {
    let (what, call, back) = (revoke.what, revoke.call, asked::unasked());
    let (device, cancel) = (c.device_id.to_string(), asked::way_out(&what.about(c)));
    let id = |input: &str| format!("{}-{place}-{input}", what.word());
    let (lead, reason, note_hint) = match what {
        What::Revoke => (
            " is cut off within a second and cannot come back with this certificate. It has to enrol again. This cannot be undone."
                .to_owned(),
            reasons(id("reason"), call),
            "For those who look at it later; it stays here.",
        ),
        What::Raise => (
            raised(c, revoke.same_key.get_value()),
            view! { <input type="hidden" name="reason" value="key_compromise"/> }.into_any(),
            "For those who look at it later; it stays here. Empty keeps the note that is there.",
        ),
    };
    let doing = match what {
        What::Revoke => "Revoke certificate",
        What::Raise => "Raise the reason",
    };
    let inside = view! {
            <div class="body">
                {move || fault_banner(refusal(call).as_ref())}
                <p><b class="mono">{device.clone()}</b>{lead}</p>
                {reason}
                {form::field("invalidity_date", "Wrong since (UTC)", Control::Input("datetime-local")).id(id("since"))
                    .hint("When its key got into other hands, if you know. It is published with the revocation.").refused(call).view()}
                {form::field("note", "Note", Control::Area).id(id("note")).max_length(MAX_REVOCATION_NOTE)
                    .hint(note_hint).refused(call).view()}
                {form::field("confirm", format!("Type {device} to confirm"), Control::Input("text"))
                    .id(id("confirm")).exactly(&device).required().autocomplete("off").refused(call).view()}
            </div>
            {buttons("Keep it", cancel, form::submit(doing, "danger-solid", move || call.pending().get()))}
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

/// What there is to choose. Nothing is chosen at first: a reason that nobody thought of is none.
fn reasons(id: String, call: FormCall<RevokeCertificate>) -> AnyView {
    let reasons = RevocationReason::ALL.iter().map(|r| (r.as_str().to_owned(), r.as_str().replace('_', " ")));
    let options = std::iter::once((String::new(), "Choose one".to_owned())).chain(reasons).collect();
    select("reason", "Reason", options).id(id).required().refused(call).view()
}

/// What follows when the reason is raised; behind the device's id.
fn raised(c: &CertificateRow, (others, usable): (i64, i64)) -> String {
    let superseded = c.state == CertificateState::Superseded;
    let was = if superseded {
        " has a successor for this certificate. Only that its key is compromised may be said of it still.".to_owned()
    } else {
        format!(" lost this certificate for the reason “{}”.", c.reason.replace('_', " "))
    };
    let along = match others {
        0 => String::new(),
        n => format!(" Revoked with it: {} for the same key.", counted(n, "other certificate", "other certificates")),
    };
    let cut = match (usable > 0, superseded) {
        (true, _) => {
            format!(" {} connects by that key still: it is cut off within a second, and has to enrol again with another one.", c.device_id)
        }
        (false, true) => " The device stays online with its successor.".to_owned(),
        (false, false) => " No device is cut off by it.".to_owned(),
    };
    format!(
        "{was} Raised to key compromise, its key never gets a certificate again, also after a backup is put \
         back; and the list of revoked certificates and the responder say that what was signed with it is not to be relied on.{along}{cut} When it was revoked \
         stays. This cannot be undone."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Timestamp, pki::OWNERS_LIST, states::KeyOrigin};

    #[test]
    fn a_reason_is_raised_where_there_is_one_of_ours() {
        let of = |state: CertificateState, reason: &str| {
            let row = CertificateRow {
                id: "crt_00000000000000000000000000000001".parse().unwrap(),
                device_id: "gw-1".parse().unwrap(),
                serial: String::new(),
                fingerprint: String::new(),
                issuer: String::new(),
                issuer_id: "ca_00000000000000000000000000000001".parse().unwrap(),
                key_alg: String::new(),
                not_before: Timestamp(0),
                not_after: Timestamp(1),
                state,
                reason: reason.to_owned(),
                first_used_at: None,
                revoked_at: None,
                key_origin: KeyOrigin::Device,
                renew_ordered_at: None,
                renew_due_at: None,
            };
            raisable(&row)
        };
        assert!(of(CertificateState::Revoked, "superseded"));
        assert!(of(CertificateState::Superseded, "superseded"), "its successor has replaced it");
        assert!(!of(CertificateState::Revoked, RevocationReason::KeyCompromise.as_str()), "there is no worse one");
        assert!(!of(CertificateState::Revoked, OWNERS_LIST), "nobody here has revoked it");
        assert!(!of(CertificateState::Active, ""));
    }
}
