//! A fleet, one or two rollouts over it, planners, people, and what must hold.

mod act;
mod back;
mod by_hand;
mod check;
mod kinds;
mod ledger;
mod planners;
mod tally;

use crate::devices::{Device, Dice, Fault};
use fleet::rollouts::{
    course::{Course, Stage},
    draw,
    lot::{Kept, Lot},
    plan::Plan,
    steps::Steps,
    throttle::throttled,
    way_back::Back,
};
use std::collections::BTreeMap;
pub use tally::Tally;
use wire::{
    Timestamp,
    ids::RolloutId,
    rollouts::{
        Budget, GateAction, GateSpec, Growth, MetricGate, Order, Rate, Reach, Retry, RetryClass, RolloutSpec, StageSpec, StepLimits,
        TimeOfDay, TooFew, Weekday, Window, Worse,
    },
    states::{ReleaseState, RolloutState, UpdateState},
};

const TIMEOUT: i64 = 3_600_000;
/// Zones that never put their clocks forward or back, with their minutes before UTC; devices of the other sites report none.
const ZONES: [(&str, i64); 3] = [("Asia/Tokyo", 540), ("Asia/Kathmandu", 345), ("America/Phoenix", -420)];
/// Minutes a day for which a window is open.
const OPEN_MIN: u16 = 1080;
const START: i64 = 1_795_341_600_000;

/// An update's row, as the store keeps it.
#[expect(clippy::struct_excessive_bools, reason = "each is a column")]
#[derive(Debug, Clone)]
struct Row {
    run: usize,
    device: usize,
    stage: u32,
    state: UpdateState,
    open: bool,
    latest: bool,
    again: bool,
    /// A person has cancelled it.
    by_hand: bool,
    /// Its device has refused to stop.
    refused: bool,
    /// How far it was when it was taken back.
    was: UpdateState,
    /// Its device went on with it, though it was taken back.
    went_on: bool,
    deadline: i64,
    /// When it has been too long in its step.
    step_deadline: Option<i64>,
    /// Its device says that it succeeded, and has to prove it.
    unproven: bool,
    ended_at: i64,
    made_at: i64,
    retry_at: Option<i64>,
    attempts: i64,
}

/// A rollout under test.
struct Run {
    id: RolloutId,
    course: Course,
    spec: RolloutSpec,
    sequence: i64,
    kept: Kept,
    /// Newest row of each device.
    latest: BTreeMap<usize, usize>,
    approved: bool,
    /// The run that it takes devices back from.
    back_of: Option<usize>,
    /// How often people have resumed it since the turmoil is over.
    resumed: u32,
    /// Its firmware makes devices fare worse.
    worse: bool,
}

