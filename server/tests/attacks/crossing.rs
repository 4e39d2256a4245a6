//! device A asks every route that devices have, with the ids of device B in path, query, body, headers, frames and certificates. It gets
//! what is its own, or a refusal; nothing of B's is told or touched. A route without a row here fails the test.

use crate::{
    journey::enrolment_token,
    rest::Rest,
    stock::{Reply, Stock},
    support::TestServer,
};
use fleet::db::EngineKind;
use futures::{SinkExt as _, StreamExt as _};
use rstest::rstest;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};
use wire::{device::Down, states::Role};

/// Where the routes are written down.
const ROUTES: &str = include_str!("../../src/device/mod.rs");
const DDI: &str = include_str!("../../src/device/ddi/mod.rs");
const EST: &str = include_str!("../../src/device/est/mod.rs");

/// What stands first in every `.route(…)` of a file.
fn routes(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().filter_map(|line| line.trim().strip_prefix(".route(")?.split(',').next()).map(|text| text.trim_matches('"'))
}

/// What stands first in every `.route(…)`, and before every arm of EST's operations.
fn written() -> BTreeSet<String> {
    let routes = routes(ROUTES).chain(routes(DDI));
    let operations =
        EST.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" =>").map(|(words, _)| words.split("\" | \"")));
    routes.map(str::to_owned).chain(operations.flatten().map(|word| format!("est {word}"))).collect()
}

/// Two devices with certificates: `a` has nothing to install, `b` was offered an update.
struct Crossing {
    server: TestServer,
    rest: Rest,
    stock: Stock,
    rollout: String,
    /// B's update, and the digest of what it is made of.
    update: String,
    artifact: String,
    tried: BTreeSet<String>,
}

const OF_A: [&str; 4] = ["--cert", "gw-a.pem", "--key", "gw-a.key"];
const OF_B: [&str; 4] = ["--cert", "gw-b.pem", "--key", "gw-b.key"];
/// Headers by which proxies and careless servers tell who asks.
const NAMING_B: [&str; 10] = [
    "-H",
    "X-Device-Id: gw-b",
    "-H",
    "X-SSL-Client-S-DN: CN=gw-b",
    "-H",
    "X-Forwarded-Client-Cert: Subject=\"CN=gw-b\"",
    "-H",
    "Client-Cert: :Z3ctYg==:",
    "-H",
    "X-Tenant: other",
];

impl Crossing {
    async fn open(kind: EngineKind) -> Self {
        let server = TestServer::start(kind).await;
        let rest = Rest::of(&server, "radio").await;
        let stock = Stock::of(&server);
        for (name, device_type) in [("gw-a", "gateway"), ("gw-b", "radio")] {
            let token = enrolment_token(&server, name, device_type, 1).await.secret;
            stock.request(name, &format!("/CN={name}")).await;
            let issued = stock.est("simpleenroll", &token, &format!("{name}.b64"), &[]).await;
            assert_eq!(stock.unpack(&issued, &format!("{name}.pem")).await, 1, "{issued:?}");
        }
        let release = rest.release("1.1.0", 2, &vec![7; 50_000]).await;
        let gate = json!({ "success_percent": 0.0, "error_percent": 100.0, "min_sample": 1, "max_errors": 0 });
        let stage = json!({ "name": "Everyone", "reach": { "percent": 100.0 }, "soak_s": 0, "gate": gate });
        let spec = json!({ "name": "Radios", "release": release, "stages": [stage], "timeout_min": 60, "reason": "test" });
        let drafted = rest.post(&rest.operator, "/rollouts", &spec).await;
        let rollout = drafted["row"]["id"].as_str().unwrap().to_owned();
        let eve = server.token("eve", Role::Admin).await;
        rest.post(&rest.operator, &format!("/rollouts/{rollout}/submit"), &json!({})).await;
        let digest = rest.get(&format!("/rollouts/{rollout}")).await["digest"].clone();
        rest.post(&eve, &format!("/rollouts/{rollout}/approve"), &json!({ "digest": digest, "remark": "fine" })).await;
        let offer = stock.device("/device/v1/update", &OF_B).await;
        assert_eq!(offer.status, 200, "{offer:?}");
        let offer: Value = serde_json::from_str(&offer.text()).unwrap();
        let update = offer["update_id"].as_str().unwrap().to_owned();
        let artifact = offer["downloads"][0]["sha256"].as_str().unwrap().to_owned();
        Self { server, rest, stock, rollout, update, artifact, tried: BTreeSet::new() }
    }

