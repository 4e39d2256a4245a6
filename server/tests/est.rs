//! EST with the tools everybody has (E-12 to E-16): a certificate is asked for, renewed and used, in every dress that old stacks wear.

use crate::{
    journey::enrolment_token,
    stock::{Reply, Stock},
    support::TestServer,
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use server::config::Config;
use wire::states::Role;

/// What an old stack looks for, byte by byte (E-12).
fn well_formed(reply: &Reply, media: &str) {
    assert_eq!(reply.status, 200, "{reply:?}");
    for header in
        [format!("Content-Type: {media}"), "Content-Transfer-Encoding: base64".into(), format!("Content-Length: {}", reply.body.len())]
    {
        assert!(reply.head.lines().any(|line| line == header), "{header} is not in\n{}", reply.head);
    }
    assert!(!reply.head.contains("Transfer-Encoding: chunked"));
    let text = reply.text();
    assert!(text.ends_with('\n') && text.lines().all(|line| (1..=64).contains(&line.len())), "{text}");
}

const CERTIFICATES: &str = "application/pkcs7-mime; smime-type=certs-only";

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_stock_client_enrols_renews_and_is_let_in(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let stock = Stock::of(&server);
    let token = enrolment_token(&server, "gw-1", "gateway", 1).await.secret;

    let authorities = stock.enrol("/.well-known/est/cacerts", &[]).await;
    well_formed(&authorities, CERTIFICATES);
    assert_eq!(stock.unpack(&authorities, "ca.pem").await, 3, "root, devices' and servers' authority");
    let first = stock.openssl(&["x509", "-in", "ca.pem", "-noout", "-fingerprint", "-sha256"]).await;
    let root = stock.openssl(&["x509", "-in", "root.pem", "-noout", "-fingerprint", "-sha256"]).await;
    assert_eq!(first, root, "the root comes first");
    let attributes = stock.enrol("/.well-known/est/csrattrs", &[]).await;
    well_formed(&attributes, "application/csrattrs");
    // curl writes the head where a body would be.
    for (path, whole) in [("cacerts", &authorities), ("csrattrs", &attributes)] {
        for more in [&["--head"][..], &["--head", "--tls-max", "1.2", "--http1.0"]] {
            let asked = stock.enrol(&format!("/.well-known/est/{path}"), more).await;
            let length = format!("\r\nContent-Length: {}", whole.body.len());
            assert!(asked.status == 200 && asked.text().ends_with("\r\n\r\n") && asked.head.contains(&length), "{path}: {asked:?}");
        }
    }
    assert_eq!(stock.enrol("/.well-known/est/simpleenroll", &["--head"]).await.status, 405);
    assert_eq!(attributes.text(), "MCEwFQYHKoZIzj0CATEKBggqhkjOPQMBBwYIKoZIzj0EAwI=\n");

    stock.request("gw-1", "/CN=gw-1").await;
    let issued = stock.est("simpleenroll", &token, "gw-1.b64", &[]).await;
    well_formed(&issued, CERTIFICATES);
    assert_eq!(stock.unpack(&issued, "leaf.pem").await, 1, "only the issued certificate");
    let verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "root.pem", "-untrusted", "ca.pem"];
    stock.openssl(&[&verify[..], &["leaf.pem"]].concat()).await;
    let again = stock.est("simpleenroll", &token, "gw-1.b64", &[]).await;
    assert_eq!(again.body, issued.body, "a lost answer is given again and costs no use (E-3)");
    let own = ["--cert", "leaf.pem", "--key", "gw-1.key"];
    assert_eq!(stock.device("/device/v1/update", &own).await.status / 100, 2);

    // R-1: the same key waits for its time, a new one does not. E-16: the name stays.
    let renewal = "simplereenroll";
    let early = stock.est(renewal, "", "gw-1.b64", &own).await;
    assert_eq!((early.status, early.text().contains("due for renewal")), (400, true), "{early:?}");
    for (name, subject) in [("other", "/CN=gw-2"), ("nameless", "/O=nobody")] {
        stock.request(name, subject).await;
        assert_eq!(stock.est(renewal, "", &format!("{name}.b64"), &own).await.status, 403, "{name}");
    }
    stock.request("next", "/CN=gw-1").await;
    assert_eq!(stock.est(renewal, &token, "next.b64", &[]).await.status, 401, "a token renews nothing");
    let renewed = stock.est(renewal, "", "next.b64", &own).await;
    well_formed(&renewed, CERTIFICATES);
    assert_eq!(stock.unpack(&renewed, "next.pem").await, 1);
    let again = stock.est(renewal, "", "next.b64", &own).await;
    assert_eq!((again.status, &again.body), (200, &renewed.body), "a lost answer is given again (E-3)");
    stock.openssl(&[&verify[..], &["next.pem"]].concat()).await;
    assert_eq!(stock.device("/device/v1/update", &["--cert", "next.pem", "--key", "next.key"]).await.status / 100, 2);
    let counted = reqwest::get(format!("http://{}/metrics", server.running.ops_addr)).await.unwrap().text().await.unwrap();
    for line in
        ["renewals_total{outcome=\"issued\"} 2", "renewals_total{outcome=\"renew_too_early\"} 1", "enrolments_total{outcome=\"issued\"} 2"]
    {
        assert!(counted.contains(&format!("fleetward_{line}\n")), "{line}: {counted}");
    }
    server.stop().await;
}

