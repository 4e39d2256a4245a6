//! Pure: signed data of the Cryptographic Message Syntax (RFC 5652 §5), as far as images have it: what is signed, which certificates are there, who has
//! signed, and whether a key has made a signature. Strictly encoded (DER); what is not understood is no signature. Refuses to know whom anybody trusts.

use crate::pki::der::{Value, children, encode, split};
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
/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
const OCTETS: u8 = 0x04;
const ZEROTH: u8 = 0xa0;
const ZEROTH_BARE: u8 = 0x80;
/// 1.2.840.113549.1.7.2, signed data.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.3 and .4, the attributes that say what is signed (§11.1, §11.2).
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];

/// Signed data.
pub(super) struct SignedData<'a> {
    /// What is signed, where it is held inside; else it stands beside.
    pub content: Option<&'a [u8]>,
    /// What that is, an object identifier.
    kind: &'a [u8],
    /// Certificates, DER.
    pub certificates: Vec<Vec<u8>>,
    /// Who has signed.
    pub signers: Vec<Signer<'a>>,
}

/// One who has signed.
pub(super) struct Signer<'a> {
    /// Whose certificate it is.
    pub whose: Whose<'a>,
    /// By which algorithms; none where they are not read here.
    how: Option<(Scheme, Hash)>,
    /// What is signed beside the content, encoded.
    attributes: Option<&'a [u8]>,
    signature: &'a [u8],
}

/// How somebody who has signed is named (§5.3).
pub(super) enum Whose<'a> {
    /// By who has issued their certificate, DER, and its serial number.
    Serial { issuer: Vec<u8>, number: &'a [u8] },
    /// By the identifier of their key.
    Key(&'a [u8]),
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
    fn named(oid: &[u8]) -> Option<Self> {
        // 2.16.840.1.101.3.4.2.
        match oid.strip_prefix(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02])? {
            [1] => Some(Self::Sha256),
            [2] => Some(Self::Sha384),
            [3] => Some(Self::Sha512),
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
fn how(signature: &[u8], hash: Hash) -> Option<(Scheme, Hash)> {
    // 1.2.840.113549.1.1, 1.2.840.10045.4.3 and 1.3.101.112.
    if let Some(rsa) = signature.strip_prefix(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01]) {
        return match rsa {
            [1] => Some((Scheme::Pkcs1, hash)),
            [10] => Some((Scheme::Pss, hash)),
            [11] => Some((Scheme::Pkcs1, Hash::Sha256)),
            [12] => Some((Scheme::Pkcs1, Hash::Sha384)),
            [13] => Some((Scheme::Pkcs1, Hash::Sha512)),
            _ => None,
        };
    }
    if let Some(ecdsa) = signature.strip_prefix(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03]) {
        return match ecdsa {
            [2] => Some((Scheme::Ecdsa, Hash::Sha256)),
            [3] => Some((Scheme::Ecdsa, Hash::Sha384)),
            [4] => Some((Scheme::Ecdsa, Hash::Sha512)),
            _ => None,
        };
    }
    (signature == [0x2b, 0x65, 0x70]).then_some((Scheme::Ed25519, hash))
}

impl<'a> SignedData<'a> {
    /// What these bytes begin with; none when that is no signed data.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let info = children(expect(split(bytes).ok()?.0, SEQUENCE)?).ok()?;
        let [kind, data] = info.as_slice() else { return None };
        if expect(*kind, OBJECT)? != SIGNED_DATA {
            return None;
        }
        let data = children(expect(split(expect(*data, ZEROTH)?).ok()?.0, SEQUENCE)?).ok()?;
        let [_version, _digests, inner, rest @ ..] = data.as_slice() else { return None };
        let inner = children(expect(*inner, SEQUENCE)?).ok()?;
        let kind = expect(*inner.first()?, OBJECT)?;
        let content = match inner.get(1) {
            None => None,
            Some(held) => Some(expect(split(expect(*held, ZEROTH)?).ok()?.0, OCTETS)?),
        };
        let held = rest.iter().find(|value| value.tag == ZEROTH).map_or(&[][..], |value| value.content);
        let certificates = children(held).ok()?.into_iter().filter(|value| value.tag == SEQUENCE);
        let certificates = certificates.map(|value| encode(SEQUENCE, value.content)).collect();
        let signers = children(expect(*rest.last()?, SET)?).ok()?;
        if signers.len() > MOST_SIGNERS {
            return None;
        }
        let signers = signers.into_iter().map(Signer::read).collect::<Option<Vec<_>>>()?;
        Some(Self { content, kind, certificates, signers })
    }

    /// Whether this key has made this one's signature of the content; none where the algorithm is not read here.
    pub fn is_by(&self, signer: &Signer<'_>, key: &SubjectPublicKeyInfo<'_>, content: &[u8]) -> Option<bool> {
        let (scheme, hash) = signer.how?;
        let Some(attributes) = signer.attributes else { return fits(key, (scheme, hash), content, signer.signature) };
        // What stands among the attributes is what is signed of the content (§5.4).
        let digest = attribute(attributes, MESSAGE_DIGEST, OCTETS);
        if digest != Some(hash.of(content).as_ref()) || attribute(attributes, CONTENT_TYPE, OBJECT) != Some(self.kind) {
            return Some(false);
        }
        fits(key, (scheme, hash), &encode(SET, attributes), signer.signature)
    }
}

impl<'a> Signer<'a> {
    fn read(value: Value<'a>) -> Option<Self> {
        let parts = children(expect(value, SEQUENCE)?).ok()?;
        let [_version, whose, hash, rest @ ..] = parts.as_slice() else { return None };
        let whose = match whose.tag {
            ZEROTH_BARE => Whose::Key(whose.content),
            SEQUENCE => {
                let named = children(whose.content).ok()?;
                let [issuer, number] = named.as_slice() else { return None };
                Whose::Serial { issuer: encode(issuer.tag, issuer.content), number: number.content }
            }
            _ => return None,
        };
        let (attributes, rest) = match rest {
            [first, rest @ ..] if first.tag == ZEROTH => (Some(first.content), rest),
            _ => (None, rest),
        };
        let [algorithm, signature, ..] = rest else { return None };
        let how = Hash::named(named(*hash)?).and_then(|hash| how(named(*algorithm)?, hash));
        Some(Self { whose, how, attributes, signature: expect(*signature, OCTETS)? })
    }
}

/// The object identifier of an algorithm.
fn named(algorithm: Value<'_>) -> Option<&[u8]> {
    expect(*children(expect(algorithm, SEQUENCE)?).ok()?.first()?, OBJECT)
}

/// The one value of an attribute that is there once.
fn attribute<'a>(attributes: &'a [u8], kind: &[u8], tag: u8) -> Option<&'a [u8]> {
    let mut found = None;
    for one in children(attributes).ok()? {
        let parts = children(expect(one, SEQUENCE)?).ok()?;
        let [name, values] = parts.as_slice() else { return None };
        if expect(*name, OBJECT)? != kind {
            continue;
        }
        let values = children(expect(*values, SET)?).ok()?;
        match (values.as_slice(), found) {
            ([value], None) => found = Some(expect(*value, tag)?),
            _ => return None,
        }
    }
    found
}

fn expect(value: Value<'_>, tag: u8) -> Option<&[u8]> {
    (value.tag == tag).then_some(value.content)
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
