//! How long an answer is waited for. Owns what is given up and how that is said; how long, and for what, is said by who has the routes.

use super::fault::Problem;
use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::time::Duration;
use wire::{Fault, FaultKind};

/// The answer, or this fault when it takes longer. What was begun for it is dropped then: a transaction that is under way is undone.
pub(super) async fn within(longest: Duration, (code, message): (&'static str, &'static str), request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    tokio::time::timeout(longest, next.run(request)).await.unwrap_or_else(|_| {
        tracing::error!(%method, path, "an answer took longer than {longest:?}");
        Problem(Fault::new(FaultKind::Busy, code, message).retry_after(5)).into_response()
    })
}
