//! The parts of the wizard's form that open: which are open at first, and what each says of itself while it is typed.

use super::{brief, cells::message_where, live::LivePreview, steps::Step, wizard::Address};
use crate::{
    plan::Draft,
    ui::{fold, fold_card, icon},
};
use leptos::prelude::*;
use wire::rollouts::{Preview, Problem, RolloutSpec};

/// The address with the plan as the page came with it, what is wrong with it, and what is typed meanwhile.
pub(super) type Typed<'a> = (&'a Address, &'a [Problem], LivePreview);

/// A stage, from 0. At first the first one is open; later what was left open, one that was only just added, and one that something in this step is wrong with.
pub(super) fn stage_fold(
    at: &Address,
    index: usize,
    (preview, problems, live): (Option<&Preview>, &[Problem], LivePreview),
    body: AnyView,
) -> AnyView {
    let (step, prefix) = (at.step, format!("stages.{index}."));
    let own = move |field: &str| field.starts_with(&prefix) && Step::of_field(field) == step;
    let wrong = message_where(problems, &own);
    let name = index.to_string();
    let open = at.is_open(&name, index == 0) || wrong.is_some();
    let devices = preview.and_then(|p| p.stages.get(index)).map(|s| s.devices);
    let before = brief::stage(&at.draft, index, devices);
    let says = move || {
        let typed = live.of_typed(|draft| brief::stage(draft, index, live.devices(index, devices)));
        typed.unwrap_or_else(|| before.clone())
    };
    fold(name, format!("Stage {}", index + 1), line(live.wrong_where(own, wrong), says), open, body)
}

/// The settings that open and close, by the first of their inputs: what an address may say is open, beside stages by their numbers.
pub(super) const PARTS: [&str; 7] = ["at_once", "bandwidth", "gate", "order", "retry", "urgency", "window"];

/// Some settings of a plan. They are open where they were left so, or something is wrong with one; `inputs` is what the names of theirs begin with.
pub(super) fn settings(
    title: &'static str,
    words: fn(&RolloutSpec) -> String,
    inputs: &'static [&'static str],
    (at, problems, live): Typed<'_>,
    body: AnyView,
) -> AnyView {
    let own = move |field: &str| inputs.iter().any(|input| field.starts_with(input));
    let wrong = message_where(problems, own);
    let name = inputs.first().copied().unwrap_or_default();
    debug_assert!(PARTS.contains(&name), "{name}");
    let open = at.is_open(name, false) || wrong.is_some();
    let said = move |draft: &Draft| draft.so_far().map(|spec| words(&spec)).unwrap_or_default();
    let before = said(&at.draft);
    let says = move || live.of_typed(said).unwrap_or_else(|| before.clone());
    fold_card(name, title, line(live.wrong_where(own, wrong), says), open, body)
}

/// What a part says, or what is wrong with it while something is.
fn line(wrong: Signal<Option<String>>, says: impl Fn() -> String + Send + Sync + 'static) -> AnyView {
    (move || match wrong.get() {
        Some(text) => view! { <span class="wrong">{icon("circle-alert")}{text}</span> }.into_any(),
        None => says().into_any(),
    })
    .into_any()
}
