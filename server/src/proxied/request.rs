//! Who a request is from that a proxy has passed on: the device whose certificate came with it, once that was judged, or nobody (H-8). Owns how long that
//! counts for revocations; refuses to know what is asked.

use super::header::{Header, Wrong};
use crate::{
    http::{fault::Problem, guard::forwarded_for},
    tls::{Judge, Over, PeerAddr, Reason, Registration, Registry, Stats, Vouched, peer_address, without_identity},
};
use axum::{
    Extension, Router,
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use fleet::{clock::Clock, pki::TrustHandle};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, atomic::AtomicU64},
    task::{Context, Poll},
};
use tokio_util::sync::CancellationToken;
use wire::{Fault, FaultKind};

/// Seconds after which a device comes again about which nothing could be said, or nothing yet.
const AGAIN: u32 = 10;

/// Where the registration of a websocket is kept: with the socket that it goes over.
type Upgraded = Arc<Mutex<Option<Registration>>>;

/// One connection of a proxy, in the extensions of each of its requests.
#[derive(Debug, Clone)]
pub(super) struct Line {
    token: CancellationToken,
    reads: Arc<AtomicU64>,
    upgraded: Upgraded,
}

impl Line {
    /// Over a connection that ends when the token is cancelled.
    pub fn over(token: CancellationToken) -> Self {
        Self { token, reads: Arc::default(), upgraded: Upgraded::default() }
    }

    /// The same, and this grows while the proxy speaks.
    #[must_use]
    pub fn heard_by(self, reads: Arc<AtomicU64>) -> Self {
        Self { reads, ..self }
    }

    /// What must live exactly as long as the socket.
    pub fn upgraded(&self) -> Upgraded {
        Arc::clone(&self.upgraded)
    }
}

/// Stands before the handlers of the listener for proxies: leaves each request the identity that its certificate proves, as on the other listeners
/// `Arc<DevicePeer>` or `Arc<Claimant>`, or none where no certificate came; and refuses what it can't believe. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Door(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    judge: Judge,
    header: Header,
    forwarded: bool,
}

impl Door {
    /// Who is in by which header. With `forwarded` the last entry of `X-Forwarded-For` says where the device is; without it that is where the proxy is.
    pub fn new(
        (trust, registry): (TrustHandle, Registry),
        clock: Arc<dyn Clock>,
        stats: Arc<Stats>,
        header: Header,
        forwarded: bool,
    ) -> Self {
        Self(Arc::new(Inside { judge: Judge::new(trust, registry, clock, stats), header, forwarded }))
    }

    /// These routes behind it.
    pub fn before<S: Clone + Send + Sync + 'static>(self, routes: Router<S>) -> Router<S> {
        routes.layer(middleware::from_fn_with_state(self, pass))
    }
}

async fn pass(State(Door(door)): State<Door>, Extension(line): Extension<Line>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().remove::<Line>();
    let proxy = peer_address(request.extensions()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let from = if door.forwarded { forwarded_for(request.headers()) } else { None };
    if let Some(device) = from {
        request.extensions_mut().insert(PeerAddr(SocketAddr::new(device, 0)));
    }
    let told = door.header.certificate(request.headers());
    without_identity(request.headers_mut());
    let leaf = match told {
        Ok(Some(leaf)) => leaf,
        Ok(None) => return next.run(request).await,
        Err(wrong) => return unreadable(door.header, wrong).into_response(),
    };
    let over = Over { token: line.token.clone(), reads: Arc::clone(&line.reads), from };
    match door.judge.admit(&leaf, over, proxy) {
        Ok(Vouched::Device(peer, registration)) => {
            request.extensions_mut().insert(peer);
            let response = next.run(request).await;
            kept(response, registration, &line)
        }
        Ok(Vouched::Claim(claim)) => {
            request.extensions_mut().insert(claim);
            next.run(request).await
        }
        Err(reason) => {
            tracing::debug!(%proxy, reason = reason.as_str(), "a certificate that a proxy has passed on is refused");
            refused(reason).into_response()
        }
    }
}

/// The answer, registered until it is said: with a download's last byte, with a websocket's end, or when nobody wants it any more.
fn kept(response: Response, registration: Registration, line: &Line) -> Response {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        *line.upgraded.lock() = Some(registration);
        return response;
    }
    response.map(|body| Body::new(Registered { body, _registration: registration }))
}

/// A body whose device is registered for as long as it is sent.
struct Registered {
    body: Body,
    _registration: Registration,
}

impl HttpBody for Registered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The proxy is at fault, or whoever gets past it.
fn unreadable(header: Header, wrong: Wrong) -> Problem {
    let text = format!(
        "No certificate could be read from the header {} (H-8): {wrong}. The proxy must take away what clients send in it, and set it once, to {}, or not at all \
         where the device has shown none.",
        header.name(),
        header.form()
    );
    Problem::new(FaultKind::Invalid, "bad_certificate_header", text)
}

/// What an alert says in a handshake (H-3), in words.
fn refused(reason: Reason) -> Problem {
    use Reason as R;
    let (why, to_do) = match reason {
        R::Arriving | R::NotYetKnown | R::Stale => {
            let text = "Whether the device's certificate may be used can't be said at this moment. Try again.";
            return Problem(Fault::new(FaultKind::Busy, "certificate_not_judged", text).retry_after(AGAIN));
        }
        R::Revoked | R::Superseded => ("it is revoked, or was replaced by another one", "Use the newer one, or enrol again"),
        R::Expired => (
            "it has ended",
            "Renew it at its own authority; or, where Fleetward issued it, recover by POST /device/v1/recover, without showing this one, if recovery is allowed, or enrol again",
        ),
        R::NotYetValid => ("its time has not begun", "Set the device's clock right, and the server's"),
        R::Suspended => ("its device is suspended, or out of the fleet", "Ask an operator"),
        R::UnknownIssuer | R::Authority | R::Constraints => (
            "no authority that is believed here has signed it as it stands for that",
            "See that it comes as it was issued. Where an authority of your own has signed it, register that one; otherwise enrol",
        ),
        R::WrongPurpose => ("it is good for something else", "Show a device's certificate"),
        R::NeverIssued => ("it was never issued here", "Enrol again"),
        R::TurnedAway => {
            ("it is not let in yet, or not at all", "Try again later; where it stays so, ask an administrator of the organization")
        }
        R::ListEnded | R::ListAwaited => {
            ("its authority's devices are not let in at this moment", "Ask an administrator of the organization")
        }
        _ => ("it is not in order", "Enrol again"),
    };
    let text = format!("The device's certificate is refused ({}): {why}. {to_do}.", reason.as_str());
    Problem::new(FaultKind::Forbidden, "certificate_refused", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_helps_whoever_issued_the_certificate() {
        let said = |reason| refused(reason).0.message;
        let ended = said(Reason::Expired);
        assert!(ended.contains("at its own authority") && ended.contains("POST /device/v1/recover"), "{ended}");
        let altered = said(Reason::UnknownIssuer);
        assert!(
            altered.contains("as it stands") && altered.contains("as it was issued") && altered.ends_with("otherwise enrol."),
            "{altered}"
        );
    }
}
