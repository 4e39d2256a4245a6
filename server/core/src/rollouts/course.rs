//! Pure: a rollout's course as the planner sees it, the changes that move it, and what must hold of it at every moment.
//!
//! A [`Change`] is the whole vocabulary of planner and people. It is interpreted twice: [`Course::apply`] here, for simulations and dry runs,
//! and in SQL by the store, which applies a list of changes in one transaction guarded by the course's generation.

use super::{
    admission::Doors,
    draw::{self, Cut},
    evidence,
    gate::{self, Seen},
    state::{self, ROLLOUT, STAGE},
    timing::WINDOW_PATIENCE_MS,
    way_back::{Back, Going},
};
use wire::{
    Timestamp,
    rollouts::{Call, Counts, Finding, GateSpec, StageSpec, Verdict},
    states::{ReleaseState, RolloutState, StageState},
};

mod change;

pub use super::sound::sound;
pub use change::Change;

/// How long the last stage stays open for devices that don't come, at least: 30 days.
const LAST_PATIENCE_MS: i64 = 30 * 24 * 3600 * 1000;

/// A rollout and its stages, as read at one generation.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Where it is in its life.
    pub state: RolloutState,
    /// Raised by every change; a plan made on an older one never applies.
    pub generation: i64,
    /// The release's state.
    pub release: ReleaseState,
    /// When it may begin.
    pub begin_at: Option<Timestamp>,
    /// Milliseconds of silence after which an update has timed out, and for which a stage waits for devices that don't come.
    pub timeout_ms: i64,
    /// The stage that runs or ran last, from 1; 0 before the first.
    pub stage: u32,
    /// Devices at or before this place may be offered it; where the plan arranges them otherwise, no others may.
    pub cut: i64,
    /// Until when; in the past while nobody may.
    pub doors_until: Timestamp,
    /// The highest device number when devices were counted last; higher ones joined later.
    pub last_device: i64,
    /// Its plan limits how many devices update at the same time, so that they wait for each other.
    pub throttled: bool,
    /// Its plan has a window in which devices install.
    pub windowed: bool,
    /// The gate of the whole rollout; none where its plan has none.
    pub gate: Option<GateSpec>,
    /// What that gate said when it said no last; when a person went on, in spite of what.
    pub verdict: Option<Verdict>,
    /// What is known of its way back; none where its plan has none.
    pub way_back: Option<Back>,
    /// One sentence on the latest change.
    pub summary: String,
    /// First to last.
    pub stages: Vec<Stage>,
}

/// A stage of a course.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its plan.
    pub spec: StageSpec,
    /// Where it is in its life.
    pub state: StageState,
    /// Where it ends.
    pub cut: i64,
    /// How many of those that succeeded were dark when they were counted at the end of its soak; none before.
    pub dark: Option<i64>,
    /// Its devices. Devices that were not reached wait in the stage that runs, wherever their place is.
    pub counts: Counts,
    /// How many of those that are left out people have cancelled, and nobody has had tried again, as it was read.
    pub cancelled: i64,
    /// What was known when a person went on in spite of its gate.
    pub seen: Seen,
    /// The same of the gate of the whole rollout, as far as it is of this stage's devices: neither gate begins anew because of the other's no.
    pub seen_by_whole: Seen,
    /// Raised by every change of the counts.
    pub tally: i64,
    /// The tally that a recount of the waiting devices left behind; −1 before the first.
    pub counted: i64,
    /// When that was.
    pub counted_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When its soak ends.
    pub soak_until: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The verdict that moved it last.
    pub verdict: Option<Verdict>,
    /// Looks at metrics that were taken in its watch.
    pub looks: u32,
    /// What they found, the latest last.
    pub findings: Vec<Finding>,
}

impl Stage {
    /// A stage whose turn has not come and that nobody is drawn into.
    pub fn pending(spec: StageSpec) -> Self {
        Self {
            spec,
            state: StageState::Pending,
            cut: draw::NOBODY,
            dark: None,
            counts: Counts::default(),
            cancelled: 0,
            seen: Seen::default(),
            seen_by_whole: Seen::default(),
            tally: 0,
            counted: -1,
            counted_at: Timestamp(0),
            started_at: None,
            soak_until: None,
            ended_at: None,
            verdict: None,
            looks: 0,
            findings: Vec::new(),
        }
    }

    /// What is kept of it with this verdict: that itself. But where a person went on in spite of a no and nobody was judged since, what it was and how many
    /// devices there were then stays, with who went on.
    pub(super) fn keeps(&self, verdict: Verdict) -> Verdict {
        let numbers = |v: &Verdict| (v.finished, v.succeeded, v.errors);
        let nobody_since = |kept: &Verdict| kept.call == Call::Wait && verdict.finished == 0;
        // The no was another's than of this gate, which has all that it knew before.
        let as_it_was = |kept: &Verdict| kept.is_overruled() && numbers(kept) == numbers(&verdict);
        let stays = |kept: &&Verdict| verdict.call == Call::Pass && (nobody_since(kept) || as_it_was(kept));
        self.verdict.as_ref().filter(stays).cloned().unwrap_or(verdict)
    }

