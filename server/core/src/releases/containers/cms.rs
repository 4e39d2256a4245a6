//! Pure: signed data of the Cryptographic Message Syntax (RFC 5652 §5), as far as images have it: what is signed, which certificates are there, who has
//! signed, and whether a key has made a signature. The `cms` library reads it, strictly encoded (DER); what is not understood is no signature. Refuses to
//! know whom anybody trusts.

use crate::pki::der::{Value, children, split};
use ::cms::{
    cert::{
        CertificateChoices,
        x509::der::{
            Any, Decode as _, Encode as _, SliceReader,
            asn1::{ObjectIdentifier, OctetString},
            oid::db::{
                rfc5911::{ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, ID_SIGNED_DATA},
                rfc5912::{
                    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, ID_RSASSA_PSS, ID_SHA_256, ID_SHA_384, ID_SHA_512,
                    RSA_ENCRYPTION, SHA_256_WITH_RSA_ENCRYPTION, SHA_384_WITH_RSA_ENCRYPTION, SHA_512_WITH_RSA_ENCRYPTION,
                },
                rfc8410::ID_ED_25519,
            },
        },
    },
    content_info::ContentInfo,
    signed_data::{self, SignedAttributes, SignerIdentifier, SignerInfo},
};
use aws_lc_rs::{
    digest::{self, Digest, digest},
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
        RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use x509_parser::{
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS, OID_SIG_ED25519,
    },
    x509::SubjectPublicKeyInfo,
};

/// Most who have signed one thing.
const MOST_SIGNERS: usize = 16;
/// Most members of a set. The library puts them in order by comparing each with each, which takes long for many.
const MOST_MEMBERS: usize = 256;

/// Signed data.
pub(super) struct SignedData {
    /// What is signed, where it is held inside; else it stands beside.
    pub content: Option<Vec<u8>>,
    /// What that is.
    kind: ObjectIdentifier,
    /// Certificates, DER.
    pub certificates: Vec<Vec<u8>>,
    /// Who has signed.
    pub signers: Vec<Signer>,
}

/// One who has signed.
pub(super) struct Signer {
    /// Whose certificate it is.
    pub whose: Whose,
    /// By which algorithms; none where they are not read here.
    how: Option<(Scheme, Hash)>,
    /// What is signed beside the content, and how it is encoded for that (§5.4).
    attributes: Option<(SignedAttributes, Vec<u8>)>,
    signature: Vec<u8>,
}

/// How somebody who has signed is named (§5.3).
pub(super) enum Whose {
    /// By who has issued their certificate, DER, and its serial number.
    Serial { issuer: Vec<u8>, number: Vec<u8> },
    /// By the identifier of their key.
    Key(Vec<u8>),
}

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    Pkcs1,
    /// RSASSA-PSS (§8.1), with a salt as long as the digest.
    Pss,
    /// ECDSA, written as DER.
    Ecdsa,
    /// ECDSA on P-256, written as two numbers of 32 bytes.
    EcdsaFixed,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

impl Hash {
    fn named(oid: ObjectIdentifier) -> Option<Self> {
        match oid {
            ID_SHA_256 => Some(Self::Sha256),
            ID_SHA_384 => Some(Self::Sha384),
            ID_SHA_512 => Some(Self::Sha512),
            _ => None,
        }
    }

    fn of(self, bytes: &[u8]) -> Digest {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest(algorithm, bytes)
    }
}

/// By which algorithms somebody has signed: the signature's own says the digest as well, where it says one.
fn how(signature: ObjectIdentifier, hash: Hash) -> Option<(Scheme, Hash)> {
    match signature {
        RSA_ENCRYPTION => Some((Scheme::Pkcs1, hash)),
        ID_RSASSA_PSS => Some((Scheme::Pss, hash)),
        SHA_256_WITH_RSA_ENCRYPTION => Some((Scheme::Pkcs1, Hash::Sha256)),
        SHA_384_WITH_RSA_ENCRYPTION => Some((Scheme::Pkcs1, Hash::Sha384)),
        SHA_512_WITH_RSA_ENCRYPTION => Some((Scheme::Pkcs1, Hash::Sha512)),
        ECDSA_WITH_SHA_256 => Some((Scheme::Ecdsa, Hash::Sha256)),
        ECDSA_WITH_SHA_384 => Some((Scheme::Ecdsa, Hash::Sha384)),
        ECDSA_WITH_SHA_512 => Some((Scheme::Ecdsa, Hash::Sha512)),
        ID_ED_25519 => Some((Scheme::Ed25519, hash)),
        _ => None,
    }
}

