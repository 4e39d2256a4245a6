//! The ways in beside tokens, over real sockets with curl and openssl: batches from a factory (E-7) and claims (E-9).

use crate::{
    stock::Stock,
    support::{TestServer, eventually},
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use std::time::Duration;
use wire::{devices::DeviceQuery, states::Role};

async fn json_of(answer: reqwest::Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_rest_gives_certificates_that_are_let_in(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let stock = Stock::of(&server);
    let secret = server.token("oli", Role::Operator).await;
    let api = |path: &str| server.url(&format!("/api/v1/enrolment-batches{path}"));
    stock.request("gw-1", "/CN=gw-1").await;
    let csr = stock.read("gw-1.b64").replace('\n', "");
    let csv = format!("device_id,device_type,csr\ngw-1,gateway,{csr}\n=gw,gateway,{csr}\n");
    let sent = server.http.post(api("?label=lot%2017&tags=eu")).bearer_auth(&secret).body(csv).send().await.unwrap();
    let (status, batch) = json_of(sent).await;
    assert_eq!((status, &batch["lines"]), (201, &json!(2)), "{batch}");
    let id = batch["id"].as_str().unwrap().to_owned();
    // The worker does it, nobody has to ask.
    eventually("the batch is done", Duration::from_secs(20), async || {
        let (_, now) = json_of(server.http.get(api(&format!("/{id}"))).bearer_auth(&secret).send().await.unwrap()).await;
        now["state"] == "done" && now["issued"] == 1 && now["refused"] == 1
    })
    .await;
    let (_, lines) = json_of(server.http.get(api(&format!("/{id}/lines?state=refused"))).bearer_auth(&secret).send().await.unwrap()).await;
    assert_eq!((&lines["items"][0]["line"], &lines["total"]), (&json!(2), &json!(1)), "{lines}");
    let zip = server.http.get(api(&format!("/{id}/result"))).bearer_auth(&secret).send().await.unwrap().bytes().await.unwrap();
    stock.write("lot.zip", &zip);
    stock.shell("python3 -c \"import zipfile; z = zipfile.ZipFile('lot.zip'); assert z.testzip() is None; z.extractall('.')\"").await;
    let verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "root.pem", "-untrusted", "chain.pem"];
    stock.openssl(&[&verify[..], &["certs/gw-1.pem"]].concat()).await;
    assert!(stock.read("refused.csv").contains("\"'=gw\"") || stock.read("refused.csv").contains("'=gw"), "no formula (A-24)");
    let own = ["--cert", "certs/gw-1.pem", "--key", "gw-1.key"];
    assert_eq!(stock.device("/device/v1/update", &own).await.status / 100, 2);

    // What breaks a bound leaves nothing, and a viewer sends none.
    let bomb = json_of(server.http.post(api("")).bearer_auth(&secret).body("{}\n".repeat(10_001)).send().await.unwrap()).await;
    assert_eq!((bomb.0, bomb.1["code"].as_str()), (413, Some("batch_too_large")), "{}", bomb.1);
    let viewer = server.token("vic", Role::Viewer).await;
    assert_eq!(server.http.post(api("")).bearer_auth(viewer).body("{}").send().await.unwrap().status().as_u16(), 403);
    server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_lets_stock_clients_in_until_it_is_disabled(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let stock = Stock::of(&server);
    let secret = server.token("ada", Role::Admin).await;
    let asked = json!({ "label": "image 4", "pattern": "gw-*", "device_type": "gateway", "max_uses": 10, "hours": 24 });
    let (status, made) =
        json_of(server.http.post(server.url("/api/v1/claims")).bearer_auth(&secret).json(&asked).send().await.unwrap()).await;
    assert_eq!(status, 201, "{made}");
    let id = made["claim"]["id"].as_str().unwrap().to_owned();
    stock.write("claim.pem", format!("{}{}", made["certificate"].as_str().unwrap(), made["key"].as_str().unwrap()));
    let text = stock.openssl(&["x509", "-in", "claim.pem", "-noout", "-text"]).await;
    assert!(text.contains("TLS Web Client Authentication, 2.25.147856440073020717265457988545251680742"), "{text}");
    let claim = ["--cert", "claim.pem", "--key", "claim.pem"];

    stock.request("gw-1", "/CN=gw-1").await;
    let post = |file: &str| ["-H".to_owned(), "Content-Type: application/pkcs10".into(), "--data-binary".into(), format!("@{file}")];
    let est = async |name: &str| {
        let posted = post(&format!("{name}.b64"));
        let posted: Vec<&str> = posted.iter().map(String::as_str).chain(claim).collect();
        stock.enrol("/.well-known/est/simpleenroll", &posted).await
    };
    let issued = est("gw-1").await;
    assert_eq!(issued.status, 200, "{issued:?}");
    assert_eq!(stock.unpack(&issued, "leaf.pem").await, 1);
    let own = ["--cert", "leaf.pem", "--key", "gw-1.key"];
    assert_eq!(stock.device("/device/v1/update", &own).await.status / 100, 2);
    stock.request("cam-1", "/CN=cam-1").await;
    assert_eq!(est("cam-1").await.status, 403, "out of its bounds");

    // The same by JSON.
    stock.request("gw-2", "/CN=gw-2").await;
    stock.openssl(&["req", "-inform", "DER", "-in", "gw-2.der", "-out", "gw-2.pem"]).await;
    stock.write("enrol.json", json!({ "csr": stock.read("gw-2.pem") }).to_string());
    let native = ["-H", "Content-Type: application/json", "--data-binary", "@enrol.json"];
    assert_eq!(stock.enrol("/device/v1/enrol", &[&native[..], &claim].concat()).await.status, 201);

    let (_, devices) =
        json_of(server.http.get(server.url(&format!("/api/v1/claims/{id}/devices"))).bearer_auth(&secret).send().await.unwrap()).await;
    assert_eq!((&devices["items"][0]["device_id"], &devices["total"]), (&json!("gw-1"), &json!(2)), "{devices}");

    let off = server.http.post(server.url(&format!("/api/v1/claims/{id}/disable"))).bearer_auth(&secret).send().await.unwrap();
    assert_eq!(off.status().as_u16(), 204);
    stock.write("out", "");
    stock
        .shell(&format!(
            "curl -sS --cacert root.pem --cert claim.pem --key claim.pem {}/.well-known/est/cacerts >out 2>&1; echo \" exit $?\" >>out",
            stock.enrol
        ))
        .await;
    assert!(!stock.read("out").contains(" exit 0"), "refused in the handshake: {}", stock.read("out"));
    assert_eq!(stock.device("/device/v1/update", &own).await.status / 100, 2, "its devices stay");
    let count = server.running.fleet.devices().list(&server.system(), &DeviceQuery::default()).await.unwrap().total;
    assert_eq!(count, 2);
    server.stop().await;
}
