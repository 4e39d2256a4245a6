//! What third parties are told, on both engines: lists of revoked certificates and OCSP answers, byte by byte and by an independent parser.

use super::life::{DAY, check, enrol, organization, room};
use crate::{
    access::Actor,
    clock::Clock as _,
    db::{EngineKind, Sql, Store, exec, row},
    entropy::SeededEntropy,
    pki::{
        Pki,
        der::{self, encode},
        ocsp::{self, Hash, Status},
        recognise,
    },
    testing::{START, World, store},
};
use aws_lc_rs::digest;
use proptest::prelude::*;
use rcgen::{CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, SerialNumber};
use rstest::rstest;
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId, OrgId},
    pki::{Revocation, RevocationReason},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList};

const HOUR: i64 = 3_600_000;

// What nobody writes: the tests' own meddling and counting.
const SET_BACK: Sql = Sql::same("UPDATE crls SET number = 1");
const PUBLISHED: Sql = Sql::same("SELECT COUNT(*) FROM audit WHERE action = 'crl.publish' AND object = $1");

fn authority(pki: &Pki, org: &OrgId, kind: &str) -> AuthorityId {
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

fn serial(leaf: &[u8]) -> Vec<u8> {
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

const SHA1_OID: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA256_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
const SHA224_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04];
const NONCE_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];

/// `Request` about this serial of this issuer.
fn about(issuer: &[u8], serial: &[u8], hash: Hash) -> Vec<u8> {
    let (name, _, key) = recognise::authority(issuer).unwrap();
    let (oid, by) = match hash {
        Hash::Sha1 => (SHA1_OID, &digest::SHA1_FOR_LEGACY_USE_ONLY),
        Hash::Sha256 => (SHA256_OID, &digest::SHA256),
        Hash::Sha384 => (SHA384_OID, &digest::SHA384),
        Hash::Sha512 => (SHA512_OID, &digest::SHA512),
        Hash::Other => (SHA224_OID, &digest::SHA224),
    };
    let digest = |bytes: &[u8]| digest::digest(by, bytes).as_ref().to_vec();
    let algorithm = encode(0x30, &[encode(0x06, oid), encode(0x05, &[])].concat());
    let id = [algorithm, encode(0x04, &digest(&name)), encode(0x04, &digest(&key)), encode(0x02, serial)].concat();
    encode(0x30, &encode(0x30, &id))
}

fn request(list: &[Vec<u8>], nonce: Option<&[u8]>) -> Vec<u8> {
    let mut tbs = encode(0x30, &list.concat());
    if let Some(nonce) = nonce {
        let extension = encode(0x30, &[encode(0x06, NONCE_OID), encode(0x04, &encode(0x04, nonce))].concat());
        tbs.extend(encode(0xa2, &encode(0x30, &extension)));
    }
    encode(0x30, &encode(0x30, &tbs))
}

/// The tags of the statuses and the signed bytes; checks the signature with the certificate inside.
fn opened(answer: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let inside = |v: &[u8]| {
        let (value, rest) = der::split(v).unwrap();
        assert!(rest.is_empty());
        value.content.to_vec()
    };
    der::strict(answer).unwrap();
    let body = inside(answer);
    let parts = der::children(&body).unwrap();
    assert_eq!((parts[0].tag, parts[0].content), (0x0a, &[0][..]), "successful");
    let bytes = inside(parts[1].content);
    let basic = inside(der::children(&bytes).unwrap()[1].content);
    let parts = der::children(&basic).unwrap();
    let data = encode(0x30, parts[0].content);
    let certificate = inside(parts[3].content);
    let (_, responder) = X509Certificate::from_der(&certificate).unwrap();
    let purposes = responder.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.ocsp_signing && !purposes.client_auth);
    assert!(responder.extensions().iter().any(|e| e.oid.to_id_string() == "1.3.6.1.5.5.7.48.1.5" && e.value == [5, 0]), "nocheck");
    aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
        &responder.public_key().subject_public_key.data,
    )
    .verify(&data, &parts[2].content[1..])
    .unwrap();
    let fields = der::children(parts[0].content).unwrap();
    let singles = der::children(fields[2].content).unwrap();
    (singles.iter().map(|s| der::children(s.content).unwrap()[1].tag).collect(), data)
}

