//! Certificates, those that end first in front, and the authorities that issued them.

use super::words;
use crate::api::packed::reading;
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::certificates::{ReadCertificates, RevokeCertificate},
    live,
    ui::{
        Column, Control, PageHead, Tone, badge, copyable, dialog,
        dialog::buttons,
        empty,
        form::{self, action, fault_banner, on_success, refusal},
        icon,
        number::counted,
        page::{self, card_flush, page},
        pager, select, table, time,
        toast::toasts,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    Timestamp,
    live::Topic,
    pki::{AuthorityRow, CertificateRow, CertificatesPage as Model, RevocationReason},
    states::{AuthorityState, CertificateState},
};

/// `/certificates`; `?revoke=ID` asks about one.
#[component]
pub fn CertificatesPage() -> AnyView {
    let query = use_query_map();
    let at =
        move || query.with(|q| (q.get("cur").unwrap_or_default(), q.get("from").unwrap_or_default(), q.get("revoke").unwrap_or_default()));
    let model = reading(move || ReadCertificates { cursor: at().0 });
    live::refetch_on(|| Some(Topic::Devices), 2000, model);
    let revoke = Revoke { call: action(), chosen: RwSignal::new(None) };
    let notes = toasts();
    on_success(revoke.call, move |()| {
        crate::ui::dialog::close_all();
        if let Some(notes) = notes {
            notes.say(Tone::Ok, "Certificate revoked");
        }
        model.refetch();
    });
    page(model, move |model: Model| {
        let (cursor, from, asked) = untrack(at);
        let before = from.parse().unwrap_or(0_i64).max(0);
        let here = if cursor.is_empty() { String::new() } else { format!("from={before}&cur={cursor}") };
        content(&model, before, &here, &asked, revoke)
    })
}

/// The call, and the certificate its dialog asks about: one dialog serves all rows.
#[derive(Clone, Copy)]
struct Revoke {
    call: FormCall<RevokeCertificate>,
    chosen: RwSignal<Option<CertificateRow>>,
}

const REVOKE: &str = "revoke-dialog";

fn content(model: &Model, before: i64, here: &str, asked: &str, revoke: Revoke) -> AnyView {
    let items = &model.certificates.items;
    let shown = i64::try_from(items.len()).unwrap_or(0);
    let sub = format!(
        "{} from {}",
        counted(model.certificates.total, "certificate", "certificates"),
        counted(i64::try_from(model.authorities.len()).unwrap_or(0), "authority", "authorities")
    );
    let question = items
        .iter()
        .find(|c| model.may_revoke && c.id.as_str() == asked)
        .map(|c| page::question(question_title(c), ask(c, "page", revoke.call)));
    let list = if items.is_empty() {
        view! { <div class="card">{empty("shield-check", "No certificates yet", "A device gets its certificate when it enrols.", Some(view! { <a class="btn" href="/enrolment">"Enrol a device"</a> }.into_any()))}</div> }.into_any()
    } else {
        card_flush("Device certificates", None, rows(model, here, revoke.chosen))
    };
    let question_dialog = model.may_revoke.then(|| {
        let body = move || revoke.chosen.get().map(|c| ask(&c, "dialog", revoke.call));
        dialog(REVOKE, "Revoke a certificate", body.into_any())
    });
    let next = model.certificates.next.as_ref().map(|cursor| format!("/certificates?from={}&cur={cursor}", before + shown));
    view! {
        <PageHead title="Certificates" sub=sub.into_any()/>
        {question}
        {list}
        {pager(before, shown, model.certificates.total, (before > 0).then(|| "/certificates".to_owned()), next)}
        <div class="mt-4">{card_flush("Authorities", None, authorities(&model.authorities, model.at))}</div>
        {question_dialog}
    }
    .into_any()
}

fn rows(model: &Model, here: &str, chosen: RwSignal<Option<CertificateRow>>) -> AnyView {
    let columns = vec![
        Column::text("Device"),
        Column::text("State"),
        Column::text("Ends"),
        Column::text("Issued by"),
        Column::text("Key"),
        Column::text("Serial"),
        Column::text("First used"),
        Column::actions("Revoke"),
    ];
    let rows = model
        .certificates
        .items
        .iter()
        .map(|c| {
            let (tone, word) = words::certificate(c.state, c.not_after.since(model.at));
            let reason = (!c.reason.is_empty()).then(|| view! { " "<span class="dim">{c.reason.replace('_', " ")}</span> });
            let usable = matches!(c.state, CertificateState::Active | CertificateState::Superseded);
            let button = (model.may_revoke && usable).then(|| {
                let href = format!("/certificates?{}revoke={}", if here.is_empty() { String::new() } else { format!("{here}&") }, c.id);
                let row = c.clone();
                let choose = move |_| chosen.set(Some(row.clone()));
                view! { <a class="btn" data-v="ghost" data-s="sm" href=href data-dialog=REVOKE aria-haspopup="dialog" on:click=choose>"Revoke…"</a> }
            });
            view! {
                <tr>
                    <th scope="row"><a class="main mono" href=format!("/devices/{}", c.device_id)>{c.device_id.to_string()}</a></th>
                    <td>{badge(tone, word)}{reason}</td>
                    <td>{time::ago(c.not_after)}</td>
                    <td title=c.issuer.clone()>{common_name(&c.issuer).to_owned()}</td>
                    <td>{c.key_alg.clone()}</td>
                    <td>{copyable(c.serial.clone(), "Copy serial number")}</td>
                    <td class="dim">{time::ago_or(c.first_used_at, "not yet")}</td>
                    <td class="act">{button}</td>
                </tr>
            }
        })
        .collect_view();
    table("Device certificates", columns, rows.into_any())
}

