//! What third parties are answered one by one, on both engines: OCSP, byte by byte.

use super::{
    life::{DAY, check, enrol},
    publication::{HOUR, authority, serial},
};
use crate::{
    db::EngineKind,
    pki::{
        der::{self, encode},
        ocsp::{self, Hash, Status},
        recognise,
    },
    testing::World,
};
use aws_lc_rs::digest;
use proptest::prelude::*;
use rcgen::KeyPair;
use rstest::rstest;
use wire::{Timestamp, pki::RevocationReason};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

const SHA1_OID: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA256_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
const SHA224_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04];
const NONCE_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];

/// `Request` about this serial of this issuer.
fn about(issuer: &[u8], serial: &[u8], hash: Hash) -> Vec<u8> {
    let (name, _, key) = recognise::authority(issuer).unwrap();
    let (oid, by) = match hash {
        Hash::Sha1 => (SHA1_OID, &digest::SHA1_FOR_LEGACY_USE_ONLY),
        Hash::Sha256 => (SHA256_OID, &digest::SHA256),
        Hash::Sha384 => (SHA384_OID, &digest::SHA384),
        Hash::Sha512 => (SHA512_OID, &digest::SHA512),
        Hash::Other => (SHA224_OID, &digest::SHA224),
    };
    let digest = |bytes: &[u8]| digest::digest(by, bytes).as_ref().to_vec();
    let algorithm = encode(0x30, &[encode(0x06, oid), encode(0x05, &[])].concat());
    let id = [algorithm, encode(0x04, &digest(&name)), encode(0x04, &digest(&key)), encode(0x02, serial)].concat();
    encode(0x30, &encode(0x30, &id))
}

fn request(list: &[Vec<u8>], nonce: Option<&[u8]>) -> Vec<u8> {
    let mut tbs = encode(0x30, &list.concat());
    if let Some(nonce) = nonce {
        let extension = encode(0x30, &[encode(0x06, NONCE_OID), encode(0x04, &encode(0x04, nonce))].concat());
        tbs.extend(encode(0xa2, &encode(0x30, &extension)));
    }
    encode(0x30, &encode(0x30, &tbs))
}

/// The tags of the statuses and the signed bytes; checks the signature with the certificate inside.
fn opened(answer: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let inside = |v: &[u8]| {
        let (value, rest) = der::split(v).unwrap();
        assert!(rest.is_empty());
        value.content.to_vec()
    };
    der::strict(answer).unwrap();
    let body = inside(answer);
    let parts = der::children(&body).unwrap();
    assert_eq!((parts[0].tag, parts[0].content), (0x0a, &[0][..]), "successful");
    let bytes = inside(parts[1].content);
    let basic = inside(der::children(&bytes).unwrap()[1].content);
    let parts = der::children(&basic).unwrap();
    let data = encode(0x30, parts[0].content);
    let certificate = inside(parts[3].content);
    let (_, responder) = X509Certificate::from_der(&certificate).unwrap();
    let purposes = responder.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.ocsp_signing && !purposes.client_auth);
    assert!(responder.extensions().iter().any(|e| e.oid.to_id_string() == "1.3.6.1.5.5.7.48.1.5" && e.value == [5, 0]), "nocheck");
    aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
        &responder.public_key().subject_public_key.data,
    )
    .verify(&data, &parts[2].content[1..])
    .unwrap();
    let fields = der::children(parts[0].content).unwrap();
    let singles = der::children(fields[2].content).unwrap();
    (singles.iter().map(|s| der::children(s.content).unwrap()[1].tag).collect(), data)
}

fn refused(answer: &[u8]) -> u8 {
    assert_eq!(answer.len(), 5, "a refusal has no body");
    answer[4]
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r8_serials_are_good_revoked_or_unknown(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let issuer = pki.authority_certificate(&authority(pki, &w.org, "device")).unwrap();
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    let ask = |hash| request(&[about(&issuer, &serial(&leaf), hash)], None);
    assert_eq!(refused(&pki.ocsp(&ask(Hash::Sha1)).der), Status::TryLater as u8, "no signer yet");
    pki.publish().await.unwrap();
    pki.reload().await.unwrap();

    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        assert_eq!(opened(&pki.ocsp(&ask(hash)).der).0, [0x80], "good");
    }
    let first = pki.ocsp(&ask(Hash::Sha1));
    assert_eq!(first.fresh_until, Some(w.clock_now().plus(HOUR / 2)));
    w.clock.advance(HOUR / 4);
    assert_eq!(pki.ocsp(&ask(Hash::Sha1)).der, first.der, "signed once");
    let never = request(&[about(&issuer, &[0x40; 20], Hash::Sha1)], None);
    let unknown = pki.ocsp(&never);
    assert_eq!((opened(&unknown.der).0, unknown.fresh_until), (vec![0x82], None));

    let nonce = [7; 32];
    let answer = pki.ocsp(&request(&[about(&issuer, &serial(&leaf), Hash::Sha1)], Some(&nonce)));
    assert!(opened(&answer.der).1.windows(32).any(|w| w == nonce), "the nonce comes back");
    assert_eq!(answer.fresh_until, None);

    pki.revoke(&w.admin().await, &check(&w, &leaf).unwrap().certificate, RevocationReason::KeyCompromise).await.unwrap();
    let revoked = pki.ocsp(&ask(Hash::Sha1));
    let (tags, data) = opened(&revoked.der);
    assert_eq!(tags, [0xa1], "at once, whatever was kept");
    assert!(data.windows(5).any(|w| w == [0xa0, 3, 0x0a, 1, 1]), "keyCompromise");
    w.clock.advance(HOUR / 2 + 1000);
    assert_ne!(pki.ocsp(&ask(Hash::Sha1)).der, revoked.der, "kept half an hour");

    let both = request(&[about(&issuer, &serial(&leaf), Hash::Sha256), about(&issuer, &[0x41; 20], Hash::Sha1)], None);
    assert_eq!(opened(&pki.ocsp(&both).der).0, [0xa1, 0x82]);

    // The signer is renewed before its week is over.
    w.clock.advance(5 * DAY);
    pki.reload().await.unwrap();
    let before = opened(&pki.ocsp(&never).der);
    pki.tick().await.unwrap();
    assert_ne!(opened(&pki.ocsp(&never).der).1, before.1, "another key, another responder id");
    w.clock.advance(8 * DAY);
    assert_eq!(refused(&pki.ocsp(&never).der), Status::TryLater as u8, "an ended signer says nothing");
}

