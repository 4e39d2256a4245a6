//! What people do to single devices: they cancel an update, and have those tried again that they choose by how their updates ended.

use super::{Row, World, ledger::retractable};
use crate::devices::Dice;
use fleet::rollouts::{
    control::retry,
    course::{Course, may_install},
    hearing::{Grounds, goes_on},
    plan::Cancelled,
    retry::goes_on as tries_again,
    state::{Class, ROLLOUT, UPDATE, ended, legal, taken_back},
};
use wire::{
    Timestamp,
    rollouts::EndClass,
    states::{RolloutState, StageState, UpdateState},
};

impl World {
    /// Somebody cancels the update of one device. Now and then that has begun before it hears of it, and goes back, or it refuses to stop.
    pub(super) fn cancel(&mut self, run: usize, dice: &mut Dice) {
        let open = self.open_rows(run, |r| retractable(r.state));
        let unoffered = self.tried_again(run);
        if let Some(ended) = unoffered.filter(|_| open.is_empty() || dice.percent(50)) {
            return self.cancel_unoffered(ended);
        }
        if open.is_empty() {
            return;
        }
        let i = open[dice.index(open.len())];
        let (stage, device) = (self.rows[i].stage, self.rows[i].device);
        assert!(legal(UPDATE, self.rows[i].state, UpdateState::Cancelled));
        let row = &mut self.rows[i];
        (row.was, row.refused) = (row.state, false);
        (row.state, row.open, row.by_hand, row.ended_at) = (UpdateState::Cancelled, false, true, self.now);
        self.shift(run, stage, Class::Updating, -1);
        self.shift(run, stage, Class::LeftOut, 1);
        self.tally.cancelled += 1;
        self.note(run, format!("the update of device {device} is cancelled by oli"));
        if dice.percent(30) {
            self.report(device, i, UpdateState::Reverted);
            assert_eq!(self.rows[i].retry_at, None, "seed {}: it is tried again by itself", self.seed);
        } else if dice.percent(40) {
            self.rows[i].refused = true;
            self.tally.refused += 1;
            self.take_up(i, UpdateState::Downloading);
            assert!(self.rows[i].open || !may_install(self.runs[run].course.release), "seed {}: who refuses is not under way", self.seed);
        }
        self.check_now(run);
    }

    /// A row of a run whose device is tried again by itself.
    fn tried_again(&self, run: usize) -> Option<usize> {
        let waits = |i: &usize| self.rows[*i].retry_at.is_some() && !self.rows[*i].again;
        self.runs[run].latest.values().copied().find(waits).filter(|_| tries_again(self.runs[run].course.state))
    }

    /// Somebody takes out such a device: that is final, because nothing counts as under way there.
    fn cancel_unoffered(&mut self, i: usize) {
        let ended = self.rows[i].clone();
        let (run, now) = (ended.run, self.now);
        assert!(!ended.open && ended.latest, "seed {}: it is under way and waits to be tried again", self.seed);
        (self.rows[i].latest, self.rows[i].retry_at) = (false, None);
        let attempts = ended.attempts + 1;
        let row = Row {
            state: UpdateState::Cancelled,
            by_hand: true,
            refused: false,
            went_on: false,
            retry_at: None,
            ended_at: now,
            // It is never offered.
            made_at: 0,
            attempts,
            ..ended
        };
        self.shift(run, ended.stage, Class::of(ended.state), -1);
        self.shift(run, ended.stage, Class::LeftOut, 1);
        self.clamp_seen(run);
        self.runs[run].latest.insert(ended.device, self.rows.len());
        self.rows.push(row);
        self.tally.cancelled_unoffered += 1;
        self.note(run, format!("that device {} is tried again is cancelled by oli", ended.device));
        self.check_now(run);
    }

