//! A second organization, made by the command line beside a running server: its first admin comes in by the code, its devices by its label, and neither
//! organization gets anything of the other one.

use crate::{
    journey::enrolment_token,
    rest::Rest,
    stock::Stock,
    support::{PASSWORD, TestServer, eventually},
};
use fleet::{access::Actor, db::EngineKind};
use reqwest::{Client, Method, redirect::Policy};
use rstest::rstest;
use serde_json::{Value, json};
use std::time::Duration;

const EVE: &str = "eve@acme.example";
const SOON: Duration = Duration::from_secs(10);

/// The status of an answer to this token.
async fn status(server: &TestServer, token: &str, path: &str) -> u16 {
    let asked = server.http.get(server.url(&format!("/api/v1{path}"))).bearer_auth(token);
    asked.send().await.unwrap().status().as_u16()
}

/// What stands under this name in each row of a list.
fn each(list: &Value, name: &str) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_second_organization_is_made_beside_a_server_and_the_two_have_nothing_of_each_other(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let ours = Rest::of(&server, "gateway").await;
    let stock = Stock::of(&server);

    let made = server.must(&["organization", "create", "acme", "--name", "Acme GmbH"]).await;
    let (id, code) = (made.split(' ').next().unwrap(), made.lines().last().unwrap());
    let system = Actor::system(id.parse().unwrap());
    for (words, why) in [
        (&["organization", "create", "acme", "--name", "Again"][..], "this slug already"),
        (&["organization", "create", "Acme", "--name", "Large"], "not a valid slug"),
        (&["organization", "show", "nobody"], "no such organization"),
        (&["token", "list", "--organization", "nobody"], "no such organization"),
    ] {
        let (well, _, said) = server.fleetward(words).await;
        assert!(!well && said.contains(why), "{words:?}: {said}");
    }

    // Its first admin, in the console of the server that has been running all the time.
    let page = server.http.get(server.url("/set-up")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("name=\"code\""), "the page takes a code again");
    let form = [("code", code), ("name", "Eve"), ("email", EVE), ("password", PASSWORD)];
    let done = server.post_form(&server.http, "/rpc/session/set_up", &form).await;
    assert!(done.headers()["location"].to_str().unwrap().ends_with("/sign-in?set_up=done"), "{done:?}");
    let again = server.post_form(&server.http, "/rpc/session/set_up", &form).await;
    assert!(again.headers()["location"].to_str().unwrap().contains("__err"), "it works once: {again:?}");
    let page = server.http.get(server.url("/set-up")).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("name=\"code\""), "nobody is waited for any more");
    let token = server.must(&["--organization", "acme", "token", "create", "--email", EVE, "--name", "ci", "--role", "admin"]).await;
    let theirs = Rest::by(&server, &system, "gateway", token.trim().to_owned()).await;

    // A device of each.
    eventually("EST knows the label", SOON, || async { stock.enrol("/.well-known/est/acme/cacerts", &[]).await.status == 200 }).await;
    let new = json!({ "label": "line", "pattern": "omega-1", "device_type": "gateway", "max_uses": 1, "hours": 1 });
    let secret = theirs.post(&theirs.operator, "/enrolment-tokens", &new).await["secret"].as_str().unwrap().to_owned();
    let own = enrolment_token(&server, "alpha-1", "gateway", 1).await.secret;
    for name in ["alpha-1", "omega-1"] {
        stock.request(name, &format!("/CN={name}")).await;
    }
    for (label, secret, name) in [("default", &secret, "omega-1"), ("acme", &own, "alpha-1")] {
        let refused = stock.est(&format!("{label}/simpleenroll"), secret, &format!("{name}.b64"), &[]).await;
        assert_eq!(refused.status, 401, "{label}: {refused:?}");
    }
    for (label, secret, name) in [("acme", &secret, "omega-1"), ("default", &own, "alpha-1")] {
        let issued = stock.est(&format!("{label}/simpleenroll"), secret, &format!("{name}.b64"), &[]).await;
        assert_eq!((issued.status, stock.unpack(&issued, &format!("{name}.pem")).await), (200, 1), "{label}: {issued:?}");
    }
    let subject = stock.openssl(&["x509", "-in", "omega-1.pem", "-noout", "-ext", "subjectAltName"]).await;
    assert!(subject.contains("/t/acme/d/omega-1"), "{subject}");

    // One without a token asks whom its address names; the first organization lets nobody ask.
    let opened = theirs.request(Method::PUT, "/enrolment-settings").json(&json!({ "open": true })).send().await.unwrap();
    assert!(opened.status().is_success(), "{}", opened.status());
    stock.request("sigma-1", "/CN=sigma-1").await;
    let csr = format!("-----BEGIN CERTIFICATE REQUEST-----\n{}-----END CERTIFICATE REQUEST-----\n", stock.read("sigma-1.b64"));
    stock.write("sigma-1.json", json!({ "csr": csr, "device_id": "sigma-1" }).to_string());
    let body = ["-H", "Content-Type: application/json", "--data-binary", "@sigma-1.json"];
    for (query, expected) in [("?organization=acme", 202), ("?organization=nobody", 404), ("?organization=acme.month", 404), ("", 401)] {
        let reply = stock.enrol(&format!("/device/v1/enrol{query}"), &body).await;
        assert_eq!(reply.status, expected, "{query}: {reply:?}");
    }
    assert_eq!(theirs.get("/enrolment-requests").await["total"], 1);
    assert_eq!(ours.get("/enrolment-requests").await["total"], 0);

    // hawkBit's addresses: the organization in the path must be the certificate's.
    for (name, path, expected) in [
        ("omega-1", "/acme/controller/v1/omega-1", 200),
        ("omega-1", "/ACME/controller/v1/omega-1", 200),
        ("omega-1", "/default/controller/v1/omega-1", 403),
        ("omega-1", "/default/controller/v1/alpha-1", 403),
        ("omega-1", "/acme/controller/v1/alpha-1", 403),
        ("alpha-1", "/default/controller/v1/alpha-1", 200),
        ("alpha-1", "/acme/controller/v1/alpha-1", 403),
        ("alpha-1", "/acme/controller/v1/omega-1", 403),
    ] {
        let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
        let reply = stock.device(path, &["--cert", &cert, "--key", &key]).await;
        assert_eq!(reply.status, expected, "{name} {path}: {reply:?}");
    }

    // REST: the same version of the same file in both, and each has its own.
    let firmware = vec![7; 4096];
    let (one, two) = (ours.release("1.0.0", 1, &firmware).await, theirs.release("1.0.0", 1, &firmware).await);
    for (rest, beyond, (device, release), (other, others_release)) in
        [(&ours, &theirs, ("alpha-1", &one), ("omega-1", &two)), (&theirs, &ours, ("omega-1", &two), ("alpha-1", &one))]
    {
        let token = &rest.operator;
        let certificate = |list: &Value| each(list, "id").remove(0);
        let (own, others) = (rest.get("/certificates").await, beyond.get("/certificates").await);
        assert_eq!((each(&own, "device_id"), each(&others, "device_id")), (vec![device.to_owned()], vec![other.to_owned()]));
        assert_eq!(each(&rest.get("/devices").await, "device_id"), [device]);
        assert_eq!(each(&rest.get("/releases").await, "id"), [release.as_str()]);
        for (path, expected) in [
            (format!("/devices/{device}"), 200),
            (format!("/devices/{other}"), 404),
            (format!("/releases/{release}"), 200),
            (format!("/releases/{others_release}"), 404),
            (format!("/releases/{others_release}/manifest"), 404),
            (format!("/certificates/{}", certificate(&own)), 200),
            (format!("/certificates/{}", certificate(&others)), 404),
        ] {
            assert_eq!(status(&server, token, &path).await, expected, "{path} for {device}");
        }
        let revoke = rest.request(Method::POST, &format!("/certificates/{}/revoke", certificate(&others)));
        assert_eq!(revoke.json(&json!({ "reason": "key_compromise" })).send().await.unwrap().status(), 404, "{other}");
        let authorities = rest.get("/authorities").await;
        let organization = if device == "alpha-1" { "O=default, " } else { "O=acme, " };
        assert!(
            authorities["items"].as_array().unwrap().iter().all(|a| a["subject"].as_str().unwrap().starts_with(organization)),
            "{authorities}"
        );
    }
    assert_eq!(each(&theirs.get("/audit?action=organization.").await, "action"), ["organization.create"]);
    assert_eq!(theirs.get("/audit?q=alpha-1").await["total"], 0, "its own log, and nobody else's");

    // The console shows Eve her own, and the command line acts where it is told to.
    let browser = Client::builder().redirect(Policy::none()).cookie_store(true).build().unwrap();
    server.sign_in(&browser, EVE, PASSWORD).await;
    let page = browser.get(server.url("/devices")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("omega-1") && !page.contains("alpha-1") && page.contains("Acme GmbH"));
    let listed = server.must(&["device", "list", "--organization", "acme"]).await;
    assert!(listed.contains("omega-1") && !listed.contains("alpha-1"), "{listed}");
    let listed = server.must(&["device", "list"]).await;
    assert!(!listed.contains("omega-1") && listed.contains("alpha-1"), "{listed}");
    let listed = server.must(&["organization", "list"]).await;
    assert!(listed.lines().nth(2).is_some_and(|line| line.starts_with("acme ") && line.ends_with("  1       Acme GmbH")), "{listed}");
    let shown = server.must(&["organization", "show", "acme"]).await;
    assert!(shown.contains("devices         1\n") && shown.contains("O=acme, CN=Fleetward Root CA G1"), "{shown}");
    assert!(server.must(&["audit", "verify", "--organization", "acme"]).await.contains("the chain holds"));
    server.stop().await;
}
