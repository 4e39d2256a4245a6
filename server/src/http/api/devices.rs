//! Devices: listed by a selector, looked at, tagged, and led through their life: suspended, resumed, decommissioned, recommissioned.

use super::{
    Answer,
    input::{Asked, Named, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    devices::{DeviceDetail, DeviceQuery, DeviceRow, DeviceSort},
    ids::DeviceId,
    page::Page,
    states::DeviceStep,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(detail, decommission))
        .routes(routes!(tag))
        .routes(routes!(step))
        .routes(routes!(clear))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// A selector, for example `type:gateway tag:eu online:yes`; empty means all.
    #[serde(default)]
    q: String,
    /// `device_id`, `last_seen` or `version`; `-` in front reverses.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    sort: DeviceSort,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    #[serde(alias = "n")]
    rows: Option<u32>,
}

/// Devices
#[utoipa::path(get, path = "/devices", operation_id = "list_devices", tag = "devices", params(Listing), responses((status = OK, body = Page<DeviceRow>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(asked): Asked<Listing>) -> Answer<Json<Page<DeviceRow>>> {
    let query = DeviceQuery { q: asked.q, sort: asked.sort, cursor: asked.cursor, rows: asked.rows };
    Ok(Json(fleet.devices().list(&actor, &query).await?))
}

/// One device
#[utoipa::path(
    get, path = "/devices/{device_id}", operation_id = "get_device", tag = "devices", params(("device_id" = DeviceId, Path)),
    responses((status = OK, body = DeviceDetail), Refusals)
)]
async fn detail(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>) -> Answer<Json<DeviceDetail>> {
    Ok(Json(fleet.device(&actor, &id).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Tags {
    /// All the tags it should have.
    tags: Vec<String>,
}

/// Set a device's tags
#[utoipa::path(
    put, path = "/devices/{device_id}/tags", operation_id = "set_device_tags", tag = "devices", params(("device_id" = DeviceId, Path)), request_body = Tags,
    responses((status = NO_CONTENT), Refusals)
)]
async fn tag(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>, Sent(sent): Sent<Tags>) -> Answer<StatusCode> {
    fleet.devices().set_tags(&actor, &id, sent.tags).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Decommission a device: its certificates are revoked, its id stays reserved
#[utoipa::path(
    delete, path = "/devices/{device_id}", operation_id = "decommission_device", tag = "devices", params(("device_id" = DeviceId, Path)), responses((status = NO_CONTENT), Refusals)
)]
async fn decommission(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>) -> Answer<StatusCode> {
    fleet.devices().decommission(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Life {
    /// What to do. Suspending and resuming leave certificates as they are; decommissioning revokes them; recommissioning gives the id free for
    /// enrolment, deleting takes it out of every list with all it has sent; both need an admin.
    step: DeviceStep,
}

/// Suspend, resume, decommission, recommission or delete a device; live connections that may not be any more are closed within a second
#[utoipa::path(
    post, path = "/devices/{device_id}/life", operation_id = "change_device", tag = "devices", params(("device_id" = DeviceId, Path)), request_body = Life,
    responses((status = NO_CONTENT), Refusals)
)]
async fn step(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>, Sent(sent): Sent<Life>) -> Answer<StatusCode> {
    fleet.devices().change(&actor, &id, sent.step).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say that the sign of a possible clone was looked at
#[utoipa::path(
    delete, path = "/devices/{device_id}/suspicion", operation_id = "clear_device_suspicion", tag = "devices", params(("device_id" = DeviceId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn clear(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>) -> Answer<StatusCode> {
    fleet.devices().clear_suspicion(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
