//! The real agent with each type of key over real TLS (P-1, R-3): it comes in, streams, keeps its type with a new key, and hears in words which types its
//! token's profile takes.

use crate::{
    journey::{enrolment_token, simulated},
    support::{TestServer, eventually},
};
use agent::{
    clock::System,
    http,
    identity::{Enrolment, Error, Store, enrol, renew},
    simulate::Config,
    tls::Trust,
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use wire::{
    devices::DeviceQuery,
    enrolment::{AgentKey, EnrolCode, NewEnrolmentToken},
    ids::DeviceId,
    pki::{IdentityRules, KeyType, ProfileRules},
    states::{ClonePolicy, RecoveryPolicy, RekeyPolicy},
};

const PATIENCE: Duration = Duration::from_secs(30);

#[rstest]
#[case::p256(AgentKey::P256, "P-256")]
#[case::p384(AgentKey::P384, "P-384")]
#[case::ed25519(AgentKey::Ed25519, "Ed25519")]
#[case::rsa(AgentKey::Rsa3072, "RSA-3072")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_such_a_key_streams_and_keeps_its_type(#[case] key: AgentKey, #[case] shown: &str) {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let (fleet, system) = (server.running.fleet.clone(), server.system());
    let (devices, state) = simulated(&server, "gateway", 1, |config| Config { key, ..config }).await;
    let online = DeviceQuery { q: "online:yes".into(), ..DeviceQuery::default() };
    eventually("it is connected", PATIENCE, || async { fleet.devices().list(&system, &online).await.unwrap().total == 1 }).await;
    let id: DeviceId = "sim-0001".parse().unwrap();
    let folder = state.path().join(id.as_str());
    let number = fleet.devices().find(&system, &id).await.unwrap();
    eventually("it has sent samples", PATIENCE, || async { !fleet.telemetry().latest(&system.org, number).await.unwrap().is_empty() })
        .await;
    devices.stop().await;
    let keys = async || {
        let certificates = fleet.device(&system, &id).await.unwrap().certificates;
        certificates.into_iter().map(|certificate| certificate.key_alg).collect::<Vec<String>>()
    };
    assert_eq!(keys().await, [shown]);

    // the new key is of the type that the old one is of.
    let rules =
        IdentityRules { clones: ClonePolicy::Alert, rekey: RekeyPolicy::Required, recovery: RecoveryPolicy::Off, recovery_days: 30 };
    fleet.pki().set_rules(&system, rules).await.unwrap();
    let store = Store::open(&folder).unwrap();
    let (first, before) = (store.load().unwrap().unwrap(), std::fs::read(folder.join("key.pem")).unwrap());
    let renewed = renew(&store, &first, System::new()).await.unwrap();
    assert_ne!(std::fs::read(folder.join("key.pem")).unwrap(), before, "another key");
    assert_eq!((store.key_type().unwrap(), keys().await), (Some(key), vec![shown.to_owned(); 2]));
    let update: Result<Value, _> = renewed.client(System::new()).unwrap().ask("/device/v1/update").await;
    assert!(!matches!(update, Err(http::Error::Refused | http::Error::Tls(_))), "it is let in by it: {update:?}");
    server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_profile_does_not_take_is_refused_in_words_and_costs_nothing(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let (fleet, system) = (server.running.fleet.clone(), server.system());
    let rules = ProfileRules { hours: 720, factory: false, keys: vec![KeyType::P384, KeyType::Ed25519], rekey: None };
    fleet.pki().set_profile(&system, "strong", rules).await.unwrap();
    let new = NewEnrolmentToken {
        label: "strong".into(),
        pattern: "gw-1".into(),
        max_uses: 1,
        hours: 1,
        profile: "strong".into(),
        ..NewEnrolmentToken::default()
    };
    let token = fleet.devices().create_enrolment_token(&system, new).await.unwrap();
    assert!(token.command.ends_with(" --key p-384"), "{}", token.command);
    let code: EnrolCode = token.code.parse().unwrap();
    assert_eq!(code.alg, Some(AgentKey::P384));

    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut enrolment = Enrolment {
        url: format!("https://{}", server.running.enrol_addr),
        token: token.secret,
        claim: None,
        organization: None,
        trust: Trust::Pinned(code.root.parse().unwrap()),
        device_id: "gw-1".into(),
        device_type: "gateway".into(),
        hardware: "A".into(),
        attributes: BTreeMap::new(),
        key: None,
    };
    let error = match enrol(&store, &enrolment, System::new()).await {
        Err(Error::Http(error)) => error,
        other => panic!("{other:?}"),
    };
    let said = error.to_string();
    assert!(said.contains("The certificate's profile is for keys of these types: p-384, ed25519."), "{said}");
    assert!(!error.passing() && matches!(&error, http::Error::Answer { code, .. } if code == "unsupported_alg"));
    let uses = async || fleet.devices().enrolment_tokens(&system, None, None).await.unwrap().items[0].uses;
    assert_eq!(uses().await, 0);

    // What it made for the refused request gives way to what it is told.
    enrolment.key = Some(AgentKey::Ed25519);
    let identity = enrol(&store, &enrolment, System::new()).await.unwrap();
    assert_eq!((identity.device_id(), store.key_type().unwrap(), uses().await), ("gw-1", Some(AgentKey::Ed25519), 1));
    // From then on it is what it is, whatever is asked for.
    enrolment.key = Some(AgentKey::P384);
    assert_eq!(enrol(&store, &enrolment, System::new()).await.unwrap().fingerprint(), identity.fingerprint());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_without_a_profile_leaves_the_choice_to_the_device() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let token = enrolment_token(&server, "gw-1", "gateway", 1).await;
    assert!(!token.command.contains("--key") && token.code.parse::<EnrolCode>().unwrap().alg.is_none());
    server.stop().await;
}
