//! What a person's order takes in a rollout over the whole fleet: go on to the next stage, pause, resume, stop. Over the API, each answered when it is
//! on the disk. The other side is a row a member in the same database, as others keep it, moved by the database's own program.

use crate::{
    Outcome, Size, figure,
    ground::Ground,
    http::{Client, get},
    percentiles,
    rollouts::fleet::{self, ENROLLED},
    tls,
};
use serde_json::json;
use std::{path::PathBuf, time::Duration};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::client::TlsStream;

/// Stages, of one per cent of the fleet each, but for the last.
const STAGES: u32 = 25;
/// How often it is paused and resumed.
const PAUSES: usize = 25;
/// How many rollouts are stopped.
const STOPS: usize = 5;

pub async fn ours(size: Size) -> Outcome {
    let ground = Ground::start().await;
    let mut percents: Vec<f64> = (1..STAGES).map(|n| f64::from(n) * 4.0).collect();
    percents.push(100.0);
    let begun = Instant::now();
    let id = fleet::rollout(&ground, "measured", &percents).await;
    let started = begun.elapsed();
    let mut devices = connect(&ground, size.devices.min(ENROLLED)).await;
    let mut admin = ground.admin(true).await;
    let (mut advanced, mut offered) = (Vec::new(), Vec::new());
    ground.server.watch();
    for stage in 1..u64::from(STAGES) {
        // One device of each stage gets it and says that it runs it; on that evidence a person goes on.
        let promoted = Instant::now();
        let (device, update) = first_offer(&mut devices).await;
        if stage > 1 {
            offered.push(promoted.elapsed());
        }
        succeed(&mut devices[device], &update).await;
        devices.swap_remove(device);
        let ordered = Instant::now();
        admin.post(&format!("/rollouts/{id}/promote"), &json!({})).await;
        advanced.push(ordered.elapsed());
        fleet::reached(&ground, &id, stage + 1).await;
    }
    let (mut paused, mut stopped) = (Vec::new(), Vec::new());
    for _ in 0..PAUSES {
        for verb in ["pause", "resume"] {
            let ordered = Instant::now();
            admin.post(&format!("/rollouts/{id}/{verb}"), &json!({})).await;
            paused.push(ordered.elapsed());
        }
    }
    for number in 0..STOPS {
        let id = if number == 0 { id.clone() } else { fleet::rollout(&ground, &format!("stopped {number}"), &[100.0]).await };
        let ordered = Instant::now();
        admin.post(&format!("/rollouts/{id}/stop"), &json!({ "reason": "measured" })).await;
        stopped.push(ordered.elapsed());
    }
    let p99 = |times: &mut Vec<Duration>| percentiles(times).1;
    Outcome::from([
        ("value", p99(&mut advanced)),
        ("p50_ms", percentiles(&mut advanced).0),
        ("pause_p99_ms", p99(&mut paused)),
        ("stop_ms", percentiles(&mut stopped).1),
        ("offered_ms", percentiles(&mut offered).0),
        ("start_s", started.as_secs_f64()),
    ])
}

type Device = Client<TlsStream<TcpStream>>;

async fn connect(ground: &Ground, count: usize) -> Vec<Device> {
    let (trust, mut devices) = (ground.trust(), Vec::new());
    for (number, identity) in ground.identities(count).iter().enumerate() {
        devices.push(Client::new(tls::connect(&trust.client(Some(identity)), ground.device, number).await.unwrap()));
    }
    devices
}

/// Asks for one device after the other until one is offered something: which, and its update's id.
async fn first_offer(devices: &mut [Device]) -> (usize, String) {
    let begun = Instant::now();
    loop {
        for (number, device) in devices.iter_mut().enumerate() {
            let answer = device.ask(&get("/device/v1/update")).await.unwrap();
            if answer.status == 200 {
                let offer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
                return (number, offer["update_id"].as_str().unwrap().to_owned());
            }
            assert_eq!(answer.status, 204);
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "no device is offered anything");
    }
}

async fn succeed(device: &mut Device, update: &str) {
    let body = json!({ "update_id": update, "state": "succeeded", "firmware": { "version": "2.0.0", "device_type": "gw", "hardware": "A", "sequence": 1000 } });
    let body = body.to_string();
    let request = format!(
        "POST /device/v1/status HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = device.ask(request.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}

/// A row for each device; to advance is to change those of the next tenth of the fleet.
pub fn rows(size: Size) -> Outcome {
    let ground = PathBuf::from(std::env::var_os("BENCH_GROUND").unwrap());
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let database = folder.path().join("rows.db");
    std::fs::copy(ground.join("data/fleet.db"), &database).unwrap();
    fleet::query(
        &database,
        "PRAGMA journal_mode = WAL;
         CREATE TABLE members (rollout INTEGER, device INTEGER, place INTEGER, state TEXT, PRIMARY KEY (rollout, device)) WITHOUT ROWID;
         CREATE INDEX members_by_place ON members (rollout, state, place);",
    );
    let begun = std::time::Instant::now();
    fleet::query(
        &database,
        "PRAGMA synchronous = FULL; INSERT INTO members SELECT 1, number, (number * 2654435761) % 4294967296, 'waiting' FROM devices;",
    );
    let started = begun.elapsed();
    let least = size.devices / 20;
    let mut advanced: Vec<Duration> = (1..=9)
        .map(|tenth: u64| {
            let to = tenth * 429_496_729;
            let begun = std::time::Instant::now();
            let changed = fleet::query(
                &database,
                &format!(
                    "PRAGMA synchronous = FULL; UPDATE members SET state = 'scheduled' WHERE rollout = 1 AND state = 'waiting' AND place < {to}; \
                     SELECT changes();"
                ),
            );
            assert!(changed.trim().parse::<usize>().unwrap() > least, "{changed}");
            begun.elapsed()
        })
        .collect();
    // Without the start of the program.
    let mut empty: Vec<Duration> = (0..9)
        .map(|_| {
            let begun = std::time::Instant::now();
            fleet::query(&database, "SELECT 1;");
            begun.elapsed()
        })
        .collect();
    let (p50, p99) = percentiles(&mut advanced);
    let start = percentiles(&mut empty).0;
    Outcome::from([
        ("value", (p99 - start).max(0.001)),
        ("p50_ms", (p50 - start).max(0.001)),
        ("start_s", started.as_secs_f64()),
        ("members", figure(size.devices)),
    ])
}
