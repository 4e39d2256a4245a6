//! What happens in the world: devices ask and report, the fleet changes, people meddle.

use super::{OPEN_MIN, Row, TIMEOUT, World, ZONES};
use crate::devices::{Device, Dice, Fault};
use fleet::rollouts::{
    admission::{Bar, Check, Had, Known, Rank, Taken, Time},
    confirming::Agreement,
    control::order,
    course::Change,
    draw,
    hearing::{Brings, Heard, Proof, hear, proves},
    state::{Class, UPDATE, begun, legal},
    throttle::full,
    timing::{Terms, Timing},
};
use wire::{
    Timestamp,
    device::{Running, StatusReport},
    ids::UpdateId,
    rollouts::Verb,
    states::{ReleaseState, RolloutState, StageState, UpdateState},
};

impl World {
    pub(super) fn act(&mut self, device: usize) {
        let now = self.now;
        let d = &mut self.devices[device];
        if d.fault == Fault::Flaps && self.dice.percent(50) {
            d.online = !d.online;
        }
        if !d.online || !d.member || d.silent_until > now {
            return;
        }
        d.heard_at = d.heard_at.max(now);
        let waits = |r: &Row| r.device == device && r.open && r.unproven;
        if d.fault.nameless()
            && let Some(row) = self.rows.iter().rposition(waits)
        {
            return self.describe(device, row);
        }
        match self.devices[device].work {
            None => self.poll(device),
            // It asks once more before it begins.
            Some((row, UpdateState::Offered)) if self.rows[row].open && self.dice.percent(20) => self.poll(device),
            Some((row, at)) => {
                if let Some(next) = self.devices[device].next(at, &mut self.dice, now) {
                    self.devices[device].work = Some((row, next));
                    self.report(device, row, next);
                }
            }
        }
    }

    pub(super) fn poll(&mut self, device: usize) {
        // A device that lost its state asks again and gets the same offer.
        let open = (0..self.rows.len()).rev().find(|i| self.rows[*i].device == device && self.rows[*i].open);
        if let Some(i) = open.filter(|i| begun(self.rows[*i].state)) {
            self.devices[device].work = Some((i, UpdateState::Offered));
            return;
        }
        let now = Timestamp(self.now);
        let mut runs: Vec<usize> = (0..self.runs.len()).collect();
        runs.sort_by(|a, b| self.rank(*a).order(&self.runs[*a].id).cmp(&self.rank(*b).order(&self.runs[*b].id)));
        for run in runs {
            if open.is_some_and(|i| !self.rank(run).takes_over(self.rank(self.rows[i].run), self.rows[i].state)) {
                continue;
            }
            match self.known(run, device, open).let_in(&Check::ALL, now) {
                Ok(()) => {}
                Err(Bar::Shut(_)) => {
                    self.tally.shut += 1;
                    continue;
                }
                Err(Bar::NoRoom) => {
                    self.tally.held_back += 1;
                    continue;
                }
                Err(Bar::NotKnown(check)) => panic!("seed {}: {check:?} was not found out", self.seed),
                Err(_) => continue,
            }
            self.check_window(run, device);
            if let Some(i) = open {
                self.supersede(i);
            }
            let (own, last) = (self.own(run, device), self.runs[run].latest.get(&device).copied());
            let r = &self.runs[run];
            // What the invariants say of every offer, asked independently of `admission`.
            assert!(r.approved, "seed {}: an offer without approval", self.seed);
            assert_eq!(r.course.state, RolloutState::Running, "seed {}: an offer outside running", self.seed);
            assert_eq!(r.course.release, ReleaseState::Published, "seed {}: an offer of a recalled release", self.seed);
            let stage = r.course.current().expect("a running stage");
            assert_eq!(stage.state, StageState::Running, "seed {}: an offer outside a running stage", self.seed);
            let own = own.expect("a stage that takes it");
            assert!(own <= r.course.stage, "seed {}: an offer before its turn", self.seed);
            let place = draw::place(&r.id, self.devices[device].number);
            assert!(place <= stage.cut, "seed {}: the cut leaves out whom a stage takes", self.seed);
            assert!(!self.busy(device), "seed {}: two updates of one device", self.seed);
            self.check_direction(run, device);
            if own > 1 {
                self.beyond_first += 1;
            }
            let (current, newcomer) = (r.course.stage, last.is_none() && self.devices[device].number > r.course.last_device);
            let mut retried = false;
            if let Some(i) = last {
                self.check_by_hand(i);
                let row = &mut self.rows[i];
                retried = !row.again;
                let (stage, class) = (row.stage, Class::of(row.state));
                (row.latest, row.again, row.retry_at) = (false, false, None);
                if retried {
                    self.shift(run, stage, class, -1);
                    self.clamp_seen(run);
                    self.tally.retried += 1;
                }
            }
            if !newcomer && !retried {
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
                by_hand: false,
                refused: false,
                was: UpdateState::Offered,
                went_on: false,
                deadline: self.now + TIMEOUT,
                step_deadline: None,
                unproven: false,
                ended_at: 0,
                made_at: self.now,
                retry_at: None,
                attempts: last.map_or(0, |i| self.rows[i].attempts) + 1,
            };
            self.rows.push(row);
            let i = self.rows.len() - 1;
            self.runs[run].latest.insert(device, i);
            let d = &mut self.devices[device];
            (d.work, d.tries) = (Some((i, UpdateState::Offered)), d.tries + 1);
            self.tally.offers += 1;
            self.check_limits(run, device);
            self.check_numbers(run);
            return;
        }
        if let Some(i) = open {
            self.devices[device].work = Some((i, UpdateState::Offered));
            self.words += 1;
        }
    }

