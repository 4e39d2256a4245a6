//! Pure: reading and verifying a signed manifest (U-1, U-5): a DSSE envelope with Ed25519 signatures (RFC 8032).
//!
//! The signature is checked over the bytes as they were uploaded, before a word of the payload is read. Refuses to know where keys, files and
//! releases are kept.

use super::{label, quorum};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::collections::BTreeSet;
use wire::{
    Timestamp,
    manifest::{Envelope, Manifest, PAYLOAD_TYPE, SCHEMA, Signature},
};

/// Most bytes of an envelope.
pub const MAX_ENVELOPE: usize = 256 * 1024;
/// Most files of a release.
pub const MAX_PAYLOADS: usize = 64;
/// Most signatures of an envelope.
pub const MAX_SIGNATURES: usize = 16;
/// Most hardware revisions of a manifest.
pub const MAX_HARDWARE: usize = 64;
/// The last instant a manifest may name: the end of the year 9999.
const LAST_INSTANT: i64 = 253_402_300_799_999;

/// A public key that signatures are checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What people call it.
    pub name: String,
    /// SHA-256 (hex) of the 32 key bytes.
    pub keyid: String,
    /// The Ed25519 public key.
    pub public: [u8; 32],
}

/// A manifest whose signatures were right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What it says.
    pub manifest: Manifest,
    /// Names of the keys whose signatures were right, one for each key however often it has signed; at least one.
    pub signed_by: Vec<String>,
}

/// Why a manifest is not trusted. Every message is fit to be shown as a reason of quarantine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than [`MAX_ENVELOPE`].
    #[error("the manifest file has {0} bytes; at most {MAX_ENVELOPE} are taken")]
    TooLarge(usize),
    /// Not the JSON of an envelope.
    #[error("the manifest file is not a DSSE envelope: {0}")]
    NotAnEnvelope(String),
    /// A payload type that is not ours.
    #[error("the envelope's payload type is {0:?}; {PAYLOAD_TYPE} is needed")]
    PayloadType(String),
    /// Something in it is not standard base64.
    #[error("the envelope's {0} is not base64")]
    Base64(&'static str),
    /// No signature, or too many.
    #[error("the envelope has {0} signatures; 1 to {MAX_SIGNATURES} are taken")]
    Signatures(usize),
    /// Signed by nobody this organization trusts.
    #[error("signed by an unknown key ({0}); an admin can add the signer's public key")]
    UnknownSigner(String),
    /// A key's signature does not fit the bytes.
    #[error("the signature of {0:?} is wrong: the manifest was changed after it was signed")]
    WrongSignature(String),
    /// The payload is not the JSON of a manifest.
    #[error("the signed payload is not a manifest: {0}")]
    NotAManifest(String),
    /// A schema this version does not read.
    #[error("the manifest has schema {0}; this server reads {SCHEMA}")]
    Schema(u32),
    /// A value out of its bounds.
    #[error("the manifest's {field} {problem}")]
    Field {
        /// Which.
        field: String,
        /// A clause that follows the field's name.
        problem: String,
    },
}

/// Reads an envelope: its size, its JSON, its payload type.
pub fn open(bytes: &[u8]) -> Result<Envelope, ManifestError> {
    if bytes.len() > MAX_ENVELOPE {
        return Err(ManifestError::TooLarge(bytes.len()));
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|e| ManifestError::NotAnEnvelope(brief(&e)))?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(ManifestError::PayloadType(envelope.payload_type.chars().take(100).collect()));
    }
    if envelope.signatures.is_empty() || envelope.signatures.len() > MAX_SIGNATURES {
        return Err(ManifestError::Signatures(envelope.signatures.len()));
    }
    Ok(envelope)
}

