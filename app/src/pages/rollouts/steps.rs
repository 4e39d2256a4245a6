//! The steps of the wizard, each a form of its own that carries the whole plan.

use super::{
    ahead,
    back::{retry_fields, way_back},
    cells::{cell, fault_of, input, message_of, problem},
    choosing::devices,
    firmware::choose_release,
    gates::gates,
    live::LivePreview,
    order::{budget_fields, order_fields, rate_fields},
    phrases,
    preview::stage_lines,
    when,
    wizard::Address,
};
use crate::ui::form::{ActionForm, FormCall, QueryForm};
use crate::{
    api::rollouts::SaveRollout,
    plan::{Draft, TEMPLATES},
    ui::{
        Column, Control, Tone, banner,
        completion::Completing,
        field,
        form::{fault_banner, refusal},
        icon,
        number::{counted, grouped},
        page::{card, card_flush},
        select, table, text,
    },
};
use leptos::prelude::*;
use wire::{
    Fault,
    rollouts::{Problem, SelectorSuggestion, WizardPage as Model},
};

/// The steps in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Which release.
    Firmware,
    /// Who gets it.
    Devices,
    /// In which order, and when.
    Stages,
    /// What stops it.
    Gates,
    /// All of it, and why.
    Review,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Firmware, Self::Devices, Self::Stages, Self::Gates, Self::Review];

    /// The word in the address.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Devices => "devices",
            Self::Stages => "stages",
            Self::Gates => "gates",
            Self::Review => "review",
        }
    }
    /// What people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Firmware => "Firmware",
            Self::Devices => "Devices",
            Self::Stages => "Stages",
            Self::Gates => "Health gates",
            Self::Review => "Review",
        }
    }
    /// The step of a word; anything else is the first.
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|s| s.word() == word).unwrap_or(Self::Firmware)
    }
    /// Where an input stands.
    pub fn of_field(name: &str) -> Self {
        match name {
            "name" | "release" => Self::Firmware,
            "selector" => Self::Devices,
            // The draw is no input: all steps but the last carry it on.
            "reason" | "draw" => Self::Review,
            "way_back" => Self::Gates,
            _ if name.contains(".gate") || name.starts_with("gate") => Self::Gates,
            _ => Self::Stages,
        }
    }
    fn after(self) -> Self {
        Self::ALL.into_iter().skip_while(|s| *s != self).nth(1).unwrap_or(Self::Review)
    }
    fn before(self) -> Option<Self> {
        Self::ALL.into_iter().take_while(|s| *s != self).last()
    }
}

/// The form of a step.
pub(super) fn step_form(at: &Address, path: &str, model: &Model, problems: &[Problem], (live, ways): (LivePreview, Completing)) -> AnyView {
    let body = match at.step {
        Step::Firmware => choose_release(&at.draft, model, problems),
        Step::Devices => devices(&at.draft, model, problems, (live, ways)),
        Step::Stages => stages(at, model, problems, live),
        Step::Gates | Step::Review => view! { {gates(&at.draft, model, problems)}{way_back(&at.draft, model, problems)} }.into_any(),
    };
    let hidden = at
        .draft
        .pairs()
        .into_iter()
        .filter(|(name, _)| Step::of_field(name) != at.step && !in_both(at.step, name))
        .map(|(name, value)| view! { <input type="hidden" name=name value=value/> })
        .collect_view();
    let (step, next) = (at.step, at.step.after());
    let back =
        step.before().map(|b| view! { <button class="btn" type="submit" name="go" value=b.word() formnovalidate="">"Back"</button> });
    view! {
        <QueryForm action=path>
            // The first submit button is the one Enter presses.
            <button type="submit" name="go" value=next.word() hidden=""></button>
            <input type="hidden" name="step" value=step.word()/>
            {hidden}
            {body}
            <div class="row mt-4">
                {back}
                <button class="btn" type="submit" name="do" value="preview" formnovalidate="">"Preview"</button>
                <button class="btn" data-v="primary" type="submit" name="go" value=next.word()>{format!("Continue to {}", next.label().to_ascii_lowercase())}</button>
            </div>
        </QueryForm>
    }
    .into_any()
}

/// Inputs that a step shows although they belong to another one.
fn in_both(step: Step, name: &str) -> bool {
    step == Step::Firmware && name == "release"
}

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

