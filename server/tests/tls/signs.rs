//! Handshakes that are refused: each is counted by its reason, and those that are signs of attack are in the audit log, in bounds (A-1, A-2, A-4, H-4).

use super::rig::{BOTH, Identity, PATIENCE, Rig, rig, rig_with};
use crate::support::eventually;
use fleet::{
    access::{Actor, attacks::Kind},
    db::EngineKind,
};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rstest::rstest;
use rustls::{AlertDescription, version::TLS13};
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use server::tls::{Limits, Reason};
use wire::{access::AuditEntry, overview::Matter};

const MINUTE: i64 = 60_000;

/// What the books have of handshakes, oldest first.
async fn booked(rig: &Rig, action: &str) -> Vec<(AuditEntry, Value)> {
    rig.world.fleet.attacks().write_down().await.unwrap();
    let log = rig.world.fleet.access().search_audit(&Actor::system(rig.world.org.clone()), action, None).await.unwrap().entries.items;
    log.into_iter().rev().map(|e| (e.clone(), serde_json::from_str(&e.detail).unwrap())).collect()
}

/// The client hears of its alert before the server has counted it.
async fn counted(rig: &Rig, reason: Reason, times: u64) {
    eventually(reason.as_str(), PATIENCE, || async { rig.stats.failed.of(reason) == times }).await;
}

/// A certificate that its own key has signed.
fn self_signed() -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "gw-1\u{202e}");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let der = params.self_signed(&key).unwrap().der().clone();
    Identity::of(vec![der], &key)
}

#[tokio::test]
async fn a_01_strangers_are_in_the_books_with_what_is_known_of_them() {
    let rig = rig().await;
    let good = rig.enrol("gw-1").await;
    let stranger = self_signed();
    for _ in 0..20 {
        for version in BOTH {
            assert_eq!(rig.alert(Some(&stranger), version).await, Some(AlertDescription::UnknownCA));
        }
    }
    counted(&rig, Reason::UnknownIssuer, 40).await;
    let [(row, detail)] = booked(&rig, "handshake.refuse").await.try_into().unwrap();
    assert_eq!((row.address.as_str(), detail["code"].as_str()), ("127.0.0.1", Some("unknown_issuer")));
    assert_eq!(detail["fingerprint"], hex::encode(fleet::pki::csr::sha256(&stranger.chain[0])));
    assert_eq!((detail["listener"].as_str(), detail["times"].as_u64()), (Some("device"), Some(1)));
    assert!(detail["subject"].as_str().unwrap().contains("\\u{202e}"), "what others wrote is escaped (A-24): {detail}");
    rig.world.clock.advance(MINUTE);
    let rows = booked(&rig, "handshake.refuse").await;
    assert_eq!((rows.len(), rows[1].1["times"].as_u64()), (2, Some(39)), "one row a minute says how many came in between");

    // Somebody else's certificate without its key: whose it is, is in the books.
    let stolen = Identity::of(good.chain.clone(), &KeyPair::generate().unwrap());
    for version in BOTH {
        assert_eq!(rig.alert(Some(&stolen), version).await, Some(AlertDescription::DecryptError));
    }
    counted(&rig, Reason::KeyNotProved, 2).await;
    let (row, detail) = booked(&rig, "handshake.refuse").await.pop().unwrap();
    assert_eq!(
        (row.object.as_str(), detail["code"].as_str(), detail["device_id"].as_str()),
        ("gw-1", Some("key_not_proved"), Some("gw-1"))
    );
    assert_eq!(rig.world.fleet.attacks().dropped(), 0);
}

