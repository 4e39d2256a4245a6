//! Authorities: two people, and a clock that jumped.

use super::{Script, token};
use axum::http::StatusCode;
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use wire::states::Role;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_two_people_decide_on_authorities(#[case] kind: EngineKind) {
    let mut s = Script::new(kind, Role::Admin).await;
    let on = json!({ "on": true });
    assert_eq!(s.post("/authorities/approvals", &on).await.code(), (409, "no_second_admin"));
    let eve = s.world.person("eve", Role::Admin).await;
    let second = token(&s.world, &eve, Role::Admin).await;
    assert_eq!(s.post("/authorities/approvals", &on).await.status, StatusCode::NO_CONTENT);
    assert_eq!(s.post("/authorities", &json!({ "kind": "device" })).await.code(), (409, "second_person"));
    assert_eq!(s.post("/authorities/approvals", &json!({ "on": false })).await.code(), (409, "second_person"));

    let deed = json!({ "deed": "stage", "kind": "device" });
    let misspelt = json!({ "deed": { "deed": "activate", "authority": "x", "forse": true }, "remark": "r" });
    assert_eq!(s.post("/authorities/requests", &misspelt).await.code(), (400, "bad_json"));
    let asked = s.post("/authorities/requests", &json!({ "deed": deed, "remark": "the old one ends in spring" })).await;
    assert_eq!((asked.status, &asked.ok()["effects"][0]["to"]), (StatusCode::CREATED, &json!("staged")));
    let path = format!("/authorities/requests/{}", asked.body["id"].as_str().unwrap());
    let yes = json!({ "digest": asked.body["digest"], "remark": "it does" });
    assert_eq!(s.post(&format!("{path}/approve"), &yes).await.code(), (403, "own_request"));
    let mine = s.get("/authorities/requests").await;
    assert_eq!((&mine.ok()["on"], &mine.body["waiting"][0]["own"]), (&json!(true), &json!(true)));
    assert!(mine.body["waiting"][0]["blocked"].as_str().unwrap().contains("someone else must decide"));

    let first = std::mem::replace(&mut s.secret, second);
    let other = json!({ "digest": "0".repeat(64), "remark": "it does" });
    assert_eq!(s.post(&format!("{path}/approve"), &other).await.code(), (409, "other_digest"));
    assert_eq!(s.post(&format!("{path}/withdraw"), &json!({})).await.code(), (403, "not_own_request"));
    assert_eq!(s.post(&format!("{path}/approve"), &yes).await.ok()["state"], "done");
    assert_eq!(s.post(&format!("{path}/reject"), &json!({ "remark": "no" })).await.code(), (409, "request_over"));
    let all = s.get("/authorities").await;
    assert_eq!(all.ok()["items"].as_array().unwrap().iter().filter(|a| a["state"] == "staged").count(), 1);
    let off = s.post("/authorities/requests", &json!({ "deed": { "deed": "approvals_off" }, "remark": "we are friends" })).await;
    let path = format!("/authorities/requests/{}", off.ok()["id"].as_str().unwrap());
    s.secret = first;
    assert_eq!(s.post(&format!("{path}/reject"), &json!({ "remark": "we are not" })).await.ok()["state"], "rejected");
    assert_eq!(s.get(&path).await.ok()["decided_remark"], "we are not");
    assert_eq!(s.get("/authorities/requests/nonsense").await.code(), (404, "not_found"));
}

#[tokio::test]
async fn a_20_a_clock_that_jumped_is_told_and_accepted() {
    let mut s = Script::new(EngineKind::Sqlite, Role::Admin).await;
    assert_eq!(s.get("/clock").await.ok()["jump"], Value::Null);
    s.world.clock.jump(-3_600_000);
    assert_eq!(s.get("/clock").await.ok()["jump"]["by_ms"], -3_600_000);
    assert_eq!(s.post("/authorities", &json!({ "kind": "device" })).await.code(), (503, "clock_jumped"));
    let admin = s.secret.clone();
    let oli = s.world.operator().await;
    s.secret = token(&s.world, &oli, Role::Operator).await;
    assert_eq!(s.post("/clock/accept", &json!({})).await.code(), (403, "denied"));
    s.secret = admin;
    assert_eq!(s.post("/clock/accept", &json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(s.post("/authorities", &json!({ "kind": "device" })).await.status, StatusCode::CREATED);
}
