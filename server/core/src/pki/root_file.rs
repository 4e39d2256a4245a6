//! A root's certificate and private key as a file that leaves the server (K-1, K-5): PEM inside an age file, which `age -d` opens as well.
//! Refuses to know databases, and when such a file may be made.

use super::{
    csr::{self, sha256},
    decode,
    guard::{self, GuardedKey, Held},
    profile::Kind,
    recognise,
};
use age::secrecy::SecretString;
use rcgen::{Issuer, KeyPair, PublicKeyData as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use std::io::{Read as _, Write as _};
use wire::{Timestamp, ids::AuthorityId};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};
use zeroize::Zeroizing;

/// How age files begin (age-encryption.org/v1).
const AGE: &[u8] = b"age-encryption.org/";
/// Largest file that is read.
const MAX: usize = 64 * 1024;
/// The cost of guessing a passphrase: scrypt's N is 2 to the power of this, 256 MiB and about a second.
const WORK: u8 = 18;
/// The most that a file may ask for when it is opened: 1 GiB.
const MOST_WORK: u8 = 20;
/// Shortest passphrase.
pub const SHORTEST_PASSPHRASE: usize = 12;

/// What a file is locked with.
#[derive(Debug)]
pub enum Lock {
    /// A passphrase.
    Passphrase(Passphrase),
    /// An age recipient (`age1…`): only who has its identity opens the file.
    Recipient(String),
}

/// What a file is opened with.
#[derive(Debug)]
pub enum Unlock {
    /// The passphrase.
    Passphrase(Passphrase),
    /// An age identity file's text (`AGE-SECRET-KEY-1…`).
    Identity(Passphrase),
}

/// A secret text; shows nothing of itself.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// This one.
    pub const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }
    fn secret(&self) -> SecretString {
        SecretString::from(self.0.as_str())
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase")
    }
}

/// Why a file can't be made or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootFileError {
    /// Too easy to guess.
    #[error("the passphrase is shorter than {SHORTEST_PASSPHRASE} characters")]
    Passphrase,
    /// Not `age1…`.
    #[error("this is not an age recipient; one begins with age1 and is made with age-keygen")]
    Recipient,
    /// Not `AGE-SECRET-KEY-1…`.
    #[error("the identity file holds no age identity (AGE-SECRET-KEY-1…)")]
    Identity,
    /// The file is locked and nothing was given to open it.
    #[error("the file is locked; give the passphrase or the identity that opens it")]
    Locked,
    /// Wrong passphrase or identity, or the file was changed.
    #[error("the file does not open: the passphrase or identity is another one, or the file is damaged")]
    Shut,
    /// Not a certificate and its key.
    #[error("the file is not a root's: {0}")]
    Content(&'static str),
    /// The cipher itself failed.
    #[error("the cipher failed")]
    Cipher,
}

/// A root's certificate and key, open.
pub struct RootFile {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// The root's id where it came from, if the file says so.
    pub authority: Option<AuthorityId>,
    /// Where the root publishes, if the file says so (P-10).
    pub base_url: String,
    /// What only somebody can say who has opened this very file: the key is part of it, and can't be found from it.
    pub proof: [u8; 32],
    pub(super) not_after: Timestamp,
    pub(super) signer: Issuer<'static, GuardedKey>,
}

impl std::fmt::Debug for RootFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootFile").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// The text inside: who it is for people, then certificate and key.
pub(super) fn text(authority: &AuthorityId, subject: &str, base_url: &str, certificate: &[u8], pkcs8: &[u8]) -> Zeroizing<String> {
    let key = Zeroizing::new(crate::pem::encode("PRIVATE KEY", pkcs8));
    let certificate = crate::pem::encode("CERTIFICATE", certificate);
    Zeroizing::new(format!("Root: {subject}\nAuthority: {authority}\nPublished-At: {base_url}\n{certificate}{}", *key))
}

/// [`RootFile::proof`] of the file with this digest and this key in it, PKCS#8 as it is written there.
pub(super) fn proof(file_sha256: &[u8], pkcs8: &[u8]) -> [u8; 32] {
    sha256(&Zeroizing::new([b"fleetward root file opened v1\0".as_slice(), file_sha256, pkcs8].concat()))
}

/// Locks a text into an age file. Takes about a second with a passphrase: not for the runtime's own threads.
pub(super) fn lock(text: &str, lock: &Lock) -> Result<Vec<u8>, RootFileError> {
    let recipient: Box<dyn age::Recipient> = match lock {
        Lock::Passphrase(passphrase) if passphrase.0.chars().count() < SHORTEST_PASSPHRASE => return Err(RootFileError::Passphrase),
        Lock::Passphrase(passphrase) => {
            let mut recipient = age::scrypt::Recipient::new(passphrase.secret());
            recipient.set_work_factor(WORK);
            Box::new(recipient)
        }
        Lock::Recipient(text) => Box::new(text.trim().parse::<age::x25519::Recipient>().map_err(|_| RootFileError::Recipient)?),
    };
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&*recipient)).map_err(|_| RootFileError::Cipher)?;
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).map_err(|_| RootFileError::Cipher)?;
    writer.write_all(text.as_bytes()).and_then(|()| writer.finish()).map_err(|_| RootFileError::Cipher)?;
    Ok(file)
}

