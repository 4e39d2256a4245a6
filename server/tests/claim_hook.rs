//! The pre-provisioning hook of claims (E-9) over real sockets: a yes lets in, and everything else does not.

use crate::{
    stock::{Reply, Stock},
    support::TestServer,
};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::post,
};
use fleet::db::EngineKind;
use parking_lot::Mutex;
use rstest::rstest;
use serde_json::{Value, json};
use server::config::Config;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use wire::{devices::DeviceQuery, states::Role};

/// What the hook does next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Yes,
    No,
    /// Takes the question and says nothing.
    Silent,
    /// Sends the asker to an address that says yes.
    Elsewhere,
    Error,
    Garbage,
    /// A yes that never ends.
    Endless,
}

/// A hook, and what it was asked.
struct Hook {
    mood: Mutex<Mood>,
    asked: Mutex<Vec<(Value, HeaderMap)>>,
}

async fn answer(State(hook): State<Arc<Hook>>, headers: HeaderMap, Json(question): Json<Value>) -> Response {
    hook.asked.lock().push((question, headers));
    let mood = *hook.mood.lock();
    match mood {
        Mood::Yes => Json(json!({ "allow": true })).into_response(),
        Mood::No => Json(json!({ "allow": false, "reason": "not built by us\u{7}" })).into_response(),
        Mood::Silent => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            Json(json!({ "allow": true })).into_response()
        }
        Mood::Elsewhere => Redirect::temporary("/yes").into_response(),
        Mood::Error => (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "allow": true }))).into_response(),
        Mood::Garbage => Json(json!({ "allow": "yes" })).into_response(),
        Mood::Endless => format!("{{\"allow\": true, \"reason\": \"{}\"}}", "a".repeat(1 << 20)).into_response(),
    }
}