/// What names no label of ours is counted as what it wanted to be.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_an_unknown_label_is_counted() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let stock = Stock::of(&server);
    let token = enrolment_token(&server, "gw-*", "gateway", 10).await.secret;
    stock.request("gw-1", "/CN=gw-1").await;
    for operation in ["simpleenroll", "serverkeygen", "simplereenroll", "fullcmc"] {
        assert_eq!(stock.est(&format!("nope/{operation}"), &token, "gw-1.b64", &[]).await.status, 404, "{operation}");
    }
    assert_eq!(stock.enrol("/.well-known/est/nope/cacerts", &[]).await.status, 404);
    assert_eq!(stock.enrol("/.well-known/est/nope/simpleenroll", &[]).await.status, 404, "read, not asked for");
    let counted = reqwest::get(format!("http://{}/metrics", server.running.ops_addr)).await.unwrap().text().await.unwrap();
    for line in ["enrolments_total{outcome=\"unknown_label\"} 2", "renewals_total{outcome=\"unknown_label\"} 1"] {
        assert!(counted.contains(&format!("fleetward_{line}\n")), "{line}: {counted}");
    }
    server.stop().await;
}

/// libest speaks TLS 1.2 and HTTP/1.0 and looks for that version in the answer.
#[tokio::test(flavor = "multi_thread")]
async fn old_protocols_and_every_dress_of_a_request_are_taken() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let stock = Stock::of(&server);
    let token = enrolment_token(&server, "gw-*", "gateway", 10).await.secret;
    let bearer = format!("Authorization: Bearer {token}");
    let old = ["--tls-max", "1.2", "--http1.0"];
    let authorities = stock.enrol("/.well-known/est/cacerts", &old).await;
    well_formed(&authorities, CERTIFICATES);
    assert!(authorities.head.starts_with("HTTP/1.0 200"), "{}", authorities.head);

    for name in ["gw-b64", "gw-der", "gw-pem", "gw-wide", "gw-cte"] {
        stock.request(name, &format!("/CN={name}")).await;
    }
    stock.openssl(&["req", "-inform", "DER", "-in", "gw-pem.der", "-out", "gw-pem.pem"]).await;
    let line = stock.read("gw-wide.b64").replace('\n', "");
    stock.write("gw-wide.b64", line.chars().flat_map(|c| [c, ' ', '\t', '\r', '\n']).collect::<String>());
    let ignored = "Content-Transfer-Encoding: binary";
    for (file, more) in [
        ("gw-b64.b64", &old[..]),
        ("gw-der.der", &[]),
        ("gw-pem.pem", &["-H", "Content-Type: Application/PKCS10; charset=x"][..]),
        ("gw-wide.b64", &["--tls-max", "1.2"]),
        ("gw-cte.b64", &["-H", ignored]),
    ] {
        let data = format!("@{file}");
        let posted = ["-H", &bearer, "--data-binary", &data];
        let media: &[&str] = if file == "gw-pem.pem" { &[] } else { &["-H", "Content-Type: application/pkcs10"] };
        let reply = stock.enrol("/.well-known/est/default/simpleenroll", &[&posted[..], media, more].concat()).await;
        well_formed(&reply, CERTIFICATES);
        assert_eq!(stock.unpack(&reply, "leaf.pem").await, 1, "{file}");
    }
    server.stop().await;
}

