//! Revoking a certificate: why, since when, and a note.

use crate::{Timestamp, ids::CertificateId};
use serde::{Deserialize, Serialize};

crate::states::words! {
    /// Reasons a person may revoke with (RFC 5280 §5.3.1; R-5), in the order of their codes.
    RevocationReason {
        /// 0
        Unspecified = "unspecified",
        /// 1
        KeyCompromise = "key_compromise",
        /// 3
        AffiliationChanged = "affiliation_changed",
        /// 4
        Superseded = "superseded",
        /// 5
        CessationOfOperation = "cessation_of_operation",
        /// 9
        PrivilegeWithdrawn = "privilege_withdrawn",
    }
}

/// Most characters of a revocation's note.
pub const MAX_REVOCATION_NOTE: u32 = 500;

/// A revocation as a person asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Why (RFC 5280 §5.3.1). Has to be said: `unspecified` is a reason too.
    pub reason: RevocationReason,
    /// Since when the key is known or suspected to be in other hands, or the certificate wrong for another reason (RFC 5280 §5.3.2): Unix
    /// milliseconds, not later than now. Published in the list of revoked certificates, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalidity_date: Option<Timestamp>,
    /// For those who look at it later; at most [`MAX_REVOCATION_NOTE`] characters. Never published.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A certificate that is revoked, as it stands in the books: the same for everybody who says it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevokedCertificate {
    /// The certificate.
    pub id: CertificateId,
    /// When it was revoked first.
    pub revoked_at: Timestamp,
    /// Who revoked it first.
    pub revoked_by: String,
    /// Why (RFC 5280 §5.3.1): as it was said first, or that its key is compromised.
    pub reason: String,
    /// Since when it is known or suspected to be wrong, if that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalidity_date: Option<Timestamp>,
    /// What was noted; never published.
    pub note: String,
    /// When it was said that its key is compromised, where it had been revoked for another reason before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised_at: Option<Timestamp>,
    /// Who said so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub raised_by: String,
}

impl From<RevocationReason> for Revocation {
    fn from(reason: RevocationReason) -> Self {
        Self { reason, invalidity_date: None, note: String::new() }
    }
}

impl RevocationReason {
    /// The `CRLReason` code of RFC 5280 §5.3.1.
    pub const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::PrivilegeWithdrawn => 9,
        }
    }
}
