//! Their devices: let in, waiting for a person, turned away.

use super::{super::World, Theirs, audited, authority_params, dial, elsewhere, never, params, policy};
use crate::{access::Actor, db::EngineKind, pki::Refusal, testing::csr};
use rcgen::{CrlDistributionPoint, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rstest::rstest;
use wire::{
    Timestamp,
    devices::DeviceQuery,
    pki::RevocationReason,
    registered::{JustInTime, JustInTimePolicy},
    states::DeviceStep,
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_32_a_flood_meets_the_daily_cap_then_a_person_then_a_wall(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let theirs = Theirs::new(&w, "Plant CA");
    let anchor = theirs.enabled(&w, &admin, JustInTimePolicy { per_day: 2, max_devices: 3, ..policy(JustInTime::Auto) }).await;
    let leaves: Vec<_> = (0..4).map(|n| theirs.fresh(&w, &format!("meter-{n}"))).collect();
    for leaf in &leaves {
        assert_eq!(dial(&w, &anchor, leaf).await, Err(Refusal::Arriving));
        w.clock.advance(1000);
    }
    let requests = w.fleet.devices().enrolment_requests(&admin, None, None).await.unwrap().items;
    assert_eq!(requests.iter().map(|r| r.device_id.as_str()).collect::<Vec<_>>(), ["meter-2", "meter-3"], "what is over the day waits");
    assert_eq!((requests[0].token.as_str(), requests[0].authority, requests[0].address.as_str()), ("Plant", true, "192.0.2.7"));
    assert_eq!(dial(&w, &anchor, &leaves[2]).await, Err(Refusal::TurnedAway), "and is not brought up again and again");
    // Another day, another two; but three are the most.
    w.clock.advance(86_400_000);
    for n in 4..6 {
        assert_eq!(dial(&w, &anchor, &theirs.fresh(&w, &format!("meter-{n}"))).await, Err(Refusal::Arriving));
    }
    let shown = w.fleet.pki().registered_authority(&admin, &anchor.id).await.unwrap();
    assert_eq!((shown.admitted, shown.devices, shown.refused), (3, 3, 1));
    let booked = audited(&w, &admin, "registered_authority.refuse").await;
    assert!(booked.len() == 1 && booked[0].contains("too_many_devices"), "{booked:?}");
    // A flood of refusals is counted, not booked one by one.
    for n in 10..40 {
        let _ = dial(&w, &anchor, &theirs.fresh(&w, &format!("meter-{n}"))).await;
    }
    assert!(audited(&w, &admin, "registered_authority.refuse").await.len() <= 10);
    w.clock.advance(60_000);
    let _ = dial(&w, &anchor, &theirs.fresh(&w, "meter-40")).await;
    assert_eq!(w.fleet.pki().registered_authority(&admin, &anchor.id).await.unwrap().refused, 32);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_32_a_name_that_is_taken_is_never_taken_over(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    w.enrol("gw-1", "gateway", csr("gw-1")).await.unwrap();
    let (one, other) = (Theirs::new(&w, "One CA"), Theirs::new(&w, "Other CA"));
    let first = one.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let second = other.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let key = KeyPair::generate().unwrap();
    let held = one.leaf(&w, "meter-1", &key);
    assert_eq!(dial(&w, &first, &held).await, Err(Refusal::Arriving));
    assert!(dial(&w, &first, &held).await.is_ok());
    // A device of ours, in any case; and one of another registered authority.
    for (theirs, anchor, name) in
        [(&one, &first, "gw-1"), (&one, &first, "GW-1"), (&other, &second, "meter-1"), (&other, &second, "METER-1")]
    {
        let leaf = theirs.fresh(&w, name);
        assert_eq!(dial(&w, anchor, &leaf).await, Err(Refusal::Arriving));
        assert_eq!(dial(&w, anchor, &leaf).await, Err(Refusal::TurnedAway), "{name}");
    }
    assert!(audited(&w, &admin, "registered_authority.refuse").await.iter().all(|detail| detail.contains("device_exists")));
    // The same key under another name.
    assert_eq!(dial(&w, &first, &one.leaf(&w, "meter-2", &key)).await, Err(Refusal::Arriving));
    assert!(audited(&w, &admin, "registered_authority.refuse").await.iter().any(|detail| detail.contains("key_in_use")));
    // A known certificate speaks for its own authority and organization alone.
    assert_eq!(w.fleet.pki().trust().check_registered(&held, &second), Err(Refusal::Authority));
    // Its chain is followed every time: nothing is remembered of it.
    let (trust, version) = (w.fleet.pki().trust(), w.fleet.pki().trust().device_anchors().version);
    assert_eq!((trust.check_at(&held, version), trust.anchored(&held, version)), (Ok(()), None));

    // Its own authority's new key for it: not by itself, but a person may say so (E-10).
    let rekeyed = one.fresh(&w, "meter-1");
    assert_eq!(dial(&w, &first, &rekeyed).await, Err(Refusal::Arriving));
    assert_eq!(dial(&w, &first, &rekeyed).await, Err(Refusal::TurnedAway));
    let waiting = w.fleet.devices().enrolment_requests(&admin, None, None).await.unwrap().items;
    assert_eq!(waiting.len(), 1);
    w.fleet.devices().approve_enrolment(&admin, &waiting[0].id).await.unwrap();
    assert_eq!(dial(&w, &first, &rekeyed).await.unwrap().as_str(), "meter-1");
    // Renewed with the key it has: at once, also while nobody new is let in.
    w.fleet.devices().enable_authority(&admin, &first.id, policy(JustInTime::Off)).await.unwrap();
    w.clock.advance(1000);
    let renewed = one.leaf(&w, "meter-1", &key);
    assert_ne!(renewed, held);
    assert_eq!(dial(&w, &first, &renewed).await, Err(Refusal::Arriving));
    assert_eq!(dial(&w, &first, &renewed).await.unwrap().as_str(), "meter-1");
    assert_eq!(dial(&w, &first, &one.fresh(&w, "meter-9")).await, Err(Refusal::Arriving));
    assert!(audited(&w, &admin, "registered_authority.refuse").await.iter().any(|detail| detail.contains("just_in_time_off")));
    assert_eq!(w.fleet.devices().list(&admin, &DeviceQuery::default()).await.unwrap().total, 2);

    // We renew nothing of theirs.
    let peer = w.fleet.pki().trust().check(&renewed).unwrap();
    let device = Actor::system(w.org.clone());
    let asked = w.fleet.pki().renew(&device, &peer, csr("meter-1").as_bytes(), "https://x").await;
    assert_eq!(asked.unwrap_err().fault().code, "renew_at_own_authority");
    // What was sent away stays away; a certificate that was revoked, too.
    w.fleet.pki().revoke(&admin, &peer.certificate, RevocationReason::Superseded).await.unwrap();
    assert_eq!(dial(&w, &first, &renewed).await, Err(Refusal::Revoked));
    w.fleet.devices().change(&admin, &"meter-1".parse().unwrap(), DeviceStep::Suspend).await.unwrap();
    assert_eq!(dial(&w, &first, &held).await, Err(Refusal::DeviceInactive));
    w.clock.advance(1000);
    assert_eq!(dial(&w, &first, &one.leaf(&w, "meter-1", &key)).await, Err(Refusal::Arriving));
    assert!(audited(&w, &admin, "registered_authority.refuse").await.iter().any(|detail| detail.contains("device_not_active")));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_a_person_decides_and_policies_bound_names(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let devices = w.fleet.devices();
    let theirs = Theirs::new(&w, "Plant CA");
    let bounded = JustInTimePolicy { pattern: "plant-*".into(), template: "plant-{serialNumber}".into(), ..policy(JustInTime::Pending) };
    let anchor = theirs.enabled(&w, &admin, bounded).await;
    let with_serial = |serial: &str, cn: &str| {
        let mut params = params(&w, cn);
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), serial);
        theirs.sign(&params, &KeyPair::generate().unwrap())
    };
    let (good, bad) = (with_serial("00A7", "x"), with_serial("00A8", "x"));
    for leaf in [&good, &bad] {
        assert_eq!(dial(&w, &anchor, leaf).await, Err(Refusal::Arriving), "without an extended key usage, too");
        w.clock.advance(1000);
    }
    let waiting = devices.enrolment_requests(&operator, None, None).await.unwrap().items;
    assert_eq!(waiting.iter().map(|r| r.device_id.as_str()).collect::<Vec<_>>(), ["plant-00A7", "plant-00A8"]);
    devices.approve_enrolment(&operator, &waiting[0].id).await.unwrap();
    devices.reject_enrolment(&operator, &waiting[1].id).await.unwrap();
    assert_eq!(dial(&w, &anchor, &good).await.unwrap().as_str(), "plant-00A7", "an approved device is in with its next dial");
    w.clock.advance(60_001);
    assert_eq!(dial(&w, &anchor, &bad).await, Err(Refusal::Arriving));
    assert!(devices.enrolment_requests(&operator, None, None).await.unwrap().items.is_empty(), "a rejected one does not ask again");
    // Certificates that name nobody, two, or are good for something else.
    let mut server = params(&w, "x");
    server.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), "00A9");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let any = KeyPair::generate().unwrap();
    for leaf in [theirs.fresh(&w, "no serial"), with_serial("a b", "x"), theirs.sign(&server, &any)] {
        assert_eq!(dial(&w, &anchor, &leaf).await, Err(Refusal::Arriving));
        assert_eq!(dial(&w, &anchor, &leaf).await, Err(Refusal::TurnedAway));
    }
    let booked = audited(&w, &admin, "registered_authority.refuse").await;
    for code in ["no_device_id", "wrong_usage", "rejected"] {
        assert!(booked.iter().any(|detail| detail.contains(code)), "{code}: {booked:?}");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_33_authorities_of_one_name_are_told_apart_by_their_keys(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, other_admin) = (w.admin().await, elsewhere(&w).await);
    let (one, two) = (Theirs::new(&w, "Common CA"), Theirs::new(&w, "Common CA"));
    let first = one.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let second = two.enabled(&w, &other_admin, policy(JustInTime::Auto)).await;
    assert_eq!(first.name, second.name);
    let (mine, yours) = (one.fresh(&w, "meter-1"), two.fresh(&w, "meter-1"));
    for (anchor, leaf) in [(&first, &mine), (&second, &yours)] {
        assert_eq!(dial(&w, anchor, leaf).await, Err(Refusal::Arriving));
        assert!(dial(&w, anchor, leaf).await.is_ok(), "one name in two organizations is two devices");
    }
    let trust = w.fleet.pki().trust();
    assert_eq!((trust.check(&mine).unwrap().org, trust.check(&yours).unwrap().org), (w.org.clone(), other_admin.org.clone()));
    // Neither speaks for the other's device, whatever its chain is said to be.
    assert_eq!(trust.check_registered(&mine, &second), Err(Refusal::Authority));
    assert_eq!(trust.check_registered(&yours, &first), Err(Refusal::Authority));
    assert_eq!(w.fleet.devices().list(&admin, &DeviceQuery::default()).await.unwrap().total, 1);
    // Disabling one does nothing to the other.
    w.fleet.pki().disable_authority(&admin, &first.id).await.unwrap();
    assert_eq!(trust.check(&mine), Err(Refusal::Authority));
    assert!(trust.check(&yours).is_ok());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn p_6_certificates_without_an_end_are_believed_and_a_44_no_address_in_them_is_called(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let bait = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/x", bait.local_addr().unwrap());
    let mut authority = authority_params(&w, "Birth CA");
    authority.not_after = never();
    authority.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![address.clone()] }];
    let theirs = Theirs::with(authority);
    let anchor = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let mut birth = params(&w, "meter-1");
    birth.not_after = never();
    birth.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![address] }];
    let leaf = theirs.sign(&birth, &KeyPair::generate().unwrap());
    assert_eq!(dial(&w, &anchor, &leaf).await, Err(Refusal::Arriving));
    let peer = w.fleet.pki().trust().check(&leaf).unwrap();
    assert_eq!(peer.not_after, Timestamp(253_402_300_799_000));
    // A hundred years on it is still good, its page can be read, and it is in memory after a restart's reading.
    w.clock.advance(100 * 365 * 86_400_000);
    w.fleet.pki().reload().await.unwrap();
    assert!(w.fleet.pki().trust().check(&leaf).is_ok());
    let detail = w.fleet.pki().certificate(&admin, &peer.certificate).await.unwrap();
    assert_eq!(detail.row.not_after, peer.not_after);
    let called = tokio::time::timeout(std::time::Duration::from_millis(200), bait.accept()).await;
    assert!(called.is_err(), "nothing that a certificate points to is fetched");
    // The end of the authority is the end of its devices (fact 6: no path builder looks at it).
    let short = Theirs::new(&w, "Short CA");
    let anchor = short.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let mut long = params(&w, "meter-2");
    long.not_after = never();
    let leaf = short.sign(&long, &KeyPair::generate().unwrap());
    assert_eq!(dial(&w, &anchor, &leaf).await, Err(Refusal::Arriving));
    w.clock.advance(31 * 86_400_000);
    assert_eq!(dial(&w, &anchor, &leaf).await, Err(Refusal::Expired));
    assert_eq!(dial(&w, &anchor, &short.fresh(&w, "meter-3")).await, Err(Refusal::Expired));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_a_certificate_that_no_handshake_takes_is_in_its_owners_books(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let theirs = Theirs::new(&w, "Plant CA");
    let anchor = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let (trust, leaf) = (w.fleet.pki().trust(), theirs.fresh(&w, "meter-1"));
    for _ in 0..5 {
        trust.unfit(&leaf, &anchor, "not_version_3", [192, 0, 2, 7].into());
    }
    assert_eq!(w.fleet.devices().decide_arrivals().await, 1, "once a minute");
    assert_eq!(w.fleet.pki().registered_authority(&admin, &anchor.id).await.unwrap().refused, 1);
    let booked = audited(&w, &admin, "registered_authority.refuse").await;
    assert!(booked.len() == 1 && booked[0].contains("not_version_3") && booked[0].contains("meter-1"), "{booked:?}");
    // A flood is bounded on its way, and in the books.
    for n in 0..200 {
        trust.unfit(&theirs.fresh(&w, &format!("meter-{n}")), &anchor, "chain", [192, 0, 2, 8].into());
    }
    assert_eq!(w.fleet.devices().decide_arrivals().await, 99);
    assert_eq!(audited(&w, &admin, "registered_authority.refuse").await.len(), 10);
    // And takes no room in them from devices that have proved their keys.
    w.device("gw-1", "gateway").await;
    assert_eq!(dial(&w, &anchor, &theirs.fresh(&w, "gw-1")).await, Err(Refusal::Arriving));
    let booked = audited(&w, &admin, "registered_authority.refuse").await;
    assert_eq!(booked.iter().filter(|detail| detail.contains("device_exists")).count(), 1, "{booked:?}");
    assert_eq!(booked.len(), 11);
    // Whoever shows a device's certificate without what is between keeps nobody out.
    assert_eq!(dial(&w, &anchor, &leaf).await, Err(Refusal::Arriving));
    assert_eq!(dial(&w, &anchor, &leaf).await.unwrap().as_str(), "meter-1");
    assert_eq!(w.fleet.pki().registered_authority(&admin, &anchor.id).await.unwrap().admitted, 1);
}
