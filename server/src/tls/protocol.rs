//! HTTP on an accepted socket, whether TLS lies under it or not: bounded in the time and the size of a request's head, in what is held for a peer who
//! takes nothing, and ended gracefully. Refuses to know who is on the other side.

use super::{Stop, spelling};
use axum::{Router, body::Body};
use http::{Request, header::WWW_AUTHENTICATE};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{convert::Infallible, error::Error, pin::pin, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Bytes that HTTP holds for a peer who takes none, and TLS once more. A thousand devices on slow lines must not cost a gigabyte.
pub(super) const UNSENT: usize = 32 * 1024;

/// How it is spoken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Http {
    /// HTTP/2, or HTTP/1.1 from which a connection can be upgraded.
    pub h2: bool,
    /// How long the head of a request may take; over HTTP/1.1 also the wait for it.
    pub head: Duration,
    /// Answer with `Title-Case` header names, over HTTP/1.1; a challenge's is `WWW-Authenticate`.
    pub title_case: bool,
}

/// Serves these routes until the other side has enough, `token` is cancelled, or what is under way at the soft stop is done. What is upgraded goes on
/// beyond that: `io` must end by itself when `token` is cancelled. Each request is given to `mark` first.
pub(crate) async fn speak(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    (router, mark): (Router, impl Fn(&mut Request<Body>) + Send + Sync + 'static),
    how: Http,
    token: &CancellationToken,
    stop: &Stop,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let respelled = how.title_case && !how.h2;
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        mark(&mut request);
        let answer = router.clone().oneshot(request);
        async move {
            let mut response = answer.await?;
            if respelled && response.headers().contains_key(WWW_AUTHENTICATE) {
                response.extensions_mut().extend(spelling::CHALLENGES.clone());
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Without a timer hyper's own timeouts are silently off.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(how.head)
        .title_case_headers(how.title_case)
        // Also the longest head of a request.
        .max_buf_size(UNSENT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .max_send_buf_size(UNSENT)
        .max_header_list_size(32 * 1024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    let builder = if how.h2 { builder.http2_only() } else { builder.http1_only() };
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = token.cancelled() => return Ok(()),
            () = stop.soft.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
