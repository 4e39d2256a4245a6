//! The operator listener's plain connections, of people on this machine or of a proxy before us: as bounded as those over TLS. Refuses to know what is
//! served.

use crate::tls::{Accepted, Cut, Gate, Http, Limits, PeerAddr, Stats, Stop, accept, speak};
use axum::{Router, body::Body};
use http::Request;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Serves until the soft stop, then finishes what is under way, websockets too, until the hard one.
pub(super) async fn serve(listener: TcpListener, routes: Router, limits: Limits, stats: &Stats, stop: &Stop) {
    let shed = |address: SocketAddr| {
        Stats::count(&stats.shed);
        tracing::debug!(%address, "too many connections; closed unread");
    };
    let each = |Accepted { socket, address, place, half_open }: Accepted| {
        // Nobody proves anything here.
        let Some(counted) = half_open.stay() else {
            shed(address);
            return;
        };
        let (routes, stop) = (routes.clone(), stop.clone());
        tokio::spawn(async move {
            // Frames are small and wait for nothing.
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!(%address, %error, "connection ended before it began");
                return;
            }
            let token = stop.hard.child_token();
            let socket = Cut::new(socket, token.clone(), (place, counted));
            let mark = move |request: &mut Request<Body>| {
                request.extensions_mut().insert(PeerAddr(address));
            };
            let how = Http { h2: false, head: limits.head, title_case: false };
            if let Err(error) = speak(socket, (routes, mark), how, &token, &stop).await {
                tracing::debug!(%address, %error, "connection ended");
            }
        });
    };
    accept(listener, Gate::new(limits), stop, each, shed).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Extension, extract::ws::WebSocketUpgrade, routing::get};
    use futures::{SinkExt as _, StreamExt as _};
    use std::time::Duration;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        task::JoinHandle,
        time::{sleep, timeout},
    };
    use tokio_tungstenite::{connect_async, tungstenite::Message};
    use tokio_util::sync::CancellationToken;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn start(limits: Limits) -> (SocketAddr, Stop, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let stop = Stop { soft: CancellationToken::new(), hard: CancellationToken::new() };
        let echo = |upgrade: WebSocketUpgrade| async move {
            upgrade.on_upgrade(|mut socket| async move {
                while let Some(Ok(message)) = socket.recv().await {
                    if socket.send(message).await.is_err() {
                        break;
                    }
                }
            })
        };
        let who = |Extension(PeerAddr(from)): Extension<PeerAddr>| async move { from.ip().to_string() };
        let routes = Router::new().route("/who", get(who)).route("/echo", get(echo));
        let (given, stats) = (stop.clone(), Stats::default());
        let serving = tokio::spawn(async move { serve(listener, routes, limits, &stats, &given).await });
        (at, stop, serving)
    }

    /// Says this and hears everything until the connection ends.
    async fn say(at: SocketAddr, request: &str) -> String {
        let mut socket = TcpStream::connect(at).await.unwrap();
        let mut answer = Vec::new();
        let whole = async {
            // One that is closed unread may break while it is written to.
            if socket.write_all(request.as_bytes()).await.is_ok() {
                let _ = socket.read_to_end(&mut answer).await;
            }
        };
        timeout(PATIENCE, whole).await.expect("it ends");
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn a_head_has_a_deadline_and_a_websocket_none() {
        let (at, ..) = start(Limits { head: Duration::from_millis(200), ..Limits::default() }).await;
        let (mut socket, _) = connect_async(format!("ws://{at}/echo")).await.unwrap();
        assert!(!say(at, "GET /who HT").await.contains("200 OK"));
        sleep(Duration::from_millis(400)).await;
        socket.send(Message::text("still there")).await.unwrap();
        let back = timeout(PATIENCE, socket.next()).await.expect("an echo").unwrap().unwrap();
        assert_eq!(back, Message::text("still there"));
    }

    #[tokio::test]
    async fn one_source_has_only_so_many_places_and_the_stop_waits_for_what_holds_them() {
        const WHO: &str = "GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let (at, stop, mut serving) = start(Limits { strangers_per_address: 2, ..Limits::default() }).await;
        let (mut socket, _) = connect_async(format!("ws://{at}/echo")).await.unwrap();
        let idle = TcpStream::connect(at).await.unwrap();
        assert_eq!(say(at, WHO).await, "", "closed unread: a websocket has a place as any other");
        drop(idle);
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = say(at, WHO).await;
            if answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("127.0.0.1") {
                break;
            }
            assert!(tokio::time::Instant::now() < end, "the place is given back: {answer}");
        }
        stop.soft.cancel();
        assert!(timeout(Duration::from_millis(300), &mut serving).await.is_err(), "the websocket is open");
        stop.hard.cancel();
        timeout(PATIENCE, serving).await.expect("until time is up").unwrap();
        let end = timeout(PATIENCE, socket.next()).await.expect("and it is cut");
        assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    }
}
