//! Evidence beside counts: the wizard's inputs for metrics, for the gate of the whole rollout and for the time of each step, and what the looks at metrics found.

use super::{
    back::action_field,
    brief,
    cells::{fault_of, message_of},
    folds::{Typed, settings},
    lately,
};
use crate::{
    plan::{MetricDraft, StageDraft, StepsDraft},
    ui::{Tone, badge, card, dot, select, text, time},
};
use leptos::prelude::*;
use wire::{
    rollouts::{Call, Compared, Finding, PastUpdates, Problem, RolloutDetail, StageView, Worse, figure, probability},
    telemetry::KnownMetric,
};

/// The metrics that the gate of a stage compares: those of the plan, and an empty row for one more in each stage but the last.
pub(super) fn metrics(index: usize, stage: &StageDraft, last: bool, problems: &[Problem]) -> AnyView {
    let empty = MetricDraft::empty();
    let named = stage.metrics.iter().filter(|m| !m.metric.trim().is_empty());
    let rows: Vec<_> = named.chain((!last).then_some(&empty)).enumerate().collect();
    let wrong = message_of(problems, &format!("stages.{index}.gate.metrics")).map(|text| view! { <p class="cell-err">{text}</p> });
    if rows.is_empty() {
        return wrong.into_any();
    }
    let fields = rows.into_iter().map(|(k, metric)| metric_fields(index, k, metric, problems)).collect_view();
    view! { {wrong}{fields} }.into_any()
}

/// How a gate compares metrics.
pub(super) const ABOUT_METRICS: &str = "Metrics: while a stage is watched, its updated devices are compared with devices that have not been updated yet and are connected, at four looks, at the quarters of the watch (10 minutes at least). Each device counts with the mean of its samples since the watch began; of more than 2,000 devices the same 2,000 each time. The gate says no when the difference is beyond chance at the confidence, which all looks share, and at least as large as matters: the effect is how likely an updated device fares worse (50 % is no difference), the shift is in the metric's unit and may be empty. A row without a metric counts for nothing; preview for another row. The last stage leaves nobody to compare with.";

/// The id of the list of metrics that devices report.
const KNOWN: &str = "known-metrics";
/// Metrics that are named beside a selector.
const NAMED: usize = 20;

/// What the inputs of metrics suggest: what devices report, with a value that one of them sent last.
pub(super) fn suggestions(known: &[KnownMetric]) -> AnyView {
    let option = |m: &KnownMetric| {
        let seen = m.last.map(|(_, value)| format!("last seen: {}", figure(value)));
        view! { <option value=m.name.clone()>{seen}</option> }
    };
    view! { <datalist id=KNOWN>{known.iter().map(option).collect_view()}</datalist> }.into_any()
}

/// The metrics that a selector may ask for, as it asks for them; nothing where devices report none.
pub(super) fn known(metrics: &[KnownMetric]) -> AnyView {
    if metrics.is_empty() {
        return ().into_any();
    }
    let said = |m: &KnownMetric| match m.last {
        Some((_, value)) => format!("metric.{} ({})", m.name, figure(value)),
        None => format!("metric.{}", m.name),
    };
    let named: Vec<_> = metrics.iter().take(NAMED).map(said).collect();
    let more = metrics.len() - named.len();
    let more = (more > 0).then(|| format!(" and {more} more"));
    view! { <p class="small text-2 mt-2">"Devices report, with a value that one of them sent last: "<span class="mono">{named.join(", ")}</span>{more}"."</p> }
        .into_any()
}

