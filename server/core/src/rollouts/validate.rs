//! Pure: what is wrong with a plan, field by field, and what to do about it. A plan without problems can be judged at every stage.

use super::{comparable, gate::counts_dark, plan::devices_of, sharing, steps, window};
use crate::{
    devices::Selector,
    releases::RolloutRelease,
    text::{readable_text, unseen},
};
use std::collections::HashMap;
use wire::{
    Timestamp,
    devices::SelectorError,
    rollouts::{GateSpec, Problem, Reach, RolloutSpec, StageSpec, Urgency, Window},
    states::ReleaseState,
    transfers::{LEAST_BANDWIDTH, MOST_BANDWIDTH},
};

/// Most stages of a plan.
pub const MAX_STAGES: usize = 50;
/// Most characters of a name.
pub const MAX_NAME: usize = 100;
/// Most characters of a reason or remark.
pub const MAX_REMARK: usize = 500;
/// Highest priority.
pub const MAX_PRIORITY: u32 = 9;
/// Most seconds of soak: 30 days.
pub const MAX_SOAK_S: u32 = 2_592_000;
/// Most minutes of silence: 7 days.
pub const MAX_TIMEOUT_MIN: u32 = 10_080;

/// How long ago a start may be, in milliseconds.
const LATE_MS: i64 = 60_000;

/// What there is to judge of a plan's release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Where it is in its life.
    pub state: ReleaseState,
    /// From when on no device installs it any more; none for never.
    pub expires: Option<Timestamp>,
}

impl From<&RolloutRelease> for Chosen {
    fn from(release: &RolloutRelease) -> Self {
        Self { state: release.state, expires: release.manifest.expires }
    }
}

impl Chosen {
    /// Why devices would refuse it by now; none while they would not.
    pub fn expired(self, now: Timestamp) -> Option<String> {
        let at = self.expires.filter(|at| *at <= now)?;
        Some(format!("The release's manifest expired {}: no device installs it any more. Choose a newer release.", at.readable()))
    }
}

/// How a plan's selectors are read: those that somebody writes with [`Selector::parse`], those of a plan that was sent with [`Selector::parse_kept`], as
/// it runs by them.
pub type Reads = fn(&str) -> Result<Selector, SelectorError>;

/// The problems of a plan by itself, as it is written; no `release` means that there is none of this id.
pub fn problems(spec: &RolloutSpec, release: Option<Chosen>, now: Timestamp) -> Vec<Problem> {
    problems_read(spec, Selector::parse, release, now)
}

/// The same of a plan whose selectors are read like this.
pub fn problems_read(spec: &RolloutSpec, reads: Reads, release: Option<Chosen>, now: Timestamp) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    found.unless(!spec.name.trim().is_empty(), "name", "Give the rollout a name.");
    found.unless(spec.name.chars().count() <= MAX_NAME, "name", "Use at most 100 characters.");
    found.unless(plain(&spec.name), "name", "Leave out line breaks and control characters.");
    found.unless(spec.reason.chars().count() <= MAX_REMARK, "reason", "Use at most 500 characters.");
    found.unless(readable_text(&spec.reason), "reason", "Leave out control characters.");
    found.unless(
        (1..=MAX_TIMEOUT_MIN).contains(&spec.timeout_min),
        "timeout_min",
        "Choose between 1 minute and 10,080 minutes (7 days) of silence.",
    );
    found.unless(spec.start_at.is_none_or(|at| at.since(now) < 366 * 86_400_000), "start_at", "Choose a time within the next year.");
    match release.map(|r| r.state) {
        Some(ReleaseState::Published) => {}
        None => found.add("release", "There is no such release. Choose one of the list."),
        Some(ReleaseState::Draft | ReleaseState::Verified) => found.add("release", "The release is not published. Publish it first."),
        Some(ReleaseState::Deprecated) => found.add("release", "The release is deprecated. Choose a newer one."),
        Some(ReleaseState::Recalled) => found.add("release", "The release was recalled and must not be installed any more."),
    }
    if let Some(text) = release.and_then(|r| r.expired(now)) {
        found.add("release", text);
    } else if let (Some(at), Some(start)) = (release.and_then(|r| r.expires), spec.start_at)
        && at <= start
    {
        let text = format!("The release's manifest expires {}, before that. Choose an earlier time, or a newer release.", at.readable());
        found.add("start_at", text);
    }
    found.unless(spec.at_once != Some(0), "at_once", "Let at least 1 device update at a time, or set no such limit.");
    found.0.extend(sharing::problems(spec));
    found.unless(
        spec.bandwidth.is_none_or(|n| (LEAST_BANDWIDTH..=MOST_BANDWIDTH).contains(&n)),
        "bandwidth",
        "Choose at least 10,000 bytes a second, or set no such limit.",
    );
    time(spec, now, &mut found);
    if let Some(of) = &spec.retry {
        found.0.extend(super::retry::problems(of));
    }
    found.unless(spec.priority <= MAX_PRIORITY, "priority", "Choose a priority from 0 to 9.");
    if let Err(e) = reads(&spec.selector) {
        found.add("selector", e.sentence());
    }
    stages(&spec.stages, reads, &mut found);
    whole(spec, &mut found);
    found.0.extend(steps::problems(spec));
    found.0
}

