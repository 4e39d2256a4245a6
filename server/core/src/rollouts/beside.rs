//! Rollouts that another process has moved: a command beside the server, or another instance, whose wake-ups don't come here. Owns which generation
//! of each rollout was seen last, and which of its updates were known to be cancelled; refuses to know what else was changed.

use super::{
    Rollouts,
    course::{Change, Course},
    store::{records::Record, turns},
};
use crate::{
    bus::Event,
    db::{Conn, Error as DbError},
    devices::DeviceNo,
};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use wire::{
    ids::{OrgId, RolloutId, UpdateId},
    states::RolloutState,
};

/// What was seen last of the rollouts that run.
#[derive(Default)]
pub(super) struct Beside(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    generations: HashMap<RolloutId, (OrgId, i64)>,
    cancelled: HashMap<RolloutId, Cancelled>,
    // A rollout that is met at the first look was there before; nobody was found to wait by then.
    looks: u64,
}

/// The updates of a rollout that people have cancelled, as far as they were told.
#[derive(Default)]
struct Cancelled {
    // The sum of its stages' tallies then: to cancel one raises it.
    tally: i64,
    updates: HashSet<UpdateId>,
}

impl Seen {
    /// Those of the updates which were found cancelled that were not known to be; from here on these are.
    fn learn(&mut self, id: &RolloutId, tally: i64, found: Vec<(DeviceNo, UpdateId)>) -> Vec<(DeviceNo, UpdateId)> {
        let updates = found.iter().map(|(_, update)| update.clone()).collect();
        match self.cancelled.insert(id.clone(), Cancelled { tally, updates }) {
            None if self.looks <= 1 => Vec::new(),
            before => {
                let known = before.map(|before| before.updates).unwrap_or_default();
                found.into_iter().filter(|(_, update)| !known.contains(update)).collect()
            }
        }
    }

    /// Whether the rollout has moved since it was seen last; from here on it is seen like this.
    fn moved(&mut self, org: &OrgId, id: &RolloutId, generation: i64) -> bool {
        let last = self.generations.get(id).map(|(_, generation)| *generation);
        if last.is_some_and(|last| last >= generation) {
            return false;
        }
        self.generations.insert(id.clone(), (org.clone(), generation));
        last.is_some() || self.looks > 1
    }
}

impl Rollouts {
    /// Tells connected devices to ask where the rollout, as it was just read, has been moved by somebody else since the last look.
    pub(super) fn notice(&self, record: &Record, course: &Course) {
        if begun(course.state) && self.beside.0.lock().moved(&record.org, &record.id, course.generation) {
            self.bus.tell(Event::OffersOpen { org: record.org.clone(), id: record.id.clone() });
        }
    }

    /// Tells each device whose update somebody else has cancelled since the last look, as who cancels it here does. That moves no rollout and opens nothing
    /// for anybody, so nobody else is told to ask.
    pub(super) async fn notice_cancelled(&self, on: &mut impl Conn, record: &Record, course: &Course) -> Result<(), DbError> {
        let tally: i64 = course.stages.iter().map(|s| s.tally).sum();
        let known = self.beside.0.lock().cancelled.get(&record.id).is_some_and(|known| known.tally == tally);
        if known || !begun(course.state) {
            return Ok(());
        }
        let found = turns::cancelled_of(on, &record.id).await?;
        let told = self.beside.0.lock().learn(&record.id, tally, found);
        for (device, update) in told {
            self.bus.tell(Event::Cancelled { org: record.org.clone(), device, update });
        }
        Ok(())
    }

    /// Takes note that this process cancels this update, which it tells by itself.
    pub(super) fn own_cancel(&self, id: &RolloutId, update: &UpdateId) {
        self.beside.0.lock().cancelled.entry(id.clone()).or_default().updates.insert(update.clone());
    }

    /// Takes note that this process has moved it by these changes, which it tells by itself.
    pub(super) fn own_move(&self, record: &Record, before: &Course, changes: &[Change]) {
        use RolloutState as S;
        let ends = |change: &Change| matches!(change, Change::Enter { to: S::Completed | S::Stopped | S::RolledBack, .. });
        let mut seen = self.beside.0.lock();
        if changes.iter().any(ends) {
            seen.generations.remove(&record.id);
            seen.cancelled.remove(&record.id);
        } else {
            seen.moved(&record.org, &record.id, before.generation + 1);
        }
    }

    /// Tells the same of rollouts that somebody else has ended. To be called with those that live before each look at them.
    pub(super) fn notice_ends(&self, alive: &[(OrgId, RolloutId)]) {
        let alive: HashSet<&RolloutId> = alive.iter().map(|(_, id)| id).collect();
        let mut ended = Vec::new();
        {
            let mut seen = self.beside.0.lock();
            seen.looks = seen.looks.saturating_add(1);
            seen.cancelled.retain(|id, _| alive.contains(id));
            seen.generations.retain(|id, (org, _)| {
                let lives = alive.contains(id);
                if !lives {
                    ended.push((org.clone(), id.clone()));
                }
                lives
            });
        }
        for (org, id) in ended {
            self.bus.tell(Event::OffersOpen { org, id });
        }
    }
}

/// Whether devices may have something of a rollout in this state.
const fn begun(state: RolloutState) -> bool {
    use RolloutState as S;
    matches!(state, S::Running | S::Paused | S::Halted | S::RollingBack | S::Stopping)
}
