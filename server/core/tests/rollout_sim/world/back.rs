//! Going back in the world: the rollouts that take devices back, and what must hold of them.

use super::{Run, World, undrawn};
use fleet::rollouts::{
    course::{Course, Stage},
    draw,
    state::{ROLLOUT, ended},
    throttle::throttled,
    way_back::{Going, plan_of},
};
use wire::{
    Timestamp,
    ids::RolloutId,
    states::{ReleaseState, RolloutState, UpdateState},
};

impl World {
    /// The newest run that takes devices back from this one.
    fn backwards(&self, run: usize) -> Option<usize> {
        self.runs.iter().rposition(|r| r.back_of == Some(run))
    }

    /// The course as the store reads it: with what is known of its way back.
    pub(super) fn with_way_back(&self, run: usize) -> Course {
        let mut course = self.runs[run].course.clone();
        for (number, stage) in (1..).zip(&mut course.stages) {
            stage.cancelled = self.cancelled_in_stage(run, number);
        }
        if let Some(back) = &mut course.way_back {
            back.going = self.backwards(run).map(|i| {
                let course = &self.runs[i].course;
                Going { state: course.state, summary: course.summary.clone() }
            });
        }
        course
    }

    /// Members of the fleet that had a part in a run and run its release.
    pub(super) fn running_it(&self, run: usize) -> impl Iterator<Item = usize> {
        let r = &self.runs[run];
        (0..self.devices.len()).filter(|d| self.devices[*d].member && self.devices[*d].sequence == r.sequence && r.latest.contains_key(d))
    }

    /// What the store does when a way back sets out.
    pub(super) fn set_out(&mut self, run: usize, devices: i64) {
        assert!(self.backwards(run).is_none() || self.sloppy, "seed {}: it goes back twice", self.seed);
        let of = &self.runs[run];
        let spec = plan_of(&of.spec, devices).expect("a way back");
        let n = self.runs.len();
        let id: RolloutId = format!("rol_{:032x}", u128::from(self.seed) << 8 | n as u128).parse().unwrap();
        let course = Course {
            state: RolloutState::Approved,
            generation: 1,
            release: ReleaseState::Published,
            begin_at: None,
            stage: 0,
            cut: draw::NOBODY,
            doors_until: Timestamp(0),
            last_device: 0,
            throttled: throttled(&spec),
            way_back: None,
            gate: spec.gate.clone(),
            verdict: None,
            summary: "Approved".into(),
            stages: spec.stages.iter().cloned().map(Stage::pending).collect(),
            ..of.course.clone()
        };
        let sequence = 100 + of.sequence;
        let kept = undrawn(&spec);
        let latest = std::collections::BTreeMap::new();
        self.runs.push(Run { id, course, spec, sequence, kept, latest, approved: true, back_of: Some(run), resumed: 0, worse: false });
        self.tally.set_out += 1;
    }

    /// A way back is offered only to those who had a part in what it takes back and run it, and nobody who went back is sent there again.
    pub(super) fn check_direction(&self, run: usize, device: usize) {
        if let Some(of) = self.runs[run].back_of {
            assert!(self.runs[of].latest.contains_key(&device), "seed {}: a way back for a stranger", self.seed);
            assert_eq!(self.devices[device].sequence, self.runs[of].sequence, "seed {}: it runs something else", self.seed);
            assert_eq!(self.runs[of].course.state, RolloutState::RollingBack, "seed {}: nobody goes back", self.seed);
        }
        let went_back = self.backwards(run).and_then(|back| self.runs[back].latest.get(&device));
        let there = went_back.is_some_and(|row| self.rows[*row].state == UpdateState::Succeeded);
        assert!(!there, "seed {}: a device is sent to and fro", self.seed);
    }

    /// Who still runs what was taken back is told of: it failed on its way back, or it said only after the end that it runs it.
    pub(super) fn check_rolled_back(&self, run: usize) {
        let Some(back) = self.backwards(run) else { return };
        for device in self.running_it(run) {
            let told = self.runs[back].latest.get(&device).is_some_and(|row| self.rows[*row].state != UpdateState::Succeeded);
            let waits = self.runs[back].course.totals().waiting > 0;
            let silent = self.rows[self.runs[run].latest[&device]].state != UpdateState::Succeeded;
            assert!(told || waits || silent, "seed {}: device {device} was forgotten on the way back", self.seed);
        }
    }

    /// Whether nothing happens to a run any more unless a person decides.
    pub(super) fn at_rest(&self, run: usize) -> bool {
        let state = self.runs[run].course.state;
        let held = || self.backwards(run).is_some_and(|back| self.at_rest(back) && !ended(ROLLOUT, self.runs[back].course.state));
        // A gate that pauses for want of devices that never come pauses again and again.
        let given_up = state == RolloutState::Paused && self.runs[run].resumed > 3;
        given_up || ended(ROLLOUT, state) || state == RolloutState::Halted || (state == RolloutState::RollingBack && held())
    }
}
