//! Devices that have nothing to do, in memory, so that a fleet that asks every half minute does not ask the database. Owns how long that is believed;
//! refuses to know why a device has nothing.
//!
//! Off until somebody follows the bus for it ([`Rollouts::hears`]): what opens offers or changes a device ends the belief, and a wake-up that was
//! lost costs ten minutes at most.

use super::Rollouts;
use crate::{bus::Event, devices::DeviceNo};
use parking_lot::RwLock;
use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use wire::Timestamp;

/// How long nothing is believed to have changed.
const BELIEF_MS: i64 = 10 * 60_000;
/// Devices that share an age: enough that reports of some do not make the others ask.
const SHARES: usize = 1 << 16;
/// Most devices that are remembered; beyond, all are asked about anew.
const MOST: usize = 2_000_000;

/// A look at the database: when it was taken, and before which changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    fleet: u64,
    share: u64,
    at: Timestamp,
    until: Timestamp,
    rest: Option<Rest>,
}

/// What a device that speaks hawkBit's protocol is told beside that there is nothing for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rest {
    /// The last action that succeeded.
    pub(super) installed: Option<i64>,
    /// Whether it has said what it is.
    pub(super) described: bool,
}

impl Look {
    /// The device has nothing before then: its window opens, or a freeze ends. None is not known to end.
    pub(super) fn until(self, wake: Option<Timestamp>) -> Self {
        Self { until: wake.unwrap_or(self.until), ..self }
    }

    /// Whether both were taken before the same changes.
    fn saw(&self, other: &Self) -> bool {
        (self.fleet, self.share) == (other.fleet, other.share)
    }
}

/// Who has nothing to do.
pub(super) struct Idle {
    followed: AtomicBool,
    // Raised by every change, so that a look that began before it is worth nothing, also one that is under way.
    fleet: AtomicU64,
    shares: Box<[AtomicU64]>,
    devices: RwLock<HashMap<DeviceNo, Look>>,
}

impl Default for Idle {
    fn default() -> Self {
        let shares = std::iter::repeat_with(AtomicU64::default).take(SHARES).collect();
        Self { followed: AtomicBool::default(), fleet: AtomicU64::default(), shares, devices: RwLock::default() }
    }
}

impl Idle {
    /// Whether nothing has changed for the device since it was last found idle.
    pub(super) fn knows(&self, device: DeviceNo, now: Timestamp) -> bool {
        self.last(device, now).is_some()
    }

    /// What else it is told, if nothing has changed for it since that was looked up.
    pub(super) fn rest(&self, device: DeviceNo, now: Timestamp) -> Option<Rest> {
        self.last(device, now)?.rest
    }

    fn last(&self, device: DeviceNo, now: Timestamp) -> Option<Look> {
        let last = self.devices.read().get(&device).copied()?;
        let holds = last.saw(&self.look(device, now)) && (0..BELIEF_MS).contains(&now.since(last.at)) && now < last.until;
        holds.then_some(last)
    }

    /// To be taken before the database is asked.
    pub(super) fn look(&self, device: DeviceNo, now: Timestamp) -> Look {
        Look {
            fleet: self.fleet.load(Ordering::Acquire),
            share: self.share(device).load(Ordering::Acquire),
            at: now,
            until: Timestamp(i64::MAX),
            rest: None,
        }
    }

    /// The database had nothing for the device at this look.
    pub(super) fn keep(&self, device: DeviceNo, look: Look) {
        if self.followed.load(Ordering::Acquire) {
            let mut devices = self.devices.write();
            if devices.len() >= MOST {
                devices.clear();
            }
            devices.insert(device, look);
        }
    }

    /// What was found at this look of a device that is idle, as long as that is believed.
    pub(super) fn rests(&self, device: DeviceNo, look: Look, rest: Rest) {
        if let Some(last) = self.devices.write().get_mut(&device).filter(|last| last.saw(&look)) {
            last.rest = Some(rest);
        }
    }

    fn share(&self, device: DeviceNo) -> &AtomicU64 {
        &self.shares[usize::try_from(device.unsigned_abs()).unwrap_or(usize::MAX) % SHARES]
    }
}

impl Rollouts {
    /// Believes nothing of a device any more, for who can't wait until the bus has told of its change.
    pub fn look_again(&self, device: DeviceNo) {
        self.idle.share(device).fetch_add(1, Ordering::AcqRel);
    }

    /// Takes what was told on the bus into account; none when something was missed. Whoever calls this once calls it for everything that is told, before
    /// devices are told to ask.
    pub fn hears(&self, event: Option<&Event>) {
        self.idle.followed.store(true, Ordering::Release);
        match event {
            Some(Event::Device { device, .. } | Event::Cancelled { device, .. }) => self.look_again(*device),
            None | Some(Event::OffersOpen { .. } | Event::Release { .. } | Event::Frozen { .. }) => {
                self.idle.fleet.fetch_add(1, Ordering::AcqRel);
            }
            // A report of one device, or a pause, opens nothing for another; what opens something is told apart.
            Some(Event::Rollout { .. } | Event::Enrolment { .. } | Event::Consent { .. } | Event::Trust) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn a_look_is_believed_for_a_while_and_until_something_changes() {
        let idle = Idle::default();
        idle.keep(7, idle.look(7, NOW));
        assert!(!idle.knows(7, NOW), "nobody follows");
        idle.followed.store(true, Ordering::Release);
        idle.keep(7, idle.look(7, NOW));
        assert!(idle.knows(7, NOW) && !idle.knows(8, NOW));
        assert!(idle.knows(7, NOW.plus(BELIEF_MS - 1)) && !idle.knows(7, NOW.plus(BELIEF_MS)));
        assert!(!idle.knows(7, NOW.plus(-1)), "the clock went back");
        idle.share(8).fetch_add(1, Ordering::AcqRel);
        assert!(idle.knows(7, NOW));
        idle.share(7).fetch_add(1, Ordering::AcqRel);
        assert!(!idle.knows(7, NOW));

        let rest = Rest { installed: Some(3), described: false };
        let early = idle.look(7, NOW);
        idle.rests(7, early, rest);
        assert_eq!(idle.rest(7, NOW), None, "nothing is believed of it");
        idle.keep(7, idle.look(7, NOW));
        assert_eq!(idle.rest(7, NOW), None, "not looked up");
        idle.rests(7, early, rest);
        assert_eq!((idle.rest(7, NOW), idle.rest(7, NOW.plus(BELIEF_MS))), (Some(rest), None));
        idle.share(7).fetch_add(1, Ordering::AcqRel);
        assert_eq!(idle.rest(7, NOW), None, "it has reported");
        idle.keep(7, idle.look(7, NOW));
        idle.rests(7, early, rest);
        assert_eq!(idle.rest(7, NOW), None, "looked up before it reported");

        idle.keep(7, idle.look(7, NOW).until(Some(NOW.plus(5))));
        assert!(idle.knows(7, NOW.plus(4)) && !idle.knows(7, NOW.plus(5)), "its window opens");

        let under_way = idle.look(7, NOW);
        idle.fleet.fetch_add(1, Ordering::AcqRel);
        idle.keep(7, under_way);
        assert!(!idle.knows(7, NOW), "it may have been taken before the change");
    }
}
