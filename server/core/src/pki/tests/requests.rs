//! E-4: what passes the gate and what doesn't (attack list 10 to 14, 17, 18).

use crate::pki::{
    csr::{CsrError, MAX_DER, gate},
    der::{self, encode},
};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use proptest::prelude::*;
use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject as _};
use wire::ids::DeviceId;

fn gw1() -> DeviceId {
    "gw-1".parse().unwrap()
}

fn code(input: &[u8]) -> String {
    gate(input, Some(&gw1())).map_or_else(|e| e.fault().code, |_| "ok".to_owned())
}

/// Requests made by OpenSSL, each with the verdict it must get.
#[test]
fn requests_of_another_implementation_get_their_verdict() {
    let mut seen = 0;
    for block in include_str!("../testdata/requests.txt").split("== ").filter(|b| !b.is_empty()) {
        let (head, pem) = block.split_once('\n').unwrap();
        let (name, verdict) = head.split_once(' ').unwrap();
        assert_eq!(code(pem.as_bytes()), verdict, "{name}");
        // DER gets the same verdict as PEM.
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap();
        assert_eq!(code(&der), verdict, "{name} as DER");
        seen += 1;
    }
    assert!(seen > 35, "only {seen} requests were read");
}

/// The rule that was broken, and not another one.
#[test]
fn a_13_what_is_said_of_a_refused_key_is_what_is_wrong_with_it() {
    let all = include_str!("../testdata/requests.txt");
    let said = |name: &str| {
        let block = all.split("== ").find(|block| block.split(' ').next() == Some(name)).unwrap();
        gate(block.split_once('\n').unwrap().1.as_bytes(), Some(&gw1())).unwrap_err().fault().message
    };
    for (name, says) in [
        ("explicit-parameters", "only named curves"),
        ("p521", "not P-256 or P-384"),
        ("ed448", "its type is not supported"),
        ("dsa", "its type is not supported"),
        ("rsa1024", "its RSA modulus"),
        ("rsa-roca", "(ROCA)"),
        ("rsa-close-primes", "are close to each other"),
        ("rsa-small-factor", "has a small factor"),
        ("p256-published", "its private key is published; make a new one"),
        ("ed25519-published", "its private key is published; make a new one"),
        ("ed25519-small-order", "of small order"),
        ("p256-guessed", "its private key is guessed"),
        ("p384-guessed-negative", "its private key is guessed"),
        ("rsa-large-exponent", "its RSA exponent is too large"),
        ("p256-sha1", "its type signs with ECDSA and SHA-256."),
        ("p256-sha384", "signs with ECDSA and SHA-256."),
        ("p384-sha512", "signs with ECDSA and SHA-256 or SHA-384."),
        ("rsa-sha1", "signs with PKCS#1 v1.5 and SHA-256, SHA-384 or SHA-512."),
        ("rsa-pss", "signs with PKCS#1 v1.5 and SHA-256, SHA-384 or SHA-512."),
    ] {
        assert!(said(name).contains(says), "{name}: {}", said(name));
    }
}

// OIDs, DER content.
const CN: &[u8] = &[0x55, 4, 3];
const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

fn seq(parts: &[Vec<u8>]) -> Vec<u8> {
    encode(0x30, &parts.concat())
}
fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    encode(0x31, &parts.concat())
}
fn oid(content: &[u8]) -> Vec<u8> {
    encode(0x06, content)
}
fn name(tag: u8, value: &[u8]) -> Vec<u8> {
    set(&[seq(&[oid(CN), encode(tag, value)])])
}
fn extension(id: &[u8], value: &[u8]) -> Vec<u8> {
    seq(&[oid(id), encode(0x04, value)])
}
fn request_attribute(values: &[Vec<u8>]) -> Vec<u8> {
    seq(&[oid(EXTENSION_REQUEST), set(values)])
}
fn ca_true() -> Vec<u8> {
    extension(BASIC_CONSTRAINTS, &seq(&[encode(0x01, &[0xff])]))
}
fn plain_usage() -> Vec<u8> {
    extension(KEY_USAGE, &encode(0x03, &[7, 0x80]))
}

