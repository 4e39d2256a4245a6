//! How long a sample takes from a device's socket to a browser's, while a thousand devices send one a second.
//!
//! Every sample's value is the microsecond it was sent in. The floor parses the frame and hands it to whoever watches the device, in the same
//! form: nothing is stored and nobody is asked who they are.

use crate::{
    Outcome,
    device::{self, Identity},
    fleetward::{Fleetward, device_name},
    floor, percentiles,
};
use fleet::clock::{Clock as _, SystemClock};
use futures::{SinkExt as _, StreamExt as _};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::mpsc::{self, UnboundedSender},
    time::{Instant, interval_at},
};
use tokio_tungstenite::{
    accept_async, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};
use wire::{
    Timestamp,
    device::{Down, Sample, Samples, Up},
    live::{Ask, Data, DeviceLive, MetricPoints, Tell, Topic},
};

/// Devices, each sending one sample a second.
const DEVICES: usize = 1000;
/// Browsers, and how many devices each watches.
const BROWSERS: usize = 20;
const WATCHED: usize = 5;
/// How long is counted, after everybody is connected.
const COUNTED: Duration = Duration::from_secs(8);
/// Handshakes under way at a time.
const DIALLING: usize = 16;

pub async fn ours() -> Outcome {
    let mut fleetward = Fleetward::start(DEVICES).await;
    let token = fleetward.viewer().await;
    let (devices, operators) = (fleetward.running.device_addr, fleetward.running.operator_addr);
    let outcome = measure(devices, std::mem::take(&mut fleetward.devices), operators, &token).await;
    fleetward.stop().await;
    outcome
}

/// Who watches which device, by the metric it sends.
type Watchers = Arc<Mutex<HashMap<String, Vec<UnboundedSender<String>>>>>;

pub async fn floor() -> Outcome {
    let watchers = Watchers::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operators = listener.local_addr().unwrap();
    let watching = Arc::clone(&watchers);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tcp.set_nodelay(true).unwrap();
            tokio::spawn(floor_browser(tcp, Arc::clone(&watching)));
        }
    });
    let (devices, identities) = floor::listen(DEVICES, move |channel| floor_device(channel, Arc::clone(&watchers))).await;
    measure(devices, identities, operators, "").await
}

async fn floor_browser(tcp: tokio::net::TcpStream, watchers: Watchers) {
    let (mut out, mut asked) = accept_async(tcp).await.unwrap().split();
    let (tell, mut told) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(text) = told.recv().await {
            if out.send(Message::text(text)).await.is_err() {
                return;
            }
        }
    });
    while let Some(Ok(Message::Text(text))) = asked.next().await {
        if let Ask::Subscribe { topic: Topic::Device(device), .. } = serde_json::from_str(&text).unwrap() {
            watchers.lock().unwrap().entry(device.to_string()).or_default().push(tell.clone());
        }
    }
}

async fn floor_device(mut channel: floor::Channel, watchers: Watchers) {
    while let Some(Ok(Message::Text(text))) = channel.next().await {
        let Up::Samples(frame) = serde_json::from_str(&text).unwrap() else { continue };
        for sample in frame.samples {
            let watching = watchers.lock().unwrap().get(&sample.m).cloned().unwrap_or_default();
            if !watching.is_empty() {
                let points = vec![MetricPoints { metric: sample.m.clone(), points: vec![(sample.t, sample.v)] }];
                let data = Data::Device(DeviceLive { online: None, points, at: Timestamp(sample.t) });
                let tell = Tell::Delta { topic: Topic::Device(sample.m.parse().unwrap()), seq: frame.seq, data };
                let text = serde_json::to_string(&tell).unwrap();
                for browser in watching {
                    let _ = browser.send(text.clone());
                }
            }
        }
        channel.send(Message::text(serde_json::to_string(&Down::Ack { seq: frame.seq }).unwrap())).await.unwrap();
    }
}

async fn measure(devices: SocketAddr, identities: Vec<Identity>, operators: SocketAddr, token: &str) -> Outcome {
    let epoch = Instant::now();
    let mut channels = futures::stream::iter(identities.into_iter().map(|identity| device::connect(devices, identity))).buffered(DIALLING);
    let mut sending = Vec::new();
    while let Some(channel) = channels.next().await {
        sending.push(tokio::spawn(send(channel, sending.len(), epoch)));
    }
    let (seen, mut latencies) = mpsc::unbounded_channel();
    for browser in 0..BROWSERS {
        // Spread over the fleet, so that no watched device is watched twice.
        let watched = (0..WATCHED).map(|i| device_name((browser * WATCHED + i) * (DEVICES / BROWSERS / WATCHED))).collect();
        tokio::spawn(watch(operators, token.to_owned(), watched, epoch, seen.clone()));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    while latencies.try_recv().is_ok() {}
    tokio::time::sleep(COUNTED).await;
    let mut counted = Vec::new();
    while let Ok(latency) = latencies.try_recv() {
        counted.push(latency);
    }
    assert!(sending.iter().all(|device| !device.is_finished()), "a device gave up");
    let (expected, least) = (BROWSERS * WATCHED * usize::try_from(COUNTED.as_secs()).unwrap(), counted.len());
    assert!(least * 100 >= expected * 95, "{least} of {expected} samples arrived");
    let (p50, p99) = percentiles(&mut counted);
    Outcome::from([("value", p50), ("p99_ms", p99)])
}

/// One sample a second, whose metric is the device's name: the floor knows it by nothing else.
async fn send(channel: device::Channel, number: usize, epoch: Instant) {
    let (mut out, mut back) = channel.split();
    let name = device_name(number);
    tokio::spawn(async move { while let Some(Ok(_)) = back.next().await {} });
    // Spread over the second by their numbers.
    let first = Instant::now() + Duration::from_millis((number * 1000 / DEVICES) as u64);
    let mut seconds = interval_at(first, Duration::from_secs(1));
    for seq in 1.. {
        seconds.tick().await;
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a minute")]
        let sent = epoch.elapsed().as_micros() as f64;
        let frame = Up::Samples(Samples { seq, samples: vec![Sample { m: name.clone(), t: SystemClock.now().0, v: sent }] });
        if out.send(Message::text(serde_json::to_string(&frame).unwrap())).await.is_err() {
            return;
        }
    }
}

async fn watch(at: SocketAddr, token: String, devices: Vec<String>, epoch: Instant, seen: UnboundedSender<Duration>) {
    let mut request = format!("ws://{at}/live").into_client_request().unwrap();
    request.headers_mut().insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    for device in devices {
        let ask = Ask::Subscribe { topic: Topic::Device(device.parse().unwrap()), from: None };
        socket.send(Message::text(serde_json::to_string(&ask).unwrap())).await.unwrap();
    }
    while let Some(Ok(message)) = socket.next().await {
        let now = epoch.elapsed();
        let Message::Text(text) = message else { continue };
        if let Tell::Delta { data: Data::Device(live), .. } = serde_json::from_str(&text).unwrap() {
            for (_, sent) in live.points.iter().flat_map(|metric| &metric.points) {
                let sent = Duration::from_secs_f64(sent / 1e6);
                if seen.send(now.saturating_sub(sent)).is_err() {
                    return;
                }
            }
        }
    }
}
