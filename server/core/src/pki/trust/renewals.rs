//! Which devices are asked to renew: one that misses its window, one whose authority retires, and one of which an operator has ordered it.

use super::{
    super::{
        peer::{DevicePeer, Fingerprint},
        profile::{self, Validity},
    },
    Leaf, TrustHandle,
};
use std::collections::BTreeSet;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

/// How long after the opening of its window a device is told to renew.
const OVERDUE: i64 = 24 * 3_600_000;
/// So many devices are told at most in so many milliseconds, however often that is asked for: 300 a second.
const PACE: (usize, i64) = if cfg!(test) { (3, 200) } else { (60, 200) };

/// Which leaves' devices are to be told that a renewal was ordered, in the order in which that is due. What the leaf says by then holds.
#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: BTreeSet<(Timestamp, Fingerprint)>,
    /// When the time began for which `told` counts, by the steady clock.
    since: Option<i64>,
    told: usize,
}

impl Orders {
    /// The next one that is due by now, if one more may be told.
    fn next(&mut self, now: Timestamp, steady: i64) -> Option<Fingerprint> {
        self.waiting.first().filter(|(due, _)| *due <= now)?;
        let (most, time) = PACE;
        if self.since.is_none_or(|since| steady - since >= time) {
            (self.since, self.told) = (Some(steady), 0);
        }
        if self.told == most {
            return None;
        }
        self.told += 1;
        self.waiting.pop_first().map(|(_, fingerprint)| fingerprint)
    }
}

/// An order to renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ordered {
    /// When it was given.
    pub(super) at: Timestamp,
    /// When the device is told.
    pub(super) due: Timestamp,
}

impl Ordered {
    /// Whether the device is to be told by now. One that was to be told at once is, also where the clock of whoever ordered it was ahead, or was set back.
    fn is_due(self, now: Timestamp) -> bool {
        self.due <= now || self.due == self.at
    }
}

impl TrustHandle {
    /// Whether a certificate's window of renewal opened more than a day ago: its device should have renewed by itself, and does not notice,
    /// for example because its clock stands. Also when its authority is retiring, unless a renewal was ordered of it: then it is told when that is
    /// due, with the others of the order, and not before.
    pub fn renewal_overdue(&self, peer: &DevicePeer) -> bool {
        self.leaf(&peer.fingerprint).is_some_and(|leaf| {
            if self.registered(&leaf.issuer) {
                // Its own authority renews it.
                return false;
            }
            let validity = Validity { from: leaf.not_before, until: leaf.ends };
            let replaced = leaf.ordered.is_none() && self.retiring(&leaf.issuer);
            replaced || self.0.clock.now() > profile::renew_after(validity, &peer.device_id).plus(OVERDUE)
        })
    }

    /// When it was ordered that this certificate be renewed, once its device is to be told and as long as that has not been carried out. Whoever holds a
    /// connection keeps of which order it was told there: that is a matter of the connection, and one that is dead already may be open beside the one that
    /// lives.
    pub fn renewal_ordered(&self, peer: &DevicePeer) -> Option<Timestamp> {
        let ordered = self.leaf(&peer.fingerprint)?.ordered?;
        ordered.is_due(self.0.clock.now()).then_some(ordered.at)
    }

    /// Notes when the device of a leaf is to be told of an order that was not there `before`. Of one that was due before anybody here knew the leaf no
    /// channel is open: that is told when it opens.
    pub(super) fn note_order(&self, before: Option<&Leaf>, leaf: &Leaf) {
        let Some(order) = leaf.ordered else { return };
        let now = self.0.clock.now();
        let is_new = before.map_or_else(|| !order.is_due(now), |before| before.ordered != leaf.ordered);
        if is_new {
            let due = if order.is_due(now) { order.due.min(now) } else { order.due };
            self.0.due.lock().waiting.insert((due, leaf.peer.fingerprint));
        }
    }

    /// Takes out the devices that are to be told by now, those that wait longest first; so many as may be told, the others have their turn later.
    pub(in crate::pki) fn due(&self) -> Vec<(OrgId, i64)> {
        let (now, steady, mut told) = (self.0.clock.now(), self.0.clock.steady(), Vec::new());
        while let Some(fingerprint) = self.next_due(now, steady) {
            // It may have renewed meanwhile, or been ordered anew.
            if let Some(leaf) = self.leaf(&fingerprint).filter(|leaf| leaf.ordered.is_some_and(|order| order.is_due(now))) {
                told.push((leaf.peer.org.clone(), leaf.peer.device));
            }
        }
        told
    }

    /// Not locked longer than for one: whoever notes an order holds the leaves meanwhile.
    fn next_due(&self, now: Timestamp, steady: i64) -> Option<Fingerprint> {
        self.0.due.lock().next(now, steady)
    }

    /// Whether the authority's leaves are to be renewed whatever their age.
    pub(in crate::pki) fn retiring(&self, issuer: &AuthorityId) -> bool {
        self.0.issuers.read().get(issuer).is_some_and(|i| i.retiring)
    }
}