/// The arrangement of a plan whose devices are not drawn yet.
fn undrawn(spec: &RolloutSpec) -> Kept {
    Kept {
        lot: Lot::of(spec).unwrap(),
        strata: std::collections::HashMap::new(),
        cuts: vec![draw::NOBODY; spec.stages.len()],
        members: None,
    }
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
    /// How many places devices stand at.
    sites: u64,
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

/// The metric that a worse firmware raises.
fn load(too_few: TooFew) -> MetricGate {
    MetricGate { min_devices: 6, too_few, ..MetricGate::new("load".into(), Worse::Higher) }
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
    let spec = |reach| {
        let soak_s = [0, 600, 7200][dice.index(3)];
        // These two have dice of their own, so that whatever else a seed says stays as it is.
        let mut others = Dice::new(dice.clone().below(u64::MAX));
        StageSpec {
            name: String::new(),
            reach,
            soak_s,
            confirm: dice.percent(25),
            gate: GateSpec {
                success_percent: [95.0, 80.0, 50.0][dice.index(3)],
                error_percent: [5.0, 20.0, 50.0][dice.index(3)],
                min_sample: u32::try_from(1 + dice.below(5)).unwrap(),
                max_errors: u32::try_from([0, 0, 3, 10][dice.index(4)]).unwrap(),
                max_failed: [None, None, None, Some(2)][others.index(4)],
                max_reverted: [None, None, None, Some(2)][dice.index(4)],
                max_timed_out: [None, None, None, Some(4)][dice.index(4)],
                max_rejected: [None, None, None, Some(0)][others.index(4)],
                action: [GateAction::Halt, GateAction::Halt, GateAction::Pause, GateAction::RollBack][dice.index(4)],
                max_dark: if soak_s == 7200 { [None, Some(0), Some(3)][dice.index(3)] } else { None },
                metrics: if soak_s == 7200 && dice.percent(50) {
                    vec![load([TooFew::Ask, TooFew::Pass][dice.index(2)])]
                } else {
                    Vec::new()
                },
            },
        }
    };
    out.into_iter().map(spec).collect()
}

impl World {
    fn new(seed: u64, faults: u64, rollouts: usize, talk: bool) -> Self {
        let mut dice = Dice::new(seed);
        // Mostly small fleets, now and then a large one.
        let size = if seed % 50 == 49 { 2000 } else { 50 + dice.below(200) };
        let sites = 1 + dice.below(8);
        let mut devices = Vec::new();
        for n in 1..=size {
            let fault = if dice.percent(faults) { Fault::BAD[dice.index(Fault::BAD.len())] } else { Fault::None };
            devices.push(Device::new(i64::try_from(n).unwrap(), fault, dice.below(sites)));
        }
        let mut world = Self {
            seed,
            dice,
            now: START,
            devices,
            sites,
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
            let least = u32::try_from(size / 20).unwrap();
            let mut limit = |more: u64| world.dice.percent(30).then(|| least + 1 + u32::try_from(world.dice.below(more)).unwrap());
            let (at_once, at_most) = (limit(20), limit(8));
            let window = world.dice.percent(25).then(|| {
                let time = |minutes: u16| TimeOfDay::of_minutes(minutes % 1440).unwrap();
                let from = u16::try_from(world.dice.below(1440)).unwrap();
                Window { days: Weekday::ALL.to_vec(), from: time(from), until: time(from + OPEN_MIN), zone: "UTC".into() }
            });
            let spec = RolloutSpec {
                at_once,
                budget: at_most.map(|n| {
                    let (at_most, at_most_percent) = if n % 2 == 0 { (Some(n), None) } else { (None, Some(f64::from(n * 10).min(100.0))) };
                    Budget { attribute: "site".into(), at_most, at_most_percent }
                }),
                order: world.dice.percent(60).then(|| Order::Spread("site".into())),
                rate: world.dice.percent(20).then(|| Rate {
                    per_minute: least + 2,
                    growth: world.dice.percent(50).then(|| Growth { factor: 2.0, successes: 3, at_most: 4 * least + 8 }),
                }),
                window,
                way_back: world.dice.percent(60).then(|| "rel_00000000000000000000000000000002".parse().unwrap()),
                retry: world.dice.percent(30).then(|| Retry {
                    classes: vec![RetryClass::Failed, RetryClass::TimedOut],
                    times: 2,
                    wait_min: 20,
                }),
                gate: world.dice.percent(25).then_some(GateSpec {
                    error_percent: 15.0,
                    success_percent: 80.0,
                    min_sample: 10,
                    action: if seed.is_multiple_of(2) { GateAction::Pause } else { GateAction::Halt },
                    ..GateSpec::USUAL
                }),
                steps: StepLimits { installing_min: world.dice.percent(40).then_some(10), ..StepLimits::default() },
                ..RolloutSpec::new("a run".into(), "rel_00000000000000000000000000000001".parse().unwrap(), specs.clone())
            };
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
                throttled: throttled(&spec),
                windowed: spec.window.is_some(),
                gate: spec.gate.clone(),
                verdict: None,
                way_back: spec.way_back.as_ref().map(|_| Back { release: ReleaseState::Published, going: None }),
                summary: String::new(),
                stages: specs.into_iter().map(Stage::pending).collect(),
            };
            let kept = undrawn(&spec);
            world.runs.push(Run {
                id,
                course,
                spec,
                sequence: 2 + i64::try_from(n).unwrap(),
                kept,
                latest: BTreeMap::new(),
                approved: false,
                back_of: None,
                resumed: 0,
                worse: world.dice.percent(30),
            });
        }
        world
    }

    /// Whether its first run was halted by what a metric showed.
    pub fn halted_by_a_metric(&self) -> bool {
        let course = &self.runs[0].course;
        course.state == RolloutState::Halted && course.summary.contains("load is worse on updated devices")
    }

    /// When an update of this run that enters a state now has been too long in it.
    fn step_deadline(&self, run: usize, state: UpdateState) -> Option<i64> {
        let spec = serde_json::to_string(&self.runs[run].spec).unwrap();
        let steps: Steps = serde_json::from_str(&spec).unwrap();
        steps.deadline(state, Timestamp(self.now)).map(|t| t.0)
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
            98 if turmoil && self.dice.percent(3) => self.jump(),
            98..100 if turmoil => {
                if self.dice.percent(15) {
                    self.meddle();
                }
            }
            _ => self.now += 10_000,
        }
    }

    /// Somebody sets the server's clock: forward or, which planners like less, back.
    fn jump(&mut self) {
        let by = 1000 * i64::try_from(self.dice.below(7200)).unwrap();
        self.now += if self.dice.percent(70) { -by } else { by };
        self.tally.clock_jumps += 1;
    }
}
