//! What an approval takes: the rules, the groups that they name, and the terms.

use crate::{
    api::approvals::{CreateApproverGroup, DeleteApproverGroup, DropApprovalRule, SetApprovalRule, SetApprovalTerms, SetApprovers},
    ui::{
        Control, Tone, banner, field,
        form::{self, ActionForm, FormCall, fault_banner, refusal},
        number::counted,
        page::{card, locked},
        select, text, time,
    },
};
use leptos::prelude::*;
use wire::rollouts::{
    ApprovalRule, ApprovalsPage as Model, Approver, ApproverGroup, MAX_APPROVAL_DAYS, MAX_APPROVALS, MAX_REVIEW_HOURS, RuleRow, Share,
};

/// The calls behind the forms.
#[derive(Clone, Copy)]
pub struct Calls {
    /// Another rule.
    pub rule: FormCall<SetApprovalRule>,
    /// No rule.
    pub dropped: FormCall<DropApprovalRule>,
    /// A new group.
    pub group: FormCall<CreateApproverGroup>,
    /// Other members.
    pub members: FormCall<SetApprovers>,
    /// No group.
    pub gone: FormCall<DeleteApproverGroup>,
    /// Other terms.
    pub terms: FormCall<SetApprovalTerms>,
}

/// The three cards.
pub fn cards(model: &Model, calls: &Calls) -> AnyView {
    let calls = *calls;
    view! {
        <div class="grid approvals mt-4">
            {card("Who approves", None, rules(model, &calls))}
            {card("Groups of approvers", None, groups(model, &calls))}
            {card("For how long", None, terms(model, &calls))}
        </div>
    }
    .into_any()
}

fn admins_only() -> AnyView {
    locked("Changing that needs the role admin.")
}

fn name_of<'a>(model: &'a Model, group: &wire::ids::ApproverGroupId) -> &'a str {
    model.groups.iter().find(|g| g.id == *group).map_or("a group that is gone", |g| g.name.as_str())
}

/// `2 approvals, 1 of them by safety`.
fn words(model: &Model, rule: &ApprovalRule) -> String {
    let of: Vec<String> = rule.from.iter().map(|s| format!(", {} of them by {}", s.at_least, name_of(model, &s.group))).collect();
    format!("{}{}", counted(i64::from(rule.needed), "approval", "approvals"), of.concat())
}

fn rules(model: &Model, calls: &Calls) -> AnyView {
    let calls = *calls;
    let all = model.rules.iter().map(|row| rule(model, row, &calls)).collect_view();
    let change = if model.may_set_rules {
        let every = model.rules.first().map_or_else(|| ApprovalRule::plain(1), |r| r.rule.clone());
        view! {
            <details><summary>"Change the rule for every rollout"</summary>{rule_form(model, &every, false, &calls)}</details>
            <details><summary>"A rule for one device type"</summary>{rule_form(model, &ApprovalRule::plain(2), true, &calls)}</details>
        }
        .into_any()
    } else {
        admins_only()
    };
    let fault = move || fault_banner(refusal(calls.dropped).as_ref());
    view! { <div class="stack">{fault}{all}{change}</div> }.into_any()
}

fn rule(model: &Model, row: &RuleRow, calls: &Calls) -> AnyView {
    let calls = *calls;
    let of =
        if row.device_type.is_empty() { "Every rollout needs ".to_owned() } else { format!("Rollouts for {} also need ", row.device_type) };
    let sentence = format!("{of}{}, by people other than its author.", words(model, &row.rule));
    let weaker = row.weaker.as_ref().map(|w| {
        let what = w.rule.as_ref().map_or_else(|| "No rule of its own".to_owned(), |rule| words(model, rule));
        let text = view! { {format!("{what} from ")}{time::at(w.from)}"." }.into_any();
        let keep = model.may_set_rules.then(|| {
            let share = |s: &Share| view! { <input type="hidden" name="from[]" value=format!("{}={}", s.group, s.at_least)/> };
            let from = row.rule.from.iter().map(share).collect_view();
            let (device_type, needed) = (row.device_type.clone(), row.rule.needed.to_string());
            let label = format!("Keep {}", words(model, &row.rule));
            view! {
                <ActionForm action=calls.rule>
                    <input type="hidden" name="device_type" value=device_type/>
                    <input type="hidden" name="needed" value=needed/>
                    {from}
                    {form::submit(label, "", move || calls.rule.pending().get())}
                </ActionForm>
            }
        });
        view! { {banner(Tone::Hold, text)}{keep} }
    });
    let ends = (model.may_set_rules && !row.device_type.is_empty() && row.weaker.as_ref().is_none_or(|w| w.rule.is_some())).then(|| {
        let (device_type, label) = (row.device_type.clone(), format!("Drop the rule for {}", row.device_type));
        view! {
            <ActionForm action=calls.dropped>
                <input type="hidden" name="device_type" value=device_type/>
                {form::submit(label, "ghost", move || calls.dropped.pending().get())}
            </ActionForm>
        }
    });
    let short = row.unfulfillable.clone().map(|why| banner(Tone::Warn, why.into_any()));
    view! { <div class="stack"><p>{sentence}</p>{short}{weaker}{ends}</div> }.into_any()
}

