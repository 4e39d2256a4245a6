//! The whole way over real TLS with the real agent: enrolled, streaming, updated in stages, and stopped by the gate when the release is bad.

use crate::{
    rest::Rest,
    support::{TestServer, eventually},
};
use agent::{
    clock,
    simulate::{Config, Fleet},
    tls::Trust,
    update::keys::TrustedKeys,
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;
use wire::{
    devices::DeviceQuery,
    enrolment::{CreatedEnrolmentToken, EnrolRequest, NewEnrolmentToken},
    slots::SlotState,
    transfers::TransferLimits,
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
        ..NewEnrolmentToken::default()
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

/// Simulated devices of a type, with a token and the folder of their own; the rest of how they are is said by `shape`.
pub async fn simulated(
    server: &TestServer,
    device_type: &str,
    count: usize,
    shape: impl FnOnce(Config) -> Config,
) -> (Fleet, tempfile::TempDir) {
    let token = enrolment_token(server, "sim-*", device_type, i64::try_from(count).unwrap()).await;
    let root = server.running.fleet.pki().root_fingerprint().parse().unwrap();
    let state = tempfile::tempdir().unwrap();
    let enrol_url = format!("https://127.0.0.1:{}", server.running.enrol_addr.port());
    let config =
        Config { device_type: device_type.into(), ..Config::new(enrol_url, token.secret, Trust::Pinned(root), state.path(), count) };
    (Fleet::start(shape(config), clock::System::new()).await.unwrap(), state)
}

/// A server, simulated devices that trust its signing key, and the people who roll out.
struct Rig {
    server: TestServer,
    rest: Rest,
    devices: Fleet,
    _state: tempfile::TempDir,
}

impl Rig {
    async fn start(kind: EngineKind, count: usize) -> Self {
        let server = TestServer::start(kind).await;
        let rest = Rest::of(&server, TYPE).await;
        let mut keys = TrustedKeys::none();
        keys.add(rest.key.public());
        let (devices, state) = simulated(&server, TYPE, count, |config| Config {
            keys,
            interval: Duration::from_millis(200),
            pace: Duration::from_millis(200),
            flaky: 1,
            cut_every: Duration::from_secs(5),
            ..config
        })
        .await;
        Self { server, rest, devices, _state: state }
    }

    /// The slots of a device as they are shown: name, version and state of each.
    async fn slots(&self, device_id: &str) -> Vec<(String, String, SlotState)> {
        let shown = self.server.running.fleet.device(&self.server.system(), &device_id.parse().unwrap()).await.unwrap().slots;
        shown.into_iter().map(|slot| (slot.name, slot.version.unwrap_or_default(), slot.state)).collect()
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

    let stand = |a: (&str, SlotState), b: (&str, SlotState)| [("a".to_owned(), a.0.to_owned(), a.1), ("b".to_owned(), b.0.to_owned(), b.1)];
    assert_eq!(rig.slots("sim-0003").await, stand(("1.0.0", SlotState::Running), ("", SlotState::Empty)));

    let release = rig.rest.release("1.1.0", 2, &vec![7; 300_000]).await;
    let rollout = rig.rest.approved_rollout(&release).await;
    let ended = rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(ended["row"]["counts"]["succeeded"], 6, "{ended:#}");
    assert_eq!(ended["stages"].as_array().unwrap().len(), 2);
    assert!(ended["stages"].as_array().unwrap().iter().all(|s| s["state"] == "succeeded"), "{ended:#}");
    assert_eq!(ended["stages"][0]["counts"]["total"], 2, "33 % of six, rounded up: {ended:#}");

    let updated = DeviceQuery { q: "version:1.1.0".into(), ..DeviceQuery::default() };
    eventually("all six say so themselves", Duration::from_secs(30), || async {
        fleet.devices().list(&system, &updated).await.unwrap().total == 6
    })
    .await;
    let switched = stand(("1.0.0", SlotState::Good), ("1.1.0", SlotState::Running));
    eventually("it runs from its other slot", Duration::from_secs(30), || async { rig.slots("sim-0003").await == switched }).await;
    let rest = rig.rest.get("/devices/sim-0003").await;
    assert_eq!((&rest["slots"][1]["name"], &rest["slots"][1]["state"]), (&json!("b"), &json!("running")), "{rest:#}");
    let verified = fleet.access().verify_audit(&system).await.unwrap();
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
    let release = rig.rest.release("1.1.0", 2, &content).await;
    let rollout = rig.rest.approved_rollout(&release).await;
    let halted = rig.rest.rollout_ends(&rollout, "halted").await;
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
    eventually("both that tried it say that the slot is bad", Duration::from_secs(30), || async {
        let mut bad = 0;
        for n in 1..=6 {
            bad += usize::from(rig.slots(&format!("sim-{n:04}")).await.contains(&("b".into(), "1.1.0".into(), SlotState::Bad)));
        }
        bad == 2
    })
    .await;
    // Whatever the planner had left to do, it has done now.
    fleet.rollouts().tick().await.unwrap();
    assert_eq!(rig.rest.get(&format!("/rollouts/{rollout}")).await["row"]["counts"]["waiting"], 4, "nor later");
    rig.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_old_release_that_is_signed_again_is_installed_over_a_newer_one(#[case] kind: EngineKind) {
    let rig = Rig::start(kind, 2).await;
    let (fleet, system) = (rig.server.running.fleet.clone(), rig.server.system());
    let run = async |version: &str| {
        let query = DeviceQuery { q: format!("version:{version}"), ..DeviceQuery::default() };
        eventually(&format!("both run {version}"), Duration::from_mins(1), || async {
            fleet.devices().list(&system, &query).await.unwrap().total == 2
        })
        .await;
    };
    run("1.0.0").await;
    // The devices came with 1.0.0, sequence 1; the release of it was published later, and newer ones since.
    let old = rig.rest.release("1.0.1", 2, &vec![1; 50_000]).await;
    let new = rig.rest.release("2.0.0", 3, &vec![2; 50_000]).await;
    let rollout = rig.rest.approved_rollout(&new).await;
    rig.rest.rollout_ends(&rollout, "completed").await;
    run("2.0.0").await;

    let page = rig.rest.get(&format!("/releases/{old}")).await;
    assert_eq!(page["go_back"]["version"], "1.0.1+4", "{page:#}");
    let envelope = rig.rest.request(reqwest::Method::GET, &format!("/releases/{old}/manifest")).send().await.unwrap();
    assert_eq!(envelope.headers()["content-disposition"], "attachment; filename=\"gateway-1.0.1.manifest.json\"");
    let (public, keyid) = (rig.rest.key.public(), rig.rest.key.keyid());
    let keys = [fleet::releases::manifest::Key { name: "k".into(), keyid, public }];
    let now = fleet.clock().now();
    let manifest = fleet::releases::signing::again(&envelope.bytes().await.unwrap(), &keys, 4, None, now).unwrap();
    let signed = rig.rest.key.sign(&manifest).unwrap();
    let back = rig.rest.publish(&json!([rig.rest.upload("back.manifest.json", &signed).await])).await;
    let rollout = rig.rest.approved_rollout(&back).await;
    let ended = rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(ended["row"]["counts"]["succeeded"], 2, "{ended:#}");
    run("1.0.1+4").await;
    rig.stop().await;
}

/// Bytes that no compressor makes smaller, the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_second_update_is_downloaded_as_a_delta(#[case] kind: EngineKind) {
    let rig = Rig::start(kind, 2).await;
    let (fleet, system) = (rig.server.running.fleet.clone(), rig.server.system());
    let sent = async || {
        fleet.transfers().write_down().await.unwrap();
        let mut bytes = 0;
        for name in ["sim-0001", "sim-0002"] {
            let device = fleet.devices().find(&system, &name.parse().unwrap()).await.unwrap();
            bytes += fleet.transfers().data_use(&system, device).await.unwrap().bytes;
        }
        bytes
    };
    let old = noise(1, 400_000);
    let first = rig.rest.release("1.1.0", 2, &old).await;
    let rollout = rig.rest.approved_rollout(&first).await;
    assert_eq!(rig.rest.rollout_ends(&rollout, "completed").await["row"]["counts"]["succeeded"], 2);
    let whole = sent().await;
    assert!(whole >= 800_000, "two whole files: {whole}");

    let mut new = old.clone();
    new.splice(200_000..200_010, noise(2, 3_000));
    let second = rig.rest.release("1.2.0", 3, &new).await;
    let deltas = format!("/releases/{second}/deltas");
    eventually("the delta is ready", Duration::from_secs(30), || async { rig.rest.get(&deltas).await["items"][0]["state"] == "ready" })
        .await;
    let rollout = rig.rest.approved_rollout(&second).await;
    let ended = rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(ended["row"]["counts"]["succeeded"], 2, "{ended:#}");
    let more = sent().await - whole;
    assert!((1..100_000).contains(&more), "two deltas, and what was cut: {more}");
    let said = fleet.device(&system, &"sim-0001".parse().unwrap()).await.unwrap().updates.remove(0).detail;
    assert!(said.starts_with("by delta: 3.") && said.ends_with(" KB instead of 402.9 KB"), "{said}");
    let updated = DeviceQuery { q: "version:1.2.0".into(), ..DeviceQuery::default() };
    eventually("both say that they run it", Duration::from_secs(30), || async {
        fleet.devices().list(&system, &updated).await.unwrap().total == 2
    })
    .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn downloads_are_no_faster_than_their_organization_allows() {
    let rig = Rig::start(EngineKind::Sqlite, 2).await;
    let limits = TransferLimits { bandwidth: Some(100_000), ..TransferLimits::default() };
    rig.server.running.fleet.transfers().set_limits(&rig.server.system(), limits).await.unwrap();
    let release = rig.rest.release("1.1.0", 2, &vec![7; 300_000]).await;
    let begun = Instant::now();
    let rollout = rig.rest.approved_rollout(&release).await;
    rig.rest.rollout_ends(&rollout, "completed").await;
    assert!(begun.elapsed() > Duration::from_secs(5), "600,000 bytes at 100,000 a second: {:?}", begun.elapsed());
    rig.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn devices_that_run_a_release_are_taken_back_by_the_way_back_of_its_plan(#[case] kind: EngineKind) {
    let rig = Rig::start(kind, 4).await;
    let (fleet, system) = (rig.server.running.fleet.clone(), rig.server.system());
    let run = async |version: &str, devices: i64| {
        let query = DeviceQuery { q: format!("version:{version}"), ..DeviceQuery::default() };
        eventually(&format!("{devices} run {version}"), Duration::from_mins(1), || async {
            fleet.devices().list(&system, &query).await.unwrap().total == devices
        })
        .await;
    };
    run("1.0.0", 4).await;
    let bad = rig.rest.release("2.0.0", 2, &vec![2; 50_000]).await;
    let back = rig.rest.release("1.0.0+3", 3, &vec![1; 50_000]).await;
    let gate = json!({ "success_percent": 90.0, "error_percent": 20.0, "min_sample": 2, "action": "roll_back" });
    let first = json!({ "name": "Half", "reach": { "count": 2 }, "confirm": true, "gate": gate });
    let stages = json!([first, { "name": "All", "reach": { "percent": 100.0 } }]);
    let spec = json!({ "name": "Heater", "release": bad, "way_back": back, "stages": stages, "timeout_min": 5, "reason": "test" });
    let rollout = rig.rest.approved(&spec).await;
    run("2.0.0", 2).await;
    let path = format!("/rollouts/{rollout}");
    eventually("the first stage has passed", Duration::from_mins(1), || async {
        rig.rest.get(&path).await["stages"][0]["state"] == "awaiting_promotion"
    })
    .await;

    let order = async |verb: &str| rig.rest.post(&rig.rest.operator, &format!("{path}/{verb}"), &json!({ "reason": "it heats up" })).await;
    order("pause").await;
    let going = order("roll-back").await;
    assert_eq!((&going["row"]["state"], &going["way_back"]["version"]), (&json!("rolling_back"), &json!("1.0.0+3")), "{going:#}");
    let ended = rig.rest.rollout_ends(&rollout, "rolled_back").await;
    let way = rig.rest.get(&format!("/rollouts/{}", ended["way_back"]["rollout"]["id"].as_str().unwrap())).await;
    assert_eq!((&way["row"]["name"], &way["row"]["counts"]["succeeded"]), (&json!("Way back of Heater"), &json!(2)), "{way:#}");
    assert_eq!(way["approvals"][0]["digest"], ended["digest"], "approved with the plan that it is part of");
    run("1.0.0+3", 2).await;
    run("1.0.0", 2).await;
    rig.stop().await;
}