async fn hook() -> (Arc<Hook>, SocketAddr) {
    let hook = Arc::new(Hook { mood: Mutex::new(Mood::Yes), asked: Mutex::default() });
    let router =
        Router::new().route("/ask", post(answer)).route("/yes", post(async || Json(json!({ "allow": true })))).with_state(hook.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (hook, at)
}

/// A server that asks there, a claim of it as `claim.pem`, and the claim's id.
async fn asking(kind: EngineKind, url: String, secret: Option<PathBuf>) -> (TestServer, Stock, String) {
    let change = |config| Config { claim_hook_url: Some(url), claim_hook_secret_file: secret, allow_server_keygen: true, ..config };
    let server = TestServer::start_with(kind, change).await;
    let stock = Stock::of(&server);
    let admin = server.token("ada", Role::Admin).await;
    let asked = json!({ "label": "image 4", "pattern": "gw-*", "device_type": "gateway", "max_uses": 3, "hours": 24 });
    let made = server.http.post(server.url("/api/v1/claims")).bearer_auth(&admin).json(&asked).send().await.unwrap();
    let made: Value = made.json().await.unwrap();
    stock.write("claim.pem", format!("{}{}", made["certificate"].as_str().unwrap(), made["key"].as_str().unwrap()));
    (server, stock, made["claim"]["id"].as_str().unwrap().to_owned())
}

async fn est(stock: &Stock, operation: &str, name: &str) -> Reply {
    if !stock.file(&format!("{name}.b64")).exists() {
        stock.request(name, &format!("/CN={name}")).await;
    }
    let body = format!("@{name}.b64");
    let line =
        ["-H", "Content-Type: application/pkcs10", "--data-binary", &body, "--cert", "claim.pem", "--key", "claim.pem", "--max-time", "20"];
    stock.enrol(&format!("/.well-known/est/{operation}"), &line).await
}

async fn devices(server: &TestServer) -> i64 {
    server.running.fleet.devices().list(&server.system(), &DeviceQuery::default()).await.unwrap().total
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn e_9_the_hook_is_asked_once_for_a_key_and_its_no_is_written_down(#[case] kind: EngineKind) {
    let (hook, at) = hook().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "open sesame\n").unwrap();
    let (server, stock, claim) = asking(kind, format!("http://{at}/ask"), Some(secret)).await;

    assert_eq!(est(&stock, "simpleenroll", "cam-1").await.status, 403);
    assert!(hook.asked.lock().is_empty(), "what the claim does not cover is nobody else's question");

    assert_eq!(est(&stock, "simpleenroll", "gw-1").await.status, 200);
    {
        let asked = hook.asked.lock();
        let (question, headers) = asked.first().unwrap();
        assert_eq!((&question["claim"], &question["label"]), (&json!(claim), &json!("image 4")), "{question}");
        assert_eq!((&question["device_id"], &question["device_type"]), (&json!("gw-1"), &json!("gateway")), "{question}");
        assert_eq!(question["spki_sha256"].as_str().unwrap().len(), 64);
        assert_eq!(headers["authorization"], "Bearer open sesame");
    }
    // The answer was lost (E-3): the same certificate, and no second question, whatever the hook would say now.
    *hook.mood.lock() = Mood::No;
    assert_eq!(est(&stock, "simpleenroll", "gw-1").await.status, 200);
    assert_eq!(hook.asked.lock().len(), 1);

    let refused = est(&stock, "simpleenroll", "gw-2").await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(!refused.text().contains("not built by us"), "why is the audit log's: {}", refused.text());
    assert_eq!(est(&stock, "serverkeygen", "gw-3").await.status, 403, "also where the key is made here");
    assert_eq!(hook.asked.lock().len(), 3);
    let log = server.running.fleet.access().audit_page(&server.system(), None).await.unwrap();
    let noted: Vec<_> = log.entries.items.iter().filter(|e| e.action == "claim.refuse" && e.detail.contains("hook_refused")).collect();
    assert!(noted.len() == 2 && noted.iter().all(|e| e.detail.contains("not built by us\"")), "{noted:?}");

    // Uses are taken by those who came in alone; a spent claim asks nobody.
    *hook.mood.lock() = Mood::Yes;
    assert_eq!(est(&stock, "serverkeygen", "gw-3").await.status, 200);
    assert_eq!(est(&stock, "simpleenroll", "gw-2").await.status, 200);
    let before = hook.asked.lock().len();
    assert_eq!(est(&stock, "simpleenroll", "gw-4").await.status, 401);
    assert_eq!(hook.asked.lock().len(), before);
    assert_eq!(devices(&server).await, 3);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e_9_a_claim_in_wrong_hands_keeps_the_hook_from_nobody() {
    let (hook, at) = hook().await;
    let (server, stock, _) = asking(EngineKind::Sqlite, format!("http://{at}/ask"), None).await;
    *hook.mood.lock() = Mood::No;
    for _ in 0..70 {
        assert!(matches!(est(&stock, "simpleenroll", "gw-1").await.status, 403 | 429));
    }
    assert_eq!(hook.asked.lock().len(), 60, "then it is not asked about this claim any more");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e_9_whatever_is_no_answer_lets_nobody_in() {
    let (hook, at) = hook().await;
    let (server, stock, _) = asking(EngineKind::Sqlite, format!("http://{at}/ask"), None).await;
    for mood in [Mood::Elsewhere, Mood::Error, Mood::Garbage, Mood::Endless] {
        *hook.mood.lock() = mood;
        let answer = est(&stock, "simpleenroll", "gw-1").await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.head.to_lowercase().contains("retry-after: 60"), "{}", answer.head);
    }
    *hook.mood.lock() = Mood::Silent;
    let begun = tokio::time::Instant::now();
    assert_eq!(est(&stock, "simpleenroll", "gw-1").await.status, 503);
    assert!(begun.elapsed() >= Duration::from_secs(5), "it may take five seconds");
    // Nobody is there at all.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (nobody, stock, _) = asking(EngineKind::Sqlite, format!("http://{free}/ask"), None).await;
    assert_eq!(est(&stock, "simpleenroll", "gw-1").await.status, 503);
    assert_eq!((devices(&server).await, devices(&nobody).await), (0, 0));
    // A token asks nobody: it was made for devices that somebody knows.
    let token = crate::journey::enrolment_token(&nobody, "gw-9", "gateway", 1).await.secret;
    stock.request("gw-9", "/CN=gw-9").await;
    assert_eq!(stock.est("simpleenroll", &token, "gw-9.b64", &[]).await.status, 200);
    server.stop().await;
    nobody.stop().await;
}
