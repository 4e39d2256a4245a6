//! `/session/refresh`: the only address the refresh secret travels to. Trades it for a new access token and goes on to where the browser was.

use super::guard::{Guard, cookie, encode};
use app::api::cookies;
use axum::{
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

/// Renews the session of the browser, or leads it to sign-in.
pub async fn refresh(State(guard): State<Guard>, headers: HeaderMap, Query(Next { next }): Query<Next>) -> Response {
    let next = app::api::session::local(&next, "/").to_owned();
    let Some(secret) = cookie(&headers, guard.cookies.refresh()) else {
        return Redirect::to(&format!("/sign-in?next={}", encode(&next))).into_response();
    };
    match guard.fleet.access().refresh(secret).await {
        Ok(signed_in) => with_cookies(Redirect::to(&next).into_response(), cookies::signed_in(guard.cookies, &signed_in)),
        Err(fleet::access::Error::NoSession) => {
            let away = Redirect::to(&format!("/sign-in?next={}", encode(&next))).into_response();
            with_cookies(away, cookies::signed_out(guard.cookies))
        }
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
