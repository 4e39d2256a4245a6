//! What holds for every route: refusals, repeats, pages, limits.

use super::Script;
use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use wire::states::Role;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn refusals_are_problem_documents(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Viewer).await;
    let bare = Request::get("/api/v1/releases").body(Body::empty()).unwrap();
    let nobody = s.send(bare).await;
    assert_eq!(nobody.code(), (401, "no_credentials"));
    assert_eq!(nobody.headers["www-authenticate"], "Bearer");
    let wrong = Request::get("/api/v1/releases").header("authorization", "Bearer fat_nonsense").body(Body::empty()).unwrap();
    assert_eq!(s.send(wrong).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(s.post("/uploads", &json!({ "name": "a", "size": 1 })).await.status, StatusCode::FORBIDDEN);
    assert_eq!(s.post("/uploads", &json!({ "name": 7 })).await.code(), (400, "bad_json"));
    assert_eq!(s.post("/uploads", &json!({ "name": "x".repeat(300_000), "size": 1 })).await.code(), (413, "body_too_large"));
    let form = s.request(Method::POST, "/uploads").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(s.send(form.body(Body::from("name=a&size=1")).unwrap()).await.code(), (415, "not_json"));
    assert_eq!(s.get("/releases/rel_nonsense").await.code(), (404, "not_found"));
    assert_eq!(s.get("/releases?rows=many").await.code(), (400, "bad_query"));
    assert_eq!(s.get("/releases?cursor=nonsense").await.code(), (400, "bad_value"));
    assert_eq!(s.get("/devices/%2e%2e%2fetc").await.code().0, 404);
    assert_eq!(s.get("/nothing").await.code(), (404, "not_found"));
    let patch = s.send(s.request(Method::PATCH, "/releases").body(Body::empty()).unwrap()).await;
    assert_eq!(patch.code(), (405, "method_not_allowed"));
    let document = s.get("/openapi.json").await;
    assert_eq!(document.ok()["openapi"], "3.1.0");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_repeated_post_is_carried_out_once(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    let body = json!({ "name": "fw.bin", "size": 3 });
    let first = s.once("k1", "/uploads", &body).await;
    let again = s.once("k1", "/uploads", &body).await;
    assert_eq!((first.status, first.ok()), (again.status, again.ok()));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    for name in ["location", "content-type"] {
        assert_eq!((first.headers.get(name), again.headers[name].is_empty()), (again.headers.get(name), false), "{name}");
    }
    assert_eq!(s.once("k1", "/uploads", &json!({ "name": "fw.bin", "size": 4 })).await.code(), (409, "idempotency_key_used"));
    assert_ne!(s.once("k2", "/uploads", &body).await.ok()["id"], first.body["id"]);
    // A refused request gives its key back.
    assert_eq!(s.once("k3", "/uploads", &json!({ "name": "a/b", "size": 3 })).await.code(), (400, "bad_value"));
    s.once("k3", "/uploads", &body).await.ok();
    assert_eq!(s.once(&"k".repeat(256), "/uploads", &body).await.code(), (400, "bad_idempotency_key"));
    // A secret is shown once, whoever asks again.
    let token = json!({ "label": "bench", "max_uses": 1, "hours": 1 });
    assert!(s.once("k4", "/enrolment-tokens", &token).await.ok()["secret"].as_str().unwrap().starts_with("fet_"));
    assert_eq!(s.once("k4", "/enrolment-tokens", &token).await.code(), (409, "already_done"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_total_of_a_list_counts_what_is_on_other_pages(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    for n in 0..3 {
        s.world.clock.advance(1000);
        s.post("/enrolment-tokens", &json!({ "label": format!("bench {n}"), "max_uses": 1, "hours": 1 })).await.ok();
    }
    let first = s.get("/enrolment-tokens?rows=2").await;
    assert_eq!((&first.ok()["total"], &first.body["items"][0]["label"]), (&json!(3), &json!("bench 2")));
    let next = s.get(&format!("/enrolment-tokens?rows=2&cursor={}", first.body["next"].as_str().unwrap())).await;
    assert_eq!((&next.ok()["total"], &next.body["items"][0]["label"], &next.body["next"]), (&json!(3), &json!("bench 0"), &Value::Null));
    // Once, for a day, unless more is said (E-1).
    let usual = s.post("/enrolment-tokens", &json!({ "label": "usual" })).await;
    let token = &usual.ok()["token"];
    let life = token["expires_at"].as_i64().unwrap() - token["created_at"].as_i64().unwrap();
    assert_eq!((token["max_uses"].as_i64(), life), (Some(1), 24 * 3_600_000), "{token}");
    for list in ["/enrolment-batches", "/enrolment-requests", "/claims"] {
        assert_eq!(s.get(&format!("{list}?rows=2")).await.ok()["total"], 0);
        assert_eq!(s.get(&format!("{list}?cursor=nonsense")).await.code(), (400, "invalid"), "{list}");
    }
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_back() {
    let s = Script::new(EngineKind::Sqlite, Role::Viewer).await;
    let mut refused = None;
    for _ in 0..=400 {
        let reply = s.get("/signing-keys").await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(reply);
        }
    }
    let refused = refused.expect("the bucket runs empty");
    assert_eq!((refused.code(), refused.headers["retry-after"].as_str()), ((429, "too_many_requests"), "1"));
    // The console's forms whose files go one way or the other count with the rest.
    for form in ["/releases/upload", "/enrolment/batches", "/enrolment/batches/keys", "/enrolment/imports", "/enrolment/claims"] {
        let request = Request::builder().method(Method::POST).uri(form).header("authorization", format!("Bearer {}", s.secret));
        assert_eq!(s.send(request.body(Body::empty()).unwrap()).await.code(), (429, "too_many_requests"), "{form}");
    }
    s.world.clock.advance(1000);
    s.get("/signing-keys").await.ok();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_misspelt_field_widens_nothing(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    let token = json!({ "label": "x", "patern": "gw-*", "max_uses": 1, "hours": 1 });
    let stage = json!({ "name": "all", "reach": { "percent": 100.0 }, "soakk_s": 9 });
    let plan = json!({ "name": "x", "release": "rel_00000000000000000000000000000001", "selecter": "tag:lab", "stages": [] });
    for body in [json!([]), json!(["key_compromise"]), json!("x"), json!(7)] {
        for path in ["/enrolment-tokens", "/certificates/crt_00000000000000000000000000000001/revoke", "/rollouts"] {
            let refused = s.post(path, &body).await;
            assert_eq!(refused.code(), (400, "bad_json"), "{path} {body}: {}", refused.body);
            assert_eq!(refused.body["detail"], "The body must be a JSON object.");
        }
    }
    for (path, body, field) in [
        ("/enrolment-tokens", token, "patern"),
        ("/rollouts", plan, "selecter"),
        ("/rollouts/preview", json!({ "name": "x", "release": "rel_00000000000000000000000000000001", "stages": [stage] }), "soakk_s"),
    ] {
        let refused = s.post(path, &body).await;
        assert_eq!(refused.code(), (400, "bad_json"), "{}", refused.body);
        assert!(refused.body.to_string().contains(field), "{}", refused.body);
    }
}
