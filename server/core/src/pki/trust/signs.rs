//! What connections say beyond who they are: that a certificate is in use, signs of clones and of attack. Waits for nothing; workers act on it.

use super::{
    super::{
        csr::sha256,
        peer::DevicePeer,
        recognise,
        renew::OVERLAP,
        suspicion::{GRACE, Sign, Suspicion},
    },
    TrustHandle,
};
use crate::access::attacks::{Kind, Sign as Attack};
use serde_json::{Map, Value, json};
use std::{net::IpAddr, sync::atomic::Ordering};

impl TrustHandle {
    /// Says that a connection with this certificate was made, from where; its first use ends its predecessor's life. One by a
    /// certificate whose successor is in use is a sign of a clone.
    pub fn seen(&self, peer: &DevicePeer, from: Option<IpAddr>) {
        let Some(leaf) = self.leaf(&peer.fingerprint) else { return };
        if !leaf.used.swap(true, Ordering::Relaxed) {
            // It fails only when the worker is gone, that is while stopping; the first connection after the restart says it again.
            let _ = self.0.first_uses.send(peer.certificate.clone());
        }
        let replaced = leaf.peer.not_after < leaf.ends;
        if replaced && self.0.clock.now() > leaf.peer.not_after.plus(GRACE - OVERLAP) {
            self.suspect(peer, Sign::OldCertificate { from });
        }
    }

    /// Tells of a sign that somebody else holds the key of this certificate; once, until its row is read again, as after a person has looked at the
    /// device, or the server starts anew.
    pub fn suspect(&self, peer: &DevicePeer, sign: Sign) {
        let Some(leaf) = self.leaf(&peer.fingerprint) else { return };
        if leaf.suspected.swap(true, Ordering::Relaxed) {
            return;
        }
        if self.0.suspicions.try_send(Suspicion { peer: peer.clone(), sign }).is_err() {
            leaf.suspected.store(false, Ordering::Relaxed);
        }
    }

    /// Takes back that a sign was told: nobody could act on it.
    pub(crate) fn not_told(&self, peer: &DevicePeer) {
        if let Some(leaf) = self.leaf(&peer.fingerprint) {
            leaf.suspected.store(false, Ordering::Relaxed);
        }
    }

    /// What is known of a certificate that was refused at this listener, told as a sign of attack. `kind` is what the listener saw; whose certificate it
    /// is, memory knows. Waits for nothing.
    pub fn refused(&self, kind: Kind, leaf_der: &[u8], from: IpAddr, listener: &'static str) {
        let fingerprint = sha256(leaf_der);
        let known = self.leaf(&fingerprint);
        let mut detail = Map::new();
        detail.insert("listener".into(), json!(listener));
        recognise::describe(leaf_der, &mut detail);
        if let Some(leaf) = &known {
            detail.insert("device_id".into(), json!(leaf.peer.device_id));
            detail.insert("certificate".into(), json!(leaf.peer.certificate));
        }
        let claim = self.0.claims.read().get(&fingerprint).map(|claim| claim.who.clone());
        if let Some(claim) = &claim {
            detail.insert("claim".into(), json!(claim.claim));
        }
        let org = known.as_ref().map(|leaf| leaf.peer.org.clone()).or_else(|| claim.map(|claim| claim.org));
        let fingerprint = hex::encode(fingerprint);
        let object = known.map_or_else(|| fingerprint.clone(), |leaf| leaf.peer.device_id.to_string());
        detail.insert("fingerprint".into(), Value::String(fingerprint));
        self.0.attacks.tell(Attack { kind, org, from: from.to_canonical().to_string(), object, detail });
    }

    /// From where a certificate with the signature of one of our authorities was shown that nobody knows (H-4); what becomes of that, the worker decides.
    pub fn unknown_from(&self, leaf_der: &[u8], from: IpAddr) {
        self.0.strangers.from(&sha256(leaf_der), from.to_canonical());
    }
}
