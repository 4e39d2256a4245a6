//! `/session/refresh`: the only address the refresh secret travels to. Trades it for a new access token and goes on to where the browser was.

use super::guard::{Guard, PeerAddress, cookie, encode};
use app::api::cookies;
use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

/// Where to go on.
#[derive(Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// The same for a form whose session had ended when it was posted: it goes on with its method and all that was typed.
pub async fn refresh_form(
    State(guard): State<Guard>,
    Extension(peer): Extension<PeerAddress>,
    headers: HeaderMap,
    Query(Next { next }): Query<Next>,
) -> Response {
    let form = app::api::session::local(&next, "/").to_owned();
    // If there is no session any more the form is lost, and the way leads to the page it was on.
    let page = headers.get(header::REFERER).and_then(|v| v.to_str().ok()?.parse::<axum::http::Uri>().ok());
    let page = page.as_ref().map_or("/", |page| app::api::session::local(page.path(), "/"));
    renew(&guard, (&headers, &peer), Redirect::temporary(&form), page).await
}

/// Renews the session of the browser, or leads it to sign-in.
pub async fn refresh(
    State(guard): State<Guard>,
    Extension(peer): Extension<PeerAddress>,
    headers: HeaderMap,
    Query(Next { next }): Query<Next>,
) -> Response {
    let next = app::api::session::local(&next, "/");
    renew(&guard, (&headers, &peer), Redirect::to(next), next).await
}

async fn renew(guard: &Guard, (headers, peer): (&HeaderMap, &PeerAddress), onward: Redirect, page: &str) -> Response {
    let sign_in = || Redirect::to(&format!("/sign-in?next={}", encode(page))).into_response();
    let Some(secret) = cookie(headers, guard.cookies.refresh()) else { return sign_in() };
    match guard.fleet.access().refresh(secret, &peer.0).await {
        Ok(signed_in) => with_cookies(onward.into_response(), cookies::signed_in(guard.cookies, &signed_in)),
        Err(fleet::access::Error::NoSession) => with_cookies(sign_in(), cookies::signed_out(guard.cookies)),
        Err(e) => super::fault::Problem::from(e).into_response(),
    }
}

fn with_cookies(mut response: Response, all: Vec<String>) -> Response {
    for cookie in all {
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}
