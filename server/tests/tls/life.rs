//! Devices that may not: suspended and decommissioned ones, and renewals that nobody should get.

use super::rig::{BOTH, Identity, PATIENCE, Rig, SECOND, ask, drain, rig_with};
use fleet::{access::Actor, db::EngineKind, pki::DevicePeer, testing};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::AlertDescription;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use server::tls::Limits;
use std::time::Duration;
use tokio::time::timeout;
use wire::{
    devices::StepMany,
    enrolment::Enrolled,
    states::{CertificateState, DeviceStep as Step},
};

fn request(name: &str, key: &KeyPair) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serialize_request(key).unwrap().pem().unwrap()
}

async fn change(rig: &Rig, id: &str, step: Step) {
    let system = Actor::system(rig.world.org.clone());
    rig.world.fleet.devices().change(&system, &id.parse().unwrap(), step).await.unwrap();
}

/// What an enrolment of this id with a token made for it just now is refused with; none when it works.
async fn enrolment_refused(rig: &Rig, id: &str) -> Option<String> {
    rig.world.enrol(id, "sim", testing::csr(id)).await.err().map(|e| e.fault().code)
}

async fn refused_whatever_they_try(kind: EngineKind) {
    let rig = rig_with(kind, Limits::default()).await;
    let (one, bystander) = (rig.enrol("gw-1").await, rig.enrol("gw-2").await);
    let mut download = rig.connect(&one).await;
    ask(&mut download, "/endless").await.unwrap();
    let mut idle = rig.connect(&one).await;
    ask(&mut idle, "/who").await.unwrap();
    let mut other = rig.connect(&bystander).await;
    ask(&mut other, "/who").await.unwrap();
    let peer = rig.world.fleet.pki().trust().check(&one.chain[0]).unwrap();

    change(&rig, "gw-1", Step::Suspend).await;
    let ends = async { tokio::join!(drain(&mut download), drain(&mut idle)) };
    timeout(SECOND, ends).await.expect("its connections are closed within a second");
    for version in BOTH {
        assert_eq!(rig.alert(Some(&one), version).await, Some(AlertDescription::AccessDenied), "{version:?}");
    }
    assert_eq!(enrolment_refused(&rig, "gw-1").await.as_deref(), Some("device_not_active"));
    // A request that was on its way when the connection was cut.
    let key = KeyPair::generate().unwrap();
    let system = Actor::system(rig.world.org.clone());
    let renewed = rig.world.fleet.pki().renew(&system, &peer, request("gw-1", &key).as_bytes(), "https://d").await;
    assert!(renewed.is_err(), "no certificate for a suspended device");

    change(&rig, "gw-1", Step::Resume).await;
    let mut back = rig.connect(&one).await;
    assert!(ask(&mut back, "/who").await.unwrap().ends_with("gw-1 0"), "the same certificate is good again");

    change(&rig, "gw-1", Step::Decommission).await;
    timeout(SECOND, drain(&mut back)).await.expect("cut within a second");
    for version in BOTH {
        assert_eq!(rig.alert(Some(&one), version).await, Some(AlertDescription::CertificateRevoked), "{version:?}");
    }
    assert_eq!(enrolment_refused(&rig, "gw-1").await.as_deref(), Some("device_not_active"));
    assert!(ask(&mut other, "/who").await.unwrap().ends_with("gw-2 0"), "others don't notice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_34_suspended_and_decommissioned_devices_are_refused_everywhere_on_sqlite() {
    Box::pin(refused_whatever_they_try(EngineKind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_34_suspended_and_decommissioned_devices_are_refused_everywhere_on_postgres() {
    Box::pin(refused_whatever_they_try(EngineKind::Postgres)).await;
}

async fn many_are_cut_as_one_is(kind: EngineKind) {
    let rig = rig_with(kind, Limits::default()).await;
    let mut open = Vec::new();
    for id in ["gw-1", "gw-2", "gw-3"] {
        let identity = rig.enrol(id).await;
        let mut conn = rig.connect(&identity).await;
        ask(&mut conn, "/who").await.unwrap();
        open.push((identity, conn));
    }
    let (bystander, mut other) = open.pop().unwrap();
    let system = Actor::system(rig.world.org.clone());
    let step = |step| StepMany { q: "id:gw-1,gw-2".into(), devices: Vec::new(), step, expected: 2 };
    let devices = rig.world.fleet.devices();
    devices.change_many(&system, &step(Step::Suspend)).await.unwrap();
    let ends = futures::future::join_all(open.iter_mut().map(|(_, conn)| drain(conn)));
    timeout(SECOND, ends).await.expect("all of their connections are closed within a second");
    for (identity, _) in &open {
        assert_eq!(rig.alert(Some(identity), BOTH[0]).await, Some(AlertDescription::AccessDenied));
    }
    assert!(ask(&mut other, "/who").await.unwrap().ends_with("gw-3 0"), "others don't notice");
    devices.change_many(&system, &step(Step::Resume)).await.unwrap();
    for (identity, _) in open.iter().chain([&(bystander, other)]) {
        ask(&mut rig.connect(identity).await, "/who").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_34_many_suspended_at_once_lose_their_connections_on_sqlite() {
    Box::pin(many_are_cut_as_one_is(EngineKind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_34_many_suspended_at_once_lose_their_connections_on_postgres() {
    Box::pin(many_are_cut_as_one_is(EngineKind::Postgres)).await;
}

fn identity(enrolled: &Enrolled, key: &KeyPair) -> Identity {
    let chain = std::iter::once(&enrolled.certificate).chain(&enrolled.chain);
    Identity::of(chain.map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).collect(), key)
}

async fn renew(rig: &Rig, peer: &DevicePeer, name: &str) -> Option<Identity> {
    let key = KeyPair::generate().unwrap();
    let system = Actor::system(rig.world.org.clone());
    let renewed = rig.world.fleet.pki().renew(&system, peer, request(name, &key).as_bytes(), "https://d").await.ok()?;
    Some(identity(&renewed, &key))
}

async fn storm(kind: EngineKind) {
    const STORM: usize = 12;
    let rig = rig_with(kind, Limits::default()).await;
    let (one, two) = (rig.enrol("gw-1").await, rig.enrol("gw-2").await);
    let pki = rig.world.fleet.pki();
    let peer = pki.trust().check(&one.chain[0]).unwrap();
    let other = pki.trust().check(&two.chain[0]).unwrap();
    assert!(renew(&rig, &other, "gw-1").await.is_none(), "another device's certificate renews only its own");

    let all = futures::future::join_all((0..STORM).map(|_| renew(&rig, &peer, "gw-1"))).await;
    let all: Vec<Identity> = all.into_iter().flatten().collect();
    assert_eq!(all.len(), 6, "a new key may be early (R-1), and so many of them are a device's share");
    let system = Actor::system(rig.world.org.clone());
    let detail = rig.world.fleet.device(&system, &"gw-1".parse().unwrap()).await.unwrap();
    let usable = detail.certificates.iter().filter(|c| c.state == CertificateState::Active).count();
    assert_eq!(usable, 2, "the one in use and its newest successor (R-2)");

    let mut good = Vec::new();
    for identity in &all {
        match rig.alert(Some(identity), BOTH[1]).await {
            None => good.push(identity),
            Some(alert) => {
                assert_eq!(alert, AlertDescription::CertificateRevoked, "superseded");
                assert!(pki.trust().check(&identity.chain[0]).is_err());
            }
        }
    }
    assert_eq!(good.len(), 1);
    assert_eq!(rig.alert(Some(&one), BOTH[1]).await, None, "the old one lives on for a day");

    // The successor was used: a day later the old one is over, and renews nothing.
    let retired = async {
        while pki.trust().check(&one.chain[0]).is_ok_and(|p| p.not_after == peer.not_after) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            pki.reload().await.unwrap();
        }
    };
    timeout(PATIENCE, retired).await.expect("the first use is noted");
    rig.world.clock.advance(25 * 3_600_000);
    assert!(rig.alert(Some(&one), BOTH[1]).await.is_some());
    pki.tick().await.unwrap();
    assert!(renew(&rig, &peer, "gw-1").await.is_none(), "a superseded certificate renews nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_35_a_storm_of_renewals_leaves_two_usable_certificates_on_sqlite() {
    Box::pin(storm(EngineKind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_35_a_storm_of_renewals_leaves_two_usable_certificates_on_postgres() {
    Box::pin(storm(EngineKind::Postgres)).await;
}