/// Which metric it is, and how it is compared.
fn metric_fields(i: usize, k: usize, metric: &MetricDraft, problems: &[Problem]) -> AnyView {
    let name = |field: &str| format!("stages.{i}.gate.metrics.{k}.{field}");
    let of = format!("stage {}, metric {}", i + 1, k + 1);
    let input = |field: &str, label: &str, value: &str, hint: &str| {
        let name = name(field);
        text(&name, label).of(of.as_str()).value(value.to_owned()).autocomplete("off").hint(hint).fault(fault_of(problems, &name).as_ref())
    };
    let choice = |field: &str, label: &str, value: &str, words: [(&str, &str); 2]| {
        let options = words.into_iter().map(|(word, said)| (word.to_owned(), said.to_owned())).collect();
        select(name(field), label, options).of(of.as_str()).value(value.to_owned()).view()
    };
    view! {
        <h4 class="mt-4">{format!("Metric {}", k + 1)}</h4>
        <div class="grid mt-2">
            {input("metric", "Metric", &metric.metric, "Empty: nothing is compared.").list(KNOWN).view()}
            {choice("worse", "Which way is worse", &metric.worse, [("higher", "Higher"), ("lower", "Lower")])}
            {input("min_devices", "Devices of each group", &metric.devices, "At least so many updated ones, and so many others.").view()}
            {choice("too_few", "When there are too few", &metric.too_few, [("ask", "Wait for a person"), ("pass", "Go on")])}
            {input("effect_percent", "Smallest effect", &metric.effect, "In %: how likely an updated device fares worse. 50 is no difference.").view()}
            {input("min_shift", "Smallest shift", &metric.shift, "In the metric's unit. Empty: any.").view()}
            {input("confidence_percent", "Confidence", &metric.confidence, "In %, of all four looks together.").view()}
        </div>
    }
    .into_any()
}

/// The gate of the whole rollout.
pub(super) fn whole(typed: Typed<'_>, past: Option<&PastUpdates>) -> AnyView {
    let (of, problems) = (&typed.0.draft.whole, typed.1);
    let input = |field: &str, label: &str, value: &str, hint: &'static str| {
        let (name, hint) = (format!("gate.{field}"), lately::beside(hint, past, field));
        text(&name, label).value(value.to_owned()).autocomplete("off").hint(hint).fault(fault_of(problems, &name).as_ref()).view()
    };
    let body = view! {
        <div class="grid">
            {input("success_percent", "Needs, % success", &of.success, "Asked whenever a stage has ended.")}
            {input("error_percent", "Says no above, % errors", &of.error, "As soon as it is exceeded.")}
            {input("min_sample", "Judged from, finished devices", &of.sample, "With fewer it says nothing.")}
            {input("max_errors", "Says no at, errors", &of.max_errors, "Whatever the rates; 0 or empty is no such limit.")}
            {input("max_failed", "May fail to install", &of.max_failed, "Empty: no limit of its own.")}
            {input("max_reverted", "May go back", &of.max_reverted, "Empty: no limit of its own.")}
            {input("max_timed_out", "May fall silent", &of.max_timed_out, "Empty: no limit of its own.")}
            {input("max_rejected", "May refuse", &of.max_rejected, "Empty: no limit of its own.")}
            {input("max_dark", "May go dark", &of.max_dark, "Counted at the end of each watch of 30 minutes or more.")}
            {action_field("gate.action".to_owned(), "When the gate of the whole rollout says no".to_owned(), of, problems)}
        </div>
        <p class="small text-2 mt-2">"Over all devices that have finished so far, in whatever stage. Leave the numbers empty for no gate of the whole."</p>
    };
    settings("Gate of the whole rollout", brief::whole, &["gate"], typed, body.into_any())
}

/// How long an update may be in one step.
pub(super) fn step_fields(of: &StepsDraft, problems: &[Problem]) -> AnyView {
    let input = |step: &str, label: &str, value: &str, hint: &'static str| {
        let name = format!("steps.{step}_min");
        text(&name, label).value(value.to_owned()).autocomplete("off").hint(hint).fault(fault_of(problems, &name).as_ref()).view()
    };
    view! {
        <div class="grid mt-4">
            {input("downloading", "Downloading within (minutes)", &of.downloading, "Also while it waits for its turns. Empty: no limit of its own.")}
            {input("installing", "Installing within (minutes)", &of.installing, "However often the device reports.")}
            {input("rebooting", "Restarting within (minutes)", &of.rebooting, "A device that is not back by then has timed out.")}
            {input("verifying", "Verifying within (minutes)", &of.verifying, "From its first word after the restart.")}
        </div>
    }
    .into_any()
}

