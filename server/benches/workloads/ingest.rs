//! How many samples a second are acknowledged after a sync, from devices' sockets over mutual TLS.
//!
//! The floor is what the chosen stack leaves: the same TLS, the same websocket, the same JSON, an append and a group-committed `fdatasync`, and
//! nothing else: no identity, no positions, nothing readable.

use crate::{
    Outcome,
    device::{self, Identity},
    fleetward::Fleetward,
    floor,
};
use fleet::clock::{Clock as _, SystemClock};
use futures::{SinkExt as _, StreamExt as _};
use std::{
    fmt::Write as _,
    fs::File,
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::Instant,
};
use tokio_tungstenite::tungstenite::Message;
use wire::device::{Down, Up};

/// Devices, each with a connection of its own.
const DEVICES: usize = 8;
/// Samples of a frame.
const SAMPLES: usize = 100;
/// How long is counted, after a second of warming up.
const COUNTED: Duration = Duration::from_secs(5);
/// Frames of a device that wait for their acknowledgement.
const WINDOW: usize = 16;
/// Metrics of a device.
const METRICS: usize = 10;

pub async fn ours() -> Outcome {
    let fleetward = Fleetward::start(DEVICES).await;
    let mut fleetward = fleetward;
    let devices = std::mem::take(&mut fleetward.devices);
    let per_second = load(fleetward.running.device_addr, devices).await;
    let figures = fleetward.running.fleet.telemetry().figures();
    let (samples, frames, commits) = (figures.samples, figures.frames, figures.commits);
    eprintln!("{samples} samples of {frames} frames in {commits} commits; {} not folded yet", figures.unfolded);
    assert_eq!((figures.refused, figures.repeated, figures.damaged), (0, 0, 0));
    fleetward.stop().await;
    Outcome::from([("value", per_second)])
}

/// A frame as stored, and where to say that it is.
type Append = (Vec<u8>, oneshot::Sender<()>);

pub async fn floor() -> Outcome {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut log = File::create(folder.path().join("log")).unwrap();
    let (append, appends) = mpsc::channel::<Append>();
    std::thread::spawn(move || {
        while let Ok(first) = appends.recv() {
            let batch: Vec<Append> = std::iter::once(first).chain(appends.try_iter()).collect();
            let bytes: Vec<u8> = batch.iter().flat_map(|(bytes, _)| bytes).copied().collect();
            log.write_all(&bytes).unwrap();
            log.sync_data().unwrap();
            for (_, done) in batch {
                let _ = done.send(());
            }
        }
    });
    let (at, devices) = floor::listen(DEVICES, move |socket| store(socket, append.clone())).await;
    Outcome::from([("value", load(at, devices).await)])
}

async fn store(socket: floor::Channel, append: mpsc::Sender<Append>) {
    let (mut out, mut frames) = socket.split();
    let (done, mut waiting) = tokio::sync::mpsc::channel::<(u64, oneshot::Receiver<()>)>(64);
    let reading = async move {
        while let Some(Ok(Message::Text(text))) = frames.next().await {
            if let Up::Samples(frame) = serde_json::from_str(&text).unwrap() {
                let mut bytes = Vec::with_capacity(frame.samples.len() * 24);
                for s in &frame.samples {
                    bytes.extend_from_slice(&(s.m.len() as u64).to_le_bytes());
                    bytes.extend_from_slice(&s.t.to_le_bytes());
                    bytes.extend_from_slice(&s.v.to_le_bytes());
                }
                let (stored, receipt) = oneshot::channel();
                append.send((bytes, stored)).unwrap();
                if done.send((frame.seq, receipt)).await.is_err() {
                    return;
                }
            }
        }
    };
    let answering = async move {
        while let Some((seq, receipt)) = waiting.recv().await {
            receipt.await.unwrap();
            if out.send(Message::text(serde_json::to_string(&Down::Ack { seq }).unwrap())).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, answering);
}

/// Acknowledged samples a second over all connections.
async fn load(at: SocketAddr, devices: Vec<Identity>) -> f64 {
    let acked = Arc::new(AtomicU64::new(0));
    let devices: Vec<_> = devices.into_iter().map(|d| tokio::spawn(send(at, d, Arc::clone(&acked)))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, begun) = (acked.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(COUNTED).await;
    let (after, took) = (acked.load(Ordering::Relaxed), begun.elapsed());
    for device in devices {
        assert!(!device.is_finished(), "a device gave up");
        device.abort();
    }
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let samples = (after - before) as f64 * SAMPLES as f64;
    samples / took.as_secs_f64()
}

/// Keeps a window of frames on the way and counts what is acknowledged.
async fn send(at: SocketAddr, identity: Identity, acked: Arc<AtomicU64>) {
    let (mut out, mut back) = device::connect(at, identity).await.split();
    let window = Arc::new(Semaphore::new(WINDOW));
    let room = Arc::clone(&window);
    let reading = async move {
        let mut upto = 0;
        while let Some(Ok(message)) = back.next().await {
            let Message::Text(text) = message else { continue };
            match serde_json::from_str(&text).unwrap() {
                Down::Ack { seq } => {
                    acked.fetch_add(seq - upto, Ordering::Relaxed);
                    room.add_permits(usize::try_from(seq - upto).unwrap());
                    upto = seq;
                }
                Down::Refused { code, message, .. } => panic!("{code}: {message}"),
                _ => {}
            }
        }
    };
    let writing = async move {
        // A week's worth of milliseconds ago, so that none is ahead of time however fast they come.
        let mut t = SystemClock.now().0 - 7 * 24 * 3_600_000;
        for seq in 1_u64.. {
            window.acquire().await.unwrap().forget();
            if out.send(Message::text(frame(seq, &mut t))).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}

fn frame(seq: u64, t: &mut i64) -> String {
    let mut text = String::with_capacity(64 + SAMPLES * 48);
    write!(text, r#"{{"type":"samples","seq":{seq},"samples":["#).unwrap();
    for i in 0..SAMPLES {
        if i % METRICS == 0 {
            *t += 1;
        }
        let comma = if i == 0 { "" } else { "," };
        let v = (*t).rem_euclid(1000);
        write!(text, r#"{comma}{{"m":"metric.{}","t":{t},"v":{v}.25}}"#, i % METRICS).unwrap();
    }
    text.push_str("]}");
    text
}
