//! Pure: which keys a certificate may be for (P-1), and by which algorithms they sign a request for one.

use super::{CsrError, KeyAlg, weak};
use crate::pki::der;
use x509_parser::{
    certification_request::X509CertificationRequest,
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519,
    },
    prelude::FromDer as _,
    public_key::RSAPublicKey,
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};

/// P-1: type, size and encoding of the key.
pub(in crate::pki) fn key(spki: &SubjectPublicKeyInfo<'_>) -> Result<KeyAlg, CsrError> {
    const OBJECT_IDENTIFIER: u32 = 6;
    let data = &spki.subject_public_key;
    if data.unused_bits != 0 {
        return Err(CsrError::WeakKey("it has unused bits"));
    }
    let data: &[u8] = &data.data;
    let algorithm = &spki.algorithm.algorithm;
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        // The parser takes the content of any tag for a name.
        let named = spki.algorithm.parameters.as_ref().filter(|p| p.tag().0 == OBJECT_IDENTIFIER);
        let curve = named.and_then(|p| p.as_oid().ok());
        let curve = curve.ok_or(CsrError::WeakKey("its curve is written out, and only named curves are taken"))?;
        let (alg, point) = if curve == OID_EC_P256 {
            (KeyAlg::P256, 65)
        } else if curve == OID_NIST_EC_P384 {
            (KeyAlg::P384, 97)
        } else {
            return Err(CsrError::KeyType("its curve is not P-256 or P-384"));
        };
        // Uncompressed points only: every device stack reads them (RFC 5480 §2.2). That the point is on the curve, the signature check proves.
        if data.len() == point && data.first() == Some(&4) { Ok(alg) } else { Err(CsrError::WeakKey("its point is not uncompressed")) }
    } else if *algorithm == OID_SIG_ED25519 {
        if data.len() == 32 && spki.algorithm.parameters.is_none() {
            Ok(KeyAlg::Ed25519)
        } else {
            Err(CsrError::WeakKey("it is not an Ed25519 key"))
        }
    } else if *algorithm == OID_PKCS1_RSAENCRYPTION {
        rsa(data)
    } else {
        Err(CsrError::KeyType("its type is not supported"))
    }
}

/// The same of a key that a certificate is to be made for: one that is weak all the same gets none (E-4).
pub(in crate::pki) fn sound_key(spki: &SubjectPublicKeyInfo<'_>) -> Result<KeyAlg, CsrError> {
    let alg = key(spki)?;
    weak::look(spki, alg)?;
    Ok(alg)
}

/// The upper bound keeps verification cheap; the exponent's keeps it safe.
fn rsa(data: &[u8]) -> Result<KeyAlg, CsrError> {
    let malformed = CsrError::WeakKey("it is not an RSA key");
    der::strict(data).map_err(|_| malformed.clone())?;
    let (_, key) = RSAPublicKey::from_der(data).map_err(|_| malformed.clone())?;
    // A leading zero octet only keeps the INTEGER positive.
    let modulus = match key.modulus {
        [0, rest @ ..] => rest,
        [first, ..] if first & 0x80 == 0 => key.modulus,
        _ => return Err(malformed),
    };
    let (Some(first), Some(last)) = (modulus.first(), modulus.last()) else { return Err(malformed) };
    let bits = modulus.len() * 8 - first.leading_zeros() as usize;
    if !(2048..=4096).contains(&bits) {
        return Err(CsrError::WeakKey("its RSA modulus is not 2048 to 4096 bits long"));
    }
    let exponent = key.try_exponent().map_err(|_| CsrError::WeakKey("its RSA exponent is too large"))?;
    // The library that checks signatures takes no longer one, and would say that the key's holder did not sign.
    if exponent >> 33 != 0 {
        return Err(CsrError::WeakKey("its RSA exponent is too large"));
    }
    if exponent < 65_537 || exponent % 2 == 0 || last % 2 == 0 {
        return Err(CsrError::WeakKey("its RSA exponent is below 65537 or its numbers are even"));
    }
    Ok(KeyAlg::Rsa(bits))
}

/// An allowed algorithm that fits the key, and proof that whoever asks holds the key.
pub(in crate::pki) fn signature(request: &X509CertificationRequest<'_>, key: KeyAlg) -> Result<(), CsrError> {
    let AlgorithmIdentifier { algorithm, parameters } = &request.signature_algorithm;
    let (fits, words) = match key {
        KeyAlg::P256 => (*algorithm == OID_SIG_ECDSA_WITH_SHA256, "ECDSA and SHA-256"),
        // OpenSSL signs with SHA-256 whatever the curve, unless told otherwise.
        KeyAlg::P384 => {
            (*algorithm == OID_SIG_ECDSA_WITH_SHA256 || *algorithm == OID_SIG_ECDSA_WITH_SHA384, "ECDSA and SHA-256 or SHA-384")
        }
        KeyAlg::Ed25519 => (*algorithm == OID_SIG_ED25519, "Ed25519"),
        KeyAlg::Rsa(_) => (
            [OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA].contains(algorithm),
            "PKCS#1 v1.5 and SHA-256, SHA-384 or SHA-512",
        ),
    };
    if !fits {
        return Err(CsrError::Algorithm(words));
    }
    // RFC 5758 §3.2, RFC 8410 §3: absent; RFC 4055 §5: NULL.
    let bare = parameters.as_ref().is_none_or(|p| matches!(key, KeyAlg::Rsa(_)) && p.as_null().is_ok());
    if !bare {
        return Err(CsrError::Malformed("the signature algorithm has parameters"));
    }
    if request.signature_value.unused_bits != 0 {
        return Err(CsrError::Malformed("the signature has unused bits"));
    }
    request.verify_signature().map_err(|_| CsrError::Possession)
}
