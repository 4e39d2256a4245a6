//! Target and gateway tokens: devices without a certificate on the enrol listener, and what a shared secret may never do.

use super::{Device, Rig};
use fleet::db::EngineKind;
use reqwest::{
    Certificate, Client, Method,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use rstest::rstest;
use serde_json::{Value, json};
use std::time::Duration;

impl Rig {
    /// A client that has nothing but this secret.
    pub fn with_secret(&self, name: &str, authorization: &str) -> Device {
        let mut secret = HeaderValue::from_str(authorization).unwrap();
        secret.set_sensitive(true);
        let http = Client::builder()
            .tls_certs_only([Certificate::from_pem(self.stock.read("root.pem").as_bytes()).unwrap()])
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, secret)]))
            .http1_only()
            .timeout(Duration::from_secs(30));
        Device { http: http.build().unwrap(), base: format!("{}/DEFAULT/controller/v1/{name}", self.stock.enrol) }
    }

    /// The administrator's switch.
    pub async fn take_tokens(&self, newcomers: bool) {
        let wanted = json!({ "tokens": true, "newcomers": newcomers });
        self.as_admin(Method::PUT, "/shared-secret-settings", &wanted).await;
    }

    async fn as_admin(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self.server.http.request(method, self.server.url(&format!("/api/v1{path}"))).bearer_auth(&self.admin);
        let answer = request.json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        answer.json().await.unwrap_or(Value::Null)
    }

    /// A client with a new target token of this device.
    pub async fn target(&self, name: &str) -> Device {
        self.with_secret(name, &format!("TargetToken {}", self.target_secret(name).await))
    }

    /// A new target token of this device.
    pub async fn target_secret(&self, name: &str) -> String {
        let path = format!("/devices/{name}/target-token");
        let made = self.rest.post(&self.rest.operator, &path, &json!({ "device_type": "gateway" })).await;
        made["secret"].as_str().unwrap().to_owned()
    }

    /// A new gateway token's id and secret.
    async fn gateway(&self) -> (String, String) {
        let made = self.as_admin(Method::POST, "/gateway-tokens", &json!({ "label": "Hall 3", "device_type": "gateway" })).await;
        (made["token"]["id"].as_str().unwrap().to_owned(), format!("GatewayToken {}", made["secret"].as_str().unwrap()))
    }

    async fn state(&self, name: &str) -> Value {
        self.rest.get(&format!("/devices/{name}")).await["row"]["state"].clone()
    }

    async fn life(&self, name: &str, step: &str) {
        self.rest.post(&self.rest.operator, &format!("/devices/{name}/life"), &json!({ "step": step })).await;
    }

    async fn audited(&self, action: &str) -> usize {
        let log = self.server.running.fleet.access().audit_page(&self.server.system(), None).await.unwrap();
        log.entries.items.iter().filter(|entry| entry.action == action).count()
    }

    /// Under which request the newest row of this action stands in the books.
    async fn request_of(&self, action: &str) -> String {
        let log = self.server.running.fleet.access().search_audit(&self.server.system(), action, None).await.unwrap();
        let detail: Value = serde_json::from_str(&log.entries.items[0].detail).unwrap();
        detail["request"].as_str().unwrap_or_default().to_owned()
    }
}

