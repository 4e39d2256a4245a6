//! Enrolment: the JSON flow that trades a secret and a CSR for a certificate (E-1, E-5), the tokens behind it, and requests that wait for
//! a person (E-6).
//!
//! `POST /device/v1/enrol` on the enrol listener with `Authorization: Bearer fet_…` answers 201 with [`Enrolled`], or 202 with [`Waiting`] and
//! `Retry-After`: then the device sends the same request again. `?organization=SLUG` names whom a device without a token asks; without it that is the first
//! one. Renewal is `POST /device/v1/renew` on the device listener.

mod batches;
mod claims;
mod code;
mod groups;
mod hook;
mod imports;
mod lines;
mod shared;
mod tokens;

pub use batches::*;
pub use claims::*;
pub use code::*;
pub use groups::*;
pub use hook::*;
pub use imports::*;
pub use lines::*;
pub use shared::*;
pub use tokens::*;

use crate::{
    Timestamp,
    ids::{DeviceId, EnrolmentRequestId},
    pki::SignerLost,
    profiles::ProfileKeys,
    registered::RegisteredAuthorities,
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
    /// The version of the trust bundle that they are of; 0 when the server has none.
    #[serde(default)]
    pub trust_bundle_version: i64,
    /// The keys of that bundle that assignments are signed with, 64 hex digits each.
    #[serde(default)]
    pub assignment_keys: Vec<String>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// When to renew.
    pub renew_after: Timestamp,
    /// The server's clock, for devices that have none.
    pub server_time: Timestamp,
    /// Where the device listener is, `https://host:port`.
    pub device_url: String,
}

/// The answer while a person has not decided yet: no certificate, and when to ask again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// `pending`.
    pub status: String,
    /// Seconds until the same request should be sent again.
    pub poll_after: u32,
}

/// A device that asks to join and waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrolmentRequest {
    /// Its id.
    pub id: EnrolmentRequestId,
    /// The name it wants.
    pub device_id: DeviceId,
    /// What the device shows as well: the first 32 bits of SHA-256 of its public key, 8 hex digits.
    pub code: String,
    /// SHA-256 of its public key (`SubjectPublicKeyInfo`), hex: what an approval is about.
    pub spki_sha256: String,
    /// Its type, as it says or as the token gives it.
    pub device_type: String,
    /// Its hardware revision, as it says.
    pub hardware: String,
    /// What else it says of itself.
    pub attributes: BTreeMap<String, String>,
    /// The kind of its key.
    pub key_alg: String,
    /// The token it came with; empty for none.
    pub token: String,
    /// Whether it came with a certificate of a registered authority, which `token` names then.
    #[serde(default)]
    pub authority: bool,
    /// Of a device of the fleet with such a certificate: why it asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Returns>,
    /// Whether it is a device of the fleet whose certificate has ended, and that has proved with its old key who it is.
    #[serde(default)]
    pub recovers: bool,
    /// From where it asked.
    pub address: String,
    /// When it asked first.
    pub asked_at: Timestamp,
    /// When the request ends by itself.
    pub expires_at: Timestamp,
}

crate::states::words! {
    /// Why a device that is in the fleet already asks with a certificate of a registered authority.
    Returns {
        /// The certificate is for another key than it has.
        NewKey = "new_key",
        /// What it had was revoked; whoever approves lets it back in.
        RevokedBefore = "revoked_before",
    }
}

/// How devices may ask to join.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EnrolmentSettings {
    /// Whether devices without a token may ask; a person approves each.
    pub open: bool,
    /// The profile of the certificates that they get, by name; empty means none: 90 days, and every type of key.
    #[serde(default)]
    pub profile: String,
}

/// What a device asks for before it recovers: a word that its signature is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryNonce {
    /// Base64 of the bytes to sign.
    pub nonce: String,
    /// Until when it counts.
    pub expires_at: Timestamp,
}

/// What a device sends whose certificate has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverRequest {
    /// PKCS#10 in PEM by the new key, with the same name.
    pub csr: String,
    /// The certificate that has ended, PEM.
    pub certificate: String,
    /// As it was given.
    pub nonce: String,
    /// Base64 of the signature by the old key over the nonce's bytes and the SHA-256 of the CSR's DER: ECDSA with the curve's own SHA-2 in DER
    /// (RFC 3279 §2.2.3), Ed25519, or RSA PKCS#1 v1.5 with SHA-256.
    pub signature: String,
}

/// What a renewing device sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// PKCS#10 in PEM with the same name.
    pub csr: String,
}

/// How much there is of a list, and of which part a page has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Rows in all.
    pub total: i64,
    /// The cursor of the page after this one; none at the end.
    pub next: Option<String>,
    /// The cursor that this page begins behind; none at the beginning.
    pub behind: Option<String>,
}

/// The lists of the enrolment page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentLists {
    /// Tokens.
    pub tokens: Listed,
    /// Devices that wait.
    pub requests: Listed,
    /// Batches.
    pub batches: Listed,
    /// Claims.
    pub claims: Listed,
}

/// All the enrolment page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own")]
pub struct EnrolmentPage {
    /// How much there is of each list, of which this has a page.
    pub lists: EnrolmentLists,
    /// Tokens, newest first.
    pub tokens: Vec<EnrolmentToken>,
    /// The address of the enrol listener that devices use.
    pub enrol_url: String,
    /// SHA-256 fingerprint (hex) of the root that devices pin on first contact.
    pub root_fingerprint: String,
    /// Devices that wait for a person, oldest first.
    pub requests: Vec<EnrolmentRequest>,
    /// Batches of CSRs, newest first.
    pub batches: Vec<EnrolmentBatch>,
    /// Claims.
    pub claims: Claims,
    /// Registered authorities.
    pub registered: RegisteredAuthorities,
    /// Shared secrets of hawkBit's clients.
    pub shared: SharedSecrets,
    /// The batch that is asked about.
    pub batch: Option<BatchDetail>,
    /// The import that is asked about.
    pub import: Option<LaidImport>,
    /// How devices may ask to join.
    pub settings: EnrolmentSettings,
    /// The profiles that certificates may be of, by name.
    pub profiles: Vec<ProfileKeys>,
    /// The groups that devices can be put into as they come in, by name; behind them the deleted ones that an own authority still names.
    pub groups: Vec<GivenGroup>,
    /// Whether the caller may decide on requests.
    pub may_approve: bool,
    /// Whether the caller may change the settings.
    pub may_open: bool,
    /// Whether the caller may make and revoke tokens.
    pub may_edit: bool,
    /// Whether the caller may revoke certificates.
    pub may_revoke: bool,
    /// Who says whether keys are made for devices here, and what was said (E-8, K-6).
    pub server_keys: crate::consents::ServerKeyRule,
    /// Why not all that devices ask for is signed at the moment; none while it is.
    #[serde(default)]
    pub signer_lost: Option<SignerLost>,
    /// When this was read.
    pub at: Timestamp,
}
