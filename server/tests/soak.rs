//! Every page, a thousand requests, twenty at a time, on both engines: no panic and no cut page (leptos#4851 was found by such a loop).

use crate::support::TestServer;
use fleet::db::EngineKind;
use rstest::rstest;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use wire::states::Role;

static PANICS: AtomicUsize = AtomicUsize::new(0);

const PAGES: [&str; 21] = [
    "/",
    "/devices",
    "/devices?q=tag:eu&sort=-last_seen",
    "/devices?q=colour:red",
    "/devices/gw-1",
    "/devices/gw-1/telemetry",
    "/devices/nobody",
    "/firmware",
    "/rollouts",
    "/rollouts/new",
    "/approvals",
    "/enrolment",
    "/certificates",
    "/certificates?week=12&q=gw",
    "/certificates/renew",
    "/certificates/authorities",
    "/certificates/authorities/requests",
    "/certificates/authorities/elsewhere",
    "/people",
    "/audit",
    "/account",
];

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_pages_twenty_at_a_time(#[case] kind: EngineKind) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        before(info);
    }));
    let server = Arc::new(TestServer::start(kind).await);
    let client = server.browser("ada", Role::Admin).await;
    crate::journey::enrol(&server, "gw-1", "gateway").await;
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..20)
        .map(|_| {
            let (server, client, next) = (server.clone(), client.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let i = next.fetch_add(1, Ordering::SeqCst);
                    if i >= 1000 {
                        break;
                    }
                    let path = PAGES[i % PAGES.len()];
                    let answer = client.get(server.url(path)).send().await.unwrap();
                    let (status, body) = (answer.status(), answer.text().await.unwrap());
                    let wanted = if path == "/devices/nobody" { 404 } else { 200 };
                    assert_eq!(status, wanted, "{path}: {body}");
                    assert!(body.contains("</html>"), "{path} is cut: {body}");
                    assert!(body.contains("<h1"), "{path} has no heading: {body}");
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a page panicked");
    Arc::into_inner(server).unwrap().stop().await;
}
