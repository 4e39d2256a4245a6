//! Why a device is, or is not, updating: the rules of each rollout that concerns it as rows, the first that keeps it back marked.

use crate::{
    api::devices::ConfirmUpdate,
    ui::{
        Column, Tone, empty, fault_banner,
        form::{self, ActionForm, FormCall},
        icon,
        page::{card, card_flush},
        status, submit, table, time,
    },
};
use leptos::prelude::*;
use wire::{
    ids::DeviceId,
    rollouts::{Outlook, Reason, Rule, Says, Why, WhyRollout},
};

/// The box: the answer, then the rules behind it.
pub fn explanation(device: &DeviceId, why: &Why, confirm: FormCall<ConfirmUpdate>) -> AnyView {
    let Some((first, others)) = why.rollouts.split_first() else {
        let none =
            if why.answer.is_empty() { "No rollout that goes out or waits means this device.".to_owned() } else { why.answer.clone() };
        return card("Why", None, empty("info", "Nothing is to come", none, None));
    };
    let (tone, word) = outlook(why.outlook);
    let others = (!others.is_empty()).then(|| {
        let all = others.iter().map(|rollout| view! { <h3 class="mt-4">{head(rollout)}</h3>{rules(rollout)} }).collect_view();
        let label = if others.len() == 1 { "1 other rollout".to_owned() } else { format!("{} other rollouts", others.len()) };
        view! { <div class="body"><details><summary>{label}</summary>{all}</details></div> }
    });
    let button = first.may_confirm.then(|| confirmation(device, first, confirm));
    let body = view! {
        <div class="body stack"><p>{why.answer.clone()}</p>{button}</div>
        {rules(first)}
        {others}
    };
    let title = if why.outlook == Outlook::UnderWay { "How it updates" } else { "Why it does or doesn’t update" };
    card_flush(title, Some(status(tone, word)), body.into_any())
}

fn head(rollout: &WhyRollout) -> AnyView {
    let (tone, word) = outlook(rollout.outlook);
    view! { <a href=format!("/rollouts/{}", rollout.id)>{rollout.name.clone()}</a>" "<span class="mono">{rollout.version.clone()}</span>" "{status(tone, word)} }.into_any()
}

const fn outlook(outlook: Outlook) -> (Tone, &'static str) {
    match outlook {
        Outlook::Nothing => (Tone::Off, "Nothing to come"),
        Outlook::UnderWay => (Tone::Info, "Under way"),
        Outlook::Now => (Tone::Ok, "Gets it now"),
        Outlook::WhenItAsks => (Tone::Ok, "Gets it when it asks"),
        Outlook::Blocked => (Tone::Hold, "Kept back"),
        Outlook::Done => (Tone::Ok, "Done"),
    }
}

const fn says(says: Says) -> (Tone, &'static str) {
    match says {
        Says::Met => (Tone::Ok, "Met"),
        Says::Blocks => (Tone::Hold, "Keeps it back"),
        Says::NoMatter => (Tone::Off, "Doesn’t matter"),
        Says::NotYet => (Tone::Off, "Not asked yet"),
    }
}

/// A rule as people ask for it.
const fn title(rule: Rule) -> &'static str {
    match rule {
        Rule::LastWord => "Nothing else is open",
        Rule::OwnTurn => "Its turn in the rollout",
        Rule::Selected => "The selector",
        Rule::DeviceType => "The device’s type",
        Rule::Active => "In the fleet",
        Rule::Pinned => "Pinned",
        Rule::Hardware => "Hardware",
        Rule::Older => "Something older runs",
        Rule::TakenBack => "What is taken back runs",
        Rule::Direct => "New enough to go there directly",
        Rule::Signed => "Signed by keys it trusts",
        Rule::GoesOut => "The rollout goes out",
        Rule::Stage => "Its stage",
        Rule::Time => "Window and freezes",
        Rule::Release => "The release’s files",
        Rule::AtOnce => "Devices at the same time",
        Rule::DataBudget => "Data budget",
        Rule::Agreed => "Somebody agrees",
        Rule::Asks => "Reachable",
        Rule::Reports => "It reports",
    }
}

fn rules(rollout: &WhyRollout) -> AnyView {
    let columns = vec![Column::text("Rule"), Column::text("It says"), Column::text("What it looked at"), Column::text("Looked at again")];
    let first = rollout.blocker();
    let rows = rollout.rules.iter().map(|reason| row(reason, Some(reason) == first)).collect_view();
    table(format!("Rules of {} for this device", rollout.name), columns, rows.into_any())
}

fn row(reason: &Reason, first: bool) -> AnyView {
    let (tone, word) = says(reason.says);
    let mark = first.then(|| view! { {icon("chevron-right")}<span class="sr">"The reason: "</span> });
    let dim = matches!(reason.says, Says::NoMatter | Says::NotYet).then_some("dim");
    let at = reason.again_at.map(|at| view! { <div class="sub">{time::ago(at)}</div> });
    view! {
        <tr data-reason=first.then_some("") class=dim>
            <th scope="row"><span class="row nowrap">{mark}{title(reason.rule)}</span></th>
            <td class="nowrap">{status(tone, word)}</td>
            <td class="sentence">{reason.fact.clone()}</td>
            <td>{reason.again.clone()}{at}</td>
        </tr>
    }
    .into_any()
}

fn confirmation(device: &DeviceId, rollout: &WhyRollout, call: FormCall<ConfirmUpdate>) -> AnyView {
    let (id, of, label) = (device.to_string(), rollout.id.to_string(), format!("Confirm {} for this device", rollout.version));
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=id/>
            <input type="hidden" name="rollout" value=of/>
            {move || fault_banner(form::refusal(call).as_ref())}
            <div class="row">{submit(label, "primary", move || call.pending().get())}</div>
        </ActionForm>
    }
    .into_any()
}
