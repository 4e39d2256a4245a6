//! words of devices and of strangers that would be markup are text on every page, also in what a page carries along for the browser.

use super::Browser;
use fleet::{access::Origin, devices::Connected};
use std::collections::BTreeMap;
use wire::device::{Hello, Running};

/// Ends a script that carries data, begins another one, and does without one.
const EVIL: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}";

#[tokio::test]
async fn a_24_what_would_be_markup_is_text_on_every_page() {
    let b = Browser::new().await;
    let device = b.world.device("gw-1", "gateway").await;
    let hello = Hello {
        agent: EVIL.into(),
        boot_id: EVIL.into(),
        firmware: Running { version: "1.0.0".into(), sequence: 1, device_type: "gateway".into(), hardware: "A".into() },
        attributes: BTreeMap::from([(EVIL.to_owned(), EVIL.to_owned()), ("site".to_owned(), EVIL.to_owned())]),
        stream: "s".into(),
        trust_bundle: 0,
        slots: None,
    };
    let devices = b.world.fleet.devices();
    devices.connected(Connected { org: b.world.org.clone(), device, address: EVIL.into(), hello });
    devices.flush_presence(true).await.unwrap();
    // And who only tried to sign in.
    assert!(b.world.fleet.access().sign_in(EVIL, "a wrong password", &Origin::default()).await.is_err());
    b.world.fleet.attacks().write_down().await.unwrap();
    for path in ["/", "/devices", "/devices/gw-1", "/devices/gw-1?tab=activity", "/audit", "/certificates"] {
        let page = b.page(path).await;
        assert!(!page.contains("<script>alert(1)") && !page.contains("<img src=x"), "{path}: {page}");
    }
    assert!(b.page("/devices/gw-1").await.contains("&lt;img src=x onerror=alert(2)&gt;"), "it is shown, as what it is");
}