/// A start that is over, in a plan that nobody has been asked about yet; who types one may take a minute. A plan that waits for its approval beyond its
/// start begins when it has it, so this is not asked of one that was sent.
pub fn begun(spec: &RolloutSpec, now: Timestamp) -> Option<Problem> {
    let at = spec.start_at.filter(|at| now.since(*at) > LATE_MS)?;
    let message = format!("{} is over. Choose a later time, or none: then it starts at once after the approval.", at.readable());
    Some(Problem { field: "start_at".to_owned(), message })
}

/// Stages without a name, and with that of an earlier one, in a plan that nobody has been asked about yet: one that was sent before this was asked runs on.
pub fn names(spec: &RolloutSpec) -> Vec<Problem> {
    let (mut known, mut found) = (HashMap::new(), Found(Vec::new()));
    for (i, stage) in spec.stages.iter().enumerate() {
        let (name, number, at) = (stage.name.trim(), i + 1, format!("stages.{i}.name"));
        if name.is_empty() {
            found.add(&at, format!("Stage {number} has no name. Give it one, for example {}.", StageSpec::usual_name(number)));
        } else if let Some(first) = known.get(name) {
            found.add(&at, format!("Stage {number} is called as stage {first} is. Give each stage a name of its own."));
        } else {
            known.insert(name, number);
        }
    }
    found.0
}

/// The gate of the whole rollout.
fn whole(spec: &RolloutSpec, found: &mut Found) {
    let Some(of) = &spec.gate else { return };
    gate(of, &|field| field.to_owned(), found);
    found.unless(of.metrics.is_empty(), "gate.metrics", "Metrics are compared stage by stage: name them in the gates of stages.");
    found.unless(
        of.max_dark.is_none() || spec.stages.iter().any(counts_dark),
        "gate.max_dark",
        "Devices that went dark are counted at the end of a stage's watch: watch a stage for at least 30 minutes, or set no limit for them.",
    );
}

/// Said of a draw of nobody …
const NOBODY: &str = "No device would get it. Widen the selector, or see why the matching devices are left out.";
/// … and where there are no matching devices either.
const NO_MATCH: &str = "The selector matches no device. Widen it, or look at how its types, groups and tags are spelt.";

/// The problems that only the fleet shows: `devices` a stage, and `overlaps` with the own selectors of earlier ones. That the selector `matched` no device is
/// told apart from all of them being left out.
pub fn problems_of_draw(spec: &RolloutSpec, devices: &[i64], overlaps: &[i64], matched: bool) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    let all = devices.iter().sum::<i64>();
    if !some(all, matched, &mut found) {
        return found.0;
    }
    sharing::overlaps(overlaps, &mut found);
    whole_of(spec, all, &mut found);
    // A number that takes everybody empties the stages after it; they are not to blame.
    let greedy = |s: &StageSpec| matches!(s.reach, Reach::Count(n) if i64::from(n) >= all);
    if let Some(i) = spec.stages.iter().position(greedy) {
        let choose = if all == 1 { "One stage is enough".to_owned() } else { format!("Choose a number below {all}") };
        let text = format!("Only {} would get it, so stage {} leaves nothing for those after it. {choose}.", devices_of(all), i + 1);
        found.add(&format!("stages.{i}.reach"), text);
        of_all(spec, all, &mut found);
        return found.0;
    }
    for (i, n) in devices.iter().enumerate() {
        let what = match spec.stages.get(i).map(|s| &s.reach) {
            Some(Reach::Count(_)) => "raise its number, or remove it",
            Some(Reach::Matching(_)) => {
                "none of the rollout's devices matches that is in no earlier stage. Change its selector, or remove it"
            }
            _ => "raise its percentage, or remove it",
        };
        found.unless(*n > 0, &format!("stages.{i}.reach"), &format!("Stage {} has no devices: {what}.", i + 1));
        if let Some(stage) = spec.stages.get(i) {
            // Of a number the plan itself says it.
            let told = matches!(stage.reach, Reach::Count(_));
            found.unless(told || *n <= 0 || !beyond(&stage.gate, *n), &format!("stages.{i}.gate.min_sample"), &too_many(i, *n));
            let after = devices.iter().skip(i + 1).sum();
            found.metrics(i, comparable::problems_of_draw(&stage.gate, *n, after));
        }
    }
    found.0
}

