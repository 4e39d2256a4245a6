//! What can be done to a rollout: its buttons, and the question asked before each. The same question stands in a dialog and, without JavaScript, on
//! its own page.

mod consequences;

use self::consequences::consequences;
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::rollouts::{ActOnRollout, about_its_stage, asks_for_name},
    pages::words,
    ui::{
        Confirm, Tone, asked, dialog,
        dialog::{confirm_dialog_of, off_button},
        dialog_link,
        form::{Control, action, field, on_success},
        icon,
        number::counted,
        toast::toasts,
    },
};
use leptos::prelude::*;
use wire::{
    rollouts::{Action, Counts, EndClass, Preview, RolloutDetail, RolloutPage, Verb},
    states::{RolloutState, StageState},
};

/// The verbs that ask before they do; [`Verb::Edit`] is a link to the wizard.
const ASKING: [Verb; 11] = [
    Verb::Submit,
    Verb::Approve,
    Verb::Reject,
    Verb::Start,
    Verb::Pause,
    Verb::Resume,
    Verb::Promote,
    Verb::Stop,
    Verb::Retry,
    Verb::RollBack,
    Verb::BreakGlass,
];

/// The calls behind the questions of one page, one a verb so that a refusal shows only where it belongs.
#[derive(Clone, Copy)]
pub struct Asks([(Verb, FormCall<ActOnRollout>); 11]);

impl Asks {
    /// Makes them; `done` runs in the browser after each success.
    pub fn new(done: impl Fn() + Copy + 'static) -> Self {
        let notes = toasts();
        Self(ASKING.map(|verb| {
            let call = action::<ActOnRollout>();
            on_success(call, move |()| {
                crate::ui::dialog::close_all();
                if let Some(notes) = notes {
                    notes.say(Tone::Ok, past(verb));
                }
                done();
            });
            (verb, call)
        }))
    }

    fn of(self, verb: Verb) -> Option<FormCall<ActOnRollout>> {
        self.0.iter().find(|a| a.0 == verb).map(|a| a.1)
    }
}

/// The verb of an address, if it asks a question.
pub fn verb_of(word: &str) -> Option<Verb> {
    ASKING.into_iter().find(|v| v.as_str() == word)
}

/// Buttons for what the viewer can do now, the one to press next last and in the accent. The step that the state waits for is there even when this
/// viewer can't take it: it is off then and says why.
pub fn buttons(rollout: &RolloutDetail) -> AnyView {
    let first = next_of(rollout);
    // The way back is shown after a halt also where there is none, and says why.
    let shown = |verb: Verb| Some(verb) == first || (verb == Verb::RollBack && rollout.row.state == RolloutState::Halted);
    let mut all: Vec<&Action> = rollout.actions.iter().filter(|a| a.blocked.is_none() || shown(a.verb)).collect();
    all.sort_by_key(|a| (Some(a.verb) == first, order(a.verb)));
    let buttons = all.into_iter().map(|a| button(rollout, a, Some(a.verb) == first)).collect_view();
    let again =
        matches!(rollout.row.state, RolloutState::Completed | RolloutState::Stopped | RolloutState::Rejected | RolloutState::RolledBack)
            && rollout.actions.iter().any(|a| matches!(a.verb, Verb::Edit | Verb::Retry | Verb::Submit | Verb::Stop));
    let again = again.then(|| {
        let plan = crate::plan::Draft::of(&rollout.spec).write();
        view! { <a class="btn" href=format!("/rollouts/new?{plan}")>{icon("copy")}"New rollout from this"</a> }
    });
    view! { {again}{buttons} }.into_any()
}

