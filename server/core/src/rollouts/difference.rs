//! Pure: what differs between two plans, field by field, in words that people compare.

use wire::{
    Timestamp,
    change::FieldChange,
    ids::DeviceId,
    rollouts::{Budget, GateAction, GateSpec, MetricGate, Order, Rate, Reach, RolloutSpec, StageSpec, TooFew, Urgency, Window, Worse},
};

/// A plan, with its releases as people name them: `gateway 2.0.0`.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The plan.
    pub spec: &'a RolloutSpec,
    /// Its release.
    pub release: &'a str,
    /// The one it goes back to; none where it goes back to none, and where that release is not there any more.
    pub back: Option<&'a str>,
}

/// What differs between `before` and `after`, in the order of the plan; nothing when they are the same.
pub fn between(before: Plan<'_>, after: Plan<'_>) -> Vec<FieldChange> {
    let mut lines = Lines(Vec::new());
    // Every field is named here, so that a new one can't be forgotten.
    let RolloutSpec {
        name,
        release,
        selector,
        stages,
        start_at,
        timeout_min,
        reason,
        at_once,
        budget,
        confirm_at_device,
        bandwidth,
        ignore_data_budget,
        window,
        urgency,
        download_only,
        during_freeze,
        way_back,
        retry,
        priority,
        order,
        rate,
        gate,
        steps,
    } = before.spec;
    let new = after.spec;
    lines.differ("name", "Name", name.clone(), new.name.clone());
    let alike = release != &new.release && before.release == after.release;
    lines.differ("release", "Release", named(before, alike), named(after, alike));
    lines.differ("selector", "Devices", whom(selector), whom(&new.selector));
    for pair in pairs(stages, &new.stages) {
        lines.stage(pair, stages, &new.stages);
    }
    lines.differ("start_at", "Start", start(*start_at), start(new.start_at));
    let silence = |minutes: u32| format!("{} without a word", duration(i64::from(minutes) * 60_000));
    lines.differ("timeout_min", "Times out after", silence(*timeout_min), silence(new.timeout_min));
    let together = |most: Option<u32>| most.map_or_else(|| "no such limit".to_owned(), |n| format!("at most {n}"));
    lines.differ("at_once", "Update at the same time", together(*at_once), together(new.at_once));
    lines.differ("budget", "Budget", shared(budget.as_ref()), shared(new.budget.as_ref()));
    let asked = |asks: bool| if asks { "somebody confirms" } else { "nobody is asked" }.to_owned();
    lines.differ("confirm_at_device", "At each device", asked(*confirm_at_device), asked(new.confirm_at_device));
    let speed = |most: Option<u64>| most.map_or_else(|| "no limit of its own".to_owned(), |n| format!("at most {n} bytes a second"));
    lines.differ("bandwidth", "Bandwidth", speed(*bandwidth), speed(new.bandwidth));
    let data = |ignored: bool| if ignored { "is not heeded" } else { "is heeded" }.to_owned();
    lines.differ("ignore_data_budget", "Data budget of devices", data(*ignore_data_budget), data(new.ignore_data_budget));
    lines.differ("window", "Installs", hours(window.as_ref()), hours(new.window.as_ref()));
    lines.differ("urgency", "Urgency", urgent(*urgency), urgent(new.urgency));
    let fetched = |only: bool| if only { "only fetched" } else { "fetched and installed" }.to_owned();
    lines.differ("download_only", "What is done", fetched(*download_only), fetched(new.download_only));
    let frozen = |goes_on: bool| if goes_on { "goes on while they hold" } else { "waits until they are over" }.to_owned();
    lines.differ("during_freeze", "Freezes", frozen(*during_freeze), frozen(new.during_freeze));
    let alike = way_back != &new.way_back && before.back == after.back;
    lines.differ("way_back", "Way back", back(before, alike), back(after, alike));
    lines.differ("retry", "Tried again", super::retry::words(retry.as_ref()), super::retry::words(new.retry.as_ref()));
    lines.differ("priority", "Priority", priority.to_string(), new.priority.to_string());
    lines.differ("order", "Order", arranged(order.as_ref()), arranged(new.order.as_ref()));
    lines.differ("rate", "Begin within a minute", paced(rate.as_ref()), paced(new.rate.as_ref()));
    let whole = |gate: Option<&GateSpec>| gate.map_or_else(|| "none".to_owned(), gate_words);
    lines.differ("gate", "Gate of the whole rollout", whole(gate.as_ref()), whole(new.gate.as_ref()));
    lines.differ("steps", "Time for each step", super::steps::words(steps), super::steps::words(&new.steps));
    let why = |text: &str| if text.is_empty() { "none given".to_owned() } else { text.to_owned() };
    lines.differ("reason", "Reason", why(reason), why(&new.reason));
    lines.0
}

