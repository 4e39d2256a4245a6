//! The wizard's step of the health gates: when a stage passes, what stops it, and what happens then.

use super::{back::action_cell, evidence, steps::cell};
use crate::{
    plan::{Draft, StageDraft},
    ui::{Column, page::card_flush, table},
};
use leptos::prelude::*;
use wire::{rollouts::Problem, telemetry::KnownMetric};

/// The gates of all stages.
pub(super) fn gates(draft: &Draft, known: &[KnownMetric], problems: &[Problem]) -> AnyView {
    let rates: [GateField; 4] = [
        ("success_percent", "Passes at, % success", "Success percentage to pass", |s| &s.success),
        ("error_percent", "Halts above, % errors", "Error percentage that halts", |s| &s.error),
        ("min_sample", "Judged from, devices", "Finished devices before it is judged", |s| &s.sample),
        ("max_errors", "Halts at, errors", "Errors that halt at once", |s| &s.max_errors),
    ];
    let kinds: [GateField; 3] = [
        ("max_reverted", "May go back", "Devices that may go back by themselves", |s| &s.max_reverted),
        ("max_timed_out", "May fall silent", "Devices that may fall silent", |s| &s.max_timed_out),
        ("max_dark", "May go dark", "Devices that may go dark after they succeeded", |s| &s.max_dark),
    ];
    let of_rates = view! {
        {gate_table("Health gates", &rates, false, draft, problems)}
        <footer>"Rates are over devices that have finished. A stage with fewer devices than that is judged when all of them have finished. An error is an update that failed, went back by itself, was refused or fell silent. 0 errors means no such limit."</footer>
    };
    let of_kinds = view! {
        {gate_table("Limits of each kind of error", &kinds, true, draft, problems)}
        <footer>"More devices than these halt the rollout whatever the rates; empty means no such limit. Who goes dark has succeeded and is then not heard of: that is counted at the end of the watch, which has to be 30 minutes at least, over devices that are not connected and were silent from 15 minutes after their success on. A gate that says no, for whatever reason, halts the rollout, pauses it in its stage, or takes the release back by the way back below."</footer>
    };
    view! {
        {card_flush("Health gates", None, of_rates.into_any())}
        <div class="mt-4">{card_flush("Limits of each kind of error, and what follows", None, of_kinds.into_any())}</div>
        {evidence::metrics(draft, known, problems)}
        {evidence::whole(draft, problems)}
    }
    .into_any()
}

/// A field of a stage's gate: its name in the form, its heading, its label, and where the draft has it.
type GateField = (&'static str, &'static str, &'static str, fn(&StageDraft) -> &String);

/// The stages down, some fields of their gates across, with `acts` also what they do when they say no.
fn gate_table(title: &'static str, fields: &[GateField], acts: bool, draft: &Draft, problems: &[Problem]) -> AnyView {
    let last = acts.then_some("Then it");
    let columns = std::iter::once("Stage").chain(fields.iter().map(|(_, heading, ..)| *heading)).chain(last).map(Column::text).collect();
    let rows = (draft.stages.iter().enumerate())
        .map(|(i, stage)| {
            let cells = (fields.iter())
                .map(|(field, _, label, of)| {
                    let label = format!("{label}, stage {}", i + 1);
                    view! { <td>{cell(&format!("stages.{i}.gate.{field}"), &label, of(stage), "short num", problems)}</td> }
                })
                .collect_view();
            view! { <tr><th scope="row">{format!("{} {}", i + 1, stage.name)}</th>{cells}{acts.then(|| action_cell(i, stage, problems))}</tr> }
        })
        .collect_view();
    table(title, columns, rows.into_any())
}
