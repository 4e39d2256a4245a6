//! Certificates that an own authority has signed and that no handshake takes: their owner sees which ones, and why.

use super::{PATIENCE, Rig, pem};
use crate::support::eventually;
use fleet::db::EngineKind;
use rcgen::{KeyPair, SigningKey as _};
use reqwest::Method;
use serde_json::{Value, json};

/// One DER element at the beginning: its content, the whole of it, and what follows.
fn element(der: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (head, long) = match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        more => {
            let octets = usize::from(more & 0x7f);
            (2 + octets, der[2..2 + octets].iter().fold(0, |long, octet| (long << 8) | usize::from(*octet)))
        }
    };
    let (whole, rest) = der.split_at(head + long);
    (&whole[head..], whole, rest)
}

/// An element, with its length as short as it has to be.
fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

/// The same certificate as X.509 once was: version 1, without extensions (RFC 5280 §4.1.2.1), signed with this key.
fn of_version_1(certificate: &[u8], by: &KeyPair) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    let (inside, ..) = element(certificate);
    let (mut fields, _, rest) = element(inside);
    let (_, algorithm, _) = element(rest);
    let mut kept = Vec::new();
    while !fields.is_empty() {
        let (_, whole, after) = element(fields);
        // [0] is the version, [3] the extensions.
        if !matches!(whole[0], 0xa0 | 0xa3) {
            kept.extend_from_slice(whole);
        }
        fields = after;
    }
    let signed = wrapped(SEQUENCE, &kept);
    let signature = by.sign(&signed).unwrap();
    wrapped(SEQUENCE, &[signed, algorithm.to_vec(), wrapped(0x03, &[&[0][..], &signature].concat())].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e_10_a_certificate_of_version_1_is_refused_and_its_owner_sees_which_one_and_why() {
    let rig = Rig::start(EngineKind::Sqlite).await;
    rig.authority(&[]).await;
    let id = rig.enabled(&json!({ "just_in_time": "auto" })).await;
    rig.leaf("meter-1", "ca", "extendedKeyUsage=clientAuth").await;
    let by = KeyPair::from_pem(&rig.stock.read("ca.key")).unwrap();
    let old = of_version_1(&pem(&rig.stock.read("meter-1.pem")), &by);
    rig.stock.write("meter-1.old", &old);
    rig.stock.shell("openssl x509 -inform DER -in meter-1.old -out meter-1.pem").await;
    for version in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
        assert_eq!(rig.dial_by("meter-1", version).await, 0);
    }
    let refused = || async { rig.call(Method::GET, &format!("/{id}"), json!({})).await.1["refused"] == 1 };
    eventually("it is counted on its authority's page, once a minute", PATIENCE, refused).await;
    let fleet = &rig.server.running.fleet;
    let books = fleet.access().search_audit(&rig.server.system(), "registered_authority.refuse", None).await.unwrap().entries.items;
    let [row] = books.try_into().unwrap();
    let detail: Value = serde_json::from_str(&row.detail).unwrap();
    assert_eq!((row.object.as_str(), row.address.as_str(), detail["code"].as_str()), (id.as_str(), "127.0.0.1", Some("not_version_3")));
    assert_eq!(detail["fingerprint"], hex::encode(fleet::pki::csr::sha256(&old)));
    assert!(detail["name"].as_str().unwrap().contains("meter-1"), "{detail}");
    // Nobody was attacked; and what it is told to be is what somebody has to mend.
    assert_eq!(fleet.pki().attacks().seen().map(|(_, times)| times).sum::<u64>(), 0);
    let page = rig.server.browser("bea", wire::states::Role::Admin).await;
    let shown = page.get(rig.server.url(&format!("/enrolment?tab=own&ca={id}"))).send().await.unwrap().text().await.unwrap();
    assert!(shown.contains("which and why") && shown.contains("/audit?action=registered_authority.refuse"), "{shown}");
    rig.leaf("meter-1", "ca", "extendedKeyUsage=clientAuth").await;
    rig.let_in("meter-1").await;
    rig.server.stop().await;
}
