//! The device's key, the one that may follow it, and the requests signed by them. Owns which types of keys there are, and that a device keeps its own.

use super::{Error, KEY, NEXT, Store};
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize, SigningKey as _,
};
use wire::enrolment::AgentKey;

impl Store {
    /// The device's key.
    pub(super) fn key(&self) -> Result<KeyPair, Error> {
        self.kept(KEY)?.ok_or_else(|| Error::Key("it is gone".into()))
    }

    /// Makes the device's key, in the place of the one there is.
    pub(super) async fn make_key(&self, kind: AgentKey) -> Result<(), Error> {
        let key = made(kind).await?;
        Ok(self.folder.write(KEY, key.serialize_pem().as_bytes())?)
    }

    /// The key that takes its place with the next certificate, of the same type, made on the first call.
    pub(super) async fn next_key(&self) -> Result<KeyPair, Error> {
        if let Some(key) = self.kept(NEXT)? {
            return Ok(key);
        }
        let same = kind(&self.key()?)?;
        let key = made(same).await?;
        self.folder.write(NEXT, key.serialize_pem().as_bytes())?;
        Ok(key)
    }

    /// The key to ask with where one was refused, which `csr` is by: the next one, or another in its place where that is the one that was refused.
    pub(super) async fn other_key(&self, csr: &str) -> Result<KeyPair, Error> {
        if let Some(next) = self.kept(NEXT)? {
            let refused = CertificateSigningRequestParams::from_pem(csr).map_err(|e| Error::Key(e.to_string()))?;
            if refused.public_key.der_bytes() == next.der_bytes() {
                self.folder.remove(NEXT)?;
            }
        }
        self.next_key().await
    }

    /// What the device's key is; none before there is one.
    pub fn key_type(&self) -> Result<Option<AgentKey>, Error> {
        self.kept(KEY)?.as_ref().map(kind).transpose()
    }

    fn kept(&self, file: &'static str) -> Result<Option<KeyPair>, Error> {
        let Some(pem) = self.folder.read(file)? else { return Ok(None) };
        let pem = String::from_utf8(pem).map_err(|e| Error::Damaged { file, reason: e.to_string() })?;
        KeyPair::from_pem(&pem).map(Some).map_err(|e| Error::Key(e.to_string()))
    }

    /// A PKCS#10 request in PEM for the common name `device_id`, asking for nothing else (E-4).
    pub(super) fn request(&self, device_id: &str) -> Result<String, Error> {
        request_by(&self.key()?, device_id)
    }
}

/// Whether a refusal by this word is of the key, so that another one may be taken: the rules want one, or this one is another's or blocked. Where
/// the blocked one is that of the certificate which is shown, that proves nothing any more, and the other one is refused as well.
pub(super) fn wants_another(code: &str) -> bool {
    matches!(code, "rekey_required" | "key_in_use")
}

/// The same by another key.
pub(super) fn request_by(key: &KeyPair, device_id: &str) -> Result<String, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, device_id);
    let csr = params.serialize_request(key).map_err(|e| Error::Key(e.to_string()))?;
    csr.pem().map_err(|e| Error::Key(e.to_string()))
}

/// A new key. Beside the other devices of the process: one of RSA takes seconds.
async fn made(kind: AgentKey) -> Result<KeyPair, Error> {
    let making = tokio::task::spawn_blocking(move || match kind {
        AgentKey::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        AgentKey::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        AgentKey::Ed25519 => KeyPair::generate_for(&PKCS_ED25519),
        AgentKey::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        AgentKey::Rsa3072 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072),
        AgentKey::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
    });
    making.await.map_err(|e| Error::Key(e.to_string()))?.map_err(|e| Error::Key(e.to_string()))
}

/// What a key is. One of RSA whose length the agent does not make counts as the next longer one that it does.
fn kind(key: &KeyPair) -> Result<AgentKey, Error> {
    if key.is_compatible(&PKCS_ECDSA_P256_SHA256) {
        Ok(AgentKey::P256)
    } else if key.is_compatible(&PKCS_ECDSA_P384_SHA384) {
        Ok(AgentKey::P384)
    } else if key.is_compatible(&PKCS_ED25519) {
        Ok(AgentKey::Ed25519)
    } else if key.is_compatible(&PKCS_RSA_SHA256) {
        // A signature is as long as the modulus (RFC 8017 §8.2.1).
        let bytes = key.sign(&[]).map_err(|e| Error::Key(e.to_string()))?.len();
        Ok(match bytes {
            ..=256 => AgentKey::Rsa2048,
            257..=384 => AgentKey::Rsa3072,
            _ => AgentKey::Rsa4096,
        })
    } else {
        let known = AgentKey::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        Err(Error::Key(format!("it is none of: {known}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::Identity, peer::Authority};

    #[tokio::test]
    async fn a_key_of_each_type_is_made_kept_and_followed_by_one_of_its_type() {
        for asked in [AgentKey::P256, AgentKey::P384, AgentKey::Ed25519, AgentKey::Rsa2048, AgentKey::Rsa3072] {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path()).unwrap();
            assert_eq!(store.key_type().unwrap(), None);
            store.make_key(asked).await.unwrap();
            assert_eq!(store.key_type().unwrap(), Some(asked));
            assert!(std::fs::read_to_string(dir.path().join(KEY)).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"), "PKCS#8");
            let next = store.next_key().await.unwrap();
            assert_eq!(kind(&next).unwrap(), asked, "a re-key keeps the type");
            assert_eq!(store.next_key().await.unwrap().subject_public_key_info(), next.subject_public_key_info(), "made once");
        }
    }

    /// The library that signs requests and the one that speaks TLS read the same file.
    #[tokio::test]
    async fn tls_takes_every_type_of_key_that_is_made() {
        for asked in [AgentKey::P384, AgentKey::Ed25519, AgentKey::Rsa2048] {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path()).unwrap();
            store.make_key(asked).await.unwrap();
            let (authority, key) = (Authority::new("peer"), || std::fs::read(dir.path().join(KEY)).unwrap());
            let certified = authority.certified(dir.path(), "gw-1");
            let identity = Identity::new(certified.clone(), &key()).unwrap();
            identity.tls(crate::clock::System::new()).unwrap();
            // Of the same type, and not the one that was certified.
            store.make_key(asked).await.unwrap();
            assert!(matches!(Identity::new(certified, &key()), Err(Error::Foreign(_))), "{asked}");
        }
    }

    #[tokio::test]
    async fn a_refused_key_is_followed_by_another_each_time() {
        assert!(wants_another("key_in_use") && wants_another("rekey_required") && !wants_another("renew_too_early"));
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.make_key(AgentKey::USUAL).await.unwrap();
        let own = store.request("gw-1").unwrap();
        let next = store.other_key(&own).await.unwrap();
        assert_eq!(store.other_key(&own).await.unwrap().der_bytes(), next.der_bytes(), "made once");
        let after = store.other_key(&request_by(&next, "gw-1").unwrap()).await.unwrap();
        assert_ne!(after.der_bytes(), next.der_bytes());
    }

    #[test]
    fn a_key_that_is_none_of_them_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let strange = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        store.folder.write(KEY, strange.serialize_pem().as_bytes()).unwrap();
        assert!(matches!(store.key_type(), Err(Error::Key(text)) if text.contains("rsa-3072")));
        store.folder.write(KEY, b"nonsense").unwrap();
        assert!(store.key_type().is_err());
    }
}
