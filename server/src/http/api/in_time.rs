//! The deadline of REST: nobody's request holds a connection of the database for ever. Owns which routes have none, because they take or give as much as
//! the other side sends or reads.

use crate::http::deadline::within;
use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};
use std::time::Duration;

/// What is not answered by then is given up.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// Uploads, and what a whole file is made for.
const STREAMS: [(&str, &str); 11] = [
    ("PUT", "/uploads/{id}"),
    ("PUT", "/registered-authorities/{id}/list"),
    ("POST", "/enrolment-batches"),
    ("POST", "/enrolment-batches/keys"),
    ("GET", "/enrolment-batches/{id}/result"),
    ("GET", "/devices:export"),
    ("POST", "/devices:import"),
    ("GET", "/devices/{device_id}/connections:export"),
    ("GET", "/releases/{id}/artifacts/{sha256}"),
    ("GET", "/rollouts/{id}/report"),
    ("GET", "/audit/export"),
];

fn streams(method: &Method, matched: &str) -> bool {
    let path = matched.strip_prefix("/api/v1").unwrap_or(matched);
    STREAMS.contains(&(method.as_str(), path))
}

pub(super) async fn in_time(State(longest): State<Duration>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let unbounded = matched.is_some_and(|matched| streams(request.method(), matched.as_str()));
    if unbounded {
        return next.run(request).await;
    }
    let late = ("slow_answer", "The answer took too long and was given up. Look whether it was done before you ask again.");
    within(longest, late, request, next).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, http::StatusCode, middleware, routing::get};
    use tower::ServiceExt as _;

    #[test]
    fn what_has_no_deadline_is_there() {
        let (_, document) = crate::http::api::routes().split_for_parts();
        for (method, path) in STREAMS {
            let item = document.paths.paths.get(path).unwrap_or_else(|| panic!("no {path}"));
            let operation = match method {
                "GET" => &item.get,
                "PUT" => &item.put,
                _ => &item.post,
            };
            assert!(operation.is_some(), "{method} {path}");
        }
    }

    #[tokio::test]
    async fn uploads_take_their_time_and_other_answers_are_given_up() {
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        };
        let api = Router::new()
            .route("/uploads/{id}", get(slow).put(slow))
            .route("/devices", get(slow))
            .layer(middleware::from_fn_with_state(Duration::from_millis(30), in_time));
        let router = Router::new().nest("/api/v1", api);
        for (method, path, status) in [
            (Method::PUT, "/api/v1/uploads/upl_1", StatusCode::OK),
            (Method::GET, "/api/v1/uploads/upl_1", StatusCode::SERVICE_UNAVAILABLE),
            (Method::GET, "/api/v1/devices", StatusCode::SERVICE_UNAVAILABLE),
        ] {
            let request = Request::builder().method(method.clone()).uri(path).body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{method} {path}");
            assert_eq!(answer.headers().contains_key("retry-after"), status != StatusCode::OK, "{method} {path}");
        }
    }
}
