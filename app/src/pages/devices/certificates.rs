//! The certificates of a device, newest first.

use crate::{
    pages::words,
    ui::{Column, copyable, empty, page::card_flush, status, table, time},
};
use leptos::prelude::*;
use wire::{Timestamp, devices::DeviceDetail, pki::CertificateRow};

/// The tab.
pub fn tab(d: &DeviceDetail) -> AnyView {
    let body = if d.certificates.is_empty() {
        empty("shield-check", "No certificate", "The device gets one when it enrols.", None)
    } else {
        let rows = d.certificates.iter().map(|c| line(c, d.at)).collect_view().into_any();
        let columns = vec![
            Column::text("Serial number"),
            Column::text("State"),
            Column::text("Valid from"),
            Column::text("Until"),
            Column::text("Key"),
            Column::text("Issuer"),
            Column::text("First used"),
            Column::text("SHA-256"),
        ];
        table("Certificates of this device", columns, rows)
    };
    card_flush("Certificates", Some(view! { <a href="/certificates">"All certificates"</a> }.into_any()), body)
}

fn line(c: &CertificateRow, now: Timestamp) -> AnyView {
    let (tone, word) = words::certificate(c.state, c.not_after.since(now));
    let word = if c.reason.is_empty() { word.to_owned() } else { format!("{word}: {}", c.reason.replace('_', " ")) };
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
