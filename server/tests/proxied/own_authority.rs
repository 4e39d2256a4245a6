//! Devices of an own authority through a proxy (E-10): what takes two handshakes elsewhere takes two requests here.

use super::{Proxy, code, header, started};
use crate::{own_ca::Rig, support::eventually};
use fleet::db::EngineKind;
use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::json;
use std::time::Duration;
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest as _};

const PATIENCE: Duration = Duration::from_secs(20);
const UPDATE: &str = "/device/v1/update";

/// A new device's certificate as the proxy passes it on, signed by `{by}.pem`.
async fn leaf(rig: &Rig, name: &str, by: &str) -> String {
    rig.leaf(name, by, "extendedKeyUsage=clientAuth").await;
    header(&rig.stock.read(&format!("{name}.pem")))
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e_10_behind_a_proxy_a_device_of_an_own_authority_waits_is_in_and_is_cut_with_it(#[case] kind: EngineKind) {
    let rig = Rig::over(started(kind, false).await).await;
    let proxy = Proxy::of(&rig.server);
    let asks = async |certificate: &str| code(proxy.get(UPDATE, Some(certificate)).await).await;
    let refused = (403, "certificate_refused".to_owned());
    rig.authority(&[]).await;
    // Nothing is believed before it was proved and enabled.
    let meter = leaf(&rig, "meter-1", "ca").await;
    assert_eq!(asks(&meter).await, refused);
    let id = rig.enabled(&json!({ "just_in_time": "auto", "device_type": "meter", "pattern": "meter-*" })).await;
    let at = format!("/{id}");

    let first = proxy.get(UPDATE, Some(&meter)).await;
    assert_eq!(first.headers()["retry-after"], "10", "the first request is decided about");
    assert_eq!(code(first).await, (503, "certificate_not_judged".to_owned()));
    eventually("it is let in", PATIENCE, || async { proxy.get(UPDATE, Some(&meter)).await.status() == StatusCode::NO_CONTENT }).await;
    let (_, shown) = rig.call(Method::GET, &at, json!({})).await;
    assert_eq!((shown["devices"].as_i64(), shown["admitted"].as_i64()), (Some(1), Some(1)), "{shown}");

    // Out of the pattern it is decided about once.
    let gauge = leaf(&rig, "gauge-1", "ca").await;
    assert_eq!(asks(&gauge).await, (503, "certificate_not_judged".to_owned()));
    eventually("the refusal is counted", PATIENCE, || async { rig.call(Method::GET, &at, json!({})).await.1["refused"] == 1 }).await;
    assert_eq!(asks(&gauge).await, refused);
    // A proxy passes on nothing of what is between.
    rig.leaf("line", "ca", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign").await;
    let below = leaf(&rig, "meter-2", "line").await;
    for _ in 0..2 {
        assert_eq!(asks(&below).await, refused);
    }

    // Its authority disabled, what a device has open is over within a second, and it is not let in again.
    let mut request = format!("ws://{}/device/v1/channel", proxy.at).into_client_request().unwrap();
    request.headers_mut().insert("client-cert", meter.parse().unwrap());
    let (mut channel, _) = connect_async(request).await.unwrap();
    assert_eq!(rig.call(Method::POST, &format!("{at}/disable"), json!({})).await.0, 200);
    let end = async { while matches!(futures::StreamExt::next(&mut channel).await, Some(Ok(_))) {} };
    tokio::time::timeout(Duration::from_secs(1), end).await.expect("its channel is closed within a second");
    assert_eq!(asks(&meter).await, refused);
    assert_eq!(rig.call(Method::POST, &format!("{at}/enable"), json!({ "just_in_time": "off" })).await.0, 200);
    assert_eq!(proxy.get(UPDATE, Some(&meter)).await.status(), StatusCode::NO_CONTENT, "enabled again it is as before");
    // The command line takes its label.
    assert!(rig.server.must(&["ca", "list-address", "Plant"]).await.contains("is not fetched"));
    let disabled = rig.server.must(&["ca", "disable", "Plant"]).await;
    assert!(disabled.contains(&format!("Devices of {id} are cut off")), "{disabled}");
    let out = || async { proxy.get(UPDATE, Some(&meter)).await.status() == StatusCode::FORBIDDEN };
    eventually("it is cut off", PATIENCE, out).await;
    assert_eq!(asks(&meter).await, refused);
    // Nothing of it was an alarm about keys of ours (H-4).
    assert_eq!(rig.server.running.fleet.pki().trust().unknown_seen(), 0);
    rig.server.stop().await;
}
