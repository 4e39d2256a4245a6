//! The wizard's step of the health gates: when a stage passes, what stops it, and what happens then.

use super::{back::action_cell, cells::cell, evidence, lately};
use crate::{
    plan::{Draft, StageDraft},
    ui::{Column, page::card_flush, table},
};
use leptos::prelude::*;
use wire::rollouts::{PastUpdates, Problem, WizardPage as Model};

/// The gates of all stages, each limit beside what the fleet's own updates came to.
pub(super) fn gates(draft: &Draft, model: &Model, problems: &[Problem]) -> AnyView {
    let past = model.past.as_ref();
    let rates: [GateField; 4] = [
        ("success_percent", "Passes at, % success", "Success percentage to pass", |s| &s.success),
        ("error_percent", "Halts above, % errors", "Error percentage that halts", |s| &s.error),
        ("min_sample", "Judged from, devices", "Finished devices before it is judged", |s| &s.sample),
        ("max_errors", "Halts at, errors", "Errors that halt at once", |s| &s.max_errors),
    ];
    let kinds: [GateField; 5] = [
        ("max_failed", "May fail", "Devices that may fail to install", |s| &s.max_failed),
        ("max_reverted", "May go back", "Devices that may go back by themselves", |s| &s.max_reverted),
        ("max_timed_out", "May fall silent", "Devices that may fall silent", |s| &s.max_timed_out),
        ("max_rejected", "May refuse", "Devices that may refuse", |s| &s.max_rejected),
        ("max_dark", "May go dark", "Devices that may go dark after they succeeded", |s| &s.max_dark),
    ];
    let of_rates = view! {
        {gate_table("Health gates", &rates, false, (draft, past), problems)}
        <footer>"Rates are over devices that have finished. A stage with fewer devices than that is judged when all of them have finished. An error is an update that failed, went back by itself, was refused or fell silent. 0 errors means no such limit."{lately::rests_on(past)}</footer>
    };
    let of_kinds = view! {
        {gate_table("Limits of each kind of error", &kinds, true, (draft, past), problems)}
        <footer>"More devices than these halt the rollout whatever the rates; empty means no such limit. Who goes dark has succeeded and is then not heard of: that is counted at the end of the watch, which has to be 30 minutes at least, over devices that are not connected and were silent from 15 minutes after their success on."{lately::dark_rests_on(past)}" A gate that says no, for whatever reason, halts the rollout, pauses it in its stage, or takes the release back by the way back below."</footer>
    };
    view! {
        {card_flush("Health gates", None, of_rates.into_any())}
        <div class="mt-4">{card_flush("Limits of each kind of error, and what follows", None, of_kinds.into_any())}</div>
        {evidence::metrics(draft, &model.metrics, problems)}
        {evidence::whole(draft, past, problems)}
    }
    .into_any()
}

/// A field of a stage's gate: its name in the form, its heading, its label, and where the draft has it.
type GateField = (&'static str, &'static str, &'static str, fn(&StageDraft) -> &String);

/// The stages down, some fields of their gates across, with `acts` also what they do when they say no; last the fleet's own values, where there are any.
fn gate_table(
    title: &'static str,
    fields: &[GateField],
    acts: bool,
    (draft, past): (&Draft, Option<&PastUpdates>),
    problems: &[Problem],
) -> AnyView {
    // What follows needs its place beside many narrow columns.
    let (last, class) = if acts { (Some("Then it"), "few num") } else { (None, "short num") };
    let columns = std::iter::once("Stage").chain(fields.iter().map(|(_, heading, ..)| *heading)).chain(last).map(Column::text).collect();
    let rows = (draft.stages.iter().enumerate())
        .map(|(i, stage)| {
            let cells = (fields.iter())
                .map(|(field, _, label, of)| {
                    let label = format!("{label}, stage {}", i + 1);
                    view! { <td>{cell(&format!("stages.{i}.gate.{field}"), &label, of(stage), class, problems)}</td> }
                })
                .collect_view();
            view! { <tr><th scope="row">{format!("{} {}", i + 1, stage.name)}</th>{cells}{acts.then(|| action_cell(i, stage, problems))}</tr> }
        })
        .collect_view();
    let fleet = past.and_then(|past| {
        let values: Vec<_> = fields.iter().map(|(field, ..)| lately::value(past, field)).collect();
        values.iter().any(Option::is_some).then_some((past, values))
    });
    let fleet = fleet.map(|(past, values)| {
        let values =
            values.into_iter().map(|value| view! { <td class="dim">{value.unwrap_or_else(|| "–".to_owned())}</td> }).collect_view();
        view! { <tr><th scope="row">{lately::title(past)}</th>{values}{acts.then(|| view! { <td></td> })}</tr> }
    });
    table(title, columns, view! { {rows}{fleet} }.into_any())
}
