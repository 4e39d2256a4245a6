//! on both ways to a first certificate: the native JSON and EST.

use crate::{
    journey::enrolment_token,
    stock::{Reply, Stock},
    support::TestServer,
};
use fleet::db::EngineKind;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};
use wire::devices::DeviceQuery;

/// The requests that the core's gate is tested with, and its verdicts.
const REQUESTS: &str = include_str!("../../core/src/pki/testdata/requests.txt");

struct Front {
    server: TestServer,
    stock: Stock,
    asked: u8,
}

impl Front {
    async fn start() -> Self {
        let server = TestServer::start(EngineKind::Sqlite).await;
        let stock = Stock::of(&server);
        Self { server, stock, asked: 0 }
    }

    /// The next request comes from another address: a refusal must come from the rule, not from the throttle.
    fn elsewhere(&mut self) {
        self.asked += 1;
        self.stock.from = format!("127.0.1.{}", self.asked);
    }

    /// Enrols by JSON.
    async fn json(&mut self, secret: &str, csr: &str, device_id: &str) -> Reply {
        self.elsewhere();
        self.stock.write("enrol.json", json!({ "csr": csr, "device_id": device_id }).to_string());
        let bearer = format!("Authorization: Bearer {secret}");
        self.stock.enrol("/device/v1/enrol", &["-H", &bearer, "-H", "Content-Type: application/json", "--data-binary", "@enrol.json"]).await
    }

    /// Enrols by EST.
    async fn est(&mut self, secret: &str, csr: &str) -> Reply {
        self.elsewhere();
        self.stock.write("csr.pem", csr);
        self.stock.est("simpleenroll", secret, "csr.pem", &[]).await
    }

    /// How many devices there are now.
    async fn devices(&self) -> i64 {
        self.server.running.fleet.devices().list(&self.server.system(), &DeviceQuery::default()).await.unwrap().total
    }
}

fn code(reply: &Reply) -> String {
    let problem: Value = serde_json::from_slice(&reply.body).unwrap();
    problem["code"].as_str().unwrap_or_default().to_owned()
}

