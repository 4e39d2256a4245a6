//! The ways in: tokens, claims, devices that wait for a person, batches; and freezes, in which nothing new is offered to those who are in.

use super::{DENIED, Desk, Reply, Script};
use crate::{
    stock::Stock,
    support::{TestServer, eventually},
};
use fleet::{
    clock::{Clock as _, SystemClock},
    db::EngineKind,
};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use server::config::Config;
use std::time::Duration;
use wire::states::Role;

const PATIENCE: Duration = Duration::from_secs(20);

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_claims_are_listed_and_ended(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let token = json!({ "label": "bench", "max_uses": 1, "hours": 1 });
    assert_eq!(desk.viewer.post("/enrolment-tokens", &token).await.code(), DENIED);
    assert_eq!(desk.operator.post("/enrolment-tokens", &json!({ "label": "bench", "max_use": 1 })).await.code(), (400, "bad_json"));
    let made = desk.operator.post("/enrolment-tokens", &token).await.ok()["token"].clone();
    assert_eq!(desk.viewer.get("/enrolment-tokens").await.ok()["items"], json!([made]));
    let path = format!("/enrolment-tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(desk.viewer.delete(&path).await.code(), DENIED);
    assert_eq!(desk.operator.delete("/enrolment-tokens/nonsense").await.code(), (404, "not_found"));
    assert_eq!(desk.operator.delete(&path).await.status, 204);
    assert!(desk.viewer.get("/enrolment-tokens").await.ok()["items"][0]["revoked_at"].is_i64());
    assert_eq!(desk.logged("enrolment_token.revoke").await["object"], made["id"]);

    let claim = json!({ "label": "line 2", "pattern": "gw-*", "device_type": "gateway" });
    assert_eq!(desk.viewer.post("/claims", &claim).await.code(), DENIED);
    let made = desk.admin.post("/claims", &claim).await.ok()["claim"].clone();
    assert_eq!(desk.viewer.get("/claims").await.ok()["items"], json!([made]));
    let id = made["id"].as_str().unwrap();
    assert_eq!(desk.viewer.get(&format!("/claims/{id}/devices")).await.ok()["items"], json!([]));
    assert_eq!(desk.viewer.post(&format!("/claims/{id}/disable"), &json!({})).await.code(), DENIED);
    assert_eq!(desk.admin.post("/claims/nonsense/disable", &json!({})).await.code(), (404, "not_found"));
    assert_eq!(desk.admin.post(&format!("/claims/{id}/disable"), &json!({})).await.status, 204);
    assert!(desk.viewer.get("/claims").await.ok()["items"][0]["disabled_at"].is_i64());
    assert_eq!(desk.logged("claim.disable").await["object"], made["id"]);

    let shared = async || desk.viewer.get("/shared-secret-settings").await.ok().clone();
    assert_eq!(shared().await, json!({ "tokens": false, "newcomers": false }));
    assert_eq!(desk.operator.put("/shared-secret-settings", &json!({ "tokens": true })).await.code(), DENIED);
    assert_eq!(desk.admin.put("/shared-secret-settings", &json!({ "token": true })).await.code(), (400, "bad_json"));
    desk.admin.put("/shared-secret-settings", &json!({ "tokens": true })).await.ok();
    assert_eq!(shared().await, json!({ "tokens": true, "newcomers": false }));
    assert_eq!(desk.logged("shared_secrets.set").await["detail"]["tokens"], true);
    desk.stop().await;
}

/// E-6: people let devices in, and send others away.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn devices_that_wait_are_let_in_or_sent_away(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let stock = Stock::of(&desk.server);
    desk.admin.put("/enrolment-settings", &json!({ "open": true })).await.ok();
    let media = ["-H", "Content-Type: application/pkcs10", "--data-binary"];
    for name in ["gw-1", "gw-2"] {
        stock.request(name, &format!("/CN={name}")).await;
        let file = format!("@{name}.b64");
        let waits = stock.enrol("/.well-known/est/simpleenroll", &[&media[..], &[file.as_str()]].concat()).await;
        assert_eq!(waits.status, 202, "{waits:?}");
    }
    let waiting = desk.viewer.get("/enrolment-requests").await.ok()["items"].clone();
    let (one, two) = (waiting[0]["id"].as_str().unwrap(), waiting[1]["id"].as_str().unwrap());
    assert_eq!(desk.viewer.post(&format!("/enrolment-requests/{one}/approve"), &json!({})).await.code(), DENIED);
    assert_eq!(desk.operator.post("/enrolment-requests/nonsense/approve", &json!({})).await.code(), (404, "not_found"));
    assert_eq!(desk.operator.post(&format!("/enrolment-requests/{one}/approve"), &json!({})).await.status, 204);
    assert_eq!(desk.operator.post(&format!("/enrolment-requests/{one}/approve"), &json!({})).await.code(), (404, "not_found"), "decided");
    assert_eq!(desk.logged("enrolment_request.approve").await["object"], waiting[0]["id"]);
    assert_eq!(desk.viewer.post(&format!("/enrolment-requests/{two}/reject"), &json!({})).await.code(), DENIED);
    assert_eq!(desk.operator.post(&format!("/enrolment-requests/{two}/reject"), &json!({})).await.status, 204);
    assert_eq!(desk.logged("enrolment_request.reject").await["object"], waiting[1]["id"]);
    assert_eq!(desk.viewer.get("/enrolment-requests").await.ok()["total"], 0);
    assert_eq!(stock.enrol("/.well-known/est/simpleenroll", &[&media[..], &["@gw-1.b64"]].concat()).await.status, 200);
    assert_eq!(stock.enrol("/.well-known/est/simpleenroll", &[&media[..], &["@gw-2.b64"]].concat()).await.status, 403);
    desk.stop().await;
}

