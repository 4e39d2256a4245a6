//! The machine room's listener: health, readiness, metrics. Loopback only; no secrets, no names.

use super::own_words::{Face, line};
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
    let routes = Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).route("/metrics", get(metrics));
    Face::lines("Here are /healthz, /readyz and /metrics.", 1024).over(routes).with_state(ops)
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
        return line(StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    match ops.fleet.ready().await {
        Ok(()) => match ops.fleet.pki().clock_jump() {
            None => "ready\n".into_response(),
            Some(jump) => line(StatusCode::SERVICE_UNAVAILABLE, &format!("the clock has jumped by {jump}: nothing is issued")),
        },
        Err(e) => {
            tracing::warn!(error = %e, "not ready");
            let why = if matches!(e, Error::Db(db::Error::Full)) { "the disk is full" } else { "the database does not answer" };
            line(StatusCode::SERVICE_UNAVAILABLE, why)
        }
    }
}

async fn metrics(State(ops): State<Ops>) -> Response {
    match ops.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use fleet::{db::EngineKind, testing::World};
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_20_a_server_whose_clock_jumped_says_so_when_it_is_asked_whether_it_is_ready() {
        let world = World::open(EngineKind::Sqlite).await;
        let ops = Ops { fleet: world.fleet.clone(), metrics: Metrics::default(), stopping: CancellationToken::new() };
        let ready = async || {
            let response = router(ops.clone()).oneshot(Request::get("/readyz").body(Body::empty()).unwrap()).await.unwrap();
            let (parts, body) = response.into_parts();
            (parts.status.as_u16(), String::from_utf8(to_bytes(body, 1000).await.unwrap().to_vec()).unwrap())
        };
        assert_eq!(ready().await, (200, "ready\n".to_owned()));
        for jump in [86_400_000, -172_800_000] {
            world.clock.jump(jump);
            let (status, text) = ready().await;
            assert!(status == 503 && text.contains("the clock has jumped by"), "{status} {text}");
        }
        world.clock.jump(86_400_000);
        assert_eq!(ready().await.0, 200, "right again");
    }
}