/// The octets that no signature covers, all of them.
#[test]
fn no_changed_frame_goes_through() {
    let der = Recipe::default().make();
    let (request, _) = der::split(&der).unwrap();
    let covered = der::children(request.content).unwrap()[0].content.len();
    for at in (0..8).chain(covered..der.len()) {
        for flip in 1..=255 {
            let mut changed = der.clone();
            changed[at] ^= flip;
            assert!(gate(&changed, Some(&gw1())).is_err(), "octet {at}, {flip:#x}");
        }
    }
}

/// A CSR put together by hand, so that it can be wrong in one place and right in all others.
struct Recipe {
    version: u8,
    subject: Vec<Vec<u8>>,
    point: fn(&[u8]) -> Vec<u8>,
    attributes: Vec<Vec<u8>>,
    signed: fn(&[u8]) -> Vec<u8>,
    another_key: bool,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            version: 0,
            subject: vec![name(0x0c, b"gw-1")],
            point: <[u8]>::to_vec,
            attributes: vec![],
            signed: <[u8]>::to_vec,
            another_key: false,
        }
    }
}

impl Recipe {
    fn make(&self) -> Vec<u8> {
        let random = SystemRandom::new();
        let fresh = || {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap()
        };
        let key = fresh();
        let point = [vec![0], (self.point)(key.public_key().as_ref())].concat();
        let spki = seq(&[seq(&[oid(EC_KEY), oid(P256)]), encode(0x03, &point)]);
        let info =
            seq(&[encode(0x02, &[self.version]), encode(0x30, &self.subject.concat()), spki, encode(0xa0, &self.attributes.concat())]);
        let signer = if self.another_key { fresh() } else { key };
        let signature = signer.sign(&random, &(self.signed)(&info)).unwrap();
        seq(&[info, seq(&[oid(ECDSA_SHA256)]), encode(0x03, &[vec![0], signature.as_ref().to_vec()].concat())])
    }
}

#[test]
fn requests_that_are_wrong_in_one_place_are_refused() {
    let ok = Recipe::default();
    let verdict = |r: Recipe| code(&r.make());
    assert_eq!(code(&ok.make()), "ok", "the recipe itself is right");
    assert_eq!(verdict(Recipe { version: 1, ..Recipe::default() }), "csr_malformed");

    let named = |tag, value: &[u8]| verdict(Recipe { subject: vec![name(tag, value)], ..Recipe::default() });
    assert_eq!(named(0x13, b"gw-1"), "ok", "PrintableString");
    assert_eq!(named(0x1e, b"\0g\0w\0-\x001"), "csr_malformed", "BMPString");
    assert_eq!(named(0x0c, b"gw-1\0.evil"), "csr_malformed", "NUL");
    assert_eq!(named(0x0c, b""), "csr_malformed", "empty");
    assert_eq!(named(0x0c, b"gw-1\xff"), "csr_malformed", "not UTF-8");
    assert_eq!(named(0x16, b"gw-1"), "csr_malformed", "IA5String");
    assert_eq!(
        verdict(Recipe { subject: vec![name(0x0c, b"gw-1"), name(0x0c, b"gw-2")], ..Recipe::default() }),
        "csr_malformed",
        "two common names"
    );

    let asking = |attributes| verdict(Recipe { attributes, ..Recipe::default() });
    assert_eq!(asking(vec![request_attribute(&[seq(&[plain_usage()])])]), "ok");
    assert_eq!(asking(vec![request_attribute(&[seq(&[plain_usage(), ca_true()])])]), "csr_forbidden_extension");
    assert_eq!(
        asking(vec![request_attribute(&[seq(&[plain_usage()])]), request_attribute(&[seq(&[ca_true()])])]),
        "csr_malformed",
        "a second request that the parser would not show"
    );
    assert_eq!(
        asking(vec![request_attribute(&[seq(&[plain_usage()]), seq(&[ca_true()])])]),
        "csr_malformed",
        "a second value that the parser would not show"
    );
    assert_eq!(asking(vec![request_attribute(&[seq(&[plain_usage(), plain_usage()])])]), "csr_malformed", "the same extension twice");
    assert_eq!(asking(vec![request_attribute(&[seq(&[extension(BASIC_CONSTRAINTS, b"junk")])])]), "csr_malformed");

    assert_eq!(verdict(Recipe { signed: |_| b"something else".to_vec(), ..Recipe::default() }), "pop_failed");
    assert_eq!(verdict(Recipe { another_key: true, ..Recipe::default() }), "pop_failed");
    let compressed = |p: &[u8]| [&[2 + (p[64] & 1)], &p[1..33]].concat();
    assert_eq!(verdict(Recipe { point: compressed, ..Recipe::default() }), "weak_key");
    let off_curve = |p: &[u8]| [&p[..64], &[p[64] ^ 1]].concat();
    assert_eq!(verdict(Recipe { point: off_curve, ..Recipe::default() }), "pop_failed");
}

