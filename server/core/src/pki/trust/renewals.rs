//! Which devices are asked to renew: one that misses its window, one whose authority retires, and one of which an operator has ordered it.

use super::{
    super::{
        peer::DevicePeer,
        profile::{self, Validity},
    },
    TrustHandle,
};
use wire::{Timestamp, ids::AuthorityId};

/// How long after the opening of its window a device is told to renew.
const OVERDUE: i64 = 24 * 3_600_000;

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

    /// When it was ordered that this certificate be renewed, as long as that has not been carried out. Whoever holds a connection keeps of which order
    /// it was told there: that is a matter of the connection, and one that is dead already may be open beside the one that lives.
    pub fn renewal_ordered(&self, peer: &DevicePeer) -> Option<Timestamp> {
        self.leaf(&peer.fingerprint).and_then(|leaf| leaf.ordered)
    }

    /// Whether the authority's leaves are to be renewed whatever their age.
    pub(in crate::pki) fn retiring(&self, issuer: &AuthorityId) -> bool {
        self.0.issuers.read().get(issuer).is_some_and(|i| i.retiring)
    }
}
