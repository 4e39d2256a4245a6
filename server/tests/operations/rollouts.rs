//! Rollouts: plans as files, compared and applied; previews, edits, reports; an update that somebody in the console confirms.

use super::{DENIED, Desk, Reply, Script};
use crate::{journey::enrol, rest::Rest};
use fleet::db::EngineKind;
use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};
use wire::states::Role;

const PLAN: &str = "name: Spring\nreason: first\nrelease: { device_type: gateway, version: 1.0.0 }\nstages:\n  - name: Everybody\n    reach: { percent: 100 }\n";

/// A desk with `gw-1` and a release for it, 1.0.0; its id.
async fn ready(kind: EngineKind) -> (Desk, String) {
    let desk = Desk::open(kind).await;
    enrol(&desk.server, "gw-1", "gateway").await;
    let rest = Rest::by(&desk.server, &desk.server.system(), "gateway", desk.operator.token.clone()).await;
    let release = rest.release("1.0.0", 1, b"firmware 1.0.0").await;
    (desk, release)
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_as_a_file_is_compared_and_applied(#[case] kind: EngineKind) {
    let (desk, _) = ready(kind).await;
    let yaml = |request: RequestBuilder, plan: &str| Reply::to(request.header("content-type", "application/yaml").body(plan.to_owned()));
    let diff = || desk.operator.request(Method::POST, "/rollouts/diff");
    let apply = |by: &Script| by.request(Method::PUT, "/rollouts/apply");
    let none = yaml(diff(), PLAN).await;
    assert_eq!((&none.ok()["id"], &none.body["lines"]), (&Value::Null, &json!([])));
    let wrong = PLAN.replace("reason", "reasons");
    assert_eq!(yaml(diff(), &wrong).await.code(), (400, "bad_plan"));
    assert_eq!(yaml(apply(&desk.operator), &wrong).await.code(), (400, "bad_plan"));
    let plain = apply(&desk.operator).header("content-type", "text/plain").body(PLAN);
    assert_eq!(Reply::to(plain).await.code(), (415, "not_yaml"));
    assert_eq!(yaml(apply(&desk.viewer), PLAN).await.code(), DENIED);
    assert_eq!(desk.viewer.get("/rollouts?name=Spring").await.ok()["total"], 0);
    let drafted = yaml(apply(&desk.operator), PLAN).await;
    assert_eq!((&drafted.ok()["outcome"], &drafted.body["state"]), (&json!("drafted"), &json!("draft")));
    assert_eq!(desk.logged("rollout.draft").await["object"], drafted.body["id"]);
    let longer = PLAN.replace("percent: 100 }", "percent: 100 }\n    soak_s: 600");
    assert_eq!(yaml(diff(), &longer).await.ok()["lines"][0]["field"], "stages.0.soak_s");
    assert_eq!(yaml(apply(&desk.operator), &longer).await.ok()["outcome"], "edited");
    assert_eq!(yaml(apply(&desk.operator), &longer).await.ok()["outcome"], "same");
    let found = desk.viewer.get("/rollouts?name=Spring").await;
    assert_eq!((&found.ok()["total"], &found.body["items"][0]["id"]), (&json!(1), &drafted.body["id"]));
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_previewed_drafted_edited_and_reported(#[case] kind: EngineKind) {
    let (desk, release) = ready(kind).await;
    let plan =
        json!({ "name": "Spring", "release": release, "reason": "first", "stages": [{ "name": "All", "reach": { "percent": 100.0 } }] });
    let draw = desk.operator.post("/rollouts/preview", &plan).await.ok()["draw"].as_str().unwrap().to_owned();
    let named = desk.operator.post(&format!("/rollouts/preview/devices?draw={draw}&stage=1"), &plan).await;
    assert_eq!((&named.ok()["total"], &named.body["items"][0]["device_id"]), (&json!(1), &json!("gw-1")));
    assert_eq!(desk.operator.post("/rollouts/preview/devices", &plan).await.code(), (400, "bad_query"));
    assert_eq!(desk.viewer.post("/rollouts", &plan).await.code(), DENIED);
    assert_eq!(desk.viewer.get("/rollouts").await.ok()["total"], 0);
    let drafted = desk.operator.post(&format!("/rollouts?draw={draw}"), &plan).await;
    let id = drafted.ok()["row"]["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.viewer.get("/rollouts?name=Spring").await.ok()["items"][0]["id"], json!(id));
    assert_eq!(desk.viewer.get("/rollouts?tab=odd").await.code(), (400, "bad_query"));
    let placed = desk.viewer.get(&format!("/rollouts/{id}/preview/devices?stage=1")).await;
    assert_eq!(placed.ok()["items"][0]["device_id"], "gw-1");
    assert_eq!(desk.viewer.get(&format!("/rollouts/{id}/preview/devices?stage=2")).await.code(), (400, "invalid"));

    let mut renamed = plan.clone();
    renamed["name"] = json!("Spring again");
    let edit = json!({ "generation": drafted.body["generation"], "spec": renamed });
    assert_eq!(desk.viewer.put(&format!("/rollouts/{id}"), &edit).await.code(), DENIED);
    assert_eq!(desk.operator.put(&format!("/rollouts/{id}"), &json!({ "spec": renamed })).await.code(), (400, "bad_json"));
    let gone = format!("/rollouts/rol_{}", "0".repeat(32));
    assert_eq!(desk.operator.put(&gone, &edit).await.code(), (404, "not_found"));
    assert_eq!(desk.operator.put(&format!("/rollouts/{id}"), &edit).await.ok()["row"]["name"], "Spring again");
    assert_eq!(desk.operator.put(&format!("/rollouts/{id}"), &edit).await.code(), (409, "changed"), "a stale edit");
    assert_eq!(desk.viewer.get(&format!("/rollouts/{id}")).await.ok()["row"]["name"], "Spring again");
    assert_eq!(desk.logged("rollout.edit").await["object"], json!(id));

    // Somebody else approves it; nobody at the device is asked, so somebody in the console confirms.
    let mut asking = renamed.clone();
    asking["confirm_at_device"] = json!(true);
    let generation = desk.viewer.get(&format!("/rollouts/{id}")).await.ok()["generation"].clone();
    desk.operator.put(&format!("/rollouts/{id}"), &json!({ "generation": generation, "spec": asking })).await.ok();
    let confirm = json!({ "rollout": id });
    assert_eq!(desk.operator.post("/devices/gw-1/confirm", &confirm).await.code(), (409, "not_now"), "it is a draft");
    let eve = Script::new(&desk.server, "eve", Role::Admin).await;
    let sent = desk.operator.post(&format!("/rollouts/{id}/submit"), &json!({})).await;
    eve.post(&format!("/rollouts/{id}/approve"), &json!({ "digest": sent.ok()["digest"], "remark": "fine" })).await.ok();
    assert_eq!(desk.viewer.post("/devices/gw-1/confirm", &confirm).await.code(), DENIED);
    assert_eq!(desk.operator.post("/devices/gw-1/confirm", &json!({})).await.code(), (400, "bad_json"));
    assert_eq!(desk.operator.post("/devices/gw-9/confirm", &confirm).await.code(), (404, "not_found"));
    for _ in 0..2 {
        assert_eq!(desk.operator.post("/devices/gw-1/confirm", &confirm).await.status, 204, "it may be repeated");
    }
    assert_eq!((&desk.logged("device.confirm_update").await["object"], desk.times("device.confirm_update").await), (&json!("gw-1"), 1));
    assert_eq!(desk.viewer.get("/devices/gw-1/why").await.ok()["rollouts"].as_array().unwrap().len(), 1);
    let report = desk.viewer.get(&format!("/rollouts/{id}/report")).await;
    assert!(report.ok().as_str().unwrap().contains("\"gw-1\",\"1\","), "{}", report.body);
    assert_eq!(desk.viewer.get(&format!("{gone}/report")).await.code(), (404, "not_found"));
    desk.stop().await;
}
