//! Pure: a plan and its counts in sentences.

use crate::ui::{
    number::{bytes, counted, grouped, plain},
    status::Tone,
};
use std::fmt::Write as _;
use wire::{
    ids::Digest,
    rollouts::{
        CUSTOMER, Counts, Egress, Expected, GATEWAY, GateAction, GateSpec, MetricGate, Preview, Reach, ReleaseFit, RetryClass, RolloutSpec,
        SILENT_DAYS, SITE, Span, StageSpec, TooFew, Worse,
    },
    time::duration,
};

/// Counts as the parts of a bar.
pub fn parts(c: &Counts) -> Vec<(Tone, i64)> {
    vec![(Tone::Ok, c.succeeded), (Tone::Bad, c.errors()), (Tone::Info, c.updating), (Tone::Off, c.waiting + c.left_out)]
}

/// `588 of 600 done · 6 failed · 2 reverted`.
pub fn numbers(c: &Counts) -> String {
    let mut out = format!("{} of {} done", grouped(c.succeeded), grouped(c.total));
    for (n, word) in [
        (c.updating, "updating"),
        (c.failed, "failed"),
        (c.reverted, "reverted"),
        (c.timed_out, "timed out"),
        (c.rejected, "rejected"),
        (c.left_out, "left out"),
    ] {
        if n > 0 {
            out.extend([" · ", &grouped(n), " ", word]);
        }
    }
    out
}

/// What somebody approves, with the numbers of the dry run that they see beside it.
pub fn approval(spec: &RolloutSpec, version: &str, digest: &Digest, dry_run: Option<&Preview>) -> String {
    let stages = counted(i64::try_from(spec.stages.len()).unwrap_or(0), "stage", "stages");
    let reach = dry_run.map_or_else(
        || format!("in {stages}"),
        |p| format!("for {} in {stages}, {} to download in all", counted(p.total, "device", "devices"), bytes(p.bytes)),
    );
    let starts = spec.start_at.map_or_else(|| "It starts at once.".to_owned(), |at| format!("It starts at {}.", at.readable()));
    let digest = digest.short();
    format!("You approve exactly this plan: firmware {version} {reach}, digest {digest}. {starts} Any edit voids your approval.")
}

/// How far a stage reaches: `up to 10 %`, `up to 5 devices`, `those that match tag:lab`.
pub fn reach(reach: &Reach) -> String {
    match reach {
        Reach::Matching(own) => format!("those that match {own}"),
        Reach::Percent(p) if *p >= 100.0 => "all devices".to_owned(),
        Reach::Percent(p) => format!("up to {} %", plain(*p)),
        Reach::Count(n) => format!("up to {}", counted(i64::from(*n), "device", "devices")),
    }
}

/// What happens after a stage, in a line.
pub fn then(stage: &StageSpec, last: bool) -> String {
    let soak = (stage.soak_s > 0).then(|| format!("watch for {}", duration(i64::from(stage.soak_s) * 1000)));
    let next = match (last, stage.confirm) {
        (true, _) => "end",
        (false, true) => "wait for a person",
        (false, false) => "go on",
    };
    soak.map_or_else(|| next.to_owned(), |soak| format!("{soak}, then {next}"))
}

/// What a gate wants, in a line.
pub fn gate(g: &GateSpec) -> String {
    let cap = if g.max_errors > 0 { format!(", or at {}", counted(i64::from(g.max_errors), "error", "errors")) } else { String::new() };
    let mut own = String::new();
    for (most, what) in [
        (g.max_failed, "could not install"),
        (g.max_reverted, "went back"),
        (g.max_timed_out, "fell silent"),
        (g.max_rejected, "refused"),
        (g.max_dark, "went dark"),
    ] {
        if let Some(most) = most {
            let _ = write!(own, "; halts when more than {} {what}", counted(i64::from(most), "device", "devices"));
        }
    }
    for metric in &g.metrics {
        let _ = write!(own, "; {}", metric_words(metric));
    }
    let acts =
        if g.action == GateAction::Halt { String::new() } else { format!("; when it says no, it {}", acts(g.action).to_lowercase()) };
    format!(
        "passes at {} % success; halts above {} % errors once {} finished{cap}{own}{acts}",
        plain(g.success_percent),
        plain(g.error_percent),
        if g.min_sample == 1 { "1 device has".to_owned() } else { format!("{} devices have", g.min_sample) },
    )
}