/// What the looks at a stage's metrics found: the latest of each metric, and the earlier ones a press away.
pub(super) fn findings(s: &StageView) -> AnyView {
    if s.spec.gate.metrics.is_empty() {
        return ().into_any();
    }
    let mut latest: Vec<&Finding> = Vec::new();
    let mut earlier: Vec<&Finding> = Vec::new();
    for f in s.findings.iter().rev() {
        let known = latest.iter().any(|l| l.metric == f.metric && l.worse == f.worse);
        if known { earlier.push(f) } else { latest.push(f) }
    }
    latest.reverse();
    let body = if latest.is_empty() {
        view! { <p class="text-2 small">"Metrics are compared while the stage is watched. There was no look yet."</p> }.into_any()
    } else {
        let more = (!earlier.is_empty()).then(|| {
            let lines = earlier
                .into_iter()
                .map(|f| view! { <li>{badge(tone(f), word(f))}<div>{f.text.clone()}</div>{time::ago(f.at)}</li> })
                .collect_view();
            view! { <details><summary>"Earlier looks"</summary><ol class="timeline">{lines}</ol></details> }
        });
        view! { {latest.into_iter().map(finding).collect_view()}{more} }.into_any()
    };
    view! { <div class="mt-4">{card(format!("Metrics of stage {}, {}", s.number, s.spec.name), None, body)}</div> }.into_any()
}

fn tone(f: &Finding) -> Tone {
    match (f.call, f.seen) {
        (Call::Halt, false) => Tone::Bad,
        (Call::Halt, true) | (Call::Wait, _) => Tone::Hold,
        (Call::Pass, _) => Tone::Ok,
    }
}

fn word(f: &Finding) -> &'static str {
    match (f.call, f.seen) {
        (Call::Halt, false) => "Worse",
        (Call::Halt, true) => "Worse, a person went on",
        (Call::Wait, _) => "Not enough to compare",
        (Call::Pass, _) => "Nothing that matters",
    }
}

/// A look at one metric, with the numbers it saw.
fn finding(f: &Finding) -> AnyView {
    let direction = if f.worse == Worse::Higher { "higher is worse" } else { "lower is worse" };
    let sampled = f.sampled.then_some(" The groups are larger; the same part of each is compared every time.");
    let numbers = f.compared.as_ref().map(numbers);
    view! {
        <div class="stack">
            <p><b class="mono">{f.metric.clone()}</b>{format!(" ({direction}) ")}{badge(tone(f), word(f))}<span class="text-2 small">{format!(" look {} of {}, ", f.look, f.looks)}{time::ago(f.at)}</span></p>
            <dl class="kv">
                <dt>"Devices"</dt><dd>{format!("{} updated, {} not updated; {} each are needed.", f.updated, f.control, f.needed)}{sampled}</dd>
                {numbers}
            </dl>
        </div>
    }
    .into_any()
}

fn numbers(c: &Compared) -> AnyView {
    let sure = figure(c.confidence_percent);
    let how = if c.exact { "every division of the devices counted" } else { "by the normal distribution, corrected for ties" };
    view! {
        <dt>"Medians"</dt><dd>{format!("{} updated, {} not updated", figure(c.updated_median), figure(c.control_median))}</dd>
        <dt>"Effect"</dt><dd>{format!("an updated device fares worse with {} % probability ({sure} % interval {} to {} %)", figure(c.effect_percent), figure(c.effect_low), figure(c.effect_high))}</dd>
        <dt>"Shift"</dt><dd>{format!("{} ({sure} % interval {} to {})", figure(c.shift), figure(c.shift_low), figure(c.shift_high))}</dd>
        <dt>"Chance"</dt><dd>{format!("p {}, this look needed {}; Mann–Whitney, one-sided, {how}", probability(c.p), probability(c.level))}</dd>
    }
    .into_any()
}

/// What the gate of the whole rollout says; nothing where the plan has none.
pub(super) fn whole_card(r: &RolloutDetail) -> AnyView {
    let (Some(_), Some(v)) = (&r.spec.gate, &r.verdict) else { return ().into_any() };
    let call = match v.call {
        Call::Wait => Tone::Off,
        Call::Pass => Tone::Ok,
        Call::Halt => Tone::Bad,
    };
    let gate = r.spec.gate.as_ref().map(super::phrases::gate);
    let body = view! { <p class="verdict small">{dot(call)}<span>{v.text.clone()}</span></p>{super::course::as_of(v)}<p class="small text-2 mt-2">{gate}</p> };
    view! { <div class="mt-4">{card("Gate of the whole rollout", None, body.into_any())}</div> }.into_any()
}
