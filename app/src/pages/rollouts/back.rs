//! The way back, what a gate does, and what is tried again: as inputs of the wizard, and as words on pages.

use super::{cells::fault_of, phrases};
use crate::{
    pages::words,
    plan::{Draft, StageDraft},
    ui::{Control, card, copyable, field, text},
};
use leptos::prelude::*;
use wire::rollouts::{GateAction, Problem, RolloutDetail, WayBack, WizardPage as Model};

/// What a gate does when it says no, as a choice.
pub(super) fn action_field(name: String, label: String, gate: &StageDraft, problems: &[Problem]) -> AnyView {
    let options = GateAction::ALL.iter().map(|action| (action.to_string(), phrases::acts(*action).to_owned())).collect();
    let fault = fault_of(problems, &name);
    field(name, label, Control::Select(options)).value(gate.action.clone()).fault(fault.as_ref()).view()
}

/// The release that devices go back to. Those that can be chosen are published, of the same type, and newer than the one that is rolled out.
pub(super) fn way_back(draft: &Draft, model: &Model, problems: &[Problem]) -> AnyView {
    let chosen = model.releases.iter().find(|r| r.id.as_str() == draft.release);
    let mut options = vec![(String::new(), "No way back".to_owned())];
    for r in &model.releases {
        if chosen.is_some_and(|c| r.device_type == c.device_type && r.sequence > c.sequence) {
            options.push((r.id.to_string(), format!("{}, sequence {}", r.version, r.sequence)));
        }
    }
    // What was chosen before stays to be seen, also when it does not fit any more.
    if !draft.way_back.is_empty() && !options.iter().any(|(value, _)| *value == draft.way_back) {
        options.push((draft.way_back.clone(), draft.way_back.clone()));
    }
    let input = field("way_back", "Devices go back to", Control::Select(options))
        .value(draft.way_back.clone())
        .hint("The last good release, signed again under a higher sequence and published. A gate that rolls back, or a person after a halt, sends it to the devices that run this release. It is approved with this plan.")
        .fault(fault_of(problems, "way_back").as_ref());
    view! { <div class="mt-4">{card("Way back", None, input.view())}</div> }.into_any()
}

/// Ends that can be chosen together: the value in the form, and in words.
const ENDS: [(&str, &str); 5] = [
    ("", "Nothing is tried again by itself"),
    ("failed", "Could not install"),
    ("timed_out", "Fell silent"),
    ("failed,timed_out", "Could not install, or fell silent"),
    ("failed,timed_out,reverted,rejected", "Whatever went wrong"),
];

/// What is tried again by itself, and which rollout a device gets first.
pub(super) fn retry_fields(draft: &Draft, problems: &[Problem]) -> AnyView {
    let mut ends: Vec<(String, String)> = ENDS.iter().map(|(value, label)| ((*value).to_owned(), (*label).to_owned())).collect();
    if !ends.iter().any(|(value, _)| *value == draft.retry_classes) {
        ends.push((draft.retry_classes.clone(), draft.retry_classes.clone()));
    }
    let classes = field("retry.classes", "Offered again to devices that", Control::Select(ends)).value(draft.retry_classes.clone());
    let times = text("retry.times", "Times at most").value(draft.retry_times.clone()).hint("After the first attempt; 1 to 10.");
    let wait = text("retry.wait_min", "First after (minutes)")
        .value(draft.retry_wait.clone())
        .hint("Then twice as long each time, a day at most. A device counts as an error until it is tried again.");
    let priority = text("priority", "Priority")
        .value(draft.priority.clone())
        .hint("0 to 9. A device that several rollouts mean gets the highest first, and of the same the newest release.");
    view! {
        <div class="grid">
            {classes.fault(fault_of(problems, "retry.classes").as_ref()).view()}
            {times.fault(fault_of(problems, "retry.times").as_ref()).view()}
            {wait.fault(fault_of(problems, "retry.wait_min").as_ref()).view()}
            {priority.fault(fault_of(problems, "priority").as_ref()).view()}
        </div>
    }
    .into_any()
}

/// The way back of a plan as a row of a list, with the digest of what was signed; nothing where it has none.
pub fn way_back_line(back: Option<&WayBack>) -> Option<AnyView> {
    let back = back?;
    let (tone, word) = words::release(back.state, false);
    let going = back.rollout.as_ref().map(|r| {
        let (_, state) = words::rollout(r.state);
        view! { <div class="small"><a href=format!("/rollouts/{}", r.id)>{r.name.clone()}</a>{format!(": {}", state.to_lowercase())}</div> }
    });
    Some(
        view! {
            <dt>"Way back"</dt>
            <dd>
                <a class="mono" href=format!("/firmware/{}", back.release)>{back.version.clone()}</a>{format!(", sequence {} ", back.sequence)}
                {crate::ui::badge(tone, word)}
                <div class="small text-2">"Manifest "{copyable(back.digest.to_string(), "Copy the digest of the manifest")}</div>
                {going}
            </dd>
        }
        .into_any(),
    )
}

/// The rollout that this one takes devices back from; nothing for one that somebody planned.
pub fn back_of_note(r: &RolloutDetail) -> Option<AnyView> {
    let of = r.back_of.as_ref()?;
    let link = view! { "This is the way back of "<a href=format!("/rollouts/{}", of.id)>{of.name.clone()}</a>". It goes to the devices that had a part in it and run its release." };
    Some(view! { <p class="small text-2 mt-2">{link}</p> }.into_any())
}