/// Verifies an envelope against the organization's keys. At least one signature is by a key given here, and every signature by such a key
/// is right; signatures by others are passed over. Whether they are enough is asked by who knows the threshold.
pub fn verify(bytes: &[u8], keys: &[Key]) -> Result<Verified, ManifestError> {
    let envelope = open(bytes)?;
    let payload = STANDARD.decode(&envelope.payload).map_err(|_| ManifestError::Base64("payload"))?;
    let signers = quorum::signers(&envelope, &payload, keys).map_err(|problem| match problem {
        quorum::Problem::Base64 => ManifestError::Base64("signature"),
        quorum::Problem::Wrong(name) => ManifestError::WrongSignature(name),
    })?;
    if signers.is_empty() {
        let ids: Vec<String> =
            envelope.signatures.iter().map(|s| s.keyid.chars().take(12).filter(char::is_ascii_hexdigit).collect()).collect();
        return Err(ManifestError::UnknownSigner(ids.join(", ")));
    }
    let mut signed_by: Vec<String> = signers.into_iter().map(|key| key.name.clone()).collect();
    signed_by.sort();
    Ok(Verified { manifest: read(&payload)?, signed_by })
}

/// The envelope with signatures that were added later; what can't be read stays as it is.
pub fn merged(bytes: &[u8], added: impl IntoIterator<Item = Signature>) -> Vec<u8> {
    let mut added = added.into_iter().peekable();
    if added.peek().is_none() {
        return bytes.to_vec();
    }
    let Ok(mut envelope) = open(bytes) else { return bytes.to_vec() };
    envelope.signatures.extend(added);
    written(&envelope).unwrap_or_else(|_| bytes.to_vec())
}

/// An envelope as the text of a file.
pub fn written(envelope: &Envelope) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(envelope)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What an envelope claims, whoever signed it: for showing an upload that is in quarantine, never for trusting it.
pub fn claims(bytes: &[u8]) -> Option<Manifest> {
    let payload = STANDARD.decode(open(bytes).ok()?.payload).ok()?;
    read(&payload).ok()
}

fn read(payload: &[u8]) -> Result<Manifest, ManifestError> {
    let manifest: Manifest = serde_json::from_slice(payload).map_err(|e| ManifestError::NotAManifest(brief(&e)))?;
    check(&manifest)?;
    Ok(manifest)
}

/// Whether every value is within its bounds.
pub fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    let at = |field: &str| {
        let field = field.to_owned();
        move |problem: String| ManifestError::Field { field, problem }
    };
    let refuse = |field: &str, problem: &str| Err(ManifestError::Field { field: field.to_owned(), problem: problem.to_owned() });
    if manifest.schema != SCHEMA {
        return Err(ManifestError::Schema(manifest.schema));
    }
    label::word(&manifest.device_type).map_err(at("device_type"))?;
    label::word(&manifest.version).map_err(at("version"))?;
    label::prose(&manifest.notes, label::MAX_NOTES).map_err(at("notes"))?;
    if manifest.hardware.len() > MAX_HARDWARE {
        return refuse("hardware", "names too many revisions");
    }
    for revision in &manifest.hardware {
        label::word(revision).map_err(at("hardware"))?;
    }
    if manifest.sequence == 0 || i64::try_from(manifest.sequence).is_err() {
        return refuse("sequence", "is out of range: it starts at 1");
    }
    if manifest.min_sequence > manifest.sequence {
        return refuse("min_sequence", "is above its sequence, so nothing could install it");
    }
    if !(0..=LAST_INSTANT).contains(&manifest.created.0) {
        return refuse("created", "is not a Unix time in milliseconds");
    }
    if manifest.expires.is_some_and(|e| e <= manifest.created || e.0 > LAST_INSTANT) {
        return refuse("expires", "is not after created");
    }
    if manifest.payloads.is_empty() || manifest.payloads.len() > MAX_PAYLOADS {
        return refuse("payloads", &format!("are {}; 1 to {MAX_PAYLOADS} are taken", manifest.payloads.len()));
    }
    let mut names = BTreeSet::new();
    let mut total = 0_i64;
    for (i, payload) in manifest.payloads.iter().enumerate() {
        label::file_name(&payload.name).map_err(at(&format!("payloads[{i}].name")))?;
        if !payload.format.is_empty() {
            label::word(&payload.format).map_err(at(&format!("payloads[{i}].format")))?;
        }
        if !names.insert(payload.name.as_str()) {
            return refuse(&format!("payloads[{i}].name"), "names a file twice");
        }
        let size = i64::try_from(payload.size).ok().filter(|s| *s > 0);
        match size.and_then(|s| total.checked_add(s)) {
            Some(sum) => total = sum,
            None => return refuse(&format!("payloads[{i}].size"), "is out of range"),
        }
    }
    Ok(())
}

