//! What a listener takes on at once, and how it stops (H-7).

use super::rig::{PATIENCE, SECOND, ask, drain, handshake, rig, rig_with, send};
use crate::support::eventually;
use fleet::db::EngineKind;
use rustls::version::TLS13;
use server::tls::Limits;
use std::{sync::atomic::Ordering, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// H-7: half-open connections delay nobody, and one address has only so many.
#[tokio::test]
async fn a_26_slow_handshakes_do_not_delay_a_good_one() {
    let rig = rig().await;
    let one = rig.enrol("gw-1").await;
    let from = async |ip: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{ip}:0").parse().unwrap()).unwrap();
        socket.connect(rig.device).await.unwrap()
    };
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut stream = from(if n % 2 == 0 { "127.0.0.2" } else { "127.0.0.3" }).await;
        // The first octets of a ClientHello, and no more.
        stream.write_all(&[0x16, 0x03, 0x01, 0x02]).await.unwrap();
        slow.push(stream);
    }
    let good = async { ask(&mut rig.connect(&one).await, "/who").await.unwrap() };
    let answer = timeout(Duration::from_secs(5), good).await.expect("half of what the slow ones may take");
    assert!(answer.ends_with("gw-1 0"));

    let mut one_more = from("127.0.0.2").await;
    let end = timeout(Duration::from_secs(5), one_more.read(&mut [0; 8])).await.expect("closed at once");
    assert!(matches!(end, Ok(0) | Err(_)));
    assert_eq!(rig.stats.shed.load(Ordering::Relaxed), 1);
    drop(slow);
}

/// Whoever only connects keeps nobody out, from the same address neither.
#[tokio::test]
async fn a_26_idle_connections_make_room_for_a_good_one_from_the_same_address() {
    let rig = rig_with(EngineKind::Sqlite, Limits { handshakes_per_address: 4, ..Limits::default() }).await;
    let one = rig.enrol("gw-1").await;
    let mut idle = Vec::new();
    for _ in 0..12 {
        idle.push(TcpStream::connect(rig.device).await.unwrap());
    }
    let shed =
        async |times| eventually("those before are closed", PATIENCE, || async { rig.stats.shed.load(Ordering::Relaxed) == times }).await;
    shed(8).await;
    let good = async { ask(&mut rig.connect(&one).await, "/who").await.unwrap() };
    let answer = timeout(Duration::from_secs(5), good).await.expect("at once");
    assert!(answer.ends_with("gw-1 0"));
    shed(9).await;
    drop(idle);
}

#[tokio::test]
async fn a_26_a_handshake_has_a_deadline() {
    let limits = Limits { handshake: Duration::from_millis(200), head: Duration::from_millis(200), ..Limits::default() };
    let rig = rig_with(EngineKind::Sqlite, limits).await;
    let mut stream = TcpStream::connect(rig.device).await.unwrap();
    stream.write_all(&[0x16]).await.unwrap();
    timeout(PATIENCE, drain(&mut stream)).await.expect("closed");
    assert_eq!(rig.stats.timed_out.load(Ordering::Relaxed), 1);
    // The same after the handshake: a request whose head does not come.
    let one = rig.enrol("gw-1").await;
    let mut stream = rig.connect(&one).await;
    stream.write_all(b"GET /who HT").await.unwrap();
    timeout(PATIENCE, drain(&mut stream)).await.expect("closed");
}

/// Devices are bounded by their certificates, whoever shows none by where they come from, for as long as the connection lives.
#[tokio::test]
async fn connections_that_prove_nothing_are_bounded_by_source_and_devices_by_certificate() {
    let rig = rig_with(EngineKind::Sqlite, Limits { strangers_per_address: 2, ..Limits::default() }).await;
    let stranger = async || {
        let mut stream = handshake(rig.client(None, &TLS13), rig.enrol).await.ok()?;
        ask(&mut stream, "/who").await.ok().map(|_| stream)
    };
    let (one, two) = (stranger().await, stranger().await);
    assert!(one.is_some() && two.is_some());
    assert!(stranger().await.is_none(), "one source has two places");
    assert_eq!(rig.stats.shed.load(Ordering::Relaxed), 1);
    let identity = rig.enrol("gw-1").await;
    let mut by_certificate = handshake(rig.client(Some(&identity), &TLS13), rig.enrol).await.unwrap();
    assert!(ask(&mut by_certificate, "/who").await.unwrap().ends_with("gw-1 0"), "devices are not counted there");
    drop(by_certificate);
    drop(one);
    let end = tokio::time::Instant::now() + PATIENCE;
    while stranger().await.is_none() {
        assert!(tokio::time::Instant::now() < end, "the place is given back");
    }

    let mut oldest = rig.connect(&identity).await;
    ask(&mut oldest, "/endless").await.unwrap();
    let mut others = Vec::new();
    for _ in 0..64 {
        let mut stream = rig.connect(&identity).await;
        ask(&mut stream, "/endless").await.unwrap();
        others.push(stream);
    }
    timeout(PATIENCE, drain(&mut oldest)).await.expect("the oldest of too many is cut");
    let more = timeout(PATIENCE, others[0].read(&mut [0; 8])).await.expect("and no other");
    assert!(matches!(more, Ok(1..)), "{more:?}");
    let other = rig.enrol("gw-2").await;
    assert!(ask(&mut rig.connect(&other).await, "/who").await.unwrap().ends_with("gw-2 0"));
}

#[tokio::test]
async fn a_graceful_stop_ends_what_is_under_way_and_a_hard_one_the_rest() {
    let mut rig = rig().await;
    let one = rig.enrol("gw-1").await;
    let mut working = rig.connect(&one).await;
    let mut stuck = rig.connect(&one).await;
    ask(&mut stuck, "/endless").await.unwrap();
    send(&mut working, "/slow").await.unwrap();
    timeout(PATIENCE, rig.begun.notified()).await.expect("the request is under way");
    rig.soft.cancel();
    let mut answer = String::new();
    working.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    assert!(TcpStream::connect(rig.device).await.is_err(), "no new connections");
    let mut listener = rig.listeners.remove(0);
    assert!(timeout(Duration::from_millis(200), &mut listener).await.is_err(), "it waits for the other one");
    rig.hard.cancel();
    timeout(SECOND, &mut listener).await.expect("until time is up").unwrap();
    timeout(SECOND, drain(&mut stuck)).await.expect("and cuts it");
}
