//! Profiles of devices' certificates on both engines (E-1, P-1, P-6, R-3): tokens, claims, batches and approvals give them, a renewal keeps them.

use super::life::{DAY, check, leaf, request};
use crate::{
    access::Actor,
    db::EngineKind,
    devices::{Attempt, NewBatch, Over},
    pki::Error,
    testing::{World, csr},
};
use bytes::Bytes;
use rcgen::KeyPair;
use rstest::rstest;
use std::{collections::BTreeMap, io};
use wire::{
    enrolment::{BatchState, EnrolRequest, Enrolled, EnrolmentBatch, EnrolmentSettings, NewClaim, NewEnrolmentToken},
    ids::CertificateId,
    overview::Matter,
    pki::{AuthorityUse, KeyType, MAX_FACTORY_HOURS, MAX_PROFILE_HOURS, ProfileRules, RevocationReason},
    states::{AuthorityState, RekeyPolicy},
};
use x509_parser::{prelude::FromDer as _, revocation_list::CertificateRevocationList};

const HOUR: i64 = 3_600_000;

fn rules(hours: u32) -> ProfileRules {
    ProfileRules { hours, factory: false, keys: vec![], rekey: None }
}

fn factory(hours: u32) -> ProfileRules {
    ProfileRules { factory: true, ..rules(hours) }
}

fn new_token(profile: &str) -> NewEnrolmentToken {
    NewEnrolmentToken { label: "t".into(), max_uses: 5, hours: 1, profile: profile.into(), ..NewEnrolmentToken::default() }
}

async fn enrol(w: &World, profile: &str, id: &str, key: &KeyPair) -> Result<Enrolled, crate::devices::Error> {
    let system = Actor::system(w.org.clone());
    let token = w.fleet.devices().create_enrolment_token(&system, new_token(profile)).await.unwrap();
    assert_eq!(token.token.profile, profile);
    w.fleet.devices().enrol(Attempt { secret: &token.secret, request: &asks(id, key), address: "192.0.2.1" }).await
}

fn asks(id: &str, key: &KeyPair) -> EnrolRequest {
    let (device_type, hardware) = ("gw".to_owned(), "A".to_owned());
    EnrolRequest { csr: request(id, key), device_id: None, device_type, hardware, attributes: BTreeMap::default() }
}

/// Joins without a token.
async fn join(w: &World, request: &EnrolRequest, over: Over<'_>) -> Result<Enrolled, crate::devices::Error> {
    w.fleet.devices().enrol_over(Attempt { secret: "", request, address: "192.0.2.1" }, over).await
}

/// What the books say of these deeds.
async fn details(w: &World, action: &str) -> String {
    let log = w.fleet.access().audit_page(&Actor::system(w.org.clone()), None).await.unwrap();
    log.entries.items.into_iter().filter(|e| e.action == action).map(|e| e.detail).collect::<Vec<_>>().join("\n")
}

/// Sends a batch of these devices, each with a key of its type.
async fn send(w: &World, actor: &Actor, profile: &str, lines: &[(&str, String)]) -> Result<EnrolmentBatch, crate::devices::Error> {
    let line = |(id, csr): &(&str, String)| serde_json::json!({ "device_id": id, "csr": csr }).to_string() + "\n";
    let text: String = lines.iter().map(line).collect();
    let new = NewBatch { label: "lot".into(), profile: profile.into(), ..NewBatch::default() };
    w.fleet.devices().receive_batch(actor, new, futures::stream::iter([Ok::<_, io::Error>(Bytes::from(text))])).await
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
    let choices = w.fleet.devices().enrolment_page(&operator).await.unwrap().profiles;
    assert_eq!(choices.iter().map(|of| of.name.as_str()).collect::<Vec<_>>(), ["hour", "long", "month"]);

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
    for hours in [0, MAX_PROFILE_HOURS + 1, MAX_FACTORY_HOURS] {
        assert!(matches!(pki.set_profile(&admin, "x", rules(hours)).await, Err(Error::ProfileHours)), "P-6: {hours}");
    }
    for hours in [0, MAX_PROFILE_HOURS, MAX_FACTORY_HOURS + 1] {
        assert!(matches!(pki.set_profile(&admin, "x", factory(hours)).await, Err(Error::FactoryHours)), "P-6: {hours}");
    }
    let keys = vec![KeyType::P384, KeyType::Ed25519, KeyType::P384];
    pki.set_profile(&admin, "strong", ProfileRules { keys, ..rules(720) }).await.unwrap();
    assert_eq!(pki.profiles(&admin).await.unwrap()[0].rules.keys, [KeyType::P384, KeyType::Ed25519]);
    let [strong] = w.fleet.devices().enrolment_page(&admin).await.unwrap().profiles.try_into().unwrap();
    assert_eq!((strong.keys.as_slice(), strong.usual()), (&[KeyType::P384, KeyType::Ed25519][..], KeyType::P384));
    assert_eq!(strong.others_than(KeyType::P256).as_deref(), Some("p-384, ed25519"));
    assert_eq!(strong.others_than(KeyType::Ed25519), None);
    let p256 = enrol(&w, "strong", "gw-1", &KeyPair::generate().unwrap()).await.unwrap_err().fault();
    assert_eq!((p256.code.as_str(), p256.field.as_deref()), ("unsupported_alg", Some("csr")));
    assert!(p256.message.contains("p-384, ed25519"), "{}", p256.message);
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let enrolled = enrol(&w, "strong", "gw-1", &ed25519).await.unwrap();
    assert!(check(&w, &leaf(&enrolled)).is_ok());
    assert_eq!(pki.profiles(&admin).await.unwrap()[0].active, 1);
}

