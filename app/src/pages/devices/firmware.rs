//! The updates of a device: what it runs and from which slot, why it does or doesn't update, and every rollout it was part of.

use super::{attempts, cancel, connections::Place, overview::Actions, pin, why};
use crate::{
    pages::{machines, words},
    plan::query::push,
    ui::{
        Column, icon,
        number::grouped,
        page::{card, card_flush},
        progress::progress,
        status, table, time,
        unread::Known,
    },
};
use leptos::prelude::*;
use wire::{
    devices::DeviceDetail,
    ids::{DeviceId, UpdateId},
    page::Page,
    selector::{Field, Selector},
    slots::DeviceSlot,
    states::DeviceState,
    updates::Attempt,
};

/// What the tab's address may say.
pub const KNOWN: Known = (&[("log", "update's id", |word| word.parse::<UpdateId>().is_ok())], &["cur", "from"]);

/// What the address asks for, beside the tab.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Which page of its updates.
    pub place: Place,
    /// The update whose lines are all shown.
    pub whole: Option<UpdateId>,
    /// Whether the question before it is pinned stands in the page.
    pub pin: bool,
    /// Whether the question before its update is cancelled stands in the page.
    pub cancel: bool,
}

/// The tab.
pub fn tab(d: &DeviceDetail, attempts: Option<&Page<Attempt>>, asked: &Asked, actions: &Actions) -> AnyView {
    view! {
        {pin::ask(d, asked.pin, actions.pin)}
        {cancel::ask(d, asked.cancel, actions)}
        <div class="stack">
            {pin::pinned(d, actions)}
            {why::explanation(&d.row.device_id, &d.why, actions.confirm)}
            {doing(d)}
            {slots(&d.slots)}
            {attempts::history(d, attempts, &asked.place, asked.whole.as_ref())}
            {d.updates.first().map(machines::update)}
            {card("Data", None, data(d))}
        </div>
    }
    .into_any()
}

/// What can be done about what it runs; nothing for who may do none of it.
fn doing(d: &DeviceDetail) -> Option<AnyView> {
    let (install, cancel, pin) = (install(d), cancel::button(d), pin::button(d));
    let any = install.is_some() || cancel.is_some() || pin.is_some();
    any.then(|| view! { <div class="row">{install}{cancel}{pin}</div> }.into_any())
}

/// The places in which it keeps firmware; nothing of a device that reports none.
fn slots(of: &[DeviceSlot]) -> Option<AnyView> {
    if of.is_empty() {
        return None;
    }
    let columns: Vec<Column> = ["Slot", "Holds", "State", "Reported since"].map(Column::text).into();
    let rows = of.iter().map(slot).collect_view().into_any();
    Some(card_flush("Slots", None, table("Slots of this device", columns, rows)))
}

fn slot(of: &DeviceSlot) -> AnyView {
    let (tone, word) = words::slot(of.state);
    view! {
        <tr>
            <th scope="row" class="mono">{of.name.clone()}</th>
            <td class="mono">{of.version.clone().unwrap_or_else(|| "–".to_owned())}</td>
            <td>{status(tone, word)}</td>
            <td class="dim">{time::ago(of.since)}</td>
        </tr>
    }
    .into_any()
}

/// The way to a plan for this device alone, for those who may change it; it is approved like any other. A plan leaves out who is pinned.
fn install(d: &DeviceDetail) -> Option<AnyView> {
    (d.may_edit && d.row.state == DeviceState::Active && d.pin.is_none()).then(|| {
        let href = plan_for(&d.row.device_id);
        view! { <a class="btn" href=href>{icon("rocket")}"Install a version…"</a> }.into_any()
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