fn rule_form(model: &Model, present: &ApprovalRule, of_type: bool, calls: &Calls) -> AnyView {
    let calls = *calls;
    let id = if of_type { "type" } else { "every" };
    let numbers = (1..=MAX_APPROVALS).map(|n| (n.to_string(), counted(i64::from(n), "approval", "approvals"))).collect();
    let shares = model
        .groups
        .iter()
        .map(|g| {
            let has = present.from.iter().find(|s| s.group == g.id).map_or(0, |s| s.at_least);
            let options = (0..=MAX_APPROVALS)
                .map(|n| (format!("{}={n}", g.id), if n == 0 { "anybody".to_owned() } else { format!("at least {n}") }))
                .collect();
            select("from[]", format!("From {}", g.name), options).id(format!("{id}-from-{}", g.id)).value(format!("{}={has}", g.id)).view()
        })
        .collect_view();
    let device_type = of_type.then(|| {
        text("device_type", "Device type")
            .id("rule-type")
            .required()
            .max_length(100)
            .placeholder("gateway")
            .hint("What the rule for every rollout asks for holds beside it.")
            .refused(calls.rule)
            .view()
    });
    let needed = select("needed", "Approvals a rollout needs", numbers)
        .id(if of_type { "quorum-type" } else { "quorum" })
        .value(present.needed.to_string())
        .hint("What is asked for more counts at once, what is asked for less a day later. Rollouts that wait keep theirs.")
        .refused(calls.rule)
        .view();
    view! {
        <ActionForm action=calls.rule>
            <div class="stack">
                {move || fault_banner(refusal(calls.rule).as_ref())}
                {device_type}
                {needed}
                {shares}
                <div class="row">{form::submit("Change", "", move || calls.rule.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn groups(model: &Model, calls: &Calls) -> AnyView {
    let calls = *calls;
    let none = model.groups.is_empty().then(|| {
        view! { <p class="text-2">"There is no group yet. A rule can ask that some approvals come from one, for example from safety."</p> }
    });
    let all = model.groups.iter().map(|g| group(model, g, &calls)).collect_view();
    let new = if model.may_set_rules {
        let people = choice(&model.approvers, |_| false);
        view! {
            <details>
                <summary>"New group"</summary>
                <ActionForm action=calls.group clears=true>
                    <div class="stack">
                        {move || fault_banner(refusal(calls.group).as_ref())}
                        {text("name", "Name").id("approvers-name").required().max_length(100).placeholder("safety").refused(calls.group).view()}
                        {people}
                        <div class="row">{form::submit("Make group", "", move || calls.group.pending().get())}</div>
                    </div>
                </ActionForm>
            </details>
        }
        .into_any()
    } else {
        admins_only()
    };
    let fault = move || view! { {fault_banner(refusal(calls.members).as_ref())}{fault_banner(refusal(calls.gone).as_ref())} };
    view! { <div class="stack">{fault}{none}{all}{new}</div> }.into_any()
}

/// Who can be chosen.
fn choice(approvers: &[Approver], chosen: impl Fn(&Approver) -> bool) -> AnyView {
    let all = approvers
        .iter()
        .map(|a| {
            let checked = chosen(a);
            view! { <label class="check"><input type="checkbox" name="members[]" value=a.user.to_string() checked=checked/>{a.name.clone()}</label> }
        })
        .collect_view();
    view! { <fieldset class="field"><legend>"Who is in it"</legend>{all}</fieldset> }.into_any()
}

fn group(model: &Model, g: &ApproverGroup, calls: &Calls) -> AnyView {
    let calls = *calls;
    let members = g
        .members
        .iter()
        .map(|m| {
            let note = if !m.approves {
                view! { " (not an admin, does not count)" }.into_any()
            } else if m.counts_from > model.at {
                view! { " (counts from "{time::at(m.counts_from)}")" }.into_any()
            } else {
                ().into_any()
            };
            view! { <li>{m.name.clone()}{note}</li> }
        })
        .collect_view();
    let nobody = g.members.is_empty().then(|| view! { <p class="text-2">"Nobody is in it."</p> });
    let change = model.may_set_rules.then(|| {
        let (id, delete_id) = (g.id.to_string(), g.id.to_string());
        let people = choice(&model.approvers, |a| g.members.iter().any(|m| m.user == a.user));
        let delete = if g.named {
            view! {
                <button type="button" class="btn" data-v="ghost" aria-disabled="true" aria-describedby=format!("named-{}", g.id)>"Delete group"</button>
                <span class="small text-2" id=format!("named-{}", g.id)>"A rule names it."</span>
            }
            .into_any()
        } else {
            view! {
                <ActionForm action=calls.gone>
                    <input type="hidden" name="id" value=delete_id/>
                    {form::submit("Delete group", "ghost", move || calls.gone.pending().get())}
                </ActionForm>
            }
            .into_any()
        };
        let hint = g.named.then(|| view! { <p class="small text-2">"A rule names it: who is new counts a day later, who is taken out no more at once."</p> });
        view! {
            <details>
                <summary>{format!("Change {}", g.name)}</summary>
                <ActionForm action=calls.members>
                    <input type="hidden" name="id" value=id/>
                    <div class="stack">
                        {people}
                        {hint}
                        <div class="row">{form::submit("Save", "", move || calls.members.pending().get())}</div>
                    </div>
                </ActionForm>
                <div class="row mt-2">{delete}</div>
            </details>
        }
    });
    view! { <div class="stack"><h3>{g.name.clone()}</h3>{nobody}<ul>{members}</ul>{change}</div> }.into_any()
}

fn days(n: u32, never: &str) -> String {
    if n == 0 { never.to_owned() } else { counted(i64::from(n), "day", "days") }
}

fn terms(model: &Model, calls: &Calls) -> AnyView {
    let calls = *calls;
    let t = &model.terms;
    let glass = match (t.break_glass, t.break_glass_from) {
        (true, _) => view! { "An admin may start a rollout in an emergency without its approvals." }.into_any(),
        (false, Some(from)) => {
            view! { "From "{time::at(from)}" on an admin may start a rollout in an emergency without its approvals." }.into_any()
        }
        (false, None) => view! { "Nobody may start a rollout without its approvals." }.into_any(),
    };
    let shown = view! {
        <dl class="kv">
            <dt>"A request is decided on for"</dt><dd>{days(t.request_days, "ever")}</dd>
            <dt>"An approval holds for"</dt><dd>{days(t.start_days, "ever")}</dd>
            <dt>"Break glass"</dt><dd>{glass}</dd>
            <dt>"It is reviewed within"</dt><dd>{counted(i64::from(t.review_hours), "hour", "hours")}</dd>
        </dl>
    };
    let change = if model.may_set_rules {
        let on = t.break_glass || t.break_glass_from.is_some();
        let number = |name: &'static str, label: &'static str, value: u32, least: i64, most: u32| {
            field(name, label, Control::Input("number"))
                .value(value.to_string())
                .bounds(least, i64::from(most))
                .required()
                .refused(calls.terms)
        };
        let request = number("request_days", "Days to decide", t.request_days, 0, MAX_APPROVAL_DAYS);
        let start = number("start_days", "Days to begin after the approval", t.start_days, 0, MAX_APPROVAL_DAYS);
        let review = number("review_hours", "Hours to review a broken glass", t.review_hours, 1, MAX_REVIEW_HOURS);
        let glass = field("break_glass", "Admins may break the glass", Control::Check)
            .value(if on { "true" } else { "" })
            .hint("Switching it on counts a day later and takes three admins; switching it off counts at once.");
        view! {
            <details>
                <summary>"Change"</summary>
                <ActionForm action=calls.terms>
                    <div class="stack">
                        {move || fault_banner(refusal(calls.terms).as_ref())}
                        {request.hint("Then it is a draft again. 0 is for ever.").view()}
                        {start.hint("Then it is a draft again. 0 is for ever.").view()}
                        {review.view()}
                        {glass.view()}
                        <div class="row">{form::submit("Save", "", move || calls.terms.pending().get())}</div>
                    </div>
                </ActionForm>
            </details>
        }
        .into_any()
    } else {
        admins_only()
    };
    view! { <div class="stack">{shown}{change}</div> }.into_any()
}