/// What is compared of a metric, in a line.
fn metric_words(m: &MetricGate) -> String {
    let worse = if m.worse == Worse::Higher { "higher" } else { "lower" };
    let shift = m.min_shift.map_or_else(String::new, |s| format!(" and is shifted by {} or more", plain(s)));
    let few = if m.too_few == TooFew::Ask { "waits for a person" } else { "goes on" };
    format!(
        "compares {} while it is watched: says no when an updated device has a {worse} one with {} % probability or more{shift}, {} % sure, from {} devices of each group on, and {few} when there are fewer",
        m.metric,
        plain(m.effect_percent),
        plain(m.confidence_percent),
        m.min_devices,
    )
}

/// What a gate does when it says no.
pub const fn acts(action: GateAction) -> &'static str {
    match action {
        GateAction::Halt => "Halts",
        GateAction::Pause => "Pauses",
        GateAction::RollBack => "Rolls back",
    }
}

/// What is tried again by itself and what comes first, as term and words; nothing where the plan says nothing of it.
pub fn again(spec: &RolloutSpec) -> Vec<(&'static str, String)> {
    let end = |class: &RetryClass| match class {
        RetryClass::Failed => "could not install it",
        RetryClass::TimedOut => "fell silent",
        RetryClass::Reverted => "went back",
        RetryClass::Rejected => "refused it",
    };
    let retry = spec.retry.as_ref().map(|r| {
        let ends = r.classes.iter().map(end).collect::<Vec<_>>().join(" or ");
        let wait = duration(i64::from(r.wait_min) * 60_000);
        (
            "Tried again",
            format!(
                "up to {} by devices that {ends}; first after {wait}, then twice as long each time",
                counted(i64::from(r.times), "time", "times")
            ),
        )
    });
    let priority = (spec.priority > 0).then(|| ("Priority", spec.priority.to_string()));
    let whole = spec.gate.as_ref().map(|g| ("Gate of the whole", gate(g)));
    let steps: Vec<String> =
        spec.steps.each().into_iter().filter_map(|(step, minutes)| Some(format!("{step} within {} min", minutes?))).collect();
    let steps = (!steps.is_empty()).then(|| ("Steps", steps.join(", ")));
    retry.into_iter().chain(priority).chain(whole).chain(steps).collect()
}

/// A span that is not certain: `12 min, 40 min when it is slow`.
pub fn span(span: Span) -> String {
    let (usual, slow) = (duration(span.usual_ms), duration(span.slow_ms));
    if usual == slow { usual } else { format!("{usual}, {slow} when it is slow") }
}

/// How much of an expected span limits of bandwidth add; none where they add nothing.
pub fn held(expected: &Expected) -> Option<String> {
    (expected.held_ms > 0).then(|| format!("{} or more of it by limits of bandwidth", duration(expected.held_ms)))
}

/// How many bytes a second leave at most, in sentences.
pub fn egress(e: &Egress) -> Vec<String> {
    let beside =
        if e.together == 1 { "one device at a time".to_owned() } else { format!("up to {} devices side by side", grouped(e.together)) };
    let peak = match e.peak {
        Some(peak) => format!("At most {} a second from each server, to {beside}", bytes(peak)),
        None => format!("As fast as the lines are, to {beside}: no limit of bandwidth holds all of it"),
    };
    let paced = e.paced.map(|paced| format!("On average at most {} a second are asked for, by the plan's rate", bytes(paced)));
    let least = (e.least_ms > 0).then(|| format!("The downloads alone take {} or more by the limits", duration(e.least_ms)));
    [Some(peak), paced, least].into_iter().flatten().collect()
}

/// Devices that get it later, and those that get nothing after it for a while, in lines.
pub fn by_budget(p: &Preview) -> Vec<String> {
    let late = p.put_off.iter().map(|late| format!("{} it later: {}", counted(late.devices, "device gets", "devices get"), late.reason));
    let reach = (p.reach_budget > 0).then(|| {
        let gets = if p.reach_budget == 1 { "gets" } else { "get" };
        format!(
            "{} at the data budget with it, and {gets} nothing after it for a while",
            counted(p.reach_budget, "device is", "devices are")
        )
    });
    let until = p.put_off_until.map(|at| format!("The last of those that get it later is below its budget from {} on", at.readable()));
    late.chain(until).chain(reach).collect()
}

/// Whom an expected span leaves out, because their data budget puts them off; none when it is nobody.
pub fn waited_for(p: &Preview) -> Option<String> {
    let devices = p.put_off.iter().map(|late| late.devices).sum::<i64>();
    let until = p.put_off_until?;
    Some(format!(
        "Without {}: their data budgets put them off until {} at the latest",
        counted(devices, "device", "devices"),
        until.readable()
    ))
}

