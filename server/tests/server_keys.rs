//! Keys that the server makes (E-8; RFC 7030 §4.4), with curl and openssl, and the two people who agree to it (K-6).

use crate::{
    journey::enrolment_token,
    stock::{Reply, Stock},
    support::TestServer,
};
use fleet::db::EngineKind;
use reqwest::Client;
use rstest::rstest;
use serde_json::{Value, json};
use server::config::Config;
use wire::{enrolment::NewEnrolmentToken, states::Role};

fn allowed(config: Config) -> Config {
    Config { allow_server_keygen: true, ..config }
}

/// The bodies of an answer's two parts, each with its headers checked as libest does (E-12).
fn parts(reply: &Reply) -> [String; 2] {
    assert_eq!(reply.status, 200, "{reply:?}");
    let boundary = reply.head.lines().find_map(|line| line.strip_prefix("Content-Type: multipart/mixed; boundary=")).unwrap();
    assert!(reply.head.contains(&format!("\r\nContent-Length: {}", reply.body.len())), "{}", reply.head);
    assert!(reply.head.contains("\r\nCache-Control: no-store"), "{}", reply.head);
    let text = reply.text();
    let text = text.strip_suffix(&format!("--{boundary}--\r\n")).unwrap();
    let parts: Vec<&str> = text.split(&format!("--{boundary}\r\n")).skip(1).collect();
    let types = ["application/pkcs8", "application/pkcs7-mime; smime-type=certs-only"];
    assert_eq!(parts.len(), types.len(), "{text}");
    [0, 1].map(|at| {
        let (head, body) = parts[at].split_once("\r\n\r\n").unwrap();
        assert_eq!(head, format!("Content-Type: {}\r\nContent-Transfer-Encoding: base64", types[at]));
        assert!(body.lines().all(|line| line.len() <= 64), "{body}");
        body.trim().to_owned()
    })
}

/// Takes an answer apart into `{name}.key` and `{name}.pem`, and checks with openssl that they are for each other.
async fn take(stock: &Stock, reply: &Reply, name: &str) {
    let [key, certificates] = parts(reply);
    stock.write("key.b64", format!("{key}\n"));
    stock.openssl(&["base64", "-d", "-in", "key.b64", "-out", "key.der"]).await;
    stock.openssl(&["pkey", "-inform", "DER", "-in", "key.der", "-out", &format!("{name}.key")]).await;
    stock.write("certs.b64", format!("{certificates}\n"));
    stock.openssl(&["base64", "-d", "-in", "certs.b64", "-out", "certs.der"]).await;
    stock.openssl(&["pkcs7", "-inform", "DER", "-in", "certs.der", "-print_certs", "-out", &format!("{name}.pem")]).await;
    assert_eq!(stock.read(&format!("{name}.pem")).matches("-----BEGIN CERTIFICATE-----").count(), 1, "only the issued certificate");
    let of_key = stock.openssl(&["pkey", "-in", &format!("{name}.key"), "-pubout"]).await;
    let of_certificate = stock.openssl(&["x509", "-in", &format!("{name}.pem"), "-noout", "-pubkey"]).await;
    assert_eq!(of_key, of_certificate);
    assert!(stock.openssl(&["pkey", "-in", &format!("{name}.key"), "-noout", "-text"]).await.contains("prime256v1"));
}

async fn connects(stock: &Stock, name: &str) -> bool {
    let (out, device) = (format!("{name}.out"), &stock.device);
    stock
        .shell(&format!(
            "curl -sS --max-time 20 --interface {} --cacert root.pem --cert {name}.pem --key {name}.key {device}/device/v1/update >{out} 2>&1; \
             echo \" exit $?\" >>{out}",
            stock.from
        ))
        .await;
    stock.read(&out).contains(" exit 0")
}

