//! The wizard's step of the stages: each a part that opens, and below them the settings that hold for all of them.

use super::{
    back::retry_fields,
    brief,
    cells::{fault_of, id_of, input, message_of, problem},
    evidence,
    folds::{Typed, settings, stage_fold},
    live::LivePreview,
    order::{budget_fields, order_fields, rate_fields},
    when,
    wizard::Address,
};
use crate::{
    plan::{StageDraft, TEMPLATES, query},
    ui::{
        Control, Tone, banner, field, fold, icon,
        number::counted,
        page::{card, card_flush},
        select, text,
    },
};
use leptos::prelude::*;
use wire::rollouts::{Problem, SelectorSuggestion, WizardPage as Model};

/// The id of the list of what a first stage can be.
const SUGGESTIONS: &str = "first-suggestions";

/// Another plan to start from: the devices of one site first. Which these are is chosen from what the fleet reports, or written.
fn one_first(at: &Address, model: &Model) -> AnyView {
    let (typed, why) = at.unfit_first.clone().unzip();
    let own = at.draft.stages.first().filter(|stage| stage.unit == "matching").map(|stage| stage.reach.clone());
    let option = |c: &SelectorSuggestion| view! { <option value=c.selector.clone()>{counted(c.devices, "device", "devices")}</option> };
    let invalid = why.is_some().then_some("true");
    let described = why.is_some().then_some("f-first-err");
    let wrong = why.map(|why| view! { <span class="err" id="f-first-err">{icon("circle-alert")}{why}</span> });
    view! {
        <datalist id=SUGGESTIONS>{model.suggestions.iter().map(option).collect_view()}</datalist>
        <footer class="row">
            <label class="text-2" for="f-first">"Or one site, group or tag first"</label>
            <input class="input" id="f-first" name="first" list=SUGGESTIONS value=typed.or(own) placeholder="attr.site:rotterdam" autocomplete="off" spellcheck="false"
                aria-invalid=invalid aria-describedby=described/>
            <button class="btn" data-s="sm" type="submit" name="do" value="first" formnovalidate="">"One site first"</button>
            {wrong}
        </footer>
    }
    .into_any()
}

/// The inputs of a stage, from 0; it can be removed where it is not the `only` one.
fn stage_fields(index: usize, stage: &StageDraft, only: bool, problems: &[Problem], live: LivePreview) -> AnyView {
    let n = index + 1;
    let at = |field: &str| format!("stages.{index}.{field}");
    let written = |field: &str, label: String, value: &str| {
        text(at(field), label).value(value.to_owned()).autocomplete("off").fault(fault_of(problems, &at(field)).as_ref())
    };
    let (reach, label) = (at("reach"), format!("Reach of stage {n}"));
    let misread = live.wrong(&reach, message_of(problems, &reach));
    let units = [("percent", "%"), ("count", "devices"), ("matching", "that match")];
    // A unit that is none is read as a percentage.
    let chosen = units.iter().map(|(unit, _)| *unit).find(|unit| *unit == stage.unit).unwrap_or("percent");
    let units = units.into_iter().map(|(unit, said)| view! { <option value=unit selected=unit == chosen>{said}</option> }).collect_view();
    let then = vec![("go_on".to_owned(), "Go on".to_owned()), ("ask".to_owned(), "Wait for a person".to_owned())];
    let then = select(at("confirm"), format!("After stage {n}"), then).value(if stage.then == "ask" { "ask" } else { "go_on" });
    view! {
        <div class="grid">
            {written("name", format!("Name of stage {n}"), &stage.name).view()}
            <div class="field">
                <label for=id_of(&reach)>{label.clone()}</label>
                <div class="row nowrap">
                    {input(&reach, (&label, &stage.reach), misread)}
                    <select class="select" name=at("unit") aria-label=format!("Unit of stage {n}")>{units}</select>
                </div>
                <span class="hint">"Up to so many, with the stages before it."</span>
                {problem(&reach, misread)}
            </div>
            {written("soak_s", format!("How long stage {n} is watched"), &stage.soak).hint("After its last device: 90 s, 10 min, 2 h, 1 d.").view()}
            {then.view()}
        </div>
        <button class="btn mt-4" data-s="sm" type="submit" name="do" value=format!("remove.{index}") formnovalidate="" disabled=only>
            {icon("x")}{format!("Remove stage {n}")}
        </button>
    }
    .into_any()
}

/// Pure: the id of what takes the focus after a button of the stages: the name of the one that was just added, or the line of the one that stands where one was
/// removed. None after any other button.
pub(super) fn wanted(search: &str) -> Option<String> {
    let pairs = query::pairs(search);
    let what = &pairs.iter().rev().find(|pair| pair.0 == "do")?.1;
    let last = Address::read(search).draft.stages.len().checked_sub(1)?;
    match what.split_once('.') {
        // It stands in front of the last one.
        None if what == "add" => Some(id_of(&format!("stages.{}.name", last.saturating_sub(1)))),
        Some(("remove", gone)) => Some(fold::id_of(&gone.parse::<usize>().ok()?.min(last).to_string())),
        _ => None,
    }
}

