//! What must hold: now, of every step, and in the end.

use super::World;
use fleet::rollouts::{
    course::{Course, sound},
    gate::Seen,
    state::{ROLLOUT, STAGE, legal},
};
use std::collections::BTreeSet;
use wire::{
    rollouts::{Call, Reach, Verb},
    states::{RolloutState, StageState},
};

impl World {
    pub(super) fn check_now(&self, run: usize) {
        if let Err(broken) = sound(&self.runs[run].course) {
            panic!("seed {}: {broken}", self.seed);
        }
    }

    pub(super) fn check_step(&mut self, run: usize, before: &Course, by: &str) {
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
        for (number, (old, new)) in (1..).zip(before.stages.iter().zip(&after.stages)) {
            let passed = matches!(new.state, StageState::Succeeded | StageState::AwaitingPromotion) && old.state == StageState::Soaking;
            if let Some(most) = new.spec.gate.max_dark.filter(|_| passed && by == "automatic") {
                let dark = new.dark.expect("they were counted");
                assert!(dark - new.seen.dark <= i64::from(most), "seed {}: {dark} dark devices let a stage pass", self.seed);
            }
            // A stage that ends well has no more errors of a class than its plan allows, but for those a person went on in spite of.
            if new.state == StageState::Succeeded && old.state != StageState::Succeeded && by == "automatic" {
                let gate = &new.spec.gate;
                for (most, n, what) in [
                    (gate.max_failed, new.counts.failed - new.seen.failed, "failed"),
                    (gate.max_reverted, new.counts.reverted - new.seen.reverted, "reverted"),
                    (gate.max_timed_out, new.counts.timed_out - new.seen.timed_out, "timed out"),
                    (gate.max_rejected, new.counts.rejected - new.seen.rejected, "rejected"),
                ] {
                    assert!(most.is_none_or(|most| n <= i64::from(most)), "seed {}: {n} {what} devices let a stage pass", self.seed);
                }
            }
            // Whom people have cancelled lets no gate judge by fewer than its plan says. What was said before it waited for a person was of those of then.
            let moved = old.state != new.state && old.state != StageState::AwaitingPromotion && by == "automatic";
            let on = matches!(new.state, StageState::Soaking | StageState::AwaitingPromotion | StageState::Succeeded);
            if let Some(said) = new.verdict.as_ref().filter(|v| moved && on && v.call == Call::Pass && v.finished > 0) {
                let there = said.finished + self.cancelled_in_stage(run, number);
                let needed = i64::from(new.spec.gate.min_sample).min(there);
                assert!(said.finished >= needed, "seed {}: a stage passed with {} of {needed}", self.seed, said.finished);
            }
            // A gate begins anew only after a no of its own: that of the whole rollout, or that of the stage, and not where a metric has stopped it.
            let more = |old: Seen, new: Seen| new.finished > old.finished || new.errors > old.errors || new.dark > old.dark;
            let whole_no = before.verdict.as_ref().is_some_and(|v| v.call == Call::Halt);
            assert!(whole_no || !more(old.seen_by_whole, new.seen_by_whole), "seed {}: the whole's gate forgets what it saw", self.seed);
            let own_no = old.verdict.as_ref().is_some_and(|v| v.call == Call::Halt && v.is_judged());
            let metric = old.findings.iter().any(|f| f.call == Call::Halt && !f.seen);
            assert!(own_no && !metric || !more(old.seen, new.seen), "seed {}: a stage's gate forgets what it saw", self.seed);
            // What a metric showed stops a stage unless a person goes on in spite of it.
            let shown = new.findings.iter().any(|f| f.call == Call::Halt && !f.seen);
            assert!(!(shown && passed && by == "automatic"), "seed {}: a worse metric let a stage pass", self.seed);
            let done = matches!(old.state, StageState::Failed | StageState::Soaking | StageState::AwaitingPromotion);
            let reopened = done && new.state == StageState::Running;
            let by_devices = reopened && by == "automatic";
            assert!(!by_devices || old.counts.updating > 0, "seed {}: the planner reopened a stage", self.seed);
            self.tally.reopened_by_devices += u64::from(by_devices);
            let ends = old.state != new.state && matches!(new.state, StageState::Succeeded | StageState::Skipped);
            assert!(!ends || new.counts.updating == 0, "seed {}: a stage ended with updates under way", self.seed);
            assert!(
                old.state == new.state || legal(STAGE, old.state, new.state) || old.state == StageState::Pending,
                "seed {}: stage {} → {}",
                self.seed,
                old.state,
                new.state
            );
        }
        if by == "automatic" {
            self.check_set_aside(run, before);
        }
        if before.state != after.state {
            match after.state {
                RolloutState::Halted => {
                    self.tally.halted += 1;
                    assert!(after.summary.starts_with("Halted"), "seed {}: halted without a reason", self.seed);
                    self.tally.dark_halts += u64::from(after.summary.contains("went dark"));
                    self.tally.failed_halts += u64::from(after.summary.contains("could not install it"));
                    self.tally.refused_halts += u64::from(after.summary.contains("refused it"));
                    self.tally.metric_halts += u64::from(after.summary.contains("load is worse"));
                }
                RolloutState::Paused => self.tally.paused_by_gate += u64::from(by == "automatic"),
                RolloutState::RolledBack => {
                    self.tally.rolled_back += 1;
                    self.check_rolled_back(run);
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

    /// The first stages that are given as numbers never had more devices than these, however many came after the draw.
    pub(super) fn check_numbers(&self, run: usize) {
        for (stage, spec) in (1..).zip(&self.runs[run].spec.stages) {
            let Reach::Count(most) = spec.reach else { return };
            let had: BTreeSet<usize> = self.rows.iter().filter(|r| r.run == run && r.stage <= stage).map(|r| r.device).collect();
            assert!(had.len() <= most as usize, "seed {}: {} devices had a part by stage {stage} of {most}", self.seed, had.len());
        }
    }

    // --- calm ----------------------------------------------------------------------------------------------------------------------

    /// No more surprises: people approve, resume what they paused, promote what waits for them. Everything must end, or halt.
    pub(super) fn settle(&mut self) {
        let mut busy = 0;
        for _ in 0..8000 {
            for run in 0..self.runs.len() {
                while let Some(pending) = self.make_plan(run) {
                    self.apply_pending(pending);
                }
                self.recalled_is_taken_back(run);
            }
            if (0..self.runs.len()).all(|run| self.at_rest(run)) {
                for run in 0..self.runs.len() {
                    self.recount(run);
                }
                return;
            }
            self.tally.steps += 1;
            for run in 0..self.runs.len() {
                match self.runs[run].course.state {
                    RolloutState::WaitingForApproval => self.approve(run),
                    RolloutState::Paused if !self.at_rest(run) => {
                        self.runs[run].resumed += 1;
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
            // … but not past devices that are listened for.
            let listened_for = self
                .runs
                .iter()
                .filter_map(|r| r.course.current())
                .any(|s| s.state == StageState::Soaking && (s.spec.gate.max_dark.is_some() || !s.spec.gate.metrics.is_empty()));
            self.now += match (busy == before, listened_for) {
                (false, _) => 30_000,
                (true, true) => 600_000,
                (true, false) => 6 * 3_600_000,
            };
        }
        let states: Vec<_> = self.runs.iter().map(|r| (r.course.state, r.course.summary.clone(), r.course.current().cloned())).collect();
        panic!("seed {}: it never ends: {states:#?}", self.seed);
    }
}

/// Whether a step may lead from one state to the other, also over one in between.
fn reachable(from: RolloutState, to: RolloutState) -> bool {
    legal(ROLLOUT, from, to) || RolloutState::ALL.iter().any(|via| legal(ROLLOUT, from, *via) && legal(ROLLOUT, *via, to))
}
