//! Blocked keys: those that nobody gets a certificate for any more.

use super::{
    Answer,
    input::{Asked, Named, PageQuery, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode};
use fleet::Fleet;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    blocked::{BlockedKey, NewBlockedKey},
    page::Page,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list, block)).routes(routes!(unblock))
}

/// Keys that get no certificate any more, newest first: compromised ones, and those that were blocked by hand
#[utoipa::path(
    get, path = "/blocked-keys", operation_id = "list_blocked_keys", tag = "certificates", params(PageQuery),
    responses((status = OK, body = Page<BlockedKey>), Refusals)
)]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(page): Asked<PageQuery>) -> Answer<Json<Page<BlockedKey>>> {
    Ok(Json(fleet.pki().blocked_keys(&actor, page.cursor.as_deref(), page.rows).await?))
}

/// Block a key that was found where others can read it, whether or not there is a certificate for it
///
/// No certificate is made for it any more in this organization. One that was made before stays until it is revoked (`used_by` names its device). What was
/// said first stands and is the answer. The key of an authority of this organization, or of one that waits for its certificate, is refused: 409
/// `authority_key`.
#[utoipa::path(
    post, path = "/blocked-keys", operation_id = "block_key", tag = "certificates", request_body = NewBlockedKey,
    responses((status = CREATED, body = BlockedKey), Refusals)
)]
async fn block(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Sent(new): Sent<NewBlockedKey>,
) -> Answer<(StatusCode, Json<BlockedKey>)> {
    Ok((StatusCode::CREATED, Json(fleet.pki().block_key(&actor, &new).await?)))
}

/// Let a key that was blocked by hand be used again; a compromised one stays blocked for good
#[utoipa::path(
    delete, path = "/blocked-keys/{spki_sha256}", operation_id = "unblock_key", tag = "certificates",
    params(("spki_sha256" = String, Path)), responses((status = NO_CONTENT), Refusals)
)]
async fn unblock(State(fleet): State<Fleet>, Caller(actor): Caller, Named(spki_sha256): Named<String>) -> Answer<StatusCode> {
    fleet.pki().unblock_key(&actor, &spki_sha256).await?;
    Ok(StatusCode::NO_CONTENT)
}
