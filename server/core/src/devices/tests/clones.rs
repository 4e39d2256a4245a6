//! Signs of clones: noted once, acted on as the organization wants, and forgotten when a person has looked.

use crate::{
    access::Actor,
    db::EngineKind,
    pki::{DevicePeer, Sign, Suspicion},
    testing::{World, csr},
};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{
    ids::DeviceId,
    overview::Matter,
    pki::{IdentityRules, RevocationReason},
    states::{ClonePolicy, DeviceState, RecoveryPolicy, RekeyPolicy},
};

const MINUTE: i64 = 60_000;

fn peer(w: &World, pem: &str) -> DevicePeer {
    w.fleet.pki().trust().check(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap()
}

/// The next sign, if one waits.
async fn sign(w: &World) -> Option<Suspicion> {
    tokio::time::timeout(std::time::Duration::from_millis(50), w.fleet.pki().next_suspicion()).await.ok().flatten()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r2_an_old_certificate_after_its_successor_is_a_sign(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator, id) = (w.admin().await, w.operator().await, "gw-1".parse::<DeviceId>().unwrap());
    let first = w.enrol("gw-1", "sim", csr("gw-1")).await.unwrap();
    let old = peer(&w, &first.certificate);
    let trust = w.fleet.pki().trust();
    let from = Some("198.51.100.7".parse().unwrap());
    trust.seen(&old, from);
    let renewed = w.fleet.pki().renew(&Actor::system(w.org.clone()), &old, csr("gw-1").as_bytes(), "https://d").await.unwrap();
    trust.seen(&old, from);
    assert_eq!(sign(&w).await, None, "its successor was not used");
    w.fleet.pki().note_first_use(&peer(&w, &renewed.certificate).certificate).await.unwrap();
    w.fleet.pki().reload().await.unwrap();
    trust.seen(&old, from);
    assert_eq!(sign(&w).await, None, "a connection that was being made just then");
    w.clock.advance(6 * MINUTE);
    trust.seen(&old, from);
    trust.seen(&old, from);
    let seen = sign(&w).await.unwrap();
    assert_eq!(seen.sign, Sign::OldCertificate { from });
    assert_eq!(sign(&w).await, None, "told once");

    let devices = w.fleet.devices();
    devices.suspect(&seen).await.unwrap();
    devices.suspect(&seen).await.unwrap();
    let detail = devices.detail(&operator, &id).await.unwrap().1;
    assert!(detail.suspicion.as_ref().unwrap().sign.contains("198.51.100.7"), "{:?}", detail.suspicion);
    assert_eq!(detail.row.state, DeviceState::Active, "people are told");
    let overview = w.fleet.overview(&operator).await.unwrap();
    let told = |matter: &Matter| matches!(matter, Matter::PossibleClone { device, sign } if *device == id && sign.contains("198.51.100.7"));
    assert!(overview.attention.iter().any(|a| told(&a.matter)));
    let count = |log: &[wire::access::AuditEntry]| log.iter().filter(|e| e.action == "device.possible_clone").count();
    assert_eq!(count(&w.fleet.access().audit_page(&operator, None).await.unwrap().entries.items), 1);

    // A person has looked; the next sign is told again, and now the device is suspended.
    devices.clear_suspicion(&operator, &id).await.unwrap();
    devices.clear_suspicion(&operator, &id).await.unwrap();
    assert!(devices.detail(&operator, &id).await.unwrap().1.suspicion.is_none());
    assert!(devices.clear_suspicion(&w.viewer().await, &id).await.is_err());
    let rules =
        IdentityRules { clones: ClonePolicy::Suspend, rekey: RekeyPolicy::Allowed, recovery: RecoveryPolicy::Off, recovery_days: 30 };
    w.fleet.pki().set_rules(&admin, rules).await.unwrap();
    trust.seen(&old, from);
    devices.suspect(&sign(&w).await.unwrap()).await.unwrap();
    let detail = devices.detail(&operator, &id).await.unwrap().1;
    assert!(detail.suspicion.is_some() && detail.row.state == DeviceState::Suspended);
    assert!(trust.still(&old.fingerprint).is_err(), "both sides are cut");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r2_the_way_back_from_a_revoked_successor_is_no_sign(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, system, id) = (w.operator().await, Actor::system(w.org.clone()), "gw-1".parse::<DeviceId>().unwrap());
    let (pki, devices, trust) = (w.fleet.pki(), w.fleet.devices(), w.fleet.pki().trust());
    let from = Some("198.51.100.7".parse().unwrap());
    let old = peer(&w, &w.enrol("gw-1", "sim", csr("gw-1")).await.unwrap().certificate);
    trust.seen(&old, from);
    // The next certificate of the device, by the old one, and used.
    let renewed = async || {
        let next = pki.renew(&system, &old, csr("gw-1").as_bytes(), "https://d").await.unwrap();
        let next = peer(&w, &next.certificate).certificate;
        pki.note_first_use(&next).await.unwrap();
        next
    };
    let next = renewed().await;
    pki.revoke(&system, &next, RevocationReason::KeyCompromise).await.unwrap();
    w.clock.advance(6 * MINUTE);
    trust.seen(&old, from);
    if let Some(seen) = sign(&w).await {
        devices.suspect(&seen).await.unwrap();
    }
    assert_eq!(devices.detail(&operator, &id).await.unwrap().1.suspicion, None, "its only certificate");

    renewed().await;
    w.clock.advance(6 * MINUTE);
    trust.seen(&old, from);
    devices.suspect(&sign(&w).await.unwrap()).await.unwrap();
    assert!(devices.detail(&operator, &id).await.unwrap().1.suspicion.is_some(), "a successor is in use again");
}
