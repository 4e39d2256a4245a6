//! Pure: what to do next about a rollout, and why. Same course, same instant, same plan; any instance may make it, and the store applies
//! it only to the generation (and, where it rests on evidence, the tally) it was made on.
//!
//! A stage's counts follow from events: each word on an update, each time-out and each order moves them in its own transaction, and nothing of that is ever
//! counted again. The one exception are those that have had no turn. They have no row, so a new tag, version, value or group of one is no change of
//! anything in the rollout, and what it was before is not known any more when it is told: whether one more or one less waits can't be taken from the
//! event, but for a row a member, which is what a rollout is spared. Some selectors change by time alone. So these are counted through the fleet: before
//! their number decides anything, when it has moved since, and now and then while nothing else goes on, so that people see it and a last stage
//! ends that nobody comes to any more.

use super::{
    course::{Change, Course, Stage, may_install},
    gate,
    passing::{TO_GO_ON, at_its_end, goes_on, halt_for, pass, waiting},
    soak::{soaking, whole, whole_says_no},
    state::{self, ROLLOUT},
    way_back,
};
use std::fmt::Write as _;
use wire::{
    Timestamp,
    rollouts::{Call, GateAction, Verdict},
    states::{RolloutState, StageState},
    time::duration,
};

mod need;

pub use super::passing::Cancelled;
pub use need::{Need, Survey};

/// How often the waiting devices of a stage that stands still are counted again: 10 minutes.
pub const RECOUNT_MS: i64 = 10 * 60 * 1000;
/// The same where that costs little, for as many devices as [`SMALL`]: a minute.
pub const RECOUNT_SMALL_MS: i64 = 60 * 1000;
/// The highest device number of a fleet that is counted again so often.
pub const SMALL: i64 = 5_000;

const fn recount_ms(course: &Course) -> i64 {
    if course.last_device <= SMALL { RECOUNT_SMALL_MS } else { RECOUNT_MS }
}

/// What the planner wants done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// In this order, all or nothing.
    pub changes: Vec<Change>,
    /// Why this, or why nothing; for the history and for people.
    pub reasons: Vec<String>,
    /// What has to be found out first; the changes are then empty.
    pub need: Option<Need>,
    /// The stage and tally the plan rests on; none when it holds whatever devices have said since.
    pub evidence: Option<(u32, i64)>,
    /// When to look again at the latest, if time alone can change something.
    pub look_again: Option<Timestamp>,
}

impl Plan {
    pub(super) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reasons.push(reason.into());
        self
    }
    pub(super) fn then(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
    pub(super) fn needs(need: Need) -> Self {
        Self { need: Some(need), ..Self::default() }
    }
    pub(super) fn resting_on(mut self, number: u32, stage: &Stage) -> Self {
        self.evidence = Some((number, stage.tally));
        self
    }
    pub(super) const fn until(mut self, at: Timestamp) -> Self {
        self.look_again = Some(at);
        self
    }
    pub(super) fn enter(self, to: RolloutState, summary: impl Into<String>) -> Self {
        let summary = summary.into();
        self.because(summary.clone()).then(Change::Enter { to, summary })
    }
}

/// The reason of a [`Change::TimeOut`], until it is known how many there were.
pub(super) const SILENT: &str = "devices fell silent";

/// What the updates under way say beside their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnderWay {
    /// The deadline of one has passed.
    pub overdue: bool,
    /// One has not begun to install: a recall takes it back.
    pub retractable: bool,
    /// A freeze holds that the plan obeys: nobody is offered anything, so nobody's patience ends.
    pub frozen: bool,
    /// When the first of those that did not make it is offered the release again by itself.
    pub to_retry: Option<Timestamp>,
    /// Whom people have set aside. Only the last stage asks: with it goes the way to try them again.
    pub cancelled: Cancelled,
}

/// Plans the next step; `survey` answers the [`Need`] of a plan made before.
pub fn plan(course: &Course, under_way: UnderWay, survey: Option<&Survey>, now: Timestamp) -> Plan {
    use RolloutState as R;
    if under_way.overdue {
        return Plan::default().because(SILENT).then(Change::TimeOut);
    }
    match course.state {
        // A recall that comes after the halt or the stop.
        R::Halted | R::Stopping if under_way.retractable && !may_install(course.release) => {
            Plan::default().because(TAKEN_BACK).then(Change::Withdraw { recalled: true, for_good: course.state == R::Stopping })
        }
        R::Approved | R::Scheduled => before(course, survey, now),
        R::Running => running(course, under_way, survey, now),
        R::Paused if !may_install(course.release) => halt_for(course, &way_back::recalled(course)),
        R::RollingBack => way_back::rolling_back(course, survey),
        R::Stopping => stopping(course),
        other => Plan::default().because(standing(other)),
    }
}

