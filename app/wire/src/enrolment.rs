//! Enrolment: the JSON flow that trades a secret and a CSR for a certificate (pki.md E-1, E-5), and the tokens behind it.
//!
//! `POST /device/v1/enrol` on the enrol listener with `Authorization: Bearer fet_…`; renewal is `POST /device/v1/renew` on the device listener.

use crate::{
    Timestamp,
    ids::{DeviceId, EnrolmentTokenId},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a device sends to enrol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// PKCS#10 in PEM, at most 16 KiB of DER.
    pub csr: String,
    /// The name it wants; absent means the CSR's common name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// The device's type as in manifests.
    #[serde(default)]
    pub device_type: String,
    /// Hardware revision.
    #[serde(default)]
    pub hardware: String,
    /// Facts to show beside it.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// A certificate and all a device needs to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// The name it was enrolled under.
    pub device_id: DeviceId,
    /// The leaf, PEM.
    pub certificate: String,
    /// Intermediates from the leaf's issuer up, PEM; without the root.
    pub chain: Vec<String>,
    /// Roots the device should trust for our listeners, PEM.
    pub trust_bundle: Vec<String>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// When to renew (pki.md R-1).
    pub renew_after: Timestamp,
    /// The server's clock, for devices that have none.
    pub server_time: Timestamp,
    /// Where the device listener is, `https://host:port`.
    pub device_url: String,
}

/// What a renewing device sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// PKCS#10 in PEM with the same name.
    pub csr: String,
}

/// An enrolment token as people see it; the secret is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrolmentToken {
    /// Its id.
    pub id: EnrolmentTokenId,
    /// What it is for.
    pub label: String,
    /// Device ids it may enrol: a pattern with `*`, empty means any.
    pub pattern: String,
    /// The type given to its devices; empty means what the device says.
    pub device_type: String,
    /// Tags given to its devices.
    pub tags: Vec<String>,
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
}

/// What a new enrolment token should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewEnrolmentToken {
    /// What it is for; shown in lists.
    pub label: String,
    /// Pattern with `*` for device ids; empty means any.
    #[serde(default)]
    pub pattern: String,
    /// Type given to its devices.
    #[serde(default)]
    pub device_type: String,
    /// Tags given to its devices.
    #[serde(default)]
    pub tags: Vec<String>,
    /// 1 to 10,000.
    pub max_uses: i64,
    /// Life in hours: 1 to 720.
    pub hours: i64,
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
}

/// All the enrolment page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnrolmentPage {
    /// Tokens, newest first.
    pub tokens: Vec<EnrolmentToken>,
    /// The address of the enrol listener that devices use.
    pub enrol_url: String,
    /// SHA-256 fingerprint (hex) of the root that devices pin on first contact.
    pub root_fingerprint: String,
    /// Whether the caller may make and revoke tokens.
    pub may_edit: bool,
    /// When this was read.
    pub at: Timestamp,
}
