//! Claims through a proxy (E-9): what holds one lets new devices in there, and is no device itself.

use super::{Proxy, code, header, started};
use fleet::db::EngineKind;
use reqwest::{Method, Response, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};
use wire::states::Role;

/// A new device asks by the certificate of a claim.
async fn enrols(proxy: &Proxy<'_>, claim: &str, name: &str) -> Response {
    let body = json!({ "csr": fleet::testing::csr(name) });
    proxy.ask(Method::POST, "/device/v1/enrol", &[("Client-Cert", claim)], Some(&body)).await
}

/// The same by EST.
async fn enrols_by_est(proxy: &Proxy<'_>, claim: &str, name: &str) -> StatusCode {
    let csr = fleet::testing::csr(name);
    let base64: String = csr.lines().filter(|line| !line.starts_with('-')).collect();
    let asked = proxy.server.http.post(format!("http://{}/.well-known/est/simpleenroll", proxy.at));
    let asked = asked.header("Client-Cert", claim).header("Content-Type", "application/pkcs10").body(base64);
    asked.send().await.unwrap().status()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn e_9_behind_a_proxy_a_claim_lets_devices_in_until_it_is_disabled(#[case] kind: EngineKind) {
    let server = started(kind, false).await;
    let proxy = Proxy::of(&server);
    let admin = server.token("ada", Role::Admin).await;
    let asked = json!({ "label": "image 4", "pattern": "gw-*", "device_type": "gateway", "max_uses": 10, "hours": 24 });
    let made = server.http.post(server.url("/api/v1/claims")).bearer_auth(&admin).json(&asked).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: Value = made.json().await.unwrap();
    let (id, claim) = (made["claim"]["id"].as_str().unwrap(), header(made["certificate"].as_str().unwrap()));

    let enrolled = enrols(&proxy, &claim, "gw-1").await;
    assert_eq!(enrolled.status(), StatusCode::CREATED);
    let enrolled: Value = enrolled.json().await.unwrap();
    let one = header(enrolled["certificate"].as_str().unwrap());
    assert_eq!(proxy.get("/device/v1/update", Some(&one)).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(enrols_by_est(&proxy, &claim, "gw-2").await, StatusCode::OK);
    assert_eq!(code(enrols(&proxy, &claim, "cam-1").await).await, (403, "identity_mismatch".to_owned()), "out of its bounds");
    let devices = server.http.get(server.url(&format!("/api/v1/claims/{id}/devices"))).bearer_auth(&admin).send().await.unwrap();
    let devices: Value = devices.json().await.unwrap();
    assert_eq!((&devices["items"][0]["device_id"], &devices["total"]), (&json!("gw-1"), &json!(2)), "{devices}");

    // It is nobody who could act: what needs a device says so, and the rest is as without a certificate.
    for path in ["/device/v1/update", "/device/v1/channel", "/device/v1/artifacts/00"] {
        assert_eq!(code(proxy.get(path, Some(&claim)).await).await, (401, "no_certificate".to_owned()), "{path}");
    }
    assert_eq!(code(proxy.get("/default/controller/v1/gw-1", Some(&claim)).await).await, (401, "no_token".to_owned()));
    let root = proxy.get("/device/v1/trust-bundle", Some(&claim)).await.text().await.unwrap();
    assert_eq!(root, server.running.fleet.pki().root_pem());

    let off = server.http.post(server.url(&format!("/api/v1/claims/{id}/disable"))).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(off.status(), StatusCode::NO_CONTENT);
    let refused = (403, "certificate_refused".to_owned());
    assert_eq!(code(proxy.get("/device/v1/update", Some(&claim)).await).await, refused);
    assert_eq!(code(enrols(&proxy, &claim, "gw-3").await).await, refused);
    assert_eq!(enrols_by_est(&proxy, &claim, "gw-3").await, StatusCode::FORBIDDEN);
    assert_eq!(proxy.get("/device/v1/update", Some(&one)).await.status(), StatusCode::NO_CONTENT, "its devices stay");
    server.stop().await;
}
