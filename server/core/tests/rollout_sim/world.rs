//! A fleet, one or two rollouts over it, planners, people, and what must hold.

mod ledger;
mod planners;

use crate::devices::{Device, Dice, Fault};
use fleet::rollouts::{
    control::order,
    course::{Change, Course, Stage, sound},
    draw,
    hearing::{Brings, Heard, hear},
    plan::Plan,
    state::{Class, ROLLOUT, STAGE, UPDATE, ended, legal},
};
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    device::{Running, StatusReport},
    ids::{RolloutId, UpdateId},
    rollouts::{GateSpec, Reach, StageSpec, Verb},
    states::{ReleaseState, RolloutState, StageState, UpdateState},
};

const TIMEOUT: i64 = 3_600_000;
const START: i64 = 1_795_341_600_000;

/// What happened, in numbers.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub steps: u64,
    pub offers: u64,
    pub applied: u64,
    pub stale: u64,
    pub timed_out: u64,
    pub lies: u64,
    pub reverted: u64,
    pub withdrawn: u64,
    pub requeued: u64,
    pub late_words: u64,
    pub recounts: u64,
    pub halted: u64,
    pub completed: u64,
    pub stopped: u64,
    pub resumed_after_halt: u64,
    pub recalled: u64,
}

impl Tally {
    pub fn add(&mut self, o: &Self) {
        self.steps += o.steps;
        self.offers += o.offers;
        self.applied += o.applied;
        self.stale += o.stale;
        self.timed_out += o.timed_out;
        self.lies += o.lies;
        self.reverted += o.reverted;
        self.withdrawn += o.withdrawn;
        self.requeued += o.requeued;
        self.late_words += o.late_words;
        self.recounts += o.recounts;
        self.halted += o.halted;
        self.completed += o.completed;
        self.stopped += o.stopped;
        self.resumed_after_halt += o.resumed_after_halt;
        self.recalled += o.recalled;
    }
}

/// An update's row, as the store keeps it.
#[derive(Debug, Clone)]
struct Row {
    run: usize,
    device: usize,
    stage: u32,
    state: UpdateState,
    open: bool,
    latest: bool,
    again: bool,
    deadline: i64,
}

/// A rollout under test.
struct Run {
    id: RolloutId,
    course: Course,
    sequence: i64,
    places: Vec<i64>,
    /// Newest row of each device.
    latest: BTreeMap<usize, usize>,
    approved: bool,
}

/// A plan that was made, and is to be applied some time later.
struct Pending {
    run: usize,
    plan: Plan,
    generation: i64,
    seen: Course,
}

pub struct World {
    seed: u64,
    dice: Dice,
    now: i64,
    devices: Vec<Device>,
    runs: Vec<Run>,
    rows: Vec<Row>,
    planners: [Option<Pending>; 2],
    /// Number of the last stage that took part in an offer by place beyond the first cut.
    beyond_first: u64,
    /// Reports that moved something.
    words: u64,
    /// Applies plans whatever happened since they were made: to see that the invariants notice.
    sloppy: bool,
    talk: bool,
    pub tally: Tally,
    pub history: Vec<String>,
}

fn stages(dice: &mut Dice) -> Vec<StageSpec> {
    let mut out = Vec::new();
    let mut percent = 0.0;
    for _ in 0..dice.below(4) {
        percent += 1.0 + f64::from(u32::try_from(dice.below(30)).unwrap());
        if percent >= 95.0 {
            break;
        }
        let reach = if out.is_empty() && dice.percent(40) {
            Reach::Count(1 + u32::try_from(dice.below(6)).unwrap())
        } else {
            Reach::Percent(percent)
        };
        out.push(reach);
    }
    out.push(Reach::Percent(100.0));
    let spec = |reach| StageSpec {
        name: String::new(),
        reach,
        soak_s: u32::try_from([0, 600, 7200][dice.index(3)]).unwrap(),
        confirm: dice.percent(25),
        gate: GateSpec {
            success_percent: [95.0, 80.0, 50.0][dice.index(3)],
            error_percent: [5.0, 20.0, 50.0][dice.index(3)],
            min_sample: u32::try_from(1 + dice.below(5)).unwrap(),
            max_errors: u32::try_from([0, 0, 3, 10][dice.index(4)]).unwrap(),
        },
    };
    out.into_iter().map(spec).collect()
}