    /// What its gate says of what is known by now; `closed` when nobody else comes to it.
    pub(super) fn judged(&self, closed: bool) -> Verdict {
        gate::judge_beside(self.cancelled, &self.spec.gate, &self.counts, self.seen, closed)
    }

    /// What its gate says when nobody else comes to it. That too few could be judged is asked once: where a person went on in spite of that and nobody was
    /// judged since, that holds.
    pub(super) fn closes(&self) -> Verdict {
        let gate = &self.spec.gate;
        let verdict = self.judged(true);
        let again = verdict.call == Call::Halt && verdict.finished == 0;
        let asked = |kept: &&Verdict| again && kept.is_overruled() && kept.is_judged() && gate::is_too_few(gate, kept);
        self.verdict.as_ref().filter(asked).cloned().unwrap_or(verdict)
    }

    /// Whether one of its metrics has stopped it, and nobody has gone on since.
    pub(super) fn stopped_by_a_metric(&self) -> bool {
        self.findings.iter().any(|f| f.call == Call::Halt && !f.seen)
    }

    /// All that is known by now, for a gate that has set aside this much until now.
    fn known(&self, before: Seen) -> Seen {
        Seen::all(&self.counts, self.dark.unwrap_or(before.dark))
    }
}

impl Course {
    /// The stage of this number, from 1.
    pub fn stage_at(&self, number: u32) -> Option<&Stage> {
        self.stages.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    fn stage_mut(&mut self, number: u32) -> Option<&mut Stage> {
        self.stages.get_mut(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The stage that runs or ran last.
    pub fn current(&self) -> Option<&Stage> {
        self.stage_at(self.stage)
    }

    /// Whether this is the number of the last stage.
    pub fn is_last(&self, number: u32) -> bool {
        usize::try_from(number).is_ok_and(|n| n == self.stages.len())
    }

    /// How long, in milliseconds, a stage waits for devices that don't come. The last one waits longest: nothing stands behind it. With a
    /// window, every device has to see it open once.
    pub fn patience(&self, number: u32) -> i64 {
        let unhurried = if self.windowed { WINDOW_PATIENCE_MS } else { 0 };
        self.timeout_ms.max(if self.is_last(number) { LAST_PATIENCE_MS } else { unhurried })
    }

    /// How far it is open to devices.
    pub const fn doors(&self) -> Doors {
        Doors { state: self.state, stage: self.stage, cut: self.cut, until: self.doors_until }
    }

    /// The counts of all stages.
    pub fn totals(&self) -> Counts {
        let mut sum = Counts::default();
        for stage in &self.stages {
            for class in state::Class::ALL {
                class.add(&mut sum, class.of_counts(&stage.counts));
            }
        }
        sum
    }

    /// What a person has seen who went on in spite of the gate of the whole rollout, in all stages.
    pub fn seen(&self) -> Seen {
        let mut sum = Seen::default();
        for Seen { finished, succeeded, errors, failed, reverted, timed_out, rejected, dark } in self.stages.iter().map(|s| s.seen_by_whole)
        {
            sum.finished += finished;
            sum.succeeded += succeeded;
            sum.errors += errors;
            sum.failed += failed;
            sum.reverted += reverted;
            sum.timed_out += timed_out;
            sum.rejected += rejected;
            sum.dark += dark;
        }
        sum
    }

    /// How many of those that succeeded were dark when their stages were counted last.
    pub fn dark(&self) -> i64 {
        self.stages.iter().filter_map(|s| s.dark).sum()
    }

    /// Applies a change to everything but the updates: [`Change::TimeOut`], [`Change::Withdraw`] and [`Change::Requeue`] are about them, and
    /// whoever keeps the updates keeps their counts.
    pub fn apply(&mut self, change: &Change, now: Timestamp) {
        match change {
            Change::Enter { to, summary } => {
                debug_assert!(state::legal(ROLLOUT, self.state, *to), "{} → {to}", self.state);
                self.state = *to;
                self.summary.clone_from(summary);
                if *to != RolloutState::Running {
                    self.doors_until = Timestamp(0);
                }
            }
            Change::Say { summary } => self.summary.clone_from(summary),
            Change::BeginNow => self.begin_at = None,
            Change::Draw { cuts, strata: _, members: _, last_device } => self.draw(cuts, *last_device),
            Change::Begin { stage, doors_until } => self.begin(*stage, *doors_until, now),
            Change::Doors { until } => self.doors_until = *until,
            Change::Reopen { stage, doors_until, by, anew } => {
                self.doors_until = *doors_until;
                if let Some(stage) = self.stage_mut(*stage) {
                    move_stage(stage, StageState::Running);
                    if *anew {
                        stage.seen = stage.known(stage.seen);
                    }
                    stage.dark = None;
                    stage.findings.iter_mut().filter(|f| f.call == Call::Halt).for_each(|f| f.seen = true);
                    stage.ended_at = None;
                    stage.verdict = stage.verdict.take().filter(|v| v.call == Call::Halt).map(|v| v.overruled(by));
                    stage.tally += 1;
                }
            }
            Change::Again { stage } => {
                if let Some(stage) = self.stage_mut(*stage) {
                    move_stage(stage, StageState::Running);
                    (stage.soak_until, stage.dark) = (None, None);
                    // That it passed, or that nobody could be judged, was said of others; a no, and that a person went on in spite of one, holds.
                    stage.verdict = stage.verdict.take().filter(|v| v.call == Call::Halt || v.is_overruled());
                    stage.tally += 1;
                }
            }
            Change::Soak { stage, until, verdict } => {
                self.doors_until = Timestamp(0);
                if let Some(stage) = self.stage_mut(*stage) {
                    move_stage(stage, StageState::Soaking);
                    stage.soak_until = Some(*until);
                    stage.looks = 0;
                    stage.verdict = Some(verdict.clone().seen_at(now));
                }
            }
            Change::Hold { stage, verdict } => {
                self.doors_until = Timestamp(0);
                if let Some(stage) = self.stage_mut(*stage) {
                    move_stage(stage, StageState::AwaitingPromotion);
                    stage.verdict = Some(verdict.clone().seen_at(now));
                }
            }
            Change::Note { stage, verdict } => {
                if let Some(stage) = self.stage_mut(*stage) {
                    stage.verdict = Some(verdict.clone().seen_at(now));
                }
            }
            Change::Close { stage, to, verdict } => {
                if *stage == self.stage {
                    self.doors_until = Timestamp(0);
                }
                if let Some(stage) = self.stage_mut(*stage) {
                    move_stage(stage, *to);
                    stage.ended_at = Some(now);
                    if let Some(verdict) = verdict {
                        stage.verdict = Some(verdict.clone().seen_at(now));
                    }
                }
            }
            Change::Recount { stage, waiting, last_device } => {
                self.last_device = *last_device;
                if let Some(stage) = self.stage_mut(*stage) {
                    stage.counts.total += waiting - stage.counts.waiting;
                    stage.counts.waiting = *waiting;
                    stage.tally += 1;
                    stage.counted = stage.tally;
                    stage.counted_at = now;
                }
            }
            Change::Dark { stage, devices } => {
                if let Some(stage) = self.stage_mut(*stage) {
                    stage.dark = Some(*devices);
                }
            }
            Change::Look { stage, look, findings } => {
                if let Some(stage) = self.stage_mut(*stage) {
                    stage.looks = *look;
                    evidence::keep(&mut stage.findings, findings);
                }
            }
            Change::Judged { verdict } => self.verdict = Some(verdict.clone().seen_at(now)),
            Change::GoOn { by } => {
                self.verdict = self.verdict.take().map(|v| v.overruled(by));
                for stage in &mut self.stages {
                    stage.seen_by_whole = stage.known(stage.seen_by_whole);
                }
            }
            Change::SetOut { summary, .. } => {
                self.summary.clone_from(summary);
                if let Some(back) = &mut self.way_back {
                    back.going = Some(Going { state: RolloutState::Approved, summary: String::new() });
                }
            }
            Change::TimeOut | Change::Withdraw { .. } | Change::Requeue { .. } => {}
        }
    }

    fn draw(&mut self, cuts: &[Cut], last_device: i64) {
        self.last_device = last_device;
        let mut before = 0;
        for (stage, cut) in self.stages.iter_mut().zip(cuts) {
            let devices = cut.reach - before;
            before = cut.reach;
            stage.cut = cut.place;
            stage.counts = Counts { total: devices, waiting: devices, ..Counts::default() };
            stage.tally += 1;
        }
    }

    fn begin(&mut self, stage: u32, doors_until: Timestamp, now: Timestamp) {
        let carried = self.stage_mut(self.stage).map_or(0, |before| {
            let carried = before.counts.waiting;
            before.counts.waiting = 0;
            before.counts.total -= carried;
            before.tally += 1;
            carried
        });
        (self.stage, self.doors_until) = (stage, doors_until);
        if let Some(next) = self.stage_mut(stage) {
            move_stage(next, StageState::Running);
            next.counts.waiting += carried;
            next.counts.total += carried;
            next.tally += 1;
            next.started_at = Some(now);
            next.counted_at = now;
            self.cut = next.cut;
        }
    }
}

fn move_stage(stage: &mut Stage, to: StageState) {
    debug_assert!(state::legal(STAGE, stage.state, to), "{} → {to}", stage.state);
    stage.state = to;
}

/// Whether a release in this state may still be installed.
pub const fn may_install(release: ReleaseState) -> bool {
    matches!(release, ReleaseState::Published | ReleaseState::Deprecated)
}
