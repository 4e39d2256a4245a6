//! Profiles: kinds of device certificates that an organization has named.

use crate::{Timestamp, states::RekeyPolicy};
use serde::{Deserialize, Serialize};

/// Longest life of a device's certificate, in hours: 825 days.
pub const MAX_PROFILE_HOURS: u32 = 825 * 24;
/// Longest life of a certificate of a factory profile, in hours: ten years of 365 days.
pub const MAX_FACTORY_HOURS: u32 = 3650 * 24;

crate::states::words! {
    /// Types of keys that devices may have (P-1).
    KeyType {
        /// NIST P-256.
        P256 = "p-256",
        /// NIST P-384.
        P384 = "p-384",
        /// Ed25519.
        Ed25519 = "ed25519",
        /// RSA with 2048 to 4096 bits.
        Rsa = "rsa",
    }
}

/// A profile as those see it who choose one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileKeys {
    /// Its name.
    pub name: String,
    /// Types of keys it is for; empty means every type there is.
    pub keys: Vec<KeyType>,
}

impl ProfileKeys {
    /// The type of key to make for it where any will do: P-256 if it may be, otherwise the first of those it is for.
    pub fn usual(&self) -> KeyType {
        self.keys.iter().copied().min().unwrap_or(KeyType::P256)
    }

    /// The types it is for, in words, when a key of this type is refused.
    pub fn others_than(&self, key: KeyType) -> Option<String> {
        let taken = self.keys.is_empty() || self.keys.contains(&key);
        (!taken).then(|| self.keys.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", "))
    }
}

/// What a profile says of its certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProfileRules {
    /// For how many hours they hold, 1 to 19,800 (825 days), in a factory profile up to 87,600 (ten years); never longer than their authority.
    pub hours: u32,
    /// A factory profile: for certificates that are given once, where devices are made, and hold for more than 825 days.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub factory: bool,
    /// Types of keys they are for; empty means every type there is.
    #[serde(default)]
    pub keys: Vec<KeyType>,
    /// Whether the key may or must change with a renewal; what holds in the organization unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rekey: Option<RekeyPolicy>,
}

/// A kind of device certificates that an organization has named (E-1). An enrolment token, a claim, a batch, or an approval
/// without a token gives one, and a renewal stays what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateProfile {
    /// Its name: 1 to 40 lower-case letters, digits and `-`, beginning with a letter or digit.
    pub name: String,
    /// What it says.
    pub rules: ProfileRules,
    /// How many active certificates are of it.
    pub active: i64,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// Who changed it.
    pub changed_by: String,
}
