//! What can be done with an authority: each step with what it will do, its button or why it has to wait, and the question before it. The same
//! question stands in a dialog and, without JavaScript, on a page of its own.

use crate::{
    api::certificates::StepAuthority,
    ui::{
        Confirm, Tone, asked, dialog,
        dialog::{confirm_dialog_of, dialog_link_about},
        form::{ActionForm, FormCall, action, on_success},
        number::{counted, grouped},
        page::card,
        toast::toasts,
    },
};
use leptos::prelude::*;
use wire::{
    pki::{AuthorityAction, AuthorityDetail as Model},
    states::{
        AuthorityState::{Active, Retiring, Staged},
        AuthorityStep::{self, Activate, Compromise, Retire, Stage},
        KeyPlace,
    },
};

const STEPS: [AuthorityStep; 4] = [Stage, Activate, Retire, Compromise];

/// The dialog's id.
const DIALOG: &str = "authority-step-dialog";

/// The calls behind the questions of one page, one a step so that a refusal shows only where it belongs; and what the dialog asks about.
#[derive(Clone, Copy)]
pub struct Asks {
    calls: [(AuthorityStep, FormCall<StepAuthority>); 4],
    chosen: RwSignal<Option<(Model, AuthorityAction)>>,
    /// Whether another admin is asked, which is said afterwards.
    second: StoredValue<bool>,
}

impl Asks {
    /// Makes them; `done` runs in the browser after each success.
    pub fn new(done: impl Fn() + Copy + 'static) -> Self {
        let notes = toasts();
        let second = StoredValue::new(false);
        let calls = STEPS.map(|step| {
            let call = action::<StepAuthority>();
            on_success(call, move |()| {
                crate::ui::dialog::close_all();
                if let Some(notes) = notes {
                    notes.say(Tone::Ok, past(step, second.get_value()));
                }
                done();
            });
            (step, call)
        });
        Self { calls, chosen: RwSignal::new(None), second }
    }

    fn of(self, step: AuthorityStep) -> Option<FormCall<StepAuthority>> {
        self.calls.iter().find(|a| a.0 == step).map(|a| a.1)
    }
}

const fn past(step: AuthorityStep, second: bool) -> &'static str {
    match step {
        Stage | Activate | Retire if second => "Another admin is asked",
        Stage => "The next authority is staged",
        Activate => "It is active",
        Retire => "It is retired",
        Compromise => "It is given up",
    }
}

/// The steps with what each does; nothing for those who may do none.
pub fn card_of(m: &Model, asks: Asks) -> AnyView {
    if m.actions.is_empty() {
        return ().into_any();
    }
    let steps = m.actions.iter().map(|a| {
        let words = effect(m, a);
        view! { <div class="stack"><p>{words}</p>{spread(m, a)}<div class="row">{button(m, a, asks)}</div></div> }
    });
    let second = m.second_person.then(|| {
        view! {
            <p class="text-2">"Two people decide here: what you ask for is done when another admin approves it. "
                <a href="/certificates/authorities/requests">"Requests"</a>"."</p>
        }
    });
    card("What can be done", None, view! { <div class="stack">{second}{steps.collect_view()}</div> }.into_any())
}

fn button(m: &Model, a: &AuthorityAction, asks: Asks) -> AnyView {
    let (step, label) = (a.step, format!("{}…", verb(m, a)));
    let variant = if danger(a) { "danger" } else { "" };
    if let Some(why) = &a.blocked {
        let id = format!("why-{step}");
        return view! {
            <button type="button" class="btn" data-v=variant aria-disabled="true" aria-describedby=id.clone()>{label}</button>
            <span class="small text-2" id=id>{why.clone()}</span>
        }
        .into_any();
    }
    let href = format!("/certificates/authorities/{}/{step}", m.standing.row.id);
    let question = (m.clone(), a.clone());
    let choose = move || asks.chosen.set(Some(question.clone()));
    dialog_link_about(DIALOG, &about(step), href, (variant, ""), label.into_any(), choose)
}

