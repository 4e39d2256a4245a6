//! An owner's list that is fetched (E-10) over real sockets, from a server that answers with whatever it likes.

use super::{PATIENCE, Rig};
use crate::support::eventually;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use fleet::{db::EngineKind, pki::registered::ListAnswer};
use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use server::list_fetch::Fetcher;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use wire::states::Role;

/// What is at the address.
#[derive(Clone)]
enum Mood {
    List(String),
    Missing,
    /// Somebody's sign-in page.
    Html,
    /// Leads on to where a list is.
    Elsewhere,
    /// Says beforehand that it is too large.
    Large,
    /// Doesn't, and never ends.
    Endless,
    /// A byte now and then.
    Slow,
    Nothing,
    /// Under this tag, unless whoever asks has it.
    Tagged(String, &'static str),
    /// Whatever is asked.
    NotModified,
}

/// Somebody's publication of lists.
struct Point {
    mood: Mutex<Mood>,
    asked: AtomicUsize,
    asked_elsewhere: AtomicUsize,
    not_modified: AtomicUsize,
}

const MADE: &str = "Sun, 22 Nov 2026 09:59:00 GMT";

async fn answer(State(point): State<Arc<Point>>, asked: HeaderMap) -> Response {
    point.asked.fetch_add(1, Ordering::SeqCst);
    let mood = point.mood.lock().clone();
    let endless = |chunk: usize| stream::repeat(Bytes::from(vec![b'0'; chunk])).map(Ok::<_, Infallible>);
    match mood {
        Mood::List(list) => list.into_response(),
        Mood::Missing => StatusCode::NOT_FOUND.into_response(),
        Mood::Html => Html("<!doctype html><title>Sign in</title>").into_response(),
        Mood::Elsewhere => Redirect::temporary("/elsewhere").into_response(),
        Mood::Large => vec![b'0'; 17 * 1024 * 1024].into_response(),
        Mood::Endless => Body::from_stream(endless(64 * 1024)).into_response(),
        Mood::Slow => Body::from_stream(endless(1).then(|byte| async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            byte
        }))
        .into_response(),
        Mood::Nothing => ().into_response(),
        Mood::Tagged(_, tag) if asked.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag) => {
            assert_eq!(asked.get(header::IF_MODIFIED_SINCE).unwrap(), MADE);
            point.not_modified.fetch_add(1, Ordering::SeqCst);
            StatusCode::NOT_MODIFIED.into_response()
        }
        Mood::Tagged(list, tag) => ([(header::ETAG, tag), (header::LAST_MODIFIED, MADE)], list).into_response(),
        Mood::NotModified => StatusCode::NOT_MODIFIED.into_response(),
    }
}

async fn elsewhere(State(point): State<Arc<Point>>) {
    point.asked_elsewhere.fetch_add(1, Ordering::SeqCst);
}

impl Point {
    async fn open(mood: Mood) -> (Arc<Self>, SocketAddr) {
        let (asked, asked_elsewhere, not_modified) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let point = Arc::new(Self { mood: Mutex::new(mood), asked, asked_elsewhere, not_modified });
        let router = Router::new().route("/plant.crl", get(answer)).route("/elsewhere", get(elsewhere)).with_state(point.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (point, at)
    }
}

impl Rig {
    async fn set_address(&self, id: &str, url: &str) {
        let (status, set) = self.call(Method::PUT, &format!("/{id}/list-address"), json!({ "url": url })).await;
        assert_eq!((status, &set["list_address"]["url"]), (200, &json!(url)), "{set}");
    }

    async fn shown(&self, id: &str) -> Value {
        self.call(Method::GET, &format!("/{id}"), json!({})).await.1
    }