/// K-6, E-8: where two people decide, keys are made when both have agreed, until one says no more.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn k_6_keys_for_devices_take_two_people(#[case] kind: EngineKind) {
    let desk = Desk::of(TestServer::start_with(kind, |config| Config { allow_server_keygen: true, ..config }).await).await;
    let eve = Script::new(&desk.server, "eve", Role::Admin).await;
    let (yes, no) = (json!({ "on": true }), json!({ "on": false }));
    assert_eq!(desk.operator.post("/authorities/server-keys", &no).await.code(), DENIED);
    assert_eq!(desk.admin.post("/authorities/server-keys", &json!({ "off": true })).await.code(), (400, "bad_json"));
    assert_eq!(desk.admin.post("/authorities/server-keys", &no).await.code(), (409, "no_second_person"));
    let rule = async || desk.viewer.get("/authorities/requests").await.ok()["server_keys"].clone();
    assert_eq!(rule().await, "configured");
    assert_eq!(desk.admin.post("/authorities/approvals", &yes).await.status, 204);
    assert_eq!(rule().await, "needed");
    assert_eq!(desk.admin.post("/authorities/server-keys", &yes).await.code(), (409, "second_person"));
    let sealed = async |script: &Script| {
        let lot = "device_id,device_type\ngw-7,gateway\n";
        Reply::to(script.request(Method::POST, "/enrolment-batches/keys").header("archive-passphrase", "correct horse battery").body(lot))
            .await
    };
    assert_eq!(sealed(&desk.operator).await.code(), (403, "server_keys_consent"));
    assert_eq!(sealed(&desk.viewer).await.code(), DENIED);

    let ask = json!({ "deed": { "deed": "server_keys" }, "remark": "lot 7 has no randomness" });
    let asked = desk.admin.post("/authorities/requests", &ask).await;
    let approve = format!("/authorities/requests/{}/approve", asked.id());
    let agreed = json!({ "digest": asked.body["digest"], "remark": "it has none" });
    assert_eq!(desk.admin.post(&approve, &agreed).await.code(), (403, "own_request"));
    assert_eq!(sealed(&desk.operator).await.code(), (403, "server_keys_consent"));
    assert_eq!(eve.post(&approve, &agreed).await.ok()["state"], "done");
    assert_eq!(rule().await, "agreed");
    assert_eq!(desk.logged("authority.server_keys").await["detail"]["on"], true);
    assert_eq!(desk.admin.post("/authorities/requests", &ask).await.code(), (409, "server_keys_agreed"));
    assert!(sealed(&desk.operator).await.ok().as_str().unwrap().starts_with("age-encryption.org/"));

    assert_eq!(eve.post("/authorities/server-keys", &no).await.status, 204);
    assert_eq!(desk.logged("authority.server_keys").await["detail"]["on"], false);
    assert_eq!(sealed(&desk.operator).await.code(), (403, "server_keys_consent"));
    desk.stop().await;
}

