//! What is done where a root's key is, without network and database (K-5): an issuing authority's certificate from the request that the server
//! wrote, a certificate for the root that follows, and a list of revoked certificates. Pure but for the file it was given; the guarded key signs
//! nothing outside the profile (K-3).

use super::{
    Error,
    crl::{self, CrlEntry},
    cross, csr, der,
    profile::{self, Kind, Publication, Subject, Validity},
    recognise,
    root_file::RootFile,
};
use crate::{entropy::Entropy, hash::printed};
use rcgen::SubjectPublicKeyInfo;
use rustls_pki_types::CertificateDer;
use wire::{Timestamp, roots::ListRequest};
use x509_parser::{certificate::X509Certificate, certification_request::X509CertificationRequest, prelude::FromDer as _};

/// For how long a root's list holds.
const LIST: i64 = 30 * 24 * profile::HOUR;

/// Why nothing is signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// The request is malformed, its key too weak, or not signed by it.
    #[error(transparent)]
    Csr(#[from] csr::CsrError),
    /// The request is not one that `fleetward ca csr` wrote.
    #[error("the request is not one of an authority of ours: {0}")]
    Request(&'static str),
    /// What the key should be is no hash.
    #[error("give the SHA-256 of the key as 64 hex digits, as fleetward ca csr and fleetward ca csrs print it")]
    NoHash,
    /// The request is for another key than the one that was made on the server.
    #[error(
        "the request is for another key, with the SHA-256 {0}: this is not the request that the server wrote. Nothing was signed. Find out who has had the file"
    )]
    OtherKey(String),
    /// The file belongs to another root.
    #[error("this is another root's: {0}")]
    OtherRoot(String),
    /// Longer, or shorter, than an authority of its kind lives.
    #[error("an authority for devices lives 5 to 15 years, every other one 5")]
    Years,
    /// The root ends too soon.
    #[error("the root ends too soon to sign anything")]
    RootEnds,
    /// The certificate that should be certified is no root.
    #[error("the certificate is not a root's: {0}")]
    NoRoot(&'static str),
    /// The clock of this machine is behind.
    #[error("the list would be older than the one that is published: is the clock of this machine right?")]
    Clock,
    /// The key would not sign it.
    #[error("the root's key did not sign: {0}")]
    Key(String),
}

impl From<Error> for NotSigned {
    fn from(error: Error) -> Self {
        match error {
            Error::AuthorityExpiring => Self::RootEnds,
            other => Self::Key(other.to_string()),
        }
    }
}

impl From<rcgen::Error> for NotSigned {
    fn from(error: rcgen::Error) -> Self {
        Self::Key(error.to_string())
    }
}

/// What was signed.
#[derive(Debug)]
pub struct Signed {
    /// DER.
    pub der: Vec<u8>,
    /// Whose it is: the name that was proposed, or the other root's.
    pub subject: String,
    /// What it is for: `device`, `server`, `claim` or `cross`.
    pub purpose: &'static str,
    /// From when to when.
    pub validity: Validity,
}

/// A request as whoever signs it has to look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The name that it proposes. Anybody can write one.
    pub subject: String,
    /// SHA-256 of its key's `SubjectPublicKeyInfo`, in hex: what the server says of the key it has made.
    pub key_sha256: String,
}

impl Asked {
    /// Refuses a request for another key than the one with this SHA-256, with colons or without ([`NotSigned::OtherKey`]).
    pub fn is_for(&self, key_sha256: &str) -> Result<(), NotSigned> {
        let meant = printed(key_sha256).ok_or(NotSigned::NoHash)?;
        if hex::encode(meant) == self.key_sha256 { Ok(()) } else { Err(NotSigned::OtherKey(self.key_sha256.clone())) }
    }
}

/// Reads a request that [`issue`] would sign. Whoever could swap the file could have any key signed: only the key's hash, told by another way, shows that it is
/// the server's.
pub fn asked(request: &[u8]) -> Result<Asked, NotSigned> {
    let (spki, subject, _) = proposal(&csr::decoded(request)?)?;
    Ok(Asked { subject: subject.line(), key_sha256: hex::encode(csr::sha256(&spki)) })
}

/// Who signs where it publishes: what its file says, unless something else is given.
fn publication<'a>(root: &'a RootFile, base_url: &'a str) -> Option<Publication<'a>> {
    let issuer = root.authority.as_ref()?.as_str();
    (!base_url.is_empty()).then_some(Publication { base_url, issuer })
}

/// Signs the certificate of an issuing authority. From the request it takes the key, and the name that the server proposes, which says what it is for;
/// everything else is the profile's (P-1 … P-9). It lives five years, or as many as are said: an authority for devices up to fifteen, so that a factory
/// profile's certificates are not cut short.
pub fn issue(root: &RootFile, request: &[u8], years: Option<u32>, now: Timestamp, entropy: &dyn Entropy) -> Result<Signed, NotSigned> {
    let der = csr::decoded(request)?;
    let (spki, subject, kind) = proposal(&der)?;
    let key = SubjectPublicKeyInfo::from_der(&spki).map_err(|_| NotSigned::Request("its key can't be read"))?;
    let life = years.map_or(kind.life(), |years| (i64::from(years) * 365 + 1) * profile::DAY);
    if !(kind.life()..=kind.longest()).contains(&life) {
        return Err(NotSigned::Years);
    }
    let validity = profile::validity_for(life, now, Some(root.not_after)).ok_or(NotSigned::RootEnds)?;
    let serial = profile::serial(entropy.bytes());
    let params = profile::parameters(kind, &subject, serial, validity, publication(root, &root.base_url))?;
    let der = params.signed_by(&key, &root.signer)?.der().to_vec();
    Ok(Signed { der, subject: subject.line(), purpose: kind.as_str(), validity })
}