impl SignedData {
    /// What these bytes begin with; none when that is no signed data.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if !is_narrow(split(bytes).ok()?.0) {
            return None;
        }
        let info = ContentInfo::decode(&mut SliceReader::new(bytes).ok()?).ok()?;
        if info.content_type != ID_SIGNED_DATA {
            return None;
        }
        let data = info.content.decode_as::<signed_data::SignedData>().ok()?;
        let inner = data.encap_content_info;
        let content = match inner.econtent {
            None => None,
            Some(held) => Some(held.decode_as::<OctetString>().ok()?.into_bytes()),
        };
        let held = data.certificates.map(|set| set.0.into_vec()).unwrap_or_default();
        let certificate = |one: &CertificateChoices| match one {
            CertificateChoices::Certificate(certificate) => certificate.to_der().ok(),
            CertificateChoices::Other(_) => None,
        };
        let certificates = held.iter().filter_map(certificate).collect();
        let signers = data.signer_infos.0.into_vec();
        if signers.len() > MOST_SIGNERS {
            return None;
        }
        let signers = signers.into_iter().map(Signer::read).collect::<Option<Vec<_>>>()?;
        Some(Self { content, kind: inner.econtent_type, certificates, signers })
    }

    /// Whether this key has made this one's signature of the content; none where the algorithm is not read here.
    pub fn is_by(&self, signer: &Signer, key: &SubjectPublicKeyInfo<'_>, content: &[u8]) -> Option<bool> {
        let (scheme, hash) = signer.how?;
        let Some((attributes, encoded)) = &signer.attributes else { return fits(key, (scheme, hash), content, &signer.signature) };
        // What stands among the attributes is what is signed of the content (§5.4).
        let digest = attribute(attributes, ID_MESSAGE_DIGEST).and_then(|value| value.decode_as::<OctetString>().ok());
        let kind = attribute(attributes, ID_CONTENT_TYPE).and_then(|value| value.decode_as::<ObjectIdentifier>().ok());
        if digest.as_ref().map(OctetString::as_bytes) != Some(hash.of(content).as_ref()) || kind != Some(self.kind) {
            return Some(false);
        }
        fits(key, (scheme, hash), encoded, &signer.signature)
    }
}

impl Signer {
    fn read(info: SignerInfo) -> Option<Self> {
        let whose = match info.sid {
            SignerIdentifier::IssuerAndSerialNumber(named) => {
                Whose::Serial { issuer: named.issuer.to_der().ok()?, number: named.serial_number.as_bytes().to_vec() }
            }
            SignerIdentifier::SubjectKeyIdentifier(id) => Whose::Key(id.0.into_bytes()),
        };
        let how = Hash::named(info.digest_alg.oid).and_then(|hash| how(info.signature_algorithm.oid, hash));
        let attributes = match info.signed_attrs {
            None => None,
            Some(attributes) => {
                let encoded = attributes.to_der().ok()?;
                Some((attributes, encoded))
            }
        };
        Some(Self { whose, how, attributes, signature: info.signature.into_bytes() })
    }
}

/// The one value of an attribute that is there once.
fn attribute(attributes: &SignedAttributes, kind: ObjectIdentifier) -> Option<&Any> {
    let mut found = attributes.iter().filter(|one| one.oid == kind);
    let (one, None) = (found.next()?, found.next()) else { return None };
    match one.values.as_slice() {
        [value] => Some(value),
        _ => None,
    }
}

/// Whether no set in it has more than [`MOST_MEMBERS`].
fn is_narrow(whole: Value<'_>) -> bool {
    const SEQUENCE: u8 = 0x30;
    const CONSTRUCTED: u8 = 0x20;
    let mut left = vec![whole];
    while let Some(value) = left.pop() {
        if value.tag & CONSTRUCTED == 0 {
            continue;
        }
        match children(value.content) {
            // A set has other tags as well; a sequence is not put in order.
            Ok(inner) if value.tag == SEQUENCE || inner.len() <= MOST_MEMBERS => left.extend(inner),
            _ => return false,
        }
    }
    true
}

/// Whether this key has made this signature; none where a key of its type does not sign like that here.
pub(super) fn fits(key: &SubjectPublicKeyInfo<'_>, how: (Scheme, Hash), message: &[u8], signature: &[u8]) -> Option<bool> {
    let by = algorithm(key, how)?;
    Some(UnparsedPublicKey::new(by, &key.subject_public_key.data).verify(message, signature).is_ok())
}

fn algorithm(key: &SubjectPublicKeyInfo<'_>, how: (Scheme, Hash)) -> Option<&'static dyn VerificationAlgorithm> {
    let kind = &key.algorithm.algorithm;
    let rsa = *kind == OID_PKCS1_RSAENCRYPTION || *kind == OID_PKCS1_RSASSAPSS;
    let curve = key.algorithm.parameters.as_ref().filter(|_| *kind == OID_KEY_TYPE_EC_PUBLIC_KEY).and_then(|p| p.as_oid().ok());
    let (p256, p384) = (curve == Some(OID_EC_P256), curve == Some(OID_NIST_EC_P384));
    let by: &'static dyn VerificationAlgorithm = match how {
        (Scheme::Pkcs1, Hash::Sha256) if rsa => &RSA_PKCS1_2048_8192_SHA256,
        (Scheme::Pkcs1, Hash::Sha384) if rsa => &RSA_PKCS1_2048_8192_SHA384,
        (Scheme::Pkcs1, Hash::Sha512) if rsa => &RSA_PKCS1_2048_8192_SHA512,
        (Scheme::Pss, Hash::Sha256) if rsa => &RSA_PSS_2048_8192_SHA256,
        (Scheme::Pss, Hash::Sha384) if rsa => &RSA_PSS_2048_8192_SHA384,
        (Scheme::Pss, Hash::Sha512) if rsa => &RSA_PSS_2048_8192_SHA512,
        (Scheme::Ecdsa, Hash::Sha256) if p256 => &ECDSA_P256_SHA256_ASN1,
        (Scheme::Ecdsa, Hash::Sha384) if p256 => &ECDSA_P256_SHA384_ASN1,
        (Scheme::Ecdsa, Hash::Sha256) if p384 => &ECDSA_P384_SHA256_ASN1,
        (Scheme::Ecdsa, Hash::Sha384) if p384 => &ECDSA_P384_SHA384_ASN1,
        (Scheme::EcdsaFixed, Hash::Sha256) if p256 => &ECDSA_P256_SHA256_FIXED,
        (Scheme::Ed25519, _) if *kind == OID_SIG_ED25519 => &ED25519,
        _ => return None,
    };
    Some(by)
}