    /// What the store does when a device goes on with what was taken back from it, by this word of it.
    pub(super) fn take_up(&mut self, i: usize, word: UpdateState) {
        let row = &self.rows[i];
        let grounds = match row.was {
            _ if row.refused => Grounds::Refused,
            UpdateState::Downloaded => Grounds::Fetched,
            _ => Grounds::Word,
        };
        let Some(to) = goes_on(row.state, row.was, word, grounds).filter(|_| row.latest) else { return };
        let (run, device) = (row.run, row.device);
        let recalled = word <= UpdateState::Downloaded && !may_install(self.runs[run].course.release);
        if recalled || ended(ROLLOUT, self.runs[run].course.state) || self.busy(device) {
            return;
        }
        self.moves(i, to);
        self.rows[i].went_on = true;
        self.runs[run].course.generation += 1;
        if !word.finished() {
            self.devices[device].work = Some((i, to));
        }
        self.tally.went_on += 1;
    }

    /// Who changes itself is under way, whatever was taken back from it, unless its rollout has ended or it has another update.
    pub(super) fn check_under_way(&self, i: usize, word: UpdateState) {
        let row = &self.rows[i];
        let installs = matches!(word, UpdateState::Installing | UpdateState::Rebooting | UpdateState::Verifying);
        let set_aside = installs && row.latest && taken_back(row.state);
        let over = ended(ROLLOUT, self.runs[row.run].course.state) || self.busy(row.device);
        assert!(!set_aside || over, "seed {}: device {} installs, and its rollout does not know it", self.seed, row.device);
        let failed = word == UpdateState::Failed && row.latest && row.went_on;
        assert!(!failed || row.state.error(), "seed {}: the failure of device {} counts nowhere", self.seed, row.device);
    }

    /// Updates of a run that people have cancelled, and nobody has had tried again.
    fn set_aside(&self, run: usize) -> impl Iterator<Item = &Row> {
        let latest = self.runs[run].latest.values().map(|i| &self.rows[*i]);
        latest.filter(|row| row.state == UpdateState::Cancelled && row.by_hand && !row.again)
    }

    /// How many those are, and when the last of them was.
    pub(super) fn cancelled_in(&self, run: usize) -> Cancelled {
        let ended: Vec<i64> = self.set_aside(run).map(|row| row.ended_at).collect();
        Cancelled { devices: i64::try_from(ended.len()).unwrap(), last: ended.into_iter().max().map(Timestamp) }
    }

    /// How many of them are in this stage.
    pub(super) fn cancelled_in_stage(&self, run: usize, stage: u32) -> i64 {
        i64::try_from(self.set_aside(run).filter(|row| row.stage == stage).count()).unwrap()
    }

    /// A last stage that ends by itself leaves nobody behind whom a person has just set aside: somebody is asked first, and has a day to answer.
    pub(super) fn check_set_aside(&self, run: usize, before: &Course) {
        let after = &self.runs[run].course;
        let (Some(was), Some(is)) = (before.stages.last(), after.stages.last()) else { return };
        let ends = was.state != is.state && matches!(is.state, StageState::Succeeded | StageState::Skipped);
        let asked = !ends || after.state != RolloutState::Running || self.cancelled_in(run).until(Timestamp(self.now)).is_none();
        assert!(asked, "seed {}: its last stage ended with cancelled devices, and asked nobody", self.seed);
    }

    /// Somebody has those tried again whose updates ended in any of some ways.
    pub(super) fn choose(&mut self, run: usize, dice: &mut Dice) {
        let classes: Vec<EndClass> = EndClass::ALL.iter().copied().filter(|_| dice.percent(50)).collect();
        let course = self.with_way_back(run);
        let Ok(changes) = retry(&course, &classes, self.cancelled_in(run).devices, Timestamp(self.now)) else { return };
        assert!(self.commit(run, &changes, course.generation, None, "oli"), "seed {}", self.seed);
        self.note(run, format!("{classes:?} are tried again by oli"));
    }

    /// Whose update a person has cancelled is offered the release again only after a person has had it tried again.
    pub(super) fn check_by_hand(&mut self, last: usize) {
        let row = &self.rows[last];
        assert!(row.again || !row.by_hand, "seed {}: device {} was cancelled, and comes again by itself", self.seed, row.device);
        self.tally.cancelled_again += u64::from(row.by_hand);
    }
}
