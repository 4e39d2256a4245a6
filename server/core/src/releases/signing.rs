//! Signing offline: Ed25519 keys in files, and manifests in DSSE envelopes. The command line uses this without any data folder; the server
//! itself never signs a release. Private keys are PKCS#8 in PEM (RFC 5958, RFC 8410), public ones SPKI in PEM.

use super::manifest::{self, ManifestError};
use crate::{entropy::Entropy, hash};
use aws_lc_rs::{
    digest,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject as _};
use std::fmt;
use wire::{
    Timestamp,
    ids::Digest,
    manifest::{Envelope, Manifest, PAYLOAD_TYPE, Payload, Signature, pre_authentication, version_again},
};
use zeroize::Zeroizing;

/// What stands before the 32 key bytes in an Ed25519 SPKI (RFC 8410 §4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What can be wrong with keys and with what is to be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// Not a usable private key.
    #[error("not an Ed25519 private key in PKCS#8 PEM; make one with `fleetward key generate`")]
    PrivateKey,
    /// Not a usable public key.
    #[error("not an Ed25519 public key; give the PEM that `fleetward key generate` wrote to the .pub file, or 64 hex digits")]
    PublicKey,
    /// The crypto library failed.
    #[error("the key could not be used")]
    Crypto,
    /// No server would take the manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// What is to be signed again is not what somebody trusted has signed.
    #[error("what is to be signed again is not trusted: {0}")]
    Old(ManifestError),
    /// Devices would refuse it.
    #[error("sequence {sequence} is not above {old}, the one it was signed with before; devices never go back")]
    NotAbove {
        /// What was asked for.
        sequence: u64,
        /// The old manifest's.
        old: u64,
    },
    /// A second signature by one key says nothing.
    #[error("this key has signed it already; another one has to")]
    Twice,
    /// The envelope can't be written as JSON.
    #[error("writing the envelope: {0}")]
    Json(#[from] serde_json::Error),
}

/// A key pair that signs manifests.
pub struct SigningKeyPair(Ed25519KeyPair);

impl fmt::Debug for SigningKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeyPair({})", self.keyid())
    }
}

impl SigningKeyPair {
    /// A new key.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, SigningError> {
        let seed = Zeroizing::new(entropy.bytes::<32>());
        Ed25519KeyPair::from_seed_unchecked(&*seed).map(Self).map_err(|_| SigningError::Crypto)
    }

    /// Reads a private key file.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SigningError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| SigningError::PrivateKey)?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map(Self).map_err(|_| SigningError::PrivateKey)
    }

    /// The private key file's text.
    pub fn private_pem(&self) -> Result<Zeroizing<String>, SigningError> {
        let der = self.0.to_pkcs8v1().map_err(|_| SigningError::Crypto)?;
        Ok(Zeroizing::new(crate::pem::encode("PRIVATE KEY", der.as_ref())))
    }

    /// The public key file's text.
    pub fn public_pem(&self) -> String {
        public_pem(&self.public())
    }

    /// The 32 bytes of the public key.
    pub fn public(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.public_key().as_ref());
        out
    }

    /// The name of this key in signatures.
    pub fn keyid(&self) -> String {
        keyid(&self.public())
    }

    /// The envelope file's bytes. A manifest that no server would take is refused.
    pub fn sign(&self, manifest: &Manifest) -> Result<Vec<u8>, SigningError> {
        manifest::check_new(manifest)?;
        let payload = serde_json::to_vec(manifest)?;
        let envelope = Envelope {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(&payload),
            signatures: vec![self.signature(PAYLOAD_TYPE, &payload)?],
        };
        let bytes = manifest::written(&envelope)?;
        if bytes.len() > manifest::MAX_ENVELOPE {
            return Err(ManifestError::TooLarge(bytes.len()).into());
        }
        Ok(bytes)
    }

    /// The signature of a payload of this type.
    pub fn signature(&self, payload_type: &str, payload: &[u8]) -> Result<Signature, SigningError> {
        let sig = self.0.try_sign(&pre_authentication(payload_type, payload)).map_err(|_| SigningError::Crypto)?;
        Ok(Signature { keyid: self.keyid(), sig: STANDARD.encode(sig.as_ref()) })
    }

    /// The envelope with this key's signature beside those it has (U-1). The same payload, byte for byte. A key signs once.
    pub fn countersign(&self, envelope: &Envelope) -> Result<Envelope, SigningError> {
        let keyid = self.keyid();
        if envelope.signatures.iter().any(|s| s.keyid == keyid) {
            return Err(SigningError::Twice);
        }
        let payload = STANDARD.decode(&envelope.payload).map_err(|_| ManifestError::Base64("payload"))?;
        let mut signed = envelope.clone();
        signed.signatures.push(self.signature(&envelope.payload_type, &payload)?);
        if signed.signatures.len() > manifest::MAX_SIGNATURES {
            return Err(ManifestError::Signatures(signed.signatures.len()).into());
        }
        Ok(signed)
    }
}

