//! Rollouts that another process has moved: a command beside the server, or another instance, whose wake-ups don't come here. Owns which generation
//! of each rollout was seen last; refuses to know what was changed.

use super::{
    Rollouts,
    course::{Change, Course},
    store::records::Record,
};
use crate::bus::Event;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use wire::{
    ids::{OrgId, RolloutId},
    states::RolloutState,
};

/// What was seen last of the rollouts that run.
#[derive(Default)]
pub(super) struct Beside(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    generations: HashMap<RolloutId, (OrgId, i64)>,
    // A rollout that is met at the first look was there before; nobody was found to wait by then.
    looks: u64,
}

impl Seen {
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
        use RolloutState as S;
        let begun = matches!(course.state, S::Running | S::Paused | S::Halted | S::RollingBack | S::Stopping);
        if begun && self.beside.0.lock().moved(&record.org, &record.id, course.generation) {
            self.bus.tell(Event::OffersOpen { org: record.org.clone(), id: record.id.clone() });
        }
    }

    /// Takes note that this process has moved it by these changes, which it tells by itself.
    pub(super) fn own_move(&self, record: &Record, before: &Course, changes: &[Change]) {
        use RolloutState as S;
        let ends = |change: &Change| matches!(change, Change::Enter { to: S::Completed | S::Stopped | S::RolledBack, .. });
        let mut seen = self.beside.0.lock();
        if changes.iter().any(ends) {
            seen.generations.remove(&record.id);
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
