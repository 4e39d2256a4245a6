//! Registered authorities: somebody else's, from their certificate to their end.

use super::{DENIED, Desk, Reply, Script, lists::list};
use crate::stock::Stock;
use fleet::db::EngineKind;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use wire::registered::verification_lines;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_owners_authority_is_registered_proved_enabled_and_removed(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let stock = Stock::of(&desk.server);
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=Plant CA"];
    stock.openssl(&[&new[..], &["-keyout", "ca.key", "-out", "ca.pem"]].concat()).await;
    let plant = json!({ "label": "Plant", "certificate": stock.read("ca.pem") });
    assert_eq!(desk.operator.post("/registered-authorities", &plant).await.code(), DENIED);
    let junk = json!({ "label": "Plant", "certificate": "junk" });
    assert_eq!(desk.admin.post("/registered-authorities", &junk).await.code(), (400, "certificate_malformed"));
    assert_eq!(desk.admin.post("/registered-authorities", &json!({ "label": "Plant" })).await.code(), (400, "bad_json"));
    assert_eq!(desk.viewer.get("/registered-authorities").await.ok()["items"], json!([]));
    let made = desk.admin.post("/registered-authorities", &plant).await;
    assert_eq!((made.status, &made.ok()["state"]), (201, &json!("unverified")), "{}", made.body);
    let id = made.id();
    assert_eq!(desk.viewer.get("/registered-authorities").await.ok()["items"][0]["label"], "Plant");
    assert_eq!(desk.logged("registered_authority.register").await["object"], json!(id));
    let shown = async || desk.viewer.get(&format!("/registered-authorities/{id}")).await.ok().clone();
    assert_eq!(desk.viewer.get("/registered-authorities/nonsense").await.code(), (404, "not_found"));

    assert_eq!(desk.operator.post(&format!("/registered-authorities/{id}/code"), &json!({})).await.code(), DENIED);
    let renewed = desk.admin.post(&format!("/registered-authorities/{id}/code"), &json!({})).await.ok()["code"].clone();
    assert_ne!(renewed, made.body["code"], "the one before is good for nothing");
    assert_eq!(desk.times("registered_authority.code").await, 1);
    for line in verification_lines(renewed.as_str().unwrap()) {
        stock.shell(&line).await;
    }
    let proof = json!({ "certificate": stock.read("verify.pem") });
    let policy = json!({ "just_in_time": "off" });
    assert_eq!(desk.operator.post(&format!("/registered-authorities/{id}/verify"), &proof).await.code(), DENIED);
    assert_eq!(desk.admin.post(&format!("/registered-authorities/{id}/enable"), &policy).await.code(), (409, "authority_state"));
    let wrong = json!({ "certificate": stock.read("ca.pem") });
    assert_eq!(desk.admin.post(&format!("/registered-authorities/{id}/verify"), &wrong).await.code(), (400, "verification_failed"));
    assert_eq!(desk.admin.post(&format!("/registered-authorities/{id}/verify"), &proof).await.ok()["state"], "verified");
    let late = desk.admin.post(&format!("/registered-authorities/{id}/code"), &json!({})).await;
    assert_eq!(late.code(), (409, "authority_state"), "it is proved already");

    assert_eq!(desk.operator.post(&format!("/registered-authorities/{id}/enable"), &policy).await.code(), DENIED);
    let odd = json!({ "just_in_time": "now and then" });
    assert_eq!(desk.admin.post(&format!("/registered-authorities/{id}/enable"), &odd).await.code(), (400, "bad_json"));
    assert_eq!(desk.admin.post(&format!("/registered-authorities/{id}/enable"), &policy).await.ok()["state"], "active");
    assert_eq!(desk.logged("registered_authority.enable").await["detail"]["is"], "active");

    let bring = async |script: &Script, list: &str| {
        let request = script.request(Method::PUT, &format!("/registered-authorities/{id}/list"));
        Reply::to(request.header("content-type", "application/pkix-crl").body(list.to_owned())).await
    };
    let revoked = list(&stock, "ca", 0x1000).await;
    assert_eq!(bring(&desk.viewer, &revoked).await.code(), DENIED);
    assert_eq!(bring(&desk.operator, "junk").await.code(), (400, "list_refused"));
    assert_eq!(shown().await["list"], Value::Null);
    assert_eq!(bring(&desk.operator, &revoked).await.ok()["list"]["number"], "0x1000");
    assert_eq!(shown().await["list"]["entries"], 0);
    let place = |url: &str| json!({ "url": url });
    let at = format!("/registered-authorities/{id}/list-address");
    assert_eq!(desk.viewer.put(&at, &place("")).await.code(), DENIED);
    assert_eq!(desk.admin.put(&at, &place("file:///etc/passwd")).await.code(), (400, "list_address_refused"));
    assert_eq!(desk.admin.put(&at, &json!({ "uri": "" })).await.code(), (400, "bad_json"));
    assert_eq!(desk.admin.put(&at, &place("")).await.ok()["list_address"], Value::Null);
    let fetch = desk.admin.post(&format!("/registered-authorities/{id}/fetch-list"), &json!({})).await;
    assert_eq!(fetch.code(), (409, "no_list_address"));

    assert_eq!(desk.admin.delete(&format!("/registered-authorities/{id}")).await.code(), (409, "authority_state"), "it is believed");
    assert_eq!(desk.operator.post(&format!("/registered-authorities/{id}/disable"), &json!({})).await.code(), DENIED);
    assert_eq!(desk.admin.post(&format!("/registered-authorities/{id}/disable"), &json!({})).await.ok()["state"], "disabled");
    assert_eq!(desk.logged("registered_authority.disable").await["detail"]["is"], "disabled");
    assert_eq!(desk.operator.delete(&format!("/registered-authorities/{id}")).await.code(), DENIED);
    assert_eq!(desk.admin.delete(&format!("/registered-authorities/{id}")).await.status, 204);
    assert_eq!(desk.admin.delete(&format!("/registered-authorities/{id}")).await.code(), (404, "authority_not_found"));
    assert_eq!(desk.viewer.get("/registered-authorities").await.ok()["items"], json!([]));
    assert_eq!(desk.logged("registered_authority.remove").await["object"], json!(id));
    desk.stop().await;
}
