//! The paths, against a world without sockets: names, tags, bounds, and requests in paths.

use super::{LARGEST, Publisher, router};
use crate::observe::Metrics;
use axum::{Router, body::Body, http::Request, response::Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::{access::Actor, db::EngineKind, testing::World};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

async fn listener() -> (World, Router, String) {
    let world = World::open(EngineKind::Sqlite).await;
    world.fleet.pki().publish().await.unwrap();
    let actor = Actor::system(world.org.clone());
    let page = world.fleet.pki().certificates_page(&actor, &wire::pki::CertificateQuery::default()).await.unwrap();
    let device = page.authorities.iter().find(|a| a.kind == "device").unwrap().id.to_string();
    let routes = router(Publisher { fleet: world.fleet.clone(), metrics: Metrics::default() });
    (world, routes, device)
}

async fn ask(routes: &Router, request: Request<Body>) -> (u16, Response<()>, Vec<u8>) {
    let answer = routes.clone().oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    (parts.status.as_u16(), Response::from_parts(parts, ()), body)
}

async fn get(routes: &Router, path: &str) -> (u16, Response<()>, Vec<u8>) {
    ask(routes, Request::get(path).body(Body::empty()).unwrap()).await
}

fn header<'a>(answer: &'a Response<()>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |v| v.to_str().unwrap())
}

#[tokio::test]
async fn a_list_is_kept_by_caches_until_the_next_one_at_most() {
    let (world, routes, device) = listener().await;
    let path = format!("/crl/{device}.crl");
    let (status, answer, body) = get(&routes, &path).await;
    assert_eq!((status, header(&answer, "content-type")), (200, "application/pkix-crl"));
    assert_eq!(header(&answer, "cache-control"), "max-age=3600");
    let tag = header(&answer, "etag").to_owned();
    let again = Request::get(&path).header("if-none-match", format!("\"other\", W/{tag}")).body(Body::empty()).unwrap();
    let (status, answer, empty) = ask(&routes, again).await;
    assert_eq!((status, header(&answer, "etag"), empty.len()), (304, tag.as_str(), 0));

    world.clock.advance(12 * 3_600_000 - 60_000);
    assert_eq!(header(&get(&routes, &path).await.1, "cache-control"), "max-age=60");
    world.clock.advance(120_000);
    assert_eq!(header(&get(&routes, &path).await.1, "cache-control"), "max-age=0");
    world.fleet.pki().publish().await.unwrap();
    let (_, answer, newer) = get(&routes, &path).await;
    assert_ne!(newer, body, "half its life was over");
    assert_ne!(header(&answer, "etag"), tag);
}

#[tokio::test]
async fn authorities_and_nothing_else_have_files() {
    let (world, routes, device) = listener().await;
    let (status, answer, body) = get(&routes, &format!("/ca/{device}.cer")).await;
    assert_eq!((status, header(&answer, "content-type")), (200, "application/pkix-cert"));
    let id = device.parse().unwrap();
    assert_eq!(body, world.fleet.pki().authority_certificate(&id).unwrap().to_vec());
    for path in ["/crl/x.crl", "/crl/..%2f..%2fetc%2fpasswd", "/ca/x.cer", "/", "/ocsp"] {
        let status = get(&routes, path).await.0;
        assert!(status == 404 || (path == "/ocsp" && status == 405), "{path}: {status}");
    }
    assert_eq!(get(&routes, &format!("/crl/{device}.cer")).await.0, 404);
}

#[tokio::test]
async fn requests_are_bounded_and_paths_are_taken_as_they_came() {
    let (_world, routes, _) = listener().await;
    let post = |media: &'static str, body: Vec<u8>| Request::post("/ocsp").header("content-type", media).body(Body::from(body)).unwrap();
    let malformed = vec![0x30, 0x03, 0x0a, 0x01, 0x01];
    let (status, answer, body) = ask(&routes, post("application/ocsp-request", vec![0; LARGEST])).await;
    assert_eq!((status, header(&answer, "content-type"), header(&answer, "cache-control")), (200, "application/ocsp-response", "no-store"));
    assert_eq!(body, malformed);
    assert_eq!(ask(&routes, post("application/ocsp-request", vec![0; LARGEST + 1])).await.0, 413);
    assert_eq!(ask(&routes, post("text/plain", vec![])).await.0, 415);
    assert_eq!(get(&routes, &format!("/ocsp/{}", "A".repeat(LARGEST))).await.0, 414);

    // A request about somebody else's certificate whose base64 has two slashes in a row.
    let foreign = foreign();
    let text = STANDARD.encode(&foreign);
    assert!(text.contains("//") && text.contains('+') && text.contains('='), "{text}");
    let escaped = text.replace('/', "%2F").replace('+', "%2B").replace('=', "%3d");
    for path in [format!("/ocsp/{text}"), format!("/ocsp//{text}"), format!("/ocsp/{escaped}")] {
        assert_eq!(get(&routes, &path).await.2, [0x30, 0x03, 0x0a, 0x01, 0x06], "{path}");
    }
    for path in ["/ocsp/%", "/ocsp/%zz", "/ocsp/%ff%ff", "/ocsp/MA==", "/ocsp/!"] {
        assert_eq!(get(&routes, path).await.2, malformed, "{path}");
    }
}

/// A well-formed request of no issuer of ours.
fn foreign() -> Vec<u8> {
    let wrap = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let algorithm = wrap(0x30, &[0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00]);
    let hash = wrap(0x04, &[0xff; 20]);
    let serial = wrap(0x02, &[0x7e, 0x7e, 0x7e, 0xfb, 0xef, 0xbe]);
    let id = wrap(0x30, &[algorithm, hash.clone(), hash, serial].concat());
    wrap(0x30, &wrap(0x30, &wrap(0x30, &wrap(0x30, &id))))
}
