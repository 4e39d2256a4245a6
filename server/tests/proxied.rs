//! A whole server behind a proxy (H-8): at one address devices come in, and act with the certificates that the proxy passes on; everywhere else the same
//! headers are worth nothing.

mod claims;
mod own_authority;

use crate::{
    journey::enrolment_token,
    stock::Stock,
    support::{TestServer, eventually},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::db::EngineKind;
use reqwest::{Method, Response, StatusCode};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use server::config::Config;
use std::{net::SocketAddr, time::Duration};
use wire::enrolment::NewEnrolmentToken;

/// The proxy's way to a server.
struct Proxy<'a> {
    server: &'a TestServer,
    at: SocketAddr,
}

async fn started(kind: EngineKind, forwarded: bool) -> TestServer {
    let proxied = |config| Config {
        device_proxy_addr: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        trusted_proxies: vec!["127.0.0.1".into()],
        trust_forwarded_for: forwarded,
        ..config
    };
    TestServer::start_with(kind, proxied).await
}

impl<'a> Proxy<'a> {
    fn of(server: &'a TestServer) -> Self {
        Self { server, at: server.running.device_proxy_addr.unwrap() }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Response {
        let asked = self.server.http.request(method, format!("http://{}{path}", self.at));
        let asked = headers.iter().fold(asked, |asked, (name, value)| asked.header(*name, *value));
        body.into_iter().fold(asked, reqwest::RequestBuilder::json).send().await.unwrap()
    }

    async fn get(&self, path: &str, certificate: Option<&str>) -> Response {
        let shown = certificate.map(|value| ("Client-Cert", value));
        self.ask(Method::GET, path, shown.as_slice(), None).await
    }

    /// Enrols a device through the proxy, and gives its certificate as the proxy passes it on.
    async fn enrol(&self, name: &str) -> String {
        let token = enrolment_token(self.server, name, "gateway", 1).await.secret;
        let answer = self.join(name, &token, &[]).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let enrolled: Value = answer.json().await.unwrap();
        header(enrolled["certificate"].as_str().unwrap())
    }

    async fn join(&self, name: &str, token: &str, headers: &[(&str, &str)]) -> Response {
        let bearer = format!("Bearer {token}");
        let body = json!({ "csr": fleet::testing::csr(name), "device_id": name, "device_type": "gateway", "hardware": "A" });
        self.ask(Method::POST, "/device/v1/enrol", &[&[("Authorization", bearer.as_str())], headers].concat(), Some(&body)).await
    }
}

fn header(pem: &str) -> String {
    format!(":{}:", STANDARD.encode(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()))
}

async fn code(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let problem: Value = answer.json().await.unwrap();
    (status, problem["code"].as_str().unwrap().to_owned())
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn h_8_behind_a_proxy_devices_come_in_and_act_at_one_address(#[case] kind: EngineKind) {
    let server = started(kind, false).await;
    let proxy = Proxy::of(&server);
    let (one, two) = (proxy.enrol("gw-1").await, proxy.enrol("gw-2").await);

    // With a certificate a device has its own protocol, hawkBit's and EST.
    assert_eq!(proxy.get("/device/v1/update", Some(&one)).await.status(), StatusCode::NO_CONTENT);
    let polled = proxy.get("/default/controller/v1/gw-1", Some(&one)).await;
    assert_eq!(polled.status(), StatusCode::OK);
    assert_eq!(code(proxy.get("/default/controller/v1/gw-1", Some(&two)).await).await, (403, "other_device".to_owned()));
    let bundle: Value = proxy.get("/device/v1/trust-bundle", Some(&one)).await.json().await.unwrap();
    assert!(bundle["version"].as_i64().is_some_and(|version| version > 0), "{bundle}");
    let renew = async |name: &str| {
        let body = json!({ "csr": fleet::testing::csr(name) });
        proxy.ask(Method::POST, "/device/v1/renew", &[("Client-Cert", &one)], Some(&body)).await
    };
    assert_eq!(code(renew("gw-2").await).await, (403, "identity_mismatch".to_owned()), "another device's name");
    let renewed = renew("gw-1").await;
    assert_eq!(renewed.status(), StatusCode::CREATED);
    let newer: Value = renewed.json().await.unwrap();
    let newer = header(newer["certificate"].as_str().unwrap());
    assert_eq!(proxy.get("/device/v1/update", Some(&newer)).await.status(), StatusCode::NO_CONTENT);
    let est = proxy.get("/.well-known/est/cacerts", None).await;
    assert_eq!(
        (est.status(), est.headers()["content-type"].to_str().unwrap()),
        (StatusCode::OK, "application/pkcs7-mime; smime-type=certs-only")
    );

    // Without one it is as on the enrol listener, and what needs one says so.
    for path in ["/device/v1/update", "/device/v1/channel", "/device/v1/artifacts/00"] {
        assert_eq!(code(proxy.get(path, None).await).await, (401, "no_certificate".to_owned()), "{path}");
    }
    assert_eq!(code(proxy.get("/default/controller/v1/gw-1", None).await).await, (401, "no_token".to_owned()));
    assert_eq!(proxy.get("/device/v1/trust-bundle", None).await.text().await.unwrap(), server.running.fleet.pki().root_pem());

    // Refusals have the form of the face that was asked.
    assert_eq!(code(proxy.get("/device/v1/update", Some("gw-1")).await).await, (400, "bad_certificate_header".to_owned()));
    let est = proxy.get("/.well-known/est/cacerts", Some("gw-1")).await;
    assert_eq!(est.status(), StatusCode::BAD_REQUEST);
    assert!(est.text().await.unwrap().starts_with("No certificate could be read from the header client-cert (H-8)"));

    let metrics = server.http.get(format!("http://{}/metrics", server.running.ops_addr)).send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("fleetward_tls_connections_total{listener=\"proxy\",outcome=\"refused\",reason=\"not_a_proxy\"} 0"),
        "{metrics}"
    );
    server.stop().await;
}

/// on the other listeners the same header is ignored, whoever sends it and whatever it holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_31_the_header_is_worth_nothing_on_any_other_listener() {
    let server = started(EngineKind::Sqlite, false).await;
    let proxy = Proxy::of(&server);
    let one = proxy.enrol("gw-1").await;
    let stock = Stock::of(&server);
    let token = enrolment_token(&server, "gw-2", "gateway", 1).await.secret;
    stock.request("gw-2", "/CN=gw-2").await;
    let issued = stock.est("simpleenroll", &token, "gw-2.b64", &[]).await;
    assert_eq!(stock.unpack(&issued, "gw-2.pem").await, 1, "{issued:?}");
    let claimed = format!("Client-Cert: {one}");
    let own = ["--cert", "gw-2.pem", "--key", "gw-2.key", "-H", &claimed];
    assert_eq!(stock.device("/default/controller/v1/gw-2", &own).await.status, 200);
    assert_eq!(stock.device("/default/controller/v1/gw-1", &own).await.status, 403);
    assert_eq!(stock.enrol("/default/controller/v1/gw-1", &["-H", &claimed]).await.status, 401);
    let operator = server.http.get(server.url("/api/v1/devices")).header("Client-Cert", &one).send().await.unwrap();
    assert_eq!(operator.status(), StatusCode::UNAUTHORIZED);
    server.stop().await;
}

