//! Releases: made of uploads, published, deprecated, recalled.

use super::{
    Answer,
    input::{Asked, Named, Sent, Unread},
    openapi::Refusals,
};
use crate::http::{
    guard::Caller,
    stored::{self, Answered},
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    ids::{Digest, ReleaseId},
    manifest::{Envelope, Signature},
    page::Page,
    releases::{DeltaRow, NewRelease, ReleaseCheck, ReleaseDetail, ReleaseDifference, ReleaseInstalls, ReleaseQuery, ReleaseRow},
    states::ReleaseState,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(detail, remove))
        .routes(routes!(manifest))
        .routes(routes!(artifact))
        .routes(routes!(deltas))
        .routes(routes!(installs))
        .routes(routes!(difference))
        .routes(routes!(sign))
        .routes(routes!(recheck))
        .routes(routes!(publish))
        .routes(routes!(deprecate))
        .routes(routes!(recall))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// A part of the version, of the device type, or of the notes.
    #[serde(default)]
    q: String,
    /// Only those in this state.
    state: Option<ReleaseState>,
    /// Only those for exactly this device type.
    #[serde(rename = "type")]
    device_type: Option<String>,
    /// `signed`: the keys that have to sign them have done so; `unsigned`: no signature counts, or they are in quarantine for another reason; `damaged`: a
    /// stored file is damaged, and not given out until it was uploaded again.
    #[param(inline)]
    check: Option<ReleaseCheck>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    rows: Option<u32>,
}

/// Releases, newest first
#[utoipa::path(get, path = "/releases", operation_id = "list_releases", tag = "releases", params(Listing), responses((status = OK, body = Page<ReleaseRow>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(asked): Asked<Listing>) -> Answer<Json<Page<ReleaseRow>>> {
    let Listing { q, state, device_type, check, cursor, rows } = asked;
    let query = ReleaseQuery { q, state, device_type, check, cursor, rows };
    let found = fleet.releases().list(&actor, &query).await?;
    Ok(Json(fleet.with_use_counts(&actor, found).await?))
}

/// Make a release of finished uploads
///
/// Files that the manifest names and that a release of the organization has already need not be uploaded again. Unsigned or changed files do not fail here: the release is kept as a draft whose `quarantine` says why it can't be published. What a release is made of makes no second one: sent again, it gives that release.
#[utoipa::path(
    post, path = "/releases", operation_id = "create_release", tag = "releases", request_body = NewRelease,
    responses(
        (status = CREATED, body = ReleaseDetail),
        (status = OK, description = "It is there already: the same manifest and files, or files that have healed it", body = ReleaseDetail),
        Refusals
    )
)]
async fn create(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(new): Sent<NewRelease>) -> Answer<impl IntoResponse> {
    let created = fleet.releases().create(&actor, new).await?;
    let place = format!("/api/v1/releases/{}", created.release.row.id);
    // Rollouts use only one that was there already.
    let (status, release) = if created.new {
        (StatusCode::CREATED, created.release)
    } else {
        (StatusCode::OK, fleet.with_uses(&actor, created.release).await?)
    };
    Ok((status, [(header::LOCATION, place)], Json(release)))
}

/// One release
#[utoipa::path(
    get, path = "/releases/{id}", operation_id = "get_release", tag = "releases", params(("id" = ReleaseId, Path)), responses((status = OK, body = ReleaseDetail), Refusals)
)]
async fn detail(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ReleaseId>) -> Answer<Json<ReleaseDetail>> {
    Ok(Json(fleet.release_detail(&actor, &id).await?))
}

/// A release's signed manifest, byte for byte as it was uploaded, with the signatures that were added since
#[utoipa::path(
    get, path = "/releases/{id}/manifest", operation_id = "download_manifest", tag = "releases", params(("id" = ReleaseId, Path)),
    responses((status = OK, body = Envelope), Refusals)
)]
async fn manifest(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ReleaseId>) -> Answer<impl IntoResponse> {
    let (name, envelope) = fleet.releases().envelope_file(&actor, &id).await?;
    let saved = format!("attachment; filename=\"{name}\"");
    Ok(([(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, saved)], envelope))
}

/// A file of a release, byte for byte as it was uploaded
///
/// A download that was cut goes on with `Range` and `If-Range` (RFC 9110).
#[utoipa::path(
    get, path = "/releases/{id}/artifacts/{sha256}", operation_id = "download_artifact", tag = "releases",
    params(("id" = ReleaseId, Path), ("sha256" = Digest, Path, description = "The file's digest.")),
    responses((status = OK, content_type = "application/octet-stream", body = Vec<u8>), Refusals)
)]
async fn artifact(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named((id, sha256)): Named<(ReleaseId, Digest)>,
    method: Method,
    headers: HeaderMap,
) -> Answer<Response> {
    let (name, file) = fleet.releases().artifact_file(&actor, &id, &sha256).await?;
    let (status, mut head, part) = match stored::answered(&method, &headers, &file.etag, file.size) {
        Answered::Done(response) => return Ok(response),
        Answered::Bytes { status, head, part } => (status, head, part),
    };
    if let Ok(saved) = HeaderValue::from_str(&stored::saved_as(&name)) {
        head.insert(header::CONTENT_DISPOSITION, saved);
    }
    Ok((status, head, Body::from_stream(file.read_range(part).await?)).into_response())
}