/// Two releases of the same name are told apart by their ids.
fn named(plan: Plan<'_>, alike: bool) -> String {
    if alike { format!("{} ({})", plan.release, plan.spec.release) } else { plan.release.to_owned() }
}

/// The same of the release that a plan goes back to.
fn back(plan: Plan<'_>, alike: bool) -> String {
    match (&plan.spec.way_back, plan.back) {
        (None, _) => "none".to_owned(),
        (Some(id), Some(name)) if alike => format!("{name} ({id})"),
        (Some(_), Some(name)) => name.to_owned(),
        (Some(id), None) => format!("release {id}"),
    }
}

fn whom(selector: &str) -> String {
    if selector.is_empty() { "every device of the type".to_owned() } else { selector.to_owned() }
}

fn start(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "at once after the approval".to_owned(), |at| format!("not before {}", instant(at)))
}

/// Two that are not the same never read the same.
fn instant(at: Timestamp) -> String {
    match at.0.rem_euclid(60_000) {
        0 => at.readable(),
        past => {
            let (minute, s, ms) = (at.readable(), past / 1000, past % 1000);
            let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}") };
            format!("{}:{s:02}{fraction} UTC", minute.trim_end_matches(" UTC"))
        }
    }
}

/// A span, to the second.
fn duration(millis: i64) -> String {
    let s = millis / 1000;
    let parts = [(s / 86_400, "d"), (s / 3600 % 24, "h"), (s / 60 % 60, "min"), (s % 60, "s")];
    let words: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

fn reach(reach: &Reach) -> String {
    match reach {
        Reach::Matching(selector) => format!("those that match {selector}"),
        Reach::Percent(p) if *p >= 100.0 => "all devices".to_owned(),
        Reach::Percent(p) => format!("up to {p} %"),
        Reach::Count(1) => "up to 1 device".to_owned(),
        Reach::Count(n) => format!("up to {n} devices"),
    }
}

fn soak(seconds: u32) -> String {
    if seconds == 0 { "not at all".to_owned() } else { duration(i64::from(seconds) * 1000) }
}

fn then(confirm: bool) -> String {
    if confirm { "waits for a person" } else { "goes on" }.to_owned()
}

fn cap(errors: u32) -> String {
    if errors == 0 { "no such limit".to_owned() } else { errors.to_string() }
}

fn shared(budget: Option<&Budget>) -> String {
    budget.map_or_else(
        || "none".to_owned(),
        |b| {
            let number = b.at_most.map(|n| n.to_string());
            let share = b.at_most_percent.map(|p| format!("{p} % of those"));
            let most: Vec<String> = number.into_iter().chain(share).collect();
            format!("at most {} with the same {}", most.join(" and "), b.attribute)
        },
    )
}

fn arranged(order: Option<&Order>) -> String {
    match order {
        None | Some(Order::Random) => "at random".to_owned(),
        Some(Order::Spread(attribute)) => format!("at random, spread over {attribute}"),
        Some(Order::Listed(ids)) => {
            let ids: Vec<&str> = ids.iter().map(DeviceId::as_str).collect();
            format!("{} first, then at random", ids.join(", "))
        }
    }
}

fn paced(rate: Option<&Rate>) -> String {
    let Some(rate) = rate else { return "no such limit".to_owned() };
    let grows = rate
        .growth
        .as_ref()
        .map_or_else(String::new, |g| format!(", times {} with every {} that succeed, up to {}", g.factor, g.successes, g.at_most));
    format!("at most {}{grows}", rate.per_minute)
}

fn hours(window: Option<&Window>) -> String {
    window.map_or_else(
        || "at any time".to_owned(),
        |w| {
            let days: Vec<&str> = w.days.iter().map(|day| day.as_str()).collect();
            format!("{} from {} until {} local time, {} where a device reports no zone", days.join(", "), w.from, w.until, w.zone)
        },
    )
}

fn urgent(urgency: Urgency) -> String {
    match urgency {
        Urgency::Soft => "devices may put it off".to_owned(),
        Urgency::Forced => "at once".to_owned(),
        Urgency::ForcedAfter(at) => format!("devices may put it off until {}", instant(at)),
    }
}

fn acts(action: GateAction) -> &'static str {
    match action {
        GateAction::Halt => "halts",
        GateAction::Pause => "pauses",
        GateAction::RollBack => "rolls back",
    }
}

