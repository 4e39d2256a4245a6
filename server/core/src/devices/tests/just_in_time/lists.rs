//! Lists of revoked certificates that owners bring, and certificates of ours for theirs (E-10).

use super::{Theirs, anchor, at, audited, authority_params, dial, params, policy, refused};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, exec},
    pki::{Error as PkiError, Refusal, Refused},
    testing::{World, csr},
};
use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, Issuer, KeyIdMethod, KeyPair,
    RevocationReason, RevokedCertParams, SerialNumber,
};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{
    Timestamp,
    devices::DeviceQuery,
    enrolment::Enrolled,
    ids::AuthorityId,
    registered::{EndedList, JustInTime, JustInTimePolicy},
    states::{CertificateState, DeviceStep},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

// What nobody writes: a time that no list can say, and marks that were lost.
const NO_TIME: Sql = Sql::same("UPDATE certificates SET revoked_at = 9000000000000000000 WHERE state = 'revoked'");
const UNMARKED: Sql = Sql::same("UPDATE certificates SET owner_listed_at = NULL, owner_list = ''");

pub(super) fn serial(leaf: &[u8]) -> Vec<u8> {
    X509Certificate::from_der(leaf).unwrap().1.raw_serial().to_vec()
}

/// A list that was made at that time and holds for a day.
pub(super) fn list_params(number: u64, made: Timestamp, serials: &[Vec<u8>]) -> CertificateRevocationListParams {
    let entry = |serial: &Vec<u8>| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: at(made),
        reason_code: Some(RevocationReason::CertificateHold),
        invalidity_date: None,
    };
    CertificateRevocationListParams {
        this_update: at(made),
        next_update: at(made.plus(DAY)),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

impl Theirs {
    pub(super) fn list(&self, params: &CertificateRevocationListParams) -> Vec<u8> {
        params.signed_by(&Issuer::from_params(&self.params, &self.key)).unwrap().der().to_vec()
    }
}

async fn bring(w: &World, actor: &Actor, id: &AuthorityId, list: Vec<u8>) -> Result<(), PkiError> {
    w.fleet.pki().bring_list(actor, id, list).await.map(drop)
}

pub(super) async fn in_by(w: &World, theirs: &Theirs, anchor: &std::sync::Arc<crate::pki::RegisteredAnchor>, name: &str) -> Vec<u8> {
    let leaf = theirs.fresh(w, name);
    assert_eq!(dial(w, anchor, &leaf).await, Err(Refusal::Arriving));
    assert!(dial(w, anchor, &leaf).await.is_ok());
    leaf
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_what_an_owner_has_revoked_is_refused_and_cut_and_no_older_list_takes_it_back(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let pki = w.fleet.pki();
    let theirs = Theirs::new(&w, "Plant CA");
    let id = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await.id.clone();
    let now = w.clock_now();
    let (one, two) = (in_by(&w, &theirs, &anchor(&w, &id), "meter-1").await, in_by(&w, &theirs, &anchor(&w, &id), "meter-2").await);
    let unseen = theirs.fresh(&w, "meter-3");
    let peer = pki.trust().check(&one).unwrap();

    assert!(matches!(bring(&w, &w.viewer().await, &id, vec![]).await, Err(PkiError::Access(_))));
    let listed = [serial(&one), serial(&unseen)];
    let mut changes = pki.trust().changes();
    changes.mark_unchanged();
    bring(&w, &operator, &id, theirs.list(&list_params(5, now, &listed))).await.unwrap();
    assert!(changes.has_changed().unwrap(), "listeners are woken");
    assert_eq!(pki.trust().still(&peer.fingerprint), Err(Refusal::Revoked), "live connections are cut by this");
    for leaf in [&one, &unseen] {
        assert_eq!(dial(&w, &anchor(&w, &id), leaf).await, Err(Refusal::Revoked));
    }
    assert!(dial(&w, &anchor(&w, &id), &two).await.is_ok());
    // Pages and counts say the same.
    let all = wire::pki::CertificateQuery::default();
    let revoked = wire::pki::CertificateQuery { state: Some(CertificateState::Revoked), ..all.clone() };
    let page = pki.certificates_page(&admin, &revoked).await.unwrap();
    let row = &page.certificates.items[0];
    assert_eq!((page.certificates.total, row.id.clone(), row.reason.as_str()), (1, peer.certificate.clone(), "owners_list"));
    let detail = pki.certificate(&admin, &peer.certificate).await.unwrap();
    assert_eq!((detail.revoked_at, detail.revoked_by.as_str(), detail.may_revoke), (Some(now), "its owner's list 0x5", false));
    assert_eq!(pki.expiring(&w.org, now.plus(4000 * DAY)).await.unwrap(), 1, "only the other one ends");
    assert_eq!(w.fleet.devices().list(&admin, &DeviceQuery::default()).await.unwrap().total, 2, "what is on the list never comes in");
    let shown = pki.registered_authority(&operator, &id).await.unwrap().list.unwrap();
    assert_eq!((shown.number.as_str(), shown.entries, shown.next_update), ("0x5", 2, now.plus(DAY)));

    // The same again is no news; an older one is refused, by number or by time.
    let text = crate::pem::encode("X509 CRL", &theirs.list(&list_params(6, now, &listed)));
    bring(&w, &operator, &id, text.clone().into_bytes()).await.unwrap();
    bring(&w, &operator, &id, text.into_bytes()).await.unwrap();
    assert_eq!(audited(&w, &admin, "registered_authority.list").await.len(), 2);
    for (number, made) in [(4, now), (6, now.plus(HOUR)), (7, now.plus(-HOUR))] {
        w.clock.advance(if made > now { HOUR } else { 0 });
        assert_eq!(refused(bring(&w, &operator, &id, theirs.list(&list_params(number, made, &[]))).await), Refused::ListNotNewer);
    }
    assert_eq!(dial(&w, &anchor(&w, &id), &one).await, Err(Refusal::Revoked));

    // What a newer list has no more was on hold.
    bring(&w, &operator, &id, theirs.list(&list_params(7, now.plus(HOUR), &[]))).await.unwrap();
    assert_eq!(pki.certificate(&admin, &peer.certificate).await.unwrap().row.state, CertificateState::Active);
    assert!(dial(&w, &anchor(&w, &id), &one).await.is_ok());
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_an_ended_list_closes_its_authority_unless_an_admin_has_said_otherwise(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let theirs = Theirs::new(&w, "Plant CA");
    let id = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await.id.clone();
    let (one, listed) = (in_by(&w, &theirs, &anchor(&w, &id), "meter-1").await, in_by(&w, &theirs, &anchor(&w, &id), "meter-2").await);
    let trust = w.fleet.pki().trust();
    let peer = trust.check(&one).unwrap();
    w.clock.advance(3 * DAY);
    assert!(trust.check(&one).is_ok(), "without a list nothing can end");
    let now = w.clock_now();
    bring(&w, &admin, &id, theirs.list(&list_params(1, now, &[serial(&listed)]))).await.unwrap();
    w.clock.advance(2 * DAY);
    assert!(trust.check(&one).is_ok(), "a day of grace");
    w.clock.advance(1000);
    assert_eq!(dial(&w, &anchor(&w, &id), &one).await, Err(Refusal::ListEnded));
    assert_eq!(trust.still(&peer.fingerprint), Err(Refusal::ListEnded), "live ones, too");
    assert_eq!(dial(&w, &anchor(&w, &id), &theirs.fresh(&w, "meter-3")).await, Err(Refusal::ListEnded));
    let open = JustInTimePolicy { ended_list: EndedList::Open, ..policy(JustInTime::Auto) };
    w.fleet.devices().enable_authority(&admin, &id, open).await.unwrap();
    assert!(dial(&w, &anchor(&w, &id), &one).await.is_ok());
    assert_eq!(dial(&w, &anchor(&w, &id), &listed).await, Err(Refusal::Revoked), "by the list that has ended");
    w.fleet.devices().enable_authority(&admin, &id, policy(JustInTime::Auto)).await.unwrap();
    assert_eq!(dial(&w, &anchor(&w, &id), &one).await, Err(Refusal::ListEnded));
    bring(&w, &admin, &id, theirs.list(&list_params(2, w.clock_now(), &[]))).await.unwrap();
    assert!(dial(&w, &anchor(&w, &id), &one).await.is_ok());
}

#[tokio::test]
async fn a_32_a_list_is_its_authoritys_own_and_whole_or_refused() {
    let w = World::open(EngineKind::Sqlite).await;
    let admin = w.admin().await;
    let theirs = Theirs::new(&w, "Plant CA");
    let unproved = theirs.register(&w, &admin).await.unwrap();
    let now = w.clock_now();
    let good = list_params(1, now, &[]);
    assert!(matches!(refused(bring(&w, &admin, &unproved.id, theirs.list(&good)).await), Refused::State(_)));
    w.fleet.pki().verify_authority(&admin, &unproved.id, &theirs.proof(&w, &unproved.code.unwrap())).await.unwrap();
    let id = unproved.id;
    let says = async |list: Vec<u8>, what: &str| match refused(bring(&w, &admin, &id, list).await) {
        Refused::List(why) => assert!(why.contains(what), "{why}"),
        other => panic!("{other:?}"),
    };
    says(b"nonsense".to_vec(), "neither PEM").await;
    says(vec![0x30, 0x80, 0, 0], "malformed").await;
    says(theirs.fresh(&w, "meter-1"), "no list").await;
    says(Theirs::new(&w, "Other CA").list(&good), "not from this authority").await;
    says(Theirs::new(&w, "Plant CA").list(&good), "signature").await;
    let line = authority_params(&w, "Line CA");
    let below = Theirs { der: CertificateDer::from(theirs.sign(&line, &KeyPair::generate().unwrap())), ..Theirs::with(line) };
    says(below.list(&good), "not from this authority").await;
    let mut broken = theirs.list(&good);
    *broken.last_mut().unwrap() ^= 1;
    says(broken, "").await;
    let scoped = |scope| CertificateRevocationListParams {
        issuing_distribution_point: Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec!["http://127.0.0.1/never-fetched".into()] },
            scope,
        }),
        ..good.clone()
    };
    says(theirs.list(&scoped(Some(CrlScope::CaCertsOnly))), "part of a list").await;
    w.clock.advance(-DAY);
    says(theirs.list(&good), "not valid yet").await;
    w.clock.advance(2 * DAY);
    says(theirs.list(&good), "has ended").await;
    w.clock.advance(-DAY);
    bring(&w, &admin, &id, theirs.list(&scoped(Some(CrlScope::UserCertsOnly)))).await.unwrap();
    let mut silent = authority_params(&w, "Mute CA");
    silent.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let mute = Theirs::with(silent);
    let made = mute.register(&w, &admin).await.unwrap();
    w.fleet.pki().verify_authority(&admin, &made.id, &mute.proof(&w, &made.code.unwrap())).await.unwrap();
    let talks = Theirs { params: authority_params(&w, "Mute CA"), ..mute };
    assert!(matches!(refused(bring(&w, &admin, &made.id, talks.list(&good)).await), Refused::List(why) if why.contains("cRLSign")));
    w.fleet.pki().remove_authority(&admin, &id).await.unwrap();
}

#[tokio::test]
async fn a_33_a_list_speaks_for_what_its_authority_has_signed_itself() {
    let w = World::open(EngineKind::Sqlite).await;
    let admin = w.admin().await;
    let theirs = Theirs::new(&w, "Plant CA");
    let id = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await.id.clone();
    // One below it numbers its certificates as it likes.
    let line = Theirs::with(authority_params(&w, "Line CA"));
    let same_number = |name: &str, by: &Theirs| {
        let mut numbered = params(&w, name);
        numbered.serial_number = Some(SerialNumber::from(7_u64));
        by.sign(&numbered, &KeyPair::generate().unwrap())
    };
    let (direct, below) = (same_number("meter-1", &theirs), same_number("meter-2", &line));
    for leaf in [&direct, &below] {
        assert_eq!(dial(&w, &anchor(&w, &id), leaf).await, Err(Refusal::Arriving));
        assert!(dial(&w, &anchor(&w, &id), leaf).await.is_ok());
    }
    // With a zero in front, as some makers write it.
    bring(&w, &admin, &id, theirs.list(&list_params(1, w.clock_now(), &[vec![0, 7]]))).await.unwrap();
    assert_eq!(dial(&w, &anchor(&w, &id), &direct).await, Err(Refusal::Revoked));
    assert!(dial(&w, &anchor(&w, &id), &below).await.is_ok());
    assert!(anchor(&w, &id).lists(&direct) && !anchor(&w, &id).lists(&below));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_what_an_owner_revokes_above_a_device_ends_its_connections(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let theirs = Theirs::new(&w, "Plant CA");
    let id = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await.id.clone();
    let below = |name: &str, number: u64, by: &Theirs| {
        let mut numbered = authority_params(&w, name);
        numbered.serial_number = Some(SerialNumber::from(number));
        CertificateDer::from(by.sign(&numbered, &KeyPair::generate().unwrap()))
    };
    let shown = [below("Line CA", 7, &theirs), below("Cell CA", 8, &Theirs::new(&w, "Other CA"))];
    let leaf = in_by(&w, &theirs, &anchor(&w, &id), "meter-1").await;
    let trust = w.fleet.pki().trust();
    let fingerprint = trust.check(&leaf).unwrap().fingerprint;
    let (over, direct) = (trust.between(&fingerprint, &shown), trust.between(&fingerprint, &[]));
    assert_ne!(over, direct);
    for (number, listed, says) in
        [(1, vec![], Ok(())), (2, vec![vec![8]], Ok(())), (3, vec![vec![0, 7]], Err(Refusal::Revoked)), (4, vec![], Ok(()))]
    {
        bring(&w, &admin, &id, theirs.list(&list_params(number, w.clock_now(), &listed))).await.unwrap();
        assert_eq!(trust.still_over(&fingerprint, &over), says, "list {number}: by what it has signed itself");
        assert_eq!(trust.still_over(&fingerprint, &direct), Ok(()), "others go on");
    }
}

fn leaf(enrolled: &Enrolled) -> Vec<u8> {
    CertificateDer::from_pem_slice(enrolled.certificate.as_bytes()).unwrap().to_vec()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_a_device_trades_its_certificate_for_one_of_ours_where_its_authority_may(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let theirs = Theirs::new(&w, "Plant CA");
    let id = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await.id.clone();
    let own = in_by(&w, &theirs, &anchor(&w, &id), "meter-1").await;
    let peer = pki.trust().check(&own).unwrap();
    assert!(pki.is_foreign(&peer));
    let system = Actor { address: "192.0.2.9".into(), ..Actor::system(w.org.clone()) }.by_request("trade");
    let trade = async |csr: &str| pki.exchange(&system, &peer, csr.as_bytes(), None, "https://d").await;
    assert_eq!(refused(trade(&csr("meter-1")).await), Refused::NoExchange, "off unless an admin says so");
    let allowed = JustInTimePolicy { exchange: true, ..policy(JustInTime::Auto) };
    w.fleet.devices().enable_authority(&admin, &id, allowed).await.unwrap();
    assert!(matches!(trade(&csr("meter-2")).await, Err(PkiError::Csr(_))), "for itself alone");

    let asked = csr("meter-1");
    let ours = trade(&asked).await.unwrap();
    assert_eq!((ours.device_id.as_str(), trade(&asked).await.unwrap().certificate), ("meter-1", ours.certificate.clone()), "E-3");
    let new = pki.trust().check(&leaf(&ours)).unwrap();
    assert!(new.device == peer.device && !pki.is_foreign(&new));
    // Another key: what it was given and has not used is superseded.
    let other = trade(&csr("meter-1")).await.unwrap();
    assert_eq!(pki.trust().check(&leaf(&ours)), Err(Refusal::Superseded));
    assert_eq!(audited(&w, &admin, "device.exchange").await.len(), 2);
    // K-8: by which request, and for which CSR.
    let hash = hex::encode(crate::pki::csr::gate(asked.as_bytes(), None).unwrap().csr_sha256);
    for action in ["certificate.issue", "device.exchange"] {
        let rows = audited(&w, &admin, action).await;
        assert!(rows.iter().any(|row| row.contains(&hash) && row.contains(r#""request":"trade""#)), "{action} {rows:?}");
    }
    let used = pki.trust().check(&leaf(&other)).unwrap();
    pki.note_first_use(&used.certificate).await.unwrap();
    assert!(dial(&w, &anchor(&w, &id), &own).await.is_ok(), "R-2: a day of overlap");
    w.clock.advance(DAY + 1000);
    pki.tick().await.unwrap();
    pki.reload().await.unwrap();
    assert!(dial(&w, &anchor(&w, &id), &own).await.is_err());
    assert!(matches!(trade(&asked).await, Err(PkiError::NotUsable(_))));
    assert!(pki.trust().check(&leaf(&other)).is_ok());

    // Suspended, it gets nothing.
    let second = in_by(&w, &theirs, &anchor(&w, &id), "meter-2").await;
    let held = pki.trust().check(&second).unwrap();
    w.fleet.devices().change(&admin, &"meter-2".parse().unwrap(), DeviceStep::Suspend).await.unwrap();
    let refused = pki.exchange(&system, &held, csr("meter-2").as_bytes(), None, "https://d").await;
    assert!(matches!(refused, Err(PkiError::NotUsable(Refusal::DeviceInactive))), "{refused:?}");
}

/// E-10, R-9: what pages and figures show goes on while a list of ours can't be signed, which is said all the same.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_pages_follow_owners_lists_while_a_list_of_ours_cannot_be_signed(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let theirs = Theirs::new(&w, "Plant CA");
    let id = theirs.enabled(&w, &admin, JustInTimePolicy { exchange: true, ..policy(JustInTime::Auto) }).await.id.clone();
    let (one, two) = (in_by(&w, &theirs, &anchor(&w, &id), "meter-1").await, in_by(&w, &theirs, &anchor(&w, &id), "meter-2").await);
    let (listed, peer) = (pki.trust().check(&one).unwrap().certificate, pki.trust().check(&two).unwrap());
    let system = Actor::system(w.org.clone());
    let ours = pki.exchange(&system, &peer, csr("meter-2").as_bytes(), None, "https://d").await.unwrap();
    let ours = pki.trust().check(&leaf(&ours)).unwrap().certificate;
    bring(&w, &admin, &id, theirs.list(&list_params(1, w.clock_now(), &[serial(&one)]))).await.unwrap();
    pki.revoke(&admin, &ours, wire::pki::RevocationReason::Unspecified).await.unwrap();
    let mut tx = w.fleet.devices().db.write().await.unwrap();
    exec!(&mut tx, NO_TIME).unwrap();
    exec!(&mut tx, UNMARKED).unwrap();
    tx.commit().await.unwrap();
    let state = async || pki.certificate(&admin, &listed).await.unwrap().row.state;
    assert_eq!((state().await, pki.follow_figures().len()), (CertificateState::Active, 0), "before the worker's round");

    pki.tick().await.unwrap_err();
    assert_eq!((state().await, pki.follow_figures().len()), (CertificateState::Revoked, 3), "the root, devices' and listeners' authority");
}