#[test]
fn size_and_framing_are_bounded() {
    let der = Recipe::default().make();
    let pem = crate::pem::encode("CERTIFICATE REQUEST", &der);
    assert_eq!(code(pem.as_bytes()), "ok");
    assert_eq!(code(&[der.clone(), vec![0]].concat()), "csr_malformed", "trailing byte");
    assert_eq!(code(format!("{pem}{pem}").as_bytes()), "csr_malformed", "two blocks");
    assert_eq!(code(format!("{pem}more").as_bytes()), "csr_malformed", "text after the block");
    assert_eq!(code(pem.replace("CERTIFICATE REQUEST", "CERTIFICATE").as_bytes()), "csr_malformed", "another label");
    assert_eq!(code(b""), "csr_malformed");
    assert_eq!(code(&vec![b'A'; 1 << 20]), "csr_too_large", "1 MB");
    let padded = Recipe { attributes: vec![seq(&[oid(&[0x2a, 3]), set(&[encode(0x04, &vec![7; MAX_DER])])])], ..Recipe::default() };
    assert_eq!(code(&padded.make()), "csr_too_large");
}

#[test]
fn without_an_expected_name_the_request_says_its_own() {
    let der = Recipe::default().make();
    assert_eq!(gate(&der, None).unwrap().common_name, Some(gw1()));
    assert!(matches!(gate(&der, Some(&"gw-2".parse().unwrap())), Err(CsrError::Identity(_))));
    let nameless = Recipe { subject: vec![], ..Recipe::default() }.make();
    assert_eq!(gate(&nameless, Some(&gw1())).unwrap().common_name, None);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(input in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(gate(&input, None).is_err());
    }

    /// Every octet of a request is covered by its signature or by the strict reading: no change goes through.
    #[test]
    fn a_changed_octet_is_refused(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut der = Recipe { attributes: vec![request_attribute(&[seq(&[plain_usage()])])], ..Recipe::default() }.make();
        let at = at.index(der.len());
        der[at] ^= flip;
        prop_assert!(gate(&der, Some(&gw1())).is_err(), "octet {at} of {}", der.len());
    }

    #[test]
    fn a_cut_request_is_refused(at in any::<prop::sample::Index>()) {
        let der = Recipe::default().make();
        prop_assert!(gate(&der[..at.index(der.len())], None).is_err());
    }
}

/// Zeros in base64 are nothing that something was written behind.
#[test]
fn what_is_no_request_at_all_is_told_so() {
    let pem = crate::pki::est::request(b"AAAA").unwrap();
    let refused = crate::pki::csr::gate(pem.as_bytes(), None).unwrap_err().to_string();
    assert!(refused.contains("PKCS#10") && !refused.contains("after the end"), "{refused}");
}