/// Describes a file for a manifest: reads it once, in bounded memory.
pub fn payload(name: &str, format: &str, content: &mut impl std::io::Read) -> std::io::Result<Payload> {
    let (mut context, mut size) = (digest::Context::new(&digest::SHA256), 0_u64);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                context.update(&buffer[..n]);
                size += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(Payload { name: name.to_owned(), size, sha256: Digest::from_bytes(&hash::finished(context)), format: format.to_owned() })
}

/// The manifest of the same files under a higher sequence, for going back to them on purpose (U-4); without an end, and under a version of its own.
/// The old envelope must be signed by one of these keys: who signs again vouches for every file it names.
pub fn again(
    envelope: &[u8],
    trusted: &[manifest::Key],
    sequence: u64,
    version: Option<&str>,
    now: Timestamp,
) -> Result<Manifest, SigningError> {
    let old = manifest::verify(envelope, trusted).map_err(SigningError::Old)?.manifest;
    if sequence <= old.sequence {
        return Err(SigningError::NotAbove { sequence, old: old.sequence });
    }
    let version = version.map_or_else(|| version_again(&old.version, sequence), str::to_owned);
    Ok(Manifest { version, sequence, created: now, expires: None, ..old })
}

/// SHA-256 (hex) of the 32 key bytes.
pub fn keyid(public: &[u8; 32]) -> String {
    hex::encode(hash::sha256(public))
}

/// A public key as SPKI in PEM.
pub fn public_pem(public: &[u8; 32]) -> String {
    crate::pem::encode("PUBLIC KEY", &[&SPKI_PREFIX[..], &public[..]].concat())
}

/// Reads a public key as people paste it: SPKI in PEM, 64 hex digits, or base64 of the 32 bytes or of the SPKI.
pub fn parse_public(text: &str) -> Result<[u8; 32], SigningError> {
    let text = text.trim();
    let bytes = if text.starts_with("-----") {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).map_err(|_| SigningError::PublicKey)?;
        der.as_ref().to_vec()
    } else {
        hex::decode(text).or_else(|_| STANDARD.decode(text)).map_err(|_| SigningError::PublicKey)?
    };
    let raw = bytes.strip_prefix(&SPKI_PREFIX[..]).unwrap_or(&bytes);
    raw.try_into().map_err(|_| SigningError::PublicKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn keys_survive_their_files() {
        let key = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
        let again = SigningKeyPair::from_pem(key.private_pem().unwrap().as_bytes()).unwrap();
        assert_eq!(again.public(), key.public());
        let public = key.public();
        for text in [key.public_pem(), hex::encode(public), STANDARD.encode(public), format!("  {}\n", hex::encode(public))] {
            assert_eq!(parse_public(&text).unwrap(), public, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let key = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
        for text in ["", "abcd", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", &*key.private_pem().unwrap()] {
            assert!(matches!(parse_public(text), Err(SigningError::PublicKey)), "{text}");
        }
        assert!(matches!(SigningKeyPair::from_pem(key.public_pem().as_bytes()), Err(SigningError::PrivateKey)));
    }

    #[test]
    fn a_key_of_openssl_is_read() {
        // `openssl genpkey -algorithm ed25519`, the example of RFC 8410 §10.3.
        let pem =
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let key = SigningKeyPair::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(key.public_pem(), public);
    }
}
