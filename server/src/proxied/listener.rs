//! The listener for proxies: their addresses and no others, plain HTTP or TLS with our own certificate. Refuses to read anything that another address sends.

use super::request::Line;
use crate::tls::{Accepted, Cut, Gate, Http, Limits, PROXY_KEEPS, PeerAddr, Reason, Stats, Stop, accept, speak};
use axum::{Router, body::Body};
use fleet::network::Network;
use http::Request;
use rustls::ServerConfig;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What the listener serves, and to whom.
#[derive(Clone)]
pub struct Proxies {
    /// Handles requests; a [`Door`](super::Door) stands before its handlers.
    pub router: Router,
    /// From [`crate::tls::proxy`]; without it plain HTTP is spoken.
    pub tls: Option<Arc<ServerConfig>>,
    /// Where the proxies are.
    pub trusted: Vec<Network>,
    /// Counters.
    pub stats: Arc<Stats>,
}

/// Serves until `stop.soft`, then finishes what is under way, websockets too, until `stop.hard`.
pub async fn serve(listener: TcpListener, proxies: Proxies, stop: Stop) {
    let usual = Limits::default();
    // All devices may come from one address, and all of those are ours.
    let limits = Limits { handshakes_per_address: usual.handshakes, head: PROXY_KEEPS, ..usual };
    let proxies = Arc::new(proxies);
    let each = |accepted: Accepted| {
        Stats::count(&proxies.stats.accepted);
        let (proxies, stop) = (Arc::clone(&proxies), stop.clone());
        tokio::spawn(async move { proxies.connection(accepted, limits, stop).await });
    };
    accept(listener, Gate::new(limits), &stop, each, |address| proxies.stats.shed(address)).await;
}

impl Proxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    async fn connection(&self, accepted: Accepted, limits: Limits, stop: Stop) {
        let Accepted { socket, address, place, half_open } = accepted;
        if !self.trusts(address.ip()) {
            self.stats.refused.count(Reason::NotAProxy);
            tracing::debug!(%address, "not one of trusted_proxies; closed unread");
            return;
        }
        // Frames are small and wait for nothing.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%address, %error, "connection ended before it began");
            return;
        }
        let token = stop.hard.child_token();
        let line = Line::over(token.clone());
        // What a websocket is registered as lives as long as the socket under it.
        let socket = Cut::new(socket, token.clone(), (place, line.upgraded())).stalling_after(limits.stall);
        let line = line.heard_by(socket.reads());
        let Some(config) = &self.tls else {
            drop(half_open);
            Stats::count(&self.stats.established);
            self.http(socket, address, limits, line, (&token, &stop)).await;
            return;
        };
        let handshake = TlsAcceptor::from(Arc::clone(config)).accept(socket);
        let stream = tokio::select! {
            done = tokio::time::timeout(limits.handshake, handshake) => match done {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    self.stats.failed.count(Reason::of_failure(&error));
                    tracing::debug!(%address, %error, "handshake failed");
                    return;
                }
                Err(_) => {
                    Stats::count(&self.stats.timed_out);
                    tracing::debug!(%address, "handshake took too long");
                    return;
                }
            },
            () = stop.soft.cancelled() => return,
        };
        drop(half_open);
        Stats::count(&self.stats.established);
        self.http(stream, address, limits, line, (&token, &stop)).await;
    }

    async fn http(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        address: SocketAddr,
        limits: Limits,
        line: Line,
        (token, stop): (&CancellationToken, &Stop),
    ) {
        let mark = move |request: &mut Request<Body>| {
            request.extensions_mut().insert(PeerAddr(address));
            request.extensions_mut().insert(line.clone());
        };
        // Proxies pass names on as they are spelled, and some devices read them byte by byte (E-12).
        let how = Http { h2: false, head: limits.head, title_case: true };
        if let Err(error) = speak(io, (self.router.clone(), mark), how, token, stop).await {
            tracing::debug!(%address, %error, "connection ended");
        }
    }
}
