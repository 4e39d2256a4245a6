//! Freezes: times in which no rollout offers anything new.

use super::{
    Answer,
    input::{Named, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    ids::FreezeId,
    page::Page,
    rollouts::{FreezeRow, NewFreeze},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(end))
}

/// The calendar of freezes, the latest first
#[utoipa::path(
    get, path = "/freezes", operation_id = "list_freezes", tag = "rollouts", responses((status = OK, body = Page<FreezeRow>), Refusals)
)]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<FreezeRow>>> {
    Ok(Json(Page::whole(fleet.rollouts().freezes(&actor).await?.freezes)))
}

/// Freeze the organization for a time: no rollout offers anything new, unless its plan says that it goes on
#[utoipa::path(
    post, path = "/freezes", operation_id = "create_freeze", tag = "rollouts", request_body = NewFreeze,
    responses((status = CREATED, body = FreezeRow), Refusals)
)]
async fn create(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(new): Sent<NewFreeze>) -> Answer<(StatusCode, Json<FreezeRow>)> {
    Ok((StatusCode::CREATED, Json(fleet.rollouts().freeze(&actor, new).await?)))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct FreezeEnding {
    /// Why, for the audit log; 1 to 500 characters.
    #[serde(default)]
    #[schema(required = true)]
    reason: String,
}

/// End a freeze early, or take back one that has not begun
#[utoipa::path(
    post, path = "/freezes/{id}/end", operation_id = "end_freeze", tag = "rollouts", params(("id" = FreezeId, Path)), request_body = FreezeEnding,
    responses((status = OK, body = FreezeRow), Refusals)
)]
async fn end(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<FreezeId>,
    Sent(ending): Sent<FreezeEnding>,
) -> Answer<Json<FreezeRow>> {
    Ok(Json(fleet.rollouts().end_freeze(&actor, &id, &ending.reason).await?))
}