/// E-7: a batch that is done, one that is revoked, and one that a person stops.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn batches_are_sent_read_stopped_and_revoked(#[case] kind: EngineKind) {
    let desk = Desk::of(TestServer::start_with(kind, |config| Config { allow_server_keygen: true, ..config }).await).await;
    let send = async |path: &str, lot: &str| Reply::to(desk.operator.request(Method::POST, path).body(lot.to_owned())).await;
    let line = |device_id: &str| json!({ "device_id": device_id, "device_type": "gateway", "csr": fleet::testing::csr("gw-1") });
    let lot = format!("{}\n{}\n", line("gw-1"), line("=gw"));
    let sent = Reply::to(desk.viewer.request(Method::POST, "/enrolment-batches").body(lot.clone())).await;
    assert_eq!(sent.code(), DENIED);
    assert_eq!(send("/enrolment-batches?lable=lot", &lot).await.code(), (400, "bad_query"));
    let id = send("/enrolment-batches?label=lot%2017", &lot).await.id();
    assert_eq!(desk.logged("enrolment_batch.create").await["object"], json!(id));
    eventually("the batch is done", PATIENCE, async || desk.viewer.get(&format!("/enrolment-batches/{id}")).await.ok()["state"] == "done")
        .await;
    assert_eq!(desk.viewer.get("/enrolment-batches").await.ok()["items"][0]["label"], "lot 17");
    let lines = desk.viewer.get(&format!("/enrolment-batches/{id}/lines?state=issued")).await;
    let certificate = lines.ok()["items"][0]["certificate"].as_str().unwrap().to_owned();
    assert_eq!(desk.viewer.get(&format!("/enrolment-batches/{id}/lines?state=odd")).await.code(), (400, "bad_query"));
    assert_eq!(desk.viewer.get("/enrolment-batches/nonsense").await.code(), (404, "not_found"));
    let zip = desk.viewer.get(&format!("/enrolment-batches/{id}/result")).await;
    assert_eq!((zip.status, zip.headers["content-type"].to_str().unwrap()), (200, "application/zip"));

    assert_eq!(desk.operator.post(&format!("/enrolment-batches/{id}/cancel"), &json!({})).await.code(), (409, "batch_ended"));
    let why = json!({ "reason": "key_compromise" });
    assert_eq!(desk.viewer.post(&format!("/enrolment-batches/{id}/revoke"), &why).await.code(), DENIED);
    assert_eq!(
        desk.operator.post(&format!("/enrolment-batches/{id}/revoke"), &json!({ "reason": "whim" })).await.code(),
        (400, "bad_json")
    );
    assert_eq!(desk.operator.post("/enrolment-batches/nonsense/revoke", &why).await.code(), (404, "not_found"));
    assert_eq!(desk.operator.post(&format!("/enrolment-batches/{id}/revoke"), &why).await.status, 204);
    assert_eq!(desk.viewer.get(&format!("/certificates/{certificate}")).await.ok()["row"]["state"], "revoked");
    assert!(desk.viewer.get(&format!("/enrolment-batches/{id}")).await.ok()["revoked_at"].is_i64());
    assert_eq!(desk.logged("enrolment_batch.revoke").await["detail"]["reason"], "key_compromise");

    // A long one is still worked on when it is stopped.
    let lines: Vec<String> = (0..5000).map(|n| format!("dev-{n},gateway")).collect();
    let id = send("/enrolment-batches", &format!("device_id,device_type\n{}\n", lines.join("\n"))).await.id();
    assert_eq!(desk.viewer.post(&format!("/enrolment-batches/{id}/cancel"), &json!({})).await.code(), DENIED);
    assert_eq!(desk.operator.post("/enrolment-batches/nonsense/cancel", &json!({})).await.code(), (404, "not_found"));
    assert_eq!(desk.operator.post(&format!("/enrolment-batches/{id}/cancel"), &json!({})).await.status, 204);
    assert_eq!(desk.viewer.get(&format!("/enrolment-batches/{id}")).await.ok()["state"], "cancelled");
    assert_eq!(desk.logged("enrolment_batch.cancel").await["object"], json!(id));

    // E-8: keys that are made here, in a file that only a passphrase opens.
    let keys = "device_id,device_type\ngw-7,gateway\n";
    let sealed = |script: &Script, words: &str| {
        Reply::to(script.request(Method::POST, "/enrolment-batches/keys").header("archive-passphrase", words).body(keys))
    };
    assert_eq!(sealed(&desk.operator, "too short").await.code(), (400, "invalid"));
    assert_eq!(sealed(&desk.viewer, "correct horse battery").await.code(), DENIED);
    let archive = sealed(&desk.operator, "correct horse battery").await;
    assert_eq!((archive.status, archive.headers["cache-control"].to_str().unwrap()), (200, "no-store"));
    assert!(archive.ok().as_str().unwrap().starts_with("age-encryption.org/"), "it is sealed");
    assert!(!archive.body.as_str().unwrap().contains("PRIVATE KEY"));
    assert_eq!(desk.viewer.get("/enrolment-batches").await.ok()["items"][0]["sealed_for"], "passphrase");
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn freezes_are_made_listed_and_ended(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let until = |days: i64| SystemClock.now().0 + days * 24 * 3_600_000;
    let freeze = |days: i64| json!({ "name": "Year's end", "reason": "nobody is there", "from": 0, "until": until(days) });
    let calendar = async || desk.viewer.get("/freezes").await.ok()["items"].clone();
    assert_eq!(desk.operator.post("/freezes", &freeze(1)).await.code(), DENIED);
    assert_eq!(desk.admin.post("/freezes", &freeze(-1)).await.code(), (400, "invalid"));
    assert_eq!(desk.admin.post("/freezes", &freeze(400)).await.code(), (400, "invalid"));
    assert_eq!(desk.admin.post("/freezes", &json!({ "name": "x", "form": 0, "until": until(1) })).await.code(), (400, "bad_json"));
    assert_eq!(calendar().await, json!([]));
    let made = desk.admin.post("/freezes", &freeze(1)).await;
    assert_eq!((made.status, calendar().await), (201, json!([made.ok()])));
    assert_eq!(desk.logged("freeze.make").await["detail"]["reason"], "nobody is there");
    let path = format!("/freezes/{}/end", made.id());
    assert_eq!(desk.operator.post(&path, &json!({ "reason": "urgent" })).await.code(), DENIED);
    assert_eq!(desk.admin.post(&path, &json!({ "why": "urgent" })).await.code(), (400, "bad_json"));
    assert_eq!(desk.admin.post("/freezes/nonsense/end", &json!({})).await.code(), (404, "not_found"));
    for nothing in [json!({}), json!({ "reason": " " })] {
        let refused = desk.admin.post(&path, &nothing).await;
        assert_eq!((refused.code(), &refused.body["field"]), ((400, "invalid"), &json!("reason")), "{}", refused.body);
    }
    let ended = desk.admin.post(&path, &json!({ "reason": "urgent" })).await;
    assert_eq!(calendar().await, json!([ended.ok()]));
    assert_ne!(ended.body["ended_at"], Value::Null);
    assert_eq!(desk.logged("freeze.end").await["detail"]["end_reason"], "urgent");
    assert_eq!(desk.admin.post(&path, &json!({})).await.code(), (409, "not_now"));
    desk.stop().await;
}
