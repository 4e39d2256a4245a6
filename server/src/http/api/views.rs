//! Saved views of the device list, each person's own.

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
    page::Page,
    views::{NewSavedView, SavedView},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(save, forget))
}

/// The views of the device list that you have saved, by their names; with a token, those of the person who made it
#[utoipa::path(get, path = "/device-views", operation_id = "list_device_views", tag = "devices", responses((status = OK, body = Page<SavedView>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<SavedView>>> {
    // A person keeps a few, and no more than the store takes.
    Ok(Json(Page::whole(fleet.devices().views(&actor).await?)))
}

/// Save a view of the device list under a name; one of the same name is replaced
///
/// A person has at most 50.
#[utoipa::path(
    put, path = "/device-views/{name}", operation_id = "save_device_view", tag = "devices", params(("name" = String, Path)), request_body = NewSavedView,
    responses((status = OK, body = SavedView), Refusals)
)]
async fn save(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(name): Named<String>,
    Sent(new): Sent<NewSavedView>,
) -> Answer<Json<SavedView>> {
    let NewSavedView { q, sort, columns } = new;
    Ok(Json(fleet.devices().save_view(&actor, &SavedView { name, q, sort, columns }).await?))
}

/// Remove one of your saved views
#[utoipa::path(
    delete, path = "/device-views/{name}", operation_id = "forget_device_view", tag = "devices", params(("name" = String, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn forget(State(fleet): State<Fleet>, Caller(actor): Caller, Named(name): Named<String>) -> Answer<StatusCode> {
    fleet.devices().forget_view(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
