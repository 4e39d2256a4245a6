//! Blocked keys: those that nobody gets a certificate for any more.

use crate::{
    Timestamp,
    ids::{CertificateId, DeviceId},
};
use serde::{Deserialize, Serialize};

/// Most characters of the reason for which a key is blocked by hand.
pub const MAX_BLOCK_REASON: u32 = 500;
/// The word in the books for a key that a person has blocked; the other one is `key_compromise`.
pub const BY_HAND: &str = "by_hand";

/// A key to be blocked before, or although, no certificate for it was revoked: one that was found where others can read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewBlockedKey {
    /// SHA-256 of the key's `SubjectPublicKeyInfo` (DER), as 64 hex digits with or without colons. This or `public_key`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub spki_sha256: String,
    /// A public key, a CSR or a certificate for it, as one PEM block. A private key is refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub public_key: String,
    /// Why, in 1 to [`MAX_BLOCK_REASON`] characters, for those who look at it later.
    pub reason: String,
}

/// A key that gets no certificate any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlockedKey {
    /// SHA-256 of its `SubjectPublicKeyInfo` (DER) in hex.
    pub spki_sha256: String,
    /// Whether a person has blocked it; otherwise a certificate for it was revoked for `key_compromise`, and it stays blocked for good.
    pub by_hand: bool,
    /// Why, as that person said; empty where nobody did.
    pub reason: String,
    /// When it was blocked.
    pub blocked_at: Timestamp,
    /// Who blocked it, or revoked the certificate.
    pub blocked_by: String,
    /// The certificate that was revoked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub certificate: Option<CertificateId>,
    /// A device that has a certificate for it which is not revoked: what was given before stays until it is revoked or ends.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub used_by: Option<DeviceId>,
}
