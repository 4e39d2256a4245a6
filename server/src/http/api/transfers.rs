//! How fast files go to devices, and how many bytes a device may be sent.

use super::{Answer, input::Sent, openapi::Refusals};
use crate::http::guard::Caller;
use axum::{Json, extract::State};
use fleet::Fleet;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::transfers::TransferLimits;

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(limits, set_limits))
}

/// How fast and how much devices may download
#[utoipa::path(get, path = "/transfer-limits", operation_id = "get_transfer_limits", tag = "releases", responses((status = OK, body = TransferLimits), Refusals))]
async fn limits(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<TransferLimits>> {
    Ok(Json(fleet.transfers().limits(&actor).await?))
}

/// Change how fast and how much devices may download
///
/// What is left out has no limit. A plan may have a bandwidth of its own beside these.
#[utoipa::path(
    put, path = "/transfer-limits", operation_id = "set_transfer_limits", tag = "releases", request_body = TransferLimits,
    responses((status = OK, body = TransferLimits), Refusals)
)]
async fn set_limits(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(limits): Sent<TransferLimits>) -> Answer<Json<TransferLimits>> {
    Ok(Json(fleet.transfers().set_limits(&actor, limits).await?))
}
