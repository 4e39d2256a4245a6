//! E-1: what a token may be bound to beside a name: a network, a key, a CSR.

use super::{new_token, request};
use crate::{
    db::EngineKind,
    devices::{Attempt, Error},
    hash::sha256,
    testing::World,
};
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rstest::rstest;
use wire::{FaultKind, enrolment::NewEnrolmentToken};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_token_is_good_only_where_and_for_what_it_was_made(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices = w.fleet.devices();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let nameless = |key: &KeyPair| {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.serialize_request(key).unwrap()
    };
    let right = nameless(&key);
    let wrong = nameless(&other).pem().unwrap();
    let spki = hex::encode(sha256(&key.subject_public_key_info())).to_uppercase();
    let colons = spki.as_bytes().chunks(2).map(|c| String::from_utf8_lossy(c).into_owned()).collect::<Vec<_>>().join(":");
    let csr = hex::encode(sha256(right.der()));
    let right = right.pem().unwrap();
    let made = async |new: NewEnrolmentToken| devices.create_enrolment_token(&operator, new).await.unwrap();
    let ask = async |secret: &str, csr: &str, address: &str| {
        devices.enrol(Attempt { secret, request: &request(csr, "gw-1"), address }).await.map_err(|e| e.fault())
    };

    let near = made(NewEnrolmentToken { source: " 192.0.2.0/24 ".into(), ..new_token("gw-1", 5) }).await;
    assert_eq!(near.token.source, "192.0.2.0/24");
    for far in ["192.0.3.1", "2001:db8::1", ""] {
        let refused = ask(&near.secret, &right, far).await.unwrap_err();
        assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::Forbidden, "source_not_allowed"), "{far}");
    }
    ask(&near.secret, &right, "192.0.2.9").await.unwrap();

    for bound in
        [NewEnrolmentToken { spki_sha256: colons, ..new_token("gw-1", 5) }, NewEnrolmentToken { csr_sha256: csr, ..new_token("gw-1", 5) }]
    {
        let token = made(bound).await;
        let refused = ask(&token.secret, &wrong, "::1").await.unwrap_err();
        assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::Forbidden, "binding_mismatch"), "{token:?}");
        ask(&token.secret, &right, "::1").await.unwrap();
    }
    let log = w.fleet.access().audit_page(&operator, None).await.unwrap();
    assert!(log.entries.items.iter().any(|e| e.action == "enrolment_token.refuse"), "a refusal with a good token is in the books");

    for (bad, field) in [
        (NewEnrolmentToken { source: "192.0.2.0/33".into(), ..new_token("", 1) }, "source"),
        (NewEnrolmentToken { spki_sha256: "abc".into(), ..new_token("", 1) }, "spki_sha256"),
        (NewEnrolmentToken { csr_sha256: "z".repeat(64), ..new_token("", 1) }, "csr_sha256"),
    ] {
        let Err(Error::Invalid { field: at, .. }) = devices.create_enrolment_token(&operator, bad).await else { panic!("{field}") };
        assert_eq!(at, field);
    }
}