/// E-15, one answer a line.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_codes_of_est_and_one_line_of_text() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let stock = Stock::of(&server);
    let token = enrolment_token(&server, "gw-*", "gateway", 10).await.secret;
    stock.request("gw-1", "/CN=gw-1").await;
    stock.request("other", "/CN=other").await;
    stock.write("junk", "!");
    stock.write("large", vec![b'A'; 65 * 1024]);
    let posted = ["-H", "Content-Type: application/pkcs10", "--data-binary", "@gw-1.b64"];
    let user = format!("x:{token}");
    let with = |more: &'static [&'static str]| [&["--user", &user], more].concat();
    let enrol = "simpleenroll";
    let mut answers = Vec::new();
    for (path, arguments, status) in [
        ("simpleenroll", posted.to_vec(), 401),
        ("simpleenroll", [&posted[..], &["--user", "x:fet_1_2"]].concat(), 401),
        ("simplereenroll", posted.to_vec(), 401),
        (enrol, with(&["-H", "Content-Type: text/plain", "--data-binary", "@gw-1.b64"]), 415),
        (enrol, with(&["-H", "Content-Type: application/pkcs10", "-H", "Content-Encoding: gzip", "--data-binary", "@gw-1.b64"]), 415),
        (enrol, with(&["-H", "Content-Type: application/pkcs10", "--data-binary", "@junk"]), 400),
        (enrol, with(&["-H", "Content-Type: application/pkcs10", "--data-binary", "@large"]), 413),
        (enrol, with(&["-H", "Content-Type: application/pkcs10", "--data-binary", "@other.b64"]), 403),
        (enrol, vec![], 405),
        ("cacerts", posted.to_vec(), 405),
        ("csrattrs", posted.to_vec(), 405),
        ("fullcmc", posted.to_vec(), 404),
        ("serverkeygen", posted.to_vec(), 404),
        ("nothing", vec![], 404),
        ("nobody/cacerts", vec![], 404),
        ("cacerts/cacerts", vec![], 404),
        ("default/default/cacerts", vec![], 404),
        ("default/cacerts", vec![], 200),
    ] {
        let reply = stock.enrol(&format!("/.well-known/est/{path}"), &arguments).await;
        answers.push((path, status, reply));
    }
    for (path, status, reply) in answers {
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        assert_eq!(reply.head.contains("\r\nWWW-Authenticate: Basic realm=\"est\""), status == 401, "{}", reply.head);
        assert_eq!(reply.head.contains("\r\nAllow: "), status == 405, "{}", reply.head);
        if status != 200 {
            assert!(reply.head.contains("\r\nContent-Type: text/plain"), "{}", reply.head);
            assert_eq!((reply.text().lines().count(), reply.text().ends_with('\n')), (1, true), "{path}: {}", reply.text());
        }
    }
    server.stop().await;
}

