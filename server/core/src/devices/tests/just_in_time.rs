//! Registered authorities (E-10): proved, believed under a policy, cut off; and nobody speaks for anybody else.

use super::{Error, World};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, exec},
    pki::{Error as PkiError, Refusal, Refused, RegisteredAnchor},
    testing::csr,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rstest::rstest;
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use time::{Date, Month, OffsetDateTime, Time};
use wire::{
    Timestamp,
    devices::DeviceQuery,
    ids::{AuthorityId, DeviceId, OrgId},
    pki::RevocationReason,
    registered::{JustInTime, JustInTimePolicy, NewRegisteredAuthority, RegisteredAuthority, RegisteredState},
    states::{CertificateState, DeviceStep, Role},
};

const ORGANIZATION: Sql = Sql::same("INSERT INTO organizations (id, slug, name, created_at) VALUES ($1, $2, $2, 0)");
const HEAD: Sql = Sql::same("INSERT INTO audit_heads (org_id, seq, hash) VALUES ($1, 0, $2)");

/// Somebody's authority.
struct Theirs {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

fn at(t: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(t.0 / 1000).unwrap()
}

/// `99991231235959Z`: the end of what has none (P-6, RFC 5280 §4.1.2.5).
fn never() -> OffsetDateTime {
    OffsetDateTime::new_utc(Date::from_calendar_date(9999, Month::December, 31).unwrap(), Time::from_hms(23, 59, 59).unwrap())
}

fn params(w: &World, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = at(w.clock_now().plus(-3_600_000));
    params.not_after = at(w.clock_now().plus(30 * 86_400_000));
    params
}

fn authority_params(w: &World, name: &str) -> CertificateParams {
    let mut params = params(w, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Theirs {
    fn new(w: &World, name: &str) -> Self {
        Self::with(authority_params(w, name))
    }

    fn with(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &Issuer::from_params(&self.params, &self.key)).unwrap().der().to_vec()
    }

    fn leaf(&self, w: &World, name: &str, key: &KeyPair) -> Vec<u8> {
        let mut params = params(w, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, key)
    }

    fn fresh(&self, w: &World, name: &str) -> Vec<u8> {
        self.leaf(w, name, &KeyPair::generate().unwrap())
    }

    /// What proves possession of its key.
    fn proof(&self, w: &World, code: &str) -> Vec<u8> {
        self.sign(&params(w, code), &KeyPair::generate().unwrap())
    }

    async fn register(&self, w: &World, actor: &Actor) -> Result<RegisteredAuthority, Error> {
        let new = NewRegisteredAuthority { label: "Plant".into(), certificate: crate::pem::encode("CERTIFICATE", &self.der) };
        w.fleet.devices().register_authority(actor, &new).await
    }

    async fn enabled(&self, w: &World, actor: &Actor, policy: JustInTimePolicy) -> Arc<RegisteredAnchor> {
        let made = self.register(w, actor).await.unwrap();
        let proof = self.proof(w, &made.code.unwrap());
        w.fleet.pki().verify_authority(actor, &made.id, &proof).await.unwrap();
        w.fleet.devices().enable_authority(actor, &made.id, policy).await.unwrap();
        anchor(w, &made.id)
    }
}

fn policy(just_in_time: JustInTime) -> JustInTimePolicy {
    JustInTimePolicy { just_in_time, device_type: "meter".into(), tags: vec!["plant".into()], ..JustInTimePolicy::default() }
}

fn anchor(w: &World, id: &AuthorityId) -> Arc<RegisteredAnchor> {
    w.fleet.pki().trust().device_anchors().registered.iter().find(|a| a.id == *id).unwrap().clone()
}

/// One dial: the handshake's answer, and what the worker makes of it.
async fn dial(w: &World, anchor: &Arc<RegisteredAnchor>, leaf: &[u8]) -> Result<DeviceId, Refusal> {
    let trust = w.fleet.pki().trust();
    let answer = trust.check_registered(leaf, anchor).map(|peer| peer.device_id);
    if answer == Err(Refusal::Arriving) {
        trust.arrived(leaf, Some([192, 0, 2, 7].into()));
        w.fleet.devices().decide_arrivals().await;
    }
    answer
}

/// Another organization and somebody in it who may all.
async fn elsewhere(w: &World) -> Actor {
    let org: OrgId = w.entropy.id(w.clock_now());
    let mut tx = w.fleet.devices().db.write().await.unwrap();
    exec!(&mut tx, ORGANIZATION, org.as_str(), "elsewhere").unwrap();
    exec!(&mut tx, HEAD, org.as_str(), [0_u8; 32].as_slice()).unwrap();
    tx.commit().await.unwrap();
    Actor::system(org)
}

async fn audited(w: &World, actor: &Actor, action: &str) -> Vec<String> {
    let page = w.fleet.access().audit_page(actor, None).await.unwrap();
    page.entries.items.into_iter().filter(|e| e.action == action).map(|e| e.detail).collect()
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, PkiError>) -> Refused {
    match outcome {
        Err(PkiError::Registered(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

fn turned_down<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Refused {
    match outcome {
        Err(Error::Pki(PkiError::Registered(refused))) => refused,
        other => panic!("{other:?}"),
    }
}

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
        JustInTimePolicy { pattern: "a b".into(), ..policy(JustInTime::Auto) },
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
    let requests = w.fleet.devices().enrolment_requests(&admin).await.unwrap();
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

    // Its own authority's new key for it: not by itself, but a person may say so (E-10).
    let rekeyed = one.fresh(&w, "meter-1");
    assert_eq!(dial(&w, &first, &rekeyed).await, Err(Refusal::Arriving));
    assert_eq!(dial(&w, &first, &rekeyed).await, Err(Refusal::TurnedAway));
    let waiting = w.fleet.devices().enrolment_requests(&admin).await.unwrap();
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
    // What was sent away stays away; what was revoked, too.
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
    let waiting = devices.enrolment_requests(&operator).await.unwrap();
    assert_eq!(waiting.iter().map(|r| r.device_id.as_str()).collect::<Vec<_>>(), ["plant-00A7", "plant-00A8"]);
    devices.approve_enrolment(&operator, &waiting[0].id).await.unwrap();
    devices.reject_enrolment(&operator, &waiting[1].id).await.unwrap();
    assert_eq!(dial(&w, &anchor, &good).await.unwrap().as_str(), "plant-00A7", "an approved device is in with its next dial");
    w.clock.advance(60_001);
    assert_eq!(dial(&w, &anchor, &bad).await, Err(Refusal::Arriving));
    assert!(devices.enrolment_requests(&operator).await.unwrap().is_empty(), "a rejected one does not ask again");
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