/// What devices download instead of a release's files when they run an older release
#[utoipa::path(
    get, path = "/releases/{id}/deltas", operation_id = "list_release_deltas", tag = "releases", params(("id" = ReleaseId, Path)),
    responses((status = OK, body = Page<DeltaRow>), Refusals)
)]
async fn deltas(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ReleaseId>) -> Answer<Json<Page<DeltaRow>>> {
    Ok(Json(Page::whole(fleet.releases().deltas(&actor, &id).await?)))
}

/// Where a release is: how many devices of its type run it, are to get it, and run other versions
///
/// Nowhere while it is a draft. Of a large fleet the counts may be up to two minutes old.
#[utoipa::path(
    get, path = "/releases/{id}/installs", operation_id = "get_release_installs", tag = "releases", params(("id" = ReleaseId, Path)),
    responses((status = OK, body = ReleaseInstalls), Refusals)
)]
async fn installs(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ReleaseId>) -> Answer<Json<ReleaseInstalls>> {
    Ok(Json(fleet.release_installs(&actor, &id).await?))
}

/// What differs between a release and another one, `other`: its fields, and what became of each file
#[utoipa::path(
    get, path = "/releases/{id}/diff/{other}", operation_id = "diff_releases", tag = "releases",
    params(("id" = ReleaseId, Path), ("other" = ReleaseId, Path, description = "The one that it is held against.")),
    responses((status = OK, body = ReleaseDifference), Refusals)
)]
async fn difference(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named((id, other)): Named<(ReleaseId, ReleaseId)>,
) -> Answer<Json<ReleaseDifference>> {
    Ok(Json(fleet.release_difference(&actor, &other, &id).await?))
}

/// Remove a release that was never published
#[utoipa::path(delete, path = "/releases/{id}", operation_id = "remove_release", tag = "releases", params(("id" = ReleaseId, Path)), responses((status = NO_CONTENT), Refusals))]
async fn remove(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ReleaseId>) -> Answer<StatusCode> {
    fleet.releases().remove(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add a signature to a release
///
/// A signature by itself, or an envelope over the same payload with one that is new. A release that waits for it is looked at again; to a published one
/// it may be added as well. A key signs once, and only keys that are trusted count.
#[utoipa::path(
    post, path = "/releases/{id}/signatures", operation_id = "sign_release", tag = "releases", params(("id" = ReleaseId, Path)), request_body = Signature,
    responses((status = OK, body = ReleaseDetail), Refusals)
)]
async fn sign(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<ReleaseId>,
    Unread(given): Unread,
) -> Answer<Json<ReleaseDetail>> {
    let signed = fleet.releases().add_signatures(&actor, &id, &given).await?;
    Ok(Json(fleet.with_uses(&actor, signed).await?))
}

/// Look at a quarantined release again
#[utoipa::path(
    post, path = "/releases/{id}/recheck", operation_id = "recheck_release", tag = "releases", params(("id" = ReleaseId, Path)),
    responses((status = OK, body = ReleaseDetail), Refusals)
)]
async fn recheck(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ReleaseId>) -> Answer<Json<ReleaseDetail>> {
    let looked_at = fleet.releases().recheck(&actor, &id).await?;
    Ok(Json(fleet.with_uses(&actor, looked_at).await?))
}

/// Let rollouts use a release
#[utoipa::path(
    post, path = "/releases/{id}/publish", operation_id = "publish_release", tag = "releases", params(("id" = ReleaseId, Path)),
    responses((status = OK, body = ReleaseDetail), Refusals)
)]
async fn publish(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ReleaseId>) -> Answer<Json<ReleaseDetail>> {
    fleet.releases().publish(&actor, &id).await?;
    Ok(Json(fleet.release_detail(&actor, &id).await?))
}

/// Take a release off the list for new rollouts
#[utoipa::path(
    post, path = "/releases/{id}/deprecate", operation_id = "deprecate_release", tag = "releases", params(("id" = ReleaseId, Path)),
    responses((status = OK, body = ReleaseDetail), Refusals)
)]
async fn deprecate(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ReleaseId>) -> Answer<Json<ReleaseDetail>> {
    fleet.releases().deprecate(&actor, &id).await?;
    Ok(Json(fleet.release_detail(&actor, &id).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Recall {
    /// Why, for its page and the audit log; at most 500 bytes.
    #[serde(default)]
    reason: String,
}

/// Withdraw a release: no new installs, running rollouts halt
///
/// The answer says in `recalled` how many devices run it, what becomes of each rollout with it, and what these devices can be brought to.
#[utoipa::path(
    post, path = "/releases/{id}/recall", operation_id = "recall_release", tag = "releases", params(("id" = ReleaseId, Path)), request_body = Recall,
    responses((status = OK, body = ReleaseDetail), Refusals)
)]
async fn recall(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<ReleaseId>,
    Sent(recall): Sent<Recall>,
) -> Answer<Json<ReleaseDetail>> {
    fleet.releases().recall(&actor, &id, &recall.reason).await?;
    Ok(Json(fleet.release_detail(&actor, &id).await?))
}
