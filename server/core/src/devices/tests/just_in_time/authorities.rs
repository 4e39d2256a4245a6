//! The authorities: registered, proved, enabled, cut off.

use super::{
    super::{Error, World},
    Theirs, anchor, at, audited, authority_params, dial, elsewhere, params, policy, refused, turned_down,
};
use crate::{
    access::Actor,
    db::EngineKind,
    pki::{Error as PkiError, Refusal, Refused},
    testing::Backup,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType};
use rstest::rstest;
use wire::{
    devices::DeviceQuery,
    registered::{JustInTime, JustInTimePolicy, NewRegisteredAuthority, RegisteredState},
    states::{CertificateState, Role},
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_the_life_of_a_registered_authority(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let (pki, devices) = (w.fleet.pki(), w.fleet.devices());
    let theirs = Theirs::new(&w, "Plant CA");
    assert!(matches!(theirs.register(&w, &operator).await, Err(Error::Pki(PkiError::Access(_)))), "an admin's business");
    let made = theirs.register(&w, &admin).await.unwrap();
    let (id, code) = (made.id.clone(), made.code.clone().unwrap());
    assert_eq!((made.state, code.len(), made.code_until), (RegisteredState::Unverified, 64, Some(w.clock_now().plus(86_400_000))));
    assert!(pki.trust().device_anchors().registered.is_empty(), "nothing is believed yet");
    assert_eq!(
        turned_down(devices.enable_authority(&admin, &id, policy(JustInTime::Auto)).await),
        Refused::State(RegisteredState::Unverified)
    );

    let verified = pki.verify_authority(&admin, &id, &theirs.proof(&w, &code)).await.unwrap();
    assert_eq!((verified.state, verified.code), (RegisteredState::Verified, None));
    assert!(pki.trust().device_anchors().registered.is_empty(), "verified is not believed");
    let version = pki.trust().device_anchors().version;
    devices.enable_authority(&admin, &id, policy(JustInTime::Auto)).await.unwrap();
    assert!(pki.trust().device_anchors().version > version, "listeners follow");

    // The first dial is decided about, the second is let in.
    let anchor = anchor(&w, &id);
    let leaf = theirs.fresh(&w, "meter-1");
    assert_eq!(dial(&w, &anchor, &leaf).await, Err(Refusal::Arriving));
    assert_eq!(dial(&w, &anchor, &leaf).await.unwrap().as_str(), "meter-1");
    let peer = pki.trust().check(&leaf).unwrap();
    assert_eq!((&peer.org, peer.device_id.as_str()), (&w.org, "meter-1"));
    let listed = devices.list(&admin, &DeviceQuery { q: "type:meter tag:plant".into(), ..DeviceQuery::default() }).await.unwrap();
    assert_eq!(listed.total, 1, "type and tags are the policy's");
    let detail = pki.certificate(&admin, &peer.certificate).await.unwrap();
    assert_eq!((detail.row.state, detail.enrolled_by.as_str()), (CertificateState::Active, "authority Plant"));
    let shown = pki.registered_authority(&admin, &id).await.unwrap();
    assert_eq!((shown.devices, shown.admitted, shown.state), (1, 1, RegisteredState::Active));
    assert_eq!(audited(&w, &admin, "device.enrol").await.len(), 1);
    assert_eq!(pki.authorities_page(&admin).await.unwrap().authorities.len(), 3, "it is none of ours");
    assert!(pki.compromise_authority(&admin, &id).await.is_err(), "nor can it be given up as one");
    assert!(!pki.trust().renewal_overdue(&peer), "its own authority renews it");

    // Disabled, nothing of it counts; enabled again, everything as before.
    let changes = *pki.trust().changes().borrow();
    pki.disable_authority(&admin, &id).await.unwrap();
    pki.disable_authority(&admin, &id).await.unwrap();
    assert!(*pki.trust().changes().borrow() > changes, "live connections are looked at");
    assert_eq!(pki.trust().still(&peer.fingerprint), Err(Refusal::Authority));
    assert_eq!(dial(&w, &anchor, &theirs.fresh(&w, "meter-2")).await, Err(Refusal::Arriving));
    assert_eq!(pki.registered_authority(&admin, &id).await.unwrap().admitted, 1, "one that was on its way is not let in");
    assert_eq!(refused(pki.remove_authority(&admin, &id).await), Refused::InUse);
    devices.enable_authority(&admin, &id, policy(JustInTime::Off)).await.unwrap();
    assert!(pki.trust().check(&leaf).is_ok());
    assert_eq!(refused(pki.remove_authority(&admin, &id).await), Refused::State(RegisteredState::Active));

    // One that never let anybody in can go, and its key is free again.
    let other = Theirs::new(&w, "Other CA");
    let unused = other.register(&w, &admin).await.unwrap();
    pki.verify_authority(&admin, &unused.id, &other.proof(&w, &unused.code.unwrap())).await.unwrap();
    pki.remove_authority(&admin, &unused.id).await.unwrap();
    assert!(other.register(&w, &admin).await.is_ok());
    assert_eq!(refused(pki.registered_authority(&admin, &unused.id).await), Refused::NotFound);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_32_only_who_holds_the_key_gets_an_authority_verified(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, thief) = (w.admin().await, elsewhere(&w).await);
    let pki = w.fleet.pki();
    let theirs = Theirs::new(&w, "Plant CA");
    // Registering somebody else's authority proves nothing, and stands in nobody's way.
    let stolen = theirs.register(&w, &thief).await.unwrap();
    let made = theirs.register(&w, &admin).await.unwrap();
    assert_ne!(stolen.code, made.code);
    let (id, code) = (&made.id, made.code.unwrap());
    assert_eq!(turned_down(theirs.register(&w, &admin).await), Refused::Known);
    assert_eq!(refused(pki.verify_authority(&thief, id, &theirs.proof(&w, &code)).await), Refused::NotFound, "another organization's");

    let mut below = authority_params(&w, "Sub CA");
    below.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let sub_key = KeyPair::generate().unwrap();
    let sub_der = theirs.sign(&below, &sub_key).into();
    let sub = Theirs { params: below, key: sub_key, der: sub_der };
    let forged = Theirs::new(&w, "Plant CA");
    let mut an_authority = params(&w, &code);
    an_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut ended = params(&w, &code);
    ended.not_after = at(w.clock_now().plus(-1000));
    let any = KeyPair::generate().unwrap();
    for (what, proof) in [
        ("by a sub-CA", sub.proof(&w, &code)),
        ("by another key under the same name", forged.proof(&w, &code)),
        ("another organization's code", theirs.proof(&w, stolen.code.as_deref().unwrap())),
        ("no code", theirs.proof(&w, "verify")),
        ("an authority", theirs.sign(&an_authority, &any)),
        ("ended", theirs.sign(&ended, &any)),
        ("the authority itself", theirs.der.to_vec()),
        ("nonsense", b"nonsense".to_vec()),
    ] {
        assert!(matches!(refused(pki.verify_authority(&admin, id, &proof).await), Refused::Proof(_) | Refused::Der(_)), "{what}");
    }
    assert_eq!(audited(&w, &admin, "registered_authority.refuse_proof").await.len(), 8);

    // Time is up; another code, and the one before is good for nothing.
    w.clock.advance(86_400_001);
    assert_eq!(refused(pki.verify_authority(&admin, id, &theirs.proof(&w, &code)).await), Refused::NoCode);
    let again = pki.renew_verification_code(&admin, id).await.unwrap().code.unwrap();
    assert!(matches!(refused(pki.verify_authority(&admin, id, &theirs.proof(&w, &code)).await), Refused::Proof(_)));
    // By the URI this time, as an authority that writes no common names would.
    let mut uri = params(&w, "somebody");
    uri.subject_alt_names = vec![SanType::URI(format!("urn:fleetward:verify:{again}").as_str().try_into().unwrap())];
    let proof = theirs.sign(&uri, &any);
    pki.verify_authority(&admin, id, &proof).await.unwrap();
    // Replayed, by whomever.
    assert_eq!(refused(pki.verify_authority(&admin, id, &proof).await), Refused::State(RegisteredState::Verified));
    let late = pki.renew_verification_code(&thief, &stolen.id).await.unwrap().code.unwrap();
    assert!(matches!(refused(pki.verify_authority(&thief, &stolen.id, &proof).await), Refused::Proof(_)));
    // Even with the key in hand the second organization comes too late, and a third can't register it any more.
    assert_eq!(refused(pki.verify_authority(&thief, &stolen.id, &theirs.proof(&w, &late)).await), Refused::Taken);
    pki.remove_authority(&thief, &stolen.id).await.unwrap();
    let taken = theirs.register(&w, &thief).await.unwrap_err();
    assert_eq!((taken.fault().kind, taken.fault().code.as_str()), (wire::FaultKind::Conflict, "authority_taken"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_32_what_is_no_authority_of_theirs_is_not_registered(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let register = async |certificate: String| {
        let new = NewRegisteredAuthority { label: "x".into(), certificate };
        w.fleet.devices().register_authority(&admin, &new).await
    };
    let pem = |der: &[u8]| crate::pem::encode("CERTIFICATE", der);
    // Ours, and another key under the name of ours (P-7).
    let all = w.fleet.pki().authorities_page(&admin).await.unwrap().authorities;
    // The listeners' would be none for devices anyway.
    for authority in all.into_iter().filter(|a| a.row.kind != "server") {
        assert_eq!(turned_down(register(authority.row.pem).await), Refused::Ours);
    }
    let mut ours = authority_params(&w, "x");
    ours.distinguished_name = DistinguishedName::new();
    ours.distinguished_name.push(DnType::OrganizationName, "default");
    ours.distinguished_name.push(DnType::CommonName, "Fleetward Device CA G1-1");
    assert_eq!(turned_down(register(pem(&Theirs::with(ours).der)).await), Refused::OurName);

    let mut no_authority = params(&w, "leaf");
    no_authority.is_ca = IsCa::ExplicitNoCa;
    let mut signs_nothing = authority_params(&w, "x");
    signs_nothing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let mut of_servers = authority_params(&w, "x");
    of_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for bad in [no_authority, signs_nothing, of_servers] {
        assert!(matches!(turned_down(register(pem(&Theirs::with(bad).der)).await), Refused::NotAuthority(_)));
    }
    let mut over = authority_params(&w, "x");
    over.not_after = at(w.clock_now().plus(-1000));
    assert_eq!(turned_down(register(pem(&Theirs::with(over).der)).await), Refused::Ended);
    let good = Theirs::new(&w, "Plant CA");
    let mut trailing = good.der.to_vec();
    trailing.push(0);
    assert!(matches!(turned_down(register(pem(&trailing)).await), Refused::Der(_)));
    assert_eq!(turned_down(register(pem(&[pem(&good.der).as_bytes(), b"x"].concat())).await).fault().code, "certificate_malformed");
    assert_eq!(turned_down(register(format!("{}{}", pem(&good.der), good.key.serialize_pem())).await), Refused::NotCertificate, "a key");
    assert_eq!(turned_down(register("A".repeat(70_000)).await), Refused::TooLarge);
    assert_eq!(turned_down(register(String::new()).await), Refused::NotCertificate);
    let new = NewRegisteredAuthority { label: " ".into(), certificate: pem(&good.der) };
    assert!(matches!(w.fleet.devices().register_authority(&admin, &new).await, Err(Error::Invalid { field: "label", .. })));
    // DER in base64 is as good as PEM; a policy that makes no sense is refused.
    let made = register(STANDARD.encode(&good.der)).await.unwrap();
    w.fleet.pki().verify_authority(&admin, &made.id, &good.proof(&w, &made.code.unwrap())).await.unwrap();
    for bad in [
        JustInTimePolicy { template: "gw".into(), ..policy(JustInTime::Auto) },
        JustInTimePolicy { pattern: "a b/c".into(), ..policy(JustInTime::Auto) },
        JustInTimePolicy { groups: vec!["north".into()], ..policy(JustInTime::Auto) },
        JustInTimePolicy { tags: vec!["a b".into()], ..policy(JustInTime::Auto) },
        JustInTimePolicy { max_devices: 0, ..policy(JustInTime::Auto) },
        JustInTimePolicy { per_day: 0, ..policy(JustInTime::Auto) },
    ] {
        assert!(matches!(w.fleet.devices().enable_authority(&admin, &made.id, bad).await, Err(Error::Invalid { .. })));
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_one_admin_alone_enables_no_authority(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    w.person("ben", Role::Admin).await;
    w.fleet.pki().set_approvals(&admin, true).await.unwrap();
    let theirs = Theirs::new(&w, "Plant CA");
    let made = theirs.register(&w, &admin).await.unwrap();
    let proof = theirs.proof(&w, &made.code.unwrap());
    w.fleet.pki().verify_authority(&admin, &made.id, &proof).await.unwrap();
    let enable = async |actor: &Actor| w.fleet.devices().enable_authority(actor, &made.id, policy(JustInTime::Auto)).await;
    assert_eq!(enable(&admin).await.unwrap_err().fault().code, "at_server");
    assert!(w.fleet.pki().trust().device_anchors().registered.is_empty());
    let shell = Actor::shell(w.org.clone());
    assert_eq!(enable(&shell).await.unwrap().state, RegisteredState::Active);
    assert_eq!(audited(&w, &admin, "authority.alone").await.len(), 1, "loud in the log");
    w.fleet.pki().disable_authority(&admin, &made.id).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_a_disabled_authority_stays_disabled_when_a_backup_is_put_back(#[case] kind: EngineKind) {
    let backup = Backup::of(kind).await;
    let w = backup.open(tempfile::tempdir().unwrap(), 1).await;
    let (admin, theirs) = (w.admin().await, Theirs::new(&w, "Plant CA"));
    let plant = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await;
    let leaf = theirs.fresh(&w, "gw-1");
    dial(&w, &plant, &leaf).await.unwrap_err();
    dial(&w, &plant, &leaf).await.unwrap();
    let folder = w.close().await;
    backup.take(&folder).await;
    let w = backup.open(folder, 2).await;
    w.fleet.pki().disable_authority(&admin, &plant.id).await.unwrap();
    let folder = w.close().await;
    backup.put_back(&folder).await;

    let w = backup.open(folder, 3).await;
    let now = w.fleet.pki().registered_authority(&admin, &plant.id).await.unwrap();
    assert_eq!(now.state, RegisteredState::Disabled, "the backup had it enabled");
    assert_eq!(w.fleet.pki().trust().check_registered(&leaf, &plant), Err(Refusal::Authority));
    // Enabled again it stays so, too.
    w.fleet.devices().enable_authority(&admin, &plant.id, policy(JustInTime::Auto)).await.unwrap();
    let w = backup.open(w.close().await, 4).await;
    assert!(w.fleet.pki().trust().check_registered(&leaf, &anchor(&w, &plant.id)).is_ok());
}
