//! What every listener says to whoever asks for what is not there, in another way, or with too much: our words in the listener's form, over real
//! sockets.

use crate::{rest::Rest, stock::Stock, support::TestServer};
use fleet::db::EngineKind;
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use wire::states::Role;

/// Sends this and nothing more, and reads until the answer's end.
async fn raw(to: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(to).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Less than any patience of ours with bodies: who waited for this one would be caught.
    let read = timeout(Duration::from_secs(5), async {
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = socket.read(&mut piece).await {
            answer.extend_from_slice(&piece[..n]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
            if length.is_some_and(|length| body.len() >= length) {
                break;
            }
        }
    });
    read.await.unwrap_or_else(|_| panic!("no answer in time to {request}"));
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(path: &str, headers: &str, length: u64) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n")
}

const LARGE: u64 = 10_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_17_ten_gigabytes_are_refused_when_they_are_announced() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let token = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", server.token("oli", Role::Operator).await);
    let running = &server.running;
    for more in ["", "Idempotency-Key: once\r\n"] {
        let json = raw(running.operator_addr, &post("/api/v1/enrolment-tokens", &format!("{token}{more}"), LARGE)).await;
        assert!(json.starts_with("HTTP/1.1 413 ") && json.contains("body_too_large"), "{json}");
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\nAccept: text/html\r\n";
    let form = raw(running.operator_addr, &post("/rpc/session/sign_in", form, LARGE)).await;
    assert!(form.starts_with("HTTP/1.1 413 ") && form.contains("<p role=\"alert\">A form has at most"), "{form}");
    let ocsp = raw(running.publish_addr, &post("/ocsp", "Content-Type: application/ocsp-request\r\n", LARGE)).await;
    assert!(ocsp.starts_with("HTTP/1.1 413 ") && ocsp.ends_with("Send less.\n"), "{ocsp}");

    let stock = Stock::of(&server);
    let announced = format!("Content-Length: {LARGE}");
    let much = ["--http1.1", "--max-time", "5", "-H", &announced, "-H", "Expect:", "--data", "x"];
    let enrol = stock.enrol("/device/v1/enrol", &much).await;
    let body: Value = serde_json::from_slice(&enrol.body).unwrap();
    assert_eq!((enrol.status, &body["code"]), (413, &Value::from("too_large")), "{enrol:?}");
    let est = stock.enrol("/.well-known/est/simpleenroll", &much).await;
    assert!(est.status == 413 && est.text().ends_with("Send less.\n") && !est.text().contains('{'), "{est:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listener_refuses_in_its_own_form() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let running = &server.running;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    // Plain HTTP for programs: a line of text.
    for (to, path, status, words) in [
        (running.publish_addr, "/nothing", 404, "There is nothing at this address. Here are /crl/{id}.crl, /ca/{id}.cer and /ocsp.\n"),
        (running.publish_addr, "/crl/%ff.crl", 400, "/ocsp.\n"),
        (running.publish_addr, "/crl/x.crl", 404, "There is no such file here.\n"),
        (running.publish_addr, "/ocsp", 405, "names those that it takes. Here are /crl/{id}.crl, /ca/{id}.cer and /ocsp.\n"),
        (running.ops_addr, "/nothing", 404, "Here are /healthz, /readyz and /metrics.\n"),
    ] {
        let answer = raw(to, &get(path)).await;
        let plain = answer.to_ascii_lowercase().contains("content-type: text/plain");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && plain && answer.ends_with(words), "{path}: {answer}");
    }
    let large = post("/ocsp", "Content-Type: application/ocsp-request\r\nConnection: close\r\n", 8193) + &"x".repeat(8193);
    let large = raw(running.publish_addr, &large).await;
    assert!(large.starts_with("HTTP/1.1 413 ") && large.ends_with("Send less.\n"), "{large}");

    // The enrol listener: problem documents, and lines for EST, as its clients know them.
    let stock = Stock::of(&server);
    for (path, more, status, code) in [
        ("/nothing", &[][..], 404, "not_found"),
        ("/device/v1/enrol", &[], 405, "method_not_allowed"),
        ("/device/v1/enrol", &["--data", "{"], 400, "bad_json"),
        ("/device/v1/enrol", &["--data", "[]"], 400, "bad_json"),
        ("/default/controller/v1/%ff", &[], 404, "not_found"),
    ] {
        let answer = stock.enrol(path, more).await;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{path}: {answer:?}"));
        assert_eq!((answer.status, body["code"].as_str()), (status, Some(code)), "{path}: {answer:?}");
        assert!(answer.head.to_ascii_lowercase().contains("content-type: application/problem+json"), "{answer:?}");
    }
    for (path, status) in [("/.well-known/est/%ff", 400), ("/.well-known/est/", 404), ("/.well-known/est/cacertz", 404)] {
        let answer = stock.enrol(path, &[]).await;
        assert!(answer.status == status && answer.text().ends_with(".\n") && !answer.text().starts_with('{'), "{path}: {answer:?}");
    }

    // The console: problem documents for programs, pages for people.
    let token = server.token("oli", Role::Operator).await;
    let api = async |path: &str| {
        let answer = server.http.get(server.url(path)).bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, query) = api("/api/v1/certificates?state=bogus").await;
    let detail = query["detail"].as_str().unwrap();
    assert!(status == 400 && query["code"] == "bad_query", "{query}");
    assert!(detail.contains("state") && detail.contains("active") && !detail.contains('`') && !detail.contains("deserialize"), "{detail}");
    assert_eq!(api("/api/v1/%ff").await.0, 404);
    assert_eq!(api("/live").await.1["code"], "websocket_expected");
    let browser = server.browser("ada", Role::Admin).await;
    for (path, media, words) in [
        ("/releases/upload", "text/plain", "something in its path, its query, its headers or its body is malformed"),
        ("/enrolment/batches", "multipart/form-data; boundary=x", "The form was cut off or can't be read."),
        ("/enrolment/claims", "application/x-www-form-urlencoded", "The form can"),
    ] {
        let form = browser.post(server.url(path)).header("content-type", media).header("accept", "text/html");
        let form = form.header("sec-fetch-site", "same-origin").header("referer", server.url("/enrolment"));
        let answer = form.body("--x").send().await.unwrap();
        assert!(answer.status().is_client_error() && answer.headers()["content-type"] == "text/html; charset=utf-8", "{path}: {answer:?}");
        let page = answer.text().await.unwrap();
        assert!(page.contains(words) && page.contains("href=\"/enrolment\">Go back"), "{path}: {page}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_announces_more_than_is_missing_is_refused_before_it_comes() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let rest = Rest::of(&server, "gateway").await;
    let upload = rest.post(&rest.operator, "/uploads", &json!({ "name": "fw.bin", "size": 10 })).await;
    let id = upload["id"].as_str().unwrap();
    assert!(rest.chunk(id, 0, "0123").await.status().is_success());
    let refused = rest.chunk(id, 4, "456789 and more").await;
    assert_eq!(refused.status(), 413);
    let told: Value = refused.json().await.unwrap();
    assert_eq!(told["code"], "too_many_bytes", "{told}");
    assert_eq!(rest.get(&format!("/uploads/{id}")).await["received"], 4, "nothing of it was taken");
    assert!(rest.chunk(id, 4, "456789").await.status().is_success());
    server.stop().await;
}