/// The same of a plan whose stages can't be cut as they are written: what is wrong with them whichever of the `all` devices each will have.
pub fn problems_of_all(spec: &RolloutSpec, all: i64, matched: bool) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    if some(all, matched, &mut found) {
        whole_of(spec, all, &mut found);
        of_all(spec, all, &mut found);
    }
    found.0
}

/// Whether it is of anybody; that it is of nobody is a problem.
fn some(all: i64, matched: bool, found: &mut Found) -> bool {
    found.unless(all > 0, "selector", if matched { NOBODY } else { NO_MATCH });
    all > 0
}

/// Whether the gate of the whole rollout can judge.
fn whole_of(spec: &RolloutSpec, all: i64, found: &mut Found) {
    if let Some(gate) = spec.gate.as_ref().filter(|gate| beyond(gate, all)) {
        let text = format!(
            "Only {} would get it, so the gate of the whole rollout would never judge from {} on. Choose {all} or fewer.",
            devices_of(all),
            gate.min_sample
        );
        found.add("gate.min_sample", text);
    }
}

/// Which stages could not be judged even with all devices.
fn of_all(spec: &RolloutSpec, all: i64, found: &mut Found) {
    for (i, stage) in spec.stages.iter().enumerate() {
        found.unless(!beyond(&stage.gate, all), &format!("stages.{i}.gate.min_sample"), &too_many(i, all));
        for (n, metric) in stage.gate.metrics.iter().enumerate().filter(|(_, metric)| i64::from(metric.min_devices) > all) {
            let text = format!(
                "Only {} would get it, and {} is compared from {} of each group on: it could never be judged.",
                devices_of(all),
                metric.metric,
                metric.min_devices
            );
            found.add(&format!("stages.{i}.gate.metrics.{n}.min_devices"), text);
        }
    }
}

/// Whether a gate asks for more finished devices than there can be. What a gate has unless somebody chose it means all of fewer devices.
fn beyond(gate: &GateSpec, devices: i64) -> bool {
    i64::from(gate.min_sample) > devices && gate.min_sample > GateSpec::USUAL.min_sample
}

fn too_many(stage: usize, devices: i64) -> String {
    format!("Stage {} has at most {devices} devices, so its gate would never judge. Choose {devices} or fewer.", stage + 1)
}

pub(super) struct Found(pub(super) Vec<Problem>);

impl Found {
    pub(super) fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(Problem { field: field.to_owned(), message: message.into() });
    }
    /// Problems of a stage's metrics, whose fields begin below these; nothing is all of them.
    fn metrics(&mut self, stage: usize, problems: Vec<Problem>) {
        for Problem { field, message } in problems {
            let below = if field.is_empty() { String::new() } else { format!(".{field}") };
            self.add(&format!("stages.{stage}.gate.metrics{below}"), message);
        }
    }
    pub(super) fn unless(&mut self, ok: bool, field: &str, message: &str) {
        if !ok {
            self.add(field, message);
        }
    }
}

/// When devices may install, and how urgent it is.
fn time(spec: &RolloutSpec, now: Timestamp, found: &mut Found) {
    if let Some(Window { days, from, until, zone }) = &spec.window {
        found.unless(!days.is_empty(), "window.days", "Choose the days on which the window opens: without any it never does.");
        found.unless(days.len() <= 7, "window.days", "Name each day once.");
        found.unless(
            from != until,
            "window.until",
            "The window never opens: let it close later than it opens. A whole day is 00:00 to 24:00.",
        );
        found.unless(from.minutes() < 24 * 60, "window.from", "Let the window open before 24:00; 00:00 is the beginning of a day.");
        if window::zone(zone).is_none() {
            let instead = window::nearest(zone).map_or_else(String::new, |name| format!(" The nearest there is: {name}."));
            found.add("window.zone", format!("There is no such time zone.{instead}"));
        }
        found.unless(
            !spec.download_only,
            "download_only",
            "A plan that only fetches installs nothing, so no window holds it: leave out one of the two.",
        );
    }
    if let Urgency::ForcedAfter(at) = spec.urgency {
        let start = spec.start_at.unwrap_or(now).max(now);
        found.unless(at > start, "urgency", "That is before the start: choose a later time, or force it from the beginning.");
    }
}