/// Attack list 43.
#[tokio::test]
async fn a_43_foreign_issuers_many_requests_and_giant_nonces_are_refused() {
    let w = World::open(EngineKind::Sqlite).await;
    let pki = w.fleet.pki();
    pki.publish().await.unwrap();
    let device = pki.authority_certificate(&authority(pki, &w.org, "device")).unwrap();
    let server = pki.authority_certificate(&authority(pki, &w.org, "server")).unwrap();
    let root = pki.authority_certificate(&authority(pki, &w.org, "root")).unwrap();
    let ask = |list: &[Vec<u8>], nonce: Option<&[u8]>| pki.ocsp(&request(list, nonce)).der;
    let one = about(&device, &[0x40; 20], Hash::Sha1);

    let stranger = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    assert!(recognise::authority(stranger.cert.der()).is_none(), "no key identifier, so one is made below");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let stranger = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    for list in [
        vec![about(stranger.der(), &[1], Hash::Sha256)],
        vec![one.clone(), about(&server, &[1], Hash::Sha1)],
        vec![about(&root, &[1], Hash::Sha1)],
        vec![about(stranger.der(), &[1], Hash::Sha512)],
        vec![about(&device, &[0x40; 20], Hash::Other)],
    ] {
        assert_eq!(refused(&ask(&list, None)), Status::Unauthorized as u8);
    }
    assert_eq!(opened(&ask(&vec![one.clone(); ocsp::MOST], None)).0.len(), ocsp::MOST);
    for many in [ocsp::MOST + 1, 1000] {
        assert_eq!(refused(&ask(&vec![one.clone(); many], None)), Status::Malformed as u8, "{many}");
    }
    for length in [1, 32, 128] {
        assert_eq!(opened(&ask(std::slice::from_ref(&one), Some(&vec![9; length]))).0, [0x82], "{length}");
    }
    for length in [0, 129, 4000] {
        assert_eq!(refused(&ask(std::slice::from_ref(&one), Some(&vec![9; length]))), Status::Malformed as u8, "{length}");
    }
    assert_eq!(refused(&pki.ocsp(&[]).der), Status::Malformed as u8);
    assert_eq!(refused(&ask(&[], None)), Status::Malformed as u8);
}

fn sample() -> Vec<u8> {
    let algorithm = encode(0x30, &encode(0x06, SHA1_OID));
    let id = [algorithm, encode(0x04, &[1; 20]), encode(0x04, &[2; 20]), encode(0x02, &[0x41; 20])].concat();
    request(&[encode(0x30, &encode(0x30, &id))], Some(&[3; 16]))
}

#[test]
fn versions_and_critical_extensions_that_are_not_understood_are_malformed() {
    assert!(ocsp::request(&sample()).is_some());
    let content = |der: &[u8]| der::split(der).unwrap().0.content.to_vec();
    let tbs = content(&content(&sample()));
    let with = |before: &[u8], after: &[u8]| encode(0x30, &encode(0x30, &[before, &tbs, after].concat()));
    assert!(ocsp::request(&with(&encode(0xa0, &[2, 1, 0]), &[])).is_some(), "v1, written out");
    assert!(ocsp::request(&with(&encode(0xa0, &[2, 1, 1]), &[])).is_none(), "v2");
    assert!(ocsp::request(&with(&[], &[5, 0])).is_none(), "something behind");
    let list = encode(0x30, der::children(&tbs).unwrap()[0].content);
    let extended = |critical: &[u8]| {
        let extension = encode(0x30, &[encode(0x06, &[0x2a, 3]), critical.to_vec(), encode(0x04, &[5, 0])].concat());
        encode(0x30, &encode(0x30, &[list.clone(), encode(0xa2, &encode(0x30, &extension))].concat()))
    };
    assert!(ocsp::request(&extended(&[])).is_some());
    assert!(ocsp::request(&extended(&[1, 1, 0xff])).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_read_without_a_panic(input in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = ocsp::request(&input);
    }

    #[test]
    fn a_damaged_request_is_read_without_a_panic(at in any::<prop::sample::Index>(), octet: u8, cut in any::<prop::sample::Index>()) {
        let mut input = sample();
        let at = at.index(input.len());
        input[at] = octet;
        let _ = ocsp::request(&input);
        input.truncate(cut.index(input.len()));
        prop_assert!(ocsp::request(&input).is_none());
    }

    #[test]
    fn times_are_in_whole_seconds(at in 0_i64..4_000_000_000_000) {
        let data = ocsp::data(&[], &[], None, Timestamp(at), Timestamp(at));
        prop_assert!(der::strict(&data).is_ok());
    }
}
