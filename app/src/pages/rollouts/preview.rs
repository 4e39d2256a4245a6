//! What a plan would do as of now: who is in which stage, who is left out and why, and what is wrong with it.

use super::{phrases, steps::Step, when};
use crate::ui::{
    Column, Tone, banner, card, icon,
    number::{bytes, counted, grouped, percent},
    table, time,
    waffle::waffle,
};
use leptos::prelude::*;
use wire::{
    change::FieldChange,
    rollouts::{PlanChanges, Preview, Problem, RolloutSpec},
};

/// Device ids of the first stage that are named; the others are a number.
const NAMED: usize = 12;

/// The box beside a step. `problems` were found before the core was asked; `link` leads to a step with the plan as it is.
pub fn pane(preview: Option<&Preview>, problems: &[Problem], link: impl Fn(Step) -> String) -> AnyView {
    let title = preview.map_or_else(|| "Preview".to_owned(), |p| format!("Preview, {}", counted(p.total, "device", "devices")));
    let wrong: Vec<&Problem> = problems.iter().chain(preview.iter().flat_map(|p| &p.problems)).collect();
    let list = (!wrong.is_empty()).then(|| {
        let items = wrong
            .into_iter()
            .map(|p| {
                let step = Step::of_field(&p.field);
                view! { <li>{icon("circle-alert")}<span>{p.message.clone()}" "<a href=link(step)>{step.label()}</a></span></li> }
            })
            .collect_view();
        view! { <ul class="problems">{items}</ul> }
    });
    let body = match preview {
        Some(p) => figures(p, "this plan"),
        None => view! { <p class="text-2">"It appears as soon as the plan can be read."</p> }.into_any(),
    };
    view! {
        <section class="card preview" aria-live="polite">
            <header><h2>{title}</h2></header>
            <div class="body stack">{list}{body}</div>
        </section>
    }
    .into_any()
}

/// The stages of a plan as rows of a list, and what limits them; a gate that all of them share is said once.
pub fn stage_lines(spec: &RolloutSpec) -> AnyView {
    let (first, last) = (spec.stages.first().map(|s| &s.gate), spec.stages.len());
    let same = spec.stages.iter().all(|s| Some(&s.gate) == first);
    let rows = spec
        .stages
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let gate = (!same).then(|| view! { <div class="small text-2">{phrases::gate(&s.gate)}</div> });
            view! { <dt>{format!("{} {}", i + 1, s.name)}</dt><dd>{phrases::reach(&s.reach)}"; "{phrases::then(s, i + 1 == last)}{gate}</dd> }
        })
        .collect_view();
    let shared = first.filter(|_| same).map(|g| view! { <dt>"Every gate"</dt><dd>{phrases::gate(g)}</dd> });
    let limits = phrases::limits(spec)
        .into_iter()
        .chain(when::terms(spec))
        .chain(phrases::again(spec))
        .map(|(term, words)| view! { <dt>{term}</dt><dd>{words}</dd> })
        .collect_view();
    view! { {rows}{shared}{limits} }.into_any()
}

/// What differs between a plan and the one that was approved last, field by field.
pub fn changes(c: &PlanChanges) -> AnyView {
    let Some(since) = &c.since else {
        return view! { <p class="text-2">"The first plan for this device type: there is none that was approved before to compare it with."</p> }.into_any();
    };
    let said = if c.lines.is_empty() { "The same plan as " } else { "Otherwise than in " };
    let line = |c: &FieldChange| {
        let before = c.before.clone().map(|text| view! { <del>{text}</del> });
        let after = c.after.clone().map(|text| view! { <ins>{text}</ins> });
        let arrow = (before.is_some() && after.is_some()).then_some(" → ");
        view! { <dt>{c.what.clone()}</dt><dd>{before}{arrow}{after}</dd> }
    };
    view! {
        <section class="changes stack">
            <p>{said}<a href=format!("/rollouts/{}", since.rollout)>{since.name.clone()}</a>{format!(" ({}), approved by {} ", since.version, since.approved_by)}{time::ago(since.approved_at)}</p>
            <dl class="kv">{c.lines.iter().map(line).collect_view()}</dl>
        </section>
    }
    .into_any()
}

