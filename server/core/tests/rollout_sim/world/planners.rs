//! Two planners that act on what they saw some time ago.

use super::{Pending, Row, World, ledger::retractable};
use crate::devices::Dice;
use fleet::devices::{Facts, Selector};
use fleet::rollouts::{
    course::Change,
    evidence::{self, Groups, Look},
    gate::{DARK_GRACE_MS, DARK_WATCH_MS},
    plan::{Need, Plan, Survey, UnderWay, plan},
    state::begun,
    survey::{Miss, Target, Walk},
    throttle::Crowd,
};
use wire::{
    Timestamp,
    states::{RolloutState, UpdateState},
};

/// Who is eligible is the world's to say.
fn everybody() -> Target {
    let selector = Selector::everything();
    let (device_type, hardware, version) = (String::new(), Vec::new(), String::new());
    Target { device_type, hardware, version, sequence: i64::MAX, min_sequence: 0, runs: None, selector, signed: None }
}

impl World {
    pub(super) fn plan_or_apply(&mut self) {
        let planner = self.dice.index(2);
        match self.planners[planner].take() {
            // Plans lie around for a while, so that many are overtaken.
            Some(pending) if self.dice.percent(60) => self.apply_pending(pending),
            Some(pending) => self.planners[planner] = Some(pending),
            None => {
                let run = self.dice.index(self.runs.len());
                self.planners[planner] = self.make_plan(run);
            }
        }
    }

    pub(super) fn make_plan(&mut self, run: usize) -> Option<Pending> {
        let seen = self.runs[run].course.clone();
        let course = self.with_way_back(run);
        let now = Timestamp(self.now);
        let under_way = self.under_way(run);
        let mut made = plan(&course, under_way, None, now);
        if let Some(need) = made.need {
            let survey = self.survey(run, need);
            made = plan(&course, under_way, Some(&survey), now);
            assert!(made.need.is_none(), "a survey answers the need");
        }
        assert_eq!(made, plan(&course, under_way, self.resurvey(run, &made).as_ref(), now), "a plan is a function of what it is given");
        if made.changes.is_empty() { None } else { Some(Pending { run, plan: made, generation: course.generation, seen }) }
    }

    pub(super) fn under_way(&self, run: usize) -> UnderWay {
        let open = || self.rows.iter().filter(|r| r.run == run && r.open);
        let to_retry = self.rows.iter().filter(|r| r.run == run && r.latest).filter_map(|r| r.retry_at).min();
        UnderWay {
            overdue: open().any(|r| r.deadline <= self.now),
            retractable: open().any(|r| retractable(r.state)),
            to_retry: to_retry.map(Timestamp),
            frozen: false,
            cancelled: self.cancelled_in(run),
        }
    }

    /// What is under way where the run's plan has limits, but for this update.
    pub(super) fn crowd(&self, run: usize, device: usize, but: Option<usize>) -> Crowd {
        let open = || self.rows.iter().enumerate().filter(|(i, r)| r.open && Some(*i) != but).map(|(_, r)| r);
        let count = |wanted: &dyn Fn(&Row) -> bool| i64::try_from(open().filter(|r| wanted(r)).count()).unwrap();
        let (spec, site) = (&self.runs[run].spec, self.devices[device].site);
        let begun = self.rows.iter().filter(|r| r.run == run && r.made_at > self.now - 60_000).count();
        Crowd {
            open: spec.at_once.map_or(0, |_| count(&|r| r.run == run)),
            alike: spec.budget.as_ref().map_or(0, |_| count(&|r| self.devices[r.device].site == site)),
            kin: i64::try_from(self.devices.iter().filter(|d| d.site == site).count()).unwrap(),
            begun: i64::try_from(begun).unwrap(),
            succeeded: self.runs[run].course.totals().succeeded,
        }
    }

    /// What a selector and an order look at.
    fn facts(&self, device: usize) -> Facts {
        let d = &self.devices[device];
        let attributes = [("site".to_owned(), d.site.to_string())].into();
        Facts { device_id: format!("d{}", d.number), state: "active".into(), attributes, ..Facts::default() }
    }

    /// The stage that takes a device, by the draw as it is kept.
    pub(super) fn own(&self, run: usize, device: usize) -> Option<u32> {
        let r = &self.runs[run];
        if r.kept.drawn() { r.kept.stage_of(&r.id, self.devices[device].number, &self.facts(device)) } else { None }
    }

    /// Devices of a stage that succeeded and went dark; nobody here holds a channel.
    fn dark(&self, run: usize, stage: u32) -> i64 {
        let gone = |r: &&Row| {
            let d = &self.devices[r.device];
            r.run == run
                && r.stage == stage
                && r.latest
                && !r.again
                && r.state == UpdateState::Succeeded
                && d.member
                && r.ended_at + DARK_WATCH_MS <= self.now
                && d.heard_at < r.ended_at + DARK_GRACE_MS
        };
        i64::try_from(self.rows.iter().filter(gone).count()).unwrap()
    }

