//! The approvals inbox: what waits for a second person, with everything a decision needs; first what was started without one.

pub mod glass;
mod rules;

use super::{
    rollouts::{
        back::way_back_line,
        phrases,
        preview::{changes, figures, stage_lines},
        when,
    },
    words,
};
use crate::api::packed::reading;
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::{
        approvals::{ReadApprovals, ReviewGlass},
        rollouts::ActOnRollout,
    },
    live,
    ui::{
        Column, Confirm, PageHead, Tone, asked, badge, copyable, dialog,
        dialog::confirm_dialog_as,
        dialog_link, empty,
        form::{action, on_success, refusal, said},
        icon,
        number::counted,
        page::{banner, card, card_flush, page},
        table, time,
        toast::toasts,
    },
};
use leptos::prelude::*;
use wire::{
    live::Topic,
    rollouts::{ApprovalCard, ApprovalRow, ApprovalStanding, ApprovalsPage as Model, RolloutRow},
};

/// `/approvals`
#[component]
pub fn ApprovalsPage() -> AnyView {
    let model = reading(|| ReadApprovals {});
    live::refetch_on(|| Some(Topic::Rollouts), 1000, model);
    let decisions = Decisions { approve: deciding("Approved", model), reject: deciding("Rejected", model) };
    let review = said::<ReviewGlass>("Reviewed", model);
    let calls = rules::Calls {
        rule: said("Changed", model),
        dropped: said("Dropped", model),
        group: said("Group made", model),
        members: said("Saved", model),
        gone: said("Group deleted", model),
        terms: said("Saved", model),
    };
    page(model, move |model: Model| content(&model, decisions, review, &calls))
}

/// The two calls behind the cards.
#[derive(Clone, Copy)]
struct Decisions {
    approve: FormCall<ActOnRollout>,
    reject: FormCall<ActOnRollout>,
}

fn deciding(said: &'static str, model: crate::api::packed::Reading) -> FormCall<ActOnRollout> {
    let call = action::<ActOnRollout>();
    let notes = toasts();
    on_success(call, move |()| {
        crate::ui::dialog::close_all();
        if let Some(notes) = notes {
            notes.say(Tone::Ok, said);
        }
        model.refetch();
    });
    call
}

fn content(model: &Model, decisions: Decisions, review: FormCall<ReviewGlass>, calls: &rules::Calls) -> AnyView {
    let waiting = i64::try_from(model.waiting.len()).unwrap_or(0);
    let mine = model.waiting.iter().filter(|c| c.blocked.is_none()).count();
    let sub = if waiting == 0 {
        "Nobody can approve a rollout of their own.".to_owned()
    } else {
        format!("{}, {mine} for you. Nobody can approve a rollout of their own.", counted(waiting, "rollout waits", "rollouts wait"))
    };
    let cards = if model.waiting.is_empty() {
        let text = "When somebody sends a rollout for approval, it appears here with what it would do.";
        view! { <div class="card">{empty("inbox", "Nothing waits for a decision", text, None)}</div> }.into_any()
    } else {
        let cards = model.waiting.iter().map(|c| one(c, decisions)).collect_view();
        view! { <div class="grid approvals">{cards}</div> }.into_any()
    };
    let decided = (!model.decided.is_empty())
        .then(|| view! { <div class="mt-4">{card_flush("Decided lately", None, decided(&model.decided))}</div> });
    view! {
        <PageHead title="Approvals" sub=sub.into_any()/>
        {glass::open_ones(&model.glass, review)}
        {about_authorities(model.authorities)}
        {cards}
        {decided}
        {glass::settled_ones(&model.glass).map(|settled| view! { <div class="mt-4">{card("Started without approval lately", None, settled)}</div> })}
        {rules::cards(model, calls)}
    }
    .into_any()
}

/// The way to the other page where something waits.
fn about_authorities(waiting: i64) -> Option<AnyView> {
    (waiting > 0).then(|| {
        let text = counted(waiting, "request about authorities waits", "requests about authorities wait");
        let link = view! { {text}" for you. "<a href="/certificates/authorities/requests">"Look at the requests"</a> };
        view! { {banner(Tone::Hold, link.into_any())}<div class="mt-4"></div> }.into_any()
    })
}

