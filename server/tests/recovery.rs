//! A device that was away too long, or whose authority was given up, comes back by its old key: the real agent against the real listeners.

use crate::{
    journey::{enrolment_token, simulated},
    support::{TestServer, eventually},
};
use agent::{
    clock::{Clock as AgentClock, System},
    identity::{Enrolment, Error, Store, enrol, recover, renew},
    tls::Trust,
};
use fleet::{
    clock::{Clock as _, ManualClock, SystemClock},
    db::EngineKind,
};
use rstest::rstest;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use wire::{
    devices::DeviceQuery,
    pki::{AuthorityUse, ComingBack, IdentityRules},
    states::{ClonePolicy, RecoveryPolicy, RekeyPolicy},
};

async fn comes_back(kind: EngineKind) {
    let time = Arc::new(ManualClock::at(SystemClock.now()));
    let server = TestServer::start_by(kind, time.clone(), |config| config).await;
    let fleet = server.running.fleet.clone();
    let system = server.system();
    let token = enrolment_token(&server, "gw-1", "gateway", 1).await.secret;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let url = format!("https://{}", server.running.enrol_addr);
    let roots = agent::tls::certificates(fleet.pki().root_pem().as_bytes()).unwrap();
    let enrolment = Enrolment {
        url: url.clone(),
        token,
        claim: None,
        organization: None,
        trust: Trust::Roots(roots),
        device_id: "gw-1".into(),
        device_type: "gateway".into(),
        hardware: "A".into(),
        attributes: BTreeMap::new(),
        key: None,
    };
    let clock: Arc<dyn AgentClock> = System::new();
    let first = enrol(&store, &enrolment, clock.clone()).await.unwrap();
    let ask = || recover(&store, &first, &url, clock.clone());
    let code = |outcome: Result<_, Error>| match outcome {
        Err(Error::Http(agent::http::Error::Answer { code, .. })) => code,
        Err(other) => panic!("{other}"),
        Ok(_) => "given".to_owned(),
    };
    assert_eq!(code(ask().await), "recovery_off");
    let rules =
        IdentityRules { clones: ClonePolicy::Alert, rekey: RekeyPolicy::Allowed, recovery: RecoveryPolicy::Approval, recovery_days: 30 };
    fleet.pki().set_rules(&system, rules).await.unwrap();
    assert_eq!(code(ask().await), "not_ended");
    // where the server wants another key the agent makes one, whenever the power goes.
    fleet.pki().set_rules(&system, IdentityRules { rekey: RekeyPolicy::Required, ..rules }).await.unwrap();
    let (key, next) = (folder.path().join("key.pem"), folder.path().join("key.next.pem"));
    let old = std::fs::read(&key).unwrap();
    let rekeyed = renew(&store, &first, clock.clone()).await.unwrap();
    let new = std::fs::read(&key).unwrap();
    assert!(new != old && !next.exists());
    std::fs::rename(&key, &next).unwrap();
    std::fs::write(&key, &old).unwrap();
    assert_eq!(store.load().unwrap().unwrap().fingerprint(), rekeyed.fingerprint());
    assert!(std::fs::read(&key).unwrap() == new && !next.exists(), "the key has its name");
    fleet.pki().set_rules(&system, rules).await.unwrap();
    let first = rekeyed;
    let ask = || recover(&store, &first, &url, clock.clone());
    time.advance(first.not_after().since(time.now()) + 86_400_000);
    clock.raise(time.now());
    fleet.pki().tick().await.unwrap();
    match ask().await {
        Err(Error::Http(error @ agent::http::Error::Answer { status, .. })) => {
            assert!(error.passing() && status.as_u16() == 202, "{error}");
        }
        other => panic!("{other:?}"),
    }
    let waiting = fleet.devices().enrolment_requests(&system, None, None).await.unwrap().items;
    assert_eq!(waiting[0].code, store.comparison_code().unwrap());
    fleet.devices().approve_enrolment(&system, &waiting[0].id).await.unwrap();
    let back = ask().await.unwrap();
    assert_ne!(back.fingerprint(), first.fingerprint());
    assert_eq!(store.load().unwrap().unwrap().fingerprint(), back.fingerprint());
    let client = back.client(clock.clone()).unwrap();
    let update: Result<serde_json::Value, _> = client.ask("/device/v1/update").await;
    assert!(!matches!(update, Err(agent::http::Error::Refused)), "it is let in again: {update:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_an_agent_comes_back_after_its_certificate_has_ended_on_sqlite() {
    Box::pin(comes_back(EngineKind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_an_agent_comes_back_after_its_certificate_has_ended_on_postgres() {
    Box::pin(comes_back(EngineKind::Postgres)).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r11_agents_come_back_by_themselves_after_their_authority_was_given_up(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let (fleet, system) = (server.running.fleet.clone(), server.system());
    let (devices, _state) = simulated(&server, "gateway", 2, |config| config).await;
    let are = async |q: &str| {
        let query = DeviceQuery { q: q.into(), ..DeviceQuery::default() };
        fleet.devices().list(&system, &query).await.unwrap().items.len()
    };
    eventually("both are connected", Duration::from_secs(30), || async { are("online:yes certificate:valid").await == 2 }).await;
    let pki = fleet.pki();
    let lost = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    let next = pki.stage_authority(&system, AuthorityUse::Device).await.unwrap();
    pki.compromise_authority(&system, &lost.id).await.unwrap();
    assert_eq!(are("certificate:untrusted").await, 2);
    pki.activate_authority(&system, &next.id, false).await.unwrap();
    pki.recover_devices(&system, &lost.id, ComingBack { how: RecoveryPolicy::Auto, days: 1 }).await.unwrap();
    // One that asked before that was said asks again within minutes.
    eventually("both are back", Duration::from_mins(4), || async { are("online:yes certificate:valid").await == 2 }).await;
    assert_eq!(pki.authority(&system, &next.id).await.unwrap().standing.devices, 2, "by the authority that issues now");
    devices.stop().await;
    server.stop().await;
}
