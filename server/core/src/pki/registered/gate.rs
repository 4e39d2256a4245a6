//! Pure: the gates that a registered authority's certificate, its proof of possession and its devices' certificates pass (E-10, P-1). What others
//! wrote is read strictly and never followed: no address in a certificate is ever fetched.

use super::{
    super::{
        csr::{self, CsrError, KeyAlg, sha256},
        decode, der,
    },
    refused::Refused,
    template::Names,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::Timestamp;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    oid_registry::{
        OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
        OID_SIG_ED25519, OID_X509_SERIALNUMBER, Oid,
    },
    prelude::FromDer as _,
    x509::X509Version,
};

/// Largest certificate in DER.
pub const MAX_DER: usize = 16 * 1024;
// Base64 with line breaks, and what openssl writes above it.
const MAX_PEM: usize = MAX_DER * 3;

/// What the URI begins with by which a verification certificate may name its code.
const CODE_URI: &str = "urn:fleetward:verify:";

/// An authority's certificate that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityCertificate {
    /// DER.
    pub der: Vec<u8>,
    /// Its name for people.
    pub subject: String,
    /// Its name, raw: what certificates of its devices say they are from.
    pub name: Vec<u8>,
    /// Its key.
    pub key_alg: KeyAlg,
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    pub spki_sha256: [u8; 32],
    /// Subject key identifier; empty when it has none.
    pub ski: Vec<u8>,
    /// Serial number, raw.
    pub serial: Vec<u8>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}

/// A device's certificate that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificate {
    /// Its names.
    pub names: Names,
    /// Its key.
    pub key_alg: KeyAlg,
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    pub spki_sha256: [u8; 32],
    /// Serial number, raw.
    pub serial: Vec<u8>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}

/// PEM, DER or its base64 to DER, in bounds and strictly encoded.
fn bytes(input: &[u8]) -> Result<Vec<u8>, Refused> {
    const SEQUENCE: u8 = 0x30;
    if input.len() > MAX_PEM {
        return Err(Refused::TooLarge);
    }
    let der = if input.first() == Some(&SEQUENCE) {
        input.to_vec()
    } else {
        let text = str::from_utf8(input).map_err(|_| Refused::NotCertificate)?;
        if !text.contains("-----") {
            let bare: String = text.split_whitespace().collect();
            return match STANDARD.decode(bare) {
                Ok(der) if !der.is_empty() => in_bounds(der),
                _ => Err(Refused::NotCertificate),
            };
        }
        // One block: which of two was meant nobody can tell, and a key must not come here.
        if text.matches("-----BEGIN").count() != 1 {
            return Err(Refused::NotCertificate);
        }
        CertificateDer::from_pem_slice(input).map_err(|_| Refused::NotCertificate)?.to_vec()
    };
    in_bounds(der)
}

fn in_bounds(der: Vec<u8>) -> Result<Vec<u8>, Refused> {
    if der.len() > MAX_DER {
        return Err(Refused::TooLarge);
    }
    der::strict(&der)?;
    Ok(der)
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Refused> {
    let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| Refused::Malformed("not X.509"))?;
    if !rest.is_empty() {
        return Err(der::DerError::Trailing.into());
    }
    if parsed.signature_algorithm != parsed.tbs_certificate.signature {
        return Err(Refused::Malformed("it names two signature algorithms"));
    }
    let mut seen = Vec::new();
    for extension in parsed.extensions() {
        if seen.contains(&&extension.oid) {
            return Err(Refused::Malformed("an extension is there twice"));
        }
        seen.push(&extension.oid);
    }
    Ok(parsed)
}

/// From when to when; the end may be the last instant there is, `99991231235959Z` (P-6).
fn validity(parsed: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let at = |t: i64| Timestamp(t.saturating_mul(1000));
    (at(parsed.validity().not_before.timestamp()), at(parsed.validity().not_after.timestamp()))
}

