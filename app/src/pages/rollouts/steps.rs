//! The steps of the wizard, each a form of its own that carries the whole plan.

use super::{
    ahead,
    back::way_back,
    choosing::devices,
    firmware::choose_release,
    gates::gates,
    live::LivePreview,
    phrases,
    preview::stage_lines,
    stages::{stages, stays},
    wizard::Address,
};
use crate::ui::form::{ActionForm, FormCall, QueryForm};
use crate::{
    api::rollouts::SaveRollout,
    plan::Draft,
    ui::{
        Control, Tone, banner,
        completion::Completing,
        field,
        form::{fault_banner, refusal},
        page::card,
    },
};
use leptos::prelude::*;
use wire::{
    Fault,
    rollouts::{Problem, WizardPage as Model},
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
    /// The step of a word; none where it is no step's.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
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
        Step::Gates | Step::Review => view! { {gates(at, model, problems, live)}{way_back(&at.draft, model, problems)} }.into_any(),
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
        <QueryForm action=path stays=stays>
            // The first submit button is the one Enter presses.
            <button type="submit" name="go" value=next.word() hidden=""></button>
            <input type="hidden" name="step" value=step.word()/>
            // Which parts are open each of them says itself; this one that nothing was said where none is.
            <input type="hidden" name="open" value=""/>
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

/// The last step: the plan in words, why, and where it goes from here.
pub(super) fn review(at: &Address, model: &Model, save: FormCall<SaveRollout>, back: String, live: LivePreview) -> AnyView {
    let spec = at.draft.spec().ok();
    let ready = spec.is_some() && model.preview.as_ref().is_some_and(|p| p.problems.is_empty() && p.selector_error.is_none());
    let (Some(spec), true) = (spec, ready) else {
        let text = "Something in the plan has to be put right first; the preview says what and where.";
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
                        <dt>"Times out"</dt><dd>"when a device says nothing for "{wire::time::duration(i64::from(spec.timeout_min) * 60_000)}</dd>
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
        ", or save again: what is saved then is another one, with the devices of the preview."
    };
    banner(Tone::Bad, text.into_any())
}
