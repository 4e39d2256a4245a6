//! What third parties are told, on both engines: lists of revoked certificates, by an independent parser.

use super::life::{DAY, check, enrol, enrol_with, organization, room};
use crate::{
    access::Actor,
    clock::Clock as _,
    db::{EngineKind, Sql, Store, exec, row},
    entropy::SeededEntropy,
    pki::{Pki, Refusal, der, recognise},
    testing::{START, World, store},
};
use rcgen::{CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, SerialNumber};
use rstest::rstest;
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId, DeviceId, OrgId},
    pki::{AuthorityUse, Revocation, RevocationReason},
    states::DeviceStep,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList};

pub(super) const HOUR: i64 = 3_600_000;

// What nobody writes: the tests' own meddling and counting.
const SET_BACK: Sql = Sql::same("UPDATE crls SET number = 1");
const PUBLISHED: Sql = Sql::same("SELECT COUNT(*) FROM audit WHERE action = 'crl.publish' AND object = $1");

pub(super) fn authority(pki: &Pki, org: &OrgId, kind: &str) -> AuthorityId {
    pki.authorities_of(org).into_iter().find(|a| a.kind == kind).unwrap().id
}

/// Number, instants, and serials with their reasons.
struct Read {
    number: u64,
    from: i64,
    until: i64,
    entries: Vec<(Vec<u8>, Option<u8>)>,
}

fn read(pki: &Pki, id: &AuthorityId) -> Read {
    let crl = pki.crl(id).unwrap();
    der::strict(&crl.der).unwrap();
    let (rest, list) = CertificateRevocationList::from_der(&crl.der).unwrap();
    assert!(rest.is_empty());
    let issuer = pki.authority_certificate(id).unwrap();
    let (_, issuer) = X509Certificate::from_der(&issuer).unwrap();
    list.verify_signature(issuer.public_key()).unwrap();
    let number = list.crl_number().unwrap().to_u64_digits();
    assert_eq!(number, [u64::try_from(crl.number).unwrap()]);
    Read {
        number: number[0],
        from: list.last_update().timestamp() * 1000,
        until: list.next_update().unwrap().timestamp() * 1000,
        entries: list.iter_revoked_certificates().map(|r| (r.raw_serial().to_vec(), r.reason_code().map(|(_, code)| code.0))).collect(),
    }
}

/// what was known goes into the books, the date also into the list; nothing of it is taken back by saying it again.
async fn revoke_with_what_is_known(w: &World, id: &CertificateId) {
    let (pki, admin) = (w.fleet.pki(), Actor::system(w.org.clone()));
    let since = w.clock.now().plus(-HOUR);
    let how = |note: &str, since: Timestamp| Revocation {
        reason: RevocationReason::KeyCompromise,
        invalidity_date: Some(since),
        note: note.to_owned(),
    };
    let field = async |how: Revocation| pki.revoke(&admin, id, how).await.unwrap_err().fault().field;
    assert_eq!(field(how("", w.clock.now().plus(1))).await.as_deref(), Some("invalidity_date"), "nobody knows it yet");
    assert_eq!(field(how("", Timestamp(-1))).await.as_deref(), Some("invalidity_date"));
    assert_eq!(field(how(&"x".repeat(501), since)).await.as_deref(), Some("note"));
    assert_eq!(field(how("stol\u{202e}en", since)).await.as_deref(), Some("note"));
    pki.revoke(&admin, id, how(" stolen with the van ", since.plus(999))).await.unwrap();
    pki.revoke(&admin, id, how("again", since.plus(-HOUR))).await.unwrap();
    let shown = pki.certificate(&admin, id).await.unwrap();
    assert_eq!((shown.invalidity_date, shown.revocation_note.as_str()), (Some(since), "stolen with the van"), "the first stands");
    let log = w.fleet.access().search_audit(&admin, "certificate.revoke", None).await.unwrap().entries.items;
    let told = log.iter().filter(|e| e.object == id.as_str()).map(|e| e.detail.as_str()).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("stolen with the van") && told[0].contains(&format!("\"invalid_since\":{}", since.0)), "{told:?}");
}

/// Serials whose entry has an `InvalidityDate`, and that.
fn dates(pki: &Pki, id: &AuthorityId) -> Vec<(Vec<u8>, i64)> {
    let crl = pki.crl(id).unwrap();
    let (_, list) = CertificateRevocationList::from_der(&crl.der).unwrap();
    let of = |e: &x509_parser::revocation_list::RevokedCertificate<'_>| {
        let (critical, date) = e.invalidity_date()?;
        assert!(!critical);
        Some((e.raw_serial().to_vec(), date.timestamp() * 1000))
    };
    list.iter_revoked_certificates().filter_map(of).collect()
}