/// Every request of the table with one of these verdicts, by both flows, with a token that is good.
async fn refused(verdicts: &[&str], status: u16, at_least: usize) {
    let mut front = Front::start().await;
    let token = enrolment_token(&front.server, "gw-1", "gateway", 100).await.secret;
    let mut seen = 0;
    for block in REQUESTS.split("== ").filter(|block| !block.is_empty()) {
        let (head, pem) = block.split_once('\n').unwrap();
        let (name, verdict) = head.split_once(' ').unwrap();
        if !verdicts.contains(&verdict) {
            continue;
        }
        seen += 1;
        let native = front.json(&token, pem, "gw-1").await;
        assert_eq!((native.status, code(&native).as_str()), (status, verdict), "{name}: {native:?}");
        let est = front.est(&token, pem).await;
        // The common name is the only name in EST; written in another way it would be another device, which the fleet does not have twice.
        if name == "other-case" {
            continue;
        }
        assert_eq!(est.status, status, "{name}: {est:?}");
    }
    assert!(seen >= at_least, "only {seen} requests were tried");
    front.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_10_a_request_for_more_than_a_device_is_gets_nothing() {
    refused(&["csr_forbidden_extension"], 400, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_11_a_request_in_another_name_gets_nothing() {
    refused(&["identity_mismatch"], 403, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_12_a_name_that_only_looks_right_gets_nothing() {
    refused(&["csr_malformed"], 400, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_13_weak_keys_and_old_signatures_get_nothing() {
    refused(&["weak_key", "unsupported_alg"], 400, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_14_a_key_that_was_not_proven_or_is_somebody_elses_gets_nothing() {
    let mut front = Front::start().await;
    let token = enrolment_token(&front.server, "gw-*", "gateway", 10).await.secret;
    for name in ["gw-1", "gw-3"] {
        front.stock.request(name, &format!("/CN={name}")).await;
    }
    // Signed over other data: one bit of the signature's last octet.
    let mut der = std::fs::read(front.stock.file("gw-3.der")).unwrap();
    *der.last_mut().unwrap() ^= 1;
    front.stock.write("gw-3.der", &der);
    front.stock.openssl(&["base64", "-in", "gw-3.der", "-out", "gw-3.b64"]).await;
    let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{}-----END CERTIFICATE REQUEST-----\n", front.stock.read("gw-3.b64"));
    let native = front.json(&token, &pem, "gw-3").await;
    assert_eq!((native.status, code(&native).as_str()), (400, "pop_failed"));
    assert_eq!(front.est(&token, &pem).await.status, 400);

    let first = front.stock.est("simpleenroll", &token, "gw-1.b64", &[]).await;
    assert_eq!(first.status, 200);
    front.stock.openssl(&["req", "-new", "-key", "gw-1.key", "-subj", "/CN=gw-2", "-out", "gw-2.pem"]).await;
    let pem = front.stock.read("gw-2.pem");
    let native = front.json(&token, &pem, "gw-2").await;
    assert_eq!((native.status, code(&native).as_str()), (409, "key_in_use"));
    assert_eq!(front.est(&token, &pem).await.status, 400, "EST clients know no 409");
    assert_eq!(front.devices().await, 1);
    front.server.stop().await;
}

/// Expiry and other organizations are in the core's `devices/tests`: this server's clock is the machine's.
#[tokio::test(flavor = "multi_thread")]
async fn a_15_bad_tokens_look_alike_and_guessing_ends() {
    let mut front = Front::start().await;
    let spent = enrolment_token(&front.server, "gw-1", "gateway", 1).await.secret;
    front.stock.request("gw-1", "/CN=gw-1").await;
    assert_eq!(front.stock.est("simpleenroll", &spent, "gw-1.b64", &[]).await.status, 200);
    let revoked = enrolment_token(&front.server, "gw-1", "gateway", 1).await;
    front.server.running.fleet.devices().revoke_enrolment_token(&front.server.system(), &revoked.token.id).await.unwrap();
    let mut guessed = spent.clone();
    guessed.replace_range(guessed.len() - 2.., "zz");
    let unknown = format!("fet_{}_{}", "0".repeat(32), "A".repeat(43));
    let pem = fleet::testing::csr("gw-1");
    let (mut native, mut est) = (Vec::new(), Vec::new());
    for secret in [&spent, &revoked.secret, &guessed, &unknown, "nonsense"] {
        let reply = front.json(secret, &pem, "gw-1").await;
        native.push((reply.status, reply.text()));
        let reply = front.est(secret, &pem).await;
        est.push((reply.status, reply.text()));
    }
    assert!(native.iter().all(|one| *one == native[0] && one.0 == 401), "{native:#?}");
    assert!(est.iter().all(|one| *one == est[0] && one.0 == 401), "{est:#?}");

    front.stock.from = "127.0.2.1".into();
    let mut last = 0;
    for _ in 0..11 {
        let reply = front.stock.est("simpleenroll", "fet_x", "gw-1.b64", &[]).await;
        last = reply.status;
        assert!(last == 401 || reply.head.contains("\r\nRetry-After: "), "{}", reply.head);
    }
    assert_eq!(last, 429);
    front.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_17_bodies_that_are_huge_endless_packed_or_late_cost_little() {
    let mut front = Front::start().await;
    let token = enrolment_token(&front.server, "gw-*", "gateway", 10).await.secret;
    front.stock.write("huge", vec![b'A'; 1 << 20]);
    front.stock.write("small", [0x1f, 0x8b, 8, 0]);
    let bearer = format!("Authorization: Bearer {token}");
    for (path, media) in [("/device/v1/enrol", "application/json"), ("/.well-known/est/simpleenroll", "application/pkcs10")] {
        let media = format!("Content-Type: {media}");
        let sent = ["-H", &bearer, "-H", &media, "--data-binary", "@huge"];
        for more in [&[][..], &["-H", "Transfer-Encoding: chunked"]] {
            front.elsewhere();
            assert_eq!(front.stock.enrol(path, &[&sent[..], more].concat()).await.status, 413, "{path} {more:?}");
        }
        front.elsewhere();
        let packed = ["-H", &bearer, "-H", &media, "-H", "Content-Encoding: gzip", "--data-binary", "@small"];
        assert_eq!(front.stock.enrol(path, &packed).await.status, 415, "{path}");
        let begun = Instant::now();
        let answer = stalled(&front, path, &media).await;
        assert!(begun.elapsed() < Duration::from_secs(20) && (answer.is_empty() || answer.starts_with("HTTP/1.1 4")), "{answer}");
    }
    front.server.stop().await;
}

/// Says 1000 octets, sends one, and waits for what the server does.
async fn stalled(front: &Front, path: &str, media: &str) -> String {
    let mut roots = rustls::RootCertStore::empty();
    let root = front.server.running.fleet.pki().root_pem();
    roots.add(rustls_pki_types::pem::PemObject::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = std::sync::Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let socket = TcpStream::connect(("127.0.0.1", front.server.running.enrol_addr.port())).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(config).connect(name, socket).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer fet_x\r\n{media}\r\ncontent-length: 1000\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The decoder's own tests, with random bytes, are the core's `pki/est.rs` and `pki/tests/requests.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn a_18_malformed_requests_are_refused_one_by_one() {
    let mut front = Front::start().await;
    let token = enrolment_token(&front.server, "gw-*", "gateway", 10).await.secret;
    front.stock.request("gw-1", "/CN=gw-1").await;
    let good = std::fs::read(front.stock.file("gw-1.der")).unwrap();
    let nested = (0..50).fold(vec![5, 0], |inner: Vec<u8>, _| [&[0x30, u8::try_from(inner.len()).unwrap()], inner.as_slice()].concat());
    for (what, der) in [
        ("cut", good[..good.len() / 2].to_vec()),
        ("trailing", [&good[..], &[0]].concat()),
        ("indefinite", [&[0x30, 0x80], &good[2..], &[0, 0]].concat()),
        ("nested", nested),
        ("endless length", vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
        ("huge integer", [&[0x30, 0x82, 0x10, 0x04, 0x02, 0x82, 0x10, 0x00], &[0x7f; 4096][..]].concat()),
        ("nothing", Vec::new()),
    ] {
        front.elsewhere();
        front.stock.write("bad.der", &der);
        let reply = front.stock.est("simpleenroll", &token, "bad.der", &[]).await;
        assert_eq!(reply.status, 400, "{what}: {reply:?}");
        assert_eq!(reply.text().lines().count(), 1, "{what}: {}", reply.text());
    }
    assert_eq!(front.devices().await, 0);
    front.server.stop().await;
}