fn button(rollout: &RolloutDetail, a: &Action, first: bool) -> AnyView {
    let verb = a.verb;
    let variant = match (first, verb) {
        (true, _) => "primary",
        (false, Verb::Stop | Verb::Reject | Verb::RollBack | Verb::BreakGlass) => "danger",
        _ => "",
    };
    let (mark, label) = label(rollout, verb);
    let content = view! { {icon(mark)}{label.clone()} }.into_any();
    let href = format!("/rollouts/{}/{}", rollout.row.id, verb.as_str());
    match (&a.blocked, verb) {
        (Some(why), _) => off_button(verb.as_str(), variant, content, why.clone()),
        (None, Verb::Edit) => view! { <a class="btn" data-v=variant href=href>{content}</a> }.into_any(),
        (None, _) => dialog_link(dialog_id(verb), href, variant, content),
    }
}

/// Why the next step can't be taken by this viewer, in words for everybody to see.
pub fn blocked_note(rollout: &RolloutDetail) -> Option<String> {
    let first = next_of(rollout)?;
    rollout.actions.iter().find(|a| a.verb == first)?.blocked.clone()
}

/// The dialogs that [`buttons`] opens. Each has a place of its own, so that it stays as it is filled in when another verb becomes possible. `back` is the
/// address of the page they stand on.
pub fn dialogs(model: &RolloutPage, asks: Asks, back: &str) -> AnyView {
    let rollout = &model.rollout;
    let possible = |verb: Verb| rollout.actions.iter().any(|a| a.verb == verb && a.blocked.is_none());
    let of = |verb: Verb| {
        let form = possible(verb).then(|| ask(model, verb, asks, back)).flatten()?;
        Some(dialog(dialog_id(verb), title(rollout, verb), form))
    };
    ASKING.into_iter().map(of).collect_view().into_any()
}

/// The form that asks and does it; none for a verb that does not ask. `back` is where it leads, done or not.
pub fn ask(model: &RolloutPage, verb: Verb, asks: Asks, back: &str) -> Option<AnyView> {
    let call = asks.of(verb)?;
    let rollout = &model.rollout;
    let (id, digest, back) = (rollout.row.id.to_string(), rollout.digest.to_string(), back.to_owned());
    let stage = about_its_stage(verb).then(|| view! { <input type="hidden" name="stage" value=rollout.row.stage.to_string()/> });
    let dry_run = model.preview.as_ref().filter(|_| verb == Verb::Approve);
    let inputs = if verb == Verb::Retry { choice(rollout, call) } else { ().into_any() };
    let inside = confirm_dialog_of(verb.as_str(), question_of(rollout, dry_run, verb, &back), inputs, call.into());
    Some(
        view! {
            <ActionForm action=call>
                <input type="hidden" name="id" value=id/>
                <input type="hidden" name="verb" value=verb.as_str()/>
                <input type="hidden" name="digest" value=digest/>
                {stage}
                <input type="hidden" name="back" value=back/>
                {inside}
            </ActionForm>
        }
        .into_any(),
    )
}

/// Of whom a retry is: a box for each way in which updates end, with how many did by now. All are there always, so that each stays where it is.
fn choice(rollout: &RolloutDetail, call: FormCall<ActOnRollout>) -> AnyView {
    let boxes = Control::Checks(choices(&rollout.row.counts, rollout.cancelled));
    let usual: Vec<&str> = EndClass::USUAL.iter().map(|class| class.as_str()).collect();
    field("classes", "It is offered again to devices whose update ended as", boxes)
        .id(format!("{}-classes", Verb::Retry.as_str()))
        .value(usual.join(" "))
        .refused(call)
        .view()
}

/// The ways in which updates end, with how many did.
fn choices(counts: &Counts, cancelled: i64) -> Vec<(String, String)> {
    let label = |class: EndClass| format!("{} ({})", words::update(class.state()).1, devices_of(class.devices(counts, cancelled)));
    EndClass::ALL.iter().map(|class| (class.as_str().to_owned(), label(*class))).collect()
}

/// The heading of a question; it names the rollout.
pub fn title(rollout: &RolloutDetail, verb: Verb) -> String {
    format!("{}: {}", doing(rollout, verb), rollout.row.name)
}

/// What a question is about, and what its button says. Of whom a retry is, is chosen in between.
fn doing(rollout: &RolloutDetail, verb: Verb) -> String {
    match verb {
        Verb::Retry => "Retry devices".to_owned(),
        _ => label(rollout, verb).1.trim_end_matches('…').to_owned(),
    }
}