fn stages(at: &Address, model: &Model, problems: &[Problem], live: LivePreview) -> AnyView {
    let (draft, preview) = (&at.draft, model.preview.as_ref());
    let columns = vec![
        Column::text("Name"),
        Column::text("Up to, in all"),
        Column::number("Devices"),
        Column::text("Watch for"),
        Column::text("Then"),
        Column::actions("Remove"),
    ];
    let only = draft.stages.len() == 1;
    let rows = draft
        .stages
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let n = i + 1;
            let devices = preview.and_then(|p| p.stages.get(i)).map_or_else(|| "–".to_owned(), |s| grouped(s.devices));
            let at = |f: &str| format!("stages.{i}.{f}");
            let (count, own, ask) = (s.unit == "count", s.unit == "matching", s.then == "ask");
            let (percent, width) = (!count && !own, if own { "name" } else { "short num" });
            let reach = at("reach");
            let misread = live.wrong(&reach, message_of(problems, &reach));
            view! {
                <tr>
                    <th scope="row">{cell(&at("name"), &format!("Name of stage {n}"), &s.name, "name", problems)}</th>
                    <td>
                        <div class="row nowrap">
                            {input(&reach, (&format!("Reach of stage {n}"), &s.reach), width, None, misread)}
                            <select class="select unit" name=at("unit") aria-label=format!("Unit of stage {n}")>
                                <option value="percent" selected=percent>"%"</option>
                                <option value="count" selected=count>"devices"</option>
                                <option value="matching" selected=own>"that match"</option>
                            </select>
                        </div>
                        {problem(&reach, misread)}
                    </td>
                    <td class="num">{devices}</td>
                    <td>{cell(&at("soak_s"), &format!("How long stage {n} is watched"), &s.soak, "short", problems)}</td>
                    <td>
                        <select class="select then" name=at("confirm") aria-label=format!("After stage {n}")>
                            <option value="go_on" selected=!ask>"Go on"</option>
                            <option value="ask" selected=ask>"Wait for a person"</option>
                        </select>
                    </td>
                    <td class="act">
                        <button class="btn icon" data-s="sm" data-v="ghost" type="submit" name="do" value=format!("remove.{i}") formnovalidate="" disabled=only aria-label=format!("Remove stage {n}")>{icon("x")}</button>
                    </td>
                </tr>
            }
        })
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
    let steps = super::evidence::step_fields(&draft.steps, problems);
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
    view! {
        {whole}
        {card_flush("Stages", None, view! { {table("Stages", columns, rows.into_any())}{footer}{one_first(at, model)} }.into_any())}
        <div class="mt-4">{card("When", None, when.into_any())}</div>
        {when::cards(&draft.when, problems)}
        <div class="mt-4">{card("Order", None, order_fields(&draft.order, problems))}</div>
        <div class="mt-4">{card("At the same time", None, view! { {limits}<div class="mt-4">{rate_fields(&draft.order, problems)}</div> }.into_any())}</div>
        <div class="mt-4">{card("Downloads", None, downloads.into_any())}</div>
        <div class="mt-4">{card("Trying again, and what comes first", None, retry_fields(draft, problems))}</div>
    }
    .into_any()
}

/// The last step: the plan in words, why, and where it goes from here.
pub(super) fn review(at: &Address, model: &Model, save: FormCall<SaveRollout>, back: String, live: LivePreview) -> AnyView {
    let spec = at.draft.spec().ok();
    let ready = spec.is_some() && model.preview.as_ref().is_some_and(|p| p.problems.is_empty() && p.selector_error.is_none());
    let (Some(spec), true) = (spec, ready) else {
        let text = "Something in the plan has to be put right first; the list beside says what and where.";
        return view! { {banner(Tone::Bad, text.into_any())}<div class="row mt-4"><a class="btn" href=back>"Back"</a></div> }.into_any();
    };
    let release = model.releases.iter().find(|r| r.id == spec.release);
    let version = release.map_or_else(String::new, |r| r.version.clone());
    let draft = at.draft.clone();
    // A draw that was used up is followed by another one, while what was typed stays.
    let plan = move || match live.draw() {
        Some(draw) => Draft { draw, ..draft.clone() }.write(),
        None => draft.write(),
    };
    let (id, generation) = model.editing.as_ref().map(|(id, g)| (id.to_string(), *g)).unwrap_or_default();
    let void = model.editing.is_some().then(|| banner(Tone::Warn, "Saving voids approvals that were given to the plan before.".into_any()));
    let (reason, sentence) = (spec.reason.clone(), phrases::sentence(&spec, &version, model.preview.as_ref()));
    let approval = ahead::card_of(model.ahead.as_ref());
    let pending = move || save.pending().get().then_some("true");
    let send = match model.ahead.as_ref().and_then(|ahead| ahead.unfulfillable.clone()) {
        None => view! { <button class="btn" data-v="primary" type="submit" name="then" value="submit" aria-busy=pending>"Send for approval"</button> }
            .into_any(),
        // Why stands in the card above; a draft can be kept until somebody can approve it.
        Some(why) => view! {
            <button class="btn" data-v="primary" type="button" aria-disabled="true" aria-describedby="cant-send" title=why.clone()>"Send for approval"</button>
            <span class="sr" id="cant-send">{why}</span>
        }
        .into_any(),
    };
    view! {
        <ActionForm action=save>
            <input type="hidden" name="plan" value=plan/>
            <input type="hidden" name="id" value=id/>
            <input type="hidden" name="generation" value=generation/>
            <div class="stack">
                {void}
                {move || refused(refusal(save).as_ref())}
                {card("Review", None, view! {
                    <p class="lead">{sentence}</p>
                    <dl class="kv mt-4">
                        <dt>"Name"</dt><dd>{spec.name.clone()}</dd>
                        <dt>"Devices"</dt><dd class="mono">{if spec.selector.is_empty() { "every device of the type".to_owned() } else { spec.selector.clone() }}</dd>
                        {stage_lines(&spec)}
                        <dt>"Times out"</dt><dd>{wire::time::duration(i64::from(spec.timeout_min) * 60_000)}" without a word"</dd>
                    </dl>
                    <div class="mt-4">{field("reason", "Why, for the person who approves it", Control::Area).value(reason).required().max_length(1000).refused(save).view()}</div>
                }.into_any())}
                {approval}
            </div>
            <div class="row mt-4">
                <a class="btn" href=back>"Back"</a>
                <button class="btn" type="submit" name="then" value="draft" formnovalidate="" aria-busy=pending>"Save draft"</button>
                {send}
            </div>
        </ActionForm>
    }
    .into_any()
}

/// Why a plan was not kept. Where a rollout has its draw already, with the way to that one.
fn refused(fault: Option<&Fault>) -> AnyView {
    let used = fault.filter(|f| f.code == "draw_used").and_then(|f| Some((f, f.about.as_ref()?)));
    let Some((fault, id)) = used else { return fault_banner(fault) };
    let text = view! {
        {fault.message.clone()}" "
        <a href=format!("/rollouts/{id}")>"Open that rollout"</a>
        ", or save again: what is saved then is another one, with the devices of the preview beside."
    };
    banner(Tone::Bad, text.into_any())
}
