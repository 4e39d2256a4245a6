//! The devices of a rollout that has not begun, of all stages or one: where each of them would be as of now, and why others would not get it. What became
//! of them afterwards is [`super::updates`]'s.

use super::choice::Choice;
use crate::ui::{Column, empty, page::card_flush, pager, table};
use leptos::prelude::*;
use wire::{
    page::Page,
    rollouts::{PreviewDevice, RolloutDetail},
};

/// The id of the list in the page, for links that lead to it.
pub const ID: &str = "would-be";

/// The box with the chosen devices.
pub fn devices(r: &RolloutDetail, choice: &Choice, found: &Page<PreviewDevice>) -> AnyView {
    let id = r.row.id.to_string();
    let stage = r.stages.iter().find(|s| s.number == choice.stage);
    let title = stage.map_or_else(|| "Who would be in it".to_owned(), |s| format!("Who would be in stage {}, {}", s.number, s.spec.name));
    // Nothing else is chosen of them.
    let chosen = Choice { stage: choice.stage, ..Choice::default() };
    let everywhere = Choice::default().address(&id);
    let all = (choice.stage > 0).then(|| view! { <a href=everywhere>"All stages"</a> }.into_any());
    let shown = i64::try_from(found.items.len()).unwrap_or(0);
    let body = if found.items.is_empty() { nobody(choice, found.total) } else { rows(r, found, &title) };
    let next = found.next.as_ref().map(|cursor| chosen.page(&id, choice.before + shown, cursor));
    let first = (choice.before > 0).then(|| chosen.address(&id));
    view! {
        <div id=ID>
            {card_flush(title, all, body)}
            <p class="small text-2 mt-2">"As of now, in the order in which they joined the fleet. Who is in a stage is settled when it begins."</p>
            {pager(choice.before, shown, found.total, first, next)}
        </div>
    }
    .into_any()
}

/// What is said where nobody is listed.
fn nobody(choice: &Choice, total: i64) -> AnyView {
    let text = if total > 0 {
        "There are no more of them."
    } else if choice.stage > 0 {
        "Nobody would be in this stage as of now."
    } else {
        "No device matches what the plan is for as of now."
    };
    empty("cpu", "No devices here", text, None)
}

fn rows(r: &RolloutDetail, found: &Page<PreviewDevice>, caption: &str) -> AnyView {
    let why = |d: &PreviewDevice| d.reason.clone().or_else(|| d.put_off.as_ref().map(|why| format!("later: {why}")));
    // Of devices that all come in their turn there is nothing to say.
    let told = found.items.iter().any(|d| why(d).is_some());
    let rows = found
        .items
        .iter()
        .map(|d| {
            let name = |number: u32| r.stages.iter().find(|s| s.number == number).map(|s| format!("{number} {}", s.spec.name));
            let stage = d.stage.map_or_else(|| "Not included".to_owned(), |number| name(number).unwrap_or_else(|| number.to_string()));
            let why = told.then(|| view! { <td class="dim">{why(d)}</td> });
            view! {
                <tr>
                    <th scope="row"><a class="main mono" href=format!("/devices/{}", d.device_id)>{d.device_id.to_string()}</a></th>
                    <td>{stage}</td>
                    {why}
                </tr>
            }
        })
        .collect_view();
    let columns = [Column::text("Device"), Column::text("Stage")].into_iter().chain(told.then_some(Column::text("Why"))).collect();
    table(caption, columns, rows.into_any())
}
