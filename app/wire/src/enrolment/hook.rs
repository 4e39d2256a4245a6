//! What a pre-provisioning hook is asked before a claim lets a device in, and what it says (E-9).

use crate::ids::{ClaimId, DeviceId, OrgId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A device that shows a claim's certificate and asks for its own. The claim's bounds and the CSR were checked before; everything that the device says of
/// itself is only its word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookQuestion {
    /// The organization that the claim belongs to.
    pub organization: OrgId,
    /// The claim.
    pub claim: ClaimId,
    /// What the claim is for, in the words of who made it.
    pub label: String,
    /// The name that the device asks for.
    pub device_id: DeviceId,
    /// Its type: the claim's, or the device's own word.
    pub device_type: String,
    /// Its hardware revision.
    pub hardware: String,
    /// What else it says of itself.
    pub attributes: BTreeMap<String, String>,
    /// SHA-256 of the request's public key (`SubjectPublicKeyInfo`), hexadecimal.
    pub spki_sha256: String,
    /// Whether the certificate will be for another key, which the server makes (EST `serverkeygen`).
    pub key_made_here: bool,
    /// From where it asks.
    pub address: String,
}

/// The hook's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookAnswer {
    /// Whether the device may come in.
    pub allow: bool,
    /// Why not, for the audit log; the device does not get to see it.
    #[serde(default)]
    pub reason: String,
}
