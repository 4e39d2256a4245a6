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
