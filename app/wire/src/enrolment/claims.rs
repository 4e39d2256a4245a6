//! Claims: shared certificates (E-9).

use super::{GivenGroup, QrPicture};
use crate::{
    Timestamp,
    ids::{ClaimId, DeviceId},
    states::DeviceState,
};
use serde::{Deserialize, Serialize};

/// A claim: a shared certificate by which devices ask for their own (E-9).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Claim {
    /// Its id.
    pub id: ClaimId,
    /// What it is for.
    pub label: String,
    /// Device ids it may enrol: ids, or patterns with `*`, with blanks between them; empty means any.
    pub pattern: String,
    /// The type given to its devices; empty means what the device says.
    pub device_type: String,
    /// Tags given to its devices.
    pub tags: Vec<String>,
    /// Groups that its devices are put into.
    #[serde(default)]
    pub groups: Vec<GivenGroup>,
    /// The profile of the certificates it gives; empty means none.
    #[serde(default)]
    pub profile: String,
    /// Made by a person who stands at the device: one use within five minutes.
    pub trusted_user: bool,
    /// How often it may be used.
    pub max_uses: i64,
    /// How often it was used.
    pub uses: i64,
    /// How often it may be used in a minute.
    pub per_minute: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// End of its life.
    pub expires_at: Timestamp,
    /// When it was disabled, if it was.
    pub disabled_at: Option<Timestamp>,
    /// Last use.
    pub last_used_at: Option<Timestamp>,
    /// The authority that was given up as compromised since it was made; it counts for nothing until an admin lifts that.
    #[serde(default)]
    pub frozen_by: Option<String>,
}

/// What a new claim should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewClaim {
    /// What it is for; shown in lists.
    pub label: String,
    /// Device ids, or patterns with `*` for them, with blanks between them, at most 100; empty means any.
    #[serde(default)]
    pub pattern: String,
    /// Type given to its devices.
    #[serde(default)]
    pub device_type: String,
    /// Tags given to its devices.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Groups that its devices are put into, by name or id, at most 20.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The profile of the certificates it gives, by name; empty means none: 90 days, and every type of key.
    #[serde(default)]
    pub profile: String,
    /// One use within five minutes, for a person who stands at the device; `max_uses` and `hours` are not looked at.
    #[serde(default)]
    pub trusted_user: bool,
    /// 1 to 100,000.
    #[serde(default = "one")]
    pub max_uses: i64,
    /// Life in hours: 1 to 8760.
    #[serde(default = "one")]
    pub hours: i64,
    /// Uses in a minute: 1 to 10,000.
    #[serde(default = "sixty")]
    pub per_minute: i64,
    /// PKCS#10 in PEM when the key is made elsewhere; without it a key is made and given out once.
    #[serde(default)]
    pub csr: String,
}

impl NewClaim {
    /// One for the device that somebody stands at.
    pub fn here(label: String, pattern: String, profile: String) -> Self {
        Self {
            label,
            pattern,
            device_type: String::new(),
            tags: Vec::new(),
            groups: Vec::new(),
            profile,
            trusted_user: true,
            max_uses: 1,
            hours: 1,
            per_minute: 1,
            csr: String::new(),
        }
    }
}

const fn one() -> i64 {
    1
}

const fn sixty() -> i64 {
    60
}

/// A new claim with its certificate, and its key if it was made here: the only time the key is seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedClaim {
    /// The claim.
    pub claim: Claim,
    /// Certificate and those above it but the root, PEM.
    pub certificate: String,
    /// PKCS#8 in PEM; empty when the key is made elsewhere.
    pub key: String,
    /// All that a device needs to join as one text, for `agent run --code`; empty when the key is made elsewhere.
    pub code: String,
    /// The same as a QR code, for a claim of five minutes whose key was made here.
    pub qr: Option<QrPicture>,
}

/// A device that a claim let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimDevice {
    /// Which.
    pub device_id: DeviceId,
    /// Its standing now.
    pub state: DeviceState,
    /// When it came.
    pub at: Timestamp,
}

/// The claims there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// Newest first.
    pub all: Vec<Claim>,
    /// Whether the caller may make some that last.
    pub may_make: bool,
    /// Whether a hook outside is asked before a device comes in by a claim.
    pub hook: bool,
}
