//! Signed releases with the real agent over real TLS: as many keys as are asked for, keys that follow on one another, and offers that are meant for one
//! device (U-1, U-2).

use crate::{
    journey::simulated,
    rest::Rest,
    support::{TestServer, eventually},
};
use agent::{
    clock,
    identity::Store,
    simulate::{Config, Fleet},
    update::{
        assignment::{self, Problem},
        keys::TrustedKeys,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::{
    db::EngineKind,
    entropy::SeededEntropy,
    releases::{manifest::written, signing::SigningKeyPair},
};
use rstest::rstest;
use serde_json::{Value, json};
use std::time::Duration;
use wire::{
    Timestamp,
    device::Offer,
    devices::DeviceQuery,
    manifest::Envelope,
    signing::{Assignment, KEY_SET_TYPE, KeySet, ListedKey, Thresholds},
};

const TYPE: &str = "gateway";

fn key(seed: u64) -> SigningKeyPair {
    SigningKeyPair::generate(&SeededEntropy::new(seed)).unwrap()
}

/// A server, and two devices that ask for so many signatures by the organization's first key or by `key(2)`.
struct Rig {
    server: TestServer,
    rest: Rest,
    devices: Fleet,
    state: tempfile::TempDir,
}

impl Rig {
    /// Devices that don't say which keys they trust: they are offered everything, and look themselves.
    async fn start(kind: EngineKind, threshold: u32) -> Self {
        Self::with(kind, threshold, false).await
    }

    /// The same, whose devices may say which keys they trust.
    async fn with(kind: EngineKind, threshold: u32, says_keys: bool) -> Self {
        let server = TestServer::start(kind).await;
        let rest = Rest::of(&server, TYPE).await;
        server.running.fleet.releases().add_key(&server.system(), "second", &key(2).public_pem()).await.unwrap();
        let mut keys = TrustedKeys::none().with_threshold(threshold);
        keys.add(rest.key.public());
        keys.add(key(2).public());
        let (devices, state) = simulated(&server, TYPE, 2, |config| Config {
            keys,
            says_keys,
            interval: Duration::from_millis(500),
            pace: Duration::from_millis(100),
            ..config
        })
        .await;
        Self { server, rest, devices, state }
    }

    /// A release of this content signed by the first key alone.
    async fn uploaded(&self, version: &str, sequence: u64, envelope: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Value {
        let content = version.as_bytes().repeat(5_000);
        let signed = envelope(self.rest.manifest(version, sequence, &content));
        let uploads = json!([self.rest.upload("firmware.bin", &content).await, self.rest.upload("update.manifest.json", &signed).await]);
        self.rest.post(&self.rest.operator, "/releases", &json!({ "uploads": uploads })).await
    }

    async fn publish(&self, release: &Value) -> String {
        let id = release["row"]["id"].as_str().unwrap().to_owned();
        self.rest.post(&self.rest.operator, &format!("/releases/{id}/publish"), &json!({})).await;
        id
    }

    async fn run(&self, version: &str) {
        let (fleet, system) = (&self.server.running.fleet, self.server.system());
        let query = DeviceQuery { q: format!("version:{version}"), ..DeviceQuery::default() };
        eventually(&format!("both run {version}"), Duration::from_mins(1), || async {
            fleet.devices().list(&system, &query).await.unwrap().total == 2
        })
        .await;
    }

    /// The code of the newest report of a device.
    async fn said(&self, device: &str) -> String {
        let found = self.server.running.fleet.device(&self.server.system(), &device.parse().unwrap()).await.unwrap();
        found.updates.first().map(|u| u.detail.clone()).unwrap_or_default()
    }

    fn file(&self, device: &str, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.state.path().join(device).join(name)).unwrap()).unwrap()
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
async fn u_1_a_release_waits_for_its_second_signature_and_is_installed_with_it(#[case] kind: EngineKind) {
    let rig = Rig::start(kind, 2).await;
    let (releases, system) = (rig.server.running.fleet.releases(), rig.server.system());
    let two = Thresholds { threshold: 2, device_types: Vec::new() };
    releases.set_thresholds(&system, two).await.unwrap();
    let release = rig.uploaded("1.1.0", 2, |signed| signed).await;
    assert_eq!(release["row"]["state"], "draft");
    assert!(release["row"]["quarantine"].as_str().unwrap().starts_with("1 of 2 signatures"), "{release:#}");
    let id = release["row"]["id"].as_str().unwrap();
    let manifest = rig.rest.request(reqwest::Method::GET, &format!("/releases/{id}/manifest")).send().await.unwrap();
    let envelope: Envelope = manifest.json().await.unwrap();
    let payload = STANDARD.decode(&envelope.payload).unwrap();
    let signature = serde_json::to_value(key(2).signature(&envelope.payload_type, &payload).unwrap()).unwrap();
    let signed = rig.rest.post(&rig.rest.operator, &format!("/releases/{id}/signatures"), &signature).await;
    assert_eq!((&signed["row"]["state"], &signed["signatures"]["have"]), (&json!("verified"), &json!(2)), "{signed:#}");
    let published = rig.publish(&signed).await;
    let rollout = rig.rest.approved_rollout(&published).await;
    let ended = rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(ended["row"]["counts"]["succeeded"], 2, "{ended:#}");
    rig.run("1.1.0").await;
    // Each had an assignment of its own, and will never do without again.
    let counter = |device: &str| rig.file(device, "updates.json")["assigned"]["counter"].as_u64();
    assert!(counter("sim-0001") > Some(0) && counter("sim-0002") > Some(0));
    assert_ne!(rig.file("sim-0001", "updates.json")["assigned"]["sha256"], rig.file("sim-0002", "updates.json")["assigned"]["sha256"]);
    rig.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u_1_a_server_that_asks_for_less_than_the_devices_installs_nothing(#[case] kind: EngineKind) {
    let rig = Rig::start(kind, 2).await;
    let release = rig.uploaded("1.1.0", 2, |signed| signed).await;
    assert_eq!(release["row"]["state"], "verified", "one is enough for this server");
    let rollout = rig.rest.approved_rollout(&rig.publish(&release).await).await;
    let halted = rig.rest.rollout_ends(&rollout, "halted").await;
    assert_eq!(halted["row"]["counts"]["succeeded"], 0, "{halted:#}");
    assert!(rig.said("sim-0001").await.contains("1 of 2 signatures") || rig.said("sim-0002").await.contains("1 of 2 signatures"));
    rig.run("1.0.0").await;
    rig.stop().await;
}

/// Devices that say which keys they trust are offered nothing that too few of these have signed, and it once enough have.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u_1_devices_that_say_whom_they_trust_are_spared_what_they_would_refuse(#[case] kind: EngineKind) {
    let rig = Rig::with(kind, 2, true).await;
    let release = rig.uploaded("1.1.0", 2, |signed| signed).await;
    let id = rig.publish(&release).await;
    let stage = json!({ "name": "All", "reach": { "percent": 100.0 } });
    let spec = json!({ "name": "All", "release": id, "stages": [stage], "timeout_min": 5, "reason": "test" });
    let preview = async || rig.rest.post(&rig.rest.operator, "/rollouts/preview", &spec).await;
    let left_out = json!([{ "reason": "trusts too few of the keys that have signed 1.1.0", "devices": 2 }]);
    eventually("both are left out", Duration::from_secs(30), || async { preview().await["excluded"] == left_out }).await;
    let manifest = rig.rest.request(reqwest::Method::GET, &format!("/releases/{id}/manifest")).send().await.unwrap();
    let envelope: Envelope = manifest.json().await.unwrap();
    let payload = STANDARD.decode(&envelope.payload).unwrap();
    let signature = serde_json::to_value(key(2).signature(&envelope.payload_type, &payload).unwrap()).unwrap();
    rig.rest.post(&rig.rest.operator, &format!("/releases/{id}/signatures"), &signature).await;
    assert_eq!(preview().await["total"], 2);
    let rollout = rig.rest.approved_rollout(&id).await;
    let ended = rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(ended["row"]["counts"]["succeeded"], 2, "{ended:#}");
    rig.run("1.1.0").await;
    rig.stop().await;
}

/// A key set of these keys, signed by those.
fn key_set(version: u64, of: &[&SigningKeyPair], by: &[&SigningKeyPair]) -> Vec<u8> {
    let keys = of.iter().map(|k| ListedKey { name: k.keyid()[..8].to_owned(), public: hex::encode(k.public()) }).collect();
    let set = KeySet {
        schema: 1,
        version,
        created: Timestamp(0),
        expires: None,
        keys,
        thresholds: Thresholds { threshold: 2, device_types: Vec::new() },
    };
    let payload = serde_json::to_vec(&set).unwrap();
    let signatures = by.iter().map(|k| k.signature(KEY_SET_TYPE, &payload).unwrap()).collect();
    written(&Envelope { payload_type: KEY_SET_TYPE.into(), payload: STANDARD.encode(&payload), signatures }).unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u_1_devices_follow_two_key_sets_to_keys_they_never_had(#[case] kind: EngineKind) {
    let rig = Rig::start(kind, 1).await;
    let (releases, system) = (rig.server.running.fleet.releases(), rig.server.system());
    let (first, second, third, fourth) = (&rig.rest.key, &key(2), &key(3), &key(4));
    releases.publish_key_set(&system, &key_set(1, &[first, second], &[first, second])).await.unwrap();
    releases.publish_key_set(&system, &key_set(2, &[third, fourth], &[first, second, third, fourth])).await.unwrap();
    let old = rig.uploaded("1.0.5", 2, |signed| signed).await;
    assert_eq!(old["row"]["state"], "draft", "the first key is over: {old:#}");
    let by_new = |signed: Vec<u8>| {
        let described: Envelope = serde_json::from_slice(&signed).unwrap();
        let bare = Envelope { signatures: Vec::new(), ..described };
        written(&fourth.countersign(&third.countersign(&bare).unwrap()).unwrap()).unwrap()
    };
    let release = rig.uploaded("1.1.0", 2, by_new).await;
    let rollout = rig.rest.approved_rollout(&rig.publish(&release).await).await;
    let ended = rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(ended["row"]["counts"]["succeeded"], 2, "{ended:#}");
    assert_eq!(rig.file("sim-0001", "keys.json")["set"]["version"], 2);
    rig.run("1.1.0").await;
    rig.stop().await;
}

/// What one device is offered by plain requests is of no use to another one, to another day, or with another manifest.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u_2_an_offer_is_good_for_its_device_and_its_day_only(#[case] kind: EngineKind) {
    let rig = Rig::start(kind, 1).await;
    rig.run("1.0.0").await;
    let (one, two) = (identity(&rig, "sim-0001"), identity(&rig, "sim-0002"));
    // From here on the devices themselves are silent, and their certificates are used by hand.
    rig.devices.stop().await;
    let content = b"1.1.0".repeat(5_000);
    let uploads = json!([
        rig.rest.upload("firmware.bin", &content).await,
        rig.rest.upload("update.manifest.json", &rig.rest.manifest("1.1.0", 2, &content)).await
    ]);
    let release = rig.rest.publish(&uploads).await;
    let spec = json!({ "name": "All", "release": release, "stages": [{ "name": "All", "reach": { "percent": 100.0 } }], "timeout_min": 5, "reason": "test" });
    rig.rest.approved(&spec).await;
    let asked = async |of: &agent::identity::Identity| of.client(clock::System::new()).unwrap().ask::<Offer>("/device/v1/update").await;
    eventually("both are offered it", Duration::from_secs(30), || async { asked(&one).await.is_ok() && asked(&two).await.is_ok() }).await;
    let (mine, theirs) = (asked(&one).await.unwrap(), asked(&two).await.unwrap());
    let now = rig.server.running.fleet.clock().now();
    assert_eq!((one.director().device_id.as_str(), one.director().keys.count()), ("sim-0001", 1), "learned at enrolment");
    let seen = assignment::judge(&mine, one.director(), None, now).unwrap().unwrap();
    assert_eq!(assignment::judge(&asked(&one).await.unwrap(), one.director(), Some(&seen), now), Ok(Some(seen.clone())), "asked again");
    let refused = |offer: &Offer, at: Timestamp| match assignment::judge(offer, one.director(), Some(&seen), at) {
        Err(Problem::Stale(r) | Problem::Wrong(r)) => r.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&theirs, now), "assignment_of_another");
    assert_eq!(refused(&Offer { assignment: theirs.assignment.clone(), ..mine.clone() }, now), "assignment_of_another");
    assert_eq!(refused(&mine, now.plus(24 * 3_600_000)), "assignment_expired");
    assert_eq!(refused(&Offer { assignment: None, ..mine.clone() }, now), "assignment_missing");
    let other = Envelope { payload: STANDARD.encode(b"{}"), ..mine.envelope.clone() };
    assert_eq!(refused(&Offer { envelope: other, ..mine.clone() }, now), "assignment_of_another");
    let payload = STANDARD.decode(mine.assignment.unwrap().payload).unwrap();
    let said: Assignment = serde_json::from_slice(&payload).unwrap();
    assert_eq!((said.device_id.as_str(), said.update_id, said.rollout_id), ("sim-0001", mine.update_id, mine.rollout_id));
    assert!(said.expires.since(said.issued) <= wire::signing::MAX_ASSIGNMENT_MS);
    rig.server.stop().await;
}

fn identity(rig: &Rig, device: &str) -> agent::identity::Identity {
    Store::open(rig.state.path().join(device)).unwrap().load().unwrap().unwrap()
}