fn refused(answer: &[u8]) -> u8 {
    assert_eq!(answer.len(), 5, "a refusal has no body");
    answer[4]
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r8_serials_are_good_revoked_or_unknown(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let issuer = pki.authority_certificate(&authority(pki, &w.org, "device")).unwrap();
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    let ask = |hash| request(&[about(&issuer, &serial(&leaf), hash)], None);
    assert_eq!(refused(&pki.ocsp(&ask(Hash::Sha1)).der), Status::TryLater as u8, "no signer yet");
    pki.publish().await.unwrap();
    pki.reload().await.unwrap();

    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        assert_eq!(opened(&pki.ocsp(&ask(hash)).der).0, [0x80], "good");
    }
    let first = pki.ocsp(&ask(Hash::Sha1));
    assert_eq!(first.fresh_until, Some(w.clock_now().plus(HOUR / 2)));
    w.clock.advance(HOUR / 4);
    assert_eq!(pki.ocsp(&ask(Hash::Sha1)).der, first.der, "signed once");
    let never = request(&[about(&issuer, &[0x40; 20], Hash::Sha1)], None);
    let unknown = pki.ocsp(&never);
    assert_eq!((opened(&unknown.der).0, unknown.fresh_until), (vec![0x82], None));

    let nonce = [7; 32];
    let answer = pki.ocsp(&request(&[about(&issuer, &serial(&leaf), Hash::Sha1)], Some(&nonce)));
    assert!(opened(&answer.der).1.windows(32).any(|w| w == nonce), "the nonce comes back");
    assert_eq!(answer.fresh_until, None);

    pki.revoke(&w.admin().await, &check(&w, &leaf).unwrap().certificate, RevocationReason::KeyCompromise).await.unwrap();
    let revoked = pki.ocsp(&ask(Hash::Sha1));
    let (tags, data) = opened(&revoked.der);
    assert_eq!(tags, [0xa1], "at once, whatever was kept");
    assert!(data.windows(5).any(|w| w == [0xa0, 3, 0x0a, 1, 1]), "keyCompromise");
    w.clock.advance(HOUR / 2 + 1000);
    assert_ne!(pki.ocsp(&ask(Hash::Sha1)).der, revoked.der, "kept half an hour");

    let both = request(&[about(&issuer, &serial(&leaf), Hash::Sha256), about(&issuer, &[0x41; 20], Hash::Sha1)], None);
    assert_eq!(opened(&pki.ocsp(&both).der).0, [0xa1, 0x82]);

    // The signer is renewed before its week is over.
    w.clock.advance(5 * DAY);
    pki.reload().await.unwrap();
    let before = opened(&pki.ocsp(&never).der);
    pki.tick().await.unwrap();
    assert_ne!(opened(&pki.ocsp(&never).der).1, before.1, "another key, another responder id");
    w.clock.advance(8 * DAY);
    assert_eq!(refused(&pki.ocsp(&never).der), Status::TryLater as u8, "an ended signer says nothing");
}

