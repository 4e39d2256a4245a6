//! Pure: the one gate every CSR passes, whatever flow it came by (E-4). Takes the key, the proof of possession and names to compare;
//! refuses what asks for more. Refuses to know devices and databases: whether the key is taken is asked when the certificate is issued.

mod keys;
mod weak;

use super::der::{self, DerError};
pub use crate::hash::sha256;
use base64::{Engine as _, engine::general_purpose::STANDARD};
pub(super) use keys::{key, signature, sound_key};
use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject as _};
use wire::{Fault, FaultKind, ids::DeviceId, states::KeyOrigin};
use x509_parser::{
    certification_request::X509CertificationRequest,
    cri_attributes::ParsedCriAttribute,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
    x509::X509Version,
};

/// Largest CSR in DER.
pub const MAX_DER: usize = 16 * 1024;
// Base64 with line breaks, header, footer and a comment above it.
const MAX_PEM: usize = MAX_DER / 3 * 4 + MAX_DER / 48 + 2048;

/// A CSR that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    /// The name it asks for, if it says one.
    pub common_name: Option<DeviceId>,
    /// URIs it asks for as alternative names; the issuer compares them with what the profile will say.
    pub uris: Vec<String>,
    /// The subject as it stands there, DER: a strict renewal compares it octet by octet (E-16).
    pub subject: Vec<u8>,
    /// The alternative names it asks for as they stand there (`GeneralNames`, DER), if it asks for any.
    pub alternatives: Option<Vec<u8>>,
    /// `SubjectPublicKeyInfo`, DER.
    pub spki: Vec<u8>,
    /// SHA-256 of the `SubjectPublicKeyInfo`: the identity of the key.
    pub spki_sha256: [u8; 32],
    /// SHA-256 of the whole request, to recognise a repeated one (E-3).
    pub csr_sha256: [u8; 32],
    /// Algorithm and size of the key, as lists show it.
    pub key_alg: KeyAlg,
    /// Where the key was made: what passes the gate was signed by whoever holds it.
    pub key_origin: KeyOrigin,
    /// Whether it asks for a private key that is encrypted for itself (RFC 7030 §4.4.1), which only means something where the server makes the key.
    pub wraps_key: bool,
    /// Requested extensions that were ignored, as dotted OIDs, for the audit log.
    pub ignored: Vec<String>,
}

impl Csr {
    /// SHA-256 of the request as the books have it; none for what stands in the place of a request where the key was made here.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        digest(&self.csr_sha256)
    }
}

/// The same of the hash alone.
pub(super) fn digest(csr_sha256: &[u8]) -> Option<String> {
    csr_sha256.iter().any(|byte| *byte != 0).then(|| hex::encode(csr_sha256))
}

/// Keys a device may have (P-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlg {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// RSA of so many bits.
    Rsa(usize),
}

impl std::fmt::Display for KeyAlg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Rsa(bits) => write!(f, "RSA-{bits}"),
        }
    }
}

