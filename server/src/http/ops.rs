//! The machine room's listener: health, readiness, metrics. Loopback only; no secrets, no names.

use crate::observe::Metrics;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use fleet::{Error, Fleet, db};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the three handlers look at.
#[derive(Clone)]
pub struct Ops {
    /// The core.
    pub fleet: Fleet,
    /// Counters and gauges.
    pub metrics: Metrics,
    /// Cancelled when the server begins to stop: from then on it is not ready.
    pub stopping: CancellationToken,
}

/// The routes.
pub fn router(ops: Ops) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).route("/metrics", get(metrics)).with_state(ops)
}

/// Serves until the hard stop.
pub async fn serve(listener: TcpListener, ops: Ops, hard: CancellationToken) {
    let served = axum::serve(listener, router(ops)).with_graceful_shutdown(async move { hard.cancelled().await });
    if let Err(e) = served.await {
        tracing::error!(error = %e, "the ops listener failed");
    }
}

async fn ready(State(ops): State<Ops>) -> Response {
    if ops.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match ops.fleet.ready().await {
        Ok(()) => match ops.fleet.pki().clock_jump() {
            None => "ready\n".into_response(),
            Some(jump) => (StatusCode::SERVICE_UNAVAILABLE, format!("the clock has jumped by {jump}: nothing is issued\n")).into_response(),
        },
        Err(e) => {
            tracing::warn!(error = %e, "not ready");
            let why = if matches!(e, Error::Db(db::Error::Full)) { "the disk is full\n" } else { "the database does not answer\n" };
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
    }
}

async fn metrics(State(ops): State<Ops>) -> Response {
    match ops.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