/// The gate for an authority: CA:TRUE, `keyCertSign` where usages are named, a key of P-1, not ended.
pub fn authority(input: &[u8], now: Timestamp) -> Result<AuthorityCertificate, Refused> {
    let der = bytes(input)?;
    let parsed = parse(&der)?;
    if parsed.version() != X509Version::V3 {
        return Err(Refused::NotAuthority("its version is not 3"));
    }
    let unreadable = |_| Refused::Malformed("an extension can't be read");
    if !parsed.basic_constraints().map_err(unreadable)?.is_some_and(|c| c.value.ca) {
        return Err(Refused::NotAuthority("basicConstraints don't say CA:TRUE"));
    }
    if parsed.key_usage().map_err(unreadable)?.is_some_and(|u| !u.value.key_cert_sign()) {
        return Err(Refused::NotAuthority("its keyUsage lacks keyCertSign"));
    }
    if parsed.extended_key_usage().map_err(unreadable)?.is_some_and(|u| !u.value.client_auth && !u.value.any) {
        return Err(Refused::NotAuthority("its extended key usage lacks clientAuth"));
    }
    let key_alg = csr::sound_key(parsed.public_key()).map_err(Refused::Key)?;
    let (not_before, not_after) = validity(&parsed);
    if now > not_after {
        return Err(Refused::Ended);
    }
    if parsed.subject().iter().next().is_none() {
        return Err(Refused::NotAuthority("it has no name"));
    }
    let ski = parsed.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    });
    Ok(AuthorityCertificate {
        subject: decode::decode(&der).map(|text| text.subject).unwrap_or_default(),
        name: parsed.subject().as_raw().to_vec(),
        key_alg,
        spki_sha256: sha256(parsed.public_key().raw),
        ski: ski.unwrap_or_default(),
        serial: parsed.raw_serial().to_vec(),
        not_before,
        not_after,
        der: der.clone(),
    })
}

/// The gate for a verification certificate: it names the code, the authority's key itself has signed it, it is valid now and no authority.
pub fn proof(input: &[u8], authority: &[u8], code: &str, now: Timestamp) -> Result<(), Refused> {
    let der = bytes(input)?;
    let parsed = parse(&der)?;
    let (_, authority) = X509Certificate::from_der(authority).map_err(|_| Refused::Malformed("not X.509"))?;
    if parsed.issuer().as_raw() != authority.subject().as_raw() {
        return Err(Refused::Proof("it is not from this authority; the authority itself has to sign it, not one below it"));
    }
    if !signed_by(&parsed, &authority) {
        return Err(Refused::Proof("its signature is not by this authority's key, or by an algorithm that is not accepted"));
    }
    if parsed.basic_constraints().map_err(|_| Refused::Malformed("an extension can't be read"))?.is_some_and(|c| c.value.ca) {
        return Err(Refused::Proof("it is an authority; make a certificate with CA:FALSE"));
    }
    let (from, until) = validity(&parsed);
    if now < from || now > until {
        return Err(Refused::Proof("it is not valid now"));
    }
    let named = |text: &str| text.trim().eq_ignore_ascii_case(code);
    let common = parsed.subject().iter_common_name().any(|cn| cn.as_str().is_ok_and(named));
    let uris = parsed.subject_alternative_name().map_err(|_| Refused::Malformed("an extension can't be read"))?;
    let uri = uris.is_some_and(|names| {
        let uri = |n: &GeneralName<'_>| matches!(n, GeneralName::URI(uri) if uri.strip_prefix(CODE_URI).is_some_and(named));
        names.value.general_names.iter().any(uri)
    });
    if common || uri {
        Ok(())
    } else {
        Err(Refused::Proof("it does not name the code; put the code into its common name, or urn:fleetward:verify:CODE into a URI"))
    }
}

/// Signature algorithms that count: the parser would take SHA-1.
pub(super) const ACCEPTED: [Oid<'static>; 6] = [
    OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384,
    OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA,
    OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ED25519,
];

/// Whether this key has signed it, by an algorithm that counts.
fn signed_by(parsed: &X509Certificate<'_>, authority: &X509Certificate<'_>) -> bool {
    ACCEPTED.contains(&parsed.signature_algorithm.algorithm) && parsed.verify_signature(Some(authority.public_key())).is_ok()
}