/// Why a CSR is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Larger than [`MAX_DER`].
    #[error("the CSR is larger than 16 KiB")]
    TooLarge,
    /// Neither one PEM block nor DER.
    #[error("not a CSR: send PKCS#10 as one PEM block or as DER")]
    NotPem,
    /// None of the forms in which EST and batches take it.
    #[error("not a CSR: send PKCS#10 as the base64 of its DER, as DER, or as one PEM block")]
    NotBase64,
    /// Not strictly encoded.
    #[error("the CSR is malformed: {0}")]
    Der(#[from] DerError),
    /// Strictly encoded, but no PKCS#10 (RFC 2986).
    #[error("the CSR is malformed: {0}")]
    Malformed(&'static str),
    /// A type of key, or a curve, that is none of P-1's.
    #[error("the key is refused: {0}; use P-256, P-384, Ed25519, or RSA with 2048 to 4096 bits")]
    KeyType(&'static str),
    /// Of a type of P-1, but not its size, exponent or form.
    #[error("the key is refused: {0}; use P-256, P-384, Ed25519, or RSA with 2048 to 4096 bits")]
    WeakKey(&'static str),
    /// As P-1 wants it, and all the same no secret of its holder's.
    #[error("the key is refused: {0}; make a new one on the device")]
    Weak(&'static str),
    /// Signature algorithm outside the key's list, which is named.
    #[error("the CSR's signature algorithm is refused; a key of its type signs with {0}")]
    Algorithm(&'static str),
    /// The signature is not by the key in the CSR.
    #[error("the CSR is not signed by its own key")]
    Possession,
    /// It asks to be an authority, for another use, or for constraints of its own.
    #[error("the CSR asks for {0}, which a device never gets")]
    ForbiddenExtension(&'static str),
    /// A name that is not this device's.
    #[error("the CSR names {0}; leave the name out, or use the device's own")]
    Identity(&'static str),
    /// A strict renewal with other names than the certificate's (E-16).
    #[error("the {0} of the CSR must be that of the certificate it renews, byte for byte; copy it from there")]
    Renamed(&'static str),
    /// It asks for the private key under a key of its own (RFC 7030 §4.4.1).
    #[error("the private key is not encrypted beyond TLS here; leave the decryption key out of the CSR's attributes")]
    WrappedKey,
    /// `challengePassword`: the client binds the CSR to a TLS connection that is not this one, or has no binding to check (E-12).
    #[error("channel binding is not supported on this connection; leave challengePassword out")]
    ChannelBinding,
}

impl CsrError {
    /// What the device's maker gets to see.
    pub fn fault(&self) -> Fault {
        let (kind, code) = match self {
            Self::TooLarge => (FaultKind::TooLarge, "csr_too_large"),
            Self::NotPem | Self::NotBase64 | Self::Der(_) | Self::Malformed(_) => (FaultKind::Invalid, "csr_malformed"),
            Self::WeakKey(_) | Self::Weak(_) => (FaultKind::Invalid, "weak_key"),
            Self::Algorithm(_) | Self::KeyType(_) => (FaultKind::Invalid, "unsupported_alg"),
            Self::Possession => (FaultKind::Invalid, "pop_failed"),
            Self::ForbiddenExtension(_) => (FaultKind::Invalid, "csr_forbidden_extension"),
            Self::Identity(_) | Self::Renamed(_) => (FaultKind::Forbidden, "identity_mismatch"),
            Self::WrappedKey => (FaultKind::Invalid, "key_encryption"),
            Self::ChannelBinding => (FaultKind::Invalid, "channel_binding"),
        };
        Fault::new(kind, code, format!("{self}.")).at("csr")
    }
}

/// What a request is held against that says which connection it came by, with a `challengePassword` (RFC 7030 §3.5).
#[derive(Debug, Clone, Copy)]
pub enum Channel<'a> {
    /// That connection's `tls-exporter` (RFC 9266 §4.2), which only TLS 1.3 has.
    Exporter(&'a [u8; 32]),
    /// Nothing: the installation takes whatever it says.
    Ignored,
}

impl Channel<'_> {
    fn takes(self, said: &str) -> bool {
        match self {
            Self::Exporter(exporter) => STANDARD.encode(exporter) == said,
            Self::Ignored => true,
        }
    }
}

/// The gate: PEM or DER in, a checked request out. With `expected`, a common name must be exactly that; without, it must be a device id if present.
pub fn gate(input: &[u8], expected: Option<&DeviceId>) -> Result<Csr, CsrError> {
    gate_over(input, expected, None)
}

/// The same for a request that may be bound to the connection it came by. A `challengePassword` that `channel` does not take is refused, and every one
/// where there is none (E-12).
pub fn gate_over(input: &[u8], expected: Option<&DeviceId>, channel: Option<Channel<'_>>) -> Result<Csr, CsrError> {
    let der = decoded(input)?;
    let (rest, request) = X509CertificationRequest::from_der(&der).map_err(|_| CsrError::Malformed("not PKCS#10"))?;
    if !rest.is_empty() || request.as_raw().len() != der.len() {
        return Err(DerError::Trailing.into());
    }
    let info = &request.certification_request_info;
    if info.version != X509Version::V1 {
        return Err(CsrError::Malformed("version is not 0"));
    }
    let key_alg = sound_key(&info.subject_pki)?;
    signature(&request, key_alg)?;
    let asked = attributes(&request, channel)?;
    let common_name = common_name(&request, expected)?;
    Ok(Csr {
        common_name,
        uris: asked.uris,
        subject: info.subject.as_raw().to_vec(),
        alternatives: asked.alternatives,
        spki: info.subject_pki.raw.to_vec(),
        spki_sha256: sha256(info.subject_pki.raw),
        csr_sha256: sha256(&der),
        key_alg,
        key_origin: KeyOrigin::Device,
        wraps_key: asked.wraps_key,
        ignored: asked.ignored,
    })
}

/// What a request says, for the books about somebody who was refused before it was looked at: its SHA-256 and the name it asks for. Nothing is proved
/// by it, and its signature costs no look.
pub(crate) fn said(input: &[u8]) -> Option<([u8; 32], Option<DeviceId>)> {
    let der = decoded(input).ok()?;
    let (_, request) = X509CertificationRequest::from_der(&der).ok()?;
    Some((sha256(&der), common_name(&request, None).ok().flatten()))
}

/// The request as strictly encoded DER of the right shape, from PEM or DER.
pub(super) fn decoded(input: &[u8]) -> Result<Vec<u8>, CsrError> {
    let der = decode(input)?;
    if der.len() > MAX_DER {
        return Err(CsrError::TooLarge);
    }
    // Whatever follows, this is no request that something was written behind.
    if der.first().is_some_and(|tag| *tag != 0x30) {
        return Err(CsrError::Malformed("not PKCS#10"));
    }
    der::strict(&der)?;
    shape(&der)?;
    Ok(der)
}

/// The tags of what the signature does not cover (RFC 2986 §4.2); the parser takes any for the algorithm.
fn shape(der: &[u8]) -> Result<(), CsrError> {
    let tags = |content| Ok::<_, DerError>(der::children(content)?.into_iter().map(|v| v.tag).collect::<Vec<_>>());
    let (request, _) = der::split(der)?;
    let parts = der::children(request.content)?;
    let [info, algorithm, signature] = parts.as_slice() else { return Err(CsrError::Malformed("not PKCS#10")) };
    let outer = [request.tag, info.tag, algorithm.tag, signature.tag] == [0x30, 0x30, 0x30, 0x03];
    if outer && tags(info.content)? == [0x02, 0x30, 0x30, 0xa0] && matches!(tags(algorithm.content)?.as_slice(), [0x06] | [0x06, _]) {
        Ok(())
    } else {
        Err(CsrError::Malformed("not PKCS#10"))
    }
}

fn decode(input: &[u8]) -> Result<Vec<u8>, CsrError> {
    const SEQUENCE: u8 = 0x30;
    if input.len() > MAX_PEM {
        return Err(CsrError::TooLarge);
    }
    if input.first() == Some(&SEQUENCE) {
        return Ok(input.to_vec());
    }
    let text = str::from_utf8(input).map_err(|_| CsrError::NotPem)?;
    // One block, and nothing after it: what was signed must be all there is.
    let after = text.rsplit_once("-----END").map(|(_, after)| after).ok_or(CsrError::NotPem)?;
    let after = after.split_once("-----").ok_or(CsrError::NotPem)?.1;
    if text.matches("-----BEGIN").count() != 1 || !after.trim().is_empty() {
        return Err(CsrError::NotPem);
    }
    let der = CertificateSigningRequestDer::from_pem_slice(input).map_err(|_| CsrError::NotPem)?;
    Ok(der.to_vec())
}

/// id-aa-decryptKeyID and id-aa-asymmDecryptKeyID (RFC 4108 §2.2.5, RFC 7030 §4.4.1.2): a key to encrypt the server-made one with.
const WRAPPING_KEYS: [&str; 2] = ["1.2.840.113549.1.9.16.2.37", "1.2.840.113549.1.9.16.2.54"];

/// What a request's attributes ask for.
#[derive(Default)]
struct Attributes {
    uris: Vec<String>,
    alternatives: Option<Vec<u8>>,
    wraps_key: bool,
    ignored: Vec<String>,
}

/// Requested extensions: refused when they claim more than a device is, compared when they are names, otherwise ignored and named.
fn attributes(request: &X509CertificationRequest<'_>, channel: Option<Channel<'_>>) -> Result<Attributes, CsrError> {
    let (mut requested, mut asked) = (None, Attributes::default());
    for attribute in request.certification_request_info.iter_attributes() {
        // The parser reads the first of an attribute's values and says nothing of the others.
        let (set, _) = der::split(attribute.value)?;
        if der::children(set.content)?.len() != 1 {
            return Err(CsrError::Malformed("an attribute does not have exactly one value"));
        }
        match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(request) => {
                if requested.replace(request).is_some() {
                    return Err(CsrError::Malformed("two extension requests"));
                }
            }
            ParsedCriAttribute::ChallengePassword(said) => {
                if channel.is_none_or(|channel| !channel.takes(&said.0)) {
                    return Err(CsrError::ChannelBinding);
                }
            }
            ParsedCriAttribute::UnsupportedAttribute => asked.wraps_key |= WRAPPING_KEYS.contains(&attribute.oid.to_id_string().as_str()),
        }
    }
    let mut seen = Vec::new();
    for extension in requested.map_or(&[][..], |r| r.extensions.as_slice()) {
        if seen.contains(&&extension.oid) {
            return Err(CsrError::Malformed("an extension is requested twice"));
        }
        seen.push(&extension.oid);
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(b) if b.ca => {
                return Err(CsrError::ForbiddenExtension("the rights of an authority (CA:TRUE)"));
            }
            ParsedExtension::KeyUsage(u) if u.key_cert_sign() || u.crl_sign() => {
                return Err(CsrError::ForbiddenExtension("the right to sign certificates or CRLs"));
            }
            ParsedExtension::ExtendedKeyUsage(u) => {
                let more = u.any || u.server_auth || u.code_signing || u.email_protection || u.time_stamping || u.ocsp_signing;
                if more || !u.other.is_empty() {
                    return Err(CsrError::ForbiddenExtension("an extended key usage other than clientAuth"));
                }
            }
            ParsedExtension::NameConstraints(_) | ParsedExtension::PolicyConstraints(_) | ParsedExtension::PolicyMappings(_) => {
                return Err(CsrError::ForbiddenExtension("constraints that only an authority has"));
            }
            ParsedExtension::SubjectAlternativeName(names) => {
                asked.alternatives = Some(extension.value.to_vec());
                for name in &names.general_names {
                    match name {
                        GeneralName::URI(uri) => asked.uris.push((*uri).to_owned()),
                        _ => return Err(CsrError::Identity("something else as an alternative name")),
                    }
                }
            }
            ParsedExtension::ParseError { .. } => return Err(CsrError::Malformed("a requested extension can't be read")),
            ParsedExtension::BasicConstraints(_) | ParsedExtension::KeyUsage(_) => {}
            _ if extension.critical => return Err(CsrError::ForbiddenExtension("an unknown critical extension")),
            _ => asked.ignored.push(extension.oid.to_id_string()),
        }
    }
    Ok(asked)
}

/// At most one common name, plain text, exactly a device id (attack list 12: NUL, `BMPString`, spaces, other case).
fn common_name(request: &X509CertificationRequest<'_>, expected: Option<&DeviceId>) -> Result<Option<DeviceId>, CsrError> {
    const UTF8: u32 = 12;
    const PRINTABLE: u32 = 19;
    let mut names = request.certification_request_info.subject.iter_common_name();
    let Some(name) = names.next() else { return Ok(None) };
    if names.next().is_some() {
        return Err(CsrError::Malformed("two common names"));
    }
    let value = name.attr_value();
    if ![UTF8, PRINTABLE].contains(&value.tag().0) {
        return Err(CsrError::Malformed("the common name is not UTF8String or PrintableString"));
    }
    let text = str::from_utf8(value.data).map_err(|_| CsrError::Malformed("the common name is not UTF-8"))?;
    let id: DeviceId = text.parse().map_err(|_| CsrError::Malformed("the common name is not a device id"))?;
    match expected {
        Some(expected) if *expected != id => Err(CsrError::Identity("another device")),
        _ => Ok(Some(id)),
    }
}
