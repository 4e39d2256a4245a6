//! Uploads: begun with a name and a size, sent in chunks, gone on with after a cut at the offset that `GET` tells.

use super::{
    Answer,
    input::{Asked, Named, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::IntoResponse,
};
use fleet::Fleet;
use futures::TryStreamExt as _;
use serde::Deserialize;
use std::io;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    ids::UploadId,
    releases::{NewUpload, Upload},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(begin)).routes(routes!(look, append))
}

/// Begin an upload
#[utoipa::path(post, path = "/uploads", operation_id = "begin_upload", tag = "uploads", request_body = NewUpload, responses((status = CREATED, body = Upload), Refusals))]
async fn begin(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(new): Sent<NewUpload>) -> Answer<impl IntoResponse> {
    let upload = fleet.releases().begin_upload(&actor, new).await?;
    let place = format!("/api/v1/uploads/{}", upload.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(upload)))
}

/// How far an upload is
///
/// `HEAD` answers with the same headers: `Upload-Offset` and `Upload-Length`.
#[utoipa::path(get, path = "/uploads/{id}", operation_id = "get_upload", tag = "uploads", params(("id" = UploadId, Path)), responses((status = OK, body = Upload), Refusals))]
async fn look(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<UploadId>) -> Answer<impl IntoResponse> {
    Ok(progress(fleet.releases().upload(&actor, &id).await?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct At {
    /// Where this chunk begins: the bytes received so far.
    #[serde(default)]
    offset: i64,
}

/// Send a chunk, or all of it
///
/// When this is answered, `received` bytes are synced to disk. A cut request loses at most what came after the last synced 16 MiB.
#[utoipa::path(
    put, path = "/uploads/{id}", operation_id = "append_upload", tag = "uploads", params(("id" = UploadId, Path), At),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = OK, body = Upload), Refusals)
)]
async fn append(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<UploadId>,
    Asked(at): Asked<At>,
    headers: HeaderMap,
    body: Body,
) -> Answer<impl IntoResponse> {
    if let Some(announced) = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok()) {
        fleet.releases().expects(&actor, &id, at.offset, announced).await?;
    }
    let bytes = body.into_data_stream().map_err(io::Error::other);
    Ok(progress(fleet.releases().append(&actor, &id, at.offset, bytes).await?))
}

fn progress(upload: Upload) -> impl IntoResponse {
    let offset = (HeaderName::from_static("upload-offset"), upload.received.to_string());
    let length = (HeaderName::from_static("upload-length"), upload.size.to_string());
    ([offset, length], [(header::CACHE_CONTROL, "no-store")], Json(upload))
}
