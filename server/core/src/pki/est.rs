//! What Enrolment over Secure Transport (RFC 7030, 8951, 9908) has of its own: how requests and certificates travel, and which certificates a
//! client is given to trust. Refuses to know HTTP and who may enrol.

use super::{
    Error, Pki,
    authorities::{Authorities, Authority, listeners_root},
    csr::CsrError,
    der,
    peer::DevicePeer,
    profile::Kind,
    store,
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::sync::Arc;
use wire::{ids::OrgId, pki::KeyType};

/// `CsrAttrs` (RFC 9908 §3.2): a P-256 key, signed with ECDSA and SHA-256. Never `challengePassword` (E-12, E-14).
pub const CSR_ATTRIBUTES: &[u8] = &[
    0x30, 0x21, 0x30, 0x15, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x31, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x03, 0x01, 0x07, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];

/// The same for whoever may have keys of these types alone; of several the one that most devices can make. No type means any.
pub fn csr_attributes(keys: &[KeyType]) -> Vec<u8> {
    // Object identifiers, content octets (RFC 5480 §2.1, RFC 5758 §3.2, RFC 8017 §C, RFC 8410 §3).
    const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
    const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
    const RSA_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    let oid = |content: &[u8]| der::encode(0x06, content);
    let attribute = |kind: &[u8], value: &[u8]| der::encode(0x30, &[oid(kind), der::encode(0x31, value)].concat());
    let usual = [KeyType::P256, KeyType::P384, KeyType::Ed25519, KeyType::Rsa];
    let wanted = match usual.into_iter().find(|key| keys.contains(key)) {
        None | Some(KeyType::P256) => return CSR_ATTRIBUTES.to_vec(),
        Some(KeyType::P384) => [attribute(EC_KEY, &oid(P384)), oid(ECDSA_SHA384)].concat(),
        Some(KeyType::Ed25519) => oid(ED25519),
        // 2048 bits, as an INTEGER (RFC 9908 §3.2).
        Some(KeyType::Rsa) => [attribute(RSA_KEY, &der::encode(0x02, &[8, 0])), oid(RSA_SHA256)].concat(),
    };
    der::encode(0x30, &wanted)
}

/// Operations (RFC 7030 §3.2.2), also those that are not offered: a label is none of these words.
pub const OPERATIONS: [&str; 6] = ["cacerts", "csrattrs", "simpleenroll", "simplereenroll", "serverkeygen", "fullcmc"];

// id-signedData and id-data (RFC 5652 §4, §5.1), content octets.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];

/// Some clients leave the padding out.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// The request in a body, PEM: base64 of DER with any white space (RFC 8951 §3.1), and for people with curl also plain DER and PEM. What is in
/// it, [`csr::gate`](super::csr::gate) judges.
pub fn request(body: &[u8]) -> Result<String, CsrError> {
    const SEQUENCE: u8 = 0x30;
    if body.first() == Some(&SEQUENCE) {
        return Ok(crate::pem::encode("CERTIFICATE REQUEST", body));
    }
    let text = str::from_utf8(body).map_err(|_| CsrError::NotBase64)?;
    if text.contains("-----BEGIN") {
        return Ok(text.to_owned());
    }
    let bare: String = text.split_ascii_whitespace().collect();
    let der = BASE64.decode(bare).map_err(|_| CsrError::NotBase64)?;
    Ok(crate::pem::encode("CERTIFICATE REQUEST", &der))
}

/// DER as EST sends it: base64 in lines of 64 columns, the last one ended, too.
pub fn encode(der: &[u8]) -> String {
    crate::pem::wrapped(der)
}

/// A certs-only PKCS#7 (RFC 5652 §5 without signers) with these certificates in this order. Written by hand, so that the certificates stay byte
/// for byte what they are and nothing sorts them (E-13).
pub fn certs_only<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let certificates: Vec<u8> = certificates.into_iter().flatten().copied().collect();
    let content = [
        der::encode(0x02, &[1]),
        der::encode(0x31, &[]),
        der::encode(0x30, &der::encode(0x06, DATA)),
        der::encode(0xa0, &certificates),
        der::encode(0x31, &[]),
    ];
    let signed = der::encode(0x30, &content.concat());
    der::encode(0x30, &[der::encode(0x06, SIGNED_DATA), der::encode(0xa0, &signed)].concat())
}

/// What a label names (RFC 7030 §3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The organization.
    pub org: OrgId,
    /// The profile of it; none where the label is the organization's alone.
    pub profile: Option<String>,
}

impl Pki {
    /// What this label names: an organization by its slug, or behind a dot one of its profiles as well; none when there is no such one.
    pub async fn label(&self, label: &str) -> Result<Option<Label>, Error> {
        if let Some(org) = self.organization(label) {
            return Ok(Some(Label { org, profile: None }));
        }
        let Some((slug, profile)) = label.rsplit_once('.') else { return Ok(None) };
        let Some(org) = self.organization(slug) else { return Ok(None) };
        let there = store::profile(&mut self.db.read().await?, &org, profile).await?.is_some();
        Ok(there.then(|| Label { org, profile: Some(profile.to_owned()) }))
    }