const TAKEN_BACK: &str = "The release was recalled: what has not begun to install is taken back";

const fn standing(state: RolloutState) -> &'static str {
    use RolloutState as R;
    match state {
        R::Draft => "it is a draft",
        R::WaitingForApproval => "it waits for somebody else's approval",
        R::Rejected => "it was rejected",
        R::Paused => "it is paused",
        R::Halted => "a gate stopped it, a person has to decide",
        R::RollingBack | R::RolledBack => "it goes back",
        R::Approved | R::Scheduled | R::Running | R::Stopping => "it goes on",
        R::Stopped => "it was stopped",
        R::Completed => "it is completed",
    }
}

/// Approved, not started.
fn before(course: &Course, survey: Option<&Survey>, now: Timestamp) -> Plan {
    if !may_install(course.release) {
        return Plan::default().enter(RolloutState::Stopping, "Stopped: the release was recalled before it began");
    }
    if let Some(at) = course.begin_at.filter(|at| *at > now) {
        let plan = Plan::default().until(at);
        let text = format!("Starts {}", at.readable());
        return if course.state == RolloutState::Approved { plan.enter(RolloutState::Scheduled, text) } else { plan.because(text) };
    }
    match survey {
        Some(Survey::Targets { cuts, strata, members, last_device }) => {
            let devices = cuts.last().map_or(0, |c| c.reach);
            Plan::default()
                .then(Change::Draw { cuts: cuts.clone(), strata: strata.clone(), members: members.clone(), last_device: *last_device })
                .enter(RolloutState::Running, format!("Started: {} in {}", devices_of(devices), stages_of(course.stages.len())))
        }
        _ => Plan::needs(Need::Targets),
    }
}

fn running(course: &Course, under_way: UnderWay, survey: Option<&Survey>, now: Timestamp) -> Plan {
    if !may_install(course.release) {
        return halt_for(course, &way_back::recalled(course));
    }
    let number = course.stage;
    if let Some(verdict) = whole(course, false) {
        return whole_says_no(course, verdict);
    }
    if let Some(plan) = course.current().and_then(|stage| goes_on((number, stage))) {
        return plan;
    }
    match course.current() {
        None => next(course, now),
        Some(stage) => match stage.state {
            StageState::Running if under_way.frozen && waits_out(course, stage, now) => {
                let until = now.plus(course.patience(number));
                Plan::default().then(Change::Doors { until }).resting_on(number, stage).until(until)
            }
            StageState::Running => in_stage((course, number, stage), under_way, survey, now),
            StageState::Soaking => soaking((course, number, stage), under_way.cancelled, survey, now),
            StageState::AwaitingPromotion => waiting((course, number, stage), under_way.cancelled, now),
            StageState::Succeeded | StageState::Skipped => next(course, now).resting_on(number, stage),
            StageState::Failed | StageState::Pending => halt(course, stage.verdict.clone(), "Halted: its stage was stopped"),
        },
    }
}

/// Begins the next stage, or ends the rollout after the last.
fn next(course: &Course, now: Timestamp) -> Plan {
    if let Some(verdict) = whole(course, true) {
        return whole_says_no(course, verdict);
    }
    let Some(i) = course.stages.iter().position(|s| s.state == StageState::Pending) else {
        let all = course.totals();
        let mut text = format!("Completed: {} of {} succeeded", all.succeeded, all.total);
        for (n, what) in [(all.errors(), "failed"), (all.left_out, "left out"), (all.waiting, "never came")] {
            if n > 0 {
                let _ = write!(text, ", {n} {what}");
            }
        }
        return Plan::default().enter(RolloutState::Completed, text);
    };
    let number = u32::try_from(i + 1).unwrap_or(u32::MAX);
    let carried = course.current().map_or(0, |s| s.counts.waiting);
    let devices = course.stages[i].counts.total + carried;
    if devices == 0 && !course.is_last(number) {
        return Plan::default().because(format!("Stage {number} skipped: it has no devices")).then(Change::Close {
            stage: number,
            to: StageState::Skipped,
            verdict: None,
        });
    }
    let doors_until = now.plus(course.patience(number));
    let text = if carried > 0 {
        format!("Stage {number} began: {}, {carried} of them not reached before", devices_of(devices))
    } else {
        format!("Stage {number} began: {}", devices_of(devices))
    };
    Plan::default().because(text).then(Change::Begin { stage: number, doors_until }).until(doors_until)
}

