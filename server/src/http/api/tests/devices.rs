//! Devices, enrolment tokens and certificates.

use super::Script;
use axum::{
    body::{Body, to_bytes},
    http::{Method, StatusCode},
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use wire::states::Role;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn devices_tokens_and_certificates(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    s.world.device("gw-1", "gateway").await;
    s.world.device("gw-2", "gateway").await;
    let listed = s.get("/devices?q=type:gateway&sort=-device_id&n=1").await;
    assert_eq!((&listed.ok()["items"][0]["device_id"], &listed.body["total"]), (&json!("gw-2"), &json!(2)));
    let next = s.get(&format!("/devices?q=type:gateway&sort=-device_id&n=1&cursor={}", listed.body["next"].as_str().unwrap())).await;
    assert_eq!(next.ok()["items"][0]["device_id"], "gw-1");
    let other = s.get(&format!("/devices?sort=version&cursor={}", listed.body["next"].as_str().unwrap())).await;
    assert_eq!((other.code(), other.body["field"].as_str()), ((400, "invalid"), Some("cursor")), "no cursor of this list");
    for (rows, items) in [(0, 1), (1, 1), (100_000, 2)] {
        let listed = s.get(&format!("/devices?n={rows}")).await;
        assert_eq!(listed.ok()["items"].as_array().unwrap().len(), items, "{rows}: the nearest that a page can have");
    }
    assert_eq!(s.get("/devices/gw-1").await.ok()["row"]["state"], "active");
    let tags = s.request(Method::PUT, "/devices/gw-1/tags").header("content-type", "application/json");
    assert_eq!(s.send(tags.body(Body::from(r#"{"tags":["eu"]}"#)).unwrap()).await.status, StatusCode::NO_CONTENT);
    let found = s.get("/devices?q=tag:eu").await;
    assert_eq!((&found.ok()["total"], found.body.get("hints")), (&json!(1), None));
    let slip = s.get("/devices?q=type:gatway").await;
    let hints = json!(["No device is of the type gatway. Did you mean gateway?"]);
    assert_eq!((&slip.ok()["total"], &slip.body["hints"]), (&json!(0), &hints));
    let many = |add: &str, expected: i64| json!({ "q": "type:gateway", "add": [add], "remove": ["eu"], "expected": expected });
    assert_eq!(s.post("/devices:tag", &many("uk", 3)).await.code(), (409, "other_count"));
    assert_eq!(s.post("/devices:tag", &many("uk", 2)).await.ok(), &json!({ "devices": 2 }));
    let step = |step: &str, expected: i64| json!({ "q": "type:gateway", "step": step, "expected": expected });
    assert_eq!(s.post("/devices:life", &step("suspend", 3)).await.code(), (409, "other_count"));
    assert_eq!(s.post("/devices:life", &step("delete", 2)).await.code(), (400, "invalid"));
    assert_eq!(s.post("/devices:life", &step("suspend", 2)).await.ok(), &json!({ "devices": 2, "changed": 2 }));
    assert_eq!(s.get("/devices?q=state:suspended").await.ok()["total"], 2);
    assert_eq!(s.post("/devices:life", &step("resume", 2)).await.ok(), &json!({ "devices": 2, "changed": 2 }));
    let file = s.get("/devices:export?q=tag:uk").await;
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"devices.csv\"");
    let lines: Vec<&str> = file.ok().as_str().unwrap().split_terminator("\r\n").collect();
    assert_eq!(lines[0], r#""device","type","hardware","state","online","firmware","update","last_seen","tags""#);
    assert!(lines[1].starts_with("\"gw-1\",\"gateway\",") && lines[2].ends_with(",\"uk\"") && lines.len() == 3, "{lines:?}");
    assert_eq!(s.get("/devices:export?q=colour:red").await.code(), (400, "bad_selector"));
    let slip = s.get("/devices:export?q=version:%3C1.2.0").await;
    assert_eq!(slip.code(), (400, "bad_selector"));
    assert_eq!(slip.body["detail"], "At character 9: a version is compared without the colon. Write version<1.2.0.");
    let connections = s.get("/devices/gw-1/connections?rows=1").await;
    assert_eq!(connections.ok(), &json!({ "items": [], "total": 0 }), "it never had a channel");
    assert_eq!(s.get("/devices/gw-1/connections?cursor=x").await.code(), (400, "invalid"));
    assert_eq!(s.get("/devices/gw-9/connections").await.status, StatusCode::NOT_FOUND);
    let file = s.get("/devices/gw-1/connections:export").await;
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"connections-gw-1.csv\"");
    assert_eq!(file.ok().as_str().unwrap(), "\"connected\",\"disconnected\",\"seconds\",\"reason\",\"address\"\r\n");
    let named = json!({ "q": "", "devices": ["gw-1", "gw-2"], "add": ["both"], "expected": 2 });
    assert_eq!(s.post("/devices:tag", &named).await.ok(), &json!({ "devices": 2 }));
    let history = s.get("/devices/gw-1/telemetry?from=0&to=1&points=10").await;
    assert_eq!(history.ok()["series"], json!([]));
    let certificates = s.get("/certificates?state=active").await;
    assert_eq!(certificates.ok()["total"], 2);
    let sorted = s.get("/certificates?sort=-device&rows=1").await;
    assert_eq!(sorted.ok()["items"][0]["device_id"], "gw-2");
    assert_eq!(s.get("/certificates?sort=-revoked").await.ok()["total"], 0);
    assert_eq!(s.get("/certificates?sort=serial").await.status, StatusCode::BAD_REQUEST);
    let id = certificates.body["items"][0]["id"].as_str().unwrap();
    let none = s.post(&format!("/certificates/{id}/revoke"), &json!({})).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST, "a reason has to be said: {}", none.body);
    let since = json!({ "reason": "key_compromise", "invalidity_date": 9_000_000_000_000_i64 });
    assert_eq!(s.post(&format!("/certificates/{id}/revoke"), &since).await.code(), (400, "invalid"), "not known yet");
    let revoked = s.post(&format!("/certificates/{id}/revoke"), &json!({ "reason": "key_compromise", "note": "stolen" })).await;
    assert_eq!((&revoked.ok()["reason"], &revoked.body["note"]), (&json!("key_compromise"), &json!("stolen")));
    let again = s.post(&format!("/certificates/{id}/revoke"), &json!({ "reason": "key_compromise" })).await;
    assert_eq!(again.ok(), &revoked.body, "R-5: the first result");
    let other = s.post(&format!("/certificates/{id}/revoke"), &json!({ "reason": "superseded" })).await;
    assert_eq!(other.code(), (409, "already_revoked"));
    assert!(other.body.to_string().contains("with reason key_compromise; the reason stays."), "{}", other.body);
    let second = certificates.body["items"][1]["id"].as_str().unwrap();
    let first = s.post(&format!("/certificates/{second}/revoke"), &json!({ "reason": "superseded" })).await;
    assert!(first.ok().get("raised_at").is_none(), "{}", first.body);
    let raised = s.post(&format!("/certificates/{second}/revoke"), &json!({ "reason": "key_compromise" })).await;
    assert!(raised.ok()["raised_at"].is_i64() && raised.body["raised_by"] == raised.body["revoked_by"], "{}", raised.body);
    assert_eq!(s.get(&format!("/certificates/{second}")).await.ok()["raised_at"], raised.body["raised_at"]);
    assert_eq!(s.get("/certificates?state=revoked").await.ok()["items"][0]["id"], id);
    assert_eq!(s.get(&format!("/certificates/{id}")).await.ok()["revocation_note"], "stolen");
    for (step, state) in [("suspend", "suspended"), ("suspend", "suspended"), ("resume", "active"), ("decommission", "decommissioned")] {
        let done = s.post("/devices/gw-1/life", &json!({ "step": step })).await;
        assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);
        assert_eq!(s.get("/devices/gw-1").await.ok()["row"]["state"], state);
    }
    assert_eq!(s.post("/devices/gw-1/life", &json!({ "step": "resume" })).await.code(), (409, "illegal_step"));
    assert_eq!(s.post("/devices/gw-1/life", &json!({ "step": "recommission" })).await.code().0, 403, "admins only");
    let gone = s.send(s.request(Method::DELETE, "/devices/gw-2").body(Body::empty()).unwrap()).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
    let made = s.post("/enrolment-tokens", &json!({ "label": "spare", "max_uses": 1, "hours": 1 })).await;
    let id = made.ok()["token"]["id"].as_str().unwrap().to_owned();
    let gone = s.send(s.request(Method::DELETE, &format!("/enrolment-tokens/{id}")).body(Body::empty()).unwrap()).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn many_devices_are_ordered_to_renew(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    for id in ["gw-1", "gw-2", "gw-3"] {
        let device = s.world.device(id, "gateway").await;
        s.world.channel(device).await;
    }
    assert_eq!(s.post("/devices:life", &json!({ "q": "gw-3", "step": "suspend", "expected": 1 })).await.ok()["changed"], 1);
    let all = json!({ "q": "type:gateway" });
    let would = s.post("/devices:preview-renew", &all).await;
    let left_out = |body: &Value| ["suspended", "nothing_to_renew", "already_asked", "for_later"].map(|why| body[why].as_i64().unwrap());
    assert_eq!((&would.ok()["devices"], &would.body["asked"], left_out(&would.body)), (&json!(3), &json!(2), [1, 0, 0, 0]));
    let unsaid = s.post("/devices:renew", &all).await;
    assert_eq!((unsaid.code(), unsaid.body["field"].as_str()), ((400, "invalid"), Some("expected")));
    let order = |minutes: i64, expected: i64| json!({ "q": "type:gateway", "minutes": minutes, "expected": expected });
    assert_eq!(s.post("/devices:renew", &order(30, 2)).await.code(), (409, "other_count"));
    let refused = s.post("/devices:renew", &order(10_081, 3)).await;
    assert_eq!((refused.code(), refused.body["field"].as_str()), ((400, "invalid"), Some("minutes")));
    let unknown = s.post("/devices:renew", &json!({ "q": "", "expected": 3, "hours": 1 })).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    let nobodys = json!({ "authority": format!("ca_{}", "0".repeat(32)), "expected": 0 });
    assert_eq!(s.post("/devices:renew", &nobodys).await.code(), (404, "authority_not_found"));
    for path in ["/devices:preview-renew", "/devices:renew"] {
        let unknown = s.post(path, &json!({ "devices": ["gw-1", "gw-9"], "expected": 1 })).await;
        assert_eq!((unknown.code(), unknown.body["field"].as_str()), ((400, "invalid"), Some("devices")), "{path}");
        assert!(unknown.body["detail"].as_str().unwrap().contains("gw-9"), "{}", unknown.body);
    }
    let twice = s.post("/devices:preview-renew", &json!({ "devices": ["gw-1", "gw-1"] })).await;
    assert_eq!(twice.ok()["devices"], 1);
    // A list that happened to be empty is not the whole fleet.
    for nobody in [json!({ "expected": 3 }), json!({ "devices": [], "expected": 3 })] {
        for path in ["/devices:preview-renew", "/devices:renew"] {
            let refused = s.post(path, &nobody).await;
            assert_eq!((refused.code(), refused.body["field"].as_str()), ((400, "invalid"), Some("q")), "{path}");
            assert!(refused.body["detail"].as_str().unwrap().contains("`devices`"), "{}", refused.body);
        }
    }
    let done = s.post("/devices:renew", &order(30, 3)).await;
    assert_eq!((&done.ok()["asked"], &done.body["minutes"]), (&json!(2), &json!(30)));
    let ordered = s.get("/devices/gw-2").await.ok()["certificates"][0].clone();
    let spread = ordered["renew_due_at"].as_i64().unwrap() - ordered["renew_ordered_at"].as_i64().unwrap();
    assert_eq!(spread, 15 * 60_000, "the second of two, over half an hour");
    let again = s.post("/devices:renew", &order(30, 3)).await;
    assert_eq!((&again.ok()["asked"], left_out(&again.body)), (&json!(0), [1, 0, 2, 0]), "nobody is asked twice");
    let authorities = s.get("/authorities").await;
    let row = authorities.ok()["items"].as_array().unwrap().iter().find(|a| a["kind"] == "device").unwrap().clone();
    let devices = row["id"].clone();
    let shown = s.get(&format!("/authorities/{}", devices.as_str().unwrap())).await;
    for authority in [devices.as_str().unwrap(), wire::pki::common_name(row["subject"].as_str().unwrap())] {
        let would = s.post("/devices:preview-renew", &json!({ "q": "", "authority": authority })).await;
        assert_eq!((&would.ok()["devices"], &would.body["already_asked"]), (&json!(3), &json!(2)), "by id and by name");
    }
    assert_eq!((&shown.ok()["renewals"]["asked"], &shown.body["renewals"]["renewed"]), (&json!(2), &json!(0)));
    let one = s.post("/devices/gw-2/renew", &json!({})).await;
    assert_eq!(one.status, StatusCode::OK, "{}", one.body);
    let ordered = s.get("/devices/gw-2").await.ok()["certificates"][0].clone();
    assert_eq!(ordered["renew_due_at"], ordered["renew_ordered_at"], "one by itself is told at once");

    assert_eq!(s.get("/renewals").await.ok()["items"], json!([]), "carried out to their end");

    let viewer = Script::new(kind, Role::Viewer).await;
    assert_eq!(viewer.post("/devices:renew", &order(30, 0)).await.code().0, 403);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_device_is_pinned_and_its_updates_are_listed(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    s.world.device("gw-1", "gateway").await;
    let pin = async |body: &'static str| {
        let request = s.request(Method::PUT, "/devices/gw-1/pin").header("content-type", "application/json");
        s.send(request.body(Body::from(body)).unwrap()).await
    };
    let unpin = async || s.send(s.request(Method::DELETE, "/devices/gw-1/pin").body(Body::empty()).unwrap()).await.status;
    assert_eq!(s.get("/devices/gw-1").await.ok()["pin"], Value::Null);
    let refused = pin(r#"{"reason":" "}"#).await;
    assert_eq!((refused.code(), refused.body["field"].as_str()), ((400, "invalid"), Some("reason")));
    assert_eq!(pin("{}").await.status, StatusCode::BAD_REQUEST);
    let pinned = pin(r#"{"reason":"on show"}"#).await;
    assert_eq!(pinned.ok()["reason"], "on show");
    assert!(pinned.body["by"].as_str().unwrap().starts_with("robin by token "), "{}", pinned.body);
    assert_eq!(s.get("/devices/gw-1").await.ok()["pin"], pinned.body);
    assert_eq!((unpin().await, unpin().await), (StatusCode::NO_CONTENT, StatusCode::NO_CONTENT), "it may be repeated");

    assert_eq!(s.get("/devices/gw-1/updates?rows=1").await.ok(), &json!({ "items": [], "total": 0 }));
    assert_eq!(s.get("/devices/gw-1/updates?cursor=x").await.code(), (400, "invalid"));
    assert_eq!(s.get("/devices/gw-9/updates").await.status, StatusCode::NOT_FOUND);
    let nobodys = format!("/devices/gw-1/updates/upd_{}/log", "0".repeat(32));
    assert_eq!(s.get(&nobodys).await.code(), (404, "not_found"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_certificate_is_downloaded_as_pem_and_as_der(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Viewer).await;
    s.world.device("gw-1", "gateway").await;
    let row = s.get("/certificates").await.ok()["items"][0].clone();
    let (id, serial) = (row["id"].as_str().unwrap(), row["serial"].as_str().unwrap());
    let request = s.request(Method::GET, &format!("/certificates/{id}/der")).body(Body::empty()).unwrap();
    let (der, body) = s.router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    assert_eq!(der.status, StatusCode::OK);
    assert_eq!(der.headers["content-type"], "application/pkix-cert");
    assert_eq!(der.headers["content-disposition"], format!("attachment; filename=\"{id}.cer\""));
    let viewer = s.world.viewer().await;
    assert_eq!(bytes, s.world.fleet.pki().certificate_der(&viewer, &id.parse().unwrap()).await.unwrap());

    let pem = s.get(&format!("/certificates/{id}/pem")).await;
    assert_eq!(pem.headers["content-type"], "application/x-pem-file");
    assert_eq!(pem.headers["content-disposition"], format!("attachment; filename=\"gw-1-{}.pem\"", &serial[..8]));
    assert_eq!(pem.ok(), &json!(fleet::pki::pem("CERTIFICATE", &bytes)), "it alone, of the same bytes");
    let detail = s.get(&format!("/certificates/{id}")).await;
    assert_eq!(&detail.ok()["pem"], pem.ok());
    let chain: Vec<_> = detail.body["chain"].as_array().unwrap().iter().map(|a| a["kind"].as_str().unwrap()).collect();
    assert_eq!(chain, ["device", "root"], "from its issuer upwards");
    for form in ["pem", "der"] {
        assert_eq!(s.get(&format!("/certificates/crt_{}/{form}", "0".repeat(32))).await.code(), (404, "certificate_not_found"));
        assert_eq!(s.get(&format!("/certificates/nonsense/{form}")).await.code(), (404, "not_found"));
    }
}
