//! The browser bundle inside the binary: hashed names that never change are cached for ever, and sent as they were compressed at build time.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::collections::BTreeMap;

/// `cargo xtask build` fills the folder; a development binary reads it from disk, a release binary carries it.
#[derive(RustEmbed)]
#[folder = "../target/site"]
#[allow_missing = true]
struct Site;

/// The names of the built assets, from the bundle's own list. Empty names when the bundle was not built: pages then work without it.
pub fn names() -> app::Assets {
    let list: BTreeMap<String, String> = Site::get("assets.json").and_then(|f| serde_json::from_slice(&f.data).ok()).unwrap_or_else(|| {
        tracing::warn!("no browser bundle in this build; pages work without scripts and style (cargo xtask build makes it)");
        BTreeMap::new()
    });
    let name = |key: &str| list.get(key).cloned().unwrap_or_default();
    app::Assets { css: name("css"), js: name("js"), wasm: name("wasm"), chart: name("chart"), font_sans: name("font_sans") }
}

/// Serves a file of the bundle.
pub async fn serve(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let Some((file, encoding)) = find(path, request.headers()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let hashed = path.starts_with("pkg/");
    let mut headers = HeaderMap::new();
    let kind = match path.rsplit_once('.').map(|p| p.1) {
        Some("wasm") => "application/wasm",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let cache = if hashed { "public, max-age=31536000, immutable" } else { "public, max-age=3600" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    (headers, Body::from(file.data.into_owned())).into_response()
}

/// The smallest form the browser takes.
fn find(path: &str, headers: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    let takes = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let takes = |what: &str| takes.split(',').any(|e| e.trim().split(';').next() == Some(what));
    [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(name, _)| takes(name))
        .find_map(|(name, suffix)| Site::get(&format!("{path}{suffix}")).map(|f| (f, Some(name))))
        .or_else(|| Site::get(path).map(|f| (f, None)))
}
