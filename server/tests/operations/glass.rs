//! The inbox, and rollouts that were started without their approvals: broken, listed, reviewed.

use super::{DENIED, Desk, Script};
use crate::{journey::enrol, rest::Rest, support::TestServer};
use fleet::{
    clock::{Clock as _, ManualClock, SystemClock},
    db::EngineKind,
};
use rstest::rstest;
use serde_json::{Value, json};
use std::sync::Arc;
use wire::states::Role;

const DAY_MS: i64 = 24 * 3_600_000;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn two_others_review_what_was_started_without_approval(#[case] kind: EngineKind) {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let mut desk = Desk::of(TestServer::start_by(kind, clock.clone(), |config| config).await).await;
    for name in ["eve", "max"] {
        Script::new(&desk.server, name, Role::Admin).await;
    }
    let terms = json!({ "request_days": 7, "start_days": 30, "review_hours": 24, "break_glass": true });
    let later = desk.admin.put("/approval-terms", &terms).await.ok().clone();
    assert!(later["break_glass_from"].is_i64(), "a day later");
    assert_eq!(desk.admin.put("/approval-terms", &later).await.ok(), &later, "what was read is sent back");
    clock.advance(DAY_MS + 1);
    // Tokens of yesterday have ended.
    desk.admin = Script::of(&desk.server, "ada", Role::Admin).await;
    desk.operator = Script::of(&desk.server, "oli", Role::Operator).await;
    desk.viewer = Script::of(&desk.server, "vic", Role::Viewer).await;
    let (eve, max) = (Script::of(&desk.server, "eve", Role::Admin).await, Script::of(&desk.server, "max", Role::Admin).await);
    assert_eq!(desk.viewer.get("/approval-terms").await.ok()["break_glass"], true);

    enrol(&desk.server, "gw-1", "gateway").await;
    let rest = Rest::by(&desk.server, &desk.server.system(), "gateway", desk.operator.token.clone()).await;
    let release = rest.release("1.0.0", 1, b"firmware 1.0.0").await;
    let plan =
        json!({ "name": "Radio fix", "release": release, "reason": "test", "stages": [{ "name": "All", "reach": { "percent": 100.0 } }] });
    let rollout = desk.operator.post("/rollouts", &plan).await.ok()["row"]["id"].as_str().unwrap().to_owned();
    let sent = desk.operator.post(&format!("/rollouts/{rollout}/submit"), &json!({})).await;
    assert_eq!(sent.ok()["row"]["state"], "waiting_for_approval");
    let inbox = desk.viewer.get("/approvals?tab=waiting").await;
    assert_eq!((&inbox.ok()["total"], &inbox.body["items"][0]["rollout"]["id"]), (&json!(1), &json!(rollout)));
    assert_eq!(desk.operator.get("/approvals").await.ok()["total"], 0, "nothing waits for who does not approve");
    assert_eq!(desk.admin.get("/approvals?tab=all").await.code(), (400, "bad_query"));

    let broken = async || desk.viewer.get("/break-glass").await.ok()["items"].clone();
    assert_eq!(broken().await, json!([]));
    let order = json!({ "digest": sent.body["digest"], "reason": "the field burns" });
    let path = format!("/rollouts/{rollout}/break-glass");
    assert_eq!(desk.operator.post(&path, &order).await.code(), DENIED);
    assert_eq!(desk.admin.post(&path, &json!({ "digest": sent.body["digest"] })).await.code(), (400, "invalid"), "a reason has to be said");
    assert_eq!(desk.admin.post(&path, &json!({ "digest": "0".repeat(64), "reason": "fire" })).await.code(), (409, "other_digest"));
    desk.admin.post(&path, &order).await.ok();
    let glass = broken().await[0].clone();
    assert_eq!((&glass["rollout"], &glass["by_name"], &glass["missing"]), (&json!(rollout), &json!("ada"), &json!(2)));
    assert_eq!((&glass["release"], &glass["devices"], &glass["from"]), (&json!("gateway 1.0.0"), &json!(1), &json!([])));
    assert_eq!(desk.logged("rollout.break_glass").await["detail"]["reason"], "the field burns");
    assert_eq!(desk.viewer.get("/break-glass?cursor=nonsense").await.code(), (400, "invalid"));

    let path = format!("/break-glass/{}/review", glass["id"].as_str().unwrap());
    let fine = json!({ "accept": true, "remark": "it had to be" });
    assert_eq!(desk.operator.post(&path, &fine).await.code(), DENIED);
    assert_eq!(desk.admin.post(&path, &fine).await.code(), (409, "not_now"), "nobody reviews what they broke");
    for (wrong, code) in [
        (json!({ "accept": true, "remark": " " }), "invalid"),
        (json!({ "accept": true, "remark": "fine", "stop": true }), "invalid"),
        (json!({ "remark": "fine" }), "bad_json"),
    ] {
        assert_eq!(eve.post(&path, &wrong).await.code(), (400, code), "{wrong}");
    }
    assert_eq!(eve.post("/break-glass/nonsense/review", &fine).await.code(), (404, "not_found"));
    let once = eve.post(&path, &fine).await;
    assert_eq!((&once.ok()["missing"], &once.body["settled_at"]), (&json!(1), &Value::Null));
    assert_eq!(desk.logged("rollout.break_glass_accept").await["detail"]["remark"], "it had to be");
    assert_eq!(eve.post(&path, &fine).await.code(), (409, "not_now"), "each says it once");
    let stopped = max.post(&path, &json!({ "accept": false, "remark": "not that bad", "stop": true })).await;
    let objections = stopped.ok()["reviews"].as_array().unwrap().iter().filter(|review| review["accepted"] == false).count();
    assert_eq!((&stopped.body["missing"], objections), (&json!(0), 1));
    assert!(!stopped.body["settled_at"].is_null(), "{}", stopped.body);
    assert_eq!(broken().await[0]["reviews"], stopped.body["reviews"]);
    assert_eq!(desk.logged("rollout.break_glass_object").await["detail"]["stop"], true);
    assert_eq!(desk.viewer.get(&format!("/rollouts/{rollout}")).await.ok()["row"]["state"], "halted");
    desk.stop().await;
}
