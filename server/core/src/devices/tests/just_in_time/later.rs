//! What comes later: back after a revocation, an authority whose certificate was renewed, one registered below another.

use super::{
    super::{Error, World},
    Theirs, anchor, at, audited, authority_params, dial, elsewhere, never, params, policy, turned_down,
};
use crate::{
    access::Actor,
    db::EngineKind,
    pki::{Error as PkiError, Refusal, Refused},
};
use rcgen::{CertificateParams, KeyPair};
use rstest::rstest;
use wire::{
    devices::DeviceQuery,
    enrolment::Returns,
    pki::RevocationReason,
    registered::{JustInTime, RegisteredAuthority, RegisteredState},
    states::{CertificateState, Role},
};

async fn revoke(w: &World, leaf: &[u8], reason: RevocationReason) {
    let peer = w.fleet.pki().trust().check(leaf).unwrap();
    w.fleet.pki().revoke(&Actor::system(w.org.clone()), &peer.certificate, reason).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_only_a_person_lets_a_device_back_in_whose_certificate_was_revoked(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let devices = w.fleet.devices();
    let theirs = Theirs::new(&w, "Plant CA");
    let plant = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let (lost, kept) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (first, second) = (theirs.leaf(&w, "meter-1", &lost), theirs.leaf(&w, "meter-2", &kept));
    for leaf in [&first, &second] {
        assert_eq!(dial(&w, &plant, leaf).await, Err(Refusal::Arriving));
        assert!(dial(&w, &plant, leaf).await.is_ok());
    }
    revoke(&w, &first, RevocationReason::KeyCompromise).await;
    revoke(&w, &second, RevocationReason::Superseded).await;
    w.clock.advance(1000);

    // The key that was given up is nobody's to approve.
    assert_eq!(dial(&w, &plant, &theirs.leaf(&w, "meter-1", &lost)).await, Err(Refusal::Arriving));
    assert!(devices.enrolment_requests(&operator, None, None).await.unwrap().items.is_empty());
    assert!(audited(&w, &admin, "registered_authority.refuse").await[0].contains("key_in_use"));
    // A new key waits; and a new certificate for a key that was only taken out of use.
    let (fresh, again) = (theirs.fresh(&w, "meter-1"), theirs.leaf(&w, "meter-2", &kept));
    for leaf in [&fresh, &again] {
        assert_eq!(dial(&w, &plant, leaf).await, Err(Refusal::Arriving));
        assert_eq!(dial(&w, &plant, leaf).await, Err(Refusal::TurnedAway), "not by itself");
        w.clock.advance(1000);
    }
    assert!(audited(&w, &admin, "enrolment_request.ask").await.iter().all(|detail| detail.contains("revoked_before")));
    let waiting = devices.enrolment_requests(&operator, None, None).await.unwrap().items;
    assert_eq!(waiting.iter().map(|r| r.device_id.as_str()).collect::<Vec<_>>(), ["meter-1", "meter-2"]);
    devices.approve_enrolment(&operator, &waiting[0].id).await.unwrap();
    devices.reject_enrolment(&operator, &waiting[1].id).await.unwrap();
    assert_eq!(dial(&w, &plant, &fresh).await.unwrap().as_str(), "meter-1");
    for leaf in [&first, &second] {
        assert_eq!(dial(&w, &plant, leaf).await, Err(Refusal::Revoked), "what was revoked stays so");
    }
    w.clock.advance(60_001);
    assert_eq!(dial(&w, &plant, &again).await, Err(Refusal::Arriving));
    assert!(devices.enrolment_requests(&operator, None, None).await.unwrap().items.is_empty(), "a rejected one does not ask again");
    // Where nobody new is let in, nobody is asked.
    devices.enable_authority(&admin, &plant.id, policy(JustInTime::Off)).await.unwrap();
    assert_eq!(dial(&w, &plant, &theirs.fresh(&w, "meter-2")).await, Err(Refusal::Arriving));
    assert!(devices.enrolment_requests(&operator, None, None).await.unwrap().items.is_empty());
    assert_eq!(devices.list(&admin, &DeviceQuery::default()).await.unwrap().total, 2, "under their old history");
    assert_eq!(w.fleet.pki().registered_authority(&admin, &plant.id).await.unwrap().admitted, 2);
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_a_person_approves_what_they_saw_and_is_asked_once(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let devices = w.fleet.devices();
    let theirs = Theirs::new(&w, "Plant CA");
    let plant = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let first = theirs.fresh(&w, "meter-1");
    assert_eq!(dial(&w, &plant, &first).await, Err(Refusal::Arriving));
    assert!(dial(&w, &plant, &first).await.is_ok());
    w.clock.advance(1000);
    let next = theirs.fresh(&w, "meter-1");
    assert_eq!(dial(&w, &plant, &next).await, Err(Refusal::Arriving));
    let asked = devices.enrolment_requests(&operator, None, None).await.unwrap().items;
    assert_eq!(asked[0].returns, Some(Returns::NewKey));
    // It dials while it waits.
    w.clock.advance(60_001);
    assert_eq!(dial(&w, &plant, &next).await, Err(Refusal::Arriving));
    assert_eq!(devices.enrolment_requests(&operator, None, None).await.unwrap().items, asked);
    assert_eq!(audited(&w, &admin, "enrolment_request.ask").await.len(), 1, "what is no news is not in the books");

    // Revoked meanwhile, it is another question.
    revoke(&w, &first, RevocationReason::CessationOfOperation).await;
    let refused = devices.approve_enrolment(&operator, &asked[0].id).await.unwrap_err();
    assert!(refused.fault().message.contains("was revoked"), "{refused}");
    assert_eq!(dial(&w, &plant, &next).await, Err(Refusal::TurnedAway));
    w.clock.advance(60_001);
    assert_eq!(dial(&w, &plant, &next).await, Err(Refusal::Arriving));
    let now = devices.enrolment_requests(&operator, None, None).await.unwrap().items;
    assert_eq!(now.iter().map(|r| r.returns).collect::<Vec<_>>(), [Some(Returns::RevokedBefore)]);
    devices.approve_enrolment(&operator, &now[0].id).await.unwrap();
    assert!(dial(&w, &plant, &next).await.is_ok());

    // The revoked certificate with its signature written otherwise is the revoked certificate.
    let mut twin = first.clone();
    *twin.last_mut().unwrap() ^= 1;
    assert_eq!(dial(&w, &plant, &twin).await, Err(Refusal::Arriving));
    assert!(devices.enrolment_requests(&operator, None, None).await.unwrap().items.is_empty());
    assert!(audited(&w, &admin, "registered_authority.refuse").await[0].contains("\"revoked\""));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_2_two_certificates_are_usable_also_where_their_own_authority_renews(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let theirs = Theirs::new(&w, "Plant CA");
    let plant = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let (key, mut all) = (KeyPair::generate().unwrap(), Vec::new());
    for _ in 0..4 {
        let leaf = theirs.leaf(&w, "meter-1", &key);
        assert_eq!(dial(&w, &plant, &leaf).await, Err(Refusal::Arriving));
        all.push(leaf);
        w.clock.advance(1000);
    }
    let mut came = Vec::new();
    for leaf in &all {
        came.push(dial(&w, &plant, leaf).await.map(|device| device.to_string()));
    }
    let good = || Ok("meter-1".to_owned());
    assert_eq!(came, [Err(Refusal::Superseded), Err(Refusal::Superseded), good(), good()], "the newest, and the one that it replaced");
}

/// Its certificate again, changed a little.
fn renewed(theirs: &Theirs, change: impl FnOnce(&mut CertificateParams)) -> Theirs {
    let mut params = theirs.params.clone();
    change(&mut params);
    let key = KeyPair::from_pem(&theirs.key.serialize_pem()).unwrap();
    Theirs { der: params.self_signed(&key).unwrap().der().clone(), params, key }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_a_renewed_authority_s_certificate_takes_the_place_of_the_one_before(#[case] kind: EngineKind) {
    const DAY: i64 = 86_400_000;
    let w = World::open(kind).await;
    let (admin, operator, other_admin) = (w.admin().await, w.operator().await, elsewhere(&w).await);
    let theirs = Theirs::new(&w, "Plant CA");
    // One that nobody has proved yet: the code stays the same.
    let made = theirs.register(&w, &admin).await.unwrap();
    let later = renewed(&theirs, |p| p.not_after = at(w.clock_now().plus(40 * DAY)));
    let unproved = later.register(&w, &admin).await.unwrap();
    assert_eq!((&unproved.id, unproved.state, &unproved.code), (&made.id, RegisteredState::Unverified, &made.code));
    w.fleet.pki().verify_authority(&admin, &made.id, &theirs.proof(&w, &made.code.unwrap())).await.unwrap();
    let before = w.fleet.devices().enable_authority(&admin, &made.id, policy(JustInTime::Auto)).await.unwrap();
    let mut born = params(&w, "meter-1");
    born.not_after = never();
    let leaf = theirs.sign(&born, &KeyPair::generate().unwrap());
    assert_eq!(dial(&w, &anchor(&w, &made.id), &leaf).await, Err(Refusal::Arriving));
    assert!(dial(&w, &anchor(&w, &made.id), &leaf).await.is_ok());

    let end = at(w.clock_now().plus(400 * DAY));
    let best = renewed(&theirs, |p| p.not_after = end);
    assert!(matches!(best.register(&w, &operator).await, Err(Error::Pki(PkiError::Access(_)))), "an admin's business");
    assert_eq!(turned_down(later.register(&w, &admin).await), Refused::Known);
    for (bad, refusal) in [
        (renewed(&theirs, |p| p.not_after = at(w.clock_now().plus(20 * DAY))), Refused::NotLater),
        (renewed(&theirs, |p| (p.not_before, p.not_after) = (at(w.clock_now().plus(DAY)), end)), Refused::NotYet),
        (renewed(&theirs, |p| (p.distinguished_name, p.not_after) = (params(&w, "Other CA").distinguished_name, end)), Refused::OtherName),
    ] {
        assert_eq!(turned_down(bad.register(&w, &admin).await), refusal);
    }
    let mut forged = renewed(&theirs, |p| p.not_after = end);
    forged.der = {
        let mut der = forged.der.to_vec();
        *der.last_mut().unwrap() ^= 1;
        der.into()
    };
    assert!(matches!(turned_down(forged.register(&w, &admin).await), Refused::Malformed(_)), "its own key has not said so");
    assert_eq!(turned_down(best.register(&w, &other_admin).await), Refused::Taken, "the key is still its owner's");
    let version = w.fleet.pki().trust().device_anchors().version;
    let after = best.register(&w, &admin).await.unwrap();
    let same = RegisteredAuthority {
        fingerprint: before.fingerprint.clone(),
        not_after: before.not_after,
        pem: before.pem.clone(),
        devices: before.devices,
        admitted: before.admitted,
        last_admitted_at: before.last_admitted_at,
        ..after.clone()
    };
    assert_eq!(same, before, "nothing but the certificate is another");
    assert!(after.not_after > before.not_after && after.fingerprint != before.fingerprint);
    assert!(w.fleet.pki().trust().device_anchors().version > version, "listeners follow");
    assert_eq!(anchor(&w, &made.id).certificate, best.der);
    let booked = audited(&w, &admin, "registered_authority.replace").await;
    assert!(booked.len() == 2 && booked[0].contains(&before.fingerprint) && booked[0].contains(&after.fingerprint), "{booked:?}");

    // Beyond the old end its devices are in, and new ones come.
    w.clock.advance(41 * DAY);
    w.fleet.pki().reload().await.unwrap();
    assert!(dial(&w, &anchor(&w, &made.id), &leaf).await.is_ok());
    let young = best.fresh(&w, "meter-2");
    assert_eq!(dial(&w, &anchor(&w, &made.id), &young).await, Err(Refusal::Arriving));
    assert!(dial(&w, &anchor(&w, &made.id), &young).await.is_ok());

    // Disabled it stays disabled. Where two people decide, one does not make it last longer (K-6).
    w.fleet.pki().disable_authority(&admin, &made.id).await.unwrap();
    let more = |days: i64| renewed(&theirs, |p| p.not_after = at(w.clock_now().plus(days * DAY)));
    assert_eq!(more(500).register(&w, &admin).await.unwrap().state, RegisteredState::Disabled);
    w.fleet.devices().enable_authority(&admin, &made.id, policy(JustInTime::Auto)).await.unwrap();
    w.person("ben", Role::Admin).await;
    w.fleet.pki().set_approvals(&admin, true).await.unwrap();
    assert_eq!(more(600).register(&w, &admin).await.unwrap_err().fault().code, "at_server");
    more(600).register(&w, &Actor::shell(w.org.clone())).await.unwrap();
    // One that is disabled decides about chains as well.
    w.fleet.pki().disable_authority(&admin, &made.id).await.unwrap();
    assert_eq!(more(700).register(&w, &admin).await.unwrap_err().fault().code, "at_server");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_a_device_keeps_its_place_when_a_nearer_authority_is_registered(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let trust = w.fleet.pki().trust();
    let above = Theirs::new(&w, "Plant CA");
    let plant = above.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let (below, key) = (authority_params(&w, "Line CA"), KeyPair::generate().unwrap());
    let der = above.sign(&below, &key).into();
    let below = Theirs { params: below, key, der };
    let key = KeyPair::generate().unwrap();
    let held = below.leaf(&w, "meter-1", &key);
    assert_eq!(dial(&w, &plant, &held).await, Err(Refusal::Arriving));
    let line = below.enabled(&w, &admin, policy(JustInTime::Off)).await;
    assert_eq!(trust.issuer(&held), Some(plant.id.clone()), "the one that has let it in speaks for it");
    assert_eq!(trust.issuer(&below.fresh(&w, "meter-2")), None);

    // For its key, by the nearer one from now on, whatever becomes of others there; for another one as little as ever.
    w.clock.advance(1000);
    let next = below.leaf(&w, "meter-1", &key);
    assert_eq!(dial(&w, &line, &next).await, Err(Refusal::Arriving));
    assert_eq!(dial(&w, &line, &next).await.unwrap().as_str(), "meter-1");
    assert_eq!(trust.issuer(&next), Some(line.id.clone()));
    assert_eq!(dial(&w, &line, &below.fresh(&w, "meter-2")).await, Err(Refusal::Arriving));
    let booked = audited(&w, &admin, "registered_authority.refuse").await;
    assert!(booked.len() == 1 && booked[0].contains("just_in_time_off"), "{booked:?}");

    // Disabled, it is still there to say no.
    w.fleet.pki().disable_authority(&admin, &line.id).await.unwrap();
    let line = anchor(&w, &line.id);
    assert!(!line.active);
    assert_eq!(trust.check_registered(&next, &line), Err(Refusal::Authority));
    assert_eq!(trust.check_registered(&below.fresh(&w, "meter-3"), &line), Err(Refusal::Authority));
    assert!(trust.check_registered(&held, &plant).is_ok());
    assert_eq!(w.fleet.devices().list(&admin, &DeviceQuery::default()).await.unwrap().total, 1);
}

/// A certificate of ours beside the one of its owner's authority would end that with its first use.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_1_what_an_owners_authority_issued_is_not_renewed_here(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let theirs = Theirs::new(&w, "Plant CA");
    let plant = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let leaf = theirs.fresh(&w, "meter-1");
    assert_eq!(dial(&w, &plant, &leaf).await, Err(Refusal::Arriving));
    let meter = dial(&w, &plant, &leaf).await.unwrap();
    let shown = w.fleet.device(&operator, &meter).await.unwrap();
    assert_eq!((shown.certificates[0].state, shown.renewable), (CertificateState::Active, false), "no page offers it");
    let refused = w.fleet.devices().order_renewal(&operator, &meter).await.unwrap_err().fault();
    assert_eq!(refused.code, "nothing_to_renew");
}
