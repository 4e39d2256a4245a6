//! What the store does, over a `Vec`: changes applied by compare-and-set, updates moved with the counts of their stages.

use super::{Row, World};
use fleet::rollouts::{
    course::Change,
    retry,
    state::{Class, UPDATE, legal},
};
use std::collections::BTreeSet;
use wire::{
    Timestamp,
    rollouts::{Budget, Counts, EndClass},
    states::{ReleaseState, UpdateState},
};

/// Whether a recall takes back an update in this state.
pub(super) const fn retractable(state: UpdateState) -> bool {
    use UpdateState as U;
    matches!(state, U::Offered | U::AwaitingWindow | U::AwaitingConfirmation | U::Downloading | U::Downloaded)
}

impl World {
    /// What the store does: nothing when the generation or the evidence moved, else everything.
    pub(super) fn commit(&mut self, run: usize, changes: &[Change], generation: i64, evidence: Option<(u32, i64)>, by: &str) -> bool {
        let course = &self.runs[run].course;
        let stale = course.generation != generation
            || evidence.is_some_and(|(stage, tally)| course.stage_at(stage).is_none_or(|s| s.tally != tally));
        if stale && !self.sloppy {
            return false;
        }
        let before = course.clone();
        for change in changes {
            let now = Timestamp(self.now);
            match change {
                Change::TimeOut => self.time_out(run),
                Change::Withdraw { recalled, for_good } => self.withdraw(run, *recalled, *for_good, before.stage),
                Change::Requeue { classes } => self.requeue(run, classes, before.stage),
                Change::SetOut { devices, .. } => self.set_out(run, *devices),
                Change::Recount { .. } => self.tally.recounts += 1,
                Change::Draw { cuts, strata, members, .. } => {
                    let kept = &mut self.runs[run].kept;
                    kept.strata = strata.clone().into_iter().collect();
                    kept.cuts = cuts.iter().map(|c| c.place).collect();
                    kept.members = members.clone().map(|members| members.into_iter().collect());
                }
                Change::Look { findings, .. } => {
                    self.tally.looks += 1;
                    self.tally.too_few += findings.iter().filter(|f| f.compared.is_none()).count() as u64;
                }
                Change::Judged { .. } => self.tally.whole_halts += 1,
                Change::Again { .. } => self.tally.reopened += 1,
                Change::Hold { stage, .. } => self.tally.set_aside += u64::from(self.runs[run].course.is_last(*stage)),
                _ => {}
            }
            self.runs[run].course.apply(change, now);
        }
        self.runs[run].course.generation += 1;
        self.tally.applied += 1;
        self.check_step(run, &before, by);
        true
    }

    pub(super) fn shift(&mut self, run: usize, stage: u32, class: Class, n: i64) {
        let at = usize::try_from(stage).unwrap() - 1;
        let stage = &mut self.runs[run].course.stages[at];
        class.add(&mut stage.counts, n);
        stage.tally += 1;
    }

    pub(super) fn take_waiting(&mut self, run: usize, stage: u32) {
        let at = usize::try_from(stage).unwrap() - 1;
        let counts = &mut self.runs[run].course.stages[at].counts;
        if counts.waiting > 0 {
            counts.waiting -= 1;
            counts.total -= 1;
        }
    }

    pub(super) fn open_rows(&self, run: usize, wanted: impl Fn(&Row) -> bool) -> Vec<usize> {
        (0..self.rows.len()).filter(|i| self.rows[*i].run == run && self.rows[*i].open && wanted(&self.rows[*i])).collect()
    }

    fn time_out(&mut self, run: usize) {
        let now = self.now;
        for i in self.open_rows(run, |r| r.deadline <= now) {
            // Whose success was never proven has failed.
            let to = if self.rows[i].unproven { UpdateState::Failed } else { UpdateState::TimedOut };
            assert!(legal(UPDATE, self.rows[i].state, to));
            (self.rows[i].state, self.rows[i].open) = (to, false);
            self.rows[i].retry_at = self.retry_at(i, to);
            let stage = self.rows[i].stage;
            self.shift(run, stage, Class::Updating, -1);
            self.shift(run, stage, Class::of(to), 1);
            self.tally.never_proven += u64::from(self.rows[i].unproven);
            self.tally.timed_out += u64::from(!self.rows[i].unproven);
            self.tally.stuck += u64::from(self.rows[i].step_deadline.is_some_and(|step| step <= now));
        }
    }

    fn withdraw(&mut self, run: usize, recalled: bool, for_good: bool, current: u32) {
        use UpdateState as U;
        let begun = |r: &Row| matches!(r.state, U::Downloading | U::Downloaded);
        let takes = |r: &Row| retractable(r.state) && (recalled || !begun(r));
        for i in self.open_rows(run, takes) {
            let row = &mut self.rows[i];
            row.was = row.state;
            (row.state, row.open, row.again) = (U::Cancelled, false, !for_good);
            let stage = row.stage;
            self.shift(run, stage, Class::Updating, -1);
            if for_good {
                self.shift(run, stage, Class::LeftOut, 1);
            } else {
                self.shift(run, current, Class::Waiting, 1);
            }
            self.tally.withdrawn += 1;
        }
    }