/// Status and code of a poll.
async fn refused(device: &Device) -> (u16, String) {
    let answer = device.get(&device.base).await;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_target_token_takes_one_device_through_an_update(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.target("gw-1").await;
    assert_eq!(refused(&device).await, is(401, "tokens_off"), "off until an administrator says otherwise");
    rig.take_tokens(false).await;
    assert_eq!(rig.state("gw-1").await, "preregistered");
    device.link("configData").await;
    assert_eq!(rig.state("gw-1").await, "active", "a person has named it");
    assert_eq!(rig.audited("device.admit").await, 1);
    assert_eq!(rig.request_of("device.admit").await.len(), 36, "K-8: under an id of ours");
    let put = device.http.put(format!("{}/configData", device.base)).json(&json!({ "data": { "site": "hall-3" } })).send().await.unwrap();
    assert_eq!(put.status(), 200);

    let firmware = vec![7; 40_000];
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &firmware).await).await;
    let action = device.link("deploymentBase").await;
    let bytes = device.get(&device.file(&action).await).await.bytes().await.unwrap();
    assert_eq!(bytes, firmware);
    assert_eq!(device.say(&action, "closed", "success", &["done"]).await, 200);
    rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(rig.rest.get("/devices/gw-1").await["attributes"]["site"], "hall-3");

    // Another's address, its own in other letters, the scheme in other letters, another's secret.
    let other = rig.target("gw-2").await;
    for base in [&other.base, &device.base.replace("gw-1", "GW-1"), &device.base.replace("/DEFAULT/", "/other/")] {
        assert_eq!(device.get(base).await.status(), 401, "{base}");
    }
    assert_eq!(rig.state("gw-2").await, "preregistered", "nothing has happened to it");
    assert_eq!(other.http.get(&other.base).header("x-request-id", "poll-2").send().await.unwrap().status(), 200);
    assert_eq!(rig.request_of("device.admit").await, "poll-2", "K-8: under its own");
    assert_eq!(refused(&rig.with_secret("gw-1", "targettoken ftt_x")).await, is(401, "no_token"));

    // A new one ends the old one; without one nobody speaks.
    let renewed = rig.target("gw-1").await;
    assert_eq!(refused(&device).await, is(401, "bad_token"));
    renewed.poll().await;
    let gone = rig.rest.request(Method::DELETE, "/devices/gw-1/target-token").send().await.unwrap();
    assert_eq!(gone.status(), 204);
    assert_eq!(refused(&renewed).await, is(401, "bad_token"));
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_certificate_is_never_spoken_for(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    rig.take_tokens(true).await;
    let (_, gateway) = rig.gateway().await;
    let named = rig.target("gw-1").await;
    named.poll().await;
    // It gets a certificate: the secrets count no more, and none is made.
    rig.device("gw-1").await;
    let by_gateway = rig.with_secret("gw-1", &gateway);
    for device in [&named, &by_gateway] {
        assert_eq!(refused(device).await, is(403, "certificate_stands"));
    }
    let asked = rig.rest.request(Method::POST, "/devices/gw-1/target-token").json(&json!({})).send().await.unwrap();
    assert_eq!(asked.status(), 403);
    assert_eq!(rig.audited("target_token.refuse").await, 1);
    assert_eq!(rig.audited("gateway_token.refuse").await, 0, "one entry an hour for each device");

    // Revoked, it is not let back in by a secret from before, nor by any gateway; by a new one that a person makes it is.
    let id = rig.rest.get("/devices/gw-1").await["certificates"][0]["id"].as_str().unwrap().to_owned();
    rig.rest.post(&rig.rest.operator, &format!("/certificates/{id}/revoke"), &json!({ "reason": "key_compromise" })).await;
    for device in [&named, &by_gateway] {
        assert_eq!(refused(device).await, is(403, "certificate_revoked"));
    }
    rig.clock.advance(1000);
    assert_eq!(rig.audited("device.readmit").await, 0);
    let anew = rig.target("gw-1").await;
    anew.poll().await;
    assert_eq!(rig.audited("device.readmit").await, 1, "that is in the books");
    rig.life("gw-1", "suspend").await;
    assert_eq!(refused(&anew).await, is(403, "device_not_active"));
    rig.life("gw-1", "resume").await;
    anew.poll().await;
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_speaks_for_many_and_lets_nobody_in(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    rig.take_tokens(false).await;
    let (id, gateway) = rig.gateway().await;
    let (one, two) = (rig.with_secret("gw-1", &gateway), rig.with_secret("gw-2", &gateway));
    assert_eq!(refused(&one).await, is(403, "unknown_device"));
    rig.take_tokens(true).await;
    for device in [&one, &two] {
        assert!(device.poll().await["deploymentBase"].is_null());
    }
    one.tells(json!({ "site": "hall-3" })).await;
    assert_eq!(one.poll().await, json!({}), "what it is it may say before anybody lets it in, and is asked no more");
    assert_eq!((rig.state("gw-1").await, rig.audited("device.announce").await), (json!("pending"), 2));
    // A rollout is for somebody.
    rig.device("gw-9").await;
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    assert!(one.poll().await["deploymentBase"].is_null(), "it waits for a person");
    assert_eq!(one.get(&format!("{}/deploymentBase/1001", one.base)).await.status(), 403);
    assert_eq!(rig.part(&rollout, "gw-1").await, Value::Null);

    rig.life("gw-1", "admit").await;
    let action = one.link("deploymentBase").await;
    assert!(two.poll().await["deploymentBase"].is_null());
    // Neither finds what is the other's.
    assert_eq!(two.get(&action.replace("gw-1", "gw-2")).await.status(), 403);
    one.fetch(&action).await;
    assert_eq!(one.say(&action, "closed", "success", &[]).await, 200);
    let used = rig.rest.get("/gateway-tokens").await["items"][0]["last_used_at"].clone();
    assert!(!used.is_null());

    // A person's own name for a device is not taken by a gateway: it waits, too.
    rig.rest.post(&rig.rest.operator, "/devices/gw-3/target-token", &json!({})).await;
    let three = rig.with_secret("gw-3", &gateway);
    three.poll().await;
    assert_eq!(rig.state("gw-3").await, "pending");

    rig.as_admin(Method::DELETE, &format!("/gateway-tokens/{id}"), &Value::Null).await;
    assert_eq!(refused(&one).await, is(401, "bad_token"));
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn wrong_secrets_are_counted_and_right_ones_pass(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    rig.take_tokens(false).await;
    let right = rig.target("gw-1").await;
    let guess = rig.with_secret("gw-1", &format!("TargetToken ftt_{}_{}", "0".repeat(32), "a".repeat(43)));
    for _ in 0..10 {
        assert_eq!(refused(&guess).await, is(401, "bad_token"));
    }
    let last = guess.get(&guess.base).await;
    assert_eq!((last.status().as_u16(), last.headers().get("retry-after").is_some()), (429, true));
    right.poll().await;
    rig.pass(1).await;
    assert_eq!(refused(&guess).await, is(401, "bad_token"));
    rig.server.stop().await;
}
