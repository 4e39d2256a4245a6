//! The lines of curl and openssl that the console shows, pasted as a person does it, also for the second time; and what a device without a channel says by
//! what it fetches.

use crate::{
    journey::enrolment_token,
    stock::Stock,
    support::{TestServer, eventually},
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::Value;
use std::time::Duration;
use wire::{
    enrolment::{EnrolmentMode, NewEnrolmentToken, est_lines, est_renewal_lines},
    pki::{CertificateQuery, KeyType},
    states::Role,
};

/// The lines that the console shows, pasted one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_console_enrol_a_device_and_only_at_our_server() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let stock = Stock::of(&server);
    let token = enrolment_token(&server, "gw-*", "gateway", 5).await.secret;
    let page = server.running.fleet.devices().enrolment_page(&server.system()).await.unwrap();
    for (n, key) in KeyType::ALL.iter().enumerate() {
        for line in est_lines(&stock.enrol, &page.root_fingerprint, &token, &format!("gw-$((6 * 7 + {n}))"), *key) {
            stock.shell(&line).await;
        }
        let subject = stock.openssl(&["x509", "-in", "device.pem", "-noout", "-subject"]).await;
        assert!(subject.contains(&format!("gw-{}", 42 + n)), "{key}: {subject}");
        let asked = stock.device("/device/v1/update", &["--cert", "device.pem", "--key", "device.key"]).await;
        assert_eq!(asked.status / 100, 2, "{key}");
        for made in ["device.pem", "device.key"] {
            std::fs::remove_file(stock.file(made)).unwrap();
        }
    }
    let certificates = server.running.fleet.pki().certificates_page(&server.system(), &CertificateQuery::default()).await.unwrap();
    let mut keys: Vec<_> = certificates.certificates.items.iter().map(|row| row.key_alg.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["Ed25519", "P-256", "P-384", "RSA-3072"]);

    for line in est_lines(&stock.enrol, &"ab".repeat(32), &token, "gw-50", KeyType::P256) {
        stock.shell(&line).await;
    }
    let uses = server.running.fleet.devices().enrolment_page(&server.system()).await.unwrap().tokens[0].uses;
    assert_eq!(uses, 4, "another root gets no token");
    server.stop().await;
}

/// Pastes lines one after the other; gives what came of the last one.
async fn pasted(stock: &Stock, lines: &[String]) -> (bool, String) {
    let mut last = (true, String::new());
    for line in lines {
        last = stock.paste(line).await;
    }
    last
}

