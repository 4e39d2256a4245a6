//! A device's updates: listed, what it said of each, cancelling one, and pinning the device so that it gets no more.

use super::{
    Answer,
    input::{Asked, Named, PageQuery, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    ids::{DeviceId, RolloutId, UpdateId},
    page::{DEFAULT_ROWS, Page},
    updates::{AttemptsQuery, DeviceUpdate, LogLine, Pin},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(log)).routes(routes!(cancel)).routes(routes!(pin, unpin))
}

/// A device's updates, the newest in front
///
/// Each attempt is one: how far it is, how it ended, with the device's own `code`, and which kind of failure that was.
#[utoipa::path(
    get, path = "/devices/{device_id}/updates", operation_id = "list_device_updates", tag = "devices",
    params(("device_id" = DeviceId, Path), PageQuery), responses((status = OK, body = Page<DeviceUpdate>), Refusals)
)]
async fn list(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<DeviceId>,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<DeviceUpdate>>> {
    let query = AttemptsQuery { cursor: asked.cursor.unwrap_or_default(), rows: asked.rows.or(Some(DEFAULT_ROWS)), whole: None };
    Ok(Json(fleet.updates(&actor, &id, &query).await?))
}

/// What a device said of one of its updates, the newest in front
///
/// The newest 200 lines are kept, for 31 days.
#[utoipa::path(
    get, path = "/devices/{device_id}/updates/{update_id}/log", operation_id = "get_device_update_log", tag = "devices",
    params(("device_id" = DeviceId, Path), ("update_id" = UpdateId, Path)), responses((status = OK, body = Page<LogLine>), Refusals)
)]
async fn log(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named((id, update)): Named<(DeviceId, UpdateId)>,
) -> Answer<Json<Page<LogLine>>> {
    Ok(Json(fleet.update_log(&actor, &id, &update).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Cancelled {
    /// The rollout whose update of this device is cancelled.
    rollout: RolloutId,
    /// The update as you saw it: where another attempt stands by now it is refused. Without it, it is for whichever attempt that is.
    update: Option<UpdateId>,
    /// Why, for the history; at most 500 characters.
    #[serde(default)]
    reason: String,
}

/// Cancel a rollout's update of one device, while the rollout goes on
///
/// As long as the device has not begun to install it; from there on it can only go on, and this is refused. The device is told to stop: by its channel, or by
/// `cancelAction` when it asks. It counts as left out, and is not offered this rollout again unless somebody retries those that were `cancelled` before
/// the rollout has ended, which it does not by itself before a day has passed since the last was cancelled. May be repeated.
///
/// A device whose update ended and that waits to be tried again by itself is taken out in the same way, at once: nothing is under way there. Only one that fell
/// silent may still be at its attempt: nobody tells it to stop, and how that ends no longer counts. Its attempt stays as it ended; the next one is cancelled before
/// it is offered, and the device counts as left out instead.
#[utoipa::path(
    post, path = "/devices/{device_id}/cancel-update", operation_id = "cancel_device_update", tag = "devices", params(("device_id" = DeviceId, Path)), request_body = Cancelled,
    responses((status = NO_CONTENT), Refusals)
)]
async fn cancel(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<DeviceId>,
    Sent(sent): Sent<Cancelled>,
) -> Answer<StatusCode> {
    fleet.rollouts().cancel_update(&actor, &sent.rollout, &id, sent.update.as_ref(), &sent.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Pinned {
    /// Why, at most 200 characters in one line.
    reason: String,
}

/// Pin a device to what it runs: no rollout moves it until it is unpinned
///
/// What it has begun goes on; an offer that it has not begun is taken back. May be repeated: the last who, when and why stand.
#[utoipa::path(
    put, path = "/devices/{device_id}/pin", operation_id = "pin_device", tag = "devices", params(("device_id" = DeviceId, Path)), request_body = Pinned,
    responses((status = OK, body = Pin), Refusals)
)]
async fn pin(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>, Sent(sent): Sent<Pinned>) -> Answer<Json<Pin>> {
    Ok(Json(fleet.rollouts().pin(&actor, &id, &sent.reason).await?))
}

/// Unpin a device: rollouts may move it again
///
/// May be repeated.
#[utoipa::path(
    delete, path = "/devices/{device_id}/pin", operation_id = "unpin_device", tag = "devices", params(("device_id" = DeviceId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn unpin(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>) -> Answer<StatusCode> {
    fleet.rollouts().unpin(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
