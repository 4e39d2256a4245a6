//! The plain listener's connections: bounded in connections, also of one address, in the size and the time of a request's head, in what is taken of an
//! answer, and in a connection's idle time. Refuses to know what is served.

use super::{Publisher, router};
use crate::{
    observe::Metrics,
    tls::{Accepted, Cut, Gate, Http, Limits, Stop, accept, speak},
};
use axum::{Router, body::Body};
use http::Request;
use parking_lot::Mutex;
use std::{sync::OnceLock, time::Duration};
use tokio::net::TcpListener;

/// Third parties ask once and go; what stays open is one proxy or one attacker.
const CONNECTIONS: usize = 2048;
/// Those of one address that have not asked yet, and as many that have.
const CONNECTIONS_PER_ADDRESS: usize = 256;
/// No connection lives longer; who needs more connects again.
const LONGEST: Duration = Duration::from_mins(5);

/// Serves until the soft stop, then finishes what is under way, until the hard one.
pub async fn serve(listener: TcpListener, publisher: Publisher, stop: Stop) {
    let limits = Limits {
        connections: CONNECTIONS,
        handshakes: CONNECTIONS,
        handshakes_per_address: CONNECTIONS_PER_ADDRESS,
        strangers_per_address: CONNECTIONS_PER_ADDRESS,
        ..Limits::default()
    };
    bounded(listener, publisher, limits, &stop).await;
}

async fn bounded(listener: TcpListener, publisher: Publisher, limits: Limits, stop: &Stop) {
    let routes = router(publisher.clone());
    let metrics = publisher.metrics;
    let each = |accepted: Accepted| {
        let (routes, metrics, stop) = (routes.clone(), metrics.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = connection(accepted, (routes, metrics), limits, &stop) => {}
                () = tokio::time::sleep(LONGEST) => {}
            }
        });
    };
    accept(listener, Gate::new(limits), stop, each, |_| shed(&metrics)).await;
}

fn shed(metrics: &Metrics) {
    metrics.published.get_or_create(&vec![("what", "connection".to_owned()), ("status", "shed".to_owned())]).inc();
}

/// Nobody proves anything here but that there is a request: who has sent none is half open and makes room for the next of its address, who has is
/// counted and left alone.
async fn connection(accepted: Accepted, (routes, metrics): (Router, Metrics), limits: Limits, stop: &Stop) {
    let Accepted { socket, address, place, half_open } = accepted;
    let token = stop.hard.child_token();
    let socket = Cut::new(socket, token.clone(), place).stalling_after(limits.stall);
    let crowded_out = half_open.heard_by(socket.reads());
    let (waiting, counted, asked, refused) = (Mutex::new(Some(half_open)), OnceLock::new(), metrics.clone(), token.clone());
    let mark = move |_: &mut Request<Body>| {
        let Some(half_open) = waiting.lock().take() else { return };
        if counted.get_or_init(|| half_open.stay()).is_none() {
            shed(&asked);
            refused.cancel();
        }
    };
    let how = Http { h2: false, head: limits.head, title_case: false };
    tokio::select! {
        ended = speak(socket, (routes, mark), how, &token, stop) => {
            if let Err(error) = ended {
                tracing::debug!(%address, %error, "connection ended");
            }
        }
        () = crowded_out.cancelled() => {
            shed(&metrics);
            tracing::debug!(%address, "asked nothing while others from there wanted in; closed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, testing::World};
    use std::net::SocketAddr;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        time::{Instant, timeout},
    };
    use tokio_util::sync::CancellationToken;

    const PATIENCE: Duration = Duration::from_secs(20);
    /// Nothing is there, and that is answered without a body.
    const ASK: &[u8] = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";

    /// The deadline of a head is longer than the tests' patience: what ends by then made room.
    async fn start(limits: Limits) -> (World, SocketAddr) {
        let world = World::open(EngineKind::Sqlite).await;
        let publisher = Publisher { fleet: world.fleet.clone(), metrics: Metrics::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let stop = Stop { soft: CancellationToken::new(), hard: CancellationToken::new() };
        tokio::spawn(async move { bounded(listener, publisher, limits, &stop).await });
        (world, at)
    }

    fn limits(per_address: usize) -> Limits {
        let (handshakes_per_address, strangers_per_address) = (1, per_address);
        Limits { handshakes_per_address, strangers_per_address, head: 3 * PATIENCE, ..Limits::default() }
    }

    /// Whether a request is answered; false when the connection ends instead.
    async fn answered(socket: &mut TcpStream) -> bool {
        let whole = async {
            if socket.write_all(ASK).await.is_err() {
                return false;
            }
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                match socket.read_u8().await {
                    Ok(octet) => answer.push(octet),
                    Err(_) => return false,
                }
            }
            answer.starts_with(b"HTTP/1.1 404 ")
        };
        timeout(PATIENCE, whole).await.expect("an answer or an end")
    }

    /// A connection over which a request has been answered. It may have to try again: whom nobody listens to yet makes no room.
    async fn through(at: SocketAddr) -> TcpStream {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut socket = TcpStream::connect(at).await.unwrap();
            if answered(&mut socket).await {
                return socket;
            }
            assert!(Instant::now() < end, "there is no room");
        }
    }

    #[tokio::test]
    async fn a_26_who_asks_nothing_makes_room_and_who_has_asked_stays() {
        let (_world, at) = start(limits(2)).await;
        let mut first = through(at).await;
        let mut silent = TcpStream::connect(at).await.unwrap();
        let mut second = through(at).await;
        let end = timeout(PATIENCE, silent.read_u8()).await.expect("the silent one is closed");
        assert!(end.is_err(), "{end:?}");
        assert!(answered(&mut first).await && answered(&mut second).await, "they are left alone");
        let mut third = TcpStream::connect(at).await.unwrap();
        assert!(!answered(&mut third).await, "two that have asked are there");
        drop(first);
        through(at).await;
    }

    #[tokio::test]
    async fn a_head_has_a_deadline() {
        let (_world, at) = start(Limits { head: Duration::from_millis(200), ..Limits::default() }).await;
        let mut socket = TcpStream::connect(at).await.unwrap();
        socket.write_all(&ASK[..10]).await.unwrap();
        let mut answer = Vec::new();
        let ended = timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("it ends");
        assert!(ended.is_err() || !answer.starts_with(b"HTTP/1.1 404 "), "{answer:?}");
    }
}
