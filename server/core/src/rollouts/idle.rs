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
}

impl Look {
    /// The device has nothing before then: its window opens, or a freeze ends. None is not known to end.
    pub(super) fn until(self, wake: Option<Timestamp>) -> Self {
        Self { until: wake.unwrap_or(self.until), ..self }
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
        let Some(last) = self.devices.read().get(&device).copied() else { return false };
        let present = self.look(device, now);
        (last.fleet, last.share) == (present.fleet, present.share) && (0..BELIEF_MS).contains(&now.since(last.at)) && now < last.until
    }

    /// To be taken before the database is asked.
    pub(super) fn look(&self, device: DeviceNo, now: Timestamp) -> Look {
        Look {
            fleet: self.fleet.load(Ordering::Acquire),
            share: self.share(device).load(Ordering::Acquire),
            at: now,
            until: Timestamp(i64::MAX),
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

    fn share(&self, device: DeviceNo) -> &AtomicU64 {
        &self.shares[usize::try_from(device.unsigned_abs()).unwrap_or(usize::MAX) % SHARES]
    }
}

impl Rollouts {
    /// Takes what was told on the bus into account; none when something was missed. Whoever calls this once calls it for everything that is told, before
    /// devices are told to ask.
    pub fn hears(&self, event: Option<&Event>) {
        self.idle.followed.store(true, Ordering::Release);
        match event {
            Some(Event::Device { device, .. } | Event::Cancelled { device, .. }) => {
                self.idle.share(*device).fetch_add(1, Ordering::AcqRel);
            }
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

        idle.keep(7, idle.look(7, NOW).until(Some(NOW.plus(5))));
        assert!(idle.knows(7, NOW.plus(4)) && !idle.knows(7, NOW.plus(5)), "its window opens");

        let under_way = idle.look(7, NOW);
        idle.fleet.fetch_add(1, Ordering::AcqRel);
        idle.keep(7, under_way);
        assert!(!idle.knows(7, NOW), "it may have been taken before the change");
    }
}