/// E-6 over both flows: 202 with a time to ask again, then the certificate, decided over REST.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_without_a_token_waits_for_a_person(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let stock = Stock::of(&server);
    let admin = server.token("ada", Role::Admin).await;
    let api = |path: &str| server.url(&format!("/api/v1{path}"));
    for name in ["gw-1", "gw-2"] {
        stock.request(name, &format!("/CN={name}")).await;
    }
    let ask = ["-H", "Content-Type: application/pkcs10", "--data-binary", "@gw-1.b64"];
    let enrol = "/.well-known/est/simpleenroll";
    assert_eq!(stock.enrol(enrol, &ask).await.status, 401, "off by default");
    let open = server.http.put(api("/enrolment-settings")).bearer_auth(&admin).json(&json!({ "open": true })).send().await.unwrap();
    assert_eq!(open.status(), 200);
    let waits = stock.enrol(enrol, &ask).await;
    assert!(waits.status == 202 && waits.head.contains("\r\nRetry-After: "), "{waits:?}");
    stock.openssl(&["req", "-inform", "DER", "-in", "gw-2.der", "-out", "gw-2.pem"]).await;
    stock.write("gw-2.json", json!({ "csr": stock.read("gw-2.pem") }).to_string());
    let native = ["-H", "Content-Type: application/json", "--data-binary", "@gw-2.json"];
    let waits = stock.enrol("/device/v1/enrol", &native).await;
    let said: Value = serde_json::from_slice(&waits.body).unwrap();
    assert_eq!((waits.status, &said["status"]), (202, &json!("pending")));
    assert!(waits.head.contains(&format!("\r\nRetry-After: {}", said["poll_after"])), "{waits:?}");

    let list: Value = server.http.get(api("/enrolment-requests")).bearer_auth(&admin).send().await.unwrap().json().await.unwrap();
    assert_eq!(list["total"], 2);
    let sum = stock.openssl(&["req", "-in", "gw-2.pem", "-noout", "-pubkey"]).await;
    stock.write("gw-2.pub", sum);
    stock.openssl(&["pkey", "-pubin", "-in", "gw-2.pub", "-outform", "DER", "-out", "gw-2.spki"]).await;
    let digest = stock.openssl(&["dgst", "-sha256", "-r", "gw-2.spki"]).await;
    assert_eq!(list["items"][1]["code"], digest[..8], "the code is what anybody computes from the key");
    for (at, verb) in [(0, "approve"), (1, "reject")] {
        let path = format!("/enrolment-requests/{}/{verb}", list["items"][at]["id"].as_str().unwrap());
        let done = server.http.post(api(&path)).bearer_auth(&admin).send().await.unwrap();
        assert_eq!(done.status(), 204, "{verb}");
    }
    let issued = stock.enrol(enrol, &ask).await;
    well_formed(&issued, CERTIFICATES);
    assert_eq!(stock.unpack(&issued, "leaf.pem").await, 1);
    assert_eq!(stock.device("/device/v1/update", &["--cert", "leaf.pem", "--key", "gw-1.key"]).await.status / 100, 2);
    assert_eq!(stock.enrol("/device/v1/enrol", &native).await.status, 403);
    server.stop().await;
}

