//! Pure: a certificate as text for people. What others wrote into it is shown, never trusted: control and direction characters are escaped
//! (attack list 24).

use super::csr::{self, sha256};
use crate::text::unseen;
use wire::pki::DecodedCertificate;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{DistributionPointName, ExtendedKeyUsage, GeneralName, ParsedExtension},
    prelude::FromDer as _,
};

/// What is written in it; none when these bytes are no certificate.
pub fn decode(der: &[u8]) -> Option<DecodedCertificate> {
    let (_, leaf) = X509Certificate::from_der(der).ok()?;
    let mut text = DecodedCertificate {
        subject: escaped(&leaf.subject().to_string()),
        issuer: escaped(&leaf.issuer().to_string()),
        signature: signature(&leaf.signature_algorithm.algorithm.to_id_string()).to_owned(),
        public_key_sha256: hex::encode(sha256(leaf.public_key().raw)),
        ..DecodedCertificate::default()
    };
    for extension in leaf.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => text.alternatives.extend(names.general_names.iter().map(name)),
            ParsedExtension::KeyUsage(usage) => text.usages.extend(usage.to_string().split(", ").map(str::to_lowercase)),
            ParsedExtension::ExtendedKeyUsage(usage) => text.usages.extend(purposes(usage)),
            ParsedExtension::SubjectKeyIdentifier(id) => text.subject_key = hex::encode(id.0),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                text.authority_key = id.key_identifier.as_ref().map(|id| hex::encode(id.0)).unwrap_or_default();
            }
            ParsedExtension::CRLDistributionPoints(points) => {
                let full = points.iter().filter_map(|point| match &point.distribution_point {
                    Some(DistributionPointName::FullName(names)) => Some(names),
                    _ => None,
                });
                text.addresses.extend(full.flatten().map(name));
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                text.addresses.extend(access.accessdescs.iter().map(|at| name(&at.access_location)));
            }
            _ => {}
        }
    }
    Some(text)
}

/// The algorithms of its key and of its signature, as lists name them; none when these bytes are no certificate, or its key is of no type of ours (P-1).
pub(super) fn algorithms(der: &[u8]) -> Option<(String, String)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let key = csr::key(certificate.public_key()).ok()?;
    Some((key.to_string(), signature(&certificate.signature_algorithm.algorithm.to_id_string()).to_owned()))
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (usage.client_auth, "TLS client"),
        (usage.server_auth, "TLS server"),
        (usage.ocsp_signing, "OCSP signing"),
        (usage.code_signing, "code signing"),
        (usage.email_protection, "e-mail"),
        (usage.time_stamping, "time stamping"),
        (usage.any, "any purpose"),
    ];
    let named = known.into_iter().filter(|(given, _)| *given).map(|(_, word)| word.to_owned());
    named.chain(usage.other.iter().map(x509_parser::oid_registry::Oid::to_id_string)).collect()
}

fn name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::URI(text) | GeneralName::DNSName(text) | GeneralName::RFC822Name(text) => escaped(text),
        GeneralName::IPAddress(octets) => match **octets {
            [a, b, c, d] => std::net::Ipv4Addr::new(a, b, c, d).to_string(),
            _ => <[u8; 16]>::try_from(*octets).map_or_else(|_| hex::encode(octets), |octets| std::net::Ipv6Addr::from(octets).to_string()),
        },
        other => escaped(&other.to_string()),
    }
}

/// The name of a signature algorithm that a certificate of the profile, or of a registered authority, may have (RFC 5758, 4055, 8410).
pub(super) fn signature(oid: &str) -> &str {
    match oid {
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRSAEncryption",
        "1.3.101.112" => "Ed25519",
        other => other,
    }
}

/// The text with what is not seen written as escapes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if unseen(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    #[test]
    fn a_24_what_others_wrote_is_shown_escaped() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "gw\u{7}\u{202e}<script>");
        params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into()), SanType::URI("spiffe://a/b".try_into().unwrap())];
        let text = decode(params.self_signed(&key).unwrap().der()).unwrap();
        assert!(text.subject.contains("gw\\u{7}\\u{202e}<script>"), "{}", text.subject);
        assert_eq!(text.alternatives, ["127.0.0.1", "spiffe://a/b"]);
        assert_eq!(text.signature, "ecdsa-with-SHA256");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(input in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(decode(&input), None);
        }
    }
}