/// What names the question about one step among all that the dialog may ask.
fn about(step: AuthorityStep) -> String {
    format!("authority-{step}")
}

fn danger(a: &AuthorityAction) -> bool {
    a.forced || a.step == Compromise
}

/// The dialog. It stands beside the page's content: that is built anew whenever the page is read again, and would take along what is typed here.
pub fn step_dialog(asks: Asks) -> AnyView {
    let body = move || {
        let (m, a) = asks.chosen.get()?;
        let form = ask(&m, &a, asks)?;
        Some(view! { <div class="body"><b>{title(&m, &a)}</b></div>{form} })
    };
    dialog(DIALOG, "Change an authority", body.into_any())
}

/// The heading of a question; it names the authority.
pub fn title(m: &Model, a: &AuthorityAction) -> String {
    format!("{}: {}", verb(m, a), m.standing.row.common_name())
}

/// The form that asks and does it.
pub fn ask(m: &Model, a: &AuthorityAction, asks: Asks) -> Option<AnyView> {
    let call = asks.of(a.step)?;
    asks.second.set_value(m.second_person);
    let (id, step, forced) = (m.standing.row.id.to_string(), a.step, a.forced);
    let inside = confirm_dialog_of(step.as_str(), question_of(m, a), spread(m, a), call.into());
    Some(
        view! {
            <ActionForm action=call>
                <input type="hidden" name="id" value=id/>
                <input type="hidden" name="step" value=step.as_str()/>
                {forced.then(|| view! { <input type="hidden" name="force" value="true"/> })}
                {inside}
            </ActionForm>
        }
        .into_any(),
    )
}

fn question_of(m: &Model, a: &AuthorityAction) -> Confirm {
    let name = m.standing.row.common_name();
    Confirm {
        text: question_text(m, a),
        verb: if asks_another(m, a) { format!("Ask: {}", verb(m, a)) } else { verb(m, a).to_owned() },
        cancel: "Not now",
        back: asked::back_to(&format!("/certificates/authorities/{}", m.standing.row.id), &about(a.step)),
        danger: danger(a),
        type_name: danger(a).then(|| name.to_owned()),
        reason: asks_another(m, a).then_some(("Why", true)),
    }
}

/// Whether another admin has to agree before it is done.
fn asks_another(m: &Model, a: &AuthorityAction) -> bool {
    m.second_person && a.step != Compromise
}

fn question_text(m: &Model, a: &AuthorityAction) -> String {
    let effect = effect(m, a);
    if asks_another(m, a) { format!("{effect} Nothing happens before another admin has approved it, within 24 hours.") } else { effect }
}

/// The way to have devices renew over a longer time than they do by themselves; nothing where nobody is told.
fn spread(m: &Model, a: &AuthorityAction) -> AnyView {
    let before = m.takes_over_from.as_ref().filter(|before| a.step == Activate && before.devices > 0);
    let Some(before) = before else { return ().into_any() };
    let href = format!("/certificates/renew?authority={}", before.row.id);
    view! {
        <p class="text-2">"To spread the load, "<a href=href>"ask them to renew"</a>
            " over a longer time just before this step: for those that an order asks, its time is the one that holds."</p>
    }
    .into_any()
}

/// Who is told to renew when it is activated, how soon, and who knows the new one by then; in sentences that begin with a blank.
fn told_then(m: &Model) -> String {
    let Some(before) = &m.takes_over_from else { return String::new() };
    let reach = &m.reach;
    let told = match before.devices {
        0 => format!(" No device has a certificate of {} to renew.", before.row.common_name()),
        n => format!(
            " {} a certificate of {} and {} told to renew: those that are connected within five minutes, every other one when it connects.",
            counted(n, "device has", "devices have"),
            before.row.common_name(),
            if n == 1 { "is" } else { "are" }
        ),
    };
    format!(
        "{told} {} of {} hold trust bundle {}, the first with this one in it.",
        grouped(reach.holders),
        counted(reach.devices, "active device", "active devices"),
        reach.version
    )
}