fn question_title(c: &CertificateRow) -> String {
    format!("Revoke the certificate of {}", c.device_id)
}

/// The form that asks; `place` begins the ids of its inputs.
fn ask(c: &CertificateRow, place: &'static str, call: FormCall<RevokeCertificate>) -> AnyView {
    let device = c.device_id.to_string();
    let options = RevocationReason::ALL.into_iter().map(|r| (r.as_str().to_owned(), r.as_str().replace('_', " "))).collect();
    // Only the refusal is built again: the reason that was chosen stays chosen.
    let inside = view! {
            <div class="body">
                {move || fault_banner(refusal(call).as_ref())}
                <p><b class="mono">{device.clone()}</b>" is cut off within a second and cannot come back with this certificate. It has to enrol again. This cannot be undone."</p>
                {select("reason", "Reason", options).id(format!("{place}-reason")).view()}
                {move || form::field("confirm", format!("Type {device} to confirm"), Control::Input("text"))
                    .id(format!("{place}-confirm")).exactly(&device).required().autocomplete("off").fault(refusal(call).as_ref()).view()}
            </div>
            {buttons("Keep it", "/certificates", form::submit("Revoke certificate", "danger-solid", move || call.pending().get()))}
    }
    .into_any();
    let hidden = c.id.to_string();
    view! { <ActionForm action=call><input type="hidden" name="id" value=hidden/>{inside}</ActionForm> }.into_any()
}

fn authorities(all: &[AuthorityRow], now: Timestamp) -> AnyView {
    let columns = vec![
        Column::text("Authority"),
        Column::text("Use"),
        Column::text("State"),
        Column::text("Ends"),
        Column::text("SHA-256 fingerprint"),
        Column::actions("Download"),
    ];
    let rows = all
        .iter()
        .map(|a| {
            let (tone, word) = authority(a.state, a.not_after.since(now));
            let purpose = match a.kind.as_str() {
                "root" => "signs the other authorities",
                "device" => "issues to devices",
                "server" => "issues to our listeners",
                other => other,
            };
            view! {
                <tr>
                    <th scope="row" title=a.subject.clone()>{common_name(&a.subject).to_owned()}</th>
                    <td>{purpose.to_owned()}</td>
                    <td>{badge(tone, word)}</td>
                    <td>{time::ago(a.not_after)}</td>
                    <td>{copyable(a.fingerprint.clone(), "Copy fingerprint")}</td>
                    <td class="act"><a class="btn" data-s="sm" href=pem_link(&a.pem) download=format!("{}-ca-{}.pem", a.kind, a.fingerprint.get(..8).unwrap_or_default()) rel="external">{icon("download")}"PEM"</a></td>
                </tr>
            }
        })
        .collect_view();
    table("Authorities", columns, rows.into_any())
}

/// The `CN` of a subject, or all of it when it has none.
fn common_name(subject: &str) -> &str {
    subject.split(", ").find_map(|part| part.strip_prefix("CN=")).unwrap_or(subject)
}

/// The PEM as an address of its own (RFC 2397): what the page shows is what is saved.
fn pem_link(pem: &str) -> String {
    let escaped = pem.replace('%', "%25").replace('+', "%2B").replace(' ', "%20").replace('\n', "%0A");
    format!("data:application/x-pem-file,{escaped}")
}

const fn authority(state: AuthorityState, left_ms: i64) -> (Tone, &'static str) {
    match state {
        _ if left_ms <= 0 => (Tone::Bad, "Expired"),
        AuthorityState::Staged => (Tone::Off, "Staged"),
        AuthorityState::Active => (Tone::Ok, "Active"),
        AuthorityState::Retiring => (Tone::Warn, "Retiring"),
        AuthorityState::Retired => (Tone::Off, "Retired"),
        AuthorityState::Compromised => (Tone::Bad, "Compromised"),
    }
}
