//! `/docs`: the manual, as Markdown text, inside the binary. Readable by everybody, also before the first sign-in.

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../app/docs"]
struct Manual;

/// The routes.
pub fn router() -> Router {
    Router::new()
        .route("/docs", get(|| async { page("index") }))
        .route("/docs/{page}", get(|Path(name): Path<String>| async move { page(&name) }))
}

fn page(name: &str) -> Response {
    let name = name.trim_end_matches(".md");
    match Manual::get(&format!("{name}.md")) {
        Some(file) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], file.data.into_owned()).into_response(),
        None => (StatusCode::NOT_FOUND, "There is no such page of the manual. /docs lists them.\n").into_response(),
    }
}
