//! The signed description of a release (U-1) in a DSSE envelope.
//!
//! A manifest is made and signed offline (`fleetward sign`), kept byte for byte as it was uploaded, checked by the server on upload and by
//! every device before it installs. Nothing here signs or verifies; it gives both sides the same bytes.

use crate::ids::Digest;
use serde::{Deserialize, Serialize};

/// The `payloadType` of our manifests.
pub const PAYLOAD_TYPE: &str = "application/vnd.fleetward.manifest+json";
/// The version of the manifest's schema that this code writes and the only one it reads.
pub const SCHEMA: u32 = 1;

/// What a release is, for the devices that may install it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Manifest {
    /// Version of this schema, [`SCHEMA`].
    pub schema: u32,
    /// The device type it runs on (RFC 9124 §3.4, class identifier); compared exactly.
    pub device_type: String,
    /// Hardware revisions it runs on; empty means all.
    #[serde(default)]
    pub hardware: Vec<String>,
    /// The version people read.
    pub version: String,
    /// Monotonic number; a device never installs one below what it runs (RFC 9124 REQ.SEC.SEQUENCE).
    pub sequence: u64,
    /// The lowest sequence it can be installed over; 0 means any.
    #[serde(default)]
    pub min_sequence: u64,
    /// The files.
    pub payloads: Vec<Payload>,
    /// When it was made.
    pub created: crate::Timestamp,
    /// After this no device installs it any more; none means no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<crate::Timestamp>,
    /// Release notes.
    #[serde(default)]
    pub notes: String,
}

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Payload {
    /// A label, never a path.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Digest of the content.
    pub sha256: Digest,
    /// How the device treats it, for example `raw`.
    #[serde(default)]
    pub format: String,
}

/// A DSSE envelope (Dead Simple Signing Envelope 1.0): the payload as bytes and the signatures over its pre-authentication encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Envelope {
    /// Media type of the payload, signed along with it.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// The payload in standard base64.
    pub payload: String,
    /// At least one signature.
    pub signatures: Vec<Signature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Signature {
    /// SHA-256 (hex) of the Ed25519 public key's 32 bytes.
    pub keyid: String,
    /// The Ed25519 signature in standard base64.
    pub sig: String,
}

/// The bytes that are signed: DSSE's pre-authentication encoding of type and payload.
pub fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// What a version is called when its files are signed again under this sequence: the sequence becomes build metadata, which Semantic Versioning
/// (2.0.0 §10) leaves out of comparisons.
pub fn version_again(version: &str, sequence: u64) -> String {
    let join = if version.contains('+') { '.' } else { '+' };
    format!("{version}{join}{sequence}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn pre_authentication_is_dsse_v1() {
        // The example of the DSSE specification, protocol.md.
        let pae = super::pre_authentication("http://example.com/HelloWorld", b"hello world");
        assert_eq!(pae, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn a_version_that_comes_again_is_another_one() {
        assert_eq!(super::version_again("1.0.0", 3), "1.0.0+3");
        assert_eq!(super::version_again("1.0.0+3", 5), "1.0.0+3.5");
    }
}
