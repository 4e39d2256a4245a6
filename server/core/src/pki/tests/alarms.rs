//! Certificates that one of our authorities has signed and nobody has issued here (H-4), and keys of others: who is told, and who is not.

use super::life::{check, enrol, new_leaf, request, room};
use crate::{
    access::Actor,
    db::EngineKind,
    entropy::SeededEntropy,
    pki::{Error, Pki, Refusal, csr},
    testing::World,
};
use rcgen::KeyPair;
use rstest::rstest;
use serde_json::Value;
use wire::{access::AuditEntry, ids::DeviceId, overview::Matter, pki::CertificateQuery};

const SECOND: i64 = 1000;

/// Has a certificate for a device signed by the room; it is written down or it is not.
async fn sign(pki: &Pki, w: &World, device: i64, id: &str, kept: bool) -> Vec<u8> {
    let gated = csr::gate(request(id, &KeyPair::generate().unwrap()).as_bytes(), None).unwrap();
    let id: DeviceId = id.parse().unwrap();
    let mut tx = pki.db.write().await.unwrap();
    let new = new_leaf(&w.org, device, &id, &gated);
    let der = pki.issue_device(&mut tx, new).await.unwrap().der;
    if kept {
        tx.commit().await.unwrap();
    }
    der
}

/// Rows of the audit log with this action, newest first.
async fn booked(w: &World, action: &str) -> Vec<(AuditEntry, Value)> {
    w.fleet.attacks().write_down().await.unwrap();
    let log = w.fleet.access().audit_page(&Actor::system(w.org.clone()), None).await.unwrap().entries.items;
    log.into_iter().filter(|e| e.action == action).map(|e| (e.clone(), serde_json::from_str(&e.detail).unwrap())).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn h4_a_certificate_that_says_it_was_issued_just_now_alarms_as_well(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, trust) = (w.fleet.pki(), w.fleet.pki().trust());
    let (admin, operator) = (w.admin().await, w.operator().await);
    enrol(&w, "gw-1").await;
    let forged = sign(pki, &w, 9, "gw-9", false).await;
    assert_eq!(trust.check(&forged), Err(Refusal::NotYetKnown), "another instance may have issued it");
    trust.unknown_from(&forged, "::ffff:198.51.100.7".parse().unwrap());
    pki.judge_strangers().await.unwrap();
    assert_eq!(trust.unknown_seen(), 0, "not before others have had their time");
    w.clock.advance(7 * SECOND);
    pki.judge_strangers().await.unwrap();
    assert_eq!(trust.unknown_seen(), 1);
    assert_eq!(trust.check(&forged), Err(Refusal::Unknown), "from then on it is what it is");

    let [(row, detail)] = booked(&w, "certificate.never_issued").await.try_into().unwrap();
    let fingerprint = hex::encode(csr::sha256(&forged));
    assert_eq!((row.address.as_str(), detail["fingerprint"].as_str()), ("198.51.100.7", Some(fingerprint.as_str())));
    assert!(detail["subject"].as_str().unwrap().contains("gw-9") && detail["serial"].as_str().unwrap().len() == 40, "{detail}");
    let authority = pki.list_authorities(&admin).unwrap().into_iter().find(|a| a.kind == "device").unwrap().id;
    assert_eq!(row.object, authority.as_str());
    let attention = w.fleet.overview(&operator).await.unwrap().attention;
    let told = |matter: &Matter| match matter {
        Matter::NeverIssued { authority: of, sign, .. } => *of == authority && sign.contains("198.51.100.7") && sign.contains(&fingerprint),
        _ => false,
    };
    assert!(attention.iter().any(|a| told(&a.matter)), "{attention:?}");

    // It stays until an admin has looked at it, and the next one is told again.
    pki.judge_strangers().await.unwrap();
    let shown = pki.authority(&operator, &authority).await.unwrap().alarm;
    assert!(shown.is_some());
    let listed = async || {
        let rest = pki.listed_authorities(&operator).await.unwrap().into_iter().filter(|a| a.alarm.is_some());
        let page = pki.authorities_page(&operator).await.unwrap().authorities.into_iter().filter(|a| a.alarm.is_some());
        let rest: Vec<_> = rest.map(|a| (a.row.id, a.alarm)).collect();
        assert_eq!(page.map(|a| (a.row.id, a.alarm)).collect::<Vec<_>>(), rest, "one list as the other");
        let beside = pki.certificates_page(&operator, &CertificateQuery::default()).await.unwrap();
        assert_eq!(beside.alarmed.iter().collect::<Vec<_>>(), rest.iter().map(|(id, _)| id).collect::<Vec<_>>(), "and beside certificates");
        let one = pki.certificate(&operator, &beside.certificates.items[0].id).await.unwrap();
        assert_eq!((one.alarmed, one.chain.len()), (beside.alarmed, 2), "and above one of them");
        rest
    };
    assert_eq!(listed().await, [(authority.clone(), shown)]);
    assert!(pki.clear_alarm(&operator, &authority).await.is_err());
    pki.clear_alarm(&admin, &authority).await.unwrap();
    pki.clear_alarm(&admin, &authority).await.unwrap();
    let of_another = w.entropy.id(w.clock_now());
    assert!(matches!(pki.clear_alarm(&admin, &of_another).await, Err(Error::NoSuchAuthority)));
    assert!(pki.authority(&operator, &authority).await.unwrap().alarm.is_none());
    assert!(listed().await.is_empty());
    assert_eq!(booked(&w, "authority.cleared").await.len(), 1);
    assert!(trust.check(&forged).is_err());
    pki.judge_strangers().await.unwrap();
    assert_eq!(w.fleet.overview(&operator).await.unwrap().attention.len(), 1);
    // An authority that was given up can do no harm any more.
    pki.compromise_authority(&admin, &authority).await.unwrap();
    assert!(w.fleet.overview(&operator).await.unwrap().attention.iter().all(|a| !matches!(a.matter, Matter::NeverIssued { .. })));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn h4_what_another_instance_has_issued_is_no_alarm(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let (_, _, first) = enrol(&w, "gw-1").await;
    let device = check(&w, &first).unwrap().device;
    let other = room(&pki.db, &w.org, SeededEntropy::new(77), 7).await.unwrap();
    let second = sign(&other, &w, device, "gw-1", true).await;
    assert_eq!(check(&w, &second), Err(Refusal::NotYetKnown));
    pki.trust().unknown_from(&second, "198.51.100.7".parse().unwrap());
    w.clock.advance(7 * SECOND);
    pki.judge_strangers().await.unwrap();
    pki.reload().await.unwrap();
    assert!(check(&w, &second).is_ok());
    assert_eq!(pki.trust().unknown_seen(), 0);
    assert!(booked(&w, "certificate.never_issued").await.is_empty());
}

/// An octet string of DER with this tag.
fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7f => out.push(u8::try_from(short).unwrap()),
        long @ 0x80..=0xff => out.extend([0x81, u8::try_from(long).unwrap()]),
        longer => out.extend([&[0x82][..], &u16::try_from(longer).unwrap().to_be_bytes()].concat()),
    }
    out.extend_from_slice(content);
    out
}