    /// A asks the device listener this, in the name of B as far as headers can say so.
    async fn device(&mut self, route: &str, path: &str, more: &[&str]) -> Reply {
        self.tried.insert(route.to_owned());
        self.stock.device(path, &[&OF_A[..], &NAMING_B, more].concat()).await
    }

    /// The same of the enrol listener.
    async fn enrol(&mut self, route: &str, path: &str, more: &[&str]) -> Reply {
        self.tried.insert(route.to_owned());
        self.stock.enrol(path, &[&OF_A[..], &NAMING_B, more].concat()).await
    }

    /// What A sends to be told something of B's, JSON in a file.
    fn sent(&self, body: &Value) -> Vec<&'static str> {
        self.stock.write("sent.json", body.to_string());
        vec!["-H", "Content-Type: application/json", "--data-binary", "@sent.json"]
    }

    /// A request for B's name by this key, PEM.
    async fn request_of(&self, key: &str, name: &str) -> String {
        self.stock.openssl(&["req", "-new", "-key", key, "-subj", &format!("/CN={name}"), "-out", "asked.pem"]).await;
        self.stock.read("asked.pem")
    }

    /// B's part in the rollout, as people see it.
    async fn part_of_b(&self) -> Value {
        self.rest.get(&format!("/rollouts/{}/updates", self.rollout)).await["items"][0].clone()
    }

    async fn channel(&self) -> WebSocketStream<TlsStream<TcpStream>> {
        let pem = |name: &str| std::fs::read(self.stock.file(name)).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem("root.pem")).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(&pem("gw-a.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(&pem("gw-a.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
        let socket = TcpStream::connect(self.server.running.device_addr).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        client_async("ws://127.0.0.1/device/v1/channel?device_id=gw-b", stream).await.unwrap().0
    }
}

