//! What is only fetched, by the native protocol over real TLS: a device's word counts for what it was sent, over however many connections, whole or as a
//! delta.

use crate::{
    journey::simulated,
    rest::Rest,
    support::{TestServer, eventually},
};
use agent::{
    clock,
    http::Client,
    identity::Store,
    simulate::{Config, Fleet},
    update::keys::TrustedKeys,
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use std::time::Duration;
use wire::{
    device::{Down, Offer, StatusReport},
    devices::DeviceQuery,
    states::UpdateState,
};

const TYPE: &str = "gateway";

/// A server for two devices that install what its people sign, and their folder.
struct Rig {
    server: TestServer,
    rest: Rest,
    state: tempfile::TempDir,
}

impl Rig {
    async fn start(kind: EngineKind) -> (Self, Fleet) {
        let server = TestServer::start(kind).await;
        let rest = Rest::of(&server, TYPE).await;
        let mut keys = TrustedKeys::none();
        keys.add(rest.key.public());
        let (devices, state) = simulated(&server, TYPE, 2, |config| Config {
            keys,
            interval: Duration::from_millis(500),
            pace: Duration::from_millis(200),
            flaky: 1,
            cut_every: Duration::from_secs(5),
            ..config
        })
        .await;
        let rig = Self { server, rest, state };
        rig.run("1.0.0").await;
        (rig, devices)
    }

    /// Waits until both run this version.
    async fn run(&self, version: &str) {
        let (fleet, system) = (self.server.running.fleet.clone(), self.server.system());
        let query = DeviceQuery { q: format!("version:{version}"), ..DeviceQuery::default() };
        eventually(&format!("both run {version}"), Duration::from_mins(1), || async {
            fleet.devices().list(&system, &query).await.unwrap().total == 2
        })
        .await;
    }

    /// A rollout to both at once that only has it fetched.
    async fn fetch(&self, release: &str) -> String {
        let stage = json!({ "name": "All", "reach": { "percent": 100.0 } });
        let spec =
            json!({ "name": "Fetch", "release": release, "stages": [stage], "timeout_min": 5, "reason": "test", "download_only": true });
        self.rest.approved(&spec).await
    }

    fn by_hand(&self, device: &str) -> Client {
        Store::open(self.state.path().join(device)).unwrap().load().unwrap().unwrap().client(clock::System::new()).unwrap()
    }
}

/// Says it, and gives the state that the server holds.
async fn say(device: &Client, offer: &Offer, state: UpdateState) -> UpdateState {
    let update_id = offer.update_id.clone();
    let report =
        StatusReport { update_id, state, progress: None, code: None, detail: None, firmware: None, deferred_until: None, slots: None };
    match device.post("/device/v1/status", None, &report).await.unwrap() {
        Down::StatusAck { state, .. } => state,
        other => panic!("{other:?}"),
    }
}

/// Fetches from this byte on, at least so many bytes of it, and then no more; gives how many came.
async fn get(device: &Client, path: &str, from: u64, least: u64) -> u64 {
    let mut download = device.get(path, from).await.unwrap();
    assert_eq!(download.from(), from);
    let mut got = 0;
    while got < least
        && let Some(piece) = download.piece().await.unwrap()
    {
        got += piece.len() as u64;
    }
    got
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_has_fetched_what_it_was_sent_and_nothing_else(#[case] kind: EngineKind) {
    let (rig, devices) = Rig::start(kind).await;
    // The agent, which one of the devices has its download cut of.
    let rollout = rig.fetch(&rig.rest.release("1.1.0", 2, &vec![7; 300_000]).await).await;
    let ended = rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(ended["row"]["counts"]["succeeded"], 2, "{ended:#}");
    rig.run("1.0.0").await;

    // From here on the devices are silent, and their certificates are used by hand.
    let (liar, patient) = (rig.by_hand("sim-0001"), rig.by_hand("sim-0002"));
    devices.stop().await;
    let size = 5 << 20;
    let rollout = rig.fetch(&rig.rest.release("1.2.0", 3, &vec![8; size]).await).await;
    let asked = async |of: &Client| of.ask::<Offer>("/device/v1/update").await;
    eventually("both are offered it", Duration::from_secs(30), || async { asked(&liar).await.is_ok() && asked(&patient).await.is_ok() })
        .await;
    let (offer, other) = (asked(&patient).await.unwrap(), asked(&liar).await.unwrap());
    let (path, size) = (offer.downloads[0].path.as_str(), size as u64);
    for (device, of) in [(&patient, &offer), (&liar, &other)] {
        assert_eq!(say(device, of, UpdateState::Downloading).await, UpdateState::Downloading);
    }
    // One is cut, goes on from its last byte on another connection, and is cut again.
    let first = get(&patient, path, 0, size / 2).await;
    let second = first + get(&patient, path, first, size / 4).await;
    assert!(second < size, "both were cut: {first} {second}");
    assert_eq!(second + get(&patient, path, second, size).await, size);
    // The other one fetches the last byte, and says that it is done.
    assert_eq!(get(&liar, path, size - 1, size).await, 1);
    assert_eq!(say(&liar, &other, UpdateState::Downloaded).await, UpdateState::Failed);
    assert_eq!(say(&patient, &offer, UpdateState::Downloaded).await, UpdateState::Succeeded);
    let parts = rig.rest.get(&format!("/rollouts/{rollout}/updates")).await;
    let part = |device: &str| parts["items"].as_array().unwrap().iter().find(|p| p["device_id"] == device).unwrap().clone();
    let (lacks, has) = (part("sim-0001"), part("sim-0002"));
    assert_eq!((&lacks["state"], &lacks["code"]), (&json!("failed"), &json!("not_fetched")), "{lacks}");
    assert_eq!((&has["state"], &has["code"]), (&json!("succeeded"), &Value::from("")), "{has}");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_makes_the_file_of_a_delta_has_fetched_it(#[case] kind: EngineKind) {
    let (rig, devices) = Rig::start(kind).await;
    let (fleet, system) = (rig.server.running.fleet.clone(), rig.server.system());
    let mut content: Vec<u8> = (0..400_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]).collect();
    let rollout = rig.rest.approved_rollout(&rig.rest.release("1.1.0", 2, &content).await).await;
    assert_eq!(rig.rest.rollout_ends(&rollout, "completed").await["row"]["counts"]["succeeded"], 2);
    rig.run("1.1.0").await;
    content.splice(200_000..200_010, *b"something else");
    let release = rig.rest.release("1.2.0", 3, &content).await;
    let deltas = format!("/releases/{release}/deltas");
    eventually("the delta is ready", Duration::from_secs(30), || async { rig.rest.get(&deltas).await["items"][0]["state"] == "ready" })
        .await;
    let sent = async || {
        fleet.transfers().write_down().await.unwrap();
        let device = fleet.devices().find(&system, &"sim-0002".parse().unwrap()).await.unwrap();
        fleet.transfers().data_use(&system, device).await.unwrap().bytes
    };
    let before = sent().await;
    let rollout = rig.fetch(&release).await;
    let ended = rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(ended["row"]["counts"]["succeeded"], 2, "{ended:#}");
    let more = sent().await - before;
    assert!((1..100_000).contains(&more), "a delta: {more}");
    rig.run("1.1.0").await;
    devices.stop().await;
    rig.server.stop().await;
}