/// Whether it may come in: [`check`], and what is asked of new manifests only, so that those that are published stay readable.
/// `fleetward sign` asks too, so that nothing is signed that no server would take.
pub fn check_new(manifest: &Manifest) -> Result<(), ManifestError> {
    check(manifest)?;
    label::device_type(&manifest.device_type).map_err(|problem| ManifestError::Field { field: "device_type".to_owned(), problem })
}

/// Whether no device would install it any more.
pub fn expired(manifest: &Manifest, now: Timestamp) -> bool {
    manifest.expires.is_some_and(|e| e <= now)
}

fn brief(error: &serde_json::Error) -> String {
    error.to_string().chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entropy::SeededEntropy, releases::signing::SigningKeyPair};
    use proptest::prelude::*;
    use wire::manifest::Payload;

    fn manifest() -> Manifest {
        let file = Payload { name: "fw.bin".into(), size: 5, sha256: wire::ids::Digest::from_bytes(&[7; 32]), format: "raw".into() };
        Manifest {
            schema: SCHEMA,
            device_type: "gateway".into(),
            hardware: vec!["A".into()],
            version: "1.2.0".into(),
            sequence: 7,
            min_sequence: 2,
            payloads: vec![file],
            created: Timestamp(1_795_341_600_000),
            expires: None,
            notes: "Two\nlines".into(),
        }
    }

    fn signed() -> (Vec<u8>, Key) {
        let pair = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
        let key = Key { name: "build".into(), keyid: pair.keyid(), public: pair.public() };
        (pair.sign(&manifest()).unwrap(), key)
    }

    #[test]
    fn a_signed_manifest_is_read_back() {
        let (bytes, key) = signed();
        assert_eq!(verify(&bytes, &[key]).unwrap(), Verified { manifest: manifest(), signed_by: vec!["build".into()] });
    }

    #[test]
    fn an_unknown_signer_and_a_wrong_signature_are_told_apart() {
        let (bytes, key) = signed();
        assert!(matches!(verify(&bytes, &[]), Err(ManifestError::UnknownSigner(_))));
        // Somebody else signed under the name of a known key.
        let other = SigningKeyPair::generate(&SeededEntropy::new(2)).unwrap();
        let posed = String::from_utf8(other.sign(&manifest()).unwrap()).unwrap().replace(&other.keyid(), &key.keyid);
        assert_eq!(verify(posed.as_bytes(), &[key]), Err(ManifestError::WrongSignature("build".into())));
    }

    #[test]
    fn one_wrong_signature_beside_a_right_one_is_refused() {
        let (bytes, key) = signed();
        let other = SigningKeyPair::generate(&SeededEntropy::new(2)).unwrap();
        let trusted = Key { name: "other".into(), keyid: other.keyid(), public: other.public() };
        let mut envelope: Envelope = serde_json::from_slice(&bytes).unwrap();
        let mut second = envelope.signatures[0].clone();
        second.keyid.clone_from(&trusted.keyid);
        envelope.signatures.push(second);
        let bytes = serde_json::to_vec(&envelope).unwrap();
        assert_eq!(verify(&bytes, &[key.clone(), trusted]), Err(ManifestError::WrongSignature("other".into())));
        assert!(verify(&bytes, &[key]).is_ok(), "a signature of a stranger is passed over");
    }

    #[test]
    fn the_payload_type_is_signed_too() {
        let (bytes, key) = signed();
        let text = String::from_utf8(bytes).unwrap().replace(PAYLOAD_TYPE, "application/other");
        assert!(matches!(verify(text.as_bytes(), &[key]), Err(ManifestError::PayloadType(_))));
    }

    #[test]
    fn values_out_of_bounds_are_refused_by_name() {
        let with = |change: &dyn Fn(&mut Manifest)| {
            let mut m = manifest();
            change(&mut m);
            match check(&m) {
                Err(ManifestError::Field { field, .. }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(with(&|m| m.sequence = 0), "sequence");
        assert_eq!(with(&|m| m.sequence = u64::MAX), "sequence");
        assert_eq!(with(&|m| m.min_sequence = 8), "min_sequence");
        assert_eq!(with(&|m| m.version = "1\u{1b}[2J".into()), "version");
        assert_eq!(with(&|m| m.device_type = String::new()), "device_type");
        assert_eq!(with(&|m| m.notes = "x".repeat(label::MAX_NOTES + 1)), "notes");
        assert_eq!(with(&|m| m.expires = Some(m.created)), "expires");
        assert_eq!(with(&|m| m.created = Timestamp(i64::MAX)), "created");
        assert_eq!(with(&|m| m.payloads.clear()), "payloads");
        assert_eq!(with(&|m| m.payloads[0].name = "../etc/passwd".into()), "payloads[0].name");
        assert_eq!(with(&|m| m.payloads.push(m.payloads[0].clone())), "payloads[1].name");
        assert_eq!(with(&|m| m.payloads[0].size = 0), "payloads[0].size");
        assert_eq!(with(&|m| m.payloads[0].size = u64::MAX), "payloads[0].size");
    }

    #[test]
    fn a_type_with_a_path_in_it_does_not_come_in_and_stays_readable_where_it_is() {
        let old = Manifest { device_type: "../x".into(), ..manifest() };
        assert_eq!(check(&old), Ok(()));
        assert_eq!(check_new(&old).unwrap_err().to_string(), "the manifest's device_type has a '/'; a type is a name, not a path");
        assert_eq!(check_new(&manifest()), Ok(()));
    }

    #[test]
    fn limits_hold() {
        assert_eq!(open(&vec![b' '; MAX_ENVELOPE + 1]), Err(ManifestError::TooLarge(MAX_ENVELOPE + 1)));
        assert!(matches!(open(b"{}"), Err(ManifestError::NotAnEnvelope(_))));
        let (bytes, _) = signed();
        let mut envelope: Envelope = serde_json::from_slice(&bytes).unwrap();
        envelope.signatures = vec![envelope.signatures[0].clone(); MAX_SIGNATURES + 1];
        assert_eq!(open(&serde_json::to_vec(&envelope).unwrap()), Err(ManifestError::Signatures(MAX_SIGNATURES + 1)));
        envelope.signatures.clear();
        assert_eq!(open(&serde_json::to_vec(&envelope).unwrap()), Err(ManifestError::Signatures(0)));
    }

    proptest! {
        #[test]
        fn no_changed_byte_makes_another_manifest_trusted(at in any::<prop::sample::Index>(), to: u8) {
            let (mut bytes, key) = signed();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(verified) = verify(&bytes, &[key]) {
                prop_assert_eq!(verified.manifest, manifest());
            }
        }

        #[test]
        fn a_cut_envelope_is_never_trusted(at in any::<prop::sample::Index>()) {
            let (bytes, key) = signed();
            // The last byte is a newline, which may be missing.
            let at = at.index(bytes.len() - 1);
            prop_assert!(verify(&bytes[..at], &[key]).is_err());
        }

        #[test]
        fn anything_at_all_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(verify(&bytes, &[]).is_err());
        }
    }
}
