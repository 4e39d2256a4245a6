//! A rollout's page: what it is, how far it is, what is to be done, and every device of the chosen stage. Live.

use super::{
    actions::{self, Asks},
    ahead,
    choice::{Choice, OTHERS, WORDS},
    course, phrases,
    preview::{changes, dry_run},
    updates, would_be,
};
use crate::api::packed::reading;
use crate::{
    api::rollouts::ReadRollout,
    live,
    pages::{machines, words},
    ui::{
        PageHead, Tone, badge, card,
        completion::Completing,
        icon,
        page::{banner, page},
        unread,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use wire::{
    live::Topic,
    rollouts::{RolloutDetail, RolloutPage as Model},
};

/// `/rollouts/{id}?stage=…&show=…&outcome=…&q=…&sort=…`
#[component]
pub fn RolloutPage() -> AnyView {
    let (params, query) = (use_params_map(), use_query_map());
    let id = Memo::new(move |_| params.with(|p| p.get("id").unwrap_or_default()));
    let choice = Memo::new(move |_| query.with(|q| Choice::read(|key| q.get(key))));
    let model = reading(move || ReadRollout { id: id.get(), query: choice.with(Choice::query) });
    live::refetch_on(move || id.get().parse().ok().map(Topic::Rollout), 500, model);
    let asks = Asks::new(move || model.refetch());
    let ways = Completing::new("rollout-device-search");
    let content = page(model, move |model: Model| content(&model, &choice.get_untracked(), &asks, ways));
    view! { {unread::notice(&WORDS, &OTHERS)}{content} }.into_any()
}

/// What became of the devices, as a file and on paper; nothing before the first stage has begun.
fn taken_along(r: &RolloutDetail) -> Option<AnyView> {
    (r.row.stage > 0).then(|| {
        let report = format!("/api/v1/rollouts/{}/report", r.row.id);
        view! {
            <a class="btn" href=report download="" rel="external">{icon("download")}"Report (CSV)"</a>
            <button type="button" class="btn needs-script" data-print="">{icon("file-text")}"Print"</button>
        }
        .into_any()
    })
}

/// What is said of a stage that the rollout does not have, and what is chosen without it. How many there are only the rollout itself knows.
fn known(r: &RolloutDetail, choice: &Choice) -> (Option<String>, Choice) {
    if choice.stage == 0 || r.stages.iter().any(|s| s.number == choice.stage) {
        return (None, choice.clone());
    }
    let said = format!("“{}” is no stage of this rollout. This is shown without it.", choice.stage);
    (Some(said), Choice { stage: 0, ..choice.clone() })
}

fn content(model: &Model, choice: &Choice, asks: &Asks, ways: Completing) -> AnyView {
    let r = &model.rollout;
    let (tone, word) = words::rollout(r.row.state);
    let release = format!("/firmware/{}", r.release.id);
    let sub = view! {
        "Firmware "<a class="mono" href=release>{r.row.version.clone()}</a>" for "{r.row.device_type.clone()}" · "{phrases::numbers(&r.row.counts)}" · by "{r.row.author.clone()}
    };
    let (unknown, choice) = known(r, choice);
    let choice = &choice;
    let here = choice.address(&r.row.id.to_string());
    let blocked = actions::blocked_note(r).map(|why| view! { <p class="small text-2 mt-2">{why}</p> });
    let devices = match &model.would_be {
        Some(found) => would_be::devices(r, choice, found),
        None => updates::devices(model, choice, ways),
    };
    view! {
        <PageHead title=r.row.name.clone() marks=badge(tone, word) sub=sub.into_any() actions=view! { {taken_along(r)}{actions::buttons(r)} }.into_any()/>
        {crate::pages::approvals::glass::note(r.glass.as_ref()).map(|note| view! { <div class="mb-4">{note}</div> })}
        {unknown.map(|said| {
            let text = view! { {said}" "<a href=here.clone()>"Leave it out of the address"</a> };
            view! { <div class="mb-4">{banner(Tone::Warn, text.into_any())}</div> }
        })}
        {course::stages(r, choice)}
        <div class="mt-4">{course::state_banner(r)}</div>
        {blocked}
        {super::back::back_of_note(r)}
        <div class="split mt-4">
            <div class="stack">
                {model.preview.as_ref().map(dry_run)}
                {updates::failures(model, choice)}
                {devices}
                {r.changes.as_ref().map(|c| card("Against the last approved plan", None, changes(c)))}
                {course::history_card(r)}
            </div>
            <div class="stack">
                {course::gate_card(r, choice)}
                {ahead::card_of(r.ahead.as_ref())}
                {course::plan_card(r)}
                {course::approvals_card(r)}
                {machines::rollout(r)}
            </div>
        </div>
        {actions::dialogs(model, *asks, &here)}
    }
    .into_any()
}
