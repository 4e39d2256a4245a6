//! The updates of a device: what it runs, why it does or doesn't update, and every rollout it was part of.

use super::why;
use crate::{
    api::devices::ConfirmUpdate,
    pages::{machines, words},
    plan::query::push,
    ui::{
        Column, empty,
        form::FormCall,
        icon,
        number::grouped,
        page::{card, card_flush},
        progress::progress,
        status, table, time,
    },
};
use leptos::prelude::*;
use wire::{
    devices::{DeviceDetail, DeviceUpdate},
    ids::DeviceId,
    selector::{Field, Selector},
    states::DeviceState,
};

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
            {install(d)}
            {card_flush("Updates", Some(view! { "Runs "<b class="mono">{d.row.version.clone()}</b> }.into_any()), history)}
            {d.updates.first().map(machines::update)}
            {card("Data", None, data(d))}
        </div>
    }
    .into_any()
}

/// The way to a plan for this device alone, for those who may change it; it is approved like any other.
fn install(d: &DeviceDetail) -> Option<AnyView> {
    (d.may_edit && d.row.state == DeviceState::Active).then(|| {
        let href = plan_for(&d.row.device_id);
        view! { <div class="row"><a class="btn" href=href>{icon("rocket")}"Install a version…"</a></div> }.into_any()
    })
}

/// The wizard's address with one device in one stage. Which release is chosen there.
fn plan_for(device: &DeviceId) -> String {
    let alone = Selector::Is(Field::Id, vec![device.to_string()]).to_string();
    let mut plan = "step=firmware".to_owned();
    for (key, value) in [("selector", alone.as_str()), ("stages.0.name", "This device"), ("stages.0.reach", "100")] {
        push(&mut plan, key, value);
    }
    format!("/rollouts/new?{plan}")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Draft;
    use wire::selector::Facts;

    #[test]
    fn a_plan_for_one_device_means_it_and_nobody_else() {
        for id in ["gw-1", "hall:3.gw_1", "or"] {
            let href = plan_for(&id.parse().unwrap());
            let draft = Draft::read(href.split_once('?').unwrap().1);
            let stages: Vec<_> = draft.stages.iter().map(|s| (s.name.as_str(), s.reach.as_str(), s.unit.as_str())).collect();
            assert_eq!(stages, [("This device", "100", "percent")]);
            let selector = Selector::parse(&draft.selector).unwrap();
            for (other, meant) in [(id.to_owned(), true), (format!("{id}1"), false)] {
                assert_eq!(selector.matches(&Facts { device_id: other.clone(), ..Facts::default() }), meant, "{href}: {other}");
            }
        }
    }
}
