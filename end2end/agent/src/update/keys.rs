//! The keys that may sign firmware for this device: put on it by its owner, never by the server.

use aws_lc_rs::{digest, signature};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use wire::{
    device::{NO_KEYS, SIGNATURES_NEEDED, TRUSTED_KEYS},
    manifest::Signature,
};

/// What precedes the 32 bytes of an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410 §4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Ed25519 public keys by their id, the SHA-256 (hex) of their 32 bytes, and how many of them must have signed. Written down, it is the keys alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct TrustedKeys {
    keys: BTreeMap<String, [u8; 32]>,
    threshold: u32,
}

impl Default for TrustedKeys {
    fn default() -> Self {
        Self { keys: BTreeMap::new(), threshold: 1 }
    }
}

impl TrustedKeys {
    /// No key: a device that installs nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads each file: a PEM public key, or 32 bytes in hex or base64.
    ///
    /// # Errors
    /// A sentence that names the file and what was expected in it.
    pub fn read<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<Self, String> {
        let mut keys = Self::none();
        for file in files {
            let text = fs::read_to_string(file).map_err(|e| format!("cannot read the trusted key {}: {e}", file.display()))?;
            let key = parse(&text)
                .ok_or_else(|| format!("{} is not an Ed25519 public key: expected PEM, or 32 bytes in hex or base64", file.display()))?;
            keys.add(key);
        }
        Ok(keys)
    }

    /// Trusts one more key.
    pub fn add(&mut self, key: [u8; 32]) {
        self.keys.insert(hex::encode(digest::digest(&digest::SHA256, &key)), key);
    }

    /// The same keys, of which so many must have signed; never fewer than one.
    #[must_use]
    pub fn with_threshold(self, threshold: u32) -> Self {
        Self { threshold: threshold.max(1), ..self }
    }

    /// How many of them must have signed.
    pub const fn threshold(&self) -> u32 {
        self.threshold
    }

    /// How many different ones of them have made a right signature over these bytes (U-1). One that has signed twice counts once.
    pub fn signers(&self, signatures: &[Signature], message: &[u8]) -> u32 {
        let good = signatures.iter().filter(|s| BASE64.decode(&s.sig).is_ok_and(|sig| self.verifies(&s.keyid, message, &sig)));
        let different: BTreeSet<&str> = good.map(|s| s.keyid.as_str()).collect();
        u32::try_from(different.len()).unwrap_or(u32::MAX)
    }

    /// The ids of those trusted, in words for people; `none` without any.
    pub fn named(&self) -> String {
        let ids: Vec<&str> = self.keys.keys().filter_map(|id| id.get(..16)).collect();
        if ids.is_empty() { NO_KEYS.to_owned() } else { ids.join(" ") }
    }

    /// The attributes in which a device says whom it believes, so that it is not offered what it would refuse.
    pub fn said(&self) -> [(String, String); 2] {
        [(TRUSTED_KEYS.to_owned(), self.named()), (SIGNATURES_NEEDED.to_owned(), self.threshold.to_string())]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Whether none is trusted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key of this id is trusted.
    pub fn knows(&self, id: &str) -> bool {
        self.keys.contains_key(id)
    }

    /// Whether the trusted key of this id made this signature over these bytes.
    pub fn verifies(&self, id: &str, message: &[u8], signature: &[u8]) -> bool {
        self.keys.get(id).is_some_and(|key| signature::UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature).is_ok())
    }
}

/// As they are kept: 32 bytes in hex each.
impl From<TrustedKeys> for Vec<String> {
    fn from(keys: TrustedKeys) -> Self {
        keys.keys.values().map(hex::encode).collect()
    }
}

impl TryFrom<Vec<String>> for TrustedKeys {
    type Error = String;
    fn try_from(kept: Vec<String>) -> Result<Self, String> {
        let mut keys = Self::none();
        for text in &kept {
            keys.add(parse(text).ok_or_else(|| format!("{text:?} is not an Ed25519 public key"))?);
        }
        Ok(keys)
    }
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    let bytes = if text.starts_with("-----") {
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).ok()?;
        spki.strip_prefix(&SPKI)?.to_vec()
    } else {
        hex::decode(text).ok().filter(|b| b.len() == 32).or_else(|| BASE64.decode(text).ok())?
    };
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_them_names_each_and_how_many_must_have_signed() {
        let said = |keys: &TrustedKeys| keys.said().map(|(_, value)| value);
        assert_eq!(said(&TrustedKeys::none()), ["none", "1"].map(str::to_owned));
        let mut keys = TrustedKeys::none().with_threshold(2);
        let ids = [[1; 32], [2; 32]].map(|key| {
            keys.add(key);
            hex::encode(digest::digest(&digest::SHA256, &key))[..16].to_owned()
        });
        let [named, need] = said(&keys);
        assert!(named.len() == 33 && ids.iter().all(|id| named.split(' ').any(|said| said == id)), "{named}");
        assert_eq!(need, "2");
    }

    #[test]
    fn a_key_reads_in_each_of_its_forms() {
        let key = [7u8; 32];
        let spki = [SPKI.as_slice(), &key].concat();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(spki));
        for text in [hex::encode(key), BASE64.encode(key), pem] {
            assert_eq!(parse(&text), Some(key), "{text}");
        }
        for bad in ["", "abcd", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
