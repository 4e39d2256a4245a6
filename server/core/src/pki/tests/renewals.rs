//! Many renewals of one device: how many certificates are usable at once, and how many it is given.

use super::life::{check, enrol, leaf, request};
use crate::{
    access::Actor,
    bus::Event,
    db::EngineKind,
    pki::{DevicePeer, DueRenewal, Error, Refusal},
    testing::World,
};
use rcgen::KeyPair;
use rstest::rstest;
use wire::{
    FaultKind,
    enrolment::Enrolled,
    ids::DeviceId,
    pki::{AuthorityUse, RevocationReason},
    states::DeviceStep,
};

const WINDOW: i64 = 30 * 60_000;

/// A CSR for a key of its own.
fn fresh() -> String {
    request("gw-1", &KeyPair::generate().unwrap())
}

async fn renew(w: &World, peer: &DevicePeer, csr: &str) -> Result<Enrolled, Error> {
    w.fleet.pki().renew(&Actor::system(w.org.clone()), peer, csr.as_bytes(), "https://d").await
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_35_two_certificates_are_usable_also_when_each_was_used(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let (_, _, first) = enrol(&w, "gw-1").await;
    let (mut all, mut asked) = (vec![first], String::new());
    for _ in 0..5 {
        w.clock.advance(1000);
        let peer = check(&w, all.last().unwrap()).unwrap();
        asked = fresh();
        let new = leaf(&renew(&w, &peer, &asked).await.unwrap());
        pki.first_use(&[check(&w, &new).unwrap().certificate]).await.unwrap();
        pki.reload().await.unwrap();
        all.push(new);
    }
    let good: Vec<bool> = all.iter().map(|leaf| check(&w, leaf).is_ok()).collect();
    assert_eq!(good, [false, false, false, false, true, true], "the newest, and the one that it was asked with");
    assert!(all[..4].iter().all(|leaf| check(&w, leaf) == Err(Refusal::Superseded)));

    // The one before renews nothing any more, but a lost answer is given again (E-3).
    let before = check(&w, &all[4]).unwrap();
    assert_eq!(leaf(&renew(&w, &before, &asked).await.unwrap()), all[5]);
    let refused = renew(&w, &before, &fresh()).await;
    assert!(matches!(refused, Err(Error::SuccessorInUse)), "{refused:?}");
    // Unless somebody has revoked the successor: that one may be lost.
    let newest = check(&w, &all[5]).unwrap();
    pki.revoke(&w.admin().await, &newest.certificate, RevocationReason::Superseded).await.unwrap();
    pki.reload().await.unwrap();
    assert!(renew(&w, &before, &fresh()).await.is_ok());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_35_a_device_has_a_share_of_renewals(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let (_, _, own) = enrol(&w, "gw-1").await;
    let (_, _, others) = enrol(&w, "gw-2").await;
    let peer = check(&w, &own).unwrap();
    let (mut asked, mut given) = (String::new(), None);
    for _ in 0..6 {
        asked = fresh();
        given = Some(renew(&w, &peer, &asked).await.unwrap().certificate);
    }
    let refused = renew(&w, &peer, &fresh()).await.unwrap_err().fault();
    assert_eq!((refused.code.as_str(), refused.retry_after), ("renewed_too_often", Some(1800)));
    assert!(matches!(refused.kind, FaultKind::TooMany));
    assert_eq!(Some(renew(&w, &peer, &asked).await.unwrap().certificate), given, "E-3: asked again, it costs nothing");
    let rows = pki.certificates_of(&mut pki.db.read().await.unwrap(), peer.device).await.unwrap();
    assert_eq!(rows.len(), 7, "what was refused left nothing behind");
    let other = check(&w, &others).unwrap();
    let csr = request("gw-2", &KeyPair::generate().unwrap());
    assert!(renew(&w, &other, &csr).await.is_ok(), "each device has its own");
    w.clock.advance(WINDOW - 1);
    assert_eq!(renew(&w, &peer, &fresh()).await.unwrap_err().fault().retry_after, Some(1));
    w.clock.advance(1);
    assert!(renew(&w, &peer, &fresh()).await.is_ok());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_1_a_renewal_that_an_operator_ordered_may_be_early_and_keep_the_key(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, id): (_, DeviceId) = (w.fleet.pki(), "gw-1".parse().unwrap());
    let (key, _, own) = enrol(&w, "gw-1").await;
    let peer = check(&w, &own).unwrap();
    let asked = request("gw-1", &key);
    assert!(matches!(renew(&w, &peer, &asked).await, Err(Error::RenewTooEarly(_))));
    let trust = pki.trust();
    assert_eq!(trust.renewal_ordered(&peer), None);
    assert!(w.fleet.devices().order_renewal(&w.viewer().await, &id).await.is_err(), "a viewer may not");

    let mut heard = w.fleet.bus().listen();
    let oli = w.operator().await;
    assert!(w.fleet.device(&oli, &id).await.unwrap().renewable, "so a page offers it");
    let order = w.fleet.devices().order_renewal(&oli, &id).await.unwrap();
    assert_eq!((order.certificates, order.ordered_at), (vec![peer.certificate.clone()], w.clock_now()));
    let mut nudged = false;
    while let Ok(event) = heard.try_recv() {
        nudged |= event == Event::Device { org: w.org.clone(), device: peer.device };
    }
    assert!(nudged, "its channel looks");
    let first = trust.renewal_ordered(&peer);
    assert_eq!(first, Some(order.ordered_at));
    assert_eq!(trust.renewal_ordered(&peer), first, "each connection that it has or makes is told");
    w.clock.advance(1000);
    w.fleet.devices().order_renewal(&oli, &id).await.unwrap();
    assert_eq!(trust.renewal_ordered(&peer), Some(w.clock_now()), "ordered again, told again");
    let rows = async || pki.certificates_of(&mut pki.db.read().await.unwrap(), peer.device).await.unwrap();
    assert_eq!(rows().await[0].renew_ordered_at, Some(w.clock_now()));

    let new = leaf(&renew(&w, &peer, &asked).await.unwrap());
    let next = check(&w, &new).unwrap();
    assert_eq!(trust.renewal_ordered(&next), None, "carried out");
    assert!(matches!(renew(&w, &next, &request("gw-1", &key)).await, Err(Error::RenewTooEarly(_))));
    assert!(trust.renewal_ordered(&peer).is_some(), "an answer that was lost leaves the order");
    pki.first_use(std::slice::from_ref(&next.certificate)).await.unwrap();
    pki.reload().await.unwrap();
    assert_eq!(trust.renewal_ordered(&peer), None, "it ends with the first use of what came of it");
    assert!(rows().await.iter().all(|c| c.renew_ordered_at.is_none()));

    w.fleet.devices().change(&oli, &id, DeviceStep::Suspend).await.unwrap();
    let refused = w.fleet.devices().order_renewal(&oli, &id).await.unwrap_err().fault();
    assert_eq!(refused.code, "device_not_active");
    assert!(refused.message.contains("nothing is enrolled or renewed for it"), "{refused:?}");
    assert!(!w.fleet.device(&oli, &id).await.unwrap().renewable, "so no page offers it");
    w.fleet.devices().change(&oli, &id, DeviceStep::Resume).await.unwrap();
    assert!(w.fleet.device(&oli, &id).await.unwrap().renewable);
    w.fleet.devices().decommission(&oli, &id).await.unwrap();
    let refused = w.fleet.devices().order_renewal(&oli, &id).await.unwrap_err().fault();
    assert_eq!(refused.code, "nothing_to_renew");
    assert!(!w.fleet.device(&oli, &id).await.unwrap().renewable);
    let log = w.fleet.access().search_audit(&w.admin().await, "device.renew", None).await.unwrap().entries.items;
    assert_eq!(log.len(), 2);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_1_nothing_is_ordered_of_a_certificate_that_its_device_cannot_connect_with(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, oli) = (w.admin().await, w.operator().await);
    let order = async |id: &str| w.fleet.devices().order_renewal(&oli, &id.parse().unwrap()).await;
    let (_, enrolled, _) = enrol(&w, "gw-1").await;
    w.clock.advance(enrolled.not_after.since(w.clock_now()) + 1);
    assert_eq!(order("gw-1").await.unwrap_err().fault().code, "nothing_to_renew", "it is past its end, which nobody has written down yet");

    let (_, _, own) = enrol(&w, "gw-2").await;
    assert!(order("gw-2").await.is_ok());
    let authority = w.fleet.pki().trust().issuer(&own).unwrap();
    w.fleet.pki().compromise_authority(&admin, &authority).await.unwrap();
    assert_eq!(order("gw-2").await.unwrap_err().fault().code, "nothing_to_renew", "its authority was given up");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_1_an_order_of_a_certificates_last_day_ends_with_what_came_of_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let (_, enrolled, own) = enrol(&w, "gw-1").await;
    w.clock.advance(enrolled.not_after.since(w.clock_now()) - 12 * 3_600_000);
    let peer = check(&w, &own).unwrap();
    w.fleet.devices().order_renewal(&w.operator().await, &peer.device_id).await.unwrap();
    let new = leaf(&renew(&w, &peer, &fresh()).await.unwrap());
    pki.first_use(&[check(&w, &new).unwrap().certificate]).await.unwrap();
    pki.reload().await.unwrap();
    assert_eq!(pki.trust().renewal_ordered(&peer), None);
    let rows = pki.certificates_of(&mut pki.db.read().await.unwrap(), peer.device).await.unwrap();
    assert!(rows.len() == 2 && rows.iter().all(|c| c.renew_ordered_at.is_none()));
    assert_eq!(check(&w, &own).unwrap().not_after, enrolled.not_after, "it ends when it would have ended");
}

/// On another instance, or ordered beside it by the command line: it is found with what else has changed.
#[tokio::test]
async fn r_1_an_order_given_elsewhere_is_told_here() {
    let w = World::open(EngineKind::Sqlite).await;
    let (_, _, own) = enrol(&w, "gw-1").await;
    let (pki, peer) = (w.fleet.pki(), check(&w, &own).unwrap());
    let mut heard = w.fleet.bus().listen();
    let mut tx = pki.db.write().await.unwrap();
    pki.order_renewal(&mut tx, peer.device, w.clock_now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(pki.trust().renewal_ordered(&peer), None, "nobody here has heard");
    pki.reload().await.unwrap();
    assert_eq!(heard.try_recv().unwrap(), Event::Device { org: w.org.clone(), device: peer.device });
    assert_eq!(pki.trust().renewal_ordered(&peer), Some(w.clock_now()));

    // Where the clock of whoever ordered is ahead of the one here, or the one here was set back since, an order for now is still one for now.
    w.clock.advance(1000);
    let ahead = w.clock_now();
    w.clock.jump(-3_600_000);
    let mut tx = pki.db.write().await.unwrap();
    pki.order_renewal(&mut tx, peer.device, ahead).await.unwrap();
    tx.commit().await.unwrap();
    pki.reload().await.unwrap();
    assert_eq!(heard.try_recv().unwrap(), Event::Device { org: w.org.clone(), device: peer.device });
    assert_eq!(pki.trust().renewal_ordered(&peer), Some(ahead));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_9_a_device_of_a_retiring_authority_that_is_ordered_to_renew_is_told_by_the_order_alone(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, trust, admin) = (w.fleet.pki(), w.fleet.pki().trust(), w.admin().await);
    let (_, _, first) = enrol(&w, "gw-1").await;
    let (_, _, second) = enrol(&w, "gw-2").await;
    let (ordered, other) = (check(&w, &first).unwrap(), check(&w, &second).unwrap());
    let staged = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    let due = w.clock_now().plus(60_000);
    let mut tx = pki.db.write().await.unwrap();
    pki.order_renewals(&mut tx, &[DueRenewal { device: ordered.device, due: due.0 }], None, w.clock_now()).await.unwrap();
    tx.commit().await.unwrap();
    pki.activate_authority(&admin, &staged.id, false).await.unwrap();
    pki.reload().await.unwrap();
    assert_eq!((trust.renewal_overdue(&ordered), trust.renewal_ordered(&ordered)), (false, None), "its turn has not come");
    assert!(trust.renewal_overdue(&other), "nobody has ordered anything of this one");
    w.clock.advance(60_000);
    assert!(!trust.renewal_overdue(&ordered) && trust.renewal_ordered(&ordered).is_some(), "told once");

    // Whom its own window has passed is told whatever was ordered.
    let mut tx = pki.db.write().await.unwrap();
    let late = w.clock_now().plus(80 * 24 * 3_600_000);
    pki.order_renewals(&mut tx, &[DueRenewal { device: ordered.device, due: late.0 }], None, w.clock_now()).await.unwrap();
    tx.commit().await.unwrap();
    pki.reload().await.unwrap();
    assert!(!trust.renewal_overdue(&ordered));
    w.clock.advance(75 * 24 * 3_600_000);
    assert!(trust.renewal_overdue(&ordered));
}
