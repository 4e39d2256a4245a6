//! The plain listener's connections: bounded in connections, also of one address, in the size and the time of a request's head, and in a
//! connection's idle time. Refuses to know what is served.

use super::{Publisher, router};
use crate::tls::{Accepted, Gate, Limits, Stop, accept};
use axum::body::Body;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{pin::pin, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

/// Third parties ask once and go; what stays open is one proxy or one attacker.
const CONNECTIONS: usize = 1024;
const CONNECTIONS_PER_ADDRESS: usize = 256;
/// Biggest head: an OCSP request in the path, and headers.
const HEAD: usize = 16 * 1024;
/// No connection lives longer; who needs more connects again.
const LONGEST: Duration = Duration::from_mins(5);

/// Serves until the soft stop, then finishes what is under way, until the hard one.
pub async fn serve(listener: TcpListener, publisher: Publisher, stop: Stop) {
    let limits =
        Limits { connections: CONNECTIONS, handshakes: CONNECTIONS, handshakes_per_address: CONNECTIONS_PER_ADDRESS, ..Limits::default() };
    let routes = router(publisher.clone());
    let each = |Accepted { socket, place, half_open, .. }: Accepted| {
        let (routes, stop) = (routes.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = connection(socket, routes, &stop, limits.head) => {}
                () = tokio::time::sleep(LONGEST) => {}
                () = stop.hard.cancelled() => {}
            }
            // Nobody proves anything here: both places are taken to the end.
            drop((place, half_open));
        });
    };
    let shed = |_| {
        let what = vec![("what", "connection".to_owned()), ("status", "shed".to_owned())];
        publisher.metrics.published.get_or_create(&what).inc();
    };
    accept(listener, Gate::new(limits), &stop, each, shed).await;
}

async fn connection(socket: TcpStream, routes: axum::Router, stop: &Stop, head: Duration) {
    let service = service_fn(move |request: Request<Incoming>| routes.clone().oneshot(request.map(Body::new)));
    let mut builder = http1::Builder::new();
    // The timer also bounds the wait for the next request.
    builder.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(HEAD);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.soft.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
