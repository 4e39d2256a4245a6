//! A second server over the same fleet is refused; one that stands by keeps its ports closed, and takes over on the same addresses when the first has ended.

use crate::support::TestServer;
use fleet::{access::Actor, db::EngineKind};
use rstest::rstest;
use server::{config::Config, run};
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn one_that_stands_by_takes_over_when_the_first_has_ended(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    server.must(&["enrolment-token", "create", "--label", "before"]).await;
    let config = server.goes_on();

    // On addresses that are free.
    let beside = Config { database_url_file: config.database_url_file.clone(), ..Config::on_free_ports(config.data.clone()) };
    let refused = Box::pin(run::start(beside)).await.err().expect("one server serves a fleet");
    assert!(format!("{refused:#}").contains("another Fleetward"), "{refused:#}");

    // It would be told that the addresses are taken, if it opened them.
    let waiting = tokio::spawn(Box::pin(run::start(Config { standby: true, ..config })));
    sleep(Duration::from_secs(3)).await;
    assert!(!waiting.is_finished(), "the first one serves");
    let (ready, _folder) = (format!("http://{}/readyz", server.running.ops_addr), server.stop_to_go_on().await);
    let next = timeout(Duration::from_secs(30), waiting).await.expect("it takes over").unwrap().unwrap();
    assert_eq!(reqwest::get(ready).await.unwrap().status(), 200);
    let tokens = next.fleet.devices().enrolment_page(&Actor::system(next.fleet.default_org().clone())).await.unwrap().tokens;
    assert_eq!(tokens.iter().map(|t| t.label.as_str()).collect::<Vec<_>>(), ["before"]);
    next.stop().await.unwrap();
}
