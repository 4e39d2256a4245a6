//! Enrolment: the JSON flow that trades a secret and a CSR for a certificate (pki.md E-1, E-5), the tokens behind it, and requests that wait for
//! a person (E-6).
//!
//! `POST /device/v1/enrol` on the enrol listener with `Authorization: Bearer fet_…` answers 201 with [`Enrolled`], or 202 with [`Waiting`] and
//! `Retry-After`: then the device sends the same request again. Renewal is `POST /device/v1/renew` on the device listener.

use crate::{
    Timestamp,
    ids::{CertificateId, ClaimId, DeviceId, EnrolmentBatchId, EnrolmentRequestId, EnrolmentTokenId},
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

/// The answer while a person has not decided yet: no certificate, and when to ask again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// `pending`.
    pub status: String,
    /// Seconds until the same request should be sent again.
    pub poll_after: u32,
}

crate::states::words! {
    /// What a token's devices go through before they are in.
    EnrolmentMode {
        /// They are in at once.
        Auto = "auto",
        /// A person approves each.
        Approval = "approval",
    }
}

// The derive does not see through the macro.
#[expect(clippy::derivable_impls, reason = "the macro that writes the enum has no room for `#[default]`")]
impl Default for EnrolmentMode {
    fn default() -> Self {
        Self::Auto
    }
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

/// How devices may ask to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrolmentSettings {
    /// Whether devices without a token may ask; a person approves each.
    pub open: bool,
}

/// What a device asks for before it recovers: a word that its signature is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryNonce {
    /// Base64 of the bytes to sign.
    pub nonce: String,
    /// Until when it counts.
    pub expires_at: Timestamp,
}

/// What a device sends whose certificate has ended (pki.md R-4).
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
    /// How many devices have connected with a certificate that it gave.
    #[serde(default)]
    pub connected: i64,
}

/// What a new enrolment token should be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// The shell line that makes a host a device with the agent; without a `device_id` it takes the host's name, without a `device_type` the agent's own.
pub fn agent_line(enrol_url: &str, root_fingerprint: &str, secret: &str, device_id: Option<&str>, device_type: &str) -> String {
    let device_id = device_id.map_or_else(|| "\"$(hostname)\"".to_owned(), shell_word);
    let kind = if device_type.is_empty() { String::new() } else { format!(" --type {}", shell_word(device_type)) };
    format!("agent run --enrol {enrol_url} --token {secret} --root-fingerprint {root_fingerprint} --device-id {device_id}{kind}")
}

/// The text as one word of a POSIX shell (§2.2.2): lines are pasted as root by somebody who did not write them.
fn shell_word(text: &str) -> String {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:/@%+=,".contains(&b));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Shell lines that enrol a device by EST with nothing but curl and openssl. They leave `device.key`, `device.pem` and `root.pem`; a server whose
/// root has another fingerprint gets no token. `device_id` may be a shell expression such as `$(hostname)`.
pub fn est_lines(enrol_url: &str, root_fingerprint: &str, secret: &str, device_id: &str) -> [String; 4] {
    let unpack = "openssl base64 -d | openssl pkcs7 -inform DER -print_certs";
    [
        format!("curl -sk {enrol_url}/.well-known/est/cacerts | {unpack} -out ca.pem && openssl x509 -in ca.pem -out root.pem"),
        format!(
            "openssl x509 -in root.pem -noout -fingerprint -sha256 | tr -d : | grep -iq {root_fingerprint} && echo 'root verified' || \
             {{ echo 'not our server'; rm -f root.pem; }}"
        ),
        format!(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout device.key -subj \"/CN={device_id}\" -outform DER | \
             openssl base64 -out device.csr"
        ),
        format!(
            "curl -sS --fail --cacert root.pem --user any:{secret} -H 'Content-Type: application/pkcs10' --data-binary @device.csr \
             {enrol_url}/.well-known/est/simpleenroll | {unpack} -out device.pem"
        ),
    ]
}

crate::states::words! {
    /// How far a batch of CSRs is.
    BatchState {
        /// Its lines are coming in.
        Receiving = "receiving",
        /// Its certificates are made.
        Working = "working",
        /// Every line has come to an end.
        Done = "done",
        /// Stopped by a person; what was made stays.
        Cancelled = "cancelled",
    }
    /// What became of a batch's line.
    BatchLineState {
        /// Not looked at yet.
        Waiting = "waiting",
        /// The device has its certificate.
        Issued = "issued",
        /// The device is registered; it enrols later with a token made for exactly its id.
        Registered = "registered",
        /// Nothing: the line says why.
        Refused = "refused",
    }
}

/// A batch of CSRs from a factory (pki.md E-7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrolmentBatch {
    /// Its id.
    pub id: EnrolmentBatchId,
    /// What it is.
    pub label: String,
    /// Type of its devices whose line names none.
    pub device_type: String,
    /// Tags given to its devices.
    pub tags: Vec<String>,
    /// How far it is.
    pub state: BatchState,
    /// How many lines it has.
    pub lines: i64,
    /// How many of them have their certificate.
    pub issued: i64,
    /// How many are registered without one.
    pub registered: i64,
    /// How many were refused.
    pub refused: i64,
    /// When it was sent.
    pub created_at: Timestamp,
    /// Who sent it.
    pub created_by: String,
    /// When its last line was done.
    pub ended_at: Option<Timestamp>,
}

