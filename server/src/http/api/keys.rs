//! The public keys that release manifests are checked against.

use super::{
    Answer,
    input::{Named, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{ids::SigningKeyId, page::Page, releases::SigningKey};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(revoke))
}

/// Every signing key, newest first
#[utoipa::path(get, path = "/signing-keys", operation_id = "list_signing_keys", tag = "signing keys", responses((status = OK, body = Page<SigningKey>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<SigningKey>>> {
    let items = fleet.releases().keys(&actor).await?;
    let total = i64::try_from(items.len()).unwrap_or(i64::MAX);
    Ok(Json(Page { items, next: None, total }))
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