fn one(c: &ApprovalCard, decisions: Decisions) -> AnyView {
    let r = &c.rollout;
    let href = format!("/rollouts/{}", r.id);
    let (tone, word) = words::rollout(r.state);
    let first = c.preview.stages.first().map_or(0, |s| s.devices);
    let signers = if c.signed_by.is_empty() { "nobody".to_owned() } else { c.signed_by.join(", ") };
    let selector = if c.spec.selector.is_empty() { format!("every {}", r.device_type) } else { c.spec.selector.clone() };
    let deciding = if let Some(why) = &c.blocked {
        view! { <p class="row text-2">{icon("lock")}<span>{why.clone()}</span></p> }.into_any()
    } else {
        let (yes, no) = (dialog_of(r, true), dialog_of(r, false));
        view! {
            <div class="row">
                {dialog_link(yes.clone(), format!("{href}/approve"), "primary", view! { {icon("check")}"Approve…" }.into_any())}
                {dialog_link(no.clone(), format!("{href}/reject"), "danger", view! { {icon("x")}"Reject…" }.into_any())}
            </div>
            {dialog(yes, format!("Approve: {}", r.name), decide(c, true, decisions.approve))}
            {dialog(no, format!("Reject: {}", r.name), decide(c, false, decisions.reject))}
        }
        .into_any()
    };
    view! {
        <article class="card">
            <header><h2><a href=href>{r.name.clone()}</a></h2><span class="push">{badge(tone, word)}</span></header>
            <div class="body stack">
                <p class="lead">{phrases::sentence(&c.spec, &format!("{} {}", r.device_type, r.version), c.preview.total, first)}</p>
                {when::warning(&c.spec)}
                <dl class="kv">
                    <dt>"Why"</dt><dd>{if c.spec.reason.is_empty() { "no reason given".to_owned() } else { c.spec.reason.clone() }}</dd>
                    <dt>"Asked by"</dt><dd>{r.author.clone()}", "{time::ago(r.updated_at)}</dd>
                    <dt>"Devices"</dt><dd class="mono">{selector}</dd>
                    {stage_lines(&c.spec)}
                    {way_back_line(c.way_back.as_ref())}
                    <dt>"Signed by"</dt><dd>{signers}</dd>
                    <dt>"Digest"</dt><dd>{copyable(c.digest.to_string(), "Copy digest")}</dd>
                </dl>
                {changes(&c.changes)}
                {figures(&c.preview)}
                {given(c)}
                {deciding}
            </div>
        </article>
    }
    .into_any()
}

/// How far its approval is, by the rule that it was sent with, and who has approved it.
fn given(c: &ApprovalCard) -> AnyView {
    let standing = &c.standing;
    let words = |a: &ApprovalRow| {
        let uncounted = a.uncounted.clone().map(|why| view! { <span class="text-2">" – does not count: "{why}</span> });
        view! { <li>{a.by_name.clone()}", "{time::ago(a.at)}": "{a.remark.clone()}{uncounted}</li> }
    };
    let said = c.approved.iter().map(words).collect_view();
    let shown = standing.needed > 1 || !standing.from.is_empty() || !c.approved.is_empty();
    let count = shown.then(|| view! { <div><strong>{progress(standing)}</strong><ul>{said}</ul></div> });
    let stuck = standing.stuck.clone().map(|why| banner(Tone::Warn, why.into_any()));
    let left = standing.decide_by.map(|at| view! { <p class="small text-2">"The request expires "{time::ago(at)}"."</p> });
    view! { {count}{stuck}{left} }.into_any()
}

/// `1 of 2 approvals, 0 of 1 by safety`.
pub fn progress(standing: &ApprovalStanding) -> String {
    let of: Vec<String> = standing.from.iter().map(|s| format!(", {} of {} by {}", s.given, s.at_least, s.name)).collect();
    format!("{} of {}{}", standing.given, counted(i64::from(standing.needed), "approval", "approvals"), of.concat())
}

fn dialog_of(r: &RolloutRow, yes: bool) -> String {
    format!("{}-{}", if yes { "approve" } else { "reject" }, r.id)
}

fn decide(c: &ApprovalCard, yes: bool, call: FormCall<ActOnRollout>) -> AnyView {
    let r = &c.rollout;
    let text = if yes {
        phrases::approval(&c.spec, &r.version, &c.digest, Some(&c.preview))
    } else {
        "The rollout does not go out. Its author sees your reason and can change the plan.".to_owned()
    };
    let form_id = dialog_of(r, yes);
    let back = asked::back_to("/approvals", &form_id);
    let inside = move || {
        let confirm = Confirm {
            text: text.clone(),
            verb: if yes { "Approve" } else { "Reject" }.to_owned(),
            cancel: "Not now",
            back: back.clone(),
            danger: !yes,
            type_name: None,
            reason: Some((if yes { "Remark" } else { "Reason" }, true)),
        };
        confirm_dialog_as(&form_id, confirm, refusal(call).as_ref(), move || call.pending().get())
    };
    let (id, digest) = (r.id.to_string(), c.digest.to_string());
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=id/>
            <input type="hidden" name="verb" value=if yes { "approve" } else { "reject" }/>
            <input type="hidden" name="digest" value=digest/>
            <input type="hidden" name="back" value="/approvals"/>
            {inside}
        </ActionForm>
    }
    .into_any()
}

fn decided(rows: &[RolloutRow]) -> AnyView {
    let columns =
        vec![Column::text("Rollout"), Column::text("State"), Column::text("Firmware"), Column::text("Drafted by"), Column::text("Changed")];
    let rows = rows
        .iter()
        .map(|r| {
            let (tone, word) = words::rollout(r.state);
            view! {
                <tr>
                    <th scope="row"><a class="main" href=format!("/rollouts/{}", r.id)>{r.name.clone()}</a></th>
                    <td>{badge(tone, word)}</td>
                    <td class="mono">{r.version.clone()}</td>
                    <td>{r.author.clone()}</td>
                    <td class="dim">{time::ago(r.updated_at)}</td>
                </tr>
            }
        })
        .collect_view();
    table("Decided lately", columns, rows.into_any())
}