impl World {
    fn new(seed: u64, faults: u64, rollouts: usize, talk: bool) -> Self {
        let mut dice = Dice::new(seed);
        // Mostly small fleets, now and then a large one.
        let size = if seed % 50 == 49 { 2000 } else { 50 + dice.below(200) };
        let mut devices = Vec::new();
        for n in 1..=size {
            let fault = if dice.percent(faults) { Fault::BAD[dice.index(Fault::BAD.len())] } else { Fault::None };
            devices.push(Device::new(i64::try_from(n).unwrap(), fault));
        }
        let mut world = Self {
            seed,
            dice,
            now: START,
            devices,
            runs: Vec::new(),
            rows: Vec::new(),
            planners: [None, None],
            beyond_first: 0,
            words: 0,
            sloppy: false,
            talk,
            tally: Tally::default(),
            history: Vec::new(),
        };
        for n in 0..rollouts {
            let id: RolloutId = format!("rol_{:032x}", u128::from(seed) << 8 | n as u128).parse().unwrap();
            let specs = stages(&mut world.dice);
            let begin_at = world.dice.percent(30).then(|| Timestamp(world.now + 1_800_000));
            let course = Course {
                state: RolloutState::WaitingForApproval,
                generation: 1,
                release: ReleaseState::Published,
                begin_at,
                timeout_ms: TIMEOUT,
                stage: 0,
                cut: draw::NOBODY,
                doors_until: Timestamp(0),
                last_device: 0,
                summary: String::new(),
                stages: specs.into_iter().map(Stage::pending).collect(),
            };
            let places = world.devices.iter().map(|d| draw::place(&id, d.number)).collect();
            world.runs.push(Run { id, course, sequence: 2 + i64::try_from(n).unwrap(), places, latest: BTreeMap::new(), approved: false });
        }
        world
    }

    /// A whole run: turmoil, then calm until everything has ended.
    pub fn run(seed: u64, talk: bool) -> Self {
        let faults = [0, 5, 15, 40][usize::try_from(seed % 4).unwrap()];
        let mut world = Self::new(seed, faults, if seed.is_multiple_of(3) { 2 } else { 1 }, talk);
        let steps = 12 * world.devices.len() as u64;
        for _ in 0..steps {
            world.step(true);
        }
        world.settle();
        world
    }

    /// The same with a store that applies stale plans.
    pub fn sloppy(seed: u64) -> Self {
        let mut world = Self::new(seed, 15, 1, false);
        world.sloppy = true;
        for _ in 0..12 * world.devices.len() {
            world.step(true);
        }
        world.settle();
        world
    }

    /// Nothing is wrong and nobody interferes.
    pub fn healthy(seed: u64) -> Self {
        let mut world = Self::new(seed, 0, 1, false);
        world.settle();
        world
    }

    /// Every device reverts.
    pub fn doomed(seed: u64) -> Self {
        let mut world = Self::new(seed, 0, 1, false);
        for device in &mut world.devices {
            device.fault = Fault::Reverts;
        }
        world.settle();
        world
    }

    pub fn everybody_runs_the_release(&self) -> bool {
        self.devices.iter().all(|d| d.sequence == self.runs[0].sequence)
    }

    pub fn offered_beyond_first_stage(&self) -> u64 {
        self.beyond_first
    }

    fn note(&mut self, run: usize, text: impl std::fmt::Display) {
        let line = format!("{:>9} s  rollout {run}: {text}", (self.now - START) / 1000);
        if self.talk {
            println!("{line}");
        }
        self.history.push(line);
    }

    fn step(&mut self, turmoil: bool) {
        self.tally.steps += 1;
        match self.dice.below(100) {
            0..70 => {
                let device = self.dice.index(self.devices.len());
                self.act(device);
            }
            70..90 => self.plan_or_apply(),
            90..96 => self.now += 1000 * i64::try_from(self.dice.below(60)).unwrap(),
            96..98 if turmoil => self.change_fleet(),
            98..100 if turmoil => {
                if self.dice.percent(15) {
                    self.meddle();
                }
            }
            _ => self.now += 10_000,
        }
    }

    // --- devices -------------------------------------------------------------------------------------------------------------------

    fn act(&mut self, device: usize) {
        let now = self.now;
        let d = &mut self.devices[device];
        if d.fault == Fault::Flaps && self.dice.percent(50) {
            d.online = !d.online;
        }
        if !d.online || !d.member || d.silent_until > now {
            return;
        }
        match d.work {
            None => self.poll(device),
            Some((row, at)) => {
                if let Some(next) = self.devices[device].next(at, &mut self.dice, now) {
                    self.devices[device].work = Some((row, next));
                    self.report(device, row, next);
                }
            }
        }
    }

