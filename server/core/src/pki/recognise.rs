//! Pure: which of our kinds a certificate is, and whether a list is its issuer's own, read back from the bytes. The signing key asks this about every message it is given, so a mistake
//! elsewhere can't mint an authority (K-3); the device listener asks which names a leaf carries.

use super::{
    decode::escaped,
    der,
    profile::{BACKDATE, CLAIM_USAGE, Kind, NO_CHECK},
};
use wire::Timestamp;
use x509_parser::{
    certificate::{TbsCertificate, X509Certificate},
    extensions::{GeneralName, ParsedExtension, X509Extension},
    oid_registry::{OID_PKCS1_SHA256WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519, Oid},
    prelude::FromDer as _,
    revocation_list::TbsCertList,
    x509::X509Version,
};

/// The longest a list of revoked certificates may claim to hold, in milliseconds: the root's, and a day.
const LONGEST_LIST: i64 = 31 * 86_400_000;

/// What a list may be signed with: as our own keys sign, and as those of a root's file do.
const LIST_SIGNATURES: [Oid<'static>; 4] = [OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519, OID_PKCS1_SHA256WITHRSA];

// keyUsage's BIT STRING read from its first bit: digitalSignature is bit 0, keyCertSign 5, cRLSign 6 (RFC 5280 §4.2.1.3).
const SIGNS: u16 = 1;
const CERTIFIES: u16 = (1 << 5) | (1 << 6);

/// Why bytes are none of our kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate of our profile: {0}")]
pub struct Foreign(pub &'static str);

/// The kind of a to-be-signed certificate (RFC 5280 §4.1.2). Every critical field is compared; an extension the profile does not know refuses it.
pub fn kind(tbs: &[u8]) -> Result<Kind, Foreign> {
    let (rest, tbs) = TbsCertificate::from_der(tbs).map_err(|_| Foreign("unreadable"))?;
    if !rest.is_empty() || tbs.version != X509Version::V3 {
        return Err(Foreign("version"));
    }
    if !matches!(tbs.raw_serial(), [first, rest @ ..] if rest.len() == 19 && first & 0xc0 == 0x40) {
        return Err(Foreign("serial number"));
    }
    let constraints = tbs.basic_constraints().map_err(|_| Foreign("basicConstraints"))?.filter(|e| e.critical);
    let constraints = constraints.ok_or(Foreign("basicConstraints"))?.value;
    let usage = tbs.key_usage().map_err(|_| Foreign("keyUsage"))?.filter(|e| e.critical).ok_or(Foreign("keyUsage"))?.value;
    let purposes = tbs.extended_key_usage().map_err(|_| Foreign("extKeyUsage"))?.map(|e| e.value);
    let claims = purposes.is_some_and(|p| {
        let more = p.any || p.server_auth || p.code_signing || p.email_protection || p.time_stamping || p.ocsp_signing;
        p.client_auth && !more && matches!(p.other.as_slice(), [own] if own.as_bytes() == CLAIM_USAGE)
    });
    let purposes = purposes.map_or((false, false, false), |p| {
        // Anything beyond the three purposes of the profile is none of ours.
        let other = p.any || p.code_signing || p.email_protection || p.time_stamping || !p.other.is_empty();
        (p.client_auth && !other, p.server_auth && !other, p.ocsp_signing && !other)
    });
    let sans = tbs.subject_alternative_name().map_err(|_| Foreign("subjectAltName"))?.map(|e| &e.value.general_names);
    let sans = sans.map_or(&[][..], Vec::as_slice);

    let kind = match (constraints.ca, constraints.path_len_constraint, usage.flags, purposes, sans) {
        (true, None, CERTIFIES, (false, false, false), []) if tbs.issuer.as_raw() == tbs.subject.as_raw() => Kind::Root,
        (true, None, CERTIFIES, (false, false, false), []) => Kind::Cross,
        // What the issuing authorities of devices and of claims sign differs, not what they are; the common name tells them apart.
        (true, Some(0), CERTIFIES, (true, false, true), []) if named(&tbs, "Claim") => Kind::ClaimAuthority,
        (true, Some(0), CERTIFIES, (true, false, true), []) => Kind::DeviceAuthority,
        (true, Some(0), CERTIFIES, (false, true, true), []) => Kind::ServerAuthority,
        (false, None, SIGNS, (true, false, false), [GeneralName::URI(_)]) => Kind::Device,
        (false, None, SIGNS, (false, false, false), []) if claims => Kind::Claim,
        (false, None, SIGNS, (false, false, true), []) => Kind::OcspSigner,
        (false, None, SIGNS, (false, true, false), [_, ..])
            if sans.iter().all(|n| matches!(n, GeneralName::DNSName(_) | GeneralName::IPAddress(_))) =>
        {
            Kind::Server
        }
        _ => return Err(Foreign("key usages")),
    };

    let life = tbs.validity.not_after.timestamp() - tbs.validity.not_before.timestamp();
    if life <= 0 || life * 1000 > kind.longest() + BACKDATE {
        return Err(Foreign("validity"));
    }
    let no_check = |e: &X509Extension<'_>| e.oid.iter().is_some_and(|arcs| arcs.eq(NO_CHECK.iter().copied()));
    let known = tbs.extensions().iter().all(|e| {
        use ParsedExtension as P;
        matches!(
            e.parsed_extension(),
            P::AuthorityKeyIdentifier(_)
                | P::SubjectKeyIdentifier(_)
                | P::KeyUsage(_)
                | P::ExtendedKeyUsage(_)
                | P::BasicConstraints(_)
                | P::SubjectAlternativeName(_)
                | P::CRLDistributionPoints(_)
                | P::AuthorityInfoAccess(_)
        ) || (kind == Kind::OcspSigner && no_check(e))
    });
    if !known || (kind == Kind::OcspSigner && !tbs.extensions().iter().any(no_check)) {
        return Err(Foreign("extensions"));
    }
    Ok(kind)
}

/// Whether our authority's name says so.
fn named(tbs: &TbsCertificate<'_>, what: &str) -> bool {
    let begins = format!("Fleetward {what} CA ");
    tbs.subject.iter_common_name().any(|cn| cn.as_str().is_ok_and(|cn| cn.starts_with(&begins)))
}

/// Whether a to-be-signed message is a certificate revocation list (RFC 5280 §5.1.2) of the issuer with this name and key identifier: version 2,
/// one of [`LIST_SIGNATURES`], an end within [`LONGEST_LIST`], entries with a reason and the date of R-5 at most, and of the list's own extensions the three of R-7.
pub fn list(tbs: &[u8], name: &[u8], ski: &[u8]) -> Result<(), Foreign> {
    der::strict(tbs).map_err(|_| Foreign("not strictly encoded"))?;
    let (_, list) = TbsCertList::from_der(tbs).map_err(|_| Foreign("unreadable"))?;
    if list.version != Some(X509Version::V2) || !LIST_SIGNATURES.contains(&list.signature.algorithm) {
        return Err(Foreign("version or algorithm"));
    }
    if list.issuer.as_raw() != name {
        return Err(Foreign("another issuer's"));
    }
    let life = list.next_update.map(|until| until.timestamp() - list.this_update.timestamp());
    if !life.is_some_and(|life| (1..=LONGEST_LIST / 1000).contains(&life)) {
        return Err(Foreign("validity"));
    }
    let of_entry = |e: &X509Extension<'_>| {
        !e.critical && matches!(e.parsed_extension(), ParsedExtension::ReasonCode(_) | ParsedExtension::InvalidityDate(_))
    };
    if !list.revoked_certificates.iter().all(|entry| entry.extensions().iter().all(of_entry)) {
        return Err(Foreign("an entry"));
    }
    let (mut key, mut number) = (false, false);
    for e in list.extensions() {
        match e.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) if !e.critical => key |= id.key_identifier.as_ref().is_some_and(|k| k.0 == ski),
            ParsedExtension::CRLNumber(_) if !e.critical => number = true,
            ParsedExtension::IssuingDistributionPoint(_) if e.critical => {}
            _ => return Err(Foreign("extensions")),
        }
    }
    if key && number { Ok(()) } else { Err(Foreign("extensions")) }
}