fn unlock(file: &[u8], with: &Unlock) -> Result<Zeroizing<Vec<u8>>, RootFileError> {
    let identity: Box<dyn age::Identity> = match with {
        Unlock::Passphrase(passphrase) => {
            let mut identity = age::scrypt::Identity::new(passphrase.secret());
            identity.set_max_work_factor(MOST_WORK);
            Box::new(identity)
        }
        Unlock::Identity(text) => {
            let line = text.0.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
            Box::new(line.and_then(|line| line.parse::<age::x25519::Identity>().ok()).ok_or(RootFileError::Identity)?)
        }
    };
    let decryptor = age::Decryptor::new(file).map_err(|_| RootFileError::Shut)?;
    let mut reader = decryptor.decrypt(std::iter::once(&*identity)).map_err(|_| RootFileError::Shut)?;
    let mut text = Zeroizing::new(Vec::with_capacity(file.len()));
    reader.read_to_end(&mut text).map_err(|_| RootFileError::Shut)?;
    Ok(text)
}

impl RootFile {
    /// Reads a root's file: what [`Pki::export_root`](super::Pki::export_root) made, or any root's certificate and key as PEM. The key is tried against
    /// the certificate.
    pub fn read(file: &[u8], with: Option<&Unlock>) -> Result<Self, RootFileError> {
        if file.len() > MAX {
            return Err(RootFileError::Content("it is larger than 64 KiB"));
        }
        let opened = if file.starts_with(AGE) { Some(unlock(file, with.ok_or(RootFileError::Locked)?)?) } else { None };
        let bytes = opened.as_ref().map_or(file, |text| text.as_slice());
        let text = str::from_utf8(bytes).map_err(|_| RootFileError::Content("it is neither an age file nor PEM"))?;
        let certificate = CertificateDer::from_pem_slice(bytes).map_err(|_| RootFileError::Content("it has no certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|_| RootFileError::Content("it has no private key, or a locked one"))?;
        let proof = proof(&sha256(file), key.secret_der());
        let key = KeyPair::try_from(&key).map_err(|_| RootFileError::Content("its private key is of no kind that is known here"))?;
        Self::of(certificate, key, text, proof)
    }

    fn of(certificate: CertificateDer<'static>, key: KeyPair, text: &str, proof: [u8; 32]) -> Result<Self, RootFileError> {
        let unreadable = RootFileError::Content("its certificate can't be read");
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| unreadable.clone())?;
        if !parsed.is_ca() || parsed.subject().as_raw() != parsed.issuer().as_raw() {
            return Err(RootFileError::Content("its certificate is not a root's"));
        }
        csr::key(parsed.public_key())
            .map_err(|_| RootFileError::Content("its key is not P-256, P-384, Ed25519 or RSA of 2048 to 4096 bits"))?;
        if *parsed.public_key().subject_public_key.data != *key.der_bytes() {
            return Err(RootFileError::Content("its private key does not belong to its certificate"));
        }
        let not_after = Timestamp(parsed.validity().not_after.timestamp().saturating_mul(1000));
        if recognise::authority(&certificate).is_none() {
            return Err(RootFileError::Content("its certificate has no subject key identifier"));
        }
        let signer = guard::guarded(&certificate, Kind::Root, Held::Here(key)).map_err(|_| unreadable)?;
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default();
        let base_url = line("Published-At:").to_owned();
        Ok(Self { authority: line("Authority:").parse().ok(), base_url, proof, not_after, signer, certificate })
    }

    /// Whose it is, for people.
    pub fn subject(&self) -> String {
        decode::decode(&self.certificate).map(|text| text.subject).unwrap_or_default()
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(&self.certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa};

    fn words(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.to_owned()))
    }

    fn shut(file: &[u8], with: Option<&Unlock>) -> RootFileError {
        RootFile::read(file, with).unwrap_err()
    }

    #[test]
    fn k_1_a_root_s_file_opens_with_its_passphrase_and_with_nothing_else() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let id: AuthorityId = format!("ca_{}", "0".repeat(32)).parse().unwrap();
        let plain = text(&id, "CN=x", "http://pki.example", &der, &key.serialize_der());
        let file = lock(&plain, &Lock::Passphrase(words("correct horse battery"))).unwrap();
        assert!(file.starts_with(AGE) && !file.windows(11).any(|w| w == b"PRIVATE KEY"));
        let read = RootFile::read(&file, Some(&Unlock::Passphrase(words("correct horse battery")))).unwrap();
        assert_eq!((read.authority, read.base_url.as_str(), read.certificate.as_ref()), (Some(id), "http://pki.example", der.as_slice()));
        assert_eq!(shut(&file, None), RootFileError::Locked);
        assert_eq!(shut(&file, Some(&Unlock::Passphrase(words("wrong horse battery")))), RootFileError::Shut);
        assert_eq!(shut(&file[..file.len() - 1], Some(&Unlock::Passphrase(words("correct horse battery")))), RootFileError::Shut);
        assert_eq!(shut(b"age-encryption.org/v1\n", Some(&Unlock::Identity(words("junk")))), RootFileError::Identity);
        assert_eq!(lock(&plain, &Lock::Passphrase(words("too short"))).unwrap_err(), RootFileError::Passphrase);

        // PEM as it is, with the key of another certificate, with no key.
        assert!(RootFile::read(plain.as_bytes(), None).is_ok());
        let other =
            text(&"ca_00000000000000000000000000000000".parse().unwrap(), "", "", &der, &KeyPair::generate().unwrap().serialize_der());
        assert!(matches!(shut(other.as_bytes(), None), RootFileError::Content(_)));
        assert!(matches!(shut(crate::pem::encode("CERTIFICATE", &der).as_bytes(), None), RootFileError::Content(_)));
        assert!(matches!(shut(&vec![b'x'; MAX + 1], None), RootFileError::Content(_)));
    }
}
