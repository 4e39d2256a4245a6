//! Who the device is: a key that never leaves it and the certificate for it.
//!
//! Owns the files `key.pem` (mode 0600), `identity.json` (certificate, chain, trust bundle, address of the device listener) and, while an answer
//! is outstanding, the request exactly as it was sent, and the next key where the server wants another one. Refuses to know what the identity is used for.

mod enrol;
mod key;
mod recover;
mod renew;
mod trust;

pub use enrol::{Enrolment, enrol};
pub use recover::recover;
pub use renew::renew;
pub use trust::{fetch, proven};

use crate::{clock::Clock, files::Folder, http, tls, update::assignment::Director};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use std::{io, path::PathBuf, sync::Arc};
use wire::{Timestamp, enrolment::Enrolled};

const KEY: &str = "key.pem";
const NEXT: &str = "key.next.pem";
const IDENTITY: &str = "identity.json";

/// Why a device has no identity, or not a new one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state folder cannot be read or written.
    #[error("state folder: {0}")]
    Files(#[from] io::Error),
    /// The server was not reached or said no.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// Certificates that cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The key could not be made, read or used.
    #[error("key: {0}")]
    Key(String),
    /// A file of ours does not hold what it should.
    #[error("{file} is damaged ({reason}); move the state folder away and enrol again")]
    Damaged {
        /// Its name in the state folder.
        file: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The certificate is for somebody else or for another key.
    #[error("the server sent a certificate that is not for this device: {0}")]
    Foreign(String),
}

/// A certificate with its key, ready to use. Shared, never changed: a renewal makes a new one.
#[derive(Debug)]
pub struct Identity {
    enrolled: Enrolled,
    chain: Vec<CertificateDer<'static>>,
    roots: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    director: Director,
}

impl Identity {
    fn new(enrolled: Enrolled, key_pem: &[u8]) -> Result<Self, Error> {
        let mut chain = tls::certificates(enrolled.certificate.as_bytes())?;
        for pem in &enrolled.chain {
            chain.extend(tls::certificates(pem.as_bytes())?);
        }
        let mut roots = Vec::new();
        for pem in &enrolled.trust_bundle {
            roots.extend(tls::certificates(pem.as_bytes())?);
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|e| Error::Key(e.to_string()))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        rustls::sign::CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider).map_err(|e| Error::Foreign(e.to_string()))?;
        let keys = enrolled.assignment_keys.clone().try_into().map_err(|reason| Error::Damaged { file: IDENTITY, reason })?;
        let director = Director { device_id: enrolled.device_id.as_str().to_owned(), keys };
        Ok(Self { enrolled, chain, roots, key, director })
    }

    /// Whose assignments the device takes (U-2).
    pub fn director(&self) -> &Director {
        &self.director
    }

    /// The name it was enrolled under.
    pub fn device_id(&self) -> &str {
        self.enrolled.device_id.as_str()
    }

    /// Where the device listener is, `https://host:port`.
    pub fn device_url(&self) -> &str {
        &self.enrolled.device_url
    }

    /// The version of the trust bundle that its roots are of; 0 before the first.
    pub fn trust_bundle(&self) -> i64 {
        self.enrolled.trust_bundle_version
    }

    /// When to renew.
    pub fn renew_after(&self) -> Timestamp {
        self.enrolled.renew_after
    }

    /// End of the certificate's validity.
    pub fn not_after(&self) -> Timestamp {
        self.enrolled.not_after
    }

    /// The fingerprint of its certificate.
    pub fn fingerprint(&self) -> Option<tls::Fingerprint> {
        self.chain.first().map(tls::Fingerprint::of)
    }

    /// A store of the roots it trusts, which devices of one process may share.
    pub fn roots(&self) -> Result<Arc<RootCertStore>, Error> {
        Ok(tls::roots(&self.roots)?)
    }

    /// The TLS configuration that shows this identity.
    pub fn tls(&self, clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>, Error> {
        self.tls_trusting(self.roots()?, clock)
    }

    /// The same with a store made before.
    pub fn tls_trusting(&self, roots: Arc<RootCertStore>, clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>, Error> {
        Ok(tls::mutual(roots, self.chain.clone(), self.key.clone_key(), clock)?)
    }

    /// A client for the device listener that shows this identity.
    pub fn client(&self, clock: Arc<dyn Clock>) -> Result<http::Client, Error> {
        Ok(http::Client::new(self.tls(clock)?, self.device_url())?)
    }
}

/// The identity's place on disk.
#[derive(Debug, Clone)]
pub struct Store {
    folder: Folder,
}

impl Store {
    /// The store in the state folder, which is made where it is missing.
    pub fn open(state: impl Into<PathBuf>) -> Result<Self, Error> {
        Ok(Self { folder: Folder::open(state)? })
    }

    /// What the device and the person who approves it compare: the first 32 bits of SHA-256 of its public key, 8 hex digits (E-6).
    pub fn comparison_code(&self) -> Result<String, Error> {
        use rcgen::PublicKeyData as _;
        let spki = self.key()?.subject_public_key_info();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &spki);
        Ok(hex::encode(digest.as_ref().get(..4).unwrap_or_default()))
    }

    /// The stored identity; none before the first enrolment.
    pub fn load(&self) -> Result<Option<Identity>, Error> {
        let (Some(enrolled), Some(key)) = (self.folder.read(IDENTITY)?, self.folder.read(KEY)?) else {
            return Ok(None);
        };
        let enrolled: Enrolled = serde_json::from_slice(&enrolled).map_err(|e| Error::Damaged { file: IDENTITY, reason: e.to_string() })?;
        let (identity, by_next) = self.by_either(enrolled, &key)?;
        if by_next {
            // The power went between the certificate and its key's new name.
            self.folder.rename(NEXT, KEY)?;
        }
        Ok(Some(identity))
    }

    /// The identity by our key or by the one that follows it, and whether it is the latter.
    fn by_either(&self, enrolled: Enrolled, key: &[u8]) -> Result<(Identity, bool), Error> {
        match (Identity::new(enrolled.clone(), key), self.folder.read(NEXT)?) {
            (Err(Error::Foreign(_)), Some(next)) => Ok((Identity::new(enrolled, &next)?, true)),
            (identity, _) => Ok((identity?, false)),
        }
    }

    /// Checks that the certificate is for our key, and stores it.
    fn keep(&self, enrolled: Enrolled) -> Result<Identity, Error> {
        let bytes = serde_json::to_vec_pretty(&enrolled).map_err(io::Error::from)?;
        let key = self.folder.read(KEY)?.ok_or_else(|| Error::Key("it is gone".into()))?;
        let (identity, by_next) = self.by_either(enrolled, &key)?;
        self.folder.write(IDENTITY, &bytes)?;
        if by_next {
            self.folder.rename(NEXT, KEY)?;
        }
        Ok(identity)
    }
}