/// E-16: RFC 7030 §4.2.2 to the letter, where the installation asks for it. The ordinary rule is tried above.
#[tokio::test(flavor = "multi_thread")]
async fn e16_a_strict_server_wants_the_certificates_names_byte_for_byte() {
    let server = TestServer::start_with(EngineKind::Sqlite, |config| Config { est_strict_reenroll: true, ..config }).await;
    let stock = Stock::of(&server);
    let token = enrolment_token(&server, "gw-1", "gateway", 1).await.secret;
    stock.request("gw-1", "/CN=gw-1").await;
    let issued = stock.est("simpleenroll", &token, "gw-1.b64", &[]).await;
    assert_eq!(stock.unpack(&issued, "leaf.pem").await, 1, "a first enrolment is as free as ever");
    let own = ["--cert", "leaf.pem", "--key", "gw-1.key"];
    let ask = async |name: &str, subject: &str, names: &str| {
        let (key, der, names) = (format!("{name}.key"), format!("{name}.der"), format!("subjectAltName={names}"));
        let new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", &key, "-subj", subject];
        let extension: &[&str] = if names.ends_with('=') { &[] } else { &["-addext", &names] };
        stock.openssl(&[&new[..], extension, &["-outform", "DER", "-out", &der]].concat()).await;
        stock.est("simplereenroll", "", &der, &own).await
    };
    let uri = "URI:spiffe://fleetward.local/t/default/d/gw-1";
    for (name, subject, names, says) in [
        ("short", "/CN=gw-1", "", "subject"),
        ("turned", "/CN=gw-1/O=default", "", "subject"),
        ("twice", "/O=default/CN=gw-1", &*format!("{uri},{uri}"), "alternative names"),
    ] {
        let refused = ask(name, subject, names).await;
        assert_eq!((refused.status, refused.text().contains(says)), (403, true), "{name}: {refused:?}");
    }
    for (name, names) in [("without", ""), ("with", uri)] {
        let renewed = ask(name, "/O=default/CN=gw-1", names).await;
        well_formed(&renewed, CERTIFICATES);
        assert_eq!(stock.unpack(&renewed, &format!("{name}.pem")).await, 1);
    }
    assert_eq!(stock.device("/device/v1/update", &["--cert", "with.pem", "--key", "with.key"]).await.status / 100, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e_14_whoever_is_known_is_told_which_key_their_profile_takes() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let stock = Stock::of(&server);
    let (fleet, system) = (&server.running.fleet, server.system());
    let rules = wire::pki::ProfileRules { hours: 24, factory: false, keys: vec![wire::pki::KeyType::P384], rekey: None };
    fleet.pki().set_profile(&system, "strong", rules).await.unwrap();
    let new = wire::enrolment::NewEnrolmentToken {
        label: "strong".into(),
        max_uses: 1,
        hours: 1,
        profile: "strong".into(),
        ..Default::default()
    };
    let secret = fleet.devices().create_enrolment_token(&system, new).await.unwrap().secret;
    let plain = enrolment_token(&server, "gw-*", "gateway", 1).await.secret;
    let usual = fleet::pki::est::encode(fleet::pki::est::CSR_ATTRIBUTES);
    let strong = fleet::pki::est::encode(&fleet::pki::est::csr_attributes(&[wire::pki::KeyType::P384]));
    let bearer = format!("Authorization: Bearer {secret}");
    for (path, with, says) in [
        ("csrattrs", vec![], &usual),
        ("csrattrs", vec!["-u".to_owned(), format!("any:{secret}")], &strong),
        ("default/csrattrs", vec!["-H".to_owned(), bearer], &strong),
        ("default.strong/csrattrs", vec![], &strong),
        ("csrattrs", vec!["-u".to_owned(), format!("any:{plain}")], &usual),
        ("csrattrs", vec!["-u".to_owned(), format!("any:{}x", &secret[..secret.len() - 1])], &usual),
    ] {
        let with: Vec<&str> = with.iter().map(String::as_str).collect();
        let reply = stock.enrol(&format!("/.well-known/est/{path}"), &with).await;
        well_formed(&reply, "application/csrattrs");
        assert_eq!(reply.text(), says.as_str(), "{path} {with:?}");
    }
    server.stop().await;
}

/// RFC 7030 §3.2.2, E-1, E-15: a label may name a profile; what is brought decides which one is given.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn e_15_a_label_names_a_profile_and_gives_no_other_one(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let stock = Stock::of(&server);
    let (fleet, system) = (&server.running.fleet, server.system());
    for (name, hours) in [("month", 720), ("hour", 1)] {
        let rules = wire::pki::ProfileRules { hours, factory: false, keys: vec![], rekey: None };
        fleet.pki().set_profile(&system, name, rules).await.unwrap();
    }
    let new =
        wire::enrolment::NewEnrolmentToken { label: "m".into(), max_uses: 1, hours: 1, profile: "month".into(), ..Default::default() };
    let month = fleet.devices().create_enrolment_token(&system, new).await.unwrap().secret;
    let plain = enrolment_token(&server, "gw-*", "gateway", 2).await.secret;
    for name in ["gw-1", "gw-2"] {
        stock.request(name, &format!("/CN={name}")).await;
    }
    for (path, secret, status) in [
        ("default.year/simpleenroll", &month, 404),
        ("other.month/simpleenroll", &month, 404),
        ("default./simpleenroll", &month, 404),
        ("default.hour/simpleenroll", &month, 403),
        ("default.month/simpleenroll", &plain, 403),
    ] {
        let refused = stock.est(path, secret, "gw-1.b64", &[]).await;
        assert_eq!(refused.status, status, "{path}: {refused:?}");
    }
    // None of them has cost a use.
    let issued = stock.est("default.month/simpleenroll", &month, "gw-1.b64", &[]).await;
    well_formed(&issued, CERTIFICATES);
    assert_eq!(stock.unpack(&issued, "leaf.pem").await, 1);
    assert_eq!(stock.est("default/simpleenroll", &plain, "gw-2.b64", &[]).await.status, 200, "a label without a profile takes any");

    let own = ["--cert", "leaf.pem", "--key", "gw-1.key"];
    stock.request("next", "/CN=gw-1").await;
    let refused = stock.est("default.hour/simplereenroll", "", "next.b64", &own).await;
    assert!(refused.status == 403 && refused.text().contains("month"), "{refused:?}");
    let renewed = stock.est("default.month/simplereenroll", "", "next.b64", &own).await;
    well_formed(&renewed, CERTIFICATES);
    server.stop().await;
}
