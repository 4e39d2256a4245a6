//! The server's clock, where it has jumped: read, and accepted.

use super::{Answer, openapi::Refusals};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode};
use fleet::Fleet;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::pki::ClockPage;

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(read)).routes(routes!(accept))
}

/// Whether the server's clock has jumped: nothing is issued then
#[utoipa::path(get, path = "/clock", operation_id = "read_clock", tag = "certificates", responses((status = OK, body = ClockPage), Refusals))]
async fn read(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<ClockPage>> {
    Ok(Json(fleet.pki().clock(&actor)?))
}

/// Say that the time is right as it is now: certificates are issued again
#[utoipa::path(post, path = "/clock/accept", operation_id = "accept_clock", tag = "certificates", responses((status = NO_CONTENT), Refusals))]
async fn accept(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<StatusCode> {
    fleet.pki().accept_time(&actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
