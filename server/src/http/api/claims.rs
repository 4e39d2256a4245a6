//! Claims: shared certificates by which devices ask for their own.

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
    enrolment::{Claim, ClaimDevice, CreatedClaim, NewClaim},
    ids::ClaimId,
    page::Page,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(disable)).routes(routes!(devices))
}

/// Every claim, newest first
#[utoipa::path(get, path = "/claims", operation_id = "list_claims", tag = "enrolment", params(PageQuery), responses((status = OK, body = Page<Claim>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(page): Asked<PageQuery>) -> Answer<Json<Page<Claim>>> {
    Ok(Json(fleet.devices().claims(&actor, page.cursor.as_deref(), page.rows).await?))
}

/// Make a claim: a shared certificate, good on the enrol listener alone
///
/// Its key, unless you send a CSR, is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/claims", operation_id = "create_claim", tag = "enrolment", request_body = NewClaim,
    responses((status = CREATED, body = CreatedClaim), Refusals)
)]
async fn create(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(new): Sent<NewClaim>) -> Answer<impl IntoResponse> {
    let created = fleet.devices().create_claim(&actor, new).await?;
    Ok((StatusCode::CREATED, Extension(Secret), Json(created)))
}

/// Disable a claim at once; devices it let in stay
///
/// One of five minutes takes an operator, a lasting one an admin.
#[utoipa::path(
    post, path = "/claims/{id}/disable", operation_id = "disable_claim", tag = "enrolment", params(("id" = ClaimId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn disable(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ClaimId>) -> Answer<StatusCode> {
    fleet.devices().disable_claim(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The devices that a claim let in, in the order they came
#[utoipa::path(
    get, path = "/claims/{id}/devices", operation_id = "list_claim_devices", tag = "enrolment", params(("id" = ClaimId, Path), PageQuery),
    responses((status = OK, body = Page<ClaimDevice>), Refusals)
)]
async fn devices(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<ClaimId>,
    Asked(page): Asked<PageQuery>,
) -> Answer<Json<Page<ClaimDevice>>> {
    Ok(Json(fleet.devices().claim_devices(&actor, &id, page.cursor.as_deref(), page.rows).await?))
}
