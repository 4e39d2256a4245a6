//! Suspended, resumed, taken out, let back in: what each step means for the row, its tokens, its certificates and the audit log.

use super::{enrol, new_token, request};
use crate::{
    access::Actor,
    db::EngineKind,
    devices::Error,
    pki::Refusal,
    testing::{World, csr},
};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{
    enrolment::Enrolled,
    ids::DeviceId,
    states::{CertificateState, DeviceState, DeviceStep as Step},
};

fn leaf(enrolled: &Enrolled) -> Vec<u8> {
    CertificateDer::from_pem_slice(enrolled.certificate.as_bytes()).unwrap().to_vec()
}

async fn state(w: &World, actor: &Actor, id: &DeviceId) -> DeviceState {
    w.fleet.devices().detail(actor, id).await.unwrap().1.row.state
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_suspended_device_is_refused_until_it_is_resumed(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices, pki) = (w.operator().await, w.fleet.devices(), w.fleet.pki());
    let id: DeviceId = "gw-1".parse().unwrap();
    let token = devices.create_enrolment_token(&operator, new_token("gw-1", 2)).await.unwrap();
    let asked = request(&csr("gw-1"), "gw-1");
    let leaf = leaf(&enrol(&w, &token.secret, &asked).await.unwrap());
    let peer = pki.trust().check(&leaf).unwrap();

    let mut changes = pki.trust().changes();
    changes.mark_unchanged();
    devices.change(&operator, &id, Step::Suspend).await.unwrap();
    devices.change(&operator, &id, Step::Suspend).await.unwrap();
    assert!(changes.has_changed().unwrap(), "listeners are woken");
    assert_eq!(pki.trust().check(&leaf), Err(Refusal::DeviceInactive));
    assert_eq!(pki.trust().still(&peer.fingerprint), Err(Refusal::DeviceInactive));
    // Attack list 34: neither a new certificate nor the one it got before (E-3), nor a renewal.
    assert!(matches!(enrol(&w, &token.secret, &request(&csr("gw-1"), "gw-1")).await, Err(Error::NotActive(_))));
    let told = enrol(&w, &token.secret, &asked).await.unwrap_err().fault();
    assert_eq!(told.code, "device_not_active");
    assert!(told.message.contains("resume") && !told.message.contains("another"), "what brings it back: {}", told.message);
    let system = Actor::system(w.org.clone());
    assert!(pki.renew(&system, &peer, csr("gw-1").as_bytes(), "https://d").await.is_err());
    let detail = devices.detail(&operator, &id).await.unwrap().1;
    assert_eq!((detail.row.state, detail.certificates[0].state), (DeviceState::Suspended, CertificateState::Active), "nothing is revoked");

    devices.change(&operator, &id, Step::Resume).await.unwrap();
    assert!(pki.trust().check(&leaf).is_ok(), "the same certificate");
    let log = w.fleet.access().audit_page(&operator, None).await.unwrap().entries.items;
    let count = |action: &str| log.iter().filter(|e| e.action == action).count();
    assert_eq!((count("device.suspend"), count("device.resume")), (1, 1), "a step that changes nothing says nothing");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_decommissioned_device_comes_back_only_through_an_admin_and_a_new_token(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, admin, devices) = (w.operator().await, w.admin().await, w.fleet.devices());
    let id: DeviceId = "gw-1".parse().unwrap();
    let own = devices.create_enrolment_token(&operator, new_token("GW-1", 5)).await.unwrap();
    let shared = devices.create_enrolment_token(&operator, new_token("gw-*", 5)).await.unwrap();
    let old = leaf(&enrol(&w, &shared.secret, &request(&csr("gw-1"), "gw-1")).await.unwrap());

    devices.decommission(&operator, &id).await.unwrap();
    let detail = devices.detail(&operator, &id).await.unwrap().1;
    assert_eq!(
        (detail.certificates[0].state, detail.certificates[0].reason.as_str()),
        (CertificateState::Revoked, "cessation_of_operation")
    );
    assert!(matches!(devices.change(&operator, &id, Step::Resume).await, Err(Error::Illegal { .. })));
    assert!(matches!(devices.change(&operator, &id, Step::Recommission).await, Err(Error::Access(_))), "admins only");
    assert!(matches!(enrol(&w, &shared.secret, &request(&csr("gw-1"), "gw-1")).await, Err(Error::NotActive(_))), "the id is reserved");

    devices.change(&admin, &id, Step::Recommission).await.unwrap();
    assert_eq!(state(&w, &operator, &id).await, DeviceState::Preregistered);
    assert!(w.fleet.pki().trust().check(&old).is_err(), "what was revoked stays revoked");
    assert!(matches!(enrol(&w, &own.secret, &request(&csr("gw-1"), "gw-1")).await, Err(Error::BadToken)), "its own token is void");
    let taken = enrol(&w, &shared.secret, &request(&csr("gw-1"), "gw-1")).await;
    assert!(matches!(taken, Err(Error::Exists(_))), "a shared token takes nobody's name and history");
    let fresh = devices.create_enrolment_token(&operator, new_token("gw-1", 1)).await.unwrap();
    let new = leaf(&enrol(&w, &fresh.secret, &request(&csr("gw-1"), "gw-1")).await.unwrap());
    assert!(w.fleet.pki().trust().check(&new).is_ok());
    assert_eq!(state(&w, &operator, &id).await, DeviceState::Active);
}

#[tokio::test]
async fn who_may_and_which_device() {
    let w = World::open(EngineKind::Sqlite).await;
    let viewer = w.viewer().await;
    w.device("gw-1", "gateway").await;
    let id: DeviceId = "gw-1".parse().unwrap();
    for step in Step::ALL {
        assert!(matches!(w.fleet.devices().change(&viewer, &id, *step).await, Err(Error::Access(_))), "{step}");
    }
    let elsewhere = Actor { org: w.entropy.id(w.clock_now()), ..w.admin().await };
    assert!(matches!(w.fleet.devices().change(&elsewhere, &id, Step::Suspend).await, Err(Error::NotFound("device"))));
}
