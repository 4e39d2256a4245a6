//! The device listeners' routes: the native protocol, hawkBit's, and enrolment. Owns how a device's bytes become calls of the core; refuses to know
//! rules. A device only ever acts on itself: its number comes from the connection's certificate, never from a path or a body. Where an organization
//! takes shared secrets of hawkBit's clients, the path names the device and the secret says who may speak for it: one device's own, or a gateway's for all.

mod artifacts;
mod channel;
mod channels;
mod ddi;
mod delivered;
mod enrol;
mod est;
mod frame;
mod here;
mod slots;
mod updates;
mod whole;

#[cfg(test)]
mod tests;

pub use channels::Channels;

use crate::{
    http::{asked, fault::Problem, json::read, own_words::Face},
    observe::Metrics,
    proxied::Door,
    tls::peer_address,
};
use axum::{
    Router,
    extract::{FromRequestParts, Request},
    http::{HeaderMap, StatusCode, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use fleet::{Fleet, access::Actor, pki::DevicePeer};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use wire::{Fault, FaultKind};

/// Most bytes of a request's body on these listeners.
const LARGEST_BODY: usize = 64 * 1024;

/// What the handlers need. There is one of it: a poll that is answered from memory must not count up twenty handles first.
pub type Devices = Arc<Served>;

/// What the handlers need, by its parts.
pub struct Served {
    /// The core.
    pub fleet: Fleet,
    /// Counters and gauges.
    pub metrics: Metrics,
    /// Channels that are open.
    pub channels: Channels,
    /// The device listener as devices know it.
    pub device_url: Arc<str>,
    /// Whether CSRs by EST may say of any connection, or of none, that they came by it (E-12).
    pub ignores_binding: bool,
    /// Cancelled when the server begins to stop.
    pub stopping: CancellationToken,
}

/// Routes behind mutual TLS.
pub fn device_router(devices: Devices) -> Router {
    let routes = native()
        .merge(ddi::routes())
        .route(wire::device::TRUST_BUNDLE, get(enrol::trust_bundle))
        .fallback(unknown)
        .layer(axum::extract::DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(no_browser))
        .layer(middleware::from_fn(whole::first));
    Face::devices(whole::THROWN_AWAY).over(routes).with_state(devices)
}

/// Routes for those that have no certificate yet, or never will.
pub fn enrol_router(devices: Devices) -> Router {
    let routes = asked::over(joining())
        // For devices that have nothing but a shared secret, where their organization takes one: they poll.
        .merge(ddi::routes().layer(middleware::from_fn(whole::first)))
        .route(wire::device::TRUST_BUNDLE, get(enrol::root))
        .fallback(unknown)
        .layer(axum::extract::DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(no_browser));
    Face::devices(whole::THROWN_AWAY).over(routes).with_state(devices)
}

/// All of them at one address, for devices behind a proxy: with a certificate they have the one half, without it the other.
pub fn proxied_router(devices: Devices, door: Door) -> Router {
    let routes = asked::over(joining())
        .merge(native().merge(ddi::routes()).layer(middleware::from_fn(whole::first)))
        .route(wire::device::TRUST_BUNDLE, get(enrol::trust_bundle_or_root))
        .fallback(unknown)
        .layer(axum::extract::DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(no_browser));
    Face::devices(whole::THROWN_AWAY).over(door.before(routes)).with_state(devices)
}

/// The native protocol of devices with certificates.
fn native() -> Router<Devices> {
    Router::new()
        .route("/device/v1/channel", get(channel::open))
        .route("/device/v1/update", get(updates::poll))
        .route("/device/v1/status", post(updates::report))
        .route("/device/v1/key-sets/{version}", get(updates::key_set))
        // It comes into the books. A poll does not, and is answered from memory.
        .route("/device/v1/renew", asked::each(post(enrol::renew)))
        .route("/device/v1/artifacts/{sha256}", get(artifacts::get))
}

/// How devices come in, or back. All of it comes into the books.
fn joining() -> Router<Devices> {
    Router::new()
        .route("/device/v1/enrol", post(enrol::enrol))
        .route("/device/v1/recover", get(enrol::recovery_nonce).post(enrol::recover))
        .route(est::ROUTE, any(est::serve))
}

/// A browser on a machine that holds a device certificate must not be led here by a web page.
async fn no_browser(request: Request, next: Next) -> Response {
    if request.headers().contains_key(axum::http::header::ORIGIN) {
        let fault = Fault::new(FaultKind::Forbidden, "browser", "This address is for devices. The console is on the operator listener.");
        return Problem(fault).into_response();
    }
    next.run(request).await
}

async fn unknown() -> Problem {
    Problem(Fault::new(
        FaultKind::NotFound,
        "not_found",
        "There is no such address. The native protocol is under /device/v1, hawkBit's under /{organization}/controller/v1, EST on the enrol listener \
         under /.well-known/est.",
    ))
}

/// The device behind the connection.
pub struct Peer {
    /// By its certificate.
    pub peer: Arc<DevicePeer>,
    /// From where.
    pub address: String,
}

impl Peer {
    /// The device as an actor.
    pub fn actor(&self) -> Actor {
        Actor::device(&self.peer.org, self.peer.device, &self.peer.device_id, &self.address)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Arc<DevicePeer>>().cloned().ok_or_else(|| {
            Problem(Fault::new(FaultKind::Unauthenticated, "no_certificate", "Connect with a client certificate. Enrol to get one."))
        })?;
        Ok(Self { peer, address: address(&parts.extensions) })
    }
}

fn address(extensions: &axum::http::Extensions) -> String {
    peer_address(extensions).map(|a| a.to_string()).unwrap_or_default()
}

/// A JSON body read by hand, so that a wrong one gets our own words.
fn json<T: serde::de::DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    if headers.contains_key(axum::http::header::CONTENT_ENCODING) {
        return Err(Problem(Fault::new(FaultKind::Unsupported, "encoded_body", "Send the body as plain JSON, without Content-Encoding.")));
    }
    read(body).map_err(|why| Problem(Fault::new(FaultKind::Invalid, "bad_json", why)))
}

/// An empty success.
const DONE: StatusCode = StatusCode::NO_CONTENT;