    /// The survey a plan was made on, once more.
    fn resurvey(&self, run: usize, plan: &Plan) -> Option<Survey> {
        if self.runs[run].course.state == RolloutState::RollingBack {
            return Some(self.survey(run, Need::Runs));
        }
        plan.changes.iter().find_map(|c| match c {
            Change::Draw { .. } => Some(self.survey(run, Need::Targets)),
            Change::Recount { .. } => Some(self.survey(run, Need::Remaining)),
            Change::Look { .. } => {
                let look = evidence::due(self.runs[run].course.current()?, Timestamp(self.now))?;
                Some(self.survey(run, Need::Figures(look)))
            }
            Change::Dark { .. } => Some(self.survey(run, Need::Dark)),
            _ => None,
        })
    }

    pub(super) fn eligible(&self, run: usize, device: usize) -> bool {
        self.had_part(run, device) && self.fits(run, device).is_ok()
    }

    /// Whether a device had a part in what a run takes back.
    pub(super) fn had_part(&self, run: usize, device: usize) -> bool {
        self.runs[run].back_of.is_none_or(|of| self.runs[of].latest.contains_key(&device))
    }

    /// Whether a run is for a device. Whether that belongs to the fleet is the world's to say.
    pub(super) fn fits(&self, run: usize, device: usize) -> Result<(), Miss> {
        let (d, r) = (&self.devices[device], &self.runs[run]);
        let runs = r.back_of.map(|of| self.runs[of].sequence);
        let facts = Facts { sequence: d.sequence, ..self.facts(device) };
        let target = Target { sequence: r.sequence, runs, ..everybody() };
        if d.member { target.check(&facts, false) } else { Err(Miss::NotActive) }
    }

    /// Whether another rollout updates a device and this one does not take it over.
    fn busy_for(&self, run: usize, device: usize) -> bool {
        let sequence = self.runs[run].sequence;
        self.rows.iter().any(|r| r.device == device && r.open && (begun(r.state) || self.runs[r.run].sequence >= sequence))
    }

    pub(super) fn busy(&self, device: usize) -> bool {
        self.rows.iter().any(|r| r.device == device && r.open)
    }

    fn survey(&self, run: usize, need: Need) -> Survey {
        let last_device = self.devices.last().map_or(0, |d| d.number);
        let r = &self.runs[run];
        match need {
            Need::Targets => {
                let everybody = everybody();
                let mut walk = Walk::new(&everybody, &r.kept.lot, &r.id, false);
                for device in (0..self.devices.len()).filter(|d| self.eligible(run, *d) && !self.busy_for(run, *d)) {
                    walk.take(self.devices[device].number, &self.facts(device), false);
                }
                let found = walk.finish(&r.spec.stages, 0);
                Survey::Targets { cuts: found.cuts, strata: found.strata, members: found.members, last_device }
            }
            Need::Runs => Survey::Runs { devices: i64::try_from(self.running_it(run).count()).unwrap() },
            Need::Figures(look) => self.figures(run, look),
            Need::Dark => Survey::Dark { devices: self.dark(run, r.course.stage) },
            Need::Remaining => {
                let waits = |d: &usize| {
                    let settled = r.latest.get(d).is_some_and(|row| !self.rows[*row].again);
                    self.eligible(run, *d) && self.own(run, *d).is_some_and(|own| own <= r.course.stage) && !settled
                };
                let waiting = i64::try_from((0..self.devices.len()).filter(waits).count()).unwrap();
                Survey::Remaining { waiting, last_device }
            }
        }
    }

    /// What devices measure: each has its own level, a little noise, and more of it where the firmware is worse.
    fn load(&self, device: usize) -> f64 {
        let d = &self.devices[device];
        let (mut own, mut noise) =
            (Dice::new(self.seed << 20 | device as u64), Dice::new((self.seed << 20 | device as u64) ^ self.now.unsigned_abs() << 1));
        let part = |dice: &mut Dice| f64::from(u32::try_from(dice.below(1000)).unwrap()) / 1000.0;
        let worse = self.runs.iter().any(|r| r.worse && r.sequence == d.sequence);
        part(&mut own) + part(&mut own) + 0.2 * part(&mut noise) + if worse { 1.0 } else { 0.0 }
    }

    fn figures(&self, run: usize, look: Look) -> Survey {
        let r = &self.runs[run];
        let stage = r.course.current().expect("a stage that is watched");
        let there = |d: usize| self.devices[d].online && self.devices[d].member && self.devices[d].silent_until <= self.now;
        let since =
            |row: &Row| row.state == UpdateState::Succeeded && !row.again && row.stage == r.course.stage && row.ended_at <= look.from.0;
        let updated: Vec<f64> =
            r.latest.iter().filter(|(d, row)| there(**d) && since(&self.rows[**row])).map(|(d, _)| self.load(*d)).collect();
        let others =
            (0..self.devices.len()).filter(|d| there(*d) && !r.latest.contains_key(d) && self.eligible(run, *d) && !self.busy_for(run, *d));
        let control: Vec<f64> = others.map(|d| self.load(d)).collect();
        let groups = Groups { updated, control, sampled: false };
        Survey::Figures { look, groups: evidence::open(stage).map(|_| groups.clone()).collect() }
    }

    pub(super) fn apply_pending(&mut self, pending: Pending) {
        let fresh = self.commit(pending.run, &pending.plan.changes, pending.generation, pending.plan.evidence, "automatic");
        if fresh {
            for reason in pending.plan.reasons {
                self.note(pending.run, reason);
            }
        } else {
            self.tally.stale += 1;
            assert!(self.runs[pending.run].course != pending.seen, "seed {}: a plan on the present course was refused", self.seed);
        }
    }
}