/// The raw subject, subject key identifier and public key (the bits, without their wrapping) of an authority's certificate.
pub fn authority(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let ski = certificate.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })?;
    Some((certificate.subject().as_raw().to_vec(), ski, certificate.public_key().subject_public_key.data.to_vec()))
}

/// Who signed a to-be-signed certificate says it is from, raw.
pub fn issuer(tbs: &[u8]) -> Option<Vec<u8>> {
    let (_, tbs) = TbsCertificate::from_der(tbs).ok()?;
    Some(tbs.issuer.as_raw().to_vec())
}

/// The names in a device's leaf: common name and identity URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// CN.
    pub common_name: String,
    /// The one URI among the alternative names.
    pub uri: String,
}

/// The names of a device's leaf; none when it does not have exactly one of each (P-3).
pub fn names(leaf: &[u8]) -> Option<Names> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let mut common = leaf.subject().iter_common_name();
    let (Some(cn), None) = (common.next(), common.next()) else { return None };
    let sans = leaf.subject_alternative_name().ok()??;
    let [GeneralName::URI(uri)] = sans.value.general_names.as_slice() else { return None };
    Some(Names { common_name: cn.as_str().ok()?.to_owned(), uri: (*uri).to_owned() })
}

/// Most of a name that is kept for the books.
const LONGEST_NAME: usize = 200;

/// What a certificate says of itself, for the books: its subject and issuer with what is not seen escaped, its serial number, its beginning.
pub fn describe(certificate: &[u8], into: &mut serde_json::Map<String, serde_json::Value>) {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return };
    let name = |name: String| serde_json::Value::String(escaped(&name).chars().take(LONGEST_NAME).collect());
    into.insert("subject".into(), name(certificate.subject().to_string()));
    into.insert("issuer".into(), name(certificate.issuer().to_string()));
    into.insert("serial".into(), hex::encode(certificate.raw_serial().iter().take(20).copied().collect::<Vec<_>>()).into());
    into.insert("not_before".into(), certificate.validity().not_before.timestamp().saturating_mul(1000).into());
}

/// The raw name of a certificate's issuer, and its serial number.
pub fn issued_by(certificate: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some((certificate.issuer().as_raw().to_vec(), certificate.raw_serial().to_vec()))
}

/// Whether two certificates say the same, whatever their signatures look like.
pub fn say_the_same(one: &[u8], other: &[u8]) -> bool {
    let (Ok((_, one)), Ok((_, other))) = (X509Certificate::from_der(one), X509Certificate::from_der(other)) else { return false };
    one.tbs_certificate.as_ref() == other.tbs_certificate.as_ref()
}

/// The beginning of a certificate's validity.
pub fn not_before(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(Timestamp(certificate.validity().not_before.timestamp().saturating_mul(1000)))
}
