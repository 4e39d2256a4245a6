//! A whole change of roots with the real agent: bundles fetched, tried and reported, certificates renewed, the old root gone, nobody lost.

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
use serde_json::Value;
use std::time::Duration;
use wire::{
    pki::AuthorityUse,
    states::{AuthorityState, Role},
};

const DEVICES: usize = 3;
const PATIENCE: Duration = Duration::from_mins(1);

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r10_a_fleet_follows_from_one_root_to_the_next(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let (fleet, system) = (server.running.fleet.clone(), server.system());
    let pki = fleet.pki();
    let all = i64::try_from(DEVICES).unwrap();
    let token = enrolment_token(&server, "sim-*", "gateway", all).await;
    let state = tempfile::tempdir().unwrap();
    let enrol_url = format!("https://127.0.0.1:{}", server.running.enrol_addr.port());
    let pinned = Trust::Pinned(pki.root_fingerprint().parse().unwrap());
    let config = Config {
        device_type: "gateway".into(),
        flaky: DEVICES,
        cut_every: Duration::from_secs(2),
        ..Config::new(enrol_url, token.secret, pinned, state.path(), DEVICES)
    };
    let devices = Fleet::start(config, clock::System::new()).await.unwrap();
    let all_hold = async |what: &str| {
        eventually(what, PATIENCE, || async {
            let reach = pki.bundle_reach(&system).await.unwrap();
            reach.devices == all && reach.holders == all
        })
        .await;
    };
    all_hold("the bundle they enrolled with is reported").await;

    let root = pki.stage_authority(&system, AuthorityUse::Root).await.unwrap();
    all_hold("the bundle with the new root is fetched").await;
    let script = server.token("ada", Role::Admin).await;
    let get = async |path: &str| -> Value {
        server.http.get(server.url(&format!("/api/v1{path}"))).bearer_auth(&script).send().await.unwrap().json().await.unwrap()
    };
    let bundle = get("/trust-bundle").await;
    assert_eq!((bundle["version"].as_i64(), bundle["roots"].as_array().unwrap().len()), (Some(2), 2));
    assert_eq!(get("/trust-bundle/reach").await["holders"].as_i64(), Some(all));
    assert_eq!(get(&format!("/authorities/{}", root.id)).await["standing"]["row"]["state"], "staged");

    let activate = server.url(&format!("/api/v1/authorities/{}/activate", root.id));
    assert_eq!(server.http.post(activate).bearer_auth(&script).send().await.unwrap().status(), 204, "enough devices hold it: no force");
    let authorities = pki.list_authorities(&system).unwrap();
    let retiring: Vec<_> = authorities.into_iter().filter(|a| a.state == AuthorityState::Retiring).collect();
    assert_eq!(retiring.len(), 3);
    let old = |kind: &str| retiring.iter().find(|a| a.kind == kind).unwrap().id.clone();
    eventually("all have renewed under the new authority", PATIENCE, || async {
        pki.authority(&system, &old("device")).await.unwrap().standing.devices == 0
    })
    .await;
    // Their old certificates would be good for a day more; nobody needs them.
    pki.retire_authority(&system, &old("device"), true).await.unwrap();
    pki.retire_authority(&system, &old("server"), false).await.unwrap();
    pki.retire_authority(&system, &old("root"), false).await.unwrap();
    all_hold("the bundle without the old root is fetched").await;
    // They said so over a connection that the new root alone vouched for; they come back by it as well.
    let welcomes = || devices.views().map(|(_, view)| view.welcomes).collect::<Vec<_>>();
    let before = welcomes();
    eventually("all have come back", PATIENCE, || async { welcomes().iter().zip(&before).all(|(now, then)| now > then) }).await;
    for number in 1..=DEVICES {
        let identity = std::fs::read(state.path().join(format!("sim-{number:04}/identity.json"))).unwrap();
        let identity: Value = serde_json::from_slice(&identity).unwrap();
        assert_eq!(identity["trust_bundle"], serde_json::json!([root.pem]), "sim-{number:04} believes in the new root alone");
    }
    assert_eq!(fleet.access().verify_audit(&system).await.unwrap().broken_at, None);
    devices.stop().await;
    server.stop().await;
}