/// Attack list 43.
#[tokio::test]
async fn a_43_foreign_issuers_many_requests_and_giant_nonces_are_refused() {
    let w = World::open(EngineKind::Sqlite).await;
    let pki = w.fleet.pki();
    pki.publish().await.unwrap();
    let device = pki.authority_certificate(&authority(pki, &w.org, "device")).unwrap();
    let server = pki.authority_certificate(&authority(pki, &w.org, "server")).unwrap();
    let root = pki.authority_certificate(&authority(pki, &w.org, "root")).unwrap();
    let ask = |list: &[Vec<u8>], nonce: Option<&[u8]>| pki.ocsp(&request(list, nonce)).der;
    let one = about(&device, &[0x40; 20], Hash::Sha1);

    let stranger = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    assert!(recognise::authority(stranger.cert.der()).is_none(), "no key identifier, so one is made below");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let stranger = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    for list in [
        vec![about(stranger.der(), &[1], Hash::Sha256)],
        vec![one.clone(), about(&server, &[1], Hash::Sha1)],
        vec![about(&root, &[1], Hash::Sha1)],
        vec![about(stranger.der(), &[1], Hash::Sha512)],
        vec![about(&device, &[0x40; 20], Hash::Other)],
    ] {
        assert_eq!(refused(&ask(&list, None)), Status::Unauthorized as u8);
    }
    assert_eq!(opened(&ask(&vec![one.clone(); ocsp::MOST], None)).0.len(), ocsp::MOST);
    for many in [ocsp::MOST + 1, 1000] {
        assert_eq!(refused(&ask(&vec![one.clone(); many], None)), Status::Malformed as u8, "{many}");
    }
    for length in [1, 32, 128] {
        assert_eq!(opened(&ask(std::slice::from_ref(&one), Some(&vec![9; length]))).0, [0x82], "{length}");
    }
    for length in [0, 129, 4000] {
        assert_eq!(refused(&ask(std::slice::from_ref(&one), Some(&vec![9; length]))), Status::Malformed as u8, "{length}");
    }
    assert_eq!(refused(&pki.ocsp(&[]).der), Status::Malformed as u8);
    assert_eq!(refused(&ask(&[], None)), Status::Malformed as u8);
}

fn sample() -> Vec<u8> {
    let algorithm = encode(0x30, &encode(0x06, SHA1_OID));
    let id = [algorithm, encode(0x04, &[1; 20]), encode(0x04, &[2; 20]), encode(0x02, &[0x41; 20])].concat();
    request(&[encode(0x30, &encode(0x30, &id))], Some(&[3; 16]))
}

#[test]
fn versions_and_critical_extensions_that_are_not_understood_are_malformed() {
    assert!(ocsp::request(&sample()).is_some());
    let content = |der: &[u8]| der::split(der).unwrap().0.content.to_vec();
    let tbs = content(&content(&sample()));
    let with = |before: &[u8], after: &[u8]| encode(0x30, &encode(0x30, &[before, &tbs, after].concat()));
    assert!(ocsp::request(&with(&encode(0xa0, &[2, 1, 0]), &[])).is_some(), "v1, written out");
    assert!(ocsp::request(&with(&encode(0xa0, &[2, 1, 1]), &[])).is_none(), "v2");
    assert!(ocsp::request(&with(&[], &[5, 0])).is_none(), "something behind");
    let list = encode(0x30, der::children(&tbs).unwrap()[0].content);
    let extended = |critical: &[u8]| {
        let extension = encode(0x30, &[encode(0x06, &[0x2a, 3]), critical.to_vec(), encode(0x04, &[5, 0])].concat());
        encode(0x30, &encode(0x30, &[list.clone(), encode(0xa2, &encode(0x30, &extension))].concat()))
    };
    assert!(ocsp::request(&extended(&[])).is_some());
    assert!(ocsp::request(&extended(&[1, 1, 0xff])).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_read_without_a_panic(input in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = ocsp::request(&input);
    }

    #[test]
    fn a_damaged_request_is_read_without_a_panic(at in any::<prop::sample::Index>(), octet: u8, cut in any::<prop::sample::Index>()) {
        let mut input = sample();
        let at = at.index(input.len());
        input[at] = octet;
        let _ = ocsp::request(&input);
        input.truncate(cut.index(input.len()));
        prop_assert!(ocsp::request(&input).is_none());
    }

    #[test]
    fn times_are_in_whole_seconds(at in 0_i64..4_000_000_000_000) {
        let data = ocsp::data(&[], &[], None, Timestamp(at), Timestamp(at));
        prop_assert!(der::strict(&data).is_ok());
    }
}
