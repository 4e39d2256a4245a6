//! Pure: which of our kinds a certificate is, read back from its bytes. The signing key asks this about every message it is given, so a mistake
//! elsewhere can't mint an authority (pki.md K-3); the device listener asks which names a leaf carries.

use super::profile::{BACKDATE, Kind};
use wire::Timestamp;
use x509_parser::{
    certificate::{TbsCertificate, X509Certificate},
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
    x509::X509Version,
};

// keyUsage's BIT STRING read from its first bit: digitalSignature is bit 0, keyCertSign 5, cRLSign 6 (RFC 5280 §4.2.1.3).
const SIGNS: u16 = 1;
const CERTIFIES: u16 = (1 << 5) | (1 << 6);

/// Why bytes are none of our kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate of our profile: {0}")]
pub struct Foreign(&'static str);

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
    let purposes = purposes.map_or((false, false, false), |p| {
        // Anything beyond the three purposes of the profile is none of ours.
        let other = p.any || p.code_signing || p.email_protection || p.time_stamping || !p.other.is_empty();
        (p.client_auth && !other, p.server_auth && !other, p.ocsp_signing && !other)
    });
    let sans = tbs.subject_alternative_name().map_err(|_| Foreign("subjectAltName"))?.map(|e| &e.value.general_names);
    let sans = sans.map_or(&[][..], Vec::as_slice);

    let kind = match (constraints.ca, constraints.path_len_constraint, usage.flags, purposes, sans) {
        (true, None, CERTIFIES, (false, false, false), []) => Kind::Root,
        (true, Some(0), CERTIFIES, (true, false, true), []) => Kind::DeviceAuthority,
        (true, Some(0), CERTIFIES, (false, true, true), []) => Kind::ServerAuthority,
        (false, None, SIGNS, (true, false, false), [GeneralName::URI(_)]) => Kind::Device,
        (false, None, SIGNS, (false, true, false), [_, ..])
            if sans.iter().all(|n| matches!(n, GeneralName::DNSName(_) | GeneralName::IPAddress(_))) =>
        {
            Kind::Server
        }
        _ => return Err(Foreign("key usages")),
    };

    let life = tbs.validity.not_after.timestamp() - tbs.validity.not_before.timestamp();
    if life <= 0 || life * 1000 > kind.life() + BACKDATE {
        return Err(Foreign("validity"));
    }
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
        )
    });
    if known { Ok(kind) } else { Err(Foreign("extensions")) }
}

/// The names in a device's leaf: common name and identity URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// CN.
    pub common_name: String,
    /// The one URI among the alternative names.
    pub uri: String,
}

/// The names of a device's leaf; none when it does not have exactly one of each (pki.md P-3).
pub fn names(leaf: &[u8]) -> Option<Names> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let mut common = leaf.subject().iter_common_name();
    let (Some(cn), None) = (common.next(), common.next()) else { return None };
    let sans = leaf.subject_alternative_name().ok()??;
    let [GeneralName::URI(uri)] = sans.value.general_names.as_slice() else { return None };
    Some(Names { common_name: cn.as_str().ok()?.to_owned(), uri: (*uri).to_owned() })
}

/// The beginning of a certificate's validity.
pub fn not_before(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(Timestamp(certificate.validity().not_before.timestamp().saturating_mul(1000)))
}
