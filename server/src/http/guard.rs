//! Who asks on the operator listener: a cookie or a bearer token becomes an [`Actor`]; a change asked for by another site is refused.
//! Refuses to know rights: `policy` in the core decides those.

use super::fault::Problem;
use crate::tls::peer_address;
use app::api::cookies::Cookies;
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use fleet::{Fleet, access::Actor};
use std::net::IpAddr;
use wire::{Fault, FaultKind};

/// What the guard needs.
#[derive(Clone)]
pub struct Guard {
    /// The core.
    pub fleet: Fleet,
    /// Whether cookies are `Secure` (TLS, or a TLS proxy before us).
    pub cookies: Cookies,
    /// Whether a proxy before us says who the client is.
    pub forwarded: bool,
}

/// The peer's address, for sessions, throttles and the audit log.
#[derive(Debug, Clone)]
pub struct PeerAddress(pub String);

/// The signed-in caller of a REST handler; without one the answer is 401.
pub struct Caller(pub Actor);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Actor>().cloned().map(Self).ok_or_else(|| {
            Problem(Fault::new(
                FaultKind::Unauthenticated,
                "no_credentials",
                "Send an API token as `Authorization: Bearer fat_…`. Make one in the console under People.",
            ))
        })
    }
}

/// The value of a cookie (RFC 6265 §5.4).
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let value = lines.flat_map(|l| l.split(';')).find_map(|c| c.trim().strip_prefix(name)?.strip_prefix('='))?;
    (!value.is_empty()).then_some(value)
}

/// Whether a browser says the request comes from our own pages: by `Sec-Fetch-Site`, or, in browsers without it, by an `Origin` equal to the
/// host. A request that says neither does not come from a page.
pub fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let host = text("host").unwrap_or_default();
            !host.is_empty() && origin.split_once("://").is_some_and(|(_, at)| at.eq_ignore_ascii_case(host))
        }
        (None, None) => false,
    }
}

/// The client as the nearest proxy saw it: the last entry; the ones before it were said by whoever asked the proxy.
pub(crate) fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?.rsplit(',').next()?;
    last.trim().parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The middleware. Public addresses pass without an actor; a page without one leads to sign-in; everything else is answered by its handler.
pub async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let said = guard.forwarded.then(|| forwarded_for(request.headers())).flatten();
    let address = said.or_else(|| peer_address(request.extensions())).map(|a| a.to_string()).unwrap_or_default();
    request.extensions_mut().insert(PeerAddress(address.clone()));
    name_the_host(&mut request);
    let headers = request.headers();
    let bearer = headers.contains_key(header::AUTHORIZATION).then(|| bearer(headers).unwrap_or_default());
    let by_token = bearer.is_some();
    let path = request.uri().path();
    let found = match bearer {
        Some(token) => Some(guard.fleet.access().authenticate_token(token, &address).await),
        None => match cookie(headers, guard.cookies.access()) {
            Some(jwt) => Some(guard.fleet.access().authenticate_jwt(jwt, &address).await),
            None => None,
        },
    };
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    // A program that has forgotten its token does nothing in anybody's name: what it calls says what is missing.
    let nobody = found.is_none() && path.starts_with("/api/v1/");
    // A token is sent on purpose; a cookie is sent by the browser whoever asks, so the page that asks must be ours.
    if !by_token && !safe && !nobody && !same_origin(headers) {
        return Problem(Fault::new(
            FaultKind::Forbidden,
            "cross_origin",
            "This change was asked for by another site, or by a program without an API token. Use the console, or send a bearer token.",
        ))
        .into_response();
    }
    match found {
        Some(Ok(actor)) => {
            request.extensions_mut().insert(actor);
        }
        // A wrong token is an answer; an ended session is just nobody.
        Some(Err(e)) if by_token => return Problem::from(e).into_response(),
        Some(Err(e @ fleet::access::Error::Db(_))) => return Problem::from(e).into_response(),
        Some(Err(_)) | None => {
            if safe && is_page(path) {
                return lead_to_sign_in(&guard, request.uri()).await;
            }
            if let Some(way) = renewing(&request) {
                return Redirect::temporary(&way).into_response();
            }
        }
    }
    next.run(request).await
}

/// HTTP/2 says the host in `:authority` (RFC 9113 §8.3.1); everything after this reads the header.
fn name_the_host(request: &mut Request) {
    if !request.headers().contains_key(header::HOST)
        && let Some(host) = request.uri().authority().and_then(|at| HeaderValue::from_str(at.as_str()).ok())
    {
        request.headers_mut().insert(header::HOST, host);
    }
}

