//! The accept loop (H-7): every handshake runs beside the others under a deadline, so a slow one delays nobody; what is through is registered and
//! checked again (H-5) before the first byte of HTTP.

use super::{
    accept::{Accepted, accept},
    admission::{Over, enter},
    cut::Cut,
    protocol::{Http, UNSENT, speak},
    reason::Reason,
    registry::{Registration, Registry},
    shedding::{Counted, Gate, HalfOpen, Limits, Place, Stats},
    witness::{Seen, watched},
};
use axum::{Router, body::Body};
use fleet::pki::{Claimant, DevicePeer, TrustHandle};
use http::{Extensions, HeaderMap, HeaderName, Request};
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

/// Headers by which proxies name a client's certificate. Identity comes from the connection, or from a proxy that is believed, and there from the one header
/// that is chosen; none of them ever reaches a handler (H-8).
const IDENTITY_HEADERS: [HeaderName; 10] = [
    HeaderName::from_static("client-cert"),
    HeaderName::from_static("client-cert-chain"),
    HeaderName::from_static("ssl-client-cert"),
    HeaderName::from_static("x-amzn-mtls-clientcert"),
    HeaderName::from_static("x-client-cert"),
    HeaderName::from_static("x-forwarded-client-cert"),
    HeaderName::from_static("x-forwarded-tls-client-cert"),
    HeaderName::from_static("x-ssl-cert"),
    HeaderName::from_static("x-ssl-client-cert"),
    HeaderName::from_static("x-ssl-client-verify"),
];

/// Takes those headers out of a request.
pub(crate) fn without_identity(headers: &mut HeaderMap) {
    for name in &IDENTITY_HEADERS {
        headers.remove(name);
    }
}

/// The other side's address, in every request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// The connection's channel binding `tls-exporter` (RFC 9266 §4.2), in the extensions of requests over TLS 1.3. TLS 1.2 has none here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelBinding(pub [u8; 32]);

impl ChannelBinding {
    fn of(tls: &ServerConnection) -> Option<Self> {
        if tls.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return None;
        }
        // It fails only before the handshake is over.
        tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok().map(Self)
    }
}

/// Where a request came from: every listener leaves a [`PeerAddr`]. An IPv4 client on an IPv6 socket has its IPv4 address, so that it is one client
/// to throttles and in the audit log.
pub fn peer_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<PeerAddr>().map(|address| address.0.ip().to_canonical())
}

/// What a listener serves, and how.
#[derive(Clone)]
pub struct Endpoint {
    /// Handles requests. An authenticated device's are given `Arc<DevicePeer>` as an extension, those over a claim's certificate `Arc<Claimant>`, every request its [`PeerAddr`].
    pub router: Router,
    /// From [`device`](super::device) or [`enrol`](super::enrol).
    pub config: Arc<ServerConfig>,
    /// Who may connect.
    pub trust: TrustHandle,
    /// Where connections are registered; one for all listeners.
    pub registry: Registry,
    /// How much at once.
    pub limits: Limits,
    /// Counters.
    pub stats: Arc<Stats>,
    /// Answer with `Title-Case` header names: old device stacks look for them byte by byte (E-12).
    pub title_case: bool,
}

/// The two ends of a listener's life.
#[derive(Debug, Clone)]
pub struct Stop {
    /// No new connections; requests under way are finished.
    pub soft: CancellationToken,
    /// Everything is dropped.
    pub hard: CancellationToken,
}

/// Serves until `stop.soft`, then waits for the connections, upgraded ones too, until they have ended or `stop.hard`.
pub async fn serve(listener: TcpListener, endpoint: Endpoint, stop: Stop) {
    let gate = Gate::new(endpoint.limits);
    let endpoint = Arc::new(endpoint);
    let each = |accepted: Accepted| {
        Stats::count(&endpoint.stats.accepted);
        let (endpoint, stop) = (Arc::clone(&endpoint), stop.clone());
        tokio::spawn(async move { endpoint.connection(accepted, stop).await });
    };
    accept(listener, gate, &stop, each, |address| endpoint.stats.shed(address)).await;
}

/// What lives as long as the socket, also after an upgrade.
#[derive(Debug)]
struct Held {
    _place: Place,
    registration: Option<Registration>,
    stranger: Option<Counted>,
}

/// Whose certificate a connection shows.
enum Shown {
    Nothing,
    Device(Arc<DevicePeer>),
    Claim(Arc<Claimant>),
}

type Socket = Cut<TcpStream, Held>;

