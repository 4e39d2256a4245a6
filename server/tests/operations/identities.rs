//! Certificates of devices: as files, and the sign of a possible clone that a person has looked at.

use super::{DENIED, Desk};
use crate::{
    journey::{enrol, enrolment_token},
    stock::Stock,
    support::{TestServer, eventually},
};
use fleet::{
    clock::{Clock as _, ManualClock, SystemClock},
    db::EngineKind,
};
use rstest::rstest;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_downloaded_as_pem_and_as_der(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    enrol(&desk.server, "gw-1", "gateway").await;
    let id = desk.viewer.get("/certificates?q=gw-1").await.ok()["items"][0]["id"].as_str().unwrap().to_owned();
    let shown = desk.viewer.get(&format!("/certificates/{id}")).await;
    let pem = desk.viewer.get(&format!("/certificates/{id}/pem")).await;
    assert_eq!((pem.headers["content-type"].to_str().unwrap(), pem.ok()), ("application/x-pem-file", &shown.ok()["pem"]));
    let der = desk.viewer.get(&format!("/certificates/{id}/der")).await;
    assert_eq!((der.status, der.headers["content-type"].to_str().unwrap()), (200, "application/pkix-cert"));
    assert_eq!(der.headers["content-disposition"].to_str().unwrap(), format!("attachment; filename=\"{id}.cer\""));
    let nowhere = format!("crt_{}", "0".repeat(32));
    assert_eq!(desk.viewer.get(&format!("/certificates/{nowhere}/pem")).await.code(), (404, "certificate_not_found"));
    assert_eq!(desk.viewer.get(&format!("/certificates/{nowhere}/der")).await.code(), (404, "certificate_not_found"));
    assert_eq!(desk.viewer.get("/certificates/nonsense/pem").await.code(), (404, "not_found"));
    desk.stop().await;
}

/// a certificate that is used after its successor was.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn r_2_the_sign_of_a_clone_is_told_and_cleared(#[case] kind: EngineKind) {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let desk = Desk::of(TestServer::start_by(kind, clock.clone(), |config| config).await).await;
    let stock = Stock::of(&desk.server);
    let device = async || desk.viewer.get("/devices/gw-1").await.ok().clone();
    let secret = enrolment_token(&desk.server, "gw-1", "gateway", 1).await.secret;
    stock.request("gw-1", "/CN=gw-1").await;
    stock.request("next", "/CN=gw-1").await;
    let issued = stock.est("simpleenroll", &secret, "gw-1.b64", &[]).await;
    assert_eq!(stock.unpack(&issued, "gw-1.pem").await, 1, "{issued:?}");
    let old = ["--cert", "gw-1.pem", "--key", "gw-1.key"];
    let renewal = ["-H", "Content-Type: application/pkcs10", "--data-binary", "@next.b64"];
    let renewed = stock.enrol("/.well-known/est/simplereenroll", &[&old[..], &renewal].concat()).await;
    assert_eq!(stock.unpack(&renewed, "next.pem").await, 1, "{renewed:?}");
    assert_eq!(stock.device("/device/v1/update", &["--cert", "next.pem", "--key", "next.key"]).await.status / 100, 2);
    eventually("the successor's first use is noted", Duration::from_secs(20), async || {
        device().await["certificates"][0]["first_used_at"].is_i64()
    })
    .await;
    assert_eq!(device().await["suspicion"], Value::Null);
    // What was being made just then is none; later it is.
    clock.advance(6 * 60_000);
    eventually("the old one is a sign", Duration::from_secs(20), async || {
        stock.device("/device/v1/update", &old).await;
        !device().await["suspicion"].is_null()
    })
    .await;
    assert_eq!(desk.logged("device.possible_clone").await["detail"]["sign"], "old_certificate");

    assert_eq!(desk.viewer.delete("/devices/gw-1/suspicion").await.code(), DENIED);
    assert_eq!(desk.operator.delete("/devices/gw-9/suspicion").await.code(), (404, "not_found"));
    for _ in 0..2 {
        assert_eq!(desk.operator.delete("/devices/gw-1/suspicion").await.status, 204, "it may be repeated");
    }
    assert_eq!(device().await["suspicion"], Value::Null);
    assert_eq!((&desk.logged("device.cleared").await["object"], desk.times("device.cleared").await), (&json!("gw-1"), 1));
    desk.stop().await;
}