fn dialog_id(verb: Verb) -> String {
    format!("ask-{}", verb.as_str())
}

/// The one button to press next.
fn next_of(rollout: &RolloutDetail) -> Option<Verb> {
    primary(rollout.row.state, current(rollout), &rollout.actions)
}

/// Where the current stage is; none before the first.
fn current(rollout: &RolloutDetail) -> Option<StageState> {
    rollout.stages.iter().find(|s| s.number == rollout.row.stage).map(|s| s.state)
}

/// The one button to press next, by the state of the rollout and of its stage; none when nothing is to be done.
fn primary(state: RolloutState, stage: Option<StageState>, actions: &[Action]) -> Option<Verb> {
    use RolloutState as S;
    let possible = |verb: Verb| actions.iter().any(|a| a.verb == verb && a.blocked.is_none());
    let listed = |verb: Verb| actions.iter().any(|a| a.verb == verb);
    let wanted = match state {
        S::Draft | S::Rejected => Verb::Submit,
        S::WaitingForApproval => Verb::Approve,
        S::Approved | S::Scheduled => Verb::Start,
        // A watch is there to be waited for: its end can be had early, and nothing invites to that.
        S::Running if stage == Some(StageState::Soaking) => return None,
        S::Running if possible(Verb::Promote) => Verb::Promote,
        S::Running => Verb::Pause,
        S::Paused => Verb::Resume,
        // After a gate said no, nothing should invite to go on.
        S::Halted | S::RollingBack | S::RolledBack | S::Stopping | S::Completed | S::Stopped => return None,
    };
    listed(wanted).then_some(wanted)
}

/// Where a button stands: what ends or refuses first, then what changes, then what goes on.
const fn order(verb: Verb) -> u8 {
    match verb {
        Verb::Stop | Verb::RollBack | Verb::BreakGlass => 0,
        Verb::Reject => 1,
        Verb::Edit => 2,
        Verb::Retry => 3,
        Verb::Pause => 4,
        Verb::Resume => 5,
        Verb::Submit => 6,
        Verb::Start => 7,
        Verb::Promote => 8,
        Verb::Approve => 9,
    }
}

fn label(rollout: &RolloutDetail, verb: Verb) -> (&'static str, String) {
    let text = |s: &str| s.to_owned();
    match verb {
        Verb::Edit => ("pencil", text("Edit plan")),
        Verb::Submit => ("inbox", text("Send for approval…")),
        Verb::Approve => ("check", text("Approve…")),
        Verb::Reject => ("x", text("Reject…")),
        Verb::Start => ("circle-play", text("Start now…")),
        Verb::Pause => ("circle-pause", text("Pause…")),
        Verb::Resume if rollout.row.state == RolloutState::Halted => ("circle-play", text("Resume anyway…")),
        Verb::Resume => ("circle-play", text("Resume…")),
        Verb::Promote if current(rollout) == Some(StageState::Soaking) => ("clock", text("Skip the wait…")),
        Verb::Promote => promote_of(rollout.row.stage, rollout.row.stages),
        Verb::Stop => ("octagon-x", text("Stop…")),
        Verb::Retry => ("rotate-ccw", retry_of(&rollout.row.counts)),
        Verb::RollBack => ("rotate-ccw", text("Roll back…")),
        Verb::BreakGlass => ("octagon-x", text("Break glass…")),
    }
}

/// Which stage follows; after the last one nothing does.
fn promote_of(stage: u32, stages: u32) -> (&'static str, String) {
    if stage < stages { ("circle-play", format!("Start stage {}…", stage + 1)) } else { ("check", format!("End stage {stage}…")) }
}

const fn past(verb: Verb) -> &'static str {
    match verb {
        Verb::Edit => "Saved",
        Verb::Submit => "Sent for approval",
        Verb::Approve => "Approved",
        Verb::Reject => "Rejected",
        Verb::Start => "Started",
        Verb::Pause => "Paused",
        Verb::Resume => "Resumed",
        Verb::Promote => "Stage ended",
        Verb::Stop => "Stopping",
        Verb::Retry => "Offered again",
        Verb::RollBack => "Rolling back",
        Verb::BreakGlass => "Started without approval",
    }
}

