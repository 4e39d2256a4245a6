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
use serde_json::{Value, json};
use std::collections::HashMap;
use tower::ServiceExt as _;
use wire::states::Role;

mod audit;
mod authorities;
mod beyond;
mod devices;
mod habits;
mod imports;
mod releases;
mod rollouts;

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

    /// Finished uploads of a signed release of `gateway`, each time of the same bytes.
    async fn uploads(&self, version: &str, sequence: u64) -> [String; 2] {
        let key = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
        let firmware = format!("firmware {version}");
        let manifest = manifest(version, sequence, &[("fw.bin", "raw", firmware.as_bytes())]);
        [self.upload("fw.bin", firmware.as_bytes()).await, self.upload("fw.manifest.json", &key.sign(&manifest).unwrap()).await]
    }

    /// A signed release of `gateway`, published.
    async fn release(&self, version: &str, sequence: u64) -> String {
        let uploads = self.uploads(version, sequence).await;
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