    async fn fails(&self, id: &str, says: &str) {
        let said = || async { self.shown(id).await["list_address"]["error"].as_str().is_some_and(|error| error.contains(says)) };
        eventually(says, PATIENCE, said).await;
        assert_eq!(self.shown(id).await["list_address"]["failures"], json!(1));
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e_10_a_list_is_fetched_and_whatever_is_none_changes_nothing(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let id = rig.two_meters().await;
    rig.list(&[], "none.crl").await;
    rig.list(&["meter-1.pem"], "one.crl").await;
    let (point, at) = Point::open(Mood::List(rig.stock.read("one.crl"))).await;
    let url = format!("http://{at}/plant.crl");

    // Fetched at once when it was set; what is on it is cut off.
    let mut live = rig.stays("meter-1").await;
    rig.set_address(&id, &url).await;
    tokio::time::timeout(PATIENCE, live.wait()).await.expect("fetched, and cut").unwrap();
    assert_eq!((rig.dial("meter-1").await, rig.dial("meter-2").await), (0, 200));
    eventually("it is written down", PATIENCE, || async { rig.shown(&id).await["list_address"]["fetched_at"].is_i64() }).await;
    let shown = rig.shown(&id).await;
    assert_eq!((&shown["list"]["number"], &shown["list"]["received_by"]), (&json!("0x1001"), &json!(url)), "{shown}");
    let address = &shown["list_address"];
    assert_eq!((&address["failures"], &address["error"]), (&json!(0), &json!("")), "{shown}");
    let ahead = address["next_at"].as_i64().unwrap() - address["fetched_at"].as_i64().unwrap();
    assert!((3_600_000..4_060_000).contains(&ahead), "within the hour, {ahead}");
    assert_eq!(point.asked.load(Ordering::SeqCst), 1, "once");

    for (mood, says) in [
        (Mood::Missing, "404 Not Found"),
        (Mood::Html, "neither PEM"),
        (Mood::Elsewhere, "leads elsewhere"),
        (Mood::Large, "larger than 10 MiB"),
        (Mood::Endless, "larger than 10 MiB"),
        (Mood::Nothing, "empty"),
        (Mood::NotModified, "304 Not Modified"),
        (Mood::List(rig.stock.read("none.crl")), "as new, or newer"),
    ] {
        *point.mood.lock() = mood;
        rig.set_address(&id, &url).await;
        rig.fails(&id, says).await;
    }
    rig.set_address(&id, "http://127.0.0.1:1/plant.crl").await;
    rig.fails(&id, "no connection").await;
    assert_eq!(point.asked_elsewhere.load(Ordering::SeqCst), 0, "nobody goes where an answer leads");
    assert_eq!((rig.dial("meter-1").await, rig.dial("meter-2").await), (0, 200), "the list that is here holds");
    assert_eq!(rig.shown(&id).await["list"]["number"], json!("0x1001"));

    // By a name, and a list that is newer.
    rig.list(&["meter-2.pem"], "two.crl").await;
    *point.mood.lock() = Mood::List(rig.stock.read("two.crl"));
    rig.set_address(&id, &format!("http://localhost:{}/plant.crl", at.port())).await;
    eventually("the next list counts", PATIENCE, || async { rig.dial("meter-2").await == 0 }).await;

    let (status, refused) = rig.call(Method::PUT, &format!("/{id}/list-address"), json!({ "url": "file:///etc/passwd" })).await;
    assert_eq!((status, &refused["code"]), (400, &json!("list_address_refused")), "{refused}");
    let (status, none) = rig.call(Method::PUT, &format!("/{id}/list-address"), json!({ "url": "" })).await;
    assert_eq!((status, &none["list_address"]), (200, &Value::Null), "{none}");
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e_10_an_answer_has_its_time() {
    let (point, at) = Point::open(Mood::Slow).await;
    let fetcher = Fetcher::new(Duration::from_millis(500), true).unwrap();
    let url = format!("http://{at}/plant.crl");
    let late = fetcher.fetch(&url, None).await.unwrap_err();
    assert!(late.contains("within 0.5 s"), "{late}");
    // Takes connections, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nothing = fetcher.fetch(&format!("http://{}/", silent.local_addr().unwrap()), None).await.unwrap_err();
    assert!(nothing.contains("within 0.5 s"), "{nothing}");
    *point.mood.lock() = Mood::List("a list".to_owned());
    assert!(
        matches!(fetcher.fetch(&url, None).await.unwrap(), ListAnswer::List { list, validators } if list == b"a list" && validators.is_empty())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e_10_a_list_that_is_here_is_not_sent_again_and_is_asked_for_when_an_admin_wants_it() {
    let rig = Rig::start(EngineKind::Sqlite).await;
    let id = rig.two_meters().await;
    rig.list(&[], "none.crl").await;
    let fetch = async || rig.call(Method::POST, &format!("/{id}/fetch-list"), json!({})).await;
    let (status, none) = fetch().await;
    assert_eq!((status, &none["code"]), (409, &json!("no_list_address")), "{none}");
    let (point, at) = Point::open(Mood::Tagged(rig.stock.read("none.crl"), "\"none\"")).await;
    rig.set_address(&id, &format!("http://{at}/plant.crl")).await;
    eventually("it is fetched", PATIENCE, || async { rig.shown(&id).await["list_address"]["fetched_at"].is_i64() }).await;
    let (status, early) = fetch().await;
    assert_eq!((status, &early["code"]), (429, &json!("list_just_asked")), "{early}");
    assert!(early["detail"].as_str().unwrap().contains("again in "), "{early}");

    let first = rig.shown(&id).await["list_address"]["fetched_at"].as_i64();
    eventually("it may be asked again", PATIENCE, || async { fetch().await.0 == 200 }).await;
    eventually("there is no other one", PATIENCE, || async { point.not_modified.load(Ordering::SeqCst) == 1 }).await;
    eventually("that is a success", PATIENCE, || async { rig.shown(&id).await["list_address"]["fetched_at"].as_i64() > first }).await;
    let shown = rig.shown(&id).await;
    assert_eq!((&shown["list_address"]["failures"], &shown["list"]["entries"]), (&json!(0), &json!(0)), "{shown}");

    // Another one is taken.
    rig.list(&["meter-1.pem"], "one.crl").await;
    *point.mood.lock() = Mood::Tagged(rig.stock.read("one.crl"), "\"one\"");
    eventually("it may be asked again", PATIENCE, || async { fetch().await.0 == 200 }).await;
    eventually("the next list counts", PATIENCE, || async { rig.dial("meter-1").await == 0 }).await;
    assert_eq!(point.not_modified.load(Ordering::SeqCst), 1);
    let operator = rig.server.token("oli", Role::Operator).await;
    let url = rig.server.url(&format!("/api/v1/registered-authorities/{id}/fetch-list"));
    assert_eq!(rig.server.http.post(url).bearer_auth(operator).send().await.unwrap().status(), 403);
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_44_a_server_that_is_not_told_so_asks_nobody_near() {
    let server = crate::support::TestServer::start(EngineKind::Sqlite).await;
    let rig = Rig::over(server).await;
    let id = rig.two_meters().await;
    let (point, at) = Point::open(Mood::Missing).await;
    // Where the address stands itself it is refused at once; where a name leads is seen when it is asked.
    let (status, refused) = rig.call(Method::PUT, &format!("/{id}/list-address"), json!({ "url": format!("http://{at}/plant.crl") })).await;
    assert_eq!((status, &refused["code"]), (400, &json!("list_address_refused")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("not public"), "{refused}");
    rig.set_address(&id, &format!("http://localhost:{}/plant.crl", at.port())).await;
    rig.fails(&id, "not public").await;
    assert_eq!(point.asked.load(Ordering::SeqCst), 0);
    rig.server.stop().await;
}
