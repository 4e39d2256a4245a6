//! Enrolment tokens: secrets that trade a CSR for a certificate.

use super::{
    Answer,
    input::{Named, Sent},
    once::Secret,
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Extension, Json, extract::State, http::StatusCode, response::IntoResponse};
use fleet::Fleet;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    enrolment::{CreatedEnrolmentToken, EnrolmentToken, NewEnrolmentToken},
    ids::EnrolmentTokenId,
    page::Page,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// Every enrolment token, newest first
#[utoipa::path(get, path = "/enrolment-tokens", operation_id = "list_enrolment_tokens", tag = "enrolment", responses((status = OK, body = Page<EnrolmentToken>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<EnrolmentToken>>> {
    let items = fleet.devices().enrolment_page(&actor).await?.tokens;
    let total = i64::try_from(items.len()).unwrap_or(i64::MAX);
    Ok(Json(Page { items, next: None, total }))
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
