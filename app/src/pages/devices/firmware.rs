//! The updates of a device: what it runs, why it does or doesn't update, and every rollout it was part of.

use super::why;
use crate::{
    api::devices::ConfirmUpdate,
    pages::{machines, words},
    ui::{
        Column, empty,
        form::FormCall,
        number::grouped,
        page::{card, card_flush},
        progress::progress,
        status, table, time,
    },
};
use leptos::prelude::*;
use wire::devices::{DeviceDetail, DeviceUpdate};

/// The tab.
pub fn tab(d: &DeviceDetail, confirm: FormCall<ConfirmUpdate>) -> AnyView {
    let history = if d.updates.is_empty() {
        empty("package", "Not updated yet", "Rollouts that reach this device appear here, with every step it reports.", None)
    } else {
        let rows = d.updates.iter().map(line).collect_view().into_any();
        let columns = vec![
            Column::text("Rollout"),
            Column::text("From"),
            Column::text("To"),
            Column::text("State"),
            Column::text("What it said"),
            Column::text("Offered"),
            Column::text("Changed"),
        ];
        table("Updates of this device", columns, rows)
    };
    view! {
        <div class="stack">
            {why::explanation(&d.row.device_id, &d.why, confirm)}
            {card_flush("Updates", Some(view! { "Runs "<b class="mono">{d.row.version.clone()}</b> }.into_any()), history)}
            {d.updates.first().map(machines::update)}
            {card("Data", None, data(d))}
        </div>
    }
    .into_any()
}

/// What it was sent of files, against its budget where there is one.
fn data(d: &DeviceDetail) -> AnyView {
    let mb = |bytes: i64| grouped((bytes + 999_999) / 1_000_000);
    let used = format!("{} MB of files in the last 30 days", mb(d.data.bytes));
    let Some(budget) = d.data.budget else { return view! { <p>{used}"."</p> }.into_any() };
    let used = format!("{used}, of {} MB.", mb(budget));
    let over =
        d.data.again.map(|again| view! { <p>"It is offered nothing more before "{time::at(again)}", unless a plan says otherwise."</p> });
    view! { <div class="stack"><p>{used.clone()}</p>{progress(used, d.data.bytes.min(budget), budget)}{over}</div> }.into_any()
}

fn line(u: &DeviceUpdate) -> AnyView {
    let (tone, word) = words::update(u.state);
    let progress = u.progress.filter(|_| !u.state.finished()).map(|p| format!(" {p} %"));
    view! {
        <tr>
            <td><a class="main" href=format!("/rollouts/{}", u.rollout)>{u.rollout_name.clone()}</a></td>
            <td class="mono">{u.from_version.clone()}</td>
            <td class="mono">{u.to_version.clone()}</td>
            <td>{status(tone, word)}{progress}</td>
            <td class="dim clip" title=u.detail.clone()>{u.detail.clone()}</td>
            <td class="dim">{time::at(u.created_at)}</td>
            <td class="dim">{time::ago(u.updated_at)}</td>
        </tr>
    }
    .into_any()
}
