//! A-25 where devices are served: a page in a browser whose machine holds a device's certificate reaches nothing there. The half about people's
//! sockets is in `live.rs`.

use crate::{journey::enrolment_token, stock::Stock, support::TestServer};
use fleet::db::EngineKind;

const CERTIFICATE: [&str; 4] = ["--cert", "gw-1.pem", "--key", "gw-1.key"];
/// The opening handshake of a websocket (RFC 6455 §1.3).
const UPGRADE: [&str; 9] = [
    "--http1.1",
    "-H",
    "Connection: Upgrade",
    "-H",
    "Upgrade: websocket",
    "-H",
    "Sec-WebSocket-Version: 13",
    "-H",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_25_a_web_page_reaches_nothing_that_is_for_devices() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let stock = Stock::of(&server);
    let token = enrolment_token(&server, "gw-1", "gateway", 1).await.secret;
    stock.request("gw-1", "/CN=gw-1").await;
    let issued = stock.est("simpleenroll", &token, "gw-1.b64", &[]).await;
    assert_eq!(stock.unpack(&issued, "gw-1.pem").await, 1, "{issued:?}");

    // Somebody's page, a file or a frame without an origin of its own, and even the listener's own address.
    for origin in ["https://evil.example", "null", &stock.device] {
        let header = format!("Origin: {origin}");
        let page = ["-H", &header];
        for (path, more) in [
            ("/device/v1/channel", &UPGRADE[..]),
            ("/device/v1/update", &[]),
            ("/device/v1/trust-bundle", &[]),
            ("/default/controller/v1/gw-1", &[]),
            ("/nowhere", &[]),
        ] {
            let reply = stock.device(path, &[&CERTIFICATE[..], &page, more].concat()).await;
            assert_eq!(reply.status, 403, "{origin} {path}: {reply:?}");
        }
        for path in ["/device/v1/trust-bundle", "/device/v1/recover", "/.well-known/est/cacerts", "/default/controller/v1/gw-1"] {
            let reply = stock.enrol(path, &page).await;
            assert_eq!(reply.status, 403, "{origin} {path}: {reply:?}");
        }
    }
    // Nothing else about the requests is wrong.
    assert_eq!(stock.device("/device/v1/update", &CERTIFICATE).await.status, 204);
    assert_eq!(stock.enrol("/.well-known/est/cacerts", &[]).await.status, 200);
    server.stop().await;
}