/// Pure: whether a query of the wizard leads to where its form was: a stage more, or one fewer.
pub(super) fn stays(search: &str) -> bool {
    wanted(search).is_some()
}

/// The form of the step.
pub(super) fn stages(at: &Address, model: &Model, problems: &[Problem], live: LivePreview) -> AnyView {
    let (draft, preview) = (&at.draft, model.preview.as_ref());
    let only = draft.stages.len() == 1;
    let folds = (draft.stages.iter().enumerate())
        .map(|(i, stage)| stage_fold(at, i, (preview, problems, live), stage_fields(i, stage, only, problems, live)))
        .collect_view();
    let templates = TEMPLATES
        .into_iter()
        .map(|(key, label, _)| view! { <button class="btn" data-s="sm" type="submit" name="do" value=format!("template.{key}") formnovalidate="">{label}</button> })
        .collect_view();
    let footer = view! {
        <footer class="row">
            <button class="btn" data-s="sm" type="submit" name="do" value="add" formnovalidate="">{icon("plus")}"Add stage"</button>
            <span class="push text-2">"Start from"</span>{templates}
        </footer>
    };
    let whole = fault_of(problems, "stages").map(|f| banner(Tone::Bad, f.message.into_any()));
    let start = field("start_at", "Start not before (UTC)", Control::Input("datetime-local"))
        .value(draft.start_at.clone())
        .hint("Empty: at once after the approval.");
    let timeout = text("timeout_min", "Times out after (minutes)")
        .value(draft.timeout_min.clone())
        .hint("So long without a word from a device, and its update counts as an error.");
    let steps = evidence::step_fields(&draft.steps, problems);
    let when = view! {
        <div class="grid">
            {start.fault(fault_of(problems, "start_at").as_ref()).view()}
            {timeout.fault(fault_of(problems, "timeout_min").as_ref()).view()}
        </div>
        {steps}
    };
    let at_once = text("at_once", "At the same time, at most (devices)")
        .value(draft.at_once.clone())
        .hint("Of this rollout. Empty: as many as the stage has.");
    let at_device = select(
        "confirm_at_device",
        "At each device",
        vec![(String::new(), "Nobody is asked".to_owned()), ("yes".to_owned(), "Somebody confirms the update".to_owned())],
    )
    .value(draft.confirm_at_device.clone())
    .hint("Clients that can't ask, as SWUpdate and RAUC, wait for ever.");
    let bandwidth = text("bandwidth", "All downloads together, at most (KB a second)")
        .value(draft.bandwidth.clone())
        .hint("Of this rollout. Empty: no limit of its own.");
    let over = vec![(String::new(), "Wait".to_owned()), ("true".to_owned(), "Get it all the same".to_owned())];
    let data = select("ignore_data_budget", "Devices that have used up their data budget", over).value(draft.ignore_data_budget.clone());
    let downloads = view! {
        <div class="grid">
            {bandwidth.fault(fault_of(problems, "bandwidth").as_ref()).view()}
            {data.view()}
        </div>
    };
    let limits = view! {
        <div class="grid">
            {at_once.fault(fault_of(problems, "at_once").as_ref()).view()}
            {budget_fields(draft, problems)}
            {at_device.view()}
        </div>
    };
    let limits = view! { {limits}<div class="mt-4">{rate_fields(&draft.order, problems)}</div> };
    let typed: Typed = (at, problems, live);
    view! {
        {whole}
        {card_flush("Stages", None, view! { {folds}{footer}{one_first(at, model)} }.into_any())}
        <div class="mt-4">{card("When", None, when.into_any())}</div>
        {when::cards(typed)}
        {settings("Order", brief::order, &["order"], typed, order_fields(&draft.order, problems))}
        {settings("At the same time", brief::at_once, &["at_once", "budget", "rate", "confirm_at_device"], typed, limits.into_any())}
        {settings("Downloads", brief::downloads, &["bandwidth", "ignore_data_budget"], typed, downloads.into_any())}
        {settings("Trying again, and what comes first", brief::again, &["retry", "priority"], typed, retry_fields(draft, problems))}
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_more_or_fewer_is_where_the_focus_goes() {
        let two = "step=stages&stages.0.name=a&stages.1.name=b";
        let after = |what: &str| wanted(&format!("?{two}&do={what}"));
        assert_eq!(after("add").as_deref(), Some("f-stages.1.name"));
        assert_eq!(after("remove.0").as_deref(), Some("fold-0"));
        assert_eq!(after("remove.1").as_deref(), Some("fold-0"), "behind the last one there is none");
        assert!(["preview", "template.canary", "first", "remove.x"].into_iter().all(|what| after(what).is_none()));
        assert_eq!(wanted(two), None);
        assert!(stays(&format!("{two}&do=add")) && !stays(two));
    }
}
