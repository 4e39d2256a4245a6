//! hawkBit's DDI over real mutual TLS: what its clients demand of a server, by an HTTP client that says what they say.

mod cancel;
mod confirmation;
mod course;
mod hawkbit_crate;
mod imported;
mod proving;
mod refusals;
mod rules;
mod silence;
mod swupdate;
mod tags;
mod tokens;
mod windows;

use crate::{journey::enrolment_token, rest::Rest, stock::Stock, support::TestServer};
use fleet::{
    clock::{Clock as _, ManualClock, SystemClock},
    db::EngineKind,
};
use reqwest::{Certificate, Client, Identity, Response};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use wire::states::Role;

/// A server, the people who roll out, and one device that knows only hawkBit's protocol.
pub struct Rig {
    pub server: TestServer,
    pub rest: Rest,
    pub stock: Stock,
    admin: String,
    clock: Arc<ManualClock>,
}

/// A device's side: its certificate, and its own address.
pub struct Device {
    pub http: Client,
    pub base: String,
}

impl Rig {
    pub async fn start(kind: EngineKind) -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let server = TestServer::start_by(kind, clock.clone(), |config| config).await;
        let (rest, stock) = (Rest::of(&server, "gateway").await, Stock::of(&server));
        let admin = server.token("eve", Role::Admin).await;
        Self { server, rest, stock, admin, clock }
    }

    /// Enrols a device; its certificate and key are `{name}.pem` and `{name}.key`.
    pub async fn device(&self, name: &str) -> Device {
        let token = enrolment_token(&self.server, name, "gateway", 1).await.secret;
        self.stock.request(name, &format!("/CN={name}")).await;
        let issued = self.stock.est("simpleenroll", &token, &format!("{name}.b64"), &[]).await;
        assert_eq!(self.stock.unpack(&issued, &format!("{name}.pem")).await, 1, "{issued:?}");
        let pem = format!("{}{}", self.stock.read(&format!("{name}.pem")), self.stock.read(&format!("{name}.key")));
        let http = Client::builder()
            .tls_certs_only([Certificate::from_pem(self.stock.read("root.pem").as_bytes()).unwrap()])
            .identity(Identity::from_pem(pem.as_bytes()).unwrap())
            .http1_only()
            .timeout(Duration::from_secs(30));
        Device { http: http.build().unwrap(), base: format!("{}/default/controller/v1/{name}", self.stock.device) }
    }

    /// Rolls a release out to everybody, in one stage.
    pub async fn roll_out(&self, release: &str) -> String {
        self.roll_out_with(release, json!({})).await
    }

    /// The same, with more fields of a plan.
    pub async fn roll_out_with(&self, release: &str, more: Value) -> String {
        let gate = json!({ "success_percent": 0.0, "error_percent": 100.0, "min_sample": 1, "max_errors": 0 });
        let stage = json!({ "name": "Everyone", "reach": { "percent": 100.0 }, "soak_s": 0, "gate": gate });
        let mut spec = json!({ "name": "Gateways", "release": release, "stages": [stage], "timeout_min": 60, "reason": "test" });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let drafted = self.rest.post(&self.rest.operator, "/rollouts", &spec).await;
        let id = drafted["row"]["id"].as_str().unwrap().to_owned();
        self.approve(&id).await;
        id
    }

    /// Sends a draft for approval, and lets another person approve it.
    async fn approve(&self, id: &str) {
        self.order(id, "submit").await;
        let digest = self.rest.get(&format!("/rollouts/{id}")).await["digest"].clone();
        self.rest.post(&self.admin, &format!("/rollouts/{id}/approve"), &json!({ "digest": digest, "reason": "fine" })).await;
    }

    /// Lets so many minutes pass, and what is due happen.
    pub async fn pass(&self, minutes: i64) {
        self.clock.advance(minutes * 60_000);
        self.server.running.fleet.rollouts().tick().await.unwrap();
    }

    pub async fn order(&self, rollout: &str, verb: &str) {
        self.rest.post(&self.rest.operator, &format!("/rollouts/{rollout}/{verb}"), &json!({})).await;
    }

    /// A device's part in the rollout, as people see it.
    pub async fn part(&self, rollout: &str, device: &str) -> Value {
        let parts = self.rest.get(&format!("/rollouts/{rollout}/updates")).await;
        parts["items"].as_array().unwrap().iter().find(|part| part["device_id"] == device).cloned().unwrap_or_default()
    }
}

impl Device {
    pub async fn get(&self, url: &str) -> Response {
        self.http.get(url).send().await.unwrap()
    }

    /// A document that must be there.
    pub async fn read(&self, url: &str) -> Value {
        let answer = self.get(url).await;
        assert_eq!(answer.status(), 200, "{url}: {answer:?}");
        let length = answer.headers().get("content-length").expect("small clients compare it").to_str().unwrap().parse::<usize>();
        let body = answer.bytes().await.unwrap();
        assert_eq!(length, Ok(body.len()));
        serde_json::from_slice(&body).unwrap()
    }

    /// What it finds when it polls.
    pub async fn poll(&self) -> Value {
        let base = self.read(&self.base).await;
        assert_eq!(base["config"]["polling"]["sleep"].as_str().map(str::len), Some(8), "{base}");
        let links = base["_links"].as_object().unwrap();
        assert!(links.values().all(|link| link["href"].as_str().unwrap().starts_with("https://")), "{base}");
        base["_links"].clone()
    }

    /// The address behind one of the links, which must be there.
    pub async fn link(&self, name: &str) -> String {
        let links = self.poll().await;
        links[name]["href"].as_str().unwrap_or_else(|| panic!("no {name} in {links}")).to_owned()
    }

    /// The address of the only file of a deployment.
    pub async fn file(&self, action: &str) -> String {
        let chunk = self.read(action).await["deployment"]["chunks"][0].clone();
        chunk["artifacts"][0]["_links"]["download"]["href"].as_str().unwrap_or_else(|| panic!("no file in {chunk}")).to_owned()
    }

    /// Fetches the only file of a deployment: its success counts at once.
    pub async fn fetch(&self, action: &str) {
        let answer = self.get(&self.file(action).await).await;
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap();
    }

    /// Posts this as it is; gives the status.
    pub async fn post(&self, url: &str, body: impl Into<reqwest::Body>) -> u16 {
        let answer = self.http.post(url).header("content-type", "application/json").header("charsets", "utf-8").body(body).send().await;
        answer.unwrap().status().as_u16()
    }

    /// Feedback as SWUpdate writes it.
    pub async fn say(&self, url: &str, execution: &str, finished: &str, details: &[&str]) -> u16 {
        let id: i64 = url.rsplit('/').next().unwrap().parse().unwrap();
        let result = json!({ "progress": { "cnt": 0, "of": 1 }, "finished": finished });
        let body =
            json!({ "id": id, "time": "20261122T043032", "status": { "result": result, "execution": execution, "details": details } });
        self.post(&format!("{url}/feedback"), body.to_string()).await
    }
}