/// How it is asked: what the way out is called, and whether it harms.
const fn manner(verb: Verb, halted: bool) -> (&'static str, bool) {
    match verb {
        Verb::Reject | Verb::RollBack | Verb::BreakGlass => ("Not now", true),
        Verb::Pause => ("Keep it running", false),
        Verb::Resume if halted => ("Keep it halted", true),
        Verb::Resume => ("Keep it paused", false),
        Verb::Stop => ("Don't stop it", true),
        Verb::Edit | Verb::Submit | Verb::Approve | Verb::Start | Verb::Promote | Verb::Retry => ("Not now", false),
    }
}

fn retry_of(c: &Counts) -> String {
    match c.retriable() {
        0 => "Retry devices…".to_owned(),
        usual => format!("Retry {}…", devices_of(usual)),
    }
}

fn devices_of(n: i64) -> String {
    counted(n, "device", "devices")
}

/// What is asked before `verb`: consequences in numbers, how it is confirmed, and what the way out is called.
fn question_of(r: &RolloutDetail, dry_run: Option<&Preview>, verb: Verb, back: &str) -> Confirm {
    let (cancel, danger) = manner(verb, r.row.state == RolloutState::Halted);
    let why = if verb == Verb::Approve { "Remark" } else { "Reason" };
    Confirm {
        text: consequences(r, verb, dry_run),
        verb: doing(r, verb),
        cancel,
        back: asked::back_to(back, &dialog_id(verb)),
        danger,
        type_name: asks_for_name(verb, r.row.state).then(|| r.row.name.clone()),
        reason: verb.asks_for_reason(r.row.state).map(|required| (why, required)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_says_how_many_it_tries_again() {
        let counts = Counts { total: 20, succeeded: 10, failed: 2, timed_out: 1, reverted: 4, rejected: 3, ..Counts::default() };
        assert_eq!(retry_of(&counts), "Retry 3 devices…");
        let all =
            |counts: &Counts, cancelled: i64| choices(counts, cancelled).into_iter().map(|(value, label)| format!("{value}: {label}"));
        let said: Vec<String> = all(&counts, 0).collect();
        assert_eq!(said[..2], ["failed: Failed (2 devices)", "timed_out: Timed out (1 device)"]);
        assert_eq!(said[2], "reverted: Reverted (4 devices)");
        // Who is in none of them may be in one the next moment: each is there, and stays where it is.
        let decided = Counts { total: 20, reverted: 4, ..Counts::default() };
        assert_eq!(retry_of(&decided), "Retry devices…");
        let said: Vec<String> = all(&decided, 1).collect();
        assert_eq!((said[0].as_str(), said.len()), ("failed: Failed (0 devices)", EndClass::ALL.len()));
        assert_eq!(said[4], "cancelled: Cancelled (1 device)");
    }

    #[test]
    fn nothing_invites_to_end_a_watch_early() {
        let can = |verb| Action { verb, blocked: None };
        let actions = [can(Verb::Pause), can(Verb::Promote), can(Verb::Stop)];
        let next = |stage| primary(RolloutState::Running, Some(stage), &actions);
        assert_eq!(next(StageState::Soaking), None);
        assert_eq!(next(StageState::AwaitingPromotion), Some(Verb::Promote), "it waits for a person");
        assert_eq!(primary(RolloutState::Running, Some(StageState::Running), &actions[..1]), Some(Verb::Pause));
        assert_eq!(primary(RolloutState::Paused, Some(StageState::Soaking), &[can(Verb::Resume)]), Some(Verb::Resume));
    }

    #[test]
    fn after_the_last_stage_none_is_started() {
        let words = |stage| promote_of(stage, 2).1;
        assert_eq!([1, 2].map(words), ["Start stage 2…", "End stage 2…"]);
    }
}