async fn hear(channel: &mut WebSocketStream<TlsStream<TcpStream>>) -> Down {
    loop {
        match timeout(Duration::from_secs(10), channel.next()).await.expect("a frame in time") {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn refused(reply: &Reply, status: u16, what: &str) {
    assert_eq!(reply.status, status, "{what}: {reply:?}");
    assert!(!reply.text().contains("BEGIN CERTIFICATE"), "{what}: {}", reply.text());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_30_device_a_gets_and_changes_nothing_of_device_b_by_any_route(#[case] kind: EngineKind) {
    let mut c = Crossing::open(kind).await;
    let before = c.part_of_b().await;
    assert_eq!(before["device_id"], "gw-b", "{before}");
    let (update, artifact) = (c.update.clone(), c.artifact.clone());

    // Updates: A has none, whoever it says it is.
    for query in ["", "?device_id=gw-b", "?device=gw-b&update_id=x"] {
        let reply = c.device("/device/v1/update", &format!("/device/v1/update{query}"), &[]).await;
        assert_eq!((reply.status, reply.body.len()), (204, 0), "{query}: {reply:?}");
    }
    for state in ["succeeded", "failed", "downloading"] {
        let body = c.sent(&json!({ "update_id": update, "state": state, "detail": "from A", "device_id": "gw-b" }));
        let reply = c.device("/device/v1/status", "/device/v1/status", &body).await;
        refused(&reply, 404, state);
    }
    // Artifacts: what B installs is not there for A, whole, in part or by its head.
    for more in [&[][..], &["-I"], &["-H", "Range: bytes=0-9"], &["-H", "X-Update-Id: upd_b"]] {
        for path in
            [format!("/device/v1/artifacts/{artifact}"), format!("/device/v1/artifacts/{artifact}?device_id=gw-b&update_id={update}")]
        {
            let reply = c.device("/device/v1/artifacts/{sha256}", &path, more).await;
            refused(&reply, 404, &path);
        }
    }
    assert_eq!(c.stock.device(&format!("/device/v1/artifacts/{artifact}"), &OF_B).await.status, 200, "for B it is");
    // Renewal: a certificate of B's name for A's key, or for B's own.
    for key in ["gw-a.key", "gw-b.key"] {
        let csr = c.request_of(key, "gw-b").await;
        let body = c.sent(&json!({ "csr": csr, "device_id": "gw-b" }));
        let reply = c.device("/device/v1/renew", "/device/v1/renew", &body).await;
        assert!(matches!(reply.status, 403 | 409), "{key}: {reply:?}");
        refused(&reply, reply.status, key);
    }
    // The trust bundle is the organization's, and says nothing of any device.
    let mine = c.stock.device("/device/v1/trust-bundle", &OF_A).await;
    let reply = c.device("wire::device::TRUST_BUNDLE", "/device/v1/trust-bundle?device_id=gw-b&org=other", &[]).await;
    assert_eq!((reply.status, reply.text()), (200, mine.text()));
    assert!(!reply.text().contains("gw-b"));
    let reply = c.enrol("wire::device::TRUST_BUNDLE", "/device/v1/trust-bundle?device_id=gw-b", &[]).await;
    assert_eq!((reply.status, reply.text()), (200, c.stock.read("root.pem")), "the same root for everybody");

    // Key sets are the organization's as well; there is none here, whoever asks for whom.
    for path in ["/device/v1/key-sets/1", "/device/v1/key-sets/1?device_id=gw-b&org=other"] {
        refused(&c.device("/device/v1/key-sets/{version}", path, &[]).await, 404, path);
    }

    // hawkBit's protocol: B's address by A's certificate, and A's own address with B's action.
    let base: Value = serde_json::from_str(&c.stock.device("/default/controller/v1/gw-b", &OF_B).await.text()).unwrap();
    let action = base["_links"]["deploymentBase"]["href"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let body = c.sent(&json!({ "data": { "from": "a" }, "status": { "execution": "closed", "result": { "finished": "failure" } } }));
    for route in routes(DDI) {
        let at = |controller: &str| {
            let own = route.replace("{tenant}", "default").replace("{controller}", controller);
            own.replace("{action}", &action).replace("{file}", "firmware.bin")
        };
        let more = match route.rsplit('/').next() {
            Some("feedback" | "activateAutoConfirm" | "deactivateAutoConfirm") => body.clone(),
            Some("configData" | "installedBase") => [&body[..], &["-X", "PUT"]].concat(),
            _ => Vec::new(),
        };
        refused(&c.device(route, &at("gw-b"), &more).await, 403, route);
        if route.contains("{action}") {
            refused(&c.device(route, &at("gw-a"), &more).await, 404, route);
        }
    }
    let own = c.device("/{tenant}/controller/v1/{controller}", "/default/controller/v1/gw-a?controller=gw-b", &[]).await;
    assert!(own.status == 200 && !own.text().contains("deploymentBase"), "{own:?}");

    // The channel: hello, samples and reports in B's name.
    c.tried.insert("/device/v1/channel".into());
    let mut channel = c.channel().await;
    let firmware = json!({ "version": "9.9.9", "sequence": 99, "device_type": "radio" });
    let hello = json!({ "type": "hello", "agent": "a/1", "boot_id": "x", "firmware": firmware, "stream": "s", "device_id": "gw-b" });
    channel.send(Message::text(hello.to_string())).await.unwrap();
    assert!(matches!(hear(&mut channel).await, Down::Welcome(welcome) if welcome.device_id.as_str() == "gw-a"));
    let now = fleet::clock::Clock::now(&fleet::clock::SystemClock).0;
    let samples = json!({ "type": "samples", "seq": 1, "device_id": "gw-b", "samples": [{ "m": "stolen", "t": now, "v": 1.0, "device_id": "gw-b" }] });
    channel.send(Message::text(samples.to_string())).await.unwrap();
    assert!(matches!(hear(&mut channel).await, Down::Ack { seq: 1 }));
    let status = json!({ "type": "status", "update_id": update, "state": "failed", "detail": "from A", "device_id": "gw-b" });
    channel.send(Message::text(status.to_string())).await.unwrap();
    match hear(&mut channel).await {
        Down::Refused { code, .. } => assert_eq!(code, "not_found"),
        other => panic!("{other:?}"),
    }
    drop(channel);

    // First certificates: A's token and A's certificate get none of B's name.
    let token = enrolment_token(&c.server, "gw-a*", "gateway", 5).await.secret;
    let bearer = format!("Authorization: Bearer {token}");
    let csr = c.request_of("gw-a.key", "gw-b").await;
    let body = c.sent(&json!({ "csr": csr, "device_id": "gw-b", "device_type": "radio", "hardware": "A" }));
    let with_token = [&body[..], &["-H", &bearer]].concat();
    let reply = c.enrol("/device/v1/enrol", "/device/v1/enrol", &with_token).await;
    assert!(matches!(reply.status, 403 | 409), "{reply:?}");
    refused(&reply, reply.status, "A's token");
    refused(&c.enrol("/device/v1/enrol", "/device/v1/enrol", &body).await, 401, "A's certificate is no credential here");
    // Recovery of B's certificate, proven by A's key.
    let nonce: Value = serde_json::from_str(&c.enrol("/device/v1/recover", "/device/v1/recover?device_id=gw-b", &[]).await.text()).unwrap();
    c.stock.write("nonce.b64", format!("{}\n", nonce["nonce"].as_str().unwrap()));
    c.stock.shell("openssl base64 -d -A -in nonce.b64 -out message && openssl req -in asked.pem -outform DER | openssl dgst -sha256 -binary >> message").await;
    c.stock.shell("openssl dgst -sha256 -sign gw-a.key message | openssl base64 -A > signature").await;
    let (certificate, signature) = (c.stock.read("gw-b.pem"), c.stock.read("signature"));
    assert!(!signature.is_empty());
    let body = c.sent(&json!({ "csr": csr, "certificate": certificate, "nonce": nonce["nonce"], "signature": signature }));
    let reply = c.enrol("/device/v1/recover", "/device/v1/recover", &body).await;
    refused(&reply, 403, "recovery");
    assert!(reply.text().contains("recovery_refused"), "{}", reply.text());
    // EST.
    c.tried.insert("est::ROUTE".into());
    let pkcs10 = ["-H", "Content-Type: application/pkcs10", "--data-binary", "@asked.pem"];
    let reply = c.enrol("est simpleenroll", "/.well-known/est/simpleenroll", &[&pkcs10[..], &["-H", &bearer]].concat()).await;
    assert!(matches!(reply.status, 400 | 403), "{reply:?}");
    refused(&c.enrol("est simpleenroll", "/.well-known/est/simpleenroll", &pkcs10).await, 401, "no token");
    let reply = c.enrol("est simplereenroll", "/.well-known/est/simplereenroll?device_id=gw-b", &pkcs10).await;
    refused(&reply, 403, "reenrolment in another name");
    for operation in ["serverkeygen", "fullcmc"] {
        let reply = c.enrol(&format!("est {operation}"), &format!("/.well-known/est/{operation}"), &pkcs10).await;
        assert!(reply.status >= 400, "{operation}: {reply:?}");
        refused(&reply, reply.status, operation);
    }
    for operation in ["cacerts", "csrattrs"] {
        let path = format!("/.well-known/est/{operation}");
        let anybody = c.stock.enrol(&path, &[]).await;
        let reply = c.enrol(&format!("est {operation}"), &format!("{path}?device_id=gw-b"), &[]).await;
        assert_eq!((reply.status, &reply.body), (200, &anybody.body), "{operation}");
    }

    assert_eq!(c.tried, written(), "every route that devices have is tried here");
    assert_eq!(c.part_of_b().await, before, "nothing has happened to B's update");
    let (from, to) = (now - 60_000, now + 60_000);
    let samples = async |device: &str| {
        let history = c.rest.get(&format!("/devices/{device}/telemetry?metrics=stolen&from={from}&to={to}&points=10")).await;
        history["series"].as_array().unwrap().iter().map(|series| series["t"].as_array().unwrap().len()).sum::<usize>()
    };
    assert_eq!((samples("gw-a").await, samples("gw-b").await), (1, 0), "what A sent is A's");
    let shown = c.rest.get("/devices/gw-b").await;
    assert!(!shown.to_string().contains("9.9.9"), "nor what A runs: {shown}");
    c.server.stop().await;
}