#[tokio::test(flavor = "multi_thread")]
async fn e8_no_keys_are_made_unless_it_is_allowed() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let stock = Stock::of(&server);
    let token = enrolment_token(&server, "gw-1", "gateway", 1).await.secret;
    stock.request("gw-1", "/CN=gw-1").await;
    let refused = stock.est("serverkeygen", &token, "gw-1.b64", &[]).await;
    assert_eq!((refused.status, refused.text().contains("simpleenroll")), (404, true), "{refused:?}");
    assert_eq!(stock.est("default/serverkeygen", &token, "gw-1.b64", &[]).await.status, 404);
    assert_eq!(stock.enrol("/.well-known/est/serverkeygen", &[]).await.status, 404, "nobody asks for a key by reading");
    let counted = reqwest::get(format!("http://{}/metrics", server.running.ops_addr)).await.unwrap().text().await.unwrap();
    assert!(counted.contains("fleetward_enrolments_total{outcome=\"server_keys_off\"} 2\n"), "{counted}");
    let uses = server.running.fleet.devices().enrolment_page(&server.system()).await.unwrap().tokens[0].uses;
    assert_eq!(uses, 0);
    server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn e8_a_stock_client_gets_a_key_and_connects_with_it(#[case] kind: EngineKind) {
    let server = TestServer::start_with(kind, allowed).await;
    let stock = Stock::of(&server);
    let secret = server.token("ada", Role::Admin).await;
    let token = enrolment_token(&server, "gw-1", "gateway", 1).await;
    let uses = async || server.running.fleet.devices().enrolment_page(&server.system()).await.unwrap().tokens[0].uses;
    stock.request("gw-1", "/CN=gw-1").await;

    // Without a credential there is no key, also where devices may ask to join.
    let open = wire::enrolment::EnrolmentSettings { open: true, profile: String::new() };
    server.running.fleet.devices().set_open_enrolment(&server.system(), &open).await.unwrap();
    let bare = ["-H", "Content-Type: application/pkcs10", "--data-binary", "@gw-1.b64"];
    assert_eq!(stock.enrol("/.well-known/est/serverkeygen", &bare).await.status, 401);
    assert_eq!(stock.enrol("/.well-known/est/serverkeygen", &[]).await.status, 405);

    // The first answer is lost; the second has another key and takes its place (E-3).
    take(&stock, &stock.est("serverkeygen", &token.secret, "gw-1.b64", &[]).await, "lost").await;
    take(&stock, &stock.est("default/serverkeygen", &token.secret, "gw-1.b64", &["--tls-max", "1.2", "--http1.0"]).await, "kept").await;
    assert_ne!(stock.read("lost.key"), stock.read("kept.key"));
    assert_eq!(uses().await, 1, "the use is counted once");
    assert!(connects(&stock, "kept").await, "{}", stock.read("kept.out"));
    assert!(!connects(&stock, "lost").await, "the lost certificate is over");
    // The request's own key is for nothing.
    let own = stock.openssl(&["pkey", "-in", "gw-1.key", "-pubout"]).await;
    assert_ne!(own, stock.openssl(&["pkey", "-in", "kept.key", "-pubout"]).await);
    // Now that it was used the token is spent, also for the same request by its own key.
    assert_eq!(stock.est("serverkeygen", &token.secret, "gw-1.b64", &[]).await.status, 401);
    assert_eq!(stock.est("simpleenroll", &token.secret, "gw-1.b64", &[]).await.status, 401);

    // The rows say where the keys were made, and nothing has kept one.
    let api = |path: &str| server.http.get(server.url(&format!("/api/v1{path}"))).bearer_auth(&secret).send();
    let list: Value = api("/certificates?q=gw-1").await.unwrap().json().await.unwrap();
    assert!(list["items"].as_array().unwrap().iter().all(|c| c["key_origin"] == "server"), "{list}");
    let log = server.running.fleet.access().audit_page(&server.system(), None).await.unwrap();
    let enrolled: Vec<_> = log.entries.items.iter().filter(|e| e.action == "device.enrol").collect();
    assert!(enrolled.len() == 2 && enrolled.iter().all(|e| e.detail.contains("\"key_origin\":\"server\"")), "{enrolled:?}");
    let body: String = stock.read("kept.key").lines().filter(|line| !line.starts_with('-')).collect();
    assert!(!format!("{log:?}").contains(&body[40..80]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e8_a_key_takes_a_right_credential_and_a_request_that_proves_its_own() {
    let server = TestServer::start_with(EngineKind::Sqlite, allowed).await;
    let stock = Stock::of(&server);
    let (system, devices) = (server.system(), server.running.fleet.devices());
    let token = enrolment_token(&server, "gw-*", "gateway", 5).await.secret;
    stock.request("gw-1", "/CN=gw-1").await;
    // Proof of possession: the last octet of the signature is another one.
    let mut der = std::fs::read(stock.file("gw-1.der")).unwrap();
    *der.last_mut().unwrap() ^= 1;
    stock.write("forged.der", der);
    assert_eq!(stock.est("serverkeygen", &token, "forged.der", &[]).await.status, 400);
    stock.request("cam-1", "/CN=cam-1").await;
    assert_eq!(stock.est("serverkeygen", &token, "cam-1.b64", &[]).await.status, 403, "out of the token's bounds");
    let waits = NewEnrolmentToken {
        label: "with approval".into(),
        pattern: "gw-1".into(),
        max_uses: 1,
        hours: 1,
        mode: wire::enrolment::EnrolmentMode::Approval,
        ..NewEnrolmentToken::default()
    };
    let waits = devices.create_enrolment_token(&system, waits).await.unwrap().secret;
    let refused = stock.est("serverkeygen", &waits, "gw-1.b64", &[]).await;
    assert_eq!((refused.status, refused.text().contains("approv") || refused.text().contains("at once")), (403, true), "{refused:?}");

    // A claim is as good as a token (E-9), and a device that enrols by its own key with the request it once got a key for gets none of ours.
    let claim = json!({ "label": "image", "pattern": "gw-*", "max_uses": 5, "hours": 1 });
    let admin = server.token("ada", Role::Admin).await;
    let made = server.http.post(server.url("/api/v1/claims")).bearer_auth(&admin).json(&claim).send().await.unwrap();
    let made: Value = made.json().await.unwrap();
    stock.write("claim.pem", format!("{}{}", made["certificate"].as_str().unwrap(), made["key"].as_str().unwrap()));
    let posted = ["-H", "Content-Type: application/pkcs10", "--data-binary", "@gw-1.b64", "--cert", "claim.pem", "--key", "claim.pem"];
    take(&stock, &stock.enrol("/.well-known/est/serverkeygen", &posted).await, "by-claim").await;
    assert!(connects(&stock, "by-claim").await);
    let again = stock.enrol("/.well-known/est/simpleenroll", &posted).await;
    assert_eq!(again.status, 400, "the name is taken, and what was given is not for this key: {again:?}");
    server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn e8_a_batch_with_keys_is_handed_out_once_and_revoked_as_one(#[case] kind: EngineKind) {
    let server = TestServer::start_with(kind, allowed).await;
    let stock = Stock::of(&server);
    let secret = server.token("oli", Role::Operator).await;
    let api = |path: &str| server.http.post(server.url(&format!("/api/v1/enrolment-batches{path}"))).bearer_auth(&secret);
    let holder = age::x25519::Identity::generate();
    let lot = "device_id,device_type\ngw-1,gateway\ngw-2,gateway\n";
    for (path, header, code) in [
        ("/keys", None, "invalid"),
        ("/keys?recipient=age1x", None, "invalid"),
        ("/keys", Some(("archive-passphrase", "too short")), "invalid"),
        ("/keys?recipient=age1x", Some(("idempotency-key", "once")), "bad_idempotency_key"),
    ] {
        let asked = api(path).body(lot);
        let refused = if let Some((name, value)) = header { asked.header(name, value) } else { asked }.send().await.unwrap();
        let (status, problem) = (refused.status().as_u16(), refused.json::<Value>().await.unwrap());
        assert_eq!((status, problem["code"].as_str()), (400, Some(code)), "{problem}");
    }
    let strong = wire::pki::ProfileRules { hours: 720, factory: false, keys: vec![wire::pki::KeyType::P384], rekey: None };
    server.running.fleet.pki().set_profile(&server.system(), "strong", strong).await.unwrap();
    let refused = api(&format!("/keys?profile=strong&recipient={}", holder.to_public())).body(lot).send().await.unwrap();
    let (status, problem) = (refused.status().as_u16(), refused.json::<Value>().await.unwrap());
    assert_eq!((status, &problem["code"], &problem["field"]), (400, &json!("unsupported_alg"), &json!("profile")), "{problem}");
    let sent = api(&format!("/keys?label=lot%201&recipient={}", holder.to_public())).body(lot).send().await.unwrap();
    assert_eq!(sent.status().as_u16(), 200);
    assert_eq!(sent.headers()["cache-control"], "no-store");
    let place = sent.headers()["location"].to_str().unwrap().to_owned();
    assert!(sent.headers()["content-disposition"].to_str().unwrap().ends_with(".zip.age\""));
    stock.write("lot.zip", age::decrypt(&holder, &sent.bytes().await.unwrap()).unwrap());
    stock.shell("python3 -c \"import zipfile; z = zipfile.ZipFile('lot.zip'); assert z.testzip() is None; z.extractall('.')\"").await;
    for name in ["gw-1", "gw-2"] {
        std::fs::copy(stock.file(&format!("keys/{name}.pem")), stock.file(&format!("{name}.key"))).unwrap();
        std::fs::copy(stock.file(&format!("certs/{name}.pem")), stock.file(&format!("{name}.pem"))).unwrap();
    }
    let verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "root.pem", "-untrusted", "chain.pem"];
    stock.openssl(&[&verify[..], &["gw-1.pem", "gw-2.pem"]].concat()).await;
    assert!(connects(&stock, "gw-1").await && connects(&stock, "gw-2").await);

    let batch: Value = server.http.get(server.url(&place)).bearer_auth(&secret).send().await.unwrap().json().await.unwrap();
    assert_eq!((&batch["state"], &batch["sealed_for"], &batch["issued"]), (&json!("done"), &json!("recipient"), &json!(2)), "{batch}");
    let plain = server.http.get(server.url(&format!("{place}/result"))).bearer_auth(&secret).send().await.unwrap().bytes().await.unwrap();
    assert!(!plain.windows(11).any(|w| w == b"PRIVATE KEY"), "only certificates from then on");
    let revoked =
        server.http.post(server.url(&format!("{place}/revoke"))).bearer_auth(&secret).json(&json!({ "reason": "key_compromise" }));
    assert_eq!(revoked.send().await.unwrap().status().as_u16(), 204);
    assert!(!connects(&stock, "gw-1").await && !connects(&stock, "gw-2").await);
    server.stop().await;
}

/// The console's form, as a browser without script posts it; and a server that makes no keys.
#[tokio::test(flavor = "multi_thread")]
async fn e8_the_form_for_keys_is_there_only_where_they_are_made() {
    let form = || {
        let file = reqwest::multipart::Part::text("device_id\ngw-1\n").file_name("lot.csv");
        let words = reqwest::multipart::Form::new().text("label", "lot 1").text("device_type", "gateway").text("tags", "");
        words.text("recipient", "").text("passphrase", "correct horse battery").part("file", file)
    };
    for makes in [true, false] {
        let server = TestServer::start_with(EngineKind::Sqlite, |config| Config { allow_server_keygen: makes, ..config }).await;
        let browser = server.browser("oli", Role::Operator).await;
        let page = browser.get(server.url("/enrolment?tab=factory")).send().await.unwrap().text().await.unwrap();
        assert_eq!(page.contains("action=\"/enrolment/batches/keys\""), makes);
        let posted = browser.post(server.url("/enrolment/batches/keys")).header("sec-fetch-site", "same-origin").multipart(form());
        let posted = posted.send().await.unwrap();
        if !makes {
            assert_eq!(posted.status().as_u16(), 404);
            assert!(posted.text().await.unwrap().contains("makes no keys"));
            server.stop().await;
            continue;
        }
        assert_eq!(posted.status().as_u16(), 200);
        let words = age::scrypt::Identity::new(age::secrecy::SecretString::from("correct horse battery".to_owned()));
        let opened = age::decrypt(&words, &posted.bytes().await.unwrap()).unwrap();
        assert!(opened.windows(13).any(|w| w == b"keys/gw-1.pem"));
        let batch = server.running.fleet.devices().batches(&server.system(), None, None).await.unwrap().items.remove(0);
        let shown = browser.get(server.url(&format!("/enrolment?tab=factory&batch={}&revoke-batch=1", batch.id))).send().await.unwrap();
        let shown = shown.text().await.unwrap();
        assert!(shown.contains("Type lot 1 to confirm") && shown.contains("under a passphrase"));
        let id = batch.id.to_string();
        let wrong = [("id", id.as_str()), ("reason", "unspecified"), ("confirm", "lot 2")];
        let answer = server.post_form(&browser, "/rpc/enrolment_batch_revoke", &wrong).await;
        assert!(answer.headers()["location"].to_str().unwrap().contains("__err"), "{:?}", answer.headers());
        let right = [("id", id.as_str()), ("reason", "unspecified"), ("confirm", "lot 1")];
        let answer = server.post_form(&browser, "/rpc/enrolment_batch_revoke", &right).await;
        assert!(!answer.headers()["location"].to_str().unwrap().contains("__err"), "{:?}", answer.headers());
        let after = server.running.fleet.devices().batch(&server.system(), &batch.id).await.unwrap();
        assert!(after.revoked_at.is_some());
        server.stop().await;
    }
}

/// Status and body of what a script is answered.
async fn post(server: &TestServer, secret: &str, path: &str, body: Value) -> (u16, Value) {
    let sent = server.http.post(server.url(&format!("/api/v1{path}"))).bearer_auth(secret).json(&body).send().await.unwrap();
    (sent.status().as_u16(), sent.json().await.unwrap_or_default())
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn k6_e8_est_makes_a_key_once_a_second_admin_has_agreed(#[case] kind: EngineKind) {
    let server = TestServer::start_with(kind, allowed).await;
    let stock = Stock::of(&server);
    let (ada, eve) = (server.token("ada", Role::Admin).await, server.token("eve", Role::Admin).await);
    let token = enrolment_token(&server, "gw-*", "gateway", 5).await.secret;
    for name in ["gw-1", "gw-2", "gw-3"] {
        stock.request(name, &format!("/CN={name}")).await;
    }
    let made = async |name: &str| stock.est("serverkeygen", &token, &format!("{name}.b64"), &[]).await;
    // As long as one person is enough the configuration alone says so.
    take(&stock, &made("gw-1").await, "gw-1").await;
    assert_eq!(post(&server, &ada, "/authorities/approvals", json!({ "on": true })).await.0, 204);
    let refused = made("gw-2").await;
    assert_eq!((refused.status, refused.text().contains("POST /api/v1/authorities/requests")), (403, true), "{refused:?}");
    assert!(refused.head.contains("Content-Type: text/plain"), "{}", refused.head);
    assert_eq!(stock.est("simpleenroll", &token, "gw-3.b64", &[]).await.status, 200, "a key of the device's own needs nobody");

    let ask = json!({ "deed": { "deed": "server_keys" }, "remark": "the gateways have no randomness" });
    let (status, asked) = post(&server, &ada, "/authorities/requests", ask).await;
    assert_eq!(status, 201, "{asked}");
    let approve = format!("/authorities/requests/{}/approve", asked["id"].as_str().unwrap());
    let yes = json!({ "digest": asked["digest"], "remark": "they have none" });
    let (status, own) = post(&server, &ada, &approve, yes.clone()).await;
    assert_eq!((status, &own["code"]), (403, &json!("own_request")), "{own}");
    assert_eq!(made("gw-2").await.status, 403, "asked for, and not agreed to");
    let (status, done) = post(&server, &eve, &approve, yes).await;
    assert_eq!((status, &done["state"]), (200, &json!("done")), "{done}");
    take(&stock, &made("gw-2").await, "gw-2").await;
    assert!(connects(&stock, "gw-2").await, "{}", stock.read("gw-2.out"));

    // One ends it, and the command line beside the server is the way out.
    assert_eq!(post(&server, &ada, "/authorities/server-keys", json!({ "on": false })).await.0, 204);
    assert_eq!(made("gw-2").await.status, 403, "none is made any more");
    assert!(server.must(&["ca", "requests"]).await.contains("No keys are made for devices until they agree to it."));
    assert_eq!(server.must(&["ca", "server-keys", "on"]).await, "Keys are made for devices from now on.\n");
    stock.request("gw-4", "/CN=gw-4").await;
    take(&stock, &made("gw-4").await, "gw-4").await;
    server.must(&["ca", "server-keys", "off"]).await;
    assert_eq!(made("gw-4").await.status, 403);
    server.stop().await;
}

/// By the console's forms, as browsers without script post them.
#[tokio::test(flavor = "multi_thread")]
async fn k6_e8_the_console_says_who_agrees_to_keys_and_where() {
    let server = TestServer::start_with(EngineKind::Sqlite, allowed).await;
    let (ada, eve) = (server.browser("ada", Role::Admin).await, server.browser("eve", Role::Admin).await);
    let oli = server.browser("oli", Role::Operator).await;
    let page = async |of: &Client, path: &str| of.get(server.url(path)).send().await.unwrap().text().await.unwrap();
    let requests = "/certificates/authorities/requests";
    let went_well = async |of: &Client, path: &str, form: &[(&str, &str)]| {
        let answer = server.post_form(of, path, form).await;
        let to = answer.headers()["location"].to_str().unwrap().to_owned();
        assert!(to.contains(requests) && !to.contains("__err"), "{to}");
    };
    let form = "action=\"/enrolment/batches/keys\"";
    assert!(page(&oli, "/enrolment?tab=factory").await.contains(form));
    assert!(!page(&ada, requests).await.contains("Keys that the server makes"), "nobody is asked where one is enough");
    went_well(&ada, "/rpc/authority_approvals", &[("on", "true")]).await;

    let shown = page(&oli, "/enrolment?tab=factory").await;
    assert!(!shown.contains(form) && shown.contains("have not agreed that keys are made for devices") && shown.contains(requests));
    assert!(page(&ada, requests).await.contains("Ask to let keys be made"));
    assert!(!page(&oli, requests).await.contains("Ask to let keys be made"));
    went_well(&ada, "/rpc/authority_server_keys", &[("on", "true"), ("reason", "no randomness")]).await;
    let row = server.running.fleet.pki().consents_page(&server.system()).await.unwrap().waiting.remove(0).row;
    let shown = page(&eve, requests).await;
    assert!(shown.contains("Let the server make keys for devices") && shown.contains("whoever reads that answer has them"));
    assert!(!shown.contains("Ask to let keys be made"), "it is asked once");
    let (id, digest) = (row.id.to_string(), row.digest.to_string());
    let yes = [("id", id.as_str()), ("approve", "true"), ("digest", digest.as_str()), ("reason", "they have none")];
    went_well(&eve, "/rpc/authority_decide", &yes).await;
    assert!(page(&oli, "/enrolment?tab=factory").await.contains(form));
    assert!(page(&eve, requests).await.contains("Make no more keys"));
    went_well(&eve, "/rpc/authority_server_keys", &[("on", "false")]).await;
    assert!(!page(&oli, "/enrolment?tab=factory").await.contains(form));
    server.stop().await;
}
