//! The authorities that issue and publish.

use super::common_name;
use crate::ui::{Column, Tone, badge, copyable, icon, table, time};
use leptos::prelude::*;
use wire::{Timestamp, pki::AuthorityRow, states::AuthorityState};

/// The table of authorities.
pub fn authorities(all: &[AuthorityRow], now: Timestamp) -> AnyView {
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
