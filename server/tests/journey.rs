//! The whole way over real TLS with the real agent: enrolled, streaming, updated in stages, and stopped by the gate when the release is bad.

use crate::support::{TestServer, eventually};
use agent::{
    clock,
    simulate::{Config, Fleet},
    tls::Trust,
    update::keys::TrustedKeys,
};
use fleet::{
    clock::Clock as _,
    db::EngineKind,
    entropy::OsEntropy,
    releases::signing::{SigningKeyPair, payload},
};
use rstest::rstest;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use wire::{
    devices::DeviceQuery,
    enrolment::{CreatedEnrolmentToken, EnrolRequest, NewEnrolmentToken},
    manifest::{Manifest, SCHEMA},
    states::Role,
};

const TYPE: &str = "gateway";

/// A token for devices whose name fits.
pub async fn enrolment_token(server: &TestServer, pattern: &str, device_type: &str, uses: i64) -> CreatedEnrolmentToken {
    let new = NewEnrolmentToken {
        label: format!("for {pattern}"),
        pattern: pattern.into(),
        device_type: device_type.into(),
        tags: vec!["eu".into()],
        max_uses: uses,
        hours: 1,
    };
    server.running.fleet.devices().create_enrolment_token(&server.system(), new).await.unwrap()
}

/// Enrols a device through the core, for tests that need one to be there and nothing more.
pub async fn enrol(server: &TestServer, device_id: &str, device_type: &str) {
    let token = enrolment_token(server, device_id, device_type, 1).await;
    let request = EnrolRequest {
        csr: fleet::testing::csr(device_id),
        device_id: Some(device_id.into()),
        device_type: device_type.into(),
        hardware: "A".into(),
        attributes: BTreeMap::default(),
    };
    let attempt = fleet::devices::Attempt { secret: &token.secret, request: &request, address: "127.0.0.1" };
    server.running.fleet.devices().enrol(attempt).await.unwrap();
}

/// A server with a signing key, simulated devices that trust it, and two people's tokens.
struct Rig {
    server: TestServer,
    key: SigningKeyPair,
    devices: Fleet,
    operator: String,
    admin: String,
    _state: tempfile::TempDir,
}

impl Rig {
    async fn start(kind: EngineKind, count: usize) -> Self {
        let server = TestServer::start(kind).await;
        let key = SigningKeyPair::generate(&OsEntropy).unwrap();
        server.running.fleet.releases().add_key(&server.system(), "builds", &key.public_pem()).await.unwrap();
        let token = enrolment_token(&server, "sim-*", TYPE, i64::try_from(count).unwrap()).await;
        let root = server.running.fleet.pki().root_fingerprint().parse().unwrap();
        let state = tempfile::tempdir().unwrap();
        let enrol_url = format!("https://127.0.0.1:{}", server.running.enrol_addr.port());
        let mut keys = TrustedKeys::none();
        keys.add(key.public());
        let config = Config {
            device_type: TYPE.into(),
            keys,
            interval: Duration::from_millis(200),
            pace: Duration::from_millis(200),
            flaky: 1,
            cut_every: Duration::from_secs(5),
            ..Config::new(enrol_url, token.secret, Trust::Pinned(root), state.path(), count)
        };
        let devices = Fleet::start(config, clock::System::new()).await.unwrap();
        let (operator, admin) = (server.token("oli", Role::Operator).await, server.token("ada", Role::Admin).await);
        Self { server, key, devices, operator, admin, _state: state }
    }

