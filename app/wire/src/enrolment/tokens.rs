//! Enrolment tokens (E-1).

use super::GivenGroup;
use crate::{Timestamp, ids::EnrolmentTokenId};
use serde::{Deserialize, Serialize};

crate::states::words! {
    /// What a token's devices go through before they are in.
    #[derive(Default)]
    EnrolmentMode {
        /// They are in at once.
        #[default]
        Auto = "auto",
        /// A person approves each.
        Approval = "approval",
    }
}

/// An enrolment token as people see it; the secret is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrolmentToken {
    /// Its id.
    pub id: EnrolmentTokenId,
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
    /// How often it may be used.
    pub max_uses: i64,
    /// How often it was used.
    pub uses: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// End of its life.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Last use.
    pub last_used_at: Option<Timestamp>,
    /// The network it may be used from, CIDR; empty means any.
    #[serde(default)]
    pub source: String,
    /// Whether a person approves each device.
    #[serde(default)]
    pub mode: EnrolmentMode,
    /// SHA-256 of the only public key it is for, hex; empty means any.
    #[serde(default)]
    pub spki_sha256: String,
    /// SHA-256 of the only CSR it is for, hex; empty means any.
    #[serde(default)]
    pub csr_sha256: String,
    /// The profile of the certificates it gives; empty means none.
    #[serde(default)]
    pub profile: String,
    /// How many devices have connected with a certificate that it gave.
    #[serde(default)]
    pub connected: i64,
    /// The authority that was given up as compromised since it was made; it counts for nothing until an admin lifts that.
    #[serde(default)]
    pub frozen_by: Option<String>,
    /// When it was last tried again from somewhere else after it was used up: somebody else may have its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_at: Option<Timestamp>,
    /// From where that was; empty for never.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reused_from: String,
}

const fn once() -> i64 {
    1
}

const fn day() -> i64 {
    24
}

/// What a new enrolment token should be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewEnrolmentToken {
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
    /// 1 to 10,000; once unless given.
    #[serde(default = "once")]
    pub max_uses: i64,
    /// Life in hours: 1 to 720; a day unless given.
    #[serde(default = "day")]
    pub hours: i64,
    /// The network it may be used from: an address, or CIDR like `192.0.2.0/24`; empty means any.
    #[serde(default)]
    pub source: String,
    /// Whether a person approves each device.
    #[serde(default)]
    pub mode: EnrolmentMode,
    /// SHA-256 of the only public key (`SubjectPublicKeyInfo`, DER) it is for, 64 hex digits; empty means any.
    #[serde(default)]
    pub spki_sha256: String,
    /// SHA-256 of the only CSR (DER) it is for, 64 hex digits; empty means any.
    #[serde(default)]
    pub csr_sha256: String,
    /// The profile of the certificates it gives, by name; empty means none: 90 days, and every type of key.
    #[serde(default)]
    pub profile: String,
}

/// A new enrolment token with its secret: the only time the secret is seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedEnrolmentToken {
    /// The token.
    pub token: EnrolmentToken,
    /// `fet_…`, to be kept by whoever asked.
    pub secret: String,
    /// The line to paste on a device.
    pub command: String,
    /// All that a device needs to join as one text, for `agent run --code`.
    pub code: String,
    /// The same as a QR code; none when it is longer than one holds.
    pub qr: Option<QrPicture>,
}

/// A QR code (ISO/IEC 18004) as a picture: `<svg viewBox="0 0 SIZE SIZE"><path d="PATH"/></svg>`, black on white, with its quiet zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QrPicture {
    /// Modules of a side, four of quiet zone at each end among them.
    pub size: u32,
    /// The dark modules as an SVG path.
    pub path: String,
}
