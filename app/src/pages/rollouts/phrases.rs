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
mod tests {
    use super::*;
    use wire::rollouts::{Budget, Excluded, PreviewStage};

    #[test]
    fn counts_read_like_speech() {
        let c = Counts { total: 3000, succeeded: 618, failed: 6, waiting: 2376, ..Counts::default() };
        assert_eq!(numbers(&c), "618 of 3,000 done · 6 failed");
        assert_eq!(reach(&Reach::Percent(2.5)), "up to 2.5 %");
        assert_eq!(reach(&Reach::Count(1)), "up to 1 device");
    }

    #[test]
    fn a_span_says_how_sure_it_is() {
        let whole = Span { usual_ms: 720_000, slow_ms: 2_400_000 };
        assert_eq!(span(whole), "12 min, 40 min when it is slow");
        assert_eq!(span(Span { slow_ms: 720_000, ..whole }), "12 min");
        let expected = Expected { updates: 1, whole, stages: vec![whole], until: None, held_ms: 0, decides: None };
        assert!(rests_on(&expected).starts_with("As the last 1 update of this type went"));
    }

    #[test]
    fn bytes_and_budgets_read_like_speech() {
        let held = |held_ms| {
            let whole = Span { usual_ms: 900_000, slow_ms: 900_000 };
            super::held(&Expected { updates: 1, whole, stages: vec![whole], until: None, held_ms, decides: None })
        };
        assert_eq!((held(0), held(600_000).as_deref()), (None, Some("10 min or more of it by limits of bandwidth")));
        let free = Egress { peak: None, together: 20, paced: None, least_ms: 0 };
        assert_eq!(egress(&free), ["As fast as the lines are, to up to 20 devices side by side: no limit of bandwidth holds all of it"]);
        assert_eq!(
            egress(&Egress { peak: Some(1 << 21), together: 1, paced: Some(2048), least_ms: 600_000 }),
            [
                "At most 2.0 MiB a second from each server, to one device at a time",
                "On average at most 2.0 KiB a second are asked for, by the plan's rate",
                "The downloads alone take 10 min or more by the limits",
            ]
        );
        let late = Excluded { reason: "has used up its data budget of 2 MB in 30 days".into(), devices: 1 };
        let until = Some(wire::Timestamp(1_795_341_432_000));
        let preview = Preview { put_off: vec![late], put_off_until: until, reach_budget: 2, ..Preview::default() };
        assert_eq!(
            waited_for(&preview).as_deref(),
            Some("Without 1 device: their data budgets put them off until 22 Nov 2026 09:57 UTC at the latest")
        );
        assert_eq!(waited_for(&Preview::default()), None);
        let budgets = by_budget(&preview);
        assert_eq!(
            budgets,
            [
                "1 device gets it later: has used up its data budget of 2 MB in 30 days",
                "The last of those that get it later is below its budget from 22 Nov 2026 09:57 UTC on",
                "2 devices are at the data budget with it, and get nothing after it for a while",
            ]
        );
        assert_eq!(by_budget(&Preview::default()), [""; 0]);
    }

    #[test]
    fn who_is_silent_and_who_runs_newer_is_said() {
        let release = "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap();
        let newer_version = Some("4.13.0".to_owned());
        let fit = wire::rollouts::ReleaseFit { release, meant: 40, other_hardware: 0, newer: 2, newer_version, on_it: 0, too_old: 0 };
        let p = Preview { silent: 1, fit: Some(fit), ..Preview::default() };
        assert_eq!(
            beside(&p),
            [
                ("Silent", "1 device is not connected and was not heard of in the last 7 days: it gets it when it is back".to_owned()),
                ("Run newer", "2 of 40 devices run something newer, most of them 4.13.0".to_owned())
            ]
        );
        assert!(beside(&Preview::default()).is_empty());
    }

