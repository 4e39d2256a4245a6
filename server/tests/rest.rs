//! The REST API as a build pipeline and the people behind it use it: uploads, a signed release, a rollout that somebody else approves.

use crate::support::{TestServer, eventually};
use fleet::{access::Actor, clock::Clock as _, entropy::OsEntropy, releases::signing::SigningKeyPair, testing::manifest};
use serde_json::{Value, json};
use std::time::Duration;
use wire::{manifest::Manifest, states::Role};

/// A pipeline's signing key and two people's tokens.
pub struct Rest {
    base: String,
    http: reqwest::Client,
    /// The one key that the organization trusts.
    pub key: SigningKeyPair,
    /// An operator's token.
    pub operator: String,
    admin: String,
    device_type: &'static str,
}

impl Rest {
    /// Makes the people and the key. Stays usable when the server is started again on the same address.
    pub async fn of(server: &TestServer, device_type: &'static str) -> Self {
        let (operator, admin) = (server.token("oli", Role::Operator).await, server.token("ada", Role::Admin).await);
        Self { admin, ..Self::by(server, &server.system(), device_type, operator).await }
    }

    /// The same in any organization, where one admin's token does everything.
    pub async fn by(server: &TestServer, system: &Actor, device_type: &'static str, token: String) -> Self {
        let key = SigningKeyPair::generate(&OsEntropy).unwrap();
        server.running.fleet.releases().add_key(system, "builds", &key.public_pem()).await.unwrap();
        let (base, http) = (server.url("/api/v1"), server.http.clone());
        Self { base, http, key, operator: token.clone(), admin: token, device_type }
    }

    /// A request of the operator to this path below `/api/v1`.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.operator)
    }

    async fn call(&self, token: &str, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.base);
        let answer = self.http.request(method, url).bearer_auth(token).json(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// A change that must be taken.
    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(token, reqwest::Method::POST, path, body).await;
        assert!((200..300).contains(&status), "POST {path}: {status} {answer}");
        answer
    }

    /// What the operator reads.
    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(&self.operator, reqwest::Method::GET, path, &Value::Null).await;
        assert_eq!(status, 200, "GET {path}: {answer}");
        answer
    }

    /// Sends a piece of an upload.
    pub async fn chunk(&self, id: &str, offset: usize, bytes: impl Into<reqwest::Body>) -> reqwest::Response {
        let put = self.request(reqwest::Method::PUT, &format!("/uploads/{id}?offset={offset}"));
        put.header("content-type", "application/octet-stream").body(bytes).send().await.unwrap()
    }

    /// Uploads a file in two pieces, as after a cut.
    pub async fn upload(&self, name: &str, bytes: &[u8]) -> Value {
        let upload = self.post(&self.operator, "/uploads", &json!({ "name": name, "size": bytes.len() })).await;
        let id = upload["id"].as_str().unwrap().to_owned();
        let half = bytes.len() / 2;
        for (offset, part) in [(0, &bytes[..half]), (half, &bytes[half..])] {
            let answer = self.chunk(&id, offset, part.to_vec()).await;
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        }
        json!(id)
    }

    /// The signed manifest of a release of this content.
    pub fn manifest(&self, version: &str, sequence: u64, content: &[u8]) -> Vec<u8> {
        self.manifest_of(version, sequence, &[("firmware.bin", "raw", content)])
    }

    /// The same of these files, each with its name and format.
    pub fn manifest_of(&self, version: &str, sequence: u64, files: &[(&str, &str, &[u8])]) -> Vec<u8> {
        let (device_type, created) = (self.device_type.into(), fleet::clock::SystemClock.now());
        let manifest = Manifest { device_type, created, notes: "test".into(), ..manifest(version, sequence, files) };
        self.key.sign(&manifest).unwrap()
    }

    /// A release of finished uploads, which must be in order, published. Gives its id.
    pub async fn publish(&self, uploads: &Value) -> String {
        let release = self.post(&self.operator, "/releases", &json!({ "uploads": uploads })).await;
        assert_eq!(release["row"]["quarantine"], "", "{release}");
        let id = release["row"]["id"].as_str().unwrap().to_owned();
        self.post(&self.operator, &format!("/releases/{id}/publish"), &json!({})).await;
        id
    }

    /// A signed release of this content, published.
    pub async fn release(&self, version: &str, sequence: u64, content: &[u8]) -> String {
        self.release_of(version, sequence, &[("firmware.bin", "raw", content)]).await
    }

    /// The same of these files, each with its name and format.
    pub async fn release_of(&self, version: &str, sequence: u64, files: &[(&str, &str, &[u8])]) -> String {
        let mut uploads = Vec::new();
        for (name, _, content) in files {
            uploads.push(self.upload(name, content).await);
        }
        uploads.push(self.upload("update.manifest.json", &self.manifest_of(version, sequence, files)).await);
        self.publish(&json!(uploads)).await
    }

    /// Drafts a rollout in two stages, has it refused to its author, and approved by somebody else.
    pub async fn approved_rollout(&self, release: &str) -> String {
        let gate = json!({ "success_percent": 90.0, "error_percent": 20.0, "min_sample": 2, "max_errors": 0 });
        let stage = |name: &str, percent: f64| json!({ "name": name, "reach": { "percent": percent }, "soak_s": 1, "gate": gate });
        let spec = json!({ "name": "Gateway", "release": release, "stages": [stage("Canary", 33.0), stage("Everyone", 100.0)], "timeout_min": 5, "reason": "test" });
        self.approved(&spec).await
    }

    /// The same with this plan.
    pub async fn approved(&self, spec: &Value) -> String {
        let drafted = self.post(&self.operator, "/rollouts", spec).await;
        let id = drafted["row"]["id"].as_str().unwrap().to_owned();
        self.post(&self.operator, &format!("/rollouts/{id}/submit"), &json!({})).await;
        let waiting = self.get(&format!("/rollouts/{id}")).await;
        assert_eq!(waiting["row"]["state"], "waiting_for_approval");
        let decision = json!({ "digest": waiting["digest"], "remark": "looked at the canaries" });
        let path = format!("/rollouts/{id}/approve");
        let (status, refused) = self.call(&self.operator, reqwest::Method::POST, &path, &decision).await;
        assert_eq!(status, 403, "the author can't approve: {refused}");
        let stale = json!({ "digest": "0".repeat(64), "remark": "of something else" });
        assert_eq!(self.call(&self.admin, reqwest::Method::POST, &path, &stale).await.0, 409, "another digest");
        self.post(&self.admin, &path, &decision).await;
        id
    }

    /// Waits until a rollout has ended like this; that it ended otherwise is told at once.
    pub async fn rollout_ends(&self, id: &str, wanted: &str) -> Value {
        let path = format!("/rollouts/{id}");
        eventually(&format!("the rollout is {wanted}"), Duration::from_secs(90), || async {
            let now = self.get(&path).await;
            let state = now["row"]["state"].as_str().unwrap_or_default().to_owned();
            assert!(state == wanted || !matches!(state.as_str(), "completed" | "halted" | "stopped" | "rejected"), "{now:#}");
            state == wanted
        })
        .await;
        self.get(&path).await
    }
}
