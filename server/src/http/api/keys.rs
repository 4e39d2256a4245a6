//! The public keys that release manifests are checked against, the server's own for assignments, and those that signatures inside images are held against.

use super::{
    Answer,
    input::{Named, Sent, Unread},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    ids::{AssignmentKeyId, ImageKeyId, SigningKeyId},
    manifest::Envelope,
    page::Page,
    releases::{ImageKey, SigningKey},
    signing::{AssignmentKey, KeySetRow, SigningPolicy, Thresholds},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(revoke))
        .routes(routes!(policy, set_policy))
        .routes(routes!(key_sets, publish))
        .routes(routes!(key_set))
        .routes(routes!(assignment_keys, make_assignment_key))
        .routes(routes!(retire_assignment_key))
        .routes(routes!(image_keys, add_image_key))
        .routes(routes!(remove_image_key))
}

/// Every signing key, newest first
#[utoipa::path(get, path = "/signing-keys", operation_id = "list_signing_keys", tag = "signing keys", responses((status = OK, body = Page<SigningKey>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<SigningKey>>> {
    // Admins add each by hand.
    Ok(Json(Page::whole(fleet.releases().keys(&actor).await?)))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// What people call it.
    name: String,
    /// The Ed25519 public key: PEM, 64 hex digits, or base64.
    public: String,
}

/// Trust a key
///
/// Releases that wait in quarantine for it are looked at again.
#[utoipa::path(
    post, path = "/signing-keys", operation_id = "add_signing_key", tag = "signing keys", request_body = NewKey, responses((status = CREATED, body = SigningKey), Refusals)
)]
async fn add(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(new): Sent<NewKey>) -> Answer<impl IntoResponse> {
    Ok((StatusCode::CREATED, Json(fleet.releases().add_key(&actor, &new.name, &new.public).await?)))
}

/// Stop trusting a key
#[utoipa::path(
    delete, path = "/signing-keys/{id}", operation_id = "revoke_signing_key", tag = "signing keys", params(("id" = SigningKeyId, Path)), responses((status = NO_CONTENT), Refusals)
)]
async fn revoke(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<SigningKeyId>) -> Answer<StatusCode> {
    fleet.releases().revoke_key(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many keys must have signed a release, and which published ones fall short
#[utoipa::path(get, path = "/signing-policy", operation_id = "get_signing_policy", tag = "signing keys", responses((status = OK, body = SigningPolicy), Refusals))]
async fn policy(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<SigningPolicy>> {
    Ok(Json(fleet.releases().signing_policy(&actor).await?))
}

/// Ask for another number of signatures
///
/// Published releases stay published; the answer names those that have fewer. Refused once a key set decides.
#[utoipa::path(
    put, path = "/signing-policy", operation_id = "set_signing_policy", tag = "signing keys", request_body = Thresholds,
    responses((status = OK, body = SigningPolicy), Refusals)
)]
async fn set_policy(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(to): Sent<Thresholds>) -> Answer<Json<SigningPolicy>> {
    Ok(Json(fleet.releases().set_thresholds(&actor, to).await?))
}

/// Published key sets, newest first
#[utoipa::path(get, path = "/key-sets", operation_id = "list_key_sets", tag = "signing keys", responses((status = OK, body = Page<KeySetRow>), Refusals))]
async fn key_sets(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<KeySetRow>>> {
    Ok(Json(Page::whole(fleet.releases().key_sets(&actor).await?)))
}

/// Publish the next key set
///
/// An envelope that enough of the keys before it and enough of its own have signed. From then on its keys are trusted and no others, and its thresholds
/// hold; devices follow it by themselves.
#[utoipa::path(
    post, path = "/key-sets", operation_id = "publish_key_set", tag = "signing keys", request_body = Envelope,
    responses((status = CREATED, body = KeySetRow), Refusals)
)]
async fn publish(State(fleet): State<Fleet>, Caller(actor): Caller, Unread(envelope): Unread) -> Answer<impl IntoResponse> {
    Ok((StatusCode::CREATED, Json(fleet.releases().publish_key_set(&actor, &envelope).await?)))
}

/// A key set, byte for byte as it was published
#[utoipa::path(
    get, path = "/key-sets/{version}", operation_id = "download_key_set", tag = "signing keys", params(("version" = i64, Path)),
    responses((status = OK, body = Envelope), Refusals)
)]
async fn key_set(State(fleet): State<Fleet>, Caller(actor): Caller, Named(version): Named<i64>) -> Answer<impl IntoResponse> {
    let envelope = fleet.releases().key_set_file(&actor, version).await?;
    let saved = format!("attachment; filename=\"key-set-{version}.json\"");
    Ok(([(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, saved)], envelope))
}

/// The keys that assignments are signed with, newest first
#[utoipa::path(
    get, path = "/assignment-keys", operation_id = "list_assignment_keys", tag = "signing keys", responses((status = OK, body = Page<AssignmentKey>), Refusals)
)]
async fn assignment_keys(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<AssignmentKey>>> {
    Ok(Json(Page::whole(fleet.pki().assignment_keys(&actor).await.map_err(fleet::Error::from)?)))
}

/// Make another key for assignments
///
/// It is made here and never leaves the server. Assignments are signed with it and with those before until they are retired.
#[utoipa::path(
    post, path = "/assignment-keys", operation_id = "make_assignment_key", tag = "signing keys", responses((status = CREATED, body = AssignmentKey), Refusals)
)]
async fn make_assignment_key(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<impl IntoResponse> {
    let made = fleet.pki().make_assignment_key(&actor).await.map_err(fleet::Error::from)?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Retire a key of assignments
#[utoipa::path(
    delete, path = "/assignment-keys/{id}", operation_id = "retire_assignment_key", tag = "signing keys", params(("id" = AssignmentKeyId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn retire_assignment_key(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AssignmentKeyId>) -> Answer<StatusCode> {
    fleet.pki().retire_assignment_key(&actor, &id).await.map_err(fleet::Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The keys that signatures inside images are held against, newest first
#[utoipa::path(
    get, path = "/image-keys", operation_id = "list_image_keys", tag = "signing keys", responses((status = OK, body = Page<ImageKey>), Refusals)
)]
async fn image_keys(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<ImageKey>>> {
    // There are `MOST_IMAGE_KEYS` at most.
    Ok(Json(Page::whole(fleet.releases().image_keys(&actor).await?)))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewImageKey {
    /// What people call it.
    name: String,
    /// A certificate of whoever signs images or of the authority above, or a public key: PEM, or the base64 of its DER.
    key: String,
}

/// Hold signatures inside images against a certificate or a key
///
/// How the images of a release stand to it is told with the release. Nothing is held back by it: the updater on the device decides.
#[utoipa::path(
    post, path = "/image-keys", operation_id = "add_image_key", tag = "signing keys", request_body = NewImageKey,
    responses((status = CREATED, body = ImageKey), Refusals)
)]
async fn add_image_key(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(new): Sent<NewImageKey>) -> Answer<impl IntoResponse> {
    Ok((StatusCode::CREATED, Json(fleet.releases().add_image_key(&actor, &new.name, &new.key).await?)))
}

/// Forget an image key
#[utoipa::path(
    delete, path = "/image-keys/{id}", operation_id = "remove_image_key", tag = "signing keys", params(("id" = ImageKeyId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn remove_image_key(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ImageKeyId>) -> Answer<StatusCode> {
    fleet.releases().remove_image_key(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