/// The same certificate with the other signature that its signer's signature implies: `s` becomes `n - s`.
fn signed_otherwise(der: &[u8]) -> Vec<u8> {
    use x509_parser::prelude::FromDer as _;
    const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).unwrap();
    let signature = &certificate.signature_value.data;
    let r = usize::from(signature[3]);
    let (r, s) = (&signature[2..4 + r], &signature[6 + r..]);
    let (n, mut other, mut borrow) = (hex::decode(N).unwrap(), vec![0; 32], 0);
    let padded = [vec![0; 33], s.to_vec()].concat();
    let s = &padded[padded.len() - 32..];
    for at in (0..32).rev() {
        let left = i16::from(n[at]) - i16::from(s[at]) - borrow;
        borrow = i16::from(left < 0);
        other[at] = u8::try_from(left + borrow * 256).unwrap();
    }
    let digits: Vec<u8> = other.into_iter().skip_while(|b| *b == 0).collect();
    let positive = if digits[0] & 0x80 == 0 { digits } else { [vec![0], digits].concat() };
    let signature = wrapped(0x30, &[r, &wrapped(2, &positive)].concat());
    let algorithm = wrapped(0x30, &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
    wrapped(0x30, &[certificate.tbs_certificate.as_ref(), &algorithm, &wrapped(3, &[&[0][..], &signature].concat())].concat())
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn h4_a_signature_that_anybody_can_write_otherwise_is_no_stolen_key(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    let twin = signed_otherwise(&leaf);
    assert_ne!(twin, leaf);
    let authority = pki.list_authorities(&Actor::system(w.org.clone())).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    let (authority, _) = pki.stolen(&authority).await;
    {
        use x509_parser::prelude::FromDer as _;
        let (_, issuer) = x509_parser::certificate::X509Certificate::from_der(&authority).unwrap();
        let (_, twin) = x509_parser::certificate::X509Certificate::from_der(&twin).unwrap();
        assert!(twin.verify_signature(Some(issuer.public_key())).is_ok(), "it is as good as the one that was issued");
    }
    w.clock.advance(120 * SECOND);
    assert_eq!(check(&w, &twin), Err(Refusal::Unknown), "and it is another certificate (P-3)");
    pki.trust().unknown_from(&twin, "198.51.100.7".parse().unwrap());
    pki.judge_strangers().await.unwrap();
    assert_eq!(pki.trust().unknown_seen(), 0);
    assert!(w.fleet.overview(&w.operator().await).await.unwrap().attention.is_empty());
    let [(_, detail)] = booked(&w, "handshake.refuse").await.try_into().unwrap();
    assert_eq!(detail["code"], "altered_signature");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_14_a_renewal_for_another_devices_key_is_in_the_books(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let (_, _, one) = enrol(&w, "gw-1").await;
    let (key, _, _) = enrol(&w, "gw-2").await;
    let peer = check(&w, &one).unwrap();
    let actor = Actor { address: "192.0.2.1".into(), ..Actor::system(w.org.clone()) };
    for _ in 0..3 {
        let refused = pki.renew(&actor, &peer, request("gw-1", &key).as_bytes(), "https://d").await;
        assert!(matches!(refused, Err(Error::KeyInUse(_))));
    }
    let rows = booked(&w, "certificate.refuse").await;
    let (row, detail) = &rows[0];
    assert_eq!((rows.len(), row.object.as_str(), row.address.as_str()), (1, "gw-1", "192.0.2.1"));
    assert_eq!((detail["code"].as_str(), detail["key_of"].as_str()), (Some("key_in_use"), Some("gw-2")));
    w.clock.advance(60 * SECOND);
    let rows = booked(&w, "certificate.refuse").await;
    assert_eq!((rows.len(), rows[0].1["times"].as_u64()), (2, Some(2)), "what came in between is counted");
    let seen = |kind| w.fleet.attacks().seen().find(|(k, _)| *k == kind).unwrap().1;
    assert_eq!((seen(crate::access::attacks::Kind::KeyInUse), w.fleet.attacks().dropped()), (3, 0));
}