    fn poll(&mut self, device: usize) {
        // A device that lost its state asks again and gets the same offer.
        if let Some(i) = (0..self.rows.len()).rev().find(|i| self.rows[*i].device == device && self.rows[*i].open) {
            self.devices[device].work = Some((i, UpdateState::Offered));
            return;
        }
        let now = Timestamp(self.now);
        for run in 0..self.runs.len() {
            let r = &self.runs[run];
            let place = r.places[device];
            let last = r.latest.get(&device).copied();
            let had_its_turn = last.is_some_and(|row| !self.rows[row].again);
            if !r.course.may_offer(place, now) || had_its_turn || !self.eligible(run, device) {
                continue;
            }
            // What the invariants say of every offer, asked independently of `may_offer`.
            assert!(r.approved, "seed {}: an offer without approval", self.seed);
            assert_eq!(r.course.state, RolloutState::Running, "seed {}: an offer outside running", self.seed);
            assert_eq!(r.course.release, ReleaseState::Published, "seed {}: an offer of a recalled release", self.seed);
            let stage = r.course.current().expect("a running stage");
            assert_eq!(stage.state, StageState::Running, "seed {}: an offer outside a running stage", self.seed);
            assert!(place <= stage.cut, "seed {}: an offer beyond the cut", self.seed);
            assert!(!self.busy(device), "seed {}: two updates of one device", self.seed);
            if place > r.course.stages[0].cut {
                self.beyond_first += 1;
            }
            let (current, newcomer) = (r.course.stage, last.is_none() && self.devices[device].number > r.course.last_device);
            if let Some(row) = last {
                (self.rows[row].latest, self.rows[row].again) = (false, false);
            }
            if !newcomer {
                self.take_waiting(run, current);
            }
            self.shift(run, current, Class::Updating, 1);
            let row = Row {
                run,
                device,
                stage: current,
                state: UpdateState::Offered,
                open: true,
                latest: true,
                again: false,
                deadline: self.now + TIMEOUT,
            };
            self.rows.push(row);
            let i = self.rows.len() - 1;
            self.runs[run].latest.insert(device, i);
            let d = &mut self.devices[device];
            (d.work, d.tries) = (Some((i, UpdateState::Offered)), d.tries + 1);
            self.tally.offers += 1;
            return;
        }
    }

    fn report(&mut self, device: usize, i: usize, says: UpdateState) {
        let run = self.rows[i].run;
        let sequence = self.runs[run].sequence;
        let d = &mut self.devices[device];
        let lies = says == UpdateState::Succeeded && d.fault == Fault::Lies;
        if says == UpdateState::Succeeded && !lies {
            d.sequence = d.sequence.max(sequence);
        }
        if says.finished() {
            d.work = None;
        }
        let runs = Running { version: format!("{}.0", d.sequence), sequence: u64::try_from(d.sequence).unwrap(), ..Running::default() };
        let brings = format!("{sequence}.0");
        let update_id: UpdateId = format!("upd_{i:032x}").parse().unwrap();
        let word = StatusReport { update_id, state: says, progress: None, code: None, detail: None, firmware: Some(runs.clone()) };
        let row = self.rows[i].clone();
        let heard = if row.latest { hear(row.state, &word, &runs, Brings { version: &brings, sequence }).unwrap() } else { Heard::Late };
        match heard {
            Heard::Late => {
                self.tally.late_words += 1;
                // The answer tells the device that its update is over.
                if row.state.finished() {
                    self.devices[device].work = None;
                }
            }
            Heard::Again => {
                self.words += 1;
                self.rows[i].deadline = self.now + TIMEOUT;
            }
            Heard::Moves { to, .. } => {
                self.words += 1;
                assert!(legal(UPDATE, row.state, to));
                assert!(
                    to != UpdateState::Succeeded || self.devices[device].sequence >= sequence,
                    "seed {}: a lie was believed",
                    self.seed
                );
                self.tally.lies += u64::from(lies && to == UpdateState::Failed);
                self.tally.reverted += u64::from(to == UpdateState::Reverted);
                let current = self.runs[run].course.stage;
                let stage = if row.again {
                    self.take_waiting(run, current);
                    current
                } else {
                    self.shift(run, row.stage, Class::of(row.state), -1);
                    row.stage
                };
                self.shift(run, stage, Class::of(to), 1);
                let kept = &mut self.rows[i];
                (kept.state, kept.open, kept.again, kept.stage, kept.deadline) = (to, !to.finished(), false, stage, self.now + TIMEOUT);
            }
        }
        self.check_now(run);
    }

    // --- people and changes --------------------------------------------------------------------------------------------------------

    fn change_fleet(&mut self) {
        if self.dice.percent(50) {
            let number = i64::try_from(self.devices.len()).unwrap() + 1;
            self.devices.push(Device::new(number, Fault::None));
            for run in &mut self.runs {
                run.places.push(draw::place(&run.id, number));
            }
        } else {
            let device = self.dice.index(self.devices.len());
            let member = self.devices[device].member;
            self.devices[device].member = !member;
        }
    }