/// Whether a stage that a freeze holds would lose patience with those that can't come.
fn waits_out(course: &Course, stage: &Stage, now: Timestamp) -> bool {
    let left = course.doors_until.since(now);
    stage.counts.waiting > 0 && left > 0 && left < course.patience(course.stage) / 2
}

fn in_stage((course, number, stage): (&Course, u32, &Stage), under_way: UnderWay, survey: Option<&Survey>, now: Timestamp) -> Plan {
    let counts = &stage.counts;
    let open = stage.judged(false);
    if open.call == Call::Halt {
        return say_no(course, number, open);
    }
    if counts.updating > 0 {
        // Where devices wait for each other, nobody's patience ends while something is under way.
        let patience = course.patience(number);
        if course.throttled && counts.waiting > 0 && course.doors_until.since(now) < patience / 2 {
            let until = now.plus(patience);
            return Plan::default().then(Change::Doors { until }).resting_on(number, stage).until(until);
        }
        return Plan::default().because(format!("stage {number}: {}; {} under way", open.text, counts.updating));
    }
    // The count of waiting devices drifts when tags change or devices go; before it decides something, they are counted.
    let doors_open = now < course.doors_until;
    let decides = if doors_open { counts.waiting == 0 && course.is_last(number) } else { counts.waiting > 0 };
    let standing_still = doors_open && counts.waiting > 0 && now >= stage.counted_at.plus(recount_ms(course));
    if standing_still || (decides && stage.counted != stage.tally) {
        return match survey {
            Some(Survey::Remaining { waiting, last_device }) => {
                let recount = Change::Recount { stage: number, waiting: *waiting, last_device: *last_device };
                let plan = Plan::default().then(recount).resting_on(number, stage);
                if *waiting == counts.waiting { plan } else { plan.because(format!("{} still to come", devices_of(*waiting))) }
            }
            _ => Plan::needs(Need::Remaining),
        };
    }
    if doors_open && counts.waiting > 0 {
        let text =
            format!("stage {number}: {}; {} still to come, until {}", open.text, devices_of(counts.waiting), course.doors_until.readable());
        return Plan::default().because(text).until(course.doors_until.min(stage.counted_at.plus(recount_ms(course))));
    }
    if let Some(at) = under_way.to_retry.filter(|_| doors_open) {
        let text = format!("stage {number}: {}; devices are tried again {}", open.text, at.readable());
        return Plan::default().because(text).until(at.min(course.doors_until));
    }
    if counts.finished() == 0 && counts.waiting == 0 {
        let text = match counts.left_out {
            0 => "nobody was left to update".to_owned(),
            n => format!("nobody could be judged: {} left out", devices_of(n)),
        };
        let judged = Verdict { call: Call::Wait, text: text.clone(), ..stage.judged(true) };
        if course.is_last(number) && under_way.cancelled.devices > 0 {
            return pass((course, number, stage), judged, "", (under_way.cancelled, now));
        }
        if !course.is_last(number) && counts.left_out > 0 {
            return Plan::default()
                .because(format!("Stage {number}: {text}; {TO_GO_ON}"))
                .then(Change::Hold { stage: number, verdict: judged })
                .resting_on(number, stage);
        }
        return Plan::default()
            .because(format!("Stage {number} skipped: nobody was left to update"))
            .then(Change::Close { stage: number, to: StageState::Skipped, verdict: None })
            .resting_on(number, stage);
    }
    let verdict = at_its_end((course, number, stage), under_way.cancelled);
    if verdict.call == Call::Halt {
        return say_no_at_its_end(course, number, verdict);
    }
    let verdict = stage.keeps(verdict);
    let not_reached = if counts.waiting > 0 { format!("; {} not reached", devices_of(counts.waiting)) } else { String::new() };
    if stage.spec.soak_s > 0 {
        let millis = i64::from(stage.spec.soak_s) * 1000;
        let until = now.plus(millis);
        return Plan::default()
            .because(format!("Stage {number}: {}{not_reached}; watched for {}", verdict.text, duration(millis)))
            .then(Change::Soak { stage: number, until, verdict })
            .resting_on(number, stage)
            .until(until);
    }
    pass((course, number, stage), verdict, &not_reached, (under_way.cancelled, now))
}