/// How long it is likely to take, and what that rests on; nothing while what it rests on is refused.
fn takes(p: &Preview) -> Option<AnyView> {
    (p.total > 0 && (p.expected.is_some() || p.problems.is_empty())).then(|| {
        let said = match &p.expected {
            None => view! { "no history yet: no rollout has updated a device of this type" }.into_any(),
            Some(e) => {
                let until = e.until.map(|at| view! { <div>{format!("Usually over by {}", at.readable())}</div> });
                let decides = e.decides.as_ref().map(|d| view! { <div>{d.sentence(p.stages.len())}</div> });
                let held = phrases::held(e).map(|text| view! { <div>{text}</div> });
                let late = phrases::waited_for(p).map(|text| view! { <div>{text}</div> });
                view! { {phrases::span(e.whole)}{decides}{late}{held}{until}<div class="small text-2">{phrases::rests_on(e)}</div> }
                    .into_any()
            }
        };
        view! { <dt>"Takes about"</dt><dd>{said}</dd> }.into_any()
    })
}

/// What a plan that waits for approval would do: the card that its approver reads before they sign.
pub fn dry_run(p: &Preview) -> AnyView {
    card("What it would do, as of now", None, view! { <div class="stack">{figures(p, "the plan")}</div> }.into_any())
}

/// The stages as a table, a press away: what the squares show, for who would rather read it.
fn as_table(p: &Preview, of: &str) -> Option<AnyView> {
    (p.total > 0).then(|| {
        let spread = p.spread_over.is_some();
        let rows = p
            .stages
            .iter()
            .enumerate()
            .map(|(i, s)| {
                let takes = p.expected.as_ref().and_then(|e| e.stages.get(i)).map_or_else(|| "–".to_owned(), |took| phrases::span(*took));
                let values = spread.then(|| view! { <td class="num">{s.values.map_or_else(|| "–".to_owned(), grouped)}</td> });
                view! {
                    <tr>
                        <th scope="row">{format!("{} {}", i + 1, s.name)}</th>
                        <td class="num">{grouped(s.devices)}</td>
                        <td class="num">{percent(s.devices, p.total)}</td>
                        {values}
                        <td class="num">{bytes(s.bytes)}</td>
                        <td>{takes}</td>
                    </tr>
                }
            })
            .collect_view();
        let values = spread.then_some(Column::number("Spread over"));
        let head = [Column::text("Stage"), Column::number("Devices"), Column::number("Share")];
        let columns = head.into_iter().chain(values).chain([Column::number("Download"), Column::text("Takes about")]).collect();
        view! { <details><summary>"As a table"</summary>{table(format!("Stages of {of}"), columns, rows.into_any())}</details> }.into_any()
    })
}

/// The figures alone: also on an approval's card. `of` names the plan to whoever hears its table.
pub fn figures(p: &Preview, of: &str) -> AnyView {
    let parts: Vec<_> = p.stages.iter().map(|s| (s.name.clone(), s.devices)).collect();
    let none = (p.total == 0).then(|| view! { <p class="text-2">"Nobody would get it as of now."</p> });
    let warned = p.warnings.iter().map(|text| banner(Tone::Warn, text.clone().into_any())).collect_view();
    let excluded = (!p.excluded.is_empty()).then(|| {
        let reasons = p.excluded.iter().map(|e| view! { <div>{grouped(e.devices)}" "{e.reason.clone()}</div> }).collect_view();
        view! { <dt>"Not included"</dt><dd>{reasons}</dd> }
    });
    let first = p.stages.first().filter(|s| !s.sample.is_empty()).map(|s| {
        let names: Vec<_> = s.sample.iter().take(NAMED).map(ToString::to_string).collect();
        let more = s.devices - i64::try_from(names.len()).unwrap_or(0);
        let more = (more > 0).then(|| format!(" and {} more", grouped(more)));
        view! { <dt>"First"</dt><dd><span class="mono">{names.join(" ")}</span>{more}</dd> }
    });
    let download = (p.total > 0).then(|| {
        view! { <dt>"Download"</dt><dd>{format!("{} in all, {} a device", bytes(p.bytes), bytes(p.bytes / p.total.max(1)))}</dd> }
    });
    let lines = |lines: Vec<String>| lines.into_iter().map(|line| view! { <div>{line}</div> }).collect_view();
    let budgets = Some(phrases::by_budget(p)).filter(|said| !said.is_empty());
    let budgets = budgets.map(|said| view! { <dt>"Data budgets"</dt><dd>{lines(said)}</dd> });
    let sends = p.egress.as_ref().map(|e| view! { <dt>"Sends"</dt><dd>{lines(phrases::egress(e))}</dd> });
    let beside = phrases::beside(p).into_iter().map(|(term, words)| view! { <dt>{term}</dt><dd>{words}</dd> }).collect_view();
    view! {
        {waffle(&parts, "devices")}
        {none}
        {warned}
        {as_table(p, of)}
        <dl class="kv">{first}{excluded}{beside}{download}{budgets}{sends}{takes(p)}{p.times.as_ref().map(when::falls)}</dl>
    }
    .into_any()
}