/// What it was refused with: that there is no such profile.
fn is_unknown(refused: &wire::Fault) -> bool {
    refused.code == "profile_not_found" && refused.field.as_deref() == Some("profile")
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e9_a_claim_gives_its_profile_and_a_renewal_keeps_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki, devices) = (w.admin().await, w.fleet.pki(), w.fleet.devices());
    pki.set_profile(&admin, "month", rules(720)).await.unwrap();
    let here = |profile: &str| NewClaim::here("bench".into(), "gw-1".into(), profile.into());
    let before = pki.list_authorities(&admin).unwrap().len();
    assert!(is_unknown(&devices.create_claim(&admin, here("year")).await.unwrap_err().fault()));
    assert_eq!(pki.list_authorities(&admin).unwrap().len(), before, "no authority is made for nothing");
    let claim = devices.create_claim(&admin, here("month")).await.unwrap().claim;
    assert_eq!((claim.profile.as_str(), devices.claims(&admin, None, None).await.unwrap().items[0].profile.as_str()), ("month", "month"));
    assert!(details(&w, "claim.create").await.contains("\"profile\":\"month\""));
    let used = pki.remove_profile(&admin, "month").await.unwrap_err().fault();
    assert!(used.code == "profile_in_use" && used.message.contains("in use: 1 claim."), "{}", used.message);

    let over = Over { claim: Some(&claim.id), ..Over::default() };
    let enrolled = join(&w, &asks("gw-1", &KeyPair::generate().unwrap()), over).await.unwrap();
    assert_eq!(holds(&w, &enrolled), 720);
    assert!(details(&w, "device.enrol").await.contains("\"profile\":\"month\""));
    let peer = check(&w, &leaf(&enrolled)).unwrap();
    w.clock.advance(enrolled.renew_after.since(w.clock_now()));
    let csr = request("gw-1", &KeyPair::generate().unwrap());
    let renewed = pki.renew(&Actor::system(w.org.clone()), &peer, csr.as_bytes(), "https://d").await.unwrap();
    assert_eq!(holds(&w, &renewed), 720);
    let now = check(&w, &leaf(&renewed)).unwrap().certificate;
    assert_eq!(pki.certificate(&admin, &now).await.unwrap().profile, "month");

    // One that has ended, or was disabled, gives nothing any more.
    pki.set_profile(&admin, "spare", rules(48)).await.unwrap();
    let spare = devices.create_claim(&admin, here("spare")).await.unwrap().claim;
    devices.disable_claim(&admin, &spare.id).await.unwrap();
    pki.remove_profile(&admin, "spare").await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e6_who_asks_without_a_token_gets_the_profile_that_the_organization_says(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki, devices) = (w.admin().await, w.fleet.pki(), w.fleet.devices());
    for name in ["month", "spare"] {
        pki.set_profile(&admin, name, rules(720)).await.unwrap();
    }
    let set = async |open, profile: &str| devices.set_open_enrolment(&admin, &EnrolmentSettings { open, profile: profile.into() }).await;
    assert!(is_unknown(&set(true, "year").await.unwrap_err().fault()));
    assert!(!devices.enrolment_settings(&admin).await.unwrap().open, "nothing was done");
    set(true, "spare").await.unwrap();
    let told = EnrolmentSettings { open: true, profile: "spare".into() };
    assert_eq!(devices.enrolment_settings(&w.viewer().await).await.unwrap(), told);
    assert_eq!(devices.enrolment_page(&admin).await.unwrap().settings, told);
    assert!(details(&w, "enrolment.open").await.contains("\"profile\":\"spare\""));

    let (over, asked) = (Over { open: Some(&w.org), ..Over::default() }, asks("gw-1", &KeyPair::generate().unwrap()));
    assert!(matches!(join(&w, &asked, over).await, Err(crate::devices::Error::Pending)));
    let waits = devices.enrolment_requests(&admin, None, None).await.unwrap().items.remove(0);
    devices.approve_enrolment(&admin, &waits.id).await.unwrap();
    // Closed, it gives what it says to those that have asked.
    set(false, "spare").await.unwrap();
    let used = pki.remove_profile(&admin, "spare").await.unwrap_err().fault();
    assert!(used.message.contains("in use: the setting for devices that ask without a token."), "{}", used.message);
    set(false, "month").await.unwrap();
    pki.remove_profile(&admin, "spare").await.unwrap();
    let enrolled = join(&w, &asked, over).await.unwrap();
    assert_eq!(holds(&w, &enrolled), 720);
    let peer = check(&w, &leaf(&enrolled)).unwrap();
    assert_eq!(pki.certificate(&admin, &peer.certificate).await.unwrap().profile, "month");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn e7_a_batch_gives_its_profile_and_refuses_keys_that_it_is_not_for(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki, devices) = (w.admin().await, w.fleet.pki(), w.fleet.devices());
    pki.set_profile(&admin, "lot", ProfileRules { keys: vec![KeyType::P256], ..rules(720) }).await.unwrap();
    let ed25519 = request("gw-2", &KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
    let lines = [("gw-1", csr("gw-1")), ("gw-2", ed25519)];
    assert!(is_unknown(&send(&w, &admin, "year", &lines).await.unwrap_err().fault()));
    assert!(devices.batches(&admin, None, None).await.unwrap().items.is_empty());

    let batch = send(&w, &admin, "lot", &lines).await.unwrap();
    assert_eq!((batch.profile.as_str(), batch.state), ("lot", BatchState::Working));
    let used = pki.remove_profile(&admin, "lot").await.unwrap_err().fault();
    assert!(used.message.contains("in use: 1 batch that is under way."), "{}", used.message);
    while devices.work_batches().await.unwrap() {}
    let done = devices.batch(&admin, &batch.id).await.unwrap();
    assert_eq!((done.state, done.issued, done.refused), (BatchState::Done, 1, 1));
    let made = devices.batch_lines(&admin, &batch.id, None, None, None).await.unwrap().items;
    assert_eq!((made[1].code.as_str(), made[1].certificate.as_ref()), ("unsupported_alg", None));
    let certificate = pki.certificate(&admin, made[0].certificate.as_ref().unwrap()).await.unwrap();
    assert_eq!(certificate.profile, "lot");
    assert_eq!((certificate.row.not_after.since(w.clock_now()) + 1000) / HOUR, 720);
    for action in ["enrolment_batch.create", "device.enrol"] {
        assert!(details(&w, action).await.contains("\"profile\":\"lot\""), "{action}");
    }
    let used = pki.remove_profile(&admin, "lot").await.unwrap_err().fault();
    assert!(used.message.contains("in use: 1 active certificate."), "{}", used.message);
}