pub(super) fn serial(leaf: &[u8]) -> Vec<u8> {
    X509Certificate::from_der(leaf).unwrap().1.raw_serial().to_vec()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r7_a_list_has_every_revocation_with_its_reason_until_it_was_published_past_the_end(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let device = authority(pki, &w.org, "device");
    pki.publish().await.unwrap();
    let first = read(pki, &device);
    assert!(first.entries.is_empty());
    assert!(first.number >= u64::try_from(START.0 / 1000).unwrap(), "a restored backup can't go back");
    assert_eq!(first.until - first.from, 24 * HOUR);
    let root = read(pki, &authority(pki, &w.org, "root"));
    assert_eq!(root.until - root.from, 30 * DAY);
    assert!(pki.crl(&authority(pki, &w.org, "server")).is_some());

    let (_, _, one) = enrol(&w, "gw-1").await;
    let (_, _, two) = enrol(&w, "gw-2").await;
    let (_, _, three) = enrol(&w, "gw-3").await;
    let admin = w.admin().await;
    pki.revoke(&admin, &check(&w, &one).unwrap().certificate, RevocationReason::Unspecified).await.unwrap();
    revoke_with_what_is_known(&w, &check(&w, &two).unwrap().certificate).await;
    assert!(pki.crl_outdated(), "a revocation asks for a new list");
    pki.publish().await.unwrap();
    assert!(!pki.crl_outdated());
    let second = read(pki, &device);
    assert!(second.number > first.number, "in the same second too");
    let mut expected = vec![(serial(&one), None), (serial(&two), Some(1))];
    expected.sort();
    let mut entries = second.entries.clone();
    entries.sort();
    assert_eq!(entries, expected, "reason 0 is left out (R-5)");
    assert_eq!(dates(pki, &device), [(serial(&two), START.0 - HOUR)], "only where it was said");
    assert!(!entries.iter().any(|(s, _)| *s == serial(&three)));

    pki.publish().await.unwrap();
    assert_eq!(read(pki, &device).number, second.number, "nothing is due");
    w.clock.advance(12 * HOUR);
    pki.publish().await.unwrap();
    let third = read(pki, &device);
    assert!(third.number > second.number && third.entries.len() == 2, "every twelve hours");
    assert_eq!(read(pki, &authority(pki, &w.org, "root")).number, root.number, "the root's every fifteen days");

    // Ended since: on one list more (RFC 5280 §3.3), and then on none.
    w.clock.advance(90 * DAY);
    pki.publish().await.unwrap();
    assert_eq!(read(pki, &device).entries.len(), 2);
    w.clock.advance(12 * HOUR);
    pki.publish().await.unwrap();
    assert!(read(pki, &device).entries.is_empty());

    let (count,) = row!(&mut pki.db.read().await.unwrap(), (i64,), PUBLISHED, device.as_str()).unwrap().unwrap();
    assert_eq!(count, 5, "one audit entry a publication (K-8)");
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r7_a_list_that_has_become_too_long_is_told_of_until_the_next_authority_issues(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let device = authority(pki, &w.org, "device");
    let told = |most: usize| -> Vec<_> { pki.lists_above(most, &w.org).into_iter().map(|l| (l.authority, l.entries, l.staged)).collect() };
    let mut held = Vec::new();
    for id in ["gw-1", "gw-2", "gw-3"] {
        let (_, _, leaf) = enrol(&w, id).await;
        held.push(check(&w, &leaf).unwrap().certificate);
    }
    assert!(told(0).is_empty(), "what stands is on no list");
    for certificate in &held[..2] {
        pki.revoke(&admin, certificate, RevocationReason::Superseded).await.unwrap();
    }
    assert_eq!((told(1), told(2)), (vec![(device.clone(), 2, false)], Vec::new()), "above, not at");
    // A reason that is raised is no entry more.
    pki.revoke(&admin, &held[0], RevocationReason::KeyCompromise).await.unwrap();
    pki.publish().await.unwrap();
    assert_eq!(told(1), [(device.clone(), 2, false)]);
    assert_eq!(read(pki, &device).entries.len(), 2, "as many as the list has");
    assert!(pki.long_lists(&w.org).is_empty(), "two are not many");

    // The next one takes over, with a list of its own.
    let next = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    assert_eq!(told(1), [(device.clone(), 2, true)]);
    pki.activate_authority(&admin, &next.id, false).await.unwrap();
    assert!(told(0).is_empty());
    assert_eq!(pki.statuses.listed(&device), 2);
    // What has ended is on none.
    pki.statuses.forget_ended(w.clock_now().plus(91 * DAY));
    assert_eq!(pki.statuses.listed(&device), 0);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r7_numbers_go_on_after_a_restart_and_on_a_second_instance(#[case] kind: EngineKind) {
    let (db, _folder) = store(kind, Store::Fleet).await;
    let org = organization(&db).await;
    let one = room(&db, &org, SeededEntropy::new(1), 7).await.unwrap();
    let device = authority(&one, &org, "device");
    one.publish().await.unwrap();
    let first = read(&one, &device).number;

    let two = room(&db, &org, SeededEntropy::new(2), 7).await.unwrap();
    two.publish_due().await.unwrap();
    assert_eq!(read(&two, &device).number, first, "what the first one has published is served by the second");
    let held = two.crl(&device).unwrap();
    assert_eq!(held.der, one.crl(&device).unwrap().der);

    let all = one.authorities.load_full();
    let of = |id: &AuthorityId| all.iter().find(|a| a.id == *id).unwrap().clone();
    let (a, b) = (of(&device), of(&device));
    let (left, right) = tokio::join!(one.publish_list(&a), two.publish_list(&b));
    left.unwrap();
    right.unwrap();
    let (left, right) = (read(&one, &device).number, read(&two, &device).number);
    assert!(left != right && left > first && right > first, "at once they take two numbers: {first} {left} {right}");

    // A database that was set back does not set the numbers back.
    let mut tx = db.write().await.unwrap();
    exec!(&mut tx, SET_BACK).unwrap();
    tx.commit().await.unwrap();
    two.publish_list(&a).await.unwrap();
    assert!(room(&db, &org, SeededEntropy::new(3), 7).await.unwrap().publish_due().await.is_ok());
    let mut on = db.read().await.unwrap();
    let stored = crate::pki::store::crl(&mut on, &device).await.unwrap().unwrap();
    assert!(stored.number >= START.0 / 1000);
}

/// K-3: the key reads what it is to sign, and a list is its own issuer's or nothing.
#[test]
fn a_list_is_recognised_as_its_issuers_own_or_refused() {
    let key = KeyPair::generate().unwrap();
    let ca = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.self_signed(&key).unwrap()
    };
    let (ours, other) = (ca("ours"), ca("other"));
    let (name, ski, _) = recognise::authority(ours.der()).unwrap();
    let now = time::OffsetDateTime::from_unix_timestamp(1_795_341_600).unwrap();
    let good = CertificateRevocationListParams {
        this_update: now,
        next_update: now + time::Duration::hours(24),
        crl_number: SerialNumber::from(7_u64),
        issuing_distribution_point: None,
        revoked_certs: vec![],
        key_identifier_method: KeyIdMethod::PreSpecified(ski.clone()),
    };
    let judge = |params: &CertificateRevocationListParams, ca: &rcgen::Certificate| {
        let list = params.signed_by(&Issuer::from_ca_cert_der(ca.der(), &key).unwrap()).unwrap();
        let (_, parsed) = CertificateRevocationList::from_der(list.der()).unwrap();
        recognise::list(parsed.tbs_cert_list.as_ref(), &name, &ski).map_err(|why| why.0)
    };
    judge(&good, &ours).unwrap();
    assert!(judge(&good, &other).unwrap_err().contains("another issuer's"));
    let long = CertificateRevocationListParams { next_update: now + time::Duration::days(365), ..good.clone() };
    assert!(judge(&long, &ours).unwrap_err().contains("validity"));
    let foreign = CertificateRevocationListParams { key_identifier_method: KeyIdMethod::PreSpecified(vec![1; 20]), ..good.clone() };
    assert!(judge(&foreign, &ours).unwrap_err().contains("extensions"));
    let entry = rcgen::RevokedCertParams {
        serial_number: SerialNumber::from(9_u64),
        revocation_time: now,
        reason_code: Some(rcgen::RevocationReason::Superseded),
        invalidity_date: Some(now),
    };
    let dated = CertificateRevocationListParams { revoked_certs: vec![entry], ..good };
    judge(&dated, &ours).unwrap();
    // The same entry with certificateIssuer (2.5.29.29) in the place of invalidityDate (2.5.29.24).
    let signed = dated.signed_by(&Issuer::from_ca_cert_der(ours.der(), &key).unwrap()).unwrap();
    let (_, parsed) = CertificateRevocationList::from_der(signed.der()).unwrap();
    let mut tbs = parsed.tbs_cert_list.as_ref().to_vec();
    let at = tbs.windows(5).position(|w| w == [0x06, 0x03, 0x55, 0x1d, 0x18]).unwrap();
    tbs[at + 4] = 0x1d;
    assert!(recognise::list(&tbs, &name, &ski).unwrap_err().0.contains("entry"), "nothing that this version does not write");
    assert!(recognise::list(b"fleetward key self-test", &name, &ski).is_err());
    assert!(recognise::list(&[], &name, &ski).is_err());
}

/// R-5, RFC 5280 §5.3.1: that a key is compromised may be known after the certificate was revoked for something else.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_5_what_was_superseded_may_be_declared_compromised_and_its_key_never_comes_back(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let device = authority(pki, &w.org, "device");
    let (key, _, leaf) = enrol(&w, "gw-1").await;
    let id = check(&w, &leaf).unwrap().certificate;
    let first = Revocation { note: "replaced".to_owned(), ..RevocationReason::Superseded.into() };
    let first = pki.revoke(&admin, &id, first).await.unwrap();
    assert_eq!((first.reason.as_str(), first.revoked_at), ("superseded", START));
    pki.publish().await.unwrap();
    assert_eq!(read(pki, &device).entries, [(serial(&leaf), Some(4))]);

    w.clock.advance(HOUR);
    assert_eq!(pki.revoke(&admin, &id, RevocationReason::Superseded).await.unwrap(), first, "an equal call has the first result");
    assert_eq!(pki.revoke(&admin, &id, RevocationReason::Unspecified).await.unwrap_err().fault().code, "already_revoked");
    assert!(!pki.crl_outdated(), "nothing has changed");
    let since = START.plus(-HOUR);
    let stolen = Revocation { invalidity_date: Some(since), ..RevocationReason::KeyCompromise.into() };
    let worse = pki.revoke(&admin, &id, stolen).await.unwrap();
    assert_eq!((worse.reason.as_str(), worse.revoked_at, &worse.revoked_by), ("key_compromise", START, &first.revoked_by));
    assert_eq!((worse.invalidity_date, worse.note.as_str()), (Some(since), "replaced"), "what was known stays, what is new is added");
    assert!(pki.crl_outdated(), "a new list has to say so");
    pki.publish().await.unwrap();
    assert_eq!(read(pki, &device).entries, [(serial(&leaf), Some(1))]);
    assert_eq!(dates(pki, &device), [(serial(&leaf), since.0)]);
    assert_eq!(enrol_with(&w, "gw-1", &key).await.unwrap_err().fault().code, "key_in_use", "blocked forever");
    for weaker in [RevocationReason::Superseded, RevocationReason::PrivilegeWithdrawn] {
        assert_eq!(pki.revoke(&admin, &id, weaker).await.unwrap_err().fault().code, "already_revoked");
    }
    assert_eq!(pki.revoke(&admin, &id, RevocationReason::KeyCompromise).await.unwrap(), worse);
    let log = w.fleet.access().search_audit(&admin, "certificate.revoke", None).await.unwrap().entries.items;
    let told: Vec<_> = log.iter().filter(|e| e.object == id.as_str()).map(|e| e.detail.as_str()).collect();
    assert!(told.len() == 2 && told[0].contains("\"reason_was\":\"superseded\""), "{told:?}");
}

/// The table of steps, and R-5: who is suspended is on no list, so that nothing has to be taken off one; a hold (6) is no reason that anybody can give.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r5_a_suspended_device_is_on_no_list_and_a_hold_is_no_reason(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, system) = (w.fleet.pki(), Actor::system(w.org.clone()));
    let id: DeviceId = "gw-1".parse().unwrap();
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    let device = authority(pki, &w.org, "device");
    let listed = async |step: DeviceStep| {
        w.fleet.devices().change(&system, &id, step).await.unwrap();
        w.clock.advance(13 * HOUR);
        pki.publish().await.unwrap();
        read(pki, &device).entries
    };
    assert!(listed(DeviceStep::Suspend).await.is_empty());
    assert_eq!(check(&w, &leaf), Err(Refusal::DeviceInactive), "and it is out all the same");
    assert!(listed(DeviceStep::Resume).await.is_empty());
    assert!(check(&w, &leaf).is_ok());
    assert!(listed(DeviceStep::Suspend).await.is_empty());
    assert_eq!(listed(DeviceStep::Decommission).await, [(serial(&leaf), Some(5))]);
    assert_eq!(RevocationReason::ALL.iter().map(|reason| reason.code()).collect::<Vec<_>>(), [0, 1, 3, 4, 5, 9]);
    assert!("certificate_hold".parse::<RevocationReason>().is_err());
}
