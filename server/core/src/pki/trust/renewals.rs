//! Which devices are asked to renew: one that misses its window, one whose authority retires, and one of which an operator has ordered it.

use super::{
    super::{
        peer::{DevicePeer, Fingerprint},
        profile::{self, Validity},
    },
    Leaf, TrustHandle,
};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

/// How long after the opening of its window a device is told to renew.
const OVERDUE: i64 = 24 * 3_600_000;

/// An order to renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ordered {
    /// When it was given.
    pub(super) at: Timestamp,
    /// When the device is told.
    pub(super) due: Timestamp,
}

impl TrustHandle {
    /// Whether a certificate's window of renewal opened more than a day ago: its device should have renewed by itself, and does not notice,
    /// for example because its clock stands. Also when its authority is retiring.
    pub fn renewal_overdue(&self, peer: &DevicePeer) -> bool {
        self.leaf(&peer.fingerprint).is_some_and(|leaf| {
            if self.registered(&leaf.issuer) {
                // Its own authority renews it.
                return false;
            }
            let validity = Validity { from: leaf.not_before, until: leaf.ends };
            self.retiring(&leaf.issuer) || self.0.clock.now() > profile::renew_after(validity, &peer.device_id).plus(OVERDUE)
        })
    }

    /// When it was ordered that this certificate be renewed, once its device is to be told and as long as that has not been carried out. Whoever holds a
    /// connection keeps of which order it was told there: that is a matter of the connection, and one that is dead already may be open beside the one that
    /// lives.
    pub fn renewal_ordered(&self, peer: &DevicePeer) -> Option<Timestamp> {
        let ordered = self.leaf(&peer.fingerprint)?.ordered?;
        (ordered.due <= self.0.clock.now()).then_some(ordered.at)
    }

    /// Notes when the device of a leaf is to be told of an order that was not there `before`. Of one that was due before anybody here knew the leaf no
    /// channel is open: that is told when it opens.
    pub(super) fn note_order(&self, before: Option<&Leaf>, leaf: &Leaf) {
        let Some(order) = leaf.ordered else { return };
        let is_new = before.map_or_else(|| order.due > self.0.clock.now(), |before| before.ordered != leaf.ordered);
        if is_new {
            self.0.due.lock().insert((order.due, leaf.peer.fingerprint));
        }
    }

    /// Takes out the devices that are to be told by now, those that wait longest first, so many at most.
    pub(in crate::pki) fn due(&self, most: usize) -> Vec<(OrgId, i64)> {
        let (now, mut told) = (self.0.clock.now(), Vec::new());
        while told.len() < most
            && let Some((due, fingerprint)) = self.next_due(now)
        {
            // It may have renewed meanwhile, or been ordered anew.
            if let Some(leaf) = self.leaf(&fingerprint).filter(|leaf| leaf.ordered.is_some_and(|order| order.due == due)) {
                told.push((leaf.peer.org.clone(), leaf.peer.device));
            }
        }
        told
    }

    /// Not longer than for one: whoever notes an order holds the leaves meanwhile.
    fn next_due(&self, now: Timestamp) -> Option<(Timestamp, Fingerprint)> {
        let mut waiting = self.0.due.lock();
        waiting.first().filter(|(due, _)| *due <= now)?;
        waiting.pop_first()
    }

    /// Whether the authority's leaves are to be renewed whatever their age.
    pub(in crate::pki) fn retiring(&self, issuer: &AuthorityId) -> bool {
        self.0.issuers.read().get(issuer).is_some_and(|i| i.retiring)
    }
}