/// Where the proxy says where devices are, that is where they are.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_a_device_has_the_address_that_the_proxy_says_where_it_is_believed() {
    for (forwarded, allowed) in [(true, "198.51.100.0/24"), (false, "127.0.0.1")] {
        let server = started(EngineKind::Sqlite, forwarded).await;
        let proxy = Proxy::of(&server);
        let new = NewEnrolmentToken {
            label: "here".into(),
            pattern: "gw-*".into(),
            device_type: "gateway".into(),
            max_uses: 5,
            hours: 1,
            source: allowed.into(),
            ..NewEnrolmentToken::default()
        };
        let token = server.running.fleet.devices().create_enrolment_token(&server.system(), new).await.unwrap().secret;
        let answer = proxy.join("gw-1", &token, &[("X-Forwarded-For", "203.0.113.9, 198.51.100.7")]).await;
        assert_eq!(answer.status(), StatusCode::CREATED, "{forwarded}");
        let elsewhere = proxy.join("gw-2", &token, &[("X-Forwarded-For", "198.51.100.7, 203.0.113.9")]).await;
        assert_eq!(elsewhere.status().is_success(), !forwarded, "{}", elsewhere.status());
        server.stop().await;
    }
}

/// A revocation at the core reaches what the proxy has open.
#[tokio::test(flavor = "multi_thread")]
async fn h_8_a_revoked_device_s_channel_ends_behind_the_proxy() {
    use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest as _};
    let server = started(EngineKind::Sqlite, false).await;
    let proxy = Proxy::of(&server);
    let one = proxy.enrol("gw-1").await;
    let mut request = format!("ws://{}/device/v1/channel", proxy.at).into_client_request().unwrap();
    request.headers_mut().insert("client-cert", one.parse().unwrap());
    let (mut channel, _) = connect_async(request).await.unwrap();
    let device = "gw-1".parse().unwrap();
    server.running.fleet.devices().decommission(&server.system(), &device).await.unwrap();
    let end = async { while matches!(futures::StreamExt::next(&mut channel).await, Some(Ok(_))) {} };
    tokio::time::timeout(Duration::from_secs(1), end).await.expect("its channel is closed within a second");
    eventually("and it stays out", Duration::from_secs(5), || async {
        code(proxy.get("/device/v1/update", Some(&one)).await).await == (403, "certificate_refused".to_owned())
    })
    .await;
    server.stop().await;
}
