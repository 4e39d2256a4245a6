//! What is kept of a server's start, on both engines.

use super::{InForce, Shared};
use crate::{
    Fleet,
    db::{EngineKind, Sql, exec},
    pki::{PkiSettings, TokenSettings},
    testing::{World, bare_postgres},
};
use rstest::rstest;

const FORGET: Sql = Sql::same("DROP TABLE in_force");
const ANOTHER: Sql = Sql::same("UPDATE in_force SET trust_domain = 'acme.example'");
const SAY: Sql = Sql::same("UPDATE in_force SET settings = $1");
const USE: Sql = Sql::same("UPDATE certificates SET first_used_at = 1 WHERE device IS NOT NULL");

fn shared(journal: &str) -> Shared {
    Shared {
        journal: journal.into(),
        publish_url: Some("http://pki.example".into()),
        enrol_url: "https://fleet.example:8444".into(),
        device_url: "https://fleet.example:8443".into(),
        token: Some(TokenSettings { module: "/m.so".into(), label: "fleet".into(), pin_file: "/pin".into() }),
        server_keygen: true,
    }
}

async fn url_of(kind: EngineKind) -> Option<String> {
    match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(bare_postgres().await),
    }
}

fn elsewhere(pki: PkiSettings) -> PkiSettings {
    PkiSettings { trust_domain: "acme.example".into(), ..pki }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_last_start_is_kept_and_the_trust_domain_of_the_first_stays(#[case] kind: EngineKind) {
    let url = url_of(kind).await;
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Fleet::in_force(folder.path(), url.as_deref()).await.unwrap(), None, "there is no fleet");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "and none is made");

    let w = World::open_at(folder, url.clone(), 1).await;
    let now = async |w: &World| Fleet::in_force(w.folder.path(), url.as_deref()).await.unwrap().unwrap();
    assert_eq!(now(&w).await, InForce { trust_domain: None, last: None }, "nobody has served, and nothing says more");
    for last in [shared("revocations.log"), Shared { token: None, ..shared("/other/journal.log") }] {
        w.fleet.keep_in_force(&last).await.unwrap();
        assert_eq!(now(&w).await, InForce { trust_domain: Some("fleet.test".into()), last: Some(last) });
    }
    let folder = w.close().await;
    let refused = World::open_with(folder, url.clone(), 2, elsewhere).await.err().unwrap().to_string();
    assert!(
        refused.contains("\"fleet.test\"") && refused.contains("\"acme.example\"") && refused.contains("--trust-domain fleet.test"),
        "{refused}"
    );
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_fleet_from_before_has_the_trust_domain_of_what_it_issued(#[case] kind: EngineKind) {
    let url = url_of(kind).await;
    // Nothing was issued: any domain will do.
    let w = World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await;
    let w = World::open_with(w.close().await, url.clone(), 2, elsewhere).await.unwrap();
    w.device("gw-1", "sim").await;
    let now = async |w: &World| Fleet::in_force(w.folder.path(), url.as_deref()).await.unwrap().unwrap();
    let known = InForce { trust_domain: Some("acme.example".into()), last: None };
    assert_eq!(now(&w).await, known);
    let mut tx = w.fleet.write().await.unwrap();
    exec!(&mut tx, USE).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(now(&w).await, known, "and one that was used says the same");

    // Also in the schema of a version that had no place for it.
    let w = World::open_with(w.close().await, url.clone(), 3, elsewhere).await.unwrap();
    let mut tx = w.fleet.write().await.unwrap();
    exec!(&mut tx, FORGET).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(now(&w).await, known);
    w.fleet.close().await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_start_with_another_trust_domain_than_what_was_issued_is_refused(#[case] kind: EngineKind) {
    let url = url_of(kind).await;
    let w = World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await;
    w.device("gw-1", "sim").await;
    let refused = World::open_with(w.close().await, url, 2, elsewhere).await.err().unwrap().to_string();
    assert!(refused.contains("\"fleet.test\"") && refused.contains("another data folder"), "{refused}");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_another_version_has_kept_is_read_as_far_as_it_goes_and_holds_no_server_up(#[case] kind: EngineKind) {
    let url = url_of(kind).await;
    let w = World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await;
    w.fleet.keep_in_force(&shared("revocations.log")).await.unwrap();
    let says = async |w: &World, settings: &str| {
        let mut tx = w.fleet.write().await.unwrap();
        exec!(&mut tx, SAY, settings).unwrap();
        tx.commit().await.unwrap();
    };
    let least =
        r#"{"journal":"revocations.log","enrol_url":"https://fleet.example:8444","device_url":"https://fleet.example:8443","new":1}"#;
    says(&w, least).await;
    let found = Fleet::in_force(w.folder.path(), url.as_deref()).await.unwrap().unwrap();
    assert_eq!(found.last, Some(Shared { publish_url: None, token: None, server_keygen: false, ..shared("revocations.log") }));

    says(&w, "{}").await;
    let w = World::open_at(w.close().await, url, 2).await;
    w.fleet.keep_in_force(&shared("revocations.log")).await.unwrap();
}

/// Neither has found the other as it opened.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn of_two_first_starts_at_once_with_different_trust_domains_one_serves(#[case] kind: EngineKind) {
    let url = url_of(kind).await;
    let w = World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await;
    w.fleet.keep_in_force(&shared("one.log")).await.unwrap();
    let mut tx = w.fleet.write().await.unwrap();
    exec!(&mut tx, ANOTHER).unwrap();
    tx.commit().await.unwrap();
    let refused = w.fleet.keep_in_force(&shared("two.log")).await.unwrap_err().to_string();
    assert!(refused.contains("\"acme.example\", as on its first start") && refused.contains("trust_domain = \"fleet.test\""), "{refused}");
    let found = Fleet::in_force(w.folder.path(), url.as_deref()).await.unwrap().unwrap();
    assert_eq!(found, InForce { trust_domain: Some("acme.example".into()), last: Some(shared("one.log")) }, "and nothing of it is kept");
}
