//! What a listener takes on at once, and how it stops (H-7).

use super::rig::{PATIENCE, SECOND, ask, drain, rig, rig_with, send};
use fleet::db::EngineKind;
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
