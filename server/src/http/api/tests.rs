//! The REST face as a script sees it: real guard, real tokens, both engines.

use crate::{
    http::{Operator, router},
    observe::Metrics,
    tls::Stop,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use fleet::{
    access::Actor,
    db::EngineKind,
    entropy::SeededEntropy,
    releases::signing::SigningKeyPair,
    testing::{World, manifest},
};
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::HashMap;
use tower::ServiceExt as _;
use wire::states::Role;

struct Script {
    world: World,
    router: Router,
    secret: String,
}

struct Reply {
    status: StatusCode,
    headers: HashMap<String, String>,
    body: Value,
}

impl Reply {
    fn code(&self) -> (u16, &str) {
        assert_eq!(self.headers.get("content-type").map(String::as_str), Some("application/problem+json"), "{}", self.body);
        assert_eq!(self.body["status"], self.status.as_u16());
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default())
    }
    fn ok(&self) -> &Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.body);
        &self.body
    }
}

impl Script {
    async fn new(kind: EngineKind, role: Role) -> Self {
        let world = World::open(kind).await;
        // Viewers make no tokens; one for viewing is made by somebody who may.
        let actor = world.person("robin", role.max(Role::Operator)).await;
        let secret = token(&world, &actor, role).await;
        let stop = Stop { soft: tokio_util::sync::CancellationToken::new(), hard: tokio_util::sync::CancellationToken::new() };
        let router = router(&Operator { fleet: world.fleet.clone(), metrics: Metrics::default(), secure: false, forwarded: false, stop });
        Self { world, router, secret }
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned()));
        let headers = parts.headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect();
        Reply { status: parts.status, headers, body }
    }

    fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        Request::builder().method(method).uri(format!("/api/v1{path}")).header("authorization", format!("Bearer {}", self.secret))
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn once(&self, key: &str, path: &str, body: &Value) -> Reply {
        let request = self.request(Method::POST, path).header("content-type", "application/json").header("idempotency-key", key);
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn put(&self, path: &str, bytes: &[u8]) -> Reply {
        self.send(self.request(Method::PUT, path).body(Body::from(bytes.to_vec())).unwrap()).await
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> String {
        let begun = self.post("/uploads", &json!({ "name": name, "size": bytes.len() })).await;
        let id = begun.ok()["id"].as_str().unwrap().to_owned();
        assert_eq!(begun.headers["location"], format!("/api/v1/uploads/{id}"));
        self.put(&format!("/uploads/{id}?offset=0"), bytes).await.ok();
        id
    }

    /// A signed release of `gateway`, published.
    async fn release(&self, version: &str, sequence: u64) -> String {
        let key = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
        let firmware = format!("firmware {version}");
        let manifest = manifest(version, sequence, &[("fw.bin", "raw", firmware.as_bytes())]);
        let uploads =
            [self.upload("fw.bin", firmware.as_bytes()).await, self.upload("fw.manifest.json", &key.sign(&manifest).unwrap()).await];
        let made = self.post("/releases", &json!({ "uploads": uploads })).await;
        assert_eq!((made.status, &made.ok()["row"]["state"]), (StatusCode::CREATED, &json!("verified")), "{}", made.body);
        let id = made.body["row"]["id"].as_str().unwrap().to_owned();
        assert_eq!(self.post(&format!("/releases/{id}/publish"), &json!({})).await.ok()["row"]["state"], "published");
        id
    }

    async fn trust(&self) -> String {
        let key = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
        let added = self.post("/signing-keys", &json!({ "name": "build", "public": key.public_pem() })).await;
        added.ok()["id"].as_str().unwrap().to_owned()
    }
}

async fn token(world: &World, actor: &Actor, role: Role) -> String {
    world.fleet.access().create_token(actor, "script", role, 1).await.unwrap().secret
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_pipeline_uploads_signs_and_publishes(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    let key = s.trust().await;
    assert_eq!(s.get("/signing-keys").await.ok()["items"][0]["id"], key.as_str());
    let release = s.release("1.0.0", 1).await;
    let listed = s.get("/releases?rows=1").await;
    assert_eq!((&listed.ok()["items"][0]["id"], &listed.body["total"]), (&json!(release), &json!(1)));
    let detail = s.get(&format!("/releases/{release}")).await;
    assert_eq!(detail.ok()["artifacts"][0]["name"], "fw.bin");
    assert!(detail.body["manifest"].as_str().unwrap().contains("\"device_type\": \"gateway\""));
    assert_eq!(s.post(&format!("/releases/{release}/publish"), &json!({})).await.code(), (409, "wrong_state"));
    assert_eq!(s.post(&format!("/releases/{release}/deprecate"), &json!({})).await.ok()["row"]["state"], "deprecated");
    let recalled = s.post(&format!("/releases/{release}/recall"), &json!({ "reason": "bricks the radio" })).await;
    assert_eq!(recalled.ok()["row"]["state"], "recalled");
    let unsigned = [s.upload("fw.bin", b"unsigned").await];
    let quarantined = s.post("/releases", &json!({ "uploads": unsigned })).await;
    assert!(quarantined.ok()["row"]["quarantine"].as_str().unwrap().starts_with("unsigned"));
    let id = quarantined.body["row"]["id"].as_str().unwrap();
    assert_eq!(s.post(&format!("/releases/{id}/publish"), &json!({})).await.code(), (409, "quarantined"));
    assert_eq!(s.post(&format!("/releases/{id}/recheck"), &json!({})).await.ok()["row"]["state"], "draft");
    let removed = s.send(s.request(Method::DELETE, &format!("/releases/{id}")).body(Body::empty()).unwrap()).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let revoked = s.send(s.request(Method::DELETE, &format!("/signing-keys/{key}")).body(Body::empty()).unwrap()).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_cut_upload_goes_on_where_the_server_says(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    let begun = s.post("/uploads", &json!({ "name": "fw.bin", "size": 10 })).await;
    let path = format!("/uploads/{}", begun.ok()["id"].as_str().unwrap());
    let pieces =
        futures::stream::iter([Ok(bytes::Bytes::from_static(b"0123")), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))]);
    let cut = s.request(Method::PUT, &format!("{path}?offset=0")).body(Body::from_stream(pieces)).unwrap();
    assert_eq!(s.send(cut).await.code(), (400, "upload_cut"));
    let head = s.send(s.request(Method::HEAD, &path).body(Body::empty()).unwrap()).await;
    assert_eq!((head.headers["upload-offset"].as_str(), head.headers["upload-length"].as_str()), ("4", "10"));
    assert_eq!(s.put(&format!("{path}?offset=0"), b"0123456789").await.code(), (409, "wrong_offset"));
    let done = s.put(&format!("{path}?offset=4"), b"456789").await;
    assert_eq!(done.ok()["sha256"], "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882");
}

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
    for form in ["/releases/upload", "/enrolment/batches", "/enrolment/batches/keys", "/enrolment/claims"] {
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
async fn devices_tokens_and_certificates(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    s.world.device("gw-1", "gateway").await;
    s.world.device("gw-2", "gateway").await;
    let listed = s.get("/devices?q=type:gateway&sort=-device_id&n=1").await;
    assert_eq!((&listed.ok()["items"][0]["device_id"], &listed.body["total"]), (&json!("gw-2"), &json!(2)));
    let next = s.get(&format!("/devices?q=type:gateway&sort=-device_id&n=1&cursor={}", listed.body["next"].as_str().unwrap())).await;
    assert_eq!(next.ok()["items"][0]["device_id"], "gw-1");
    assert_eq!(s.get("/devices/gw-1").await.ok()["row"]["state"], "active");
    let tags = s.request(Method::PUT, "/devices/gw-1/tags").header("content-type", "application/json");
    assert_eq!(s.send(tags.body(Body::from(r#"{"tags":["eu"]}"#)).unwrap()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(s.get("/devices?q=tag:eu").await.ok()["total"], 1);
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
    let history = s.get("/devices/gw-1/telemetry?from=0&to=1&points=10").await;
    assert_eq!(history.ok()["series"], json!([]));
    let certificates = s.get("/certificates?state=active").await;
    assert_eq!(certificates.ok()["total"], 2);
    let id = certificates.body["items"][0]["id"].as_str().unwrap();
    let none = s.post(&format!("/certificates/{id}/revoke"), &json!({})).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST, "a reason has to be said: {}", none.body);
    let since = json!({ "reason": "key_compromise", "invalidity_date": 9_000_000_000_000_i64 });
    assert_eq!(s.post(&format!("/certificates/{id}/revoke"), &since).await.code(), (400, "invalid"), "not known yet");
    let revoked = s.post(&format!("/certificates/{id}/revoke"), &json!({ "reason": "key_compromise", "note": "stolen" })).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{}", revoked.body);
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
async fn a_rollout_from_draft_to_a_second_person_s_decision(#[case] kind: EngineKind) {
    let mut s = Script::new(kind, Role::Admin).await;
    s.world.device("gw-1", "gateway").await;
    s.trust().await;
    let release = s.release("1.0.0", 1).await;
    let spec = json!({
        "name": "Gateway 1.0.0", "release": release, "reason": "first",
        "stages": [{ "name": "Everyone", "reach": { "percent": 100.0 } }],
    });
    assert_eq!(s.post("/rollouts/preview", &spec).await.ok()["total"], 1);
    let drafted = s.post("/rollouts", &spec).await;
    assert_eq!(drafted.status, StatusCode::CREATED, "{}", drafted.body);
    let id = drafted.body["row"]["id"].as_str().unwrap().to_owned();
    let placed = s.get(&format!("/rollouts/{id}/preview/devices?stage=1")).await;
    assert_eq!((&placed.ok()["total"], &placed.ok()["items"][0]["device_id"]), (&json!(1), &json!("gw-1")));
    assert_eq!(s.post(&format!("/rollouts/preview?rollout={id}"), &spec).await.ok()["stages"][0]["sample"], json!(["gw-1"]));
    let mut renamed = spec.clone();
    renamed["name"] = "Gateway one".into();
    let edit = |generation: &Value, spec: &Value| {
        let request = s.request(Method::PUT, &format!("/rollouts/{id}")).header("content-type", "application/json");
        s.send(request.body(Body::from(json!({ "generation": generation, "spec": spec }).to_string())).unwrap())
    };
    assert_eq!(edit(&drafted.body["generation"], &renamed).await.ok()["row"]["name"], "Gateway one");
    assert_eq!(edit(&drafted.body["generation"], &spec).await.status, StatusCode::CONFLICT, "a stale edit");
    let alone = s.post(&format!("/rollouts/{id}/submit"), &json!({})).await;
    assert_eq!(alone.code(), (409, "not_now"), "nobody could approve it");
    let other = s.world.person("second", Role::Admin).await;
    let submitted = s.post(&format!("/rollouts/{id}/submit"), &json!({})).await;
    assert_eq!(submitted.ok()["row"]["state"], "waiting_for_approval");
    let decision = json!({ "digest": submitted.body["digest"], "remark": "looks right" });
    let own = s.post(&format!("/rollouts/{id}/approve"), &decision).await;
    assert!(!own.status.is_success(), "its author can't approve it");
    s.secret = token(&s.world, &other, Role::Admin).await;
    assert_eq!(s.post(&format!("/rollouts/{id}/approve"), &json!({ "reason": "x" })).await.code(), (400, "no_digest"));
    let approved = s.post(&format!("/rollouts/{id}/approve"), &decision).await;
    assert_eq!(approved.ok()["approvals"][0]["approved"], true);
    assert_eq!(s.get("/rollouts").await.ok()["items"][0]["id"], id.as_str());
    assert!(s.get(&format!("/rollouts/{id}/updates?stage=1")).await.ok()["items"].is_array());
    let report = s.get(&format!("/rollouts/{id}/report")).await;
    assert_eq!(report.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(report.headers["content-disposition"], format!("attachment; filename=\"rollout-{id}.csv\""));
    let lines: Vec<&str> = report.ok().as_str().unwrap().split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 2, "a head and a device");
    assert!(
        lines[0].starts_with("\"device\",\"stage\",\"state\",\"code\",") && lines[1].starts_with("\"gw-1\",\"1\",\"queued\","),
        "{lines:?}"
    );
    assert_eq!(s.get("/rollouts/rol_00000000000000000000000000000000/report").await.code(), (404, "not_found"));
    assert_eq!(s.post(&format!("/rollouts/{id}/explode"), &json!({})).await.code(), (404, "not_found"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_form_without_javascript_uploads_a_release(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Operator).await;
    let form = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"fw.bin\"\r\n\r\nfirmware\r\n\
                --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\r\n\r\n--x--\r\n";
    let post = |body: &str| {
        let request = Request::post("/releases/upload").header("authorization", format!("Bearer {}", s.secret));
        s.send(request.header("content-type", "multipart/form-data; boundary=x").body(Body::from(body.to_owned())).unwrap())
    };
    let stored = post(form).await;
    assert_eq!(stored.status, StatusCode::SEE_OTHER, "{}", stored.body);
    assert!(stored.headers["location"].starts_with("/firmware/rel_"));
    let refused = post(&form.replace("fw.bin", "../fw.bin")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.body.to_string().contains("without its folder"), "{}", refused.body);
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
    assert_eq!(all.ok().as_array().unwrap().iter().filter(|a| a["state"] == "staged").count(), 1);
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

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_plan_as_a_file_is_compared_applied_and_found_by_its_name(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    s.world.device("gw-1", "gateway").await;
    s.trust().await;
    s.release("1.0.0", 1).await;
    let plan = "name: Spring\nreason: first\nrelease: { device_type: gateway, version: 1.0.0 }\nstages:\n  - name: Everybody\n    reach: { percent: 100 }\n";
    let send = async |method: Method, path: &str, media: &str, text: &str| {
        s.send(s.request(method, path).header("content-type", media).body(Body::from(text.to_owned())).unwrap()).await
    };
    let (apply, diff) = ("/rollouts/apply", "/rollouts/diff");
    let none = send(Method::POST, diff, "application/yaml", plan).await;
    assert_eq!((&none.ok()["id"], &none.body["lines"]), (&Value::Null, &json!([])));
    assert_eq!(s.get("/rollouts?name=Spring").await.ok()["total"], 0, "comparing drafts nothing");
    let drafted = send(Method::PUT, apply, "application/yaml", plan).await;
    assert_eq!((&drafted.ok()["outcome"], &drafted.body["state"]), (&json!("drafted"), &json!("draft")));
    let longer = plan.replace("percent: 100 }", "percent: 100 }\n    soak_s: 600");
    assert_eq!(send(Method::POST, diff, "application/yaml", &longer).await.ok()["lines"][0]["field"], "stages.0.soak_s");
    // JSON of the same form.
    let stages = json!([{ "name": "Everybody", "reach": { "percent": 100 }, "soak_s": 600 }]);
    let same =
        json!({ "name": "Spring", "reason": "first", "release": { "device_type": "gateway", "version": "1.0.0" }, "stages": stages });
    let edited = send(Method::PUT, apply, "application/json; charset=utf-8", &same.to_string()).await;
    assert_eq!((&edited.ok()["outcome"], &edited.body["id"]), (&json!("edited"), &drafted.body["id"]));
    assert_eq!(send(Method::PUT, apply, "application/yaml", &longer).await.ok()["outcome"], "same");
    let found = s.get("/rollouts?name=Spring").await;
    assert_eq!((&found.ok()["total"], &found.body["items"][0]["id"]), (&json!(1), &drafted.body["id"]));

    assert_eq!(send(Method::PUT, apply, "text/plain", plan).await.code(), (415, "not_yaml"));
    let wrong = send(Method::PUT, apply, "application/yaml", &plan.replace("reason", "reasons")).await;
    assert_eq!(wrong.code(), (400, "bad_plan"));
    assert!(wrong.body["detail"].as_str().unwrap().starts_with("plan:2"), "{}", wrong.body);
    let missing = send(Method::PUT, apply, "application/yaml", &plan.replace("1.0.0", "9.0.0")).await;
    assert!(missing.body["detail"].as_str().unwrap().contains("no release 9.0.0"), "{}", missing.body);
}
