//! Profiles of devices' certificates on both engines (E-1, P-1, P-6, R-3): a token gives them, a renewal keeps them.

use super::life::{DAY, check, leaf, request};
use crate::{access::Actor, db::EngineKind, devices::Attempt, pki::Error, testing::World};
use rcgen::KeyPair;
use rstest::rstest;
use std::collections::BTreeMap;
use wire::{
    enrolment::{EnrolRequest, Enrolled, NewEnrolmentToken},
    ids::CertificateId,
    pki::{KeyType, MAX_PROFILE_HOURS, ProfileRules},
    states::RekeyPolicy,
};

const HOUR: i64 = 3_600_000;

fn rules(hours: u32) -> ProfileRules {
    ProfileRules { hours, keys: vec![], rekey: None }
}

fn new_token(profile: &str) -> NewEnrolmentToken {
    NewEnrolmentToken { label: "t".into(), max_uses: 5, hours: 1, profile: profile.into(), ..NewEnrolmentToken::default() }
}

async fn enrol(w: &World, profile: &str, id: &str, key: &KeyPair) -> Result<Enrolled, crate::devices::Error> {
    let system = Actor::system(w.org.clone());
    let token = w.fleet.devices().create_enrolment_token(&system, new_token(profile)).await.unwrap();
    assert_eq!(token.token.profile, profile);
    let request = EnrolRequest {
        csr: request(id, key),
        device_id: None,
        device_type: "gw".into(),
        hardware: "A".into(),
        attributes: BTreeMap::default(),
    };
    w.fleet.devices().enrol(Attempt { secret: &token.secret, request: &request, address: "192.0.2.1" }).await
}

/// Hours from the enrolment to the end.
fn holds(w: &World, enrolled: &Enrolled) -> i64 {
    (enrolled.not_after.since(w.clock_now()) + 1000) / HOUR
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e1_a_token_gives_its_profile_and_a_renewal_keeps_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let pki = w.fleet.pki();
    assert!(pki.set_profile(&operator, "month", rules(720)).await.is_err(), "admins only");
    pki.set_profile(&admin, "month", rules(720)).await.unwrap();
    pki.set_profile(&admin, "long", rules(MAX_PROFILE_HOURS)).await.unwrap();
    pki.set_profile(&admin, "hour", rules(1)).await.unwrap();
    let names = w.fleet.devices().enrolment_page(&operator).await.unwrap().profiles;
    assert_eq!(names, ["hour", "long", "month"]);

    let key = KeyPair::generate().unwrap();
    let month = enrol(&w, "month", "gw-1", &key).await.unwrap();
    assert_eq!(holds(&w, &month), 720);
    let peer = check(&w, &leaf(&month)).unwrap();
    let of = async |id: &CertificateId| pki.certificate(&admin, id).await.unwrap().profile;
    assert_eq!(of(&peer.certificate).await, "month");
    assert_eq!(holds(&w, &enrol(&w, "long", "gw-2", &KeyPair::generate().unwrap()).await.unwrap()), i64::from(MAX_PROFILE_HOURS));
    assert_eq!(holds(&w, &enrol(&w, "hour", "gw-3", &KeyPair::generate().unwrap()).await.unwrap()), 1);
    assert_eq!(holds(&w, &enrol(&w, "", "gw-4", &KeyPair::generate().unwrap()).await.unwrap()), 90 * 24, "as without profiles");

    // Due after two thirds of its own life, and still of the profile, as that is by then.
    let device = Actor::system(w.org.clone());
    assert!(month.renew_after.since(w.clock_now()) < 25 * DAY);
    pki.set_profile(&admin, "month", ProfileRules { rekey: Some(RekeyPolicy::Required), ..rules(744) }).await.unwrap();
    w.clock.advance(month.renew_after.since(w.clock_now()));
    let renew = async |key: &KeyPair| pki.renew(&device, &peer, request("gw-1", key).as_bytes(), "https://d").await;
    assert!(matches!(renew(&key).await, Err(Error::RekeyRequired)), "R-3: what the profile says goes before the organization's rule");
    let renewed = renew(&KeyPair::generate().unwrap()).await.unwrap();
    assert_eq!(holds(&w, &renewed), 744);
    assert_eq!(of(&check(&w, &leaf(&renewed)).unwrap().certificate).await, "month");

    // Removed only when nothing is of it.
    let in_use = pki.remove_profile(&admin, "month").await.unwrap_err().fault();
    assert_eq!(in_use.code, "profile_in_use");
    assert_eq!(pki.profiles(&operator).await.unwrap().len(), 3, "nothing was done");
    pki.set_profile(&admin, "spare", rules(48)).await.unwrap();
    pki.remove_profile(&admin, "spare").await.unwrap();
    assert!(matches!(pki.remove_profile(&admin, "spare").await, Err(Error::NoProfile)));
    let unknown = w.fleet.devices().create_enrolment_token(&operator, new_token("spare")).await.unwrap_err().fault();
    assert_eq!((unknown.code, unknown.field.as_deref()), ("profile_not_found".into(), Some("profile")));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_profile_has_bounds_and_takes_its_types_of_keys_alone(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    for name in ["", "-x", "Month", "a b", "../etc", &"x".repeat(41)] {
        assert!(matches!(pki.set_profile(&admin, name, rules(720)).await, Err(Error::ProfileName)), "{name}");
    }
    for hours in [0, MAX_PROFILE_HOURS + 1] {
        assert!(matches!(pki.set_profile(&admin, "x", rules(hours)).await, Err(Error::ProfileHours)), "P-6: {hours}");
    }
    let keys = vec![KeyType::P384, KeyType::Ed25519, KeyType::P384];
    pki.set_profile(&admin, "strong", ProfileRules { keys, ..rules(720) }).await.unwrap();
    assert_eq!(pki.profiles(&admin).await.unwrap()[0].rules.keys, [KeyType::P384, KeyType::Ed25519]);
    let p256 = enrol(&w, "strong", "gw-1", &KeyPair::generate().unwrap()).await.unwrap_err().fault();
    assert_eq!((p256.code.as_str(), p256.field.as_deref()), ("unsupported_alg", Some("csr")));
    assert!(p256.message.contains("p-384, ed25519"), "{}", p256.message);
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let enrolled = enrol(&w, "strong", "gw-1", &ed25519).await.unwrap();
    assert!(check(&w, &leaf(&enrolled)).is_ok());
    assert_eq!(pki.profiles(&admin).await.unwrap()[0].active, 1);
}
