//! The audit log: read, and taken out; and what stands in it of profiles and blocked keys.

use super::Script;
use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::json;
use wire::states::Role;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn keys_are_blocked_listed_and_unblocked(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    let spki = "ab".repeat(32);
    let block = async |body: &serde_json::Value| {
        let request = s.request(Method::POST, "/blocked-keys").header("content-type", "application/json");
        s.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    assert_eq!(block(&json!({ "reason": "found" })).await.code(), (400, "invalid"));
    assert_eq!(block(&json!({ "spki_sha256": spki, "reason": "" })).await.code(), (400, "invalid"));
    let made = block(&json!({ "spki_sha256": spki.to_uppercase(), "reason": "in a public repository" })).await;
    assert_eq!((made.status, &made.body["spki_sha256"], &made.body["by_hand"]), (StatusCode::CREATED, &json!(spki), &json!(true)));
    let listed = s.get("/blocked-keys").await;
    assert_eq!((&listed.ok()["total"], &listed.body["items"][0]), (&json!(1), &made.body));
    assert_eq!(s.get("/audit?q=key.block").await.ok()["items"][0]["object"], json!(spki));
    let free = async || s.send(s.request(Method::DELETE, &format!("/blocked-keys/{spki}")).body(Body::empty()).unwrap()).await;
    assert_eq!(free().await.status, StatusCode::NO_CONTENT);
    assert_eq!(free().await.code(), (404, "blocked_key_not_found"));
    let operator = Script::new(kind, Role::Operator).await;
    let gone = operator.send(operator.request(Method::DELETE, &format!("/blocked-keys/{spki}")).body(Body::empty()).unwrap()).await;
    assert_eq!(gone.code(), (403, "denied"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_audit_log_is_read_and_taken_out(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    let profile = json!({ "hours": 24, "keys": ["p-256"] });
    let made = s
        .send(
            s.request(Method::PUT, "/certificate-profiles/day")
                .header("content-type", "application/json")
                .body(Body::from(profile.to_string()))
                .unwrap(),
        )
        .await;
    assert_eq!(made.status, StatusCode::NO_CONTENT, "{}", made.body);
    assert_eq!(s.get("/certificate-profiles").await.ok()["items"][0]["rules"]["hours"], 24);
    assert_eq!(s.get("/audit?q=certificate_profile.set").await.ok()["items"][0]["object"], "day");
    let gone = s.send(s.request(Method::DELETE, "/certificate-profiles/day").body(Body::empty()).unwrap()).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
    let mine = s.get("/audit?action=certificate_profile.&actor=robin&since=0").await;
    assert_eq!((&mine.ok()["total"], &mine.body["items"][0]["action"]), (&json!(2), &json!("certificate_profile.remove")));
    assert_eq!(s.get("/audit?action=certificate_profile.&until=0").await.ok()["total"], 0);

    let short = s.get("/audit?action=certificate_profile.&rows=1").await;
    assert_eq!((short.ok()["items"].as_array().unwrap().len(), &short.body["total"]), (1, &json!(2)));
    let next = short.body["next"].as_str().unwrap();
    let rest = s.get(&format!("/audit?action=certificate_profile.&rows=1&cursor={next}")).await;
    assert_eq!(rest.ok()["items"][0]["action"], "certificate_profile.set");
    assert_eq!(
        s.get("/audit?rows=0").await.ok()["items"].as_array().unwrap().len(),
        1,
        "what is outside of 1 to 200 counts as the nearest in it"
    );

    let file = s.get("/audit/export").await;
    assert_eq!((file.headers["content-type"].as_str(), file.headers["cache-control"].as_str()), ("application/x-ndjson", "no-store"));
    let (head, found) = fleet::access::verify_export(file.ok().as_str().unwrap().as_bytes()).unwrap();
    assert_eq!((found.entries, found.broken_at), (head.last, None));
    assert_eq!(file.headers["content-disposition"], format!("attachment; filename=\"audit-1-{}.jsonl\"", head.last));
    let next = s.get(&format!("/audit/export?after={}", head.last)).await;
    let (next, found) = fleet::access::verify_export(next.ok().as_str().unwrap().as_bytes()).unwrap();
    assert_eq!((next.before, found.entries, found.broken_at), (head.head, 1, None));
    assert_eq!(s.get("/audit/export?after=99999").await.code(), (400, "invalid"));
    assert_eq!(Script::new(kind, Role::Operator).await.get("/audit/export").await.code(), (403, "denied"));
}
