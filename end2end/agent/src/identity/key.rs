//! The device's key, the one that may follow it, and the requests signed by them.

use super::{Error, KEY, NEXT, Store};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};

impl Store {
    /// The device's P-256 key, made on the first call (P-1).
    pub(super) fn key(&self) -> Result<KeyPair, Error> {
        self.kept(KEY)
    }

    /// The key that takes its place with the next certificate, made on the first call.
    pub(super) fn next_key(&self) -> Result<KeyPair, Error> {
        self.kept(NEXT)
    }

    fn kept(&self, file: &'static str) -> Result<KeyPair, Error> {
        let wrong = |e: rcgen::Error| Error::Key(e.to_string());
        if let Some(pem) = self.folder.read(file)? {
            let pem = String::from_utf8(pem).map_err(|e| Error::Damaged { file, reason: e.to_string() })?;
            return KeyPair::from_pem(&pem).map_err(wrong);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(wrong)?;
        self.folder.write(file, key.serialize_pem().as_bytes())?;
        Ok(key)
    }

    /// A PKCS#10 request in PEM for the common name `device_id`, asking for nothing else (E-4).
    pub(super) fn request(&self, device_id: &str) -> Result<String, Error> {
        request_by(&self.key()?, device_id)
    }
}

/// The same by another key.
pub(super) fn request_by(key: &KeyPair, device_id: &str) -> Result<String, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, device_id);
    let csr = params.serialize_request(key).map_err(|e| Error::Key(e.to_string()))?;
    csr.pem().map_err(|e| Error::Key(e.to_string()))
}
