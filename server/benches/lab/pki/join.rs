//! Everybody dials at once, as after a restart: how long until the last device has joined, how many were refused on the way, what those that were
//! connected before felt of it, and then what an idle connection costs in memory.
//!
//! Joined means: Fleetward looked the device up, wrote that it is there and welcomed it; mosquitto acknowledged connection and subscription; the floor
//! answered the first words.

use crate::{
    Outcome, Size, figure,
    ground::Ground,
    machine::Server,
    peers::{self, Files},
    percentiles,
    tls::{self, Identity, Trust},
};
use futures::{SinkExt as _, StreamExt as _};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// Devices that are connected before, and how often each of them says something.
const LIVE: usize = 20;
const EVERY: Duration = Duration::from_millis(50);
/// How long they are heard before the storm.
const CALM: Duration = Duration::from_secs(2);
/// How long after the last one has joined memory is read.
const SETTLE: Duration = Duration::from_secs(3);
/// A device that was refused dials again after this.
const AGAIN: Duration = Duration::from_millis(100);
/// When the storm is given up.
const LONGEST: Duration = Duration::from_mins(2);

/// What is spoken after the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    Ours,
    Floor,
    Mqtt,
}

pub async fn measure(side: &str, size: Size) -> Outcome {
    let all = size.devices + LIVE;
    if side == "ours" {
        let ground = Ground::start().await;
        return run(&ground.server, ground.device, &ground.trust(), &ground.identities(all), Speech::Ours).await;
    }
    let files = Files::new(all);
    let ((server, at), speech) = match side {
        "mosquitto" => (peers::mosquitto(&files).await, Speech::Mqtt),
        _ => (peers::floor("channel", &files).await, Speech::Floor),
    };
    run(&server, at, &files.trust(), &files.clients, speech).await
}

async fn run(server: &Server, at: SocketAddr, trust: &Trust, identities: &[Identity], speech: Speech) -> Outcome {
    let clients: Vec<TlsConnector> = identities.iter().map(|identity| trust.client(Some(identity))).collect();
    let (live, storm) = clients.split_at(LIVE);
    let stormy = Arc::new(AtomicBool::new(false));
    let (heard, mut answers) = mpsc::unbounded_channel();
    let mut talking = Vec::new();
    for (number, client) in live.iter().enumerate() {
        let joined = join(client, at, number, speech).await.unwrap();
        talking.push(tokio::spawn(talk(joined, Arc::clone(&stormy), heard.clone())));
    }
    sleep(Duration::from_secs(1)).await;
    while answers.try_recv().is_ok() {}
    sleep(CALM).await;
    let before = server.used();
    server.watch_heap().await;
    stormy.store(true, Ordering::Relaxed);
    let (begun, refused) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let dialling: Vec<_> = storm
        .iter()
        .cloned()
        .enumerate()
        .map(|(number, client)| {
            let refused = Arc::clone(&refused);
            tokio::spawn(async move {
                loop {
                    match join(&client, at, LIVE + number, speech).await {
                        Ok(joined) => return joined,
                        Err(_) => refused.fetch_add(1, Ordering::Relaxed),
                    };
                    assert!(begun.elapsed() < LONGEST, "device {number} can't join");
                    sleep(AGAIN).await;
                }
            })
        })
        .collect();
    let mut held = Vec::with_capacity(dialling.len());
    for device in dialling {
        held.push(device.await.unwrap());
    }
    let elapsed = begun.elapsed().as_secs_f64();
    stormy.store(false, Ordering::Relaxed);
    let cpu = server.used().cpu_s - before.cpu_s;
    let holding: Vec<_> = held.into_iter().map(|joined| tokio::spawn(hold(joined))).collect();
    sleep(SETTLE).await;
    let grown = server.used().bytes - before.bytes;
    server.write_heap(holding.len()).await;
    assert!(holding.iter().all(|device| !device.is_finished()), "a device was cut off");
    let lost = talking.iter().filter(|device| device.is_finished()).count();
    // The server ends before they do.
    talking.iter().for_each(tokio::task::JoinHandle::abort);
    let (mut calm, mut storm_times) = (Vec::new(), Vec::new());
    while let Ok((stormy, time)) = answers.try_recv() {
        if stormy { storm_times.push(time) } else { calm.push(time) }
    }
    let devices = figure(holding.len());
    Outcome::from([
        ("value", elapsed),
        ("refused", figure(refused.load(Ordering::Relaxed))),
        ("bytes_each", grown / devices),
        ("cpu_us_each", cpu / devices * 1e6),
        ("live_lost", figure(lost)),
        ("live_before_p99_ms", percentiles(&mut calm).1),
        ("live_p99_ms", percentiles(&mut storm_times).1),
    ])
}