/// The way of a form that was filled in for longer than an access token lasts, posted without a script: over the address that renews the
/// session and back here once, with all that was typed (307 keeps method and body, RFC 9110 §15.4.8).
fn renewing(request: &Request) -> Option<String> {
    let uri = request.uri();
    let wants_page = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"));
    let first = uri.query().is_none_or(|query| query != RENEWED);
    let form = request.method() == Method::POST && uri.path().starts_with("/rpc/") && !uri.path().starts_with("/rpc/session/");
    (form && wants_page && first).then(|| format!("/session/refresh?next={}", encode(&format!("{}?{RENEWED}", uri.path()))))
}

/// The query of a form that has been over the renewal.
const RENEWED: &str = "renewed";

/// Addresses that show a page to whoever is signed in. What is left out answers for itself.
fn is_page(path: &str) -> bool {
    const OPEN: [&str; 9] = ["/sign-in", "/set-up", "/session/", "/rpc/", "/api/", "/pkg/", "/live", "/favicon", "/docs"];
    !OPEN.iter().any(|open| path.starts_with(open)) && path != "/robots.txt"
}

/// The refresh secret only travels to `/session/refresh`, so that is where an ended access token is sent first.
async fn lead_to_sign_in(guard: &Guard, uri: &axum::http::Uri) -> Response {
    match guard.fleet.access().nobody_yet().await {
        Ok(true) => Redirect::to("/set-up").into_response(),
        Ok(false) => {
            let next = uri.path_and_query().map_or("/", |p| p.as_str());
            Redirect::to(&format!("/session/refresh?next={}", encode(next))).into_response()
        }
        Err(e) => Problem::from(e).into_response(),
    }
}

/// Text as it fits into a query; a path stays readable.
pub fn encode(text: &str) -> String {
    wire::percent::encoded(text, b"/")
}

/// Answers 404 for what no route knows under `/api` and `/rpc`, so that scripts never get a page.
pub async fn unknown() -> Response {
    (StatusCode::NOT_FOUND, Problem(Fault::new(FaultKind::NotFound, "not_found", "There is no such address."))).into_response()
}

/// What follows the scheme `Bearer` (RFC 6750 §2.1), whose case does not matter (RFC 9110 §11.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_what_it_saw_itself() {
        let said = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            forwarded_for(&headers).map(|address| address.to_string())
        };
        assert_eq!(said(&["198.51.100.7, 192.0.2.1"]).as_deref(), Some("192.0.2.1"));
        assert_eq!(said(&["198.51.100.7", "::ffff:192.0.2.2"]).as_deref(), Some("192.0.2.2"));
        for none in [&[][..], &["unknown"], &["192.0.2.1, "]] {
            assert_eq!(said(none), None);
        }
    }
    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (axum::http::HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn a_bearer_is_one_in_any_case() {
        let said = |line: &'static str| bearer(&headers(&[("authorization", line)])).map(str::to_owned);
        for line in ["Bearer fat_1", "bearer fat_1", "BEARER  fat_1", " Bearer fat_1 "] {
            assert_eq!(said(line).as_deref(), Some("fat_1"), "{line}");
        }
        for none in ["Basic fat_1", "Bearer", "fat_1", ""] {
            assert_eq!(said(none), None, "{none}");
        }
    }

    #[test]
    fn only_our_own_pages_are_the_same_origin() {
        assert!(same_origin(&headers(&[("sec-fetch-site", "same-origin")])));
        assert!(!same_origin(&headers(&[("sec-fetch-site", "cross-site"), ("origin", "http://a"), ("host", "a")])));
        assert!(!same_origin(&headers(&[("sec-fetch-site", "same-site")])));
        assert!(same_origin(&headers(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")])));
        assert!(!same_origin(&headers(&[("origin", "http://evil.example"), ("host", "127.0.0.1:8080")])));
        assert!(!same_origin(&headers(&[("origin", "null"), ("host", "127.0.0.1:8080")])));
        assert!(!same_origin(&headers(&[])));
    }

    #[test]
    fn http2_names_the_host_without_the_header() {
        let mut request = Request::builder()
            .uri("https://fleet.example:8443/x")
            .header("origin", "https://fleet.example:8443")
            .body(axum::body::Body::empty())
            .unwrap();
        name_the_host(&mut request);
        assert!(same_origin(request.headers()));
        let mut other =
            Request::builder().uri("https://evil.example/x").header("host", "fleet.example").body(axum::body::Body::empty()).unwrap();
        name_the_host(&mut other);
        assert_eq!(other.headers()["host"], "fleet.example", "what was said stands");
    }

    #[test]
    fn a_path_is_encoded_so_that_it_stays_one_value() {
        assert_eq!(encode("/devices?q=a&b#c"), "/devices%3Fq%3Da%26b%23c");
    }
}
