//! `Idempotency-Key`: a `POST` whose answer was lost can be sent again and is carried out once (draft-ietf-httpapi-idempotency-key-header).
//!
//! Only successes are kept; a refused request gives its key back, so that it can be sent again once the cause is gone. An answer that holds a
//! secret is never kept.

use super::{MAX_JSON, input::too_large, limits::caller};
use crate::http::{bodies, fault::Problem};
use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use fleet::{
    Fleet,
    access::Actor,
    repeats::{Answer, Begun, Claim, Request as Repeated},
};
use std::time::Duration;
use wire::FaultKind;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Most bytes of an answer that is kept.
const MAX_ANSWER: usize = 4 << 20;

/// Marks a response whose body must not be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Secret;

pub(super) async fn once(State(fleet): State<Fleet>, request: Request, next: Next) -> Response {
    let key = request.headers().get(&KEY).cloned();
    let actor = request.extensions().get::<Actor>().cloned();
    match (key, actor) {
        (Some(key), Some(actor)) if request.method() == Method::POST => {
            // To the end even if the caller goes away: the answer is what they come back for.
            let on = fleet.clone();
            let work =
                on.beyond(async move { carry_out(&fleet, &actor, &key, request, next).await.unwrap_or_else(IntoResponse::into_response) });
            work.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
        _ => next.run(request).await,
    }
}

async fn carry_out(fleet: &Fleet, actor: &Actor, key: &HeaderValue, request: Request, next: Next) -> Result<Response, Problem> {
    let key = key.to_str().ok().filter(|k| (1..=255).contains(&k.len()));
    let key =
        key.ok_or_else(|| Problem::new(FaultKind::Invalid, "bad_idempotency_key", "An Idempotency-Key has 1 to 255 visible characters."))?;
    let (parts, body) = request.into_parts();
    let body = bodies::whole(body, MAX_JSON).await.ok_or_else(too_large)?;
    let target = parts.uri.path_and_query().map_or("", |p| p.as_str());
    let repeated = Repeated::new(caller(actor), key, &[target.as_bytes(), &body]);
    let claim = match fleet.repeats().begin(actor, &repeated).await? {
        Begun::First(claim) => claim,
        Begun::Again(answer) => return Ok(again(answer)),
        Begun::UnderWay => {
            let message = "The first request with this Idempotency-Key is still being carried out. Ask again in a moment.";
            return Err(Problem(wire::Fault::new(FaultKind::Conflict, "request_under_way", message).retry_after(1)));
        }
        Begun::Other => {
            let message = "This Idempotency-Key was used for another request. Use a new one for each request.";
            return Err(Problem::new(FaultKind::Conflict, "idempotency_key_used", message));
        }
    };
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if !response.status().is_success() {
        // The refusal is the answer, also where the key can't be given back; then it is free again after a while.
        if let Err(e) = fleet.repeats().forget(actor, &claim).await {
            tracing::warn!(error = %e, "giving an Idempotency-Key back failed");
        }
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let internal = |_| Problem::new(FaultKind::Internal, "internal", "The answer is too large to be kept. The request was carried out.");
    let body = to_bytes(body, MAX_ANSWER).await.map_err(internal)?;
    let kept = if parts.extensions.get::<Secret>().is_some() { String::new() } else { String::from_utf8_lossy(&body).into_owned() };
    let said = |name: HeaderName| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (location, media_type) = (said(header::LOCATION), said(header::CONTENT_TYPE));
    keep(fleet, actor, &claim, &Answer { status: i64::from(parts.status.as_u16()), location, media_type, body: kept }).await;
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Keeps the answer. What was asked for is done, so a store that fails now changes nothing about the answer; it is tried for some seconds,
/// because without it a repetition would be carried out a second time.
async fn keep(fleet: &Fleet, actor: &Actor, claim: &Claim, answer: &Answer) {
    for pause in [0, 100, 500, 2000] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        match fleet.repeats().answer(actor, claim, answer).await {
            Ok(()) => return,
            Err(e) => tracing::warn!(error = %e, "keeping an answer for its Idempotency-Key failed"),
        }
    }
}

fn again(answer: Answer) -> Response {
    let status = u16::try_from(answer.status).ok().and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or(StatusCode::OK);
    if answer.body.is_empty() && status != StatusCode::NO_CONTENT {
        let message =
            "This request was carried out before. Its answer held a secret, which is shown once; revoke what was made and make another.";
        return Problem::new(FaultKind::Conflict, "already_done", message).into_response();
    }
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    // What axum says of a text is not what was said first.
    headers.remove(header::CONTENT_TYPE);
    for (name, said) in [(header::LOCATION, answer.location), (header::CONTENT_TYPE, answer.media_type)] {
        if let Some(value) = HeaderValue::try_from(said).ok().filter(|v| !v.is_empty()) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