    fn rank(&self, run: usize) -> Rank {
        Rank { priority: 5, sequence: self.runs[run].sequence }
    }

    /// What decides whether a run lets a device in that may be taken over from an open update.
    fn known(&self, run: usize, device: usize, open: Option<usize>) -> Known {
        let r = &self.runs[run];
        let had = r.latest.get(&device).map_or(Had::Nothing, |row| {
            let row = &self.rows[*row];
            if row.again { Had::Again } else { Had::Turn(row.retry_at.map(Timestamp)) }
        });
        let attributes = self.zone(device).map(|(name, _)| ("timezone".to_owned(), name.to_owned())).into_iter().collect();
        let terms = Terms::of(&Timing::of(&r.spec), &attributes, &[], Timestamp(self.now));
        let time = if terms.may_begin() { Time::Open } else { Time::Shut(terms.wake()) };
        Known {
            doors: Some(r.course.doors()),
            place: Some(draw::place(&r.id, self.devices[device].number)),
            taken: Some(Taken::By(self.own(run, device))),
            had: Some(had),
            part: Some(self.had_part(run, device)),
            fits: Some(self.fits(run, device)),
            agreement: Some(Agreement::NotAsked),
            release: Some((r.course.release, false)),
            time: Some(time),
            // What it is taken over from counts no more then.
            room: Some(full(&r.spec, self.crowd(run, device, open)).is_none()),
            over_budget: Some(false),
        }
    }

    fn zone(&self, device: usize) -> Option<(&'static str, i64)> {
        usize::try_from(self.devices[device].site).ok().and_then(|site| ZONES.get(site)).copied()
    }

    /// By the hours of its zone, reckoned here.
    fn check_window(&self, run: usize, device: usize) {
        if let Some(window) = &self.runs[run].spec.window {
            let local = self.now / 60_000 + self.zone(device).map_or(0, |(_, before)| before);
            let open = (local - i64::from(window.from.minutes())).rem_euclid(1440) < i64::from(OPEN_MIN);
            assert!(open, "seed {}: an offer outside its window", self.seed);
        }
    }