/// Whether the device is let in with what the lines have left.
async fn let_in(stock: &Stock) -> bool {
    stock.device("/device/v1/update", &["--cert", "device.pem", "--key", "device.key"]).await.status / 100 == 2
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_console_may_be_pasted_again_and_renew_what_they_brought() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let stock = Stock::of(&server);
    let token = enrolment_token(&server, "gw-1", "gateway", 1).await.secret;
    let root = server.running.fleet.devices().enrolment_page(&server.system()).await.unwrap().root_fingerprint;
    let lines = est_lines(&stock.enrol, &root, &token, "gw-1", KeyType::P256);
    let first = pasted(&stock, &lines).await;
    assert!(first.0 && first.1.contains("the certificate is in device.pem"), "{first:?}");
    let (key, certificate) = (stock.read("device.key"), stock.read("device.pem"));
    let again = pasted(&stock, &lines).await;
    assert_eq!((again.0, &stock.read("device.key"), &stock.read("device.pem")), (true, &key, &certificate), "E-3: {}", again.1);
    assert!(let_in(&stock).await);

    eventually("its first use is in the books", Duration::from_secs(20), async || {
        let page = server.running.fleet.pki().certificates_page(&server.system(), &CertificateQuery::default()).await.unwrap();
        page.certificates.items[0].first_used_at.is_some()
    })
    .await;
    // Used, the token is good for nothing more: the server says so, and nothing is lost.
    let (done, said) = pasted(&stock, &lines).await;
    assert!(!done && said.contains("The enrolment token is unknown, expired, revoked or used up.") && said.contains("(401)"), "{said}");
    assert_eq!((&stock.read("device.key"), &stock.read("device.pem")), (&key, &certificate));
    assert!(let_in(&stock).await);

    let [new_key, renewal] = est_renewal_lines(&stock.enrol, KeyType::P256);
    let (done, said) = stock.paste(&renewal).await;
    assert!(!done && said.contains("is due for renewal from"), "R-1: {said}");
    assert_eq!(stock.read("device.pem"), certificate);
    let (done, said) = pasted(&stock, &[new_key, renewal]).await;
    assert!(done && stock.read("device.pem") != certificate && stock.read("device.key") != key, "{said}");
    assert!(!stock.file("next.key").exists() && let_in(&stock).await);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_console_wait_for_approval_with_the_key_they_asked_for() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let stock = Stock::of(&server);
    let (fleet, system) = (&server.running.fleet, server.system());
    let new = NewEnrolmentToken {
        label: "asked".into(),
        pattern: "gw-1".into(),
        device_type: "gateway".into(),
        max_uses: 1,
        hours: 1,
        mode: EnrolmentMode::Approval,
        ..NewEnrolmentToken::default()
    };
    let token = fleet.devices().create_enrolment_token(&system, new).await.unwrap().secret;
    let root = fleet.devices().enrolment_page(&system).await.unwrap().root_fingerprint;
    let lines = est_lines(&stock.enrol, &root, &token, "gw-1", KeyType::P256);
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (done, said) = pasted(&stock, &lines).await;
        assert!(done && said.contains("it waits for approval; run this line again"), "{said}");
        assert!(said.contains("The enrolment waits for an operator's approval.") && !stock.file("device.pem").exists(), "{said}");
        keys.push(stock.read("device.key"));
    }
    assert_eq!(keys[0], keys[1], "what is approved is this key");
    let admin = server.token("ada", Role::Admin).await;
    let api = |path: &str| server.url(&format!("/api/v1/enrolment-requests{path}"));
    let list: Value = server.http.get(api("")).bearer_auth(&admin).send().await.unwrap().json().await.unwrap();
    assert_eq!(list["total"], 1, "{list}");
    let path = format!("/{}/approve", list["items"][0]["id"].as_str().unwrap());
    assert_eq!(server.http.post(api(&path)).bearer_auth(&admin).send().await.unwrap().status(), 204);
    let (done, said) = pasted(&stock, &lines[3..]).await;
    assert!(done && let_in(&stock).await, "{said}");
    server.stop().await;
}

/// a device that has nothing but EST says by its fetch over mutual TLS which bundle it holds; so does the native address.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn r10_whoever_fetches_the_authorities_over_its_certificate_holds_them(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let stock = Stock::of(&server);
    let (fleet, system) = (&server.running.fleet, server.system());
    let token = enrolment_token(&server, "gw-*", "gateway", 2).await.secret;
    for name in ["gw-1", "gw-2"] {
        stock.request(name, &format!("/CN={name}")).await;
        let issued = stock.est("simpleenroll", &token, &format!("{name}.b64"), &[]).await;
        assert_eq!(stock.unpack(&issued, &format!("{name}.pem")).await, 1);
    }
    let reach = async || {
        let reach = fleet.pki().bundle_reach(&system).await.unwrap();
        (reach.holders, reach.missing(), reach.cannot_tell)
    };
    assert_eq!(reach().await, (0, 2, 0));
    let cacerts = "/.well-known/est/cacerts";
    assert_eq!(stock.enrol(cacerts, &[]).await.status, 200);
    let one = ["--cert", "gw-1.pem", "--key", "gw-1.key"];
    assert_eq!(stock.enrol(cacerts, &[&one[..], &["--head"]].concat()).await.status, 200);
    assert_eq!(reach().await, (0, 2, 0), "without a certificate nobody is known, and a head is no bundle");
    assert_eq!(stock.enrol(cacerts, &one).await.status, 200);
    assert_eq!(reach().await, (1, 1, 0));
    let (bundle, two) = ("/device/v1/trust-bundle", ["--cert", "gw-2.pem", "--key", "gw-2.key"]);
    assert_eq!(stock.device(bundle, &[&two[..], &["--head"]].concat()).await.status, 200);
    assert_eq!(reach().await, (1, 1, 0), "the same of the native address");
    assert_eq!(stock.device(bundle, &two).await.status, 200);
    assert_eq!(reach().await, (2, 0, 0));
    server.stop().await;
}