fn own(most: Option<u32>) -> String {
    most.map_or_else(|| "no limit of its own".to_owned(), |n| format!("more than {n}"))
}

/// A whole stage in a line, for one that the other plan has not.
fn summary(stage: &StageSpec) -> String {
    let StageSpec { name: _, reach: to, soak_s, confirm, gate } = stage;
    let watched = if *soak_s == 0 { String::new() } else { format!(", watched for {}", soak(*soak_s)) };
    format!("{}{watched}, then {}; {}", reach(to), then(*confirm), gate_words(gate))
}

/// A whole gate in a line.
fn gate_words(gate: &GateSpec) -> String {
    let GateSpec {
        success_percent,
        error_percent,
        min_sample,
        max_errors,
        max_failed,
        max_reverted,
        max_timed_out,
        max_rejected,
        max_dark,
        action,
        metrics,
    } = gate;
    let capped = if *max_errors == 0 { String::new() } else { format!(", or at {max_errors} errors") };
    let limits = [
        (max_failed, "could not install"),
        (max_reverted, "went back"),
        (max_timed_out, "fell silent"),
        (max_rejected, "refused"),
        (max_dark, "went dark"),
    ];
    let limits: String = limits.iter().filter_map(|(most, what)| most.map(|n| format!(", or when more than {n} {what}"))).collect();
    let acts = if *action == GateAction::Halt { String::new() } else { format!("; when it says no: {}", acts(*action)) };
    let compared = if metrics.is_empty() { String::new() } else { format!("; compares {}", compares(metrics)) };
    format!(
        "passes at {success_percent} % success, halts above {error_percent} % errors from {min_sample} finished on{capped}{limits}{compared}{acts}"
    )
}