    /// A newer rollout takes a device over that has not begun.
    fn supersede(&mut self, i: usize) {
        let (run, stage) = (self.rows[i].run, self.rows[i].stage);
        assert!(legal(UPDATE, self.rows[i].state, UpdateState::Superseded));
        self.rows[i].was = self.rows[i].state;
        (self.rows[i].state, self.rows[i].open, self.rows[i].ended_at) = (UpdateState::Superseded, false, self.now);
        self.shift(run, stage, Class::Updating, -1);
        self.shift(run, stage, Class::LeftOut, 1);
        self.devices[self.rows[i].device].work = None;
        self.tally.superseded += 1;
    }

    pub(super) fn report(&mut self, device: usize, i: usize, says: UpdateState) {
        let run = self.rows[i].run;
        let sequence = self.runs[run].sequence;
        let d = &mut self.devices[device];
        let lies = says == UpdateState::Succeeded && matches!(d.fault, Fault::Lies | Fault::Claims);
        if says == UpdateState::Succeeded && !lies {
            d.sequence = d.sequence.max(sequence);
            if d.fault == Fault::DiesAfter {
                d.silent_until = i64::MAX;
            }
        }
        if says.finished() {
            d.work = None;
        }
        let (known, proof) = if d.fault.nameless() { (d.told, Proof::Owed) } else { (d.sequence, Proof::Running) };
        let runs = Running { version: format!("{known}.0"), sequence: u64::try_from(known).unwrap(), ..Running::default() };
        let brings = format!("{sequence}.0");
        let update_id: UpdateId = format!("upd_{i:032x}").parse().unwrap();
        let word = StatusReport {
            update_id,
            state: says,
            progress: None,
            code: None,
            detail: None,
            firmware: Some(runs.clone()),
            deferred_until: None,
            slots: None,
        };
        self.take_up(i, says);
        let row = self.rows[i].clone();
        let heard = if row.latest {
            hear(row.state, &word, &runs, Brings { version: &brings, sequence, download_only: false, delivered: false, proof }).unwrap()
        } else {
            Heard::Late
        };
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
                let row = &mut self.rows[i];
                row.deadline = row.step_deadline.map_or(self.now + TIMEOUT, |step| step.min(self.now + TIMEOUT));
            }
            Heard::Holds => {
                self.moves(i, UpdateState::Verifying);
                self.rows[i].unproven = true;
                self.tally.claims += 1;
            }
            Heard::Moves { to, .. } => {
                self.moves(i, to);
                self.tally.lies += u64::from(lies && to == UpdateState::Failed);
            }
        }
        self.check_under_way(i, says);
        self.check_now(run);
    }

    /// A device whose success has to be proven says what it runs; half of those that run the old version never do.
    fn describe(&mut self, device: usize, i: usize) {
        let (d, sequence) = (&self.devices[device], self.runs[self.rows[i].run].sequence);
        if d.fault == Fault::Claims && d.number % 2 == 0 || self.dice.percent(80) {
            return;
        }
        let (version, runs) = (format!("{sequence}.0"), self.devices[device].sequence);
        let brings = Brings { version: &version, sequence, download_only: false, delivered: false, proof: Proof::Owed };
        let proven = proves(&format!("{runs}.0"), runs, brings).is_ok();
        self.devices[device].told = runs;
        self.moves(i, if proven { UpdateState::Succeeded } else { UpdateState::Failed });
        self.tally.proven += u64::from(proven);
        self.tally.belied += u64::from(!proven);
        self.check_now(self.rows[i].run);
    }

    /// What the store does when an update changes its state.
    pub(super) fn moves(&mut self, i: usize, to: UpdateState) {
        self.words += 1;
        let row = self.rows[i].clone();
        let run = row.run;
        let runs_it = self.devices[row.device].sequence >= self.runs[run].sequence;
        assert!(legal(UPDATE, row.state, to));
        assert!(to != UpdateState::Succeeded || runs_it, "seed {}: a lie was believed", self.seed);
        self.tally.reverted += u64::from(to == UpdateState::Reverted);
        self.tally.not_applicable += u64::from(to == UpdateState::NotApplicable);
        let current = self.runs[run].course.stage;
        let stage = if row.again {
            self.take_waiting(run, current);
            current
        } else {
            self.shift(run, row.stage, Class::of(row.state), -1);
            // What goes on that was taken back is under way in the stage that runs.
            if Class::of(to) == Class::Updating { current } else { row.stage }
        };
        self.shift(run, stage, Class::of(to), 1);
        let (retry_at, step) = (self.retry_at(i, to), self.step_deadline(run, to));
        let kept = &mut self.rows[i];
        kept.retry_at = retry_at;
        (kept.state, kept.open, kept.again, kept.stage, kept.deadline) =
            (to, !to.finished(), false, stage, step.map_or(self.now + TIMEOUT, |step| step.min(self.now + TIMEOUT)));
        (kept.step_deadline, kept.unproven) = (step, false);
        kept.ended_at = self.now;
        self.tally.went_back += u64::from(to == UpdateState::Succeeded && self.runs[run].back_of.is_some());
        self.tally.went_on_well += u64::from(row.went_on && to == UpdateState::Succeeded);
        self.tally.went_on_badly += u64::from(row.went_on && to.error());
    }

    // --- people and changes --------------------------------------------------------------------------------------------------------

    pub(super) fn change_fleet(&mut self) {
        if self.dice.percent(50) {
            let number = i64::try_from(self.devices.len()).unwrap() + 1;
            let site = self.dice.below(self.sites);
            self.devices.push(Device::new(number, Fault::None, site));
        } else {
            let device = self.dice.index(self.devices.len());
            let member = self.devices[device].member;
            self.devices[device].member = !member;
        }
    }

    pub(super) fn meddle(&mut self) {
        let run = self.dice.index(self.runs.len());
        if self.runs[run].course.state == RolloutState::WaitingForApproval {
            return self.approve(run);
        }
        // These two have dice of their own, so that whatever else a seed says stays as it is.
        let mut others = Dice::new(self.dice.clone().below(u64::MAX));
        if others.percent(50) {
            self.cancel(run, &mut others);
        }
        if others.percent(30) {
            self.choose(run, &mut others);
        }
        let held = matches!(self.runs[run].course.state, RolloutState::Halted | RolloutState::Stopping);
        // Who recalls a release mostly does it after a gate has halted it.
        if self.dice.percent(if held { 25 } else { 1 }) && self.runs[run].approved {
            self.runs[run].course.release = ReleaseState::Recalled;
            self.tally.recalled += 1;
            self.tally.recalled_under_way += u64::from(held && self.under_way(run).retractable);
            return self.note(run, "the release is recalled");
        }
        // Stopping ends the fun, so it is rare.
        let verb = [Verb::Pause, Verb::Resume, Verb::Promote, Verb::Retry, Verb::Start, Verb::Resume, Verb::Promote, Verb::RollBack]
            [self.dice.index(8)];
        let verb = if self.dice.percent(1) { Verb::Stop } else { verb };
        self.order(run, verb);
    }

    pub(super) fn approve(&mut self, run: usize) {
        let generation = self.runs[run].course.generation;
        let yes = [Change::Enter { to: RolloutState::Approved, summary: "Approved".into() }];
        assert!(self.commit(run, &yes, generation, None, "ada"));
        self.runs[run].approved = true;
    }

    pub(super) fn order(&mut self, run: usize, verb: Verb) -> bool {
        let course = self.with_way_back(run);
        let Ok(changes) = order(verb, &course, "oli", "", Timestamp(self.now)) else { return false };
        let halted = course.state == RolloutState::Halted && verb == Verb::Resume;
        self.tally.resumed_after_halt += u64::from(halted);
        assert!(self.commit(run, &changes, course.generation, None, "oli"), "seed {}", self.seed);
        self.note(run, format!("{} by oli", verb.as_str()));
        true
    }

    // --- what must hold ------------------------------------------------------------------------------------------------------------
}