/// How many of a plan's devices run something newer than its release, with the version that most of them have: `2 of 40 devices run something newer`.
pub fn run_newer(fit: &ReleaseFit) -> String {
    let most = fit.newer_version.as_ref().map_or_else(String::new, |version| format!(", most of them {version}"));
    let runs = if fit.newer == 1 { "runs" } else { "run" };
    format!("{} of {} {runs} something newer{most}", grouped(fit.newer), counted(fit.meant, "device", "devices"))
}

/// What of a plan's devices is worth a second look, as term and words: who is silent, and who runs something newer.
pub fn beside(p: &Preview) -> Vec<(&'static str, String)> {
    let silent = (p.silent > 0).then(|| {
        let (is, was, gets) =
            if p.silent == 1 { ("is", "was", "it gets it when it is back") } else { ("are", "were", "they get it when they are back") };
        let devices = counted(p.silent, "device", "devices");
        ("Silent", format!("{devices} {is} not connected and {was} not heard of in the last {SILENT_DAYS} days: {gets}"))
    });
    let newer = p.fit.as_ref().filter(|fit| fit.newer > 0).map(|fit| ("Run newer", run_newer(fit)));
    silent.into_iter().chain(newer).collect()
}

/// What an expected span rests on and leaves out.
pub fn rests_on(expected: &Expected) -> String {
    format!(
        "As the last {} of this type went, with its soaks. It assumes that everybody is online, and leaves out the time people take, what other rollouts update meanwhile, and what else is sent.",
        counted(expected.updates, "update", "updates")
    )
}

/// How many devices may update at the same time, and how many bytes that may take, as term and words; nothing where the plan has no such limits.
pub fn limits(spec: &RolloutSpec) -> Vec<(&'static str, String)> {
    let devices = |n: u32| counted(i64::from(n), "device", "devices");
    let at_once = spec.at_once.map(|n| ("At once", format!("at most {}", devices(n))));
    let budget = spec.budget.as_ref().map(|b| ("Budget", super::order::budget_words(b)));
    let asked = spec.confirm_at_device.then(|| ("At the device", "somebody confirms each update".to_owned()));
    let bandwidth = spec.bandwidth.map(|n| ("Bandwidth", format!("at most {} a second", bytes(i64::try_from(n).unwrap_or(i64::MAX)))));
    let data = spec.ignore_data_budget.then(|| ("Data budget", "devices get it over their budgets too".to_owned()));
    at_once.into_iter().chain(budget).chain(super::order::arranged(spec)).chain(asked).chain(bandwidth).chain(data).collect()
}

/// When a plan starts.
pub fn starts(spec: &RolloutSpec) -> String {
    spec.start_at.map_or_else(|| "as soon as it is approved".to_owned(), |at| format!("not before {}", at.readable()))
}

/// Over how many values of an attribute devices are spread; nothing where they have none of it.
fn across(attribute: &str, values: i64) -> String {
    match attribute {
        _ if values == 0 => String::new(),
        SITE => format!(" in {}", counted(values, "site", "sites")),
        GATEWAY => format!(" behind {}", counted(values, "gateway", "gateways")),
        CUSTOMER => format!(" of {}", counted(values, "customer", "customers")),
        other => format!(" with {} of {other}", counted(values, "value", "values")),
    }
}

/// The plan in one sentence, with what it would do as of now.
pub fn sentence(spec: &RolloutSpec, version: &str, now: Option<&Preview>) -> String {
    let stages = counted(i64::try_from(spec.stages.len()).unwrap_or(i64::MAX), "stage", "stages");
    let devices = counted(now.map_or(0, |p| p.total), "device", "devices");
    let first = now.and_then(|p| p.stages.first());
    let spread = now.and_then(|p| Some(across(p.spread_over.as_deref()?, first?.values?))).unwrap_or_default();
    let begins = match spec.stages.first() {
        Some(stage) if spec.stages.len() > 1 => {
            format!(" {} goes first with {}{spread}.", stage.name, counted(first.map_or(0, |s| s.devices), "device", "devices"))
        }
        _ => String::new(),
    };
    let starts =
        spec.start_at.map_or_else(|| " It starts as soon as it is approved.".to_owned(), |at| format!(" It starts at {}.", at.readable()));
    format!("Send {version} to {devices} in {stages}.{begins}{starts}{}", super::when::sentences(spec))
}

#[cfg(test)]
mod tests;