    async fn call(&self, token: &str, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
        let url = self.server.url(&format!("/api/v1{path}"));
        let answer = self.server.http.request(method, url).bearer_auth(token).json(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    async fn post(&self, token: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(token, reqwest::Method::POST, path, body).await;
        assert!((200..300).contains(&status), "POST {path}: {status} {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(&self.operator, reqwest::Method::GET, path, &Value::Null).await;
        assert_eq!(status, 200, "GET {path}: {answer}");
        answer
    }

    /// Uploads a file in two pieces, as after a cut.
    async fn upload(&self, name: &str, bytes: &[u8]) -> Value {
        let upload = self.post(&self.operator, "/uploads", &json!({ "name": name, "size": bytes.len() })).await;
        let id = upload["id"].as_str().unwrap().to_owned();
        let half = bytes.len() / 2;
        for (offset, part) in [(0, &bytes[..half]), (half, &bytes[half..])] {
            let url = self.server.url(&format!("/api/v1/uploads/{id}?offset={offset}"));
            let sent = self
                .server
                .http
                .put(url)
                .bearer_auth(&self.operator)
                .header("content-type", "application/octet-stream")
                .body(part.to_vec())
                .send();
            let answer = sent.await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        }
        json!(id)
    }

    /// A signed release of this content, published.
    async fn release(&self, version: &str, sequence: u64, content: &[u8]) -> String {
        let manifest = Manifest {
            schema: SCHEMA,
            device_type: TYPE.into(),
            hardware: Vec::new(),
            version: version.into(),
            sequence,
            min_sequence: 0,
            payloads: vec![payload("firmware.bin", "raw", &mut &*content).unwrap()],
            created: fleet::clock::SystemClock.now(),
            expires: None,
            notes: "test".into(),
        };
        let envelope = self.key.sign(&manifest).unwrap();
        let uploads = json!([self.upload("firmware.bin", content).await, self.upload("firmware.manifest.json", &envelope).await]);
        let release = self.post(&self.operator, "/releases", &json!({ "uploads": uploads })).await;
        assert_eq!(release["row"]["quarantine"], "", "{release}");
        let id = release["row"]["id"].as_str().unwrap().to_owned();
        self.post(&self.operator, &format!("/releases/{id}/publish"), &json!({})).await;
        id
    }

    /// Drafts a rollout in two stages, has it refused to its author, and approved by somebody else.
    async fn approved_rollout(&self, release: &str) -> String {
        let gate = json!({ "success_percent": 90.0, "error_percent": 20.0, "min_sample": 2, "max_errors": 0 });
        let stage = |name: &str, percent: f64| json!({ "name": name, "reach": { "percent": percent }, "soak_s": 1, "gate": gate });
        let spec = json!({ "name": "Gateway", "release": release, "stages": [stage("Canary", 33.0), stage("Everyone", 100.0)], "timeout_min": 5, "reason": "test" });
        let drafted = self.post(&self.operator, "/rollouts", &spec).await;
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

    async fn rollout_ends(&self, id: &str, wanted: &str) -> Value {
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

    async fn stop(self) {
        self.devices.stop().await;
        self.server.stop().await;
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn six_devices_stream_and_update_in_two_stages(#[case] kind: EngineKind) {
    let rig = Rig::start(kind, 6).await;
    let fleet = rig.server.running.fleet.clone();
    let system = rig.server.system();
    let list = DeviceQuery { q: "online:yes type:gateway".into(), ..DeviceQuery::default() };
    eventually("all six are connected", Duration::from_secs(30), || async {
        fleet.devices().list(&system, &list).await.unwrap().total == 6
    })
    .await;
    let one = fleet.devices().find(&system, &"sim-0003".parse().unwrap()).await.unwrap();
    eventually("samples are there", Duration::from_secs(30), || async {
        !fleet.telemetry().latest(&system.org, one).await.unwrap().is_empty()
    })
    .await;

    let release = rig.release("1.1.0", 2, &vec![7; 300_000]).await;
    let rollout = rig.approved_rollout(&release).await;
    let ended = rig.rollout_ends(&rollout, "completed").await;
    assert_eq!(ended["row"]["counts"]["succeeded"], 6, "{ended:#}");
    assert_eq!(ended["stages"].as_array().unwrap().len(), 2);
    assert!(ended["stages"].as_array().unwrap().iter().all(|s| s["state"] == "succeeded"), "{ended:#}");
    assert_eq!(ended["stages"][0]["counts"]["total"], 2, "33 % of six, rounded up: {ended:#}");

    let updated = DeviceQuery { q: "version:1.1.0".into(), ..DeviceQuery::default() };
    eventually("all six say so themselves", Duration::from_secs(30), || async {
        fleet.devices().list(&system, &updated).await.unwrap().total == 6
    })
    .await;
    let verified = fleet.access().verify_audit(&system.org).await.unwrap();
    assert_eq!(verified.broken_at, None);
    rig.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_release_that_does_not_boot_is_stopped_in_its_first_stage(#[case] kind: EngineKind) {
    let rig = Rig::start(kind, 6).await;
    let mut content = b"fleetward-sim fail_boot=1\n".to_vec();
    content.resize(100_000, 1);
    let release = rig.release("1.1.0", 2, &content).await;
    let rollout = rig.approved_rollout(&release).await;
    let halted = rig.rollout_ends(&rollout, "halted").await;
    let counts = &halted["row"]["counts"];
    assert_eq!((&counts["reverted"], &counts["succeeded"]), (&json!(2), &json!(0)), "{halted:#}");
    assert_eq!(counts["waiting"], 4, "nobody else got it");
    let verdict = halted["stages"][0]["verdict"]["text"].as_str().unwrap();
    assert!(verdict.contains('2') && verdict.contains('%'), "the verdict says its numbers: {verdict}");
    // They went back by themselves, and still run what they ran before.
    let old = DeviceQuery { q: "version:1.0.0".into(), ..DeviceQuery::default() };
    let (fleet, system) = (rig.server.running.fleet.clone(), rig.server.system());
    eventually("all six run the old version", Duration::from_secs(30), || async {
        fleet.devices().list(&system, &old).await.unwrap().total == 6
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.get(&format!("/rollouts/{rollout}")).await["row"]["counts"]["waiting"], 4, "nor later");
    rig.stop().await;
}