/// A party that is nobody's: its certificate, by its own key or by the one before.
struct Stranger {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

impl Stranger {
    fn of(name: &str, by: Option<&Self>, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let made = match by {
            Some(by) => params.signed_by(&key, &Issuer::from_params(&by.params, &by.key)),
            None => params.self_signed(&key),
        };
        let der = made.unwrap().der().clone();
        Self { params, key, der }
    }
}

/// What webpki says in words of its own is told apart: only a certificate that is good for something else is one of a wrong purpose.
#[tokio::test]
async fn a_09_a_chain_that_is_wrong_is_counted_by_what_is_wrong_with_it() {
    let rig = rig().await;
    let client = |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let authority = Stranger::of("gw-1", None, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let demanding = Stranger::of("gw-1", None, |params| {
        client(params);
        let mut unheard_of = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55555, 1], vec![5, 0]);
        unheard_of.set_criticality(true);
        params.custom_extensions.push(unheard_of);
    });
    // An authority below one that lets none be below it.
    let outer = Stranger::of("Outer CA", None, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let inner = Stranger::of("Inner CA", Some(&outer), |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let deep = Stranger::of("gw-1", Some(&inner), client);
    let above = [inner.der.clone(), outer.der.clone()];
    // Authorities in a device's place: somebody's own, one that only has the name of ours, and one that ours has signed.
    let system = Actor::system(rig.world.org.clone());
    let row = rig.world.fleet.pki().list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    let (ours, thief) = rig.world.fleet.pki().stolen(&row).await;
    let key = KeyPair::generate().unwrap();
    let ca = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let Stranger { params, .. } = Stranger::of("gw-1", None, ca);
    let below = Stranger { der: params.signed_by(&key, &thief).unwrap().into(), params, key };
    let namesake = Issuer::from_ca_cert_der(&ours, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let Stranger { params, .. } = Stranger::of("gw-1", None, ca);
    let forged = Stranger { der: params.signed_by(&key, &namesake).unwrap().into(), params, key };
    let (unknown, unsupported) = (AlertDescription::UnknownCA, AlertDescription::UnsupportedCertificate);
    let nothing = AlertDescription::CertificateUnknown;
    for (stranger, above, alert, reason, times, kind, signs) in [
        (&authority, &[][..], unknown, Reason::UnknownIssuer, 2, Kind::UnknownIssuer, 2),
        (&forged, &[], unknown, Reason::UnknownIssuer, 4, Kind::UnknownIssuer, 4),
        (&below, &[], unsupported, Reason::WrongPurpose, 2, Kind::WrongPurpose, 2),
        (&demanding, &[], nothing, Reason::Malformed, 2, Kind::WrongPurpose, 2),
        (&deep, &above[..], nothing, Reason::Constraints, 2, Kind::UnknownIssuer, 6),
    ] {
        let chain = std::iter::once(&stranger.der).chain(above).cloned().collect();
        let shown = Identity::of(chain, &stranger.key);
        for version in BOTH {
            assert_eq!(rig.alert(Some(&shown), version).await, Some(alert), "{reason:?}");
        }
        counted(&rig, reason, times).await;
        let told = || async { rig.world.fleet.attacks().seen().any(|seen| seen == (kind, signs)) };
        eventually("told as a sign of attack, or not", PATIENCE, told).await;
    }
    assert_eq!(rig.stats.failed.of(Reason::WrongPurpose), 2, "what ours has signed alone");
}

#[tokio::test]
async fn a_02_without_a_certificate_there_is_an_alert_and_a_count_and_nothing_else() {
    let rig = rig().await;
    for version in BOTH {
        assert_eq!(rig.alert(None, version).await, Some(AlertDescription::CertificateRequired), "{version:?}");
    }
    counted(&rig, Reason::NoCertificate, 2).await;
    // Who has nothing to show is nobody in particular, as is one whose time is over.
    let late = rig.enrol("gw-1").await;
    rig.world.clock.advance(91 * 24 * 60 * MINUTE);
    assert_eq!(rig.alert(Some(&late), &TLS13).await, Some(AlertDescription::CertificateExpired));
    counted(&rig, Reason::Expired, 1).await;
    assert_eq!(rig.stats.failed.all().map(|(_, n)| n).sum::<u64>(), 3);
    assert!(booked(&rig, "handshake").await.is_empty());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_04_a_revoked_certificate_is_told_so_and_is_in_the_books(#[case] kind: EngineKind) {
    let rig = rig_with(kind, Limits::default()).await;
    let (revoked, good) = (rig.enrol("gw-1").await, rig.enrol("gw-2").await);
    for version in BOTH {
        assert_eq!(rig.alert(Some(&revoked), version).await, None);
    }
    rig.revoke(&revoked).await;
    for version in BOTH {
        assert_eq!(rig.alert(Some(&revoked), version).await, Some(AlertDescription::CertificateRevoked), "{version:?}");
        assert_eq!(rig.alert(Some(&good), version).await, None);
    }
    counted(&rig, Reason::Revoked, 2).await;
    let [(row, detail)] = booked(&rig, "handshake.refuse").await.try_into().unwrap();
    assert_eq!((row.object.as_str(), row.address.as_str(), detail["code"].as_str()), ("gw-1", "127.0.0.1", Some("revoked")));
    assert!(detail["certificate"].is_string() && detail["serial"].as_str().unwrap().len() == 40, "{detail}");
    assert_eq!(rig.world.fleet.access().verify_audit(&Actor::system(rig.world.org.clone())).await.unwrap().broken_at, None);
}

/// A thief of an authority's key says what they like of when a certificate was issued.
#[rstest]
#[case::now(0)]
#[case::in_a_minute(1)]
#[case::an_hour_ago(-60)]
#[tokio::test]
async fn h4_a_certificate_of_a_stolen_key_is_an_alarm_whenever_it_says_it_begins(#[case] minutes: i64) {
    let rig = rig().await;
    let fleet = &rig.world.fleet;
    let system = Actor::system(rig.world.org.clone());
    let row = fleet.pki().list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    let (authority, thief) = fleet.pki().stolen(&row).await;
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "gw-1");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.is_ca = IsCa::ExplicitNoCa;
    // As the profile has it, an hour before it says that it was issued.
    let begins = rig.world.clock_now().plus((minutes - 60) * MINUTE);
    let year_1970 = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = year_1970 + std::time::Duration::from_millis(u64::try_from(begins.0).unwrap());
    params.not_after = params.not_before + std::time::Duration::from_hours(24 * 30);
    let forged = Identity::of(vec![params.signed_by(&key, &thief).unwrap().into(), authority], &key);
    assert_eq!(rig.alert(Some(&forged), &TLS13).await, Some(AlertDescription::AccessDenied));
    let reasons = [Reason::NeverIssued, Reason::NotYetKnown];
    eventually("counted", PATIENCE, || async { reasons.iter().map(|r| rig.stats.failed.of(*r)).sum::<u64>() == 1 }).await;
    rig.world.clock.advance(7_000);
    eventually("the database was asked", PATIENCE, || async { fleet.pki().trust().unknown_seen() == 1 }).await;
    let [(booked, detail)] = booked(&rig, "certificate.never_issued").await.try_into().unwrap();
    assert_eq!((booked.object.as_str(), booked.address.as_str()), (row.id.as_str(), "127.0.0.1"), "{detail}");
    let attention = fleet.overview(&system).await.unwrap().attention;
    assert!(attention.iter().any(|a| matches!(a.matter, Matter::NeverIssued { .. })), "{attention:?}");
    assert_eq!(rig.alert(Some(&forged), &TLS13).await, Some(AlertDescription::AccessDenied));
    assert_eq!(rig.registry.len(), 0);
}