    fn requeue(&mut self, run: usize, classes: &[EndClass], current: u32) {
        let latest: Vec<usize> = self.runs[run].latest.values().copied().collect();
        for i in latest {
            let row = &mut self.rows[i];
            let class = Class::of(row.state);
            // What the server took back for good was nobody's choice.
            let chosen = classes.iter().any(|chosen| chosen.state() == row.state) && (row.state != UpdateState::Cancelled || row.by_hand);
            if row.again || !chosen {
                continue;
            }
            (row.again, row.retry_at) = (true, None);
            let stage = row.stage;
            self.shift(run, stage, class, -1);
            self.shift(run, current, Class::Waiting, 1);
            self.tally.requeued += 1;
        }
        self.clamp_seen(run);
    }

    /// When a device whose row ended like this is offered the release again by itself.
    pub(super) fn retry_at(&self, i: usize, ended: UpdateState) -> Option<i64> {
        let row = &self.rows[i];
        if row.by_hand || row.state == UpdateState::Cancelled && !row.again {
            return None;
        }
        retry::at(self.runs[row.run].spec.retry.as_ref(), ended, row.attempts, Timestamp(self.now)).map(|t| t.0)
    }

    pub(super) fn clamp_seen(&mut self, run: usize) {
        for stage in &mut self.runs[run].course.stages {
            let counts = stage.counts;
            for seen in [&mut stage.seen, &mut stage.seen_by_whole] {
                seen.finished = seen.finished.min(counts.finished());
                seen.errors = seen.errors.min(counts.errors());
                seen.failed = seen.failed.min(counts.failed);
                seen.reverted = seen.reverted.min(counts.reverted);
                seen.timed_out = seen.timed_out.min(counts.timed_out);
                seen.rejected = seen.rejected.min(counts.rejected);
            }
        }
    }

    /// Never more at once than the plan allows, of the rollout and of a site.
    pub(super) fn check_limits(&self, run: usize, device: usize) {
        let (spec, site) = (&self.runs[run].spec, self.devices[device].site);
        let open = self.open_rows(run, |_| true).len();
        let alike = self.rows.iter().filter(|r| r.open && self.devices[r.device].site == site).count();
        assert!(spec.at_once.is_none_or(|most| open <= most as usize), "seed {}: {open} at once", self.seed);
        let number = |n: usize| f64::from(u32::try_from(n).unwrap());
        let kin = self.devices.iter().filter(|d| d.site == site).count();
        let most = |b: &Budget| b.at_most.map_or_else(|| (b.at_most_percent.unwrap() / 100.0 * number(kin)).max(1.0), f64::from);
        assert!(spec.budget.as_ref().is_none_or(|b| number(alike) <= most(b) + 1e-6), "seed {}: {alike} of a site at once", self.seed);
        if let Some(rate) = &spec.rate {
            let begun = self.rows.iter().filter(|r| r.run == run && r.made_at > self.now - 60_000).count();
            let most = rate.growth.as_ref().map_or(rate.per_minute, |g| g.at_most);
            assert!(begun <= most as usize, "seed {}: {begun} within a minute", self.seed);
        }
    }

    /// After a recall nothing stays on its way that has not begun to install, whatever the rollout was doing then.
    pub(super) fn recalled_is_taken_back(&self, run: usize) {
        let recalled = self.runs[run].course.release == ReleaseState::Recalled;
        assert!(!recalled || self.open_rows(run, |r| retractable(r.state)).is_empty(), "seed {}: a recalled release goes on", self.seed);
    }

    /// The kept counts are what counting would give.
    pub(super) fn recount(&self, run: usize) {
        let r = &self.runs[run];
        let mut counted = vec![Counts::default(); r.course.stages.len()];
        for row in r.latest.values().map(|i| &self.rows[*i]).filter(|row| !row.again) {
            Class::of(row.state).add(&mut counted[usize::try_from(row.stage).unwrap() - 1], 1);
        }
        for (i, (kept, counted)) in r.course.stages.iter().map(|s| &s.counts).zip(&counted).enumerate() {
            for class in Class::ALL.into_iter().filter(|c| *c != Class::Waiting) {
                assert_eq!(class.of_counts(kept), class.of_counts(counted), "seed {}: {class:?} in stage {}", self.seed, i + 1);
            }
        }
        // Who goes on in spite of being stopped asks for no room.
        let under_way = self.open_rows(run, |r| !r.went_on);
        assert!(r.spec.at_once.is_none_or(|most| under_way.len() <= most as usize), "seed {}: too many at once", self.seed);
        let open: Vec<usize> = self.rows.iter().filter(|r| r.open).map(|r| r.device).collect();
        let unique: BTreeSet<usize> = open.iter().copied().collect();
        assert_eq!(open.len(), unique.len(), "seed {}: two open updates of one device", self.seed);
    }
}
