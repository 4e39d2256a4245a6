//! What third parties ask by plain HTTP: lists of revoked certificates, OCSP answers, authorities' certificates (R-7, R-8; RFC 5280 §4.2.1.13 and
//! §4.2.2.1, RFC 6960 appendix A). Everything is signed, so the transport need not be, and everything comes from memory. Owns paths, media types and
//! caching; refuses to know who asks.

mod serve;
#[cfg(test)]
mod tests;

pub use serve::serve;

use crate::{
    http::{
        own_words::{Face, line},
        tags,
    },
    observe::Metrics,
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::{Fleet, pki::OcspAnswer};
use std::time::Duration;
use wire::{Timestamp, ids::AuthorityId, percent};

/// Most bytes of an OCSP request, also of one in a path.
const LARGEST: usize = 8 * 1024;
/// How long reading a request and answering it may take.
const SLOWEST: Duration = Duration::from_secs(10);
/// The longest anything may be kept by caches: a revocation is known everywhere an hour later.
const LONGEST_KEPT: i64 = 3_600_000;

/// What the listener needs.
#[derive(Clone)]
pub struct Publisher {
    /// The core.
    pub fleet: Fleet,
    /// Counters.
    pub metrics: Metrics,
}

/// The routes.
pub fn router(publisher: Publisher) -> Router {
    let routes = Router::new()
        .route("/crl/{file}", get(crl))
        .route("/ca/{file}", get(authority))
        .route("/ocsp", post(ocsp_post))
        .route("/ocsp/{*request}", get(ocsp_get))
        .layer(DefaultBodyLimit::max(LARGEST));
    Face::lines("Here are /crl/{id}.crl, /ca/{id}.cer and /ocsp.", LARGEST as u64)
        .over(routes)
        .layer(middleware::from_fn_with_state(publisher.metrics.clone(), counted))
        .with_state(publisher)
}

/// Counts, and gives up on whoever sends too slowly.
async fn counted(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let what = match request.uri().path().split('/').nth(1) {
        Some("crl") => "crl",
        Some("ca") => "ca",
        Some("ocsp") => "ocsp",
        _ => "other",
    };
    let answered = tokio::time::timeout(SLOWEST, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| line(StatusCode::REQUEST_TIMEOUT, "The request came too slowly."));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let labels = vec![("what", what.to_owned()), ("status", response.status().as_u16().to_string())];
    metrics.published.get_or_create(&labels).inc();
    response
}

fn missing() -> Response {
    line(StatusCode::NOT_FOUND, "There is no such file here.")
}

/// The id in a file name with this ending.
fn named(file: &str, ending: &str) -> Option<AuthorityId> {
    file.strip_suffix(ending)?.parse().ok()
}

/// Seconds that caches may keep what holds until then.
fn kept(now: Timestamp, until: Timestamp) -> String {
    format!("max-age={}", until.since(now).clamp(0, LONGEST_KEPT) / 1000)
}

async fn crl(State(publisher): State<Publisher>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(crl) = named(&file, ".crl").and_then(|id| publisher.fleet.pki().crl(&id)) else { return missing() };
    let tag = format!("\"{}\"", crl.tag);
    let fresh = [(header::CACHE_CONTROL, kept(publisher.fleet.clock().now(), crl.next_issue)), (header::ETAG, tag.clone())];
    if tags::held(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, fresh).into_response();
    }
    (fresh, [(header::CONTENT_TYPE, "application/pkix-crl")], crl.der.clone()).into_response()
}

async fn authority(State(publisher): State<Publisher>, Path(file): Path<String>) -> Response {
    let Some(der) = named(&file, ".cer").and_then(|id| publisher.fleet.pki().authority_certificate(&id)) else { return missing() };
    // It never changes, but a browser of somebody who looks for a mistake should not keep it for ever.
    let headers = [(header::CONTENT_TYPE, "application/pkix-cert"), (header::CACHE_CONTROL, "max-age=86400")];
    (headers, Bytes::from(der.to_vec())).into_response()
}

async fn ocsp_post(State(publisher): State<Publisher>, headers: HeaderMap, body: Bytes) -> Response {
    let media = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !media.split(';').next().is_some_and(|m| m.trim().eq_ignore_ascii_case("application/ocsp-request")) {
        return line(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the request as application/ocsp-request.");
    }
    answered(&publisher, publisher.fleet.pki().ocsp(&body))
}

/// The request is base64 in the path, percent-encoded or not, and base64 has slashes, two in a row also: the path is taken as it came.
async fn ocsp_get(State(publisher): State<Publisher>, request: Request<Body>) -> Response {
    let path = request.uri().path();
    if path.len() > LARGEST {
        return line(StatusCode::URI_TOO_LONG, "Send long requests with POST.");
    }
    // A responder's address that ends in a slash makes two; no request begins with one.
    let encoded = path.strip_prefix("/ocsp/").unwrap_or_default().trim_start_matches('/');
    let der = percent::decoded(encoded).and_then(|text| STANDARD.decode(text).ok());
    // What is no base64 is no request either.
    answered(&publisher, publisher.fleet.pki().ocsp(der.as_deref().unwrap_or_default()))
}

/// Refusals are answers of the protocol, with status 200 (RFC 6960 appendix A.2).
fn answered(publisher: &Publisher, answer: OcspAnswer) -> Response {
    let cache = answer.fresh_until.map_or_else(|| "no-store".to_owned(), |until| kept(publisher.fleet.clock().now(), until));
    ([(header::CACHE_CONTROL, cache)], [(header::CONTENT_TYPE, "application/ocsp-response")], answer.der).into_response()
}
