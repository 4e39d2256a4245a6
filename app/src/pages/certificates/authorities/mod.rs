//! The authorities that issue and publish: a table of them, a page of all, a page of each with its steps.

mod aftermath;
mod alarm;
pub mod confirm;
mod course;
pub mod detail;
mod duties;
pub mod elsewhere;
pub mod list;
mod renewing;
pub mod requests;
mod steps;

use crate::ui::{Column, Tone, badge, copyable, icon, table, time};
use leptos::prelude::*;
use wire::{
    Timestamp,
    ids::AuthorityId,
    pki::{AuthorityRow, AuthorityStanding},
    states::{AuthorityState, KeyPlace},
};

/// The table of authorities; `alarmed` are those of them that have an alarm.
pub fn authorities(all: &[AuthorityRow], alarmed: &[AuthorityId], now: Timestamp) -> AnyView {
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
            let alarm = alarmed.contains(&a.id).then(alarm_mark);
            view! {
                <tr>
                    <th scope="row" class="whole" title=a.subject.clone()><a class="main" href=format!("/certificates/authorities/{}", a.id)>{a.common_name().to_owned()}</a></th>
                    <td>{purpose(&a.kind).to_owned()}</td>
                    <td>{badge(tone, word)}{alarm}</td>
                    <td>{time::ago(a.not_after)}</td>
                    <td>{copyable(a.fingerprint.clone(), "Copy fingerprint")}</td>
                    <td class="act">{download(a, "sm")}</td>
                </tr>
            }
        })
        .collect_view();
    table("Authorities", columns, rows.into_any())
}

/// What stands behind the name or the state of an authority whose key somebody else may have.
fn alarm_mark() -> AnyView {
    mark(ALARM)
}

/// What stands behind the name of the authority with this id where its key is, or may be, somebody else's; nothing where nobody says so.
pub fn key_mark(id: &AuthorityId, all: &[AuthorityRow], alarmed: &[AuthorityId]) -> Option<AnyView> {
    let given_up = all.iter().any(|a| a.id == *id && a.state == AuthorityState::Compromised);
    let said = if given_up { Some(COMPROMISED) } else { alarmed.contains(id).then_some(ALARM) };
    said.map(mark)
}

fn mark((tone, word): (Tone, &'static str)) -> AnyView {
    view! { " "{badge(tone, word)} }.into_any()
}

/// What an authority of this kind is there for.
fn purpose(kind: &str) -> &str {
    match kind {
        "root" => "signs the other authorities",
        "device" => "issues to devices",
        "server" => "issues to our listeners",
        "claim" => "issues claims",
        other => other,
    }
}

const fn key(place: KeyPlace) -> &'static str {
    match place {
        KeyPlace::Token => "On a PKCS#11 token",
        KeyPlace::Here => "On this machine, encrypted",
        KeyPlace::Offline => "Not on this machine",
    }
}

fn download(a: &AuthorityRow, size: &'static str) -> AnyView {
    let name = format!("{}-ca-{}.pem", a.kind, a.fingerprint.get(..8).unwrap_or_default());
    view! { <a class="btn" data-s=size href=pem_link(&a.pem) download=name rel="external">{icon("download")}"PEM"</a> }.into_any()
}

/// The PEM as an address of its own (RFC 2397): what the page shows is what is saved.
fn pem_link(pem: &str) -> String {
    text_link("application/x-pem-file", pem)
}

fn text_link(kind: &str, text: &str) -> String {
    let escaped = text.replace('%', "%25").replace('+', "%2B").replace(' ', "%20").replace('\n', "%0A");
    format!("data:{kind},{escaped}")
}

/// Whether another one has to take over from it, and there is time to.
fn ends_soon(s: &AuthorityStanding, now: Timestamp) -> bool {
    s.is_due(now) && s.row.not_after > now
}

/// An authority's state, with what is wrong with it in front.
fn shown_state(s: &AuthorityStanding, now: Timestamp) -> (Tone, &'static str) {
    if s.not_signing.is_some() { (Tone::Bad, "Signs nothing") } else { authority(s.row.state, s.row.not_after.since(now)) }
}

const COMPROMISED: (Tone, &str) = (Tone::Bad, "Compromised");
const ALARM: (Tone, &str) = (Tone::Bad, "Alarm");

const fn authority(state: AuthorityState, left_ms: i64) -> (Tone, &'static str) {
    match state {
        _ if left_ms <= 0 => (Tone::Bad, "Expired"),
        AuthorityState::Staged => (Tone::Off, "Staged"),
        AuthorityState::Active => (Tone::Ok, "Active"),
        AuthorityState::Retiring => (Tone::Warn, "Retiring"),
        AuthorityState::Retired => (Tone::Off, "Retired"),
        AuthorityState::Compromised => COMPROMISED,
    }
}
