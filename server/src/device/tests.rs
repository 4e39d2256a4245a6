//! The channel as a device meets it, over a plain socket: whose it is stands in the request, as the TLS listener puts it there. No worker
//! runs here, so nobody nudges.

use super::{Channels, Devices, Peer, Served, channel::speak, here::Here};
use crate::observe::Metrics;
use axum::{Extension, Router, extract::State, extract::ws::WebSocketUpgrade, routing::get};
use fleet::{
    access::Actor,
    db::{Db, EngineKind, Location, Store},
    pki::DevicePeer,
    releases::signing::SigningKeyPair,
    testing::{World, manifest},
};
use futures::{SinkExt as _, StreamExt as _};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};
use wire::{
    device::{Down, Hello, MAX_FRAME, Running, Sample, Samples, Up},
    ids::RolloutId,
    live::{Data, Topic},
    pki::CertificateQuery,
    rollouts::{GateSpec, Reach, RolloutSpec, StageSpec, Weekday, Window},
    slots::SlotState,
};

const PERIOD: Duration = Duration::from_millis(50);

struct Device(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// A device's socket to a listener of this world; pings come in this period.
async fn connect(w: &World, period: Duration) -> Device {
    connect_to(&listen(w, period).await).await
}

async fn connect_to(url: &str) -> Device {
    Device(connect_async(url).await.unwrap().0)
}

/// A listener of this world for one device: where it is.
async fn listen(w: &World, period: Duration) -> String {
    let (devices, peer) = served(w).await;
    let open =
        move |State(devices): State<Devices>, peer: Peer, upgrade: WebSocketUpgrade| async move { speak(devices, peer, upgrade, period) };
    let router = Router::new().route("/", get(open)).layer(Extension(peer)).with_state(devices);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("ws://{at}/")
}

/// What the handlers need, and a device of this world as its certificate proves it.
async fn served(w: &World) -> (Devices, Arc<DevicePeer>) {
    let device = w.device("gw-1", "gateway").await;
    let now = w.clock_now();
    let certificates = w.fleet.pki().certificates_page(&Actor::system(w.org.clone()), &CertificateQuery::default()).await.unwrap();
    let certificate = &certificates.certificates.items[0];
    let peer = Arc::new(DevicePeer {
        org: w.org.clone(),
        device,
        device_id: "gw-1".parse().unwrap(),
        certificate: certificate.id.clone(),
        fingerprint: hex::decode(&certificate.fingerprint).unwrap().try_into().unwrap(),
        not_after: now.plus(1_000_000),
    });
    let devices = Arc::new(Served {
        fleet: w.fleet.clone(),
        metrics: Metrics::default(),
        channels: Channels::default(),
        device_url: "https://localhost".into(),
        ignores_binding: false,
        stopping: tokio_util::sync::CancellationToken::new(),
    });
    (devices, peer)
}

impl Device {
    async fn say(&mut self, up: &Up) {
        self.0.send(Message::text(serde_json::to_string(up).unwrap())).await.unwrap();
    }

    async fn hello(&mut self) {
        self.hello_with(BTreeMap::new()).await;
    }

    async fn hello_with(&mut self, attributes: BTreeMap<String, String>) {
        self.say(&Up::Hello(greeting(attributes))).await;
        assert!(matches!(self.hear().await, Down::Welcome(_)));
    }

    async fn hear(&mut self) -> Down {
        loop {
            match timeout(Duration::from_secs(10), self.0.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn greeting(attributes: BTreeMap<String, String>) -> Hello {
    let firmware = Running { version: "1.0.0".into(), sequence: 1, device_type: "gateway".into(), hardware: "A".into() };
    Hello { agent: "t/1".into(), boot_id: "b".into(), firmware, attributes, stream: "s".into(), trust_bundle: 0, slots: None }
}

/// A running rollout of a published release to every gateway.
async fn rollout(w: &World, ada: &Actor, oli: &Actor) -> RolloutId {
    rollout_in(w, ada, oli, None).await
}

/// The same, with a window.
async fn rollout_in(w: &World, ada: &Actor, oli: &Actor, window: Option<Window>) -> RolloutId {
    let key = SigningKeyPair::generate(&*w.entropy).unwrap();
    w.fleet.releases().add_key(ada, "build", &key.public_pem()).await.unwrap();
    let manifest = manifest("2.0.0", 2, &[("fw.bin", "raw", b"firmware")]);
    let release = w.publish(oli, &key, &manifest, &[("fw.bin", b"firmware")]).await;
    let everybody = StageSpec { name: "All".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
    let spec = RolloutSpec { window, ..RolloutSpec::new("all".into(), release, vec![everybody]) };
    let rollouts = w.fleet.rollouts();
    let id = rollouts.draft(oli, spec).await.unwrap();
    rollouts.submit(oli, &id).await.unwrap();
    let digest = rollouts.page(ada, &id, &wire::rollouts::UpdateQuery::default()).await.unwrap().rollout.digest;
    rollouts.approve(ada, &id, &digest, "fine").await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_nobody_nudges_still_learns_of_offers_and_of_what_was_taken_back() {
    let w = World::open(EngineKind::Sqlite).await;
    let (ada, oli) = (w.admin().await, w.operator().await);
    let mut device = connect(&w, PERIOD).await;
    device.hello().await;
    let id = rollout(&w, &ada, &oli).await;
    let Down::Offer(offer) = device.hear().await else { panic!("no offer") };
    w.fleet.rollouts().pause(&oli, &id, "").await.unwrap();
    loop {
        match device.hear().await {
            // It had not begun, so it was offered again meanwhile.
            Down::Offer(again) => assert_eq!(again.update_id, offer.update_id),
            Down::Cancel { update_id } => break assert_eq!(update_id, offer.update_id),
            other => panic!("{other:?}"),
        }
    }
    w.fleet.rollouts().resume(&oli, &id, "go on").await.unwrap();
    let Down::Offer(next) = device.hear().await else { panic!("no new offer") };
    assert_ne!(next.update_id, offer.update_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_waits_while_nothing_can_be_stored_and_is_not_called_silent() {
    let w = World::open(EngineKind::Sqlite).await;
    let mut device = connect(&w, PERIOD).await;
    device.hello().await;
    let other = Db::open(&Location::Sqlite(w.folder.path().join("telemetry.db")), Store::Telemetry).await.unwrap();
    let held = other.write().await.unwrap();
    let frames = 70;
    for seq in 1..=frames {
        let samples = vec![Sample { m: "cpu".into(), t: w.clock_now().0, v: 1.0 }];
        device.say(&Up::Samples(Samples { seq, samples })).await;
    }
    // Many pings go by; what the device answers is not read.
    let pings = async {
        for _ in 0..12 {
            while !matches!(device.0.next().await, Some(Ok(Message::Ping(_)))) {}
        }
    };
    timeout(Duration::from_secs(10), pings).await.expect("pings go on");
    drop(held);
    loop {
        if let Down::Ack { seq } = device.hear().await
            && seq == frames
        {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_may_ping_before_it_speaks_and_learns_that_a_frame_was_too_large() {
    let w = World::open(EngineKind::Sqlite).await;
    let mut device = connect(&w, Duration::from_secs(30)).await;
    device.0.send(Message::Ping(bytes::Bytes::new())).await.unwrap();
    device.hello().await;
    // The answer may come before the whole frame is sent.
    let _ = device.0.send(Message::text(" ".repeat(MAX_FRAME + 1))).await;
    assert_eq!(closed(&mut device).await, CloseCode::Size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_misses_its_renewal_is_told() {
    let w = World::open(EngineKind::Sqlite).await;
    let mut device = connect(&w, PERIOD).await;
    // Past two thirds of the certificate's 90 days, and a day more.
    w.clock.advance(70 * 24 * 3600 * 1000);
    device.hello().await;
    assert_eq!(device.hear().await, Down::Renew);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_1_a_device_on_its_channel_is_told_once_of_an_order_to_renew() {
    let w = World::open(EngineKind::Sqlite).await;
    let mut device = connect(&w, PERIOD).await;
    device.hello().await;
    let id = "gw-1".parse().unwrap();
    let oli = w.operator().await;
    for _ in 0..2 {
        w.clock.advance(1000);
        w.fleet.devices().order_renewal(&oli, &id).await.unwrap();
        assert_eq!(device.hear().await, Down::Renew);
        let more = timeout(6 * PERIOD, device.hear()).await;
        assert!(more.is_err(), "{more:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r_1_a_device_that_comes_is_told_of_an_order_to_renew() {
    let w = World::open(EngineKind::Sqlite).await;
    let mut device = connect(&w, PERIOD).await;
    w.fleet.devices().order_renewal(&w.operator().await, &"gw-1".parse().unwrap()).await.unwrap();
    device.hello().await;
    assert_eq!(device.hear().await, Down::Renew);
    let more = timeout(6 * PERIOD, device.hear()).await;
    assert!(more.is_err(), "{more:?}");
}

/// One may be half open: nobody reads what is sent there, for as long as its pings may go unanswered.
#[tokio::test(flavor = "multi_thread")]
async fn r_1_each_channel_of_a_device_is_told_of_an_order_to_renew() {
    let w = World::open(EngineKind::Sqlite).await;
    let oli = w.operator().await;
    let url = listen(&w, PERIOD).await;
    let (mut one, mut other) = (connect_to(&url).await, connect_to(&url).await);
    tokio::join!(one.hello(), other.hello());
    w.fleet.devices().order_renewal(&oli, &"gw-1".parse().unwrap()).await.unwrap();
    assert_eq!(tokio::join!(one.hear(), other.hear()), (Down::Renew, Down::Renew));
    let more = tokio::join!(timeout(6 * PERIOD, one.hear()), timeout(6 * PERIOD, other.hear()));
    assert!(more.0.is_err() && more.1.is_err(), "{more:?}");
}

/// What one library writes for a value that it could not measure must not hold up a stream for ever.
#[tokio::test]
async fn a_value_that_is_no_number_costs_only_itself() {
    let w = World::open(EngineKind::Sqlite).await;
    let mut device = connect(&w, Duration::from_secs(30)).await;
    device.hello().await;
    let t = w.clock_now().0;
    let frame = format!(r#"{{"type":"samples","seq":1,"samples":[{{"m":"a","t":{t},"v":NaN}},{{"m":"b","t":{t},"v":1}}]}}"#);
    device.0.send(Message::text(frame)).await.unwrap();
    let refused = device.hear().await;
    assert!(matches!(&refused, Down::Refused { seq: Some(1), samples: 1, code, .. } if code == "not_finite"), "{refused:?}");
    assert_eq!(device.hear().await, Down::Ack { seq: 1 });
    let nothing = format!(r#"{{"type":"samples","seq":2,"samples":[{{"m":"a","t":{t},"v":null}}]}}"#);
    device.0.send(Message::text(nothing)).await.unwrap();
    assert!(matches!(device.hear().await, Down::Refused { seq: Some(2), samples: 1, .. }));
    assert_eq!(device.hear().await, Down::Ack { seq: 2 }, "a frame of which nothing is left is acknowledged");
}

/// A socket that was closed from there, with this code.
async fn closed(device: &mut Device) -> CloseCode {
    loop {
        match timeout(Duration::from_secs(10), device.0.next()).await.expect("a close in time") {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code,
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn slots_come_with_a_report_and_a_bad_list_costs_only_itself() {
    let w = World::open(EngineKind::Sqlite).await;
    let mut device = connect(&w, Duration::from_secs(30)).await;
    device.hello().await;
    let report = |slots: &str| {
        let update = r#""update_id":"upd_0123456789abcdef0123456789abcdef","state":"rebooting""#;
        Message::text(format!(r#"{{"type":"status",{update},"slots":{slots}}}"#))
    };
    let many = format!("[{}]", (0..9).map(|n| format!(r#"{{"name":"s{n}","state":"good"}}"#)).collect::<Vec<_>>().join(","));
    let shown = async || {
        w.fleet.devices().flush_presence(false).await.unwrap();
        w.fleet.device(&Actor::system(w.org.clone()), &"gw-1".parse().unwrap()).await.unwrap().slots
    };
    for bad in [r#"[{"name":"","state":"good"}]"#, r#"[{"name":"a","state":"booted"}]"#, r#"[["a","1.0","good"]]"#, many.as_str()] {
        device.0.send(report(bad)).await.unwrap();
        let refused = device.hear().await;
        assert!(matches!(&refused, Down::Refused { code, .. } if code != "bad_frame"), "there is no such update: {bad}: {refused:?}");
        assert_eq!(shown().await, [], "{bad}");
    }
    device.0.send(report(r#"[{"name":"a","version":"1.0.0","state":"running"},{"name":"b","state":"empty"}]"#)).await.unwrap();
    let refused = device.hear().await;
    assert!(matches!(&refused, Down::Refused { code, .. } if code != "bad_frame"), "there is no such update: {refused:?}");
    assert_eq!(
        shown().await.iter().map(|slot| (slot.name.as_str(), slot.state)).collect::<Vec<_>>(),
        [("a", SlotState::Running), ("b", SlotState::Empty)]
    );
}

#[tokio::test]
async fn a_hello_with_a_bad_list_of_slots_is_a_hello() {
    let w = World::open(EngineKind::Sqlite).await;
    let mut device = connect(&w, Duration::from_secs(30)).await;
    let firmware = r#""firmware":{"version":"1.0","device_type":"gateway"}"#;
    let twice = r#"[{"name":"a","state":"good"},{"name":"a","state":"bad"}]"#;
    let hello = format!(r#"{{"type":"hello","agent":"a","boot_id":"b","stream":"s",{firmware},"slots":{twice}}}"#);
    device.0.send(Message::text(hello)).await.unwrap();
    assert!(matches!(device.hear().await, Down::Welcome(_)));
}

/// R-9, R-10: the welcome says what there is, and a change is told with a ping.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_stays_connected_is_told_of_another_trust_bundle() {
    let w = World::open(EngineKind::Sqlite).await;
    let mut device = connect(&w, PERIOD).await;
    device.hello().await;
    let system = Actor::system(w.org.clone());
    w.fleet.pki().stage_authority(&system, wire::pki::AuthorityUse::Server).await.unwrap();
    assert_eq!(device.hear().await, Down::TrustBundle { version: 2 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_waits_for_its_window_is_told_the_next_one_when_it_has_passed() {
    let w = World::open(EngineKind::Sqlite).await;
    let (ada, oli) = (w.admin().await, w.operator().await);
    let mut device = connect(&w, PERIOD).await;
    let waits = BTreeMap::from([(wire::device::WAITS_FOR_WINDOW.to_owned(), "yes".to_owned())]);
    device.hello_with(waits.clone()).await;
    w.fleet.devices().described(&w.org, 1, wire::device::Telling::Merge, &waits).await.unwrap();
    // The clock of this world stands at ten.
    let (from, until) = ("12:00".parse().unwrap(), "13:00".parse().unwrap());
    let window = Window { days: Weekday::ALL.to_vec(), from, until, zone: "UTC".into() };
    rollout_in(&w, &ada, &oli, Some(window)).await;
    let Down::Offer(early) = device.hear().await else { panic!("no offer") };
    let noon = early.install_from.unwrap();
    assert_eq!((noon.rfc3339().as_str(), early.install_until), ("2026-11-22T12:00:00Z", Some(noon.plus(3_600_000))));
    w.clock.advance(4 * 3_600_000);
    loop {
        let Down::Offer(next) = device.hear().await else { panic!("no offer") };
        assert_eq!(next.update_id, early.update_id);
        if next.install_from != early.install_from {
            break assert_eq!(next.install_from, Some(noon.plus(24 * 3_600_000)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_panics_leaves_nobody_online() {
    let w = World::open(EngineKind::Sqlite).await;
    let (devices, peer) = served(&w).await;
    let online = async || {
        w.fleet.devices().flush_presence(false).await.unwrap();
        let topic = Topic::Device("gw-1".parse().unwrap());
        match w.fleet.live_state(&Actor::system(w.org.clone()), &topic).await.unwrap() {
            Some(Data::Device(device)) => device.online,
            other => panic!("{other:?}"),
        }
    };
    let (up, goes_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (is_up, may_go_on) = (Arc::clone(&up), Arc::clone(&goes_on));
    let channel: tokio::task::JoinHandle<()> = tokio::spawn(async move {
        let peer = Peer { peer, address: "192.0.2.1".into() };
        let _here = Here::shown(&devices, &peer, greeting(BTreeMap::new()));
        is_up.notify_one();
        may_go_on.notified().await;
        panic!("the channel breaks");
    });
    up.notified().await;
    assert_eq!(online().await, Some(true));
    goes_on.notify_one();
    assert!(channel.await.unwrap_err().is_panic());
    assert_eq!(online().await, Some(false));
}