/// Whether a certificate that names itself as its signer was signed by its own key; of any other nobody here can tell.
pub fn stands(certificate: &[u8]) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
    parsed.subject().as_raw() != parsed.issuer().as_raw() || signed_by(&parsed, &parsed)
}

/// The gate for a device's certificate, whose chain was checked in the handshake: no authority itself, good
/// for TLS clients or for nothing in particular, a key of P-1, valid now. Gives the word for the books when it is refused.
pub fn device(leaf: &[u8], now: Timestamp) -> Result<DeviceCertificate, &'static str> {
    let malformed = "malformed";
    der::strict(leaf).map_err(|_| malformed)?;
    let parsed = parse(leaf).map_err(|_| malformed)?;
    if parsed.basic_constraints().map_err(|_| malformed)?.is_some_and(|c| c.value.ca) {
        return Err("an_authority");
    }
    let usage = parsed.extended_key_usage().map_err(|_| malformed)?;
    let signs = parsed.key_usage().map_err(|_| malformed)?.is_none_or(|u| u.value.digital_signature());
    if usage.is_some_and(|u| !u.value.client_auth && !u.value.any) || !signs {
        return Err("wrong_usage");
    }
    let key_alg = csr::sound_key(parsed.public_key()).map_err(|_: CsrError| "weak_key")?;
    let (not_before, not_after) = validity(&parsed);
    if now < not_before || now > not_after {
        return Err("not_valid_now");
    }
    Ok(DeviceCertificate {
        names: names(&parsed).ok_or("ambiguous_names")?,
        key_alg,
        spki_sha256: sha256(parsed.public_key().raw),
        serial: parsed.raw_serial().to_vec(),
        not_before,
        not_after,
    })
}

/// The names a template may use. None when one of them is there twice: then nobody can say whose certificate it is.
fn names(parsed: &X509Certificate<'_>) -> Option<Names> {
    let mut common = parsed.subject().iter_common_name();
    let mut serials = parsed.subject().iter_by_oid(&OID_X509_SERIALNUMBER);
    let alternatives = parsed.subject_alternative_name().ok()?;
    let general = alternatives.map_or(&[][..], |names| names.value.general_names.as_slice());
    let mut uris = general.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    let text = |a: &x509_parser::x509::AttributeTypeAndValue<'_>| a.as_str().ok().map(str::to_owned);
    let found = Names { common_name: common.next().and_then(text), serial_number: serials.next().and_then(text), uri: uris.next() };
    (common.next().is_none() && serials.next().is_none() && uris.next().is_none()).then_some(found)
}

/// Its name for the books, in so many characters at most.
pub fn shown_name(certificate: &[u8], most: usize) -> String {
    decode::decode(certificate).map(|text| text.subject.chars().take(most).collect()).unwrap_or_default()
}

/// What holds a certificate in a chain, raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: Vec<u8>,
    /// Its key, a `SubjectPublicKeyInfo`.
    pub key: Vec<u8>,
    /// Its signer's name.
    pub by: Vec<u8>,
}

/// The link that a certificate is; none when these bytes are no certificate. Its signature is not looked at.
pub fn link(certificate: &[u8]) -> Option<Link> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let (name, by) = (parsed.subject().as_raw().to_vec(), parsed.issuer().as_raw().to_vec());
    Some(Link { name, key: parsed.public_key().raw.to_vec(), by })
}

/// Whether the second certificate's key has signed the first one. False when one of them is none.
pub fn has_signed(certificate: &[u8], by: &[u8]) -> bool {
    let (Ok((_, certificate)), Ok((_, by))) = (X509Certificate::from_der(certificate), X509Certificate::from_der(by)) else { return false };
    certificate.issuer().as_raw() == by.subject().as_raw() && signed_by(&certificate, &by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_18_any_bytes_are_judged_without_a_panic(input in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(authority(&input, Timestamp(0)).is_err());
            prop_assert!(proof(&input, &input, "00", Timestamp(0)).is_err());
            prop_assert!(device(&input, Timestamp(0)).is_err());
        }
    }
}