fn verb(m: &Model, a: &AuthorityAction) -> &'static str {
    match (a.step, a.forced, m.standing.row.state) {
        (Stage, ..) if m.standing.row.kind == "root" => "Stage the next root",
        (Stage, ..) => "Stage the next one",
        (Activate, true, _) => "Activate anyway",
        (Activate, ..) => "Activate",
        (Retire, _, Staged) => "Take back",
        (Retire, true, _) => "Retire anyway",
        (Retire, ..) => "Retire",
        (Compromise, ..) => "Give up as compromised",
    }
}

/// What follows from a step, in numbers.
fn effect(m: &Model, a: &AuthorityAction) -> String {
    let (row, s) = (&m.standing.row, &m.standing);
    let devices = |n: i64| counted(n, "device", "devices");
    let waits = format!("{} of {} don't hold trust bundle {} yet", m.reach.missing(), devices(m.reach.devices), m.reach.version);
    match (a.step, row.kind.as_str()) {
        (Stage, "root") if row.key == KeyPlace::Offline => {
            "Makes a new root here, with authorities for devices and listeners under it. This root's key is elsewhere: what it signs for the new one is \
             made there and brought back, then devices find their way. Devices get the new root in their trust bundle; nothing else changes for them yet."
                .to_owned()
        }
        (Stage, "root") => {
            "Makes a new root with authorities for devices and listeners under it, and the certificates by which both roots vouch for \
                            each other. Devices get the new root in their trust bundle; nothing else changes for them yet."
                .to_owned()
        }
        (Stage, _) => {
            "Makes the authority that will come after this one. It is trusted everywhere at once and does not issue yet.".to_owned()
        }
        (Activate, "root") => {
            let who = if a.forced {
                format!(" {waits}: those that can't follow from the old root to this one will not find back.")
            } else {
                String::new()
            };
            format!(
                "The chain of our listeners leads to this root from now on, and its authorities issue. The root before is retiring, with its authorities: believed until you retire them.{who}{}",
                told_then(m)
            )
        }
        (Activate, "device") => {
            format!("It issues from now on. The one before it is retiring: believed until you retire it.{}", told_then(m))
        }
        (Activate, _) => {
            "It issues from now on. The one before it is retiring: believed until you retire it. Devices notice nothing of that.".to_owned()
        }
        (Retire, "root") if row.state == Retiring => {
            let who = if a.cut > 0 {
                format!(" {} don't hold the root that follows: they can't connect any more.", devices(a.cut))
            } else {
                " Every active device holds the root that follows.".to_owned()
            };
            format!("Takes this root out of the trust bundle. Our listeners stop leading back to it.{who}")
        }
        (Retire, "root") => "Takes this root back, with what was staged under it. Devices drop it with the next trust bundle.".to_owned(),
        (Retire, _) if row.state == Staged => "Takes this authority back before it has issued anything.".to_owned(),
        (Retire, _) if a.forced => {
            format!("Nothing of it will be believed any more. {} depend on it still: they will be cut off and have to enrol again.", devices(a.cut))
        }
        (Retire, _) => "Nothing of it will be believed any more, and the root's list will say so. No certificate of it is in use.".to_owned(),
        (Compromise, "root") => {
            format!(
                "For a root whose key somebody else may have: nothing of it, and nothing that it has signed, is believed any more. {} are cut off, and have to enrol again or can't follow. This can't be undone.",
                devices(a.cut)
            )
        }
        (Compromise, _) => {
            let after = match (row.state, row.kind.as_str()) {
                (Active, "device") => {
                    " Until another one is active nothing is issued to devices, and the enrolment tokens and claims there are now stay frozen until you lift that."
                }
                (Active, _) => " Until another one is active, nothing is issued for its use.",
                _ => "",
            };
            let back = if row.kind == "device" { ", until they enrol again or you let them back by their keys" } else { "" };
            format!(
                "For an authority whose key somebody else may have: nothing of it is believed any more. The connections of {} are cut{back}.{after} This can't be undone.",
                counted(s.certificates, "certificate", "certificates")
            )
        }
    }
}