    #[test]
    fn a_plan_reads_as_a_sentence() {
        let stage = StageSpec { name: "Canary".into(), reach: Reach::Percent(10.0), soak_s: 600, confirm: true, gate: GateSpec::default() };
        assert_eq!(then(&stage, false), "watch for 10 min, then wait for a person");
        assert_eq!(gate(&stage.gate), "passes at 95 % success; halts above 5 % errors once 3 devices have finished");
        let strict = GateSpec { max_reverted: Some(0), max_dark: Some(1), ..stage.gate.clone() };
        assert_eq!(
            gate(&strict),
            "passes at 95 % success; halts above 5 % errors once 3 devices have finished; halts when more than 0 devices went back; halts when more than 1 device went dark"
        );
        let rest = StageSpec { name: "Rest".into(), reach: Reach::Percent(100.0), ..stage.clone() };
        let spec = RolloutSpec::new("x".into(), "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap(), vec![stage, rest]);
        let canary = |values| PreviewStage { name: "Canary".into(), devices: 300, sample: Vec::new(), bytes: 0, values };
        let by_lot = Preview { total: 3000, stages: vec![canary(None)], ..Preview::default() };
        assert_eq!(
            sentence(&spec, "4.12.0", Some(&by_lot)),
            "Send 4.12.0 to 3,000 devices in 2 stages. Canary goes first with 300 devices. It starts as soon as it is approved."
        );
        let spread = |over: &str, values| Preview { spread_over: Some(over.into()), stages: vec![canary(Some(values))], ..by_lot.clone() };
        for (over, values, said) in
            [("site", 12, " in 12 sites."), ("customer", 1, " of 1 customer."), ("line", 3, " with 3 values of line."), ("site", 0, ".")]
        {
            let text = sentence(&spec, "4.12.0", Some(&spread(over, values)));
            assert!(text.contains(&format!("goes first with 300 devices{said} It starts")), "{text}");
        }
        let digest: Digest = "ab".repeat(32).parse().unwrap();
        let dry_run = Preview { total: 3000, bytes: 3 << 30, ..Preview::default() };
        let says = approval(&spec, "4.12.0", &digest, Some(&dry_run));
        assert!(says.contains("firmware 4.12.0 for 3,000 devices in 2 stages, 3.0 GiB to download in all, digest abab"), "{says}");
        assert!(says.ends_with("It starts at once. Any edit voids your approval."), "{says}");
        assert_eq!((limits(&spec), again(&spec)), (vec![], vec![]));
        let retry = wire::rollouts::Retry { classes: vec![RetryClass::Failed, RetryClass::TimedOut], times: 1, wait_min: 30 };
        assert_eq!(
            again(&RolloutSpec { retry: Some(retry), priority: 4, ..spec.clone() }),
            [
                (
                    "Tried again",
                    "up to 1 time by devices that could not install it or fell silent; first after 30 min, then twice as long each time"
                        .to_owned()
                ),
                ("Priority", "4".to_owned())
            ]
        );
        let each = GateSpec { max_failed: Some(2), max_rejected: Some(0), ..GateSpec::default() };
        assert!(
            gate(&each).ends_with("; halts when more than 2 devices could not install; halts when more than 0 devices refused"),
            "{}",
            gate(&each)
        );
        assert!(gate(&GateSpec { action: GateAction::RollBack, ..strict }).ends_with("; when it says no, it rolls back"));
        let compared = GateSpec { metrics: vec![MetricGate::new("cpu.load".into(), Worse::Higher)], ..GateSpec::default() };
        assert!(gate(&compared).ends_with(
            "; compares cpu.load while it is watched: says no when an updated device has a higher one with 65 % probability or more, 99 % sure, from 10 devices of each group on, and waits for a person when there are fewer"
        ));
        let steps = wire::rollouts::StepLimits { installing_min: Some(30), ..Default::default() };
        let terms = again(&RolloutSpec { gate: Some(GateSpec::default()), steps, ..spec.clone() });
        assert_eq!((terms[0].0, terms[1].1.as_str()), ("Gate of the whole", "installing within 30 min"));
        let limited = RolloutSpec {
            at_once: Some(20),
            budget: Some(Budget { attribute: "site".into(), at_most: Some(1), at_most_percent: None }),
            ..spec.clone()
        };
        assert_eq!(
            limits(&limited),
            [("At once", "at most 20 devices".to_owned()), ("Budget", "at most 1 device with the same site at once".to_owned())]
        );
        assert_eq!(starts(&spec), "as soon as it is approved");
        let later = RolloutSpec { start_at: Some(wire::Timestamp(1_795_341_432_000)), ..spec };
        assert_eq!(starts(&later), "not before 22 Nov 2026 09:57 UTC");
    }
}
