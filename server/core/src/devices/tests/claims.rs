//! Claims (E-9): within their bounds, exactly as often as they say, and over with one word.

use super::{Attempt, Error, World, csr, request};
use crate::{access::Actor, db::EngineKind, devices::Over, pki::Refusal};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{
    enrolment::{CreatedClaim, EnrolRequest, Enrolled, NewClaim},
    ids::ClaimId,
};

pub(super) fn new(pattern: &str, max_uses: i64, per_minute: i64) -> NewClaim {
    NewClaim {
        label: "line 3".into(),
        pattern: pattern.into(),
        device_type: String::new(),
        tags: vec!["eu".into()],
        groups: Vec::new(),
        profile: String::new(),
        trusted_user: false,
        max_uses,
        hours: 24,
        per_minute,
        csr: String::new(),
    }
}

pub(super) async fn claim(w: &World, actor: &Actor, new: NewClaim) -> CreatedClaim {
    w.fleet.devices().create_claim(actor, new).await.unwrap()
}

pub(super) async fn enrol(w: &World, claim: &ClaimId, request: &EnrolRequest) -> Result<Enrolled, Error> {
    let over = Over { claim: Some(claim), ..Over::default() };
    w.fleet.devices().enrol_over(Attempt { secret: "", request, address: "192.0.2.1" }, over).await
}

fn leaf(created: &CreatedClaim) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(created.certificate.as_bytes()).unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_claim_lets_in_what_it_covers_and_no_more_than_it_says(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let made = claim(&w, &admin, new("gw-*", 3, 2)).await;
    assert!(made.key.contains("PRIVATE KEY") && made.certificate.matches("BEGIN CERTIFICATE").count() == 2);
    let id = &made.claim.id;
    let asked = request(&csr("gw-1"), "gw-1");
    let first = enrol(&w, id, &asked).await.unwrap();
    assert_eq!(enrol(&w, id, &asked).await.unwrap().certificate, first.certificate, "a lost answer costs no use (E-3)");
    assert!(matches!(enrol(&w, id, &request(&csr("cam-1"), "cam-1")).await, Err(Error::OutOfScope(_))));
    assert!(matches!(enrol(&w, id, &request(&csr("gw-1"), "gw-1")).await, Err(Error::Exists(_))), "a claim takes no device over");
    enrol(&w, id, &request(&csr("gw-2"), "gw-2")).await.unwrap();
    assert!(matches!(enrol(&w, id, &request(&csr("gw-3"), "gw-3")).await, Err(Error::ClaimRate)));
    w.clock.advance(61_000);
    enrol(&w, id, &request(&csr("gw-3"), "gw-3")).await.unwrap();
    w.clock.advance(61_000);
    assert!(matches!(enrol(&w, id, &request(&csr("gw-4"), "gw-4")).await, Err(Error::BadClaim)), "used up");
    let devices = w.fleet.devices().claim_devices(&admin, id, None, None).await.unwrap().items;
    assert_eq!(devices.iter().map(|d| d.device_id.as_str()).collect::<Vec<_>>(), ["gw-1", "gw-2", "gw-3"]);
    let log = w.fleet.access().audit_page(&admin, None).await.unwrap();
    for action in ["claim.create", "claim.refuse"] {
        assert!(log.entries.items.iter().any(|e| e.action == action), "{action}");
    }
    let elsewhere = Actor { org: w.entropy.id(w.clock_now()), ..admin };
    assert!(w.fleet.devices().claims(&elsewhere, None, None).await.unwrap().items.is_empty());
    assert!(matches!(w.fleet.devices().disable_claim(&elsewhere, id).await, Err(Error::NotFound("claim"))));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_disabled_claim_is_over_at_once_and_its_devices_stay(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator, viewer) = (w.admin().await, w.operator().await, w.viewer().await);
    let trust = w.fleet.pki().trust();
    let made = claim(&w, &admin, new("", 10, 10)).await;
    assert_eq!(trust.claim(&leaf(&made)).unwrap().unwrap().claim, made.claim.id);
    let device = enrol(&w, &made.claim.id, &request(&csr("gw-1"), "gw-1")).await.unwrap();
    for person in [&viewer, &operator] {
        assert!(
            matches!(w.fleet.devices().disable_claim(person, &made.claim.id).await, Err(Error::Access(_))),
            "a lasting one takes an admin"
        );
    }
    let soon = claim(&w, &operator, NewClaim { trusted_user: true, ..new("gw-5", 1, 5) }).await;
    w.fleet.devices().disable_claim(&operator, &soon.claim.id).await.unwrap();
    assert_eq!(trust.claim(&leaf(&soon)), Some(Err(Refusal::Revoked)));
    w.fleet.devices().disable_claim(&admin, &made.claim.id).await.unwrap();
    w.fleet.devices().disable_claim(&admin, &made.claim.id).await.unwrap();
    assert_eq!(trust.claim(&leaf(&made)), Some(Err(Refusal::Revoked)));
    assert!(matches!(enrol(&w, &made.claim.id, &request(&csr("gw-2"), "gw-2")).await, Err(Error::BadClaim)));
    assert!(trust.check(&CertificateDer::from_pem_slice(device.certificate.as_bytes()).unwrap()).is_ok());
    // whatever a verifier thinks of it, a claim's certificate is no device.
    assert!(trust.check(&leaf(&made)).is_err());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_person_at_the_device_has_five_minutes(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, viewer) = (w.operator().await, w.viewer().await);
    assert!(matches!(w.fleet.devices().create_claim(&operator, new("", 5, 5)).await, Err(Error::Access(_))), "lasting ones take an admin");
    let soon = NewClaim { trusted_user: true, ..new("gw-1", 50, 5) };
    assert!(matches!(w.fleet.devices().create_claim(&viewer, soon.clone()).await, Err(Error::Access(_))));
    let made = claim(&w, &operator, soon.clone()).await;
    assert_eq!((made.claim.max_uses, made.claim.expires_at), (1, w.clock_now().plus(300_000)));
    w.clock.advance(300_001);
    assert_eq!(w.fleet.pki().trust().claim(&leaf(&made)), Some(Err(Refusal::Expired)));
    assert!(matches!(enrol(&w, &made.claim.id, &request(&csr("gw-1"), "gw-1")).await, Err(Error::BadClaim)));

    // With a key made elsewhere there is none to give out, and one that a device has is not taken.
    let own = claim(&w, &operator, NewClaim { csr: csr("bench"), ..soon.clone() }).await;
    assert!(own.key.is_empty());
    let of_device = csr("gw-9");
    w.enrol("gw-9", "gateway", of_device.clone()).await.unwrap();
    assert!(matches!(w.fleet.devices().create_claim(&operator, NewClaim { csr: of_device, ..soon.clone() }).await, Err(Error::Pki(_))));
    for bad in [
        NewClaim { label: " ".into(), ..soon.clone() },
        NewClaim { pattern: "a b/c".into(), ..soon.clone() },
        NewClaim { groups: vec!["north".into()], ..soon.clone() },
        NewClaim { per_minute: 0, ..soon.clone() },
        NewClaim { csr: "x".into(), ..soon },
    ] {
        assert!(w.fleet.devices().create_claim(&operator, bad).await.is_err());
    }
}
