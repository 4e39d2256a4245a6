//! The real agent over real TLS is ordered to renew: on its channel, also from beside the server, and while it was away.

use crate::{
    journey::enrolment_token,
    support::{TestServer, eventually},
};
use agent::{
    clock,
    simulate::{Config, Fleet},
    tls::Trust,
};
use fleet::db::EngineKind;
use rstest::rstest;
use std::time::Duration;
use wire::{
    ids::DeviceId,
    states::{CertificateState, Role},
};

const PATIENCE: Duration = Duration::from_mins(1);

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_1_an_agent_renews_when_it_is_ordered_to(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let (fleet, system) = (server.running.fleet.clone(), server.system());
    let token = enrolment_token(&server, "sim-*", "gateway", 2).await;
    let state = tempfile::tempdir().unwrap();
    let enrol_url = format!("https://127.0.0.1:{}", server.running.enrol_addr.port());
    let config = || {
        let root = fleet.pki().root_fingerprint().parse().unwrap();
        Config {
            device_type: "gateway".into(),
            ..Config::new(enrol_url.clone(), token.secret.clone(), Trust::Pinned(root), state.path(), 2)
        }
    };
    let (one, other): (DeviceId, DeviceId) = ("sim-0001".parse().unwrap(), "sim-0002".parse().unwrap());
    let certificates = async |id: &DeviceId| fleet.device(&system, id).await.unwrap().certificates;
    // So many it was given, and the newest is the one that it uses.
    let has = async |id: &DeviceId, count: usize| {
        eventually(&format!("{id} uses certificate {count}"), PATIENCE, || async {
            let all = certificates(id).await;
            all.len() == count && all[0].first_used_at.is_some() && all.iter().all(|c| c.renew_ordered_at.is_none())
        })
        .await;
    };
    let devices = Fleet::start(config(), clock::System::new()).await.unwrap();
    has(&one, 1).await;
    has(&other, 1).await;

    let script = server.token("oli", Role::Operator).await;
    let path = server.url(&format!("/api/v1/devices/{one}/renew"));
    let answer = server.http.post(path).bearer_auth(&script).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let order: serde_json::Value = answer.json().await.unwrap();
    assert_eq!((order["device_id"].as_str(), order["certificates"].as_array().unwrap().len()), (Some("sim-0001"), 1));
    has(&one, 2).await;
    let states: Vec<_> = certificates(&one).await.iter().map(|c| (c.state, c.key_alg.clone())).collect();
    assert_eq!(states[0], states[1], "both are good for a day (R-2)");
    assert_eq!(states[0].0, CertificateState::Active);
    assert_eq!(certificates(&other).await.len(), 1, "nobody asked this one");

    // From beside the server.
    let said = server.must(&["device", "renew", "sim-0002"]).await;
    assert!(said.starts_with("sim-0002: ordered to renew crt_"), "{said}");
    has(&other, 2).await;

    // While it is away.
    devices.stop().await;
    fleet.devices().order_renewal(&system, &one).await.unwrap();
    assert!(certificates(&one).await[0].renew_ordered_at.is_some());
    let devices = Fleet::start(config(), clock::System::new()).await.unwrap();
    has(&one, 3).await;
    assert_eq!(certificates(&other).await.len(), 2);
    devices.stop().await;
    server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_1_agents_that_are_asked_by_a_selector_renew_one_after_the_other(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let (fleet, system) = (server.running.fleet.clone(), server.system());
    let token = enrolment_token(&server, "sim-*", "gateway", 2).await;
    let state = tempfile::tempdir().unwrap();
    let enrol_url = format!("https://127.0.0.1:{}", server.running.enrol_addr.port());
    let trust = Trust::Pinned(fleet.pki().root_fingerprint().parse().unwrap());
    let config = Config { device_type: "gateway".into(), ..Config::new(enrol_url, token.secret.clone(), trust, state.path(), 2) };
    let ids: [DeviceId; 2] = ["sim-0001", "sim-0002"].map(|id| id.parse().unwrap());
    let certificates = async |id: &DeviceId| fleet.device(&system, id).await.unwrap().certificates;
    let use_theirs = async |count: usize| {
        for id in &ids {
            eventually(&format!("{id} uses certificate {count}"), PATIENCE, || async {
                let all = certificates(id).await;
                all.len() == count && all[0].first_used_at.is_some() && all.iter().all(|c| c.renew_ordered_at.is_none())
            })
            .await;
        }
    };
    let devices = Fleet::start(config, clock::System::new()).await.unwrap();
    use_theirs(1).await;

    // Over a minute: the second of two is told half a minute after the first, by the server itself.
    let script = server.token("oli", Role::Operator).await;
    let order = serde_json::json!({ "q": "type:gateway", "minutes": 1, "expected": 2 });
    let asked = serde_json::json!({ "q": "type:gateway", "minutes": 1 });
    let would = server.http.post(server.url("/api/v1/devices:preview-renew")).bearer_auth(&script).json(&asked).send().await.unwrap();
    assert_eq!((would.status().as_u16(), would.json::<serde_json::Value>().await.unwrap()["asked"].as_i64()), (200, Some(2)));
    let answer = server.http.post(server.url("/api/v1/devices:renew")).bearer_auth(&script).json(&order).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let done: serde_json::Value = answer.json().await.unwrap();
    assert_eq!((done["asked"].as_i64(), done["minutes"].as_i64()), (Some(2), Some(1)));
    let mut dues = Vec::new();
    for id in &ids {
        let own = certificates(id).await;
        dues.extend(own.iter().filter_map(|c| c.renew_due_at));
    }
    let later = *dues.iter().max().unwrap();
    use_theirs(2).await;
    let mut issued = Vec::new();
    for id in &ids {
        issued.push(fleet.pki().certificate(&system, &certificates(id).await[0].id).await.unwrap().issued_at);
    }
    let (first, second) = (*issued.iter().min().unwrap(), *issued.iter().max().unwrap());
    assert!(first < later && second >= later, "{issued:?} {dues:?}: each when it is told");

    // From beside the server, all at once.
    let said = server.must(&["device", "renew", "--selector", "type:gateway"]).await;
    assert!(said.starts_with("2 of 2 devices would be asked to renew, all at once. Nobody was asked."), "{said}");
    let said = server.must(&["device", "renew", "--select", "type:gateway", "--yes"]).await;
    assert!(said.starts_with("2 of 2 devices are asked to renew, all at once."), "{said}");
    use_theirs(3).await;
    devices.stop().await;
    server.stop().await;
}
