//! The live socket as a browser meets it: who may open it, what comes, how a cut is mended, how it ends.

use crate::support::{PASSWORD, TestServer};
use fleet::db::EngineKind;
use futures::{SinkExt as _, StreamExt as _};
use rstest::rstest;
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::HeaderValue, protocol::frame::coding::CloseCode},
};
use wire::{
    device::Sample,
    enrolment::{EnrolRequest, NewEnrolmentToken},
    live::{Ask, Data, Position, Tell, Topic},
    states::Role,
};

#[derive(Debug)]
struct Browser(WebSocketStream<MaybeTlsStream<TcpStream>>);

async fn open(server: &TestServer, headers: &[(&'static str, &str)]) -> Result<Browser, u16> {
    let mut request = format!("ws://{}/live", server.running.operator_addr).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(Browser(socket)),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(e) => panic!("{e}"),
    }
}

impl Browser {
    async fn ask(&mut self, ask: &Ask) {
        self.0.send(Message::text(serde_json::to_string(ask).unwrap())).await.unwrap();
    }

    async fn subscribe(&mut self, topic: &str, from: Option<Position>) {
        self.ask(&Ask::Subscribe { topic: topic.parse().unwrap(), from }).await;
    }

    /// The next frame that is not a beat.
    async fn hear(&mut self) -> Tell {
        loop {
            match timeout(Duration::from_secs(10), self.0.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text).unwrap() {
                    Tell::Beat { .. } => {}
                    tell => return tell,
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// How the server ends it.
    async fn end(&mut self) -> Option<CloseCode> {
        loop {
            match timeout(Duration::from_secs(10), self.0.next()).await.expect("an end in time") {
                Some(Ok(Message::Close(frame))) => return frame.map(|f| f.code),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

/// Enrols a device and gives its number.
async fn device(server: &TestServer, name: &str) -> i64 {
    let devices = server.running.fleet.devices();
    let new = NewEnrolmentToken {
        label: name.into(),
        pattern: name.into(),
        device_type: "gw".into(),
        tags: Vec::new(),
        max_uses: 1,
        hours: 1,
        ..NewEnrolmentToken::default()
    };
    let token = devices.create_enrolment_token(&server.system(), new).await.unwrap();
    let request = EnrolRequest {
        csr: fleet::testing::csr(name),
        device_id: Some(name.into()),
        device_type: "gw".into(),
        hardware: "A".into(),
        attributes: std::collections::BTreeMap::default(),
    };
    devices.enrol(fleet::devices::Attempt { secret: &token.secret, request: &request, address: "127.0.0.1" }).await.unwrap();
    devices.find(&server.system(), &name.parse().unwrap()).await.unwrap()
}

async fn measure(server: &TestServer, device: i64, name: &str, seq: u64, v: f64) -> i64 {
    let fleet = &server.running.fleet;
    let t = fleet.clock().now().0;
    let samples = vec![Sample { m: "cpu".into(), t, v }];
    fleet.telemetry().ingest(fleet.default_org(), device, &name.parse().unwrap(), "s", seq, samples).await.unwrap();
    t
}

fn points(data: &Data) -> Vec<(i64, f64)> {
    let Data::Device(d) = data else { panic!("{data:?}") };
    d.points.iter().filter(|m| m.metric == "cpu").flat_map(|m| m.points.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_25_only_our_own_pages_and_tokens_open_it() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let email = server.person("vic", Role::Viewer).await;
    let signed_in = server.sign_in(&server.http, &email, PASSWORD).await;
    let cookies: Vec<_> = signed_in.headers().get_all("set-cookie").iter().filter_map(|c| c.to_str().ok()?.split(';').next()).collect();
    let cookie = cookies.join("; ");
    let own = format!("http://{}", server.running.operator_addr);
    assert_eq!(open(&server, &[]).await.err(), Some(401));
    assert_eq!(open(&server, &[("cookie", &cookie)]).await.err(), Some(403), "a program with a stolen cookie, or an old browser");
    assert_eq!(open(&server, &[("cookie", &cookie), ("origin", "http://evil.example")]).await.err(), Some(403));
    assert_eq!(open(&server, &[("cookie", &cookie), ("origin", &own), ("sec-fetch-site", "cross-site")]).await.err(), Some(403));
    let mut browser = open(&server, &[("cookie", &cookie), ("origin", &own)]).await.expect("our own page");
    assert!(matches!(browser.hear().await, Tell::Hello { .. }));
    let bearer = format!("Bearer {}", server.token("bot", Role::Viewer).await);
    let mut script = open(&server, &[("authorization", &bearer)]).await.expect("a token is sent on purpose");
    assert!(matches!(script.hear().await, Tell::Hello { .. }));

    browser.0.send(Message::text("{\"type\":\"dance\"}")).await.unwrap();
    assert_eq!(browser.end().await, Some(CloseCode::Unsupported));
    script.0.send(Message::text("x".repeat(100_000))).await.unwrap();
    assert_ne!(script.end().await, Some(CloseCode::Normal), "too much is cut");
    server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_tab_sees_what_happens_and_mends_its_cuts(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let number = device(&server, "gw-1").await;
    let first = measure(&server, number, "gw-1", 1, 1.0).await;
    let bearer = format!("Bearer {}", server.token("bot", Role::Viewer).await);
    let connect = async || open(&server, &[("authorization", &bearer)]).await.expect("it opens");

    let mut tab = connect().await;
    let Tell::Hello { epoch, .. } = tab.hear().await else { panic!("hello first") };
    for (topic, exists) in [("devices", true), ("rollouts", true), ("releases", true), ("device/nobody", false)] {
        tab.subscribe(topic, None).await;
        match tab.hear().await {
            Tell::Snapshot { topic: t, data: Data::Changed, .. } if exists => assert_eq!(t.to_string(), topic),
            Tell::Refused { topic: t } if !exists => assert_eq!(t.to_string(), topic),
            other => panic!("{topic}: {other:?}"),
        }
    }
    tab.subscribe("fleet", None).await;
    let Tell::Snapshot { data: Data::Counts(counts), .. } = tab.hear().await else { panic!("counts") };
    assert_eq!(counts.devices, 1);
    tab.subscribe("device/gw-1", None).await;
    let Tell::Snapshot { seq, data, .. } = tab.hear().await else { panic!("a snapshot") };
    assert_eq!(points(&data), [(first, 1.0)]);
    let second = measure(&server, number, "gw-1", 2, 2.0).await;
    let Tell::Delta { seq: after, data, .. } = tab.hear().await else { panic!("a delta") };
    assert_eq!((after, points(&data)), (seq + 1, vec![(second, 2.0)]));

    drop(tab);
    let third = measure(&server, number, "gw-1", 3, 3.0).await;
    let mut tab = connect().await;
    tab.hear().await;
    tab.subscribe("device/gw-1", Some(Position { epoch, seq: after })).await;
    let Tell::Delta { data, .. } = tab.hear().await else { panic!("it resumes") };
    assert_eq!(points(&data), [(third, 3.0)]);
    tab.ask(&Ask::Unsubscribe { topic: "device/gw-1".parse::<Topic>().unwrap() }).await;
    tab.subscribe("devices", None).await;
    tab.hear().await;
    measure(&server, number, "gw-1", 4, 4.0).await;
    device(&server, "gw-2").await;
    let Tell::Delta { topic: Topic::Devices, data: Data::Changed, .. } = tab.hear().await else { panic!("a device came; nothing of gw-1") };

    let ((), end) = tokio::join!(server.stop(), tab.end());
    assert_eq!(end, Some(CloseCode::Restart), "a stop tells the browser to come back");
}
