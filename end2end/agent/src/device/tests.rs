//! A whole device against a peer that forgets acknowledgements and cuts connections.

use super::*;
use crate::{
    clock,
    peer::{Authority, Peer, Stream},
    platform::Host,
};
use futures::{SinkExt as _, StreamExt as _};
use rcgen::{CertificateSigningRequestParams, KeyPair, PublicKeyData as _};
use std::{
    collections::{BTreeMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::{accept_async, tungstenite::Message};
use wire::{
    Timestamp,
    device::{Down, Up, Welcome},
    enrolment::RenewRequest,
};

/// Measures 0, 1, 2, …
struct Counter(f64);

impl Source for Counter {
    fn sample(&mut self, now: Timestamp, out: &mut Vec<Sample>) {
        out.push(Sample { m: "n".into(), t: now.millis(), v: self.0 });
        self.0 += 1.0;
    }
}

/// A device that measures from `first` on and is always on the air.
fn parts(first: f64) -> Parts {
    Parts {
        source: Box::new(Counter(first)),
        platform: Arc::new(Host::default()),
        clock: clock::System::new(),
        entropy: Entropy::seeded(3),
        carrier: Carrier::always(),
    }
}

fn say(frame: &Down) -> Message {
    Message::text(serde_json::to_string(frame).unwrap())
}

fn welcome(acked: u64, ping_s: u32) -> Message {
    say(&Down::Welcome(Welcome { device_id: "gw-1".parse().unwrap(), server_time: Timestamp(0), acked, ping_s, trust_bundle: 0 }))
}

/// What the peer holds: by stream the last number, and every value in the order of its arrival.
#[derive(Default)]
struct Held {
    streams: BTreeMap<String, u64>,
    values: Vec<f64>,
    repeated: u64,
}

/// Takes so many frames of samples, acknowledges every third of them, then cuts.
async fn serve(stream: Stream, held: Arc<Mutex<Held>>, frames: usize) {
    let mut socket = accept_async(stream).await.unwrap();
    let mut name = String::new();
    let mut left = frames;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        match serde_json::from_str(&text).unwrap() {
            Up::Hello(hello) => {
                // Two less than it holds, as if their commit were still under way.
                let acked = held.lock().streams.get(&hello.stream).map_or(0, |held| held.saturating_sub(2));
                name = hello.stream;
                socket.send(welcome(acked, 30)).await.unwrap();
            }
            Up::Samples(frame) => {
                let acked = {
                    let mut held = held.lock();
                    let last = held.streams.entry(name.clone()).or_default();
                    assert!(frame.seq <= *last + 1, "a gap");
                    let news = frame.seq == *last + 1;
                    if news {
                        *last += 1;
                    }
                    let acked = *last;
                    if news {
                        held.values.extend(frame.samples.iter().map(|s| s.v));
                    } else {
                        held.repeated += 1;
                    }
                    acked
                };
                left -= 1;
                if left == 0 {
                    return;
                }
                if left.is_multiple_of(3) && socket.send(say(&Down::Ack { seq: acked })).await.is_err() {
                    return;
                }
            }
            Up::Status(_) => {}
        }
    }
}

#[tokio::test]
async fn samples_arrive_once_and_in_order_over_cuts_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let held = Arc::new(Mutex::new(Held::default()));
    let theirs = Arc::clone(&held);
    let peer = Peer::start(move |number, stream| serve(stream, Arc::clone(&theirs), 5 + number * 7)).await;
    peer.authority.enrol(dir.path(), "gw-1", &peer.url);

    let mut first = 0.0;
    for _ in 0..2 {
        let config = Config { interval: Duration::from_millis(5), ..Config::new(dir.path(), "gw") };
        let device = Device::open(config, parts(first)).unwrap();
        let view = device.view();
        let cancel = CancellationToken::new();
        let running = tokio::spawn(device.run(cancel.clone()));
        let target = first + 100.0;
        timeout(Duration::from_secs(30), async {
            while held.lock().values.last().is_none_or(|v| *v < target) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("it stalls");
        assert!(view.borrow().welcomes > 1, "the peer cuts every connection");
        cancel.cancel();
        assert_eq!(running.await.unwrap().unwrap(), Ending::Stopped);
        // What was measured in the last moment is on the disk and goes out after the restart: count on from there.
        first = held.lock().values.last().unwrap() + 1000.0;
    }
    let held = held.lock();
    assert!(held.repeated > 0, "the test must have made the device repeat itself");
    assert!(held.values.is_sorted_by(|a, b| a < b), "{:?}", held.values);
    let seen: HashSet<_> = held.values.iter().map(|v| v.to_bits()).collect();
    let whole =
        |from: f64, to: f64| (0u32..10_000).map(|n| from + f64::from(n)).take_while(|v| *v <= to).all(|v| seen.contains(&v.to_bits()));
    assert!(whole(0.0, 100.0) && whole(first - 1000.0 - 50.0, first - 1001.0));
    assert_eq!(held.streams.len(), 1, "one stream over all cuts and the restart");
}

/// The server asks on every channel, and a channel may open while the renewal that another one brought is under way.
#[tokio::test]
async fn a_certificate_is_renewed_once_however_often_that_was_asked_for() {
    let authority = Authority::new("renewing");
    let issuer = Arc::clone(&authority);
    let [begun, repeated, quiet] = std::array::from_fn(|_| Arc::new(Notify::new()));
    let more = Arc::new(AtomicUsize::new(0));
    let (asks_again, counted) = (Arc::clone(&quiet), Arc::clone(&more));
    let peer = Peer::of(authority, move |number, mut stream| {
        let (issuer, more) = (Arc::clone(&issuer), Arc::clone(&more));
        let (begun, repeated, quiet) = (Arc::clone(&begun), Arc::clone(&repeated), Arc::clone(&quiet));
        async move {
            if number == 1 {
                let (_, answer) = issuer.granted(&mut stream, "gw-1").await;
                begun.notify_one();
                repeated.notified().await;
                stream.write_all(&answer).await.unwrap();
                stream.flush().await.unwrap();
                return;
            }
            let Ok(mut socket) = accept_async(stream).await else {
                // No channel: it asks for a certificate.
                more.fetch_add(1, Ordering::Relaxed);
                return;
            };
            socket.send(welcome(0, 30)).await.unwrap();
            if number == 0 {
                socket.send(say(&Down::Renew)).await.unwrap();
                begun.notified().await;
                socket.send(say(&Down::Renew)).await.unwrap();
                socket.send(Message::Ping(vec![1_u8].into())).await.unwrap();
            } else {
                quiet.notified().await;
                socket.send(say(&Down::Renew)).await.unwrap();
            }
            while let Some(Ok(message)) = socket.next().await {
                if message.is_pong() {
                    // It has heard what was said before.
                    repeated.notify_one();
                }
            }
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    peer.authority.enrol(dir.path(), "gw-1", &peer.url);
    let device = Device::open(Config::new(dir.path(), "gw"), parts(0.0)).unwrap();
    let mut view = device.view();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(device.run(cancel.clone()));
    let back = view.wait_for(|view| view.welcomes == 2);
    assert!(timeout(Duration::from_secs(30), back).await.expect("it comes back with the new certificate").is_ok());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(counted.load(Ordering::Relaxed), 0, "nobody asked for the new one to be renewed");

    asks_again.notify_one();
    timeout(Duration::from_secs(30), async {
        while counted.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("what is said of the new one counts");
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap(), Ending::Stopped);
}

/// The server asks once on a channel; the first answer may be that it is busy.
#[tokio::test]
async fn a_renewal_that_was_asked_for_is_tried_again_while_the_channel_stays_open() {
    let authority = Authority::new("busy");
    let issuer = Arc::clone(&authority);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let peer = Peer::of(authority, move |number, mut stream| {
        let (issuer, asked) = (Arc::clone(&issuer), Arc::clone(&asked));
        async move {
            if number == 1 || number == 2 {
                asked.fetch_add(1, Ordering::Relaxed);
                let (_, granted) = issuer.granted(&mut stream, "gw-1").await;
                let busy = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
                stream.write_all(if number == 1 { &busy } else { &granted }).await.unwrap();
                stream.flush().await.unwrap();
                return;
            }
            let mut socket = accept_async(stream).await.unwrap();
            socket.send(welcome(0, 3600)).await.unwrap();
            if number == 0 {
                socket.send(say(&Down::Renew)).await.unwrap();
            }
            while let Some(Ok(_)) = socket.next().await {}
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    peer.authority.enrol(dir.path(), "gw-1", &peer.url);
    // Nothing is measured meanwhile: this peer acknowledges nothing.
    let config = Config { interval: Duration::from_hours(24), ..Config::new(dir.path(), "gw") };
    let device = Device::open(config, parts(0.0)).unwrap();
    let mut view = device.view();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(device.run(cancel.clone()));
    timeout(Duration::from_secs(30), async {
        while counted.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("it asks");
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if counted.load(Ordering::Relaxed) > 1 {
            break;
        }
        // No first wait is longer.
        tokio::time::pause();
        tokio::time::advance(Duration::from_mins(1)).await;
        tokio::time::resume();
    }
    let back = view.wait_for(|view| view.welcomes == 2);
    assert!(timeout(Duration::from_secs(30), back).await.expect("it comes back with the new certificate").is_ok());
    assert_eq!(counted.load(Ordering::Relaxed), 2);
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap(), Ending::Stopped);
}

/// The server's books have the key as another's, or as blocked.
#[tokio::test]
async fn a_key_that_the_server_refuses_is_followed_by_another_in_the_same_renewal() {
    let authority = Authority::new("refusing");
    let issuer = Arc::clone(&authority);
    let requests = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&requests);
    let peer = Peer::of(authority, move |number, mut stream| {
        let (issuer, heard) = (Arc::clone(&issuer), Arc::clone(&heard));
        async move {
            if number == 1 || number == 2 {
                let (asked, granted) = issuer.granted(&mut stream, "gw-1").await;
                heard.lock().push(asked);
                let problem = r#"{"code":"key_in_use","detail":"This public key can't be used."}"#;
                let refused = format!("HTTP/1.1 409 Conflict\r\ncontent-length: {}\r\n\r\n{problem}", problem.len()).into_bytes();
                stream.write_all(if number == 1 { &refused } else { &granted }).await.unwrap();
                stream.flush().await.unwrap();
                return;
            }
            let mut socket = accept_async(stream).await.unwrap();
            socket.send(welcome(0, 30)).await.unwrap();
            if number == 0 {
                socket.send(say(&Down::Renew)).await.unwrap();
            }
            while let Some(Ok(_)) = socket.next().await {}
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    peer.authority.enrol(dir.path(), "gw-1", &peer.url);
    let key = || KeyPair::from_pem(&std::fs::read_to_string(dir.path().join("key.pem")).unwrap()).unwrap().der_bytes().to_vec();
    let old = key();
    let device = Device::open(Config::new(dir.path(), "gw"), parts(0.0)).unwrap();
    let mut view = device.view();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(device.run(cancel.clone()));
    let back = view.wait_for(|view| view.welcomes == 2);
    assert!(timeout(Duration::from_secs(30), back).await.expect("it comes back with the new certificate").is_ok());
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap(), Ending::Stopped);
    let asked_by = |request: &String| {
        let (path, body) = request.split_once(' ').unwrap();
        assert_eq!(path, "/device/v1/renew");
        let csr = serde_json::from_str::<RenewRequest>(body).unwrap().csr;
        CertificateSigningRequestParams::from_pem(&csr).unwrap().public_key.der_bytes().to_vec()
    };
    let keys: Vec<_> = requests.lock().iter().map(asked_by).collect();
    assert_ne!(key(), old);
    assert_eq!(keys, [old, key()]);
    for outstanding in ["key.next.pem", "renew.json"] {
        assert!(!dir.path().join(outstanding).exists(), "{outstanding}");
    }
}

#[tokio::test]
async fn two_agents_do_not_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(|_, _| async {}).await;
    peer.authority.enrol(dir.path(), "gw-1", &peer.url);
    let open = || Device::open(Config::new(dir.path(), "gw"), parts(0.0));
    let one = open().unwrap();
    assert!(matches!(open(), Err(Error::InUse(_))));
    drop(one);
    assert!(open().is_ok());
}