/// an issuing authority is followed while twice the longest life of its certificates is left of it, whatever profile or certificate that is of.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r9_an_authority_is_followed_in_time_for_the_longest_profile(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let of = async |kind: &str| {
        let all = pki.authorities_page(&admin).await.unwrap().authorities;
        all.into_iter().find(|a| a.row.kind == kind && a.row.state == AuthorityState::Active).unwrap()
    };
    // Days of its life that are left when it has to be followed.
    let ahead = async |kind: &str| {
        let of = of(kind).await;
        of.follow_from.map(|from| of.row.not_after.since(from) / DAY)
    };
    assert_eq!((ahead("device").await, ahead("server").await, ahead("root").await), (Some(180), Some(180), Some(180)));
    pki.set_profile(&admin, "hour", rules(1)).await.unwrap();
    assert_eq!(ahead("device").await, Some(180), "what has no profile lives for 90 days");
    pki.set_profile(&admin, "year", rules(365 * 24)).await.unwrap();
    assert_eq!((ahead("device").await, ahead("server").await, ahead("root").await), (Some(730), Some(180), Some(730)));
    let detail = pki.authority(&admin, &of("device").await.row.id).await.unwrap();
    assert_eq!((detail.standing.follow_from, detail.standing.ahead_days()), (of("device").await.follow_from, 730));

    // A certificate that was issued holds for as long as it says, also when its profile was made shorter since.
    let enrolled = enrol(&w, "year", "gw-1", &KeyPair::generate().unwrap()).await.unwrap();
    pki.set_profile(&admin, "year", rules(24)).await.unwrap();
    assert_eq!(ahead("device").await, Some(730));
    let certificate = check(&w, &leaf(&enrolled)).unwrap().certificate;
    pki.revoke(&admin, &certificate, RevocationReason::Superseded).await.unwrap();
    assert_eq!(ahead("device").await, Some(180));

    let told = async || {
        let all = w.fleet.overview(&admin).await.unwrap().attention;
        all.into_iter().find(|a| matches!(a.matter, Matter::AuthorityEnds { .. }))
    };
    assert_eq!(told().await, None);
    pki.set_profile(&admin, "long", rules(MAX_PROFILE_HOURS)).await.unwrap();
    assert_eq!(told().await, None, "five years are more than twice 825 days");
    w.clock.advance(180 * DAY);
    assert!(of("device").await.is_due(w.clock_now()) && !of("server").await.is_due(w.clock_now()));
    let due = told().await.unwrap();
    assert_eq!(due.since, of("device").await.follow_from.unwrap());
    let Matter::AuthorityEnds { authority, name, staged, .. } = due.matter else { panic!("another matter") };
    assert_eq!((authority, name.as_str(), staged), (of("device").await.row.id, "Fleetward Device CA G1-1", false));
    let next = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    assert!(matches!(told().await.unwrap().matter, Matter::AuthorityEnds { staged: true, .. }));
    pki.activate_authority(&admin, &next.id, false).await.unwrap();
    assert_eq!(told().await, None);
}

