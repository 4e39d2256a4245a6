//! Enrolment tokens, secrets that trade a CSR for a certificate, and the devices that wait for a person.

use super::{
    Answer,
    input::{Asked, Named, PageQuery, Sent},
    once::Secret,
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Extension, Json, extract::State, http::StatusCode, response::IntoResponse};
use fleet::Fleet;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    enrolment::{CreatedEnrolmentToken, EnrolmentRequest, EnrolmentSettings, EnrolmentToken, NewEnrolmentToken},
    ids::{EnrolmentRequestId, EnrolmentTokenId},
    page::Page,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
        .routes(routes!(requests))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(settings, set))
}

/// Every enrolment token, newest first
#[utoipa::path(get, path = "/enrolment-tokens", operation_id = "list_enrolment_tokens", tag = "enrolment", params(PageQuery), responses((status = OK, body = Page<EnrolmentToken>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(page): Asked<PageQuery>) -> Answer<Json<Page<EnrolmentToken>>> {
    Ok(Json(fleet.devices().enrolment_tokens(&actor, page.cursor.as_deref(), page.rows).await?))
}

/// Make an enrolment token
///
/// Its secret is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/enrolment-tokens", operation_id = "create_enrolment_token", tag = "enrolment", request_body = NewEnrolmentToken,
    responses((status = CREATED, body = CreatedEnrolmentToken), Refusals)
)]
async fn create(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(new): Sent<NewEnrolmentToken>) -> Answer<impl IntoResponse> {
    let created = fleet.devices().create_enrolment_token(&actor, new).await?;
    Ok((StatusCode::CREATED, Extension(Secret), Json(created)))
}

/// Revoke an enrolment token; devices it enrolled keep their certificates
#[utoipa::path(
    delete, path = "/enrolment-tokens/{id}", operation_id = "revoke_enrolment_token", tag = "enrolment", params(("id" = EnrolmentTokenId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn revoke(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<EnrolmentTokenId>) -> Answer<StatusCode> {
    fleet.devices().revoke_enrolment_token(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Devices that wait for approval, oldest first
///
/// Compare `code` with what the device shows before you approve it.
#[utoipa::path(get, path = "/enrolment-requests", operation_id = "list_enrolment_requests", tag = "enrolment", params(PageQuery), responses((status = OK, body = Page<EnrolmentRequest>), Refusals))]
async fn requests(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Asked(page): Asked<PageQuery>,
) -> Answer<Json<Page<EnrolmentRequest>>> {
    Ok(Json(fleet.devices().enrolment_requests(&actor, page.cursor.as_deref(), page.rows).await?))
}

/// Let a waiting device in; it gets its certificate the next time it asks
#[utoipa::path(
    post, path = "/enrolment-requests/{id}/approve", operation_id = "approve_enrolment_request", tag = "enrolment",
    params(("id" = EnrolmentRequestId, Path)), responses((status = NO_CONTENT), Refusals)
)]
async fn approve(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<EnrolmentRequestId>) -> Answer<StatusCode> {
    fleet.devices().approve_enrolment(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a waiting device away
#[utoipa::path(
    post, path = "/enrolment-requests/{id}/reject", operation_id = "reject_enrolment_request", tag = "enrolment",
    params(("id" = EnrolmentRequestId, Path)), responses((status = NO_CONTENT), Refusals)
)]
async fn reject(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<EnrolmentRequestId>) -> Answer<StatusCode> {
    fleet.devices().reject_enrolment(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How devices may ask to join
#[utoipa::path(get, path = "/enrolment-settings", operation_id = "get_enrolment_settings", tag = "enrolment", responses((status = OK, body = EnrolmentSettings), Refusals))]
async fn settings(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<EnrolmentSettings>> {
    Ok(Json(fleet.devices().enrolment_settings(&actor).await?))
}

/// Let devices without a token ask to join, or no longer, and say which certificates they get
#[utoipa::path(
    put, path = "/enrolment-settings", operation_id = "set_enrolment_settings", tag = "enrolment", request_body = EnrolmentSettings,
    responses((status = OK, body = EnrolmentSettings), Refusals)
)]
async fn set(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(wanted): Sent<EnrolmentSettings>) -> Answer<Json<EnrolmentSettings>> {
    fleet.devices().set_open_enrolment(&actor, &wanted).await?;
    Ok(Json(wanted))
}
