//! Two generations of devices over real TLS: both connect while the old authority retires, and the old one's are cut when it is retired.

use super::rig::{SECOND, ask, drain, rig_with};
use fleet::{access::Actor, db::EngineKind};
use rstest::rstest;
use rustls::{AlertDescription, version::TLS13};
use server::tls::Limits;
use tokio::time::timeout;
use wire::pki::AuthorityUse;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_generations_connect_until_the_old_one_is_retired(#[case] kind: EngineKind) {
    let rig = rig_with(kind, Limits::default()).await;
    let pki = rig.world.fleet.pki();
    let system = Actor::system(rig.world.org.clone());
    let old = rig.enrol("gw-1").await;
    let retiring = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    let next = pki.stage_authority(&system, AuthorityUse::Device).await.unwrap();
    pki.activate_authority(&system, &next.id, false).await.unwrap();
    let new = rig.enrol("gw-2").await;
    assert_ne!(old.chain[1], new.chain[1], "each has its own authority");

    let (mut before, mut after) = (rig.connect(&old).await, rig.connect(&new).await);
    assert!(ask(&mut before, "/who").await.unwrap().ends_with("gw-1 0"));
    assert!(ask(&mut after, "/who").await.unwrap().ends_with("gw-2 0"));

    assert!(pki.retire_authority(&system, &retiring.id, false).await.is_err(), "gw-1 has not renewed");
    pki.retire_authority(&system, &retiring.id, true).await.unwrap();
    timeout(SECOND, drain(&mut before)).await.expect("cut within a second");
    assert_eq!(rig.alert(Some(&old), &TLS13).await, Some(AlertDescription::UnknownCA));
    assert!(ask(&mut after, "/who").await.unwrap().ends_with("gw-2 0"), "the new one's don't notice");
    rig.connect(&new).await;
}
