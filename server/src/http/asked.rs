//! The id of a request, on every listener where something is asked for that comes into the books (K-8): the caller's own where it is a plain word, one
//! of ours otherwise. Refuses to know what is asked.

use axum::{
    Router,
    extract::Request,
    http::HeaderMap,
    middleware::{self, Next},
    response::Response,
    routing::MethodRouter,
};
use fleet::asked;
use std::future::Future;
use tower_http::request_id::{MakeRequestId as _, MakeRequestUuid, SetRequestIdLayer};

const HEADER: &str = "x-request-id";

/// These routes, each request of which has an id: in its `x-request-id`, and for the books.
pub fn over<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.layer(middleware::from_fn(within)).layer(SetRequestIdLayer::x_request_id(MakeRequestUuid)).layer(middleware::from_fn(only_fit))
}

/// The same of one route: where others beside it are asked thousands of times a second and leave nothing in the books.
pub fn each<S: Clone + Send + Sync + 'static>(route: MethodRouter<S>) -> MethodRouter<S> {
    // From the outside to the inside.
    route.layer((middleware::from_fn(only_fit), SetRequestIdLayer::x_request_id(MakeRequestUuid), middleware::from_fn(within)))
}

/// Answers a part of a request that seldom leaves anything in the books: where the caller has no id for it, one is made when the first word goes there.
pub fn seldom<F: Future>(headers: &HeaderMap, answer: F) -> impl Future<Output = F::Output> {
    let sent = headers.get(HEADER).filter(|_| all_fit(headers)).and_then(|id| id.to_str().ok()).map(str::to_owned);
    asked::lazily(sent, ours, answer)
}

fn ours() -> String {
    let id = MakeRequestUuid.make_request_id(&axum::http::Request::new(()));
    id.and_then(|id| id.header_value().to_str().ok().map(str::to_owned)).unwrap_or_default()
}

fn all_fit(headers: &HeaderMap) -> bool {
    headers.get_all(HEADER).iter().all(|id| asked::fit(id.as_bytes()))
}

/// Drops what the caller calls an id and could not stand in the log.
async fn only_fit(mut request: Request, next: Next) -> Response {
    if !all_fit(request.headers()) {
        request.headers_mut().remove(HEADER);
    }
    next.run(request).await
}

async fn within(request: Request, next: Next) -> Response {
    let id = request.headers().get(HEADER).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    asked::within(id, next.run(request)).await
}

#[cfg(test)]
mod tests {
    use super::{each, over, seldom};
    use axum::{
        Router,
        body::{Body, to_bytes},
        http::{HeaderMap, HeaderName, HeaderValue, Request},
        routing::get,
    };
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_request_is_known_by_the_callers_id_where_that_is_a_plain_word() {
        let known = async |sent: &'static str| {
            let routes = over(Router::new().route("/", get(|| async { fleet::asked::request() })));
            let request = Request::get("/").header("x-request-id", sent).body(Body::empty()).unwrap();
            let body = routes.oneshot(request).await.unwrap().into_body();
            String::from_utf8(to_bytes(body, 1000).await.unwrap().to_vec()).unwrap()
        };
        assert_eq!(known("build-42").await, "build-42");
        let ours = known("<b>42</b>").await;
        assert_eq!(ours.len(), 36, "one of ours: {ours}");
        assert_ne!(ours, known("two words").await, "each its own");
        let routes = Router::new().route("/", each(get(|| async { fleet::asked::request() })));
        let request = Request::get("/").header("x-request-id", "build-43").body(Body::empty()).unwrap();
        let body = to_bytes(routes.oneshot(request).await.unwrap().into_body(), 1000).await.unwrap();
        assert_eq!(&body[..], b"build-43", "of one route");
    }

    #[tokio::test]
    async fn what_seldom_comes_into_the_books_has_an_id_there_all_the_same() {
        let known = async |sent: &[&'static str]| {
            let headers: HeaderMap =
                sent.iter().map(|&id| (HeaderName::from_static(super::HEADER), HeaderValue::from_static(id))).collect();
            seldom(&headers, async { fleet::asked::request() }).await
        };
        assert_eq!(known(&["poll-42"]).await, "poll-42");
        for ours in [known(&[]).await, known(&["<b>42</b>"]).await] {
            assert_eq!(ours.len(), 36, "one of ours: {ours}");
        }
    }
}