impl Endpoint {
    async fn connection(&self, accepted: Accepted, stop: Stop) {
        let Accepted { socket, address, place, half_open } = accepted;
        // Frames are small and wait for nothing.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%address, %error, "connection ended before it began");
            return;
        }
        let token = stop.hard.child_token();
        let socket =
            Cut::new(socket, token.clone(), Held { _place: place, registration: None, stranger: None }).stalling_after(self.limits.stall);
        let crowded_out = half_open.heard_by(socket.reads());
        let handshake = watched(TlsAcceptor::from(Arc::clone(&self.config)).accept(socket));
        let mut stream = tokio::select! {
            done = tokio::time::timeout(self.limits.handshake, handshake) => match done {
                Ok((Ok(stream), _)) => stream,
                Ok((Err(error), seen)) => {
                    self.failed(address, &error, seen.get());
                    return;
                }
                Err(_) => {
                    Stats::count(&self.stats.timed_out);
                    tracing::debug!(%address, "handshake took too long");
                    return;
                }
            },
            () = crowded_out.cancelled() => {
                Stats::count(&self.stats.shed);
                tracing::debug!(%address, "said nothing while others from there wanted in; closed");
                return;
            }
            () = stop.soft.cancelled() => return,
        };
        // A device listener's verifier lets no claim through; what one is used for is asked again in its own transaction.
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        if let Some(claim) = leaf.and_then(|leaf| self.trust.claim(leaf)) {
            match claim {
                // Whoever has its image has a claim's key.
                Ok(claim) => {
                    if !self.stays(&mut stream, half_open, address) {
                        return;
                    }
                    Stats::count(&self.stats.established);
                    self.http(stream, address, Shown::Claim(Arc::new(claim)), &token, &stop).await;
                }
                Err(refusal) => {
                    self.stats.refused.count(Reason::of_refusal(refusal));
                    tracing::info!(%address, %refusal, "claim refused after the handshake");
                }
            }
            return;
        }
        let peer = match self.admit(&mut stream, address.ip(), &token) {
            Ok(peer) => peer,
            Err(refusal) => {
                self.stats.refused.count(Reason::of_refusal(refusal));
                tracing::info!(%address, %refusal, "device refused after the handshake");
                return;
            }
        };
        if peer.is_some() {
            // It is bounded by its certificate.
            drop(half_open);
        } else if !self.stays(&mut stream, half_open, address) {
            return;
        }
        Stats::count(&self.stats.established);
        self.http(stream, address, peer.map_or(Shown::Nothing, Shown::Device), &token, &stop).await;
    }

    /// Whether there is room for one more of this source that shows no device's certificate; it is taken for as long as the socket lives.
    fn stays(&self, stream: &mut TlsStream<Socket>, half_open: HalfOpen, address: SocketAddr) -> bool {
        let Some(counted) = half_open.stay() else {
            Stats::count(&self.stats.shed);
            tracing::debug!(%address, "too many connections from there; closed");
            return false;
        };
        stream.get_mut().0.guard().stranger = Some(counted);
        true
    }

    /// Counts a handshake that failed, and tells of it where that is a sign of attack. Waits for nothing.
    fn failed(&self, address: SocketAddr, error: &std::io::Error, seen: Option<&Seen>) {
        let reason = seen.map_or_else(|| Reason::of_failure(error), |seen| seen.reason);
        self.stats.failed.count(reason);
        tracing::debug!(%address, reason = reason.as_str(), %error, "handshake failed");
        if let Some(seen) = seen {
            seen.tell(&self.trust, address.ip());
        }
    }

    /// Whose certificate the connection shows, once that is registered; none when it shows none.
    fn admit(
        &self,
        stream: &mut TlsStream<Socket>,
        from: IpAddr,
        token: &CancellationToken,
    ) -> Result<Option<Arc<DevicePeer>>, fleet::pki::Refusal> {
        let (socket, tls) = stream.get_mut();
        let Some((leaf, above)) = tls.peer_certificates().and_then(<[_]>::split_first) else { return Ok(None) };
        let over = Over { token: token.clone(), reads: socket.reads(), from: Some(from) };
        let (peer, entered) = enter(&self.trust, &self.registry, (leaf, above), over)?;
        socket.guard().registration = Some(entered);
        Ok(Some(peer))
    }

    async fn http(&self, mut stream: TlsStream<Socket>, address: SocketAddr, shown: Shown, token: &CancellationToken, stop: &Stop) {
        stream.get_mut().1.set_buffer_limit(Some(UNSENT));
        // The handshake has settled the protocol; guessing it from the first bytes would wait for them without a deadline.
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let binding = ChannelBinding::of(stream.get_ref().1);
        let mark = move |request: &mut Request<Body>| {
            without_identity(request.headers_mut());
            request.extensions_mut().insert(PeerAddr(address));
            if let Some(binding) = binding {
                request.extensions_mut().insert(binding);
            }
            match &shown {
                Shown::Nothing => {}
                Shown::Device(peer) => drop(request.extensions_mut().insert(Arc::clone(peer))),
                Shown::Claim(claim) => drop(request.extensions_mut().insert(Arc::clone(claim))),
            }
        };
        let how = Http { h2, head: self.limits.head, title_case: self.title_case };
        if let Err(error) = speak(stream, (self.router.clone(), mark), how, token, stop).await {
            tracing::debug!(%address, %error, "connection ended");
        }
    }
}