pub(super) fn plain(text: &str) -> bool {
    !text.chars().any(unseen)
}

pub(super) const DECIMALS: &str = "Use at most four decimals.";

/// Whether a percentage is the same after it was written down and read again, as an approval's digest needs; four decimals always are.
pub(super) fn readable(percent: f64) -> bool {
    !percent.is_finite() || ((percent * 1e4).round() / 1e4).to_bits() == percent.to_bits()
}

fn stages(stages: &[StageSpec], reads: Reads, found: &mut Found) {
    if stages.is_empty() {
        found.add("stages", "Add at least one stage. The last one reaches 100 %.");
        return;
    }
    found.unless(stages.len() <= MAX_STAGES, "stages", "Use at most 50 stages.");
    let (mut percent, mut devices) = (0.0, 0_u32);
    for (i, stage) in stages.iter().enumerate() {
        let at = |field: &str| format!("stages.{i}.{field}");
        let last = i + 1 == stages.len();
        found.unless(stage.name.chars().count() <= MAX_NAME, &at("name"), "Use at most 100 characters.");
        found.unless(plain(&stage.name), &at("name"), "Leave out line breaks and control characters.");
        found.unless(stage.soak_s <= MAX_SOAK_S, &at("soak_s"), "Watch a stage for at most 30 days.");
        match stage.reach {
            Reach::Matching(ref own) => sharing::own_selector((own, reads), &at("reach"), found),
            Reach::Percent(p) if !p.is_finite() || p <= 0.0 || p > 100.0 => {
                found.add(&at("reach"), "Choose a percentage over 0 and up to 100.");
            }
            Reach::Percent(p) => {
                found.unless(readable(p), &at("reach"), DECIMALS);
                found.unless(p > percent, &at("reach"), "Percentages are cumulative: choose more than in the stage before.");
                found.unless(
                    !last || p >= 100.0,
                    &at("reach"),
                    "The last stage has to reach everybody: choose 100 %, or those that match a selector.",
                );
                found.unless(last || p < 100.0, &at("reach"), "100 % leaves nothing for the stages after it. Choose less, or remove them.");
                percent = p;
            }
            Reach::Count(_) if last => {
                found.add(&at("reach"), "The last stage has to reach everybody: choose 100 %, or those that match a selector.");
            }
            Reach::Count(n) => {
                let most = i64::from(n.saturating_sub(devices));
                found.unless(n <= devices || !beyond(&stage.gate, most), &at("gate.min_sample"), &too_many(i, most));
                found.unless(
                    n > devices,
                    &at("reach"),
                    "Numbers are cumulative: choose more devices than in the stage before, at least 1.",
                );
                devices = n;
            }
        }
        gate(&stage.gate, &at, found);
        found.metrics(i, comparable::problems(stage, last));
        found.unless(
            stage.gate.max_dark.is_none() || counts_dark(stage),
            &at("soak_s"),
            "Devices that went dark are counted at the end of this watch: make it at least 30 minutes, or set no limit for them.",
        );
    }
}

fn gate(gate: &GateSpec, at: &dyn Fn(&str) -> String, found: &mut Found) {
    let rate = |x: f64| x.is_finite() && (0.0..=100.0).contains(&x);
    found.unless(readable(gate.success_percent), &at("gate.success_percent"), DECIMALS);
    found.unless(readable(gate.error_percent), &at("gate.error_percent"), DECIMALS);
    found.unless(rate(gate.success_percent), &at("gate.success_percent"), "Choose a percentage from 0 to 100.");
    found.unless(rate(gate.error_percent), &at("gate.error_percent"), "Choose a percentage from 0 to 100.");
    found.unless(gate.min_sample >= 1, &at("gate.min_sample"), "Judge from at least 1 finished device on.");
    // The limits of the other two classes may be idle like that: plans were approved with them before this was asked.
    for (most, field) in [(gate.max_failed, "gate.max_failed"), (gate.max_rejected, "gate.max_rejected")] {
        if let Some(most) = most.filter(|most| gate.max_errors > 0 && *most >= gate.max_errors) {
            let text = format!(
                "The gate says no at {} errors of any kind, so it would never judge by more than {most} of this one. Choose less, or no such limit.",
                gate.max_errors
            );
            found.add(&at(field), text);
        }
    }
}

#[cfg(test)]
mod tests;
