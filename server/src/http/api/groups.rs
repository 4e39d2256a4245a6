//! Groups of devices, for selectors.

use super::{
    Answer,
    input::{Named, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode};
use fleet::Fleet;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    devices::{DeviceGroup, GroupMany, NewDeviceGroup, Tagged},
    page::Page,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(rename, delete)).routes(routes!(put))
}

/// Groups by their names, each with its number of devices and the rollouts that ask for it and have not ended
#[utoipa::path(get, path = "/groups", operation_id = "list_groups", tag = "devices", responses((status = OK, body = Page<DeviceGroup>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<DeviceGroup>>> {
    // People name each by hand; what is in them is paged.
    Ok(Json(Page::whole(fleet.groups(&actor).await?)))
}

/// Make an empty group
#[utoipa::path(
    post, path = "/groups", operation_id = "create_group", tag = "devices", request_body = NewDeviceGroup,
    responses((status = CREATED, body = DeviceGroup), Refusals)
)]
async fn create(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Sent(new): Sent<NewDeviceGroup>,
) -> Answer<(StatusCode, Json<DeviceGroup>)> {
    Ok((StatusCode::CREATED, Json(fleet.devices().create_group(&actor, &new.name).await?)))
}

/// Give a group another name; its devices stay in it
///
/// Refused with 409 `group_in_use` while the selector of a rollout that has not ended asks for it.
#[utoipa::path(
    put, path = "/groups/{name}", operation_id = "rename_group", tag = "devices", params(("name" = String, Path)), request_body = NewDeviceGroup,
    responses((status = NO_CONTENT), Refusals)
)]
async fn rename(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(name): Named<String>,
    Sent(new): Sent<NewDeviceGroup>,
) -> Answer<StatusCode> {
    fleet.rename_group(&actor, &name, &new.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a group; its devices stay
///
/// Refused with 409 `group_in_use` while the selector of a rollout that has not ended asks for it.
#[utoipa::path(
    delete, path = "/groups/{name}", operation_id = "delete_group", tag = "devices", params(("name" = String, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn delete(State(fleet): State<Fleet>, Caller(actor): Caller, Named(name): Named<String>) -> Answer<StatusCode> {
    fleet.delete_group(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put every device that a selector means into a group, or those that are named, or take them out, all or none
///
/// At most 10,000 devices, by `q` and `expected`, or by `devices`. `expected` is how many it means as the list told; when it means another number by now, the answer is 409 `other_count` and
/// nothing is changed.
#[utoipa::path(
    post, path = "/groups/{name}/devices", operation_id = "group_devices", tag = "devices", params(("name" = String, Path)), request_body = GroupMany,
    responses((status = OK, body = Tagged), Refusals)
)]
async fn put(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(name): Named<String>,
    Sent(wanted): Sent<GroupMany>,
) -> Answer<Json<Tagged>> {
    Ok(Json(fleet.devices().group_many(&actor, &name, &wanted).await?))
}