/// A device that has joined.
pub enum Joined {
    Channel(Box<WebSocketStream<TlsStream<TcpStream>>>),
    Mqtt(Box<TlsStream<TcpStream>>),
}

/// Dials, shakes hands, says hello and waits for the welcome.
pub async fn join(client: &TlsConnector, at: SocketAddr, number: usize, speech: Speech) -> io::Result<Joined> {
    let mut tls = tls::connect(client, at, number).await?;
    if speech == Speech::Mqtt {
        // CONNECT (MQTT 3.1.1 §3.1) with a clean session and a minute of keep-alive, then SUBSCRIBE (§3.8) to one topic.
        let id = format!("d{number:05}");
        let mut connect = vec![0x10, 18, 0, 4];
        connect.extend(b"MQTT\x04\x02\x00\x3c\x00\x06");
        connect.extend(id.as_bytes());
        tls.write_all(&connect).await?;
        expect(&mut tls, 0x20, 4).await?;
        let mut subscribe = vec![0x82, 11, 0, 1, 0, 6];
        subscribe.extend(id.as_bytes());
        subscribe.push(0);
        tls.write_all(&subscribe).await?;
        expect(&mut tls, 0x90, 5).await?;
        return Ok(Joined::Mqtt(Box::new(tls)));
    }
    let small = WebSocketConfig::default().read_buffer_size(2048).write_buffer_size(0);
    let (mut channel, _) =
        client_async_with_config("wss://localhost/device/v1/channel", tls, Some(small)).await.map_err(io::Error::other)?;
    // A stream of this measurement's own: its numbers begin at 1.
    let hello = format!(
        r#"{{"type":"hello","agent":"bench/1","boot_id":"b","firmware":{{"version":"1.0.0","device_type":"gw","hardware":"A"}},"stream":"{}"}}"#,
        std::process::id()
    );
    channel.send(Message::text(hello)).await.map_err(io::Error::other)?;
    match channel.next().await {
        Some(Ok(Message::Text(text))) if speech == Speech::Floor || text.contains("welcome") => Ok(Joined::Channel(Box::new(channel))),
        other => Err(io::Error::other(format!("{other:?}"))),
    }
}

/// A packet of this type and size.
async fn expect(tls: &mut TlsStream<TcpStream>, kind: u8, size: usize) -> io::Result<()> {
    let mut packet = vec![0; size];
    tls.flush().await?;
    tls.read_exact(&mut packet).await?;
    if packet[0] == kind { Ok(()) } else { Err(io::Error::other(format!("{packet:?}"))) }
}

/// Says something again and again, and how long each answer took: what one sample takes to be acknowledged. Ends when it is cut off, or hears nothing.
async fn talk(mut joined: Joined, stormy: Arc<AtomicBool>, heard: mpsc::UnboundedSender<(bool, Duration)>) {
    for number in 1_u16.. {
        let storm = stormy.load(Ordering::Relaxed);
        let begun = Instant::now();
        let answered = timeout(Duration::from_secs(30), say(&mut joined, number)).await;
        if !matches!(answered, Ok(Ok(()))) {
            eprintln!("a live device was cut off: {answered:?}");
            return;
        }
        if heard.send((storm, begun.elapsed())).is_err() {
            return;
        }
        sleep(EVERY).await;
    }
}

/// Says one thing and waits until it is acknowledged.
pub async fn say(joined: &mut Joined, number: u16) -> io::Result<()> {
    match joined {
        Joined::Channel(channel) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
            let frame = format!(r#"{{"type":"samples","seq":{number},"samples":[{{"m":"a","t":{now},"v":1}}]}}"#);
            channel.send(Message::text(frame)).await.map_err(io::Error::other)?;
            loop {
                match channel.next().await {
                    Some(Ok(Message::Text(_))) => return Ok(()),
                    Some(Ok(_)) => {}
                    other => return Err(io::Error::other(format!("{other:?}"))),
                }
            }
        }
        Joined::Mqtt(tls) => {
            // PUBLISH at QoS 1 (§3.3) to a topic of one letter; PUBACK repeats the number.
            let [high, low] = number.to_be_bytes();
            tls.write_all(&[0x32, 6, 0, 1, b't', high, low, b'1']).await?;
            expect(tls, 0x40, 4).await
        }
    }
}

/// Keeps it open, as a device that has nothing to say; ends when it is cut off.
pub async fn hold(joined: Joined) {
    match joined {
        Joined::Channel(mut channel) => while let Some(Ok(_)) = channel.next().await {},
        Joined::Mqtt(mut tls) => {
            let mut unread = [0; 64];
            while tls.read(&mut unread).await.is_ok_and(|count| count > 0) {}
        }
    }
}
