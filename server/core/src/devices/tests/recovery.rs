//! Devices that come back after their certificate has ended, on both engines.

use super::super::Error;
use crate::{
    access::Actor,
    db::EngineKind,
    devices::Attempt,
    pki::{self, csr},
    testing::{World, csr_by as by},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{KeyPair, SigningKey as _};
use rstest::rstest;
use std::collections::BTreeMap;
use wire::{
    blocked::NewBlockedKey,
    enrolment::{EnrolRequest, Enrolled, NewEnrolmentToken, RecoverRequest},
    pki::{AuthorityUse, ComingBack, IdentityRules, ProfileRules, RevocationReason},
    states::{CertificateState, ClonePolicy, DeviceStep, RecoveryPolicy, RekeyPolicy},
};

const DAY: i64 = 86_400_000;
const OFF: IdentityRules =
    IdentityRules { clones: ClonePolicy::Alert, rekey: RekeyPolicy::Allowed, recovery: RecoveryPolicy::Off, recovery_days: 30 };

/// What a device sends that holds `old` and wants a certificate for `csr`.
fn signed(w: &World, old: &KeyPair, certificate: &str, csr: &str) -> RecoverRequest {
    let nonce = w.fleet.devices().recovery_nonce().nonce;
    let digest = csr::gate(csr.as_bytes(), None).unwrap().csr_sha256;
    let message = [STANDARD.decode(&nonce).unwrap().as_slice(), &digest].concat();
    let signature = STANDARD.encode(old.sign(&message).unwrap());
    RecoverRequest { csr: csr.to_owned(), certificate: certificate.to_owned(), nonce, signature }
}

async fn recover(w: &World, request: &RecoverRequest) -> Result<Enrolled, String> {
    // Each from an address of its own: it is the rule that refuses, not the throttle.
    let address = format!("192.0.2.{}", w.entropy.bytes::<1>()[0]);
    w.fleet.devices().recover(request, &address).await.map_err(|e| e.fault().code)
}

struct Lost {
    w: World,
    admin: Actor,
    key: KeyPair,
    certificate: String,
}

/// A fleet whose only device comes a day too late.
async fn lost(kind: EngineKind, rules: IdentityRules) -> Lost {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    w.fleet.pki().set_rules(&admin, rules).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let enrolled = w.enrol("gw-1", "sim", by(&key, "gw-1")).await.unwrap();
    w.clock.advance(enrolled.not_after.since(w.clock_now()) + DAY);
    w.fleet.pki().tick().await.unwrap();
    Lost { w, admin, key, certificate: enrolled.certificate }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r4_it_is_off_until_it_is_switched_on_and_then_gives_one_certificate_a_key(#[case] kind: EngineKind) {
    let Lost { w, admin, key, certificate } = lost(kind, OFF).await;
    let csr = by(&key, "gw-1");
    assert_eq!(recover(&w, &signed(&w, &key, &certificate, &csr)).await.unwrap_err(), "recovery_off");
    w.fleet.pki().set_rules(&admin, IdentityRules { recovery: RecoveryPolicy::Auto, ..OFF }).await.unwrap();
    let back = recover(&w, &signed(&w, &key, &certificate, &csr)).await.unwrap();
    assert_ne!(back.certificate, certificate);
    // A lost answer is given again, and a parallel question gets the same one.
    let ask = || async { recover(&w, &signed(&w, &key, &certificate, &csr)).await.unwrap().certificate };
    let (one, other) = tokio::join!(ask(), ask());
    assert_eq!([&one, &other], [&back.certificate; 2]);
    // Another key replaces what was not used.
    let new = KeyPair::generate().unwrap();
    let rekeyed = recover(&w, &signed(&w, &key, &certificate, &by(&new, "gw-1"))).await.unwrap();
    let detail = w.fleet.devices().detail(&admin, &"gw-1".parse().unwrap()).await.unwrap().1;
    let active: Vec<_> = detail.certificates.iter().filter(|c| c.state == CertificateState::Active).collect();
    assert_eq!(active.len(), 1, "{:?}", detail.certificates);
    // Once it is in use, the old key brings nothing any more.
    let leaf = rustls_pki_types::pem::PemObject::from_pem_slice(rekeyed.certificate.as_bytes()).unwrap();
    let leaf: rustls_pki_types::CertificateDer<'static> = leaf;
    let peer = w.fleet.pki().trust().check(&leaf).unwrap();
    w.fleet.pki().note_first_use(&peer.certificate).await.unwrap();
    assert_eq!(recover(&w, &signed(&w, &key, &certificate, &csr)).await.unwrap_err(), "not_recoverable");
    let log = w.fleet.access().audit_page(&admin, None).await.unwrap().entries.items;
    assert_eq!(log.iter().filter(|e| e.action == "device.recover").count(), 2);
    // K-8: from where, and for which CSR.
    let hash = hex::encode(csr::gate(csr.as_bytes(), None).unwrap().csr_sha256);
    for action in ["certificate.issue", "device.recover"] {
        let row = log.iter().find(|e| e.action == action && e.detail.contains(&hash)).unwrap_or_else(|| panic!("no {action}"));
        assert!(row.address.starts_with("192.0.2."), "{row:?}");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r2_what_a_device_has_from_before_the_ended_one_stays_beside_what_it_gets(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, system) = (w.admin().await, Actor::system(w.org.clone()));
    let (pki, devices) = (w.fleet.pki(), w.fleet.devices());
    pki.set_rules(&admin, IdentityRules { recovery: RecoveryPolicy::Auto, ..OFF }).await.unwrap();
    let profile =
        async |hours| pki.set_profile(&admin, "p", ProfileRules { hours, factory: false, keys: vec![], rekey: None }).await.unwrap();
    profile(2000).await;
    let token = NewEnrolmentToken { label: "t".into(), max_uses: 1, hours: 1, profile: "p".into(), ..NewEnrolmentToken::default() };
    let secret = devices.create_enrolment_token(&system, token).await.unwrap().secret;
    let (device_id, device_type, hardware) = (None, "sim".to_owned(), String::new());
    let csr = by(&KeyPair::generate().unwrap(), "gw-1");
    let request = EnrolRequest { csr, device_id, device_type, hardware, attributes: BTreeMap::new() };
    let long = devices.enrol(Attempt { secret: &secret, request: &request, address: "192.0.2.1" }).await.unwrap();
    let leaf: rustls_pki_types::CertificateDer<'static> =
        rustls_pki_types::pem::PemObject::from_pem_slice(long.certificate.as_bytes()).unwrap();
    let peer = pki.trust().check(&leaf).unwrap();
    // Its successor holds for a shorter time and is never used.
    profile(2).await;
    w.clock.advance(60_000);
    let key = KeyPair::generate().unwrap();
    let ended = pki.renew(&system, &peer, by(&key, "gw-1").as_bytes(), "https://d").await.unwrap().certificate;
    w.clock.advance(DAY);
    pki.tick().await.unwrap();
    let usable = async || {
        let all = devices.detail(&admin, &"gw-1".parse().unwrap()).await.unwrap().1.certificates;
        all.into_iter().filter(|c| c.state == CertificateState::Active).map(|c| c.id).collect::<Vec<_>>()
    };
    assert_eq!(usable().await, std::slice::from_ref(&peer.certificate));
    for _ in 0..2 {
        let csr = by(&KeyPair::generate().unwrap(), "gw-1");
        recover(&w, &signed(&w, &key, &ended, &csr)).await.unwrap();
        let usable = usable().await;
        assert!(usable.len() == 2 && usable.contains(&peer.certificate), "{usable:?}");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r4_where_a_person_decides_it_waits_and_the_name_is_its_own(#[case] kind: EngineKind) {
    let Lost { w, admin, key, certificate } = lost(kind, IdentityRules { recovery: RecoveryPolicy::Approval, ..OFF }).await;
    let csr = by(&key, "gw-1");
    assert_eq!(recover(&w, &signed(&w, &key, &certificate, &csr)).await.unwrap_err(), "pending");
    let other = by(&KeyPair::generate().unwrap(), "gw-1");
    assert_eq!(recover(&w, &signed(&w, &key, &certificate, &other)).await.unwrap_err(), "pending");
    let waiting = w.fleet.devices().enrolment_requests(&admin, None, None).await.unwrap().items;
    assert_eq!(waiting.len(), 1, "one question a device, the newest");
    assert!(waiting[0].recovers && waiting[0].device_id.as_str() == "gw-1" && waiting[0].device_type == "sim");
    w.fleet.devices().approve_enrolment(&admin, &waiting[0].id).await.unwrap();
    assert_eq!(recover(&w, &signed(&w, &key, &certificate, &csr)).await.unwrap_err(), "pending", "what was approved is one key");
    let waiting = w.fleet.devices().enrolment_requests(&admin, None, None).await.unwrap().items;
    w.fleet.devices().reject_enrolment(&admin, &waiting[0].id).await.unwrap();
    assert_eq!(recover(&w, &signed(&w, &key, &certificate, &csr)).await.unwrap_err(), "enrolment_rejected");
    assert!(recover(&w, &signed(&w, &key, &certificate, &other)).await.is_ok());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r4_and_a_34_what_can_not_come_back_does_not(#[case] kind: EngineKind) {
    let auto = IdentityRules { recovery: RecoveryPolicy::Auto, recovery_days: 2, ..OFF };
    let Lost { w, admin, key, certificate } = lost(kind, auto).await;
    let csr = by(&key, "gw-1");
    let good = || signed(&w, &key, &certificate, &csr);
    let stranger = KeyPair::generate().unwrap();
    let foreign = rcgen::CertificateParams::new(vec!["gw-1".into()]).unwrap().self_signed(&stranger).unwrap().pem();
    for (what, request, code) in [
        ("another key's signature", signed(&w, &stranger, &certificate, &csr), "recovery_refused"),
        ("a certificate of somebody else", signed(&w, &stranger, &foreign, &csr), "recovery_refused"),
        ("no certificate", RecoverRequest { certificate: "x".repeat(100_000), ..good() }, "recovery_refused"),
        ("no signature", RecoverRequest { signature: String::new(), ..good() }, "recovery_refused"),
        ("another CSR under the signature", RecoverRequest { csr: by(&stranger, "gw-1"), ..good() }, "recovery_refused"),
        ("a nonce of another fleet", RecoverRequest { nonce: STANDARD.encode([7; 56]), ..good() }, "recovery_nonce"),
        ("no nonce", RecoverRequest { nonce: String::new(), ..good() }, "recovery_nonce"),
        ("another name", signed(&w, &key, &certificate, &by(&key, "gw-2")), "identity_mismatch"),
        ("no CSR", RecoverRequest { csr: "hello".into(), ..good() }, "csr_malformed"),
    ] {
        assert_eq!(recover(&w, &request).await.unwrap_err(), code, "{what}");
    }
    let old = good();
    w.clock.advance(6 * 60_000);
    assert_eq!(recover(&w, &old).await.unwrap_err(), "recovery_nonce", "five minutes are over");

    let devices = w.fleet.devices();
    devices.change(&admin, &"gw-1".parse().unwrap(), DeviceStep::Suspend).await.unwrap();
    assert_eq!(recover(&w, &good()).await.unwrap_err(), "not_recoverable", "suspended");
    devices.change(&admin, &"gw-1".parse().unwrap(), DeviceStep::Resume).await.unwrap();
    w.fleet.pki().set_rules(&admin, IdentityRules { rekey: RekeyPolicy::Required, ..auto }).await.unwrap();
    assert_eq!(recover(&w, &good()).await.unwrap_err(), "rekey_required");
    w.fleet.pki().set_rules(&admin, IdentityRules { rekey: RekeyPolicy::Forbidden, ..auto }).await.unwrap();
    let rekeyed = signed(&w, &key, &certificate, &by(&stranger, "gw-1"));
    assert_eq!(recover(&w, &rekeyed).await.unwrap_err(), "rekey_forbidden");
    w.clock.advance(2 * DAY);
    assert_eq!(recover(&w, &good()).await.unwrap_err(), "not_recoverable", "too late");

    let fresh = KeyPair::generate().unwrap();
    let enrolled = w.enrol("gw-3", "sim", by(&fresh, "gw-3")).await.unwrap();
    let early = signed(&w, &fresh, &enrolled.certificate, &by(&fresh, "gw-3"));
    assert_eq!(recover(&w, &early).await.unwrap_err(), "not_ended");
    let id = devices.detail(&admin, &"gw-3".parse().unwrap()).await.unwrap().1.certificates[0].id.clone();
    w.fleet.pki().revoke(&admin, &id, RevocationReason::Unspecified).await.unwrap();
    w.clock.advance(enrolled.not_after.since(w.clock_now()) + DAY);
    let revoked = signed(&w, &fresh, &enrolled.certificate, &by(&fresh, "gw-3"));
    assert_eq!(recover(&w, &revoked).await.unwrap_err(), "not_recoverable", "revoked");
}

#[tokio::test]
async fn guesses_are_throttled_and_rules_are_an_admins() {
    let Lost { w, admin, key, certificate } = lost(EngineKind::Sqlite, IdentityRules { recovery: RecoveryPolicy::Auto, ..OFF }).await;
    let csr = by(&key, "gw-1");
    let forged = RecoverRequest { signature: STANDARD.encode([1; 70]), ..signed(&w, &key, &certificate, &csr) };
    let mut last = None;
    for _ in 0..12 {
        last = w.fleet.devices().recover(&forged, "192.0.2.1").await.err();
    }
    assert!(matches!(last, Some(Error::TooMany)), "{last:?}");
    assert!(
        w.fleet.devices().recover(&signed(&w, &key, &certificate, &csr), "192.0.2.1").await.is_ok(),
        "the right key pays for nobody's guesses"
    );
    let operator = w.operator().await;
    assert!(matches!(w.fleet.pki().set_rules(&operator, OFF).await, Err(pki::Error::Access(_))));
    let never = IdentityRules { recovery_days: 0, ..OFF };
    assert!(matches!(w.fleet.pki().set_rules(&admin, never).await, Err(pki::Error::RecoveryDays)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r11_devices_of_an_authority_that_was_given_up_come_back_by_their_keys(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let (pki, devices) = (w.fleet.pki(), w.fleet.devices());
    let mut had = Vec::new();
    for id in ["gw-1", "gw-2", "gw-3", "gw-4"] {
        let key = KeyPair::generate().unwrap();
        let certificate = w.enrol(id, "sim", by(&key, id)).await.unwrap().certificate;
        let csr = by(&key, id);
        had.push((key, certificate, csr));
    }
    let ask = async |n: usize, csr: &str| recover(&w, &signed(&w, &had[n].0, &had[n].1, csr)).await;
    let with_same = async |n: usize| ask(n, &had[n].2).await;
    let lost = pki.list_authorities(&admin).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    let way = |how, days| pki.recover_devices(&admin, &lost.id, ComingBack { how, days });
    assert!(matches!(way(RecoveryPolicy::Auto, 1).await, Err(pki::Error::AuthorityState(_))), "it has not ended");
    pki.compromise_authority(&admin, &lost.id).await.unwrap();
    assert_eq!(with_same(0).await.unwrap_err(), "not_recoverable", "nobody has said so");
    for days in [0, 91] {
        assert!(matches!(way(RecoveryPolicy::Auto, days).await, Err(pki::Error::WayBackDays)));
    }
    let operator = w.operator().await;
    let denied = pki.recover_devices(&operator, &lost.id, ComingBack { how: RecoveryPolicy::Auto, days: 1 }).await;
    assert!(matches!(denied, Err(pki::Error::Access(_))));

    assert_eq!(way(RecoveryPolicy::Approval, 10).await.unwrap(), 4);
    assert_eq!(with_same(0).await.unwrap_err(), "pending", "also while no authority issues");
    let next = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    pki.activate_authority(&admin, &next.id, false).await.unwrap();
    let waiting = devices.enrolment_requests(&admin, None, None).await.unwrap().items;
    assert!(waiting.len() == 1 && waiting[0].recovers);
    devices.approve_enrolment(&admin, &waiting[0].id).await.unwrap();
    let back = with_same(0).await.unwrap();
    let leaf: rustls_pki_types::CertificateDer<'static> =
        rustls_pki_types::pem::PemObject::from_pem_slice(back.certificate.as_bytes()).unwrap();
    let peer = pki.trust().check(&leaf).unwrap();
    assert_eq!(pki.certificate(&admin, &peer.certificate).await.unwrap().row.issuer, next.subject);
    assert_eq!(with_same(0).await.unwrap().certificate, back.certificate, "a lost answer is given again");

    // At once, also with another key.
    assert_eq!(way(RecoveryPolicy::Auto, 10).await.unwrap(), 3, "one is back");
    ask(1, &by(&KeyPair::generate().unwrap(), "gw-2")).await.unwrap();
    // Whoever has the authority's key can sign for any device, and nobody has issued that here.
    let (stranger, (_, stolen)) = (KeyPair::generate().unwrap(), pki.stolen(&lost).await);
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "gw-3");
    let forged = params.signed_by(&stranger, &stolen).unwrap().pem();
    assert_eq!(recover(&w, &signed(&w, &stranger, &forged, &by(&stranger, "gw-3"))).await.unwrap_err(), "recovery_refused");
    let id = devices.detail(&admin, &"gw-3".parse().unwrap()).await.unwrap().1.certificates[0].id.clone();
    pki.revoke(&admin, &id, RevocationReason::Unspecified).await.unwrap();
    assert_eq!(with_same(2).await.unwrap_err(), "not_recoverable", "revoked");

    assert_eq!(way(RecoveryPolicy::Off, 0).await.unwrap(), 1);
    assert_eq!(with_same(3).await.unwrap_err(), "not_recoverable", "it was ended");
    way(RecoveryPolicy::Auto, 10).await.unwrap();
    let shown = pki.authority(&admin, &lost.id).await.unwrap().aftermath.unwrap();
    assert_eq!((shown.way_back, shown.until), (RecoveryPolicy::Auto, Some(w.clock_now().plus(10 * DAY))));
    w.clock.advance(10 * DAY);
    assert_eq!(with_same(3).await.unwrap_err(), "not_recoverable", "the days are over");
    assert_eq!(pki.authority(&admin, &lost.id).await.unwrap().aftermath.unwrap().way_back, RecoveryPolicy::Off);
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
}

/// What the books say of those who asked for a certificate with a blocked key.
async fn told(w: &World, admin: &Actor) -> Vec<String> {
    w.fleet.attacks().write_down().await.unwrap();
    let log = w.fleet.access().audit_page(admin, None).await.unwrap().entries.items;
    log.into_iter().filter(|e| e.action == "certificate.refuse").map(|e| e.detail).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_5_nobody_comes_back_by_a_key_that_was_blocked_by_hand(#[case] kind: EngineKind) {
    let Lost { w, admin, key, certificate } = lost(kind, IdentityRules { recovery: RecoveryPolicy::Auto, ..OFF }).await;
    let pki = w.fleet.pki();
    let new = NewBlockedKey { public_key: key.public_key_pem(), reason: "in the image of 2.1".to_owned(), ..NewBlockedKey::default() };
    let blocked = pki.block_key(&admin, &new).await.unwrap();
    for csr in [by(&key, "gw-1"), by(&KeyPair::generate().unwrap(), "gw-1")] {
        assert_eq!(recover(&w, &signed(&w, &key, &certificate, &csr)).await.unwrap_err(), "not_recoverable");
    }
    let told = told(&w, &admin).await;
    assert!(!told.is_empty() && told.iter().all(|detail| detail.contains("blocked by hand")), "{told:?}");
    pki.unblock_key(&admin, &blocked.spki_sha256).await.unwrap();
    assert!(recover(&w, &signed(&w, &key, &certificate, &by(&key, "gw-1"))).await.is_ok());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_5_an_ended_certificate_for_a_compromised_key_brings_nothing_back(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, system, pki) = (w.admin().await, Actor::system(w.org.clone()), w.fleet.pki());
    pki.set_rules(&admin, IdentityRules { recovery: RecoveryPolicy::Auto, ..OFF }).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let peer = |certificate: &str| {
        let leaf: rustls_pki_types::CertificateDer<'static> =
            rustls_pki_types::pem::PemObject::from_pem_slice(certificate.as_bytes()).unwrap();
        pki.trust().check(&leaf).unwrap()
    };
    let first = w.enrol("gw-1", "sim", by(&key, "gw-1")).await.unwrap();
    w.clock.advance(first.renew_after.since(w.clock_now()));
    let second = pki.renew(&system, &peer(&first.certificate), by(&key, "gw-1").as_bytes(), "https://d").await.unwrap();
    w.clock.advance(first.not_after.since(w.clock_now()) + DAY);
    pki.tick().await.unwrap();
    pki.reload().await.unwrap();
    pki.revoke(&admin, &peer(&second.certificate).certificate, RevocationReason::KeyCompromise).await.unwrap();
    let csr = by(&KeyPair::generate().unwrap(), "gw-1");
    assert_eq!(recover(&w, &signed(&w, &key, &first.certificate, &csr)).await.unwrap_err(), "not_recoverable");
    let told = told(&w, &admin).await;
    assert!(told.iter().any(|detail| detail.contains("blocked after a compromise")), "{told:?}");
}