/// The key of a request that proves its possession, the name it proposes, and the kind that this name is for.
fn proposal(der: &[u8]) -> Result<(Vec<u8>, Subject, Kind), NotSigned> {
    let (_, request) = X509CertificationRequest::from_der(der).map_err(|_| csr::CsrError::Malformed("not PKCS#10"))?;
    let info = &request.certification_request_info;
    let alg = csr::key(&info.subject_pki)?;
    if alg != csr::KeyAlg::P256 {
        return Err(NotSigned::Request("its key is not a P-256 key"));
    }
    csr::signature(&request, alg)?;
    let one = |mut values: Vec<&str>| if values.len() == 1 { values.pop().map(str::to_owned) } else { None };
    let organization = one(info.subject.iter_organization().filter_map(|o| o.as_str().ok()).collect());
    let common_name = one(info.subject.iter_common_name().filter_map(|c| c.as_str().ok()).collect());
    let (Some(organization), Some(common_name), 2) = (organization, common_name, info.subject.iter_attributes().count()) else {
        return Err(NotSigned::Request("its name is not an organization and a common name"));
    };
    let of = |kind: Kind| {
        let begins = Subject::authority(kind, "", "").common_name;
        let generation = common_name.strip_prefix(&begins)?;
        let plain = generation.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'G' | b'-'));
        (plain && (1..=24).contains(&generation.len())).then_some(kind)
    };
    let kind = [Kind::DeviceAuthority, Kind::ServerAuthority, Kind::ClaimAuthority].into_iter().find_map(of);
    let kind = kind.ok_or(NotSigned::Request("its common name is not that of an authority for devices, servers or claims"))?;
    let subject = Subject { organization, common_name, alternatives: vec![] };
    Ok((info.subject_pki.raw.to_vec(), subject, kind))
}

/// Certifies the key of the root that follows, under its own name.
pub fn cross(root: &RootFile, other: &CertificateDer<'static>, now: Timestamp, entropy: &dyn Entropy) -> Result<Signed, NotSigned> {
    der::strict(other).map_err(|_| NotSigned::NoRoot("it is malformed"))?;
    let (_, parsed) = X509Certificate::from_der(other).map_err(|_| NotSigned::NoRoot("it is malformed"))?;
    let itself = parsed.subject().as_raw() == parsed.issuer().as_raw() && parsed.verify_signature(None).is_ok();
    if !parsed.is_ca() || !itself || recognise::authority(other).is_none() {
        return Err(NotSigned::NoRoot("it has not signed itself, or is no authority"));
    }
    csr::key(parsed.public_key())?;
    let until = Timestamp(parsed.validity().not_after.timestamp().saturating_mul(1000)).min(root.not_after);
    let serial = profile::serial(entropy.bytes());
    let (der, until) = cross::certify(other, &root.signer, (now, until), serial, publication(root, &root.base_url))?;
    let validity = Validity { from: profile::second(now.plus(-profile::BACKDATE)), until };
    Ok(Signed { der: der.to_vec(), subject: parsed.subject().to_string(), purpose: Kind::Cross.as_str(), validity })
}

/// Signs the root's next list: it holds for 30 days. Its number is at least what was asked for, and the seconds since 1970.
pub fn list(root: &RootFile, request: &ListRequest, now: Timestamp) -> Result<Vec<u8>, NotSigned> {
    if request.fingerprint != hex::encode(root.fingerprint()) {
        return Err(NotSigned::OtherRoot(format!("the request is for {}", request.subject)));
    }
    let number = request.number.max(now.0 / 1000);
    // What was just asked for can't be a day ahead of this machine.
    if number - now.0 / 1000 > 24 * 3600 {
        return Err(NotSigned::Clock);
    }
    let serial = |e: &wire::roots::ListEntry| hex::decode(&e.serial).ok().filter(|s| (1..=20).contains(&s.len()));
    let entries = request
        .entries
        .iter()
        .map(|e| Some(CrlEntry { serial: serial(e)?, reason: e.reason, at: e.at, invalid_since: None }))
        .collect::<Option<Vec<_>>>();
    let entries = entries.ok_or(NotSigned::Request("a serial number is not one"))?;
    let (_, ski, _) = recognise::authority(&root.certificate).ok_or(NotSigned::NoRoot("it can't be read"))?;
    let until = profile::second(now).plus(LIST).min(root.not_after);
    Ok(crl::encode(&root.signer, ski, None, (profile::second(now), until), number, &entries)?)
}