    fn meddle(&mut self) {
        let run = self.dice.index(self.runs.len());
        if self.runs[run].course.state == RolloutState::WaitingForApproval {
            return self.approve(run);
        }
        if self.dice.percent(1) && self.runs[run].approved {
            self.runs[run].course.release = ReleaseState::Recalled;
            self.tally.recalled += 1;
            return self.note(run, "the release is recalled");
        }
        // Stopping ends the fun, so it is rare.
        let verb = [Verb::Pause, Verb::Resume, Verb::Promote, Verb::Retry, Verb::Start, Verb::Resume, Verb::Promote][self.dice.index(7)];
        let verb = if self.dice.percent(1) { Verb::Stop } else { verb };
        self.order(run, verb);
    }

    fn approve(&mut self, run: usize) {
        let generation = self.runs[run].course.generation;
        let yes = [Change::Enter { to: RolloutState::Approved, summary: "Approved".into() }];
        assert!(self.commit(run, &yes, generation, None, "ada"));
        self.runs[run].approved = true;
    }

    fn order(&mut self, run: usize, verb: Verb) -> bool {
        let course = self.runs[run].course.clone();
        let Ok(changes) = order(verb, &course, "oli", "", Timestamp(self.now)) else { return false };
        let halted = course.state == RolloutState::Halted && verb == Verb::Resume;
        self.tally.resumed_after_halt += u64::from(halted);
        assert!(self.commit(run, &changes, course.generation, None, "oli"), "seed {}", self.seed);
        self.note(run, format!("{} by oli", verb.as_str()));
        true
    }

    // --- what must hold ------------------------------------------------------------------------------------------------------------

    fn check_now(&self, run: usize) {
        if let Err(broken) = sound(&self.runs[run].course) {
            panic!("seed {}: {broken}", self.seed);
        }
    }

    fn check_step(&mut self, run: usize, before: &Course, by: &str) {
        self.check_now(run);
        let after = &self.runs[run].course;
        assert!(
            before.state == after.state || reachable(before.state, after.state),
            "seed {}: {} → {}",
            self.seed,
            before.state,
            after.state
        );
        assert!(after.stage >= before.stage, "seed {}: the stage went back", self.seed);
        for (old, new) in before.stages.iter().zip(&after.stages) {
            let reopened = old.state == StageState::Failed && new.state == StageState::Running;
            assert!(!reopened || by != "automatic", "seed {}: the planner reopened a stage", self.seed);
            assert!(
                old.state == new.state || legal(STAGE, old.state, new.state) || old.state == StageState::Pending,
                "seed {}: stage {} → {}",
                self.seed,
                old.state,
                new.state
            );
        }
        if before.state != after.state {
            match after.state {
                RolloutState::Halted => {
                    self.tally.halted += 1;
                    assert!(after.summary.starts_with("Halted"), "seed {}: halted without a reason", self.seed);
                }
                RolloutState::Completed => self.tally.completed += 1,
                RolloutState::Stopped => self.tally.stopped += 1,
                _ => {}
            }
        }
        if self.tally.applied.is_multiple_of(16) {
            self.recount(run);
        }
    }

    // --- calm ----------------------------------------------------------------------------------------------------------------------

    /// No more surprises: people approve, resume what they paused, promote what waits for them. Everything must end, or halt.
    fn settle(&mut self) {
        let mut busy = 0;
        for _ in 0..4000 {
            if self.runs.iter().all(|r| ended(ROLLOUT, r.course.state) || r.course.state == RolloutState::Halted) {
                for run in 0..self.runs.len() {
                    self.recount(run);
                }
                return;
            }
            self.tally.steps += 1;
            for run in 0..self.runs.len() {
                match self.runs[run].course.state {
                    RolloutState::WaitingForApproval => self.approve(run),
                    RolloutState::Paused => {
                        self.order(run, Verb::Resume);
                    }
                    RolloutState::Running if self.runs[run].course.current().is_some_and(|s| s.state == StageState::AwaitingPromotion) => {
                        self.order(run, Verb::Promote);
                    }
                    _ => {}
                }
                while let Some(pending) = self.make_plan(run) {
                    self.apply_pending(pending);
                }
            }
            for device in 0..self.devices.len() {
                self.act(device);
            }
            // Time flies while nothing else happens, so that the last stage's patience ends too.
            let before = std::mem::replace(&mut busy, self.tally.applied - self.tally.recounts + self.tally.offers + self.words);
            self.now += if busy == before { 6 * 3_600_000 } else { 30_000 };
        }
        let states: Vec<_> = self.runs.iter().map(|r| (r.course.state, r.course.summary.clone(), r.course.current().cloned())).collect();
        panic!("seed {}: it never ends: {states:#?}", self.seed);
    }
}

/// Whether a step may lead from one state to the other, also over one in between.
fn reachable(from: RolloutState, to: RolloutState) -> bool {
    legal(ROLLOUT, from, to) || RolloutState::ALL.iter().any(|via| legal(ROLLOUT, from, *via) && legal(ROLLOUT, *via, to))
}
