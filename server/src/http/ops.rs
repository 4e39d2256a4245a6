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
use fleet::{Error, Fleet, db, pki::NotSigning};
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
            None => served(&ops.fleet),
            Some(jump) => line(StatusCode::SERVICE_UNAVAILABLE, &format!("the clock has jumped by {jump}: nothing is issued")),
        },
        Err(e) => {
            tracing::warn!(error = %e, "not ready");
            let why = if matches!(e, Error::Db(db::Error::Full)) { "the disk is full" } else { "the database does not answer" };
            line(StatusCode::SERVICE_UNAVAILABLE, why)
        }
    }
}

/// Ready; and what of it is not. A token that does not sign keeps new certificates back, and nothing else: were that not ready, all doors of a fleet would
/// be shut that are open to its devices. A key that is missing keeps back what its authority would sign, and names none here.
fn served(fleet: &Fleet) -> Response {
    let degraded = |not: NotSigning| {
        let what = if not.whole { "nothing new is signed" } else { "not every authority signs" };
        format!("ready\ndegraded: issuing ({}); devices are served, {what}\n", not.code)
    };
    fleet.pki().not_signing(None).map_or_else(|| "ready\n".to_owned(), degraded).into_response()
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
    use crate::{observe::Counted, tls};
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use fleet::{
        db::EngineKind,
        pki::PkiSettings,
        testing::{World, token},
    };
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

    /// K-4: what a token does not sign is missing to whoever wants it, and to nobody else.
    #[tokio::test]
    async fn k_4_a_server_whose_token_is_lost_is_ready_for_devices_and_says_that_it_issues_nothing() {
        let (secrets, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let settings = token(secrets.path(), &format!("ops-{}", std::process::id()));
        let ready = async |world: &World| {
            let metrics =
                Metrics::new(Counted { fleet: world.fleet.clone(), connections: tls::Registry::default(), listeners: Vec::new() });
            let ops = Ops { fleet: world.fleet.clone(), metrics: metrics.clone(), stopping: CancellationToken::new() };
            let response = router(ops).oneshot(Request::get("/readyz").body(Body::empty()).unwrap()).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = String::from_utf8(to_bytes(body, 1000).await.unwrap().to_vec()).unwrap();
            let lost = metrics.text().unwrap().lines().find_map(|l| l.strip_prefix("fleetward_signer_lost ").map(str::to_owned));
            (parts.status.as_u16(), body, lost.unwrap())
        };
        let world = World::open_with(folder, None, 1, |pki| PkiSettings { token: Some(settings), ..pki }).await.unwrap();
        assert_eq!(ready(&world).await, (200, "ready\n".to_owned(), "0".to_owned()));
        world.fleet.pki().renew_identity().await.unwrap();
        let world = World::open_with(world.close().await, None, 2, |pki| pki).await.unwrap();
        let (status, body, lost) = ready(&world).await;
        assert!(
            status == 200
                && body == "ready\ndegraded: issuing (token_key_missing); devices are served, nothing new is signed\n"
                && lost == "1",
            "{status} {body} {lost}"
        );
        assert!(world.fleet.pki().not_signing(None).unwrap().why.contains("pkcs11_token"), "and the log what to do");
        assert_eq!(world.fleet.pki().keys_missing(), 3);
        let overview = world.fleet.overview(&world.admin().await).await.unwrap();
        assert!(overview.attention.iter().any(|a| matches!(a.matter, wire::overview::Matter::SignerLost(_))), "{overview:?}");
    }
}
