//! Certificates whose chain was followed before. Devices come back far more often than their certificate changes, TLS may resume nothing (H-2), and a
//! signature over the same bytes by the same key is as good as it was: it is checked once in a process and for one version of the anchors. Owns that
//! memory, which is a number beside each certificate; refuses to remember anything that time or a person's hand may change.

use super::{TrustHandle, sha256};
use crate::pki::peer::Refusal;
use std::sync::atomic::Ordering;

impl TrustHandle {
    /// What [`TrustHandle::check`] says now of a certificate of ours whose chain ended in the anchors of this version before. None for one that must be
    /// followed first: also after its row says otherwise of its names, its issuer or its time, so that whoever can write to the database, but has no
    /// authority's key, gains nothing.
    pub fn anchored(&self, leaf_der: &[u8], version: u64) -> Option<Result<(), Refusal>> {
        let leaf = self.leaf(&sha256(leaf_der))?;
        (version != 0 && leaf.anchored.load(Ordering::Relaxed) == version).then(|| self.judge(&leaf))
    }

    /// What [`TrustHandle::check`] says of a certificate whose chain has just been followed to the anchors of this version; where it allows it, that is
    /// remembered beside the very row that allowed it. Not of a registered authority's, whose chain may be longer and whose owner's list is asked about all
    /// of it (E-10).
    pub fn check_at(&self, leaf_der: &[u8], version: u64) -> Result<(), Refusal> {
        let leaf = self.checked(leaf_der)?;
        if leaf.signed.is_none() && !self.registered(&leaf.issuer) {
            leaf.anchored.store(version, Ordering::Relaxed);
        }
        Ok(())
    }
}
