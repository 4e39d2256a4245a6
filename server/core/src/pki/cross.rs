//! Pure: a root's key certified by another root, under the name it has (R-10, RFC 4210 §4.4). Refuses to know where either key is kept.

use super::{
    Error,
    guard::GuardedKey,
    profile::{self, Kind, Publication, Subject},
    recognise,
};
use rcgen::{DistinguishedName, DnType, DnValue, Issuer, SubjectPublicKeyInfo};
use rustls_pki_types::CertificateDer;
use wire::Timestamp;
use x509_parser::{
    asn1_rs::Tag,
    certificate::X509Certificate,
    prelude::FromDer as _,
    x509::{AttributeTypeAndValue, X509Name},
};

/// The certificate and its end: no later than `until`.
pub fn certify(
    subject: &CertificateDer<'_>,
    by: &Issuer<'static, GuardedKey>,
    (now, until): (Timestamp, Timestamp),
    serial: [u8; 20],
    published: Option<Publication<'_>>,
) -> Result<(CertificateDer<'static>, Timestamp), Error> {
    let unreadable = || Error::Build("a root's certificate can't be read".to_owned());
    let (_, parsed) = X509Certificate::from_der(subject).map_err(|_| unreadable())?;
    let key = SubjectPublicKeyInfo::from_der(parsed.public_key().raw).map_err(|_| unreadable())?;
    let validity = profile::validity(Kind::Cross, now, Some(until)).ok_or(Error::AuthorityExpiring)?;
    let unnamed = Subject { organization: String::new(), common_name: String::new(), alternatives: vec![] };
    let mut params = profile::parameters(Kind::Cross, &unnamed, serial, validity, published)?;
    params.distinguished_name = name(parsed.subject()).ok_or_else(|| Error::Build("a root's name can't be repeated".to_owned()))?;
    params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(recognise::authority(subject).ok_or_else(unreadable)?.1);
    let der: CertificateDer<'static> = params.signed_by(&key, by)?.into();
    // A chain finds it by the root's own name and key identifier, so they have to be the same to the byte (P-9).
    if recognise::authority(&der) != recognise::authority(subject) {
        return Err(Error::Build("a root's name can't be repeated".to_owned()));
    }
    Ok((der, validity.until))
}

/// The same name for the builder; none when it has a part that the builder can't write.
fn name(name: &X509Name<'_>) -> Option<DistinguishedName> {
    let mut out = DistinguishedName::new();
    for attribute in name.iter_attributes() {
        let arcs: Vec<u64> = attribute.attr_type().iter()?.collect();
        out.push(DnType::from_oid(&arcs), value(attribute)?);
    }
    Some(out)
}

fn value(attribute: &AttributeTypeAndValue<'_>) -> Option<DnValue> {
    let text = attribute.as_str().ok()?;
    Some(match attribute.attr_value().tag() {
        Tag::Utf8String => DnValue::Utf8String(text.to_owned()),
        Tag::PrintableString => DnValue::PrintableString(text.try_into().ok()?),
        Tag::Ia5String => DnValue::Ia5String(text.try_into().ok()?),
        _ => return None,
    })
}