/// A gate says no, and does what its plan wants of it then.
pub(super) fn say_no(course: &Course, number: u32, verdict: Verdict) -> Plan {
    let action = course.stage_at(number).map_or(GateAction::Halt, |s| s.spec.gate.action);
    stopped(course, number, verdict, action)
}

/// The same of one to which nobody comes any more. That too few could be judged is no evidence against the release: nobody goes back for that before a person was
/// asked.
pub(super) fn say_no_at_its_end(course: &Course, number: u32, verdict: Verdict) -> Plan {
    let action = match course.stage_at(number).map(|s| &s.spec.gate) {
        Some(gate) if gate.action == GateAction::RollBack && gate::is_too_few(gate, &verdict) => GateAction::Pause,
        Some(gate) => gate.action,
        None => GateAction::Halt,
    };
    stopped(course, number, verdict, action)
}

fn stopped(course: &Course, number: u32, verdict: Verdict, action: GateAction) -> Plan {
    let why = format!("Halted in stage {number}: {}", verdict.text);
    match (action, way_back::no_way(course)) {
        (GateAction::Halt, _) => halt(course, Some(verdict), &why),
        (GateAction::Pause, _) => {
            let why = format!("Paused in stage {number}: {}", verdict.text);
            let paused = Plan::default().enter(RolloutState::Paused, why).then(Change::Note { stage: number, verdict });
            paused.then(Change::Withdraw { recalled: false, for_good: false })
        }
        (GateAction::RollBack, None) => way_back::by_gate(course, number, &verdict.text.clone(), verdict),
        (GateAction::RollBack, Some(no_way)) => halt(course, Some(verdict), &format!("{why}. It can't be rolled back: {no_way}")),
    }
}

/// Stops offering and says why. What is not yet downloading is taken back; with a recalled release also what is not yet installing.
pub(super) fn halt(course: &Course, verdict: Option<Verdict>, why: &str) -> Plan {
    let mut plan = Plan::default();
    if let Some(stage) = course.current().filter(|s| state::legal(state::STAGE, s.state, StageState::Failed)) {
        let verdict = verdict.unwrap_or_else(|| unjudged(stage, why));
        plan = plan.then(Change::Close { stage: course.stage, to: StageState::Failed, verdict: Some(verdict) });
    }
    let recalled = !may_install(course.release);
    plan.enter(RolloutState::Halted, why).then(Change::Withdraw { recalled, for_good: false })
}

/// What is kept with a stage that no gate has halted: its numbers, and why.
pub(super) fn unjudged(stage: &Stage, why: &str) -> Verdict {
    Verdict {
        finished: stage.counts.finished(),
        succeeded: stage.counts.succeeded,
        errors: stage.counts.errors(),
        failed: stage.counts.failed,
        reverted: stage.counts.reverted,
        timed_out: stage.counts.timed_out,
        rejected: stage.counts.rejected,
        ..Verdict::new(Call::Halt, why)
    }
}

fn stopping(course: &Course) -> Plan {
    let under_way = course.totals().updating;
    if under_way > 0 {
        return Plan::default().because(format!("{} still under way", devices_of(under_way)));
    }
    let mut plan = close_all(course);
    if let Some(stage) = course.current() {
        plan = plan.resting_on(course.stage, stage);
    }
    let all = course.totals();
    let text = if course.stage == 0 {
        "Stopped before it began".to_owned()
    } else {
        format!("Stopped: {} of {} succeeded", all.succeeded, all.total)
    };
    plan.enter(RolloutState::Stopped, text)
}

/// Closes every stage that has not ended.
pub(super) fn close_all(course: &Course) -> Plan {
    let mut plan = Plan::default();
    for (i, stage) in course.stages.iter().enumerate() {
        if !matches!(stage.state, StageState::Succeeded | StageState::Failed | StageState::Skipped) {
            let number = u32::try_from(i + 1).unwrap_or(u32::MAX);
            plan = plan.then(Change::Close { stage: number, to: StageState::Skipped, verdict: None });
        }
    }
    plan
}

/// Whether the planner may have something to do in this state.
pub fn alive(state: RolloutState) -> bool {
    use RolloutState as R;
    !state::ended(ROLLOUT, state) && !matches!(state, R::Draft | R::WaitingForApproval | R::Rejected)
}

fn stages_of(n: usize) -> String {
    if n == 1 { "1 stage".to_owned() } else { format!("{n} stages") }
}

/// `1 device`, `2 devices`.
pub fn devices_of(n: i64) -> String {
    if n == 1 { "1 device".to_owned() } else { format!("{n} devices") }
}