/// A line of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchLine {
    /// Its number, from 1.
    pub line: i64,
    /// Its file's name or its place, for people.
    pub label: String,
    /// The device, as far as it is known.
    pub device_id: String,
    /// What became of it.
    pub state: BatchLineState,
    /// Why it was refused, in a word.
    pub code: String,
    /// Why it was refused, and what to do.
    pub message: String,
    /// The certificate it got.
    pub certificate: Option<CertificateId>,
}

/// A batch with the lines that were refused, the first 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchDetail {
    /// The batch.
    pub batch: EnrolmentBatch,
    /// Its refused lines.
    pub refused: Vec<BatchLine>,
}

/// A claim: a shared certificate by which devices ask for their own (pki.md E-9).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Claim {
    /// Its id.
    pub id: ClaimId,
    /// What it is for.
    pub label: String,
    /// Device ids it may enrol: a pattern with `*`, empty means any.
    pub pattern: String,
    /// The type given to its devices; empty means what the device says.
    pub device_type: String,
    /// Tags given to its devices.
    pub tags: Vec<String>,
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
}

/// What a new claim should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewClaim {
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
}

/// A device that a claim let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimDevice {
    /// Which.
    pub device_id: DeviceId,
    /// Its standing now.
    pub state: crate::states::DeviceState,
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
    /// Devices that wait for a person, oldest first.
    pub requests: Vec<EnrolmentRequest>,
    /// Batches of CSRs, newest first, at most 50.
    pub batches: Vec<EnrolmentBatch>,
    /// Claims.
    pub claims: Claims,
    /// The batch that is asked about.
    pub batch: Option<BatchDetail>,
    /// How devices may ask to join.
    pub settings: EnrolmentSettings,
    /// Whether the caller may decide on requests.
    pub may_approve: bool,
    /// Whether the caller may change the settings.
    pub may_open: bool,
    /// Whether the caller may make and revoke tokens.
    pub may_edit: bool,
    /// When this was read.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::agent_line;

    #[test]
    fn a_line_runs_the_agent_and_nothing_else() {
        let line = |id, kind| agent_line("https://h:8444", "ab", "fet_x", id, kind);
        assert_eq!(line(None, ""), "agent run --enrol https://h:8444 --token fet_x --root-fingerprint ab --device-id \"$(hostname)\"");
        assert!(line(Some("gw-1"), "linux-host").ends_with("--device-id gw-1 --type linux-host"));
        assert!(line(Some("$(reboot)"), "it's; reboot").ends_with(r"--device-id '$(reboot)' --type 'it'\''s; reboot'"));
    }
}
