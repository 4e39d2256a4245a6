//! The wizard's step of the health gates: when a stage passes, what stops it, and what happens then.

use super::{
    back::action_field,
    cells::fault_of,
    evidence,
    folds::{Typed, stage_fold},
    lately,
    live::LivePreview,
    wizard::Address,
};
use crate::{
    plan::StageDraft,
    ui::{page::card_flush, text},
};
use leptos::prelude::*;
use wire::rollouts::{PastUpdates, Problem, WizardPage as Model};

/// A field of a stage's gate: its name in the form, its label, what is said under it, and where the draft has it.
type GateField = (&'static str, &'static str, &'static str, fn(&StageDraft) -> &String);

/// Said of a limit that need not be.
const MAY_BE_EMPTY: &str = "Empty: no limit of its own.";

/// Over devices that have finished.
const RATES: [GateField; 4] = [
    ("success_percent", "Success percentage to pass", "Of the devices that have finished.", |s| &s.success),
    ("error_percent", "Error percentage that halts", "Of the devices that have finished.", |s| &s.error),
    ("min_sample", "Finished devices before it is judged", "A smaller stage is judged when all have finished.", |s| &s.sample),
    ("max_errors", "Errors that halt at once", "Whatever the rates; 0: no such limit.", |s| &s.max_errors),
];

/// Limits of each kind of error.
const KINDS: [GateField; 5] = [
    ("max_failed", "Devices that may fail to install", MAY_BE_EMPTY, |s| &s.max_failed),
    ("max_reverted", "Devices that may go back by themselves", MAY_BE_EMPTY, |s| &s.max_reverted),
    ("max_timed_out", "Devices that may fall silent", MAY_BE_EMPTY, |s| &s.max_timed_out),
    ("max_rejected", "Devices that may refuse", MAY_BE_EMPTY, |s| &s.max_rejected),
    (
        "max_dark",
        "Devices that may go dark after they succeeded",
        "Counted at the end of a watch of 30 minutes or more. Empty: no limit of its own.",
        |s| &s.max_dark,
    ),
];

/// The gates of all stages, each limit over what the fleet's own updates came to.
pub(super) fn gates(at: &Address, model: &Model, problems: &[Problem], live: LivePreview) -> AnyView {
    let (past, preview) = (model.past.as_ref(), model.preview.as_ref());
    let last = at.draft.stages.len().saturating_sub(1);
    let folds = (at.draft.stages.iter().enumerate())
        .map(|(i, stage)| {
            let body = view! { {gate_fields(i, stage, past, problems)}{evidence::metrics(i, stage, i == last, problems)} };
            stage_fold(at, i, (preview, problems, live), body.into_any())
        })
        .collect_view();
    let typed: Typed = (at, problems, live);
    let body = view! {
        {folds}
        <footer>
            <details>
                <summary>"How gates judge"</summary>
                <p class="mt-2">"Rates are over devices that have finished. A stage with fewer devices than that is judged when all of them have finished. An error is an update that failed, went back by itself, was refused or fell silent. 0 errors means no such limit."{lately::rests_on(past)}</p>
                <p class="mt-2">"More devices than may fail, go back, fall silent, refuse or go dark halt the rollout whatever the rates; empty means no such limit. Who goes dark has succeeded and is then not heard of: that is counted at the end of the watch, which has to be 30 minutes at least, over devices that are not connected and were silent from 15 minutes after their success on."{lately::dark_rests_on(past)}" A gate that says no, for whatever reason, halts the rollout, pauses it in its stage, or takes the release back by the way back below."</p>
                <p class="mt-2">{evidence::ABOUT_METRICS}</p>
            </details>
            {evidence::suggestions(&model.metrics)}
        </footer>
    };
    view! {
        {card_flush("Health gates", None, body.into_any())}
        {evidence::whole(typed, past)}
    }
    .into_any()
}

/// The inputs of a stage's gate, and what it does when it says no.
fn gate_fields(index: usize, stage: &StageDraft, past: Option<&PastUpdates>, problems: &[Problem]) -> AnyView {
    let input = |(field, label, hint, of): GateField| {
        let name = format!("stages.{index}.gate.{field}");
        text(name.as_str(), label)
            .of(format!("stage {}", index + 1))
            .value(of(stage).clone())
            .autocomplete("off")
            .hint(format!("{hint} {}", lately::alone(past, field)).trim_end())
            .fault(fault_of(problems, &name).as_ref())
            .view()
    };
    view! {
        <div class="grid">{RATES.map(input).into_iter().collect_view()}</div>
        <div class="grid mt-4">
            {KINDS.map(input).into_iter().collect_view()}
            {action_field(format!("stages.{index}.gate.action"), format!("When the gate of stage {} says no", index + 1), stage, problems)}
        </div>
    }
    .into_any()
}