/// The metrics of a gate in a line.
fn compares(metrics: &[MetricGate]) -> String {
    let one = |m: &MetricGate| {
        let MetricGate { metric, worse, min_devices, effect_percent, min_shift, confidence_percent, too_few } = m;
        let worse = if *worse == Worse::Higher { "higher" } else { "lower" };
        let shift = min_shift.map_or_else(String::new, |s| format!(", shifted by {s} or more"));
        let few = if *too_few == TooFew::Ask { "asks" } else { "passes" };
        format!(
            "{metric} ({worse} is worse, {min_devices} devices each, effect of {effect_percent} %{shift}, {confidence_percent} % sure, {few} when there are too few)"
        )
    };
    if metrics.is_empty() { "none".to_owned() } else { metrics.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// Which stage of the one plan stands for which of the other. As many stages are compared one by one; else those of the same name, in their order.
fn pairs(before: &[StageSpec], after: &[StageSpec]) -> Vec<(Option<usize>, Option<usize>)> {
    if before.len() == after.len() {
        return (0..before.len()).map(|i| (Some(i), Some(i))).collect();
    }
    let (mut out, mut from) = (Vec::new(), 0);
    for (j, stage) in after.iter().enumerate() {
        match before.iter().skip(from).position(|s| s.name == stage.name) {
            Some(skipped) => {
                out.extend((from..from + skipped).map(|i| (Some(i), None)));
                out.push((Some(from + skipped), Some(j)));
                from += skipped + 1;
            }
            None => out.push((None, Some(j))),
        }
    }
    out.extend((from..before.len()).map(|i| (Some(i), None)));
    out
}

struct Lines(Vec<FieldChange>);

impl Lines {
    fn differ(&mut self, field: &str, what: &str, before: String, after: String) {
        self.push(field, what, Some(before), Some(after));
    }

    fn push(&mut self, field: &str, what: &str, before: Option<String>, after: Option<String>) {
        self.0.extend(FieldChange::between(field, what, before, after));
    }

    fn stage(&mut self, pair: (Option<usize>, Option<usize>), before: &[StageSpec], after: &[StageSpec]) {
        let of = |stages: &'_ [StageSpec], i: Option<usize>| i.and_then(|i| stages.get(i).map(|s| (i, s.clone())));
        match (of(before, pair.0), of(after, pair.1)) {
            (Some((i, old)), Some((j, new))) => self.both(i, &old, j, &new),
            (Some((i, old)), None) => self.push(&format!("stages.{i}"), &titled(i, &old.name), Some(summary(&old)), None),
            (None, Some((j, new))) => self.push(&format!("stages.{j}"), &titled(j, &new.name), None, Some(summary(&new))),
            (None, None) => {}
        }
    }

    fn both(&mut self, i: usize, old: &StageSpec, j: usize, new: &StageSpec) {
        let stage = titled(j, &new.name);
        let StageSpec { name, reach: to, soak_s, confirm, gate } = old;
        let GateSpec {
            success_percent,
            error_percent,
            min_sample,
            max_errors,
            max_failed,
            max_reverted,
            max_timed_out,
            max_rejected,
            max_dark,
            action,
            metrics,
        } = gate;
        let mut line = |field: &str, what: &str, before: String, after: String| {
            self.differ(&format!("stages.{j}{field}"), &format!("{stage}, {what}"), before, after);
        };
        line("", "place", format!("stage {}", i + 1), format!("stage {}", j + 1));
        line(".name", "name", name.clone(), new.name.clone());
        line(".reach", "reach", reach(to), reach(&new.reach));
        line(".soak_s", "watched for", soak(*soak_s), soak(new.soak_s));
        line(".confirm", "then", then(*confirm), then(new.confirm));
        let percent = |x: f64| format!("{x} %");
        line(".gate.success_percent", "passes at", percent(*success_percent), percent(new.gate.success_percent));
        line(".gate.error_percent", "halts above", percent(*error_percent), percent(new.gate.error_percent));
        line(".gate.min_sample", "judged from", min_sample.to_string(), new.gate.min_sample.to_string());
        line(".gate.max_errors", "halts at errors", cap(*max_errors), cap(new.gate.max_errors));
        line(".gate.max_failed", "halts when so many could not install", own(*max_failed), own(new.gate.max_failed));
        line(".gate.max_reverted", "halts when so many went back", own(*max_reverted), own(new.gate.max_reverted));
        line(".gate.max_timed_out", "halts when so many fell silent", own(*max_timed_out), own(new.gate.max_timed_out));
        line(".gate.max_rejected", "halts when so many refused", own(*max_rejected), own(new.gate.max_rejected));
        line(".gate.max_dark", "halts when so many went dark", own(*max_dark), own(new.gate.max_dark));
        line(".gate.metrics", "compares", compares(metrics), compares(&new.gate.metrics));
        line(".gate.action", "when it says no", acts(*action).to_owned(), acts(new.gate.action).to_owned());
    }
}

fn titled(i: usize, name: &str) -> String {
    if name.is_empty() { format!("Stage {}", i + 1) } else { format!("Stage {} {name}", i + 1) }
}

#[cfg(test)]
mod tests;