/// P-6, R-9, E-7: certificates that are written into devices once. What an authority from before can't give in full it cuts, and is due; the next one lives as
/// much longer, and its list names what was revoked for as long as that would have held.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn p6_a_factory_profile_gives_ten_years_and_a_revocation_lasts_as_long(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki, devices) = (w.admin().await, w.fleet.pki(), w.fleet.devices());
    let of = async || {
        let all = pki.authorities_page(&admin).await.unwrap().authorities;
        all.into_iter().find(|a| a.row.kind == "device" && a.row.state == AuthorityState::Active).unwrap()
    };
    pki.set_profile(&admin, "plant", factory(MAX_FACTORY_HOURS)).await.unwrap();
    assert!(pki.profiles(&admin).await.unwrap()[0].rules.factory);
    assert!(details(&w, "certificate_profile.set").await.contains("\"factory\":true"));
    let first = of().await;
    let cut = enrol(&w, "plant", "gw-1", &KeyPair::generate().unwrap()).await.unwrap();
    assert_eq!(cut.not_after, first.row.not_after, "never longer than its authority");
    assert!(first.is_due(w.clock_now()), "it can't give what the profile says");

    let next = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    assert_eq!((next.not_after.since(w.clock_now()) + 1000) / DAY, 15 * 365 + 1);
    pki.activate_authority(&admin, &next.id, false).await.unwrap();
    let standing = of().await;
    assert_eq!((standing.row.id.clone(), standing.ahead_days(), standing.is_due(w.clock_now())), (next.id.clone(), 3650, false));
    let batch = send(&w, &admin, "plant", &[("gw-2", csr("gw-2"))]).await.unwrap();
    while devices.work_batches().await.unwrap() {}
    let line = devices.batch_lines(&admin, &batch.id, None, None, None).await.unwrap().items.remove(0);
    let certificate = line.certificate.unwrap();
    let row = pki.certificate(&admin, &certificate).await.unwrap().row;
    assert_eq!((row.not_after.since(w.clock_now()) + 1000) / HOUR, i64::from(MAX_FACTORY_HOURS));
    pki.set_profile(&admin, "month", rules(720)).await.unwrap();
    assert_eq!(holds(&w, &enrol(&w, "month", "gw-3", &KeyPair::generate().unwrap()).await.unwrap()), 720, "others are as they were");

    pki.revoke(&admin, &certificate, RevocationReason::KeyCompromise).await.unwrap();
    let listed = || {
        let list = pki.crl(&next.id).unwrap();
        let (_, list) = CertificateRevocationList::from_der(&list.der).unwrap();
        list.iter_revoked_certificates().any(|entry| hex::encode(entry.raw_serial()) == row.serial)
    };
    for years in 0..10 {
        pki.publish_due().await.unwrap();
        assert!(listed(), "after {years} years");
        w.clock.advance(365 * DAY);
    }
}
