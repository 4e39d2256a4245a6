//! The approvals inbox: what waits for a second person, with everything a decision needs.

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
        approvals::{ReadApprovals, SetQuorum},
        rollouts::ActOnRollout,
    },
    live,
    ui::{
        Column, Confirm, PageHead, Tone, badge, copyable, dialog,
        dialog::confirm_dialog_as,
        dialog_link, empty,
        form::{self, action, fault_banner, on_success, refusal, said},
        icon,
        number::counted,
        page::{banner, card, card_flush, page},
        select, table, time,
        toast::toasts,
    },
};
use leptos::prelude::*;
use wire::{
    live::Topic,
    rollouts::{ApprovalCard, ApprovalRow, ApprovalsPage as Model, MAX_APPROVALS, RolloutRow},
};

/// `/approvals`
#[component]
pub fn ApprovalsPage() -> AnyView {
    let model = reading(|| ReadApprovals {});
    live::refetch_on(|| Some(Topic::Rollouts), 1000, model);
    let decisions = Decisions { approve: deciding("Approved", model), reject: deciding("Rejected", model) };
    let rule = said::<SetQuorum>("Changed", model);
    page(model, move |model: Model| content(&model, decisions, rule))
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

fn content(model: &Model, decisions: Decisions, rule: FormCall<SetQuorum>) -> AnyView {
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
        {about_authorities(model.authorities)}
        {cards}
        {decided}
        <div class="mt-4">{card("How many approve", None, rule_card(model, rule))}</div>
    }
    .into_any()
}

/// How many people it takes, and the way to another number.
fn rule_card(model: &Model, rule: FormCall<SetQuorum>) -> AnyView {
    let quorum = &model.quorum;
    let now = format!("A rollout needs {} by people other than its author.", approvals(quorum.needed));
    let falling = quorum.lowered.as_ref().map(|lowered| {
        let keep = model.may_set_quorum.then(|| {
            let (label, needed) = (format!("Keep {}", quorum.needed), quorum.needed.to_string());
            view! {
                <ActionForm action=rule>
                    <input type="hidden" name="needed" value=needed/>
                    {form::submit(label, "", move || rule.pending().get())}
                </ActionForm>
            }
        });
        let text = view! { {format!("{} from ", enough(lowered.needed))}{time::at(lowered.from)}"." }.into_any();
        view! { {banner(Tone::Hold, text)}{keep} }
    });
    let change = if model.may_set_quorum {
        let numbers = (1..=MAX_APPROVALS).map(|n| (n.to_string(), approvals(n))).collect();
        let needed = quorum.needed.to_string();
        view! {
            <ActionForm action=rule>
                <div class="stack">
                    {move || fault_banner(refusal(rule).as_ref())}
                    {select("needed", "Approvals a rollout needs", numbers).id("quorum").value(needed)
                        .hint("A higher number counts at once, a lower one a day later. Rollouts that wait already keep theirs.").refused(rule).view()}
                    <div class="row">{form::submit("Change", "", move || rule.pending().get())}</div>
                </div>
            </ActionForm>
        }
        .into_any()
    } else {
        view! { <p class="row text-2">{icon("lock")}<span>"Changing that needs the role admin."</span></p> }.into_any()
    };
    view! { <div class="stack"><p>{now}</p>{falling}{change}</div> }.into_any()
}

fn approvals(count: u32) -> String {
    counted(i64::from(count), "approval", "approvals")
}

fn enough(count: u32) -> String {
    if count == 1 { "One approval is enough".to_owned() } else { format!("{count} approvals are enough") }
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
        let (yes, no) = (format!("approve-{}", r.id), format!("reject-{}", r.id));
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

/// Who has approved it, where one person is not enough.
fn given(c: &ApprovalCard) -> Option<AnyView> {
    (c.needed > 1).then(|| {
        let words = |a: &ApprovalRow| view! { <li>{a.by_name.clone()}", "{time::ago(a.at)}": "{a.remark.clone()}</li> };
        let said = c.approved.iter().map(words).collect_view();
        let count = format!("{} of {}", c.approved.len(), approvals(c.needed));
        view! { <div><strong>{count}</strong><ul>{said}</ul></div> }.into_any()
    })
}

fn decide(c: &ApprovalCard, yes: bool, call: FormCall<ActOnRollout>) -> AnyView {
    let r = &c.rollout;
    let text = if yes {
        format!(
            "You approve exactly this plan: firmware {} for {}, digest {}. Any edit voids your approval.",
            r.version,
            counted(c.preview.total, "device", "devices"),
            c.digest.short()
        )
    } else {
        "The rollout does not go out. Its author sees your reason and can change the plan.".to_owned()
    };
    let form_id = format!("{}-{}", if yes { "approve" } else { "reject" }, r.id);
    let inside = move || {
        let confirm = Confirm {
            text: text.clone(),
            verb: if yes { "Approve" } else { "Reject" }.to_owned(),
            cancel: "Not now",
            back: "/approvals".to_owned(),
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