    /// The profile that the certificate of a connection is of, and that its renewal will be of; empty for none.
    pub async fn profile_of(&self, peer: &DevicePeer) -> Result<String, Error> {
        let current = store::issued(&mut self.db.read().await?, &peer.certificate, &peer.org).await?;
        Ok(current.map(|current| current.validity_profile).unwrap_or_default())
    }

    /// The organization of this slug. One whose slug is an operation's name has no label.
    fn organization(&self, label: &str) -> Option<OrgId> {
        let all = self.authorities.load();
        all.iter().find(|a| a.slug == label && !OPERATIONS.contains(&label)).map(|a| a.org.clone())
    }

    /// What a client of this organization is given to trust and to build chains with: the root of our listeners first, then the organization's
    /// trusted authorities, also staged and retiring ones, then roots certified by one another while one takes over (RFC 7030 §4.1.3).
    pub fn ca_certificates(&self, org: &OrgId) -> Vec<CertificateDer<'static>> {
        let mut all = trusted(&self.authorities.load(), org);
        let cross = &self.trust_bundle(org).cross;
        all.extend(cross.iter().filter_map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok()));
        all
    }
}

fn trusted(all: &Authorities, org: &OrgId) -> Vec<CertificateDer<'static>> {
    let root = |a: &&Arc<Authority>| a.kind == Kind::Root;
    let listeners = listeners_root(all);
    let first = all.first().map(|a| &a.org);
    // The listeners' other roots count for everybody.
    let theirs = |a: &&Arc<Authority>| a.org == *org || (root(a) && Some(&a.org) == first);
    let own = |a: &&Arc<Authority>| theirs(a) && a.trusted() && listeners.is_none_or(|root| root.id != a.id);
    listeners.into_iter().chain(all.iter().filter(own)).map(|a| a.der.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_read_however_it_is_wrapped() {
        let pem = crate::testing::csr("gw-1");
        let bare: String = pem.lines().filter(|l| !l.starts_with('-')).collect();
        let der = BASE64.decode(&bare).unwrap();
        let spaced: String = bare.chars().flat_map(|c| [c, ' ', '\t', '\r', '\n']).collect();
        for body in [bare.as_bytes(), spaced.as_bytes(), bare.trim_end_matches('=').as_bytes(), &der, pem.as_bytes()] {
            assert_eq!(request(body).unwrap(), pem);
        }
        for body in [&b"!"[..], b"\xff\xfe", b"QUJ*"] {
            assert!(request(body).unwrap_err().to_string().contains("base64"), "the form that is EST's own");
        }
    }

    #[test]
    fn the_attributes_are_the_documented_ones() {
        assert_eq!(encode(CSR_ATTRIBUTES), "MCEwFQYHKoZIzj0CATEKBggqhkjOPQMBBwYIKoZIzj0EAwI=\n");
        assert_eq!(der::strict(CSR_ATTRIBUTES), Ok(()));
    }

    #[test]
    fn e_14_the_attributes_are_those_of_a_key_that_is_taken() {
        for keys in [&[][..], &[KeyType::P256], &[KeyType::P256, KeyType::P384, KeyType::Rsa]] {
            assert_eq!(csr_attributes(keys), CSR_ATTRIBUTES, "{keys:?}");
        }
        for (keys, expected) in [
            (&[KeyType::P384, KeyType::Rsa][..], "301e301206072a8648ce3d0201310706052b8104002206082a8648ce3d040303"),
            (&[KeyType::Ed25519], "300506032b6570"),
            (&[KeyType::Rsa], "301e301106092a864886f70d010101310402020800"),
        ] {
            let made = csr_attributes(keys);
            assert!(hex::encode(&made).starts_with(expected), "{keys:?}: {}", hex::encode(&made));
            assert_eq!(der::strict(&made), Ok(()));
        }
    }

    #[test]
    fn certificates_keep_their_bytes_and_their_order() {
        let (first, second) = (der::encode(0x30, &[4, 1, 9]), der::encode(0x30, &[4, 1, 1]));
        let made = certs_only([first.as_slice(), second.as_slice()]);
        assert_eq!(der::strict(&made), Ok(()));
        let both = [first, second].concat();
        assert!(made.windows(both.len()).any(|w| w == both));
        assert_eq!(hex::encode(certs_only([])), "302506092a864886f70d010702a01830160201013100300b06092a864886f70d010701a0003100");
    }

    proptest! {
        /// whatever comes is decoded or refused, and what is decoded is judged.
        #[test]
        fn a_18_any_body_is_decoded_or_refused(body in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(pem) = request(&body) {
                prop_assert!(crate::pki::csr::gate(pem.as_bytes(), None).is_err());
            }
        }

        #[test]
        fn a_18_any_base64_is_decoded_or_refused(body in "[A-Za-z0-9+/= \r\n]{0,600}", begin in prop::sample::select(vec!["", "-----BEGIN CERTIFICATE REQUEST-----\n", "MIHJ"])) {
            if let Ok(pem) = request(format!("{begin}{body}").as_bytes()) {
                prop_assert!(crate::pki::csr::gate(pem.as_bytes(), None).is_err());
            }
        }
    }
}
