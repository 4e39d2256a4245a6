//! One certificate: what is written in it, where it stands, its chain, and what can be done with it.

use super::{
    authorities::authorities,
    common_name,
    revoke::{Revoke, question, raisable, raising, revocable, revoke_dialog, revoke_link, revoking},
};
use crate::{
    api::{certificates::ReadCertificate, packed::reading},
    live,
    pages::{machines, words},
    ui::{
        PageHead, badge, card, code_block, copyable, icon,
        page::{card_flush, page},
        time,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use wire::{ids::CertificateId, live::Topic, pki::CertificateDetail as Model, states::CertificateState};

/// `/certificates/{id}`; `?revoke=ID` and `?raise=ID` ask without JavaScript.
#[component]
pub fn CertificatePage() -> AnyView {
    let (params, query) = (use_params_map(), use_query_map());
    let model = reading(move || ReadCertificate { id: params.with(|p| p.get("id").unwrap_or_default()) });
    live::refetch_on(|| Some(Topic::Devices), 2000, model);
    let (revoke, raise) = (revoking(model), raising(model));
    let content = page(model, move |model: Model| {
        let asked = |word: &str| query.with_untracked(|q| q.get(word).is_some());
        raise.know(&model);
        let left = to_say(&model, revoke, raise);
        content(&model, left, asked("revoke") && revocable(&model.row) || asked("raise") && raisable(&model.row))
    });
    view! { {content}{revoke_dialog(revoke)}{revoke_dialog(raise)} }.into_any()
}

/// What this person may still say of it: that it is revoked; of one that is, that its key is compromised.
fn to_say(m: &Model, revoke: Revoke, raise: Revoke) -> Option<Revoke> {
    let left = if revocable(&m.row) { Some(revoke) } else { raisable(&m.row).then_some(raise) };
    left.filter(|_| m.may_revoke)
}

fn content(m: &Model, left: Option<Revoke>, asked: bool) -> AnyView {
    let c = &m.row;
    let (tone, word) = words::certificate(c.state, c.not_after.since(m.at));
    let button = left.map(|say| revoke_link(c, ("danger", ""), say));
    let download = |form: &'static str, label: &'static str| {
        view! { <a class="btn" href=format!("/api/v1/certificates/{}/{form}", c.id) download="" rel="external">{icon("download")}{label}</a> }
    };
    let sub = view! { "For "<a class="mono" href=format!("/devices/{}", c.device_id)>{c.device_id.to_string()}</a>", issued by "{common_name(&c.issuer).to_owned()} };
    view! {
        <PageHead title=format!("Certificate of {}", c.device_id) marks=badge(tone, word) sub=sub.into_any()
            actions=view! { {download("pem", "PEM")}{download("der", "DER")}{button} }.into_any()/>
        {left.filter(|_| asked).map(|say| question(c, say))}
        <div class="split mt-4">
            <div class="stack">{written(m)}{card("PEM", None, code_block(m.pem.clone(), "The certificate as PEM"))}</div>
            <div class="stack">{standing(m)}{machines::certificate(c)}</div>
        </div>
        <div class="mt-4">{chain(m)}</div>
    }
    .into_any()
}

/// The authorities above it; of an owner's own authority, where it is found.
fn chain(m: &Model) -> AnyView {
    if m.chain.is_empty() {
        let name = m.row.issuer.clone();
        let text = view! { <p>"It comes from "<span class="mono">{name}</span>", an authority that was registered under "<a href="/enrolment?tab=own">"Add devices, Own CA"</a>"."</p> };
        return card("Issuer", None, text.into_any());
    }
    card_flush("Chain, from its issuer to the root", None, authorities(&m.chain, &m.alarmed, m.at))
}

/// What is written in it.
fn written(m: &Model) -> AnyView {
    let (c, d) = (&m.row, &m.decoded);
    let lines = |all: &[String]| all.iter().map(|line| view! { <div>{line.clone()}</div> }).collect_view();
    let none = || view! { <span class="dim">"none"</span> }.into_any();
    let addresses = if d.addresses.is_empty() { none() } else { lines(&d.addresses).into_any() };
    let body = view! {
        <dl class="kv">
            <dt>"Subject"</dt><dd>{d.subject.clone()}</dd>
            <dt>"Names"</dt><dd>{lines(&d.alternatives)}</dd>
            <dt>"Issuer"</dt><dd>{d.issuer.clone()}</dd>
            <dt>"Valid from"</dt><dd>{time::at(c.not_before)}</dd>
            <dt>"Valid until"</dt><dd>{time::at(c.not_after)}" ("{time::ago(c.not_after)}")"</dd>
            <dt>"May be used for"</dt><dd>{d.usages.join(", ")}</dd>
            <dt>"Key"</dt><dd>{c.key_alg.clone()}</dd>
            <dt>"Signature"</dt><dd>{d.signature.clone()}</dd>
            <dt>"Serial number"</dt><dd>{copyable(c.serial.clone(), "Copy serial number")}</dd>
            <dt>"SHA-256"</dt><dd>{copyable(c.fingerprint.clone(), "Copy fingerprint")}</dd>
            <dt>"Public key SHA-256"</dt><dd>{copyable(d.public_key_sha256.clone(), "Copy public key digest")}</dd>
            <dt>"Subject key id"</dt><dd>{copyable(d.subject_key.clone(), "Copy subject key id")}</dd>
            <dt>"Authority key id"</dt><dd>{copyable(d.authority_key.clone(), "Copy authority key id")}</dd>
            <dt>"Addresses"</dt><dd>{addresses}</dd>
        </dl>
    };
    card("What is written in it", None, body.into_any())
}

/// Where it stands.
fn standing(m: &Model) -> AnyView {
    let link = |id: &CertificateId, word: &'static str| view! { <a href=format!("/certificates/{id}")>{word}</a> };
    let replaces = m.replaces.as_ref().map(|id| view! { <dt>"Replaces"</dt><dd>{link(id, "the certificate before")}</dd> });
    let replaced = m.replaced_by.as_ref().map(|id| view! { <dt>"Replaced by"</dt><dd>{link(id, "its successor")}</dd> });
    let usable = matches!(m.row.state, CertificateState::Active | CertificateState::Superseded);
    let overlap =
        (usable && m.usable_until < m.row.not_after).then(|| view! { <dt>"Usable until"</dt><dd>{time::at(m.usable_until)}</dd> });
    let untrusted =
        (m.row.state == CertificateState::Untrusted).then(|| view! { <dt>"Not trusted"</dt><dd>{words::certificate_reason(&m.row)}</dd> });
    let revoked = m.revoked_at.map(|at| {
        let head = if m.row.state == CertificateState::Superseded { "Superseded" } else { "Revoked" };
        let why = words::certificate_reason(&m.row).map(|why| view! { <dt>"Reason"</dt><dd>{why}</dd> });
        view! {
            <dt>{head}</dt><dd>{time::at(at)}</dd>
            {why}
            <dt>"By"</dt><dd>{m.revoked_by.clone()}</dd>
            {m.raised_at.map(|at| view! {
                <dt>"Compromise told"</dt><dd>{time::at(at)}</dd>
                <dt>"By"</dt><dd>{m.raised_by.clone()}</dd>
            })}
            {m.row.is_on_owners_list().then(|| view! {
                <dt>"What to do"</dt>
                <dd>"Give the device another certificate at its own authority. If it was revoked by mistake, bring a newer list without it under "<a href="/enrolment?tab=own">"Enrolment"</a>"."</dd>
            })}
            {m.invalidity_date.map(|since| view! { <dt>"Wrong since"</dt><dd>{time::at(since)}</dd> })}
            {(!m.revocation_note.is_empty()).then(|| view! { <dt>"Note"</dt><dd>{m.revocation_note.clone()}</dd> })}
        }
    });
    let body = view! {
        <dl class="kv">
            <dt>"Issued"</dt><dd>{time::at(m.issued_at)}</dd>
            <dt>"Through"</dt><dd>{m.enrolled_by.clone()}</dd>
            {(!m.profile.is_empty()).then(|| view! { <dt>"Profile"</dt><dd>{m.profile.clone()}</dd> })}
            <dt>"Key made"</dt><dd>{words::key_origin(m.row.key_origin)}</dd>
            <dt>"First used"</dt><dd>{time::ago_or(m.row.first_used_at, "not yet")}</dd>
            {overlap}
            {replaces}
            {replaced}
            {untrusted}
            {revoked}
        </dl>
    };
    card("Where it stands", None, body.into_any())
}
