//! The kinds of runs: how they begin, and how long they go on.

use super::{World, load, undrawn};
use crate::devices::{Device, Fault};
use fleet::rollouts::course::{Course, Stage};
use wire::rollouts::{GateSpec, MetricGate, Reach, RetryClass, RolloutSpec, StageSpec, TooFew};

impl World {
    /// A whole run: turmoil, then calm until everything has ended.
    pub fn run(seed: u64, talk: bool) -> Self {
        let faults = [0, 5, 15, 40][usize::try_from(seed % 4).unwrap()];
        let mut world = Self::new(seed, faults, if seed.is_multiple_of(3) { 2 } else { 1 }, talk);
        if seed.is_multiple_of(2) {
            for retry in world.runs.iter_mut().filter_map(|run| run.spec.retry.as_mut()) {
                retry.classes.push(RetryClass::Reverted);
            }
        }
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
        world.runs[0].worse = false;
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

    /// Nothing is wrong with any device; a first stage of 30 is watched and its metric compared, with this confidence and smallest effect. `worse` firmware
    /// makes devices fare worse by as much as they differ by themselves.
    pub fn measured(seed: u64, worse: bool, confidence_percent: f64, effect_percent: f64) -> Self {
        let metric = MetricGate { confidence_percent, effect_percent, ..load(TooFew::Ask) };
        let mut world = Self::watched(seed, GateSpec { metrics: vec![metric], ..GateSpec::USUAL });
        world.runs[0].worse = worse;
        world.settle();
        world
    }

    /// Every device succeeds and is never heard of again, and a first stage of 30 is watched for that: none may.
    pub fn darkened(seed: u64) -> Self {
        let mut world = Self::watched(seed, GateSpec { max_dark: Some(0), ..GateSpec::USUAL });
        for device in &mut world.devices {
            device.fault = Fault::DiesAfter;
        }
        world.settle();
        world
    }

    /// Devices without faults, and a rollout to them in two stages, the first of which has 30 and is watched by this gate. Nothing has happened yet.
    fn watched(seed: u64, gate: GateSpec) -> Self {
        let mut world = Self::new(seed, 0, 1, false);
        world.devices.truncate(150);
        while world.devices.len() < 150 {
            let number = i64::try_from(world.devices.len()).unwrap() + 1;
            world.devices.push(Device::new(number, Fault::None, 0));
        }
        let stage = |reach, soak_s, gate| StageSpec { name: String::new(), reach, soak_s, confirm: false, gate };
        let stages = vec![stage(Reach::Count(30), 7200, gate), stage(Reach::Percent(100.0), 0, GateSpec::USUAL)];
        let run = &mut world.runs[0];
        run.spec = RolloutSpec::new("a run".into(), run.spec.release.clone(), stages.clone());
        run.kept = undrawn(&run.spec);
        run.course = Course {
            begin_at: None,
            throttled: false,
            windowed: false,
            gate: None,
            way_back: None,
            stages: stages.into_iter().map(Stage::pending).collect(),
            ..run.course.clone()
        };
        world
    }
}
