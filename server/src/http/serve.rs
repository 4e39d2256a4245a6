//! The operator listener as a whole: routes, guard, limits, headers; plain HTTP on loopback or TLS with the operator's own certificate.

use super::{
    api, asked, assets,
    deadline::within,
    guard::{self, Guard, guard},
    live,
    own_words::Face,
    pages::{self, Pages},
    plain,
    refusal::Refusals,
    session,
};
use crate::{
    observe::Metrics,
    tls::{Endpoint, Limits, PROXY_KEEPS, Registry, Stats, Stop},
};
use anyhow::{Context as _, Result};
use app::api::cookies::Cookies;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use fleet::{
    Fleet,
    entropy::{Entropy, OsEntropy},
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tower_http::{catch_panic::CatchPanicLayer, request_id::PropagateRequestIdLayer, set_header::SetResponseHeaderLayer};

/// A page that is not ready by then is answered with 503 instead of half a page.
const SLOWEST_PAGE: Duration = Duration::from_secs(15);
/// People and their scripts: one connection a tab for what is live, a few for the rest.
const CONNECTIONS: usize = 8192;
/// An office behind one address.
const CONNECTIONS_PER_ADDRESS: usize = 1024;
/// Most bytes of a form.
pub(super) const LARGEST_FORM: usize = 1024 * 1024;

/// What the operator listener needs.
#[derive(Clone)]
pub struct Operator {
    /// The core.
    pub fleet: Fleet,
    /// Counters and gauges.
    pub metrics: Metrics,
    /// Whether browsers reach us by TLS.
    pub secure: bool,
    /// Whether a proxy before us says in `X-Forwarded-For` who the client is.
    pub forwarded: bool,
    /// The two ends of the listener's life.
    pub stop: Stop,
}

/// All routes of the operator listener.
pub fn router(operator: &Operator) -> Router {
    let guard_state = Guard { fleet: operator.fleet.clone(), cookies: Cookies { secure: operator.secure }, forwarded: operator.forwarded };
    let names = assets::names();
    let manual = super::docs::router(&names);
    let face = Face::operator(names.clone());
    let refusals = Refusals::new(&(&OsEntropy as &dyn Entropy).bytes());
    let pages = Pages { guard: guard_state.clone(), assets: names, refusals: refusals.clone(), options: pages::options() };
    let console = pages::router(pages).layer(DefaultBodyLimit::max(LARGEST_FORM)).layer(middleware::from_fn(in_time));
    let header = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let routes = Router::new()
        .merge(api::faces(&operator.fleet, refusals))
        .route("/api/{*rest}", axum::routing::any(guard::unknown))
        .route("/session/refresh", get(session::refresh).post(session::refresh_form).with_state(guard_state.clone()))
        .merge(live::routes(live::Live {
            fleet: operator.fleet.clone(),
            open: operator.metrics.live_sockets.clone(),
            stop: operator.stop.soft.clone(),
        }))
        .merge(manual)
        .merge(console)
        .layer(middleware::from_fn_with_state(guard_state, guard))
        // Assets are for everybody and need no database.
        .route("/pkg/{*file}", get(assets::serve))
        .route("/favicon.svg", get(assets::serve))
        .route("/icons.svg", get(assets::serve))
        .route("/world.svg", get(assets::serve))
        .layer(header("x-content-type-options", "nosniff"))
        .layer(header("referrer-policy", "same-origin"))
        .layer(header("x-frame-options", "DENY"))
        .layer(header("cross-origin-opener-policy", "same-origin"))
        .layer(header("content-security-policy", "default-src 'none'; frame-ancestors 'none'"))
        .layer(middleware::from_fn_with_state(operator.metrics.clone(), count))
        .layer(PropagateRequestIdLayer::x_request_id());
    face.over(asked::over(routes).layer(CatchPanicLayer::new()))
}

/// Pages and server functions have a deadline; REST, uploads and live sockets have their own.
async fn in_time(request: Request, next: Next) -> Response {
    within(SLOWEST_PAGE, ("slow_page", "The page took too long. Try again."), request, next).await
}

async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let id = request.headers().get("x-request-id").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    metrics.requests.get_or_create(&vec![("status", status.as_u16().to_string())]).inc();
    if status.is_server_error() {
        tracing::warn!(%method, path, %status, request_id = id, "request failed");
    } else {
        tracing::debug!(%method, path, %status, request_id = id, "request");
    }
    response
}

/// How much at once. Behind a proxy all of it may come from one address, and the proxy keeps connections for what comes next.
fn limits(operator: &Operator, tls: bool) -> Limits {
    let usual = Limits { connections: CONNECTIONS, strangers_per_address: CONNECTIONS_PER_ADDRESS, ..Limits::default() };
    // Plain HTTP that browsers know as TLS comes from a proxy.
    let behind_proxy = operator.forwarded || (operator.secure && !tls);
    if behind_proxy { Limits { strangers_per_address: CONNECTIONS, head: PROXY_KEEPS, ..usual } } else { usual }
}

/// Serves until the soft stop, then finishes what is under way. Connections are counted when it speaks TLS; without it only those that were too many.
pub async fn serve(listener: TcpListener, operator: Operator, tls: Option<Arc<ServerConfig>>, stats: Arc<Stats>) {
    let routes = router(&operator);
    let limits = limits(&operator, tls.is_some());
    match tls {
        None => plain::serve(listener, routes, limits, &stats, &operator.stop).await,
        Some(config) => {
            let endpoint = Endpoint {
                router: routes,
                config,
                trust: operator.fleet.pki().trust(),
                registry: Registry::default(),
                limits,
                stats,
                title_case: false,
            };
            crate::tls::serve(listener, endpoint, operator.stop).await;
        }
    }
}

/// TLS for people, with a certificate their browsers already trust.
pub fn tls(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("reading the certificate chain {}", cert.display()))?;
    let key_der = PrivateKeyDer::from_pem_file(key).with_context(|| format!("reading the private key {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .with_context(|| format!("{} does not fit {}", key.display(), cert.display()))?;
    // Websockets need HTTP/1.1; browsers choose per connection.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
